"""``vectors``: directions of traits in a language model: extract, steer, monitor, screen."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from synthesizeme.cli._groups import flowing, spread
from synthesizeme.cli._options import CommonOptions, ModelOptions
from synthesizeme.cli._text import print_json
from synthesizeme.cli._vectors_extract import extract
from synthesizeme.cli._vectors_options import (
    MARK,
    AnsweringOptions,
    PolicyOptions,
    Scorer,
    VectorOptions,
    caution,
    check_scorer,
    open_scorers,
    pairs_of,
    read_prompts,
)
from synthesizeme.errors import ConfigError
from synthesizeme.plain_text import count, printable

if TYPE_CHECKING:
    from reward_models.persona_vectors import Dose, PersonaVectors
    from reward_models.persona_vectors.monitoring import ScreenedPair

Texts = Annotated[
    list[str] | None, typer.Option("--prompt", help="A prompt; may be given several times.", metavar="TEXT")
]
Lines = Annotated[Path | None, typer.Option("--prompts", help="File with one prompt a line.", metavar="FILE")]
MOST_SHOWN = 20
"""Pairs that `screen` prints at most, both ends of the order."""


def app() -> typer.Typer:
    """The group of verbs on persona vectors."""
    group = typer.Typer(
        help="Persona vectors of a language model: extract, steer, monitor, screen (extra `hf`).",
        no_args_is_help=True,
    )
    for name, verb in (("extract", extract), ("steer", steer), ("monitor", monitor), ("screen", screen)):
        group.command(name, help=flowing(verb))(verb)
    return group


@dataclass(frozen=True)
class SteeringOptions:
    """How much is added where, and what is asked."""

    alpha: Annotated[
        str,
        typer.Option("--alpha", help="Multiples of the vector, e.g. 2 or -2,0,2.", metavar="A,…"),
    ] = "-1,0,1"
    positions: Annotated[
        Literal["all", "prompt", "response"],
        typer.Option("--positions", help="Tokens at which the vector is added."),
    ] = "all"
    prompt: Texts = None
    prompts: Lines = None
    trait: Annotated[
        str | None,
        typer.Option(
            "--trait",
            help="Score answers to this trait's evaluation questions, instead of showing answers.",
            metavar="NAME|FILE",
        ),
    ] = None
    scorer: Scorer = "judge"


@spread
def steer(
    options: SteeringOptions,
    vectors: VectorOptions,
    policy: PolicyOptions,
    answering: AnsweringOptions,
    model: ModelOptions,
    common: CommonOptions,
) -> None:
    """Answer prompts with a multiple of a trait's vector added to the activations.

    With --trait the answers are scored instead: one line for each multiple, and the largest one at which
    coherence is 80 or more.
    """
    alphas = _alphas(options.alpha)
    if options.trait is not None:
        check_scorer(options.scorer, model)
        _dose_response(options, alphas, vectors, policy, answering, model, common)
        return
    prompts = read_prompts(options.prompt, options.prompts)
    decoder = policy.open()
    found = vectors.load(decoder)
    cautious = caution(found)
    from reward_models.persona_vectors import Steering

    speak = decoder.speaker(cut_mark=MARK, **answering.document())
    rows = []
    for alpha in alphas:
        with Steering(
            decoder.model, found.at(), layer=_layer(found), alpha=alpha, positions=options.positions
        ):
            answers = speak(prompts, [""] * len(prompts))
        rows += [
            {"alpha": alpha, "prompt": prompt[0].content, "answer": answer}
            for prompt, answer in zip(prompts, answers, strict=True)
        ]
    if common.json:
        print_json({"trait": found.trait, "layer": found.layer, **cautious, "answers": rows})
        return
    for row in rows:
        typer.echo(f"{row['alpha']:+g}  {printable(str(row['prompt']))}")
        typer.echo(f"    {printable(str(row['answer']))}")


def _dose_response(
    options: SteeringOptions,
    alphas: list[float],
    vectors: VectorOptions,
    policy: PolicyOptions,
    answering: AnsweringOptions,
    model: ModelOptions,
    common: CommonOptions,
) -> None:
    from reward_models.persona_vectors import dose_response, load_trait, operating_point
    from reward_models.persona_vectors.rollouts import asked

    trait = load_trait(str(options.trait))
    decoder = policy.open()
    found = vectors.load(decoder)
    cautious = caution(found)
    with open_scorers(options.scorer, trait, model) as scorers:
        doses = dose_response(
            decoder, found.at(), layer=_layer(found), alphas=alphas, positions=options.positions,
            prompts=[asked(question) for question in trait.evaluation],
            generate=decoder.speaker(**answering.document()),
            score=scorers.trait, coherence=scorers.coherence,
        )  # fmt: skip
    best = operating_point(doses)
    if common.json:
        print_json({"trait": found.trait, "layer": found.layer, **cautious,
                    "doses": [dose.model_dump() for dose in doses],
                    "operating_point": None if best is None else best.alpha})  # fmt: skip
        return
    _show_doses(doses, best)


def _show_doses(doses: list[Dose], best: Dose | None) -> None:
    typer.echo("alpha    trait  ± error  coherence  answers")
    for dose in doses:
        typer.echo(
            f"{dose.alpha:+6g} {dose.trait:7.1f} {dose.trait_error:8.1f} {dose.coherence:10.1f} "
            f"{dose.answers:8d}"
        )
    typer.echo("No dose is coherent." if best is None else f"Largest coherent alpha: {best.alpha:g}.")


@spread
def monitor(
    vectors: VectorOptions,
    policy: PolicyOptions,
    common: CommonOptions,
    prompt: Texts = None,
    prompts: Lines = None,
    tuned: Annotated[
        str | None,
        typer.Option(
            "--tuned",
            help="The policy after fine-tuning: print how far it moved along the vector. That it is a "
            "fine-tuned copy is taken on your word: only family, layers and width are checked.",
            metavar="DIR|NAME",
        ),
    ] = None,
) -> None:
    """Read a trait off a model before it answers: the last prompt token along the trait's vector."""
    from dataclasses import replace

    from reward_models.persona_vectors import project

    asked = read_prompts(prompt, prompts)
    decoder = policy.open()
    found = vectors.load(decoder)
    cautious = caution(found)
    before = project(decoder, found, asked, derived=vectors.derived)
    rows = [{"prompt": p[0].content, "projection": float(x)} for p, x in zip(asked, before, strict=True)]
    document: dict[str, object] = {"trait": found.trait, "layer": found.layer, **cautious, "prompts": rows}
    if tuned is not None:
        from reward_models.persona_vectors.monitoring import shift_between

        other = replace(policy, policy=tuned).open()
        moved = shift_between(before, project(other, found, asked, derived=True))
        document["shift"] = {"mean": moved.mean, "standard_error": moved.standard_error}
        for row, value in zip(rows, moved.values, strict=True):
            row["shift"] = float(value)
    if common.json:
        print_json(document)
        return
    for row in rows:
        moves = f"  {row['shift']:+8.3f}" if tuned is not None else ""
        typer.echo(f"{row['projection']:+8.3f}{moves}  {printable(str(row['prompt']))}")
    if tuned is not None:
        typer.echo(f"Shift: {moved.mean:+.3f}, standard error {moved.standard_error:.3f}.")


