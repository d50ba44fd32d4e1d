from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from synthesizeme.backends import RetryPolicy, Session
from synthesizeme.backends.scripted import scripted_model
from synthesizeme.cli._tables import result_json, show_result
from synthesizeme.errors import BackendError
from synthesizeme.induction import one_user
from synthesizeme.personas.judging_profile import load_profile
from synthesizeme.profiles.folder import ProfileFolder, folder_name
from synthesizeme.types import Usage

USAGE = set(Usage.model_fields)
JUDGES = {"default", "persona", "demonstrations", "both"}
NOT_A_MODEL = "rule-based reader, not a language model"


def test_one_user_gets_files_persona_and_accuracy(command, sample, tmp_path):
    ran = command("induce-persona", sample, "--user", "mara")
    assert ran.status == 0, ran.err
    folder = tmp_path / "out" / folder_name("mara")
    names = {"profile.json", "judge_prompt.json", "generation_prompt.json", "persona.md", "evaluation.json"}
    assert {path.name for path in folder.iterdir()} == names
    profile = load_profile(folder / "profile.json")
    for sentence in profile.persona.sentences:
        assert " ".join(sentence.text.split())[:40] in " ".join(ran.out.split())
    assert "12 train, 4 validation, 4 test" in ran.out
    for judge in JUDGES:
        assert f"\n {judge}" in ran.out
    assert "speaks for this user alone" in " ".join(ran.out.split())
    assert NOT_A_MODEL in " ".join(ran.out.split())
    assert NOT_A_MODEL in profile.provenance.model_kind
    assert NOT_A_MODEL in (folder / "persona.md").read_text()


def test_json_has_the_promised_shape_and_nothing_else_is_printed(command, sample):
    ran = command("induce-persona", sample, "--user", "tobias", "--baselines", "--json")
    assert ran.status == 0, ran.err
    assert set(ran.json) == {"users"}
    (user,) = ran.json["users"]
    assert set(user) == {
        "user_id", "persona", "pairs", "usage", "evaluation_usage", "accuracy", "cautions",
        "files",
    }  # fmt: skip
    assert user["user_id"] == "tobias"
    assert user["persona"].startswith("The user")
    assert user["pairs"] == {"train": 12, "validation": 4, "test": 4}
    assert set(user["usage"]) == USAGE == set(user["evaluation_usage"])
    assert set(user["accuracy"]) == JUDGES | {"memory", "demographics"}
    for accuracy in user["accuracy"].values():
        assert set(accuracy) == {"micro", "low", "high", "n", "ties", "failures"}
        assert 0 <= accuracy["low"] <= accuracy["micro"] <= accuracy["high"] <= 1
        assert accuracy["n"] == 4
    for path in user["files"].values():
        assert Path(path).is_file()


def test_usage_is_of_the_induction_alone_and_within_the_promise(command, sample):
    user = command("induce-persona", sample, "--user", "mara", "--json").json["users"][0]
    assert user["usage"]["distinct_calls"] <= 84  # 16 train and validation pairs: 60 + 6 * 4
    profile = load_profile(Path(user["files"]["profile"]))
    assert profile.provenance.usage.distinct_calls == user["usage"]["distinct_calls"]
    assert user["evaluation_usage"]["calls"] == 4 * 2 * 4  # four judges, both orders, four pairs


def test_all_users_pool_with_intervals_over_users(command, sample, tmp_path):
    ran = command("induce-persona", sample, "--all-users", "--json")
    assert ran.status == 0, ran.err
    assert [user["user_id"] for user in ran.json["users"]] == ["mara", "tobias", "ilse"]
    assert ran.json["pooled"]["both"]["n"] == 12
    assert ran.json["failed"] == []
    assert set(ProfileFolder(tmp_path / "out")) == {"mara", "tobias", "ilse"}
    human = command("induce-persona", sample, "--all-users")
    assert "The interval resamples the 3 users" in " ".join(human.out.split())


def test_several_users_and_no_choice_is_wrong_usage_and_lists_them(command, sample, tmp_path):
    ran = command("induce-persona", sample)
    assert ran.status == 2
    for user in ("mara", "tobias", "ilse"):
        assert user in ran.err
    assert ran.out == ""
    assert not (tmp_path / "out").exists()


def test_a_file_of_one_user_needs_no_choice(command, row, write_rows):
    ran = command("induce-persona", write_rows([row(i) for i in range(6)]), "--json")
    assert ran.status == 0
    assert ran.json["users"][0]["user_id"] == "ann"


def test_unknown_user_and_contradicting_flags_are_wrong_usage(command, sample):
    unknown = command("induce-persona", sample, "--user", "nobody")
    assert unknown.status == 2
    assert "'nobody'" in unknown.err
    assert "ilse" in unknown.err
    assert command("induce-persona", sample, "--user", "mara", "--all-users").status == 2


