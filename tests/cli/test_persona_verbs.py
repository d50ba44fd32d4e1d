"""`synthesizeme persona` on a folder, one profile and a store, and an induction after it."""

from __future__ import annotations

import json

import pytest

from synthesizeme.datasets import read_pairs
from synthesizeme.personas.judging_profile import load_profile
from synthesizeme.personas.owner import add
from synthesizeme.profiles import open_store
from synthesizeme.profiles.folder import folder_name

OWN = "I want the answer first."


@pytest.fixture
def induced(command, sample):
    """The folder of mara's profile, made without an evaluation."""
    ran = command(
        "induce-persona", sample, "--user", "mara", "--out", "out", "--no-evaluate", "--effort", "low"
    )
    assert ran.status == 0, ran.err
    return "out"


def persona(command, *words, store="out"):
    ran = command("persona", *words, "--store", store, "--json")
    assert ran.status == 0, ran.err
    return ran.json


def texts(found):
    return [it["text"] for it in found["sentences"]]


@pytest.mark.parametrize("place", ["folder", "one user", "file"])
def test_a_profile_on_disk_is_corrected_with_what_stands_beside_it(command, induced, tmp_path, place):
    own = tmp_path / "out" / folder_name("mara")
    store = {"folder": "out", "one user": own, "file": own / "profile.json"}[place]
    (own / "evaluation.json").write_text("{}")
    before = texts(persona(command, "show"))
    assert before
    found = persona(command, "add", OWN, store=store)
    (number,) = (it["number"] for it in found["sentences"] if it["text"] == OWN)
    found = persona(command, "pin", number, store=store)
    found = persona(command, "edit", number, "Answer first.", store=store)
    found = persona(command, "strike", "1", store=store)
    assert found == persona(command, "show")
    assert sorted(texts(found)) == sorted([*before[1:], "Answer first."])
    assert found["struck"] == [OWN, before[0]]
    for name in ("judge_prompt.json", "generation_prompt.json", "persona.md"):
        text = (own / name).read_text()
        assert "Answer first." in text
        assert name == "persona.md" or before[0] not in text
    assert (own / "evaluation.json").read_text() == "{}"
    assert not list(own.glob("*.partial"))
    told = command("persona", "history", "--store", store).out
    assert [line.split()[3] for line in told.splitlines()] == ["added", "pinned", "edited", "struck"]
    assert persona(command, "history")["history"] == found["history"]
    assert "the user's own words, pinned" in command("persona", "show", "--store", store).out


def test_a_second_induction_keeps_the_corrections_and_tries_the_own_sentence(command, induced, sample):
    struck = texts(persona(command, "show"))[0]
    persona(command, "strike", "1")
    persona(command, "add", "The user prefers answers with many exclamation marks.")
    again = ("induce-persona", sample, "--user", "mara", "--out", "out", "--no-evaluate", "--effort", "low")
    assert command(*again).status == 0
    found = persona(command, "show")
    own = found["sentences"][0]
    assert (own["by"], own["text"]) == ("owner", "The user prefers answers with many exclamation marks.")
    assert own["against"]
    assert struck not in texts(found)
    assert [it["kind"] for it in found["history"]] == ["struck", "added"]
    load_profile("out").save("out")
    assert persona(command, "show") == found


def test_a_fit_in_python_that_knows_nothing_of_the_corrections_does_not_lose_them(command, induced):
    fresh = load_profile("out")
    persona(command, "strike", "1")
    persona(command, "add", OWN)
    fresh.save("out")
    assert OWN in texts(persona(command, "show"))
    assert fresh.persona.sentences[0].text not in texts(persona(command, "show"))
    add(load_profile("out"), "I drink tea.").save("out")
    found = persona(command, "show")["sentences"]
    assert [it["text"] for it in found if it["by"] == "owner"] == [OWN, "I drink tea."]


