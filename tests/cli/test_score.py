"""``synthesizeme score``: rows in, answers out, in order, as they come; nothing is lost silently."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import reward_models
from reward_models._base import RewardModel
from reward_models._types import Estimates, sigmoid
from synthesizeme.cli import main, score
from synthesizeme.datasets import read_pairs
from synthesizeme.discovery import resource
from synthesizeme.scoring import as_answers
from synthesizeme.serving.rewards import ScalarRewards
from synthesizeme.types import Message

METHOD = "hierarchical-stylometric"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint that knows mara and tobias; the pairs of all three lie beside it."""
    folder = tmp_path_factory.mktemp("trained")
    sample = resource("data/sample/pairs.jsonl").read_text(encoding="utf-8").splitlines()
    two = folder / "two.jsonl"
    two.write_text("\n".join(line for line in sample if "ilse" not in line), encoding="utf-8")
    assert main(["train", "--method", METHOD, "--data", str(two), "--out", str(folder / "m")]) == 0
    return folder / "m"


@pytest.fixture
def scored(command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, trained: Path) -> Callable[..., Any]:
    """Runs `score` on rows, or on bytes as they are."""

    def run(rows: list[object] | bytes, *arguments: object, model: Path = trained) -> Any:
        raw = rows if isinstance(rows, bytes) else "".join(f"{json.dumps(row)}\n" for row in rows).encode()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw)))
        return command("score", "--reward-model", model, *arguments)

    return run


def lines(ran: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in ran.out.splitlines()]


PLAIN = {"prompt": "What is a bond?", "response": "A loan to a state or a firm."}
LONG = ("A bond, in short, is a loan! For example, to a state. " * 8).strip()


def test_rewards_are_those_of_the_model(scored, trained):
    rows = [{**PLAIN, "id": 7}, {**PLAIN, "response": LONG.strip(), "user_id": "tobias"}]
    ran = scored(rows, "--user", "mara")
    assert ran.status == 0, ran.err
    prompts = [(Message(role="user", content=PLAIN["prompt"]),)] * 2
    expected = reward_models.load(trained).score(
        as_answers(prompts, [rows[0]["response"], rows[1]["response"]], ["mara", "tobias"])
    )
    assert lines(ran) == [
        {
            "line": number, **extra, "user_id": user, "value": reward.value, "taste": reward.taste,
            "floor": reward.floor, "probability": reward.probability,
            "standard_error": reward.standard_error, "status": "scored", "judged": False,
        }
        for number, extra, user, reward in zip(
            (1, 2), ({"id": 7}, {}), ("mara", "tobias"), expected, strict=True
        )
    ]  # fmt: skip


def test_thoughts_and_special_tokens_are_not_scored_unless_asked_for(scored):
    thought = f"<think>{LONG}</think>\n{PLAIN['response']}</s>"
    rows = [
        PLAIN,
        {**PLAIN, "response": thought},
        {"prompt": PLAIN["prompt"], "first": thought, "second": PLAIN["response"]},
    ]
    plain, bare, both = lines(scored(rows, "--user", "mara"))
    assert bare["stripped"] == both["stripped"] == ["thoughts", "tokens"]
    assert (bare["value"], both["margin"]) == (plain["value"], 0)
    _, whole, _ = lines(scored(rows, "--user", "mara", "--strip", "none"))
    assert "stripped" not in whole
    assert whole["value"] != plain["value"]
    refused = scored(rows, "--strip", "tags")
    assert refused.status == 2
    assert "strip is 'tags'; expected all, none, or some of template, thoughts, tokens" in refused.err


def test_heads_and_blanks_around_an_answer_are_said_and_not_scored(scored):
    around = [f"<|assistant|>\n{PLAIN['response']}", f" {PLAIN['response']}\n\n"]
    rows = [PLAIN, *({**PLAIN, "response": text} for text in around)]
    plain, *found = lines(scored(rows, "--user", "mara"))
    assert [(it["value"], it["stripped"]) for it in found] == [(plain["value"], ["tokens"])] * 2


def test_nobody_is_cured_by_the_name_of_the_one_user(scored):
    nobody = {**PLAIN, "user_id": None}
    refused = scored([nobody])
    assert "name the one user of all rows with --user ID" in " ".join(refused.err.split())
    (found,) = lines(scored([nobody], "--user", "mara"))
    assert found["user_id"] == "mara"


def test_a_whole_number_is_a_user_by_its_digits(scored):
    by_text, by_number = lines(
        scored([{**PLAIN, "user_id": "7"}, {**PLAIN, "user_id": 7}], "--unknown-user", "population")
    )
    assert by_number["user_id"] == "7"
    assert by_number["value"] == by_text["value"]


