"""``score``: rewards and margins of rows on standard input, for one user or for the user each row names."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import typer

from synthesizeme.cli._command import option, verb
from synthesizeme.cli._options import ENGINE, WORKERS, CommonOptions
from synthesizeme.cli._output import print_json, reserve, say, stream
from synthesizeme.cli._pairs import COLUMNS, FILE_OF_WORDS, KINDS, read, read_about, say_unread
from synthesizeme.cli._reward_options import CHECKPOINT, MAX_ERROR, FloorOptions, ShapeOptions, opened
from synthesizeme.errors import ConfigError, DataError
from synthesizeme.plain_text import count, id_list, printable

if TYPE_CHECKING:
    from reward_models import RewardModel
    from synthesizeme.cli._score_rows import AskedRow
    from synthesizeme.evaluation.selective import Abstainer
    from synthesizeme.profile import OwnTaste
    from synthesizeme.serving.rewards import ScalarRewards
    from synthesizeme.types import Evidence


SOURCE = "standard input"


@dataclass(frozen=True)
class ScoringOptions:
    """Who scores what for whom."""

    reward_model: Path | None = CHECKPOINT()
    user: str | None = option(None, "Whose taste counts in rows without user_id.", "ID")
    history: Path | None = option(
        None,
        f"Pairs to fit the user to first; without --user, every user of them. {KINDS}. The "
        "checkpoint stays as it is. Rows of the test split are left out; rows that name no user are of "
        "--user.",
        "PAIRS",
    )
    columns: list[str] | None = COLUMNS()
    about: Path | None = option(
        None,
        "What users said beside their choices, to fit them to with their --history or alone; whom "
        f"the checkpoint knows keeps what was learned, unless in --history. {FILE_OF_WORDS} A text is "
        "of --user, if given.",
        "FILE",
    )
    engine: Literal["local", "ray"] = ENGINE()
    workers: int | None = WORKERS()
    unknown_user: Literal["population", "refuse"] | None = option(
        None,
        "What a user gets that the model does not know: the answer of the population, or none. By "
        "default as the model was trained.",
    )
    max_error: float | None = MAX_ERROR()
    weights: bool = option(
        False,
        "Print in what --user differs from most people, if in anything, and what is liked as most "
        "people do; read no rows.",
    )
    on_error: Literal["stop", "skip"] = option(
        "stop", "Stop at a row that cannot be scored, or print a line with its error and go on."
    )
    batch_size: int = option(
        256, "Rows scored and printed at a time; 1 answers each row as it comes.", "N", min=1
    )


@verb
def score(options: ScoringOptions, shape: ShapeOptions, floor: FloorOptions, common: CommonOptions) -> None:
    """Score rows of standard input with a trained model: one JSON object per line in, one per line out.

    A row is {"prompt", "response"} for a reward, or {"prompt", "chosen", "rejected"} or {"prompt", "first",
    "second"} for the margin of the former over the latter; prompts and responses are text or messages. A row
    may name its own user_id, and its id or pair_id comes back with the answer. Its "about", what the user
    said beside choices (text, or an object with wishes, answers and so on), makes known whom the model does
    not know. Order is kept, and memory does not grow with the number of rows. Without --reward-model the
    population that is shipped answers; with --history it scores for a new user without any training.

    A reward is told as its value, taste (what is learned from choices) and floor (0 for what answers the
    prompt, far below for what does not); a margin has the floors of both. value is taste + floor, unless it
    is cautious or normalised.

    With --max-error the rows of the split validation of --history are not fitted to: they say from which
    confidence on a margin is answered. Other rows of two responses get prefers null and status abstained.
    """
    from reward_models import use_engine
    from synthesizeme.serving.loaded import load_reward_model

    if options.weights and options.user is None:
        raise ConfigError("--weights needs --user ID")
    if options.max_error is not None and options.history is None:
        raise ConfigError("--max-error needs --history PAIRS, whose validation rows set the threshold")
    if not options.weights:
        reserve()
    model = opened(options.reward_model)
    loaded = load_reward_model(model, unknown_user=options.unknown_user, floor=floor.name, **shape.settings())
    abstainer = None
    if options.history is not None or options.about is not None:
        with use_engine(options.engine, options.workers):
            abstainer = _fit_users(model, options)
    known = frozenset(model.users)
    if options.weights:
        show_own_taste(model, str(options.user), as_json=common.json)
        return
    if options.user is not None and options.user not in known:
        _say_unknown(loaded.rewards.settings.unknown_user, options.user, known)
    if sys.stdin.isatty():
        say("Reading rows from the terminal, one JSON object per line.")
    failed, read = 0, 0
    for line in _lines(loaded.rewards, options, abstainer):
        read += 1
        failed += "error" in line
        stream().write(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n")
        if read % options.batch_size == 0:
            stream().flush()
    if abstainer is not None:
        say(abstainer.selection.in_words())
    if failed:
        say(f"{failed:,} of {count(read, 'row')} could not be scored; their lines carry an error.")


def _lines(
    rewards: ScalarRewards, options: ScoringOptions, abstainer: Abstainer | None = None
) -> Iterator[dict[str, Any]]:
    """One object per row, in the order of the rows.

    Raises:
        DataError: a row is bad and errors are not skipped; the rows before it have been answered.
    """
    from synthesizeme.cli._score_rows import asked_rows
    from synthesizeme.datasets.rows import json_stream

    batch: list[AskedRow | DataError] = []
    rows = asked_rows(json_stream(sys.stdin.buffer, SOURCE), options.user)
    for item in rows:
        if isinstance(item, DataError) and options.on_error == "stop":
            yield from _answered(rewards, batch, options.on_error, abstainer)
            raise item
        batch.append(item)
        if len(batch) == options.batch_size:
            yield from _answered(rewards, batch, options.on_error, abstainer)
            batch = []
    yield from _answered(rewards, batch, options.on_error, abstainer)


def _answered(
    rewards: ScalarRewards, batch: Sequence[AskedRow | DataError], on_error: str, abstainer: Abstainer | None
) -> list[dict[str, Any]]:
    from synthesizeme.cli._score_rows import answers

    asked = [item for item in batch if not isinstance(item, DataError)]
    try:
        given = iter(answers(rewards, asked, abstainer))
    except DataError as error:
        if on_error == "stop":
            raise
        if len(batch) == 1:
            return [_error(asked[0].line, error)]
        return [line for item in batch for line in _answered(rewards, [item], on_error, abstainer)]
    return [_error(item.line, item) if isinstance(item, DataError) else next(given) for item in batch]


def _error(line: int | None, error: DataError) -> dict[str, Any]:
    return {"line": line, "error": type(error).__name__, "detail": str(error)}


def _fit_users(model: RewardModel, options: ScoringOptions) -> Abstainer | None:
    """Fit users to the pairs of --history and the words of --about; all of them are said.

    Returns:
        With --max-error what says which comparisons are answered.

    Raises:
        DataError: a file cannot be read, has nothing of anybody who is asked about, or with --max-error too
            few validation pairs that the model has not seen.
    """
    from synthesizeme.serving.users import fit_users

    user = options.user
    pairs = None
    if options.history is not None:
        pairs = read(options.history, columns=options.columns, user_id=user).pairs
    words = read_about(options.about, user=user)
    if words and not model.reads_words:
        say_unread(model.name)
    found = fit_users(
        model, pairs, words, user=user, max_error=options.max_error,
        sources=(str(options.history), str(options.about)),
    )  # fmt: skip
    if found.known:
        say(
            f"Note: {id_list(found.known)} known from training, whose pairs are not here: their words alone "
            "would say less. Give them --history too."
        )
    for name, history in found.histories.items():
        what = [count(len(history), "pair")] if history else []
        what += ["their own words"] if name in found.words else []
        left_out = found.left_out[name]
        also = f"; {count(left_out, 'test pair')} left out" if left_out else ""
        say(f"Fitted user {printable(name, 60)!r} to {' and '.join(what) or 'nothing'}{also}.")
    return found.abstainer


def _say_unknown(unknown_user: str, user: str, known: frozenset[str]) -> None:
    from synthesizeme.serving.loaded import meant

    what = "is refused" if unknown_user == "refuse" else "gets the answer of the population"
    say(f"Note: the model does not know user {printable(user, 60)!r}, who {what}.{meant(user, known)}")


MOST = 20
"""Items of each block."""


def show_own_taste(model: RewardModel, user: str, *, as_json: bool) -> None:
    """Print what sets a user apart, and, of a user who is set apart, what is liked as most people do.

    Raises:
        ConfigError: the model has no named weights.
        DataError: the model does not know the user.
    """
    from synthesizeme.serving.loaded import own_taste

    found = own_taste(model, user)
    if as_json:
        print_json(_document(user, found))
        return
    chance = f"p = {found.p_value:.3f}: how often somebody who chooses as anybody does would differ as much"
    if not found.set_apart:
        typer.echo(f"Nothing yet that sets this user apart from most people ({chance}).")
        return
    typer.echo(f"More than most people ({chance})")
    for item in found.own[:MOST]:
        typer.echo(f"  prefers {printable(item.statement)}: {_numbers(item)}")
    if not found.own:
        typer.echo("  no single feature is clear")
    if found.common:
        typer.echo("Like most people")
    for item in found.common[:MOST]:
        typer.echo(f"  prefers {printable(item.statement)}: {_numbers(item)}")


def _document(user: str, found: OwnTaste) -> dict[str, object]:
    from synthesizeme.profile import APART_LEVEL

    own, common = (
        [item.model_dump(mode="json") for item in items[:MOST]] for items in (found.own, found.common)
    )
    test = {"p_value": found.p_value, "level": APART_LEVEL, "set_apart": found.set_apart}
    return {"user_id": user, "test": test, "weights": own, "like_most_people": common}


def _numbers(item: Evidence) -> str:
    others = "" if item.population is None else f"; most people {item.population:+.2f}"
    pairs = f"; pairs {', '.join(printable(name, 40) for name in item.pair_ids)}" if item.pair_ids else ""
    return f"{item.weight:+.2f} ± {item.standard_error:.2f} ({printable(item.feature)}{others}{pairs})"
