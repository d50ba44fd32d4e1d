"""What stands behind a number: users, pairs with what was said about each, and on request their texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from synthesizeme.evaluation.figures import gain_by_user
from synthesizeme.evaluation.harness import Outcome, PairOutcome
from synthesizeme.evaluation.measurement import Measurement
from synthesizeme.evaluation.tables import ABSENT
from synthesizeme.pairs import by_user
from synthesizeme.report_pages.document import (
    Html,
    element,
    fitting,
    folded,
    joined,
    left_out,
    note,
    section,
    table,
)
from synthesizeme.types import PreferencePair

MARKS = {1.0: "✓", 0.75: "¾", 0.5: "½", 0.25: "¼", 0.0: "✗"}
"""How much of a pair was right."""
_LEGEND = (
    (
        "✓ ✗ ½",
        "right, wrong, and half right: a tie, or two orders that disagree; beside it the probability in % "
        "that was given to the chosen answer, a mean over the orders asked. Its log-odds are the margin.",
    ),
    (ABSENT, "no verdict, and why; such a pair is in no accuracy."),
)


def users_table(measurements: Sequence[Measurement], room: int) -> Html:
    """A row for each user: pairs, and each scorer's accuracy and gain over itself without the user.

    Args:
        measurements: Whose.
        room: Most bytes.
    """
    pairs = {
        user: len(own) for user, own in by_user(p for m in measurements[:1] for p in m.own.pairs).items()
    }
    columns: dict[str, dict[str, str]] = {}
    for it in measurements:
        columns[it.name] = {user: f"{100 * share:.0f}" for user, share in it.own.by_user.items()}
        if "no_user" in it.controls:
            columns[f"{it.name}, gain"] = _gains(it.own, it.controls["no_user"])
    rows = [
        [user, str(number), *(column.get(user, ABSENT) for column in columns.values())]
        for user, number in pairs.items()
    ]
    caption = "Accuracy of every user in %, and the gain in points over the same scorer without the user"
    return table([["user", "pairs", *columns], *rows], caption, texts=(0,), room=room, noun="user")


def _gains(own: Outcome, without: Outcome) -> dict[str, str]:
    both = by_user(pair for pair in own.answered if pair.pair_id in without.scores)
    return {
        user: f"{value:+.0f}" for user, value in zip(both, gain_by_user(own, without).values, strict=True)
    }


def pairs_table(
    outcomes: Mapping[str, Outcome], room: int, *, linked: Mapping[str, str] | None = None, among: str = ""
) -> Html:
    """A row for each pair, a column for each outcome.

    Args:
        outcomes: Of the same pairs, by heading.
        room: Most bytes.
        linked: Places in the page by pair id, where the texts stand.
        among: What is said of the outcomes in the caption.
    """
    asked = {pair.pair_id: pair.user_id for outcome in outcomes.values() for pair in outcome.pairs}
    found = [{pair.pair_id: pair for pair in outcome.pairs} for outcome in outcomes.values()]
    rows = [
        [_name(pair_id, linked or {}), user, *(_cell(column.get(pair_id)) for column in found)]
        for pair_id, user in asked.items()
    ]
    return table(
        [["pair", "user", *outcomes], *rows], f"Every pair, and what was said about it{among}",
        texts=(0, 1), legend=_LEGEND, room=room, noun="pair",
    )  # fmt: skip


def _name(pair_id: str, linked: Mapping[str, str]) -> str:
    return element("a", pair_id, href=f"#{linked[pair_id]}") if pair_id in linked else pair_id


def _cell(pair: PairOutcome | None) -> str:
    if pair is None:
        return ABSENT
    if pair.score is None:
        return f"{ABSENT} {', '.join(dict.fromkeys(pair.failures))}"
    said = MARKS.get(pair.score) or f"{pair.score:.2f}"
    return said if pair.p_chosen is None else f"{said} {100 * pair.p_chosen:.0f}"


def texts(pairs: Sequence[PreferencePair], room: int, place: str) -> tuple[dict[str, str], Html]:
    """Prompts and both responses of pairs, folded, long texts cut; and where each pair stands in the page.

    Args:
        pairs: Whose texts.
        room: Most bytes.
        place: What ids of these places begin with.
    """
    drawn = [*fitting((_text_of(pair, f"{place}{number}") for number, pair in enumerate(pairs)), room)]
    where = {pair.pair_id: f"{place}{number}" for number, pair in enumerate(pairs[: len(drawn)])}
    missing = left_out(len(drawn), len(pairs), "pair")
    return where, section("Texts of the pairs", *map(Html, drawn), missing, level=3)


def _text_of(pair: PreferencePair, place: str) -> Html:
    turns = [(f"asked ({it.role})", it.content) for it in pair.prompt]
    turns += [("chosen", it.content) for it in pair.chosen] + [
        ("rejected", it.content) for it in pair.rejected
    ]
    turns += [("because", pair.reason)] if pair.reason else []
    body = (joined([note(who), element("pre", said, dir="auto")]) for who, said in turns)
    return folded(f"{pair.pair_id} of {pair.user_id}", *body, id=place)
