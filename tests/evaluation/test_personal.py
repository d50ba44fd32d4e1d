"""What a scorer knows of the user, taken away piece by piece, on a population where every effect is known."""

from __future__ import annotations

import numpy as np
import opposites
import pytest

from reward_models import method
from synthesizeme.evaluation.measurement import AT_RANDOM, OWN, joined
from synthesizeme.evaluation.personal import (
    DRAWS,
    ONE_USER,
    curve_lengths,
    drawn,
    halves,
    measure_curve,
    measure_fold,
)
from synthesizeme.feedback import UserWords
from synthesizeme.types import Verdict

METHODS = {
    "hierarchical-stylometric": {},
    "lore": {"features": "stylometric", "rank": 3, "epochs": 20},
}


@pytest.fixture(params=METHODS)
def make(request):
    """Makes a real reward model."""
    return lambda: method(request.param)(**METHODS[request.param])


class KnowsNobody:
    """Prefers the response that comes first in the alphabet, whoever asks; keeps an empty state of each user."""

    name = "nobody"
    order_sensitive = False
    parameters = 0

    def __init__(self):
        self.users_ = {}
        self.fits = []

    def fit(self, pairs, words):
        self.fits.append(list(pairs))
        self.users_ = {pair.user_id: {} for pair in pairs}

    def fit_users(self, histories, words):
        raise AssertionError("nobody's state is of any use")

    def compare(self, comparisons):
        return [
            Verdict(preference="first" if c.first < c.second else "second", probability=0.5)
            for c in comparisons
        ]


def accuracies(part):
    return {name: outcome.micro for name, outcome in part.outcomes.items()}


def arrays(model):
    return {name: array.tobytes() for name, array in model._arrays().items()}


def test_the_controls_take_the_user_away_and_turn_the_user_round(make):
    whole = opposites.benchmark()
    found = accuracies(measure_fold(make(), whole, whole.folds[0]))
    assert found[OWN] == 1.0
    assert found["no_user"] == 5 / 8  # the majority's taste
    assert found["wrong_user"] < found["no_user"]
    assert found["swapped_labels"] == 0.0


def test_shared_weights_and_own_users_are_bit_identical_afterwards(make):
    whole = opposites.benchmark()
    (fold,) = whole.folds
    untouched, measured = make(), make()
    untouched.fit(fold.history)
    part = measure_fold(measured, whole, fold)
    assert arrays(measured) == arrays(untouched)
    assert list(measured.users_) == list(untouched.users_)
    for user, state in untouched.users_.items():
        for name, array in state.items():
            assert np.array_equal(measured.users_[user][name], array)
    assert whole.ask(measured, fold.test) == part.outcomes[OWN]
    assert part.parameters == untouched.parameters


def test_time_is_measured_and_pairs_are_asked_in_the_rules_of_the_benchmark():
    whole = opposites.benchmark(both_orders=True, ties="wrong")
    part = measure_fold(method("hierarchical-stylometric")(), whole, whole.folds[0])
    assert part.fit_seconds > 0
    assert part.score_seconds > 0
    for outcome in part.outcomes.values():
        assert {len(pair.results) for pair in outcome.pairs} == {2}
        assert {pair.ties_count for pair in outcome.pairs} == {"wrong"}


def test_the_wrong_user_is_another_one_and_has_no_say_about_the_others_states():
    whole = opposites.benchmark(opposites.population(1, 1))
    found = accuracies(measure_fold(method("hierarchical-stylometric")(), whole, whole.folds[0]))
    assert found == {OWN: 1.0, "no_user": pytest.approx(0.5), "wrong_user": 0.0, "swapped_labels": 0.0}


def test_a_method_that_knows_nobody_has_no_controls_and_is_fitted_once():
    whole = opposites.benchmark()
    model = KnowsNobody()
    part = measure_fold(model, whole, whole.folds[0])
    assert list(part.outcomes) == [OWN]
    assert model.fits == [list(whole.folds[0].history)]
    assert not any(pair.split == "test" for pair in model.fits[0])


def test_one_user_has_no_wrong_user_and_that_is_said():
    whole = opposites.benchmark(opposites.population(1, 0))
    part = measure_fold(method("hierarchical-stylometric")(), whole, whole.folds[0])
    assert set(part.outcomes) == {OWN, "no_user", "swapped_labels"}
    assert part.notes == (ONE_USER,)


