"""Simulated users: who answers, what becomes of every kind of answer, and that nobody takes them for people."""

from __future__ import annotations

import json

import pytest
from invented import comparison, ledger, pair, sent

from synthesizeme import Session, open_model
from synthesizeme.datasets.synthetic import planted_population
from synthesizeme.errors import ConfigError, DataError, UnreadableError
from synthesizeme.profile import UserProfile
from synthesizeme.simulation.pool import pool_of
from synthesizeme.simulation.respondents import (
    persona_id,
    persona_of,
    planted_respondents,
    played_by,
    read_personas,
    role_played,
    simulate,
)
from synthesizeme.types import Failure, Verdict, respondents

SHORT = "The user strongly prefers short, concise answers."
LONG = "The user strongly prefers long, detailed answers."
PERSONAS = {"brief": persona_of("brief", SHORT), "wordy": persona_of("wordy", LONG)}
POOL = pool_of(
    pair(
        number,
        chosen=f"Six feet, number {number}.",
        rejected=f"Well, number {number}. " + "It is deep. " * 30,
    )
    for number in range(6)
)


def played(script, personas=PERSONAS, pool=POOL, **settings):
    asked = ledger(script)
    return asked, simulate(role_played(asked, personas), played_by(asked, personas), pool, **settings)


def shorter(request):
    """The shorter response, whichever user it plays."""
    text = request.messages[-1].text
    first = text.split("<first_response>")[1].split("</first_response>")[0]
    second = text.split("<second_response>")[1].split("</second_response>")[0]
    return f"Preference: {'First' if len(first) < len(second) else 'Second'}"


def test_the_builtin_model_plays_each_persona():
    with Session(open_model("builtin")) as session:
        asked = session.ledger()
        found = simulate(role_played(asked, PERSONAS), played_by(asked, PERSONAS), POOL)
    assert len(found.pairs) == 2 * len(POOL)
    for item in found.pairs:
        brief = item.user_id == "simulated:brief"
        assert (len(item.chosen_text) < len(item.rejected_text)) == brief
    assert found.consistent == 1.0
    assert asked.usage.distinct_calls == 4 * len(POOL)


def test_the_model_is_told_to_be_the_user_and_sees_the_persona_alone():
    asked, _ = played(shorter)
    for turns in sent(asked):
        (role, system), (_, question) = turns
        assert role == "system"
        assert "You are that person" in system
        assert (SHORT in system) != (LONG in system)
        assert "<first_response>" in question
    assert len(sent(asked)) == 4 * len(POOL)


def test_every_pair_says_who_answered_in_whose_place():
    _, found = played(shorter, seed=3)
    assert respondents(found.pairs) == "simulated"
    for item in found.pairs:
        said = item.metadata["simulated"]
        user = item.user_id.removeprefix("simulated:")
        assert said["by"] == "scripted"
        assert said["persona"] == persona_id(PERSONAS[user])
        assert said["prompt"].startswith("simulation/default@2#")
        assert (said["noise"], said["seed"]) == (0.0, 3)
        assert item.metadata["asked"] in {one.pair_id for one in POOL}
    assert len({item.pair_id for item in found.pairs}) == len(found.pairs)
    assert persona_id(PERSONAS["brief"]) != persona_id(persona_of("brief", LONG))


def test_an_answer_that_turns_with_the_order_is_a_tie_and_a_failure_is_counted():
    _, always_first = played(lambda request: "Preference: First")
    assert (always_first.pairs, always_first.ties) == ((), 12)
    assert always_first.consistent == 0.0
    _, unread = played(["Preference: First"] * 12 + ["I like both."] * 12)
    assert (unread.pairs, unread.ties, unread.failures) == ((), 0, {"parse": 12})
    with pytest.raises(UnreadableError, match=r"0 of its 8 replies can be read.*'I like both\.'"):
        played(lambda request: "I like both.")
    _, once = played(["Preference: First"] * 12 + ["I'm sorry, I can't."] * 12)
    assert (once.pairs, once.failures) == ((), {"refusal": 12})


