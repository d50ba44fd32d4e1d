"""``profiles``: look into a store of many users, and change it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import typer

from synthesizeme.cli._command import argument, option, verb
from synthesizeme.cli._options import FORCE, STORE, USER, CommonOptions, StoreOptions, new_file
from synthesizeme.cli._output import check_replaceable, print_json, say, tell, tells
from synthesizeme.cli._pairs import ABOUT, KINDS, read, read_about
from synthesizeme.errors import ConfigError, DataError
from synthesizeme.plain_text import count, printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from synthesizeme.profile import PersonaSentence
    from synthesizeme.profiles.store import InductionRecord, UserSummary, VersionNote
    from synthesizeme.types import Demonstration


_LIST_CURE = "`synthesizeme profiles list` shows who is there"


@verb
def list_users(
    options: StoreOptions,
    common: CommonOptions,
    after: str | None = option(None, "Begin after this user, the last of the page before.", "ID"),
    limit: int = option(100, "Most users to list.", "N", min=1),
    only: Literal["failed", "drifted"] | None = option(
        None, "Users whose induction failed, or whose newest pairs contradict them."
    ),
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
    users = [{**user.model_dump(mode="json"), "why": why.get(user.user_id)} for user in page]
    tell(common.json, {"users": users, "after": more}, (_user_line(it, why.get(it.user_id)) for it in page))
    if more is not None and not common.json:
        say("There may be more: add --after with the last id.")


@verb
def status(options: StoreOptions, common: CommonOptions) -> None:
    """Say how many users and pairs there are, and how many users are done, failed or drifted."""
    with options.open() as store:
        found = store.totals()
    kept = f"{count(found.users, 'user')}, {count(found.pairs, 'pair')}"
    induced = f"{found.done:,} induced, {found.failed:,} failed, {found.drifted:,} drifted"
    tell(common.json, found.model_dump(), (f"{kept}, words of {count(found.words, 'user')}", induced))


@verb
def show(
    options: StoreOptions,
    common: CommonOptions,
    user: str = USER(),
    version: int | None = option(None, "Version of the profile; by default the latest.", "N", min=1),
) -> None:
    """Show a user's profile, and which versions of it there are."""
    with options.open() as store:
        found, notes = store.profile(user, version), store.versions(user)
    if found is None:
        what = "no profile" if version is None else f"no version {version} of a profile"
        numbers = ", ".join(str(note.version) for note in notes[-10:])
        cure = f"the latest versions are {numbers}" if notes else _LIST_CURE
        raise DataError(f"user {user[:60]!r} has {what} in this store", cure=cure)
    persona, versions = found.profile.persona, [note.model_dump(mode="json") for note in notes]
    said = [printable(sentence.text) for sentence in (persona.sentences if persona else ())]
    said.append(count(len(found.profile.demonstrations), "demonstration"))
    said += [f"caution: {printable(caution.text)}" for caution in found.profile.cautions]
    lines = [f"{printable(user, 80)}, {_note(found)}", *(f"  {text}" for text in said)]
    lines += ["versions:", *(f"  {_note(note)}" for note in notes)]
    tell(common.json, {**found.model_dump(mode="json"), "versions": versions}, lines)


