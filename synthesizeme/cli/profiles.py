"""``profiles``: look into a store of profiles."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from synthesizeme.cli import _profiles_change as changing
from synthesizeme.cli._groups import flowing, spread
from synthesizeme.cli._options import CommonOptions, Force, new_file
from synthesizeme.cli._places import check_replaceable, tells
from synthesizeme.cli._store_options import StoreOptions, User
from synthesizeme.cli._text import print_json, say
from synthesizeme.errors import DataError
from synthesizeme.plain_text import count, printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from synthesizeme.profile import PersonaSentence
    from synthesizeme.profiles.record import InductionRecord
    from synthesizeme.profiles.store import UserSummary, VersionNote
    from synthesizeme.types import Demonstration

_LIST_CURE = "`synthesizeme profiles list` shows who is there"


def app() -> typer.Typer:
    """The group of store verbs."""
    group = typer.Typer(
        help="A store of many users' pairs, words and profiles, in SQLite or PostgreSQL (extra `store`).",
        no_args_is_help=True,
    )
    for name, verb in (
        ("list", list_users),
        ("status", status),
        ("show", show),
        ("words", words),
        ("diff", diff),
        ("roll-back", changing.roll_back),
        ("export", export),
        ("delete", changing.delete),
        ("import", changing.take_in),
        ("migrate", changing.migrate),
    ):
        group.command(name, help=flowing(verb))(verb)
    return group


@spread
def list_users(
    options: StoreOptions,
    common: CommonOptions,
    after: Annotated[
        str | None,
        typer.Option("--after", help="Begin after this user, the last of the page before.", metavar="ID"),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", help="Most users to list.", min=1, metavar="N")] = 100,
    only: Annotated[
        Literal["failed", "drifted"] | None,
        typer.Option("--only", help="Users whose induction failed, or whose newest pairs contradict them."),
    ] = None,
) -> None:
    """List users, one page at a time, with how many pairs and versions of a profile each has."""
    from itertools import islice

    from synthesizeme.profiles.views import every_user

    with options.open() as store:
        if only is None:
            page = store.users(after, limit)
        else:
            page = tuple(islice((it for it in every_user(store, after=after) if _is(it, only)), limit))
        why = {it.user_id: _why(store.induction(it.user_id)) for it in page if it.induced and _noted(it)}
    more = page[-1].user_id if len(page) == limit else None
    if common.json:
        users = [{**user.model_dump(mode="json"), "why": why.get(user.user_id)} for user in page]
        print_json({"users": users, "after": more})
        return
    for user in page:
        version = f"profile version {user.version}" if user.version else "no profile"
        version += ", own words" if user.words else ""
        said = f"; {printable(why[user.user_id], 200)}" if user.user_id in why else ""
        typer.echo(f"{printable(user.user_id, 80)}  {count(user.pairs, 'pair')}, {version}{said}")
    if more is not None:
        say("There may be more: add --after with the last id.")


@spread
def status(options: StoreOptions, common: CommonOptions) -> None:
    """Say how many users and pairs there are, and how many users are done, failed or drifted."""
    with options.open() as store:
        found = store.totals()
    if common.json:
        print_json(found.model_dump())
        return
    typer.echo(
        f"{count(found.users, 'user')}, {count(found.pairs, 'pair')}, words of {count(found.words, 'user')}"
    )
    typer.echo(f"{found.done:,} induced, {found.failed:,} failed, {found.drifted:,} drifted")


@spread
def show(
    user: User,
    options: StoreOptions,
    common: CommonOptions,
    version: Annotated[
        int | None,
        typer.Option("--version", help="Version of the profile; by default the latest.", min=1, metavar="N"),
    ] = None,
) -> None:
    """Show a user's profile, and which versions of it there are."""
    with options.open() as store:
        found, notes = store.profile(user, version), store.versions(user)
    if found is None:
        what = "no profile" if version is None else f"no version {version} of a profile"
        numbers = ", ".join(str(note.version) for note in notes[-10:])
        cure = f"the latest versions are {numbers}" if notes else _LIST_CURE
        raise DataError(f"user {user[:60]!r} has {what} in this store", cure=cure)
    if common.json:
        versions = [note.model_dump(mode="json") for note in notes]
        print_json({**found.model_dump(mode="json"), "versions": versions})
        return
    persona = found.profile.persona
    typer.echo(f"{printable(user, 80)}, {_note(found)}")
    for sentence in persona.sentences if persona else ():
        typer.echo(f"  {printable(sentence.text)}")
    typer.echo(f"  {count(len(found.profile.demonstrations), 'demonstration')}")
    for caution in found.profile.cautions:
        typer.echo(f"  caution: {printable(caution.text)}")
    typer.echo("versions:")
    for note in notes:
        typer.echo(f"  {_note(note)}")


