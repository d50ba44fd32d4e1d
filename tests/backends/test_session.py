"""The calling path over a real HTTP server: order, economy, cache, retries, crashes, threads, loops."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections import Counter
from concurrent.futures import CancelledError

import pytest
from openai_stub import Reply

from synthesizeme.backends import Answer, CallCache, ModelSettings, Question, RetryPolicy, Session, open_model
from synthesizeme.backends._calls import question_key
from synthesizeme.backends._faults import FIRST_CONTACT_RETRIES, MAX_DELAY_S
from synthesizeme.backends.scripted import scripted_model
from synthesizeme.errors import BackendError, CacheError, ConfigError, CredentialError
from synthesizeme.types import Failure, Message, Usage

QUICK = RetryPolicy(retries=3, backoff_s=0.001)


def ask_for(text: str, sample_index: int = 0) -> Question:
    return Question((Message(role="user", content=text),), sample_index)


def model_at(address: str, **settings):
    return open_model(settings.pop("name", "m"), ModelSettings(api_base=address, **settings))


def texts(stub) -> list[str]:
    return [body["messages"][-1]["content"] for body in stub.requests]


def echo(body) -> str:
    return f"on {body['messages'][-1]['content']}"


@pytest.mark.parametrize("concurrency", [1, 3, 16])
def test_answers_come_in_the_order_of_the_questions(openai_stub, concurrency):
    latency = random.Random(1)
    openai_stub.answer = lambda body: Reply(echo(body), delay_s=latency.random() / 20 + concurrency / 100)
    questions = [ask_for(f"q{n}") for n in range(30)]
    with Session(model_at(openai_stub.base_url), concurrency=concurrency) as session:
        answers = session.ledger().ask(questions)
    assert [answer.text for answer in answers] == [f"on q{n}" for n in range(30)]
    assert openai_stub.most_at_once == concurrency


def test_identical_questions_are_asked_once_and_samples_are_not_identical(openai_stub):
    openai_stub.answer = echo
    with Session(model_at(openai_stub.base_url, temperature=1.0)) as session:
        ledger = session.ledger()
        ledger.ask([ask_for("a"), ask_for("b"), ask_for("a"), ask_for("a", 1)])
        ledger.ask([ask_for("b"), ask_for("c")])
    assert Counter(texts(openai_stub)) == {"a": 2, "b": 1, "c": 1}
    assert ledger.usage == Usage(calls=6, distinct_calls=4, prompt_tokens=4, completion_tokens=8)


def test_a_second_session_with_the_same_cache_asks_nothing(openai_stub, tmp_path):
    openai_stub.answer = echo
    questions = [ask_for(f"q{n}") for n in range(5)]
    outcomes = []
    for _ in range(2):
        with CallCache(tmp_path) as cache, Session(model_at(openai_stub.base_url), cache=cache) as session:
            ledger = session.ledger()
            outcomes.append((ledger.ask(questions), ledger.usage.cached_calls))
    assert outcomes[0][0] == outcomes[1][0]
    assert [cached for _, cached in outcomes] == [0, 5]
    assert len(openai_stub.requests) == 5


def test_another_model_address_setting_or_sample_is_another_call(openai_stub, tmp_path):
    address = openai_stub.base_url
    models = [
        model_at(address),
        model_at(address, name="other"),
        model_at(address, temperature=0.5),
        model_at(address, max_tokens=7),
        model_at(address, logprobs=False),
        model_at(address.replace("127.0.0.1", "localhost")),
    ]
    with CallCache(tmp_path) as cache:
        for model in models * 2:
            with Session(model, cache=cache) as session:
                session.ledger().ask([ask_for("q"), ask_for("q", 1), ask_for("q", 2)])
    assert len(openai_stub.requests) == 3 * len(models)


def test_failures_are_typed_counted_and_never_cached(openai_stub, tmp_path):
    bad = {
        "filtered": Reply(None, finish_reason="content_filter"),
        "long": Reply(status=400, error={"message": "prompt is too long"}),
        "empty": Reply(""),
        "garbage": Reply(body=b"{"),
    }
    openai_stub.answer = lambda body: bad.get(body["messages"][-1]["content"], "First")
    questions = [ask_for(text) for text in [*bad, "fine"]]
    for asked in (4 + 1 + 2 + 1, 4 + 1 + 2):  # garbage and the empty reply are asked again, "fine" is kept
        openai_stub.requests.clear()
        with CallCache(tmp_path) as cache:
            session = Session(model_at(openai_stub.base_url), cache=cache, retry=QUICK)
            with session:
                ledger = session.ledger()
                kinds = [getattr(outcome, "kind", "answer") for outcome in ledger.ask(questions)]
        assert kinds == ["refusal", "too_long", "parse", "transport", "answer"]
        assert ledger.failures == {"refusal": 1, "too_long": 1, "parse": 1, "transport": 1}
        assert ledger.usage.retries == 3 + 1
        assert len(openai_stub.requests) == asked + 1


def test_retries_are_counted_and_their_answer_is_the_answer(openai_stub):
    openai_stub.script(Reply(status=500), Reply(drop="before"), Reply(body=b""))
    with Session(model_at(openai_stub.base_url), retry=QUICK) as session:
        ledger = session.ledger()
        assert ledger.ask([ask_for("q")]) == [Answer("First", prompt_tokens=1, completion_tokens=1)]
    assert ledger.usage == Usage(calls=1, distinct_calls=1, retries=3, prompt_tokens=1, completion_tokens=1)


def test_a_failed_question_is_not_asked_again_in_its_ledger(openai_stub):
    openai_stub.script(Reply(status=403, error={"message": "Forbidden"}))
    with Session(model_at(openai_stub.base_url), retry=QUICK) as session:
        ledger = session.ledger()
        assert ledger.ask([ask_for("q")]) == ledger.ask([ask_for("q")])
        assert isinstance(ledger.ask([ask_for("q")])[0], Failure)
        assert session.ledger().ask([ask_for("q")])[0].text == "First"
    assert len(openai_stub.requests) == 2


def test_an_endpoint_that_fails_every_call_ends_the_run(openai_stub):
    openai_stub.answer = lambda body: Reply(status=503, error={"message": "loading model"})
    retry = RetryPolicy(retries=1, backoff_s=0.001, give_up_after=4)
    with Session(model_at(openai_stub.base_url), retry=retry, concurrency=2) as session:
        ledger = session.ledger()
        assert ledger.ask([ask_for("0")])[0].kind == "transport"
        with pytest.raises(
            BackendError, match=r"m at http://.*: 4 calls in a row failed.*loading model.*Cure: "
        ):
            ledger.ask([ask_for(str(n)) for n in range(1, 40)])
    assert len(openai_stub.requests) <= 2 * 5


@pytest.mark.parametrize(
    "error", [TypeError("NoneType"), AttributeError("no such"), AssertionError("impossible")]
)
def test_a_fault_of_the_engines_program_is_no_failed_call(error):
    with Session(scripted_model(lambda request: error)) as session, pytest.raises(type(error)) as raised:
        session.ledger().ask([ask_for("q")])
    assert raised.value is error


def test_what_an_endpoint_sends_is_never_taken_for_a_fault_of_the_program(openai_stub):
    for body in (b"[]", b'{"choices": [{"message": 5}]}', b'{"choices": null}', b"null", b"{}"):
        openai_stub.answer = lambda request, body=body: Reply(body=body)
        with Session(model_at(openai_stub.base_url), retry=RetryPolicy(retries=0)) as session:
            assert session.ledger().ask([ask_for("q")])[0].kind in ("transport", "parse")


def test_one_answer_in_between_keeps_the_run_going(openai_stub):
    openai_stub.answer = lambda body: (
        "fine" if int(body["messages"][-1]["content"]) % 3 == 0 else Reply(status=500)
    )
    retry = RetryPolicy(retries=0, give_up_after=3)
    with Session(model_at(openai_stub.base_url), retry=retry, concurrency=1) as session:
        ledger = session.ledger()
        ledger.ask([ask_for(str(n)) for n in range(12)])
    assert ledger.failures == {"transport": 8}


def test_an_unreachable_address_ends_the_run_soon_and_names_the_cure(waits):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening: connections are refused
        address = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        with Session(model_at(address), concurrency=1) as session, pytest.raises(BackendError) as caught:
            session.ledger().ask([ask_for(str(n)) for n in range(100)])
    assert len(waits) == FIRST_CONTACT_RETRIES
    assert sum(waits) <= 3
    assert address in str(caught.value)
    assert "no connection can be made" in str(caught.value)
    assert "Cure: check that the server is up" in str(caught.value)


def test_a_host_without_an_address_ends_the_run_too():
    with (
        Session(model_at("http://no-such-host.invalid/v1"), retry=QUICK) as session,
        pytest.raises(BackendError, match="no-such-host"),
    ):
        session.ledger().ask([ask_for("q")])


def test_a_server_that_went_away_is_waited_for_longer_than_one_never_reached(openai_stub):
    with Session(model_at(openai_stub.base_url), retry=RetryPolicy(retries=5, backoff_s=0.001)) as session:
        ledger = session.ledger()
        ledger.ask([ask_for("before")])
        openai_stub.stop()
        ledger.ask([ask_for("after")])
        openai_stub.__init__()
        openai_stub.start()  # for the fixture to stop
    assert ledger.failures == {"transport": 1}
    assert ledger.usage.retries == 5 > FIRST_CONTACT_RETRIES


def test_a_run_survives_a_late_start_of_the_server(openai_stub):
    port = int(openai_stub.base_url.rsplit(":", 1)[1].split("/")[0])
    address = openai_stub.base_url
    openai_stub.stop()
    openai_stub.__init__()
    later = threading.Timer(0.3, lambda: openai_stub.start(port))
    later.start()
    with Session(model_at(address), retry=RetryPolicy(retries=2, backoff_s=0.5)) as session:
        outcome = session.ledger().ask([ask_for("q")])[0]
    later.join()
    assert outcome.text == "First"


def test_a_rejected_key_in_the_middle_of_a_run_stops_it(openai_stub):
    openai_stub.script("First", "First", Reply(status=401, error={"message": "expired"}))
    with Session(model_at(openai_stub.base_url), concurrency=1) as session, pytest.raises(CredentialError):
        session.ledger().ask([ask_for(str(n)) for n in range(50)])
    assert len(openai_stub.requests) <= 4


def test_works_inside_a_running_event_loop(openai_stub):
    async def inside():
        with Session(model_at(openai_stub.base_url)) as session:
            return session.ledger().ask([ask_for("q")])[0].text

    assert asyncio.run(inside()) == "First"


def test_a_closed_session_connects_anew(openai_stub):
    session = Session(model_at(openai_stub.base_url))
    session.close()
    for _ in range(2):
        assert session.ledger().ask([ask_for("q")])[0].text == "First"
        session.close()
    assert "synthesizeme-calls" not in {thread.name for thread in threading.enumerate()}


def test_an_abandoned_session_ends_what_is_in_flight_and_sends_no_more(openai_stub):
    arrived = threading.Event()

    def hold(body):
        arrived.set()
        return Reply(delay_s=20)

    openai_stub.answer = hold
    ended = []

    def wait_for_it(session):
        try:
            session.ledger().ask([ask_for("a")])
        except CancelledError:
            ended.append(True)

    with Session(model_at(openai_stub.base_url)) as session:
        waiting = threading.Thread(target=wait_for_it, args=(session,))
        waiting.start()
        assert arrived.wait(20)
        session.abandon()
        waiting.join(10)
        assert ended
        with pytest.raises(CancelledError):
            session.ledger().ask([ask_for("b")])
    assert texts(openai_stub) == ["a"]


def test_a_reply_that_another_process_records_meanwhile_is_not_asked_for_again(openai_stub, tmp_path):
    openai_stub.answer = lambda body: Reply(status=500)
    model = model_at(openai_stub.base_url)
    policy = RetryPolicy(retries=5, backoff_s=1.0)
    with CallCache(tmp_path) as cache, Session(model, cache=cache, retry=policy) as session:
        ledger = session.ledger()
        asking = threading.Thread(target=ledger.ask, args=([ask_for("a")],))
        asking.start()
        while not openai_stub.requests:
            time.sleep(0.01)
        cache.put(question_key(model, ask_for("a")), Answer("theirs").to_json())
        asking.join(20)
        assert ledger.ask([ask_for("a")])[0].text == "theirs"
    assert len(openai_stub.requests) == 1
    assert ledger.usage.cached_calls == 1


def test_when_replies_can_no_longer_be_kept_nothing_more_is_sent(openai_stub, tmp_path):
    openai_stub.answer = lambda body: Reply(echo(body), delay_s=0.01)
    failed = []

    def run(session, name):
        try:
            session.ledger().ask([ask_for(f"{name}{n} {'x' * 500}") for n in range(50)])
        except CacheError as error:
            failed.append(str(error))

    model = model_at(openai_stub.base_url)
    with CallCache(tmp_path) as cache, Session(model, cache=cache, concurrency=4) as session:
        cache._file._connection.execute("PRAGMA max_page_count=12")
        threads = [threading.Thread(target=run, args=(session, name)) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        (recorded,) = cache._file._connection.execute("SELECT COUNT(*) FROM replies").fetchone()
    assert len(failed) == 4
    assert "disk is full" in failed[0]
    assert 0 < recorded < len(openai_stub.requests) <= recorded + 4


@pytest.mark.parametrize("shared", [True, False], ids=["one session", "two sessions"])
def test_threads_may_ask_at_the_same_time(openai_stub, tmp_path, shared):
    openai_stub.answer = lambda body: Reply(echo(body), delay_s=0.01)
    model = model_at(openai_stub.base_url)
    found = {}
    with CallCache(tmp_path) as cache, Session(model, cache=cache) as one, Session(model, cache=cache) as two:

        def run(name, session):
            found[name] = [a.text for a in session.ledger().ask([ask_for(f"{name}{n}") for n in range(20)])]

        threads = [
            threading.Thread(target=run, args=args) for args in (("a", one), ("b", one if shared else two))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == {name: [f"on {name}{n}" for n in range(20)] for name in "ab"}


def test_nothing_of_dspy_is_configured_and_no_history_kept(openai_stub):
    import dspy
    from dspy.clients import base_lm

    before = len(base_lm.GLOBAL_HISTORY)
    with Session(model_at(openai_stub.base_url)) as session:
        session.ledger().ask([ask_for("q")])
    assert dspy.settings.lm is None
    assert len(base_lm.GLOBAL_HISTORY) == before
    assert session.model.lm.history == []


def test_progress_is_told_after_every_call(openai_stub):
    openai_stub.script("First", Reply(status=400), "First")
    seen = []
    with Session(model_at(openai_stub.base_url), concurrency=1, progress=seen.append) as session:
        session.ledger().ask([ask_for(str(n)) for n in range(3)], stage="judging")
    assert [(p.stage, p.done, p.total, p.usage.failed) for p in seen] == [
        ("judging", 1, 3, 0), ("judging", 2, 3, 1), ("judging", 3, 3, 1),
    ]  # fmt: skip
    assert [p.usage.distinct_calls for p in seen] == [1, 2, 3]


def test_ledgers_count_apart(openai_stub):
    with Session(model_at(openai_stub.base_url)) as session:
        first, second = session.ledger(), session.ledger()
        first.ask([ask_for("a"), ask_for("b")])
        second.ask([ask_for("c")])
    assert (first.usage.calls, second.usage.calls) == (2, 1)


def test_delays_double_with_jitter_have_a_ceiling_and_yield_to_retry_after():
    policy, rng = RetryPolicy(backoff_s=2.0), random.Random(0)
    for attempt in range(5):
        assert 2.0**attempt <= policy.delay(attempt, None, rng) <= 2.0 ** (attempt + 1)
    assert policy.delay(30, None, rng) == MAX_DELAY_S
    assert policy.delay(0, 7.5, rng) == 7.5
    assert policy.delay(0, 10_000.0, rng) == MAX_DELAY_S


RUN = textwrap.dedent("""
    import sys
    from pathlib import Path
    from synthesizeme.backends import CallCache, ModelSettings, Question, Session, open_model
    from synthesizeme.types import Message

    address, folder = sys.argv[1:]
    questions = [Question((Message(role="user", content=f"q{n}"),)) for n in range(40)]
    with CallCache(Path(folder)) as cache:
        with Session(open_model("m", ModelSettings(api_base=address)), cache=cache, concurrency=4) as session:
            ledger = session.ledger()
            print(len([a for a in ledger.ask(questions) if a.text]), ledger.usage.cached_calls)
