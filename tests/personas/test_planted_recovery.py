"""Users whose tastes are known: are they found again, and does that help to predict them?

The model is the builtin reader. It sees the prompts only; the planted weights are looked at here alone.
"""

from __future__ import annotations

from random import Random

import pytest

from synthesizeme.backends import Session, open_model
from synthesizeme.datasets.synthetic import ATTRIBUTES, planted_population
from synthesizeme.evaluation.controls import another_users, swapped
from synthesizeme.evaluation.harness import evaluate
from synthesizeme.judges import LLMJudge
from synthesizeme.personas import SynthesizeMe
from synthesizeme.stylometry import FEATURE

USERS, PAIRS_EACH = 40, 40

FEATURES_OF = {
    "length": ("length",), "bullets": ("bullets",), "numbered": ("numbered",), "formality": ("formality",),
    "hedging": ("hedging",), "questions": ("questions",), "examples": ("examples",), "warmth": ("warmth",),
    "enthusiasm": ("exclamations", "emoji"), "figures": ("numbers",), "disclaimers": ("disclaimers",),
    "directness": (),
}  # fmt: skip
"""Named features that speak of a planted attribute; none of them speaks of directness."""


@pytest.fixture(scope="module")
def population():
    return planted_population(USERS, PAIRS_EACH, seed=7, split=True)


@pytest.fixture(scope="module")
def session():
    with Session(open_model("builtin")) as opened:
        yield opened


@pytest.fixture(scope="module")
def profiles(population, session):
    return {user: SynthesizeMe(session).fit(pairs) for user, pairs in population.by_user.items()}


@pytest.fixture(scope="module")
def swapped_profiles(population, session):
    def fit(pairs):
        kept = [pair for pair in pairs if pair.split != "test"]
        return SynthesizeMe(session).fit(swapped(kept))

    return {user: fit(pairs) for user, pairs in population.by_user.items()}


@pytest.fixture(scope="module")
def accuracy(population, session):
    test = [pair for pair in population.pairs if pair.split == "test"]
    ledger = session.ledger()

    def measure(profiles):
        outcome = evaluate(LLMJudge(ledger, profiles), test)
        assert not outcome.failures
        return outcome.micro

    return measure


def text_of(profile):
    return profile.persona.text if profile.persona else ""


def stated(text, name):
    """+1 if the text says the user prefers more of a feature, -1 for less, 0 for neither."""
    feature = FEATURE[name]
    return (f"prefers {feature.more}." in text) - (f"prefers {feature.less}." in text)


def named(population, profiles, *, turned=False):
    """Share of the planted strong preferences that the persona states, in the right direction or turned."""
    hits = [
        any(
            stated(text_of(profiles[user]), name) == (-1 if turned else 1) * (1 if weight > 0 else -1)
            for name in FEATURES_OF[attribute]
        )
        for user, planted in population.users.items()
        for attribute, weight in planted.strong.items()
    ]
    return sum(hits) / len(hits)


def test_the_persona_names_the_planted_preferences_far_more_often_than_another_users(population, profiles):
    own, other = named(population, profiles), named(population, another_users(profiles))
    figure = (
        f"{own:.3f} of the planted preferences are named by the own persona, {other:.3f} by another user's"
    )
    assert own > 4 * other, figure
    assert own > 0.3, figure


def test_most_users_with_a_taste_are_seen_to_have_one_and_most_coins_are_not(population, profiles, session):
    seen = sum(profile.persona is not None for profile in profiles.values())
    assert seen > 0.6 * USERS
    rng = Random(4)
    tossed = {
        user: SynthesizeMe(session).fit(
            [pair if rng.random() < 0.5 else pair.swapped_labels() for pair in pairs[:24]]
        )
        for user, pairs in population.by_user.items()
    }
    silent = sum(profile.persona is None for profile in tossed.values())
    assert silent > 0.75 * USERS, silent
    told = [" ".join(it.provenance.notes) for it in tossed.values() if it.persona is None]
    assert all("nothing yet" in note or "tried; none explains" in note for note in told)


def test_a_planted_preference_is_seldom_stated_the_wrong_way_round(population, profiles, swapped_profiles):
    right, wrong = named(population, profiles), named(population, profiles, turned=True)
    assert wrong < 0.02, f"{wrong:.3f} turned round, {right:.3f} right"
    assert named(population, swapped_profiles, turned=True) > 0.3
    assert named(population, swapped_profiles) < 0.05


def test_pairs_in_which_a_sentence_held_are_those_in_which_the_user_chose_what_it_says(population, profiles):
    """In them the chosen response has more of the stated attribute far more often than less."""
    order = list(ATTRIBUTES)
    more = less = 0
    for user, profile in profiles.items():
        pairs = {pair.pair_id: pair.metadata for pair in population.by_user[user]}
        for sentence in profile.persona.sentences if profile.persona else ():
            assert set(sentence.pair_ids) <= set(pairs)
            for place, attribute in enumerate(order):
                for name in FEATURES_OF[attribute]:
                    sign = stated(sentence.text, name)
                    for pair_id in sentence.pair_ids if sign else ():
                        levels = (pairs[pair_id][f"{side}_levels"][place] for side in ("chosen", "rejected"))
                        chosen, rejected = levels
                        more += sign * (chosen - rejected) > 0
                        less += sign * (chosen - rejected) < 0
    assert more + less > 130
    assert more > 5 * less, f"{more} cited pairs support their sentence, {less} contradict it"


def test_a_profile_predicts_its_user_better_than_none_and_another_users_does_not(
    population, profiles, swapped_profiles, accuracy
):
    scores = {
        "default": accuracy(None),
        "profile": accuracy(profiles),
        "persona": accuracy({user: p.without(demonstrations=True) for user, p in profiles.items()}),
        "another's": accuracy(another_users(profiles)),
        "swapped": accuracy(swapped_profiles),
    }
    assert scores["profile"] > scores["default"] + 0.04, scores
    assert scores["persona"] > scores["default"] + 0.02, scores
    assert scores["another's"] < scores["default"] + 0.02, scores
    assert scores["swapped"] < scores["default"] - 0.08, scores
    assert scores["profile"] < population.oracle_accuracy() + 0.03, scores


def test_the_profiles_are_within_their_calls_and_say_what_read_them(profiles):
    for profile in profiles.values():
        provenance = profile.provenance
        n_pairs = sum(split != "test" for split in provenance.splits.values())
        assert provenance.usage.distinct_calls <= 6 * 10 + 4 * 10 + 3 * (n_pairs - 20)
        assert "rule-based reader, not a language model" in provenance.model_kind
