"""Fold-in from the kept samples, which lie side by side in the row of an item, so that each row is read once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from cofactor.kernels.gibbs.rows import draw_rows, residuals

Array = NDArray[Any]


@njit(cache=True, nogil=True, error_model="numpy")
def gather_samples(factors: Array, biases: Array, items: Array, out: Array) -> None:
    """Fill ``out`` float32 (count, n, k + 1) with the vector and bias of each of the ``items`` (n,) in each sample.

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
    """Fill ``out`` float32 (width,) with the sum of these rows' first ``width`` columns."""
    out[:] = 0.0
    for j in range(len(rows)):
        row = table[rows[j]]
        for c in range(len(out)):
            out[c] += row[c]


@njit(cache=True, nogil=True, error_model="numpy")
def draw_user(
    table: Array,
    target: Array,
    usual: Array,
    passing: float,
    noise_df: float,
    size: Array,
    centre: Array,
    precision: Array,
    vectors: Array,
    drifts: Array,
    chances: Array,
    weight: Array,
    draw: Array,
    mean: Array,
) -> float:
    """Run rounds of Gibbs sampling for one user in each of ``count`` samples: the vector with its bias, then the size
    of the user's noise. ``draw`` and ``mean`` (count, k + 1) get the vectors of the last round, ``weight`` (count, n)
    the precision of each rating in it, ``size`` (count,), which holds the first, the last size; returns the expected
    size, or 0 after a single round.

    ``table`` (count, n, k + 1): vector and bias of each rated item; ``target`` (n,): ratings; ``usual`` (count, n): the
    variance of the noise of each item; ``passing``: that of drift. All random numbers are arguments: ``vectors``
    (rounds, count, k + 1) and ``drifts`` (rounds - 1, count, n) standard normal, ``chances`` (rounds - 1, count) gamma
    with the shape ``(noise_df + n) / 2``. All float32 except single numbers.
    """
    count, n, width = table.shape
    rounds = len(vectors)
    flat = table.reshape(count * n, width)
    indptr, cols = np.arange(count + 1) * n, np.arange(count * n).astype(np.int32)
    y, root, errors = np.empty(count * n, np.float32), np.empty(count * n, np.float32), np.empty(count * n, np.float32)
    one = np.ones(count, np.float32)
    for s in range(count):
        y[s * n : s * n + n] = target
    expected = 0.0
    for turn in range(rounds):
        for s in range(count):
            for j in range(n):
                root[s * n + j] = np.float32(1.0) / np.sqrt(np.float32(size[s] * usual[s, j] + passing))
        draw_rows(indptr, cols, y, flat, root, one, centre, precision, vectors[turn], draw, mean)
        if turn == rounds - 1:
            break
        residuals(indptr, cols, y, draw, flat, errors)
        expected = 0.0
        for s in range(count):
            squares = noise_df
            for j in range(n):
                noise = size[s] * usual[s, j]
                share = noise / (noise + passing)
                own = share * errors[s * n + j] + np.sqrt(share * passing) * drifts[turn, s, j]
                squares += own * own / usual[s, j]
            size[s] = squares / (2.0 * chances[turn, s])
            expected += squares / (noise_df + n - 2.0) / count
    for s in range(count):
        for j in range(n):
            weight[s, j] = root[s * n + j] * root[s * n + j]
    return expected
