"""What may be learned from and what is asked: every way to divide the pairs of a benchmark."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Literal

from synthesizeme.errors import DataError
from synthesizeme.pairs import by_user, check_single_source, hold_out_responses, resplit
from synthesizeme.types import Frozen, PreferencePair

PROMPT_FOLDS = (0, 1, 2, 3)
Redraw = Literal["within users", "new items"]
"""What is drawn at random when a benchmark is split again: each user's pairs, or the responses."""


class Fold(Frozen):
    """One division into what may be learned from and what is asked."""

    name: str
    """Name within the benchmark."""
    history: tuple[PreferencePair, ...]
    """Pairs to learn from and tune on; their `split` is train or validation."""
    test: tuple[PreferencePair, ...]
    """Pairs to be judged; their `split` is test."""

    @property
    def histories(self) -> dict[str, list[PreferencePair]]:
        """Past pairs of every user that is asked about, in the order given; users without any left out."""
        known = by_user(self.history)
        return {user: known[user] for user in by_user(self.test) if user in known}


def given_split(pairs: Sequence[PreferencePair], source: str, name: str = "given split") -> tuple[Fold, ...]:
    """One fold, as the rows say.

    Raises:
        DataError: a row says nothing, or none says test.
    """
    without = [pair for pair in pairs if pair.split is None]
    if without:
        raise DataError(
            f"{len(without)} of {len(pairs)} pairs have no split, the first is {without[0].pair_id[:80]!r}",
            source=source,
            field="split",
            cure="draw one with `synthesizeme data split`",
        )
    history = tuple(pair for pair in pairs if pair.split != "test")
    return (_fold(name, history, tuple(pair for pair in pairs if pair.split == "test"), source),)


def prompt_folds(pairs: Sequence[PreferencePair], source: str) -> tuple[Fold, ...]:
    """Leave the prompts of one fold out; the split within users is kept for tuning on the others.

    Raises:
        DataError: a fold has no pair.
    """
    return tuple(
        _fold(
            f"prompts {number}",
            _learned(pair for pair in pairs if pair.metadata.get("prompt_fold") != number),
            _asked(pair for pair in pairs if pair.metadata.get("prompt_fold") == number),
            source,
        )
        for number in PROMPT_FOLDS
    )


def split_within_users(
    pairs: Sequence[PreferencePair], source: str, seed: int = 0, name: str = "random split"
) -> tuple[Fold, ...]:
    """One fold: `resplit` within each user, whatever the rows say.

    Raises:
        DataError: there is no test pair.
    """
    return given_split(resplit(pairs, seed), source, name)


def new_items(
    pairs: Sequence[PreferencePair], source: str, seed: int = 0, name: str = "new items"
) -> tuple[Fold, ...]:
    """One fold: a third of all responses is new in the test, on both sides; see `hold_out_responses`.

    Validation rows stay what they are, the other rows of the history are train.

    Raises:
        DataError: there is no test pair.
    """
    learned, asked = hold_out_responses(pairs, seed)
    return (_fold(name, _learned(learned), _asked(asked), source),)


REDRAWN: dict[Redraw, Callable[[Sequence[PreferencePair], str, int, str], tuple[Fold, ...]]] = {
    "within users": split_within_users,
    "new items": new_items,
}
"""How each is drawn: pairs, source, seed, and name of the fold in."""


def _learned(pairs: Iterable[PreferencePair]) -> tuple[PreferencePair, ...]:
    """Test rows become train rows."""
    return tuple(
        pair.model_copy(update={"split": "train"}) if pair.split == "test" else pair for pair in pairs
    )


def _asked(pairs: Iterable[PreferencePair]) -> tuple[PreferencePair, ...]:
    return tuple(pair.model_copy(update={"split": "test"}) for pair in pairs)


def _fold(
    name: str, history: tuple[PreferencePair, ...], test: tuple[PreferencePair, ...], source: str
) -> Fold:
    if not test:
        raise DataError(
            f"fold {name!r} has no test pair among {len(history)}; expected at least one",
            source=source,
            field="split",
            cure="check the splits, or draw them with `synthesizeme data split`",
        )
    check_single_source(test, source)
    return Fold(name=name, history=history, test=test)
