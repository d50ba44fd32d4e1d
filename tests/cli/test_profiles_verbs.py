"""The verbs of `synthesizeme profiles` on a store in a file."""

from __future__ import annotations

import base64
import io
import json
import sys

import pytest

from synthesizeme.profile import Persona, PersonaSentence, UserProfile
from synthesizeme.profiles import open_store
from synthesizeme.profiles.folder import save_profile


def profile(user_id, *sentences):
    texts = tuple(PersonaSentence(text=text) for text in sentences)
    return UserProfile(user_id=user_id, persona=Persona(sentences=texts, made_by="test", prompt_id="theta@1"))


@pytest.fixture
def filled(command, tmp_path, sample):
    """A store with the pairs of the sample and a profile of mara and of one who is not in it."""
    for user in ("mara", "a\x1b[2Jb"):
        save_profile(tmp_path / "made", profile(user, "Likes ships.", f"Is {user}."), {})
    ran = command("profiles", "import", "made", "--store", "s.db", "--data", sample)
    assert ran.status == 0, ran.err
    assert ran.out == "2 profiles stored, 0 there already.\n60 pairs stored, 0 there already.\n"
    return "s.db"


def test_import_twice_changes_nothing_and_a_new_profile_is_a_new_version(command, filled, tmp_path, sample):
    again = command("profiles", "import", "made", "--store", filled, "--data", sample, "--json").json
    assert again == {
        "profiles": {"new": 0, "unchanged": 2},
        "pairs": {"new": 0, "unchanged": 60},
        "feedback": {"new": 0, "unchanged": 0},
        "words": {"new": 0, "unchanged": 0},
    }
    save_profile(tmp_path / "made", profile("mara", "Likes boats.", "Is mara."), {})
    assert command("profiles", "import", "made", "--store", filled, "--json").json["profiles"] == {
        "new": 1,
        "unchanged": 1,
    }
    ran = command("profiles", "diff", "1", "2", "--user", "mara", "--store", filled)
    assert ran.out == "- Likes ships.\n+ Likes boats.\n"
    found = command("profiles", "diff", "1", "2", "--user", "mara", "--store", filled, "--json").json
    assert (found["earlier"], found["later"]) == (1, 2)
    assert [it["text"] for it in found["sentences_added"]] == ["Likes boats."]


def test_import_takes_ratings_and_ties_beside_pairs_and_says_so(command, tmp_path):
    asked = {"user_id": "ann", "prompt": "How deep is a fathom?"}
    two = {**asked, "response_a": "Six feet.", "response_b": "A unit."}
    rows = [
        {**two, "winner": "a"},
        {**two, "winner": "tie"},
        {**two, "winner": "tie", "prompt": "Q?", "split": "test"},
    ]
    (tmp_path / "said.json").write_text(json.dumps(rows))
    arguments = ("profiles", "import", "--store", "s.db", "--data", tmp_path / "said.json")
    assert "1 piece of other feedback stored, 0 there already." in command(*arguments).out
    assert command(*arguments, "--json").json["feedback"] == {"new": 0, "unchanged": 1}
    found = command("profiles", "export", "--user", "ann", "--store", "s.db").json
    assert ([it["kind"] for it in found["feedback"]], len(found["pairs"])) == (["tie"], 1)


def test_import_leaves_rows_of_the_test_split_out(command, tmp_path, row, write_rows):
    save_profile(tmp_path / "made", profile("ann", "Likes ships."), {})
    rows = write_rows([row(0, split="train"), row(1, split="test"), row(2)])
    command("profiles", "import", "made", "--store", "s.db", "--data", rows)
    pairs = command("profiles", "export", "--user", "ann", "--store", "s.db").json["pairs"]
    assert [pair["pair_id"] for pair in pairs] == ["p0", "p2"]


def test_list_pages_through_the_users(command, filled):
    ran = command("profiles", "list", "--store", filled)
    assert sorted(ran.out.splitlines()) == [
        r"a\x1b[2Jb  0 pairs, profile version 1",
        "ilse  20 pairs, no profile",
        "mara  20 pairs, profile version 1",
        "tobias  20 pairs, no profile",
    ]
    seen, after = [], ()
    while True:
        page = command("profiles", "list", "--store", filled, "--limit", "3", "--json", *after).json
        seen += [user["user_id"] for user in page["users"]]
        if page["after"] is None:
            break
        after = ("--after", page["after"])
    assert sorted(seen) == ["a\x1b[2Jb", "ilse", "mara", "tobias"]


