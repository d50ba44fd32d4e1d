"""The paper's plain search, kept as it is for comparison."""

from __future__ import annotations

from invented import ledger, pair, sent

from synthesizeme.judges import LLMJudge
from synthesizeme.personas.paper_search import TRIALS, paper_search
from synthesizeme.personas.selection import draw_orders
from synthesizeme.profile import Persona, PersonaSentence, UserProfile
from synthesizeme.types import preferred_side

TRAIN = [pair(n) for n in range(8)]
VALIDATION = [pair(n) for n in range(8, 11)]
ORDER = draw_orders([*TRAIN, *VALIDATION], seed=0)
PERSONA = Persona(sentences=(PersonaSentence(text="The user counts."),), made_by="x", prompt_id="y")


def run(script, seed=0, validation=VALIDATION):
    asked = ledger(script)
    written = []

    def make_judge(stage, persona, demonstrations):
        known = UserProfile(user_id="ada", persona=persona, demonstrations=tuple(demonstrations))
        return LLMJudge(asked, {"ada": known}, name=stage)

    def write(demonstrations):
        written.append(demonstrations)
        return PERSONA

    found = paper_search(make_judge, write, TRAIN, validation, ORDER, seed=seed)
    return found, asked, written


def side(request):
    text = request.messages[-1].text
    return "First" if text.index("Six feet") < text.index("unit of length") else "Second"


def right(request):
    return f"Reasoning: r.\nPreference: {side(request)}"


def wrong(request):
    return f"Preference: {'Second' if side(request) == 'First' else 'First'}"


def test_ten_trials_for_each_half_and_one_winner_of_each():
    found, asked, written = run(right)
    assert len(found.candidates) == 2 * TRIALS
    first, second = found.candidates[:TRIALS], found.candidates[TRIALS:]
    assert [sum(c.selected for c in half) for half in (first, second)] == [1, 1]
    assert first[0].selected, "the first of equals wins"
    assert all((c.correct, c.judged, c.failures) == (3.0, 3, 0) for c in found.candidates)
    assert found.persona is PERSONA
    assert len(written) == 1
    for demonstrations in (written[0], found.demonstrations):
        assert 1 <= len(demonstrations) <= 4
        for demonstration in demonstrations:
            assert demonstration.comparison.pair_id in {one.pair_id for one in TRAIN}
            assert demonstration.preference == preferred_side(ORDER[demonstration.comparison.pair_id])
    assert asked.usage.calls > 2 * asked.usage.distinct_calls // 2
    assert all(dict(turns)["system"].count("The user counts.") <= 1 for turns in sent(asked))


def test_without_a_verified_trace_no_persona_is_written_and_nothing_is_shown():
    found, _, written = run(wrong)
    assert (found.persona, found.demonstrations, written) == (None, (), [])
    assert found.pool.verified == 0


def test_failures_are_counted_and_never_a_verdict():
    found, _, _ = run(lambda request: RuntimeError("down"))
    assert all((c.correct, c.judged, c.failures) == (0.0, 0, 3) for c in found.candidates)
    assert found.demonstrations == ()


def test_the_seed_decides_the_trials():
    assert run(right)[0].demonstrations == run(right)[0].demonstrations
    assert {len(run(right, seed=seed)[0].demonstrations) for seed in range(8)} > {1}
