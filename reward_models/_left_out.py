"""What a fit would say of a pair had it never seen it, nor the pair's texts, nor its user.

A bounded number of pairs is worked on in the space of pairs: their margins are jointly N(0, K) with
K = kappa X P X^T + tau Z Z^T + own Z_u V Z_u^T within users (equation 1 of `reward_models._hierarchy`), and
the logistic likelihood is replaced by N(f | t, W^-1) at the mode. Then, with A = (K + W^-1)^-1, duals
a = A t and S the pairs that must not be seen, pair i among them, the left-out margin of i has

    mean t_i - [A_SS^-1 a_S]_i,      variance [A_SS^-1]_ii - 1 / W_i                                   (1)

which for S = {i} is GPML, equations 5.10 to 5.12.

References:
    Rasmussen and Williams, "Gaussian Processes for Machine Learning", 2006, sections 3.4 and 5.4.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from reward_models._effects import NONE
from reward_models._hierarchy import Mode, Rows, Variances
from reward_models._newton import ROUGH, climb
from reward_models._types import Floats, sigmoid
from synthesizeme.temperature import fit_margin_temperature

Case = Literal["seen", "new", "nobody", "nobody, new"]
CASES: tuple[Case, ...] = ("seen", "new", "nobody", "nobody, new")
"""What was not seen: the pair alone; no pair with either of its texts; no pair of its user; neither."""
OF_NOBODY = 128
"""Pairs predicted without their user; with long histories each costs as much as many others."""
SEEN_OR_NEW: tuple[Case, ...] = ("seen", "new")
_MOST_CELLS = 1 << 17
_LEAST_CURVATURE = np.float32(1e-6)
_MOST_LEFT_OUT = 512
"""Pairs left out with one pair; of more, the first so many."""


class LeftOut(NamedTuple):
    """Predictions of pairs that were not seen."""

    margins: Floats
    """Shape (n,)."""
    variances: Floats
    """Shape (n,)."""

    @property
    def moderated(self) -> Floats:
        """Margins shrunk by their own uncertainty, m / sqrt(1 + pi var / 8) (MacKay 1992, equation 10)."""
        return moderated(self.margins, self.variances)


@dataclass(frozen=True)
class Factors:
    """What the built-in variances are multiplied with, and the variance of effects."""

    shared: float = 1.0
    own: float = 1.0
    items: float = 0.0


class Hidden:
    """Which of some pairs must not be seen when one of them is predicted.

    Args:
        users: Rows of each user.
        most: At most so many pairs are predicted; of nobody, at most `OF_NOBODY`.
        seed: Chooses them.
    """

    def __init__(self, users: Sequence[Rows], most: int, seed: int) -> None:
        self._items = np.concatenate([rows.items for rows in users])
        self.whose = np.repeat(np.arange(len(users)), [len(rows) for rows in users])
        self._order = np.random.default_rng(seed).permutation(len(self.whose))[:most]
        counts = np.unique(self._items[self._items != NONE], return_counts=True)[1]
        self.recurring = bool((counts > 1).any())
        self._sets: dict[Case, list[NDArray[np.int64]]] = {}

    def cases(self) -> tuple[Case, ...]:
        """The cases that differ from each other here."""
        found: tuple[Case, ...] = CASES if self.recurring else ("seen", "nobody")
        return found if self.whose[-1] > 0 else tuple(case for case in found if "nobody" not in case)

    def targets(self, case: Case) -> NDArray[np.int64]:
        """Numbers of the pairs that are predicted in a case."""
        return np.sort(self._order[:OF_NOBODY] if "nobody" in case else self._order)

    def judged(self, case: Case) -> NDArray[np.bool_]:
        """Whether both texts of each target have an effect of their own."""
        return np.asarray((self._items[self.targets(case)] != NONE).all(axis=1))

    def sets(self, case: Case) -> list[NDArray[np.int64]]:
        """For each target of a case the pairs that must not be seen, the target first."""
        if case not in self._sets:
            self._sets[case] = self._found(case)
        return self._sets[case]

    def _found(self, case: Case) -> list[NDArray[np.int64]]:
        holders: dict[int, list[int]] = {}
        for i, sides in enumerate(self._items.tolist()):
            for number in sides:
                if number != NONE:
                    holders.setdefault(number, []).append(i)
        begins = np.searchsorted(self.whose, np.arange(self.whose[-1] + 2))
        found = []
        for i in self.targets(case).tolist():
            others: set[int] = set()
            if "new" in case:
                sides = self._items[i].tolist()
                others.update(j for number in sides if number != NONE for j in holders[number])
            if "nobody" in case:
                others.update(range(begins[self.whose[i]], begins[self.whose[i] + 1]))
            found.append(np.array([i, *sorted(others - {i})[: _MOST_LEFT_OUT - 1]], dtype=np.int64))
        return found


class Pairs:
    """A bounded number of pairs and their kernels, to be fitted under one choice of factors after another.

    Args:
        users: Rows of each user.
        variances: Prior variances; `items` is not read, see `Factors`.
        seed: Chooses the pairs that are predicted.
    """

    def __init__(self, users: Sequence[Rows], variances: Variances, *, seed: int = 0) -> None:
        shared = np.concatenate([rows.shared for rows in users])
        self.hidden = Hidden(users, len(shared), seed)
        self._shared: NDArray[Any] = ((shared * variances.shared) @ shared.T).astype(np.float32)
        self._items: NDArray[Any] = _incidence(np.concatenate([rows.items for rows in users]))
        self._own: NDArray[Any] = np.zeros_like(self._shared)
        begin = 0
        for rows in users:
            block = slice(begin, begin + len(rows))
            self._own[block, block] = (rows.own * variances.own) @ rows.own.T
            begin += len(rows)
        self._duals: NDArray[Any] = np.zeros(len(shared), dtype=np.float32)

    def left_out(self, factors: Factors, cases: Sequence[Case] = CASES) -> dict[Case, LeftOut]:
        """Predictions of the targets in each of these cases that there is."""
        inverse, duals, working, curvature = self._mode(factors)
        return predictions(self.hidden, cases, lambda s, t: inverse[s, t], duals, working, 1 / curvature)

    def _mode(self, factors: Factors) -> tuple[Floats, Floats, Floats, Floats]:
        """(K + W^-1)^-1 at the mode, duals, working responses and curvatures."""
        kernel = factors.shared * self._shared + factors.own * self._own
        if factors.items:
            kernel = kernel + factors.items * self._items
        kernel = kernel.astype(np.float32)

        def target(margins: NDArray[Any]) -> NDArray[Any]:
            s, inner, working, _ = _expanded(kernel, margins)
            return s * np.linalg.solve(inner, s * working)

        self._duals, pulled = climb(kernel, 0.0, self._duals, target, ROUGH)
        s, inner, working, curvature = _expanded(kernel, pulled)
        exact = (s[:, None] * np.linalg.inv(inner) * s).astype(np.float64)
        return exact, exact @ working, working.astype(np.float64), curvature.astype(np.float64)


def left_out(mode: Mode, covariance: Floats, hidden: Hidden) -> dict[Case, LeftOut]:
    """Predictions of the targets of `hidden` in every case at a fit of all their pairs.

    Args:
        mode: The pairs at the mode.
        covariance: Of shared weights and effects, shape (D + I, D + I); A is M - R covariance R^T with
            M and R = M [X Z] the blocks and the reach of `mode`.
        hidden: Which pairs are predicted, and what is not seen then.
    """
    spread = (mode.reach @ np.linalg.cholesky(covariance)).astype(np.float32)
    sizes = np.array([len(block) for block in mode.blocks])
    cells = np.concatenate([block.ravel() for block in mode.blocks])
    cell_begins = np.cumsum(sizes**2) - sizes**2
    own_place = np.concatenate([np.arange(size) for size in sizes])

    def inverse(s: NDArray[np.int64], t: NDArray[np.int64]) -> Floats:
        user = hidden.whose[s]
        place = cell_begins[user] + own_place[s] * sizes[user]
        same = user == hidden.whose[t]
        blocks = np.where(same, cells[np.where(same, place + own_place[t], 0)], 0)
        some = spread[s[:, :, 0]]
        found: Floats = blocks - some @ some.swapaxes(1, 2)
        return found

    return predictions(hidden, CASES, inverse, mode.duals, mode.working, mode.noise)


def predictions(
    hidden: Hidden,
    cases: Sequence[Case],
    inverse: Callable[[NDArray[np.int64], NDArray[np.int64]], Floats],
    duals: Floats,
    working: Floats,
    noise: Floats,
) -> dict[Case, LeftOut]:
    """Left-out margins by equation (1), from entries of A, the duals A t, t and 1 / W."""
    found: dict[Case, LeftOut] = {}
    for case in (case for case in hidden.cases() if case in cases):
        targets = hidden.targets(case)
        means, variances = _without(inverse, duals, hidden.sets(case))
        found[case] = LeftOut(working[targets] - means, np.maximum(variances - noise[targets], 0))
    return found


def moderated(margins: Floats, variances: Floats) -> Floats:
    """Margins shrunk by their own uncertainty (MacKay 1992, equation 10)."""
    return margins / np.sqrt(1 + np.pi / 8 * variances)


def sharpness(predictions: LeftOut) -> float:
    """The factor of moderated margins that makes these pairs most likely."""
    return 1 / fit_margin_temperature(predictions.moderated)


def loss(predictions: Mapping[Case, LeftOut], cases: Sequence[Case] = SEEN_OR_NEW) -> float:
    """Mean negative log-likelihood over the cases there are, each at the sharpness that suits it best."""
    return float(np.mean([losses(predictions[case]).mean() for case in cases if case in predictions]))


def losses(predictions: LeftOut) -> Floats:
    """Negative log-likelihood of each pair at the sharpness that suits all of them best, shape (n,)."""
    return np.logaddexp(0, -sharpness(predictions) * predictions.moderated)


def _expanded(kernel: NDArray[Any], margins: NDArray[Any]) -> tuple[NDArray[Any], ...]:
    """S = sqrt W as a vector, I + S K S, working responses t and curvatures W at these margins."""
    p = sigmoid(margins.astype(np.float64)).astype(np.float32)
    curvature = np.maximum(p * (1 - p), _LEAST_CURVATURE)
    s = np.sqrt(curvature)
    inner = s[:, None] * kernel * s
    inner[np.diag_indices_from(inner)] += 1
    return s, inner, margins + (1 - p) / curvature, curvature


def _without(
    inverse: Callable[[NDArray[np.int64], NDArray[np.int64]], Floats],
    duals: Floats,
    hidden: Sequence[NDArray[np.int64]],
) -> tuple[Floats, Floats]:
    """[A_SS^-1 a_S]_i and [A_SS^-1]_ii of equation (1) for every target i.

    Args:
        inverse: Entries of A at rows of shape (m, s, 1) and columns of shape (m, 1, s).
        duals: a, shape (n,).
        hidden: S of each target, the target first; sets of similar size are solved together.
    """
    means, variances = np.empty(len(hidden)), np.empty(len(hidden))
    sizes = np.array([len(some) for some in hidden])
    order = np.argsort(sizes, kind="stable")
    begin = 0
    while begin < len(order):
        longest = 1.3 * sizes[order[begin]] + 4
        end = begin + 1
        while (
            end < len(order)
            and sizes[order[end]] <= longest
            and (end + 1 - begin) * sizes[order[end]] ** 2 <= _MOST_CELLS
        ):
            end += 1
        part = order[begin:end]
        width = int(sizes[part].max())
        places = np.zeros((len(part), width), dtype=np.int64)
        there = np.arange(width) < sizes[part][:, None]
        places[there] = np.concatenate([hidden[k] for k in part.tolist()])
        block = inverse(places[:, :, None], places[:, None, :]).astype(np.float64)
        block *= there[:, :, None] & there[:, None, :]
        block[:, np.arange(width), np.arange(width)] += ~there
        sides = np.zeros((len(part), width, 2))
        sides[:, :, 0] = np.where(there, duals[places], 0)
        sides[:, 0, 1] = 1  # the target stands first
        solved = np.linalg.solve(block, sides)
        means[part], variances[part] = solved[:, 0, 0], solved[:, 0, 1]
        begin = end
    return means, variances


def _incidence(items: NDArray[np.int64]) -> NDArray[Any]:
    """Z Z^T: how the effects of two pairs hang together, shape (n, n); 0 for pairs without effects."""
    found = np.zeros((len(items), len(items)), dtype=np.float32)
    for one, first in enumerate((1.0, -1.0)):
        for other, second in enumerate((1.0, -1.0)):
            same = items[:, one][:, None] == items[:, other]
            same &= items[:, one][:, None] != NONE
            found += np.float32(first * second) * same
    return found


START = Factors(shared=0.3, own=0.3, items=0.5)
"""Where the search begins."""
_REACH = 0.8
_ATTEMPTS = 10
_FARTHEST, _NEAR, _WIDEST = 1.6, 0.25, 4.0


def searched(pairs: Pairs) -> Factors:
    """The factors of all shared and of all own variances, and the variance of effects where texts recur.

    The loss is the mean of that of pairs which were not seen and that of pairs neither of whose texts was
    seen (`reward_models._left_out.loss`): the first says how much a text that was judged often may tell,
    the second keeps what is said of new texts from being learned by heart.
    """

    def factors(point: Floats) -> Factors:
        shared, own, *items = np.exp(point).tolist()
        return Factors(START.shared * shared, START.own * own, START.items * items[0] if items else 0.0)

    best = lowest(
        lambda point: loss(pairs.left_out(factors(point), SEEN_OR_NEW)), 3 if pairs.hidden.recurring else 2
    )
    return factors(best)


def lowest(function: Callable[[Floats], float], dimensions: int) -> Floats:
    """The best point tried of a function of a few logarithms, which is flat near its lowest point.

    The origin and one point on either side of it in every dimension are tried first. Then a quadratic
    surface is laid through the losses near the best point; its lowest point within reach is tried next, and
    the reach is halved when that was no better.

    Args:
        function: Of a point, shape (`dimensions`,).
        dimensions: How many.

    Returns:
        Shape (`dimensions`,), every value in [-4, 4].
    """
    tried: dict[tuple[float, ...], float] = {}

    def attempt(point: Floats) -> None:
        key = tuple(map(float, point))
        if key not in tried:
            tried[key] = function(point)

    unit = _REACH * np.eye(dimensions)
    for start in (np.zeros((1, dimensions)), -unit, unit):
        for point in start:
            attempt(point)
    reach = _FARTHEST
    for _ in range(_ATTEMPTS):
        best = min(tried, key=lambda it: tried[it])
        step = _downhill(np.array(list(tried)) - best, np.array(list(tried.values())), reach)
        if np.linalg.norm(step) < _NEAR:
            break
        attempt(np.clip(best + step, -_WIDEST, _WIDEST))
        if min(tried, key=lambda it: tried[it]) == best:
            reach /= 2
    return np.array(min(tried, key=lambda it: tried[it]))


def _downhill(points: Floats, losses: Floats, reach: float) -> Floats:
    """Step from the origin, shape (d,), to where a quadratic surface is lowest, at most `reach` long.

    Args:
        points: Shape (n, d); the nearer to the origin, the more they count.
        losses: Their losses, shape (n,).
        reach: Length of the longest step.
    """
    rows, columns = np.triu_indices(points.shape[1])
    squares = points[:, rows] * points[:, columns] / np.where(rows == columns, 2, 1)
    terms = np.concatenate([np.ones((len(points), 1)), points, squares], axis=1)
    counts = np.exp(-(points**2).sum(axis=1) / 2)
    found = np.linalg.lstsq(terms * counts[:, None], losses * counts, rcond=None)[0]
    slope, bend = found[1 : points.shape[1] + 1], np.zeros((points.shape[1],) * 2)
    bend[rows, columns] = bend[columns, rows] = found[points.shape[1] + 1 :]
    bends, axes = np.linalg.eigh(bend)
    slopes = axes.T @ slope
    # Along a direction that does not bend upwards, as far as may be.
    steps = np.where(bends > 0, -slopes / np.maximum(bends, 1e-12), -np.sign(slopes) * reach)
    step: Floats = axes @ steps
    return step * min(1.0, reach / max(float(np.linalg.norm(step)), 1e-12))
