"""What a lint finds: everything that was planted, and nothing in clean pairs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from synthesizeme.evaluation._lint_texts import is_list_repr
from synthesizeme.evaluation.benchmarks import load_benchmark
from synthesizeme.evaluation.lint import Declared, Finding, LintReport, lint
from synthesizeme.types import Message, PreferencePair

DATA = Path(__file__).resolve().parents[2] / ".." / "shared" / "data"


@pytest.fixture
def clean(make_pair: Callable[..., PreferencePair]) -> list[PreferencePair]:
    """100 pairs of ten users, split, of equal form and length on both sides."""
    return [
        make_pair(
            f"p{i}",
            f"user{i % 10}",
            f"Answer {i:02d} of one kind.",
            f"Answer {i:02d} of any sort.",
            prompt=question(f"Question {i}?"),
            split="test" if i >= 80 else "validation" if i >= 60 else "train",
        )
        for i in range(100)
    ]


def question(text: str) -> tuple[Message, ...]:
    return (Message(role="user", content=text),)


def with_fields(pair: PreferencePair, **fields: Any) -> PreferencePair:
    for side in ("chosen", "rejected"):
        if side in fields:
            fields[side] = (Message(role="assistant", content=fields[side]),)
    return pair.model_copy(update=fields)


def put(pairs: Sequence[PreferencePair], changed: PreferencePair) -> list[PreferencePair]:
    """The pairs, `changed` in the place of the one with its id."""
    return [changed if pair.pair_id == changed.pair_id else pair for pair in pairs]


def found(report: LintReport, name: str) -> Finding:
    (finding,) = [finding for finding in report.findings if finding.name == name]
    return finding


def names(report: LintReport) -> set[str]:
    return {finding.name for finding in report.findings}


def test_clean_pairs_have_no_finding(clean):
    report = lint(clean)
    assert report.findings == ()
    assert report.passes(strict=True)
    assert report.splits == {"train": 60, "validation": 20, "test": 20}
    assert (report.pairs, report.users, report.folds) == (100, 10, 1)


def test_no_pairs_cannot_be_linted():
    with pytest.raises(ValueError, match="expected at least one"):
        lint([])


# The same thing on both sides of a split.


def test_a_test_prompt_in_the_history_of_anybody_is_an_error(clean):
    again = with_fields(clean[80], prompt=question("  question   0? "))
    report = lint(put(clean, again))
    finding = found(report, "prompt-in-history")
    assert (finding.level, finding.count, finding.out_of) == ("error", 1, 20)
    assert finding.pair_ids == ("p80",)
    assert names(report) == {"prompt-in-history"}
    assert not report.passes()


@pytest.mark.parametrize("turned", [False, True])
def test_a_test_pair_in_the_history_of_another_user_whichever_side_was_chosen(clean, turned):
    sides = [clean[0].chosen_text, clean[0].rejected_text]
    chosen, rejected = reversed(sides) if turned else sides
    again = with_fields(clean[81], prompt=clean[0].prompt, chosen=chosen, rejected=rejected)
    report = lint(put(clean, again))
    assert again.user_id != clean[0].user_id
    assert names(report) == {"prompt-in-history", "pair-in-history"}
    assert found(report, "pair-in-history").pair_ids == ("p81",)


def test_an_overlap_that_is_declared_is_a_note(clean):
    again = with_fields(clean[81], prompt=clean[0].prompt)
    report = lint(put(clean, again), seen_items_by_design=True)
    finding = found(report, "prompt-in-history")
    assert finding.level == "note"
    assert "declared: seen by design" in finding.problem
    assert report.seen_items_by_design
    assert report.passes(strict=True)


def test_a_validation_prompt_in_train_is_said(clean):
    again = with_fields(clean[60], prompt=clean[0].prompt)
    finding = found(lint(put(clean, again)), "prompt-in-train")
    assert (finding.level, finding.count, finding.out_of, finding.pair_ids) == ("note", 1, 20, ("p60",))


@pytest.mark.parametrize("split", ["test", "validation"])
@pytest.mark.parametrize("by_design", [False, True])
def test_one_person_judging_one_pair_on_two_sides_of_a_split_is_never_by_design(clean, split, by_design):
    again = with_fields(clean[0], pair_id="again", split=split)
    report = lint([*clean, again], seen_items_by_design=by_design)
    finding = found(report, "judged-twice")
    assert (finding.level, finding.count, set(finding.pair_ids)) == ("error", 2, {"p0", "again"})
    assert not report.passes()


def test_the_same_judgement_twice_in_one_split_is_no_leak_but_both_ways_is_noise(clean):
    same = with_fields(clean[0], pair_id="again")
    assert names(lint([*clean, same])) == set()
    turned = with_fields(
        clean[0], pair_id="turned", chosen=clean[0].rejected_text, rejected=clean[0].chosen_text
    )
    report = lint([*clean, turned])
    assert names(report) == {"contradictions"}
    assert (found(report, "contradictions").level, found(report, "contradictions").count) == ("warning", 2)
    assert report.passes()
    assert not report.passes(strict=True)


def test_splits_that_are_missing_or_mixed(clean):
    none = [with_fields(pair, split=None) for pair in clean]
    report = lint(none)
    assert (report.folds, report.splits, names(report)) == (0, {"none": 100}, {"no-split"})
    assert report.passes(strict=True)
    mixed = lint([none[0], *clean[1:]])
    assert (found(mixed, "mixed-splits").count, mixed.passes()) == (1, False)
    untested = lint([pair for pair in clean if pair.split != "test"])
    assert (found(untested, "no-test").level, untested.passes()) == ("error", False)


def test_folds_are_looked_at_one_by_one(clean):
    """In each fold the other half is history, so that a prompt in both halves leaks in both."""
    halves = clean[:50], [with_fields(clean[50], prompt=clean[0].prompt), *clean[51:]]
    finding = found(lint([*halves[0], *halves[1]], folds=[halves, halves[::-1]]), "prompt-in-history")
    assert (finding.count, finding.out_of, set(finding.pair_ids)) == (2, 100, {"p0", "p50"})


# Damaged texts and give-aways.

SENTENCE = "The capital of France is Paris."


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        (f"['{SENTENCE}']", True),
        (f'  ["{SENTENCE}", "{SENTENCE}"]\n', True),
        (f"[{{'role': 'assistant', 'content': '{SENTENCE}'}}]", True),
        (f"{{'role': 'assistant', 'content': '{SENTENCE}'}}", True),
        (f"('{SENTENCE}',)", True),
        ("['red', 'green', 'blue']", False),
        ("[1, 2, 3]", False),
        (SENTENCE, False),
        (f"['{SENTENCE}' and more", False),
        ("[Note: I cannot know that for certain.]", False),
        ("{'name': 'Ann', 'age': 3}", False),
        ("", False),
    ],
)
def test_the_repr_of_a_list_is_told_from_an_answer_that_is_a_list(text, is_one):
    assert is_list_repr(text) is is_one


def test_one_response_that_is_the_repr_of_a_list_is_an_error(clean):
    damaged = with_fields(clean[3], rejected=f"['{clean[3].rejected_text} It goes on.']")
    finding = found(lint(put(clean, damaged)), "list-repr")
    assert (finding.level, finding.count, finding.pair_ids) == ("error", 1, ("p3",))
    assert "0 chosen, 1 rejected" in finding.problem


def marked(
    pairs: Sequence[PreferencePair], mark: str, *, chosen: Callable[[int], bool]
) -> list[PreferencePair]:
    """The pairs with a mark in the place of as many characters, on one side each."""

    def with_mark(text: str) -> str:
        return mark + text[len(mark) :]

    return [
        with_fields(pair, chosen=with_mark(pair.chosen_text))
        if chosen(i)
        else with_fields(pair, rejected=with_mark(pair.rejected_text))
        for i, pair in enumerate(pairs)
    ]


@pytest.mark.parametrize(
    ("mark", "trait"),
    [
        ("**So** ", "headings or bold text"),
        ("## So\n", "headings or bold text"),
        ("- so\n", "lists"),
        ("1. so\n", "lists"),
        ("```x``` ", "code blocks"),
        ("| a | b |\n", "tables"),
        (" ", "white space at an end"),
    ],
)
def test_formatting_that_gives_the_label_away_is_an_error(clean, mark, trait):
    report = lint(marked(clean, mark, chosen=lambda i: True))
    finding = found(report, "one-sided-format")
    assert trait in finding.problem
    assert (finding.level, finding.count) == ("error", 100)
    assert finding.share_chosen is not None
    assert finding.share_chosen.value == 1
    assert "is chosen in 100 %" in finding.problem


def test_formatting_that_leans_is_a_warning_and_balanced_or_rare_formatting_is_none(clean):
    # Every user has ten pairs: i // 10 numbers them.
    leaning = found(lint(marked(clean, "**So** ", chosen=lambda i: i // 10 != 3)), "one-sided-format")
    assert leaning.level == "warning"
    assert leaning.share_chosen is not None
    assert leaning.share_chosen.value == pytest.approx(0.9)
    assert leaning.pair_ids
    assert not set(leaning.pair_ids) & {f"p{i}" for i in range(30, 40)}
    assert names(lint(marked(clean, "**So** ", chosen=lambda i: i // 10 % 2 == 0))) == set()
    rare = [*marked(clean[:9], "**So** ", chosen=lambda i: True), *clean[9:]]
    assert names(lint(rare)) == set()


def test_labels_that_follow_length(clean):
    longer = [with_fields(pair, chosen=f"{pair.chosen_text} And more of it.") for pair in clean]
    finding = found(lint(longer), "label-by-length")
    assert (finding.level, finding.count) == ("error", 100)
    shorter = [
        with_fields(pair, rejected=f"{pair.rejected_text} And more of it.")
        if i // 10 != 3
        else with_fields(pair, chosen=f"{pair.chosen_text} And more of it.")
        for i, pair in enumerate(clean)
    ]
    finding = found(lint(shorter), "label-by-length")
    assert finding.level == "warning"
    assert "the longer one is chosen in 10 %" in finding.problem


def test_what_a_few_users_prefer_may_be_their_taste(clean):
    few = [pair for pair in clean if pair.user_id in ("user0", "user1")]
    finding = found(lint(marked(few, "**So** ", chosen=lambda i: True)), "one-sided-format")
    assert (finding.level, finding.count) == ("warning", 20)
    assert finding.share_chosen is not None
    assert (finding.share_chosen.n_users, finding.share_chosen.unit) == (2, "pair")
    assert "2 users, whose taste it may be" in finding.problem
    tastes = marked(few, "**So** ", chosen=lambda i: i % 2 == 0)
    assert names(lint(tastes)) == set()


# The denominator.


def test_rows_that_cannot_be_read_are_an_error_and_rows_left_out_by_rule_a_note(clean):
    report = lint(
        clean, unreadable=["f.jsonl:3: bad", "f.jsonl:9: bad"], left_out={"a tie": 4, "no label": 1}
    )
    unreadable = found(report, "unreadable-rows")
    assert (unreadable.level, unreadable.count, unreadable.out_of) == ("error", 2, 102)
    assert "f.jsonl:3: bad" in unreadable.problem
    notes = [finding for finding in report.findings if finding.name == "left-out"]
    assert [(finding.count, finding.out_of) for finding in notes] == [(4, 105), (1, 105)]
    assert "a tie" in notes[0].problem


@pytest.mark.parametrize(
    ("declared", "words"),
    [({"pairs": 101}, "pairs"), ({"users": 11}, "users"), ({"test_pairs": 21}, "test pairs")],
)
def test_fewer_than_declared_is_an_error(clean, declared, words):
    finding = found(lint(clean, declared=Declared(**declared)), "denominator")
    assert finding.level == "error"
    assert finding.out_of == next(iter(declared.values())) == finding.count + 1
    assert f"declared {words} are there" in finding.problem
    assert lint(clean, declared=Declared(pairs=100, users=10, test_pairs=20)).findings == ()


def test_users_that_an_average_leaves_out_and_users_nobody_knows(clean):
    without = [pair for pair in clean if pair.user_id != "user0" or pair.split != "test"]
    finding = found(lint(without), "users-without-test")
    assert (finding.level, finding.count, finding.out_of) == ("warning", 1, 10)
    assert "over 9 users" in finding.cure
    strangers = [with_fields(pair, user_id="new") if pair.pair_id == "p80" else pair for pair in clean]
    finding = found(lint(strangers), "users-without-history")
    assert (finding.level, finding.count, finding.out_of, finding.pair_ids) == ("note", 1, 20, ("p80",))


def test_errors_come_first(clean):
    again = with_fields(clean[0], pair_id="again", split="test")
    turned = with_fields(clean[1], pair_id="t", chosen=clean[1].rejected_text, rejected=clean[1].chosen_text)
    report = lint([*clean, again, turned], left_out={"a tie": 1})
    levels = [finding.level for finding in report.findings]
    assert levels == sorted(levels, key=["error", "warning", "note"].index)
    assert set(levels) == {"error", "warning", "note"}
    assert sum(report.count(level) for level in ("error", "warning", "note")) == len(levels)


# Benchmarks as they declare themselves.


def of_benchmark(name: str, data_dir: Path | None = None, **changes: Any) -> LintReport:
    benchmark = load_benchmark(name, data_dir).model_copy(update=changes)
    return lint(
        benchmark.pairs,
        folds=[(fold.history, fold.test) for fold in benchmark.folds],
        seen_items_by_design=benchmark.seen_items_by_design,
        declared=benchmark.declared,
    )


def test_the_sample_is_clean():
    report = of_benchmark("sample")
    assert report.findings == ()


@pytest.fixture
def human_data() -> Path:
    if not DATA.exists():
        pytest.skip("the folder of human data is not beside this checkout")
    return DATA


def test_seen_prompts_are_declared_and_would_fail_undeclared(human_data):
    declared = of_benchmark("llmfao/seen-prompts", human_data)
    assert declared.passes()
    assert (found(declared, "prompt-in-history").count, found(declared, "pair-in-history").count) == (
        656,
        565,
    )
    assert names(declared) >= {"label-by-length", "users-without-test"}
    assert not names(declared) & {"judged-twice", "denominator", "list-repr"}
    undeclared = of_benchmark("llmfao/seen-prompts", human_data, seen_items_by_design=False)
    assert not undeclared.passes()
    assert found(undeclared, "prompt-in-history").level == "error"


def test_unseen_prompts_do_not_overlap(human_data):
    report = of_benchmark("llmfao/unseen-prompts", human_data)
    assert report.passes()
    assert not names(report) & {"prompt-in-history", "pair-in-history", "judged-twice"}


def test_polis_passes_with_its_one_prompt_declared(human_data):
    report = of_benchmark("polis/later-pairs", human_data)
    assert report.passes(strict=True)
    assert names(report) == {"prompt-in-history", "pair-in-history"}
