"""The mean of several judgements: what it is, what it gains, what it takes, and when it is taken."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from invented import comparison, ledger, pair, shorter
from scipy.stats import binom

from synthesizeme.backends import ModelSettings, RetryPolicy, Session, open_model
from synthesizeme.backends.scripted import scripted_model
from synthesizeme.evaluation.harness import evaluate
from synthesizeme.induction.estimate import estimate_user
from synthesizeme.induction.one_user import InductionSettings, induce_user
from synthesizeme.judges import LLMJudge, both_orders
from synthesizeme.judges.llm_judge import judge_both_orders, mean_verdict
from synthesizeme.judges.rating import JudgeRewards
from synthesizeme.personas import SynthesizeMe
from synthesizeme.personas.averaging import SAMPLES, choose_averaging, nearest
from synthesizeme.personas.beside import Beside
from synthesizeme.personas.budget import call_limit
from synthesizeme.personas.judging_profile import load_profile
from synthesizeme.personas.selection import CandidateSet
from synthesizeme.profile import Averaging, Persona, PersonaSentence, UserProfile
from synthesizeme.scoring import as_answers
from synthesizeme.types import ORDERS, Failure, Verdict

ROWS = as_answers([comparison().prompt], ["Six feet."], ["ada"])
MIRRORED = {"first": "second", "second": "first", "tie": "tie"}
verdicts = st.floats(0, 1).map(
    lambda p: Verdict(preference="first" if p > 0.5 else "second" if p < 0.5 else "tie", probability=p)
)


def share(*parts):
    """A number in [0, 1) that follows from nothing but a hash."""
    return int.from_bytes(hashlib.sha256("\0".join(map(str, parts)).encode()).digest()[:6], "big") / 2**48


def noisy(skill):
    """A model that sees which answer begins with "Six feet", and says so in that share of its samples."""

    def script(request):
        text = request.messages[-1].text
        if "<statement>" in text:
            return shorter(text)
        if "<pair " in text:
            return "The user prefers short answers. [1]"
        if "<new_response>" in text:
            return f"Rating: {20 + 30 * (request.config.seed or 0)}"
        at = text.rindex("<second_response>")
        right = share(text, request.config.seed, request.config.temperature) < skill
        return f"Preference: {'First' if right == ('Six feet' in text[:at].rpartition('<first_')[2]) else 'Second'}"

    return script


def session(script, **settings):
    return Session(scripted_model(script, ModelSettings(**settings)), retry=RetryPolicy(backoff_s=0.0))


def ada(samples):
    return {"ada": UserProfile(user_id="ada", averaging=Averaging(samples=samples))}


def history(count, n_validation, **more):
    return [pair(n, split="validation" if n < n_validation else "train", **more) for n in range(count)] + [
        pair(count + n, split="test", **more) for n in range(2)
    ]


# --- the mean


@given(verdicts)
def test_one_verdict_is_its_own_mean_and_so_are_its_copies(one):
    assert mean_verdict([one]) is one
    for number in (2, 3, 5):
        mean = mean_verdict([one] * number)
        assert mean.preference == one.preference
        assert mean.probability == pytest.approx(one.probability)


@given(st.lists(verdicts, min_size=1, max_size=6), st.randoms())
def test_the_mean_knows_no_order_and_lies_on_the_side_it_prefers(some, rng):
    mean = mean_verdict(some)
    shuffled = rng.sample(some, len(some))
    assert mean_verdict(shuffled).preference == mean.preference
    assert mean.probability == pytest.approx(sum(it.probability for it in some) / len(some))
    assert (mean.probability > 0.5) <= (mean.preference == "first")
    assert (mean.probability < 0.5) <= (mean.preference == "second")


def test_two_votes_at_even_chances_decide():
    even = [Verdict(preference=it, probability=0.5) for it in ("second", "tie", "second", "first")]
    assert mean_verdict(even).preference == "second"
    assert mean_verdict(even[1:]).preference == "tie"


@pytest.mark.parametrize("samples", [1, 3, 5])
def test_exchanging_the_responses_mirrors_an_averaged_judge(samples):
    judge = LLMJudge(ledger(noisy(0.6)), ada(samples))
    shown = [pair(n).compare(order) for n in range(40) for order in ORDERS]
    for one, other in zip(both_orders(judge, shown[::2]), both_orders(judge, shown[1::2]), strict=True):
        assert one.preference == MIRRORED[other.preference]
        assert one.probability == pytest.approx(1 - other.probability)


def test_one_sample_is_the_plain_judge_and_asks_the_same():
    shown = [pair(n).compare(ORDERS[n % 2]) for n in range(20)]
    plain, once = ledger(noisy(0.6)), ledger(noisy(0.6))
    known = {"ada": UserProfile(user_id="ada")}
    assert LLMJudge(plain, known).compare(shown) == LLMJudge(once, ada(1)).compare(shown)
    assert plain.usage == once.usage


def test_further_samples_are_further_questions_and_the_first_is_the_plain_one():
    asked = ledger(noisy(0.6))
    LLMJudge(asked, {"ada": UserProfile(user_id="ada")}).compare([comparison()])
    LLMJudge(asked, ada(3)).compare([comparison()])
    assert asked.usage.distinct_calls == 3
    LLMJudge(asked, ada(5)).compare([comparison()])
    LLMJudge(asked, ada(5), sample_index=1).compare([comparison()])
    assert asked.usage.distinct_calls == 10
    assert [it.config.seed for it in asked.model.lm.engine.requests] == [None, *range(1, 10)]


def test_a_sample_that_fails_is_left_out_and_no_sample_is_a_failure():
    replies = ["Preference: First\nConfidence: 90", RuntimeError("down"), "Preference: First\nConfidence: 60"]
    (found,) = LLMJudge(ledger(replies), ada(3)).compare([comparison()])
    assert found.probability == pytest.approx(0.75)
    (lost,) = LLMJudge(ledger([RuntimeError("down")] * 3), ada(3)).compare([comparison()])
    assert isinstance(lost, Failure)
    assert lost.kind == "transport"


@pytest.mark.parametrize("skill", [0.3, 0.6, 0.75])
@pytest.mark.parametrize("samples", [3, 5])
def test_the_mean_of_noisy_samples_is_right_as_often_as_the_binomial_says(skill, samples):
    pairs = [pair(n) for n in range(200)]
    right = evaluate(LLMJudge(ledger(noisy(skill)), ada(samples)), pairs).micro
    expected = binom.sf(samples // 2, samples, skill)
    assert right == pytest.approx(expected, abs=3 * (expected * (1 - expected) / 400) ** 0.5)


# --- who pays for it


def test_a_model_whose_samples_do_not_differ_is_asked_once():
    shown = [comparison(), comparison("Other.")]
    with Session(open_model("builtin", ModelSettings(temperature=0.7))) as builtin:
        reader = builtin.ledger()
        LLMJudge(reader, ada(5)).compare(shown)
    cold = session(noisy(0.6), temperature=0.0).ledger()
    LLMJudge(cold, ada(5)).compare(shown)
    assert reader.usage.calls == cold.usage.calls == 2
    rewards = JudgeRewards(cold.session, ada(5))
    rewards.score(ROWS)
    assert rewards.usage.calls == 1


@pytest.mark.parametrize("model", ["builtin", "cold"])
def test_an_induction_with_such_a_model_tries_no_samples(model):
    made = open_model() if model == "builtin" else scripted_model(noisy(0.7), ModelSettings(temperature=0.0))
    with Session(made) as asked:
        profile = SynthesizeMe(asked, effort="high").fit(history(24, 8))
    assert profile.averaging is None
    assert not [it for it in profile.provenance.candidates if it.name.startswith("mean of")]
    if model == "cold":
        assert {it.config.seed for it in made.lm.engine.requests} == {None}


@pytest.mark.parametrize("effort", ["low", "medium"])
def test_less_effort_reads_once(effort):
    profile = SynthesizeMe(session(noisy(0.7)), effort=effort).fit(history(24, 8))
    assert profile.averaging is None
    assert not [it for it in profile.provenance.candidates if it.name.startswith("mean of")]


# --- when it is taken


class Told:
    """Is right about the pairs that it is told of."""

    order_sensitive, name = True, "told"

    def __init__(self, right):
        self.right, self.asked = right, []

    def compare(self, comparisons):
        self.asked += comparisons
        return [self._verdict(it) for it in comparisons]

    def _verdict(self, it):
        side = it.first.startswith("Six feet") == (int(it.pair_id.partition("-")[2]) in self.right)
        return Verdict(preference="first" if side else "second", probability=float(side))


def chosen(right, calls=1000):
    """What is chosen where one sample, three and five are right about these pairs of eight."""
    items = [(pair(n), order) for n in range(8) for order in ORDERS]
    judges = {number: Told(set(some)) for number, some in zip((1, *SAMPLES), right, strict=True)}
    single = CandidateSet("one", (), judges[1])
    single.judge_items(items)
    spent = lambda: sum(  # noqa: E731
        len(judges[number].asked) * more for number, more in zip(SAMPLES, (2, 2), strict=True)
    )
    found, best, tried = choose_averaging(
        single, lambda how: judges[how.samples], items, calls_left=lambda: calls - spent()
    )
    assert spent() <= calls
    assert (best is single) == (found is None)
    return found, tried


@pytest.mark.parametrize(
    ("right", "samples"),
    [
        (([0, 1], [0, 1, 2], [0, 1, 2, 3]), 5),
        (([0, 1], [0, 1, 2], [3, 4, 5]), 3),  # as good with fewer calls
        (([0, 1], [2, 3], [4, 5]), None),
        (([0, 1, 2], [3], [4, 5]), None),
        (([0, 1], [2], [4, 5, 6]), 5),
    ],
)
def test_the_cheapest_of_the_best_is_taken(right, samples):
    found, tried = chosen(right)
    assert (found and found.samples) == samples
    assert [it.selected for it in tried] == [number == samples for number in SAMPLES]
    if found:
        assert found.pairs == 8
        best = dict(zip(SAMPLES, right[1:], strict=True))[samples]
        assert found.gain == pytest.approx((len(best) - len(right[0])) / 8)


@pytest.mark.parametrize("calls", [0, 3, 4, 31, 32, 33, 63, 64])
def test_it_is_tried_on_as_many_pairs_as_the_calls_pay_for(calls):
    found, tried = chosen(([0], [0, 1], [0, 1, 2]), calls)
    three = min(16, calls // 3 // 2 * 2)
    five = min(three, (calls - 2 * three) // 2 // 2 * 2)
    assert [it.judged for it in tried] == [number for number in (three, five) if number]
    assert (found is None) == (three < 4)  # the first pair on which more samples are right is the second


# --- the whole induction


def induced(skill=0.75, count=32, n_validation=12, **settings):
    asked = session(noisy(skill), **settings)
    return SynthesizeMe(asked, effort="high").fit(history(count, n_validation)), asked


def test_a_noisy_model_is_averaged_within_the_limit_and_the_profile_says_what_it_takes():
    profile, asked = induced()
    made = profile.provenance
    assert profile.averaging.samples in SAMPLES
    assert profile.averaging.gain > 0
    assert profile.averaging.pairs == 12
    tried = [it for it in made.candidates if it.name.startswith("mean of")]
    assert [it.judged for it in tried] == [24, 24]
    assert sum(it.selected for it in tried) == 1
    assert len(asked.model.lm.engine.requests) == made.usage.distinct_calls <= call_limit(32, "high")
    assert (
        f"averaged over {profile.averaging.samples} samples: {2 * profile.averaging.samples} calls a pair"
        in (profile.averaging.text)
    )
    assert "on 12 validation pairs" in profile.averaging.text


def test_where_the_samples_agree_it_is_judged_once_and_a_note_says_so():
    profile, _ = induced(skill=1.0)
    assert profile.averaging is None
    assert (
        "judged once: on 12 validation pairs no mean of several judgements was the better bet"
        in profile.provenance.notes
    )


def test_a_saved_profile_judges_as_before_and_its_parts_are_judged_once(tmp_path):
    profile, _ = induced()
    profile.save(tmp_path)
    loaded = load_profile(tmp_path)
    assert loaded == profile
    asked = [pair(n, split="test") for n in range(100, 110)]
    before, after = session(noisy(0.75)).ledger(), session(noisy(0.75)).ledger()
    for it in asked:
        shown = it.compare("chosen_first")
        assert judge_both_orders(before, profile, shown) == judge_both_orders(after, loaded, shown)
    assert after.usage.distinct_calls == 2 * profile.averaging.samples * len(asked)
    for part in (loaded.without(persona=True), loaded.without(demonstrations=True)):
        assert part.averaging is None
    assert loaded.without() == loaded


@pytest.mark.parametrize("budget", [None, 30, 60, 120, 200])
@pytest.mark.parametrize(("count", "n_validation"), [(4, 1), (10, 3), (20, 5), (24, 12)])
def test_what_is_spent_lies_within_what_was_promised(count, n_validation, budget):
    pairs, settings = history(count, n_validation), InductionSettings(effort="high")
    promised = estimate_user(pairs, settings, budget_calls=budget)
    found = induce_user(session(noisy(0.7)), pairs, settings, budget_calls=budget)
    for part, spent in ((promised.induction, found.usage), (promised.evaluation, found.evaluation_usage)):
        assert part.least_calls <= spent.distinct_calls <= part.calls


# --- the judge as a reward


def test_a_rating_is_the_mean_of_its_samples():
    plain = JudgeRewards(session(noisy(0.5)), {"ada": UserProfile(user_id="ada")})
    (fifty,) = JudgeRewards(session(lambda request: "Rating: 50"), ada(1)).score(ROWS)
    averaged = JudgeRewards(session(noisy(0.5)), ada(3))  # 20, 50, 80
    (first,), (mean,) = plain.score(ROWS), averaged.score(ROWS)
    assert mean.value == pytest.approx(fifty.value)
    assert first.value < mean.value
    assert averaged.usage.distinct_calls == 3
    lost = replace_second(noisy(0.5))
    (kept,) = JudgeRewards(session(lost), ada(3)).score(ROWS)
    assert kept.value == pytest.approx(fifty.value)


def replace_second(script):
    """The same script, whose second sample cannot be read."""
    return lambda request: "Hm." if request.config.seed == 1 else script(request)


# --- neighbours


def neighbour(user, *sentences):
    told = tuple(PersonaSentence(text=text) for text in sentences)
    return UserProfile(user_id=user, persona=Persona(sentences=told, made_by="m", prompt_id="p"))


OTHERS = {
    "short": neighbour("short", "The user prefers short answers."),
    "long": neighbour("long", "The user prefers long, thorough answers."),
    "plain": neighbour("plain", "The user prefers short answers.", "The user prefers everyday terms."),
    "silent": UserProfile(user_id="silent"),
}


def test_the_nearest_are_those_whose_persona_tells_the_choices():
    items = [(pair(n), ORDERS[n % 2]) for n in range(12)]
    near = nearest(OTHERS, "ada", items, seed=0)
    assert set(near) == {OTHERS["short"].persona.text, OTHERS["plain"].persona.text}
    swapped = [(it.swapped_labels(), order) for it, order in items]
    assert nearest(OTHERS, "ada", swapped, seed=0)[0] == OTHERS["long"].persona.text
    assert nearest({"ada": OTHERS["short"], "silent": OTHERS["silent"]}, "ada", items, seed=0) == ()


def seen(request):
    """A model that knows what to prefer where a persona tells it, and else says the first."""
    text = request.messages[-1].text
    if "<statement>" in text or "<pair " in text:
        return "Nothing sets this user apart."
    if "short answers" not in (request.system or ""):
        return "Preference: First\nConfidence: 60"
    at = text.rindex("<second_response>")
    short = "Six feet" in text[:at].rpartition("<first_response>")[2]
    return f"Preference: {'First' if short else 'Second'}\nConfidence: 90"


@pytest.mark.parametrize("temperature", [0.0, 0.7])
def test_neighbours_are_averaged_where_they_help_and_the_profile_holds_them(tmp_path, temperature):
    pairs, asked = history(24, 8), session(seen, temperature=temperature)
    profile = SynthesizeMe(asked, effort="high").fit(pairs, others=OTHERS)
    assert profile.averaging.samples == 1
    assert len(profile.averaging.neighbours) == 2
    assert profile.averaging.gain == pytest.approx(0.5)
    assert "averaged over 1 sample and 2 neighbours: 6 calls a pair" in profile.averaging.text
    assert profile.provenance.usage.distinct_calls <= call_limit(24, "high")
    profile.save(tmp_path)
    loaded, judged = load_profile(tmp_path), asked.ledger()
    (found,) = both_orders(LLMJudge(judged, {"ada": loaded}), [comparison()])
    assert judged.usage.distinct_calls == 6
    assert found.probability == pytest.approx(((0.6 + 2 * 0.9) / 3 + (0.4 + 2 * 0.9) / 3) / 2)
    rewards = JudgeRewards(
        session(lambda request: f"Rating: {60 if 'short' in request.system else 15}"), {"ada": loaded}
    )
    (half,) = JudgeRewards(session(lambda request: "Rating: 45"), ada(1)).score(ROWS)
    assert rewards.score(ROWS)[0].value == pytest.approx(half.value)


def test_others_are_not_looked_at_with_less_effort():
    for effort in ("low", "medium"):
        assert SynthesizeMe(session(seen), effort=effort).fit(history(24, 8), others=OTHERS).averaging is None


@pytest.mark.parametrize("budget", [None, 30, 60, 120])
@pytest.mark.parametrize(("count", "n_validation"), [(4, 1), (24, 12)])
def test_with_neighbours_it_stays_within_what_was_promised_too(count, n_validation, budget):
    pairs, settings = history(count, n_validation), InductionSettings(effort="high", neighbours=2)
    promised = estimate_user(pairs, settings, budget_calls=budget)
    for model in (session(seen), session(noisy(0.7)), Session(open_model("builtin"))):
        found = induce_user(model, pairs, settings, budget_calls=budget, beside=Beside(others=OTHERS))
        for part, spent in ((promised.induction, found.usage), (promised.evaluation, found.evaluation_usage)):
            assert part.least_calls <= spent.distinct_calls <= part.calls
