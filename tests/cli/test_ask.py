"""``synthesizeme ask``: the questions, for people and programs; answers recorded and learned from at once."""

from __future__ import annotations

import io
import json
import sys

import pytest

from synthesizeme.cli import main
from synthesizeme.datasets import read_feedback, read_pairs
from synthesizeme.discovery import resource

SAMPLE = resource("data/sample/pairs.jsonl")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("asked") / "m"
    given = ["--method", "hierarchical-stylometric", "--data", str(SAMPLE), "--out", str(folder)]
    assert main(["train", *given]) == 0
    return folder


@pytest.fixture
def ask(command, trained, monkeypatch):
    """Runs `ask` about the sample, with these lines on standard input."""

    def run(*arguments, user="new", said="", pool=SAMPLE):
        monkeypatch.setattr(sys, "stdin", io.StringIO(said))
        return command("ask", "--reward-model", trained, "--user", user, "--pool", pool, *arguments)

    return run


def test_json_gives_the_questions_and_no_label(ask):
    ran = ask("--n", 3, "--json")
    assert ran.status == 0, ran.err
    found = ran.json
    assert (found["left"], found["answered"], len(found["questions"])) == (60, 0, 3)
    rows = {pair.pair_id: pair for pair in read_pairs(SAMPLE).pairs}
    for question in found["questions"]:
        pair = rows[question["pair_id"]]
        assert {question["first"], question["second"]} == {pair.chosen_text, pair.rejected_text}
        assert 0 < question["probability_first"] < 1
        assert question["information_bits"] > 0
    assert ask("--n", 3, "--json").json == found


def test_people_see_the_prompt_both_answers_and_the_information(ask):
    ran = ask()
    assert ran.status == 0
    assert "bits expected; P(1) = " in ran.out
    assert "user: " in ran.out
    assert ran.out.index("--- 1 ---") < ran.out.index("--- 2 ---")


def test_answers_are_recorded_and_the_next_run_goes_on(ask, tmp_path):
    kept = tmp_path / "answers.jsonl"
    first = ask("--out", kept, "--json", said="1\ns\nmaybe\n2\nq\n1\n")
    assert first.status == 0, first.err
    assert "Found 'maybe'; expected 1, 2, s or q." in first.err
    assert (first.json["answered"], first.json["skipped"], first.json["left"]) == (2, 1, 57)
    pairs = read_pairs(kept).pairs
    assert [pair.pair_id for pair in pairs] == first.json["pairs"]
    assert {pair.user_id for pair in pairs} == {"new"}
    assert all(not pair.simulated and pair.metadata["information_bits"] > 0 for pair in pairs)
    again = ask("--out", kept, "--n", 2, said="1\n1\n1\n")
    assert again.status == 0
    assert "2 answers recorded, 0 skipped, 56 left." in again.err
    assert len({pair.pair_id for pair in read_pairs(kept).pairs}) == 4


def test_answers_go_into_a_store_and_come_back_from_it(ask, command, tmp_path):
    pytest.importorskip("sqlalchemy", reason="the store of profiles needs the extra `store`")
    store, kept = tmp_path / "users.db", tmp_path / "answers.jsonl"
    assert ask("--out", kept, "--store", store, "--n", 2, said="1\n2\n").status == 0
    assert "2 pairs" in command("profiles", "list", "--store", store).out
    assert ask("--store", store, "--json").json["answered"] == 2


def test_a_user_known_from_elsewhere_needs_the_history(ask, tmp_path):
    refused = ask("--out", tmp_path / "a.jsonl", user="mara", said="1\n")
    assert refused.status == 1
    assert "'mara' from pairs that are not here" in refused.err
    assert not (tmp_path / "a.jsonl").exists()
    given = ask("--out", tmp_path / "a.jsonl", "--history", SAMPLE, "--n", 1, user="mara", said="1\n")
    assert given.status == 0, given.err
    assert "39 left" in given.err


