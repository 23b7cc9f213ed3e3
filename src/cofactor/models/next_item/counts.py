"""Transition weights between items, neighbours beside them, popularity of late: the arrays of ``next-item``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cofactor.data.interactions import CSR
from cofactor.kernels.blocks import over_rows
from cofactor.kernels.transitions import transition_rows
from cofactor.models.base.local_ridge import NO_ROWS, gram_entries, local_ridge, sparse_gram
from cofactor.models.base.sequences import Sequences
from cofactor.models.base.sparse import frozen

Array = NDArray[Any]

DAY = 86_400


@dataclass(frozen=True)
class Settings:
    """The constants of ``next-item``; see ``NextItemConfig``. ``half_life`` in days."""

    power: float = 0.5
    time_power: float = 0.0
    backward: float = 0.3
    from_power: float = 0.5
    to_power: float = 0.2
    shrink: float = 10.0
    decay: float = 0.7
    share: float = 0.3
    popular: float = 0.0
    half_life: float = 0.0


def time_unit(seqs: Sequences) -> float:
    """The median time between two rows of a user that are not of the same time; 1 where there are none."""
    gaps = np.diff(seqs.times)
    same = np.ones(len(gaps), dtype=np.bool_)
    ends = seqs.starts[1:-1] - 1
    same[ends[(ends >= 0) & (ends < len(gaps))]] = False
    gaps = gaps[same & (gaps > 0)]
    return float(np.median(gaps)) if len(gaps) else 1.0


def item_counts(seqs: Sequences, n_items: int) -> Array:
    """int64 (n_items,): rows of each item."""
    return np.bincount(seqs.items, minlength=n_items)


def transitions(seqs: Sequences, n_items: int, steps: int, most: int, s: Settings) -> CSR:
    """float32 CSR (n_items, n_items): row ``i`` says what having had item ``i`` last speaks for each other item.

    At most ``most`` entries per row. Scaled so that the rows, weighted by how often their items occur, sum to 1.
    """
    counts = item_counts(seqs, n_items)
    order = np.argsort(seqs.items, kind="stable")
    item_starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    lows, highs = (np.repeat(side, seqs.counts).astype(np.int64) for side in (seqs.starts[:-1], seqs.starts[1:]))
    gaps = np.concatenate([[0.0], np.arange(1, steps + 1, dtype=np.float64) ** -s.power])
    rare = np.maximum(counts + s.shrink, 1.0)
    room = np.concatenate([[0], np.cumsum(np.minimum(np.minimum(2 * steps * counts, most), n_items))]).astype(np.int64)
    near, weight = np.empty(room[-1], dtype=np.int32), np.empty(room[-1], dtype=np.float32)
    count = np.zeros(n_items, dtype=np.int64)
    unit = time_unit(seqs) if s.time_power else 1.0
    arrays: tuple[Any, ...] = (
        *frozen(item_starts, order, lows, highs, seqs.items, seqs.times, gaps),
        float(s.backward),
        float(s.time_power),
        unit,
        *frozen(rare**-s.from_power, rare**-s.to_power, room),
        near,
        weight,
        count,
    )
    over_rows(lambda a, b: transition_rows(a, b, *arrays), item_starts, per_row=4)
    indptr = np.concatenate([[0], np.cumsum(count)]).astype(np.int64)
    at = np.arange(indptr[-1]) - np.repeat(indptr[:-1] - room[:-1], count)
    return scaled(CSR(indptr, near[at], weight[at], NO_ROWS, n_items), counts)


def scaled(weights: CSR, counts: Array) -> CSR:
    """The weights over the mean sum of the sizes of a row, each row counted as often as its item occurs."""
    row = np.repeat(np.arange(weights.n_rows), weights.counts)
    sums = np.bincount(row, np.abs(weights.values), minlength=weights.n_rows)
    mean = float((sums * counts).sum()) / max(int(counts.sum()), 1)
    return weights._replace(values=(weights.values / max(mean, 1e-30)).astype(np.float32))


def neighbours(seqs: Sequences, n_items: int, k: int, reg: float, max_gb: float) -> CSR:
    """Ridge weights of each item on its ``k`` nearest, scaled as ``transitions`` are; empty where the Gram matrix of
    the items would not fit ``max_gb``."""
    empty = CSR(np.zeros(n_items + 1, np.int64), np.empty(0, np.int32), np.empty(0, np.float32), NO_ROWS, n_items)
    if k == 0:
        return empty
    ones = np.ones(len(seqs.items), dtype=np.float32)
    rows = CSR(seqs.starts, seqs.items, ones, NO_ROWS, n_items)
    indptr = gram_entries(rows)
    if 8e-9 * (indptr[-1] + n_items * k) > max_gb:
        return empty
    gram = sparse_gram(rows, indptr)
    return scaled(local_ridge(gram, k, np.full(n_items, reg, dtype=np.float32), 1.0), item_counts(seqs, n_items))


def recent_scores(seqs: Sequences, n_items: int, s: Settings) -> Array:
    """float32 (n_items,), sums to ``s.popular``: rows of each item; those of an age of ``half_life`` count half."""
    weights = np.ones(len(seqs.items))
    if s.half_life > 0 and len(weights):
        weights = 0.5 ** ((seqs.times.max() - seqs.times) / (DAY * s.half_life))
    sums = np.bincount(seqs.items, weights, minlength=n_items)
    return (s.popular * sums / max(float(sums.sum()), 1e-30)).astype(np.float32)
