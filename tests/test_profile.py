"""A profile is one JSON document and nothing is lost in it."""

from __future__ import annotations

import json

import pytest
from invented import comparison
from pydantic import ValidationError

from synthesizeme.profile import (
    PROFILE_VERSION,
    Candidate,
    Persona,
    PersonaSentence,
    Provenance,
    UserProfile,
)
from synthesizeme.types import Demonstration, Usage


def profile(user_id="ada"):
    sentences = (
        PersonaSentence(text="The user likes short answers.", pair_ids=("a", "b")),
        PersonaSentence(text='The user says "ok" 🦊.'),
    )
    return UserProfile(
        user_id=user_id,
        persona=Persona(sentences=sentences, made_by="builtin", prompt_id="persona/default@1#0"),
        demonstrations=(Demonstration(comparison=comparison(), preference="second", reasoning="Longer."),),
        provenance=Provenance(
            model="builtin", model_kind="rules", search="economical", effort="low", seed=3, split_rule="given",
            splits={"a": "train"}, candidates=(Candidate(name="x", shrunken_gain=0.1, correct=1.5, judged=2),),
            usage=Usage(calls=4), failures={"parse": 1}, notes=("a note",),
        ),
    )  # fmt: skip


@pytest.mark.parametrize("user_id", ["ada", "../x\n", "🦊", "\u202e", "u" * 10_000])
def test_a_profile_round_trips_to_one_json_document(user_id):
    one = profile(user_id)
    text = one.to_json()
    assert UserProfile.from_json(text) == one
    assert UserProfile.from_json(text.encode()).to_json() == text
    assert json.loads(text)["version"] == PROFILE_VERSION


def test_the_persona_reads_one_sentence_per_line():
    assert profile().persona.text == 'The user likes short answers.\nThe user says "ok" 🦊.'


def test_ablations_remove_one_part_and_leave_the_original():
    one = profile()
    assert one.without(persona=True).persona is None
    assert one.without(persona=True).demonstrations == one.demonstrations
    assert one.without(demonstrations=True).demonstrations == ()
    assert one.without(demonstrations=True).persona == one.persona
    assert one.without() == one
    assert one == profile()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"user_id": 3}',
        '{"persona": null}',
        '{"user_id": "a", "extra": 1}',
        '{"user_id": "a", "persona": {}}',
    ],
)
def test_what_is_no_profile_is_refused(text):
    with pytest.raises(ValidationError):
        UserProfile.from_json(text)


def test_a_persona_needs_a_sentence_and_a_sentence_text():
    with pytest.raises(ValidationError, match="sentences"):
        Persona(sentences=(), made_by="x", prompt_id="y")
    with pytest.raises(ValidationError, match="text"):
        PersonaSentence(text="")
