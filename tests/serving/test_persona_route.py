"""The owner's hand over the wire: seen, corrected, versioned, exported and deleted, in memory and in a store."""

from __future__ import annotations

import pytest

from synthesizeme.personas.owner import strike
from synthesizeme.profile import Persona, PersonaSentence, UserProfile
from synthesizeme.profiles import open_store
from synthesizeme.serving.access import Access
from synthesizeme.serving.stores import Breaker, MemoryUsers

SHORT, LISTS = "The user prefers short answers.", "The user likes numbered lists."
PATH = "/v1/users/ann/persona"


def profile(*texts, user="ann"):
    sentences = tuple(PersonaSentence(text=text) for text in texts)
    return UserProfile(user_id=user, persona=Persona(sentences=sentences, made_by="m", prompt_id="t"))


@pytest.fixture(params=["memory", "store"])
def store(request, tmp_path):
    kept = MemoryUsers() if request.param == "memory" else open_store(tmp_path / "s.db")
    yield Breaker(kept)
    kept.close()


@pytest.fixture
def live(serve, stub, store):
    store.put_profile(profile(SHORT, LISTS))
    return serve(stub, store=store)


def test_a_user_sees_corrects_and_takes_away_what_is_believed(live):
    first = live.client.get(PATH).json()
    assert [(it["number"], it["text"], it["by"]) for it in first["sentences"]] == [
        (1, SHORT, "writer"), (2, LISTS, "writer"),
    ]  # fmt: skip
    for change in (
        {"change": "add", "text": "I drink tea."},
        {"change": "pin", "number": 1},
        {"change": "edit", "number": 2, "text": "I like bullet points."},
        {"change": "strike", "number": 3},
    ):
        answer = live.post(PATH, change)
        assert answer.status_code == 200, answer.text
    last = live.client.get(PATH).json()
    assert last == answer.json()
    assert (last["version"], last["struck"]) == (5, [LISTS, "I drink tea."])
    assert [(it["text"], it["by"], it["pinned"]) for it in last["sentences"]] == [
        (SHORT, "writer", True), ("I like bullet points.", "owner", False),
    ]  # fmt: skip
    assert [it["kind"] for it in last["history"]] == ["added", "pinned", "edited", "struck"]
    profiles = live.client.get("/v1/users/ann").json()["profiles"]
    assert [it["version"] for it in profiles] == [1, 2, 3, 4, 5]
    assert profiles[-1]["made_from"] == "version 4, corrected by the user"
    assert live.client.delete("/v1/users/ann").json()["deleted"]["versions"] == 5
    assert live.client.get(PATH).status_code == 404


def test_a_new_user_may_say_something_before_any_choice(live):
    assert live.client.get("/v1/users/new/persona").status_code == 404
    assert live.post("/v1/users/new/persona", {"change": "strike", "number": 1}).status_code == 422
    said = live.post("/v1/users/new/persona", {"change": "add", "text": "Be\nbrief."}).json()
    assert (said["version"], said["sentences"][0]["text"]) == (1, "Be brief.")
    assert live.client.delete("/v1/users/new").status_code == 200


WRONG = [
    ({"change": "add", "text": ""}, "text"),
    ({"change": "add", "text": "x" * 401}, "text"),
    ({"change": "add", "text": "!!"}, "holds no word"),
    ({"change": "add", "text": SHORT}, "says that already (pin sentence 1"),
    ({"change": "add"}, "text"),
    ({"change": "edit", "number": 9, "text": "Tea."}, "there is no sentence 9; there are 1 to 2"),
    ({"change": "pin", "number": "1"}, "number"),
    ({"change": "pin", "number": True}, "number"),
    ({"change": "strike", "number": 0}, "number"),
    ({"change": "strike", "number": 1, "why": "no"}, "why"),
    ({"change": ["add"]}, "expected add, edit, pin, strike"),
    ({}, "expected add, edit, pin, strike"),
]


@pytest.mark.parametrize(("body", "said"), WRONG)
def test_a_change_that_cannot_be_made_is_a_422_and_nothing_is_changed(live, body, said):
    answer = live.post(PATH, body)
    assert answer.status_code == 422
    assert said in answer.text
    assert live.client.get(PATH).json()["version"] == 1


def test_a_number_read_from_an_old_version_changes_nothing(live):
    seen = live.client.get(PATH).json()["version"]
    live.endpoints.users.store.put_profile(profile(LISTS, SHORT))
    answer = live.post(PATH, {"change": "strike", "number": 1, "version": seen})
    assert answer.status_code == 409
    assert "read the latest version and decide again" in answer.json()["error"]
    assert live.post(PATH, {"change": "strike", "number": 1, "version": 2}).json()["struck"] == [LISTS]


def test_only_an_admin_sees_and_corrects_and_ids_may_end_like_the_route(serve, stub, store):
    store.put_profile(profile(SHORT))
    store.put_profile(strike(profile(LISTS, user="ann/persona"), 1))
    tokens = {scope: f"{scope}-token-123456" for scope in ("write", "admin")}
    live = serve(stub, store=store, access=Access(list(tokens.items())))
    for scope, status in (("write", 403), ("admin", 200)):
        head = {"Authorization": f"Bearer {tokens[scope]}"}
        assert live.client.get(PATH, headers=head).status_code == status
        body = {"change": "pin", "number": 1}
        assert live.client.post(PATH, json=body, headers=head).status_code == status
    found = live.client.get("/v1/users/ann%2Fpersona", headers=head).json()
    assert [it["profile"]["struck"] for it in found["profiles"]] == [[LISTS]]
    found = live.client.get("/v1/users/ann%2Fpersona/persona", headers=head).json()
    assert (found["user_id"], found["struck"]) == ("ann/persona", [LISTS])
