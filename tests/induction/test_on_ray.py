"""A Ray cluster of two workers makes the profiles of a single process."""

from __future__ import annotations

import json

import pytest

from synthesizeme.backends import Caps
from synthesizeme.induction import Shard, run
from synthesizeme.induction.run import run_on_ray
from synthesizeme.profiles.views import every_user

ray = pytest.importorskip("ray", reason="needs the extra `ray`")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


@pytest.fixture(scope="module")
def cluster():
    from reward_models import use_engine

    with use_engine("ray", 2):
        assert ray.cluster_resources()["CPU"] == 2
        yield
    assert not ray.is_initialized()


def everything(store):
    """All profiles and records, whatever the times at which they came."""
    return {
        user.user_id: (user.induced, store.induction(user.user_id), store.profile(user.user_id).profile)
        for user in every_user(store)
    }


def test_two_workers_make_the_profiles_of_one_process(cluster, people, filled, opened, job_at):
    pairs = [pair for own in people.values() for pair in own]
    alone, together = filled(pairs, "alone.db"), filled(pairs, "together.db")
    told = []
    summary = run_on_ray(job_at(together), 2, told.append)
    assert summary == run(job_at(alone)).model_copy(update={"accuracy": summary.accuracy})
    assert (summary.done, len(told)) == (12, 8)
    assert everything(opened(together)) == everything(opened(alone))
    assert run_on_ray(job_at(together), 2).unchanged == 12


def test_a_shard_of_a_shard_and_what_ends_a_worker(cluster, people, filled, job_at, tmp_path):
    place = filled([pair for own in people.values() for pair in own[:4]])
    mine = Shard(1, 2)
    summary = run_on_ray(job_at(place, shard=mine), 2)
    assert summary.done == sum(map(mine.holds, people)) > 0
    broken = run_on_ray(job_at(str(tmp_path / "none.db")), 1)
    assert "a worker on " in broken.stopped
    assert "there is no such file" in broken.stopped


def test_the_command_spreads_users_over_the_cluster(
    cluster, people, filled, opened, capfd, monkeypatch, tmp_path
):
    from synthesizeme.cli import induce_persona_main

    monkeypatch.setenv("SYNTHESIZEME_CACHE_DIR", str(tmp_path / "cache"))
    place = filled([pair for own in list(people.values())[:3] for pair in own])
    common = ["--all-users", "--store", place, "--json"]
    assert induce_persona_main([*common, "--engine", "ray", "--workers", "2"]) == 0
    assert json.loads(capfd.readouterr().out)["done"] == 3
    assert opened(place).totals().done == 3
    assert induce_persona_main([*common, "--engine", "ray", "--out", "o"]) == 2
    assert "leave out --out" in capfd.readouterr().err


def test_what_may_be_spent_is_divided(job_at):
    job = job_at("s.db", caps=Caps(calls=10, tokens=100, cost_usd=1.0), concurrency=9)
    parts = job.divided(4, at_once=2)
    assert [part.caps for part in parts] == [Caps(2, 25, 0.25)] * 4
    assert {part.concurrency for part in parts} == {4}
    assert len({part.shard for part in parts}) == 4
