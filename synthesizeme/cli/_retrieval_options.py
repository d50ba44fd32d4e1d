"""The flags of retrieval-augmented judges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from synthesizeme.judges.names import RetrievalSettings
    from synthesizeme.retrieval import Encode

RETRIEVAL_PANEL = "Retrieval"


@dataclass(frozen=True)
class RetrievalOptions:
    """How many past items a retrieval-augmented judge is shown, and which encoder ``dense`` uses."""

    retrieved: Annotated[
        int,
        typer.Option(
            "--retrieved",
            help="Past items that a retrieval-augmented judge is shown with each question, at most.",
            min=1,
            metavar="K",
            rich_help_panel=RETRIEVAL_PANEL,
        ),
    ] = 4
    prompt_tokens: Annotated[
        int,
        typer.Option(
            "--prompt-tokens",
            help="Words and marks of a whole prompt with retrieved items; items are cut and dropped to fit, "
            "the question never is.",
            min=1,
            metavar="N",
            rich_help_panel=RETRIEVAL_PANEL,
        ),
    ] = 8192
    encoder: Annotated[
        str,
        typer.Option(
            "--encoder",
            help="Encoder of the dense retriever: static, minilm, a folder or hub name of "
            "sentence-transformers, lm:NAME:mean, several joined by +, or the folder of a distilled one; the "
            "best one here if none is given (see doctor).",
            metavar="NAME",
            rich_help_panel=RETRIEVAL_PANEL,
        ),
    ] = ""

    def settings(self) -> RetrievalSettings:
        """The same for the library."""
        from synthesizeme.judges.names import RetrievalSettings

        return RetrievalSettings(
            k=self.retrieved,
            max_tokens=self.prompt_tokens,
            encoder=self.encoder,
            open_encoder=self._open_encoder,
        )

    def _open_encoder(self) -> Encode:
        from reward_models.dense_retrieval import open_encoder

        return open_encoder(self.encoder)
