"""scikit-learn's logistic regression of which response was chosen, on the difference of two rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from reward_models._columns import Rows
from reward_models._effects import NONE, Numbers
from reward_models._estimates import Floats

MARK = 0.5
"""Value of a text's column where the text stands: it may move a margin half as far as all features may."""
PASSES = 2000
TOLERANCE = 1e-6


class Weights(NamedTuple):
    """What a regression found."""

    features: Floats
    """Weights of the features, shape (F,)."""
    numbers: Numbers
    """Numbers of the texts whose columns have a weight, in ascending order, shape (t,)."""
    texts: Floats
    """What each of these texts is worth, shape (t,)."""

    @classmethod
    def named(cls, arrays: Mapping[str, NDArray[Any]], prefix: str = "") -> Weights:
        """Weights from arrays by the names of `arrays`."""
        return cls(*(arrays[prefix + name] for name in cls._fields))

    def arrays(self, prefix: str = "") -> dict[str, NDArray[Any]]:
        """The weights by name."""
        return {prefix + name: array for name, array in self._asdict().items()}

    def values(self, rows: Rows) -> Floats:
        """Reward of each row, shape (n,)."""
        # A sum along rows, not a matrix product: a row's value must not depend on its batch.
        found = (rows.features * self.features).sum(axis=1)
        if len(self.numbers):
            places = np.minimum(np.searchsorted(self.numbers, rows.texts), len(self.numbers) - 1)
            found += np.where(self.numbers[places] == rows.texts, self.texts[places], 0.0)
        return np.asarray(found, dtype=np.float64)


def regress(chosen: Rows, rejected: Rows, strength: float) -> Weights:
    """The weights w, without an intercept, that maximise `log sigma` of the margins under a ridge.

    Minimises ``|w|^2 / 2 + C sum_i log(1 + exp(-(x(y+_i) - x(y-_i)) . w))``, x being the features of a
    response and, where the text has a column, `MARK` in it.

    Args:
        chosen: The chosen responses of n >= 1 pairs.
        rejected: The rejected ones.
        strength: C, the weight of the data; the smaller, the nearer to no preference.
    """
    numbers = np.unique(np.concatenate([chosen.texts, rejected.texts]))
    numbers = numbers[numbers != NONE]
    design = sparse.hstack(
        [
            sparse.csr_array(chosen.features - rejected.features),
            MARK * (_marks(chosen.texts, numbers) - _marks(rejected.texts, numbers)),
        ]
    ).tocsr()
    if design.shape[0] <= design.shape[1]:
        # The optimum lies in the span of the rows: an orthonormal basis of it has the same ridge.
        basis, coordinates = np.linalg.qr(design.toarray().T)
        found = basis @ _optimum(coordinates.T, strength)
    else:
        found = _optimum(design, strength)
    width = chosen.features.shape[1]
    return Weights(found[:width], numbers, MARK * found[width:])


def _optimum(design: Any, strength: float) -> Floats:
    n = design.shape[0]
    signs = np.where(np.arange(n) % 2, -1.0, 1.0)  # scikit-learn wants to see both classes
    if n == 1:
        design, signs, strength = np.concatenate([design, -design]), np.array([1.0, -1.0]), strength / 2
        turned = design
    else:
        turned = sparse.diags_array(signs) @ design
    model = LogisticRegression(C=strength, fit_intercept=False, tol=TOLERANCE, max_iter=PASSES)
    return np.asarray(model.fit(turned, signs).coef_[0], dtype=np.float64)


def _marks(texts: Numbers, numbers: Numbers) -> Any:
    """One in each text's column, shape (n, t)."""
    rows = np.flatnonzero(texts != NONE)
    at = np.searchsorted(numbers, texts[rows])
    return sparse.csr_array((np.ones(len(rows)), (rows, at)), shape=(len(texts), len(numbers)))
