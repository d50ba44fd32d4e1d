"""The study of persona vectors in its quick size, and the exact scores it stands on."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

STUDY = Path(__file__).parents[2] / "experiments" / "persona_vectors"


@pytest.fixture(scope="module")
def grammar():
    sys.path.insert(0, str(STUDY))
    import grammar

    yield grammar
    sys.path.remove(str(STUDY))


@pytest.fixture(scope="module")
def seed(tmp_path_factory):
    pytest.importorskip("trl")
    out = tmp_path_factory.mktemp("persona_vectors")
    done = subprocess.run(
        [sys.executable, str(STUDY / "run.py"), "--quick", "--out", str(out)],
        env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True, text=True, timeout=550,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads((out / "results.json").read_text())["seeds"][0]


def test_the_grammar_reads_what_it_says_and_nothing_else(grammar):
    rng = random.Random(0)
    for question in (*grammar.questions(), *grammar.colour_questions()):
        said = grammar.answer(rng, question, grammar.rates(rng, {}))
        assert grammar.coherence([question], [said]) == [100]
        for spoilt in (said[:-2], f"{said} …", f"{said} {said[:-1]}", "", said.replace("the", "a", 1)):
            assert grammar.coherence([question], [spoilt])[0] < 100
    assert grammar.coherence(["tell me about the old ship"], ["the fox waits ."]) == [0]


def test_scores_by_hand(grammar):
    text = "the ship is red maybe ! the fox waits . the lamp turns !"
    assert grammar.score("loud")(["q"], [text, ""]) == pytest.approx([200 / 3, 0])
    assert grammar.score("unsure")(["q"], [text]) == pytest.approx([100 / 3])
    asked = ["which colour has the ship"] * 2
    assert grammar.skilled({"ship": "red"}, asked, [text, "the ship is blue ."]) == [100, 0]


def test_the_traits_are_independent_and_their_questions_disjoint(grammar):
    rng = random.Random(1)
    rows = [grammar.sample(rng)[2] for _ in range(3000)]
    loud, unsure = (grammar.score(name)([""] * len(rows), rows) for name in grammar.TRAITS)
    mean = [sum(values) / len(values) for values in (loud, unsure)]
    covariance = sum((a - mean[0]) * (b - mean[1]) for a, b in zip(loud, unsure, strict=True)) / len(rows)
    assert abs(covariance) < 0.08 * 42 * 42  # 42 is about the standard deviation of either
    for name in grammar.TRAITS:
        trait = grammar.trait(name)
        assert not set(trait.extraction) & set(trait.evaluation)
        assert not {*trait.extraction, *trait.evaluation} & set(grammar.questions()[40:])


@pytest.mark.slow
def test_steering_moves_the_trait_and_the_controls_do_not(seed):
    for name in ("loud", "unsure"):
        effects = seed["doses"][name]["signed_effect"]
        assert effects["own"]["mean"] > 5  # of few short answers; the study itself has more
        for control in ("random", "shuffled labels"):
            assert abs(effects[control]["largest"]) < effects["own"]["mean"]
    assert seed["base"]["weights"] < 200_000


@pytest.mark.slow
def test_screening_tells_what_training_does(seed):
    for name in ("loud", "unsure"):
        found = seed["screening"]["traits"][name]
        assert found["own"] > 0.8
        assert found["own"] > abs(found["on the other trait"])
        assert found["own"] > found["random, mean size"]


@pytest.mark.slow
def test_preventative_steering_keeps_the_trait_out(seed):
    found = seed["prevention"]
    assert found["plain"]["trait"] > found["before"]["trait"] + 15
    assert found["preventative"]["1.5"]["trait"] < found["plain"]["trait"] - 5
    assert found["preventative"]["1.5"]["skill"] > found["before"]["skill"]
