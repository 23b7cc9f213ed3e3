"""What folding in reads of the kept samples, which lie side by side in the row of an item: each row is read once."""

from __future__ import annotations

from typing import Any

from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]


@njit(cache=True, nogil=True, error_model="numpy")
def gather_samples(factors: Array, biases: Array, items: Array, out: Array) -> None:
    """``out`` float32 (count, n, k + 1): vector and bias of each of the ``items`` (n,) in each sample.

    ``factors`` is (rows, at least count * k), ``biases`` (rows, at least count).
    """
    count, n, width = out.shape
    k = width - 1
    for j in range(n):
        vectors, bias = factors[items[j]], biases[items[j]]
        for s in range(count):
            for f in range(k):
                out[s, j, f] = vectors[s * k + f]
            out[s, j, k] = bias[s]


@njit(cache=True, nogil=True, error_model="numpy")
def sum_rows(table: Array, rows: Array, out: Array) -> None:
    """``out`` float32 (width,): the sum of these rows' first ``width`` columns."""
    out[:] = 0.0
    for j in range(len(rows)):
        row = table[rows[j]]
        for c in range(len(out)):
            out[c] += row[c]
