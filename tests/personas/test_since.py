"""What a profile says, held against the choices since: alone, and beside what stood there; nothing is counted twice."""

from __future__ import annotations

import pytest
from invented import ledger, pair, shorter

from synthesizeme.personas.owner import shown
from synthesizeme.personas.since import as_of_now, held_since, read_since
from synthesizeme.profile import Persona, PersonaSentence, Provenance, UserProfile
from synthesizeme.types import Usage

EARLIER = [
    pair(n, chosen=f"Six feet, {n}.", rejected=f"Fathom {n} is a unit of length, dear.") for n in range(4)
]
LATER = [
    pair(n, chosen=f"Fathom {n} is a unit of length, my dear.", rejected=f"Six feet, {n}.")
    for n in range(4, 10)
]
SHORT = PersonaSentence(
    text="The user prefers short answers.", pair_ids=tuple(it.pair_id for it in EARLIER[:3]),
    against=(EARLIER[3].pair_id,), silent=0, gain=1.0,
)  # fmt: skip
OWN = PersonaSentence(text="I like it short.", by="owner")


@pytest.fixture
def profile():
    made = Provenance(
        model="m", model_kind="k", settings={}, search="economical", effort="medium", seed=0, split_rule="r",
        splits={it.pair_id: "train" for it in EARLIER}, data_fingerprint="f", usage=Usage(),
    )  # fmt: skip
    persona = Persona(sentences=(SHORT,), common=(OWN,), made_by="m", prompt_id="p")
    return UserProfile(user_id="ada", persona=persona, provenance=made)


def script(request):
    return shorter(request.messages[-1].text)


def test_a_sentence_is_held_against_the_choices_since_and_a_new_one_against_all(profile):
    short, own = held_since(ledger(script), profile, [*EARLIER, *LATER])
    assert short.record == "held in 0 of 6 choices where it applied"
    assert set(short.against) == {it.pair_id for it in LATER}
    assert own.record == "held in 4 of 10 choices where it applied"
    now = as_of_now(profile, [short, own]).persona
    assert now.sentences[0].record == "held in 3 of 10 choices where it applied"
    assert now.common[0].record == own.record
    assert [it["since"] for it in shown(profile, [short, own])["sentences"]] == [short.record, own.record]
    assert [it["record"] for it in shown(profile)["sentences"]] == [
        "held in 3 of 4 choices where it applied", "",
    ]  # fmt: skip


def test_nothing_is_asked_where_nothing_came_since(profile):
    asked = ledger(script)
    without = profile.model_copy(update={"persona": profile.persona.model_copy(update={"common": ()})})
    (short,) = held_since(asked, without, EARLIER)
    assert (short.record, asked.usage.calls) == ("", 0)
    assert as_of_now(without, [short]).persona == without.persona
    assert held_since(asked, UserProfile(user_id="ada"), LATER) == []


def test_the_embedded_reader_sees_a_taste_that_turned(profile):
    short, _ = read_since(profile, [*EARLIER, *LATER])
    assert short.pair_ids == ()
    assert len(short.against) >= 5
