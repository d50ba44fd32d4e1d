"""``vectors extract``: from a trait to a direction at every layer of a policy."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from synthesizeme.cli._groups import spread
from synthesizeme.cli._options import CommonOptions, ModelOptions, folder
from synthesizeme.cli._places import check_replaceable, check_writable
from synthesizeme.cli._text import print_json
from synthesizeme.cli._vectors_options import (
    AnsweringOptions,
    PolicyOptions,
    Scorer,
    caution,
    check_scorer,
    open_asking,
    open_scorers,
)
from synthesizeme.errors import ConfigError
from synthesizeme.plain_text import printable

if TYPE_CHECKING:
    from reward_models.persona_vectors import Decoder, PersonaVectors, Rollout, Trait

TRAIT, ROLLOUTS = "trait.md", "rollouts.jsonl"


@dataclass(frozen=True)
class ExtractionOptions:
    """What is extracted, from what, and where to."""

    trait: Annotated[
        str,
        typer.Option(
            "--trait", help="excitement, flattery, padding, or a trait file of your own.", metavar="NAME|FILE"
        ),
    ]
    out: Annotated[Path, typer.Option("--out", help="Folder to write.", metavar="DIR", parser=folder)]
    description: Annotated[
        str | None,
        typer.Option(
            "--description",
            help="Have --model write the artifact of a new trait, named by --trait, from these words.",
            metavar="TEXT",
        ),
    ] = None
    rollouts: Annotated[
        Path | None,
        typer.Option(
            "--rollouts",
            help="Answers that are there and scored already (rollouts.jsonl of an earlier run). Those that "
            "name another model than --policy are refused; those that name none are taken as its own.",
            metavar="FILE",
        ),
    ] = None
    scorer: Scorer = "judge"
    samples: Annotated[
        int,
        typer.Option(
            "--samples", help="Answers to each question under each instruction.", min=1, metavar="N"
        ),
    ] = 1
    layer: Annotated[
        int | None,
        typer.Option(
            "--layer",
            help="Layer, from 1; without it the layers are tried by steering. One above the last is read "
            "after the final norm, and not steered.",
            metavar="N",
        ),
    ] = None
    alpha: Annotated[
        float,
        typer.Option("--alpha", help="Multiple of the vector at which layers are tried.", metavar="A"),
    ] = 1.0


@spread
def extract(
    options: ExtractionOptions,
    policy: PolicyOptions,
    answering: AnsweringOptions,
    model: ModelOptions,
    common: CommonOptions,
) -> None:
    """Take the direction of a trait at every layer of a language model.

    The policy answers the trait's extraction questions under opposite instructions; the answers are scored
    for the trait and for coherence, and the difference of mean activations between the sides is taken from
    pairs that show what was asked for. The layer is the one at which steering does most.
    """
    if options.rollouts is None or options.layer is None:
        check_scorer(options.scorer, model)
    if not (math.isfinite(options.alpha) and options.alpha > 0):
        raise ConfigError(f"--alpha {options.alpha:g}: expected a finite number above 0")
    _check_place(options.out)
    trait = _trait(options, model)
    decoder = policy.open()
    if options.layer is not None:
        from reward_models.persona_vectors.vectors import check_readable

        check_readable(options.layer, decoder.layers, f"--policy {policy.policy}")
    found, rows = _extracted(options, trait, decoder, answering, model)
    _write(options.out, trait, found, rows)
    _show(found, len(rows) // 2, options.out, as_json=common.json)


def _check_place(out: Path) -> None:
    from reward_models.persona_vectors.vectors import LAYOUT

    check_writable(out)
    check_replaceable(out, LAYOUT.document, "persona vectors")


def _trait(options: ExtractionOptions, model: ModelOptions) -> Trait:
    from reward_models.persona_vectors import ask_for_trait, load_trait

    if options.description is None:
        return load_trait(options.trait)
    if model.model == "builtin" and model.api_base is None:
        raise ConfigError("--description needs a language model that writes; name one with --model")
    with open_asking(model) as ask:
        return ask_for_trait(options.trait, options.description, ask)


def _extracted(
    options: ExtractionOptions,
    trait: Trait,
    decoder: Decoder,
    answering: AnsweringOptions,
    model: ModelOptions,
) -> tuple[PersonaVectors, list[Rollout]]:
    from reward_models.persona_vectors import choose_layer, collect, extract, keep, read_rollouts
    from reward_models.persona_vectors.rollouts import asked

    speak = decoder.speaker(**answering.document())
    if options.rollouts is not None and options.layer is not None:
        rows = read_rollouts(options.rollouts)
        return extract(decoder, trait.name, *keep(rows)).chosen(options.layer), rows
    with open_scorers(options.scorer, trait, model) as scorers:
        if options.rollouts is not None:
            rows = read_rollouts(options.rollouts)
        else:
            rows = collect(trait, speak, scorers.trait, scorers.coherence, samples=options.samples,
                           model=decoder.identity.fingerprint)  # fmt: skip
        found = extract(decoder, trait.name, *keep(rows))
        if options.layer is not None:
            return found.chosen(options.layer), rows
        prompts = [asked(question) for question in trait.extraction]
        return choose_layer(
            decoder, found, alpha=options.alpha, prompts=prompts, generate=speak,
            score=scorers.trait, coherence=scorers.coherence,
        ), rows  # fmt: skip


def _write(out: Path, trait: Trait, found: PersonaVectors, rows: list[Rollout]) -> None:
    from reward_models.persona_vectors import write_rollouts, write_trait

    write_trait(trait, out / TRAIT)
    write_rollouts(rows, out / ROLLOUTS)
    found.save(out)


def _show(found: PersonaVectors, pairs: int, out: Path, *, as_json: bool) -> None:
    facts = dict(found.facts)
    cautious = caution(found)
    if as_json:
        print_json({"trait": found.trait, "out": str(out), "layer": found.layer, "pairs": pairs,
                    "model": dict(found.model), **facts, **cautious})  # fmt: skip
        return
    effects = facts.get("layer_effects")
    for layer, effect in (effects or {}).items():
        said = "incoherent" if effect is None else f"{effect:+.1f} points"
        typer.echo(f"  layer {layer}: {said}")
    typer.echo(
        f"{printable(found.trait)}: {facts['positive']} of {pairs} pairs of answers kept; layer "
        f"{found.layer} of {found.model['layers']}. Written to {printable(str(out))}."
    )
