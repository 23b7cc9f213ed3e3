"""Transition counts between the items of ordered histories, scores of ordered histories, ranks of held-out items.

Sequences are flat arrays: those of user ``u`` stand at ``starts[u]:starts[u + 1]``, oldest first. Every kernel writes
the rows ``first`` to ``last`` of its output and nothing else, so the result does not depend on the number of threads.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]


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
    """Weighted counts of the items ``j`` that follow item ``i`` in a user's sequence (or, times ``backward``, precede
    it), by ``row_scale[i] * column_scale[j]``: the largest of each row.

    Item ``i`` occurs at ``places[item_starts[i]:item_starts[i + 1]]`` of the flat sequences; the sequence of each of
    these places reaches from ``lows`` to ``highs``. A pair ``d`` steps and ``t`` seconds apart counts
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
        most = room[i + 1] - room[i]
        edge, ties = np.float32(0.0), found
        if found > most:
            edge = np.partition(values, found - most)[found - most]
            ties = most - np.sum(values > edge)
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
    """``out[k]``: ``decay`` to the number of newer entries of one history, oldest first; entries of the same time
    share the mean of their weights."""
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
    """What each entry of one history (oldest first) counts: ``fast`` for transitions, ``slow`` for neighbours.

    Both sum to 1 before ``values`` (the weights of ratings) come in, and ``slow`` to ``share``.
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


@njit(cache=True, nogil=True)
def add_history(items: Array, by: Array, indptr: Array, others: Array, weights: Array, out: Array) -> None:
    """``out += by[k] * weights[items[k], :]``, for sparse rows."""
    for k in range(len(items)):
        x = np.float32(by[k])
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
    """``out[r]``: scores of every item for each ordered history: its transitions (``t_*``), its neighbours (``n_*``),
    and ``recent`` popularity (n_items,)."""
    for r in range(first, last):
        lo, hi = starts[r], starts[r + 1]
        out[r] = recent
        fast, slow = np.empty(hi - lo), np.empty(hi - lo)
        history_weights(times[lo:hi], values[lo:hi], decay, slow_decay, share, fast, slow)
        add_history(items[lo:hi], fast, t_indptr, t_items, t_weights, out[r])
        if share > 0.0:
            add_history(items[lo:hi], slow, n_indptr, n_items, n_weights, out[r])


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
    out: Array,
) -> None:
    """``out[q]``: the place of ``targets[q]`` among the items that ``users[q]`` has not, by the scores of
    ``score_rows``; ties in favour of the lower code."""
    n = len(recent)
    s = np.empty(n, dtype=np.float32)
    for q in range(first, last):
        lo, hi = starts[users[q]], starts[users[q] + 1]
        s[:] = recent
        fast, slow = np.empty(hi - lo), np.empty(hi - lo)
        history_weights(times[lo:hi], values[lo:hi], decay, slow_decay, share, fast, slow)
        add_history(items[lo:hi], fast, t_indptr, t_items, t_weights, s)
        if share > 0.0:
            add_history(items[lo:hi], slow, n_indptr, n_items, n_weights, s)
        for p in range(lo, hi):
            s[items[p]] = -np.inf
        t = targets[q]
        mine, place = s[t], 1
        for j in range(n):
            if s[j] > mine or (s[j] == mine and j < t):
                place += 1
        out[q] = place
