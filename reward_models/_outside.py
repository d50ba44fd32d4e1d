"""What the basis of features does not represent of a text, and what it adds to a standard error.

A group of vectors x is read as z = C (x - c), with orthonormal components C and the centre c of the training
responses; the rest, r = (x - c) - C^T z, moves no margin. A Gaussian process with the group's linear kernel
k(x, x') = v (x - c).(x' - c) still gives it the prior variance v |r|^2, since nothing was learned along it.
The usual amount of it, t = E |r|^2 over the training responses, is part of every pair that the prior
variances and the sharpness of probabilities were chosen on, and is not counted again. So the variance of a
reward grows by v (|r|^2 - t)+ and that of a margin by v (|r_a - r_b|^2 - 2 t)+, v being the prior variances
of the user's deviations and of the shared weights together. A named feature beyond
`reward_models._basis.CLIP` is held there; what is cut off is treated alike, with t = 0.

A remainder is as long as the vector, so a sketch of it is kept: S r, with S the sums of entries with fixed
signs in `WIDTH` buckets (Charikar et al. 2002), for which E (S r).(S r') = r.r' and |S r|^2 has a relative
standard deviation of at most sqrt(2 / WIDTH), 12.5 %.

References:
    Rasmussen and Williams, "Gaussian Processes for Machine Learning", 2006, section 2.1 (linear kernels).
    Charikar, Chen and Farach-Colton, "Finding Frequent Items in Data Streams", ICALP 2002 (count sketch).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

WIDTH = 128
"""Numbers that a remainder is kept as."""
_SEED = 20020708


class Sketch:
    """Sketches of what a group's components do not represent.

    Args:
        components: C, orthonormal rows, shape (k, dim).
        centre: c, shape (dim,).
    """

    def __init__(self, components: NDArray[np.float32], centre: NDArray[np.float32]) -> None:
        dim = components.shape[1]
        self._signs = np.random.default_rng(_SEED).choice(np.array([-1, 1], dtype=np.float32), dim)
        self._centre = self._folded(centre)
        self._components = np.ascontiguousarray(np.stack([self._folded(row) for row in components], axis=1))

    def of(self, vectors: NDArray[np.float32], represented: NDArray[np.float32]) -> NDArray[np.float32]:
        """S r of every row, each by itself, so that it never depends on its neighbours.

        Args:
            vectors: x, shape (n, dim).
            represented: z, shape (n, k), before it is scaled.

        Returns:
            Shape (n, `WIDTH`).
        """
        found = np.empty((len(vectors), WIDTH), dtype=np.float32)
        for x, z, out in zip(vectors, represented, found, strict=True):
            np.dot(self._components, z, out=out)
            np.subtract(self._folded(x) - self._centre, out, out=out)
        return found

    def _folded(self, vector: NDArray[np.float32]) -> NDArray[np.float32]:
        signed = np.zeros(-(-len(vector) // WIDTH) * WIDTH, dtype=np.float32)
        np.multiply(vector, self._signs, out=signed[: len(vector)])
        found: NDArray[np.float32] = signed.reshape(-1, WIDTH).sum(axis=0)
        return found


def excess(remainders: NDArray[Any], usual: float) -> NDArray[np.float64]:
    """(|r|^2 - usual)+ of every row, shape (n,).

    Args:
        remainders: r, or the difference of those of two responses, shape (n, width).
        usual: t, or 2 t for a difference.
    """
    lengths = (remainders.astype(np.float64) ** 2).sum(axis=1)
    found: NDArray[np.float64] = np.maximum(lengths - usual, 0)
    return found
