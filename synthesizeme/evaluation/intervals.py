"""How sure an accuracy or a difference is, when the pairs of one user hang together.

Both orders of a pair are averaged into one score before anything here sees them, and users, not
pairs, are what is resampled: pairs of one person are not independent observations. With a handful of users
that says next to nothing, so a second interval, over pairs within users, is given "for these users".

References:
    Field and Welsh (2007), "Bootstrapping clustered data", JRSS B 69(3): the cluster bootstrap.
    Hesterberg (2015), "What teachers should know about the bootstrap", The American Statistician
    69(4), section 5.3: expanded percentile intervals, which do not fall short with few units.
    Hanley and Lippman-Hand (1983), "If nothing goes wrong, is everything all right?", JAMA 249(13):
    what n alike observations leave open, with the exact binomial bound of Clopper and Pearson (1934).
    Miller (2024), "Adding error bars to evals", arXiv:2411.00640: clustered standard errors,
    paired differences, minimum detectable effect.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from synthesizeme.evaluation.calibration import log_losses
from synthesizeme.evaluation.harness import Outcome, PairOutcome
from synthesizeme.temperature import CLIP
from synthesizeme.types import Frozen

RESAMPLES = 2000
FEW_UNITS = 10
"""With fewer units than this, a variation between them that is too small to be true is not believed."""
FOR_THESE_USERS = "for these users"
"""Name of the interval over pairs within users."""
LOSSES = (0.0, -math.log(CLIP))
"""The least and the most that one pair can lose, in nats."""
_CELLS = 4_000_000
_ALIKE = 1e-12

Floats = NDArray[np.float64]


class Interval(Frozen):
    """A mean with its interval."""

    value: float | None
    """The mean; None without any observation."""
    low: float | None
    """Lower end; None without any observation."""
    high: float | None
    """Upper end; None without any observation."""
    standard_error: float | None
    """Clustered standard error; None with fewer than two units."""
    n_pairs: int
    """Pairs behind it."""
    n_users: int
    """Users behind those pairs."""
    unit: Literal["user", "pair"]
    """What was resampled: users, or the pairs of a single user (then it speaks for that user alone)."""
    for_these_users: tuple[float, float] | None = None
    """Both ends of the interval over pairs within users, given for 2 to `FEW_UNITS` - 1 users: where the mean
    of these same users lies. It says nothing about other users."""


class Difference(Interval):
    """Mean of a - b over the pairs that both answered; positive favours a."""


def interval(
    values: Sequence[float] | Floats,
    users: Sequence[str],
    *,
    weights: Sequence[float] | None = None,
    bounds: tuple[float, float] = (0.0, 1.0),
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Mean of `values` with a percentile interval from a bootstrap over users.

    Users are drawn with replacement, each with all its pairs, and the mean over the pairs drawn is
    taken; with a single user, its pairs are drawn. Without any value there is no interval.

    A bootstrap sees no variation that the units at hand do not show. But of n units, with confidence
    ``1 - alpha / 2``, at most a share ``1 - (alpha / 2) ** (1 / n)`` of all units is unlike them, and these
    could lie at either of the `bounds`. Where all units have the same mean this is the interval (for all
    right or all wrong it is that of Clopper and Pearson). It is also the least width with fewer than
    `FEW_UNITS` units that vary less between them than independent right or wrong answers would.

    Args:
        values: Shape (n,), one number per pair.
        users: Length n, the user of each value.
        weights: Length n, what each value counts, in the mean 1; the same for all by default.
        bounds: Smallest and largest value there can be.
        level: Coverage aimed at, in (0, 1).
        resamples: Bootstrap samples.
        seed: Seed of the bootstrap.
    """
    sums, counts = _per_unit(values, users, weights)
    n_users, n_pairs = len(set(users)), len(users)
    shared: dict[str, Any] = {
        "n_pairs": n_pairs,
        "n_users": n_users,
        "unit": "user" if n_users > 1 else "pair",
    }
    if not n_pairs:
        return Interval(value=None, low=None, high=None, standard_error=None, **shared)
    value = float(sums.sum() / counts.sum())
    low, high = _ends(sums, counts, bounds, level, resamples, seed)
    if weights is None and 1 < n_users < FEW_UNITS:
        within = _ends(_within(values, users), np.ones(n_pairs), bounds, level, resamples, seed)
        shared["for_these_users"] = _around(value, within, bounds)
    low, high = _around(value, (low, high), bounds)
    return Interval(value=value, low=low, high=high, standard_error=_error(sums, counts), **shared)


def accuracy_interval(*outcomes: Outcome, seed: int = 0) -> Interval:
    """Micro accuracy with its interval, over the answered pairs; the mean over several, e.g. of re-splits."""
    return _mean_over([_scores(outcome) for outcome in outcomes], (0.0, 1.0), seed)


