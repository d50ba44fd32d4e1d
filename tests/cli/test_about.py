"""``--about FILE``: words of users in every verb that reads them, and what is said where they do not count."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from wordy import Wordy

import reward_models
from synthesizeme.datasets import read_pairs
from synthesizeme.feedback import UserWords
from synthesizeme.serving.workers import ServerOptions, application, opened_store

METHOD = "hierarchical-stylometric"
ROW = {"prompt": "Tea or coffee?", "response": "Tea at night."}


@pytest.fixture
def wordy(monkeypatch, tmp_path, row, write_rows):
    """A model that reads words, and knows ann of one pair, in place of every checkpoint."""
    pairs = read_pairs(write_rows([row()], name="learned.jsonl")).pairs
    monkeypatch.setattr(reward_models, "load", lambda folder: Wordy().fit(pairs))
    return "anywhere"


@pytest.fixture
def scored(command, monkeypatch):
    """Runs `score` on rows."""

    def run(model, rows, *arguments):
        raw = "".join(f"{json.dumps(it)}\n" for it in rows).encode()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw)))
        ran = command("score", "--reward-model", model, *arguments)
        return ran, [json.loads(line) for line in ran.out.splitlines()]

    return run


def test_training_hands_words_to_a_method_that_reads_them(command, monkeypatch, sample, write_rows):
    given = {}

    def fit(self, pairs, words, feedback):
        given.update(words)
        return Wordy.__mro__[1].fit(self, pairs, words, feedback)

    monkeypatch.setattr(Wordy, "fit", fit)
    monkeypatch.setattr(reward_models, "method", lambda name: Wordy)
    monkeypatch.setattr(Wordy, "save", lambda self, folder: None)
    path = write_rows(
        [{"user_id": "mara", "about": "x" * 30_000}, {"user_id": "zed", "about": "tea"}], name="w.jsonl"
    )
    ran = command("train", "--method", "wordy", "--data", sample, "--out", "m", "--about", path)
    assert ran.status == 0, ran.err
    assert list(given) == ["mara", "zed"]
    assert "about of user 'mara' has 30,000 characters; the first 20,000 are read." in ran.err
    assert "1 user with words and no pair: zed." in ran.err
    assert "words of 2 users;" in ran.out


def test_training_a_method_that_reads_no_words_says_so_and_learns_the_same(command, sample):
    Path("mara.md").write_text("I like short answers.")
    small = ("params.features=stylometric", "params.epochs=3")
    words = ("train", "--method", "pal-b", "--data", sample, "--json", *small)
    first, again = command(*words, "--out", "a"), command(*words, "--out", "b", "--about", "mara.md")
    assert again.status == 0, again.err
    assert "pal-b reads no words of users; --about changes nothing there." in again.err
    assert (again.json["words"], again.json["parameters"]) == (0, first.json["parameters"])
    one, other = (reward_models.load(name).users_["mara"] for name in "ab")
    assert all(np.array_equal(one[name], other[name]) for name in one)


def test_words_alone_make_a_new_user_known(scored, wordy, write_rows):
    path = write_rows(
        [{"user_id": "bo", "about": "Tea at night."}, {"user_id": "cy", "wishes": ["coffee"]}], name="w.jsonl"
    )
    ran, found = scored(wordy, [{**ROW, "user_id": user} for user in ("bo", "cy", "dan")], "--about", path)
    assert [(it["value"], it["status"]) for it in found] == [
        (2.0, "scored"),
        (0.0, "scored"),
        (0.0, "population"),
    ]
    assert "Fitted user 'bo' to their own words." in ran.err


def test_a_text_is_of_the_user_that_is_asked_about(scored, wordy):
    Path("me.md").write_text("Tea!")
    ran, found = scored(wordy, [ROW], "--about", "me.md", "--user", "bo")
    assert ran.status == 0, ran.err
    assert (found[0]["user_id"], found[0]["value"]) == ("bo", 1.0)
    _, found = scored(wordy, [{**ROW, "user_id": "me"}], "--about", "me.md")
    assert found[0]["value"] == 1.0


def test_words_and_history_count_together(scored, wordy, row, write_rows):
    said = [{"role": "assistant", "content": "Tea."}]
    history = write_rows([row(user_id="bo", chosen=said)], name="history.jsonl")
    about = write_rows([{"user_id": "bo", "about": "tea, tea"}], name="w.jsonl")
    ran, found = scored(wordy, [{**ROW, "user_id": "bo"}], "--history", history, "--about", about)
    assert found[0]["value"] == 3.0
    assert "Fitted user 'bo' to 1 pair and their own words." in ran.err


def test_whom_the_checkpoint_knows_keeps_what_was_learned(scored, wordy, write_rows):
    about = write_rows([{"user_id": "ann", "about": "tea"}], name="w.jsonl")
    ran, found = scored(wordy, [{**ROW, "user_id": "ann"}], "--about", about)
    assert found[0]["value"] == 0.0
    assert "ann known from training" in ran.err
    assert "--history too" in ran.err


def test_a_row_may_bring_the_words_of_its_user(scored, wordy):
    rows = [{**ROW, "user_id": "bo", "about": "tea"}, {"prompt": "Q?", "chosen": "Tea.", "rejected": "Coffee.",
            "user_id": "cy", "about": {"wishes": ["coffee", "coffee"]}}]  # fmt: skip
    _, found = scored(wordy, rows)
    assert (found[0]["value"], found[1]["margin"], found[1]["prefers"]) == (1.0, -2.0, "rejected")
    ran, found = scored(wordy, [{**ROW, "user_id": "bo", "about": " "}], "--on-error", "skip")
    assert "is blank" in found[0]["detail"]
    assert ran.status == 0


def test_words_of_others_than_the_user_asked_about_are_an_error(scored, wordy, write_rows):
    about = write_rows([{"user_id": "cy", "about": "tea"}], name="w.jsonl")
    ran, _ = scored(wordy, [ROW], "--about", about, "--user", "bo")
    assert ran.status == 1
    assert "has no words of user 'bo'; it has those of cy" in ran.err


def test_a_file_that_is_wrong_or_not_there_ends_every_verb(command, sample, write_rows):
    wrong = write_rows([{"user_id": "mara", "abuot": "x"}], name="w.jsonl")
    verbs = {
        "train": ("--method", METHOD, "--data", sample, "--out", "m"),
        "serve": ("--reward-model", "m"),
    }
    for verb, arguments in verbs.items():
        for path, said in ((wrong, "field 'abuot'"), ("none.jsonl", "there is no such file")):
            ran = command(verb, *arguments, "--about", path)
            assert ran.status == 1
            assert said in ran.err


def test_a_server_knows_who_only_spoke(wordy, write_rows):
    about = write_rows(
        [{"user_id": "bo", "about": "tea"}, {"user_id": "ann", "about": "tea"}], name="w.jsonl"
    )
    options = ServerOptions(model=wordy, about=str(about))
    assert opened_store(options).words("bo") == UserWords(user_id="bo", about="tea")
    app = application(options)
    model = app.state.endpoints.queue.rewards.model
    assert set(model.users_) == {"ann", "bo"}
    assert list(model.users_["bo"]["tastes"]) == [1, 0, 0, 0]
    assert list(model.users_["ann"]["tastes"]) == [0, 0, 0, 0]


def test_several_processes_need_a_store_for_words(command, write_rows):
    about = write_rows([{"user_id": "bo", "about": "tea"}], name="w.jsonl")
    ran = command("serve", "--reward-model", "m", "--workers", 2, "--about", about)
    assert ran.status == 2
    assert "--about with several --workers needs --store" in ran.err


def test_a_comparison_says_who_reads_no_words_and_measures_afresh(command, sample, write_rows):
    assert command("data", "split", sample, "--out", "divided.jsonl").status == 0
    about = write_rows(
        [{"user_id": "mara", "about": "tea"}, {"user_id": "zed", "about": "tea"}], name="w.jsonl"
    )
    arguments = (
        "compare", "--data", "divided.jsonl", "--scorers", f"{METHOD},longer", "--out", "out", "--no-cold-start",
        "--no-answers", 2,
    )  # fmt: skip
    plain = command(*arguments)
    assert "words" not in plain.err
    ran = command(*arguments, "--about", about)
    assert ran.status == 0, ran.err
    assert "1 user with words and no pair: zed." in ran.err
    assert f"{METHOD}, given split: " in ran.err, "with words it is another unit"
    reads = reward_models.method(METHOD).reads_words
    assert (f"{METHOD} reads no words of users; --about changes nothing there." in ran.err) == (not reads)


def test_induction_shows_the_writer_what_each_user_wrote(command, sample, write_rows):
    path = write_rows([{"user_id": "mara", "wishes": ["Be brief."]}, {"user_id": "zed", "about": "tea"}])
    ran = command("induce-persona", sample, "--all-users", "--about", path, "--json")
    assert ran.status == 0, ran.err
    assert "1 user with words and no pair: zed." in ran.err
    made = {
        user["user_id"]: json.loads(Path(user["files"]["profile"]).read_text()) for user in ran.json["users"]
    }
    assert [user for user, it in made.items() if "words_prompt" in it["provenance"]["settings"]] == ["mara"]
    refused = command("induce-persona", sample, "--all-users", "--store", "s.db", "--about", path)
    assert refused.status == 2
    assert "profiles import" in refused.err
