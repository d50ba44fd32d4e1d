"""What several tests of the hierarchical model are set up with."""

from __future__ import annotations

import pytest
from hashed_texts import Hashed, opening

from reward_models._features import Encoded


@pytest.fixture
def encoder(monkeypatch):
    """What a hierarchical model finds when it opens its encoder: a list of one, to be exchanged."""
    found = [Encoded(Hashed())]
    opening(monkeypatch, lambda spec: found[0])
    return found


@pytest.fixture
def taste_alone(monkeypatch):
    """Rewards without a floor, for texts of a few made-up words, which are no answers to anything."""
    none = property(lambda standing: None, lambda standing, floor: None)
    monkeypatch.setattr("reward_models._standing.Standing.floor", none)
