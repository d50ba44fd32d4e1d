from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from synthesizeme.evaluation.report import Report

SHARED = Path(__file__).resolve().parents[2] / ".." / "shared" / "data"


def test_references_need_no_model_and_bound_the_scale(command):
    ran = command(
        "evaluate", "--benchmark", "sample", "--scorers", "oracle,random", "--scorers", "longer", "--json"
    )
    assert ran.status == 0, ran.err
    report = Report.from_json(ran.out)
    assert [row.name for row in report.rows] == ["oracle", "random", "longer"]
    assert report.rows[0].micro == 1.0
    assert all(row.usage is None for row in report.rows)


def test_profiles_are_induced_and_controls_fall_below(command):
    ran = command(
        "evaluate", "--benchmark", "sample", "--scorers", "default,both", "--controls", "--json", "--out", "r"
    )
    assert ran.status == 0, ran.err
    default, both = Report.from_json(ran.out).rows
    assert both.micro > default.micro
    assert both.controls["no_user"] == default.micro
    assert both.controls["swapped_labels"] < both.micro
    assert both.gain.value == pytest.approx(both.micro - default.micro)
    assert "Profiles induced with" in ran.err
    assert json.loads(Path("r/results.json").read_text())["rows"]
    assert Path("r/results.md").read_text().startswith("## sample")


def test_profiles_made_earlier_are_used_and_a_missing_one_is_a_typed_failure(command, sample):
    assert command("induce-persona", sample, "--user", "mara", "--no-evaluate").status == 0
    ran = command("evaluate", "--benchmark", "sample", "--scorers", "both", "--store", "out", "--json")
    assert ran.status == 0, ran.err
    (row,) = Report.from_json(ran.out).rows
    assert row.failures == {"unknown_user": 2 * 8}
    assert "Profiles induced" not in ran.err


def test_a_file_with_splits_is_a_benchmark_and_one_without_says_how_to_get_them(command, sample):
    assert command("data", "split", sample, "--out", "split.jsonl").status == 0
    ran = command(
        "evaluate",
        "--data",
        "split.jsonl",
        "--scorers",
        "memory,persona,demonstrations",
        "--max-users",
        1,
    )
    assert ran.status == 0, ran.err
    assert "4 test pairs of 1 simulated users" in ran.out
    without = command("evaluate", "--data", sample, "--scorers", "oracle")
    assert without.status == 1
    assert "data split" in without.err


def test_wrong_names_are_wrong_usage_and_data_that_is_nowhere_says_where_it_looked(
    command, monkeypatch, tmp_path
):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    wrong = command("evaluate", "--benchmark", "sample", "--scorers", "bothh")
    assert wrong.status == 2
    assert "'both'" in wrong.err
    unknown = command("evaluate", "--benchmark", "llmfoa", "--scorers", "oracle")
    assert unknown.status == 2
    assert "llmfao/seen-prompts" in unknown.err
    nowhere = command(
        "evaluate", "--benchmark", "llmfao/seen-prompts", "--scorers", "oracle", "--data-dir", tmp_path
    )
    assert nowhere.status == 1
    assert str(tmp_path) in nowhere.err
    assert "hub" in nowhere.err
    assert (
        command("evaluate", "--benchmark", "sample", "--scorers", "both", "--controls", "--store", "x").status
        == 2
    )


def test_llmfao_with_the_verdicts_it_carries(command):
    if not (SHARED / "llmfao.jsonl.gz").exists():
        pytest.skip("the shared llmfao data is not beside this checkout")
    ran = command(
        "evaluate", "--benchmark", "llmfao/seen-prompts", "--scorers", "gpt4,majority,default", "--data-dir", SHARED,
        "--max-users", 3, "--json",
    )  # fmt: skip
    assert ran.status == 0, ran.err
    assert [row.n_users for row in Report.from_json(ran.out).rows] == [3, 3, 3]


def test_a_scorer_is_needed_and_controls_that_change_nothing_are_said(command, tmp_path):
    nothing = command("evaluate", "--benchmark", "sample", "--scorers", ",")
    assert nothing.status == 2
    assert "names nobody" in nothing.err
    ran = command("evaluate", "--benchmark", "sample", "--scorers", "longer", "--controls", "--json")
    assert ran.status == 0
    assert (
        "only persona, demonstrations, both, retrieval-…, reward models and checkpoints have controls"
        in ran.err
    )
    assert command("evaluate", "--benchmark", "sample", "--scorers", "longer", "--out", "").status == 2


