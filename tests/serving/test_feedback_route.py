"""Feedback beside pairs, sent to a server: stored, learned from at once where the model can, counted where not."""

from __future__ import annotations

import pytest
import two_tastes

import reward_models
from synthesizeme.datasets.rows import SourceRow
from synthesizeme.errors import DataError, StoreUnavailableError
from synthesizeme.feedback import THUMBS, Rating, Tie
from synthesizeme.profiles import open_store
from synthesizeme.serving.stores import MemoryUsers
from synthesizeme.serving.users import HistoryMissingError, Users, read_feedback

THUMB = {"kind": "rating", "prompt": "Tea or coffee?", "response": "Tea.", "value": 1,
         "scale": {"lowest": 0, "highest": 1, "levels": 2}, "reason": "Short."}  # fmt: skip
TIE = {"kind": "tie", "prompt": "Tea or coffee?", "responses": ["Tea.", "Coffee."], "both": "bad"}


def fitted(**params):
    return reward_models.method("hierarchical-stylometric")(variances="fixed", **params).fit(
        two_tastes.population(6, 16)
    )


@pytest.fixture(scope="module")
def trained():
    return fitted()


def said(row=THUMB, user="new", number=1):
    return read_feedback(SourceRow("feedback", number, row), user)


def test_a_row_of_feedback_is_read_strictly_with_a_bare_prompt():
    thumb, tie = said(), said(TIE)
    assert isinstance(thumb, Rating)
    assert isinstance(tie, Tie)
    assert (thumb.user_id, thumb.scale, thumb.reason, thumb.prompt[0].role) == (
        "new",
        THUMBS,
        "Short.",
        "user",
    )
    for change, problem in (
        ({"user_id": "other"}, "another user than that of the request"),
        ({"split": "test"}, "test split"),
        ({"value": 2}, "value is 2; expected 0 to 1"),
        ({"kind": "like"}, "expected tie, ranking, rating, edit, trait"),
        ({"scale": None}, "scale"),
    ):
        with pytest.raises(DataError, match=problem):
            said({**THUMB, **change})


@pytest.mark.parametrize("kind", ["memory", "store"])
def test_what_the_model_does_not_learn_from_is_kept_and_counted(trained, monkeypatch, tmp_path, kind):
    monkeypatch.setattr(trained, "reads_feedback", frozenset({"tie"}))
    store = MemoryUsers() if kind == "memory" else open_store(tmp_path / "s.db")
    users = Users(trained, store)
    told = users.add("mute", (), None, [said(user="mute")])
    assert told == {
        "added": 0,
        "pairs": 0,
        "feedback_added": 1,
        "feedback": 1,
        "not_learned_from": {"rating": 1},
    }
    assert "mute" not in trained.users_
    told = users.add("mute", (), None, [said(user="mute"), said(TIE, "mute")])
    assert (told["feedback_added"], told["feedback"], told["not_learned_from"]) == (1, 2, {"rating": 1})
    assert "mute" in trained.users_, "the tie is learned from at once"
    assert [it["kind"] for it in users.export("mute")["feedback"]] == ["rating", "tie"]
    assert users.delete("mute") == {"pairs": 0, "feedback": 2, "words": False, "versions": 0, "state": True}
    assert users.export("mute") is None
    store.close()


def test_what_is_said_of_a_trait_needs_no_prompt(trained):
    users = Users(trained, MemoryUsers())
    trait = {"kind": "trait", "feature": "examples", "answer": "yes"}
    told = users.add("liked", (), None, [said(trait, "liked")])
    assert (told["feedback"], told["not_learned_from"]) == (1, {})
    assert "liked" in trained.users_
    with pytest.raises(DataError, match="field 'prompt': is not a field of a trait"):
        said({**trait, "prompt": "Tea or coffee?"})


def test_feedback_alone_makes_a_user_known_also_after_a_restart(trained):
    store = MemoryUsers()
    Users(trained, store).add("new", (), None, [said()])
    state = trained.users_["new"]
    trained.forget_user("new")
    assert Users(trained, store).fit_stored() == 1
    assert trained.users_["new"].keys() == state.keys()
    trained.forget_user("new")


def test_feedback_does_not_replace_what_came_with_the_checkpoint_but_on_purpose(trained):
    users = Users(trained, MemoryUsers())
    before = trained.users_["u0"]
    with pytest.raises(HistoryMissingError, match="replace=true"):
        users.add("u0", (), None, [said(user="u0")])
    assert trained.users_["u0"] is before


def test_feedback_that_cannot_be_stored_leaves_the_model_as_it_was(trained):
    class Full(MemoryUsers):
        def add_pairs(self, user_id, pairs, **more):
            raise StoreUnavailableError("away")

    with pytest.raises(StoreUnavailableError):
        Users(trained, Full()).add("new", (), None, [said()])
    assert "new" not in trained.users_


def test_two_that_differ_under_one_id_and_one_too_many_are_refused(trained):
    users = Users(trained, MemoryUsers(), most_pairs=1)
    named = {**THUMB, "feedback_id": "f"}
    with pytest.raises(DataError, match="two different feedback have the same id"):
        users.add("new", (), None, [said(named), said({**named, "value": 0})])
    with pytest.raises(DataError, match="would have 2 pieces of feedback; expected at most 1"):
        users.add("new", (), None, [said(), said(TIE)])


def test_the_route_takes_every_kind_and_says_what_it_refuses(serve, model):
    server = serve(model)
    path = "/v1/users/new/feedback"
    added = server.post(path, {"feedback": [THUMB, TIE]}).json()
    assert (added["added"], added["feedback"]) == (2, 2)
    assert set(added["not_learned_from"]) <= {"rating", "tie"}
    refused = server.post(path, {"feedback": [{**THUMB, "value": 7}]})
    assert (refused.status_code, refused.json()["at"]) == (422, "feedback 1")
    for body in ({"feedback": []}, {"feedback": ["up"]}, {"feedback": [THUMB], "x": 1}, {}):
        assert server.post(path, body).status_code == 422
    kept = server.client.get("/v1/users/new").json()["feedback"]
    assert [row["kind"] for row in kept] == ["rating", "tie"]
    assert server.client.delete("/v1/users/new").json()["deleted"]["feedback"] == 2
