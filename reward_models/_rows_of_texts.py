"""From texts, and what users said of them, to the rows of features that a hierarchical model is fitted to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from reward_models._basis import STYLE, Basis
from reward_models._effects import NONE, JudgedTexts
from reward_models._feedback import THRESHOLDS, Line, Margins, Weight, choices
from reward_models._hierarchy import Fit, Heard, Rows, Variances
from reward_models._own_words import OwnWords, as_of
from reward_models._tastes import Tastes
from reward_models._types import Asked, Floats, UserState, Words
from synthesizeme.feedback import UserWords
from synthesizeme.types import PreferencePair


class RowsOfTexts:
    """What describes texts in a hierarchical model, once it is learned; mixed into a `RewardModel`."""

    basis_: Basis
    judged_: JudgedTexts
    words_: OwnWords
    tastes_: Tastes
    variances_: Variances
    fit_: Fit
    heard_: bool
    """Whether the thresholds of all users were learned; they are the last shared weights then."""
    ties_: bool
    """Whether somebody it was fitted to said a tie, so that each choice could have been one."""

    def _rows_of(self, margins: Mapping[str, Margins], words: Words) -> list[Rows]:
        """The margins of each user as rows, worked out for all of them at once."""
        said = {user: self.words_.state(words.get(user)) for user in margins}
        lines = [line for own in margins.values() for line in own.lines]
        states = [
            as_of(state, line.moment) if (state := said[user]) else None
            for user, own in margins.items() for line in own.lines
        ]  # fmt: skip
        rows = self._lines(lines, states)
        ends = np.cumsum([len(own.lines) for own in margins.values()])
        found = [rows[end - len(own.lines) : end] for end, own in zip(ends, margins.values(), strict=True)]
        return [self._beside(rows, own) for rows, own in zip(found, margins.values(), strict=True)]

    def _rows(self, margins: Margins, words: UserWords | None) -> Rows:
        return self._rows_of({"": margins}, {} if words is None else {"": words})[0]

    def _differences(self, pairs: Sequence[PreferencePair], words: UserWords | None = None) -> Rows:
        """Pairs of one user as choices, whatever else was said."""
        return self._rows(choices(pairs), words)

    def _lines(self, lines: Sequence[Line], states: Sequence[UserState | None]) -> Rows:
        """Features of the first responses minus those of the second ones; of none, zeros."""
        sides = [(line.first, state) for line, state in zip(lines, states, strict=True)]
        sides += [(line.second, state) for line, state in zip(lines, states, strict=True)]
        there = [(item, state) for item, state in sides if item is not None]
        both = self._described(
            Asked([item.prompt for item, _ in there], [item.response for item, _ in there],
                  [state for _, state in there])
        )  # fmt: skip
        n = len(lines)
        shared, own = np.zeros((2 * n, both.shared.shape[1])), np.zeros((2 * n, both.own.shape[1]))
        numbers = np.full(2 * n, NONE)
        places = [place for place, (item, _) in enumerate(sides) if item is not None]
        shared[places], own[places], numbers[places] = both.shared, both.own, both.items[:, 0]
        found = Rows(shared[:n] - shared[n:], own[:n] - own[n:], np.stack([numbers[:n], numbers[n:]], axis=1))
        for row, line in enumerate(lines):
            if line.weight is not None:
                self._weigh(found, row, line.weight)
        return found

    def _weigh(self, rows: Rows, row: int, weight: Weight) -> None:
        """Make a row what users like in a named feature, in standard deviations of their differences."""
        shared, own = self._trait(weight.feature)
        spread = np.sqrt((own**2 * self.variances_.own).sum())
        by = weight.by / spread if spread else 0.0
        rows.own[row], rows.shared[row, : len(shared)] = by * own, by * shared

    def _trait(self, feature: int) -> tuple[Floats, Floats]:
        """What goes with a named feature: shared features but words, and user features with tastes."""
        shared, own = self.basis_.trait(feature)
        return shared, np.concatenate([own, self.tastes_.features.T @ own])

    def _beside(self, rows: Rows, margins: Margins) -> Rows:
        """Rows with what their margins hold beside features."""
        if margins.plain:
            return rows
        constant, thresholds = margins.beside()
        shared = rows.shared
        if self.heard_:
            shared = shared.copy()
            shared[:, -len(THRESHOLDS) :] += thresholds
        heard = Heard(constant, thresholds * self._threshold_scale(), margins.terms)
        return replace(rows, shared=shared, heard=heard)

    def _contrasts(self, firsts: Asked, seconds: Asked) -> Rows:
        """Features of the first responses minus those of the second ones."""
        both, n = self._described(firsts.then(seconds)), len(firsts.responses)
        return Rows(
            shared=both.shared[:n] - both.shared[n:],
            own=both.own[:n] - both.own[n:],
            items=np.stack([both.items[:n, 0], both.items[n:, 0]], axis=1),
        )

    def _described(self, asked: Asked) -> Rows:
        """Features of single responses; the second of a row's two responses is none."""
        items = asked.items
        shared, own = self.basis_.rows(items)
        numbers = self.judged_.numbers(items)
        if self.words_.count():
            words = self.words_.rows(asked.prompts, own, asked.states)
            shared = np.concatenate([shared, words], axis=1)
        if self.heard_:
            shared = np.pad(shared, ((0, 0), (0, len(THRESHOLDS))))
        rows = Rows(shared, own, np.stack([numbers, np.full_like(numbers, NONE)], axis=1))
        return rows.with_own(self.tastes_.of(rows)) if self.tastes_.count else rows

    def _taste(self) -> Floats:
        """What carries over from one text to another: the named features, and the tastes; shape (K, G)."""
        named = np.stack([self._trait(feature)[1] for feature in range(STYLE)])
        width = named.shape[1]
        common = np.eye(width)[width - self.tastes_.count :]
        return np.concatenate([named[named.any(axis=1)], common])

    def _thresholds(self) -> Floats:
        """Those of all users, shape (T,)."""
        found: Floats = self.fit_.weights[-len(THRESHOLDS) :] if self.heard_ else np.zeros(len(THRESHOLDS))
        return found

    def _threshold_scale(self) -> Floats:
        """Prior standard deviations of a user's own, about those of all users, shape (T,)."""
        learned = np.array([0.0 if self.heard_ else threshold.shared for threshold in THRESHOLDS])
        found: Floats = np.sqrt(learned + [threshold.own for threshold in THRESHOLDS])
        return found
