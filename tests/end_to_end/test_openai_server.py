"""`induce-persona` against a real HTTP server on loopback, faults included."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from calm_reader import calm_reader
from openai_stub import Reply

from synthesizeme.cli import induce_persona_main
from synthesizeme.personas.judging_profile import load_profile


@pytest.fixture
def rows(tmp_path):
    """20 pairs of a user who likes it calm."""
    path = tmp_path / "pairs.jsonl"
    lines = []
    for i in range(20):
        chosen = {"role": "assistant", "content": f"Fathom {i} is six feet."}
        rejected = {"role": "assistant", "content": f"Wow! Fathom {i}! What a great question!"}
        prompt = [{"role": "user", "content": f"How deep is fathom {i}?"}]
        lines.append(
            json.dumps(
                {
                    "pair_id": f"p{i}",
                    "user_id": "ada",
                    "prompt": prompt,
                    "chosen": [chosen],
                    "rejected": [rejected],
                }
            )
        )
    path.write_text("\n".join(lines))
    return path


@pytest.fixture
def induce(openai_stub, watched, rows, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SYNTHESIZEME_CACHE_DIR", str(tmp_path / "cache"))

    def run(*flags):
        base = [str(rows), "--model", "stub", "--api-base", openai_stub.base_url, "--json"]
        status = induce_persona_main([*base, *map(str, flags)])
        out, err = capfd.readouterr()
        return status, json.loads(out)["users"][0] if out else None, err

    return run


def test_end_to_end(induce, watched, openai_stub):
    status, user, err = induce()
    assert status == 0, err
    assert (
        user["persona"].splitlines()[0] == "The user clearly prefers calm answers without exclamation marks"
    )
    assert user["accuracy"]["both"] == {
        "micro": 1.0,
        "low": pytest.approx(0.398, abs=0.01),
        "high": 1.0,
        "n": 4,
        "ties": 0,
        "failures": 0,
    }
    asked = user["usage"]["distinct_calls"] + user["evaluation_usage"]["distinct_calls"]
    assert len(openai_stub.requests) == asked
    assert len(set(watched.questions)) == asked
    assert user["usage"]["distinct_calls"] <= 84
    assert user["usage"]["prompt_tokens"] > 0
    profile = load_profile(Path(user["files"]["profile"]))
    assert profile.persona.made_by == "stub"
    assert profile.persona.sentences[0].record == "held in 16 of 16 choices where it applied"


def test_transient_faults_are_retried_and_change_nothing(induce, openai_stub):
    faults = iter((
        Reply(status=429, headers={"Retry-After": "0"}), Reply(status=500), Reply(drop="midway"), Reply(content=""),
        Reply(status=503, headers={"Retry-After": "0"}), Reply(body=b'{"choices": [{"mess'), Reply(delay_s=1.0),
    ))  # fmt: skip
    # The first question is asked alone; the faults meet those that are asked together.
    openai_stub.answer = lambda body: (
        (len(openai_stub.requests) > 1 and next(faults, None)) or calm_reader(body)
    )
    status, user, err = induce("--timeout", "0.5", "--no-cache")
    assert status == 0, err
    assert user["accuracy"]["both"]["micro"] == 1.0
    assert sum(accuracy["failures"] for accuracy in user["accuracy"].values()) == 0
    profile = load_profile(Path(user["files"]["profile"]))
    assert profile.provenance.failures == {}


def test_replies_that_are_no_verdict_are_counted_and_neither_wrong_nor_tied(induce, openai_stub):
    def answer(body):
        asked = body["messages"][-1]["content"]
        number = int(re.findall(r"fathom (\d+)\?", asked)[-1])
        return (
            "I am sorry, I cannot help with that."
            if number % 7 == 0 and "<pair" not in asked
            else calm_reader(body)
        )

    openai_stub.answer = answer
    status, user, err = induce()
    assert status == 0, err
    profile = load_profile(Path(user["files"]["profile"]))
    assert profile.provenance.failures["refusal"] > 0
    test = {pair for pair, split in profile.provenance.splits.items() if split == "test"}
    refused = sum(int(pair[1:]) % 7 == 0 for pair in test)
    for accuracy in user["accuracy"].values():
        assert accuracy["failures"] == 2 * refused
    for name in ("persona", "both"):
        assert user["accuracy"][name]["ties"] == 0
        assert user["accuracy"][name]["micro"] == 1.0


def test_a_server_that_is_not_there_is_one_message_with_a_cure(rows, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    status = induce_persona_main(
        [
            str(rows),
            "--model",
            "m",
            "--api-base",
            "http://127.0.0.1:9/v1",
            "--retries",
            "0",
            "--cache-dir",
            "c",
        ]
    )
    out, err = capfd.readouterr()
    assert (status, out) == (1, "")
    read, error = err.splitlines()
    assert read.startswith(f"reading {rows} as jsonl")
    assert "http://127.0.0.1:9/v1" in error
    assert "Cure" in error
    assert not (tmp_path / "out").exists()


def test_a_rejected_key_stops_at_once(induce, openai_stub, tmp_path):
    openai_stub.answer = lambda body: Reply(status=401, error={"message": "bad key"})
    status, user, _ = induce("--concurrency", "1")
    assert status == 1
    assert user is None
    assert len(openai_stub.requests) == 1
    assert not (tmp_path / "out").exists()


def test_the_number_of_workers_changes_nothing_and_the_temperature_is_sent_as_given(induce, openai_stub):
    one = induce("--concurrency", "1", "--no-cache", "--temperature", "0.7", "--out", "one")[1]
    many = induce("--concurrency", "16", "--no-cache", "--temperature", "0.7", "--out", "many")[1]
    assert Path(one["files"]["profile"]).read_bytes() == Path(many["files"]["profile"]).read_bytes()
    assert {request.get("temperature") for request in openai_stub.requests} == {0.7}
    openai_stub.requests.clear()
    induce("--out", "default")
    assert {request.get("temperature") for request in openai_stub.requests} == {0.0}


def test_the_key_named_on_the_command_line_is_sent(induce, openai_stub, monkeypatch):
    monkeypatch.setenv("MY_KEY", "k-123")
    assert induce("--api-key-env", "MY_KEY", "--no-evaluate")[0] == 0
    assert {headers["Authorization"] for headers in openai_stub.headers} == {"Bearer k-123"}