def test_a_store_keeps_every_version_and_an_induction_goes_on_from_the_latest(command, sample):
    run = ("induce-persona", "--store", "s.db", "--all-users", "--no-evaluate", "--effort", "low")
    command("profiles", "import", "--store", "s.db", "--data", sample)
    first = persona(command, "add", OWN, "--user", "mara", store="s.db")
    assert texts(first) == [OWN]
    assert command(*run).status == 0
    found = persona(command, "show", "--user", "mara", store="s.db")
    assert found["sentences"][0]["text"] == OWN
    assert found["sentences"][0]["silent"] is not None
    persona(command, "strike", str(len(found["sentences"])), "--user", "mara", store="s.db")
    again = command(*run, "--seed", "1")
    assert again.status == 0, again.err
    found = persona(command, "show", "--user", "mara", store="s.db")
    assert found["struck"][0] not in texts(found)
    with open_store("s.db") as store:
        made = [note.made_from for note in store.versions("mara")]
        assert len(made) == 4
        assert [made[0], made[2]] == ["the user's own words", "version 2, corrected by the user"]
        assert json.dumps(OWN) in json.dumps(store.export("mara"))
        assert store.delete("mara").versions == 4
    ran = command("persona", "show", "--store", "s.db", "--user", "mara")
    assert ran.status != 0


def test_a_profile_that_is_imported_anew_keeps_what_was_corrected_in_the_store(command, induced):
    assert command("profiles", "import", "out", "--store", "s.db").status == 0
    struck = texts(persona(command, "show", store="s.db"))[0]
    persona(command, "add", OWN, store="s.db")
    persona(command, "strike", "1", store="s.db")
    for _ in range(2):
        taken = command("profiles", "import", "out", "--store", "s.db", "--json").json["profiles"]
        found = persona(command, "show", store="s.db")
        assert OWN in texts(found)
        assert struck not in texts(found)
        assert len(found["history"]) == 2
    assert taken == {"new": 0, "unchanged": 1}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("add", ""), "is empty"),
        (("add", "x" * 401), "has 401 characters; expected at most 400"),
        (("edit", "1", "?!"), "holds no word"),
        (("pin", "99"), "there is no sentence 99; there are 1 to"),
        (("show", "--user", "nobody"), "has no profile of 'nobody'. Its users: mara"),
        (("add", OWN, "--user", "nobody"), "has no profile of 'nobody'. Its users: mara"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_says_why_and_loses_nothing(command, induced, tmp_path, words, said):
    own = tmp_path / "out" / folder_name("mara")
    before = {path.name: path.read_bytes() for path in own.iterdir()}
    ran = command("persona", *words, "--store", "out")
    assert ran.status != 0
    assert said in ran.err
    assert "Cure: " in ran.err or "Its users" in ran.err
    assert {path.name: path.read_bytes() for path in own.iterdir()} == before


def test_a_store_is_named_and_a_user_that_nothing_is_known_of_is_not_made(command, sample):
    assert "--store is missing" in command("persona", "show").err
    command("profiles", "import", "--store", "s.db", "--data", sample)
    ran = command("persona", "add", OWN, "--store", "s.db", "--user", "typo")
    assert ran.status != 0
    assert "holds no profile" in ran.err


def test_a_stored_profile_is_shown_with_how_its_sentences_fared_since(command, induced, sample):
    profile = load_profile("out", "mara")
    known = {name for name, part in profile.provenance.splits.items() if part != "test"}
    pairs = [it for it in read_pairs(sample).pairs if it.user_id == "mara"]
    turned = [it.swapped_labels().model_copy(update={"pair_id": f"later-{it.pair_id}"}) for it in pairs]
    with open_store("s.db") as store:
        store.add_pairs("mara", [it for it in pairs if it.pair_id in known])
        store.put_profile(profile, made_from="hand")
        assert {it["since"] for it in persona(command, "show", store="s.db")["sentences"]} == {""}
        store.add_pairs("mara", turned)
    told = command("persona", "show", "--store", "s.db").out
    assert "since it was written held in 0 of " in told
    first = persona(command, "show", store="s.db")["sentences"][0]
    assert (first["record"], first["since"][:10]) == (profile.persona.sentences[0].record, "held in 0 ")
