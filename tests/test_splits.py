import random
from collections import Counter, defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthesizeme.datasets import assign_splits, extend_splits, hold_out, hold_out_responses, resplit
from synthesizeme.errors import ConfigError, DataError
from synthesizeme.types import Message, PreferencePair


def pair(number, *, user="ada", texts=None, split=None):
    chosen, rejected = texts or (f"yes {number}", f"no {number}")
    return PreferencePair(
        pair_id=f"{user}-{number:04d}",
        user_id=user,
        prompt=(Message(role="user", content="Really?"),),
        chosen=(Message(role="assistant", content=chosen),),
        rejected=(Message(role="assistant", content=rejected),),
        split=split,
    )


def by_id(pairs):
    return {each.pair_id: each.split for each in pairs}


@pytest.mark.parametrize(
    ("n", "train", "validation", "test"),
    [(1, 1, 0, 0), (2, 2, 0, 0), (3, 2, 0, 1), (4, 2, 1, 1), (5, 3, 1, 1), (10, 6, 2, 2), (100, 60, 20, 20)],
)
def test_shares_of_small_and_large_histories(n, train, validation, test):
    counts = Counter(each.split for each in resplit([pair(number) for number in range(n)], seed=0))
    assert (counts["train"], counts["validation"], counts["test"]) == (train, validation, test)


def test_given_splits_stay():
    given_pairs = [pair(1, split="test"), pair(2, split="test"), pair(3, split="train")]
    assert assign_splits(given_pairs, seed=5) == (given_pairs, "given in the rows")


def test_rule_in_words_and_order_of_rows():
    given_pair, others = pair(1, user="bob", split="test"), [pair(number) for number in range(10)]
    split, rule = assign_splits([*others[:5], given_pair, *others[5:]], seed=3)
    assert rule == "given in the rows of 1 users; 60/20/20 at random within each user of 1 users, seed 3"
    assert [each.pair_id for each in split] == [
        each.pair_id for each in [*others[:5], given_pair, *others[5:]]
    ]
    assert split[5] == given_pair
    assert assign_splits(others, seed=3)[1] == "60/20/20 at random within each user, seed 3"


def test_a_user_with_some_splits_is_an_error():
    found = (
        r"'ada' has rows with a split, the first being pair 'ada-0001' \('Really\?'\), "
        r"and rows without, the first being pair 'ada-0002' \('Really\?'\).*data split"
    )
    with pytest.raises(DataError, match=found):
        assign_splits([pair(1, split="train"), pair(2), pair(3)], seed=0)


def test_draws_depend_on_seed_and_user():
    pairs = [pair(number, user=user) for user in ("ada", "bob") for number in range(20)]
    one, two = by_id(resplit(pairs, 1)), by_id(resplit(pairs, 2))
    assert one != two
    assert one == by_id(resplit(pairs, 1))
    assert [one[f"ada-{n:04d}"] for n in range(20)] != [one[f"bob-{n:04d}"] for n in range(20)]


def test_resplit_ignores_what_the_rows_say():
    pairs = [pair(number, split="test") for number in range(20)]
    assert Counter(each.split for each in resplit(pairs, 0))["train"] == 12


@given(
    texts=st.lists(st.sampled_from(["a", "b", "c", "d", "e"]), min_size=1, max_size=40),
    seed=st.integers(0, 5),
    order=st.randoms(use_true_random=False),
)
@settings(max_examples=60, deadline=None)
def test_same_texts_stay_together_and_order_does_not_matter(texts, seed, order):
    pairs = [
        pair(n, texts=(text, f"{text}!") if n % 2 else (f"{text}! ", text), user="adabob"[n % 2 * 3 :][:3])
        for n, text in enumerate(texts)
    ]
    split = resplit(pairs, seed)
    shuffled = order.sample(pairs, len(pairs))
    assert by_id(resplit(shuffled, seed)) == by_id(split)
    found = defaultdict(set)
    for each in split:
        found[each.user_id, frozenset(text.strip() for text in (each.chosen_text, each.rejected_text))].add(
            each.split
        )
    assert all(len(splits) == 1 for splits in found.values())
    for user in {each.user_id for each in split}:
        assert "train" in {each.split for each in split if each.user_id == user}


def test_other_users_do_not_matter():
    mine = [pair(number) for number in range(30)]
    crowd = [pair(number, user=user) for user in "xyz" for number in range(9)]
    alone, among = by_id(resplit(mine, 4)), by_id(resplit([*crowd, *reversed(mine)], 4))
    assert {key: among[key] for key in alone} == alone