def test_pairs_get_margins_and_exchanging_the_sides_negates_them(scored):
    row = {"prompt": PLAIN["prompt"], "first": PLAIN["response"], "second": LONG, "user_id": "mara"}
    turned = {**row, "first": row["second"], "second": row["first"]}
    labelled = {"prompt": row["prompt"], "chosen": row["first"], "rejected": row["second"], "user_id": "mara"}
    one, other, named = lines(scored([row, turned, labelled]))
    assert one["margin"] == -other["margin"] == named["margin"] != 0
    assert one["probability"] + other["probability"] == pytest.approx(1)
    assert (one["prefers"], named["prefers"]) == (
        ("first", "chosen") if one["margin"] > 0 else ("second", "rejected")
    )


SHUFFLED = "a to or loan A state a firm bond a is of the by some holder the repaid to."


def test_what_is_no_answer_lies_far_below_and_the_taste_is_told_apart(scored):
    rows = [PLAIN, {**PLAIN, "response": PLAIN["prompt"]}, {**PLAIN, "response": SHUFFLED}]
    answer, echo, shuffled = lines(scored(rows, "--user", "mara"))
    assert answer["floor"] > -0.1
    for line in (answer, echo, shuffled):
        assert line["value"] == line["taste"] + line["floor"]
    assert echo["value"] < answer["value"] - 5
    assert echo["floor"] < -5
    tastes = lines(scored(rows, "--user", "mara", "--no-floor"))
    for line, taste in zip((answer, echo, shuffled), tastes, strict=True):
        assert (taste["value"], taste["taste"], taste["floor"]) == (line["taste"], line["taste"], 0)
    assert lines(scored(rows, "--user", "mara", "--floor", "base"))[1] == echo


def test_a_margin_has_the_floors_of_both_sides(scored):
    row = {"prompt": PLAIN["prompt"], "chosen": PLAIN["response"], "rejected": PLAIN["prompt"]}
    (found,) = lines(scored([row], "--user", "mara"))
    (taste,) = lines(scored([row], "--user", "mara", "--no-floor"))
    assert taste["floors"] == {"chosen": 0, "rejected": 0}
    assert found["floors"]["rejected"] < -5 < found["floors"]["chosen"]
    gap = found["floors"]["chosen"] - found["floors"]["rejected"]
    assert found["margin"] == pytest.approx(taste["margin"] + gap)
    assert found["prefers"] == "chosen"
    (refused,) = lines(scored([row], "--user", "maria", "--unknown-user", "refuse"))
    assert "floors" not in refused


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--floor", "bass"), "unknown floor 'bass'. Did you mean 'base'?"),
        (("--floor", "lm:"), "unknown floor 'lm:'"),
        (("--floor", "base", "--no-floor"), "exclude each other"),
    ],
)
def test_a_floor_that_is_none(scored, flags, said):
    ran = scored([PLAIN], "--user", "mara", *flags)
    assert ran.status in (1, 2)
    assert said in ran.err
    assert ran.out == ""


def test_rows_of_a_file_of_pairs_are_scored_as_they_stand(scored, trained):
    raw = (trained.parent / "two.jsonl").read_bytes()
    found = lines(scored(raw))
    pairs = read_pairs(trained.parent / "two.jsonl").pairs
    assert [line["pair_id"] for line in found] == [pair.pair_id for pair in pairs]
    assert sum(line["prefers"] == "chosen" for line in found) > 0.9 * len(pairs)


def test_answers_do_not_depend_on_the_size_of_a_batch(scored, trained):
    rows = [{**PLAIN, "response": f"{word} " * n} for n in range(1, 6) for word in ("yes", "perhaps")]
    mixed = [*rows, {"prompt": "Q?", "first": "a", "second": "b b"}]
    one, all_at_once = (lines(scored(mixed, "--user", "mara", "--batch-size", n)) for n in (1, 100))
    assert [list(line) for line in one] == [list(line) for line in all_at_once]
    for mine, theirs in zip(one, all_at_once, strict=True):
        numbers = {name: value for name, value in theirs.items() if isinstance(value, float)}
        assert {name: mine[name] for name in numbers} == pytest.approx(numbers, rel=1e-9)
        assert {k: v for k, v in mine.items() if k not in numbers}.items() <= theirs.items()
    assert [line["line"] for line in one] == list(range(1, 12))


