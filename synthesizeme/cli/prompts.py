"""``prompts``: the shipped prompt files."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from synthesizeme.cli._groups import spread
from synthesizeme.cli._options import CommonOptions
from synthesizeme.cli._text import print_json
from synthesizeme.cli.optimize import optimize


def app() -> typer.Typer:
    """The group of prompt verbs."""
    group = typer.Typer(
        help="List and show the prompts, or optimise the persona prompt.", no_args_is_help=True
    )
    group.command("list")(list_prompts)
    group.command("show")(show)
    group.command("optimize")(optimize)
    return group


@spread
def list_prompts(common: CommonOptions) -> None:
    """List the shipped prompts with their versions."""
    from synthesizeme.prompts import load_prompt, prompt_names

    found = {name: load_prompt(name) for name in prompt_names()}
    if common.json:
        print_json(
            {
                "prompts": [
                    {"name": name, "version": it.version, "id": it.prompt_id} for name, it in found.items()
                ]
            }
        )
        return
    for name, prompt in found.items():
        typer.echo(f"{name}  version {prompt.version}  {prompt.prompt_id}")


@spread
def show(
    name: Annotated[str, typer.Argument(help="A name of `prompts list`, or a prompt file.", metavar="NAME")],
    common: CommonOptions,
) -> None:
    """Print a prompt, section by section."""
    from synthesizeme.prompts import load_prompt

    prompt = load_prompt(name)
    if common.json:
        print_json(
            {
                "name": prompt.name,
                "version": prompt.version,
                "id": prompt.prompt_id,
                "variables": sorted(prompt.variables),
                "sections": dict(prompt.sections),
            }
        )
        return
    variables = ", ".join(sorted(prompt.variables))
    sections = "\n\n".join(f"## {section}\n{text}" for section, text in prompt.sections.items())
    sys.stdout.write(
        f"---\nname: {prompt.name}\nversion: {prompt.version}\nvariables: {variables}\n---\n{sections}\n"
    )