@spread
def words(
    user: User,
    options: StoreOptions,
    common: CommonOptions,
    forget: Annotated[
        bool, typer.Option("--forget", help="Drop the words; pairs and profiles stay.")
    ] = False,
) -> None:
    """Show what a user said beside choices, or drop it; `profiles import --about` puts it there."""
    from synthesizeme.feedback import UserWords

    with options.open() as store:
        found = store.words(user)
        if found is not None and forget:
            store.put_words(UserWords(user_id=user))
    if found is None:
        cure = "put them there with `synthesizeme profiles import --about FILE`"
        raise DataError(f"user {user[:60]!r} has no words in this store", cure=cure)
    if common.json:
        print_json(found.model_dump(mode="json", exclude_none=True))
        return
    if forget:
        typer.echo(f"Dropped the words of {printable(user, 80)}.")
        return
    for answer in found.answers:
        typer.echo(f"{printable(answer.question)} {printable(answer.text)}")
    for heading, texts in (("about", (found.about,) if found.about else ()), ("wish", found.wishes)):
        for text in texts:
            typer.echo(f"{heading}: {printable(text)}")
    for name, value in found.demographics.items():
        typer.echo(f"{printable(name)}: {printable(value)}")


@spread
def diff(
    earlier: Annotated[int, typer.Argument(help="The one version.", metavar="A")],
    later: Annotated[int, typer.Argument(help="The other version.", metavar="B")],
    user: User,
    options: StoreOptions,
    common: CommonOptions,
) -> None:
    """Show what version B of a user's profile says and version A does not, and the other way round."""
    with options.open() as store:
        change = store.diff(user, earlier, later)
    if common.json:
        print_json({"user_id": user, "earlier": earlier, "later": later, **change.model_dump(mode="json")})
        return
    _lines("-", change.sentences_removed, change.demonstrations_removed)
    _lines("+", change.sentences_added, change.demonstrations_added)


@spread
def export(
    user: User,
    options: StoreOptions,
    common: CommonOptions,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", help="File to write; by default standard output.", metavar="FILE", parser=new_file
        ),
    ] = None,
    force: Force = False,
) -> None:
    """Write everything about a user, pairs, words and all versions of the profile, as one JSON document."""
    import json

    from synthesizeme.files import write_whole

    with options.open() as store:
        document = store.export(user)
    if document is None:
        raise DataError(f"user {user[:60]!r} is not in this store", cure=_LIST_CURE)
    if out is None:
        print_json(document)
        return
    check_replaceable(out, force=force, own=tells(out, user_id=user))
    write_whole(out, json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    if common.json:
        print_json({"user_id": user, "out": str(out)})
    say(f"Written to {printable(str(out))}.")


def _is(user: UserSummary, what: str) -> bool:
    note = user.induced
    return note is not None and (note.drifted if what == "drifted" else note.state == what)


def _noted(user: UserSummary) -> bool:
    return _is(user, "failed") or _is(user, "drifted")


def _why(record: InductionRecord | None) -> str:
    """What there is to say about a user to look at."""
    if record is None:
        return ""
    if record.state == "failed":
        return f"failed ({count(record.attempts, 'time')}): {record.error}"
    check = record.drift
    return f"drifted: lost {check.loss:.2f} ± {check.standard_error:.2f} of accuracy" if check else "drifted"


def _note(note: VersionNote) -> str:
    moment = note.created_at.strftime("%Y-%m-%d %H:%M:%S UTC")
    return f"version {note.version}, {moment}: {printable(note.made_from, 200)}"


def _lines(sign: str, sentences: Sequence[PersonaSentence], shown: Sequence[Demonstration]) -> None:
    for sentence in sentences:
        typer.echo(f"{sign} {printable(sentence.text)}")
    for demonstration in shown:
        typer.echo(f"{sign} demonstration of pair {printable(demonstration.comparison.pair_id, 80)}")
