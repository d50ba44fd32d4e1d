from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from synthesizeme.backends import RetryPolicy
from synthesizeme.datasets.synthetic import planted_population
from synthesizeme.induction import InductionJob
from synthesizeme.profiles import open_store
from synthesizeme.profiles.store import ProfileStore
from synthesizeme.profiles.views import take_pairs
from synthesizeme.types import PreferencePair


@pytest.fixture(scope="session")
def people() -> dict[str, list[PreferencePair]]:
    """Planted users with 14 pairs each."""
    return planted_population(12, 14, seed=5).by_user


@pytest.fixture
def filled(tmp_path: Path) -> Callable[..., str]:
    """Puts pairs into a store, made if need be; its place."""

    def fill(pairs: list[PreferencePair], name: str = "store.db") -> str:
        place = tmp_path / name
        with open_store(place) as store:
            take_pairs(store, pairs)
        return str(place)

    return fill


@pytest.fixture
def opened() -> Iterator[Callable[[str], ProfileStore]]:
    """Opens stores that are closed at the end."""
    stores: list[ProfileStore] = []

    def open_it(place: str) -> ProfileStore:
        stores.append(open_store(place, create=False))
        return stores[-1]

    yield open_it
    for store in stores:
        store.close()


@pytest.fixture
def job_at() -> Callable[..., InductionJob]:
    """A quick job for a place; keywords replace fields."""

    def make(place: str, **fields: Any) -> InductionJob:
        quick = InductionJob(place, retry=RetryPolicy(retries=1, backoff_s=0.001))
        return replace(quick, **fields)

    return make
