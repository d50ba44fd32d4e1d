"""``ask``: the pairs that would tell most about a user; shows them, records the answers, refits at once."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import typer

from synthesizeme.cli._command import option, verb
from synthesizeme.cli._options import CommonOptions, new_file
from synthesizeme.cli._output import check_apart, print_json, say
from synthesizeme.cli._pairs import read
from synthesizeme.cli._reward_options import CHECKPOINT, opened
from synthesizeme.errors import ConfigError, DataError
from synthesizeme.plain_text import count, printable

if TYPE_CHECKING:
    from synthesizeme.profiles import ProfileStore
    from synthesizeme.simulation.interview import Interview, InterviewQuestion
    from synthesizeme.types import PreferencePair

KEYS: dict[str, Literal["first", "second"]] = {"1": "first", "2": "second"}
SKIP, QUIT = "s", "q"


@dataclass(frozen=True)
class AskOptions:
    """Who is asked about what."""

    user: str = option(..., "Whom to ask, known or new.", "ID")
    pool: Path = option(
        ...,
        "What can be asked about, .jsonl or .jsonl.gz: rows with prompt, first and second, or pairs, "
        "whose labels are not read.",
        "POOL.jsonl",
    )
    reward_model: Path | None = CHECKPOINT()
    history: Path | None = option(
        None, "Earlier pairs of the user; rows of others and of the test split are left out.", "PAIRS"
    )
    n: int | None = option(
        None, "How many questions; 1, with --out as many as there are.", "N", min=1, show_default=False
    )
    out: Path | None = option(
        None,
        "Read answers from standard input (1, 2, s to skip, q to stop) and add them to this file of "
        "pairs; each refits the user before the next question. What the file has of the user is "
        "history.",
        "PAIRS.jsonl",
        parser=new_file,
    )
    store: str | None = option(
        None, "Store of `synthesizeme profiles` that has the user's pairs and gets the answers.", "URL|PATH"
    )
    key_file: Path | None = option(None, "Key of an encrypted store.", "FILE")


@verb
def ask(options: AskOptions, common: CommonOptions) -> None:
    """Choose the next pairs to show a user: those whose answers are expected to tell most.

    Prints the questions, best first and none telling what another tells; --json for scripts. With --out it
    asks them one by one, records every choice and refits the user at once. The model is one of the
    hierarchical ones; the checkpoint stays as it is.
    """
    from synthesizeme.simulation.interview import Interview
    from synthesizeme.simulation.pool import read_pool

    if options.store is not None and options.out is None and options.history is not None:
        raise ConfigError("--history and --store both say what the user chose; give one of them")
    if not options.user.strip():
        raise ConfigError("--user is blank; expected the id of a user")
    if options.out is not None:
        check_apart("--out", options.out, pool=options.pool)
    pool = read_pool(options.pool)
    with ExitStack() as stack:
        store = stack.enter_context(_store(options)) if options.store is not None else None
        model: Any = opened(options.reward_model)
        history = _history(options, store)
        interview = Interview(model, options.user, pool, history)
        if options.out is None:
            if interview.would_forget:
                say(
                    f"Note: the model knows user {printable(options.user, 60)!r} from pairs that are not "
                    "here and may be among the questions; give them with --history or --store."
                )
            _show_all(interview, options, as_json=common.json)
            return
        if interview.would_forget:
            raise DataError(
                f"the model knows user {printable(options.user, 60)!r} from pairs that are not here; answers "
                "alone would replace them",
                field="user_id",
                cure="give them with --history or --store",
            )
        _converse(interview, options, store, as_json=common.json)


def _store(options: AskOptions) -> ProfileStore:
    from synthesizeme.profiles import open_store

    return open_store(str(options.store), key_file=options.key_file, create=options.out is not None)


def _history(options: AskOptions, store: ProfileStore | None) -> list[PreferencePair]:
    """The user's pairs of every source, each once, none of the test split."""
    found: dict[str, PreferencePair] = {}
    recorded = options.out if options.out is not None and options.out.exists() else None
    for source in (options.history, recorded):
        if source is not None:
            mine = [pair for pair in read(source, user_id=options.user).pairs if pair.user_id == options.user]
            if source == options.history and not mine:
                say(f"Note: {printable(str(source))} has no pair of user {printable(options.user, 60)!r}.")
            found |= {pair.pair_id: pair for pair in mine}
    if store is not None:
        found |= {pair.pair_id: pair for pair in store.pairs(options.user)}
    return [pair for pair in found.values() if pair.split != "test"]


def _show_all(interview: Interview, options: AskOptions, *, as_json: bool) -> None:
    questions = interview.next(options.n or 1)
    if as_json:
        print_json(
            {
                "user_id": options.user,
                "answered": len(interview.history),
                "left": interview.left,
                "questions": [_plain(question) for question in questions],
            }
        )
        return
    for number, question in enumerate(questions, start=1):
        _show(question, number)
    if not questions:
        say("Nothing is left to ask: the user's history answers the whole pool.")


def _converse(
    interview: Interview, options: AskOptions, store: ProfileStore | None, *, as_json: bool
) -> None:
    """Ask until there were enough, nothing is left, or standard input ends."""
    given: list[PreferencePair] = []
    skipped = 0
    while (options.n is None or len(given) < options.n) and (found := interview.next()):
        (question,) = found
        if not as_json:
            _show(question, len(given) + skipped + 1)
        choice = _choice(interview.left)
        if choice == QUIT:
            break
        if choice == SKIP:
            interview.skip(question)
            skipped += 1
            continue
        pair = interview.answer(question, KEYS[choice])
        _record(pair, options, store)
        given.append(pair)
    facts = {"answered": len(given), "skipped": skipped, "left": interview.left}
    if as_json:
        print_json({"user_id": options.user, **facts, "pairs": [pair.pair_id for pair in given]})
    else:
        say(f"{count(len(given), 'answer')} recorded, {skipped} skipped, {interview.left:,} left.")


def _choice(left: int) -> str:
    """What standard input says next; its end is the wish to stop."""
    while True:
        if sys.stdin.isatty():
            sys.stderr.write(f"1, 2, s (skip), q (stop)? [{left:,} left] ")
            sys.stderr.flush()
        line = sys.stdin.readline()
        if not line:
            return QUIT
        word = line.strip().lower()
        if word in KEYS or word in (SKIP, QUIT):
            return word
        say(f"Found {printable(word, 40)!r}; expected 1, 2, s or q.")


def _record(pair: PreferencePair, options: AskOptions, store: ProfileStore | None) -> None:
    """Keep an answer before the next question is asked."""
    from synthesizeme.datasets.jsonl import append_pair

    if options.out is not None:
        append_pair(options.out, pair)
    if store is not None:
        store.add_pairs(options.user, [pair])


def _show(question: InterviewQuestion, number: int) -> None:
    asked = question.comparison
    typer.echo(f"\n{number}. {question.bits:.3g} bits expected; P(1) = {question.probability:.2f} so far")
    for message in asked.prompt:
        typer.echo(f"{message.role}: {_lines(message.content)}")
    for key, text in (("1", asked.first), ("2", asked.second)):
        typer.echo(f"--- {key} ---\n{_lines(text)}")


def _lines(text: str) -> str:
    return "\n".join(printable(line) for line in text.splitlines())


def _plain(question: InterviewQuestion) -> dict[str, Any]:
    asked = question.comparison
    return {
        "pair_id": asked.pair_id,
        "prompt": [message.model_dump() for message in asked.prompt],
        "first": asked.first,
        "second": asked.second,
        "information_bits": question.bits,
        "probability_first": question.probability,
    }
