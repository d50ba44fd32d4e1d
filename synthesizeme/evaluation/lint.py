"""What a set of pairs would let a scorer get right, or wrong, for reasons that are not the user's taste.

Four kinds of things have fooled measurements in this field: test items already seen in the history,
texts damaged on one side (a list stored as its ``repr``), labels that follow the form or the length of the
responses, and a denominator that lost rows on the way. Each becomes a `Finding` with a level: an *error*
makes a figure on these pairs wrong or meaningless, a *warning* has to be known to read one, a *note* is said.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

from synthesizeme.evaluation._lint_texts import Declared, Finding, Level, findings, text_findings
from synthesizeme.types import Frozen, PreferencePair

__all__ = ["Declared", "Finding", "Level", "LintReport", "lint"]

Pairs: TypeAlias = Sequence[PreferencePair]
Sides: TypeAlias = tuple[Pairs, Pairs]
"""History and test pairs of one fold."""
SPLITS = ("train", "validation", "test", "none")
Key: TypeAlias = Callable[[PreferencePair], Hashable]


class LintReport(Frozen):
    """Everything found in a set of pairs."""

    source: str
    """File or benchmark."""
    pairs: int
    """Number of pairs."""
    users: int
    """Number of users."""
    splits: dict[str, int]
    """Pairs per split; ``none`` counts pairs without."""
    folds: int
    """Divisions into history and test; 0 where no row names a split."""
    seen_items_by_design: bool
    """Whether test items occur in the history on purpose."""
    findings: tuple[Finding, ...]
    """Errors first."""

    def count(self, level: Level) -> int:
        """Number of findings of a level."""
        return sum(finding.level == level for finding in self.findings)

    def passes(self, *, strict: bool = False) -> bool:
        """Whether there is no error, and with `strict` no warning either."""
        return not self.count("error") and not (strict and self.count("warning"))


def lint(
    pairs: Pairs,
    *,
    source: str = "pairs",
    folds: Sequence[Sides] | None = None,
    seen_items_by_design: bool = False,
    declared: Declared | None = None,
    unreadable: Sequence[str] = (),
    left_out: Mapping[str, int] | None = None,
) -> LintReport:
    """Look for what makes a measurement on these pairs say something else than it seems to.

    Args:
        pairs: All pairs once, at least one.
        source: Their name, for the report.
        folds: History and test pairs of each fold; by default the one fold that `split` describes.
        seen_items_by_design: Whether test prompts and responses may occur in the history.
        declared: How many there should be.
        unreadable: Rows of the source that could not be read, each with its reason.
        left_out: Rows that make no pair by the rule of the format, by reason, e.g. ties.

    Raises:
        ValueError: there is no pair.
    """
    if not pairs:
        raise ValueError("no pairs to lint; expected at least one")
    sides = _given_fold(pairs) if folds is None else list(folds)
    prompts = {pair.pair_id: _prompt(pair) for pair in pairs}
    items = {pair.pair_id: (prompts[pair.pair_id], _texts(pair)) for pair in pairs}
    found = [
        *_lost_rows(pairs, sides, declared or Declared(), unreadable, left_out or {}),
        *_splits(pairs, sides),
        *_overlaps(
            sides, lambda pair: prompts[pair.pair_id], lambda pair: items[pair.pair_id], seen_items_by_design
        ),
        *_judged_twice(pairs, sides, lambda pair: items[pair.pair_id]),
        *_denominator(sides),
        *_users_alike(pairs),
        *text_findings(pairs),
    ]
    order: tuple[Level, ...] = ("error", "warning", "note")
    splits: Counter[str] = Counter(pair.split or "none" for pair in pairs)
    return LintReport(
        source=source,
        pairs=len(pairs),
        users=len({pair.user_id for pair in pairs}),
        splits={name: splits[name] for name in SPLITS if splits[name]},
        folds=len(sides),
        seen_items_by_design=seen_items_by_design,
        findings=tuple(sorted(found, key=lambda finding: order.index(finding.level))),
    )


def _given_fold(pairs: Pairs) -> list[Sides]:
    test = [pair for pair in pairs if pair.split == "test"]
    return [([pair for pair in pairs if pair.split not in ("test", None)], test)] if test else []


def _splits(pairs: Pairs, sides: Sequence[Sides]) -> Iterator[Finding]:
    without = [pair for pair in pairs if pair.split is None]
    if len(without) == len(pairs):
        yield from findings(
            "note", "no-split", len(pairs), len(pairs),
            "rows name no split: nothing can be said about leaks between splits",
            "draw splits with `synthesizeme data split`, which keeps equal pairs together",
        )  # fmt: skip
        return
    yield from findings(
        "error", "mixed-splits", without, len(pairs),
        "rows name no split while the others do: they are neither learned from nor asked",
        "complete the splits, or draw them afresh with `synthesizeme data split`",
    )  # fmt: skip
    if not sides:
        yield Finding(
            level="error", name="no-test", problem="rows are of the test split", count=0, out_of=len(pairs),
            cure="give test rows, or draw splits afresh with `synthesizeme data split`",
        )  # fmt: skip


def _overlaps(sides: Sequence[Sides], prompt: Key, item: Key, by_design: bool) -> Iterator[Finding]:
    """Test prompts and test pairs, whoever judged them, that the history already has."""
    level: Level = "note" if by_design else "error"
    total = sum(len(test) for _, test in sides)
    says = " (declared: seen by design)" if by_design else ""
    cure = (
        "read accuracy as that on seen items: compare with the population and with the majority of the "
        "others, never with a scorer that has not seen them"
        if by_design
        else "split by prompt, or declare the overlap (--seen-items) and read accuracy as that on seen items"
    )
    for name, key, what in (
        ("prompt-in-history", prompt, "a prompt that the history has too"),
        ("pair-in-history", item, "a prompt and two responses that somebody's history has too"),
    ):
        seen = [pair for history, test in sides for pair in _seen(history, test, key)]
        yield from findings(level, name, seen, total, f"test pairs have {what}{says}", cure)
    parts = [
        [[pair for pair in history if pair.split == split] for split in ("train", "validation")]
        for history, _ in sides
    ]
    if not by_design:
        yield from findings(
            "note", "prompt-in-train",
            [pair for train, validation in parts for pair in _seen(train, validation, prompt)],
            sum(len(validation) for _, validation in parts),
            "validation pairs have a prompt that train has too",
            "do not expect the validation accuracy on unseen prompts",
        )  # fmt: skip


def _judged_twice(pairs: Pairs, sides: Sequence[Sides], item: Key) -> Iterator[Finding]:
    """One person's judgements of the same two texts; on two sides of a split they are never by design."""
    straddling = {}
    for history, test in sides or [(pairs, ())]:
        parts: dict[Hashable, set[str | None]] = {}
        everyone = [*((pair, pair.split) for pair in history), *((pair, "test") for pair in test)]
        for pair, part in everyone:
            parts.setdefault((pair.user_id, item(pair)), set()).add(part)
        straddling.update(
            {pair.pair_id: pair for pair, _ in everyone if len(parts[pair.user_id, item(pair)]) > 1}
        )
    yield from findings(
        "error", "judged-twice", list(straddling.values()), len(pairs),
        "pairs were judged by the same person in another split too",
        "keep one person's judgements of the same two responses in one split; `synthesizeme data split` does",
    )  # fmt: skip
    choices: dict[Hashable, set[str]] = {}
    for pair in pairs:
        choices.setdefault((pair.user_id, item(pair)), set()).add(_plain(pair.chosen_text))
    yield from findings(
        "warning", "contradictions",
        [pair for pair in pairs if len(choices[pair.user_id, item(pair)]) > 1], len(pairs),
        "pairs were decided both ways by the same person",
        "no scorer can get both right: count them as the noise of the labels",
    )  # fmt: skip


