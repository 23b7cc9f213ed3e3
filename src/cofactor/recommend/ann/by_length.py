"""An index that misses nothing: items by the length of their vectors, in the basis where the first columns hold most.

Where lengths differ much, as those of ``ials`` do (popular items have long vectors), a few items are looked at of half
a million. It is a sort and a turn of the vectors, so it is made when a bundle is opened, and not stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cofactor._blas import one_thread
from cofactor.data.interactions import CSR
from cofactor.kernels.blocks import over_rows
from cofactor.kernels.by_length import search_rows
from cofactor.kernels.products import dots

Array = NDArray[Any]

HEAD = 16
"""Columns that are looked at first."""
_BLOCK = 1 << 16
_AT_ONCE = 4
"""Queries from which on threads share them."""


@dataclass(frozen=True, eq=False)
class ByLength:
    """``heads`` (n, h) and ``rests`` (n, d - h): the vectors in the basis ``turn`` (d, d; its rows), by descending
    ``lengths`` (n,); ``rest_lengths`` (n,) those of ``rests``; ``codes`` int32 (n,) which item each is."""

    turn: Array
    heads: Array
    rests: Array
    lengths: Array
    rest_lengths: Array
    codes: Array

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def error(self) -> float:
        """How far a product may be off, in units of both lengths multiplied."""
        return float(4 * (self.turn.shape[1] + 8) * np.finfo(np.float32).eps)

    def search(self, queries: Array, n: int, seen: CSR | None, keep: Array | None) -> tuple[Array, Array, Array]:
        """(codes int32 and products float32 (len(queries), n), the least first, and int64 (len(queries), 2): items
        looked at), without ``seen`` items and those not in ``keep``."""
        turned = dots(queries, self.turn)
        shape = (len(queries), n)
        codes, values = np.empty(shape, np.int32), np.empty(shape, np.float32)
        looked = np.zeros((len(queries), 2), np.int64)
        none = np.zeros(len(queries) + 1, np.int64)
        indptr, indices = (none, np.empty(0, np.int32)) if seen is None else (seen.indptr, seen.indices)
        some = np.empty(0, dtype=np.bool_) if keep is None else np.ascontiguousarray(keep, dtype=np.bool_)
        arrays = (turned, self.heads, self.rests, self.lengths, self.rest_lengths, self.codes, indptr, indices, some)
        frozen: tuple[Any, ...] = tuple(array.view() for array in arrays)
        for array in frozen:
            array.flags.writeable = False

        def work(first: int, last: int) -> None:
            search_rows(first, last, *frozen, self.error, codes, values, looked)  # type: ignore[call-arg]

        over_rows(work, np.arange(len(queries) + 1), 0, _AT_ONCE)
        return codes, values, looked

    def certain(self, queries: Array, values: Array, least: Array) -> Array:
        """bool (len(queries),): whether what was not found is below ``least``, the smallest product that is used."""
        lengths = np.sqrt(np.square(queries, dtype=np.float64).sum(axis=1)) * float(self.lengths[0])
        return np.asarray((least - values[:, 0] > 2 * self.error * lengths) | (values[:, 0] == -np.inf))

    def work(self, looked: Array) -> float:
        """The share of all products that was computed."""
        d, h = self.turn.shape[1], self.heads.shape[1]
        return float((looked[:, 0] * h + looked[:, 1] * (d - h)).mean() / max(len(self) * d, 1))


@one_thread()
def by_length(vectors: Array) -> ByLength:
    """The index of these vectors, float32 (n, d), all finite."""
    d = vectors.shape[1]
    square = np.zeros((d, d))
    for lo in range(0, len(vectors), _BLOCK):
        block = vectors[lo : lo + _BLOCK].astype(np.float64)
        square += block.T @ block
    turn = np.ascontiguousarray(np.linalg.eigh(square)[1].T[::-1], dtype=np.float32)
    lengths = np.empty(len(vectors), np.float32)
    for lo in range(0, len(vectors), _BLOCK):
        lengths[lo : lo + _BLOCK] = np.sqrt(np.square(vectors[lo : lo + _BLOCK], dtype=np.float64).sum(axis=1))
    codes = np.argsort(-lengths, kind="stable").astype(np.int32)
    h = min(HEAD, d)
    heads, rests = np.empty((len(vectors), h), np.float32), np.empty((len(vectors), d - h), np.float32)
    for lo in range(0, len(vectors), _BLOCK):
        part = slice(lo, lo + _BLOCK)
        turned = dots(np.ascontiguousarray(vectors[codes[part]]), turn)
        heads[part], rests[part] = turned[:, :h], turned[:, h:]
    rest_lengths = np.sqrt(np.square(rests, dtype=np.float64).sum(axis=1)).astype(np.float32)
    return ByLength(turn, heads, rests, lengths[codes], rest_lengths, codes)
