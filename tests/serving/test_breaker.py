"""A store that is out of reach is left alone for a moment."""

from __future__ import annotations

import pytest

from synthesizeme.errors import StoreUnavailableError
from synthesizeme.serving.stores import Breaker, MemoryUsers


class Away(MemoryUsers):
    """Counts how often it was asked; away while `away`."""

    away, asked = False, 0

    def pairs(self, user_id):
        self.asked += 1
        if self.away:
            raise StoreUnavailableError("away")
        return super().pairs(user_id)


def test_what_was_away_rests_and_is_then_asked_again():
    now, store = [0.0], Away()
    breaker = Breaker(store, rest_s=1.0, clock=lambda: now[0])
    assert breaker.pairs("ann") == ()
    store.away = True
    for _ in range(3):
        with pytest.raises(StoreUnavailableError):
            breaker.pairs("ann")
    with pytest.raises(StoreUnavailableError):
        breaker.users()
    assert store.asked == 2
    now[0] = 0.99
    with pytest.raises(StoreUnavailableError):
        breaker.delete("ann")
    now[0], store.away = 1.0, False
    assert breaker.pairs("ann") == ()
    assert tuple(breaker.users()) == ()
    assert breaker.delete("ann").pairs == 0


def test_other_faults_of_a_store_do_not_make_it_rest():
    class Broken(MemoryUsers):
        def add_pairs(self, user_id, pairs, **more):
            raise ValueError("a fault")

    breaker = Breaker(Broken())
    with pytest.raises(ValueError, match="a fault"):
        breaker.add_pairs("ann", [])
    assert breaker.pairs("ann") == ()
