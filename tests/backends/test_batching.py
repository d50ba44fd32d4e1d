from __future__ import annotations

import threading
from concurrent.futures import CancelledError

import pytest

from synthesizeme.backends._threads import Batcher


class Recorder:
    """Doubles each number; can be held, so that calls pile up."""

    def __init__(self):
        self.batches = []
        self.go = threading.Event()
        self.go.set()
        self.busy = threading.Event()

    def __call__(self, batch):
        self.batches.append(list(batch))
        self.busy.set()
        self.go.wait(10)
        return [ValueError(number) if number < 0 else 2 * number for number in batch]


def test_calls_that_wait_together_are_one_batch_in_order_of_arrival():
    work = Recorder()
    work.go.clear()
    batcher = Batcher(work, size=4)
    first = batcher.submit(0)
    assert work.busy.wait(10)
    rest = [batcher.submit(number) for number in range(1, 11)]
    work.go.set()
    assert [future.result(10) for future in [first, *rest]] == [2 * number for number in range(11)]
    assert work.batches == [[0], [1, 2, 3, 4], [5, 6, 7, 8], [9, 10]]


def test_one_failure_leaves_the_rest_of_its_batch_alone():
    batcher = Batcher(Recorder(), size=4)
    futures = [batcher.submit(number) for number in (1, -2, 3)]
    assert (futures[0].result(10), futures[2].result(10)) == (2, 6)
    with pytest.raises(ValueError, match="-2"):
        futures[1].result(10)


def test_a_batch_that_breaks_fails_its_calls_and_the_next_one_runs():
    def work(batch):
        if "bad" in batch:
            raise RuntimeError("out of memory")
        return batch

    batcher = Batcher(work, size=1)
    bad, good = batcher.submit("bad"), batcher.submit("good")
    with pytest.raises(RuntimeError, match="out of memory"):
        bad.result(10)
    assert good.result(10) == "good"


def test_a_call_cancelled_in_time_is_not_worked_on():
    work = Recorder()
    work.go.clear()
    batcher = Batcher(work, size=2)
    first = batcher.submit(0)
    assert work.busy.wait(10)
    given_up, kept = batcher.submit(1), batcher.submit(2)
    assert given_up.cancel()
    work.go.set()
    assert (first.result(10), kept.result(10)) == (0, 4)
    assert work.batches == [[0], [2]]
    with pytest.raises(CancelledError):
        given_up.result()


def test_many_threads_get_their_own_answers():
    batcher = Batcher(Recorder(), size=8)
    found = {}

    def run(start):
        found[start] = [batcher.submit(start + n).result(10) for n in range(20)]

    threads = [threading.Thread(target=run, args=(100 * n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {100 * t: [2 * (100 * t + n) for n in range(20)] for t in range(4)}
