"""PostgreSQL with four shards and a server that writes, and what Prometheus says of the server's page."""

from __future__ import annotations

import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from postgres_server import PostgresServer, why_not

from synthesizeme.datasets.synthetic import planted_population
from synthesizeme.profiles import open_store
from synthesizeme.profiles.views import every_user, take_pairs

INDUCE = str(Path(sys.executable).with_name("induce-persona"))
USERS, WRITES = 24, 60


@pytest.fixture
def postgres():
    assert why_not() is None, f"{why_not()}; this test does not skip"
    server = PostgresServer()
    server.sql("CREATE DATABASE profiles")
    yield server
    server.remove()


def test_four_shards_and_a_server_that_writes_share_a_database(postgres, serve, checkpoint):
    url = postgres.url("profiles")
    with open_store(url, migrate=True) as store:
        take_pairs(store, planted_population(USERS, 8, seed=5).pairs)
    address, _ = serve(f"synthesizeme serve --reward-model {checkpoint} --store {url}")
    shards = [
        subprocess.Popen(
            [INDUCE, "--all-users", "--store", url, "--json", "--shard", f"{number}/4"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for number in range(4)
    ]  # fmt: skip

    def write(number):
        pair = {"prompt": f"Question {number}?", "chosen": "Yes.", "rejected": "Certainly not today."}
        path = f"{address}/v1/users/writer{number % 5}/pairs"
        return httpx.post(path, json={"pairs": [pair]}, timeout=60).status_code

    with ThreadPoolExecutor(4) as pool:
        statuses = list(pool.map(write, range(WRITES)))
    for shard in shards:
        _, err = shard.communicate(timeout=400)
        assert shard.returncode == 0, err[-2000:]
    assert statuses == [200] * WRITES
    with open_store(url, create=False) as store:
        written = [store.pairs(f"writer{number}") for number in range(5)]
        induced = [user.user_id for user in every_user(store) if store.profile(user.user_id) is not None]
    assert [len(pairs) for pairs in written] == [WRITES // 5] * 5
    assert len(induced) >= USERS


def test_prometheus_finds_nothing_wrong_with_the_page(serve, checkpoint):
    promtool = shutil.which("promtool")
    assert promtool, "promtool is not installed (Debian: apt-get install prometheus); this test does not skip"
    address, _ = serve(f"synthesizeme serve --reward-model {checkpoint} --unknown-user population")
    row = {"user_id": "u0", "prompt": "Q?", "response": "Yes."}
    assert httpx.post(f"{address}/v1/score", json=row).status_code == 200
    page = httpx.get(f"{address}/metrics").content
    checked = subprocess.run([promtool, "check", "metrics"], input=page, capture_output=True, check=False)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, b"")
