"""Search of the best items with an index, for catalogues so large that scoring every item takes too long.

Where the lengths of the item vectors differ much, an exact index is used (``by_length.py``). Otherwise a graph (HNSW;
Malkov & Yashunin 2018) over the item vectors, searched by inner product (Morozov & Babenko 2018), finds candidates.
Candidates are scored exactly, so an approximate list can only miss items. The recall against exact lists is measured
when the index is built.
"""

from __future__ import annotations

import dataclasses
from threading import Lock
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from cofactor._validate import check_int
from cofactor.data.interactions import CSR
from cofactor.errors import ConfigError
from cofactor.model import HasVectors
from cofactor.recommend.ann.by_length import by_length, search
from cofactor.recommend.fitted import Fitted
from cofactor.recommend.index import MARGIN, MOST, ByLength, Index, empty_graph
from cofactor.recommend.options import ListOptions, needs_each_user
from cofactor.recommend.profiles import UserProfile
from cofactor.recommend.topn import BLOCK_BYTES, blocks, mask_items, mask_rows, top_n
from cofactor.recommend.updates import as_rows, states_of

Array = NDArray[Any]
F = TypeVar("F", bound=Fitted)


def approximate(rec: F, n: int, sample: int, seed: int, above: int, connectivity: int, effort: int, threads: int) -> F:
    """Implement :meth:`Recommender.approximate`."""
    n, sample, seed = check_int("n", n), check_int("sample", sample), check_int("seed", seed, 0)
    above, connectivity, effort = (
        check_int("above", above, 0),
        check_int("connectivity", connectivity, 2),
        check_int("effort", effort),
    )
    if not isinstance(rec.model, HasVectors):
        raise ConfigError(
            f"{rec.name} has no vectors whose dot products order the items, so only exact search works; use als, svd++,"
            " dot-bias, bayes-mf, ials, bpr or warp for an index"
        )
    if rec.data.n_items < above:
        return rec.replace(index=None)
    vectors = rec.model.item_vectors()
    if not np.isfinite(vectors).all():
        raise ConfigError("the item vectors contain NaN or infinite values; train the model again")
    threads, users = check_int("threads", threads), _sampled(rec, sample, seed)
    if (lengths := _worth_it(rec.model, vectors, users, rec, n)) is not None:
        index = Index(
            lengths, Lock(), rec.model, connectivity, effort, n, len(users), recall=1.0, worst=1.0, exact=True
        )
        return rec.replace(index=index)
    graph = _graph(vectors, connectivity, effort, threads)
    index = Index(graph, Lock(), rec.model, connectivity, effort)
    return rec.replace(index=_measured(rec, index, n, users))


FEW = 0.1
"""Largest share of all products to compute for which the index by length is used."""


def _worth_it(model: HasVectors, vectors: Array, users: Array, rec: Fitted, n: int) -> ByLength | None:
    """Return the index by length if it saves most of the work for these users, else None."""
    found = by_length(vectors)
    queries = np.ascontiguousarray(model.query_vectors(model.user_state(users)))
    some = queries.any(axis=1)
    if not some.any() or n + MARGIN > MOST * len(vectors):
        return None
    seen = rec.data.by_user.take(users[some])
    return found if found.work(search(found, queries[some], n + MARGIN, seen, None)[2]) <= FEW else None


def _sampled(rec: Fitted, sample: int, seed: int) -> Array:
    """Return the codes, int32 ascending, of some users with ratings."""
    with_ratings = np.flatnonzero(rec.data.by_user.counts > 0)
    return np.sort(np.random.default_rng([seed, 6]).permutation(with_ratings)[:sample]).astype(np.int32)


def _graph(vectors: Array, connectivity: int, effort: int, threads: int) -> Any:
    """Return the graph. It is reproducible only with one thread, since it depends on the order of insertion."""
    graph = empty_graph(vectors.shape[1], connectivity, effort)
    try:
        graph.add(np.arange(len(vectors)), np.ascontiguousarray(vectors, dtype=np.float32), threads=threads)
    except RuntimeError as exc:  # usearch turns Ctrl-C into this error
        if "terminated" in str(exc):
            raise KeyboardInterrupt from None
        raise
    return graph


def _measured(rec: Fitted, index: Index, n: int, users: Array) -> Index:
    """Return the index with its recall measured for these users, seen items left out."""
    states, seen = index.vectors.user_state(users), rec.data.by_user.take(users)
    found, _ = best_of(index, states, seen, None, n)
    exact, _ = _exact(index, states, seen, None, n)
    shares = [len(np.intersect1d(a, b[b >= 0])) / max((b >= 0).sum(), 1) for a, b in zip(found, exact)]
    recall, worst = float(np.mean(shares)), float(np.min(shares))
    return dataclasses.replace(index, n=n, sample=len(users), recall=recall, worst=worst)


def serves(rec: Fitted, options: ListOptions) -> bool:
    """Return whether lists with these options use the index; reranked lists and those with bounds do not."""
    return rec.index is not None and not needs_each_user(options)


def best_for_one(rec: Fitted, who: UserProfile, keep: Array | None, options: ListOptions) -> tuple[Array, Array]:
    """Return (codes, scores) of one list, best first; ``who`` has a code or a state."""
    assert rec.index is not None
    state = rec.index.vectors.user_state(np.array([who.code], dtype=np.int32)) if who.state is None else who.state
    seen = None if options["seen"] else as_rows([who.history], rec.data.n_items)
    codes, values = best_of(rec.index, state, seen, keep, options["n"])
    there = codes[0] >= 0
    return codes[0][there], values[0][there]


