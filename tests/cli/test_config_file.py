from __future__ import annotations

from synthesizeme.cli._apps import full_app
from synthesizeme.cli._command import flags_of, verbs


def test_every_flag_of_every_verb_can_stand_in_the_file():
    found = {verb: {flag for flag, _ in flags_of(function)} for verb, function in verbs(full_app())}
    assert {
        "induce-persona",
        "judge",
        "evaluate",
        "data convert",
        "data split",
        "doctor",
        "prompts list",
    } <= set(found)
    assert {"model", "seed", "user", "all-users", "out", "json", "no-cache", "search"} <= found[
        "induce-persona"
    ]
    assert "config" not in found["induce-persona"]
    assert {"scorers", "benchmark", "data-dir"} <= found["evaluate"]


def test_the_file_sets_flags_and_the_command_line_wins(command, sample, tmp_path):
    (tmp_path / "run.toml").write_text(
        'seed = 5\n[induce-persona]\nuser = "ilse"\njson = true\nno_evaluate = true\neffort = "low"\n'
    )
    given = command("induce-persona", sample, "--config", "run.toml").json["users"][0]
    assert given["user_id"] == "ilse"
    assert given["accuracy"] == {}
    assert given["usage"]["distinct_calls"] <= 42
    overridden = command("induce-persona", sample, "--config", "run.toml", "--user", "mara").json["users"][0]
    assert overridden["user_id"] == "mara"
    before = command("induce-persona", sample, "--user", "mara", "--config", "run.toml").json["users"][0]
    assert before["user_id"] == "mara"


def test_the_same_file_serves_both_commands_and_verbs_of_two_words(command, sample, tmp_path):
    (tmp_path / "run.toml").write_text(
        '[data.split]\nseed = 3\njson = true\n[evaluate]\nscorers = ["oracle"]\nbenchmark = "sample"\n'
    )
    assert command("data", "split", sample, "--out", "s.jsonl", "--config", "run.toml").json["seed"] == 3
    assert "| oracle " in command("evaluate", "--config", "run.toml").out
    whole = command("--version")
    assert whole.status == 0


def test_problems_of_the_file_are_wrong_usage_all_at_once(command, sample, tmp_path):
    (tmp_path / "run.toml").write_text('sead = 5\n[judge]\nmodell = "x"\n[induce-persona]\neffort = "most"\n')
    ran = command("induce-persona", sample, "--config", "run.toml")
    assert ran.status == 2
    assert "3 problems" in ran.err
    for found in ("'seed'", "'model'", "low, medium, high"):
        assert found in ran.err
    missing = command("induce-persona", sample, "--config", "nowhere.toml")
    assert missing.status == 2
    (tmp_path / "range.toml").write_text("budget-calls = 0")
    assert command("induce-persona", sample, "--config", "range.toml").status == 2