def test_show_says_who_the_user_is_and_how_that_came(command, filled):
    ran = command("profiles", "show", "--user", "a\x1b[2Jb", "--store", filled)
    assert "\x1b" not in ran.out
    assert "Likes ships." in ran.out
    assert ran.out.count("version 1, ") == 2
    found = command("profiles", "show", "--user", "mara", "--store", filled, "--json").json
    assert UserProfile.model_validate(found["profile"]) == profile("mara", "Likes ships.", "Is mara.")
    assert [it["made_from"] for it in found["versions"]] == ["written by hand"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("show", "--user", "ilse"), "user 'ilse' has no profile in this store. Cure: `synthesizeme profiles list`"),
        (("show", "--user", "mara", "--version", "7"), "has no version 7 of a profile in this store. Cure: the latest versions are 1"),
        (("export", "--user", "nobody"), "user 'nobody' is not in this store"),
        (("diff", "1", "2", "--user", "mara"), "no version 2 of this profile; there are 1 to 1"),
        (("roll-back", "3", "--user", "mara"), "no version 3 of this profile; there are 1 to 1"),
    ],
)  # fmt: skip
def test_what_is_not_there_is_said_with_a_cure(command, filled, arguments, said):
    ran = command("profiles", *arguments, "--store", filled)
    assert (ran.status, ran.out) == (1, "")
    assert said in ran.err


def test_roll_back(command, filled):
    with open_store(filled) as store:
        store.put_profile(profile("mara", "Likes boats."))
    ran = command("profiles", "roll-back", "1", "--user", "mara", "--store", filled)
    assert ran.out == "Version 1 is the latest again, as version 3.\n"
    assert (
        command("profiles", "roll-back", "2", "--user", "mara", "--store", filled, "--json").json["version"]
        == 4
    )


def test_export_to_a_file_or_standard_output(command, filled, tmp_path):
    document = command("profiles", "export", "--user", "mara", "--store", filled).json
    assert (len(document["pairs"]), len(document["profiles"])) == (20, 1)
    ran = command("profiles", "export", "--user", "mara", "--store", filled, "--out", "mara.json")
    assert ran.out == ""
    assert json.loads((tmp_path / "mara.json").read_text(encoding="utf-8")) == document


def test_delete_asks_first(command, filled, monkeypatch, tmp_path):
    for answer, status in (("n\n", 130), ("", 130), ("y\n", 0)):
        monkeypatch.setattr(sys, "stdin", io.StringIO(answer))
        ran = command("profiles", "delete", "--user", "mara", "--store", filled, "--json")
        assert "Delete everything about mara from s.db?" in ran.err
        assert ran.status == status
        assert b"mara" in (tmp_path / filled).read_bytes() or status == 0
    assert ran.json == {"user_id": "mara", "pairs": 20, "versions": 1, "words": False, "feedback": 0}
    ran = command("profiles", "delete", "--user", "ilse", "--store", filled, "--yes")
    assert ran.out == "Deleted 20 pairs and 0 versions of a profile.\n"
    left = b"".join(path.read_bytes() for path in tmp_path.glob("s.db*"))
    assert b"mara" not in left
    assert b"ilse" not in left
    assert b"tobias" in left


def test_the_question_before_a_deletion_hides_the_password(command, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("n\n"))
    ran = command("profiles", "delete", "--user", "ada", "--store", "postgresql://me:hunter2@host/db")
    assert "from postgresql://host/db?" in ran.err
    assert "hunter2" not in ran.err


def test_a_key_file_encrypts_a_new_store_and_is_needed_from_then_on(command, tmp_path, sample):
    save_profile(tmp_path / "made", profile("mara", "Likes ships."), {})
    (tmp_path / "key").write_bytes(base64.b64encode(b"k" * 32))
    (tmp_path / "key").chmod(0o600)
    ran = command("profiles", "import", "made", "--store", "s.db", "--data", sample, "--key-file", "key")
    assert ran.status == 0, ran.err
    assert not [path for path in tmp_path.glob("s.db*") if b"mara" in path.read_bytes()]
    ran = command("profiles", "list", "--store", "s.db")
    assert ran.status == 1
    assert "is encrypted and no key was given. Cure: name its key with --key-file" in ran.err
    assert (
        len(command("profiles", "list", "--store", "s.db", "--key-file", "key", "--json").json["users"]) == 3
    )


