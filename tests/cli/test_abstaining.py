"""``--max-error`` of score, judge and compare: what is answered, what is abstained from, what was promised."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import opposites
import pytest

import reward_models
from synthesizeme.datasets import write_pairs
from synthesizeme.evaluation import figures
from synthesizeme.evaluation.report import Report

MODEL = "hierarchical-stylometric"
NEW = ("c3", "c4", "l2")
"""Users whom the model does not know; each has four validation pairs."""


def of(*, learned):
    return [pair for pair in opposites.population(history=18) if (pair.user_id in NEW) != learned]


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("abstaining") / "m"
    pairs = [pair for pair in of(learned=True) if pair.split != "test"]
    reward_models.method(MODEL)(floor="none").fit(pairs).save(folder)
    return folder


@pytest.fixture
def history(tmp_path) -> Path:
    """Pairs of the new users."""
    path = tmp_path / "history.jsonl"
    write_pairs(path, of(learned=False))
    return path


@pytest.fixture
def scored(command, monkeypatch, trained):
    def run(rows, *arguments):
        raw = "".join(f"{json.dumps(row)}\n" for row in rows).encode()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw)))
        return command("score", "--reward-model", trained, *arguments)

    return run


def lines(ran):
    return [json.loads(line) for line in ran.out.splitlines()]


def row(pair, **more):
    return {"user_id": pair.user_id, "prompt": pair.prompt[0].content, "chosen": pair.chosen_text,
            "rejected": pair.rejected_text, **more}  # fmt: skip


def alike(pair):
    """A row whose two responses hardly differ, so that nobody can be sure."""
    return row(pair, rejected=pair.chosen_text + " ")


def test_score_answers_what_it_is_sure_of_and_abstains_from_the_rest(scored, history):
    test = [pair for pair in of(learned=False) if pair.split == "test"]
    rows = [row(pair) for pair in test] + [alike(pair) for pair in test[:3]]
    ran = scored(rows, "--history", history, "--max-error", "0.2")
    assert ran.status == 0, ran.err
    found = lines(ran)
    assert [line["prefers"] for line in found[: len(test)]] == ["chosen"] * len(test)
    assert {line["status"] for line in found[: len(test)]} == {"scored"}
    for line in found[len(test) :]:
        assert (line["prefers"], line["status"]) == (None, "abstained")
        assert abs(line["probability"] - 0.5) < 0.3
        assert line["margin"] is not None
    assert (
        f"Error promised at most 20.0%, realised 0.0% (0 of {len(test)} with a known choice); coverage "
        f"80.0% ({len(test)} of {len(rows)} pairs answered), by 12 validation pairs."
    ) in " ".join(ran.err.split())
    plain = lines(scored(rows, "--history", history))
    assert None not in [line["prefers"] for line in plain]


def test_validation_rows_are_not_fitted_to(scored, history, trained):
    (line,) = lines(scored([row(of(learned=False)[-1])], "--history", history, "--max-error", "0.2"))
    model = reward_models.load(trained)
    pairs = of(learned=False)
    model.fit_users({u: [p for p in pairs if p.user_id == u and p.split == "train"] for u in NEW})
    (verdict,) = model.compare([pairs[-1].compare("chosen_first")])
    assert line["margin"] == pytest.approx(verdict.margin)


def test_nothing_is_promised_for_a_user_who_is_not_known(scored, history):
    test = of(learned=False)[-1]
    rows = [row(test, user_id="nobody knows me"), {"user_id": "c3", "prompt": "Q?", "response": "Wow!"}]
    margin, reward = lines(scored(rows, "--history", history, "--max-error", "0.2"))
    assert (margin["prefers"], margin["status"]) == (None, "abstained")
    assert reward["status"] == "scored", "a single response is scored as ever"


def test_a_model_that_is_often_wrong_answers_nothing(scored, tmp_path):
    turned = [p.swapped_labels() if p.split == "validation" else p for p in of(learned=False)]
    write_pairs(tmp_path / "turned.jsonl", turned)
    rows = [row(p) for p in turned if p.split == "test"]
    ran = scored(rows, "--history", tmp_path / "turned.jsonl", "--max-error", "0.2")
    assert {line["status"] for line in lines(ran)} == {"abstained"}
    assert "no answered pair has a known choice; coverage 0.0% (0 of 12" in " ".join(ran.err.split())


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (
            ("--max-error", "0.05"),
            "12 validation pairs are too few for an error of at most 0.05: 19 are needed",
        ),
        (
            ("--user", "c3", "--max-error", "0.1"),
            "4 validation pairs are too few for an error of at most 0.1: 9",
        ),
        (("--max-error", "0"), "max-error is 0; expected a share of errors above 0 and below 1"),
        (("--max-error", "nan"), "max-error is nan"),
    ],
)
def test_promises_that_cannot_be_kept_are_refused_before_a_row_is_read(scored, history, flags, said):
    ran = scored([row(of(learned=False)[-1])], "--history", history, *flags)
    assert ran.status != 0
    assert said in " ".join(ran.err.split())
    assert not ran.out


def test_pairs_that_the_model_learned_from_promise_nothing(scored, tmp_path):
    write_pairs(tmp_path / "known.jsonl", of(learned=True))
    ran = scored([], "--history", tmp_path / "known.jsonl", "--max-error", "0.2")
    assert ran.status == 1
    assert "the model learned from 20 of the 20 validation pairs" in " ".join(ran.err.split())
    alone = scored([], "--max-error", "0.2")
    assert alone.status == 2
    assert "--max-error needs --history PAIRS" in alone.err


# The judge.


@pytest.fixture
def profile(command, tmp_path) -> Path:
    """A profile of c3, who likes calm answers, made from the first half of their pairs."""
    mine = [p for p in opposites.population(history=40) if p.user_id == "c3" and p.split != "test"]
    write_pairs(tmp_path / "mine.jsonl", mine[:20])
    fresh = [p.model_copy(update={"split": "validation"}) for p in mine[20:32]]
    write_pairs(tmp_path / "fresh.jsonl", fresh)
    ran = command("induce-persona", tmp_path / "mine.jsonl", "--user", "c3", "--no-evaluate")
    assert ran.status == 0, ran.err
    return tmp_path / "out"


def asked(number=900):
    pair = opposites.judged("c3", number, calm=True, split=None)
    return ["--prompt", pair.prompt[0].content, "--first", pair.chosen_text, "--second", pair.rejected_text]


def test_the_judge_answers_where_it_is_sure_and_abstains_where_not(command, profile, tmp_path):
    promised = ("--history", tmp_path / "fresh.jsonl", "--max-error", "0.2")
    ran = command("judge", "--store", profile, *asked(), *promised, "--json")
    assert ran.status == 0, ran.err
    assert (ran.json["preference"], ran.json["status"], ran.json["promised_error"]) == (
        "first",
        "judged",
        0.2,
    )
    assert ran.json["validation"]["pairs"] == 12
    assert 0.5 <= ran.json["threshold"] <= max(ran.json["probability"], 1 - ran.json["probability"])
    same = ["--prompt", "Q?", "--first", "It is about rope.", "--second", "It is about tar."]
    unsure = command("judge", "--store", profile, *same, *promised, "--json").json
    assert (unsure["preference"], unsure["status"]) == (None, "abstained")
    human = command("judge", "--store", profile, *same, *promised)
    assert "c3: abstained" in human.out
    assert "Error promised at most 20.0%: answers from a confidence of" in " ".join(human.out.split())
    plain = command("judge", "--store", profile, *asked(), "--json").json
    assert "status" not in plain


def test_the_judge_refuses_what_its_profile_was_made_from_and_too_few_pairs(command, profile, tmp_path):
    old = command("judge", "--store", profile, *asked(), "--max-error", "0.5", "--history", "mine.jsonl")
    assert old.status == 1
    assert "the profile was made from 5 of the 5 validation pairs" in " ".join(old.err.split())
    few = command("judge", "--store", profile, *asked(), "--max-error", "0.05", "--history", "fresh.jsonl")
    assert few.status == 1
    assert "12 validation pairs are too few for an error of at most 0.05: 19 are needed" in " ".join(
        few.err.split()
    )
    for flags in (("--max-error", "0.2"), ("--history", "fresh.jsonl")):
        alone = command("judge", "--store", profile, *asked(), *flags)
        assert alone.status == 2
        assert "go together" in alone.err


# Comparisons.


@pytest.fixture
def compared(command, monkeypatch):
    monkeypatch.setattr(figures, "draw", lambda measurements, folder, *, benchmark: [])
    write_pairs(Path("planted.jsonl"), opposites.population())

    def run(*arguments, scorers=MODEL):
        return command("compare", "--data", "planted.jsonl", "--out", "out", "--no-cold-start",
                       "--scorers", scorers, *arguments)  # fmt: skip

    return run


def test_promised_and_realised_error_and_coverage_stand_side_by_side(compared):
    ran = compared("--max-error", "0.1", scorers=f"{MODEL},longer")
    assert ran.status == 0, ran.err
    report = Report.from_json(Path("out/results.json").read_text())
    model, longer = report.rows
    assert longer.selection is None
    assert (model.selection.max_error, model.selection.pairs, model.selection.validation) == (0.1, 32, 32)
    assert model.selection.realised <= 0.1
    assert model.selection.coverage > 0.8
    assert "| promised error | realised error | coverage |" in " ".join(ran.out.split())
    assert "neither ties nor wrong" in ran.out
    assert compared("--json").json["rows"][0]["selection"] is None, (
        "finished work without a promise is another"
    )


def test_a_checkpoint_promises_by_rows_that_it_has_not_seen(compared, trained):
    ran = compared("--max-error", "0.2", scorers=str(trained))
    assert ran.status == 0, ran.err
    assert "nothing is promised: it may have learned from the validation rows" in " ".join(ran.out.split())
    fresh = [p for p in opposites.population() if p.user_id in NEW]
    write_pairs(Path("planted.jsonl"), fresh)
    again = compared("--max-error", "0.2", "--json", scorers=str(trained))
    assert again.status == 0, again.err
    assert again.json["rows"][0]["selection"]["validation"] == 12


def test_too_few_validation_rows_are_said_before_anything_is_measured(compared):
    ran = compared("--max-error", "0.02")
    assert ran.status == 1
    assert "32 validation pairs are too few for an error of at most 0.02: 49 are needed" in " ".join(
        ran.err.split()
    )
    assert not Path("out/measurements").exists()
