"""Training of backbones under a launcher: two processes on this machine, exchanging gradients by gloo."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import planted_words
import pytest
import tiny_backbones

import reward_models

SCRIPT = Path(__file__).with_name("two_processes.py")
SHARED = {"epochs": 2, "batch_size": 8, "learning_rate": 1e-3, "max_length": 64, "precision": "float32"}
SETTINGS = {
    "bradley-terry": SHARED,
    "uem": SHARED
    | {
        "features": "stylometric",
        "warm_epochs": 1,
        "task_tokens": 2,
        "layers": 1,
        "width": 16,
        "history_dropout": 0.0,
        "no_history": 0.0,
    },
}


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    texts = planted_words.texts(planted_words.population(n_users=4, n_pairs=12))
    backbone = tiny_backbones.make(tmp_path_factory.mktemp("two") / "backbone", texts, shape="llama")
    return {method: given | {"backbone": str(backbone)} for method, given in SETTINGS.items()}


@pytest.fixture(scope="module")
def ended(settings, tmp_path_factory):
    """What each of two processes wrote, and the folder with the checkpoints."""
    folder = tmp_path_factory.mktemp("ended")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    paths = os.pathsep.join([str(SCRIPT.parent), str(Path(reward_models.__file__).parents[1])])
    done = subprocess.run(
        [*command, str(SCRIPT), json.dumps(settings), str(folder)],
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    ranks = [json.loads((folder / f"rank{rank}.json").read_text()) for rank in (0, 1)]
    return ranks, folder


def test_both_processes_end_with_the_same_models(ended):
    (first, second), _ = ended
    assert first == second
    assert first["processes"] == 2


@pytest.mark.parametrize("method", sorted(SETTINGS))
def test_two_processes_make_the_model_that_one_makes(method, ended, settings):
    """The same batches, shared out: the same number of steps, the same loss, the same margins."""
    (shared, _), folder = ended
    alone = reward_models.method(method)(**settings[method])
    alone.fit(planted_words.population(n_users=4, n_pairs=12))
    asked = [p.compare("chosen_first") for p in planted_words.population(n_users=4, n_pairs=3, seed=1)]
    for name in ("steps", "tokens", "kept"):
        assert shared[method][name] == alone.training_[name]
    assert shared[method]["loss"] == pytest.approx(alone.training_["loss"], rel=1e-4)
    margins = [verdict.margin for verdict in alone.compare(asked)]
    assert max(map(abs, margins)) > 0.2
    assert shared[method]["margins"] == pytest.approx(margins, rel=1e-2, abs=1e-3)
    loaded = reward_models.load(folder / method)
    assert [verdict.margin for verdict in loaded.compare(asked)] == shared[method]["margins"]


def test_a_network_sharded_by_layer_takes_the_same_steps(ended):
    (first, _), _ = ended
    assert first["sharding_error"] < 1e-6
