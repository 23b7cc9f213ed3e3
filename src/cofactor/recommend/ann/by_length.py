"""An exact index: item vectors sorted by length, in a basis whose first coordinates hold most of their length.

Where lengths differ much, as with ``ials`` (popular items have long vectors), a search computes the products of few
items out of half a million. The index is the vectors, sorted and rotated. A bundle stores it as memory-mapped arrays,
so a list reads only the pages that it needs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cofactor._blas import one_thread
from cofactor.data.interactions import CSR
from cofactor.errors import BundleError
from cofactor.kernels.blocks import over_rows
from cofactor.kernels.by_length import row_lengths, search_rows
from cofactor.kernels.products import dots
from cofactor.recommend.index import ByLength

Array = NDArray[Any]

HEAD = 16
"""Number of coordinates that a search reads first."""
LONGEST = 1 << 14
"""Number of longest vectors that determine the basis; a search reads few others."""
_BLOCK = 1 << 16
_AT_ONCE = 4
"""Least number of queries that are distributed over threads."""


def search(index: ByLength, queries: Array, n: int, seen: CSR | None, keep: Array | None) -> tuple[Array, Array, Array]:
    """Return (codes int32 (len(queries), n), products float32 of the same shape, counts int64 (len(queries), 2)).

    Products ascend. The counts are the items whose heads and whose rests were read. Items in ``seen`` or not in
    ``keep`` are left out.
    """
    if queries.shape[1] != len(index.turn):
        raise BundleError(
            f"the index holds vectors of {len(index.turn)} numbers, but the model's have {queries.shape[1]};"
            " build the index again with approximate()"
        )
    turned = dots(queries, index.turn)
    shape = (len(queries), n)
    codes, values = np.empty(shape, np.int32), np.empty(shape, np.float32)
    looked = np.zeros((len(queries), 2), np.int64)
    none = np.zeros(len(queries) + 1, np.int64)
    indptr, indices = (none, np.empty(0, np.int32)) if seen is None else (seen.indptr, seen.indices)
    some = np.empty(0, dtype=np.bool_) if keep is None else np.ascontiguousarray(keep, dtype=np.bool_)
    arrays = (turned, index.heads, index.rests, index.lengths, index.rest_lengths, index.codes, indptr, indices, some)
    frozen: tuple[Any, ...] = tuple(map(_frozen, arrays))

    def work(first: int, last: int) -> None:
        search_rows(first, last, *frozen, index.error, codes, values, looked)  # type: ignore[call-arg]

    over_rows(work, np.arange(len(queries) + 1), 0, _AT_ONCE)
    return codes, values, looked


def _frozen(array: Array) -> Array:
    """Return a read-only view, so that kernels are compiled for one type only."""
    view = array.view()
    view.flags.writeable = False
    return view


@one_thread()
def by_length(vectors: Array) -> ByLength:
    """Return the index of these vectors, float32 (n, d), all finite."""
    n, d = vectors.shape
    vectors = np.ascontiguousarray(vectors, dtype=np.float32)
    lengths, places = np.empty(n, np.float32), np.arange(n + 1)
    over_rows(lambda a, b: row_lengths(a, b, _frozen(vectors), lengths), places, d)
    codes = np.argsort(-lengths, kind="stable").astype(np.int32)
    longest = vectors[codes[:LONGEST]].astype(np.float64)
    turn = np.ascontiguousarray(np.linalg.eigh(longest.T @ longest)[1].T[::-1], dtype=np.float32)
    turn[:, ~vectors.any(axis=0)] = 0  # a coordinate that is 0 in all items must not add to the length of a query
    h = min(HEAD, d)
    heads, rests = np.empty((n, h), np.float32), np.empty((n, d - h), np.float32)
    for lo in range(0, n, _BLOCK):
        part = slice(lo, lo + _BLOCK)
        turned = dots(np.ascontiguousarray(vectors[codes[part]]), turn)
        heads[part], rests[part] = turned[:, :h], turned[:, h:]
    rest_lengths = np.empty(n, np.float32)
    over_rows(lambda a, b: row_lengths(a, b, _frozen(rests), rest_lengths), places, d)
    return ByLength(turn, heads, rests, lengths[codes], rest_lengths, codes)