def best_for_many(rec: Fitted, users: Array, keep: Array | None, options: ListOptions) -> tuple[Array, Array]:
    """Return (codes int32, scores float32), both (len(users), n), in the form of :func:`top_n`."""
    assert rec.index is not None
    states = np.array(rec.index.vectors.user_state(np.where(users < rec.data.n_users, users, -1).astype(np.int32)))
    newer = np.flatnonzero(rec.updates.among(users))
    if len(newer):
        states[newer] = states_of([rec.updates.users[user] for user in users[newer].tolist()])
    return best_of(rec.index, states, None if options["seen"] else rec.seen_by(users), keep, options["n"])


def best_of(index: Index, states: Array, seen: CSR | None, keep: Array | None, n: int) -> tuple[Array, Array]:
    """Return the n best items of each row of ``states``, without the row's ``seen`` items and items not in ``keep``.

    For each row the search fetches enough candidates to allow for the seen items and for the average share of items not
    in ``keep``. Search is exact where that is much of the catalogue, where too few candidates are left, or where the
    scores are not a dot product (the query vector is zero).
    """
    n_items = len(index.graph)
    queries = np.ascontiguousarray(index.vectors.query_vectors(states))
    if isinstance(index.graph, ByLength):
        return _best_by_length(index, index.graph, states, queries, seen, keep, n)
    share = 1.0 if keep is None else max(float(keep.mean()), 1 / n_items)
    wanted = (n + MARGIN) / share + (0 if seen is None else seen.counts)
    sizes = np.broadcast_to(2 ** np.ceil(np.log2(wanted)), len(states)).astype(np.int64)
    sizes = np.where((sizes > MOST * n_items) | ~queries.any(axis=1), 0, sizes)
    codes = np.full((len(states), min(n, n_items)), -1, dtype=np.int32)
    best = np.full(codes.shape, -np.inf, dtype=np.float32)
    for size in np.unique(sizes[sizes > 0]).tolist():
        rows = np.flatnonzero(sizes == size)
        step = max(1, BLOCK_BYTES // (4 * size * queries.shape[1]))
        for first in range(0, len(rows), step):
            part = rows[first : first + step]
            found, there = index.search(queries[part], size)
            scores = np.where(there, index.vectors.scores_at(states[part], found), np.float32(-np.inf))
            if keep is not None:
                scores[~keep[found]] = -np.inf
            if seen is not None:
                scores[_within(found, seen.take(part))] = -np.inf
            places, best[part] = top_n(scores, n)
            codes[part] = np.where(places >= 0, np.take_along_axis(found, np.maximum(places, 0), axis=1), -1)
    rest = np.flatnonzero((codes < 0).any(axis=1))
    if len(rest):
        codes[rest], best[rest] = _exact(index, states[rest], None if seen is None else seen.take(rest), keep, n)
    return codes, best


def _best_by_length(
    index: Index, lengths: ByLength, states: Array, queries: Array, seen: CSR | None, keep: Array | None, n: int
) -> tuple[Array, Array]:
    """Return the same from the index by length: it fetches more candidates than places and scores them as exact search
    does. Where the last candidate equals an item of the list up to rounding, all items are scored."""
    n_items, size = len(lengths), n + MARGIN
    codes = np.full((len(states), min(n, n_items)), -1, dtype=np.int32)
    best = np.full(codes.shape, -np.inf, dtype=np.float32)
    rows = np.flatnonzero(queries.any(axis=1)) if size <= MOST * n_items else np.empty(0, dtype=np.int64)
    certain = np.zeros(len(states), dtype=np.bool_)
    if len(rows):
        found, products, _ = search(lengths, queries[rows], size, None if seen is None else seen.take(rows), keep)
        least = products[:, :1]
        order = np.argsort(found, axis=1)
        found, products = (np.take_along_axis(each, order, axis=1) for each in (found, products))
        at = np.maximum(found, 0).astype(np.int64)
        scores = np.where(found >= 0, index.vectors.scores_at(states[rows], at), np.float32(-np.inf))
        places, best[rows] = top_n(scores, n)
        there, at = places >= 0, np.maximum(places, 0)
        codes[rows] = np.where(there, np.take_along_axis(found, at, axis=1), -1)
        used = np.where(there, np.take_along_axis(products, at, axis=1), np.inf).min(axis=1)
        certain[rows] = lengths.certain(queries[rows], least, used)
    rest = np.flatnonzero(~certain)
    if len(rest):
        codes[rest], best[rest] = _exact(index, states[rest], None if seen is None else seen.take(rest), keep, n)
    return codes, best


def _within(codes: Array, rows: CSR) -> Array:
    """Return a mask, bool (n, m), of the ``codes`` (n, m) that are in the same row of ``rows``."""
    who = np.arange(len(codes), dtype=np.int64) * rows.n_cols
    return np.isin(codes + who[:, None], np.repeat(who, rows.counts) + rows.indices)


def _exact(index: Index, states: Array, seen: CSR | None, keep: Array | None, n: int) -> tuple[Array, Array]:
    """Return the same as :func:`best_of` by scoring every item."""
    parts = []
    for block in blocks(len(states), len(index.graph)):
        scores = np.array(index.vectors.scores_from(states[block]), dtype=np.float32)
        if seen is not None:
            mask_rows(scores, seen.take(np.arange(len(states))[block]))
        mask_items(scores, keep)
        parts.append(top_n(scores, n))
    return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])