def test_there_is_a_test_pair_before_there_is_a_validation_pair():
    for seed in range(30):
        split = resplit([pair(0, texts=("a", "b")), pair(1), pair(2, texts=("b", "a"))], seed)
        assert {each.split for each in split} == {"train", "test"}


def test_draws_are_fair():
    rng = random.Random(0)
    tested = Counter(
        each.pair_id
        for _ in range(400)
        for each in resplit([pair(number) for number in range(10)], rng.randrange(10**9))
        if each.split == "test"
    )
    assert min(tested.values()) > 50
    assert max(tested.values()) < 115


@pytest.mark.parametrize("fractions", [(0.5, 0.2, 0.2), (1.2, -0.2, 0.0), (0.0, 0.5, 0.5)])
def test_fractions_are_shares(fractions):
    with pytest.raises(ConfigError, match="fractions"):
        resplit([pair(1)], 0, fractions)


def test_other_fractions():
    counts = Counter(each.split for each in resplit([pair(n) for n in range(10)], 0, (0.8, 0.0, 0.2)))
    assert counts == {"train": 8, "test": 2}


def test_splits_stay_when_pairs_come():
    pairs = [pair(i) for i in range(30)]
    first, rule = extend_splits(pairs[:10], {}, seed=3)
    assert (first, rule) == assign_splits(pairs[:10], seed=3)
    known = {p.pair_id: p.split for p in first}
    for n in (11, 15, 30):
        grown, rule = extend_splits(pairs[:n], known, seed=3)
        assert [p.pair_id for p in grown] == [p.pair_id for p in pairs[:n]]
        assert {p.pair_id: p.split for p in grown}.items() >= known.items()
        assert rule.startswith(f"{len(known)} kept, {n - len(known)} drawn")
        known = {p.pair_id: p.split for p in grown}
    assert Counter(known.values()) == {"train": 18, "validation": 6, "test": 6}


def test_when_no_pair_has_come_every_split_is_kept():
    pairs = [pair(number) for number in range(6)]
    split, _ = extend_splits(pairs, {}, seed=3)
    again, rule = extend_splits(pairs, {one.pair_id: one.split for one in split}, seed=4)
    assert again == split
    assert rule.startswith("6 kept, 0 drawn")


def test_a_new_pair_of_the_same_texts_joins_the_older_one():
    old = [pair(i).model_copy(update={"split": split}) for i, split in enumerate(["train", "test", "train"])]
    again = old[1].swapped_labels().model_copy(update={"pair_id": "again", "split": None})
    found, _ = extend_splits([*old, again], {}, seed=0)
    assert found[-1].split == "test"


def test_a_split_in_the_row_wins_and_all_of_them_are_the_rule():
    named = [pair(i).model_copy(update={"split": "train"}) for i in range(3)]
    found, rule = extend_splits(named, {named[0].pair_id: "test"}, seed=0)
    assert found == named
    assert rule == "given in the rows"


def test_held_out_responses_are_a_third_of_the_sorted_texts_whatever_the_order_of_the_pairs():
    texts = [f"text {number:02d}" for number in range(9)]
    everything = [
        pair(9 * i + j, texts=(one, other))
        for i, one in enumerate(texts)
        for j, other in enumerate(texts)
        if i < j
    ]
    shuffled = sorted(texts)
    random.Random(4).shuffle(shuffled)
    held = set(shuffled[:3])
    learned, asked = hold_out_responses(everything, 4)
    assert {frozenset((it.chosen_text, it.rejected_text)) <= held for it in asked} == {True}
    assert len(asked) == 3
    assert not any({it.chosen_text, it.rejected_text} & held for it in learned)
    assert len(learned) == 15
    assert hold_out_responses(everything[::-1], 4) == (learned[::-1], asked[::-1])
    assert hold_out_responses(everything, 5)[1] != asked


def test_held_out_pairs_are_a_share_of_each_user_and_the_rest_has_no_split():
    pairs = [pair(number, user=user, split="train") for user in ("ada", "bob") for number in range(10)]
    found = hold_out(pairs, 0.3, seed=1)
    assert [it.pair_id for it in found] == [it.pair_id for it in pairs]
    assert Counter((it.user_id, it.split) for it in found) == {
        ("ada", "test"): 3, ("ada", None): 7, ("bob", "test"): 3, ("bob", None): 7,
    }  # fmt: skip
    assert hold_out(pairs, 0.3, seed=1) == found
    assert {it.split for it in hold_out(pairs, 0, seed=1)} == {None}
    with pytest.raises(ConfigError, match="shares"):
        hold_out(pairs, 1.0, seed=1)