def _lost_rows(
    pairs: Pairs,
    sides: Sequence[Sides],
    declared: Declared,
    unreadable: Sequence[str],
    left_out: Mapping[str, int],
) -> Iterator[Finding]:
    yield from findings(
        "error", "unreadable-rows", len(unreadable), len(pairs) + len(unreadable),
        f"rows cannot be read; the first: {unreadable[0] if unreadable else None}",
        "correct them; a figure without them is one of another set",
    )  # fmt: skip
    for reason, number in left_out.items():
        yield from findings(
            "note", "left-out", number, len(pairs) + sum(left_out.values()),
            f"rows are left out by the rule of the format: {reason}",
            "name this number beside the accuracy",
        )  # fmt: skip
    users, test_pairs = len({pair.user_id for pair in pairs}), sum(len(test) for _, test in sides)
    for words, found, expected in declared.departures(len(pairs), users, test_pairs):
        yield Finding(
            level="error", name="denominator", problem=f"declared {words} are there",
            count=found, out_of=expected,
            cure="find the missing rows; until then accuracies are not those of the declared set",
        )  # fmt: skip


def _denominator(sides: Sequence[Sides]) -> Iterator[Finding]:
    """Users over whom an average is not taken, and users about whom nothing is known."""
    learned = {pair.user_id for history, _ in sides for pair in history}
    asked = {pair.user_id for _, test in sides for pair in test}
    if sides:
        yield from findings(
            "warning", "users-without-test", len(learned - asked), len(learned | asked),
            "users have no test pair: an average over users leaves them out",
            f"say that accuracies are over {len(asked):,} users",
        )  # fmt: skip
    strangers = [
        pair
        for history, test in sides
        for known in [{p.user_id for p in history}]
        for pair in test
        if pair.user_id not in known
    ]
    yield from findings(
        "note", "users-without-history", strangers, sum(len(test) for _, test in sides),
        "test pairs are of users without history, whom a scorer answers without knowing them",
        "report them apart, as cold start",
    )  # fmt: skip


def _users_alike(pairs: Pairs) -> Iterator[Finding]:
    """Users whose ids differ only in what nobody sees: blanks, and how letters with accents are composed."""
    alike: dict[str, set[str]] = {}
    for pair in pairs:
        plain = _plain(unicodedata.normalize("NFC", pair.user_id))
        alike.setdefault(plain, set()).add(pair.user_id)
    several = [ids for ids in alike.values() if len(ids) > 1]
    first = ", ".join(ascii(name) for name in sorted(several[0])) if several else ""
    yield from findings(
        "warning", "users-alike", sum(map(len, several)), sum(map(len, alike.values())),
        f"users differ only by blanks or Unicode composition; the first: {first}",
        "write one id for each user, unless they are different people",
    )  # fmt: skip


def _seen(history: Iterable[PreferencePair], test: Pairs, key: Key) -> list[PreferencePair]:
    known = {key(pair) for pair in history}
    return [pair for pair in test if key(pair) in known]


def _plain(text: str) -> str:
    """A text as it is compared, white space aside."""
    return " ".join(text.split())


def _prompt(pair: PreferencePair) -> Hashable:
    """A conversation, case and white space aside."""
    return tuple((turn.role, _plain(turn.content.casefold())) for turn in pair.prompt)


def _texts(pair: PreferencePair) -> Hashable:
    """The two responses, whichever was chosen."""
    return frozenset((_plain(pair.chosen_text), _plain(pair.rejected_text)))
