"""Regularised user and item biases by block descent, one row (of a user or an item) at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from cofactor.kernels.blocks import over_rows
from cofactor.kernels.sums import row_sum

Array = NDArray[Any]


def shrunk_mean(codes: Array, residuals: Array, counts: Array, reg: float) -> Array:
    """Return the sum of each code's residuals divided by ``counts + reg``: float64 (len(counts),); 0 for a code without
    any. Weighted residuals need the sums of their weights."""
    sums = np.bincount(codes, weights=residuals, minlength=len(counts))
    return np.asarray(sums / np.maximum(counts + reg, 1e-12))


@njit(cache=True, nogil=True)
def solve_biases(
    first: int,
    last: int,
    indptr: Array,
    indices: Array,
    values: Array,
    weights: Array,
    mean: float,
    other: Array,
    reg: float,
    bias: Array,
    errors: Array,
) -> None:
    """Solve the ``bias`` float64 (n,) of the rows ``first`` to ``last`` of a CSR matrix of ratings.

    A row's bias is the sum of ``values - mean - other[column]`` divided by its number of entries plus ``reg``.
    ``errors`` float64 (n,) gets the resulting sum of squared errors. ``weights`` float32 (nnz,), if not empty, says how
    often each entry counts.
    """
    for row in range(first, last):
        lo, hi = indptr[row], indptr[row + 1]
        total, count = 0.0, 0.0
        for at in range(lo, hi):
            weight = float(weights[at]) if len(weights) else 1.0
            total += weight * (float(values[at]) - mean - other[indices[at]])
            count += weight
        b = total / max(count + reg, 1e-12)
        left = 0.0
        for at in range(lo, hi):
            error = float(values[at]) - mean - other[indices[at]] - b
            left += (float(weights[at]) if len(weights) else 1.0) * error * error
        bias[row] = b
        errors[row] = left


def sweep(
    by_user: Any,
    by_item: Any,
    mean: float,
    user_bias: Array,
    item_bias: Array,
    reg_user: float,
    reg_item: float,
) -> float:
    """Solve all item biases, then all user biases, in place (float64). Returns the resulting mean squared error.

    Users come last, so that their biases are those of a fold-in of the same ratings.
    """
    errors = np.zeros(0)
    for rows, other, reg, bias in (
        (by_item, user_bias, reg_item, item_bias),
        (by_user, item_bias, reg_user, user_bias),
    ):
        errors = np.zeros(len(bias))
        given = (*frozen(rows.indptr, rows.indices, rows.values, weights_of(rows)), mean, other, reg, bias, errors)
        over_rows(lambda lo, hi, given=given: solve_biases(lo, hi, *given), rows.indptr)  # type: ignore[misc]
    return float(row_sum(errors)) / max(weight_of(by_user), 1e-12)


def weights_of(rows: Any) -> Array:
    """Return the weights of the entries of a CSR matrix, float32; empty if all count equally."""
    return np.empty(0, dtype=np.float32) if rows.weights is None else rows.weights


def weight_of(rows: Any) -> float:
    """Return the sum of the weights of all entries: their number if all count equally."""
    return float(len(rows.indices)) if rows.weights is None else float(row_sum(rows.totals))


def frozen(*arrays: Array) -> tuple[Array, ...]:
    """Return read-only views, so that the kernel is compiled once, wherever the arrays come from."""
    views = tuple(np.asarray(a).view() for a in arrays)
    for view in views:
        view.flags.writeable = False
    return views


def mean_value(by_user: Any) -> float:
    """Return the weighted mean of all values, summed in a fixed order that does not depend on the order of the table; 0
    without rows."""
    who = np.repeat(np.arange(len(by_user.indptr) - 1), np.diff(by_user.indptr))
    values = by_user.values if by_user.weights is None else by_user.values.astype(np.float64) * by_user.weights
    sums = np.bincount(who, values, minlength=len(by_user.indptr) - 1)
    return float(row_sum(sums)) / max(weight_of(by_user), 1e-12)
