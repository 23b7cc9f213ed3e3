"""Sparse weights between items by their common users: the largest products of their rows, and two-step walks."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cofactor.data.interactions import CSR
from cofactor.kernels.blocks import over_rows
from cofactor.kernels.similarity import nearest_rows, two_step_rows
from cofactor.models.base.sparse import frozen, transposed

Array = NDArray[Any]


def degrees(rows: CSR) -> tuple[Array, Array]:
    """Return float64 (n_users,) and (n_items,): sums of the weights, at least 1e-6."""
    who = np.repeat(np.arange(rows.n_rows), rows.counts)
    by_user = np.bincount(who, rows.values, minlength=rows.n_rows)
    by_item = np.bincount(rows.indices, rows.values, minlength=rows.n_cols)
    return np.maximum(by_user, 1e-6), np.maximum(by_item, 1e-6)


def walks(rows: CSR, from_power: float, to_power: float, user_power: float, k: int) -> CSR:
    """Return float32 CSR (n_items, n_items): ``i^-from_power * (sum over users of x_ui x_uj u^-user_power) *
    j^-to_power``, with degrees for ``i``, ``u`` and ``j``; the ``k`` largest of each row."""
    users, items = degrees(rows)
    who = np.repeat(np.arange(rows.n_rows), rows.counts)
    values = rows.values * users[who] ** (-user_power / 2) * items[rows.indices] ** -to_power
    found = nearest(transposed(rows._replace(values=values.astype(np.float32))), k)
    row = np.repeat(np.arange(found.n_rows), found.counts)
    return found._replace(values=(found.values * items[row] ** (to_power - from_power)).astype(np.float32))


def walked(rows: CSR, histories: CSR, from_power: float, user_power: float) -> Array:
    """Return float32 (n, n_items): the histories times all :func:`walks` of ``to_power`` 0, with none left out,
    including each item's walk back to itself. Times ``j^-to_power`` they are the walks of any other power."""
    users, items = degrees(rows)
    who = np.repeat(np.arange(rows.n_rows), rows.counts)
    by_user = rows._replace(values=(rows.values * users[who] ** -user_power).astype(np.float32))
    by_item, start = transposed(rows), histories.values * items[histories.indices] ** -from_power
    out = np.empty((histories.n_rows, rows.n_cols), dtype=np.float32)
    given = (histories.indptr, histories.indices, start.astype(np.float32), by_item.indptr, by_item.indices)
    arrays = (*frozen(*given, by_item.values, by_user.indptr, by_user.indices, by_user.values), out)
    over_rows(lambda a, b: two_step_rows(a, b, *arrays), histories.indptr, per_row=rows.n_cols)
    return out


def nearest(by_item: CSR, k: int) -> CSR:
    """Return float32 CSR (n_items, n_items): the ``k`` largest products of each item's row with the others'."""
    n = by_item.n_rows
    k = min(k, max(n - 1, 1))
    by_user = transposed(by_item)
    near, weight = np.empty((n, k), dtype=np.int32), np.empty((n, k), dtype=np.float32)
    count = np.zeros(n, dtype=np.int64)
    over_rows(
        lambda lo, hi: nearest_rows(
            lo,
            hi,
            by_item.indptr,
            by_item.indices,
            by_item.values,
            by_user.indptr,
            by_user.indices,
            by_user.values,
            near,
            weight,
            count,
        ),
        by_item.indptr,
    )
    kept = np.arange(k)[None, :] < count[:, None]
    indptr = np.concatenate([[0], np.cumsum(count)]).astype(np.int64)
    return CSR(indptr, near[kept], weight[kept], np.empty(0, dtype=np.int64), n)
