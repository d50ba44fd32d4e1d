"""Soft tokens made from a user's history, in front of what a backbone reads: layout, training, scoring."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from reward_models._backbone import BackboneModel, RewardNetwork, read_embeddings, score
from reward_models._features import open_features, same_features
from reward_models._reward_training import TokenPairs, in_turn, tokenized, train_backbone
from reward_models._settings import SHARE
from reward_models._training_pairs import both_sides, content
from reward_models._transformers import own_randomness, quiet
from reward_models._types import SILENT, Asked, Estimates, Histories, Prompt, Said, Sayings, UserState
from reward_models.persona_prompted import PersonaPrompted, Profiler, WordedUser, pass_seeds
from synthesizeme.errors import DataError
from synthesizeme.profile import UserProfile
from synthesizeme.types import Message, PreferencePair

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


class SoftPromptModel(WordedUser, BackboneModel):
    """A backbone that knows the user by soft tokens, made from their pairs by a learned plug.

    A history item is [e(prompt); e(chosen); e(rejected)] of one pair, e a frozen encoder: the slot is the
    rating. Items are standardised with the training pairs' mean and scale. A user's state is their items, and
    with `words` their profile in words too, which then stands between the soft tokens and the conversation.

    Args:
        warm_start: Folder of a ``persona-prompted`` checkpoint whose backbone to begin with; empty trains one
            first, on the same pairs.
        warm_epochs: Passes of that training; 0 begins with the bare backbone.
        warm_learning_rate: Learning rate of that training.
        features: The frozen encoder; see `open_features`.
        max_history: Items of a history at most; of a longer one the last.
        history_dropout: Largest share of a history that is deleted at random in training, in [0, 1].
        no_history: Share of training pairs with an empty history (and no words), in [0, 1].
        words: Whether the backbone reads the user's profile in words as well, as `PersonaPrompted` does.
        profiler, profiles: See `PersonaPrompted`; they also serve the first training of the backbone.
    """

    unsaved: ClassVar[tuple[str, ...]] = ("profiler", "profiles")
    limits: ClassVar = {"history_dropout": SHARE, "no_history": SHARE, "max_history": 1}

    warm_start: str = ""
    warm_epochs: int = 1
    warm_learning_rate: float = 0.0001
    features: str = "minilm"
    max_history: int = 50
    history_dropout: float = 0.5
    no_history: float = 0.1
    words: bool = False
    profiler: Profiler | None = None
    profiles: Mapping[str, UserProfile | str] | None = None

    @abstractmethod
    def _network(self, backbone: Any, *, leading: int, item_dim: int, about_dim: int) -> SoftPromptNetwork:
        """The untrained plug around a backbone, with everything frozen that stays so."""

    def _fit(self, histories: Histories, sayings: Sayings) -> dict[str, UserState]:
        schedule = self._schedule()
        pairs = [pair for history in histories.values() for pair in history]
        backbone = self._warm_backbone(histories)
        self.features_ = open_features(self.features)
        self.mean_, self.scale_ = self._statistics(pairs)
        items, about = self._items(pairs), self._about([pair.prompt for pair in pairs])
        network = self._plugged(backbone, items.shape[1], about.shape[1])
        passes = self._passes(pairs, histories)
        columns, schedule = in_turn(passes, schedule)
        with quiet():
            from trl.trainer.reward_trainer import DataCollatorForPreference

            collator = HistoryCollator(
                DataCollatorForPreference(pad_token_id=self.tokenizer_.pad_token_id),
                items=items,
                about=about,
                others=_others(histories),
                dropout=self.history_dropout,
                empty=0.0 if self.words else self.no_history,
                most=self.max_history,
                seed=self.seed,
            )
        self.network_, done = train_backbone(network, self.tokenizer_, columns, schedule, collator=collator)
        self.training_ = {**done, **passes[0].counts}
        self.typical_ = self._typical_reward(pairs)
        return self._user_states(histories, sayings)

    def _passes(self, pairs: Sequence[PreferencePair], histories: Histories) -> list[TokenPairs]:
        """The pairs as tokens: once, or with words for each pass anew; nobody has neither words nor items."""
        if not self.words:
            return [tokenized(pairs, [""] * len(pairs), self.renderer_)]
        self._learn_words(histories)
        passes = []
        for seed in pass_seeds(self.seed, self.epochs):
            texts = self._unseeing(histories, dropout=0.0, seed=seed)
            nobody = np.random.default_rng(seed).random(len(pairs)) < self.no_history
            texts = ["" if alone else text for text, alone in zip(texts, nobody, strict=True)]
            rows = tokenized(pairs, texts, self.renderer_)
            rows.columns["nobody"] = nobody[rows.columns["row"]].tolist()
            passes.append(rows)
        return passes

    def _warm_backbone(self, histories: Histories) -> Any:
        """The backbone to begin with; sets tokenizer and renderer."""
        if self.warm_start:
            from reward_models import load

            warm = load(self.warm_start)
            if not isinstance(warm, PersonaPrompted):
                raise DataError(
                    f"is a checkpoint of {warm.name!r}; expected 'persona-prompted'",
                    source=self.warm_start,
                    cure="train one with `synthesizeme train --method persona-prompted`, or leave it out.",
                )
            return self._adopt(warm.network_.backbone, warm.tokenizer_)
        if not self.warm_epochs:
            return self._open(self.backbone)
        warm = PersonaPrompted(
            backbone=self.backbone,
            max_length=self.max_length,
            epochs=self.warm_epochs,
            batch_size=self.batch_size,
            learning_rate=self.warm_learning_rate,
            precision=self.precision,
            profiler=self.profiler,
            profiles=self.profiles,
            seed=self.seed,
        )
        warm._fit(histories, {})
        return self._adopt(warm.network_.backbone, warm.tokenizer_)

    def _plugged(self, backbone: Any, item_dim: int, about_dim: int) -> SoftPromptNetwork:
        first = self.renderer_([Message(role="user", content="x")], "x").ids[0]
        leading = int(first in (self.tokenizer_.cls_token_id, self.tokenizer_.bos_token_id))
        with own_randomness(self.seed):
            network = self._network(backbone, leading=leading, item_dim=item_dim, about_dim=about_dim)
        network.to(next(backbone.parameters()).device)
        return network

    def _statistics(self, pairs: Sequence[PreferencePair]) -> tuple[Matrix, Matrix]:
        """Mean and scale of an item's entries, each (d,); both responses share theirs."""
        about = self.features_.prompts([pair.prompt for pair in pairs])
        answers = self.features_.responses(*both_sides(pairs))
        scale = np.concatenate([about.std(0), answers.std(0), answers.std(0)])
        mean = np.concatenate([about.mean(0), answers.mean(0), answers.mean(0)])
        return mean, np.where(scale > 1e-6, scale, 1).astype(np.float32)

    def _items(self, pairs: Sequence[PreferencePair]) -> Matrix:
        """Encoded pairs, (p, d)."""
        about = self.features_.prompts([pair.prompt for pair in pairs])
        sides = np.split(self.features_.responses(*both_sides(pairs)), 2)
        values = np.concatenate([about, *sides], axis=1)
        return np.asarray((values - self.mean_) / self.scale_, dtype=np.float32)

    def _about(self, prompts: Sequence[Prompt]) -> Matrix:
        """Encoded prompts, (n, s)."""
        s = self.features_.prompt_dim
        values = self.features_.prompts(prompts)
        return np.asarray((values - self.mean_[:s]) / self.scale_[:s], dtype=np.float32)

    def _user_state(self, pairs: Sequence[PreferencePair], said: Said = SILENT) -> UserState:
        worded = self._words(pairs) if self.words else {}
        return {"items": self._items(pairs), **worded}

    def _rewards(self, asked: Asked) -> Estimates:
        nobody: UserState = {"items": np.zeros((0, len(self.mean_)), dtype=np.float32)}
        known = [nobody if state is None else state for state in asked.states]
        texts = zip(asked.prompts, asked.responses, map(self._profile, known), strict=True)
        read = [
            (id(state), tuple(self.renderer_(*text).ids)) for state, text in zip(known, texts, strict=True)
        ]
        first = {key: row for row, key in reversed(list(enumerate(read)))}
        about = self._about([asked.prompts[row] for row in first.values()])
        rows = []
        for place, row in enumerate(first.values()):
            items = known[row]["items"][-self.max_history :]
            rows.append({
                "input_ids": list(read[row][1]),
                "items": items,
                "present": np.ones(len(items), dtype=bool),
                "about": about[place],
            })  # fmt: skip
        found = dict(zip(first, score(self.network_, rows), strict=True))
        return self._estimates(np.asarray([found[key] for key in read]))

    def _arrays(self) -> dict[str, NDArray[Any]]:
        words = {"baseline": self.baseline_} if self.words else {}
        return {"mean": self.mean_, "scale": self.scale_, **words, **self.network_.plug_state()}

    def _facts(self) -> dict[str, Any]:
        told = {"features": self.features_.identity, "prompt_dim": self.features_.prompt_dim}
        return {**super()._facts(), **told}

    def _restore(self, arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]) -> None:
        super()._restore(arrays, facts)
        self.features_ = same_features(self.name, self.features, facts["features"])
        plug = dict(arrays)
        if self.words:
            self.baseline_ = plug.pop("baseline")
        self.mean_, self.scale_ = plug.pop("mean"), plug.pop("scale")
        network = self._plugged(self.network_.backbone, len(self.mean_), facts["prompt_dim"])
        network.restore_plug(plug)
        network.eval()
        self.network_ = network


def _others(histories: Histories) -> list[NDArray[np.int64]]:
    """For every pair, the numbers of its user's other pairs that compare other responses."""
    found: list[NDArray[np.int64]] = []
    start = 0
    for history in histories.values():
        contents = [content(pair) for pair in history]
        found.extend(
            np.asarray([start + j for j, other in enumerate(contents) if other != own], dtype=np.int64)
            for own in contents
        )
        start += len(history)
    return found
