"""Against an endpoint whose replies mostly cannot be read, every command that asks many questions stops and says why."""

from __future__ import annotations

import hashlib
import json
import re

import pytest

SAID = "Both have their merits, dear reader"


def muddled(readable):
    """Answers that are a verdict for so many in a hundred questions, whatever is asked about a reply."""

    def answer(body):
        said = [message["content"] for message in body["messages"] if message["role"] == "user"]
        asked = next((text for text in reversed(said) if "<second_response>" in text), said[0])
        if "<pair " in asked:
            return "The user prefers short answers. [1]"
        drawn = hashlib.sha256(asked.encode()).digest()[0] * 100 // 256
        return "Reasoning: so.\nPreference: First" if drawn < readable else SAID

    return answer


@pytest.fixture
def asked(openai_stub):
    """Flags that lead to the endpoint."""
    openai_stub.answer = muddled(20)
    return ["--model", "stub", "--api-base", openai_stub.base_url]


@pytest.fixture
def pairs(row, write_rows):
    """Twenty pairs each of ann and bob, with splits, in a file."""
    splits = ["train"] * 10 + ["validation"] * 5 + ["test"] * 5
    return write_rows(
        [
            row(number, pair_id=f"{user}{number}", user_id=user, split=split)
            for user in ("ann", "bob")
            for number, split in enumerate(splits)
        ]
    )


@pytest.fixture
def words(pairs, write_rows, row, tmp_path):
    """Arguments of each command, by name."""
    texts = [
        {"user_id": "ann", "persona": "Likes it short."},
        {"user_id": "bob", "persona": "Likes it long."},
    ]
    cast = write_rows(texts, "cast.jsonl")
    pool = write_rows([row(number) for number in range(12)], "pool.jsonl")
    one = ["induce-persona", pairs, "--user", "ann"]
    return {
        "one user": one,
        "many users": ["induce-persona", pairs, "--all-users"],
        "a store": ["induce-persona", pairs, "--all-users", "--store", tmp_path / "s.db"],
        "evaluate": ["evaluate", "--data", pairs, "--scorers", "default"],
        "evaluate profiles": ["evaluate", "--data", pairs, "--scorers", "both"],
        "compare": ["compare", "--data", pairs, "--scorers", "default,longer", "--out", tmp_path / "c"],
        "simulate": ["simulate", "--personas", cast, "--pool", pool, "--out", tmp_path / "simulated.jsonl"],
    }


@pytest.mark.parametrize(
    "command_name",
    ["one user", "many users", "a store", "evaluate", "evaluate profiles", "compare", "simulate"],
)
def test_it_stops_with_the_model_what_it_said_and_the_cure(command, openai_stub, asked, words, command_name):
    ran = command(*words[command_name], *asked, "--concurrency", 2)
    assert ran.status == 1
    assert f"It says: '{SAID}'. Cure: another model" in ran.err
    assert "stub: only " in ran.err
    assert "user 'ann': " in ran.err or "user 'bob': " in ran.err
    assert "--structure" in ran.err
    assert "--max-tokens" in ran.err
    questions = {json.dumps(body["messages"][:2]) for body in openai_stub.requests}
    assert len(questions) <= 16, "no more than it takes, and what was in flight"


def test_judging_validation_pairs_stops_too(command, openai_stub, asked, pairs, row, write_rows):
    assert command("induce-persona", pairs, "--user", "ann", "--no-evaluate").status == 0
    history = write_rows(
        [
            row(
                number,
                pair_id=f"v{number}",
                split="validation",
                prompt=[{"role": "user", "content": f"Validation {number}?"}],
            )
            for number in range(30)
        ],
        "validation.jsonl",
    )
    ran = command(
        "judge", "--store", "out", "--prompt", "Q?", "--first", "a", "--second", "b",
        "--max-error", "0.2", "--history", history, *asked,
    )  # fmt: skip
    assert ran.status == 1
    assert f"It says: '{SAID}'. Cure: another model" in ran.err


def test_what_is_left_of_a_store_run_goes_on_with_a_model_that_can_be_read(
    command, openai_stub, asked, words
):
    stopped = command(*words["a store"], *asked, "--json", "--concurrency", 1)
    assert stopped.status == 1
    assert re.match(r"user '(ann|bob)': stub: only ", stopped.json["stopped"])
    assert (stopped.json["done"], stopped.json["failed"]) == (0, 0)
    openai_stub.answer = muddled(100)
    ran = command(*words["a store"], *asked, "--json")
    assert ran.status == 0, ran.err
    assert (ran.json["done"], ran.json["cautioned"]) == (2, 2), "it always says First"
    shown = command("profiles", "show", "--store", "s.db", "--user", "ann")
    assert "caution: the judge's choice turns with the order" in shown.out


def test_more_than_half_is_enough_and_what_could_not_be_read_is_told(command, openai_stub, asked, words):
    openai_stub.answer = muddled(80)
    ran = command(*words["one user"], *asked)
    assert ran.status == 0, ran.err
    assert " unreadable" in ran.out
    assert "caution" in ran.out
    as_json = command(*words["one user"], *asked, "--json")
    (user,) = as_json.json["users"]
    assert user["usage"]["unreadable"] > 0
    assert {caution["kind"] for caution in user["cautions"]} >= {"inconsistent"}
    assert "Caution: user ann: " in as_json.err
    judged = command("judge", "--store", "out", "--prompt", "Q?", "--first", "a", "--second", "b", "--json")
    assert judged.json["cautions"] == user["cautions"]
