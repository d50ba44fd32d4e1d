"""``export``: a trained reward model in a form that other programs load."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from synthesizeme.cli._groups import spread
from synthesizeme.cli._options import CommonOptions, folder
from synthesizeme.cli._places import check_writable
from synthesizeme.cli._text import print_json, printable
from synthesizeme.errors import ConfigError

BACKBONE = "backbone"
IMPERSONAL = ("bradley-terry",)
IN_WORDS = ("persona-prompted",)
"""Methods whose backbone knows the user by words before the prompt."""


@dataclass(frozen=True)
class ExportOptions:
    """What is exported, how and where to."""

    out: Annotated[Path, typer.Argument(help="Folder to write.", metavar="DIR", parser=folder)]
    model: Annotated[
        Path, typer.Option("--model", help="Checkpoint folder of `synthesizeme train`.", metavar="DIR")
    ]
    to: Annotated[
        Literal["hf"],
        typer.Option(
            "--to",
            help="hf: a one-label sequence classifier for transformers and vLLM; the logit is the reward.",
        ),
    ] = "hf"


@spread
def export(options: ExportOptions, common: CommonOptions) -> None:
    """Export a reward model whose backbone stands alone: a folder that transformers and vLLM load.

    The reward is the logit: switch activations off (function_to_apply="none", or use_activation false). It is
    taste alone, without the floor on which the model stands here.
    """
    from reward_models import load

    model = load(options.model)
    if model.name not in (*IMPERSONAL, *IN_WORDS):
        raise ConfigError(
            f"--model {options.model}: {model.name} is no sequence classifier by itself; these can be "
            f"exported: {', '.join((*IMPERSONAL, *IN_WORDS))}. Serve it with `synthesizeme serve`"
        )
    check_writable(options.out)
    if options.out.exists() and any(options.out.iterdir()):
        raise ConfigError(f"{options.out}: holds files; name a new folder")
    shutil.copytree(options.model / BACKBONE, options.out, dirs_exist_ok=True)
    facts = {"method": model.name, "to": options.to, "out": str(options.out)}
    if common.json:
        print_json(facts)
        return
    typer.echo(f"{model.name} written to {printable(str(options.out))}.")
    if model.name in IN_WORDS:
        typer.echo("It knows a user by the persona before the prompt; without one it answers for nobody.")
