"""Log likelihoods of what people say, as functions of margins that are linear in all weights.

Everything a person says of responses is one term, log p of n margins f, with -log p convex in f:

- a choice between two by one margin, log sigma(f), which is what a margin is if nothing else is said of it;
- a choice among several, one after the other where they are ranked, by `Luce`;
- choices and ties, where either could be said, by `beside_ties`;
- a level of a scale by `between`: the margin, with logistic noise, fell between two thresholds.

Where it has slope g and bend W, minus the second derivatives, a term is to second order one measurement
t = f + W^-1 g with noise W^-1, as a choice is with W = p (1 - p). `Likelihood` puts many terms together, the
W of which stand as blocks on one diagonal.

References:
    Luce, "Individual Choice Behavior", 1959; Plackett, "The Analysis of Permutations", 1975: rankings.
    Davidson, "On Extending the Bradley-Terry Model to Accommodate Ties", JASA 65, 1970.
    Efron, "The Efficiency of Cox's Likelihood Function for Censored Data", 1977, section 4: shared ranks.
    McCullagh, "Regression Models for Ordinal Data", 1980: levels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from reward_models._types import Floats, sigmoid

MIN_CURVATURE = 1e-10


class Expansion(NamedTuple):
    """A term to second order, at m points of k margins each."""

    value: Floats
    """log p, shape (m,)."""
    slope: Floats
    """Its derivatives, shape (m, k)."""
    bend: Floats
    """Minus its second derivatives, shape (m, k, k), positive definite."""


Term: TypeAlias = Callable[[Floats], Expansion]
"""From margins, shape (m, k), to what they make likely."""
Numbers = NDArray[np.int64]
Terms: TypeAlias = Sequence[tuple[Term, Numbers]]
"""Terms, each with the numbers of the margins that it is of, shape (m, k)."""


@dataclass(frozen=True, eq=False)
class Luce:
    """Choices among A alternatives whose utilities u = B f are linear in k margins, at S stages.

    log p = a.u - sum_s log sum_i w_si exp(u_i)

    >>> first_of_three = ranking((1, 2))  # a over b and c, by two margins, both log 2: 1 / (1 + 1/2 + 1/2)
    >>> found = first_of_three(np.log([[2.0, 2.0]]))
    >>> np.exp(found.value).round(3), found.slope.round(3)
    (array([0.5]), array([[0.25, 0.25]]))
    """

    utilities: Floats
    """B, shape (A, k)."""
    chosen: Floats
    """a, how often each alternative is chosen, shape (A,)."""
    weights: Floats
    """log w, shape (S, A); minus infinity for an alternative that is none at a stage."""

    def __call__(self, margins: Floats) -> Expansion:
        """The term and its derivatives."""
        utilities = margins @ self.utilities.T
        stages = utilities[:, None, :] + self.weights
        highest = stages.max(axis=2, keepdims=True)
        shares = np.exp(stages - highest)
        totals = shares.sum(axis=2, keepdims=True)
        shares /= totals
        mean = shares @ self.utilities
        squares = np.einsum("msa,ai,aj->mij", shares, self.utilities, self.utilities, optimize=True)
        return Expansion(
            value=utilities @ self.chosen - (highest + np.log(totals)).sum(axis=(1, 2)),
            slope=(self.chosen - shares.sum(axis=1)) @ self.utilities,
            bend=squares - np.einsum("msi,msj->mij", mean, mean),
        )


@cache
def beside_ties(choices: int, ties: int) -> Term:
    """All choices and ties of a user who could say either, by their margins m and log nu (Davidson 1970).

    A choice has e^(m/2) / (e^(m/2) + e^(-m/2) + nu), which is sigma(m) of what no tie takes, and a tie has
    nu / (e^(m/2) + e^(-m/2) + nu). As nu is the same in all of them, they are one term.

    Args:
        choices: How many, of which the margins come first.
        ties: How many, of which they come then; log nu is last.

    >>> one_of_each = beside_ties(1, 1)(np.log([[4.0, 4.0, 1.0]]))  # 2 / (2 + 1/2 + 1) and 1 / (2 + 1/2 + 1)
    >>> np.exp(one_of_each.value).round(3), one_of_each.slope.round(3)
    (array([0.163]), array([[ 0.286, -0.214,  0.429]]))
    """
    chosen = np.repeat([1.0, 0.0], [choices, ties])

    def term(margins: Floats) -> Expansion:
        m, log_nu = margins[:, :-1], margins[:, -1:]
        total = np.logaddexp(np.logaddexp(m / 2, -m / 2), log_nu)
        tie = np.exp(log_nu - total)
        lean = np.exp(m / 2 - total) - np.exp(-m / 2 - total)
        bend = np.zeros((*margins.shape, margins.shape[1]))
        place = np.arange(m.shape[1])
        bend[:, place, place] = (1 - tie - lean**2) / 4
        bend[:, place, -1] = bend[:, -1, place] = -tie * lean / 2
        bend[:, -1, -1] = (tie * (1 - tie)).sum(axis=1)
        slope_of_nu = (1 - chosen - tie).sum(axis=1, keepdims=True)
        return Expansion(
            value=(chosen * m / 2 + (1 - chosen) * log_nu - total).sum(axis=1),
            slope=np.concatenate([(chosen - lean) / 2, slope_of_nu], axis=1),
            bend=bend,
        )

    return term


@cache
def ranking(sizes: tuple[int, ...]) -> Luce:
    """A ranking of n responses (Plackett-Luce), by the margins of the first against each other one, in order.

    Exact where no rank but the last is shared. Of those that share a higher one it is not known which came
    first; for the sum over all orders stands Efron's approximation: at the l-th of g each counts 1 - l / g.

    Args:
        sizes: How many responses have each rank, best first; two ranks or more.

    >>> found = ranking((1, 1, 1))(np.log([[2.0, 4.0]]))  # 4 : 2 : 1, so 4/7 and then 2/3
    >>> np.exp(found.value).round(3)
    array([0.381])
    """
    n = sum(sizes)
    chosen, weights, begin = np.zeros(n), [], 0
    for size in sizes[:-1]:
        chosen[begin : begin + size] = 1
        for before in range(size):
            stage = np.full(n, -np.inf)
            stage[begin:] = 0
            stage[begin : begin + size] = np.log1p(-before / size)
            weights.append(stage)
        begin += size
    return Luce(np.concatenate([np.zeros((1, n - 1)), -np.eye(n - 1)]), chosen, np.stack(weights))


_WIDEST = 500.0


def between(margins: Floats) -> Expansion:
    """A level of a scale, log(sigma(f_0) - sigma(f_1)), f_0 and f_1 being how far the thresholds lie below.

    Args:
        margins: Above the lower threshold, and above the upper one, shape (m, 2). Where the second is not
            less than the first nothing fits between, and the value is minus infinity.

    >>> found = between(np.log([[3.0, 1 / 3]]))  # 3/4 - 1/4
    >>> np.exp(found.value).round(3), found.slope.round(3)  # sigma' / (1/2) = 3/8 either way
    (array([0.5]), array([[ 0.375, -0.375]]))
    """
    lower, upper = margins.T
    width = lower - upper
    apart = np.where(width > 0, np.minimum(width, _WIDEST), 1.0)
    p, q = sigmoid(lower), sigmoid(upper)
    value = -np.logaddexp(0, -lower) - np.logaddexp(0, upper) + np.log(-np.expm1(-apart))
    pull, narrow = 1 / np.expm1(apart), 1 / (4 * np.sinh(apart / 2) ** 2)
    bend = np.empty((len(margins), 2, 2))
    bend[:, 0, 0], bend[:, 1, 1] = p * (1 - p) + narrow, q * (1 - q) + narrow
    bend[:, 0, 1] = bend[:, 1, 0] = -narrow
    return Expansion(np.where(width > 0, value, -np.inf), np.stack([1 - p + pull, -q - pull], axis=1), bend)


def positive(margins: Floats) -> Expansion:
    """A factor of the prior that keeps a number above zero, log f; of shape (m, 1).

    >>> [number.item() for number in positive(np.array([[0.5]]))]  # log 1/2, 2 and 4
    [-0.6931471805599453, 2.0, 4.0]
    """
    inside = np.where(margins > 0, margins, 1.0)
    value = np.where(margins > 0, np.log(inside), -np.inf)
    return Expansion(value[:, 0], 1 / inside, 1 / inside[:, :, None] ** 2)


@dataclass(frozen=True)
class Measured:
    """The measurements that margins of shape (U, n) are to second order: t with noise W^-1, W = C C^T."""

    working: Floats
    """t, shape (U, n)."""
    noise: Floats
    """Diagonal of W^-1, shape (U, n)."""
    scale: Floats
    """C of the margins that are a choice by themselves, shape (U, n)."""
    blocks: Sequence[tuple[tuple[Any, Any], Floats]]
    """C of each term of several: users and margins, shape (m, k), and (m, k, k)."""

    def before(self, matrices: Floats) -> Floats:
        """C^T times matrices of users, shape (U, n, c)."""
        found = self.scale[:, :, None] * matrices
        for (users, places), factor in self.blocks:
            found[users, places] = factor.swapaxes(1, 2) @ matrices[users, places]
        return found

    def after(self, matrices: Floats, *, transposed: bool = False) -> Floats:
        """Matrices of users, shape (U, r, n), times C or, `transposed`, C^T."""
        found = matrices * self.scale[:, None, :]
        for (users, places), factor in self.blocks:
            by = factor if transposed else factor.swapaxes(1, 2)
            found[users, :, places] = by @ matrices[users, :, places]
        return found


class Likelihood:
    """The likelihood of margins of U users with n each; those in no term are choices by themselves.

    Args:
        terms: Terms of each user.
        n: Margins of each user.
    """

    def __init__(self, terms: Sequence[Terms], n: int) -> None:
        found: dict[Term, list[Numbers]] = {}
        for user, own in enumerate(terms):
            for term, numbers in own:
                found.setdefault(term, []).append(numbers + user * n)
        self._terms = [(term, np.concatenate(numbers)) for term, numbers in found.items()]
        alone = np.ones(len(terms) * n, dtype=bool)
        for _, numbers in self._terms:
            alone[numbers] = False
        self._alone = np.flatnonzero(alone) if self._terms else slice(None)

    def value(self, margins: Any) -> float:
        """Log p of margins of shape (U, n), or of one user's (n,)."""
        flat = margins.reshape(-1)
        found = -np.logaddexp(0, -flat[self._alone]).sum()
        return float(found + sum(term(flat[numbers]).value.sum() for term, numbers in self._terms))

    def measured(self, margins: Floats) -> Measured:
        """The likelihood to second order at margins of shape (U, n)."""
        p = sigmoid(margins).astype(margins.dtype)
        curvature = np.maximum(p * (1 - p), MIN_CURVATURE)
        working, noise = margins + (1 - p) / curvature, 1 / curvature
        blocks: list[tuple[tuple[Any, Any], Floats]] = []
        for term, numbers in self._terms:
            places = np.divmod(numbers, margins.shape[1])
            _, slope, bend = term(margins[places])
            bend = bend + MIN_CURVATURE * np.eye(bend.shape[1])
            inverse = np.linalg.inv(bend)
            working[places] = margins[places] + (inverse @ slope[:, :, None])[:, :, 0]
            noise[places] = np.einsum("mii->mi", inverse)
            factor: Floats = np.asarray(np.linalg.cholesky(bend), dtype=np.float64)
            blocks.append((places, factor))
        return Measured(working, noise, np.sqrt(curvature), blocks)


CHOICES = Likelihood((), 0)
"""Of margins of any shape that are choices by themselves."""


def gathered(terms: Iterable[tuple[Term, Sequence[int]]]) -> Terms:
    """Terms, each with the numbers of its margins, put together where they are alike."""
    found: dict[Term, list[Sequence[int]]] = {}
    for term, numbers in terms:
        found.setdefault(term, []).append(numbers)
    return [(term, np.array(numbers, dtype=np.int64)) for term, numbers in found.items()]
