"""Counters of several processes added up."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from synthesizeme.serving.metrics import SharedPages


def page(rows, waiting, users):
    return (
        "# HELP x_rows_total Rows\n# TYPE x_rows_total counter\n"
        f'x_rows_total{{status="ok"}} {rows}\nx_rows_total{{status="er\\"ror"}} 1.0\n'
        "# HELP x_rows_created Rows\n# TYPE x_rows_created gauge\nx_rows_created{} 17e8\n"
        f"# HELP x_waiting Waiting\n# TYPE x_waiting gauge\nx_waiting {waiting}\n"
        f"# HELP x_users Users\n# TYPE x_users gauge\nx_users {users}\n"
        "# HELP x_seconds Seconds\n# TYPE x_seconds histogram\n"
        f'x_seconds_bucket{{le="1.0"}} {rows}\nx_seconds_bucket{{le="+Inf"}} {rows + 1}\n'
        f"x_seconds_count {rows + 1}\nx_seconds_sum {rows / 2}\n"
    ).encode()


@pytest.fixture
def dead():
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait(30)
    return process.pid


def test_counters_and_histograms_are_sums_and_users_are_the_same_everywhere(tmp_path):
    (tmp_path / f"{os.getppid()}.prom").write_bytes(page(5, 2, 7))
    found = SharedPages(tmp_path).together(page(3, 1, 6)).decode()
    for line in (
        'x_rows_total{status="ok"} 8.0', 'x_rows_total{status="er\\"ror"} 2.0', "x_waiting 3.0", "x_users 7.0",
        'x_seconds_bucket{le="1.0"} 8.0', 'x_seconds_bucket{le="+Inf"} 10.0', "x_seconds_count 10.0", "x_seconds_sum 4.0",
    ):  # fmt: skip
        assert f"{line}\n" in found
    assert "created" not in found
    assert found.count("# TYPE x_rows_total counter") == 1


def test_what_an_ended_process_counted_stays_and_what_it_held_does_not(tmp_path, dead):
    (tmp_path / f"{dead}.prom").write_bytes(page(5, 2, 70))
    found = SharedPages(tmp_path).together(page(3, 1, 6)).decode()
    for line in ('x_rows_total{status="ok"} 8.0', "x_waiting 1.0", "x_users 6.0"):
        assert f"{line}\n" in found


def test_a_process_by_itself_is_not_counted_twice(tmp_path):
    pages = SharedPages(tmp_path)
    pages.keep(page(3, 1, 6))
    assert b'x_rows_total{status="ok"} 4.0' in pages.together(page(4, 1, 6))