def test_nothing_left_is_said(ask, tmp_path):
    pool = tmp_path / "one.jsonl"
    pool.write_text(json.dumps({"prompt": "Why?", "first": "So.", "second": "Because."}) + "\n")
    kept = tmp_path / "a.jsonl"
    assert ask("--out", kept, pool=pool, said="1\n1\n").status == 0
    assert len(read_pairs(kept).pairs) == 1
    assert "Nothing is left to ask" in ask("--history", kept, pool=pool).err


def test_a_known_user_without_history_gets_a_note(ask):
    assert "'mara' from pairs that are not here" in ask("--json", user="mara").err
    assert "Note" not in ask("--json", "--history", SAMPLE, user="mara").err


def test_nobody_is_asked_and_the_pool_is_not_written_to(ask, trained, command, tmp_path):
    pool = tmp_path / "pool.jsonl"
    pool.write_bytes(SAMPLE.read_bytes())
    refused = command("ask", "--reward-model", trained, "--user", "x", "--pool", pool, "--out", pool)
    assert refused.status == 2
    assert "is what --pool reads" in refused.err
    assert pool.read_bytes() == SAMPLE.read_bytes()
    assert ask(user="  ").status == 2


def test_ratings_and_traits_are_asked_for_and_kept_as_what_they_are(ask, tmp_path):
    kept = tmp_path / "answers.jsonl"
    rated = ask("--kinds", "rating", "--out", kept, "--n", 2, "--json", said="1.5\n5\n2\n")
    assert rated.status == 0, rated.err
    assert "Found '1.5'; expected 1, 2, 3, 4, 5, s or q." in rated.err
    assert (rated.json["pairs"], len(rated.json["feedback"])) == ([], 2)
    liked = ask("--kinds", "trait", "--out", kept, "--n", 3, "--json", said="y\ns\nn\nm\n")
    assert (liked.json["answered"], liked.json["skipped"]) == (3, 1)
    file = read_feedback(kept)
    assert [it.kind for it in file.feedback] == ["rating"] * 2 + ["trait"] * 3
    assert [it.value for it in file.feedback[:2]] == [5, 2]
    assert [it.answer for it in file.feedback[2:]] == ["yes", "no", "no matter"]
    both = ask("--kinds", "pair,trait", "--out", kept, "--n", 1, "--json", said="q\n")
    asked = ask("--kinds", "trait", "--history", kept, "--n", 50, "--json").json
    assert asked["answered"] == 5
    assert {it.feature for it in file.feedback[2:]}.isdisjoint(it["feature"] for it in asked["questions"])
    assert both.status == 0


def test_every_kind_of_question_is_shown_to_people_and_programs(ask):
    shown = ask("--kinds", "trait", "--n", 2)
    assert "Do you prefer " in shown.out
    assert "y (yes), n (no), m (no matter)" in shown.out
    assert "1 (worst) to 5 (best)?" in ask("--kinds", "rating").out
    found = ask("--kinds", "pair, rating, trait", "--n", 300, "--json").json
    kinds = {it["kind"] for it in found["questions"]}
    assert kinds == {"pair", "rating", "trait"}
    assert len(found["questions"]) == found["left"]


def test_a_kind_that_there_is_not_is_refused(ask):
    refused = ask("--kinds", "pair,essay")
    assert refused.status == 2
    assert "found 'essay'; expected some of pair, rating, trait" in refused.err


def test_answers_of_all_kinds_go_into_a_store_and_come_back(ask, tmp_path):
    pytest.importorskip("sqlalchemy", reason="the store of profiles needs the extra `store`")
    store = tmp_path / "users.db"
    first = ask("--store", store, "--out", tmp_path / "a.jsonl", "--kinds", "trait", "--n", 2, said="y\nn\n")
    assert first.status == 0, first.err
    assert ask("--store", store, "--kinds", "trait", "--json").json["answered"] == 2
