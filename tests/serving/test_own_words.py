"""What users said beside choices, from a row or a request to the reward, and out again."""

from __future__ import annotations

import logging

import pytest
import two_tastes
from wordy import Wordy

import reward_models
from synthesizeme.datasets.rows.sources import SourceRow
from synthesizeme.errors import DataError, StoreUnavailableError
from synthesizeme.feedback import LONGEST_TEXT, UserWords
from synthesizeme.profiles import open_store
from synthesizeme.profiles.store import Deleted
from synthesizeme.serving import openrlhf
from synthesizeme.serving.access import Access
from synthesizeme.serving.app import ServerSettings
from synthesizeme.serving.requests import Limits
from synthesizeme.serving.rewards import ScalarRewards
from synthesizeme.serving.rows import _say_cut, answered, read_question
from synthesizeme.serving.stores import Changes, MemoryUsers
from synthesizeme.serving.trl import reward_function
from synthesizeme.serving.users import HistoryMissingError, Users
from synthesizeme.serving.verl import compute_score
from synthesizeme.types import Message, PreferencePair

ROW = {"user_id": "new", "prompt": "Tea or coffee?", "response": "Tea at night."}
ABOUT = "I drink tea at night."
PAIR = {"prompt": "What do you drink?", "chosen": "Coffee.", "rejected": "Tea."}


def pair(number=0, user="old"):
    said = {name: (Message(role="assistant", content=PAIR[name]),) for name in ("chosen", "rejected")}
    asked = (Message(role="user", content=f"Cup {number}?"),)
    return PreferencePair(pair_id=f"p{number}", user_id=user, prompt=asked, **said)


@pytest.fixture
def wordy():
    """A model that reads words and knows `old` of two pairs for coffee."""
    return Wordy().fit([pair(0), pair(1)])


@pytest.fixture
def deaf():
    """A model that knows u0 to u5 by their choices alone."""
    method = reward_models.method("hierarchical-stylometric")
    return method(variances="fixed", knows="choices").fit(two_tastes.population(6, 16))


def words(user="new", about=ABOUT, **more):
    return UserWords(user_id=user, about=about, **more)


def asked(**row):
    return read_question(SourceRow("rows", 1, {**ROW, **row}))


# Rows: the one path of `score` and of training loops.


def test_words_in_a_row_make_a_user_known_and_stay(wordy):
    rewards = ScalarRewards(wordy)
    assert answered(rewards, [asked()])[0].status == "unknown_user"
    (first,) = answered(rewards, [asked(about=ABOUT)])
    assert (first.status, first.value) == ("ok", 2.0)
    assert answered(rewards, [asked()])[0] == first
    (later,) = answered(rewards, [asked(about={"wishes": ["tea"]})])
    assert later.value == 1.0


def test_words_in_a_row_change_nothing_for_whom_the_model_knows(wordy):
    rewards = ScalarRewards(wordy)
    (before,) = answered(rewards, [asked(user_id="old")])
    (after,) = answered(rewards, [asked(user_id="old", about=ABOUT)])
    assert before == after
    assert before.value < 0


def test_a_model_that_reads_no_words_says_so_once_and_does_not_know_the_user(deaf, caplog):
    rewards = ScalarRewards(deaf)
    rows = [asked(about=ABOUT)]
    assert [answered(rewards, rows)[0].status for _ in range(2)] == ["unknown_user"] * 2
    assert caplog.text.count("reads no words of users; `about` changes nothing (said once)") == 1
    assert "tea" not in caplog.text


@pytest.mark.parametrize(
    ("about", "said"),
    [
        ("  ", "blank"),
        (5, "expected text or an object"),
        ({"abuot": "x"}, "'abuot'.*expected user_id, answers, about, wishes, demographics, own_answers"),
        ({"user_id": "other", "about": "x"}, "another user"),
        ({"wishes": "x"}, "expected a list"),
        ({}, "says nothing"),
    ],
)
def test_wrong_words_in_a_row_are_refused(about, said):
    with pytest.raises(DataError, match=f"rows:1.*{said}"):
        asked(about=about)


