from __future__ import annotations

import json
import os
import string
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthesizeme.errors import ConfigError, DataError
from synthesizeme.personas.judging_profile import load_profile
from synthesizeme.profile import Persona, PersonaSentence, Provenance, UserProfile
from synthesizeme.profiles import open_profiles, open_store
from synthesizeme.profiles.folder import (
    ProfileFolder,
    folder_name,
    refuse_replacing,
    save_profile,
)

SAFE = set(string.ascii_letters + string.digits + "-")


def profile(user_id="ada", text="The user likes ships."):
    sentences = (PersonaSentence(text=text, pair_ids=("p1",)),)
    return UserProfile(
        user_id=user_id, persona=Persona(sentences=sentences, made_by="test", prompt_id="theta@1")
    )


@given(st.text(min_size=1))
def test_a_folder_name_is_safe_whatever_the_user_is_called(user_id):
    name = folder_name(user_id)
    assert set(name) <= SAFE
    assert len(name) <= 51
    assert not name.startswith("-")
    assert name == folder_name(user_id)


def test_folder_names_are_readable_and_differ_where_only_the_case_or_a_mark_does():
    assert folder_name("../ann/the 1st").startswith("ann-the-1st-")
    assert folder_name("🙂").startswith("user-")
    names = [folder_name(user) for user in ("ann", "Ann", "ann ", "a/nn", "a.nn", "x" * 10_000, "x" * 9_999)]
    assert len({name.lower() for name in names}) == len(names)


def test_profiles_come_back_by_user_id(tmp_path):
    users = ["ada", "a/../b", "line\nbreak", "🙂", "x" * 10_000]
    for user in users:
        save_profile(tmp_path, profile(user), {"persona.md": "text"})
    found = ProfileFolder(tmp_path)
    assert set(found) == set(users)
    assert len(found) == len(users)
    assert all(found[user] == profile(user) for user in users)
    assert "nobody" not in found
    with pytest.raises(KeyError):
        found["nobody"]
    assert json.loads((tmp_path / "index.json").read_text()) == {user: folder_name(user) for user in users}


def test_saving_again_replaces_and_removes_what_is_no_longer_there(tmp_path):
    save_profile(tmp_path, profile(), {"persona.md": "old", "evaluation.json": "{}"})
    paths = save_profile(tmp_path, profile(text="New."), {"persona.md": "new"})
    assert paths["persona.md"].read_text() == "new"
    assert ProfileFolder(tmp_path)["ada"].persona.text == "New."
    assert sorted(path.name for path in paths["persona.md"].parent.iterdir()) == [
        "persona.md",
        "profile.json",
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == [folder_name("ada"), "index.json"]


def test_a_profile_is_found_in_any_kind_of_place(tmp_path):
    files = save_profile(tmp_path / "folder", profile(), {})
    with open_store(tmp_path / "store.db") as store:
        store.put_profile(profile())
    own = files["profile.json"]
    for place in (
        tmp_path / "folder",
        own.parent,
        own,
        tmp_path / "store.db",
        f"sqlite:///{tmp_path}/store.db",
    ):
        with open_profiles(place) as found:
            assert dict(found) == {"ada": profile()}, place
        assert load_profile(place) == load_profile(str(place), user="ada") == profile()
        with pytest.raises(ConfigError, match=r"has no profile of 'bob'\. Its users: ada"):
            load_profile(place, user="bob")
    save_profile(tmp_path / "folder", profile("bob"), {})
    with pytest.raises(ConfigError, match=r"has profiles of 2 users; name one with --user ID"):
        load_profile(tmp_path / "folder")


def made_of(*pair_ids, user_id="ada"):
    how = Provenance(
        model="m", model_kind="k", search="economical", effort="low", seed=0, split_rule="given",
        splits=dict.fromkeys(pair_ids, "train"),
    )  # fmt: skip
    return profile(user_id).model_copy(update={"provenance": how})


def test_a_profile_is_written_over_an_earlier_one_of_the_same_user_alone(tmp_path):
    own = tmp_path / folder_name("ada")
    save_profile(tmp_path, made_of("p1", "p2"), {})
    save_profile(tmp_path, made_of("p2", "p3"), {})
    save_profile(tmp_path, profile(), {})
    save_profile(tmp_path, made_of("p9"), {})
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.json")}
    with pytest.raises(
        DataError, match=r"of a user 'ada' that was made of 1 other pairs.*Cure: name another"
    ):
        save_profile(tmp_path, made_of("p1"), {})
    with pytest.raises(DataError, match=r"is the folder of one user.*Cure: name the folder above it"):
        save_profile(own, profile("bob"), {})
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.json")} == before
    (own / "profile.json").write_text(profile("bob").to_json())
    with pytest.raises(DataError, match=r"holds the profile of user 'bob'; expected that of 'ada'"):
        save_profile(tmp_path, profile(), {})
    (own / "profile.json").rename(own / "notes.json")
    with pytest.raises(DataError, match=r"holds files and no profile.json"):
        save_profile(tmp_path, profile(), {})
    assert [path.name for path in own.iterdir()] == ["notes.json"]
    (own / "notes.json").unlink()
    assert save_profile(tmp_path, profile(), {})["profile.json"].is_file()
    (tmp_path / "index.json").write_text("[]")
    with pytest.raises(DataError, match=r"index\.json"):
        refuse_replacing(tmp_path, "bob")


def test_a_write_that_fails_leaves_nothing(tmp_path, monkeypatch):
    written = []

    def full(descriptor):
        written.append(descriptor)
        if len(written) == 2:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match="No space left"):
        save_profile(tmp_path / "out", profile(), {"persona.md": "text"})
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("index", ["[]", "{", '{"a": "../../etc"}', '{"a": 3}', '{"a": ""}'])
def test_an_index_that_is_none_or_points_elsewhere_is_refused(tmp_path, index):
    (tmp_path / "index.json").write_text(index)
    with pytest.raises(DataError, match=r"index\.json"):
        ProfileFolder(tmp_path)


def test_a_profile_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        load_profile(tmp_path / "none.json")
    (tmp_path / "bad.json").write_text('{"user_id": "a", "shoes": 3}')
    with pytest.raises(DataError, match=r"bad.json: field 'shoes'"):
        load_profile(tmp_path / "bad.json")
    with pytest.raises(DataError, match=r"no index\.json"):
        ProfileFolder(tmp_path)


def test_processes_that_write_at_once_lose_nobody_from_the_index(tmp_path):
    start = (
        "import sys; from pathlib import Path; from synthesizeme.profile import UserProfile\n"
        "from synthesizeme.profiles.folder import save_profile\n"
        "for n in range(20): save_profile(Path(sys.argv[1]), UserProfile(user_id=f'{sys.argv[2]}-{n}'), {})"
    )
    running = [subprocess.Popen([sys.executable, "-c", start, str(tmp_path), name]) for name in "abc"]
    assert [process.wait(timeout=120) for process in running] == [0, 0, 0]
    assert set(ProfileFolder(tmp_path)) == {f"{name}-{n}" for name in "abc" for n in range(20)}
