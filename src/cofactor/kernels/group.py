"""Counting sorts and one-pass scans over a table of codes. O(n), no comparison, one thread."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]


@njit(cache=True)
def row_starts(codes: Array, n_rows: int) -> Array:
    """Where each row begins once the table is grouped by ``codes``: int64 (n_rows + 1,)."""
    starts = np.zeros(n_rows + 1, dtype=np.int64)
    for i in range(len(codes)):
        starts[codes[i] + 1] += 1
    for r in range(n_rows):
        starts[r + 1] += starts[r]
    return starts


@njit(cache=True)
def group(codes: Array, starts: Array, within: Array, order: Array) -> None:
    """Write into ``order`` the positions grouped by ``codes``; a row keeps the order of ``within``, or the table's."""
    cursor = starts[:-1].copy()
    if len(within) == 0:
        for i in range(len(codes)):
            c = codes[i]
            order[cursor[c]] = i
            cursor[c] += 1
    else:
        for j in range(len(within)):
            i = within[j]
            c = codes[i]
            order[cursor[c]] = i
            cursor[c] += 1


@njit(cache=True)
def gather_rows(order: Array, cols: Array, values: Array, out_cols: Array, out_values: Array, out_rows: Array) -> None:
    """Bring columns, values and positions into grouped order."""
    for j in range(len(order)):
        i = order[j]
        out_cols[j] = cols[i]
        out_values[j] = values[i]
        out_rows[j] = i


@njit(cache=True)
def repeats(starts: Array, order: Array, items: Array, n_items: int) -> int:
    """How many rows repeat a (user, item) pair; ``order`` groups the rows by user (empty: they already are)."""
    seen = np.full(n_items, -1, dtype=np.int32)
    found = 0
    grouped = len(order) == 0
    for u in range(len(starts) - 1):
        for j in range(starts[u], starts[u + 1]):
            item = items[j] if grouped else items[order[j]]
            if seen[item] == u:
                found += 1
            seen[item] = u
    return found


@njit(cache=True)
def resolve_repeats(
    starts: Array,
    order: Array,
    items: Array,
    times: Array,
    values: Array,
    n_items: int,
    first: bool,
    keep: Array,
    mean: Array,
) -> None:
    """Choose one row of each repeated pair and mark the others False in ``keep``.

    The latest time wins (``first``: the earliest), by position where times are equal or absent (``times`` empty).
    ``mean`` gets, at the row that is kept, the mean value of its pair. ``order`` groups the rows by user.
    """
    owner = np.full(n_items, -1, dtype=np.int64)
    best = np.zeros(n_items, dtype=np.int64)
    total = np.zeros(n_items, dtype=np.float64)
    count = np.zeros(n_items, dtype=np.int64)
    timed = len(times) > 0
    for u in range(len(starts) - 1):
        for j in range(starts[u], starts[u + 1]):
            i = order[j]
            item = items[i]
            if owner[item] != u:
                owner[item] = u
                best[item] = i
                total[item] = values[i]
                count[item] = 1
                continue
            old = best[item]
            if first:
                better = timed and times[i] < times[old]
            else:
                better = not timed or times[i] >= times[old]
            keep[old if better else i] = False
            if better:
                best[item] = i
            total[item] += values[i]
            count[item] += 1
            mean[best[item]] = total[item] / count[item]


@njit(cache=True)
def is_sorted(codes: Array) -> bool:
    """Whether codes never go down."""
    for i in range(1, len(codes)):  # noqa: SIM110 (numba)
        if codes[i] < codes[i - 1]:
            return False
    return True


@njit(cache=True)
def has_leading_zero(text: Array, sep: int, quote: int) -> bool:
    """Whether a field of a delimited text (uint8) starts with ``0`` and another digit, as in ``0110912``."""
    at_start = True
    for i in range(len(text) - 1):
        c = text[i]
        if at_start and c == 48 and 48 <= text[i + 1] <= 57:
            return True
        at_start = c in (sep, quote, 10)
    return False