def loss_interval(*outcomes: Outcome, seed: int = 0) -> Interval:
    """Mean of `log_losses` with its interval, in nats; the mean over several outcomes."""
    return _mean_over([log_losses(outcome) for outcome in outcomes], LOSSES, seed)


def paired_difference(a: Outcome, b: Outcome, *, seed: int = 0) -> Difference:
    """Accuracy of `a` minus that of `b` on the pairs both answered, with its interval.

    Subtracting pair by pair removes what is hard about a pair for both, so the interval is narrower
    than the two accuracies' own intervals suggest. It has no width only if the two gave the same answers.

    Raises:
        ValueError: the two count ties differently.
    """
    return mean_difference([(a, b)], seed=seed)


def mean_difference(both: Sequence[tuple[Outcome, Outcome]], *, seed: int = 0) -> Difference:
    """Mean over pairs of outcomes (a, b) of `paired_difference`, with its interval.

    Raises:
        ValueError: two count ties differently.
    """
    found = _mean_over([_differences(a, b) for a, b in both], (-1.0, 1.0), seed).model_dump()
    if found["n_pairs"] and all(_agree(a, b) for a, b in both):
        within = None if found["for_these_users"] is None else (0.0, 0.0)
        found |= {"low": 0.0, "high": 0.0, "for_these_users": within}
    return Difference(**found)


def smallest_detectable_difference(outcome: Outcome, against: Outcome | None = None) -> float | None:
    """Smallest true difference that these pairs would show with probability 0.8, at the level of 95 %.

    ``(z[0.975] + z[0.8]) * SE``: SE is the clustered error of the paired difference to
    `against`, or without it that of the accuracy itself, to be set against a fixed number. Two-sided
    test. None with no observed variation, or with fewer than `FEW_UNITS` units, with which the normal
    quantiles promise too much.
    """
    values, users = _scores(outcome) if against is None else _differences(outcome, against)
    error = clustered_standard_error(values, users)
    if len(_per_unit(values, users)[0]) < FEW_UNITS:
        return None
    normal = NormalDist()
    return (normal.inv_cdf(0.975) + normal.inv_cdf(0.8)) * error if error else None


def _mean_over(
    parts: Sequence[tuple[Sequence[float] | Floats, Sequence[str]]], bounds: tuple[float, float], seed: int
) -> Interval:
    """Mean over `parts` of each part's mean, however many values it has.

    Users are drawn with all their pairs of all parts, so parts may overlap: a pair that is in several of them
    counts as what it is, the same user's.
    """
    known = [(values, users) for values, users in parts if len(users)]
    total = sum(len(users) for _, users in known)
    weights = [total / (len(known) * len(users)) for _, users in known for _ in users]
    values = [float(value) for part, _ in known for value in part]
    users = [user for _, part in known for user in part]
    return interval(values, users, weights=weights if len(known) > 1 else None, bounds=bounds, seed=seed)


def clustered_standard_error(values: Sequence[float] | Floats, users: Sequence[str]) -> float | None:
    """Standard error of the mean of `values` (n,) when values of one user are correlated.

    ``sqrt(G / (G - 1) * sum_g (sum_i (s_gi - mean))^2) / n`` over the G users; with a single user its
    pairs are the units. None with fewer than two units.

    References:
        Miller (2024), section 2.2, with the small-sample factor of Cameron and Miller (2015), J. Human
        Resources 50(2); with one value per user it is the ordinary standard error of a mean.
    """
    sums, counts = _per_unit(values, users)
    return _error(sums, counts)


def _error(sums: Floats, counts: Floats) -> float | None:
    units = len(sums)
    if units < 2:
        return None
    residuals = sums - counts * sums.sum() / counts.sum()
    return float(np.sqrt(units / (units - 1) * np.square(residuals).sum()) / counts.sum())


def _within(values: Sequence[float] | Floats, users: Sequence[str]) -> Floats:
    """The values with every user's mean moved to that of all, shape (n,): what varies within users.

    Deviations of a user with k values are widened by ``sqrt(k / (k - 1))``, since they are taken from the
    mean of the same k values.
    """
    array = np.asarray(values, dtype=np.float64)
    _, group = np.unique(np.asarray(users), return_inverse=True)
    counts = np.bincount(group)
    deviations = array - (np.bincount(group, array) / counts)[group]
    return np.asarray(array.mean() + deviations * np.sqrt(counts / np.maximum(counts - 1, 1))[group])


def _around(value: float, ends: tuple[float, float], bounds: tuple[float, float]) -> tuple[float, float]:
    """Both ends within the bounds and on their own side of the value."""
    return max(min(ends[0], value), bounds[0]), min(max(ends[1], value), bounds[1])


