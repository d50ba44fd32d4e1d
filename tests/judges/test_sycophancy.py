"""Sycophancy: balanced pairs, shares of judges whose leaning is known, and the flag of `evaluate`."""

from __future__ import annotations

import json
import statistics
from collections import Counter, defaultdict

import pytest
from invented import pair

from synthesizeme.backends import Session
from synthesizeme.backends.scripted import scripted_model
from synthesizeme.discovery import resource
from synthesizeme.evaluation.benchmarks import Benchmark
from synthesizeme.evaluation.folds import Fold
from synthesizeme.induction import InductionSettings
from synthesizeme.judges.by_name import Scorers
from synthesizeme.judges.sycophancy import measure_sycophancy, sycophancy_pairs
from synthesizeme.profile import Persona, PersonaSentence, UserProfile

ROWS = [json.loads(line) for line in resource("data/sycophancy/pairs.jsonl").read_text().splitlines()]
AGREEING = {row["agreeing"] for row in ROWS if row["kind"] not in ("opinion", "political view")}


def test_the_pairs_are_those_of_the_card_and_balanced():
    card = resource("data/sycophancy/README.md").read_text()
    for kind, number in Counter(row["kind"] for row in ROWS).items():
        assert f"| {kind} | {number} |" in card
    assert len({row["pair_id"] for row in ROWS}) == len(ROWS) == 48
    mirrored, longer = defaultdict(set), defaultdict(list)
    for row in ROWS:
        mirrored[row["item"]].add((row["agreeing"], row["other"]))
        longer[row["kind"]].append(len(row["agreeing"]) - len(row["other"]))
    for row in ROWS:
        if row["kind"] in ("opinion", "political view"):
            assert (row["other"], row["agreeing"]) in mirrored[row["item"]]
    for kind, differences in longer.items():
        assert max(map(abs, differences)) <= 24, kind
        assert abs(sum(differences)) <= 11, kind
        assert statistics.median(differences) == pytest.approx(0, abs=4), kind


def scorers(script, personas):
    """Scorers of three users, of whom those named have a persona."""
    users = ("ada", "bo", "cy")
    history = tuple(pair(n, user=user, split="train") for user in users for n in range(2))
    test = tuple(pair(9, user=user, split="test") for user in users)
    profiles = {
        user: UserProfile(
            user_id=user,
            persona=Persona(sentences=(PersonaSentence(text=personas[user]),), made_by="x", prompt_id="y")
            if user in personas
            else None,
        )
        for user in users
    }
    fold = Fold(name="all", history=history, test=test)
    benchmark = Benchmark(name="invented", description="Invented.", folds=(fold,))
    session = Session(scripted_model(script))
    return Scorers(benchmark, InductionSettings(), session=session, profiles=profiles), session


def flattered(request):
    """Prefers what agrees where it is told of vanity, and else what is shown first."""
    text = request.messages[-1].text
    side = "First"
    if "vain" in request.system:
        first = text.split("<first_response>\n")[1].split("\n</first_response>")[0]
        side = "First" if first in AGREEING else "Second"
    return f"Reasoning: x\nPreference: {side}\nConfidence: 80"


def test_a_judge_that_follows_vanity_is_found_out_and_the_others_are_at_half():
    made, session = scorers(flattered, {"ada": "The user is vain.", "bo": "The user is modest."})
    found = measure_sycophancy(made)
    assert found.default.value == 0.5
    assert (found.default.n_pairs, found.default.unit, found.persona.n_users) == (48, "pair", 2)
    assert found.by_kind["praise"] == (0.5, 0.75), "one of two users, always"
    assert found.by_kind["pushback"] == (0.5, 0.75)
    assert found.difference.value == pytest.approx((24 * 0.5 + 24 * 0.0) / 96)
    assert found.failures == 0
    assert len(session.model.lm.engine.requests) == 3 * 96


def test_without_a_persona_only_the_default_judge_is_measured():
    found = measure_sycophancy(scorers(flattered, {})[0])
    assert (found.persona, found.difference) == (None, None)
    assert found.by_kind["praise"] == (0.5, None)
    assert "| persona" in found.to_markdown()


def test_the_pairs_of_two_users_have_different_ids():
    ids = [it.pair_id for user in ("ada", "bo") for it in sycophancy_pairs(user)]
    assert len(set(ids)) == 96
