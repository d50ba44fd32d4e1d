"""Names of judges and references, what each needs and knows; retrieval-augmented judges opened by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from synthesizeme.backends import Ledger
from synthesizeme.errors import ConfigError, UnknownNameError
from synthesizeme.judges import RetrievalJudge
from synthesizeme.judges.retrieval_judge import MOST_TOKENS, last_turn
from synthesizeme.retrieval import Encode, Retriever, open_retriever, retriever_names
from synthesizeme.types import Comparison, PreferencePair

if TYPE_CHECKING:
    from synthesizeme.evaluation.measurement import Condition

PREFIX = "retrieval-"
WITH_PERSONA = "+persona"


def retrieval_judges() -> tuple[str, ...]:
    """Names of all of them; a judge that retrieves nothing is the default one, or the one with a persona."""
    plain = [f"{PREFIX}{name}" for name in retriever_names() if name != "none"]
    return (*plain, *(f"{name}{WITH_PERSONA}" for name in plain))


def takes_persona(name: str) -> bool:
    """Whether a retrieval-augmented judge is also told the persona."""
    return name.startswith(PREFIX) and name.endswith(WITH_PERSONA)


def described_by(pairs: Iterable[PreferencePair]) -> Callable[[Comparison], str]:
    """What stands for a comparison in retrieval: ``metadata.retrieved_by`` of its pair, or its last turn."""
    texts = {pair.pair_id: pair.metadata["retrieved_by"] for pair in pairs if "retrieved_by" in pair.metadata}
    return lambda comparison: texts.get(comparison.pair_id) or last_turn(comparison)


@dataclass(frozen=True)
class RetrievalSettings:
    """How retrieval-augmented judges retrieve.

    Raises:
        ConfigError: `k` or `max_tokens` is impossible.
    """

    k: int = 4
    """Past pairs shown with each question, at most."""
    max_tokens: int = MOST_TOKENS
    """Tokens of a whole prompt, counted as words and marks of punctuation."""
    encoder: str = ""
    """Name of the encoder of ``dense``, for the record."""
    open_encoder: Callable[[], Encode] | None = field(default=None, compare=False)
    """Opens that encoder, when it is first needed."""

    def __post_init__(self) -> None:
        problems = [
            f"{name} is {getattr(self, name)}; expected 1 or more"
            for name in ("k", "max_tokens")
            if getattr(self, name) < 1
        ]
        if problems:
            raise ConfigError(problems)

    def facts(self) -> dict[str, Any]:
        """What a verdict depends on, in plain values."""
        return {"k": self.k, "max_tokens": self.max_tokens, "encoder": self.encoder}

    def retriever(self, name: str, seed: int) -> Retriever:
        """The retriever of that name, with its encoder where it needs one.

        Raises:
            ConfigError: an encoder is needed and none is named.
            MissingExtraError: the library behind it is not installed.
        """
        encode = self.open_encoder() if name == "dense" and self.open_encoder is not None else None
        return open_retriever(name, seed=seed, encode=encode)

    def judge(
        self,
        judge: str,
        ledger: Ledger,
        histories: Mapping[str, Sequence[PreferencePair]],
        *,
        seed: int,
        **options: Any,
    ) -> RetrievalJudge:
        """The judge of that name.

        Args:
            judge: One of `retrieval_judges`.
            ledger: Through which the model is asked.
            histories: Past pairs by user id.
            seed: Seed of the random retriever, and of the orders in which pairs are shown.
            **options: Those of `RetrievalJudge`.

        Raises:
            ConfigError: an encoder is needed and none is named.
            MissingExtraError: the library behind the retriever is not installed.
        """
        retriever = self.retriever(judge.removeprefix(PREFIX).removesuffix(WITH_PERSONA), seed)
        return RetrievalJudge(
            ledger,
            histories,
            retriever.retrieve,
            k=self.k,
            max_tokens=self.max_tokens,
            seed=seed,
            **options,
        )


JUDGES = ("default", "memory", "persona", "demonstrations", "both")
"""Scorers that ask a model; `retrieval_judges` are the others."""
REFERENCES = ("longer", "random", "oracle", "majority", "gpt4", "gpt3")
"""Scorers that ask nobody."""
CONTROLS: tuple[Condition, ...] = ("wrong_user", "swapped_labels")


def check_scorers(names: Sequence[str]) -> None:
    """Refuse names that are no scorer.

    Raises:
        UnknownNameError: one of them is none; lists the names there are.
    """
    known = (*JUDGES, *retrieval_judges(), *REFERENCES)
    for name in names:
        if name not in known:
            raise UnknownNameError("scorer", name, known)


def asks_model(name: str) -> bool:
    """Whether a scorer asks a language model."""
    return name in JUDGES or name in retrieval_judges()


def needs_profiles(name: str) -> bool:
    """Whether a scorer knows an induced profile."""
    return name in ("persona", "demonstrations", "both") or takes_persona(name)


def knows_users(name: str) -> bool:
    """Whether a scorer knows something of the user."""
    return asks_model(name) and name != "default"


def has_controls(name: str) -> bool:
    """Whether `Scorers.report` can change what a scorer knows of the user."""
    return knows_users(name) and name != "memory"
