"""``induce-persona --evidence``: from the file through a reward model to the persona and what is printed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import reward_models
from synthesizeme.datasets import assign_splits, read_pairs, write_pairs
from synthesizeme.induction.evidence import DEFAULT_METHOD, LIMIT
from synthesizeme.personas.judging_profile import load_profile
from synthesizeme.types import Message


def profile_of(user):
    return load_profile(Path(user["files"]["profile"]))


def history_of(profile):
    return {pair_id for pair_id, split in profile.provenance.splits.items() if split != "test"}


@pytest.fixture
def split(sample, tmp_path):
    """The sample with the splits that seed 0 gives it: the pairs and their file."""
    pairs, _ = assign_splits(read_pairs(sample).pairs, seed=0)
    path = tmp_path / "split.jsonl"
    write_pairs(path, pairs)
    return pairs, path


def other_tests(pairs, path):
    """The same file with other test rows: labels reversed, other texts."""

    def other(pair):
        if pair.split != "test":
            return pair
        shouted = Message(role="assistant", content="WOW!!! 😀 " * 200)
        return pair.model_copy(update={"chosen": (shouted,), "rejected": pair.chosen})

    write_pairs(path, [other(pair) for pair in pairs])
    return path


def test_the_persona_says_what_stands_behind_it(command, sample):
    ran = command("induce-persona", sample, "--user", "tobias", "--evidence")
    assert ran.status == 0, ran.err
    shown = " ".join(ran.out.split())
    (folder,) = [path for path in Path("out").iterdir() if path.is_dir()]
    profile = load_profile(folder / "profile.json")
    evidence = profile.provenance.evidence
    assert 1 <= len(evidence) <= LIMIT
    assert {pair_id for item in evidence for pair_id in item.pair_ids} <= history_of(profile)
    source = f"{DEFAULT_METHOD} fitted to 48 train and validation pairs of 3 users"
    assert profile.provenance.settings["evidence_model"] == source
    cited = {name for sentence in profile.persona.sentences for name in sentence.evidence}
    assert cited
    assert cited <= {item.feature for item in evidence}
    named = {
        item.feature: f"{item.feature} {item.weight:+.2f} ± {item.standard_error:.2f}" for item in evidence
    }
    markdown = (folder / "persona.md").read_text(encoding="utf-8")
    for feature in cited:
        assert named[feature] in shown
        assert named[feature].replace("_", r"\_") in markdown
    assert "evidence: " in shown
    assert f"{len(evidence)} items, difference from most people ± standard error" in shown


def test_without_the_flag_nothing_changes_and_the_cache_serves_both(command, sample):
    plain = command("induce-persona", sample, "--user", "ilse", "--json").json["users"][0]
    flags = ("--evidence", "--out", "told", "--json")
    told = command("induce-persona", sample, "--user", "ilse", *flags).json["users"][0]
    again = command("induce-persona", sample, "--user", "ilse", "--json").json["users"][0]
    assert again["usage"]["cached_calls"] == again["usage"]["distinct_calls"]
    assert again["persona"] == plain["persona"]
    assert told["usage"]["cached_calls"] >= 12  # the verdicts that come before the persona
    assert set(told) - set(plain) == {"evidence"}
    profile = profile_of(told)
    assert told["evidence"] == [item.model_dump(mode="json") for item in profile.provenance.evidence]


def test_the_evidence_never_comes_from_test_rows(command, split):
    pairs, path = split
    found = [
        command("induce-persona", path, "--all-users", "--no-evaluate", "--evidence", "--json").json["users"]
        for path in (path, other_tests(pairs, path.with_name("other.jsonl")))
    ]
    for before, after in zip(*found, strict=True):
        assert before.get("evidence") == after.get("evidence")
        assert before["persona"] == after["persona"]
    named = [{i for item in user.get("evidence", ()) for i in item["pair_ids"]} for user in found[0]]
    assert any(named)
    assert all(ids <= history_of(profile_of(user)) for ids, user in zip(named, found[0], strict=True))


def test_the_split_of_the_induction_holds_for_the_evidence_too(command, sample):
    for seed in (1, 2):
        users = command(
            "induce-persona", sample, "--all-users", "--no-evaluate", "--evidence", "--seed", seed, "--json"
        )
        for user in users.json["users"]:
            ids = {pair_id for item in user.get("evidence", ()) for pair_id in item["pair_ids"]}
            assert ids <= history_of(profile_of(user))


def test_a_checkpoint_gives_evidence_about_the_history_in_the_file_alone(command, split, tmp_path):
    pairs, path = split
    model = reward_models.method(DEFAULT_METHOD)()
    model.fit(
        [pair.model_copy(update={"split": "train"}) for pair in pairs]
    )  # has seen what is a test row here
    model.save(tmp_path / "seen")
    model.fit([pair for pair in pairs if pair.user_id != "tobias" and pair.split != "test"])
    model.save(tmp_path / "strange")
    for name in ("seen", "strange"):
        ran = command(
            "induce-persona",
            path,
            "--user",
            "tobias",
            "--no-evaluate",
            "--evidence",
            "--reward-model",
            name,
            "--json",
        )
        assert ran.status == 0, ran.err
        (user,) = ran.json["users"]
        profile = profile_of(user)
        expected = reward_models.load(tmp_path / name).fit_user(
            "tobias", [pair for pair in pairs if pair.user_id == "tobias" and pair.split != "test"]
        )
        assert list(profile.provenance.evidence) == expected.evidence("tobias", limit=LIMIT)
        assert profile.provenance.settings["evidence_model"] == f"{DEFAULT_METHOD} of the checkpoint {name}"
    alone = command(
        "induce-persona", path, "--user", "tobias", "--no-evaluate", "--reward-model", name, "--json"
    )
    assert alone.json["users"][0]["evidence"] == user["evidence"]


def test_a_dry_run_fits_nothing(command, sample):
    ran = command("induce-persona", sample, "--user", "tobias", "--reward-model", "nowhere", "--dry-run")
    assert ran.status == 0, ran.err


@pytest.mark.parametrize(
    ("place", "status", "said"), [("", 2, "is empty"), ("nowhere", 1, "no checkpoint can be read")]
)
def test_a_checkpoint_that_is_none_is_refused_before_any_call(command, sample, tmp_path, place, status, said):
    ran = command("induce-persona", sample, "--user", "tobias", "--reward-model", place)
    assert ran.status == status
    assert said in ran.err
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "cache").exists()


def test_users_without_a_history_or_a_usable_split_go_their_own_way(command, row, write_rows):
    rows = [row(n, split="train") for n in range(4)] + [row(9, split="validation")]
    rows += [row(10 + n, user_id="bob", split="test") for n in range(3)]
    rows += [row(20, user_id="eve", split="train"), row(21, user_id="eve")]
    ran = command("induce-persona", write_rows(rows), "--all-users", "--evidence", "--json")
    users = {user["user_id"]: user for user in ran.json["users"]}
    assert set(users) == {"ann", "bob"}
    assert users["ann"]["evidence"]
    assert "evidence" not in users["bob"]
    assert [failed["user_id"] for failed in ran.json["failed"]] == ["eve"]


def test_a_file_whose_rows_are_all_test_rows_gives_none(command, row, write_rows):
    ran = command(
        "induce-persona", write_rows([row(n, split="test") for n in range(3)]), "--evidence", "--json"
    )
    assert ran.status == 0, ran.err
    assert "evidence" not in ran.json["users"][0]


def test_a_configuration_file_may_ask_for_it(command, sample, tmp_path):
    (tmp_path / "c.toml").write_text("evidence = true\nno-evaluate = true\n")
    ran = command("induce-persona", sample, "--user", "tobias", "--config", "c.toml", "--json")
    assert ran.status == 0, ran.err
    assert json.dumps(ran.json["users"][0]["evidence"])
