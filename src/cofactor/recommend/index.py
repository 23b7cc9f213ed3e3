"""An index of item vectors for search by inner product: an exact one by length, or an approximate graph (HNSW; Malkov &
Yashunin 2018)."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cofactor.errors import MissingExtraError
from cofactor.model import HasVectors

Array = NDArray[Any]
MARGIN = 20
"""Candidates fetched in addition to the places in the list and the items seen."""
MOST = 0.1
"""Largest share of all items to fetch from the index; beyond it, search is exact."""


def empty_graph(dimensions: int, connectivity: int, effort: int) -> Any:
    """Return an empty graph; MissingExtraError without usearch."""
    try:
        from usearch.index import Index as Graph
    except ImportError:
        raise MissingExtraError("usearch", "ann", "approximate search") from None
    return Graph(
        ndim=dimensions,
        metric="ip",
        dtype="f32",
        connectivity=connectivity,
        expansion_add=effort,
        expansion_search=effort,
    )


@dataclass(frozen=True, eq=False)
class ByLength:
    """Vectors sorted by length, for exact search.

    ``turn`` (d, d) holds the basis vectors as rows. ``heads`` (n, h) and ``rests`` (n, d - h) are the vectors in this
    basis, by descending ``lengths`` (n,). ``rest_lengths`` (n,) are the lengths of ``rests``; ``codes`` int32 (n,) the
    codes of the items.
    """

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
        """Bound of the rounding error of an inner product, relative to the product of both lengths."""
        return float(4 * (self.turn.shape[1] + 8) * np.finfo(np.float32).eps)

    def certain(self, queries: Array, values: Array, least: Array) -> Array:
        """Return for each query, bool (len(queries),), whether all items not found score below ``least``, the smallest
        product in the list."""
        lengths = np.sqrt(np.square(queries, dtype=np.float64).sum(axis=1)) * float(self.lengths[0])
        return np.asarray((least - values[:, 0] > 2 * self.error * lengths) | (values[:, 0] == -np.inf))

    def work(self, looked: Array) -> float:
        """Return the share of all products that the search computed."""
        d, h = self.turn.shape[1], self.heads.shape[1]
        return float((looked[:, 0] * h + looked[:, 1] * (d - h)).mean() / max(len(self) * d, 1))


@dataclass(frozen=True, eq=False)
class Index:
    """The index built by :meth:`Recommender.approximate`.

    ``graph`` is a graph of usearch or a ``ByLength``. ``recall`` is the share of the exact ``n`` best items that the
    index found, the mean over ``sample`` users; ``worst`` the share for the user with the least. With ``exact`` (by
    length) lists equal those of exact search.
    """

    graph: Any
    lock: Lock
    vectors: HasVectors
    connectivity: int
    effort: int
    n: int = 10
    sample: int = 0
    recall: float = float("nan")
    worst: float = float("nan")
    exact: bool = False

    def __repr__(self) -> str:
        if self.exact:
            return f"<Index: {len(self.graph):,} vectors by length, exact>"
        return f"<Index: recall@{self.n} {self.recall:.3f}, worst {self.worst:.2f} of {self.sample} users>"

    @property
    def settings(self) -> str:
        """The settings that determine, together with the vectors, what the index finds."""
        if self.exact:
            return "by length"
        import usearch

        return f"usearch {usearch.__version__} {self.connectivity} {self.effort} {MARGIN} {MOST}"

    def search(self, queries: Array, size: int) -> tuple[Array, Array]:
        """Return (codes int64, mask bool), both (len(queries), size). Codes ascend within a row; the mask is False
        where there are fewer."""
        from numba import get_num_threads

        with self.lock:  # concurrent searches would share scratch space
            found = self.graph.search(queries, size, threads=min(get_num_threads(), len(queries)))
        keys = np.asarray(found.keys).reshape(len(queries), -1)
        counts = np.broadcast_to(np.asarray(getattr(found, "counts", keys.shape[1])), len(queries))
        keys = np.where(np.arange(keys.shape[1]) < counts[:, None], keys, np.iinfo(np.int64).max).astype(np.int64)
        keys = np.sort(keys, axis=1)
        there = keys < np.iinfo(np.int64).max
        return np.where(there, keys, 0), there
