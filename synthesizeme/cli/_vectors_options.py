"""Flags that the ``vectors`` verbs share, and what they open: the policy, the scorers, the prompts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

import typer

from synthesizeme.cli._options import ModelOptions, folder
from synthesizeme.cli._pairs_input import read
from synthesizeme.cli._text import say
from synthesizeme.errors import ConfigError, DataError
from synthesizeme.plain_text import printable

if TYPE_CHECKING:
    from reward_models.persona_vectors import Decoder, PersonaVectors, Trait
    from reward_models.persona_vectors.rollouts import Score
    from reward_models.persona_vectors.traits import Ask
    from synthesizeme.types import Message, PreferencePair

PATTERN = "pattern:"
MARK = " […]"
"""Behind an answer that did not end by itself."""


@dataclass(frozen=True)
class PolicyOptions:
    """The model whose activations are read or steered."""

    policy: Annotated[
        str,
        typer.Option(
            "--policy",
            help="Causal language model whose activations are read: a folder, or a name on the hub.",
            metavar="DIR|NAME",
        ),
    ]
    device: Annotated[
        str, typer.Option("--device", help="auto, cpu, cuda or another device of torch.", metavar="DEVICE")
    ] = "auto"
    batch_size: Annotated[
        int, typer.Option("--batch-size", help="Rows the policy reads at a time.", min=1, metavar="N")
    ] = 32

    dtype: Annotated[
        Literal["auto", "float32", "bfloat16"],
        typer.Option(
            "--dtype",
            help="Format of the policy's weights. auto: float32 on a CPU, where bfloat16 is faster and "
            "rougher; elsewhere that of the files.",
        ),
    ] = "auto"

    def open(self) -> Decoder:
        """The policy, loaded."""
        from reward_models.persona_vectors import open_decoder

        return open_decoder(self.policy, device=self.device, dtype=self.dtype, batch_size=self.batch_size)


@dataclass(frozen=True)
class AnsweringOptions:
    """How the policy answers."""

    max_new_tokens: Annotated[
        int, typer.Option("--max-new-tokens", help="Most tokens of a policy's answer.", min=1, metavar="N")
    ] = 128
    policy_temperature: Annotated[
        float,
        typer.Option(
            "--policy-temperature",
            help="Sampling temperature of the policy; 0 takes the likeliest.",
            min=0,
            max=2,
            metavar="T",
        ),
    ] = 1.0
    seed: Annotated[int, typer.Option("--seed", help="Seed of the policy's answers.", metavar="N")] = 0

    def document(self) -> dict[str, float]:
        """As options of `Decoder.generate`."""
        return {
            "max_new_tokens": self.max_new_tokens, "temperature": self.policy_temperature, "seed": self.seed,
        }  # fmt: skip


@dataclass(frozen=True)
class VectorOptions:
    """The vectors that are used."""

    vectors: Annotated[
        Path,
        typer.Option(
            "--vectors", help="Folder of `synthesizeme vectors extract`.", metavar="DIR", parser=folder
        ),
    ]
    layer: Annotated[
        int | None,
        typer.Option(
            "--layer",
            help="Layer, from 1; by default the one chosen at extraction. One above the last is read after "
            "the final norm, and not steered.",
            metavar="N",
        ),
    ] = None
    derived: Annotated[
        bool,
        typer.Option(
            "--derived",
            help="The policy was fine-tuned from the model the vectors were taken of. Taken on your word: "
            "only family, layers and width are checked.",
        ),
    ] = False

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


Scorer = Annotated[
    str,
    typer.Option(
        "--scorer",
        help="judge: --model reads the trait's rubric. pattern:REGEX: the share of an answer's sentences in "
        "which it is found; coherence is then the share of word triples that are no repetition.",
    ),
]


class Scorers(NamedTuple):
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
        raise ConfigError(f"--scorer {scorer}: expected judge, or {PATTERN}REGEX")
    if model.model == "builtin" and model.api_base is None:
        raise ConfigError(
            "the builtin model reads no rubric; name a language model with --model, or score by a pattern: "
            f"--scorer '{PATTERN}!'"
        )


@contextmanager
def open_scorers(scorer: str, trait: Trait, model: ModelOptions) -> Iterator[Scorers]:
    """The scorers of a trait and of coherence."""
    from reward_models.persona_vectors import PatternScorer
    from reward_models.persona_vectors.rollouts import coherence_scorer, trait_scorer, unrepetitive

    check_scorer(scorer, model)
    if scorer.startswith(PATTERN):
        yield Scorers(PatternScorer(scorer.removeprefix(PATTERN)), unrepetitive)
        return
    with open_asking(model) as ask:
        yield Scorers(trait_scorer(trait, ask), coherence_scorer(ask))


@contextmanager
def open_asking(model: ModelOptions) -> Iterator[Ask]:
    """Puts conversations to the model of the flags, with its cache, retries and progress."""
    from synthesizeme.backends import Answer, Question
    from synthesizeme.cli._session import open_session
    from synthesizeme.progress import ProgressDisplay
    from synthesizeme.replies import without_thoughts
    from synthesizeme.types import Failure

    with ProgressDisplay() as display, open_session(model, display) as session:
        account = session.account()

        def ask(conversations: Sequence[tuple[Message, ...]]) -> list[str | Failure]:
            asked = [Question(messages) for messages in conversations]
            outcomes = account.ask(asked, stage="scoring")
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
