"""Transition counts between the items of ordered histories, scores of ordered histories, ranks of held-out items.

Sequences are flat arrays: those of user ``u`` are at ``starts[u]:starts[u + 1]``, oldest first. Every kernel writes the
rows ``first`` to ``last`` of its output and nothing else, so the result does not depend on the number of threads.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from cofactor.kernels.largest import edge_of

Array = NDArray[Any]

_TINY = 1e-30
"""Weights of entries below this are 0."""


@njit(cache=True, nogil=True)
def transition_rows(
    first: int,
    last: int,
    item_starts: Array,
    places: Array,
    lows: Array,
    highs: Array,
    items: Array,
    times: Array,
    gap_weights: Array,
    backward: float,
    time_power: float,
    time_unit: float,
    row_scale: Array,
    column_scale: Array,
    room: Array,
    near: Array,
    weight: Array,
    count: Array,
) -> None:
    """Count, with weights, the items ``j`` that follow item ``i`` in a user's sequence (or, times ``backward``, precede
    it), times ``row_scale[i] * column_scale[j]``, and keep the largest of each row.

    Item ``i`` occurs at the positions ``places[item_starts[i]:item_starts[i + 1]]`` of the flat sequences; the sequence
    of each of these positions reaches from ``lows`` to ``highs``. A pair ``d`` steps and ``t`` seconds apart counts
    ``gap_weights[d] * (1 + t / time_unit) ** -time_power``. At most ``room[i + 1] - room[i]`` entries of a row are kept
    (ascending items; of equal ones at the edge the lowest), from ``room[i]`` on in ``near`` and ``weight``;
    ``count[i]`` says how many.
    """
    n = len(row_scale)
    sums = np.zeros(n, dtype=np.float64)
    marked = np.zeros(n, dtype=np.bool_)
    touched = np.empty(n, dtype=np.int64)
    steps = len(gap_weights) - 1
    for i in range(first, last):
        found = 0
        for at in range(item_starts[i], item_starts[i + 1]):
            p = places[at]
            for d in range(1, min(steps, highs[at] - 1 - p) + 1):
                j = items[p + d]
                if j == i:
                    continue
                w = gap_weights[d]
                if time_power > 0.0:
                    w *= (1.0 + (times[p + d] - times[p]) / time_unit) ** -time_power
                if not marked[j]:
                    marked[j] = True
                    touched[found] = j
                    found += 1
                sums[j] += w
            if backward > 0.0:
                for d in range(1, min(steps, p - lows[at]) + 1):
                    j = items[p - d]
                    if j == i:
                        continue
                    w = gap_weights[d] * backward
                    if time_power > 0.0:
                        w *= (1.0 + (times[p] - times[p - d]) / time_unit) ** -time_power
                    if not marked[j]:
                        marked[j] = True
                        touched[found] = j
                        found += 1
                    sums[j] += w
        mine = np.sort(touched[:found])
        values = np.empty(found, dtype=np.float32)
        for e in range(found):
            j = mine[e]
            values[e] = sums[j] * row_scale[i] * column_scale[j]
            sums[j] = 0.0
            marked[j] = False
        edge, ties = edge_of(values, room[i + 1] - room[i])
        kept = 0
        for e in range(found):
            if values[e] > edge or (values[e] == edge and ties > 0):
                ties -= values[e] == edge
                near[room[i] + kept] = mine[e]
                weight[room[i] + kept] = values[e]
                kept += 1
        count[i] = kept


@njit(cache=True, nogil=True)
def step_weights(times: Array, decay: float, out: Array) -> None:
    """Set ``out[k]`` to ``decay`` to the power of the number of newer entries of one history, oldest first. Entries
    with the same time share the mean of their weights."""
    n = len(times)
    w = 1.0
    end = n
    while end > 0:
        begin = end - 1
        while begin > 0 and times[begin - 1] == times[end - 1]:
            begin -= 1
        total = 0.0
        for _ in range(begin, end):
            total += w
            w *= decay
        for k in range(begin, end):
            out[k] = total / (end - begin)
        end = begin


@njit(cache=True, nogil=True)
def history_weights(
    times: Array, values: Array, decay: float, slow_decay: float, share: float, fast: Array, slow: Array
) -> None:
    """Compute the weight of each entry of one history (oldest first): ``fast`` for transitions, ``slow`` for
    neighbours.

    ``fast`` sums to 1 and ``slow`` to ``share``, before they are multiplied by ``values`` (the weights of ratings). A
    weight below 1e-30 is 0: its products would be subnormal numbers, with which processors are slow.
    """
    n = len(times)
    step_weights(times, decay, fast)
    step_weights(times, slow_decay, slow)
    a, b = 0.0, 0.0
    for k in range(n):
        a += fast[k]
        b += slow[k]
    for k in range(n):
        fast[k] *= values[k] / a
        slow[k] *= share * values[k] / b
        if fast[k] < _TINY:
            fast[k] = 0.0


@njit(cache=True, nogil=True)
def add_history(items: Array, by: Array, indptr: Array, others: Array, weights: Array, out: Array) -> None:
    """Add ``by[k] * weights[items[k], :]`` to ``out``, for sparse rows."""
    for k in range(len(items)):
        x = np.float32(by[k])
        if x == 0.0:
            continue
        for e in range(indptr[items[k]], indptr[items[k] + 1]):
            out[np.uint64(others[e])] += x * weights[e]


@njit(cache=True, nogil=True)
def score_rows(
    first: int,
    last: int,
    starts: Array,
    items: Array,
    times: Array,
    values: Array,
    decay: float,
    slow_decay: float,
    share: float,
    t_indptr: Array,
    t_items: Array,
    t_weights: Array,
    n_indptr: Array,
    n_items: Array,
    n_weights: Array,
    recent: Array,
    out: Array,
) -> None:
    """Set ``out[r]`` to the scores of every item for each ordered history: its transitions (``t_*``), its neighbours
    (``n_*``), and ``recent`` popularity (n_items,)."""
    for r in range(first, last):
        lo, hi = starts[r], starts[r + 1]
        out[r] = recent
        fast, slow = np.empty(hi - lo), np.empty(hi - lo)
        history_weights(times[lo:hi], values[lo:hi], decay, slow_decay, share, fast, slow)
        add_history(items[lo:hi], fast, t_indptr, t_items, t_weights, out[r])
        if share > 0.0:
            add_history(items[lo:hi], slow, n_indptr, n_items, n_weights, out[r])


@njit(cache=True, nogil=True)
def touch_history(
    items: Array,
    by: Array,
    indptr: Array,
    others: Array,
    weights: Array,
    out: Array,
    touched: Array,
    mark: Array,
    n: int,
) -> int:
    """Do the same as :func:`add_history`, and also list the items that it adds to: from ``n`` on in ``touched``, each
    once (``mark`` bool: those that are listed). Returns the new number of listed items."""
    for k in range(len(items)):
        x = np.float32(by[k])
        if x == 0.0:
            continue
        for e in range(indptr[items[k]], indptr[items[k] + 1]):
            j = np.uint64(others[e])
            out[j] += x * weights[e]
            if not mark[j]:
                mark[j] = True
                touched[n] = others[e]
                n += 1
    return n


@njit(cache=True, nogil=True)
def ahead_of(recent: Array, by_recent: Array, mine: float, t: int) -> int:
    """Return how many items have more ``recent`` popularity than ``mine``, or as much and a code below ``t``.
    ``by_recent``: the items in that order."""
    lo, hi = 0, len(by_recent)
    while lo < hi:
        middle = (lo + hi) // 2
        j = by_recent[middle]
        if recent[j] > mine or (recent[j] == mine and j < t):
            lo = middle + 1
        else:
            hi = middle
    return lo


@njit(cache=True, nogil=True)
def target_ranks(
    first: int,
    last: int,
    users: Array,
    targets: Array,
    starts: Array,
    items: Array,
    times: Array,
    values: Array,
    decay: float,
    slow_decay: float,
    share: float,
    t_indptr: Array,
    t_items: Array,
    t_weights: Array,
    n_indptr: Array,
    n_items: Array,
    n_weights: Array,
    recent: Array,
    by_recent: Array,
    out: Array,
) -> None:
    """Set ``out[q]`` to the rank of ``targets[q]`` among the items that ``users[q]`` does not have, by the scores of
    ``score_rows``; ties go to the lower code.

    Items to which the history adds nothing have their ``recent`` popularity, in whose order (``by_recent``) the rank is
    looked up. The work is therefore that of the items to which something is added.
    """
    s = recent.copy()
    mark = np.zeros(len(s), dtype=np.bool_)
    touched = np.empty(len(s), dtype=np.int64)
    for q in range(first, last):
        lo, hi = starts[users[q]], starts[users[q] + 1]
        mine = items[lo:hi]
        fast, slow = np.empty(hi - lo), np.empty(hi - lo)
        history_weights(times[lo:hi], values[lo:hi], decay, slow_decay, share, fast, slow)
        n = touch_history(mine, fast, t_indptr, t_items, t_weights, s, touched, mark, 0)
        if share > 0.0:
            n = touch_history(mine, slow, n_indptr, n_items, n_weights, s, touched, mark, n)
        for j in mine:
            s[j] = -np.inf
            if not mark[j]:
                mark[j] = True
                touched[n] = j
                n += 1
        t = targets[q]
        score = s[t]
        place = 1 + ahead_of(recent, by_recent, score, t)
        for at in range(n):
            j = touched[at]
            now = s[j] > score or (s[j] == score and j < t)
            before = recent[j] > score or (recent[j] == score and j < t)
            place += int(now) - int(before)
            s[j] = recent[j]
            mark[j] = False
        out[q] = place