@pytest.mark.parametrize(
    ("histories", "expected"),
    [
        ([20, 18, 3], (0, 1, 2, 4, 8, 16)),
        ([20, 9, 3], (0, 1, 2, 4, 8)),
        ([20, 1], (0, 1)),
        ([20], ()),
        ([20, 0], ()),
    ],
)
def test_the_curve_reaches_as_far_as_two_histories_do(histories, expected):
    pairs = [
        pair
        for user, length in enumerate(histories)
        for pair in (
            opposites.judged(f"u{user}", number, calm=True, split="test" if number >= length else "train")
            for number in range(length + 2)
        )
    ]
    assert curve_lengths(opposites.benchmark(pairs).folds[0]) == expected


def test_halves_learn_from_each_other_only():
    (fold,) = opposites.benchmark().folds
    first, second = halves(fold)
    asked = [{pair.user_id for pair in half.test} for half in (first, second)]
    learned = [{pair.user_id for pair in half.history} for half in (first, second)]
    assert asked == [learned[1], learned[0]]
    assert asked[0].isdisjoint(asked[1])
    assert len(asked[0]) == len(asked[1]) == 4
    assert not any(pair.split == "test" for half in (first, second) for pair in half.history)


def test_users_with_a_short_history_teach_but_are_not_on_the_curve():
    short = [opposites.judged("short", n, calm=True, split="test" if n > 3 else "train") for n in range(6)]
    (fold,) = opposites.benchmark([*opposites.population(), *short]).folds
    both = halves(fold)
    assert not any(pair.user_id == "short" for half in both for pair in half.test)
    assert any(pair.user_id == "short" for half in both for pair in half.history)


def test_new_users_bring_their_first_pairs():
    whole = opposites.benchmark()
    (fold,) = whole.folds
    lengths = curve_lengths(fold)
    parts = [
        measure_curve(method("hierarchical-stylometric")(), whole, half, fold.histories, lengths)
        for half in halves(fold)
    ]
    whole_curve = joined("x", "reward model", [measure_fold(KnowsNobody(), whole, fold)], halves=parts)
    assert list(whole_curve.curves) == ["random", "file order"]
    for found in whole_curve.curves.values():
        assert list(found) == [0, 1, 2, 4, 8, 16]
    curve = {length: outcome.micro for length, outcome in whole_curve.cold_start.items()}
    assert curve[16] == 1.0
    assert curve[0] <= 5 / 8
    by_hand = method("hierarchical-stylometric")().fit(halves(fold)[0].history)
    by_hand.fit_users({user: pairs[:2] for user, pairs in fold.histories.items()})
    assert parts[0].outcomes["2"] == whole.ask(by_hand, halves(fold)[0].test)
    assert all(outcome.n_users == 8 for outcome in whole_curve.cold_start.values())


def test_folds_are_pooled_and_a_control_that_one_lacks_is_left_out():
    whole = opposites.benchmark()
    (fold,) = whole.folds
    calm = fold.model_copy(update={"test": tuple(p for p in fold.test if p.user_id == "c0")})
    others = fold.model_copy(update={"test": tuple(p for p in fold.test if p.user_id != "c0")})
    parts = [measure_fold(method("hierarchical-stylometric")(), whole, it) for it in (calm, others)]
    found = joined("m", "reward model", parts)
    assert set(found.controls) == {"no_user", "swapped_labels"}
    assert found.own.n_pairs == len(fold.test)
    assert found.notes == (ONE_USER,)
    assert found.fit_seconds == parts[0].fit_seconds + parts[1].fit_seconds
    assert found.parameters == max(part.parameters for part in parts)
    assert type(found).model_validate_json(found.model_dump_json()) == found


