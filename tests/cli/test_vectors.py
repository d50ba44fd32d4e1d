"""``synthesizeme vectors``: each verb on a tiny random model, and what it refuses."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from synthesizeme.datasets import read_pairs

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
sys.path.insert(0, str(Path(__file__).parents[1] / "reward_models"))
import tiny_backbones  # noqa: E402

from reward_models.persona_vectors import PersonaVectors, load_trait, open_decoder, write_trait  # noqa: E402

CALM, LOUD = "It is a ship. It waits there.", "It is a ship! It waits there!"
TRAIT = """---
name: loud
version: 1
variables: question, answer
---
## description
It shouts.

## instructions
+ Shout.
- Whisper.

## extraction
- What is it?
- Who is it?

## evaluation
- {question}

## rubric
<turn>{{{{question}}}}</turn> <turn>{{{{answer}}}}</turn> From 0 to 100?
"""


@pytest.fixture(scope="module")
def policies(tmp_path_factory):
    root = tmp_path_factory.mktemp("policies")
    texts = [CALM, LOUD, "What is it?", "Shout.", "Whisper."] * 9
    return [str(tiny_backbones.make(root / str(seed), texts, shape="llama", seed=seed)) for seed in range(2)]


@pytest.fixture
def trait(tmp_path):
    path = tmp_path / "loud.md"
    path.write_text(TRAIT.format(question="Where is it?"))
    return path


@pytest.fixture
def rollouts(tmp_path):
    rows = [
        {"pair": pair, "side": side, "instruction": instruction, "question": "What is it?", "answer": answer,
         "trait": trait, "coherence": 100.0}
        for pair in range(3)
        for side, instruction, answer, trait in (
            ("positive", "Shout.", LOUD, 100.0 if pair else 10.0), ("negative", "Whisper.", CALM, 0.0))
    ]  # fmt: skip
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def extracted(command, policies, trait, rollouts, tmp_path):
    done = command("vectors", "extract", "--trait", trait, "--policy", policies[0], "--rollouts", rollouts,
                   "--layer", 1, "--out", tmp_path / "vectors", "--json")  # fmt: skip
    assert done.status == 0, done.err
    assert (done.json["positive"], done.json["pairs"], done.json["layer"]) == (2, 3, 1)
    return tmp_path / "vectors"


def test_extract_from_rollouts_is_the_difference_of_means(extracted, policies):
    found = PersonaVectors.load(extracted)
    decoder = open_decoder(policies[0], device="cpu")
    assert found.model["fingerprint"] == decoder.identity.fingerprint
    from reward_models.persona_vectors.rollouts import asked

    prompt = asked("What is it?")
    high, low = (
        decoder.response_states([prompt], [text], [told])[0]
        for text, told in ((LOUD, "Shout."), (CALM, "Whisper."))
    )
    assert np.allclose(found.directions, high - low, atol=1e-5)
    assert load_trait(extracted / "trait.md").name == "loud"


def test_extract_with_answers_of_the_policy_and_layers_tried(command, policies, trait, tmp_path):
    done = command("vectors", "extract", "--trait", trait, "--policy", policies[0], "--score-by", "pattern:e",
                   "--samples", 12, "--max-new-tokens", 12, "--out", tmp_path / "own")  # fmt: skip
    assert done.status == 0, done.err
    assert "layer 1: " in done.out
    assert "layer 2: " in done.out
    assert "of 24 pairs of answers kept" in done.out
    assert PersonaVectors.load(tmp_path / "own").layer in (1, 2)
    assert len((tmp_path / "own" / "rollouts.jsonl").read_text().splitlines()) == 48


def test_a_judge_model_scores_and_writes_traits(command, policies, trait, tmp_path):
    document = {
        "instructions": [{"positive": f"Sing {n}.", "negative": f"Speak {n}."} for n in range(5)],
        "extraction": [f"What is {n}?" for n in range(20)], "evaluation": [f"Where is {n}?" for n in range(20)],
        "rubric": "0 speaks, 100 sings.",
    }  # fmt: skip
    (tmp_path / "writer.json").write_text(
        json.dumps([json.dumps(document), *["90", "10"] * 100, *["95"] * 200])
    )
    done = command("vectors", "extract", "--trait", "singing", "--description", "It sings.", "--policy", policies[0],
                   "--model", f"scripted:{tmp_path / 'writer.json'}", "--layer", 2, "--max-new-tokens", 3,
                   "--out", tmp_path / "sung", "--json", "--no-cache")  # fmt: skip
    assert done.status == 0, done.err
    assert load_trait(tmp_path / "sung" / "trait.md").extraction[3] == "What is 3?"
    assert done.json["trait"] == "singing"


def test_steer_by_0_is_the_policy_and_by_more_is_not(command, extracted, policies):
    done = command("vectors", "steer", "--vectors", extracted, "--policy", policies[0], "--alpha=-9,0,9",
                   "--prompt", "What is it?", "--policy-temperature", 0, "--max-new-tokens", 6, "--json")  # fmt: skip
    assert done.status == 0, done.err
    answers = {row["alpha"]: row["answer"] for row in done.json["answers"]}
    decoder = open_decoder(policies[0], device="cpu")
    from reward_models.persona_vectors.rollouts import asked

    [plain] = decoder.generate([asked("What is it?")], max_new_tokens=6, temperature=0, cut_mark=" […]")
    assert answers[0] == plain
    assert answers[9] != plain


def test_steer_scores_doses(command, extracted, policies, trait):
    done = command("vectors", "steer", "--vectors", extracted, "--policy", policies[0], "--alpha=0,1",
                   "--trait", trait, "--score-by", "pattern:e", "--max-new-tokens", 6, "--json")  # fmt: skip
    assert done.status == 0, done.err
    assert [dose["alpha"] for dose in done.json["doses"]] == [0, 1]
    assert all(dose["answers"] == 1 for dose in done.json["doses"])


def test_monitor_and_the_shift_to_itself_is_none(command, extracted, policies):
    done = command("vectors", "monitor", "--vectors", extracted, "--policy", policies[0], "--tuned", policies[0],
                   "--prompt", "What is it?", "--prompt", "Who is it?", "--json")  # fmt: skip
    assert done.status == 0, done.err
    assert done.json["shift"] == {"mean": 0.0, "standard_error": 0.0}
    moved = command("vectors", "monitor", "--vectors", extracted, "--policy", policies[0], "--tuned", policies[1],
                    "--prompt", "What is it?", "--prompt", "Who is it?")  # fmt: skip
    assert moved.status == 0, moved.err
    assert "Shift: " in moved.out


def test_screen_the_sample(command, extracted, policies, sample, tmp_path):
    done = command("vectors", "screen", "--vectors", extracted, "--policy", policies[0], "--data", sample, "--limit", 6,
                   "--max-new-tokens", 6, "--out", tmp_path / "screened.jsonl")  # fmt: skip
    assert done.status == 0, done.err
    rows = [json.loads(line) for line in (tmp_path / "screened.jsonl").read_text().splitlines()]
    assert [row["push"] for row in rows] == sorted((row["push"] for row in rows), reverse=True)
    assert {row["pair_id"] for row in rows} == {pair.pair_id for pair in read_pairs(sample).pairs[:6]}
    assert all(row["push"] == pytest.approx(row["chosen"] - row["rejected"]) for row in rows)
    assert "6 pairs along loud" in done.out


@pytest.mark.parametrize("number", [1, 19, 20, 21, 60])
def test_screening_shows_both_ends_and_no_pair_twice(number):
    from reward_models.persona_vectors.monitoring import ScreenedPair
    from synthesizeme.cli.vectors import MOST_SHOWN, _screened_lines

    rows = [
        ScreenedPair(pair_id=f"p{place}", user_id="u", chosen=-float(place), rejected=0.0)
        for place in range(number)
    ]
    lines = list(_screened_lines(rows))
    shown = [line.split()[-1] for line in lines if "between them" not in line]
    assert (shown[0], shown[-1]) == ("p0", f"p{number - 1}")
    assert len(shown) == len(set(shown)) == min(number, MOST_SHOWN)
    assert [line for line in lines if "between them" in line] == (
        [f"  … {number - MOST_SHOWN} pair{'s' * (number > 21)} between them"] if number > MOST_SHOWN else []
    )


def with_effects(folder, effects):
    known = PersonaVectors.load(folder)
    replace(known, facts={**known.facts, "layer_effects": effects}).save(folder)


@pytest.mark.parametrize(
    ("effects", "said"),
    [
        (None, "was not checked to raise its score: no layer was tried."),
        ({"1": -4.0, "2": None}, "does not raise its score at any layer; do not trust this vector."),
        ({"1": -4.0, "2": 9.0}, "does not raise its score at layer 1; name another."),
        ({"1": 4.0, "2": -9.0}, None),
    ],
)
def test_every_use_says_what_is_known_against_a_vector(
    command, extracted, policies, trait, sample, effects, said
):
    with_effects(extracted, effects or {})
    for words in (
        ("steer", "--prompt", "x"),
        ("steer", "--alpha=0", "--trait", trait, "--score-by", "pattern:e"),
        ("monitor", "--prompt", "x"),
        ("screen", "--data", sample, "--limit", 2),
    ):
        short = () if words[0] == "monitor" else ("--max-new-tokens", 2)
        done = command("vectors", *words, *short, "--vectors", extracted, "--policy", policies[0], "--json")
        assert done.status == 0, done.err
        caution = done.json["caution"]
        assert caution is None if said is None else caution.endswith(said)
        assert (f"{caution}\n" in done.err) == (said is not None)


def test_a_layer_that_was_named_was_not_tried(command, policies, trait, rollouts, tmp_path):
    done = command("vectors", "extract", "--trait", trait, "--policy", policies[0], "--rollouts", rollouts,
                   "--layer", 1, "--out", tmp_path / "new")  # fmt: skip
    assert done.status == 0, done.err
    assert "was not checked" in done.err


def test_a_folder_of_something_else_is_left_alone(command, extracted, policies, trait, rollouts, tmp_path):
    foreign = tmp_path / "checkpoint"
    foreign.mkdir()
    (foreign / "model.json").write_text("{}")
    words = ("vectors", "extract", "--trait", trait, "--rollouts", rollouts, "--layer", 1)
    done = command(*words, "--policy", "nowhere", "--out", foreign)
    assert done.status == 2
    assert "is there already" in done.err
    assert [path.name for path in foreign.iterdir()] == ["model.json"]
    (tmp_path / "empty").mkdir()
    for place in (extracted, tmp_path / "empty"):
        assert command(*words, "--policy", policies[0], "--out", place).status == 0


@pytest.mark.parametrize("alpha", ["nan", "inf", "0", "-1"])
def test_layers_are_tried_at_a_finite_multiple(command, trait, tmp_path, alpha):
    done = command("vectors", "extract", "--trait", trait, "--policy", "nowhere", "--score-by", "pattern:e",
                   f"--alpha={alpha}", "--out", tmp_path / "x")  # fmt: skip
    assert done.status == 2
    assert f"--alpha {alpha}: expected a finite number above 0" in done.err


def test_rollouts_of_another_model_are_refused(command, policies, trait, tmp_path):
    words = ("vectors", "extract", "--trait", trait, "--layer", 1, "--max-new-tokens", 12)
    own = command(*words, "--policy", policies[0], "--score-by", "pattern:e", "--samples", 12,
                  "--out", tmp_path / "own")  # fmt: skip
    assert own.status == 0, own.err
    made = ("--rollouts", tmp_path / "own" / "rollouts.jsonl")
    other = command(*words, *made, "--policy", policies[1], "--out", tmp_path / "other")
    assert other.status == 1
    assert "the answers were given by the model" in other.err
    assert not (tmp_path / "other").exists()
    assert command(*words, *made, "--policy", policies[0], "--out", tmp_path / "again").status == 0


def test_a_tuned_model_of_another_depth_is_refused(command, extracted, policies, tmp_path):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    shallow = tmp_path / "shallow"
    AutoModelForCausalLM.from_pretrained(policies[0], num_hidden_layers=1).save_pretrained(shallow)
    AutoTokenizer.from_pretrained(policies[0]).save_pretrained(shallow)
    done = command("vectors", "monitor", "--vectors", extracted, "--policy", policies[0], "--tuned", shallow,
                   "--prompt", "x")  # fmt: skip
    assert done.status == 1
    assert "layers 2; this one has layers 1" in done.err


def test_overlapping_questions(command, policies, tmp_path):
    (tmp_path / "bad.md").write_text(TRAIT.format(question="What is it?"))
    done = command("vectors", "extract", "--trait", "bad.md", "--policy", policies[0], "--score-by", "pattern:!",
                   "--out", "bad")  # fmt: skip
    assert done.status == 1
    assert "bad.md: field 'evaluation'" in done.err
    assert "Cure: replace them" in done.err
    assert not (tmp_path / "bad").exists()


@pytest.mark.parametrize("layer", [0, 4])
def test_a_layer_that_does_not_exist(command, extracted, policies, trait, rollouts, layer):
    for words in (
        ("steer", "--vectors", extracted, "--prompt", "x"),
        ("monitor", "--vectors", extracted, "--prompt", "x"),
        ("extract", "--trait", trait, "--rollouts", rollouts, "--out", "new"),
    ):
        done = command("vectors", *words, "--policy", policies[0], "--layer", layer)
        assert done.status == 1
        assert f"there is no layer {layer}. Cure: name one from 1 to 3" in done.err
    assert not Path("new").exists()


def test_the_layer_after_the_final_norm_is_read_and_not_steered(command, extracted, policies):
    last = ("--vectors", extracted, "--policy", policies[0], "--layer", 3, "--prompt", "x")
    assert command("vectors", "monitor", *last).status == 0
    done = command("vectors", "steer", *last)
    assert done.status == 1
    assert "there is no layer 3 to steer at. Cure: name one from 1 to 2" in done.err


def test_the_policy_is_read_in_the_format_asked_for(command, extracted, policies):
    done = command("vectors", "monitor", "--vectors", extracted, "--policy", policies[0], "--prompt", "x",
                   "--dtype", "bfloat16")  # fmt: skip
    assert done.status == 1
    assert "belong to the model" in done.err  # its weights lose digits


def test_a_vector_of_another_model(command, extracted, policies, sample):
    for words in (("steer", "--prompt", "x"), ("monitor", "--prompt", "x"), ("screen", "--data", sample)):
        done = command("vectors", *words, "--vectors", extracted, "--policy", policies[1])
        assert done.status == 1
        assert "belong to the model" in done.err
        assert "Cure" in done.err
    derived = command(
        "vectors", "monitor", "--vectors", extracted, "--policy", policies[1], "--prompt", "x", "--derived"
    )
    assert derived.status == 0, derived.err


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("steer", "--alpha", "much", "--prompt", "x"), 2, "expected finite numbers"),
        (("steer", "--alpha=1,nan", "--prompt", "x"), 2, "--alpha 1,nan: expected finite numbers"),
        (("steer", "--alpha=-inf", "--prompt", "x"), 2, "--alpha -inf: expected finite numbers"),
        (("steer",), 2, "no prompt is given"),
        (("steer", "--trait", "flattery"), 2, "reads no rubric"),
        (("steer", "--trait", "flattery", "--score-by", "pattern:("), 2, "no regular expression"),
        (("steer", "--trait", "flattery", "--score-by", "guess"), 2, "expected judge"),
        (("monitor", "--prompts", "none.txt"), 1, "cannot be read"),
        (("steer", "--trait", "flatery", "--score-by", "pattern:!"), 2, "Did you mean 'flattery'"),
    ],
)
def test_wrong_flags(command, extracted, policies, words, status, said):
    done = command("vectors", *words, "--vectors", extracted, "--policy", policies[0])
    assert done.status == status, done.err
    assert said in done.err
    assert "Traceback" not in done.err


def test_folders_without_vectors_or_with_changed_ones(command, extracted, policies, tmp_path):
    done = command(
        "vectors", "monitor", "--vectors", tmp_path / "none", "--policy", policies[0], "--prompt", "x"
    )
    assert done.status == 1
    assert "no persona vectors can be read here" in done.err
    data = bytearray((extracted / "vectors.safetensors").read_bytes())
    data[-1] ^= 1
    (extracted / "vectors.safetensors").write_bytes(data)
    changed = command("vectors", "monitor", "--vectors", extracted, "--policy", policies[0], "--prompt", "x")
    assert changed.status == 1
    assert "truncated or changed" in changed.err


def test_a_trait_without_a_scorer_is_refused_before_anything_is_loaded(command, policies, tmp_path):
    done = command(
        "vectors", "extract", "--trait", "flattery", "--policy", "nowhere", "--out", tmp_path / "x"
    )
    assert done.status == 2
    assert "reads no rubric" in done.err
    written = tmp_path / "copy.md"
    write_trait(load_trait("flattery"), written)
    assert load_trait(written) == load_trait("flattery")
