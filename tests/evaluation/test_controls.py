from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthesizeme.errors import DataError
from synthesizeme.evaluation.controls import (
    LongerResponse,
    MajorityOfOthers,
    OracleScorer,
    RandomScorer,
    RecordedVerdicts,
    another_users,
    swapped,
)
from synthesizeme.evaluation.harness import evaluate
from synthesizeme.scoring import PairwiseScorer
from synthesizeme.types import Failure, PreferencePair

LLMFAO = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "llmfao.jsonl.gz"


@given(st.sets(st.text(), min_size=2, max_size=30), st.integers(0, 5))
def test_another_users_is_a_derangement(users, seed):
    given_out = another_users({user: f"of {user}" for user in users}, seed)
    assert set(given_out) == users
    assert sorted(given_out.values()) == sorted(f"of {user}" for user in users)
    assert all(profile != f"of {user}" for user, profile in given_out.items())


def test_another_users_depends_on_the_seed_not_on_the_order_given():
    profiles = {f"u{i}": i for i in range(20)}
    backwards = dict(reversed(profiles.items()))
    assert another_users(profiles, 1) == another_users(backwards, 1)
    assert another_users(profiles, 1) != another_users(profiles, 2)


@pytest.mark.parametrize("profiles", [{}, {"ann": 1}])
def test_another_user_needs_two(profiles):
    with pytest.raises(DataError, match="at least 2"):
        another_users(profiles)


def test_swapped_reverses_the_labels_and_nothing_else(make_pair):
    pair = make_pair("a", "ann", split="train", metadata={"k": 1})
    (reversed_pair,) = swapped([pair])
    assert (reversed_pair.chosen_text, reversed_pair.rejected_text) == ("bad", "good")
    assert swapped([reversed_pair]) == [pair]


def test_reference_scorers_are_scorers_and_do_not_look_at_the_order(make_pair):
    pairs = [
        make_pair(f"p{i}", f"u{i % 3}", "x" * (i + 1), "y" * 5, metadata={"llm_judge": {"gpt4": word}})
        for i, word in enumerate(["chosen", "rejected", "tie"] * 4)
    ]
    scorers = [
        LongerResponse(),
        RandomScorer(),
        OracleScorer(pairs),
        MajorityOfOthers(pairs),
        RecordedVerdicts(pairs, "gpt4"),
    ]
    for scorer in scorers:
        assert isinstance(scorer, PairwiseScorer)
        both = evaluate(scorer, pairs, both_orders=True)
        assert both.order_consistency == 1.0, scorer.name
        assert both.micro == evaluate(scorer, pairs).micro


def test_longer_response(make_pair):
    pairs = [make_pair("a", chosen="longer", rejected="short"), make_pair("b", chosen="ab", rejected="abc")]
    outcome = evaluate(LongerResponse(), [*pairs, make_pair("c", chosen="abc", rejected="xyz")])
    assert outcome.scores == {"a": 1.0, "b": 0.0, "c": 0.5}
    assert outcome.ties == 1


def test_random_is_at_chance_and_repeatable(make_pair):
    pairs = [make_pair(f"p{i}") for i in range(2000)]
    outcome = evaluate(RandomScorer(3), pairs)
    assert outcome.micro == pytest.approx(0.5, abs=0.035)
    assert evaluate(RandomScorer(3), pairs[::-1]).scores == outcome.scores
    assert evaluate(RandomScorer(4), pairs).scores != outcome.scores


def test_oracle_is_right_on_its_pairs_and_refuses_others(make_pair):
    pairs = [make_pair("a"), make_pair("b", chosen="bad", rejected="good")]
    assert evaluate(OracleScorer(pairs), pairs).micro == 1.0
    assert evaluate(OracleScorer(swapped(pairs)), pairs).micro == 0.0
    with pytest.raises(DataError, match="'z'"):
        evaluate(OracleScorer(pairs), [make_pair("z")])


def test_majority_never_counts_the_users_own_vote(make_pair):
    good, bad = {"chosen": "good", "rejected": "bad"}, {"chosen": "bad ", "rejected": "good"}
    pairs = [
        make_pair("1", "ann", **good),
        make_pair("2", "ann", **good),  # Ann said it twice: for Bob that is one vote
        make_pair("3", "bob", **bad),
        make_pair("4", "cid", **good),
        make_pair("5", "dan", chosen="good", rejected="another answer"),
    ]
    scores = evaluate(MajorityOfOthers(pairs), pairs).scores
    # Ann: Bob against Cid, a tie. Bob: Ann and Cid are against him. Cid: Ann against Bob. Dan: nobody else.
    assert scores == {"1": 0.5, "2": 0.5, "3": 0.0, "4": 0.5, "5": 0.5}
    verdict = MajorityOfOthers(pairs).compare([pairs[2].compare("chosen_first")])[0]
    assert (verdict.preference, verdict.probability) == ("second", 1 / 4)


def test_recorded_verdicts(make_pair):
    words = {"a": "chosen", "b": "rejected", "c": "tie"}
    pairs = [make_pair(i, metadata={"llm_judge": {"gpt4": word}}) for i, word in words.items()]
    pairs.append(make_pair("d", metadata={"llm_judge": {"gpt3": "tie"}}))
    outcome = evaluate(RecordedVerdicts(pairs, "gpt4"), pairs)
    assert outcome.scores == {"a": 1.0, "b": 0.0, "c": 0.5}
    assert outcome.failures == {"refusal": 1}
    (missing,) = RecordedVerdicts(pairs, "gpt4").compare([pairs[3].compare("chosen_first")])
    assert isinstance(missing, Failure)
    assert "gpt4" in missing.detail


def test_records_that_are_absent_or_no_verdict_are_refused(make_pair):
    with pytest.raises(DataError, match="none of 1 pairs"):
        RecordedVerdicts([make_pair("a")], "gpt4")
    with pytest.raises(DataError, match="expected 'chosen', 'rejected' or 'tie'"):
        RecordedVerdicts([make_pair("a", metadata={"llm_judge": {"gpt4": "first"}})], "gpt4")


def test_known_figures_on_human_judgements():
    if not LLMFAO.exists():
        pytest.skip(f"{LLMFAO.name} is not beside this checkout")
    with gzip.open(LLMFAO, "rt", encoding="utf-8") as lines:
        pairs = [PreferencePair.model_validate_json(line) for line in lines]
    test = [pair for pair in pairs if pair.split == "test"]
    assert evaluate(RecordedVerdicts(pairs, "gpt4"), test).micro == pytest.approx(0.651, abs=5e-4)
    assert evaluate(RecordedVerdicts(pairs, "gpt3"), test).micro == pytest.approx(0.598, abs=5e-4)
    assert evaluate(RecordedVerdicts(pairs, "gpt4"), pairs).micro == pytest.approx(0.658, abs=5e-4)
    assert evaluate(MajorityOfOthers(pairs), test).micro > 0.66
    assert evaluate(LongerResponse(), test).micro < 0.4
