"""verl's reward managers and reward loop, composed from its own configuration with the guide's line."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import numpy as np
import pytest
import ray
import verl
from guide_lines import GUIDE, spans
from hydra import compose, initialize_config_dir
from verl import DataProto
from verl.experimental.reward_loop.reward_loop import RewardLoopManager
from verl.trainer.ppo.reward import get_custom_reward_fn, load_reward_manager
from verl.workers.reward_manager import get_reward_manager_cls

import reward_models
from synthesizeme.errors import UnknownUserError
from synthesizeme.scoring import as_answers
from synthesizeme.types import Message

SUNNY, FROSTY = "the sunny ship sails home!", "the frosty ship sails home?"
(LINE,) = (line for line in spans("verl") if "custom_reward_function.path=" in line)
MANAGERS = ("naive", "dapo", "gdpo", "rate_limited", "remote")
BATCH_MANAGERS = ("naive", "dapo", "batch", "prime")
ROWS = [("u0", SUNNY), ("u0", FROSTY), ("u1", SUNNY), ("u1", FROSTY)]


@pytest.fixture(scope="module")
def expected(checkpoint):
    model = reward_models.load(checkpoint)
    prompt = (Message(role="user", content="Q?"),)
    return [
        reward.value
        for reward in model.score(
            as_answers([prompt] * 4, [row[1] for row in ROWS], [row[0] for row in ROWS])
        )
    ]


@pytest.fixture
def configured(checkpoint, policy):
    """verl's own configuration with the guide's line, and more."""

    def made(*more):
        line = LINE.replace("out/model", str(checkpoint))
        with initialize_config_dir(str(Path(verl.__file__).parent / "trainer" / "config"), version_base=None):
            return compose(
                "ppo_trainer",
                [*line.split(), f"actor_rollout_ref.model.path={policy}", "reward.num_workers=1", *more],
            )

    return made


def batch(tokenizer, rows=ROWS, prompt="Q?"):
    """What verl hands to a reward manager; GSM8K has a reward of verl's own."""
    import torch

    responses = [
        tokenizer(text, add_special_tokens=False)["input_ids"] + [tokenizer.eos_token_id] for _, text in rows
    ]
    longest = max(map(len, responses))
    padded = [ids + [tokenizer.pad_token_id] * (longest - len(ids)) for ids in responses]
    mask = [[1] * 4 + [1] * len(ids) + [0] * (longest - len(ids)) for ids in responses]
    infos = [{"prompt": prompt, "user_id": user, "index": i} for i, (user, _) in enumerate(rows)]
    return DataProto.from_dict(
        tensors={
            "prompts": torch.ones((len(rows), 4), dtype=torch.long),
            "responses": torch.tensor(padded),
            "attention_mask": torch.tensor(mask),
        },
        non_tensors={
            "data_source": np.array(["openai/gsm8k"] * len(rows), dtype=object),
            "reward_model": np.array([{"ground_truth": "72"}] * len(rows), dtype=object),
            "extra_info": np.array(infos, dtype=object),
        },
    )


@pytest.fixture(scope="module")
def cluster():
    ray.init("local", num_cpus=3, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.mark.parametrize("name", MANAGERS)
def test_a_manager_of_the_reward_loop_gives_each_user_their_own_reward(
    cluster, configured, tokenizer, expected, name
):
    config = configured(f"reward.reward_manager.name={name}")

    async def all_of_them():
        manager = load_reward_manager(config, tokenizer)
        data = batch(tokenizer)
        return [await manager.run_single(data[i : i + 1]) for i in range(len(data))]

    found = asyncio.run(all_of_them())
    assert [it["reward_score"] for it in found] == pytest.approx(expected, abs=1e-5)
    assert [it["reward_extra_info"]["scored"] for it in found] == [1] * 4


@pytest.mark.parametrize("name", BATCH_MANAGERS)
def test_a_manager_that_is_called_with_a_batch_does_too(configured, tokenizer, expected, name):
    function = get_custom_reward_fn(configured())
    manager = get_reward_manager_cls(name)(tokenizer=tokenizer, num_examine=0, compute_score=function)
    found = manager(batch(tokenizer), return_dict=True)
    assert found["reward_tensor"].sum(-1).tolist() == pytest.approx(expected, abs=1e-5)
    if name != "prime":  # it keeps the numbers alone
        assert list(found["reward_extra_info"]["scored"]) == [1] * 4


def test_the_reward_loop_scores_in_its_own_workers(cluster, configured, tokenizer, expected):
    manager = RewardLoopManager(configured())
    found = manager.compute_rm_score(batch(tokenizer))
    assert found.batch["rm_scores"].sum(-1).tolist() == pytest.approx(expected, abs=1e-5)
    assert found.non_tensor_batch["status"].tolist() == ["ok"] * 4


def test_the_line_without_its_leading_word_is_not_read_and_readme_says_so(configured):
    config = configured()
    config.reward.custom_reward_function.path = None
    assert get_custom_reward_fn(config) is None
    assert re.search(r"before 0\.7\.1 .* no leading `reward\.`", GUIDE)


@pytest.mark.parametrize("name", ["naive", "rate_limited"])
def test_an_unknown_user_ends_the_run_or_is_zero_as_readme_says(configured, tokenizer, name):
    async def asked(*more):
        manager = load_reward_manager(configured(f"reward.reward_manager.name={name}", *more), tokenizer)
        return await manager.run_single(batch(tokenizer, [("mallory", SUNNY)]))

    if name == "naive":
        with pytest.raises(UnknownUserError, match="mallory"):
            asyncio.run(asked())
    else:
        found = asyncio.run(asked())
        assert found["reward_score"] == 0
        assert "mallory" in found["reward_extra_info"]["error"]
    found = asyncio.run(asked("+reward.custom_reward_function.reward_kwargs.unknown_user=population"))
    assert (found["reward_extra_info"]["scored"], found["reward_extra_info"]["status"]) == (0, "population")
    assert found["reward_score"] != 0
