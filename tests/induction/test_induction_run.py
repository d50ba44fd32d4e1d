"""A run over the users of a store: what is finished stays finished, what fails is recorded, nothing is redone."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import judging
import pytest
from openai_stub import Reply

from synthesizeme.backends import ModelSettings, RetryPolicy
from synthesizeme.datasets import write_pairs
from synthesizeme.datasets.synthetic import planted_population
from synthesizeme.errors import ConfigError
from synthesizeme.induction import Shard, induce_users, run
from synthesizeme.induction.one_user import InductionSettings, induce_user
from synthesizeme.induction.stored_user import induce_stored_user
from synthesizeme.profiles import open_store
from synthesizeme.profiles.views import every_user, take_pairs
from synthesizeme.types import Message


def flat(people):
    return [pair for own in people.values() for pair in own]


def few(people, number, pairs=14):
    return {user: own[:pairs] for user, own in list(people.items())[:number]}


def profiles_of(store):
    return {user.user_id: store.profile(user.user_id).profile for user in every_user(store) if user.version}


@pytest.fixture
def served(openai_stub, job_at, tmp_path):
    """A job against the stub endpoint, with a cache."""

    def make(place, **fields):
        openai_stub.answer = judging.answer
        base = job_at(
            place, model="m", model_settings=ModelSettings(api_base=openai_stub.base_url, logprobs=False),
            cache_dir=tmp_path / "cache", concurrency=16,
        )  # fmt: skip
        return replace(base, **fields)

    return make


def questions(stub):
    return Counter(json.dumps(body["messages"]) for body in stub.requests)


def test_the_profiles_are_those_of_one_user_at_a_time(people, filled, opened, job_at):
    some = few(people, 4)
    place = filled(flat(some))
    job = job_at(place)
    summary = run(job)
    assert (summary.done, summary.unchanged, summary.failed) == (4, 0, 0)
    store = opened(place)
    with job.open_session() as session:
        for user in some:
            alone = induce_user(session, store.pairs(user), job.settings)
            assert store.profile(user).profile == alone.profile
            record = store.induction(user)
            assert (record.state, record.pairs, record.version) == ("done", 14, 1)
            assert record.usage == alone.usage + alone.evaluation_usage
            assert record.accuracy["both"] == (sum(s := alone.outcomes["both"].scores.values()), len(s))
    assert summary.accuracy["both"].pairs == sum(opened(place).induction(u).accuracy["both"][1] for u in some)


def test_users_in_flight_together_get_the_profiles_that_they_get_alone(people, filled, opened, served):
    some = few(people, 8)
    one, many = filled(flat(some), "one.db"), filled(flat(some), "many.db")
    run(served(one, concurrency=1, cache_dir=None))
    summary = run(served(many, concurrency=32, cache_dir=None))
    assert summary.done == 8
    assert profiles_of(opened(one)) == profiles_of(opened(many))


def test_users_at_hand_are_induced_together_each_as_alone_and_within_the_budget(people, served):
    some, found = few(people, 5), {}
    with served("none", concurrency=16).open_session() as session:
        summary = induce_users(
            session,
            some,
            InductionSettings(),
            lambda user, so_far: found.update({user.user_id: user.profile}),
        )
        assert (summary.done, summary.usage.cached_calls) == (5, 0)
        assert found == {
            user: induce_user(session, own, InductionSettings()).profile for user, own in some.items()
        }
        least = induce_users(session, some, InductionSettings(seed=1), budget_calls=5 * 20)
    assert least.done == 5
    assert 5 < least.usage.distinct_calls <= 5 * 20


def test_never_more_users_in_memory_than_are_in_flight(people, filled, served, monkeypatch):
    place, held, most, lock = filled(flat(people)), set(), [], threading.Lock()

    def watched(store, session, job, user_id, fingerprint):
        with lock:
            held.add(user_id)
            most.append(len(held))
        try:
            return induce_stored_user(store, session, job, user_id, fingerprint)
        finally:
            with lock:
                held.remove(user_id)

    monkeypatch.setattr(sys.modules["synthesizeme.induction.run"], "induce_stored_user", watched)
    assert run(served(place, concurrency=3)).done == 12
    assert max(most) == 3
    assert not held


def test_pairs_are_taken_in_as_a_stream(tmp_path, people):
    """The reader never runs ahead of the store by more than one batch."""
    from synthesizeme.profiles import views

    class Counting:
        """A store that knows how many pairs were read when each batch came."""

        ahead = 0
        read = stored = 0

        def add_pairs(self, user_id, pairs):
            Counting.ahead = max(Counting.ahead, Counting.read - Counting.stored)
            Counting.stored += len(pairs)
            return len(pairs)

    def rows():
        for number in range(5000):
            Counting.read += 1
            yield people["planted-00000"][0].model_copy(
                update={"pair_id": f"p{number}", "user_id": f"u{number // 10}"}
            )

    assert take_pairs(Counting(), rows()).new == 5000
    assert Counting.ahead <= views.ROWS_AT_ONCE


def test_what_is_finished_is_not_done_again_even_without_the_cache(people, filled, openai_stub, served):
    place = filled(flat(few(people, 3)))
    assert run(served(place)).done == 3
    asked = len(openai_stub.requests)
    again = run(served(place, cache_dir=None))
    assert (again.done, again.unchanged) == (0, 3)
    assert len(openai_stub.requests) == asked


def test_an_update_asks_new_questions_only_and_keeps_the_splits(people, filled, opened, openai_stub, served):
    some = few(people, 2)
    place = filled([pair for own in some.values() for pair in own[:10]])
    run(served(place))
    first = questions(openai_stub)
    splits = {user: opened(place).profile(user).profile.provenance.splits for user in some}
    grown, unchanged = some
    filled(some[grown])
    summary = run(served(place))
    assert (summary.done, summary.unchanged) == (1, 1)
    asked = questions(openai_stub) - first
    assert asked
    assert not set(asked) & set(first), "a question was sent twice"
    assert max(questions(openai_stub).values()) == 1
    assert summary.usage.cached_calls > 0
    store = opened(place)
    now = store.profile(grown).profile.provenance.splits
    assert now.items() >= splits[grown].items()
    assert len(now) == 14
    assert Counter(now.values()) == {"train": 8, "validation": 3, "test": 3}
    assert [note.version for note in store.versions(grown)] == [1, 2]
    assert [note.version for note in store.versions(unchanged)] == [1]
    assert store.induction(grown).track.base_pairs + len(store.induction(grown).track.recent) == 2 + 4


def test_an_update_waits_for_enough_new_pairs_and_other_settings_do_not(people, filled, job_at):
    own = next(iter(people.values()))
    place = filled(own[:10])
    run(job_at(place))
    filled(own[:12])
    assert run(job_at(place, min_new_pairs=3)).unchanged == 1
    assert run(job_at(place, min_new_pairs=3, settings=InductionSettings(seed=1))).done == 1
    assert (
        run(job_at(place, min_new_pairs=3, settings=InductionSettings(seed=1, evaluate=False))).unchanged == 1
    )
    filled(own[:13])
    assert run(job_at(place, min_new_pairs=3, settings=InductionSettings(seed=1))).unchanged == 1
    assert run(job_at(place, min_new_pairs=1, settings=InductionSettings(seed=1))).done == 1


def shouting(pairs):
    """Choices that the reader cannot miss: only the rejected response shouts."""
    return [
        pair.model_copy(
            update={
                "chosen": (Message(role="assistant", content=pair.chosen_text.replace("!", ".")),),
                "rejected": (
                    Message(role="assistant", content=f"{pair.rejected_text} Wow! Great! Yes! {i}!"),
                ),
            }
        )
        for i, pair in enumerate(pairs)
    ]


def test_a_user_whose_taste_turned_is_flagged_and_others_are_not(filled, opened, job_at):
    turned, steady = (shouting(own) for own in planted_population(2, 22, seed=1).by_user.values())
    place = filled([*turned[:12], *steady[:12]])
    assert run(job_at(place)).drifted == 0
    filled([*(pair.swapped_labels() for pair in turned[12:]), *steady[12:]])
    summary = run(job_at(place))
    assert [named.user_id for named in summary.drifts] == [turned[0].user_id]
    store = opened(place)
    check = store.induction(turned[0].user_id).drift
    assert (check.drifted, check.base_pairs, check.recent_pairs) == (True, 2, 10)
    calm = store.induction(steady[0].user_id)
    assert not calm.drifted
    assert (calm.track.base_pairs, calm.track.base_correct, calm.track.recent) == (2, 2.0, (1.0,) * 10)
    restarted = store.induction(turned[0].user_id).track
    assert (restarted.base_pairs, restarted.recent) == (4, ()), "a flagged user starts a new track"
    assert store.totals().drifted == 1
    assert run(job_at(place)).unchanged == 2


def test_a_user_that_fails_is_recorded_and_tried_again_and_the_others_go_on(
    people, filled, opened, openai_stub, served
):
    some = few(people, 4)
    bad = list(some)[1]
    place = filled(flat(some))

    def refusing(body):
        text = "".join(message["content"] for message in body["messages"])
        hit = any(question in text and chosen in text for question, chosen in texts)
        return Reply(status=400, error={"message": "no"}) if hit else judging.answer(body)

    texts = [(pair.prompt[-1].content, pair.chosen_text) for pair in some[bad]]
    job = served(place)
    openai_stub.answer = refusing
    summary = run(job)
    assert (summary.done, summary.failed) == (3, 1), summary
    assert [named.user_id for named in summary.failures] == [bad]
    store = opened(place)
    assert store.totals().failed == 1
    record = store.induction(bad)
    assert (record.state, record.attempts, record.version) == ("failed", 1, 0)
    assert "none of its" in record.error
    assert run(job).failed == 1
    assert store.induction(bad).attempts == 2
    openai_stub.answer = judging.answer
    healed = run(job)
    assert (healed.done, healed.unchanged, healed.failed) == (1, 3, 0)
    assert store.induction(bad).attempts == 1
    assert store.profile(bad).version == 1


def test_an_endpoint_that_is_down_ends_the_run_and_leaves_the_others_alone(people, filled, opened, job_at):
    place = filled(flat(people))
    job = job_at(
        place, model="m", model_settings=ModelSettings(api_base="http://127.0.0.1:9/v1"), concurrency=2,
        retry=RetryPolicy(retries=0, backoff_s=0.001),
    )  # fmt: skip
    summary = run(job)
    assert "the model failed for 8 users in a row" in summary.stopped
    assert 8 <= summary.failed <= 9
    totals = opened(place).totals()
    assert (totals.done, totals.failed) == (0, summary.failed)


def test_a_damaged_row_is_its_users_failure_alone(people, filled, opened, job_at):
    some = few(people, 3)
    place = filled(flat(some))
    with closing(sqlite3.connect(place)) as raw, raw:
        key = raw.execute("SELECT user_key FROM profile_store_users WHERE user_id = ?", (b"planted-00001",))
        raw.execute(
            "UPDATE profile_store_pairs SET content = '{' WHERE user_key = ? AND number = 3", key.fetchone()
        )
    summary = run(job_at(place))
    assert (summary.done, summary.failed) == (2, 1)
    assert summary.failures[0].user_id == "planted-00001"
    assert "a pair as stored is none" in opened(place).induction("planted-00001").error


def test_a_fault_of_the_program_is_a_users_failure_with_its_name(people, filled, opened, job_at, monkeypatch):
    some = few(people, 2)
    place = filled(flat(some))
    real = induce_user

    def faulty(session, pairs, settings, **more):
        if pairs[0].user_id == "planted-00000":
            raise ZeroDivisionError("by nought")
        return real(session, pairs, settings, **more)

    monkeypatch.setattr(sys.modules["synthesizeme.induction.stored_user"], "induce_user", faulty)
    assert run(job_at(place)).done == 1
    assert opened(place).induction("planted-00000").error == "ZeroDivisionError: by nought"


def test_shards_are_disjoint_and_complete(people, filled, opened, job_at):
    ids = [*people, "", "../x", "\udcff", *map(str, range(500))]
    for count in (1, 2, 3, 7):
        shards = [Shard(index, count) for index in range(count)]
        assert all(sum(shard.holds(user) for shard in shards) == 1 for user in ids)
        for shard in shards:
            parts = shard.divided(3)
            assert all(sum(p.holds(user) for p in parts) == shard.holds(user) for user in ids)
    place = filled(flat(people))
    found = [run(job_at(place, shard=Shard(index, 3))) for index in range(3)]
    assert sum(summary.done for summary in found) == len(people)
    assert all(summary.unchanged == 0 for summary in found)
    assert opened(place).totals().done == len(people)
    for text in ("3/3", "-1/2", "1", "a/b", "1/0", "²/3"):
        with pytest.raises(ConfigError, match="expected I/N"):
            Shard.parse(text)


def test_one_user_can_be_named(people, filled, opened, job_at):
    place = filled(flat(few(people, 3)))
    chosen = list(people)[1]
    assert run(job_at(place, user=chosen)).done == 1
    assert set(profiles_of(opened(place))) == {chosen}
    assert run(job_at(place, user=chosen)).unchanged == 1
    assert run(job_at(place, user="nobody")).users == 0


PROCESS = """
import sys
from pathlib import Path
from synthesizeme.backends import ModelSettings
from synthesizeme.induction import InductionJob, run