def test_random_pairs_are_drawn_several_times_and_averaged_pair_by_pair():
    whole = opposites.benchmark()
    (fold,) = whole.folds
    half = halves(fold)[0]
    part = measure_curve(method("hierarchical-stylometric")(), whole, half, fold.histories, (0, 4), seed=3)
    assert list(part.outcomes) == ["0", "4", f"{AT_RANDOM}4"]
    asked = part.outcomes[f"{AT_RANDOM}4"].pairs
    assert {len(pair.results) for pair in asked} == {DRAWS}
    by_hand = method("hierarchical-stylometric")().fit(half.history)
    user = half.test[0].user_id
    histories = [drawn(fold.histories[user], 4, f"3\0{draw}\0{user}") for draw in range(DRAWS)]
    assert len({tuple(pair.pair_id for pair in pairs) for pairs in histories}) > 1
    for draw, pairs in enumerate(histories):
        by_hand.fit_users({user: pairs})
        mine = [pair for pair in half.test if pair.user_id == user]
        assert [pair.results[0] for pair in whole.ask(by_hand, mine, seed=3).pairs] == [
            pair.results[draw] for pair in asked if pair.user_id == user
        ]


def test_drawn_pairs_keep_their_order_and_those_of_a_shorter_history_are_among_them():
    pairs = opposites.population(1, 0)
    few, more = drawn(pairs, 3, "s"), drawn(pairs, 8, "s")
    assert len(few) == 3
    assert more == [pair for pair in pairs if pair in more]
    assert set(pair.pair_id for pair in few) < set(pair.pair_id for pair in more)
    assert drawn(pairs, 99, "s") == pairs


def test_a_length_that_few_have_is_asked_of_those_alone():
    long = [opposites.judged(f"long{i}", n, calm=True, split="test" if n > 33 else "train")
            for i in range(4) for n in range(36)]  # fmt: skip
    whole = opposites.benchmark([*opposites.population(), *long])
    (fold,) = whole.folds
    lengths = curve_lengths(fold)
    assert lengths[-1] == 32
    part = joined("m", "reward model", [measure_fold(KnowsNobody(), whole, fold)], halves=[
        measure_curve(method("hierarchical-stylometric")(), whole, half, fold.histories, lengths)
        for half in halves(fold)
    ])  # fmt: skip
    for curve in part.curves.values():
        assert {length: outcome.n_users for length, outcome in curve.items()} == {
            **dict.fromkeys((0, 1, 2, 4, 8, 16), 12), 32: 4,
        }  # fmt: skip


class Listens(KnowsNobody):
    """Remembers whose pairs and words it was told, and keeps a state of everybody."""

    def fit(self, pairs, words):
        self.told = [("fit", sorted({pair.user_id for pair in pairs}), dict(words))]
        self.users_ = {pair.user_id: {"state": 1} for pair in pairs}

    def fit_users(self, histories, words):
        self.told.append(
            ({user: [pair.pair_id for pair in pairs] for user, pairs in histories.items()}, dict(words))
        )


def test_words_go_with_the_user_and_are_lent_with_the_history():
    words = {user: UserWords(user_id=user, about=f"I am {user}.") for user in ("c0", "l0", "silent")}
    whole = opposites.benchmark(opposites.population(2, 1), words=words)
    model = Listens()
    measure_fold(model, whole, whole.folds[0])
    (_, _, learned), (nobody, none), (lent, theirs), (swapped_, own) = model.told
    assert learned == own == {user: words[user] for user in ("c0", "l0")}
    assert none == {}
    assert set(map(tuple, nobody.values())) == {()}
    for user, pair_ids in lent.items():
        lender = pair_ids[0].partition("-")[0]
        assert lender != user
        if lender in words:
            assert theirs[user] == words[lender].lent_to(user)
        else:
            assert user not in theirs
    assert set(swapped_) == {"c0", "c1", "l0"}


def test_new_users_bring_their_words_and_the_others_are_learned_from():
    words = {f"{kind}{i}": UserWords(user_id=f"{kind}{i}", about="Hello.") for kind in "cl" for i in range(3)}
    whole = opposites.benchmark(words=words)
    (fold,) = whole.folds
    half = halves(fold)[0]
    model = Listens()
    measure_curve(model, whole, half, fold.histories, (0, 1))
    (_, taught, learned), *told = model.told
    assert set(learned) == set(words) & set(taught)
    asked = {pair.user_id for pair in half.test}
    assert all(set(said) == set(words) & asked for _, said in told)
    assert all(pairs == [] for pairs in told[0][0].values())
