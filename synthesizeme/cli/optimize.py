"""``prompts optimize``: a better persona-writing prompt, searched over many users."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import typer

from synthesizeme.cli._groups import spread
from synthesizeme.cli._options import CommonOptions, Force, ModelOptions, Seed, SkipBadRows, Theta, new_file
from synthesizeme.cli._pairs_input import read
from synthesizeme.cli._places import check_replaceable, tells
from synthesizeme.cli._text import print_json, say
from synthesizeme.plain_text import count, printable


@spread
def optimize(
    data: Annotated[Path, typer.Option("--data", help="Pairs of six users or more.", metavar="PAIRS")],
    model: ModelOptions,
    common: CommonOptions,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            help="JSON file of all versions; give it to --theta.",
            metavar="FILE.json",
            parser=new_file,
        ),
    ] = Path("theta.json"),
    optimizer: Annotated[
        Literal["mipro", "gepa"], typer.Option("--optimizer", help="MIPROv2 or GEPA, both of DSPy.")
    ] = "mipro",
    prompt_model: Annotated[
        str | None,
        typer.Option(
            "--prompt-model",
            help="Model that proposes instructions, if not the one that writes and judges. The builtin "
            "reader proposes from a short fixed list.",
            metavar="MODEL",
        ),
    ] = None,
    trials: Annotated[int, typer.Option("--trials", help="Instructions to try.", min=1, metavar="N")] = 8,
    seed: Seed = 0,
    theta: Theta = "persona/default",
    skip_bad_rows: SkipBadRows = False,
    force: Force = False,
) -> None:
    """Search for a better persona-writing prompt (Theta) with DSPy's MIPROv2 or GEPA.

    Users are split in three: one part to propose from, one to choose with, one held out for the score before
    and after. The versions found are kept in one JSON file.
    """
    from synthesizeme.cli._session import check_model, model_of, open_session
    from synthesizeme.datasets import assign_splits, by_user
    from synthesizeme.files import write_whole
    from synthesizeme.personas.optimize import optimize_theta, theta_document
    from synthesizeme.progress import ProgressDisplay
    from synthesizeme.prompts import load_prompt

    check_model(model)
    base = load_prompt(theta)
    check_replaceable(out, force=force, own=theta == str(out) or tells(out, name=base.name))
    split, _ = assign_splits(read(data, skip_bad_rows=skip_bad_rows).pairs, seed=seed)
    proposer = model_of(replace(model, model=prompt_model)) if prompt_model else None
    with ProgressDisplay() as display, open_session(model, display) as session:
        display.label("optimising the persona prompt", 1, 1)
        found = optimize_theta(
            session, by_user(split), optimizer=optimizer, proposer=proposer,
            theta=theta, trials=trials, seed=seed,
        )  # fmt: skip
    previous = Path(theta).read_text(encoding="utf-8") if theta.endswith(".json") else None
    write_whole(out, theta_document(previous, base, found))
    if common.json:
        print_json({"file": str(out), "prompt_id": found.theta.prompt_id, **found.record})
        return
    held_out = found.record["held_out"]
    for when in ("before", "after"):
        micro, low, high = (100 * held_out[when][name] for name in ("micro", "low", "high"))
        size = f"{count(held_out[when]['n_pairs'], 'pair')} of {count(held_out[when]['n_users'], 'user')}"
        sys.stdout.write(f"{when:6}  {micro:.1f} % [{low:.1f}, {high:.1f}] on {size} held out\n")
    value, low, high = (100 * held_out["gain"][name] for name in ("value", "low", "high"))
    changed = "a new version" if found.record["changed"] else "no better instruction was found"
    sys.stdout.write(f"gain    {value:+.1f} points [{low:+.1f}, {high:+.1f}]; {changed}\n")
    say(f"{count(found.record['calls'], 'distinct call')}. Written: {printable(str(out))}")
