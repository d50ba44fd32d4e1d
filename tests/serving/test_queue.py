"""Under load: full queues, late answers, and an end that answers what was accepted."""

from __future__ import annotations

import asyncio
import math
import threading

import httpx
import pytest

from synthesizeme.serving.app import ServerSettings
from synthesizeme.serving.queue import BusyError, LateError, ModelQueue
from synthesizeme.serving.rewards import RewardQuestion, ScalarRewards


def row(response, user="ann"):
    return {"user_id": user, "prompt": "Q?", "response": response}


def test_a_full_queue_answers_429_and_says_when_to_come_again(serve, stub):
    live = serve(stub, settings=ServerSettings(most_waiting=3))
    first = live.hold()
    waiting = []
    for number in (1, 2, 3):
        waiting.append(live.in_thread(lambda number=number: live.post("/v1/score", row(str(number)))))
        live.wait_for_rows(number)
    refused = live.post("/v1/score", row("4"))
    assert refused.status_code == 429
    assert int(refused.headers["Retry-After"]) >= 1
    assert live.client.get("/readyz").status_code == 503
    assert live.client.get("/healthz").status_code == 200
    stub.may_answer.set()
    assert [answer.result().json()["value"] for answer in (first, *waiting)] == [0, 1, 2, 3]
    assert live.post("/v1/score", row("5")).json()["value"] == 5
    assert 'code="429",route="score"} 1.0' in live.client.get("/metrics").text


def test_a_late_answer_is_504_and_what_still_waits_is_never_scored(serve, stub):
    live = serve(stub, settings=ServerSettings(deadline=0.4))
    first = live.hold()
    second = live.in_thread(lambda: live.post("/v1/score", row("1", "bob")))
    assert first.result().status_code == second.result().status_code == 504
    assert "deadline" in second.result().json()["error"]
    stub.may_answer.set()
    assert live.post("/v1/score", row("2")).json()["value"] == 2
    assert stub.asked == [["ann"], ["ann"]]


def test_a_late_refit_is_504(serve, stub):
    live = serve(stub, settings=ServerSettings(deadline=0.3))
    first = live.hold()
    pair = {"prompt": "Q?", "chosen": "a", "rejected": "b"}
    assert live.post("/v1/users/new/pairs", {"pairs": [pair]}).status_code == 504
    assert first.result().status_code == 504
    stub.may_answer.set()


def test_the_end_answers_what_was_accepted_and_takes_no_more(serve, stub):
    live = serve(stub)

    def ask(number):
        return httpx.post(f"{live.url}/v1/score", json=row(str(number)), timeout=30)

    accepted = [live.hold(), *(live.in_thread(lambda n=n: ask(n)) for n in range(1, 8))]
    live.wait_for_rows(7)
    live.server.should_exit = True
    live.until(lambda: not live.server.servers[0].sockets)
    with pytest.raises(httpx.ConnectError):
        httpx.post(f"{live.url}/v1/score", json=row("9"), timeout=5)
    stub.may_answer.set()
    answers = [call.result() for call in accepted]
    assert [answer.status_code for answer in answers] == [200] * 8
    assert sorted(answer.json()["value"] for answer in answers) == list(range(8))
    live.stop()


# The queue by itself.


def questions(*responses):
    return [RewardQuestion("ann", (), response) for response in responses]


def queue_of(stub, **settings):
    return ModelQueue(
        ScalarRewards(stub),
        **{"most_rows": 4, "most_waiting": 10, "deadline": 5.0} | settings,
    )


def test_batches_hold_at_most_so_many_rows_and_entries_stay_whole(stub):
    async def run():
        queue = queue_of(stub)
        stub.may_answer.clear()
        asked = [queue.ask(questions("0"))]
        await asyncio.sleep(0.05)
        asked += [queue.ask(questions(*(f"{n}" for n in range(size)))) for size in (3, 1, 2, 3)]
        stub.may_answer.set()
        found = [await answer for answer in asked]
        await queue.close()
        return [[score.value for score in answer] for answer in found]

    assert asyncio.run(run()) == [[0], [0, 1, 2], [0], [0, 1], [0, 1, 2]]
    assert list(map(len, stub.asked)) == [1, 4, 2, 3]


def test_a_request_larger_than_the_queue_is_taken_when_nothing_waits(stub):
    async def run():
        queue = queue_of(stub, most_waiting=2)
        whole = queue.ask(questions(*"123"))
        with pytest.raises(BusyError) as caught:
            queue.ask(questions("4"))
        found = await whole
        await queue.close()
        return caught.value.seconds, [score.value for score in found]

    assert asyncio.run(run()) == (1, [1, 2, 3])


