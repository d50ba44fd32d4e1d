"""Hashed n-grams: that they say what the exact ones say, and survive any text."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from itertools import combinations

import numpy as np
import pytest

from reward_models._sketches import DIM, wording

TEXTS = [
    "The ship sails at dawn, whatever the harbour master says.",
    "The ship sails at dusk, whatever the harbour master says.",
    "Try to whisk three eggs with sugar until they turn pale.",
    "THE SHIP SAILS AT DAWN, WHATEVER THE HARBOUR MASTER SAYS.",
    "1. Buy rope.\n2. Buy tar.\n3. Buy rope again.",
    "Use `os.walk(path)` and skip the folders you have no right to read.",
]
AWKWARD = [
    "",
    " ",
    "\x00",
    "a",
    "他们在喝茶。",
    "😀 \U0001f469\u200d\U0001f467",
    "\ud800 alone",
    "\udfff\ud800",
]
AWKWARD += ["\u00e9", "e\u0301", "x" * 200_000]


def exact(text):
    """All byte 3- and 4-grams of the padded text, weighted 1 + log(count), of length one."""
    data = f" {text}    ".encode("utf-8", "surrogatepass")
    counts = Counter(data[i : i + n] for n in (3, 4) for i in range(len(data) - n + 1))
    norm = np.sqrt(sum((1 + np.log(c)) ** 2 for c in counts.values()))
    return {gram: (1 + np.log(c)) / norm for gram, c in counts.items()}


def test_inner_products_are_those_of_the_exact_grams_up_to_collisions():
    """Signed hashing leaves them unbiased, with an error of about one over the root of the dimension."""
    rows, grams = wording(TEXTS).astype(np.float64), [exact(text) for text in TEXTS]
    misses = []
    for i, j in combinations(range(len(TEXTS)), 2):
        misses.append(rows[i] @ rows[j] - sum(grams[i][g] * grams[j].get(g, 0) for g in grams[i]))
    assert np.sqrt(np.mean(np.square(misses))) < 1.5 / np.sqrt(DIM)
    assert np.abs(misses).max() < 4 / np.sqrt(DIM)


def test_what_is_worded_alike_is_near():
    rows = wording(TEXTS)
    assert rows[0] @ rows[1] > 0.8
    for other in (2, 4, 5):
        assert abs(rows[0] @ rows[other]) < 0.2
    assert rows[0] @ rows[3] < 0.3, "capitals are wording too"


def test_every_row_has_length_one_whatever_the_text():
    texts = TEXTS + AWKWARD
    rows = wording(texts)
    assert rows.shape == (len(texts), DIM)
    assert rows.dtype == np.float32
    assert np.linalg.norm(rows, axis=1) == pytest.approx(np.ones(len(texts)), abs=1e-6)
    assert wording([]).shape == (0, DIM)


def test_a_row_is_the_same_in_any_company():
    texts = TEXTS + AWKWARD
    together = wording(texts)
    assert np.concatenate([wording([text]) for text in texts]).tobytes() == together.tobytes()
    assert wording(texts[::-1])[::-1].tobytes() == together.tobytes()


def test_different_texts_have_different_rows():
    texts = [*TEXTS, *(text for text in AWKWARD if text.strip())]
    rows = wording(texts)
    for i, j in combinations(range(len(texts)), 2):
        assert np.abs(rows[i] - rows[j]).max() > 1e-3, (texts[i][:20], texts[j][:20])


def test_order_of_the_words_matters_and_repetition_counts_less_each_time():
    forth, back = wording(["rope tar sail mast", "mast sail tar rope"])
    assert 0.2 < forth @ back < 0.9
    said = wording(["tar " * n + "mast" for n in (1, 2, 20, 21)])
    assert said[2] @ said[3] > said[0] @ said[1]


def test_values_never_change_or_old_checkpoints_would_read_another_text():
    """ " no    " has seven grams once and three spaces twice: 1 and 1 + ln 2, of length one."""
    row = wording(["no"])[0]
    norm = np.sqrt(7 + (1 + np.log(2)) ** 2)
    once, twice = 1 / norm, (1 + np.log(2)) / norm
    expected = {6: once, 173: -twice, 180: once, 307: -once, 325: once, 1020: once, 1242: once, 1509: -once}
    assert {int(i): float(row[i]) for i in np.flatnonzero(row)} == pytest.approx(expected)


def test_values_are_the_same_in_every_process():
    code = "from reward_models._sketches import wording; print(wording(['Aye, sailor!']).tobytes().hex(), end='')"
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            check=True,
            capture_output=True,
            text=True,
            env=os.environ | {"PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }
    assert found == {wording(["Aye, sailor!"]).tobytes().hex()}