""")


def test_after_kill_9_no_finished_call_is_asked_twice(openai_stub, tmp_path):
    stuck = threading.Event()

    def answer(body):
        """Fifteen at once, and the four after them never."""
        number = len(openai_stub.requests)
        if number == 19:
            stuck.set()
        return Reply(echo(body), delay_s=0 if number <= 15 else 600)

    openai_stub.answer = answer
    command = [sys.executable, "-c", RUN, openai_stub.base_url, str(tmp_path)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert stuck.wait(120)
    os.kill(child.pid, signal.SIGKILL)
    child.communicate()
    assert child.returncode == -signal.SIGKILL
    openai_stub.answer = echo
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    assert done.stdout.split() == ["40", "15"]  # answered, cached
    again = [text for text, count in Counter(texts(openai_stub)).items() if count > 1]
    assert (len(openai_stub.requests), len(again)) == (40 + 4, 4), "the four in flight alone"


def test_impossible_settings_are_refused_at_once():
    model = scripted_model(["yes"])
    with pytest.raises(ConfigError, match="concurrency is 0; expected 1 or more"):
        Session(model, concurrency=0)
    with pytest.raises(ConfigError, match=r"retries is -3.*give_up_after is 0"):
        RetryPolicy(retries=-3, give_up_after=0)
