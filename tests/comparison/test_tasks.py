from __future__ import annotations

import opposites

from synthesizeme.comparison.tasks import divided
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


def test_every_task_has_its_own_name_and_one_fold():
    found = divided(opposites.benchmark(), resplit=3)
    tasks = [*found.folds, *found.resplits, *found.halves]
    assert [task.name for task in tasks] == [
        "given split", "re-split 0", "re-split 1", "re-split 2", "new users, half 1", "new users, half 2",
    ]  # fmt: skip
    assert all(len(task.benchmark.folds) == 1 for task in tasks)
    assert len({task.digest for task in tasks}) == len(tasks)
    assert found.notes == ("new users: 8 users with at least 16 pairs of history",)
    assert {length for half in found.halves for length in half.lengths} == {0, 1, 2, 4, 8, 16}


def test_re_splits_follow_the_seed():
    first, second = (divided(opposites.benchmark(), resplit=1, seed=seed).resplits[0] for seed in (0, 7))
    assert (first.name, second.name) == ("re-split 0", "re-split 7")
    assert first.fold.test != second.fold.test


def test_several_folds_cannot_be_split_again_and_give_the_curve_of_the_first():
    whole = folded(opposites.population())
    found = divided(whole, resplit=1)
    assert found.resplits == ()
    assert found.notes[2].startswith("no re-splits: ")
    assert [task.name for task in found.folds] == ["calm", "loud"]
    assert {user for half in found.halves for user in half.histories} == {f"c{i}" for i in range(5)}
    assert found.notes[1] == "new users: measured on the first of 2 folds, 'calm', alone"


def test_new_users_bring_the_history_of_the_fold_in_its_order():
    whole = opposites.benchmark()
    for half in divided(whole).halves:
        assert set(half.histories) == {pair.user_id for pair in half.fold.test}
        for user, pairs in half.histories.items():
            assert pairs == [pair for pair in whole.folds[0].history if pair.user_id == user]


def test_no_curve_without_histories_and_none_if_it_is_not_wanted():
    alone = divided(opposites.benchmark(opposites.population(1, 0)))
    assert (alone.halves, alone.notes) == (
        (),
        ("no history-length curve: fewer than 2 users have a history",),
    )
    unwanted = divided(opposites.benchmark(), cold_start=False)
    assert (unwanted.halves, unwanted.notes) == ((), ())


def test_the_digest_depends_on_pairs_order_rules_others_and_seed():
    pairs = opposites.population()
    turned = [*pairs[:-1], pairs[-1].swapped_labels()]
    digests = [
        divided(opposites.benchmark(pairs)).folds[0].digest,
        divided(opposites.benchmark(turned)).folds[0].digest,
        divided(opposites.benchmark(pairs[::-1])).folds[0].digest,
        divided(opposites.benchmark(pairs, ties="wrong")).folds[0].digest,
        divided(opposites.benchmark(pairs), pairs[:9]).folds[0].digest,
        divided(opposites.benchmark(pairs), seed=1).folds[0].digest,
        divided(opposites.benchmark(pairs, words={"c0": UserWords(user_id="c0", about="Calm.")}))
        .folds[0]
        .digest,
    ]
    assert len(set(digests)) == 7
    assert divided(opposites.benchmark(opposites.population())).folds[0].digest == digests[0]


def test_new_items_are_redrawn_by_their_texts():
    pairs = tuple(opposites.population(8, 8, history=40, test=0))
    whole = opposites.benchmark(
        [*pairs[:-1], pairs[-1].model_copy(update={"split": "test"})], whole=pairs, redraw="new items"
    )
    found = divided(whole, resplit=3, cold_start=False).resplits
    assert [task.name for task in found] == ["re-split 0", "re-split 1", "re-split 2"]
    for task in found:
        learned = {text for pair in task.fold.history for text in (pair.chosen_text, pair.rejected_text)}
        assert not any({pair.chosen_text, pair.rejected_text} & learned for pair in task.fold.test)
