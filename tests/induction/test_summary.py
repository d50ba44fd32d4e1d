"""What a person is told of a run: every question that got no usable answer, and why it ended early."""

from __future__ import annotations

import zlib

import judging
from openai_stub import Reply

from synthesizeme.backends import ModelSettings
from synthesizeme.cli._many_users import _lines
from synthesizeme.induction import RunSummary, run
from synthesizeme.profiles._sql_store import SqlProfileStore
from synthesizeme.profiles.views import Taken, every_user


def flat(people, number):
    return [pair for own in list(people.values())[:number] for pair in own]


def test_questions_without_a_usable_answer_are_counted_and_said(people, filled, opened, openai_stub, job_at):
    def answer(body):
        chance = zlib.crc32(body["messages"][-1]["content"].encode()) % 10
        if judging.asks_for_a_persona(body) or chance > 1:
            return judging.answer(body)
        return Reply(status=400, error={"message": "no"}) if chance else "Colourless green ideas."

    openai_stub.answer = answer
    place = filled(flat(people, 4))
    settings = ModelSettings(api_base=openai_stub.base_url, logprobs=False)
    summary = run(job_at(place, model="m", model_settings=settings))
    store = opened(place)
    records = [store.induction(user.user_id) for user in every_user(store)]
    assert summary.done == 4
    for kind in ("parse", "transport"):
        assert summary.unanswered[kind] == sum(record.unanswered.get(kind, 0) for record in records) > 0
    said = "\n".join(_lines(Taken(new=0, unchanged=0), summary))
    parse, transport = (summary.unanswered[kind] for kind in ("parse", "transport"))
    assert f"Without a usable answer, retries notwithstanding: {parse} parse, {transport} transport." in said


def test_a_user_that_fails_leaves_no_question_uncounted(people, filled, opened, openai_stub, job_at):
    openai_stub.answer = lambda body: Reply(status=403, error={"message": "flagged"})
    place = filled(flat(people, 1))
    summary = run(job_at(place, model="m", model_settings=ModelSettings(api_base=openai_stub.base_url)))
    assert summary.failed == 1
    assert summary.unanswered == {"refusal": len(openai_stub.requests)}
    assert summary.usage.distinct_calls == len(openai_stub.requests)


def test_what_was_asked_of_a_user_that_another_process_finished_is_counted(
    people, filled, opened, openai_stub, job_at, monkeypatch
):
    openai_stub.answer = judging.answer
    place, raced = filled(flat(people, 1)), []
    job = job_at(
        place, model="m", model_settings=ModelSettings(api_base=openai_stub.base_url, logprobs=False)
    )
    put = SqlProfileStore.put_induction

    def come_second(store, *arguments, **keywords):
        if not raced:
            raced.append(None)
            raced.append(run(job))
        return put(store, *arguments, **keywords)

    monkeypatch.setattr(SqlProfileStore, "put_induction", come_second)
    summary, other = run(job), raced[1]
    assert (summary.done, summary.unchanged, other.done) == (0, 1, 1)
    assert summary.usage.distinct_calls == other.usage.distinct_calls == len(openai_stub.requests) / 2


def test_a_run_that_can_store_no_more_says_what_was_done(people, filled, opened, job_at, monkeypatch):
    """The disk of the store is full from the third user on."""
    place = filled(flat(people, 5))
    job, put, stored = job_at(place), SqlProfileStore.put_induction, []

    def fill_up(store, *arguments, **keywords):
        if len(stored) == 2:
            with store.database.engine.connect() as connection:
                pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
                connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")
        stored.append(put(store, *arguments, **keywords))
        return stored[-1]

    monkeypatch.setattr(SqlProfileStore, "put_induction", fill_up)
    summary = run(job)
    assert summary.done == 2
    assert "disk is full" in summary.stopped
    monkeypatch.undo()
    again = run(job)
    assert (again.done, again.unchanged, again.stopped) == (3, 2, None)


def test_summaries_add_up():
    one = RunSummary(done=1, unanswered={"parse": 2})
    other = RunSummary(failed=1, unanswered={"parse": 1, "refusal": 1}, stopped="why")
    assert one + other == RunSummary(done=1, failed=1, unanswered={"parse": 3, "refusal": 1}, stopped="why")
