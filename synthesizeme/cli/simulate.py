"""``simulate``: role-played or planted users answer pairs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthesizeme.cli._command import option, verb
from synthesizeme.cli._model_options import ModelOptions
from synthesizeme.cli._options import FORCE, SEED, CommonOptions, new_file
from synthesizeme.cli._output import check_apart, tell
from synthesizeme.errors import ConfigError, DataError
from synthesizeme.plain_text import count, printable
from synthesizeme.progress import replies

if TYPE_CHECKING:
    from synthesizeme.profile import UserProfile
    from synthesizeme.simulation.respondents import Simulated
    from synthesizeme.types import Usage


@dataclass(frozen=True)
class SimulationOptions:
    """Who answers what."""

    out: Path = option(..., "File of pairs to write.", "PAIRS.jsonl", parser=new_file)
    pool: Path | None = option(
        None,
        "What is asked: rows with prompt, first and second, or pairs, whose labels are not read.",
        "POOL.jsonl",
    )
    personas: Path | None = option(
        None,
        'Who is played: rows {"user_id", "persona"} in words, a profile.json, or a folder that '
        "induce-persona wrote.",
        "FILE|DIR",
    )
    planted: int | None = option(
        None,
        "So many users with planted tastes instead, who answer planted pairs; asks no model.",
        "N",
        min=1,
    )
    pairs_per_user: int | None = option(
        None,
        "Comparisons put to each user, drawn from the pool; all of it, with --planted 20.",
        "N",
        min=1,
        show_default=False,
    )
    noise: float = option(
        0.0,
        "Temperature of the choices: 0 takes what the user says, 1 draws from how sure they are.",
        "T",
        min=0,
    )
    play_prompt: str = option(
        "simulation/default", "Prompt that makes the model the user: a name, or a file."
    )
    seed: int = SEED()
    force: bool = FORCE()


@verb
def simulate(options: SimulationOptions, model: ModelOptions, common: CommonOptions) -> None:
    """Let simulated users answer pairs: personas in words, played by a model, or planted tastes.

    Every comparison is asked in both orders; ties and failures make no pair and are counted. The pairs say in
    `metadata.simulated` who answered, and user ids begin with "simulated:". Reports never mix them with
    people's.
    """
    from synthesizeme.datasets import write_pairs

    _check(options)
    found, usage = _planted(options) if options.planted is not None else _played(options, model)
    if not found.pairs:
        raise DataError(
            f"none of {count(found.asked, 'comparison')} got a choice: {_without(found)}",
            cure="check the model, or the personas",
        )
    write_pairs(options.out, found.pairs, overwrite=options.force)
    facts: dict[str, Any] = {
        "respondents": "simulated",
        "users": len({pair.user_id for pair in found.pairs}),
        "pairs": len(found.pairs),
        **found.model_dump(exclude={"pairs"}),
        "usage": None if usage is None else usage.model_dump(),
        "out": str(options.out),
    }
    same = "" if found.consistent is None else f", {100 * found.consistent:.0f} % the same in both orders"
    lines = [
        f"{count(facts['users'], 'simulated user')}: {count(found.asked, 'comparison')}, "
        f"{count(len(found.pairs), 'choice')}, {_without(found)}{same}."
    ]
    if usage is not None:
        calls = f"{count(usage.distinct_calls, 'call')} ({usage.cached_calls} cached)"
        lines.append(f"{', '.join([calls, *replies(usage)])}.")
    tell(common.json, facts, [*lines, f"Written to {printable(str(options.out))}."])


def _check(options: SimulationOptions) -> None:
    problems = []
    if (options.personas is None) == (options.planted is None):
        problems.append("give --personas FILE|DIR or --planted N, and not both")
    if options.personas is not None and options.pool is None:
        problems.append("--pool POOL.jsonl is missing: what the users are asked about")
    if options.planted is not None and options.pool is not None:
        problems.append("--planted users can value planted texts only; leave out --pool")
    if problems:
        raise ConfigError(problems)
    check_apart("--out", options.out, pool=options.pool, personas=options.personas)


def _planted(options: SimulationOptions) -> tuple[Simulated, Usage | None]:
    from synthesizeme.simulation.pool import pool_of
    from synthesizeme.simulation.respondents import planted_respondents, simulate

    number = options.pairs_per_user or 20
    respondents, users, pool = planted_respondents(int(options.planted or 0), number, seed=options.seed)
    made_by = {user: {"by": respondents.name, "persona": user} for user in users}
    return simulate(respondents, made_by, pool_of(pool), noise=options.noise, seed=options.seed), None


def _played(options: SimulationOptions, model: ModelOptions) -> tuple[Simulated, Usage]:
    from synthesizeme.cli._model_options import check_model, open_session
    from synthesizeme.progress import ProgressDisplay
    from synthesizeme.prompts import load_prompt
    from synthesizeme.simulation.pool import read_pool
    from synthesizeme.simulation.respondents import played_by, role_played, simulate

    check_model(model)
    personas, pool = _personas(Path(str(options.personas))), read_pool(Path(str(options.pool)))
    prompt = load_prompt(options.play_prompt)
    with ProgressDisplay() as display, open_session(model, display) as session:
        display.label(count(len(personas), "simulated user"), 1, 1)
        ledger = session.ledger()
        found = simulate(
            role_played(ledger, personas, prompt),
            played_by(ledger, personas, prompt),
            pool,
            per_user=options.pairs_per_user,
            noise=options.noise,
            seed=options.seed,
        )
    return found, ledger.usage


def _personas(path: Path) -> dict[str, UserProfile]:
    """Who is played: a file of personas in words, one profile, or a folder of them."""
    from synthesizeme.profiles import open_profiles
    from synthesizeme.simulation.respondents import read_personas

    if path.is_dir() or path.suffix == ".json":
        with open_profiles(path) as profiles:
            return dict(profiles)
    return read_personas(path)


def _without(found: Simulated) -> str:
    failed = ", ".join(f"{kind} {number}" for kind, number in found.failures.items()) or "0"
    return f"{count(found.ties, 'tie')}, failures {failed}"