def test_an_unknown_user_gets_the_population_or_nothing(scored):
    ran = scored([PLAIN], "--user", "maria")
    assert ran.status == 0
    assert (
        "does not know user 'maria', who gets the answer of the population. Did you mean 'mara'?" in ran.err
    )
    (population,) = lines(ran)
    assert population["status"] == "population"
    refused = scored([PLAIN], "--user", "maria", "--unknown-user", "refuse")
    assert refused.status == 0
    (line,) = lines(refused)
    assert (line["value"], line["status"]) == (None, "unknown_user")
    pair = {"prompt": "Q?", "first": "a", "second": "b b"}
    (line,) = lines(scored([pair], "--user", "maria"))
    assert line["status"] == "population"
    (line,) = lines(scored([pair], "--user", "maria", "--unknown-user", "refuse"))
    assert (line["margin"], line["status"]) == (None, "unknown_user")


def test_a_new_user_is_fitted_from_a_history_and_the_checkpoint_stays(scored, trained, sample):
    before = {path.name: path.read_bytes() for path in trained.iterdir()}
    ran = scored([PLAIN], "--user", "ilse", "--history", sample)
    assert ran.status == 0, ran.err
    assert "Fitted user 'ilse' to 20 pairs." in ran.err
    (line,) = lines(ran)
    (unfitted,) = lines(scored([PLAIN], "--user", "ilse"))
    assert line["status"] == "scored"
    assert line["value"] != unfitted["value"]
    assert {path.name: path.read_bytes() for path in trained.iterdir()} == before


def test_a_history_without_the_user_or_of_test_rows_alone(scored, row, write_rows, sample):
    absent = scored([PLAIN], "--user", "ann", "--history", sample)
    assert absent.status == 1
    assert f"{sample}: has no train or validation pair of user 'ann'" in absent.err
    held_out = write_rows([row(0, split="test"), row(1, user_id="bob")])
    assert scored([PLAIN], "--user", "ann", "--history", held_out).status == 1
    one = scored([PLAIN], "--user", "bob", "--history", held_out)
    assert one.status == 0, one.err
    assert lines(one)[0]["status"] == "scored"


def test_a_history_of_several_users_fits_all_who_have_pairs_to_learn_from(scored, row, write_rows):
    path = write_rows([row(0, split="test"), row(1), row(2, user_id="bob", split="test")])
    ran = scored([{**PLAIN, "user_id": user} for user in ("ann", "bob")], "--history", path)
    assert ran.err.splitlines() == [
        f"reading {path} as jsonl: 3 pairs of 2 users",
        "Fitted user 'ann' to 1 pair; 1 test pair left out.",
    ]
    assert [line["status"] for line in lines(ran)] == ["scored", "population"]
    nobody = scored([PLAIN], "--history", write_rows([row(0, split="test")], "test.jsonl"))
    assert nobody.status == 1
    assert "no train or validation pair of anybody" in nobody.err


