"""The index of item vectors: by their lengths, which misses nothing, or a graph of near items (HNSW; Malkov & Yashunin
2018), searched by inner product."""

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
"""How many candidates more than places in the list, and items seen, are fetched."""
MOST = 0.1
"""Exact search where more than this share of all items would have to be fetched."""


def empty_graph(dimensions: int, connectivity: int, effort: int) -> Any:
    """A graph without vectors; MissingExtraError without usearch."""
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

    def certain(self, queries: Array, values: Array, least: Array) -> Array:
        """bool (len(queries),): whether what was not found is below ``least``, the smallest product that is used."""
        lengths = np.sqrt(np.square(queries, dtype=np.float64).sum(axis=1)) * float(self.lengths[0])
        return np.asarray((least - values[:, 0] > 2 * self.error * lengths) | (values[:, 0] == -np.inf))

    def work(self, looked: Array) -> float:
        """The share of all products that was computed."""
        d, h = self.turn.shape[1], self.heads.shape[1]
        return float((looked[:, 0] * h + looked[:, 1] * (d - h)).mean() / max(len(self) * d, 1))


@dataclass(frozen=True, eq=False)
class Index:
    """What :meth:`Recommender.approximate` built. ``graph``: of usearch, or a ``ByLength``. ``recall``: the share of
    the exact ``n`` best that the index found, the mean over ``sample`` users; ``worst``: of the user for whom it found
    least. ``exact``: it misses nothing, as one by length; lists are then those without it, found sooner."""

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
        """Everything that decides what it finds, apart from the vectors."""
        if self.exact:
            return "by length"
        import usearch

        return f"usearch {usearch.__version__} {self.connectivity} {self.effort} {MARGIN} {MOST}"

    def search(self, queries: Array, size: int) -> tuple[Array, Array]:
        """(codes int64, whether there is one), both (len(queries), size); codes ascend within a row."""
        from numba import get_num_threads

        with self.lock:  # searches from several threads at once would share their scratch space
            found = self.graph.search(queries, size, threads=min(get_num_threads(), len(queries)))
        keys = np.asarray(found.keys).reshape(len(queries), -1)
        counts = np.broadcast_to(np.asarray(getattr(found, "counts", keys.shape[1])), len(queries))
        keys = np.where(np.arange(keys.shape[1]) < counts[:, None], keys, np.iinfo(np.int64).max).astype(np.int64)
        keys = np.sort(keys, axis=1)
        there = keys < np.iinfo(np.int64).max
        return np.where(there, keys, 0), there
