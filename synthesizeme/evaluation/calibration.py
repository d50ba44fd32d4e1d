"""Whether a scorer's probabilities mean what they say.

Everything here takes `p_chosen`, shape (n,): the probability given to the response the user chose,
one per pair and averaged over both orders. Because the order of showing is arbitrary, the label of
"chosen is preferred" is always 1, and a scorer's confidence is ``max(p, 1 - p)`` in [.5, 1].

The negative log-likelihood is the only one of these that a scorer pays without bound for certainty that is
wrong; what a training loop does with a margin depends on it.

References:
    Brier (1950), Monthly Weather Review 78(1). Guo et al. (2017), "On calibration of modern neural
    networks", arXiv:1706.04599: ECE, reliability diagram; temperature scaling
    is in `synthesizeme.temperature`.
    El-Yaniv and Wiener (2010), JMLR 11: accuracy at coverage (selective prediction).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from synthesizeme.evaluation.harness import Outcome, PairOutcome
from synthesizeme.temperature import CLIP, Floats, as_probabilities, with_temperature
from synthesizeme.types import Frozen, Verdict

N_BINS = 10


class ReliabilityPoint(Frozen):
    """One bin of the reliability curve that holds at least one pair."""

    low: float
    """Lower edge of the bin."""
    high: float
    """Upper edge of the bin."""
    confidence: float
    """Mean confidence in the bin, in [.5, 1]."""
    accuracy: float
    """Share correct in the bin; an undecided .5 counts half."""
    n: int
    """Pairs in the bin."""


class CoveragePoint(Frozen):
    """What accuracy is left when the least confident pairs are not answered."""

    coverage: float
    """Share of pairs answered, in (0, 1]."""
    accuracy: float
    """Accuracy on them, in [0, 1]."""
    threshold: float
    """Smallest confidence answered, in [.5, 1]."""


def probabilities(outcome: Outcome) -> Floats:
    """`p_chosen` of the pairs whose every verdict carries a probability of its own, shape (n,).

    A bare verdict written down as 0, .5 or 1 is no probability; such pairs are left out, and the
    result is empty for a scorer that gives nothing else.
    """
    found = [p.p_chosen for p in _stated(outcome) if p.p_chosen is not None]
    return np.asarray(found, dtype=np.float64)


def log_losses(outcome: Outcome) -> tuple[Floats, list[str]]:
    """Negative log-likelihood in nats, shape (n,), and the user, of every pair with stated probabilities.

    ``-log(p)`` of the probability p given to the chosen response, clipped to [1e-6, 1 - 1e-6], so that it is
    in [0, 13.8]; the mean over the orders asked (a coin that says so has log 2 = .693). Pairs are those of
    `probabilities`.
    """
    stated = _stated(outcome)
    losses = [
        float(
            np.mean(
                [-np.log(np.clip(p, CLIP, 1 - CLIP)) for it in pair.results if (p := it.p_chosen) is not None]
            )
        )
        for pair in stated
    ]
    return np.asarray(losses, dtype=np.float64), [pair.user_id for pair in stated]


def tempered(outcome: Outcome, temperature: float) -> Outcome:
    """The outcome with every stated probability rescaled by one temperature > 0; choices stay as they are.

    Raises:
        ValueError: the temperature is not positive.
    """

    def rescaled(pair: PairOutcome) -> PairOutcome:
        if not _has_probability(pair):
            return pair
        results = tuple(
            it.model_copy(update={"result": it.result.model_copy(update={"probability": float(p)})})
            for it in pair.results
            if isinstance(it.result, Verdict)
            for p in with_temperature([it.result.probability], temperature)
        )
        return pair.with_results(results)

    answered = {pair.pair_id: rescaled(pair) for pair in outcome.answered}
    pairs = tuple(answered.get(pair.pair_id, pair) for pair in outcome.pairs)
    return Outcome(scorer=outcome.scorer, pairs=pairs)


def negative_log_likelihood(outcome: Outcome) -> float | None:
    """Mean of `log_losses`, in nats; None without a stated probability."""
    losses, _ = log_losses(outcome)
    return float(losses.mean()) if len(losses) else None


def brier(p_chosen: Sequence[float] | Floats) -> float | None:
    """Mean of ``(1 - p_chosen)^2``: 0 is perfect, .25 is always saying .5; None without pairs."""
    p = as_probabilities(p_chosen)
    return float(np.mean((1 - p) ** 2)) if len(p) else None


def reliability(p_chosen: Sequence[float] | Floats, *, bins: int = N_BINS) -> tuple[ReliabilityPoint, ...]:
    """Confidence against accuracy in `bins` equally wide bins over [.5, 1].

    Bins are closed on the left, the last also on the right; empty bins are left out.
    """
    confidence, correct = _confidence(p_chosen)
    edges = np.linspace(0.5, 1.0, bins + 1)
    bin_of = np.clip(np.searchsorted(edges, confidence, side="right") - 1, 0, bins - 1)
    return tuple(
        ReliabilityPoint(
            low=float(edges[b]),
            high=float(edges[b + 1]),
            confidence=float(confidence[bin_of == b].mean()),
            accuracy=float(correct[bin_of == b].mean()),
            n=int((bin_of == b).sum()),
        )
        for b in range(bins)
        if (bin_of == b).any()
    )


def expected_calibration_error(p_chosen: Sequence[float] | Floats, *, bins: int = N_BINS) -> float | None:
    """Mean over pairs of the gap between accuracy and confidence in the pair's bin, in [0, 1].

    The bins are those of `reliability`. None without pairs.
    """
    points = reliability(p_chosen, bins=bins)
    n = sum(point.n for point in points)
    return sum(point.n * abs(point.accuracy - point.confidence) for point in points) / n if n else None


def accuracy_at_coverage(p_chosen: Sequence[float] | Floats) -> tuple[CoveragePoint, ...]:
    """The abstention curve, from the most confident pairs to all of them.

    Pairs of equal confidence are answered together, so the curve does not depend on their order.
    """
    confidence, correct = _confidence(p_chosen)
    ranking = np.argsort(-confidence, kind="stable")
    confidence, correct = confidence[ranking], correct[ranking]
    last_of_group = np.flatnonzero(np.append(confidence[1:] != confidence[:-1], True)[: len(confidence)])
    running = np.cumsum(correct)
    return tuple(
        CoveragePoint(
            coverage=float((i + 1) / len(confidence)),
            accuracy=float(running[i] / (i + 1)),
            threshold=float(confidence[i]),
        )
        for i in last_of_group
    )


def _stated(outcome: Outcome) -> list[PairOutcome]:
    """Answered pairs with a probability of the scorer's own in every order."""
    return [pair for pair in outcome.answered if _has_probability(pair)]


def _has_probability(pair: PairOutcome) -> bool:
    verdicts = [r.result for r in pair.results if isinstance(r.result, Verdict)]
    return all(verdict.probability_source != "verdict" for verdict in verdicts)


def _confidence(p_chosen: Sequence[float] | Floats) -> tuple[Floats, Floats]:
    """Confidence in [.5, 1] and correctness in {0, .5, 1}, both shape (n,)."""
    p = as_probabilities(p_chosen)
    return np.maximum(p, 1 - p), (np.sign(p - 0.5) + 1) / 2