def test_migrate_says_what_it_did_and_a_bad_url_is_wrong_usage(command):
    assert command("profiles", "migrate", "--store", "s.db").out == "At revision 0004; it was at none.\n"
    assert command("profiles", "migrate", "--store", "s.db").out == "At revision 0004 already.\n"
    assert command("profiles", "migrate", "--store", "s.db", "--json").json == {
        "before": "0004",
        "now": "0004",
    }
    ran = command("profiles", "list", "--store", "mysql://x/y")
    assert ran.status == 2
    assert "'mysql' is no database known here; expected a path, sqlite:///PATH or postgresql://" in ran.err


def test_a_configuration_file_names_the_store(command, filled, tmp_path):
    (tmp_path / "c.toml").write_text('store = "s.db"\nuser = "mara"\n')
    ran = command("profiles", "show", "--config", "c.toml")
    assert ran.status == 0, ran.err
    assert "Likes ships." in ran.out


@pytest.mark.parametrize("verb", ["list", "show", "export", "delete", "roll-back", "diff"])
def test_a_mistyped_path_is_said_and_not_made(command, tmp_path, verb):
    numbers = {"roll-back": ["1"], "diff": ["1", "2"]}.get(verb, [])
    user = [] if verb == "list" else ["--user", "mara"]
    sure = ["--yes"] if verb == "delete" else []
    ran = command("profiles", verb, *numbers, *user, *sure, "--store", "sotre.db")
    assert ran.status == 1
    assert "sotre.db: there is no such file. Cure: check the path" in ran.err
    assert not list(tmp_path.glob("*.db*"))


WORDS = {"user_id": "ilse", "about": "I am a \x1b[2Jbaker.", "wishes": ["Be brief."], "own_answers": {"Why?": "So."},
         "demographics": {"age": "60+"}}  # fmt: skip


def test_words_are_imported_listed_shown_and_exported(command, filled, write_rows, sample):
    path = write_rows([WORDS, {"user_id": "newcomer", "about": "Only words."}], name="words.jsonl")
    ran = command("profiles", "import", "--store", filled, "--about", path)
    assert (ran.status, ran.out) == (0, "Words of 2 users stored, 0 there already.\n")
    again = command("profiles", "import", "--store", filled, "--about", path, "--json").json
    assert again["words"] == {"new": 0, "unchanged": 2}
    listed = command("profiles", "list", "--store", filled).out
    assert "ilse  20 pairs, no profile, own words\n" in listed
    assert "newcomer  0 pairs, no profile, own words\n" in listed
    assert "words of 2 users" in command("profiles", "status", "--store", filled).out
    assert command("profiles", "words", "--user", "ilse", "--store", filled).out.splitlines() == [
        "Why? So.", "about: I am a \\x1b[2Jbaker.", "wish: Be brief.", "age: 60+",
    ]  # fmt: skip
    found = command("profiles", "export", "--user", "ilse", "--store", filled).json
    assert found["format"] == "synthesizeme-user-2"
    assert found["words"]["about"] == WORDS["about"]
    assert command("profiles", "words", "--user", "ilse", "--store", filled, "--json").json["wishes"] == [
        "Be brief."
    ]


def test_words_are_dropped_alone_or_with_the_user(command, filled, write_rows):
    path = write_rows([WORDS, {**WORDS, "user_id": "mara"}], name="words.jsonl")
    command("profiles", "import", "--store", filled, "--about", path)
    assert (
        "Dropped the words of ilse."
        in command("profiles", "words", "--user", "ilse", "--store", filled, "--forget").out
    )
    again = command("profiles", "words", "--user", "ilse", "--store", filled)
    assert again.status == 1
    assert "has no words in this store" in again.err
    assert len(command("profiles", "export", "--user", "ilse", "--store", filled).json["pairs"]) == 20
    gone = command("profiles", "delete", "--user", "mara", "--store", filled, "--yes")
    assert gone.out == "Deleted 20 pairs and 1 version of a profile, and the user's words.\n"


def test_import_of_nothing_or_of_wrong_words_stores_nothing(command, write_rows, tmp_path):
    nothing = command("profiles", "import", "--store", "s.db")
    assert nothing.status == 2
    assert "expected DIR, --data PAIRS or --about FILE" in nothing.err
    path = write_rows([{**WORDS, "abuot": "x"}], name="words.jsonl")
    wrong = command("profiles", "import", "--store", "s.db", "--about", path)
    assert wrong.status == 1
    assert "words.jsonl:1: field 'abuot'" in wrong.err
    assert not (tmp_path / "s.db").exists()