store, base, cache, told = sys.argv[1:]
settings = ModelSettings(api_base=base, logprobs=False)
job = InductionJob(store, model="m", model_settings=settings, cache_dir=Path(cache), concurrency=8)

def on_user(user, summary):
    with open(told, "a") as file:
        file.write(user.user_id + "\\n")

run(job, on_user)
"""


def start(place, stub, tmp_path, told):
    arguments = [place, stub.base_url, tmp_path / "cache", tmp_path / told]
    return subprocess.Popen([sys.executable, "-c", PROCESS, *map(str, arguments)])


def test_a_kill_in_the_middle_loses_nothing_and_asks_little_again(
    people, filled, opened, openai_stub, served, tmp_path
):
    place = filled(flat(people))
    enough = threading.Event()

    def until(body):
        if len(openai_stub.requests) >= 400:
            enough.set()
        return Reply(judging.answer(body), delay_s=0.002)

    openai_stub.answer = until
    process = start(place, openai_stub, tmp_path, "told")
    assert enough.wait(60)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait(30) == -signal.SIGKILL
    told = (tmp_path / "told").read_text().split() if (tmp_path / "told").exists() else []
    store = opened(place)
    finished = profiles_of(store)
    assert set(told) <= set(finished)
    assert len(finished) < len(people), "it was killed too late to prove anything"
    seen = len(openai_stub.requests)
    rest = run(served(place))
    assert (rest.done, rest.unchanged) == (len(people) - len(finished), len(finished))
    assert seen < len(openai_stub.requests)
    assert {user: store.profile(user).profile for user in finished} == finished
    repeated = [number - 1 for number in questions(openai_stub).values() if number > 1]
    assert sum(repeated) <= 8, "more was asked again than was in flight"
    whole = filled(flat(people), "whole.db")
    run(served(whole))
    assert profiles_of(opened(whole)) == profiles_of(store)


def test_two_processes_on_the_same_users_leave_one_history(
    people, filled, opened, openai_stub, served, tmp_path
):
    some = few(people, 5)
    place = filled(flat(some))
    openai_stub.answer = lambda body: Reply(judging.answer(body), delay_s=0.001)
    processes = [start(place, openai_stub, tmp_path, f"told{number}") for number in range(2)]
    assert [process.wait(120) for process in processes] == [0, 0]
    store = opened(place)
    for user in some:
        assert [note.version for note in store.versions(user)] == [1]
        assert store.induction(user).version == 1
    assert store.totals().done == 5
    whole = filled(flat(some), "whole.db")
    run(served(whole))
    assert profiles_of(opened(whole)) == profiles_of(store)


def test_who_stores_second_looks_again(people, filled, opened, job_at, monkeypatch):
    """Between reading and storing another process brings the same user up to date."""
    (user, own), *_ = people.items()
    place = filled(own)
    job, store = job_at(place), opened(place)
    raced = []

    class Raced:
        def __getattr__(self, name):
            return getattr(store, name)

        def put_induction(self, *arguments, **keywords):
            if not raced:
                raced.append(run(job))
            return store.put_induction(*arguments, **keywords)

    with job.open_session() as session:
        found = induce_stored_user(Raced(), session, job, user, job.fingerprint)
    assert raced[0].done == 1
    assert found.record is None, "the other's work was done twice"
    assert [note.version for note in store.versions(user)] == [1]


def test_a_store_on_postgresql_gives_the_same_profiles(people, filled, opened, job_at, postgres_url):
    some = few(people, 3)
    place = filled(flat(some))
    with open_store(postgres_url, migrate=True) as store:
        take_pairs(store, flat(some))
    assert run(job_at(postgres_url)).done == 3
    assert run(job_at(postgres_url)).unchanged == 3
    run(job_at(place))
    assert profiles_of(opened(postgres_url)) == profiles_of(opened(place))


@pytest.fixture
def postgres_url():
    sys.path.insert(0, str(Path(__file__).parents[1] / "profiles"))
    from postgres_server import DATABASE, PostgresServer, why_not

    if reason := why_not():
        pytest.skip(reason)
    server = PostgresServer()
    try:
        server.sql(f"CREATE DATABASE {DATABASE}")
        yield server.url(DATABASE)
    finally:
        server.remove()


def test_the_command_takes_a_file_in_and_goes_on(people, tmp_path, capfd, monkeypatch):
    from synthesizeme.cli import induce_persona_main

    monkeypatch.chdir(tmp_path)
    write_pairs("pairs.jsonl", flat(few(people, 4)))
    common = ["--all-users", "--store", "s.db", "--json", "--no-cache"]
    assert induce_persona_main(["pairs.jsonl", *common, "--shard", "0/2"]) == 0
    first = json.loads(capfd.readouterr().out)
    assert induce_persona_main(["pairs.jsonl", *common]) == 0
    second = json.loads(capfd.readouterr().out)
    assert first["done"] + second["done"] == 4
    assert second["unchanged"] == first["done"]
    assert second["taken"] == {"new": 14 * second["done"], "unchanged": 14 * first["done"]}
    assert induce_persona_main(common) == 0
    assert json.loads(capfd.readouterr().out)["unchanged"] == 4
    assert induce_persona_main(["--all-users", "--store", "s.db", "--shard", "2/2"]) == 2
    assert induce_persona_main(["pairs.jsonl", "--all-users", "--shard", "0/2"]) == 2
    assert "--shard needs --store" in capfd.readouterr().err
    assert induce_persona_main(["--store", "s.db", "--evidence", "--workers", "2"]) == 2
    said = capfd.readouterr().err
    assert "either --all-users or --user" in said
    assert "--evidence fits" in said
    assert not (tmp_path / "out").exists()


def test_the_command_line_shows_who_failed_and_who_drifted(
    people, filled, opened, openai_stub, served, capfd
):
    from synthesizeme.cli import main

    place = filled(flat(few(people, 2)))
    job = served(place)
    openai_stub.answer = lambda body: Reply(status=400, error={"message": "no"})
    assert run(job).failed == 2
    openai_stub.answer = judging.answer
    first = sorted(people)[0]
    assert run(replace(job, user=first)).done == 1
    assert main(["profiles", "status", "--store", place, "--json"]) == 0
    assert json.loads(capfd.readouterr().out) == {
        "users": 2,
        "pairs": 28,
        "words": 0,
        "feedback": 0,
        "done": 1,
        "failed": 1,
        "drifted": 0,
    }
    assert main(["profiles", "list", "--store", place, "--only", "failed"]) == 0
    said = capfd.readouterr().out
    assert sorted(people)[1] in said
    assert "failed (1 time): m" in said
    assert first not in said
    assert main(["profiles", "list", "--store", place, "--only", "drifted", "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["users"] == []
