from __future__ import annotations

import numpy as np
import pytest
from invented import pair

from reward_models._training_pairs import held_out_split
from synthesizeme.pairs import by_user


def test_held_out_pairs_are_the_validation_rows():
    histories = {
        "ada": [pair(i, split="validation" if i > 2 else "train") for i in range(5)],
        "bob": [pair(9, user="bob")],
    }
    kept, held = held_out_split(histories, 0)
    assert [p.pair_id for p in kept] == ["ada-0", "ada-1", "ada-2", "bob-9"]
    assert [p.pair_id for p in held] == ["ada-3", "ada-4"]


@pytest.mark.parametrize("split", [None, "train", "validation"])
def test_without_validation_rows_a_seeded_fifth_of_every_user_is_held_out(split):
    histories = {
        user: [pair(i, user=user, split=split) for i in range(n)] for user, n in [("ada", 11), ("bob", 4)]
    }
    kept, held = held_out_split(histories, 0)
    assert [p.user_id for p in held] == ["ada", "ada"]
    assert len(kept) == 13
    assert held_out_split(histories, 0) == (kept, held)
    draws = {tuple(p.pair_id for p in held_out_split(histories, seed)[1]) for seed in range(9)}
    assert len(draws) > 3
    assert held_out_split({"bob": histories["bob"]}, 0) == (histories["bob"], [])
    assert np.all([p in histories["ada"] for p in held])


def test_pairs_by_user_keep_their_order():
    pairs = [pair(0), pair(0, user="bob"), pair(1)]
    assert by_user(pairs) == {"ada": [pairs[0], pairs[2]], "bob": [pairs[1]]}
    assert list(by_user(pairs)) == ["ada", "bob"]
