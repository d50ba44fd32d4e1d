"""``vectors``: directions of traits in a language model: extract, steer, monitor, screen."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from synthesizeme.cli._command import option, verb
from synthesizeme.cli._model_options import ModelOptions
from synthesizeme.cli._options import FORCE, CommonOptions
from synthesizeme.cli._output import check_replaceable, tell
from synthesizeme.cli._vectors_extract import (
    MARK,
    SCORE_BY,
    AnsweringOptions,
    PolicyOptions,
    VectorOptions,
    caution,
    check_scorer,
    extract,
    open_scorers,
    pairs_of,
    read_prompts,
)
from synthesizeme.errors import ConfigError
from synthesizeme.plain_text import count, printable

if TYPE_CHECKING:
    from reward_models.persona_vectors import PersonaVectors
    from reward_models.persona_vectors.monitoring import ScreenedPair

TEXTS = partial(option, None, "A prompt; may be given several times.", "TEXT", name="--prompt")
LINES = partial(option, None, "File with one prompt a line.", "FILE", name="--prompts")
MOST_SHOWN = 20
"""Pairs that `screen` prints at most, both ends of the order."""


@dataclass(frozen=True)
class SteeringOptions:
    """How much is added where, and what is asked."""

    alpha: str = option("-1,0,1", "Multiples of the vector, e.g. 2 or -2,0,2.", "A,…")
    positions: Literal["all", "prompt", "response"] = option("all", "Tokens at which the vector is added.")
    prompt: list[str] | None = TEXTS()
    prompts: Path | None = LINES()
    trait: str | None = option(
        None, "Score answers to this trait's evaluation questions, instead of showing answers.", "NAME|FILE"
    )
    score_by: str = SCORE_BY()


@verb
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
        check_scorer(options.score_by, model)
        _steering_strengths(options, alphas, vectors, policy, answering, model, common)
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
    document = {"trait": found.trait, "layer": found.layer, **cautious, "answers": rows}
    lines = (
        f"{row['alpha']:+g}  {printable(str(row['prompt']))}\n    {printable(str(row['answer']))}"
        for row in rows
    )
    tell(common.json, document, lines)


def _steering_strengths(
    options: SteeringOptions,
    alphas: list[float],
    vectors: VectorOptions,
    policy: PolicyOptions,
    answering: AnsweringOptions,
    model: ModelOptions,
    common: CommonOptions,
) -> None:
    from reward_models.persona_vectors import load_trait, operating_point, steering_strengths
    from reward_models.persona_vectors.rollouts import asked

    trait = load_trait(str(options.trait))
    decoder = policy.open()
    found = vectors.load(decoder)
    cautious = caution(found)
    with open_scorers(options.score_by, trait, model) as scorers:
        doses = steering_strengths(
            decoder, found.at(), layer=_layer(found), alphas=alphas, positions=options.positions,
            prompts=[asked(question) for question in trait.evaluation],
            generate=decoder.speaker(**answering.document()),
            score=scorers.trait, coherence=scorers.coherence,
        )  # fmt: skip
    best = operating_point(doses)
    document = {
        "trait": found.trait, "layer": found.layer, **cautious,
        "doses": [dose.model_dump() for dose in doses],
        "operating_point": None if best is None else best.alpha,
    }  # fmt: skip
    lines = ["alpha    trait  ± error  coherence  answers"]
    lines += [
        f"{it.alpha:+6g} {it.trait:7.1f} {it.trait_error:8.1f} {it.coherence:10.1f} {it.answers:8d}"
        for it in doses
    ]
    lines.append("No dose is coherent." if best is None else f"Largest coherent alpha: {best.alpha:g}.")
    tell(common.json, document, lines)


@verb
def monitor(
    vectors: VectorOptions,
    policy: PolicyOptions,
    common: CommonOptions,
    prompt: list[str] | None = TEXTS(),
    prompts: Path | None = LINES(),
    tuned: str | None = option(
        None,
        "The policy after fine-tuning: print how far it moved along the vector. That it is a "
        "fine-tuned copy is taken on your word: only family, layers and width are checked.",
        "DIR|NAME",
    ),
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
    lines = []
    for row in rows:
        moves = f"  {row['shift']:+8.3f}" if tuned is not None else ""
        lines.append(f"{row['projection']:+8.3f}{moves}  {printable(str(row['prompt']))}")
    if tuned is not None:
        lines.append(f"Shift: {moved.mean:+.3f}, standard error {moved.standard_error:.3f}.")
    tell(common.json, document, lines)


@dataclass(frozen=True)
class ScreeningOptions:
    """What is screened."""

    data: Path = option(..., "Preference pairs to screen.", "PAIRS")
    limit: int | None = option(None, "Screen the first N pairs only.", "N", min=1)
    out: Path | None = option(None, "Write every pair as JSON Lines.", "FILE")
    force: bool = FORCE()


@verb
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

    if options.out is not None:
        check_replaceable(options.out, force=options.force)
    pairs = pairs_of(options.data, options.limit)
    decoder = policy.open()
    found = vectors.load(decoder)
    cautious = caution(found)
    from reward_models.persona_vectors.monitoring import screen_pairs

    rows = screen_pairs(
        decoder, found, pairs, decoder.speaker(**answering.document()), derived=vectors.derived
    )
    pushes = np.array([row.projection for row in rows])
    error = float(pushes.std(ddof=1) / len(pushes) ** 0.5) if len(pushes) > 1 else 0.0
    documents = [{**row.model_dump(), "push": row.projection} for row in rows]
    if options.out is not None:
        import json

        write_whole(options.out, "".join(f"{json.dumps(document)}\n" for document in documents))
    document = {
        "trait": found.trait, "layer": found.layer, **cautious,
        "push": float(pushes.mean()), "standard_error": error, "pairs": documents,
    }  # fmt: skip
    last = (
        f"{count(len(rows), 'pair')} along {printable(found.trait)}: mean push {pushes.mean():+.3f}, "
        f"standard error {error:.3f}."
    )
    heading = "  chosen  rejected      push  pair  (beside the policy's own answer)"
    tell(common.json, document, [heading, *_screened_lines(rows), last])


def _screened_lines(rows: Sequence[ScreenedPair]) -> Iterator[str]:
    """A line a pair, the most pushed first; of more than `MOST_SHOWN` the beginning and the end."""
    left_out = max(0, len(rows) - MOST_SHOWN)
    half = MOST_SHOWN // 2 if left_out else len(rows)
    for place, row in enumerate(rows):
        if half <= place < half + left_out:
            if place == half:
                yield f"  … {count(left_out, 'pair')} between them"
            continue
        numbers = f"{row.chosen:+8.3f}  {row.rejected:+8.3f}  {row.projection:+8.3f}"
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


HELP = "Persona vectors of a language model: extract, steer, monitor, screen (extra `hf`)."
VERBS = {"extract": extract, "steer": steer, "monitor": monitor, "screen": screen}
