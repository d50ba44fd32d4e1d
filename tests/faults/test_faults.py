"""The quick form of every fault of `experiments/faults`: real commands, and what they promise."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
STUDY = TESTS.parent / "experiments" / "faults"
if not STUDY.is_dir():
    pytest.skip("the study is not beside the tests: experiments/faults", allow_module_level=True)
sys.path[:0] = [str(STUDY), *(str(TESTS / name) for name in ("end_to_end", "profiles"))]

from scenarios import clock, database, full_disk  # noqa: E402
from scenarios.failing_endpoint import failing_endpoint  # noqa: E402
from scenarios.kills import kills, twins  # noqa: E402
from scenarios.rows import Row, table  # noqa: E402


def kept(row):
    assert not row.problems, row.verdict
    assert row.lost == 0
    return row


def test_an_endpoint_that_fails_in_every_way(tmp_path):
    row = kept(failing_endpoint(tmp_path, users=3, pairs=5, rate=0.3))
    assert row.repeated > 5
    assert "retries" in row.shown


@pytest.mark.slow
def test_workers_that_are_killed(tmp_path):
    row = kept(kills(tmp_path, users=8, pairs=5, number=5, most_calls=25))
    assert row.finished == "8 of 8"


def test_two_processes_with_the_same_users(tmp_path):
    kept(twins(tmp_path, users=4, pairs=5))


def test_a_full_disk_under_the_call_cache(tmp_path):
    if full_disk.why_not():  # then no file of the process may grow
        kept(full_disk.limited_files(tmp_path, users=8, pairs=5, most_kib=500))
    else:
        kept(full_disk.full_disk(tmp_path, users=6, pairs=5, full="cache", room_kib=160))


def test_a_full_disk_under_the_store(tmp_path):
    if why := full_disk.why_not():
        pytest.skip(why)
    kept(full_disk.full_disk(tmp_path, users=6, pairs=5, full="store", room_kib=64))


def test_a_full_disk_under_the_users_of_a_server(tmp_path):
    if why := full_disk.why_not():
        pytest.skip(why)
    kept(full_disk.full_disk_of_a_server(tmp_path, room_kib=64))


@pytest.mark.slow
def test_a_clock_that_jumps(tmp_path):
    if why := clock.why_not():
        pytest.skip(why)
    kept(clock.jumping_clock(tmp_path, users=2, pairs=5))


@pytest.mark.slow
def test_a_database_that_is_away_from_an_induction(tmp_path):
    if why := database.why_not():
        pytest.skip(why)
    kept(database.away_from_an_induction(tmp_path, users=5, pairs=5, seconds=2.5, crash=True))


def test_a_database_that_is_away_from_a_server(tmp_path):
    if why := database.why_not():
        pytest.skip(why)
    kept(database.away_from_a_server(tmp_path, seconds=2.0))


def test_a_broken_promise_is_in_the_table():
    row = Row("fault", "what", calls=1000)
    row.promise(True, "kept")
    row.promise(0, "this | was lost")
    assert row.verdict == "this | was lost"
    assert table([row]).splitlines()[2] == "| fault | what | 1,000 | – | – | 0 | – | this / was lost |"
