"""Reading rows one by one, bit-identical on any number of cores."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

_Item = TypeVar("_Item")
_Matrix = NDArray[np.float32]
_setting = threading.Lock()
"""Held while torch's number of threads, a setting of the whole process, is changed."""


def alone(read: Callable[[Sequence[_Item]], _Matrix], items: Sequence[_Item]) -> _Matrix:
    """Rows of `read`, which reads one item after the other, in as many threads as torch would use.

    Products of matrices that are split between threads differ in the last bits. Here every thread has its
    own items, so that a row is the same on any number of cores, and no core waits for another.
    """
    with _setting:
        cores = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            if cores == 1 or len(items) < 2:
                return read(items)
            workers = min(cores, len(items))
            with ThreadPoolExecutor(workers) as pool:
                parts = list(pool.map(read, [items[i::workers] for i in range(workers)]))
        finally:
            torch.set_num_threads(cores)
    found = np.empty((len(items), parts[0].shape[1]), dtype=np.float32)
    for i, part in enumerate(parts):
        found[i::workers] = part
    return found
