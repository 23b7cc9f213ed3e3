"""The arrays of ``next-item``: transition weights between items, neighbours beside them, recent popularity."""

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
SHRINK = 1.0
"""Added to the denominator of the cosine between items."""
_AT_ONCE = 1 << 23
"""Number of rows that are scanned at a time; they may be in a file."""


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
    """Return the median time between two rows of a user with different times; 1 if there are none."""
    gaps = np.diff(seqs.times)
    same = np.ones(len(gaps), dtype=np.bool_)
    ends = seqs.starts[1:-1] - 1
    same[ends[(ends >= 0) & (ends < len(gaps))]] = False
    gaps = gaps[same & (gaps > 0)]
    return float(np.median(gaps)) if len(gaps) else 1.0


def item_counts(seqs: Sequences, n_items: int) -> Array:
    """Return int64 (n_items,): rows of each item."""
    return np.bincount(seqs.items, minlength=n_items)


def transitions(seqs: Sequences, n_items: int, steps: int, most: int, s: Settings) -> CSR:
    """Return float32 CSR (n_items, n_items): row ``i`` holds the weights of the other items after item ``i``.

    There are at most ``most`` entries per row. They are scaled so that the rows, weighted by how often their items
    occur, sum to 1.
    """
    counts = item_counts(seqs, n_items)
    unit = time_unit(seqs) if s.time_power else 1.0
    return scaled(transition_part(seqs, counts, steps, most, s, unit, 0, n_items), counts)


def room_of(counts: Array, steps: int, most: int) -> Array:
    """Return int64 (n_items,): the maximal number of transitions that are kept for each item."""
    return np.asarray(np.minimum(np.minimum(2 * steps * counts, most), len(counts)), dtype=np.int64)


def transition_part(
    seqs: Sequences, counts: Array, steps: int, most: int, s: Settings, unit: float, first: int, last: int
) -> CSR:
    """Return the rows of the items ``first`` to ``last``, before they are scaled. ``counts`` are those of all items."""
    n = len(counts)
    places = places_of(seqs.items, first, last)
    who = np.searchsorted(seqs.starts, places, side="right") - 1
    lows, highs = seqs.starts[who], seqs.starts[who + 1]
    item_starts, room = np.zeros(n + 1, dtype=np.int64), np.zeros(n + 1, dtype=np.int64)
    np.cumsum(counts[first:last], out=item_starts[first + 1 : last + 1])
    np.cumsum(room_of(counts, steps, most)[first:last], out=room[first + 1 : last + 1])
    gaps = np.concatenate([[0.0], np.arange(1, steps + 1, dtype=np.float64) ** -s.power])
    rare = np.maximum(counts + s.shrink, 1.0)
    near, weight = np.empty(room[last], dtype=np.int32), np.empty(room[last], dtype=np.float32)
    count = np.zeros(n, dtype=np.int64)
    arrays: tuple[Any, ...] = (
        *frozen(item_starts, places, lows, highs, seqs.items, seqs.times, gaps),
        float(s.backward),
        float(s.time_power),
        unit,
        *frozen(rare**-s.from_power, rare**-s.to_power, room),
        near,
        weight,
        count,
    )
    over_rows(lambda a, b: transition_rows(first + a, first + b, *arrays), item_starts[first : last + 1], per_row=4)
    mine = count[first:last]
    indptr = np.concatenate([[0], np.cumsum(mine)]).astype(np.int64)
    at = np.arange(indptr[-1]) - np.repeat(indptr[:-1] - room[first:last], mine)
    return CSR(indptr, near[at], weight[at], NO_ROWS, n)


def places_of(items: Array, first: int, last: int) -> Array:
    """Return int64: the positions of the items ``first`` to ``last`` in flat sequences, item by item, ascending."""
    found = []
    for lo in range(0, len(items), _AT_ONCE):
        part = items[lo : lo + _AT_ONCE]
        found.append(np.flatnonzero((part >= first) & (part < last)) + lo)
    at = np.concatenate([np.empty(0, dtype=np.int64), *found])
    return at[np.argsort(items[at], kind="stable")]


def scaled(weights: CSR, counts: Array) -> CSR:
    """Divide the weights by the mean sum of the absolute values of a row, with each row counted as often as its item
    occurs."""
    row = np.repeat(np.arange(weights.n_rows), weights.counts)
    sums = np.bincount(row, np.abs(weights.values), minlength=weights.n_rows)
    mean = float((sums * counts).sum()) / max(int(counts.sum()), 1)
    return weights._replace(values=(weights.values / max(mean, 1e-30)).astype(np.float32))


def neighbours(seqs: Sequences, n_items: int, k: int, reg: float, max_gb: float) -> CSR:
    """Return the ridge weights of each item on its ``k`` nearest, scaled as ``transitions`` are; empty if the Gram
    matrix of the items would not fit ``max_gb``."""
    empty = CSR(np.zeros(n_items + 1, np.int64), np.empty(0, np.int32), np.empty(0, np.float32), NO_ROWS, n_items)
    if k == 0:
        return empty
    ones = np.ones(len(seqs.items), dtype=np.float32)
    rows = CSR(seqs.starts, seqs.items, ones, NO_ROWS, n_items)
    indptr = gram_entries(rows)
    if 8e-9 * (indptr[-1] + n_items * k) > max_gb:
        return empty
    gram = sparse_gram(rows, indptr)
    return scaled(local_ridge(gram, k, np.full(n_items, reg, dtype=np.float32), SHRINK), item_counts(seqs, n_items))


def recent_scores(seqs: Sequences, n_items: int, s: Settings) -> Array:
    """Return float32 (n_items,), which sums to ``s.popular``: rows of each item, where those ``half_life`` old count
    half."""
    sums: Array = np.zeros(n_items)
    newest = max((int(seqs.times[lo : lo + _AT_ONCE].max()) for lo in range(0, len(seqs.times), _AT_ONCE)), default=0)
    for lo in range(0, len(seqs.items), _AT_ONCE):
        part = slice(lo, lo + _AT_ONCE)
        weights = np.ones(len(seqs.items[part]))
        if s.half_life > 0:
            weights = 0.5 ** ((newest - seqs.times[part]) / (DAY * s.half_life))
        if lo:
            np.add.at(sums, seqs.items[part], weights)
        else:  # the same sums, faster
            sums = np.bincount(seqs.items[part], weights, minlength=n_items)
    return (s.popular * sums / max(float(sums.sum()), 1e-30)).astype(np.float32)