@dataclass(frozen=True)
class ScreeningOptions:
    """What is screened."""

    data: Annotated[Path, typer.Option("--data", help="Preference pairs to screen.", metavar="PAIRS")]
    limit: Annotated[
        int | None, typer.Option("--limit", help="Screen the first N pairs only.", min=1, metavar="N")
    ] = None
    out: Annotated[
        Path | None, typer.Option("--out", help="Write every pair as JSON Lines.", metavar="FILE")
    ] = None


@spread
def screen(
    options: ScreeningOptions,
    vectors: VectorOptions,
    policy: PolicyOptions,
    answering: AnsweringOptions,
    common: CommonOptions,
) -> None:
    """Screen preference pairs before training on them: where each pushes along a trait's vector.

    Both responses are read beside the policy's own answer to the same prompt; a pair's push is chosen less
    rejected.
    """
    import numpy as np

    from synthesizeme.files import write_whole

    pairs = pairs_of(options.data, options.limit)
    decoder = policy.open()
    found = vectors.load(decoder)
    cautious = caution(found)
    from reward_models.persona_vectors.monitoring import screen_pairs

    rows = screen_pairs(
        decoder, found, pairs, decoder.speaker(**answering.document()), derived=vectors.derived
    )
    pushes = np.array([row.push for row in rows])
    error = float(pushes.std(ddof=1) / len(pushes) ** 0.5) if len(pushes) > 1 else 0.0
    documents = [{**row.model_dump(), "push": row.push} for row in rows]
    if options.out is not None:
        import json

        write_whole(options.out, "".join(f"{json.dumps(document)}\n" for document in documents))
    if common.json:
        print_json({"trait": found.trait, "layer": found.layer, **cautious,
                    "push": float(pushes.mean()), "standard_error": error, "pairs": documents})  # fmt: skip
        return
    typer.echo("  chosen  rejected      push  pair  (beside the policy's own answer)")
    for line in _screened_lines(rows):
        typer.echo(line)
    typer.echo(
        f"{count(len(rows), 'pair')} along {printable(found.trait)}: mean push {pushes.mean():+.3f}, "
        f"standard error {error:.3f}."
    )


def _screened_lines(rows: Sequence[ScreenedPair]) -> Iterator[str]:
    """A line a pair, the most pushed first; of more than `MOST_SHOWN` the beginning and the end."""
    left_out = max(0, len(rows) - MOST_SHOWN)
    half = MOST_SHOWN // 2 if left_out else len(rows)
    for place, row in enumerate(rows):
        if half <= place < half + left_out:
            if place == half:
                yield f"  … {count(left_out, 'pair')} between them"
            continue
        numbers = f"{row.chosen:+8.3f}  {row.rejected:+8.3f}  {row.push:+8.3f}"
        yield f"{numbers}  {printable(row.pair_id, 60)}"


def _layer(found: PersonaVectors) -> int:
    assert found.layer is not None  # `VectorOptions.load` refuses vectors without one
    return found.layer


def _alphas(text: str) -> list[float]:
    try:
        alphas = [float(part) for part in text.split(",")]
    except ValueError:
        alphas = [math.nan]
    if not all(map(math.isfinite, alphas)):
        raise ConfigError(f"--alpha {text}: expected finite numbers with commas between them, e.g. -2,0,2")
    return alphas
