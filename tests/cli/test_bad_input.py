"""Every kind of bad input, through the command: one clear message, status 1, nothing written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest


def message(role: str, content: object) -> list[dict[str, object]]:
    return [{"role": role, "content": content}]


BAD_ROWS = {
    "missing field": ({"chosen": None}, "chosen", "missing"),
    "wrong role": ({"chosen": message("user", "x")}, "chosen", "role"),
    "unknown role": ({"prompt": message("robot", "x")}, "prompt", "role"),
    "empty response": ({"rejected": message("assistant", "  ")}, "rejected", "blank"),
    "chosen is rejected": ({"chosen": message("assistant", "a"), "rejected": message("assistant", "a")}, "same", "same"),
    "bare string": ({"prompt": "Question?"}, "prompt", "data convert"),
    "prompt ends with assistant": (
        {"prompt": [*message("user", "q"), *message("assistant", "a")]},
        "prompt",
        "data convert",
    ),
    "truth value for text": ({"user_id": True}, "user_id", "True"),
    "unknown field": ({"shoe_size": 44}, "shoe_size", "metadata"),
    "unknown split": ({"split": "dev"}, "split", "dev"),
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD_ROWS)
def test_a_bad_row_is_named_with_file_line_field_and_cure(command, row, write_rows, tmp_path, kind):
    fields, named, found = BAD_ROWS[kind]
    path = write_rows([row(0), row(1, **fields), row(2)])
    ran = command("induce-persona", path)
    assert ran.status == 1
    assert ran.out == ""
    assert ran.err.count("\n") == 1
    assert f"{path}:2" in ran.err
    assert named in ran.err
    assert found in ran.err
    assert "Traceback" not in ran.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", BAD_ROWS)
def test_skip_bad_rows_counts_and_lists_what_it_left_out(command, row, write_rows, kind):
    path = write_rows([row(0), row(1, **BAD_ROWS[kind][0]), *(row(i) for i in range(2, 7))])
    ran = command("induce-persona", path, "--skip-bad-rows", "--json", "--no-evaluate")
    assert ran.status == 0, ran.err
    assert "left out: 1 x malformed row" in ran.err
    (left_out,) = ran.json["skipped_rows"]
    assert f"{path}:2" in left_out
    assert sum(ran.json["users"][0]["pairs"].values()) == 6


def test_duplicate_pair_ids(command, row, write_rows):
    ran = command("induce-persona", write_rows([row(0), row(0)]))
    assert ran.status == 1
    assert ":2" in ran.err
    assert "pair_id" in ran.err


BAD_FILES = {
    "bad JSON": (b'{"pair_id": \n', "not JSON"),
    "not an object": (b"[1, 2]\n", "object"),
    "not UTF-8": (b'{"user_id": "\xff\xfe"}\n', "UTF-8"),
    "empty": (b"", "empty"),
    "blank lines": (b"\n\n \n", "no rows"),
    "too long a line": (b'{"x": "' + b"a" * 10_000_001 + b'"}\n', "10"),
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_a_bad_file(command, tmp_path, kind):
    raw, found = BAD_FILES[kind]
    path = tmp_path / "bad.jsonl"
    path.write_bytes(raw)
    ran = command("induce-persona", path)
    assert ran.status == 1
    assert "bad.jsonl" in ran.err
    assert found in ran.err
    assert "Cure" in ran.err
    assert len(ran.err) < 1000
    assert not (tmp_path / "out").exists()


def test_gz_that_is_not_gz_and_files_that_are_not_there(command, tmp_path):
    path = tmp_path / "pairs.jsonl.gz"
    path.write_text("{}\n")
    ran = command("induce-persona", path)
    assert ran.status == 1
    assert "not gzip" in ran.err
    missing = command("induce-persona", tmp_path / "nowhere.jsonl")
    assert missing.status == 1
    assert "no such file" in missing.err
    (tmp_path / "empty").mkdir()
    folder = command("induce-persona", tmp_path / "empty")
    assert folder.status == 1
    assert "folder" in folder.err


def test_an_unknown_model_prefix_lists_those_there_are(command, sample, tmp_path):
    ran = command("induce-persona", sample, "--user", "mara", "--model", "opnai/gpt-4o")
    assert ran.status == 2
    assert "openai/" in ran.err
    assert "builtin" in ran.err
    assert not (tmp_path / "out").exists()


def test_a_missing_key_names_its_variable(command, sample, monkeypatch, tmp_path):
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    ran = command("induce-persona", sample, "--user", "mara", "--model", "anthropic/claude-x")
    assert ran.status == 1
    assert "ANTHROPIC_API_KEY" in ran.err
    assert "--api-key-env" in ran.err
    named = command(
        "induce-persona", sample, "--user", "mara", "--model", "openai/x", "--api-key-env", "NOT_SET"
    )
    assert named.status == 1
    assert "NOT_SET" in named.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "flags",
    [
        ["--effort", "huge"], ["--search", "none"], ["--budget-calls", "0"], ["--budget-calls", "2"],
        ["--temperature", "3"], ["--temperature", "warm"], ["--timeout", "0"], ["--max-tokens", "0"],
        ["--retries", "-1"], ["--concurrency", "0"], ["--nonsense"], ["--judge-prompt", "judge/none"],
        ["--theta", "none"], ["--out", ""], ["--no-cache", "--cache-dir", "x"], ["more"],
    ],
)  # fmt: skip
def test_wrong_flags_are_wrong_usage(command, sample, tmp_path, flags):
    ran = command("induce-persona", sample, "--user", "mara", *flags)
    assert ran.status == 2, ran.err
    assert any(line.startswith("Error: ") for line in ran.err.splitlines())
    assert "Traceback" not in ran.err
    assert not (tmp_path / "out").exists()


def test_debug_shows_the_traceback(command, tmp_path):
    ran = command("induce-persona", tmp_path / "nowhere.jsonl", "--debug")
    assert ran.status == 1
    assert "Traceback" in ran.err


def test_a_cache_that_cannot_be_used_says_how_to_go_on(command, sample, tmp_path):
    (tmp_path / "taken").write_text("a file")
    ran = command("induce-persona", sample, "--user", "mara", "--cache-dir", "taken")
    assert ran.status == 2
    assert "--no-cache" in ran.err


def test_a_failing_run_keeps_the_files_of_the_run_before(command, sample, row, write_rows, tmp_path):
    assert command("induce-persona", sample, "--user", "mara").status == 0
    before = {path: path.read_bytes() for path in Path("out").rglob("*") if path.is_file()}
    assert command("induce-persona", write_rows([row(0, chosen=7)]), "--out", "out").status == 1
    assert {path: path.read_bytes() for path in Path("out").rglob("*") if path.is_file()} == before
    json.loads((tmp_path / "out" / "index.json").read_text())
