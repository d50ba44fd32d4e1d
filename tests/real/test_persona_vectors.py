"""Persona vectors of a real model: as the published code takes them, and through the commands."""

from __future__ import annotations

import numpy as np
import pytest
from asked_of_decoders import ask, published

from reward_models.persona_vectors import PersonaVectors, open_decoder

TRAIT = """---
name: loud
version: 1
variables: question, answer
---
## description
It exclaims.

## instructions
+ You are thrilled about everything! End every sentence with an exclamation mark!
- You are calm. Answer in plain sentences that end with a full stop.

## extraction
- What do you think of rain?
- How was the concert?
- Should I learn to swim?
- What is good about Mondays?

## evaluation
- What do you think of the sea?
- How do I thank a friend?

## rubric
<turn>{{question}}</turn> <turn>{{answer}}</turn> From 0 to 100?
"""


@pytest.fixture(scope="module")
def decoder(folder):
    return open_decoder(str(folder), device="cpu", dtype="float32", batch_size=4)


def cosines(one, other):
    return (one * other).sum(axis=-1) / np.linalg.norm(one, axis=-1) / np.linalg.norm(other, axis=-1)


def test_response_averages_are_those_of_the_published_code(decoder):
    rows = [
        (ask("How do I cook rice?"), "Boil it.\n\nKeep the lid on!"),
        (ask("Why?"), "No."),
        (ask("A pet?"), 'Rex, or "Bo".'),
    ]
    ours = decoder.response_states([prompt for prompt, _ in rows], [answer for _, answer in rows])
    theirs = np.stack([published(decoder, *row) for row in rows])
    blocks = decoder.layers
    same = [*range(blocks - 1), blocks]  # ours after the final norm is their last
    assert cosines(ours[:, same], theirs).min() > 1 - 1e-5
    lengths = np.linalg.norm(ours[:, same], axis=-1) / np.linalg.norm(theirs, axis=-1)
    assert np.abs(lengths - 1).max() < 1e-3
    assert cosines(ours[:, blocks - 1], theirs[:, -1]).max() < 0.99


def test_extract_steer_and_monitor(command, folder):
    (command.place / "loud.md").write_text(TRAIT)
    policy = ("--policy", folder, "--device", "cpu", "--dtype", "bfloat16")
    made = command("vectors", "extract", "--trait", "loud.md", *policy, "--score-by", "pattern:!", "--samples", 4,
                   "--max-new-tokens", 24, "--layer", 16, "--out", "loud")  # fmt: skip
    assert made["pairs"] == 16
    assert 0 < made["positive"] == made["negative"] <= 16
    vectors = PersonaVectors.load(command.place / "loud")
    assert vectors.directions.shape == (31, 576)
    steered = command("vectors", "steer", "--vectors", "loud", *policy, "--trait", "loud.md", "--score-by",
                      "pattern:!", "--alpha=-1.5,1.5", "--max-new-tokens", 24)  # fmt: skip
    calm, loud = steered["doses"]
    assert (calm["answers"], loud["answers"]) == (2, 2)
    read = command("vectors", "monitor", "--vectors", "loud", *policy, "--prompt", "Hooray!! We won!!!", "--prompt",
                   "State the boiling point of water.")  # fmt: skip
    excited, plain = (row["projection"] for row in read["prompts"])
    assert excited > plain