class ChosenTime(asyncio.SelectorEventLoop):
    """Its clock stands still unless it is moved."""

    moment = 0.0

    def time(self):
        return self.moment


def test_a_refusal_says_when_there_should_be_room(stub):
    async def run():
        loop, answer, expected = asyncio.get_running_loop(), stub.score, []
        queue = queue_of(stub, most_waiting=10, deadline=1e6)
        for batches, seconds_a_row in ((3, 0.5), (60, 5.0)):  # a model that becomes slow

            def score(answers, seconds_a_row=seconds_a_row):
                loop.moment += len(answers) * seconds_a_row
                return answer(answers)

            stub.score = score
            for _ in range(batches):
                await queue.ask(questions(*"12"))
            stub.may_answer.clear()
            asked = [queue.ask(questions("0"))]
            await asyncio.sleep(0)  # it is with the model; the next ones wait
            asked += [queue.ask(questions("1")) for _ in range(10)]
            with pytest.raises(BusyError) as caught:
                queue.ask(questions("4"))
            expected.append(caught.value.seconds)
            stub.may_answer.set()
            await asyncio.gather(*asked)
        await queue.close()
        return expected

    with asyncio.Runner(loop_factory=ChosenTime) as runner:
        early, late = runner.run(run())
    assert early == math.ceil(
        10 * (0.512 * 0.001 + 0.488 * 0.5)
    )  # three steps of a fifth toward half a second
    assert late == 50


def test_an_exception_of_the_thread_reaches_everybody_who_waits(stub):
    async def run():
        queue = queue_of(stub)
        del stub.users_
        answers = await asyncio.gather(*(queue.ask(questions("1")) for _ in range(3)), return_exceptions=True)
        await queue.close()
        return answers

    assert [type(answer) for answer in asyncio.run(run())] == [AttributeError] * 3


def test_answered_requests_are_not_kept_until_their_deadline(stub):
    async def run():
        queue = queue_of(stub, deadline=1000.0)
        for number in range(50):
            await queue.ask(questions(str(number)))
        kept = len(queue._open)
        await queue.close()
        return kept

    assert asyncio.run(run()) <= 1


def test_a_task_runs_alone_between_batches_and_too_many_are_refused(stub):
    async def run():
        queue = queue_of(stub, deadline=0.2)
        stub.may_answer.clear()
        with pytest.raises(LateError):
            await queue.ask(questions("1"))
        tasks = [asyncio.ensure_future(queue.run(lambda n=n: n)) for n in range(64)]
        await asyncio.sleep(0)
        with pytest.raises(BusyError):
            await queue.run(lambda: math.pi)
        late = await asyncio.gather(*tasks, return_exceptions=True)
        stub.may_answer.set()
        await queue.close()
        return {type(answer) for answer in late}

    assert asyncio.run(run()) == {LateError}


@pytest.mark.parametrize(("expected", "place"), [(None, "model"), (1e-9, "MainThread"), (1.0, "model")])
def test_a_batch_that_should_be_quick_is_scored_at_once_and_any_other_in_the_thread(stub, expected, place):
    places = []
    stub._one = lambda text, user, one=stub._one: (
        places.append(threading.current_thread().name) or one(text, user)
    )

    async def run():
        queue = queue_of(stub)
        queue._seconds_of_size = expected
        found = await queue.ask(questions("7"))
        learned = queue._seconds_of_size
        await queue.close()
        return found[0].value, learned

    value, learned = asyncio.run(run())
    assert value == 7
    assert places[0].startswith(place)
    assert 0 < learned < (expected or math.inf) or expected == 1e-9


def test_no_batch_is_scored_beside_a_task(stub):
    async def run():
        queue = queue_of(stub)
        queue._seconds_of_size = 1e-9
        may_end = threading.Event()
        task = asyncio.ensure_future(queue.run(may_end.wait))
        await asyncio.sleep(0)
        answer = queue.ask(questions("1"))
        await asyncio.sleep(0.05)
        asked = list(stub.asked)
        may_end.set()
        await task
        found = await answer
        await queue.close()
        return asked, found[0].value

    assert asyncio.run(run()) == ([], 1)


def test_a_batch_scored_at_once_that_raises_fails_alone(stub):
    async def run():
        queue = queue_of(stub)
        queue._seconds_of_size = 1e-9
        users = stub.__dict__.pop("users_")
        (failed,) = await asyncio.gather(queue.ask(questions("1")), return_exceptions=True)
        stub.users_ = users
        found = await queue.ask(questions("2"))
        await queue.close()
        return type(failed), found[0].value

    assert asyncio.run(run()) == (AttributeError, 2)