BAD = {
    "not JSON": (b"{oops\n", "not JSON"),
    "a list": (b"[1]\n", "found a list"),
    "no user": ({"prompt": "Q?", "response": "a", "user_id": ""}, "user"),
    "no prompt": ({"response": "a"}, "prompt"),
    "nothing to score": ({"prompt": "Q?"}, "expected response"),
    "too much to score": (
        {"prompt": "Q?", "response": "a", "first": "b", "second": "c"},
        "expected response",
    ),
    "half a pair": ({"prompt": "Q?", "chosen": "a"}, "rejected"),
    "a blank response": ({"prompt": "Q?", "response": " "}, "blank"),
    "a number": ({"prompt": "Q?", "response": 3}, "response"),
    "a prompt that ends with an answer": (
        {"prompt": [{"role": "assistant", "content": "x"}], "response": "a"},
        "does not end with a user turn",
    ),
    "an unknown role": ({"prompt": [{"role": "robot", "content": "x"}], "response": "a"}, "role"),
    "two responses in one": (
        {"prompt": "Q?", "response": [{"role": "assistant", "content": "x"}] * 2},
        "found 2 messages",
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_row_stops_it_after_the_rows_before(scored, kind):
    bad, said = BAD[kind]
    raw = bad if isinstance(bad, bytes) else f"{json.dumps(bad)}\n".encode()
    good = f"{json.dumps(PLAIN)}\n".encode()
    stopped = scored(good + b"\n" + raw + good, "--user", "mara")
    assert stopped.status == 1
    assert "standard input:3" in stopped.err
    assert said in stopped.err
    assert "Traceback" not in stopped.err
    assert [line["line"] for line in lines(stopped)] == [1]

    went_on = scored(good + b"\n" + raw + good, "--user", "mara", "--on-error", "skip")
    assert went_on.status == 0
    first, wrong, last = lines(went_on)
    assert (first["line"], wrong["line"], last["line"]) == (1, 3, 4)
    assert wrong["error"] == "DataError"
    assert said in wrong["detail"]
    assert first["value"] == last["value"]
    assert "1 of 3 rows could not be scored" in went_on.err


def test_nobody_is_asked_for(scored):
    ran = scored([PLAIN])
    assert ran.status == 1
    assert "expected user_id in the row, or --user" in ran.err


def test_an_empty_input_is_no_error(scored):
    ran = scored(b"\n\n", "--user", "mara")
    assert (ran.status, ran.out, ran.err) == (0, "", "")


def says(text: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text}]


def lively(count: int) -> list[dict[str, Any]]:
    """Choices of somebody new, all for exclamation marks."""
    return [
        {
            "pair_id": f"n{number}", "user_id": "new",
            "prompt": [{"role": "user", "content": f"Is it time for tea, number {number}?"}],
            "chosen": says(f"It is time for cup {number}!!"),
            "rejected": says(f"It is time for cup {number}."),
        }
        for number in range(count)
    ]  # fmt: skip


def test_what_sets_a_user_apart_comes_first_and_what_most_people_like_apart_from_it(scored, tmp_path):
    (tmp_path / "mine.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in lively(30)))
    asked = (b"", "--user", "new", "--history", "mine.jsonl", "--weights")
    ran = scored(*asked)
    assert ran.status == 0, ran.err
    head, first, *_ = ran.out.splitlines()
    assert head.startswith("More than most people (p = 0.001")
    assert first.startswith("  prefers lively answers with exclamation marks: +")
    assert "(exclamations; most people -" in first
    found = scored(*asked, "--json").json
    assert found["test"] == {"p_value": 0.001, "level": 0.2, "set_apart": True}
    weights = found["weights"] + found["like_most_people"]
    assert len(weights) == sum(line.startswith("  prefers ") for line in ran.out.splitlines())
    assert all(weight["standard_error"] > 0 for weight in weights)
    features = [weight["feature"] for weight in weights]
    assert len(set(features)) == len(features)
    assert "emoji" not in features, "there was none to choose"


def test_of_whom_nothing_sets_apart_nothing_is_listed(scored, tmp_path):
    (tmp_path / "mine.jsonl").write_text(
        json.dumps(lively(1)[0] | {"rejected": says("It is time for cup 0!!!")})
    )
    asked = (b"", "--user", "new", "--history", "mine.jsonl", "--weights")
    ran = scored(*asked)
    assert (ran.status, len(ran.out.splitlines())) == (0, 1)
    assert ran.out.startswith("Nothing yet that sets this user apart from most people (p = ")
    found = scored(*asked, "--json").json
    assert found["test"]["p_value"] > 0.2
    assert (found["weights"], found["like_most_people"]) == ([], [])


def test_weights_are_of_one_user_whom_the_model_knows(scored):
    assert scored(b"", "--weights").status == 2
    unknown = scored(b"", "--user", "maria", "--weights")
    assert unknown.status == 1
    assert "Did you mean 'mara'?" in unknown.err
    assert "--history" in unknown.err


# A checkpoint that is not what was saved.


def damaged(trained: Path, tmp_path: Path) -> Path:
    return shutil.copytree(trained, tmp_path / "copy")


def rewritten(path: Path, **changes: Any) -> None:
    document = json.loads(path.read_text())
    path.write_text(json.dumps({**document, **changes}))


@pytest.mark.parametrize("name", ["model.json", "shared.safetensors", "users.safetensors", "users.json"])
@pytest.mark.parametrize("damage", ["missing", "truncated", "one byte"])
def test_a_damaged_checkpoint_is_refused(scored, trained, tmp_path, name, damage):
    folder = damaged(trained, tmp_path)
    raw = (folder / name).read_bytes()
    if damage == "missing":
        (folder / name).unlink()
    elif damage == "truncated":
        (folder / name).write_bytes(raw[:-7])
    else:
        place = raw.rindex(b"0") if name == "model.json" else len(raw) // 2
        (folder / name).write_bytes(raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :])
    ran = scored([PLAIN], "--user", "mara", model=folder)
    assert ran.status == 1
    assert str(folder / name) in ran.err
    assert "Cure: " in ran.err
    assert ran.out == ""


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"format_version": 99}, "format version 99; this version reads 3"),
        ({"method": "bradley-terry"}, "changed since"),
        ({"params": {"seed": 3}}, "changed since"),
        ({"facts": {}}, "changed since"),
        ({"files": []}, "changed since"),
    ],
)
def test_a_changed_description_is_refused(scored, trained, tmp_path, changes, said):
    folder = damaged(trained, tmp_path)
    rewritten(folder / "model.json", **changes)
    ran = scored([PLAIN], "--user", "mara", model=folder)
    assert ran.status == 1
    assert said in ran.err


