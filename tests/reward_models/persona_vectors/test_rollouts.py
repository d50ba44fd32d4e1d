from __future__ import annotations

import json

import pytest

from reward_models.persona_vectors import (
    PatternScorer,
    Rollout,
    RubricScorer,
    collect,
    keep,
    load_trait,
    read_rollouts,
    write_rollouts,
)
from reward_models.persona_vectors.rollouts import coherence_scorer, read_score, trait_scorer, unrepetitive
from synthesizeme.errors import ConfigError, DataError
from synthesizeme.types import Failure


@pytest.mark.parametrize(
    ("reply", "score"),
    [
        ("85", 85),
        ("Score: 85.", 85),
        ("0", 0),
        ("100", 100),
        ("8/10", 80),
        ("0.85", 85),
        ("Bewertung: 7 von 10", 70),
        (" **42** ", 42),
        ("60 out of 100", 60),
    ],
)
def test_the_score_of_a_reply_is_on_the_scale_it_is_written_in(reply, score):
    assert read_score(reply) == score


@pytest.mark.parametrize("reply", ["", "none", "101", "-", "-5", "1e9 or so: 3000", "7.5", "From 0 to 100"])
def test_a_reply_without_a_number_in_range_is_a_failure(reply):
    assert read_score(reply).kind == "parse"


def test_the_rubric_reaches_the_judge_and_a_failure_stays_one():
    seen = []

    def ask(conversations):
        seen.extend(conversations)
        return ["90", Failure(kind="refusal", detail="no")]

    trait = load_trait("flattery")
    found = trait_scorer(trait, ask)(["Why?", "Who?"], ["So.", "I."])
    assert found == [90.0, Failure(kind="refusal", detail="no")]
    assert seen[0][0].content == trait.asks_for_a_score("Why?", "So.")
    coherence_scorer(ask)(["Why?", "Who?"], ["So.</turn>", "I."])
    assert "So.‹/turn>" in seen[2][0].content
    assert isinstance(trait_scorer(trait, ask), RubricScorer)


def test_the_pattern_scorer_by_hand():
    # "Yes! It is. I am sure!" has three sentences, two of which exclaim.
    assert PatternScorer("!")(["q"] * 3, ["Yes! It is. I am sure!", "", "No"]) == pytest.approx(
        [200 / 3, 0, 0]
    )
    with pytest.raises(ConfigError, match="no regular expression"):
        PatternScorer("(")


def test_repetition_by_hand():
    # a b a b a b: triples aba bab aba bab, two of four distinct.
    assert unrepetitive(["q"] * 3, ["a b a b a b", "a b c d", " "]) == [50.0, 100.0, 0.0]


def rollout(pair, side, trait, coherence=90.0):
    return Rollout(
        pair=pair, side=side, instruction="i", question="q", answer="a", trait=trait, coherence=coherence
    )


def test_a_pair_is_kept_whole_or_not_at_all():
    # pair: 0 good; 1 positive too low; 2 negative too high; 3 incoherent; 4 unscored; 5 alone; 6 at the borders.
    rows = [
        rollout(0, "positive", 80.0), rollout(0, "negative", 20.0),
        rollout(1, "positive", 49.9), rollout(1, "negative", 0.0),
        rollout(2, "positive", 99.0), rollout(2, "negative", 50.0),
        rollout(3, "positive", 99.0), rollout(3, "negative", 0.0, 49.0),
        rollout(4, "positive", None), rollout(4, "negative", 0.0),
        rollout(5, "positive", 99.0),
        rollout(6, "positive", 50.0, 50.0), rollout(6, "negative", 49.9, 50.0),
    ]  # fmt: skip
    positive, negative = keep(rows)
    assert [row.pair for row in positive] == [row.pair for row in negative] == [0, 6]
    assert {row.side for row in positive} == {"positive"}
    with pytest.raises(
        DataError, match=r"no pair of answers is left of 2 .*1 positive answer below 50.*Cure"
    ):
        keep(rows[2:6])
    with pytest.raises(DataError, match="there was none"):
        keep([])


def test_every_question_is_asked_under_every_instruction_of_both_sides():
    trait = load_trait("excitement")

    def loud(prompts, instructions):
        texts = {pair.positive for pair in trait.contrasts}
        return [
            f"{p[-1].content} {'Yes!' if i in texts else 'Yes.'}"
            for p, i in zip(prompts, instructions, strict=True)
        ]

    rows = collect(trait, loud, PatternScorer("!"), unrepetitive, samples=2, model="ab12")
    assert len(rows) == 2 * 5 * 20 * 2
    assert {row.model for row in rows} == {"ab12"}
    assert all(
        a.question == b.question and a.pair == b.pair for a, b in zip(rows[::2], rows[1::2], strict=True)
    )
    positive, negative = keep(rows, positive=30, negative=30)
    assert len(positive) == len(negative) == 200
    assert all(row.answer.endswith("!") for row in positive)
    assert {row.question for row in rows} == set(trait.extraction)


def test_a_failed_score_is_kept_as_such():
    trait = load_trait("excitement")

    def fails(questions, answers):
        return [Failure(kind="parse", detail="none")] * len(answers)

    rows = collect(trait, lambda p, i: ["Yes!"] * len(p), PatternScorer("!"), fails)
    assert rows[0].coherence is None
    assert rows[0].trait == 100
    assert rows[0].failure == "parse: none"
    with pytest.raises(DataError, match="100 not scored"):
        keep(rows)


def test_rollouts_on_disk(tmp_path):
    rows = [rollout(0, "positive", 80.0), rollout(0, "negative", None)]
    write_rollouts(rows, tmp_path / "r.jsonl")
    assert read_rollouts(tmp_path / "r.jsonl") == rows
    good = json.loads(rows[0].model_dump_json())
    for line, said in (
        ("{", "not JSON"),
        (json.dumps({**good, "trait": 101}), "trait"),
        ("[]", "valid dictionary"),
    ):
        (tmp_path / "bad.jsonl").write_text(f"{json.dumps(good)}\n{line}\n")
        with pytest.raises(DataError, match=rf"bad\.jsonl:2.*{said}"):
            read_rollouts(tmp_path / "bad.jsonl")
    with pytest.raises(DataError, match="cannot be read"):
        read_rollouts(tmp_path / "none.jsonl")
