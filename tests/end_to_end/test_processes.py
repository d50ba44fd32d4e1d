"""The installed commands as processes: statuses, streams, signals, crashes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

HEAVY = ("torch", "dspy", "litellm", "datasets", "transformers", "numpy", "pandas", "httpx", "openai")


def finish(process):
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def test_the_first_command_works_in_an_empty_home(start, sample, tmp_path):
    status, out, err = finish(start("induce-persona", sample, "--user", "mara"))
    assert status == 0, err
    assert "Persona of mara" in out
    assert "\x1b" not in out + err
    assert (tmp_path / "out" / "index.json").exists()
    assert not (tmp_path / "home").exists()


def test_both_commands_are_the_same_and_json_is_pure(start, sample):
    words = (sample, "--user", "mara", "--json", "--baselines")
    alone, verb = (
        finish(start("induce-persona", *words)),
        finish(start("synthesizeme", "induce-persona", *words)),
    )
    assert alone[0] == verb[0] == 0
    first, second = (json.loads(ran[1])["users"] for ran in (alone, verb))
    assert [user["accuracy"] for user in first] == [user["accuracy"] for user in second]


@pytest.mark.parametrize(
    "arguments", [["--user", "nobody"], ["--nonsense"]]
)  # fmt: skip
def test_wrong_usage_is_status_two(start, sample, arguments):
    found, out, err = finish(start("induce-persona", sample, *arguments))
    assert found == 2
    assert out == ""
    assert "Traceback" not in err


def test_bad_data_is_status_one(start, tmp_path):
    (tmp_path / "bad.jsonl").write_bytes(b"{\n")
    status, out, err = finish(start("induce-persona", "bad.jsonl"))
    assert (status, out) == (1, "")
    assert err.startswith("Error: bad.jsonl:1: ")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "most"), [(["--help"], 450), (["induce-persona", "--help"], 550), (["--version"], 280)]
)
def test_help_loads_little_and_nothing_heavy(environment, arguments, most):
    """What a start takes is told by what it loads: about 390, 490 and 220 modules, a third of them rich's and typer's."""
    code = (
        "import sys; from synthesizeme.cli import main; status = main(sys.argv[1:]);"
        "print(*sys.modules, file=sys.stderr); sys.exit(status)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, *arguments], env=environment, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    loaded = set(ran.stderr.split())
    assert loaded & set(HEAVY) == set()
    assert len(loaded) <= most


def test_a_reader_that_goes_away_ends_the_command_quietly(start, sample):
    process = start("synthesizeme", "evaluate", "--benchmark", "sample", "--scorers", "random", "--json")
    process.stdout.close()
    err = process.stderr.read()
    assert process.wait(60) == 141
    assert err == ""
    process.stdout = None


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_behind_standard_output_is_an_error(environment, tmp_path):
    code = "import sys; from synthesizeme.cli import main; sys.exit(main(sys.argv[1:]))"
    with open("/dev/full", "w") as full:
        ran = subprocess.run(
            [sys.executable, "-c", code, "prompts", "show", "judge/default"], cwd=tmp_path, env=environment,
            stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert ran.returncode == 1
    assert ran.stderr == "Error: [Errno 28] No space left on device\n"


def served(stub, sample):
    return [
        sample,
        "--user",
        "mara",
        "--model",
        "stub",
        "--api-base",
        stub.base_url,
        "--concurrency",
        "1",
        "--json",
    ]


def test_a_killed_run_goes_on_without_asking_a_finished_call_again(
    start, sample, openai_stub, watched, tmp_path
):
    process = start("induce-persona", *served(openai_stub, sample))
    watched.wait_for(25)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "out").exists()
    before = len(watched.questions)
    status, out, err = finish(start("induce-persona", *served(openai_stub, sample)))
    assert status == 0, err
    repeated = len(watched.questions) - len(set(watched.questions))
    assert repeated <= 1  # the one that was in flight
    user = json.loads(out)["users"][0]
    assert user["usage"]["cached_calls"] in (before - 1, before)
    again = json.loads(finish(start("induce-persona", *served(openai_stub, sample)))[1])["users"][0]
    assert again["usage"]["cached_calls"] == again["usage"]["distinct_calls"]
    assert again["accuracy"] == user["accuracy"]


def test_interrupting_says_that_finished_calls_are_kept(start, sample, openai_stub, watched, tmp_path):
    process = start("induce-persona", *served(openai_stub, sample))
    watched.wait_for(5)
    process.send_signal(signal.SIGINT)
    status, out, err = finish(process)
    assert status == 130
    assert out == ""
    assert "Finished calls are kept" in err
    assert "Traceback" not in err
    assert not (tmp_path / "out").exists()
