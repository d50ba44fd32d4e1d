"""``vectors extract``, and what the ``vectors`` verbs share: flags, the policy, what scores answers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from synthesizeme.cli._command import option, verb
from synthesizeme.cli._model_options import ModelOptions
from synthesizeme.cli._options import FORCE, CommonOptions, folder
from synthesizeme.cli._output import check_replaceable, check_writable, say, tell, tells
from synthesizeme.cli._pairs import read
from synthesizeme.errors import ConfigError, DataError
from synthesizeme.plain_text import printable

if TYPE_CHECKING:
    from reward_models.persona_vectors import Decoder, PersonaVectors, Rollout, Trait
    from reward_models.persona_vectors.rollouts import Score
    from reward_models.persona_vectors.traits import Ask
    from synthesizeme.types import Message, PreferencePair


PATTERN = "pattern:"
MARK = " […]"
"""Behind an answer that did not end by itself."""


@dataclass(frozen=True)
class PolicyOptions:
    """The model whose activations are read or steered."""

    policy: str = option(
        ..., "Causal language model whose activations are read: a folder, or a name on the hub.", "DIR|NAME"
    )
    device: str = option("auto", "auto, cpu, cuda or another device of torch.", "DEVICE")
    batch_size: int = option(32, "Rows the policy reads at a time.", "N", min=1)

    dtype: Literal["auto", "float32", "bfloat16"] = option(
        "auto",
        "Format of the policy's weights. auto: float32 on a CPU, where bfloat16 is faster and "
        "rougher; elsewhere that of the files.",
    )

    def open(self) -> Decoder:
        """The policy, loaded."""
        from reward_models.persona_vectors import open_decoder

        return open_decoder(self.policy, device=self.device, dtype=self.dtype, batch_size=self.batch_size)


@dataclass(frozen=True)
class AnsweringOptions:
    """How the policy answers."""

    max_new_tokens: int = option(128, "Most tokens of a policy's answer.", "N", min=1)
    policy_temperature: float = option(
        1.0, "Sampling temperature of the policy; 0 takes the likeliest.", "T", min=0, max=2
    )
    seed: int = option(0, "Seed of the policy's answers.", "N")

    def document(self) -> dict[str, float]:
        """As options of `Decoder.generate`."""
        return {
            "max_new_tokens": self.max_new_tokens, "temperature": self.policy_temperature, "seed": self.seed,
        }  # fmt: skip


@dataclass(frozen=True)
class VectorOptions:
    """The vectors that are used."""

    vectors: Path = option(..., "Folder of `synthesizeme vectors extract`.", "DIR", parser=folder)
    layer: int | None = option(
        None,
        "Layer, from 1; by default the one chosen at extraction. One above the last is read after the "
        "final norm, and not steered.",
        "N",
    )
    derived: bool = option(
        False,
        "The policy was fine-tuned from the model the vectors were taken of. Taken on your word: only "
        "family, layers and width are checked.",
    )

    def load(self, decoder: Decoder) -> PersonaVectors:
        """The vectors, checked against the policy, with the layer chosen.

        Raises:
            VectorError: they are another model's, or there is no such layer.
        """
        from reward_models.persona_vectors import PersonaVectors

        found = PersonaVectors.load(self.vectors)
        found.check(decoder.identity, derived=self.derived)
        if self.layer is not None:
            found = found.chosen(self.layer)
        found.at()  # a layer is chosen
        return found


def caution(found: PersonaVectors) -> dict[str, str | None]:
    """The vectors' caution, said on standard error, as a field of the JSON output."""
    if found.caution:
        say(printable(found.caution))
    return {"caution": found.caution or None}


SCORE_BY = partial(
    option,
    "judge",
    "judge: --model reads the trait's rubric. pattern:REGEX: the share of an answer's sentences "
    "in which it is found; coherence is then the share of word triples that are no repetition.",
)


class AnswerScorers(NamedTuple):
    """What scores answers."""

    trait: Score
    coherence: Score


def check_scorer(scorer: str, model: ModelOptions) -> None:
    """Refuse a scorer that cannot work, before anything is loaded.

    Raises:
        ConfigError: there is no such scorer, or the model cannot read a rubric.
    """
    if scorer.startswith(PATTERN):
        from reward_models.persona_vectors import PatternScorer

        PatternScorer(scorer.removeprefix(PATTERN))
        return
    if scorer != "judge":
        raise ConfigError(f"--score-by {scorer}: expected judge, or {PATTERN}REGEX")
    if model.model == "builtin" and model.api_base is None:
        raise ConfigError(
            "the builtin model reads no rubric; name a language model with --model, or score by a pattern: "
            f"--score-by '{PATTERN}!'"
        )


