"""``synthesizeme simulate``: pairs by role-played and planted users, which no report takes for people's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from synthesizeme.datasets import read_pairs
from synthesizeme.types import respondents


@pytest.fixture
def cast(tmp_path):
    path = tmp_path / "who.jsonl"
    rows = [
        {"user_id": "brief", "persona": "The user strongly prefers short, concise answers."},
        {"user_id": "wordy", "persona": "The user strongly prefers long, detailed answers."},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_played_users_answer_by_their_persona(command, cast, sample, tmp_path):
    out = tmp_path / "pairs.jsonl"
    ran = command("simulate", "--personas", cast, "--pool", sample, "--out", out, "--json")
    assert ran.status == 0, ran.err
    assert (ran.json["respondents"], ran.json["users"], ran.json["asked"]) == ("simulated", 2, 120)
    assert ran.json["usage"]["distinct_calls"] == 240
    pairs = read_pairs(out).pairs
    assert respondents(pairs) == "simulated"
    shorter = {
        user: sum(
            len(p.chosen_text) < len(p.rejected_text) for p in pairs if p.user_id == f"simulated:{user}"
        )
        for user in ("brief", "wordy")
    }
    assert shorter["brief"] > 50
    assert shorter["wordy"] < 10


def test_planted_users_ask_no_model_and_the_seed_decides(command, tmp_path):
    files = [tmp_path / f"{name}.jsonl" for name in "abc"]
    for path, seed in zip(files, (1, 1, 2), strict=True):
        ran = command(
            "simulate", "--planted", 3, "--pairs-per-user", 5, "--noise", 1, "--seed", seed, "--out", path
        )
        assert ran.status == 0, ran.err
        assert "3 simulated users: 15 comparisons, 15 choices, 0 ties, failures 0." in ran.out
    texts = [path.read_bytes() for path in files]
    assert texts[0] == texts[1] != texts[2]


def test_an_induced_persona_is_played_and_measured_as_simulated(command, sample, tmp_path):
    assert (
        command("induce-persona", sample, "--user", "tobias", "--no-evaluate", "--out", tmp_path / "p").status
        == 0
    )
    out = tmp_path / "pairs.jsonl"
    played = command(
        "simulate", "--personas", tmp_path / "p", "--pool", sample, "--pairs-per-user", 20, "--out", out
    )
    assert played.status == 0, played.err
    split = tmp_path / "split.jsonl"
    assert command("data", "split", out, "--out", split).status == 0
    ran = command("evaluate", "--data", split, "--scorers", "longer", "--json")
    assert ran.json["respondents"] == "simulated"
    assert "simulated 20" in command("data", "inspect", out).out


def test_a_mixture_is_refused_and_can_be_taken_apart(command, cast, sample, row, write_rows, tmp_path):
    out = tmp_path / "made.jsonl"
    assert (
        command("simulate", "--personas", cast, "--pool", sample, "--pairs-per-user", 8, "--out", out).status
        == 0
    )
    people = [row(number) for number in range(8)]
    made = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    mixed = write_rows([*people, *made], "mixed.jsonl")
    asked = write_rows([{**it, "split": "test"} for it in [*people, *made]], "asked.jsonl")
    refused = command("evaluate", "--data", asked, "--scorers", "longer")
    assert refused.status == 1
    assert "no figure can speak of both" in refused.err
    ran = command("induce-persona", mixed, "--all-users", "--json")
    assert ran.status == 0, ran.err
    assert all(user["accuracy"] for user in ran.json["users"])
    assert ran.json["pooled"] == {}
    shown = command("induce-persona", mixed, "--all-users")
    assert "people and simulations are not measured together" in shown.out
    ran = command(
        "data", "convert", mixed, "--out", tmp_path / "people.jsonl", "--respondents", "human", "--json"
    )
    assert ran.json["pairs_written"] == 8
    assert respondents(read_pairs(tmp_path / "people.jsonl").pairs) == "human"


def test_who_chose_and_is_also_simulated_is_induced_but_not_measured_on_both(command, row, write_rows):
    splits = ["train"] * 8 + ["validation"] * 4 + ["test"] * 4
    rows = [
        row(number, split=split, metadata={"simulated": {"by": "m", "persona": "p"}} if number % 2 else None)
        for number, split in enumerate(splits)
    ]
    mixed = write_rows(rows, "mixed.jsonl")
    ran = command("induce-persona", mixed, "--json")
    assert ran.status == 0, ran.err
    (user,) = ran.json["users"]
    assert user["persona"]
    assert user["accuracy"] == {}
    assert "not measured:" in ran.err
    assert "no figure can speak of both" in ran.err
    notes = json.loads(Path(user["files"]["profile"]).read_text())["provenance"]["notes"]
    assert "learned from 6 choices of people and 6 of simulations" in notes
    stored = command("induce-persona", mixed, "--store", "s.db", "--all-users", "--json")
    assert (stored.status, stored.json["done"], stored.json["accuracy"]) == (0, 1, {}), stored.err
    pure = [{**it, "metadata": {}} if it["split"] == "test" else it for it in rows]
    ran = command("induce-persona", write_rows(pure, "pure.jsonl"), "--json")
    assert ran.json["users"][0]["accuracy"]["both"]["n"] == 4


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--planted", "2", "--personas", "x"], "not both"),
        ([], "give --personas FILE|DIR or --planted N"),
        (["--personas", "x"], "--pool POOL.jsonl is missing"),
        (["--planted", "2", "--pool", "x"], "leave out --pool"),
    ],
)
def test_flags_that_do_not_go_together(command, tmp_path, arguments, problem):
    ran = command("simulate", "--out", tmp_path / "x.jsonl", *arguments)
    assert ran.status == 2
    assert problem in ran.err


def test_no_choice_at_all_is_a_failure(command, cast, sample, tmp_path):
    replies = tmp_path / "replies.json"
    replies.write_text('["Preference: Tie", "Preference: Tie", "I like both."]')
    ran = command(
        "simulate",
        "--personas",
        cast,
        "--pool",
        sample,
        "--model",
        f"scripted:{replies}",
        "--out",
        tmp_path / "x.jsonl",
    )
    assert ran.status == 1
    assert "none of 120 comparisons got a choice: " in ran.err
    assert "ties, failures parse " in ran.err


@pytest.mark.parametrize("flag", ["--pool", "--personas"])
def test_what_is_read_is_not_written_over(command, cast, sample, tmp_path, flag):
    pool = tmp_path / "pool.jsonl"
    pool.write_bytes(sample.read_bytes())
    read = {"--pool": pool, "--personas": cast}
    before = read[flag].read_bytes()
    refused = command("simulate", "--pool", pool, "--personas", cast, "--out", read[flag])
    assert refused.status == 2
    assert f"is what {flag} reads" in refused.err
    assert read[flag].read_bytes() == before
