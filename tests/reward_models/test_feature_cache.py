"""The cache of features: several processes, damage, places that cannot be written."""

from __future__ import annotations

import logging
import sqlite3
import subprocess
import sys
import threading

import numpy as np
import pytest

from reward_models import _feature_cache
from reward_models._feature_cache import FILE, FeatureCache, open_cache

UNITS = [("a",), ("a", "b"), ("ab",), ("\ud800",), ("",)]


def vectors(units=UNITS, dim=3):
    rng = np.random.default_rng(0)
    return {unit: rng.normal(size=dim).astype(np.float32) for unit in units}


def same(found, wanted):
    return {unit: v.tolist() for unit, v in found.items()} == {unit: v.tolist() for unit, v in wanted.items()}


def test_vectors_come_back_bit_for_bit_for_the_same_encoder_and_texts_alone(tmp_path):
    stored = vectors()
    FeatureCache(tmp_path).put("one", stored)
    cache = FeatureCache(tmp_path)
    assert same(cache.get("one", [*UNITS, ("c",)], 3), stored)
    assert cache.get("two", UNITS, 3) == {}
    assert cache.get("one", UNITS, 4) == {}
    assert cache.get("one", [], 3) == {}


def test_more_keys_than_a_query_takes(tmp_path):
    stored = vectors([(str(i),) for i in range(1200)])
    cache = FeatureCache(tmp_path)
    cache.put("one", stored)
    assert same(cache.get("one", list(stored), 3), stored)


def test_the_file_holds_no_text(tmp_path):
    FeatureCache(tmp_path).put("one", {("a very private sentence",): np.zeros(3, dtype=np.float32)})
    assert all(b"private" not in path.read_bytes() for path in tmp_path.iterdir())


def test_a_damaged_vector_counts_as_missing_and_is_replaced(tmp_path):
    cache, stored = FeatureCache(tmp_path), vectors()
    cache.put("one", stored)
    with sqlite3.connect(tmp_path / FILE) as connection:
        (key,) = connection.execute("SELECT key FROM vectors LIMIT 1").fetchone()
        connection.execute("UPDATE vectors SET value = zeroblob(16) WHERE key = ?", (key,))
    connection.close()
    found = cache.get("one", UNITS, 3)
    assert len(found) == len(UNITS) - 1
    cache.put("one", stored)
    assert same(cache.get("one", UNITS, 3), stored)


@pytest.mark.parametrize("damage", [b"not a database at all" * 100, None])
def test_a_file_that_is_no_cache_is_given_up_with_one_warning(tmp_path, caplog, damage):
    cache = FeatureCache(tmp_path)
    cache.put("one", vectors())
    whole = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(whole[:5000] if damage is None else damage)
    with caplog.at_level(logging.WARNING):
        assert cache.get("one", UNITS, 3) == {}
        cache.put("one", vectors())
        assert cache.get("one", UNITS, 3) == {}
    assert len(caplog.records) == 1
    assert "cannot be used" in caplog.text
    assert "Cure: delete the file" in caplog.text


def test_an_unwritable_place_is_given_up_with_one_warning(tmp_path, caplog):
    (tmp_path / "file").write_text("in the way")
    cache = FeatureCache(tmp_path / "file" / "cache")
    with caplog.at_level(logging.WARNING):
        cache.put("one", vectors())
        assert cache.get("one", UNITS, 3) == {}
    assert len(caplog.records) == 1
    assert "SYNTHESIZEME_CACHE_DIR" in caplog.text


def test_processes_share_it(tmp_path):
    """Four write the same and other vectors at once; nothing is lost and nothing waits for ever."""
    code = """
import sys, numpy as np
from pathlib import Path
from reward_models._feature_cache import FeatureCache
cache, me = FeatureCache(Path(sys.argv[1])), int(sys.argv[2])
for i in range(40):
    number = i if i % 2 else 1000 * me + i
    cache.put("one", {(str(number),): np.full(3, number, dtype=np.float32)})
    assert cache.get("one", [(str(number),)], 3)[(str(number),)].tolist() == [number] * 3
"""
    running = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path), str(me)]) for me in range(1, 5)]
    assert [process.wait(timeout=120) for process in running] == [0] * 4
    numbers = [i for i in range(40) if i % 2] + [1000 * me + i for me in range(1, 5) for i in range(0, 40, 2)]
    found = FeatureCache(tmp_path).get("one", [(str(n),) for n in numbers], 3)
    assert {unit: vector.tolist() for unit, vector in found.items()} == {(str(n),): [n] * 3 for n in numbers}


def test_threads_share_it(tmp_path):
    cache, stored = FeatureCache(tmp_path), vectors([(str(i),) for i in range(50)])
    threads = [
        threading.Thread(target=cache.put, args=("one", dict(list(stored.items())[i::5]))) for i in range(5)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert same(cache.get("one", list(stored), 3), stored)


def test_where_it_lies_and_how_it_is_switched_off(tmp_path, monkeypatch):
    monkeypatch.setenv("SYNTHESIZEME_CACHE_DIR", str(tmp_path / "own"))
    assert open_cache(None).path == tmp_path / "own" / FILE
    assert open_cache(None) is open_cache(None)
    monkeypatch.setenv(_feature_cache.OFF, "1")
    assert open_cache(None) is None
    assert open_cache(tmp_path).path == tmp_path / FILE