def test_a_text_that_is_too_long_is_cut_and_that_is_said_once_without_the_text(caplog):
    _say_cut.cache_clear()
    questions = [asked(about="marmalade " * 100_000) for _ in range(3)]
    assert {len(question.about.about) for question in questions} == {LONGEST_TEXT}
    assert caplog.text.count("longer than 20000 characters") == 1
    assert "marmalade" not in caplog.text


def test_trl_takes_words_from_a_column(wordy):
    reward = reward_function(wordy)
    columns = {
        "user_id": ["new", "newer", "old"],
        "about": [ABOUT, {"about": None, "wishes": ["coffee"]}, None],
    }
    assert reward(["Q?"] * 3, ["Tea."] * 3, **columns) == [1.0, 0.0, -2.0]
    assert reward(["Q?"], ["Tea."], user_id=["nobody"], said=["x"]) == [None]
    other = reward_function(wordy, about_column="said")
    assert other(["Q?"], ["Tea."], user_id=["nobody"], said=["tea tea"]) == [2.0]


def test_openrlhf_takes_words_from_the_label(wordy):
    label = {"user_id": "new", "about": ABOUT, "label": "x"}
    rows = openrlhf.rows(["Q? Tea."], ["Q?"], [label])
    assert [score.value for score in answered(ScalarRewards(wordy), rows)] == [1.0]
    with pytest.raises(DataError, match="blank"):
        openrlhf.rows(["Q? Tea."], ["Q?"], [{"user_id": "new", "about": ""}])
    (bare,) = openrlhf.rows(["Q? Tea."], ["Q?"], ["new"])
    assert bare.about is None


def test_verl_takes_words_from_extra_info(monkeypatch, wordy):
    monkeypatch.setattr("synthesizeme.serving.verl.opened", lambda *a, **k: ScalarRewards(wordy))
    info = {"prompt": "Q?", "user_id": "new", "about": {"wishes": ["tea"], "about": None}}
    assert compute_score(None, "Tea.", None, info)["score"] == 1.0
    with pytest.raises(DataError, match="blank"):
        compute_score(None, "Tea.", None, {**info, "about": " "})


# Users of a server.


def test_words_alone_make_a_user_known_and_count_beside_pairs(wordy):
    users = Users(wordy, MemoryUsers())
    assert users.add("new", (), words()) == {"added": 0, "pairs": 0, "read": True}
    assert list(wordy.users_["new"]["tastes"]) == [1, 0, 1, 0]
    users.add("new", [pair(user="new")])
    assert list(wordy.users_["new"]["tastes"]) == [0, 1, 1, 0]
    users.add("new", (), words(about="coffee coffee"))
    assert list(wordy.users_["new"]["tastes"]) == [-1, 3, 0, 0]
    assert users.store.words("new") == words(about="coffee coffee")


def test_words_do_not_replace_what_came_with_the_checkpoint_but_on_purpose(wordy):
    users = Users(wordy, MemoryUsers())
    before = wordy.users_["old"]
    with pytest.raises(HistoryMissingError, match="replace=true"):
        users.add("old", (), words("old"))
    assert wordy.users_["old"] is before
    assert users.add("old", (), words("old"), replace=True)["read"]
    assert list(wordy.users_["old"]["tastes"]) == [1, 0, 1, 0]
    assert users.add("old", [pair(5)], None)["pairs"] == 1


def test_words_that_cannot_be_stored_leave_the_model_as_it_was(wordy):
    class Full(MemoryUsers):
        def add_pairs(self, user_id, pairs, **more):
            raise StoreUnavailableError("away")

    users = Users(wordy, Full())
    with pytest.raises(StoreUnavailableError):
        users.add("new", (), words())
    assert set(wordy.users_) == {"old"}


def test_a_model_that_reads_no_words_keeps_them_for_one_that_does(deaf):
    users = Users(deaf, MemoryUsers())
    before = dict(deaf.users_)
    assert users.add("u0", (), words("u0")) == {"added": 0, "pairs": 0, "read": False}
    assert deaf.users_ == before
    assert users.export("u0")["words"] == {
        "user_id": "u0",
        "answers": [],
        "about": ABOUT,
        "wishes": [],
        "demographics": {},
    }
    assert users.delete("u0") == {"pairs": 0, "feedback": 0, "words": True, "versions": 0, "state": True}