@pytest.mark.parametrize("content", ["[]", "{}", "nonsense", '{"format_version": 3}'])
def test_a_description_of_something_else_is_refused(scored, trained, tmp_path, content):
    folder = damaged(trained, tmp_path)
    (folder / "model.json").write_text(content)
    ran = scored([PLAIN], "--user", "mara", model=folder)
    assert ran.status == 1
    assert "model.json" in ran.err
    assert "fault of the program" not in ran.err


def test_no_checkpoint_at_all(scored, tmp_path):
    ran = scored([PLAIN], "--user", "mara", model=tmp_path / "absent")
    assert ran.status == 1
    assert "no checkpoint can be read here" in ran.err


# Streaming.


def test_an_answer_comes_before_the_next_row_is_sent(trained):
    command = [
        sys.executable,
        "-m",
        "synthesizeme.cli",
        "score",
        "--reward-model",
        str(trained),
        "--user",
        "mara",
    ]
    with subprocess.Popen(
        [*command, "--batch-size", "1"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for number in (1, 2):
            process.stdin.write(json.dumps({**PLAIN, "id": number}) + "\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["id"] == number
        process.stdin.close()
    assert process.returncode == 0


class Endless(io.RawIOBase):
    """So many rows, made as they are read."""

    def __init__(self, number: int) -> None:
        self.rows = self._rows(number)

    def _rows(self, number: int) -> Iterator[bytes]:
        for place in range(number):
            yield f'{{"prompt": "Q {place}?", "response": "{place} {"word " * 400}"}}\n'.encode()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        row = next(self.rows, b"")
        buffer[: len(row)] = row
        return len(row)


class Brevity(RewardModel):
    """Rewards fewer characters; remembers nothing."""

    def _fit(self, histories: Any, sayings: Any) -> Any:
        return {user: {} for user in histories}

    def _user_state(self, pairs: Any, said: Any = None) -> Any:
        return {}

    def _rewards(self, asked: Any) -> Estimates:
        value = -np.asarray([len(response) for response in asked.responses], dtype=np.float64)
        return Estimates(value, sigmoid(value))

    def _arrays(self) -> Any:
        return {}

    def _restore(self, arrays: Any, facts: Any) -> None:
        pass


def test_memory_does_not_grow_with_the_rows(sample, monkeypatch):
    rewards = ScalarRewards(Brevity(floor="none").fit(read_pairs(sample).pairs))
    options = score.ScoringOptions(reward_model=Path("m"), user="mara", batch_size=20)
    peaks = []
    for number in (1200, 60, 1200):  # the first fills what the interpreter and libraries keep once
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(Endless(number), 1 << 16)))
        tracemalloc.start()
        assert sum(1 for _ in score._lines(rewards, options)) == number
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] < 2 * peaks[1], "20 times the rows"


def test_cautious_rewards_on_the_scale_of_the_training_answers(scored, trained):
    rows = [PLAIN, {**PLAIN, "response": LONG}]
    plain = lines(scored(rows, "--user", "mara"))
    cautious = lines(scored(rows, "--user", "mara", "--pessimism", "2"))
    for before, after in zip(plain, cautious, strict=True):
        assert after["value"] == pytest.approx(before["value"] - 2 * before["standard_error"])
    scale = reward_models.load(trained).reward_scale
    scaled = lines(scored(rows, "--user", "mara", "--normalize", "--clip", "1.5"))
    wanted = [np.clip((line["value"] - scale.mean) / scale.scale, -1.5, 1.5) for line in plain]
    assert [line["value"] for line in scaled] == pytest.approx(wanted)
    pair = {"prompt": PLAIN["prompt"], "first": PLAIN["response"], "second": LONG}
    (one,), (other,) = (lines(scored([pair], "--user", "mara", *more)) for more in ((), ("--pessimism", "2")))
    assert one == other, "margins stay as they are"


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--pessimism", "-1"), "pessimism is -1.0; expected a number of standard errors from 0 on"),
        (("--pessimism", "nan"), "pessimism is nan"),
        (("--clip", "2"), "give normalize too"),
    ],
)
def test_wrong_shapes_of_rewards_are_refused(scored, flags, said):
    ran = scored([PLAIN], "--user", "mara", *flags)
    assert ran.status == 2
    assert said in " ".join(ran.err.split())
    assert not ran.out
