"""A Ray cluster of two raylets of which one dies, and one that asks for a token."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from synthesizeme.datasets.synthetic import planted_population
from synthesizeme.profiles import open_store
from synthesizeme.profiles.views import every_user, take_pairs

INDUCE = str(Path(sys.executable).with_name("induce-persona"))


def store(place, users=60):
    with open_store(str(place)) as opened:
        take_pairs(opened, planted_population(users, 8, seed=5).pairs)
    return str(place)


def profiles(place):
    with open_store(place, create=False) as opened:
        return {user.user_id: opened.profile(user.user_id).profile for user in every_user(opened)}


def induced(place, **environment):
    return subprocess.Popen(
        [INDUCE, "--all-users", "--store", place, "--json", *environment.pop("more", [])],
        env=os.environ | environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_a_raylet_that_is_killed_costs_no_profile_and_no_line_but_json_is_printed(tmp_path):
    from ray.cluster_utils import Cluster

    alone, together = store(tmp_path / "alone.db"), store(tmp_path / "together.db")
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    second = cluster.add_node(num_cpus=1)
    try:
        run = induced(together, RAY_ADDRESS=cluster.address, more=["--engine", "ray", "--workers", "2"])
        for _ in range(1200):
            with open_store(together, create=False) as opened:
                done = opened.totals().done
            if done >= 5 or run.poll() is not None:
                break
            time.sleep(0.1)
        assert 5 <= done < 60, f"{done} users when the node was to be killed"
        cluster.remove_node(second, allow_graceful=False)
        out, err = run.communicate(timeout=400)
    finally:
        cluster.shutdown()
    assert run.returncode == 0, err[-2000:]
    assert json.loads(out)["done"] + done >= 60
    quiet = induced(alone)
    quiet.communicate(timeout=400)
    assert profiles(together) == profiles(alone)


@pytest.fixture
def guarded(tmp_path):
    """A cluster whose raylets ask for a token; its address, and the token."""
    token = secrets.token_hex(32)
    environment = os.environ | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token, "RAY_TMPDIR": "/tmp"}
    script = textwrap.dedent("""
        import sys
        from ray.cluster_utils import Cluster
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
        print(cluster.address, flush=True)
        sys.stdin.read()
        cluster.shutdown()
    """)
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    address = next(line.strip() for line in process.stdout if ":" in line and line[0].isdigit())
    yield address, token
    process.communicate(timeout=60)


def test_a_cluster_that_asks_for_a_token_is_joined_with_it_and_named_without(guarded, tmp_path):
    address, token = guarded
    place = store(tmp_path / "store.db", users=2)
    without = induced(place, RAY_ADDRESS=address, RAY_AUTH_MODE="disabled", more=["--engine", "ray"])
    _, err = without.communicate(timeout=200)
    assert without.returncode == 2
    assert "RAY_AUTH_MODE=token" in " ".join(err.split())
    joined = induced(
        place, RAY_ADDRESS=address, RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=token, more=["--engine", "ray"]
    )
    out, err = joined.communicate(timeout=200)
    assert joined.returncode == 0, err[-2000:]
    assert json.loads(out)["done"] == 2