@verb
def words(
    options: StoreOptions,
    common: CommonOptions,
    user: str = USER(),
    forget: bool = option(False, "Drop the words; pairs and profiles stay."),
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
    said = [(answer.question, answer.text) for answer in found.answers]
    said += [("about:", found.about)] if found.about else []
    said += [("wish:", wish) for wish in found.wishes]
    said += [(f"{name}:", value) for name, value in found.demographics.items()]
    lines = [f"{printable(heading)} {printable(text)}" for heading, text in said]
    dropped = [f"Dropped the words of {printable(user, 80)}."]
    tell(common.json, found.model_dump(mode="json", exclude_none=True), dropped if forget else lines)


@verb
def diff(
    options: StoreOptions,
    common: CommonOptions,
    earlier: int = argument(..., "The one version.", "A"),
    later: int = argument(..., "The other version.", "B"),
    user: str = USER(),
) -> None:
    """Show what version B of a user's profile says and version A does not, and the other way round."""
    with options.open() as store:
        change = store.diff(user, earlier, later)
    lines = _lines("-", change.sentences_removed, change.demonstrations_removed)
    lines += _lines("+", change.sentences_added, change.demonstrations_added)
    document = {"user_id": user, "earlier": earlier, "later": later, **change.model_dump(mode="json")}
    tell(common.json, document, lines)


@verb
def export(
    options: StoreOptions,
    common: CommonOptions,
    user: str = USER(),
    out: Path | None = option(None, "File to write; by default standard output.", "FILE", parser=new_file),
    force: bool = FORCE(),
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


def _user_line(user: UserSummary, why: str | None) -> str:
    version = f"profile version {user.version}" if user.version else "no profile"
    version += ", own words" if user.words else ""
    said = f"; {printable(why, 200)}" if why is not None else ""
    return f"{printable(user.user_id, 80)}  {count(user.pairs, 'pair')}, {version}{said}"


def _lines(sign: str, sentences: Sequence[PersonaSentence], shown: Sequence[Demonstration]) -> list[str]:
    said = [printable(sentence.text) for sentence in sentences]
    said += [f"demonstration of pair {printable(it.comparison.pair_id, 80)}" for it in shown]
    return [f"{sign} {text}" for text in said]


@verb
def roll_back(
    options: StoreOptions,
    common: CommonOptions,
    version: int = argument(..., "The version to go back to.", "N"),
    user: str = USER(),
) -> None:
    """Make an old version of a user's profile the latest; it becomes a version of its own, none is lost."""
    with options.open() as store:
        note = store.roll_back(user, version)
    line = f"Version {version} is the latest again, as version {note.version}."
    tell(common.json, {"user_id": user, **note.model_dump(mode="json")}, [line])


@verb
def delete(
    options: StoreOptions, common: CommonOptions, user: str = USER(), yes: bool = option(False, "Do not ask.")
) -> None:
    """Delete everything about a user, to the last byte in the files of SQLite, which are written anew."""
    if not yes:
        question = f"Delete everything about {printable(user, 80)} from {printable(_place(options.store))}?"
        typer.confirm(question, abort=True, err=True)
    with options.open() as store:
        gone = store.delete(user)
    also = ", and the user's words" if gone.words else ""
    dropped = f"{count(gone.pairs, 'pair')} and {count(gone.versions, 'version')} of a profile"
    tell(common.json, {"user_id": user, **gone.model_dump()}, [f"Deleted {dropped}{also}."])


@verb
def take_in(
    options: StoreOptions,
    common: CommonOptions,
    folder: Path | None = argument(None, "Folder that induce-persona wrote.", "[DIR]"),
    data: Path | None = option(
        None, f"Also these pairs and other feedback: {KINDS}; the test split is left out.", "PAIRS"
    ),
    about: Path | None = ABOUT(),
) -> None:
    """Store the profiles of a folder, each as its user's next version unless it is the latest already.

    Pairs are added to those that are there; words take the place of what the user said before, and what a
    person corrected in the latest profile stays. A SQLite store that is not there is made.
    """
    from synthesizeme.personas.owner import carried
    from synthesizeme.profiles.folder import ProfileFolder
    from synthesizeme.profiles.views import take_feedback, take_pairs, take_profiles, take_words

    if folder is None and data is None and about is None:
        raise ConfigError("expected DIR, --data PAIRS or --about FILE; found none of them")
    profiles = {} if folder is None else ProfileFolder(folder)
    words = read_about(about)
    found = None if data is None else read(data, feedback="alone")
    rows, heard = ((), ()) if found is None else (found.pairs, found.feedback)
    with options.open(create=True) as store:
        appended, further = take_pairs(store, rows), take_feedback(store, heard)
        spoken = take_words(store, words.values())
        put = take_profiles(store, profiles, carried)
    parts = {"profiles": put, "pairs": appended, "feedback": further, "words": spoken}
    taken = {name: part.model_dump() for name, part in parts.items()}
    said = (
        (count(put.new, "profile"), put, folder),
        (count(appended.new, "pair"), appended, data),
        (count(further.new, "piece") + " of other feedback", further, heard),
        (f"Words of {count(spoken.new, 'user')}", spoken, about),
    )
    lines = (f"{what} stored, {it.unchanged:,} there already." for what, it, given in said if given)
    tell(common.json, taken, lines)


@verb
def migrate(common: CommonOptions, store: str = STORE()) -> None:
    """Make the tables of a store, or bring those of an older version up to date."""
    from synthesizeme.profiles import migrate_store

    before, now = migrate_store(store)
    line = f"At revision {now}" + (" already." if before == now else f"; it was at {before or 'none'}.")
    tell(common.json, {"before": before, "now": now}, [line])


def _place(store: str) -> str:
    """Where a store is, without a password."""
    scheme, separator, rest = store.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}" if separator else store


HELP = "A store of many users' pairs, feedback, words and profiles, in SQLite or PostgreSQL (extra `store`)."
VERBS = {
    "list": list_users, "status": status, "show": show, "words": words, "diff": diff, "roll-back": roll_back,
    "export": export, "delete": delete, "import": take_in, "migrate": migrate,
}  # fmt: skip