@contextmanager
def open_scorers(scorer: str, trait: Trait, model: ModelOptions) -> Iterator[AnswerScorers]:
    """The scorers of a trait and of coherence."""
    from reward_models.persona_vectors import PatternScorer
    from reward_models.persona_vectors.rollouts import coherence_scorer, trait_scorer, unrepetitive

    check_scorer(scorer, model)
    if scorer.startswith(PATTERN):
        yield AnswerScorers(PatternScorer(scorer.removeprefix(PATTERN)), unrepetitive)
        return
    with open_asking(model) as ask:
        yield AnswerScorers(trait_scorer(trait, ask), coherence_scorer(ask))


@contextmanager
def open_asking(model: ModelOptions) -> Iterator[Ask]:
    """Puts conversations to the model of the flags, with its cache, retries and progress."""
    from synthesizeme.backends import Answer, Question
    from synthesizeme.cli._model_options import open_session
    from synthesizeme.progress import ProgressDisplay
    from synthesizeme.replies import without_thoughts
    from synthesizeme.types import Failure

    with ProgressDisplay() as display, open_session(model, display) as session:
        ledger = session.ledger()

        def ask(conversations: Sequence[tuple[Message, ...]]) -> list[str | Failure]:
            asked = [Question(messages) for messages in conversations]
            outcomes = ledger.ask(asked, stage="scoring")
            return [without_thoughts(it.text) if isinstance(it, Answer) else it for it in outcomes]

        yield ask


def read_prompts(texts: Sequence[str] | None, path: Path | None) -> list[tuple[Message, ...]]:
    """Prompts of one user turn each: those of the flags, and the lines of a file.

    Raises:
        ConfigError: there are none.
        DataError: the file cannot be read.
    """
    from synthesizeme.types import Message

    found = list(texts or [])
    if path is not None:
        try:
            found += path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(
                f"cannot be read: {error}", source=str(path), cure="one prompt a line, in UTF-8."
            ) from None
    kept = [text for text in found if text.strip()]
    if not kept:
        raise ConfigError("no prompt is given; use --prompt TEXT, or --prompts FILE with one a line")
    return [(Message(role="user", content=text),) for text in kept]


def pairs_of(path: Path, limit: int | None) -> list[PreferencePair]:
    """The first pairs of a file."""
    return list(read(path).pairs)[:limit]


TRAIT, ROLLOUTS = "trait.md", "rollouts.jsonl"


@dataclass(frozen=True)
class ExtractionOptions:
    """What is extracted, from what, and where to."""

    trait: str = option(..., "excitement, flattery, padding, or a trait file of your own.", "NAME|FILE")
    out: Path = option(..., "Folder to write.", "DIR", parser=folder)
    description: str | None = option(
        None, "Have --model write the artifact of a new trait, named by --trait, from these words.", "TEXT"
    )
    rollouts: Path | None = option(
        None,
        "Answers that are there and scored already (rollouts.jsonl of an earlier run). Those that "
        "name another model than --policy are refused; those that name none are taken as its own.",
        "FILE",
    )
    score_by: str = SCORE_BY()
    samples: int = option(1, "Answers to each question under each instruction.", "N", min=1)
    layer: int | None = option(
        None,
        "Layer, from 1; without it the layers are tried by steering. One above the last is read after "
        "the final norm, and not steered.",
        "N",
    )
    alpha: float = option(1.0, "Multiple of the vector at which layers are tried.", "A")
    force: bool = FORCE()


@verb
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
        check_scorer(options.score_by, model)
    if not (math.isfinite(options.alpha) and options.alpha > 0):
        raise ConfigError(f"--alpha {options.alpha:g}: expected a finite number above 0")
    from reward_models.persona_vectors.vectors import LAYOUT

    check_writable(options.out)
    trait = _trait(options, model)
    own = tells(options.out / LAYOUT.document, trait=trait.name)
    check_replaceable(options.out, force=options.force, own=own)
    decoder = policy.open()
    if options.layer is not None:
        from reward_models.persona_vectors.vectors import check_readable

        check_readable(options.layer, decoder.layers, f"--policy {policy.policy}")
    found, rows = _extracted(options, trait, decoder, answering, model)
    _write(options.out, trait, found, rows)
    _show(found, len(rows) // 2, options.out, as_json=common.json)


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
    with open_scorers(options.score_by, trait, model) as scorers:
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
    document = {
        "trait": found.trait, "out": str(out), "layer": found.layer, "pairs": pairs,
        "model": dict(found.model), **facts, **cautious,
    }  # fmt: skip
    lines = [
        f"  layer {layer}: {'incoherent' if effect is None else f'{effect:+.1f} points'}"
        for layer, effect in (facts.get("layer_effects") or {}).items()
    ]
    lines.append(
        f"{printable(found.trait)}: {facts['positive']} of {pairs} pairs of answers kept; layer "
        f"{found.layer} of {found.model['layers']}. Written to {printable(str(out))}."
    )
    tell(as_json, document, lines)
