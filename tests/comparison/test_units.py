from __future__ import annotations

import opposites

from synthesizeme.comparison.units import plan
from synthesizeme.feedback import UserWords


def folded(pairs):
    """Two folds: the test pairs of the calm users, and those of the loud ones."""
    whole = opposites.benchmark(pairs)
    (fold,) = whole.folds
    folds = tuple(
        fold.model_copy(
            update={"name": name, "test": tuple(p for p in fold.test if p.user_id.startswith(name[0]))}
        )
        for name in ("calm", "loud")
    )
    return whole.model_copy(update={"folds": folds})


def test_every_unit_has_its_own_name_and_one_fold():
    found = plan(opposites.benchmark(), resplit=3)
    units = [*found.folds, *found.resplits, *found.halves]
    assert [unit.name for unit in units] == [
        "given split", "re-split 0", "re-split 1", "re-split 2", "new users, half 1", "new users, half 2",
    ]  # fmt: skip
    assert all(len(unit.benchmark.folds) == 1 for unit in units)
    assert len({unit.digest for unit in units}) == len(units)
    assert found.notes == ("new users: 8 users with at least 16 pairs of history",)
    assert {length for half in found.halves for length in half.lengths} == {0, 1, 2, 4, 8, 16}


def test_re_splits_follow_the_seed():
    first, second = (plan(opposites.benchmark(), resplit=1, seed=seed).resplits[0] for seed in (0, 7))
    assert (first.name, second.name) == ("re-split 0", "re-split 7")
    assert first.fold.test != second.fold.test


def test_several_folds_cannot_be_split_again_and_give_the_curve_of_the_first():
    whole = folded(opposites.population())
    found = plan(whole, resplit=1)
    assert found.resplits == ()
    assert found.notes[2].startswith("no re-splits: ")
    assert [unit.name for unit in found.folds] == ["calm", "loud"]
    assert {user for half in found.halves for user in half.histories} == {f"c{i}" for i in range(5)}
    assert found.notes[1] == "new users: measured on the first of 2 folds, 'calm', alone"


def test_new_users_bring_the_history_of_the_fold_in_its_order():
    whole = opposites.benchmark()
    for half in plan(whole).halves:
        assert set(half.histories) == {pair.user_id for pair in half.fold.test}
        for user, pairs in half.histories.items():
            assert pairs == [pair for pair in whole.folds[0].history if pair.user_id == user]


def test_no_curve_without_histories_and_none_if_it_is_not_wanted():
    alone = plan(opposites.benchmark(opposites.population(1, 0)))
    assert (alone.halves, alone.notes) == (
        (),
        ("no history-length curve: fewer than 2 users have a history",),
    )
    unwanted = plan(opposites.benchmark(), cold_start=False)
    assert (unwanted.halves, unwanted.notes) == ((), ())


def test_the_digest_depends_on_pairs_order_rules_others_and_seed():
    pairs = opposites.population()
    turned = [*pairs[:-1], pairs[-1].swapped_labels()]
    digests = [
        plan(opposites.benchmark(pairs)).folds[0].digest,
        plan(opposites.benchmark(turned)).folds[0].digest,
        plan(opposites.benchmark(pairs[::-1])).folds[0].digest,
        plan(opposites.benchmark(pairs, ties="wrong")).folds[0].digest,
        plan(opposites.benchmark(pairs), pairs[:9]).folds[0].digest,
        plan(opposites.benchmark(pairs), seed=1).folds[0].digest,
        plan(opposites.benchmark(pairs, words={"c0": UserWords(user_id="c0", about="Calm.")}))
        .folds[0]
        .digest,
    ]
    assert len(set(digests)) == 7
    assert plan(opposites.benchmark(opposites.population())).folds[0].digest == digests[0]


def test_new_items_are_redrawn_by_their_texts():
    pairs = tuple(opposites.population(8, 8, history=40, test=0))
    whole = opposites.benchmark(
        [*pairs[:-1], pairs[-1].model_copy(update={"split": "test"})], whole=pairs, redraw="new items"
    )
    found = plan(whole, resplit=3, cold_start=False).resplits
    assert [unit.name for unit in found] == ["re-split 0", "re-split 1", "re-split 2"]
    for unit in found:
        learned = {text for pair in unit.fold.history for text in (pair.chosen_text, pair.rejected_text)}
        assert not any({pair.chosen_text, pair.rejected_text} & learned for pair in unit.fold.test)
