"""Soft tokens made from a user's history, put in front of what a backbone reads."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from reward_models._backbone import RewardNetwork, read_embeddings

Matrix = NDArray[np.float32]


class SoftPromptNetwork(RewardNetwork):
    """A backbone that reads soft tokens of the user before the conversation.

    They stand after the leading ``[CLS]`` or beginning token where the rendered text has one, which is where
    a persona-prompted backbone reads a profile in words. Every row is laid out without holes, so a token's
    position does not depend on how many items its neighbours in the batch have.

    Args:
        backbone: A `*ForSequenceClassification` with one label.
        leading: Tokens of a text that stay before the soft tokens, 0 or 1.
    """

    def __init__(self, backbone: Any, *, leading: int) -> None:
        super().__init__(backbone)
        self.leading = leading
        embeddings = backbone.get_input_embeddings().weight.detach()
        self.width = embeddings.shape[1]
        self.register_buffer("token_norm", embeddings.norm(dim=1).mean())

    @abstractmethod
    def soft_tokens(self, items: Any, present: Any, about: Any) -> tuple[Any, Any]:
        """Soft tokens (B, m, width) and which of them to read, bool (B, m).

        Args:
            items: Encoded history, (B, p, d), zeros where there is none.
            present: Which items there are, bool (B, p); a row may have none.
            about: Encoded prompt, (B, s). Never the candidate response.
        """

    def _reader(self, input_ids: Any, lengths: Any, extra: dict[str, Any]) -> Any:
        tokens, wanted = self.soft_tokens(extra["items"], extra["present"], extra["about"])
        users = len(tokens)  # both sides of a pair are read with the soft tokens of its user
        words = self.backbone.get_input_embeddings()(input_ids)

        def read(rows: Any) -> Any:
            laid_out = []
            for row in rows.tolist():
                text, soft = words[row, : lengths[row]], tokens[row % users][wanted[row % users]]
                laid_out.append(torch.cat([text[: self.leading], soft.to(text.dtype), text[self.leading :]]))
            return read_embeddings(self.backbone, laid_out)

        return read

    def plug_state(self) -> dict[str, NDArray[Any]]:
        """Weights beside the backbone, by name."""
        return {
            name: value.detach().cpu().numpy().copy()
            for name, value in self.state_dict().items()
            if not name.startswith("backbone.")
        }

    def restore_plug(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take the weights that `plug_state` gave."""
        plug = {name: torch.from_numpy(np.array(value)) for name, value in arrays.items()}
        backbone = {f"backbone.{name}": value for name, value in self.backbone.state_dict().items()}
        self.load_state_dict({**backbone, **plug})


class HistoryCollator:
    """Batches of pairs with a history drawn anew, each time, from the user's other pairs.

    With probability `empty`, and for a row whose ``nobody`` is true, there is none. Otherwise a share drawn
    from U(0, `dropout`) of the other pairs is deleted, and at most `most` of the rest stay.

    Args:
        base: TRL's collator of ``chosen_ids`` and ``rejected_ids``.
        items: Every pair encoded, (n, d).
        about: Every pair's prompt encoded, (n, s).
        others: For every pair, the numbers of the pairs that may be its history.
        dropout: Largest share of a history to delete, in [0, 1].
        empty: Probability of an empty history, in [0, 1], so that nobody can be scored too.
        most: Items of a history at most.
        seed: Of the draws.
    """

    def __init__(
        self,
        base: Any,
        *,
        items: Matrix,
        about: Matrix,
        others: Sequence[NDArray[np.int64]],
        dropout: float,
        empty: float,
        most: int,
        seed: int,
    ) -> None:
        self.base, self.items, self.about, self.others = base, items, about, others
        self.dropout, self.empty, self.most = dropout, empty, most
        self.rng = np.random.default_rng(seed)

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Inputs of a `SoftPromptNetwork` for 2B texts (chosen, then rejected) of B users."""
        numbers = [row["row"] for row in rows]
        drawn = [self._draw(self.others[row["row"]][: 0 if row.get("nobody") else None]) for row in rows]
        longest = max(map(len, drawn))
        items = np.zeros((len(rows), longest, self.items.shape[1]), dtype=np.float32)
        present = np.zeros((len(rows), longest), dtype=bool)
        for row, history in enumerate(drawn):
            items[row, : len(history)], present[row, : len(history)] = self.items[history], True
        return {
            **self.base([{name: row[name] for name in ("chosen_ids", "rejected_ids")} for row in rows]),
            "items": torch.from_numpy(items),
            "present": torch.from_numpy(present),
            "about": torch.from_numpy(self.about[numbers]),
        }

    def _draw(self, others: NDArray[np.int64]) -> NDArray[np.int64]:
        if self.rng.random() < self.empty:
            return others[:0]
        kept = len(others) - int(self.rng.uniform(0, self.dropout) * (len(others) + 1))
        chosen: NDArray[np.int64] = self.rng.permutation(others)[: max(0, min(kept, self.most))]
        return np.sort(chosen)