@pytest.mark.parametrize("kind", ["memory", "store"])
def test_who_only_spoke_is_known_after_a_restart_and_forgotten_on_deletion(wordy, tmp_path, kind):
    store = MemoryUsers() if kind == "memory" else open_store(tmp_path / "s.db")
    Users(wordy, store).add("new", (), words())
    store.add_pairs(
        "old", (), words=words("old")
    )  # said to a store, not to the server: the checkpoint knows them
    fresh = Wordy().fit([pair(0), pair(1)])
    users = Users(fresh, store)
    assert users.fit_stored() == 2
    assert list(fresh.users_["new"]["tastes"]) == [1, 0, 1, 0]
    assert list(fresh.users_["old"]["tastes"]) == list(wordy.users_["old"]["tastes"])
    assert users.add("new", [pair(user="new")])["pairs"] == 1
    assert users.delete("new") == {"pairs": 1, "feedback": 0, "words": True, "versions": 0, "state": True}
    assert store.words("new") is None
    assert set(fresh.users_) == {"old"}
    assert store.delete("old") == Deleted(pairs=0, versions=0, words=True)
    store.close()


def test_other_processes_are_told_of_words(tmp_path, wordy):
    one, other = (Changes(tmp_path / "changes", bytes(32)) for _ in range(2))
    store = MemoryUsers()
    theirs = Wordy().fit([pair(0), pair(1)])
    mine, yours = Users(wordy, store, changes=one), Users(theirs, store, changes=other)
    mine.add("new", (), words())
    yours.catch_up(["new"])
    assert list(theirs.users_["new"]["tastes"]) == [1, 0, 1, 0]
    assert yours.add("new", [pair(user="new")])["pairs"] == 1
    mine.delete("new")
    yours.catch_up(["new"])
    assert "new" not in theirs.users_


# The routes.


def put(live, document, user="new", **more):
    return live.client.put(f"/v1/users/{user}/words", json=document, **more)


def test_words_are_put_exported_and_deleted_with_the_user(serve, wordy):
    live = serve(wordy)
    assert live.post("/v1/score", ROW).json()["status"] == "unknown_user"
    document = {"about": ABOUT, "own_answers": {"When?": "At night."}, "demographics": {"age": 41}}
    assert put(live, document).json() == {"user_id": "new", "pairs": 0, "read": True}
    assert live.post("/v1/score", ROW).json()["value"] == 3.0
    found = live.client.get("/v1/users/new").json()
    assert found["words"]["demographics"] == {"age": "41"}
    assert put(live, found["words"]).json()["read"]
    assert live.client.get("/v1/users/new").json() == found
    deleted = live.client.delete("/v1/users/new").json()["deleted"]
    assert deleted == {"pairs": 0, "feedback": 0, "words": True, "versions": 0, "state": True}
    assert live.client.get("/v1/users/new").status_code == 404
    assert live.post("/v1/score", ROW).json()["status"] == "unknown_user"


def test_words_may_come_with_pairs(serve, wordy):
    live = serve(wordy)
    found = live.post("/v1/users/new/pairs", {"pairs": [PAIR], "about": ABOUT}).json()
    assert found == {"user_id": "new", "added": 1, "pairs": 1, "read": True}
    assert list(wordy.users_["new"]["tastes"]) == [0, 1, 1, 0]
    assert live.post("/v1/users/new/pairs", {"pairs": [PAIR]}).json() == {
        "user_id": "new",
        "added": 0,
        "pairs": 1,
    }
    assert live.client.get("/v1/users/new").json()["words"]["about"] == ABOUT


