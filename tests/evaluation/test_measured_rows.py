"""The row of a measurement, each figure by hand."""

from __future__ import annotations

import pytest

from synthesizeme.evaluation.controls import OracleScorer, RecordedVerdicts
from synthesizeme.evaluation.harness import evaluate
from synthesizeme.evaluation.measurement import Measurement
from synthesizeme.evaluation.report import Report, measured_row


@pytest.fixture
def everyone(make_pair):
    """Four people on one item, three on another, and one alone: "good" against "bad"."""

    def judged(item, user, chosen="good"):
        rejected = "bad" if chosen == "good" else "good"
        return make_pair(f"{item}/{user}", user, f"{chosen} {item}", f"{rejected} {item}")

    return [
        judged(1, "ann"), judged(1, "bob"), judged(1, "cid"), judged(1, "dan", "bad"),
        judged(2, "ann"), judged(2, "bob", "bad"), judged(2, "cid"),
        judged(3, "dan"),
    ]  # fmt: skip


def measured(outcome_like, pairs, **fields):
    outcome = evaluate(outcome_like, pairs)
    return Measurement(name="it", kind="judge", own=outcome, **fields)


def test_agreement_with_the_majority_of_the_others(everyone):
    row = measured_row(measured(OracleScorer(everyone), everyone), pairs=everyone, everyone=everyone)
    # Item 1: the others of ann, bob and cid say good 2:1, those of dan 3:0. Item 2: ann and cid see 1:1, which
    # is no majority; bob sees 2:0. Item 3: nobody else. The oracle follows the user: dan and bob disagree.
    assert row.agrees_with_majority == pytest.approx(3 / 5)


def test_ties_of_the_scorer_are_half_an_agreement_whatever_they_are_worth_as_answers(everyone, make_pair):
    shown = [
        pair.model_copy(
            update={"metadata": {"llm_judge": {"j": "tie" if pair.user_id == "ann" else "chosen"}}}
        )
        for pair in everyone
    ]
    own = evaluate(RecordedVerdicts(shown, "j"), shown, both_orders=True, ties="wrong")
    row = measured_row(Measurement(name="j", kind="reference", own=own), pairs=shown, everyone=shown)
    assert row.agrees_with_majority == pytest.approx((0.5 + 1 + 1 + 0 + 0) / 5)


def test_nobody_else_judged(everyone):
    alone = [everyone[-1]]
    row = measured_row(measured(OracleScorer(alone), alone), pairs=alone, everyone=alone)
    assert row.agrees_with_majority is None


def test_the_gain_is_the_paired_difference_to_the_scorer_without_the_user(outcome_of):
    own = outcome_of({"ann": [1, 1, 1, 0], "bob": [1, None]})
    without = outcome_of({"ann": [1, 0, 1, 0], "bob": [0, 1]})
    wrong = outcome_of({"ann": [0, 0, 1, 0], "bob": [0, 1]})
    found = Measurement(
        name="m", kind="reward model", own=own, controls={"no_user": without, "wrong_user": wrong},
        fit_seconds=1.5, score_seconds=0.5, parameters=7, cold_start={0: without, 4: own},
    )  # fmt: skip
    row = measured_row(found, pairs=[], everyone=[])
    assert row.gain.value == pytest.approx((0 + 1 + 0 + 0 + 1) / 5)
    assert row.gain.n_pairs == 5
    assert row.controls == {"no_user": 3 / 6, "wrong_user": 2 / 6}
    assert (row.fit_seconds, row.score_seconds, row.parameters) == (1.5, 0.5, 7)
    assert [(point.order, point.length, point.micro, point.n_users) for point in row.curve] == [
        ("file order", 0, 3 / 6, 2), ("file order", 4, 4 / 5, 2),
    ]  # fmt: skip


def test_means_over_resplits(outcome_of):
    first = {"own": outcome_of({"ann": [1, 1]}), "no_user": outcome_of({"ann": [1, 0]})}
    second = {"own": outcome_of({"ann": [1, 0, 1, 1]}), "no_user": outcome_of({"ann": [0, 0, 0, 1]})}
    second["swapped_labels"] = outcome_of({"ann": [0, 0, 0, 1]})
    own = outcome_of({"ann": [1]})
    row = measured_row(
        Measurement(name="m", kind="judge", own=own, resplits=(first, second)), pairs=[], everyone=[]
    )
    assert row.resplits.n == 2
    assert row.resplits.micro == pytest.approx((1 + 0.75) / 2)
    assert row.resplits.no_user == pytest.approx((0.5 + 0.25) / 2)
    assert row.resplits.gain == pytest.approx((0.5 + 0.5) / 2)
    assert row.resplits.swapped_labels == 0.25
    assert row.resplits.wrong_user is None
    assert row.gain is None
    report = Report(benchmark="b", protocol="p", rows=(row,), failed={"x": "no reason"}, notes=("as is",))
    assert Report.from_json(report.to_json()) == report
    text = report.to_markdown()
    assert "over 2 re-splits" in text
    assert "| m      | 87.5 [42.9, 100.0] | +50.0 [-18.9, +100.0] |" in text
    assert "- **x** failed and has no row: no reason" in text
    assert "- as is\n" in text


