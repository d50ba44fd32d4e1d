"""Whether a user shows any taste: one test of all that is measured of the choices.

Let z_i be how much more of each measure the chosen response of pair i has than the rejected one, and p_i the
probability that anybody makes that choice. If the user chose as anybody does, the choice of pair i would be
the one made with probability p_i and the other one, with z_i of opposite sign, otherwise. A block of measures
has

    T = sum_j s_j^2 / I_j,   s_j = sum_i z_ij (1 - p_i),   I_j = sum_i z_ij^2 p_i (1 - p_i)              (1)

or, where a taste is expected in few of many measures, the sum of the `FEW` largest terms. Several blocks are
tested by the smallest of their p-values, itself held against draws, so that the level is that of all
together. The named features of `synthesizeme.perceived` are one block, what responses are about, by their
static embeddings, is the other.

References:
    Rao, "Large sample tests of statistical hypotheses concerning several parameters", 1948.
    Lin, "Variance component testing in generalised linear models with random effects", Biometrika 84, 1997.
    Davison and Hinkley, "Bootstrap Methods and their Application", 1997, section 4.2: the Monte Carlo test.
    Westfall and Young, "Resampling-based Multiple Testing", 1993: the smallest of several p-values.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from synthesizeme import perceived, stylometry
from synthesizeme.static_embedding import open_static_embedding
from synthesizeme.types import PreferencePair, last_user_turn

Floats = NDArray[np.float64]

FEW = 3
"""Terms that are summed where a taste is expected in few measures."""
DRAWS = 999
"""Users drawn from the population for one test; (`DRAWS` + 1) times the level is a whole number."""
CLIP = 1.5
"""Largest difference in a named feature that counts, in typical differences."""
_AT_ONCE = 1 << 20
"""Choices drawn at a time, a bound on memory."""
_NO_DIFFERENCE = 1e-6
_LESS_SURE = np.linspace(0.0, 1.5, 31)
"""Factors on the log-odds of anybody's choices that are tried."""
_SPREAD = 0.5
"""Prior standard deviation of such a factor around 1."""


def measured(pairs: Sequence[PreferencePair]) -> tuple[Floats, Floats]:
    """The two blocks of pairs, chosen less rejected: named features (n, 30), embeddings (n, 256)."""
    embedding = open_static_embedding()
    style = np.zeros((len(pairs), len(perceived.FEATURES)))
    about = np.zeros((len(pairs), embedding.dim))
    for row, pair in enumerate(pairs):
        asked = last_user_turn(pair.prompt)
        style[row] = stylometry.difference(
            pair.chosen_text, pair.rejected_text, asked, clip=CLIP, features=perceived.FEATURES
        )
        about[row] = embedding.vector(pair.chosen_text) - embedding.vector(pair.rejected_text)
    return style, about


def as_sure_as_they_are(probability: Floats) -> Floats:
    """Probabilities of a user's choices for anybody, made as sure as this user's choices bear out.

    Their log-odds are multiplied by the factor in [0, 1.5] of largest posterior, N(1, 0.5^2) a priori: who
    tosses a coin does not choose against what most people like, but without regard to it.

    Args:
        probability: Of the choices that were made, shape (n,), in (0, 1).
    """
    odds = np.log(probability / (1 - probability))
    fits = -np.logaddexp(0, -_LESS_SURE[:, None] * odds).sum(axis=1)
    best = _LESS_SURE[int(np.argmax(fits - ((_LESS_SURE - 1) / _SPREAD) ** 2 / 2))]
    found: Floats = 1 / (1 + np.exp(-best * odds))
    return found


def p_value(pairs: Sequence[PreferencePair], probability: Floats, seed: int) -> float:
    """How often somebody without a taste of their own would differ as much, in (0, 1].

    Such a person makes choices with these probabilities or tosses a coin; it is the larger of both p-values.

    Args:
        pairs: The user's.
        probability: Of each choice for anybody, shape (n,), in (0, 1).
        seed: Of the draws.
    """
    blocks = measured(pairs)
    tossed = np.full(len(pairs), 0.5)
    return max(chance(blocks, it, seed, few=(True, False)) for it in (probability, tossed))


def chance(
    blocks: Sequence[Floats], probability: Floats, seed: int, *, few: Sequence[bool] | None = None
) -> float:
    """How often somebody without a taste of their own differs as much as this user, in (0, 1].

    It is exact for these p_i, for any number of pairs and blocks, and 1 without any difference to be seen.

    Args:
        blocks: z of each block, shape (n, k) with any k.
        probability: p, shape (n,).
        seed: Of the draws.
        few: For each block whether only the `FEW` largest terms count; by default all of them do.

    >>> chance([np.ones((3, 1))], np.full(3, 0.5), seed=0)  # three of three, or none of three: 1 in 4
    0.225
    """
    narrow = few or [False] * len(blocks)
    found = [_statistics(it, probability, seed, least) for it, least in zip(blocks, narrow, strict=True)]
    found = [values for values in found if len(values)]
    if not found:
        return 1.0
    if len(found) == 1:
        return float(_shares(found[0])[0])
    smallest = np.min([_shares(values) for values in found], axis=0)
    return float(_shares(-smallest)[0])


def _statistics(block: Floats, probability: Floats, seed: int, few: bool) -> Floats:
    """T of the user and of each draw, shape (1 + `DRAWS`,); empty where no measure differs."""
    spread = np.sqrt((block**2).T @ (probability * (1 - probability)))
    some = spread > _NO_DIFFERENCE
    if not some.any():
        return np.zeros(0)
    scaled = block[:, some] / spread[some]
    least = max(0, scaled.shape[1] - FEW) if few else 0
    values = [np.sort(((1 - probability) @ scaled) ** 2)[least:].sum()]
    rng = np.random.default_rng(seed)
    at_once = max(1, _AT_ONCE // len(probability))
    for begin in range(0, DRAWS, at_once):
        same = rng.random((min(at_once, DRAWS - begin), len(probability))) < probability
        drawn = ((np.where(same, 1.0, 0.0) - probability) @ scaled) ** 2
        values.extend(np.sort(drawn, axis=1)[:, least:].sum(axis=1))
    return np.array(values)


def _shares(values: Floats) -> Floats:
    """For each value the share of all that are as large; draws that are the same differ in rounding alone."""
    slack = 1e-9 * np.abs(values)
    ordered = np.sort(values)
    found: Floats = (len(values) - np.searchsorted(ordered, values - slack, side="left")) / len(values)
    return found