@pytest.mark.parametrize("n_pairs", [1, 2])
def test_too_few_pairs_is_said_and_falls_back_to_anybody(command, row, write_rows, tmp_path, n_pairs):
    rows = [row(i, split="train" if i == 0 else "test") for i in range(n_pairs)]
    ran = command("induce-persona", write_rows(rows), "--json")
    assert ran.status == 0
    assert "not enough pairs" in ran.err
    user = ran.json["users"][0]
    assert user["persona"] is None
    assert user["usage"]["calls"] == 0
    judge_prompt = json.loads(Path(user["files"]["judge_prompt"]).read_text())
    assert [message["role"] for message in judge_prompt] == ["system", "user"]
    if n_pairs == 2:
        assert user["accuracy"]["both"] == user["accuracy"]["default"]


def test_same_seed_same_profile_and_the_second_run_asks_nothing_new(command, sample):
    first = command("induce-persona", sample, "--user", "ilse", "--json", "--out", "a").json["users"][0]
    second = command("induce-persona", sample, "--user", "ilse", "--json", "--out", "b").json["users"][0]
    assert Path(first["files"]["profile"]).read_bytes() == Path(second["files"]["profile"]).read_bytes()
    assert first["usage"]["cached_calls"] == 0
    assert second["usage"]["cached_calls"] == second["usage"]["distinct_calls"] > 0
    no_cache = command("induce-persona", sample, "--user", "ilse", "--json", "--no-cache", "--out", "c")
    assert no_cache.json["users"][0]["usage"]["cached_calls"] == 0


def test_another_seed_draws_another_split(command, sample):
    def splits(seed: int) -> dict[str, str]:
        ran = command("induce-persona", sample, "--user", "mara", "--seed", seed, "--json", "--no-evaluate")
        return load_profile(Path(ran.json["users"][0]["files"]["profile"])).provenance.splits

    assert splits(0) != splits(1)


def test_dry_run_sends_and_writes_nothing(command, sample, tmp_path):
    ran = command("induce-persona", sample, "--all-users", "--dry-run", "--json")
    assert ran.status == 0
    mara = ran.json["users"][0]
    assert ran.json["most_follow_ups_per_call"] == 0
    assert mara["induction"]["calls"] == 84
    assert mara["evaluation"]["calls"] == 32
    assert mara["induction"]["cost_usd"] == 0
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "cache").exists()
    real = command("induce-persona", sample, "--all-users", "--json").json["users"]
    for planned, spent in zip(ran.json["users"], real, strict=True):
        assert planned["induction"]["calls"] >= spent["usage"]["distinct_calls"]
        assert planned["evaluation"]["calls"] >= spent["evaluation_usage"]["distinct_calls"]