def test_that_words_are_not_read_is_said(serve, deaf):
    live = serve(deaf)
    assert put(live, {"about": ABOUT}).json() == {"user_id": "new", "pairs": 0, "read": False}
    assert live.post("/v1/score", ROW).json()["status"] == "unknown_user"
    assert live.client.get("/v1/users/new").json()["known_to_model"] is False


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({}, "says nothing"), ({"about": ""}, "blank"), ({"about": " \n"}, "blank"), ({"abuot": "x"}, "abuot"),
        ({"about": "x", "user_id": "other"}, "another user"), ({"wishes": [" "]}, "blank"),
        ({"answers": [{"text": "x"}]}, "question and text"), ({"demographics": {"age": [1]}}, "demographics.age"),
        ({"about": "x" * 70_000}, "70,000 characters; expected at most 65,536"),
        ({"wishes": ["x"] * 257}, "more than 256"), ({"own_answers": {"q" * 70_000: "x"}}, "more than 65,536"),
    ],
)  # fmt: skip
def test_wrong_words_are_refused_and_change_nothing(serve, wordy, document, said):
    live = serve(wordy)
    for answer in (
        put(live, document),
        live.post("/v1/users/new/pairs", {"pairs": [PAIR], "about": document}),
    ):
        assert answer.status_code == 422
        assert said in answer.text
    assert live.client.get("/v1/users/new").status_code == 404


def test_a_large_body_a_foreign_path_and_no_json_are_refused(serve, wordy):
    live = serve(wordy, settings=ServerSettings(limits=Limits(body=1000)))
    assert put(live, {"about": "x" * 2000}).status_code == 413
    assert put(live, {"about": "x"}, user="new/more").status_code == 404
    assert put(live, {"about": "x"}, user="%20").status_code == 422
    assert live.client.put("/v1/users/new/words", content=b"{").status_code == 415
    head = {"Content-Type": "application/json"}
    assert live.client.put("/v1/users/new/words", content=b"{", headers=head).status_code == 400
    assert put(live, {"about": "x"}, params={"replace": "perhaps"}).status_code == 422


def test_what_is_cut_is_said(serve, wordy):
    live = serve(wordy)
    found = put(live, {"about": "x" * 30_000, "wishes": ["short"]}).json()
    assert found["cut"] == [{"field": "about", "characters": 30_000}]
    assert len(live.client.get("/v1/users/new").json()["words"]["about"]) == LONGEST_TEXT


def test_a_label_with_words_is_told_where_to_put_them(serve, wordy):
    body = {"query": ["Q? Tea."], "prompts": ["Q?"], "labels": [{"user_id": "old", "about": ABOUT}]}
    answer = serve(wordy).post("/get_reward", body)
    assert answer.status_code == 422
    assert "PUT them to /v1/users/ID/words" in answer.text


def test_state_of_the_checkpoint_is_replaced_by_words_on_purpose_only(serve, wordy):
    live = serve(wordy)
    assert put(live, {"about": ABOUT}, user="old").status_code == 409
    assert put(live, {"about": ABOUT}, user="old", params={"replace": "true"}).status_code == 200


def test_who_may_add_pairs_may_put_words(serve, wordy):
    tokens = {scope: f"{scope}-token-0123456789" for scope in ("score", "write", "admin")}
    live = serve(wordy, access=Access(tokens.items()))
    found = {
        scope: put(live, {"about": ABOUT}, headers={"Authorization": f"Bearer {token}"}).status_code
        for scope, token in tokens.items()
    }
    assert found == {"score": 403, "write": 200, "admin": 200}
    assert put(live, {"about": ABOUT}).status_code == 401


def test_a_server_that_shares_no_users_refuses_words(serve, wordy):
    assert put(serve(wordy, settings=ServerSettings(read_only=True)), {"about": ABOUT}).status_code == 409


def test_words_and_their_user_are_in_no_log_and_no_metric(serve, wordy, caplog):
    caplog.set_level(logging.INFO)
    live = serve(wordy)
    put(live, {"about": "marmalade"}, user="zebrafish")
    put(live, {"about": " ", "wishes": ["marmalade"]}, user="zebrafish")
    live.client.get("/v1/users/zebrafish")
    live.client.delete("/v1/users/zebrafish")
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith("http")]
    page = live.client.get("/metrics").text
    assert "put_words" in page
    for text in (*ours, page):
        assert "marmalade" not in text
        assert "zebrafish" not in text
