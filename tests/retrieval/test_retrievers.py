"""Retrievers: equal to the libraries they stand for, total on every profile, deterministic."""

from __future__ import annotations

import builtins
import math
import random
import re

import numpy as np
import pytest
from rank_bm25 import BM25Okapi

from synthesizeme.errors import ConfigError, DataError, MissingExtraError, UnknownNameError, install_line
from synthesizeme.retrieval import (
    K1,
    B,
    Bm25,
    Dense,
    by_score,
    open_retriever,
    retriever_names,
    words,
)

WORDS = ["tax", "bill", "vote", "senate", "cat", "dog", "garden", "recipe", "goal", "match"]
ALL = ("none", "random", "recency", "bm25", "dense")


def letters(texts):
    """An encoder anybody can check: counts of letters."""
    return np.array([[text.lower().count(chr(97 + i)) for i in range(26)] for text in texts], dtype=float)


def opened(name):
    return open_retriever(name, seed=3, encode=letters)


def corpora(n, seed=0):
    rng = random.Random(seed)
    for _ in range(n):
        documents = [" ".join(rng.choices(WORDS, k=rng.randint(1, 8))) for _ in range(rng.randint(1, 9))]
        yield " ".join(rng.choices([*WORDS, "unseen"], k=rng.randint(0, 6))), documents


def test_retrievers_go_by_name():
    assert retriever_names() == sorted(ALL)
    with pytest.raises(UnknownNameError, match="Did you mean 'bm25'"):
        open_retriever("bm2")


@pytest.mark.parametrize("name", ALL)
def test_every_retriever_is_total_and_deterministic(name):
    for query, documents in corpora(40):
        found = opened(name).retrieve(query, documents, 4)
        assert found == opened(name).retrieve(query, documents, 4)
        whole = opened(name).retrieve(query, documents, 99)
        assert found == whole[:4]
        assert sorted(whole) == ([] if name == "none" else list(range(len(documents))))


@pytest.mark.parametrize("name", ALL)
def test_an_empty_profile_is_allowed_and_an_item_without_text_is_not(name):
    assert opened(name).retrieve("tax", [], 4) == []
    assert opened(name).retrieve("tax", ["a tax"], 0) == []
    with pytest.raises(DataError, match="item 1 of 3 in the profile has no text") as found:
        opened(name).retrieve("tax", ["a", " ", "b"], 1)
    assert found.value.field == "profile"
    with pytest.raises(ValueError, match="k is -1"):
        opened(name).retrieve("tax", ["a"], -1)


def test_okapi_is_rank_bm25_negative_idfs_included():
    negative = 0
    for query, documents in corpora(300, seed=1):
        theirs = BM25Okapi([words(text) for text in documents])
        assert np.array_equal(Bm25(idf="okapi").scores(query, documents), theirs.get_scores(words(query)))
        negative += any(theirs.idf.get(word, 0) < 0 for word in words(query))
    assert negative > 30


def test_lucene_is_the_formula_and_never_negative():
    for query, documents in corpora(100, seed=2):
        split = [words(text) for text in documents]
        mean = sum(map(len, split)) / len(split)
        expected = [
            sum(
                math.log(1 + (len(split) - n + 0.5) / (n + 0.5))
                * found.count(word) / (found.count(word) + K1 * (1 - B + B * len(found) / mean))
                for word in words(query)
                if (n := sum(word in other for other in split))
            )
            for found in split
        ]  # fmt: skip
        scores = Bm25().scores(query, documents)
        assert scores == pytest.approx(expected, rel=1e-5)
        assert min(scores) >= 0


def test_lucene_finds_what_okapi_cannot_on_a_profile_of_two():
    documents = ["the senate vote", "the garden dog"]
    assert Bm25().retrieve("senate", documents, 2) == [0, 1]
    assert not Bm25(idf="okapi").scores("senate", documents).any()
    with pytest.raises(ConfigError, match="'lucene' or 'okapi'"):
        Bm25(idf="robertson")


@pytest.mark.parametrize("name", ["bm25", "dense"])
def test_ties_go_to_the_newest(name):
    assert opened(name).retrieve("tax", ["tax bill", "dog", "tax bill", "tax bill"], 3) == [3, 2, 0]
    assert by_score([1.0, 2.0, 1.0, 2.0]) == [3, 1, 2, 0]


def test_punctuation_alone_is_no_error():
    assert Bm25().retrieve("?", ["!", "..."], 2) == [1, 0]
    assert Bm25(idf="okapi").retrieve("?", ["!", "..."], 2) == [1, 0]


def test_recency_is_newest_first_and_chance_is_neither():
    documents = [str(number) for number in range(30)]
    assert opened("recency").retrieve("x", documents, 3) == [29, 28, 27]
    draws = [open_retriever("random", seed=seed).retrieve("x", documents, 30) for seed in range(40)]
    assert len({tuple(draw) for draw in draws}) == 40
    first = [draw[0] for draw in draws]
    assert 8 < np.mean(first) < 21


def test_dense_is_cosine_and_checks_its_encoder():
    documents = ["aaa", "ab", "bbbb"]
    assert Dense(encode=letters).scores("a", documents) == pytest.approx([1, 0.5**0.5, 0], abs=1e-6)
    assert Dense(encode=lambda texts: np.zeros((len(texts), 2))).retrieve("a", documents, 3) == [2, 1, 0]
    for broken in (lambda texts: np.zeros(3), lambda texts: np.full((len(texts), 2), np.nan)):
        with pytest.raises(DataError, match="one finite vector for each"):
            Dense(encode=broken).retrieve("a", documents, 1)
    with pytest.raises(ConfigError, match="--encoder"):
        open_retriever("dense")


def test_a_missing_library_is_named_with_its_extra(monkeypatch):
    real = builtins.__import__

    def without(name, *rest, **more):
        if name == "bm25s":
            raise ImportError(name="bm25s")
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=re.escape(install_line("retrieval"))):
        open_retriever("bm25")
    assert Bm25(idf="okapi").retrieve("a b", ["a", "b", "c"], 1) == [1]