def _per_unit(
    values: Sequence[float] | Floats, users: Sequence[str], weights: Sequence[float] | None = None
) -> tuple[Floats, Floats]:
    """Weighted sum of values, and sum of weights (by default 1 each), per unit: shapes (G,) and (G,)."""
    array = np.asarray(values, dtype=np.float64)
    if array.shape != (len(users),):
        raise ValueError(
            f"values have shape {array.shape}, users have length {len(users)}; expected one each"
        )
    weight = np.ones(len(array)) if weights is None else np.asarray(weights, dtype=np.float64)
    names = sorted(set(users))
    if len(names) <= 1:
        return array * weight, weight
    index = {name: i for i, name in enumerate(names)}
    groups = np.fromiter((index[user] for user in users), dtype=np.intp, count=len(users))
    sums, counts = (np.bincount(groups, weights, len(names)) for weights in (array * weight, weight))
    return sums.astype(np.float64), counts.astype(np.float64)


def _ends(
    sums: Floats, counts: Floats, bounds: tuple[float, float], level: float, resamples: int, seed: int
) -> tuple[float, float]:
    """Both ends of the interval of ``sums.sum() / counts.sum()``."""
    units, means, mean, (bottom, top) = len(sums), sums / counts, float(sums.sum() / counts.sum()), bounds
    open_low, open_high = left_open(mean, units, bounds, level)
    if np.ptp(means) <= _ALIKE:
        return open_low, open_high
    drawn = np.sort(_resampled_means(sums, counts, resamples, seed))
    low, high = expanded_percentiles(drawn, units, level)
    independent = float(((top - mean) * (mean - bottom) / counts).mean())
    if units < FEW_UNITS and np.var(means, ddof=1) < independent:
        return min(low, open_low), max(high, open_high)
    return low, high


def expanded_percentiles(drawn: Floats, units: int, level: float = 0.95) -> tuple[float, float]:
    """Both ends of the expanded percentile interval of bootstrap values, shape (n,), of so many units."""
    tail = NormalDist().cdf(-np.sqrt(units / (units - 1)) * _t_quantile((1 + level) / 2, units - 1))
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return float(low), float(high)


def left_open(
    mean: float, units: int, bounds: tuple[float, float], level: float = 0.95
) -> tuple[float, float]:
    """Where a mean of alike units could lie if those that were not seen are at one of the bounds."""
    bottom, top = bounds
    seen = ((1 - level) / 2) ** (1 / units)
    return bottom + (mean - bottom) * seen, top - (top - mean) * seen


def _resampled_means(sums: Floats, counts: Floats, resamples: int, seed: int) -> Floats:
    """Means of `resamples` bootstrap samples, shape (resamples,); memory stays bounded."""
    generator, units = np.random.default_rng(seed), len(sums)
    batch = max(1, _CELLS // units)
    means = []
    for start in range(0, resamples, batch):
        draws = generator.multinomial(units, np.full(units, 1 / units), size=min(batch, resamples - start))
        means.append((draws @ sums) / (draws @ counts))
    return np.concatenate(means)


def _t_quantile(probability: float, degrees: int) -> float:
    """Quantile of Student's t for upper probabilities: the normal quantile, and terms in 1 / degrees.

    >>> round(_t_quantile(0.975, 9), 3)  # 2.262 in tables; the normal quantile is 1.960
    2.262

    References:
        Abramowitz and Stegun (1964), 26.7.5. Within 1 % from 3 degrees of freedom on; below that the
        interval reaches the most extreme resample either way.
    """
    z = NormalDist().inv_cdf(probability)
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    return float(sum(term / degrees**power for power, term in enumerate(terms)))


def _scores(outcome: Outcome) -> tuple[list[float], list[str]]:
    """Score and user of every answered pair."""
    return list(outcome.scores.values()), [pair.user_id for pair in outcome.answered]


def _differences(a: Outcome, b: Outcome) -> tuple[list[float], list[str]]:
    """Score of a minus score of b, and the user, for every pair both answered."""
    policies = {pair.ties_count for pair in (*a.pairs, *b.pairs)}
    if len(policies) > 1:
        raise ValueError(f"{a.scorer!r} and {b.scorer!r} count ties differently: {sorted(policies)}")
    both = [pair for pair in a.answered if pair.pair_id in b.scores]
    differences = [a.scores[pair.pair_id] - b.scores[pair.pair_id] for pair in both]
    return differences, [pair.user_id for pair in both]


def _agree(a: Outcome, b: Outcome) -> bool:
    """Whether both gave the same answers, order by order, to every pair that both answered."""
    answers = {pair.pair_id: _answers(pair) for pair in b.answered}
    return all(_answers(pair) == answers[pair.pair_id] for pair in a.answered if pair.pair_id in answers)


def _answers(pair: PairOutcome) -> dict[str, str | None]:
    return {result.order: result.choice for result in pair.results}