def test_noise_draws_by_the_stated_probability_and_the_seed():
    def unsure(request):
        return f"{shorter(request)}\nConfidence: 75"

    pool = pool_of(
        pair(number, chosen=f"Six feet, {number}.", rejected=f"Number {number}. " + "It is deep. " * 9)
        for number in range(300)
    )
    one = {"brief": PERSONAS["brief"]}
    _, found = played(unsure, one, pool, noise=1.0, seed=1)
    share = sum(len(item.chosen_text) < len(item.rejected_text) for item in found.pairs) / len(found.pairs)
    assert len(found.pairs) == 300
    assert abs(share - 0.75) < 0.08
    assert played(unsure, one, pool, noise=1.0, seed=1)[1] == found
    assert played(unsure, one, pool, noise=1.0, seed=2)[1].pairs != found.pairs
    _, sure = played(unsure, one, pool)
    assert all(len(item.chosen_text) < len(item.rejected_text) for item in sure.pairs)


def test_each_user_can_be_asked_a_drawn_part_of_the_pool():
    _, found = played(shorter, per_user=2)
    assert found.asked == 4
    asked = {user: [p.metadata["asked"] for p in found.pairs if user in p.user_id] for user in PERSONAS}
    assert asked["brief"] != asked["wordy"]
    assert played(shorter, per_user=2)[1] == found


def test_impossible_wishes_are_listed_together():
    with pytest.raises(ConfigError, match=r"no user.*nothing to ask.*per_user is 0.*noise is -1"):
        simulate(planted_population(1, 1).answering([]), {}, [], per_user=0, noise=-1)


def test_who_has_no_persona_cannot_be_played():
    with pytest.raises(DataError, match="1 profiles have no persona, the first is that of 'ada'"):
        role_played(ledger([]), {"ada": UserProfile(user_id="ada")})


def test_planted_users_value_their_own_pairs_as_their_population_does():
    population = planted_population(4, 5, seed=2, topic_taste=0.5)
    planted = population.answering(population.pairs)
    for item in population.pairs:
        (verdict,) = planted.compare([item.compare("chosen_first")])
        assert isinstance(verdict, Verdict)
        assert verdict.probability == pytest.approx(item.metadata["probability"])
    (unknown,) = planted.compare([comparison(user="planted-00000")])
    (stranger,) = planted.compare(
        [population.pairs[0].compare("chosen_first").model_copy(update={"user_id": "x"})]
    )
    assert isinstance(unknown, Failure)
    assert isinstance(stranger, Failure)
    assert "the user is not planted" in stranger.detail


def test_planted_users_differ_about_the_same_pairs():
    planted, users, others = planted_respondents(6, 20, seed=4)
    found = simulate(planted, {user: {"by": "planted", "persona": user} for user in users}, pool_of(others))
    chosen = {}
    for item in found.pairs:
        chosen.setdefault(item.metadata["asked"], set()).add(item.chosen_text)
    assert found.consistent is None
    assert sum(len(texts) == 2 for texts in chosen.values()) > 10
    assert respondents(others) == "simulated"


def test_personas_are_read_from_rows(tmp_path):
    path = tmp_path / "who.jsonl"
    rows = [{"user_id": "a", "persona": f"{SHORT}\n\n {LONG}"}, {"user_id": "b", "persona": LONG}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    found = read_personas(path)
    assert [sentence.text for sentence in found["a"].persona.sentences] == [SHORT, LONG]
    for row, problem in (
        ({"user_id": "c"}, "'persona': found no text"),
        ({"user_id": "", "persona": "x"}, "'user_id': found no text"),
        ({"user_id": "a", "persona": "x"}, "has a persona already"),
    ):
        path.write_text("".join(json.dumps(it) + "\n" for it in [*rows, row]), encoding="utf-8")
        with pytest.raises(DataError, match=rf"who\.jsonl:3: .*{problem}"):
            read_personas(path)
