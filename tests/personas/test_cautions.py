"""A profile says when there is reason not to rely on it, and nothing otherwise."""

from __future__ import annotations

import pytest
from invented import pair

from synthesizeme.backends import Session, open_model
from synthesizeme.backends.scripted import scripted_model
from synthesizeme.evaluation.harness import evaluate
from synthesizeme.induction.one_user import InductionSettings, induce_user
from synthesizeme.personas.cautions import Verdicts, in_both_orders, measured, with_cautions
from synthesizeme.personas.documents import persona_markdown
from synthesizeme.profile import Caution, Persona, PersonaSentence, UserProfile
from synthesizeme.scoring import PairwiseScorer

SIX = "\n".join(
    f"- The user {verb} concise{more} answers. [{n}]"
    for n, (verb, more) in enumerate(
        [
            ("prefers", ""),
            ("likes", ""),
            ("values", ""),
            ("prefers", ", short"),
            ("really likes", ""),
            ("wants", ""),
        ],
        1,
    )
)


def kinds(profile):
    return [caution.kind for caution in profile.cautions]


def persona(*repeats):
    sentences = tuple(PersonaSentence(text=f"Likes {n}.", repeats=times) for n, times in enumerate(repeats))
    return Persona(sentences=sentences, made_by="m", prompt_id="t@1")


BARE = UserProfile(user_id="ada", persona=persona(0, 0))


@pytest.mark.parametrize(
    ("ordered", "consistent", "judged", "correct", "said"),
    [
        (10, 10, 10, 10, []),
        (10, 6, 10, 9, []),
        (10, 5, 10, 9, ["inconsistent"]),
        (4, 0, 0, 0, ["inconsistent"]),
        (3, 0, 5, 0, []),
        (10, 10, 10, 5, ["chance"]),
        (10, 10, 10, 0, ["chance"]),
        (6, 6, 6, 6, []),
        (8, 8, 8, 7, []),
        (8, 8, 8, 6, ["chance"]),
        (200, 200, 200, 115, []),
        (10, 0, 10, 5, ["inconsistent", "chance"]),
    ],
)
def test_verdicts_that_turn_with_the_order_or_are_at_chance_are_told(
    ordered, consistent, judged, correct, said
):
    found = with_cautions(BARE, Verdicts("test", ordered, consistent, judged, correct))
    assert kinds(found) == said
    assert UserProfile.from_json(found.to_json()) == found
    for caution in found.cautions:
        assert str(caution.figures["pairs"]) in caution.text
        assert ". Cure: " in caution.text


def test_statements_that_were_merged_are_told():
    (caution,) = with_cautions(BARE.model_copy(update={"persona": persona(5, 0)}), Verdicts("test")).cautions
    assert caution.figures == {"written": 7, "left": 2}
    assert caution.text.startswith("the statements repeat each other: 7 were written, and 2 are left")


def test_what_later_verdicts_are_too_few_to_say_stays():
    before = with_cautions(BARE, Verdicts("train", 10, 0, 10, 5))
    assert kinds(with_cautions(before, Verdicts("test", 2, 2, 2, 2))) == ["inconsistent", "chance"]
    assert kinds(with_cautions(before, Verdicts("test", 10, 10, 2, 2))) == ["chance"]
    assert kinds(with_cautions(before, Verdicts("test", 10, 10, 10, 10))) == []


def test_only_pairs_with_both_orders_are_compared():
    scores = {("a", "chosen_first"): 1.0, ("a", "rejected_first"): 1.0, ("b", "chosen_first"): 0.0,
              ("c", "chosen_first"): 1.0, ("c", "rejected_first"): 0.0, ("d", "chosen_first"): 0.5,
              ("d", "rejected_first"): 0.5}  # fmt: skip
    assert in_both_orders(scores) == (3, 2)


def test_an_evaluation_is_counted_by_pairs():
    class First(PairwiseScorer):
        name, order_sensitive = "first", True

        def compare(self, comparisons):
            from synthesizeme.types import Verdict

            return [Verdict(preference="first", probability=1.0) for _ in comparisons]

    found = measured(evaluate(First(), [pair(number) for number in range(6)]))
    assert found == Verdicts("test", 6, 0, 6, 3.0)


def always_first(request):
    if "<pair " in request.messages[-1].text:
        return SIX
    return "Reasoning: so.\nPreference: First"


@pytest.mark.parametrize("evaluated", [True, False])
def test_a_judge_that_looks_at_the_place_alone_and_repeats_itself(evaluated):
    pairs = [pair(number) for number in range(20)]
    result = induce_user(Session(scripted_model(always_first)), pairs, InductionSettings(evaluate=evaluated))
    profile = result.profile
    assert kinds(profile) == ["inconsistent", "chance", "repetition"]
    (sentence,) = profile.persona.sentences
    assert sentence.text == "The user prefers concise, short answers."
    assert sentence.repeats == 5
    assert len(sentence.pair_ids) == 6
    shown = persona_markdown(profile)
    assert shown.count("- **Caution:** ") == 3
    assert "0 of 4 pairs" in shown
    assert result.evaluation_usage.distinct_calls == 0 or result.outcomes["both"].order_consistency == 0


def test_a_judge_that_reads_well_gets_no_caution():
    pairs = [
        pair(number, rejected=f"Wow! Fathom {number} is really great! So deep! Amazing!")
        for number in range(40)
    ]
    result = induce_user(Session(open_model("builtin")), pairs, InductionSettings())
    assert result.profile.cautions == ()
    assert "Caution" not in persona_markdown(result.profile)


def test_kinds_are_those_of_the_document():
    from synthesizeme.personas.cautions import KINDS

    for kind in KINDS:
        assert Caution(kind=kind, text="x", figures={}).kind == kind
