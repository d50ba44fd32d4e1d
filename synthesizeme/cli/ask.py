"""``ask``: the questions that would tell most about a user; answers are recorded and learned from at once."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from synthesizeme.cli._command import option, verb
from synthesizeme.cli._options import CommonOptions, new_file
from synthesizeme.cli._output import check_apart, print_json, say
from synthesizeme.cli._pairs import read
from synthesizeme.cli._reward_options import CHECKPOINT, opened
from synthesizeme.errors import ConfigError, DataError
from synthesizeme.plain_text import count, printable

if TYPE_CHECKING:
    from synthesizeme.feedback import Given
    from synthesizeme.profiles import ProfileStore
    from synthesizeme.questions import Question
    from synthesizeme.simulation.interview import Interview, InterviewQuestion

SIDES = {"1": "first", "2": "second"}
LIKES = {"y": "yes", "n": "no", "m": "no matter"}
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
    kinds: str = option(
        "pair",
        "What may be asked for, the one that tells most being asked next: `pair`, a choice between two "
        "responses of the pool; `rating`, one to five stars for one of them; `trait`, whether the user likes "
        "a named feature of responses.",
        "pair,rating,trait",
    )
    n: int | None = option(
        None, "How many questions; 1, with --out as many as there are.", "N", min=1, show_default=False
    )
    out: Path | None = option(
        None,
        "Read answers from standard input (1 or 2, stars, or y, n, m for no matter; s to skip, q to stop) "
        "and add them to this file; each refits the user before the next question. What the file has of the "
        "user is history.",
        "PAIRS.jsonl",
        parser=new_file,
    )
    store: str | None = option(
        None, "Store of `synthesizeme profiles` that has the user's pairs and gets the answers.", "URL|PATH"
    )
    key_file: Path | None = option(None, "Key of an encrypted store.", "FILE")


@verb
def ask(options: AskOptions, common: CommonOptions) -> None:
    """Choose what to ask a user next: the questions whose answers are expected to tell most of their taste.

    Prints the questions, best first and none telling what another tells; --json for scripts. With --out it
    asks them one by one, records every answer and refits the user at once. The model is one of the
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
        kinds: Any = [kind.strip() for kind in options.kinds.split(",") if kind.strip()]
        interview = Interview(model, options.user, pool, history, kinds=kinds)
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


def _history(options: AskOptions, store: ProfileStore | None) -> list[Given]:
    """What the user said by every source, each once, nothing of the test split."""
    found: dict[tuple[str, str], Given] = {}
    recorded = options.out if options.out is not None and options.out.exists() else None
    for source in (options.history, recorded):
        if source is not None:
            file = read(source, user_id=options.user, feedback="alone")
            mine = [said for said in (*file.pairs, *file.feedback) if said.user_id == options.user]
            if source == options.history and not mine:
                say(f"Note: {printable(str(source))} has nothing of user {printable(options.user, 60)!r}.")
            found |= {_name(said): said for said in mine}
    if store is not None:
        stored = (*store.pairs(options.user), *store.feedback(options.user))
        found |= {_name(said): said for said in stored}
    return [said for said in found.values() if said.split != "test"]


def _name(said: Given) -> tuple[str, str]:
    """What no other pair, or no other feedback, of a user has."""
    from synthesizeme.types import PreferencePair

    return ("pair", said.pair_id) if isinstance(said, PreferencePair) else ("feedback", said.feedback_id)


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
    given: list[tuple[str, str]] = []
    skipped = 0
    while (options.n is None or len(given) < options.n) and (found := interview.next()):
        (question,) = found
        if not as_json:
            _show(question, len(given) + skipped + 1)
        answers = _answers(question.asked)
        choice = _choice(answers, interview.left)
        if choice == QUIT:
            break
        if choice == SKIP:
            interview.skip(question)
            skipped += 1
            continue
        said = interview.answer(question, answers[choice])
        _record(said, options, store)
        given.append(_name(said))
    facts: dict[str, Any] = {"answered": len(given), "skipped": skipped, "left": interview.left}
    if as_json:
        for noun, key in (("pair", "pairs"), ("feedback", "feedback")):
            facts[key] = [name for what, name in given if what == noun]
        print_json({"user_id": options.user, **facts})
    else:
        say(f"{count(len(given), 'answer')} recorded, {skipped} skipped, {interview.left:,} left.")


def _answers(question: Question) -> dict[str, Any]:
    """What can be answered, by the key that says it."""
    from synthesizeme.questions import ResponseQuestion, TraitQuestion

    if isinstance(question, TraitQuestion):
        return dict(LIKES)
    if isinstance(question, ResponseQuestion):
        lowest, highest = int(question.scale.lowest), int(question.scale.highest)
        return {str(stars): float(stars) for stars in range(lowest, highest + 1)}
    return dict(SIDES)


def _choice(answers: Mapping[str, Any], left: int) -> str:
    """What standard input says next; its end is the wish to stop."""
    while True:
        if sys.stdin.isatty():
            sys.stderr.write(f"{', '.join(answers)}, s (skip), q (stop)? [{left:,} left] ")
            sys.stderr.flush()
        line = sys.stdin.readline()
        if not line:
            return QUIT
        word = line.strip().lower()
        if word in answers or word in (SKIP, QUIT):
            return word
        say(f"Found {printable(word, 40)!r}; expected {', '.join(answers)}, s or q.")


def _record(said: Given, options: AskOptions, store: ProfileStore | None) -> None:
    """Keep an answer before the next question is asked."""
    from synthesizeme.datasets.jsonl import append
    from synthesizeme.types import PreferencePair

    if options.out is not None:
        append(options.out, said)
    if store is not None and isinstance(said, PreferencePair):
        store.add_pairs(options.user, [said])
    elif store is not None and not isinstance(said, PreferencePair):
        store.add_pairs(options.user, (), feedback=[said])


def _show(question: InterviewQuestion, number: int) -> None:
    from synthesizeme.questions import ResponseQuestion, TraitQuestion

    asked = question.asked
    so_far = "" if question.probability is None else f"; P(1) = {question.probability:.2f} so far"
    typer.echo(f"\n{number}. {question.bits:.3g} bits expected{so_far}")
    if isinstance(asked, TraitQuestion):
        typer.echo(f"{asked.text} y (yes), n (no), m (no matter)")
        return
    for message in asked.prompt:
        typer.echo(f"{message.role}: {_lines(message.content)}")
    if isinstance(asked, ResponseQuestion):
        typer.echo(f"--- {asked.scale.lowest:g} (worst) to {asked.scale.highest:g} (best)? ---")
        typer.echo(_lines(asked.response))
        return
    for key, text in (("1", asked.first), ("2", asked.second)):
        typer.echo(f"--- {key} ---\n{_lines(text)}")


def _lines(text: str) -> str:
    return "\n".join(printable(line) for line in text.splitlines())


def _plain(question: InterviewQuestion) -> dict[str, Any]:
    from synthesizeme.questions import ResponseQuestion, TraitQuestion

    asked, bits = question.asked, {"information_bits": question.bits}
    if isinstance(asked, TraitQuestion):
        return {"kind": "trait", "feature": asked.feature, "question": asked.text, **bits}
    prompt = [message.model_dump() for message in asked.prompt]
    if isinstance(asked, ResponseQuestion):
        scale = asked.scale.model_dump()
        return {"kind": "rating", "prompt": prompt, "response": asked.response, "scale": scale, **bits}
    return {
        "kind": "pair",
        "pair_id": asked.pair_id,
        "prompt": prompt,
        "first": asked.first,
        "second": asked.second,
        **bits,
        "probability_first": question.probability,
    }
