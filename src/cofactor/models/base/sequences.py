"""Ordered histories: the rows of each user, oldest first."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cofactor.data.interactions import CSR, Interactions
from cofactor.models.base.strength import liked_rows

Array = NDArray[Any]


class Sequences(NamedTuple):
    """Ordered histories. Those of row ``r`` are at ``starts[r]:starts[r + 1]``, oldest first.

    ``items`` int32 (n,); ``times`` int64 (n,), of which only the order matters if there are no times: entries with
    equal values have an unknown order; ``values`` float32 (n,).
    """

    starts: Array
    items: Array
    times: Array
    values: Array

    @property
    def counts(self) -> Array:
        """The number of entries of each row, int64."""
        return np.diff(self.starts)

    def take(self, rows: Array) -> Sequences:
        """Return these rows, in this order."""
        rows = np.asarray(rows, dtype=np.int64)
        counts = self.counts[rows]
        starts = np.zeros(len(rows) + 1, dtype=np.int64)
        np.cumsum(counts, out=starts[1:])
        at = np.arange(starts[-1]) - np.repeat(starts[:-1] - self.starts[rows], counts)
        return Sequences(starts, self.items[at], self.times[at], self.values[at])


def sequences(rows: CSR) -> Sequences:
    """Order sparse rows by age. Without ``order``, the order of the entries of a row is unknown."""
    if rows.order is None:
        return Sequences(rows.indptr, rows.indices, np.zeros(len(rows.indices), dtype=np.int64), rows.values)
    who = np.repeat(np.arange(rows.n_rows), rows.counts)
    at = np.lexsort((rows.order, who))
    return Sequences(rows.indptr, rows.indices[at], np.asarray(rows.order, dtype=np.int64)[at], rows.values[at])


def training_sequences(data: Interactions) -> Sequences:
    """Return the training rows of each user by time, or without times by table position. Dislikes are left out."""
    liked = liked_rows(data.values, data.kind)
    data = data if liked is None else data.take(liked)
    rows = data.histories
    if data.times is None:
        return sequences(rows)
    who = np.repeat(np.arange(rows.n_rows), rows.counts)
    assert rows.order is not None
    at = np.lexsort((data.by_user.rows, rows.order, who))
    return Sequences(rows.indptr, rows.indices[at], rows.order[at], rows.values[at])
