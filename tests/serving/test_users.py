"""Users of a served model: pairs in, state refitted, everything out, everything gone."""

from __future__ import annotations

import pytest
import two_tastes

from synthesizeme.datasets.rows import SourceRow
from synthesizeme.errors import DataError, StoreUnavailableError
from synthesizeme.serving.stores import MemoryUsers
from synthesizeme.serving.users import HistoryMissingError, Users, read_pair

ROW = {"prompt": "Q?", "chosen": "a!", "rejected": "b?"}


@pytest.fixture
def users(model):
    return Users(model, MemoryUsers(), most_pairs=20)


def history(number, seed=1, user="new"):
    return two_tastes.asked_as(two_tastes.population(1, number, seed=seed), user)


def test_a_refit_is_that_of_all_pairs_together(users, model):
    pairs = history(10)
    users.add("new", pairs[:4])
    users.add("new", pairs[4:])
    grown = {name: array.tobytes() for name, array in model.users_["new"].items()}
    model.fit_user("new", pairs)
    assert {name: array.tobytes() for name, array in model.users_["new"].items()} == grown
    assert tuple(users.store.pairs("new")) == tuple(pairs)


def test_a_refit_that_fails_keeps_no_pair(users, model):
    users.add("new", history(3))
    with pytest.raises(DataError):
        users.add("new", [history(9)[8].model_copy(update={"split": "test"})])
    assert len(users.store.pairs("new")) == 3


@pytest.mark.parametrize("known", [True, False])
def test_pairs_that_cannot_be_stored_leave_the_model_as_it_was(users, model, monkeypatch, known):
    if known:
        users.add("new", history(3))
    before = {user: {name: array.tobytes() for name, array in state.items()}
              for user, state in model.users_.items()}  # fmt: skip

    def fail(user_id, pairs, **more):
        raise StoreUnavailableError("away")

    monkeypatch.setattr(users.store, "add_pairs", fail)
    with pytest.raises(StoreUnavailableError):
        users.add("new", history(9))
    assert before == {user: {name: array.tobytes() for name, array in state.items()}
                      for user, state in model.users_.items()}  # fmt: skip
    monkeypatch.undo()
    assert users.add("new", history(9))["pairs"] == 9


def test_what_is_taken_back_is_as_if_it_had_never_been_said(users, model):
    pairs = history(6)
    users.add("new", pairs[:5])
    before = {name: array.tobytes() for name, array in model.users_["new"].items()}
    users.add("new", pairs[5:])
    users.add("new", (), taken_back=[pairs[5].pair_id, "never given"])
    assert {name: array.tobytes() for name, array in model.users_["new"].items()} == before
    assert users.store.pairs("new") == tuple(pairs[:5])
    users.add("new", (), taken_back=[pair.pair_id for pair in pairs])
    assert "new" not in model.users_
    assert users.add("new", pairs[:2])["pairs"] == 2


def test_an_answer_may_take_the_place_of_another_of_its_id(users):
    first, *_ = history(3)
    users.add("new", [first])
    other = first.swapped_labels()
    with pytest.raises(DataError, match="same id"):
        users.add("new", [other])
    users.add("new", [other], taken_back=[first.pair_id])
    assert users.store.pairs("new") == (other,)


def test_a_user_may_have_so_many_pairs(users):
    with pytest.raises(DataError, match="21 pairs; expected at most 20"):
        users.add("new", history(21))
    assert users.add("new", history(20)) == {"added": 20, "pairs": 20}


def test_a_state_of_the_checkpoint_is_replaced_on_purpose_only(users):
    with pytest.raises(HistoryMissingError):
        users.add("u0", history(2, user="u0"))
    assert users.add("u0", history(2, user="u0"), replace=True)["pairs"] == 2
    assert users.add("u0", history(3, user="u0"))["pairs"] == 3


def test_deleting_leaves_nothing_of_one_user_and_everything_of_the_others(users, model):
    users.add("new", history(3))
    users.add("kept", history(3, user="kept", seed=2))
    assert users.delete("new") == {"pairs": 3, "feedback": 0, "words": False, "versions": 0, "state": True}
    assert users.delete("new") is None
    assert users.export("new") is None
    assert [user.user_id for user in users.store.users()] == ["kept"]
    assert "new" not in model.users_
    assert len(users.export("kept")["pairs"]) == 3
    assert users.delete("u0") == {"pairs": 0, "feedback": 0, "words": False, "versions": 0, "state": True}


def test_what_is_exported_can_be_added_again(users):
    users.add("new", history(4))
    exported = users.export("new")
    users.delete("new")
    pairs = [
        read_pair(SourceRow("pairs", number, row), "new") for number, row in enumerate(exported["pairs"], 1)
    ]
    users.add("new", pairs)
    assert users.export("new") == exported


def test_a_model_without_named_weights_is_exported_without_them(stub):
    users = Users(stub, MemoryUsers())
    assert users.export("ann") == {
        "user_id": "ann",
        "known_to_model": True,
        "pairs": [],
        "feedback": [],
        "words": None,
        "profiles": [],
        "learned": [],
    }


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"user_id": "other"}, "another user"),
        ({"split": "test"}, "test split"),
        ({"prompt": None}, "prompt"),
        ({"chosen": [{"role": "assistant", "content": "x"}] * 2}, "expected one"),
        ({"prompt": [{"role": "assistant", "content": "x"}]}, "ends with a turn of role"),
    ],
)
def test_a_row_that_is_no_pair_says_why(change, said):
    with pytest.raises(DataError, match=said):
        read_pair(SourceRow("pairs", 1, {**ROW, **change}), "new")


def test_bare_texts_become_messages_and_an_id_is_derived():
    one, other = (read_pair(SourceRow("pairs", 1, dict(ROW)), user) for user in ("new", "newer"))
    assert (one.chosen_text, one.chosen[0].role, one.user_id) == ("a!", "assistant", "new")
    assert one.pair_id != other.pair_id
    assert read_pair(SourceRow("pairs", 1, {**ROW, "pair_id": "mine"}), "new").pair_id == "mine"
