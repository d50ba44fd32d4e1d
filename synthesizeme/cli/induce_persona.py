"""``induce-persona``: from a file of pairs to profiles, prompts and personas, and how well they predict."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from synthesizeme.cli._groups import spread
from synthesizeme.cli._options import CommonOptions, JudgePrompt, ModelOptions, Seed, SkipBadRows, Theta
from synthesizeme.cli._text import count, id_list, print_json, printable, say

if TYPE_CHECKING:
    from synthesizeme.personas.workflow import InductionSettings, UserFailure, UserResult
    from synthesizeme.types import PreferencePair

    Users = Mapping[str, Sequence[PreferencePair]]


@spread
def induce_persona(
    pairs: Annotated[
        Path,
        typer.Argument(
            help="JSON Lines, .jsonl or .jsonl.gz: one TRL preference row plus user_id per line.",
            metavar="PAIRS",
        ),
    ],
    model: ModelOptions,
    common: CommonOptions,
    user: Annotated[str | None, typer.Option("--user", help="Induce this user.", metavar="ID")] = None,
    all_users: Annotated[bool, typer.Option("--all-users", help="Induce every user of the file.")] = False,
    out: Annotated[
        Path, typer.Option("--out", help="Folder for the files, one folder in it per user.", metavar="DIR")
    ] = Path("out"),
    budget_calls: Annotated[
        int | None,
        typer.Option(
            "--budget-calls",
            help="Most distinct calls of this run, shared evenly by its users. The induction may spend a "
            "user's whole share; the evaluation runs only if the rest pays for all of it.",
            min=1,
            metavar="N",
        ),
    ] = None,
    effort: Annotated[
        Literal["low", "medium", "high"],
        typer.Option(
            "--effort",
            help="Calls to spend: at most 60, 100, 160 for 10, 20, 40 pairs; low half, high twice.",
        ),
    ] = "medium",
    search: Annotated[
        Literal["economical", "paper"],
        typer.Option("--search", help="economical, or the plain search of the SynthesizeMe paper."),
    ] = "economical",
    seed: Seed = 0,
    baselines: Annotated[
        bool, typer.Option("--baselines", help="Also measure a memory judge and a demographics judge.")
    ] = False,
    no_evaluate: Annotated[bool, typer.Option("--no-evaluate", help="Do not measure on test pairs.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the calls, tokens and cost it would need; send nothing.")
    ] = False,
    skip_bad_rows: SkipBadRows = False,
    judge_prompt: JudgePrompt = "judge/default",
    theta: Theta = "persona/default",
) -> None:
    """Induce a user's persona from preference pairs and measure it on the user's held-out pairs.

    Writes profile.json, judge_prompt.json, generation_prompt.json and persona.md for each user. Rows
    without a split get a seeded 60/20/20 within the user. The default model, builtin, is a rule-based
    reader, not a language model. Exit status: 0 done, 1 failed, 2 wrong usage.
    """
    from synthesizeme.cli._session import check_model
    from synthesizeme.datasets import read_pairs
    from synthesizeme.personas.workflow import InductionSettings

    settings = InductionSettings(
        effort=effort, search=search, seed=seed, judge_prompt=judge_prompt, theta=theta,
        evaluate=not no_evaluate, baselines=baselines,
    )  # fmt: skip
    file = read_pairs(pairs, skip_bad_rows=skip_bad_rows)
    users = _choose(file.pairs, user, all_users=all_users, source=pairs)
    check_model(model)
    skipped = [str(problem) for problem in file.skipped]
    if skipped:
        listed = "".join(f"\n  {printable(problem)}" for problem in skipped)
        say(f"Left out {count(len(skipped), 'bad row')}:{listed}")
    if dry_run:
        _estimate(users, settings, model, budget_calls, as_json=common.json)
        return
    _check_place(out)
    extra = {"skipped_rows": skipped} if skip_bad_rows else {}
    _induce(users, settings, model, budget_calls, out, all_users=all_users, as_json=common.json, extra=extra)


def _choose(pairs: Sequence[PreferencePair], user: str | None, *, all_users: bool, source: Path) -> Users:
    """The users to induce, in the order in which they first occur.

    Raises:
        ConfigError: there are several and the flags choose none, or the one asked for is not there.
    """
    from synthesizeme.errors import ConfigError

    if user is not None and all_users:
        raise ConfigError("--user and --all-users exclude each other")
    users: dict[str, list[PreferencePair]] = {}
    for pair in pairs:
        users.setdefault(pair.user_id, []).append(pair)
    if user is not None:
        if user not in users:
            raise ConfigError(f"{source} has no user {printable(user, 60)!r}. Its users: {id_list(users)}")
        return {user: users[user]}
    if len(users) > 1 and not all_users:
        raise ConfigError(
            f"{source} has {len(users)} users; name one with --user ID, or take them --all-users. "
            f"Its users: {id_list(users)}"
        )
    return users


def _check_place(out: Path) -> None:
    """Refuse a folder that cannot be written before any call is made.

    Raises:
        ConfigError: it is a file, or below one, or may not be written.
    """
    from synthesizeme.errors import ConfigError

    place = out.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir():
        raise ConfigError(f"--out {out}: {place} is a file; expected a folder")
    if not os.access(place, os.W_OK | os.X_OK):
        raise ConfigError(
            f"--out {out}: {place} cannot be written; name another folder or change its permissions"
        )


def _estimate(
    users: Users, settings: InductionSettings, model: ModelOptions, budget: int | None, *, as_json: bool
) -> None:
    from synthesizeme.cli._results import estimate_json, show_estimate
    from synthesizeme.personas.estimate import estimate_users, list_price

    found = estimate_users(list(users.values()), settings, budget_calls=budget, max_tokens=model.max_tokens)
    prices = [
        (list_price(model.model, induction, api_base=model.api_base),
         list_price(model.model, evaluation, api_base=model.api_base))
        for induction, evaluation in found
    ]  # fmt: skip
    if as_json:
        print_json(estimate_json(list(users), found, prices))
    else:
        show_estimate(list(users), found, prices, model.model)


def _induce(
    users: Users,
    settings: InductionSettings,
    model: ModelOptions,
    budget: int | None,
    out: Path,
    *,
    all_users: bool,
    as_json: bool,
    extra: Mapping[str, object],
) -> None:
    from synthesizeme.cli._progress import ProgressDisplay
    from synthesizeme.cli._results import failure_json, pooled_json, result_json, show_pooled, show_result
    from synthesizeme.cli._session import open_session
    from synthesizeme.errors import SynthesizeMeError
    from synthesizeme.personas.workflow import UserFailure, induce_user, induce_users

    done: list[tuple[UserResult, dict[str, Path]]] = []
    failed: list[UserFailure] = []
    with ProgressDisplay() as display, open_session(model, display) as session:
        order = list(users)
        display.label(order[0], 1, len(order))
        if all_users:
            results = induce_users(session, users, settings, budget_calls=budget)
        else:
            results = iter([induce_user(session, users[order[0]], settings, budget_calls=budget)])
        for position, result in enumerate(results, 1):
            display.clear()
            if isinstance(result, UserFailure):
                failed.append(result)
                say(f"Error: user {printable(result.user_id, 60)}: {printable(result.error)}")
            else:
                files = _write(out, result, settings)
                done.append((result, files))
                if as_json:
                    for note in result.notes:
                        say(f"Note: user {printable(result.user_id, 60)}: {printable(note)}")
                else:
                    show_result(result, files, session.model)
            if position < len(order):
                display.label(order[position], position + 1, len(order))
    if as_json:
        whole: dict[str, object] = {"users": [result_json(result, files) for result, files in done]}
        if all_users:
            whole["pooled"] = pooled_json([result for result, _ in done])
            whole["failed"] = [failure_json(failure) for failure in failed]
        print_json(whole | dict(extra))
    elif all_users:
        show_pooled([result for result, _ in done])
    if failed:
        raise SynthesizeMeError(f"{len(failed)} of {count(len(order), 'user')} failed; the others are done")


def _write(out: Path, result: UserResult, settings: InductionSettings) -> dict[str, Path]:
    """Write the user's files; keys are the names under ``files`` in the JSON output."""
    from synthesizeme.personas.documents import generation_prompt_json, judge_prompt_json, persona_markdown
    from synthesizeme.personas.store import save_profile
    from synthesizeme.prompts import load_prompt

    profile = result.profile
    documents = {
        "judge_prompt.json": judge_prompt_json(profile, load_prompt(settings.judge_prompt)),
        "generation_prompt.json": generation_prompt_json(profile),
        "persona.md": persona_markdown(profile),
    }
    if result.outcomes:
        documents["evaluation.json"] = result.report(seed=settings.seed).to_json()
    paths = save_profile(out, profile, documents)
    return {Path(name).stem: path for name, path in paths.items()}