def test_a_config_file_names_scorers_like_the_flag(command, tmp_path):
    (tmp_path / "c.toml").write_text('[evaluate]\nbenchmark = "sample"\nscorers = "longer,oracle"\n')
    ran = command("evaluate", "--config", "c.toml", "--json")
    assert ran.status == 0, ran.err
    assert [row.name for row in Report.from_json(ran.out).rows] == ["longer", "oracle"]


def test_profiles_made_from_the_test_pairs_are_refused(command, sample):
    assert command("induce-persona", sample, "--user", "mara", "--seed", 5, "--no-evaluate").status == 0
    ran = command("evaluate", "--benchmark", "sample", "--scorers", "both", "--store", "out")
    assert ran.status == 1
    assert "'mara' was made from" in ran.err
    assert "Cure: " in ran.err


def on_a_terminal(columns: int, *arguments: str) -> str:
    """What the command shows on a terminal of so many columns."""
    ours, theirs = pty.openpty()
    code = "import sys; from synthesizeme.cli import main; sys.exit(main())"
    environment = {**os.environ, "COLUMNS": str(columns), "TERM": "dumb"}
    with subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdout=theirs, stderr=subprocess.DEVNULL, env=environment
    ) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # how Linux ends a terminal that nobody writes to any more
                break
            if not part:
                break
            shown += part
    os.close(ours)
    assert process.returncode == 0
    return shown.decode().replace("\r", "")


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
def test_a_terminal_gets_a_compact_table(command):
    arguments = ["evaluate", "--benchmark", "sample", "--scorers", "default,persona", "--controls"]
    shown = on_a_terminal(100, *arguments)
    assert max(map(len, shown.splitlines())) <= 100
    assert "| scorer" not in shown
    for heading in ("accuracy", "gain", "wrong user", "swapped", "ties", "failures"):
        assert heading in shown
    alone = " ".join(shown.partition("for these users alone")[2].split())
    for row in Report.from_json(command(*arguments, "--json").out).rows:
        assert f"{100 * row.micro:.1f}" in shown
        low, high = row.for_these_users
        assert f"{row.name} {100 * low:.1f} – {100 * high:.1f}" in alone
    assert "| scorer" in command(*arguments).out


def test_where_nothing_was_answered_nothing_was_measured(command, sample, tmp_path):
    (tmp_path / "replies.json").write_text('["I like both."]')
    asked = ("evaluate", "--scorers", "default", "--model", f"scripted:{tmp_path}/replies.json")
    ran = command(*asked, "--benchmark", "sample")
    assert ran.status == 1
    assert "0 of its 8 replies can be read" in ran.err
    assert "| default" not in ran.out
    rows = [json.loads(line) for line in sample.read_text().splitlines()[:7]]  # too few to conclude earlier
    few = [{**row, "split": "train" if number < 4 else "test"} for number, row in enumerate(rows)]
    (tmp_path / "few.jsonl").write_text("".join(json.dumps(row) + "\n" for row in few))
    ran = command(*asked, "--data", "few.jsonl")
    assert ran.status == 1
    assert "no scorer answered any question (parse)" in ran.err
    assert "| default" in ran.out


def test_sycophancy_is_in_the_report_without_and_with_the_persona(command):
    ran = command(
        "evaluate", "--benchmark", "sample", "--scorers", "longer", "--sycophancy", "--out", "r", "--json"
    )
    assert ran.status == 0, ran.err
    found = Report.from_json(ran.out).sycophancy
    assert (found.default.n_pairs, found.default.unit, found.failures) == (48, "pair", 0)
    assert found.difference.n_pairs == found.persona.n_pairs == 48 * found.persona.n_users > 0
    assert Report.from_json(Path("r/results.json").read_text()).sycophancy == found
    assert found.to_markdown() in Path("r/results.md").read_text()
    refused = command("evaluate", "--benchmark", "lamp/1", "--sycophancy")
    assert refused.status == 2
    assert "--sycophancy" in refused.err
