"""The planted population is what it says: known tastes, visible in the texts, with known odds."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from synthesizeme import discovery
from synthesizeme.datasets.synthetic import (
    ATTRIBUTES,
    QUALITY,
    KnownValues,
    Population,
    load,
    planted_population,
)
from synthesizeme.errors import ConfigError
from synthesizeme.scoring import PairwiseScorer
from synthesizeme.types import ORDERS, Comparison, Failure, Verdict, preferred_side


@pytest.fixture(scope="module")
def population() -> Population:
    return planted_population(400, 10, seed=3)


def _accuracy(scorer: KnownValues, population: Population) -> float:
    """Both orders of every pair, ties count half."""
    points = []
    for order in ORDERS:
        for verdict in scorer.compare([pair.compare(order) for pair in population.pairs]):
            assert isinstance(verdict, Verdict)
            points.append(
                0.5 if verdict.preference == "tie" else float(verdict.preference == preferred_side(order))
            )
    return float(np.mean(points))


def test_same_seed_same_population() -> None:
    again = [planted_population(5, 6, seed=1, topic_taste=0.5, split=True) for _ in range(2)]
    assert again[0].pairs == again[1].pairs
    assert again[0].users == again[1].users
    other = planted_population(5, 6, seed=2, topic_taste=0.5)
    assert other.users != again[0].users
    assert {pair.chosen_text for pair in other.pairs}.isdisjoint(pair.chosen_text for pair in again[0].pairs)


def test_a_user_does_not_depend_on_the_others() -> None:
    small, large = planted_population(10, 4, seed=5), planted_population(40, 7, seed=5)
    for user_id, user in small.users.items():
        assert large.users[user_id] == user
        assert large.by_user[user_id][:4] == small.by_user[user_id]


def test_every_user_has_a_few_strong_tastes_and_words_for_them(population: Population) -> None:
    sizes = Counter(len(user.strong) for user in population.users.values())
    assert set(sizes) == {2, 3, 4}
    signs = [weight > 0 for user in population.users.values() for weight in user.strong.values()]
    assert abs(np.mean(signs) - 0.5) < 0.06
    user = next(iter(population.users.values()))
    name, weight = next(iter(user.strong.items()))
    assert abs(weight) == max(abs(other) for other in user.weights.values())
    assert user.tastes()[0] == (ATTRIBUTES[name].more if weight > 0 else ATTRIBUTES[name].less)


@pytest.mark.parametrize("attribute", ATTRIBUTES.values(), ids=lambda attribute: attribute.name)
def test_an_attributes_words_occur_in_its_phrases(attribute) -> None:
    for phrase in (attribute.more, attribute.less):
        assert any(word in phrase for word in attribute.words), phrase


def test_values_and_probabilities_follow_the_stated_formula() -> None:
    population = planted_population(6, 8, seed=4, noise=1.7, topic_taste=0.8, quality=1.5)
    for pair in population.pairs:
        user, known = population.users[pair.user_id], pair.metadata
        for side in ("chosen", "rejected"):
            levels = zip(ATTRIBUTES, known[f"{side}_levels"], strict=True)
            taste = sum(user.weight(name, known["kind"]) * level for name, level in levels)
            quality = QUALITY[known[f"{side}_defect"]]
            assert known[f"{side}_value"] == pytest.approx(taste + 1.5 * quality)
        odds = np.exp((known["chosen_value"] - known["rejected_value"]) / 1.7)
        assert known["probability"] == pytest.approx(odds / (1 + odds))


def test_oracle_is_right_as_often_as_it_claims(population: Population) -> None:
    expected, chances = (
        population.oracle_accuracy(),
        np.array([pair.metadata["probability"] for pair in population.pairs]),
    )
    standard_error = np.sqrt(np.sum(chances * (1 - chances))) / len(chances)
    assert abs(_accuracy(population.oracle(), population) - expected) < 3 * standard_error


def test_knowing_the_user_is_what_counts(population: Population) -> None:
    assert 0.84 < population.oracle_accuracy() < 0.90
    blind = _accuracy(population.user_blind(), population)
    assert 0.53 < blind < population.oracle_accuracy() - 0.2


def test_oracle_is_a_scorer_and_knows_only_its_population(population: Population) -> None:
    oracle = population.oracle()
    assert isinstance(oracle, PairwiseScorer)
    pair = population.pairs[0]
    shown = pair.compare("chosen_first")
    [verdict], [swapped] = oracle.compare([shown]), oracle.compare([shown.swapped()])
    assert isinstance(verdict, Verdict)
    assert isinstance(swapped, Verdict)
    assert verdict.probability == pytest.approx(pair.metadata["probability"])
    assert swapped.probability == pytest.approx(1 - verdict.probability)
    stranger = Comparison(pair_id="x", user_id="y", prompt=pair.prompt, first="a", second="b")
    [failure] = oracle.compare([stranger])
    assert isinstance(failure, Failure)
    assert failure.kind == "unknown_user"


def test_noise_changes_the_choices_and_nothing_else() -> None:
    quiet, loud = (planted_population(100, 10, seed=8, noise=noise) for noise in (0.2, 5.0))
    assert quiet.users == loud.users
    texts = [
        [{pair.chosen_text, pair.rejected_text} for pair in population.pairs] for population in (quiet, loud)
    ]
    assert texts[0] == texts[1]
    assert quiet.oracle_accuracy() > 0.95
    assert 0.5 < loud.oracle_accuracy() < 0.72


def test_topic_taste_makes_a_users_taste_differ_between_kinds() -> None:
    without, with_it = (planted_population(150, 10, seed=9, topic_taste=taste) for taste in (0.0, 1.0))
    assert not any(extra for user in without.users.values() for extra in user.kind_weights.values())
    for user_id, user in with_it.users.items():
        assert user.weights == without.users[user_id].weights
        assert all(len(extra) == 1 for extra in user.kind_weights.values())

    def general(population: Population) -> float:
        """Accuracy of one who knows the general weights and the quality, not the taste per kind."""
        right = []
        for pair in population.pairs:
            weights = np.array(list(population.users[pair.user_id].weights.values()))
            chosen, rejected = (
                weights @ pair.metadata[f"{side}_levels"] + 2 * pair.metadata[f"{side}_quality"]
                for side in ("chosen", "rejected")
            )
            right.append(chosen > rejected)
        return float(np.mean(right))

    assert general(without) == pytest.approx(_accuracy(without.oracle(), without))
    assert _accuracy(with_it.oracle(), with_it) - general(with_it) > 0.03


def test_splits_only_when_asked() -> None:
    assert {pair.split for pair in planted_population(2, 10, seed=0).pairs} == {None}
    splits = Counter(pair.split for pair in planted_population(2, 10, seed=0, split=True).pairs)
    assert splits == {"train": 12, "validation": 4, "test": 4}


def _count(pattern: str) -> Callable[[str], float]:
    return lambda text: len(re.findall(pattern, text, re.MULTILINE))


MEASURES: dict[str, Callable[[str], float]] = {
    "length": lambda text: len(text.split()),
    "bullets": _count(r"^- "),
    "numbered": _count(r"^\d+\. "),
    "formality": lambda text: (
        _count(r"Furthermore|Moreover|In addition,|Accordingly|Additionally")(text)
        - _count(r"Honestly,|Oh, and|So yeah|Basically,|Plus,")(text)
    ),
    "hedging": _count(
        r"may vary|probably|at least in most cases|seems to me|as far as I can tell|might not suit"
    ),
    "questions": _count(r"\?"),
    "examples": _count(r"[Ee]xample,|For instance,"),
    "warmth": _count(
        r"lovely thing|matters to you|trust me with|feel with you|How nice to hear"
        r"|rooting for you|gentle with yourself|all my heart|not alone with"
    ),
    "enthusiasm": lambda text: _count(r"!")(text) + _count(r"[🎉😊🙌✨👍]")(text),
    "figures": lambda text: _count(r"\d[\d,.]*")(re.sub(r"(?m)^\d+\. ", "", text)) / len(text.split()),
    "directness": lambda text: (
        _count(r"In short:|The answer is simple|Short answer:|Bottom line")(text)
        - _count(r"several sides|Before we come|people have answered|let us first look")(text)
    ),
    "disclaimers": _count(r"no professional advice|As an AI|consult a qualified|No guarantee"),
}


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_an_attribute_is_visible_in_the_text(population: Population, name: str) -> None:
    """The more of the attribute, the more of its marks, in almost all draws of a text of either level."""
    place = list(ATTRIBUTES).index(name)
    marks: dict[float, list[float]] = {}
    for pair in population.pairs:
        for side, text in (("chosen", pair.chosen_text), ("rejected", pair.rejected_text)):
            marks.setdefault(pair.metadata[f"{side}_levels"][place], []).append(MEASURES[name](text))
    assert set(marks) == {level / 2 for level in ATTRIBUTES[name].levels}

    def wins(higher: float, lower: float) -> float:
        high, low = np.array(marks[higher])[:, None], np.array(marks[lower])[None, :]
        return float(np.mean(high > low) + 0.5 * np.mean(high == low))

    levels = sorted(marks)
    assert wins(levels[-1], levels[0]) > 0.95
    for lower, higher in pairwise(levels):
        assert wins(higher, lower) > 0.75, f"level {higher} over level {lower}: {wins(higher, lower):.2f}"


def test_a_defect_is_visible_in_the_text(population: Population) -> None:
    seen: Counter[str] = Counter()
    for pair in population.pairs:
        for side, text in (("chosen", pair.chosen_text), ("rejected", pair.rejected_text)):
            defect = pair.metadata[f"{side}_defect"]
            seen[defect] += 1
            assert (text[-1] not in ".?!🎉😊🙌✨👍") == (defect == "cut off"), text
            plain = re.sub(r"(?m)^(-|\d+\.) ", "", text)
            sentences = Counter(re.findall(r"[^\s][^\n]{20,}?[.!](?=\s|$)", plain))
            assert (max(sentences.values()) > 1) == (defect == "repeats"), text
            apology = re.match(r"I am sorry, but|Unfortunately I am unable|I cannot say anything", text)
            assert bool(apology) == (defect == "off topic"), text
    assert set(seen) == set(QUALITY)
    assert 0.6 < seen["none"] / seen.total() < 0.68


def test_texts_vary_and_read_as_sentences(population: Population) -> None:
    texts = [text for pair in population.pairs for text in (pair.chosen_text, pair.rejected_text)]
    assert len(set(texts)) > 0.995 * len(texts)
    assert not [text for text in texts if re.search(r"[{}|]|\.\.|\s,|  ", text)]


def test_weights_come_back_from_the_choices() -> None:
    population = planted_population(12, 300, seed=6)
    correlations = []
    for user_id, pairs in population.by_user.items():
        levels = [
            np.array(
                [pair.metadata[f"{side}_levels"] + (pair.metadata[f"{side}_quality"],) for pair in pairs]
            )
            for side in ("chosen", "rejected")
        ]
        gains = levels[0] - levels[1]
        signs = np.where(np.arange(len(gains)) % 2 == 0, 1, -1)
        model = LogisticRegression(C=1.0, fit_intercept=False).fit(gains * signs[:, None], signs > 0)
        planted = list(population.users[user_id].weights.values())
        correlations.append(np.corrcoef(model.coef_[0][:-1], planted)[0, 1])
        assert model.coef_[0][-1] > 0, "everybody prefers quality"
    assert min(correlations) > 0.9


def test_it_is_registered_and_loads_by_its_options() -> None:
    assert "synthetic" in discovery.names("synthesizeme.datasets")
    assert load(n_users=3, pairs_per_user=2, seed=7) == planted_population(3, 2, seed=7).pairs


def test_all_wrong_settings_are_named_together() -> None:
    with pytest.raises(ConfigError) as caught:
        planted_population(0, 0, noise=0, topic_taste=2, quality=-1)
    assert len(caught.value.problems) == 5
    assert "noise is 0; expected more than 0" in str(caught.value)
