"""An index that misses nothing: items by the length of their vectors, in the basis where the first columns hold most.

Where lengths differ much, as those of ``ials`` do (popular items have long vectors), a few items are looked at of half
a million. It is a sort and a turn of the vectors. A bundle holds it as arrays, which are mapped: a list reads the few
pages that it looks at.
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
"""Columns that are looked at first."""
LONGEST = 1 << 14
"""The basis is that of so many of the longest vectors: hardly any other is looked at."""
_BLOCK = 1 << 16
_AT_ONCE = 4
"""Queries from which on threads share them."""


def search(index: ByLength, queries: Array, n: int, seen: CSR | None, keep: Array | None) -> tuple[Array, Array, Array]:
    """(codes int32 and products float32 (len(queries), n), the least first, and int64 (len(queries), 2): items
    looked at), without ``seen`` items and those not in ``keep``."""
    if queries.shape[1] != len(index.turn):
        raise BundleError(
            f"the index is one of vectors of {len(index.turn)} numbers, and those of the model have"
            f" {queries.shape[1]}; approximate() makes it again"
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
    """The same as an array that nothing writes to: kernels are compiled once."""
    view = array.view()
    view.flags.writeable = False
    return view


@one_thread()
def by_length(vectors: Array) -> ByLength:
    """The index of these vectors, float32 (n, d), all finite."""
    n, d = vectors.shape
    vectors = np.ascontiguousarray(vectors, dtype=np.float32)
    lengths, places = np.empty(n, np.float32), np.arange(n + 1)
    over_rows(lambda a, b: row_lengths(a, b, _frozen(vectors), lengths), places, d)
    codes = np.argsort(-lengths, kind="stable").astype(np.int32)
    longest = vectors[codes[:LONGEST]].astype(np.float64)
    turn = np.ascontiguousarray(np.linalg.eigh(longest.T @ longest)[1].T[::-1], dtype=np.float32)
    turn[:, ~vectors.any(axis=0)] = 0  # what no item has adds nothing to a product: nor to the length of a query
    h = min(HEAD, d)
    heads, rests = np.empty((n, h), np.float32), np.empty((n, d - h), np.float32)
    for lo in range(0, n, _BLOCK):
        part = slice(lo, lo + _BLOCK)
        turned = dots(np.ascontiguousarray(vectors[codes[part]]), turn)
        heads[part], rests[part] = turned[:, :h], turned[:, h:]
    rest_lengths = np.empty(n, np.float32)
    over_rows(lambda a, b: row_lengths(a, b, _frozen(rests), rest_lengths), places, d)
    return ByLength(turn, heads, rests, lengths[codes], rest_lengths, codes)
