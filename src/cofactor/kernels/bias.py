"""Regularised user and item biases: block descent, a row (of a user or an item) at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from cofactor.kernels.blocks import over_rows
from cofactor.kernels.sums import row_sum

Array = NDArray[Any]


def shrunk_mean(codes: Array, residuals: Array, counts: Array, reg: float) -> Array:
    """The sum of each code's residuals over ``counts + reg``: float64 (len(counts),); 0 where it has none."""
    sums = np.bincount(codes, weights=residuals, minlength=len(counts))
    return np.asarray(sums / np.maximum(counts + reg, 1e-12))


@njit(cache=True, nogil=True)
def solve_biases(
    first: int,
    last: int,
    indptr: Array,
    indices: Array,
    values: Array,
    mean: float,
    other: Array,
    reg: float,
    bias: Array,
    errors: Array,
) -> None:
    """Solve the ``bias`` float64 (n,) of the rows ``first`` to ``last`` of a CSR matrix of ratings.

    A row's bias is the sum of ``values - mean - other[column]`` over its number of entries plus ``reg``; ``errors``
    float64 (n,) gets the sum of squared errors then.
    """
    for row in range(first, last):
        lo, hi = indptr[row], indptr[row + 1]
        total = 0.0
        for at in range(lo, hi):
            total += float(values[at]) - mean - other[indices[at]]
        b = total / max(float(hi - lo) + reg, 1e-12)
        left = 0.0
        for at in range(lo, hi):
            error = float(values[at]) - mean - other[indices[at]] - b
            left += error * error
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
    """Solve all item biases, then all user biases, in place (float64). Gives the mean squared error then.

    Users come last: their biases are then what a fold-in of the same ratings gives.
    """
    errors = np.zeros(0)
    for rows, other, reg, bias in (
        (by_item, user_bias, reg_item, item_bias),
        (by_user, item_bias, reg_user, user_bias),
    ):
        errors = np.zeros(len(bias))
        given = (*frozen(rows.indptr, rows.indices, rows.values), mean, other, reg, bias, errors)
        over_rows(lambda lo, hi, given=given: solve_biases(lo, hi, *given), rows.indptr)  # type: ignore[misc]
    return float(row_sum(errors)) / max(len(by_user.indices), 1)


def frozen(*arrays: Array) -> tuple[Array, ...]:
    """Read-only views: the kernel is compiled once, wherever the arrays come from."""
    views = tuple(np.asarray(a).view() for a in arrays)
    for view in views:
        view.flags.writeable = False
    return views


def mean_value(by_user: Any) -> float:
    """The mean of all values, summed in a fixed order whatever the order of the table; 0 without rows."""
    who = np.repeat(np.arange(len(by_user.indptr) - 1), np.diff(by_user.indptr))
    sums = np.bincount(who, by_user.values, minlength=len(by_user.indptr) - 1)
    return float(row_sum(sums)) / max(len(by_user.values), 1)