def test_the_curve_is_a_table_of_its_own(outcome_of):
    own = outcome_of({"ann": [1, 0]})
    rows = [
        measured_row(Measurement(name=name, kind="judge", own=own, cold_start=curve), pairs=[], everyone=[])
        for name, curve in (("m", {0: own, 16: outcome_of({"ann": [1, 1]})}), ("without", {}))
    ]
    text = Report(benchmark="b", protocol="p", rows=tuple(rows)).to_markdown()
    curve = text[text.index("| new users") :]
    assert [cell.strip() for cell in curve.splitlines()[0].split("|")[1:-1]] == [
        "new users",
        "pairs",
        "0",
        "16",
    ]
    assert [cell.strip() for cell in curve.splitlines()[2].split("|")[1:-1]] == [
        "m", "file order", "50.0 [0.0, 100.0]", "100.0 [15.8, 100.0]",
    ]  # fmt: skip
    assert "without" not in curve.partition("\n\n")[0]


def test_how_far_a_scorer_is_behind_the_first_is_a_paired_difference(outcome_of):
    own, other = (
        outcome_of({"ann": [1, 1, 1, 0], "bob": [1, 1]}),
        outcome_of({"ann": [1, 0, 1, 0], "bob": [0, None]}),
    )
    first, second = (Measurement(name=n, kind="judge", own=it) for n, it in (("a", own), ("b", other)))
    row = measured_row(second, pairs=[], everyone=[], first=first)
    assert row.behind.value == pytest.approx((0 + 1 + 0 + 0 + 1) / 5)
    assert row.behind.low <= row.behind.value <= row.behind.high
    alone = measured_row(first, pairs=[], everyone=[])
    assert alone.behind is None
    texts = [
        Report(benchmark="b", protocol="p", rows=rows).to_markdown() for rows in ((alone, row), (alone,))
    ]
    assert ["first minus this" in text for text in texts] == [True, False]


def test_likelihood_and_first_place_over_resplits(outcome_of):
    halves = [outcome_of({"ann": [0.9, 0.6], "bob": [0.4]}), outcome_of({"ann": [0.8], "bob": [0.7]})]
    own = outcome_of({"ann": [0.9]})
    first = Measurement(
        name="a", kind="judge", own=own, resplits=tuple({"own": it} for it in reversed(halves))
    )
    second = Measurement(name="b", kind="judge", own=own, resplits=tuple({"own": it} for it in halves))
    found = measured_row(second, pairs=[], everyone=[], first=first).resplits
    # -log of .9, .6, .4 and of .8, .7; each re-split counts the same
    assert found.nll == pytest.approx(((0.1054 + 0.5108 + 0.9163) / 3 + (0.2231 + 0.3567) / 2) / 2, abs=1e-4)
    assert found.nll_low <= found.nll <= found.nll_high
    assert found.nll_no_user is None
    assert found.low <= found.micro <= found.high
    assert found.behind.value == pytest.approx(((1 - 1) / 2 + (1 - 1) / 2) / 2)
    assert found.brier == pytest.approx(((0.01 + 0.16 + 0.36) / 3 + (0.04 + 0.09) / 2) / 2)


def test_the_curve_holds_both_orders_and_both_begin_with_no_pair(outcome_of):
    own, none = outcome_of({"ann": [1, 1], "bob": [1]}), outcome_of({"ann": [1, 0], "bob": [0]})
    found = Measurement(
        name="m", kind="reward model", own=own, cold_start={0: none, 2: own}, random_start={2: own}
    )
    row = measured_row(found, pairs=[], everyone=[])
    assert [(it.order, it.length, it.micro) for it in row.curve] == [
        ("random", 0, 1 / 3), ("random", 2, 1.0), ("file order", 0, 1 / 3), ("file order", 2, 1.0),
    ]  # fmt: skip
    assert {it.n_users for it in row.curve} == {2}
    text = Report(benchmark="b", protocol="p", rows=(row,)).to_markdown()
    assert "| m         |     random | 33.3 [" in text
    assert "| m         | file order | 33.3 [" in text
