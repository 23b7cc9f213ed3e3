"""Choose settings inside training: hold out rows of some users, and measure how well scores rank them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cofactor.data.interactions import CSR
from cofactor.kernels.blend import list_hits
from cofactor.kernels.blocks import over_rows
from cofactor.kernels.gain import ndcg
from cofactor.models.base.sparse import frozen

Array = NDArray[Any]

NO_ROWS = np.empty(0, dtype=np.int64)


class InnerSplit(NamedTuple):
    """A split of sparse rows. ``rows``: the remaining rows of all users, for training; ``users``: those with held-out
    entries, codes ascending; ``seen``: their remaining entries; ``wanted``: the held-out entries."""

    rows: CSR
    users: Array
    seen: CSR
    wanted: CSR


def kept_entries(rows: CSR, keep: Array) -> CSR:
    """Return the entries that ``keep`` (bool, nnz) marks."""
    indptr = np.concatenate([[0], np.cumsum(keep)])[rows.indptr].astype(np.int64)
    order = None if rows.order is None else rows.order[keep]
    return CSR(indptr, rows.indices[keep], rows.values[keep], NO_ROWS, rows.n_cols, order)


def hold_entries(
    rows: CSR, n_users: int, share: float, rng: np.random.Generator, worth: Array | None = None
) -> InnerSplit:
    """Hold out a ``share`` of the entries of at most ``n_users`` users (at least one, of users who have two).

    If weights differ, only entries of at least half the largest weight are wanted. The ``worth`` of items (n_items,)
    and the weights of rows are ignored for that.
    """
    users = some_users(rows.counts, n_users, rng)
    lot = rng.random(len(rows.indices))
    held = np.zeros(len(lot), dtype=np.bool_)
    places = entries_of(rows.indptr, users)
    some = rows.take(users)
    stated = rows.values if worth is None else rows.values / worth[rows.indices]
    if rows.weights is not None:
        stated = stated / rows.weights
    held[places], good = held_entries(some._replace(values=stated[places]), lot[places], share, stated.max(initial=0.0))
    wanted = kept_entries(some, good)
    inner, able = kept_entries(rows, ~held), np.flatnonzero(wanted.counts > 0)
    return InnerSplit(inner, users[able], inner.take(users[able]), wanted.take(able))


def some_users(counts: Array, n_users: int, rng: np.random.Generator) -> Array:
    """Draw at most ``n_users`` users among those with two entries; int64, ascending."""
    return np.asarray(np.sort(rng.permutation(np.flatnonzero(counts >= 2))[:n_users]))


def entries_of(indptr: Array, rows: Array) -> Array:
    """Return int64: the positions of the entries of some rows."""
    counts = np.diff(indptr)[rows]
    ends = np.cumsum(counts)
    return np.asarray(np.arange(ends[-1] if len(ends) else 0) + np.repeat(indptr[rows] - (ends - counts), counts))


def held_entries(rows: CSR, lot: Array, share: float, highest: float) -> tuple[Array, Array]:
    """Return two bool arrays (nnz,): the entries with the lowest lots of each row, a ``share`` of them and at least
    one; and those among them whose value is at least half the ``highest``."""
    row = np.repeat(np.arange(rows.n_rows), rows.counts)
    order = np.lexsort((lot, row))
    rank = np.empty(len(row), dtype=np.int64)
    rank[order] = np.arange(len(row)) - np.repeat(rows.indptr[:-1], rows.counts)
    held = rank < np.maximum(np.round(share * rows.counts[row]), 1)
    return held, held & (rows.values >= 0.5 * highest)


def inner_ndcg(split: InnerSplit, scores: Array, weights: Array, n: int = 20) -> float:
    """Return the mean NDCG at ``n`` of the held-out entries, by ``weights @ scores``; ``scores`` float32 (parts, users,
    items)."""
    if not len(split.users):
        return 0.0
    hits = np.empty((len(split.users), n), dtype=np.bool_)
    arrays: tuple[Any, ...] = (
        scores,
        np.asarray(weights, dtype=np.float64),
        *frozen(split.seen.indptr, split.seen.indices, split.wanted.indptr, split.wanted.indices),
        hits,
    )
    over_rows(lambda a, b: list_hits(a, b, *arrays), split.seen.indptr, per_row=split.seen.n_cols)
    return float(ndcg(hits, split.wanted.counts).mean())
