"""An endpoint that fails a share of the calls, in one way or in all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from scenarios.endpoint import ANSWERED, KINDS
from scenarios.rows import Row, counted
from scenarios.workplace import IMPATIENT_S, Ran, Workplace, finish
from synthesizeme.profile import UserProfile

RETRIES = 5


def failing_endpoint(
    folder: Path, *, users: int, pairs: int, rate: float, kinds: Sequence[str] = KINDS
) -> Row:
    """Induce users while a share of the calls fails; then run again without faults.

    Promised: every user is finished or recorded as failed; every request beyond the first is one of the
    retries that are shown; every question that got no answer, or one nobody can read, is shown; the second
    run asks nothing that is recorded.
    """
    name = "endpoint fails in every way" if len(kinds) == len(KINDS) else f"endpoint: {', '.join(kinds)}"
    row = Row(name, f"{100 * rate:.0f} % of the calls, {users} users, {RETRIES} retries")
    with Workplace(folder, users=users, pairs=pairs, timeout_s=IMPATIENT_S) as place:
        place.endpoint.fail(rate, kinds)
        with place.watching():
            ran = finish(place.induce("store.db", "--retries", RETRIES))
        _check_first(row, place, ran)
        place.endpoint.fail(0.0)
        before, recorded = set(place.endpoint.asked), place.recorded()
        calls = place.endpoint.calls
        again = place.go_on("store.db")
        asked_again = place.endpoint.calls - calls
        row.promise(not again.failed and not again.stopped, f"the next run: {again}")
        row.promise(place.recorded() >= recorded, "recorded replies are gone")
        row.promise(
            asked_again <= len(before - recorded) or ran.summary["failed"],
            "the next run asked what was recorded",
        )
        row.finished = f"{len(place.profiles('store.db'))} of {users}"
        row.promise(len(place.profiles("store.db")) == users, "users are missing")
    return row


def _check_first(row: Row, place: Workplace, ran: Ran) -> None:
    endpoint, summary = place.endpoint, ran.summary
    row.calls, row.repeated = endpoint.calls, endpoint.repeated
    row.promise(summary, f"no summary: {ran.said[-300:]}")
    if not summary:
        return
    retries, unanswered = summary["usage"]["retries"], summary["unanswered"]
    shown = {"retries": retries, **unanswered, "failed users": summary["failed"]}
    row.shown = counted(shown)
    faults = endpoint.calls - endpoint.given[""]
    row.promise(faults > 0.1 * endpoint.calls, f"only {faults} of {endpoint.calls} calls failed")
    row.promise(endpoint.late == 0, f"{endpoint.late} recorded replies were asked for again")
    row.promise(ran.sent == endpoint.calls, f"{endpoint.calls} calls were made, {ran.sent} are shown")
    row.promise(retries == endpoint.repeated, f"{endpoint.repeated} repeats, {retries} retries shown")
    row.promise(summary["done"] + summary["failed"] == len(place.people), "users are neither done nor failed")
    missing = len(set(endpoint.asked) - set(endpoint.answers))
    nonsense = sum(kind == ANSWERED[1] for kind in endpoint.answers.values())
    row.promise(
        sum(unanswered.values()) >= missing + nonsense,
        f"{missing} questions got no answer and {nonsense} nonsense; {sum(unanswered.values())} were shown",
    )
    if not missing + nonsense:
        found, expected = (_learned(it) for it in (place.profiles("store.db"), place.reference()))
        row.promise(found == expected, "profiles differ")


def _learned(profiles: Mapping[str, UserProfile]) -> dict[str, UserProfile]:
    """What was learned, by user: what it took to get readable replies is no part of it."""
    return {user: profile.model_copy(update={"provenance": None}) for user, profile in profiles.items()}
