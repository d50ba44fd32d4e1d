"""``prompts``: the shipped prompt files, and the search for a better one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from synthesizeme.cli._command import argument, option, verb
from synthesizeme.cli._model_options import ModelOptions
from synthesizeme.cli._options import FORCE, SEED, SKIP_BAD_ROWS, THETA, CommonOptions, new_file
from synthesizeme.cli._output import check_replaceable, say, tell, tells
from synthesizeme.cli._pairs import read
from synthesizeme.plain_text import count, printable


@verb
def list_prompts(common: CommonOptions) -> None:
    """List the shipped prompts with their versions."""
    from synthesizeme.prompts import load_prompt, prompt_names

    found = {name: load_prompt(name) for name in prompt_names()}
    listed = [{"name": name, "version": it.version, "id": it.prompt_id} for name, it in found.items()]
    lines = (f"{name}  version {it.version}  {it.prompt_id}" for name, it in found.items())
    tell(common.json, {"prompts": listed}, lines)


@verb
def show(
    common: CommonOptions, name: str = argument(..., "A name of `prompts list`, or a prompt file.", "NAME")
) -> None:
    """Print a prompt, section by section."""
    from synthesizeme.prompts import load_prompt

    prompt = load_prompt(name)
    document = {
        "name": prompt.name, "version": prompt.version, "id": prompt.prompt_id,
        "variables": sorted(prompt.variables), "sections": dict(prompt.sections),
    }  # fmt: skip
    variables = ", ".join(sorted(prompt.variables))
    sections = "\n\n".join(f"## {section}\n{text}" for section, text in prompt.sections.items())
    head = f"---\nname: {prompt.name}\nversion: {prompt.version}\nvariables: {variables}\n---"
    tell(common.json, document, [head, sections])


@verb
def optimize(
    model: ModelOptions,
    common: CommonOptions,
    data: Path = option(..., "Pairs of six users or more.", "PAIRS"),
    out: Path = option(
        Path("theta.json"), "JSON file of all versions; give it to --theta.", "FILE.json", parser=new_file
    ),
    optimizer: Literal["mipro", "gepa"] = option("mipro", "MIPROv2 or GEPA, both of DSPy."),
    prompt_model: str | None = option(
        None,
        "Model that proposes instructions, if not the one that writes and judges. The builtin reader "
        "proposes from a short fixed list.",
        "MODEL",
    ),
    trials: int = option(8, "Instructions to try.", "N", min=1),
    seed: int = SEED(),
    theta: str = THETA(),
    skip_bad_rows: bool = SKIP_BAD_ROWS(),
    force: bool = FORCE(),
) -> None:
    """Search for a better persona-writing prompt (Theta) with DSPy's MIPROv2 or GEPA.

    Users are split in three: one part to propose from, one to choose with, one held out for the score before
    and after. The versions found are kept in one JSON file.
    """
    from synthesizeme.cli._model_options import check_model, model_of, open_session
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
    tell(
        common.json,
        {"file": str(out), "prompt_id": found.theta.prompt_id, **found.record},
        _told(found.record),
    )
    say(f"{count(found.record['calls'], 'distinct call')}. Written: {printable(str(out))}")


def _told(record: Mapping[str, Any]) -> Iterator[str]:
    """The scores on held-out users, before and after."""
    held_out = record["held_out"]
    for when in ("before", "after"):
        micro, low, high = (100 * held_out[when][name] for name in ("micro", "low", "high"))
        size = f"{count(held_out[when]['n_pairs'], 'pair')} of {count(held_out[when]['n_users'], 'user')}"
        yield f"{when:6}  {micro:.1f} % [{low:.1f}, {high:.1f}] on {size} held out"
    value, low, high = (100 * held_out["gain"][name] for name in ("value", "low", "high"))
    changed = "a new version" if record["changed"] else "no better instruction was found"
    yield f"gain    {value:+.1f} points [{low:+.1f}, {high:+.1f}]; {changed}"


HELP = "List and show the prompts, or optimise the persona prompt."
VERBS = {"list": list_prompts, "show": show, "optimize": optimize}