def test_dry_run_needs_no_key_and_says_the_price_where_it_is_known(command, sample, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    listed = command("induce-persona", sample, "--user", "mara", "--dry-run", "--model", "openai/gpt-4o-mini")
    assert listed.status == 0
    assert "$0.0" in listed.out
    assert "cannot be read takes up to 2 follow-ups more" in " ".join(listed.out.split())
    own = command(
        "induce-persona", sample, "--user", "mara", "--dry-run", "--model", "m", "--api-base", "http://x/v1"
    )
    assert "unknown" in own.out


def test_budget_caps_the_calls_and_skips_the_evaluation_it_cannot_pay(command, sample):
    ran = command("induce-persona", sample, "--user", "mara", "--budget-calls", 20, "--json")
    user = ran.json["users"][0]
    assert user["usage"]["distinct_calls"] <= 20
    assert user["accuracy"] == {}
    assert "not evaluated" in ran.err
    planned = command("induce-persona", sample, "--user", "mara", "--budget-calls", 20, "--dry-run", "--json")
    assert f"Note: user mara: {planned.json['users'][0]['note']}\n" in ran.err
    shown = command("induce-persona", sample, "--user", "mara", "--budget-calls", 20, "--dry-run")
    assert "not evaluated: 4 test pairs may take 32 calls" in " ".join(shown.out.split())
    rich = command("induce-persona", sample, "--user", "mara", "--budget-calls", 400, "--json")
    assert rich.json["users"][0]["accuracy"]


def test_budget_is_shared_by_all_users(command, sample):
    ran = command("induce-persona", sample, "--all-users", "--budget-calls", 60, "--json")
    spent = [
        user["usage"]["distinct_calls"] + user["evaluation_usage"]["distinct_calls"]
        for user in ran.json["users"]
    ]
    assert sum(spent) <= 60
    assert min(spent) > 0
    assert command("induce-persona", sample, "--all-users", "--budget-calls", 8).status == 2


def test_gzip_and_given_splits(command, sample, tmp_path):
    import gzip

    path = tmp_path / "pairs.jsonl.gz"
    rows = [json.loads(line) for line in sample.read_text(encoding="utf-8").splitlines()[:10]]
    lines = [json.dumps({**row, "split": "train" if i < 7 else "test"}) for i, row in enumerate(rows)]
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    ran = command("induce-persona", path, "--json")
    assert ran.json["users"][0]["pairs"] == {"train": 7, "validation": 0, "test": 3}
    profile = load_profile(Path(ran.json["users"][0]["files"]["profile"]))
    assert profile.provenance.split_rule == "given in the rows"


HOSTILE = [
    "../../../etc/passwd", "a/b\\c", ".", "..", "", "CON", "line\nbreak", "bell\x07\x1b[2J", "🙂🙂", "x" * 10_000,
    "[bold]markup[/bold]", "<b>html</b>", "`code`", "-rf", "~", "$(id)", "ann", "ANN", "null\x00byte", "{{persona}}",
]  # fmt: skip


@pytest.mark.parametrize("user_id", [user for user in HOSTILE if user], ids=lambda text: ascii(text[:20]))
def test_user_ids_are_data_never_paths(command, row, write_rows, tmp_path, user_id):
    before = {path for path in tmp_path.parent.iterdir()}
    path = write_rows([row(i, user_id=user_id) for i in range(6)])
    ran = command("induce-persona", path, "--user", user_id, "--out", "deep/out")
    assert ran.status == 0, ran.err
    out = tmp_path / "deep" / "out"
    assert {entry.name for entry in out.iterdir()} == {"index.json", folder_name(user_id)}
    assert ProfileFolder(out)[user_id].user_id == user_id
    assert {path for path in tmp_path.parent.iterdir()} == before
    assert "\x1b" not in ran.out
    assert "\x07" not in ran.out


def test_hostile_ids_side_by_side_do_not_meet(command, row, write_rows, tmp_path):
    users = [user for user in HOSTILE if user]
    rows = [row(10 * n + i, user_id=user) for n, user in enumerate(users) for i in range(3)]
    ran = command("induce-persona", write_rows(rows), "--all-users", "--json", "--no-evaluate")
    assert ran.status == 0, ran.err
    assert [user["user_id"] for user in ran.json["users"]] == users
    assert set(ProfileFolder(tmp_path / "out")) == set(users)
    listed = command("induce-persona", write_rows(rows))
    assert listed.status == 2
    assert len(listed.err) < 3000
    assert "\x1b" not in listed.err


def test_an_out_that_cannot_be_written_is_refused_before_any_call(command, sample, tmp_path):
    (tmp_path / "file").write_text("in the way")
    ran = command("induce-persona", sample, "--user", "mara", "--out", "file/below")
    assert ran.status == 2
    assert "expected a folder" in ran.err
    assert not (tmp_path / "cache").exists()


def test_a_later_run_without_evaluation_leaves_no_stale_file(command, sample, tmp_path):
    command("induce-persona", sample, "--user", "mara")
    folder = tmp_path / "out" / folder_name("mara")
    assert (folder / "evaluation.json").exists()
    command("induce-persona", sample, "--user", "mara", "--no-evaluate")
    assert not (folder / "evaluation.json").exists()
    assert not [path for path in folder.parent.iterdir() if "partial" in path.name]


def test_the_plain_search_of_the_paper_runs_and_refuses_a_budget_it_could_not_keep(command, sample):
    ran = command("induce-persona", sample, "--user", "mara", "--search", "paper", "--json", "--no-evaluate")
    user = ran.json["users"][0]
    assert load_profile(Path(user["files"]["profile"])).provenance.search == "paper"
    refused = command("induce-persona", sample, "--user", "mara", "--search", "paper", "--budget-calls", 50)
    assert refused.status == 2
    assert "economical" in refused.err
    kept = command("induce-persona", sample, "--user", "mara", "--search", "paper", "--budget-calls", 1000)
    assert kept.status == 0, kept.err
    planned = command("induce-persona", sample, "--user", "mara", "--search", "paper", "--dry-run", "--json")
    assert planned.json["users"][0]["induction"]["calls"] >= user["usage"]["distinct_calls"]


def break_the_evaluation(monkeypatch):
    def broken(*arguments, **options):
        raise BackendError("the server is gone")

    monkeypatch.setattr(one_user, "evaluate", broken)


def test_a_failed_evaluation_keeps_the_profile_and_is_status_1(command, sample, monkeypatch, tmp_path):
    break_the_evaluation(monkeypatch)
    ran = command("induce-persona", sample, "--user", "mara")
    assert ran.status == 1
    assert "the evaluation failed; what was induced is written" in ran.err
    assert "the server is gone" in ran.out
    assert set(ProfileFolder(tmp_path / "out")) == {"mara"}
    as_json = command("induce-persona", sample, "--user", "mara", "--json")
    assert as_json.status == 1
    assert as_json.json["users"][0]["evaluation_error"] == "the server is gone"
    assert as_json.json["users"][0]["accuracy"] == {}


def test_when_every_user_fails_nothing_else_is_claimed(command, sample, row, write_rows, monkeypatch):
    def broken(*arguments, **options):
        raise BackendError("the server is gone")

    monkeypatch.setattr(one_user, "induce_user", broken)
    several = command("induce-persona", sample, "--all-users")
    assert (several.status, several.out) == (1, "")
    assert "Error: all 3 users failed\n" in several.err
    one = command("induce-persona", write_rows([row(i) for i in range(6)]), "--all-users")
    assert (one.status, one.out) == (1, "")
    assert "Error: the only user failed\n" in one.err


def dull(request):
    """A model that gives no verdict in about a third of its replies."""
    text = "".join(message.text for message in request.messages)
    return "Reasoning: short\nPreference: First\nConfidence: 70" if len(text) % 3 else "?"


@pytest.mark.parametrize("columns", [60, 100])
def test_failures_are_shown_with_their_denominator_at_any_width(row, monkeypatch, capfd, tmp_path, columns):
    from synthesizeme.datasets import read_pairs

    monkeypatch.setenv("COLUMNS", str(columns))
    path = tmp_path / "pairs.jsonl"
    path.write_text(
        "".join(
            json.dumps(row(i, prompt=[{"role": "user", "content": "x" * (i + 1)}])) + "\n" for i in range(30)
        )
    )
    model = scripted_model(dull)
    result = one_user.induce_user(
        Session(model, retry=RetryPolicy(retries=0)), read_pairs(path).pairs, one_user.InductionSettings()
    )
    show_result(result, {"profile": tmp_path / "p" / "profile.json"}, model)
    shown = capfd.readouterr().out
    assert max(map(len, shown.splitlines())) <= columns
    assert "…" not in shown
    outcome = result.outcomes["default"]
    answered = len(outcome.answered)
    assert 0 < answered < outcome.n_pairs
    assert f"{answered} of {outcome.n_pairs}" in shown
    kinds = result.profile.provenance.failures
    assert f"{kinds['parse']} parse" in " ".join(shown.split())
    assert ("consistent" in shown, "ties" in shown) == ((columns >= 80,) * 2)
    assert "parse" in shown.partition("accuracy")[2]
    accuracy = result_json(result, {})["accuracy"]["default"]
    assert (accuracy["n"], accuracy["failures"]) == (answered, sum(outcome.failures.values()))


@pytest.mark.skipif(sys.platform == "win32", reason="pipes break differently")
def test_a_reader_that_goes_away_does_not_stop_the_work(sample, tmp_path):
    nobody_reads, theirs = os.pipe()
    os.close(nobody_reads)
    code = "import sys; from synthesizeme.cli import induce_persona_main; sys.exit(induce_persona_main())"
    ran = subprocess.run(
        [sys.executable, "-c", code, str(sample), "--all-users", "--out", "out", "--no-cache"],
        stdout=theirs, stderr=subprocess.PIPE, cwd=tmp_path, text=True, check=False,
    )  # fmt: skip
    os.close(theirs)
    assert ran.returncode == 141
    recognised, *progress = ran.stderr.splitlines()
    assert recognised == f"reading {sample} as jsonl: 60 pairs of 3 users"
    assert all(line.endswith("· 0 failed") for line in progress), "progress alone"
    assert set(ProfileFolder(tmp_path / "out")) == {"mara", "tobias", "ilse"}


def test_the_folder_of_another_user_with_the_same_id_is_refused_before_anything_is_asked(
    command, row, write_rows
):
    def rows(what):
        return write_rows([row(n, pair_id=f"{what}{n}") for n in range(5)], f"{what}.jsonl")

    assert command("induce-persona", rows("a"), "--no-evaluate").status == 0
    assert command("induce-persona", rows("a"), "--no-evaluate").status == 0
    before = {path: path.read_bytes() for path in Path("out").rglob("*") if path.is_file()}
    refused = command("induce-persona", rows("b"), "--no-evaluate")
    assert refused.status == 1
    assert "another user with the same id" in refused.err
    assert {path: path.read_bytes() for path in Path("out").rglob("*") if path.is_file()} == before
    assert command("induce-persona", rows("b"), "--no-evaluate", "--out", "other").status == 0
