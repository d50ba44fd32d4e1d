"""Run under torchrun: every process fits models, and writes down what it ended with. See its test."""

from __future__ import annotations

import copy
import json
import os
import sys
from pathlib import Path

import planted_words
import torch
from torch import distributed
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

import reward_models
from reward_models._backbone import RewardNetwork, open_backbone


def fitted(method, settings, folder):
    """What a fitted and saved model says of itself and of pairs it has not seen."""
    model = reward_models.method(method)(**settings).fit(planted_words.population(n_users=4, n_pairs=12))
    model.save(folder / method)
    asked = [p.compare("chosen_first") for p in planted_words.population(n_users=4, n_pairs=3, seed=1)]
    told = {name: model.training_[name] for name in ("steps", "loss", "tokens", "kept")}
    return told | {"margins": [verdict.margin for verdict in model.compare(asked)]}


def sharding_error(backbone):
    """Largest difference that three steps make between a network in one piece and one sharded by layer."""
    whole = RewardNetwork(open_backbone(backbone, seed=0)[0])
    sharded = copy.deepcopy(whole)
    mesh = init_device_mesh("cpu", (distributed.get_world_size(),))
    for layer in sharded.backbone.model.layers:
        fully_shard(layer, mesh=mesh)
    fully_shard(sharded, mesh=mesh)
    ids = torch.randint(1, 50, (10, 12), generator=torch.Generator().manual_seed(0))
    mask = torch.ones_like(ids)
    mask[3, 5:] = 0
    before = copy.deepcopy(whole.state_dict())
    for network in (whole, sharded):
        optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            rewards = network(input_ids=ids, attention_mask=mask).logits[:, 0]
            (-torch.nn.functional.logsigmoid(rewards[:5] - rewards[5:])).mean().backward()
            optimizer.step()
    gathered = get_model_state_dict(sharded, options=StateDictOptions(full_state_dict=True))
    expected = whole.state_dict()
    assert max(float((before[name] - expected[name]).abs().max()) for name in expected) > 1e-3
    return max(float((gathered[name] - expected[name]).abs().max()) for name in expected)


def main(settings, folder):
    results = {method: fitted(method, given, folder) for method, given in settings.items()}
    results["processes"] = distributed.get_world_size()
    results["sharding_error"] = sharding_error(settings["bradley-terry"]["backbone"])
    (folder / f"rank{distributed.get_rank()}.json").write_text(json.dumps(results))
    distributed.barrier()
    distributed.destroy_process_group()
    sys.stdout.flush()
    os._exit(0)  # on a busy machine threads of torch outlive the interpreter, which then aborts


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), Path(sys.argv[2]))
