"""LaMP's metrics, equal to scikit-learn and rouge-score on random and invalid answers."""

from __future__ import annotations

import random

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

from synthesizeme.lamp.metrics import (
    as_score,
    macro_f1,
    metrics_of,
    rouge_1,
    rouge_l,
)

TAGS = ("comedy", "action", "classic", "fantasy", "true story")
SCORES = ("1", "2", "3", "4", "5")
INVALID = ("", "none", "Comedy", "comedy action", "7", "nan", "inf", "-1", "3 stars")
WORDS = st.lists(st.sampled_from(["the", "The", "sea", "old-pier", "2nd", "café", "!", "a"]), max_size=12)
THEIRS = RougeScorer(["rouge1", "rougeL"], use_stemmer=False)


def draws(labels, n=200, seed=0):
    rng = random.Random(seed)
    for _ in range(n):
        size = rng.randint(1, 12)
        yield rng.choices(labels, k=size), rng.choices([*labels, *INVALID], k=size)


def test_accuracy_and_macro_f1_are_those_of_scikit_learn():
    for golds, answers in draws(TAGS, 40):
        found = metrics_of("label", golds, answers, golds, TAGS)
        theirs = sklearn.metrics.accuracy_score(golds, answers)
        assert found["accuracy"].value == pytest.approx(theirs)
        theirs = sklearn.metrics.f1_score(
            golds, answers, labels=list(TAGS), average="macro", zero_division=0.0
        )
        assert found["macro-F1"].value == pytest.approx(theirs)


def test_an_unknown_answer_costs_recall_and_not_precision():
    golds = ["comedy", "comedy", "action"]
    assert macro_f1(golds, ["comedy", "who knows", "action"], ("comedy", "action")) == pytest.approx(
        (2 / 3 + 1) / 2
    )
    assert macro_f1(golds, ["comedy", "action", "action"], ("comedy", "action")) == pytest.approx(
        (2 / 3 + 2 / 3) / 2
    )


def repaired(gold, answer):
    """The rule by hand: what is no score of the scale is the end that is farther from the gold."""
    if answer in SCORES:
        return float(answer)
    return 1.0 if int(gold) > 3 else 5.0


def test_mae_and_rmse_are_those_of_scikit_learn_with_the_rule_for_what_is_no_score():
    for golds, answers in draws(SCORES):
        if "3" in golds and any(answer in INVALID for answer in answers):
            continue  # both ends are equally far from 3: tested below
        target, said = [float(it) for it in golds], list(map(repaired, golds, answers))
        assert [as_score(g, a, SCORES) for g, a in zip(golds, answers, strict=True)] == said
        found = metrics_of("score", golds, answers, golds, SCORES)
        assert found["MAE"].value == pytest.approx(sklearn.metrics.mean_absolute_error(target, said))
        assert found["RMSE"].value == pytest.approx(sklearn.metrics.root_mean_squared_error(target, said))
    assert abs(as_score("3", "?", SCORES) - 3) == 2
    assert as_score("2", "4.0", SCORES) == 4


@given(WORDS, WORDS)
def test_rouge_is_that_of_rouge_score(target, prediction):
    ours, said = " ".join(target), " ".join(prediction)
    theirs = THEIRS.score(ours, said)
    assert rouge_1(ours, said) == pytest.approx(theirs["rouge1"].fmeasure)
    assert rouge_l(ours, said) == pytest.approx(theirs["rougeL"].fmeasure)


@given(st.text(max_size=40), st.text(max_size=40))
def test_rouge_is_that_of_rouge_score_on_any_text(target, prediction):
    theirs = THEIRS.score(target, prediction)
    assert rouge_1(target, prediction) == pytest.approx(theirs["rouge1"].fmeasure)
    assert rouge_l(target, prediction) == pytest.approx(theirs["rougeL"].fmeasure)


def test_rouge_by_hand():
    assert rouge_1("the old sea", "sea the") == pytest.approx(2 * 1 * (2 / 3) / (1 + 2 / 3))
    assert rouge_l("the old sea", "sea the") == pytest.approx(2 * 0.5 * (1 / 3) / (0.5 + 1 / 3))


@pytest.mark.parametrize(
    ("kind", "labels", "names"),
    [
        ("reference", ("[1]", "[2]"), ["accuracy", "macro-F1"]),
        ("label", TAGS, ["accuracy", "macro-F1"]),
        ("score", SCORES, ["MAE", "RMSE"]),
        ("text", (), ["ROUGE-1", "ROUGE-L"]),
    ],
)
def test_every_task_has_its_metrics_with_an_interval_over_users(kind, labels, names):
    rng = random.Random(1)
    golds = rng.choices(labels or ("a b c", "c d", "b c d e"), k=60)
    answers = [gold if rng.random() < 0.6 else rng.choice([*golds, "none"]) for gold in golds]
    found = metrics_of(kind, golds, answers, [str(i // 3) for i in range(60)], labels)
    assert list(found) == names
    for it in found.values():
        assert it.low < it.value < it.high
        assert it.better == ("lower" if kind == "score" else "higher")
    perfect = metrics_of(kind, golds, golds, [str(i) for i in range(60)], labels)
    assert all(it.value == (0.0 if kind == "score" else 1.0) for it in perfect.values())


def test_the_interval_is_wider_where_a_users_questions_agree():
    golds, answers = ["1"] * 60, ["1", "2"] * 30
    apart = metrics_of("label", golds, answers, [str(i) for i in range(60)], SCORES)
    together = metrics_of("label", golds, answers, [str(i % 10) for i in range(60)], SCORES)
    widths = [np.subtract(it["accuracy"].high, it["accuracy"].low) for it in (apart, together)]
    assert widths[1] > 1.5 * widths[0]
