"""Counting sorts and one-pass scans over a table of codes. O(n), no comparison. Small tables are grouped by NumPy,
whose radix sort is as fast there and needs no compilation."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numba import config, njit
from numpy.typing import NDArray

Array = NDArray[Any]


MOST = 4
"""Maximal number of threads for grouping: memory bandwidth limits more."""
SMALL = 200_000
"""Number of rows that NumPy groups as fast as the kernels."""
_DIGIT = 16
"""Number of bits that NumPy's stable sort of short integers, a radix sort, handles at once."""


def row_starts(codes: Array, n_rows: int) -> Array:
    """Return where each row begins once the table is grouped by ``codes``: int64 (n_rows + 1,)."""
    if len(codes) >= SMALL:
        return np.asarray(_row_starts(codes, n_rows))
    starts = np.zeros(n_rows + 1, dtype=np.int64)
    np.cumsum(np.bincount(codes, minlength=n_rows), out=starts[1:])
    return starts


@njit(cache=True, nogil=True)
def _row_starts(codes: Array, n_rows: int) -> Array:
    starts = np.zeros(n_rows + 1, dtype=np.int64)
    for i in range(len(codes)):
        starts[codes[i] + 1] += 1
    for r in range(n_rows):
        starts[r + 1] += starts[r]
    return starts


def stable_order(codes: Array, n_codes: int, order: Array | None = None) -> Array:
    """Return the positions of ``codes`` (below ``n_codes``, none below 0) in ascending order, equal ones as in
    ``order``."""
    for shift in range(0, max(n_codes - 1, 1).bit_length(), _DIGIT):
        digits = (codes >> shift).astype(np.uint16)  # the lower bits of them
        moved = np.argsort(digits if order is None else digits[order], kind="stable")
        order = moved if order is None else order[moved]
    return np.asarray(order)


@njit(cache=True, nogil=True)
def group(codes: Array, starts: Array, order: Array) -> None:
    """Write the positions grouped by ``codes`` into ``order``, in table order within a row."""
    cursor = starts[:-1].copy()
    for i in range(len(codes)):
        c = codes[i]
        order[cursor[c]] = i
        cursor[c] += 1


def to_csr(
    rows: Array,
    cols: Array,
    values: Array,
    row_start: Array,
    col_start: Array,
    out_cols: Array,
    out_values: Array,
    out_rows: Array,
) -> None:
    """Group by row with columns ascending: first by column, then, in that order, by row.

    This is a counting sort on several threads. Each has a piece of the input, and knows how many entries of each code
    are in the pieces before its own, so every entry gets the position that it has with one thread.
    """
    n, n_rows, n_cols = len(rows), len(row_start) - 1, len(col_start) - 1
    if n < SMALL:
        order = stable_order(rows, n_rows, stable_order(cols, n_cols))
        out_cols[:], out_values[:], out_rows[:] = cols[order], values[order], order
        return
    threads = int(min(config.NUMBA_NUM_THREADS, MOST, n // (2 * max(n_rows, n_cols, 1))))  # type: ignore[attr-defined]
    cuts = np.linspace(0, n, max(threads, 1) + 1).astype(np.int64)
    row_at, value_at, position = np.empty(n, np.int32), np.empty(n, np.float32), np.empty(n, np.int64)
    with ThreadPoolExecutor(max(threads, 1)) as pool:

        def each(work: Callable[..., object], cursors: Array, *args: Array) -> None:
            list(pool.map(lambda t: work(int(cuts[t]), int(cuts[t + 1]), cursors[t], *args), range(len(cursors))))

        each(_by_column, _cursors(each, cols, col_start, cuts), rows, cols, values, row_at, value_at, position)
        cursors = _cursors(each, row_at, row_start, cuts)
        each(_by_row, cursors, row_at, value_at, position, col_start, out_cols, out_values, out_rows)


def sort_within(starts: Array, keys: Array, order: Array) -> None:
    """Sort the positions ``order`` of each group (from ``starts``) by their ``keys``, in place. Equal keys keep their
    order, so the result does not depend on the number of threads."""
    at = np.linspace(0, len(order), 8 * MOST + 1).astype(np.int64)
    cuts = np.unique(np.searchsorted(starts, at))
    cuts[-1] = len(starts) - 1
    with ThreadPoolExecutor(int(min(config.NUMBA_NUM_THREADS, MOST))) as pool:  # type: ignore[attr-defined]
        list(pool.map(lambda a, b: _sort_groups(int(a), int(b), starts, keys, order), cuts[:-1], cuts[1:]))


@njit(cache=True, nogil=True)
def _sort_groups(first: int, last: int, starts: Array, keys: Array, order: Array) -> None:
    for r in range(first, last):
        part = order[starts[r] : starts[r + 1]]
        if len(part) > 1:
            part[:] = part[np.argsort(keys[part], kind="mergesort")]


def in_parts(n: int, work: Callable[[int, int], object]) -> None:
    """Call ``work(first, last)`` for the parts of ``n`` rows, on several threads if there are many rows. The work must
    be the same however it is cut."""
    cuts = [*range(0, n, SMALL), n] if n > SMALL else [0, n]
    with ThreadPoolExecutor(int(min(config.NUMBA_NUM_THREADS, MOST, len(cuts) - 1))) as pool:  # type: ignore[attr-defined]
        list(pool.map(work, cuts[:-1], cuts[1:]))


def _cursors(each: Callable[..., None], codes: Array, starts: Array, cuts: Array) -> Array:
    """Return int64 (pieces, codes): where the first entry of each code in each piece goes."""
    counts = np.zeros((len(cuts) - 1, len(starts) - 1), dtype=np.int64)
    if len(counts) == 1:
        counts[0] = starts[:-1]
        return counts
    each(_count, counts, codes)
    places = np.cumsum(counts, axis=0) - counts
    places += starts[:-1]
    return places


@njit(cache=True, nogil=True)
def _count(first: int, last: int, counts: Array, codes: Array) -> None:
    for i in range(first, last):
        counts[codes[i]] += 1


@njit(cache=True, nogil=True)
def _by_column(
    first: int,
    last: int,
    cursor: Array,
    rows: Array,
    cols: Array,
    values: Array,
    row_at: Array,
    value_at: Array,
    position: Array,
) -> None:
    for i in range(first, last):
        at = cursor[cols[i]]
        cursor[cols[i]] = at + 1
        row_at[at], value_at[at], position[at] = rows[i], values[i], i


@njit(cache=True, nogil=True)
def _by_row(
    first: int,
    last: int,
    cursor: Array,
    row_at: Array,
    value_at: Array,
    position: Array,
    col_start: Array,
    out_cols: Array,
    out_values: Array,
    out_rows: Array,
) -> None:
    c = 0
    for j in range(first, last):
        while j >= col_start[c + 1]:
            c += 1
        at = cursor[row_at[j]]
        cursor[row_at[j]] = at + 1
        out_cols[at], out_values[at], out_rows[at] = c, value_at[j], position[j]


@njit(cache=True, nogil=True)
def repeats(starts: Array, items: Array, n_items: int) -> int:
    """Return how many entries repeat an item within their row. ``items`` are grouped; row ``u`` begins at
    ``starts[u]``."""
    seen = np.full(n_items, -1, dtype=np.int32)
    found = 0
    for u in range(len(starts) - 1):
        for j in range(starts[u], starts[u + 1]):
            item = items[j]
            found += seen[item] == u
            seen[item] = u
    return found


@njit(cache=True, nogil=True)
def block_starts(codes: Array, shift: int, n_blocks: int) -> Array:
    """Return where each block of ``2 ** shift`` codes begins once the table is grouped by block: int64 (n_blocks +
    1,)."""
    starts = np.zeros(n_blocks + 1, dtype=np.int64)
    for i in range(len(codes)):
        starts[(codes[i] >> shift) + 1] += 1
    for b in range(n_blocks):
        starts[b + 1] += starts[b]
    return starts


@njit(cache=True, nogil=True)
def pack(users: Array, items: Array, starts: Array, shift: int, bits: int, out: Array) -> None:
    """Group rows by blocks of ``2 ** shift`` users: few enough blocks that the next position of each stays in cache.

    ``out`` gets, at the positions of a block, the user's position in it times ``2 ** bits`` plus the item, in table
    order.
    """
    cursor = starts[:-1].copy()
    mask = (1 << shift) - 1
    for i in range(len(users)):
        block = users[i] >> shift
        at = cursor[block]
        cursor[block] = at + 1
        out[at] = ((users[i] & mask) << bits) | items[i]


@njit(cache=True, nogil=True)
def packed_repeats(packed: Array, starts: Array, shift: int, bits: int, n_items: int) -> int:
    """Count like :func:`repeats`, in the rows that :func:`pack` grouped."""
    size, most = 1 << shift, 0
    for b in range(len(starts) - 1):
        most = max(most, starts[b + 1] - starts[b])
    items, cursor, ends = np.empty(most, dtype=np.int32), np.empty(size, dtype=np.int64), np.empty(size, dtype=np.int64)
    seen = np.full(n_items, -1, dtype=np.int32)
    mask, found = (1 << bits) - 1, 0
    for b in range(len(starts) - 1):
        first, last = starts[b], starts[b + 1]
        ends[:] = 0
        for j in range(first, last):
            ends[np.int64(packed[j]) >> bits] += 1
        total = 0
        for u in range(size):
            cursor[u] = total
            total += ends[u]
            ends[u] = total
        for j in range(first, last):
            pair = np.int64(packed[j])
            at = cursor[pair >> bits]
            cursor[pair >> bits] = at + 1
            items[at] = pair & mask
        start = 0
        for u in range(size):
            row = (b << shift) + u
            for j in range(start, ends[u]):
                item = items[j]
                found += seen[item] == row
                seen[item] = row
            start = ends[u]
    return found


@njit(cache=True, nogil=True)
def marked_repeats(packed: Array, starts: Array, shift: int, bits: int) -> int:
    """Count like :func:`packed_repeats`, with one bit for each user of a block and each item: ``2 ** (shift + bits)``
    of them, which should fit a cache."""
    seen = np.zeros(max((1 << (shift + bits)) >> 6, 1), dtype=np.uint64)
    one, low, found = np.uint64(1), np.uint64(63), 0
    for b in range(len(starts) - 1):
        first, last = starts[b], starts[b + 1]
        for j in range(first, last):
            pair = np.uint64(packed[j])
            bit = one << (pair & low)
            before = seen[pair >> np.uint64(6)]
            found += (before & bit) != 0
            seen[pair >> np.uint64(6)] = before | bit
        if 8 * (last - first) > len(seen):
            seen[:] = 0
        else:
            for j in range(first, last):
                seen[np.uint64(packed[j]) >> np.uint64(6)] = 0
    return found


@njit(cache=True, nogil=True)
def mark(ids: Array, lowest: int, table: Array) -> None:
    """Set ``table[id - lowest]`` to 1 for every id."""
    for i in range(len(ids)):
        table[ids[i] - lowest] = 1


@njit(cache=True, nogil=True)
def extent(numbers: Array) -> tuple[Any, Any]:
    """Return the lowest and the highest of some numbers (at least one), in one pass."""
    low = high = numbers[0]
    for i in range(len(numbers)):
        low, high = min(low, numbers[i]), max(high, numbers[i])
    return low, high


@njit(cache=True, nogil=True)
def look_up(ids: Array, lowest: int, table: Array, out: Array) -> None:
    """Set ``out[i] = table[ids[i] - lowest]``, -1 for ids outside the table."""
    n = len(table)
    for i in range(len(ids)):
        at = ids[i] - lowest
        out[i] = table[at] if 0 <= at < n else -1


@njit(cache=True, nogil=True)
def resolve_repeats(
    starts: Array,
    order: Array,
    items: Array,
    times: Array,
    values: Array,
    n_items: int,
    first: bool,
    keep: Array,
    sums: Array,
    counts: Array,
) -> None:
    """Choose one row of each repeated pair and mark the others False in ``keep``.

    The latest time wins (``first``: the earliest), by position if times are equal or absent (``times`` empty). Unless
    they are empty, ``sums`` and ``counts`` get, at the row that is kept, the sum of the values of its pair and their
    number. ``order`` groups the rows by user.
    """
    owner = np.full(n_items, -1, dtype=np.int64)
    best = np.zeros(n_items, dtype=np.int64)
    total = np.zeros(n_items, dtype=np.float64)
    count = np.zeros(n_items, dtype=np.int64)
    timed = len(times) > 0
    for u in range(len(starts) - 1):
        for j in range(starts[u], starts[u + 1]):
            i = order[j]
            item = items[i]
            if owner[item] != u:
                owner[item] = u
                best[item] = i
                total[item] = values[i]
                count[item] = 1
                continue
            old = best[item]
            if first:
                better = timed and times[i] < times[old]
            else:
                better = not timed or times[i] >= times[old]
            keep[old if better else i] = False
            if better:
                best[item] = i
            total[item] += values[i]
            count[item] += 1
            if len(sums):
                sums[best[item]] = total[item]
                counts[best[item]] = count[item]


@njit(cache=True, nogil=True)
def is_sorted(codes: Array) -> bool:
    """Return whether codes never decrease."""
    for i in range(1, len(codes)):  # noqa: SIM110 (numba)
        if codes[i] < codes[i - 1]:
            return False
    return True


@njit(cache=True, nogil=True)
def has_zero_or_plus_first(text: Array, sep: int, quote: int) -> bool:
    """Return whether a field of a delimited text (uint8), except its very first, starts with ``0`` or ``+`` and another
    digit, as in ``0110912`` or ``+4930``. The count has no branches, so that the compiler processes several bytes per
    cycle."""
    a, b, newline = np.uint8(sep), np.uint8(quote), np.uint8(10)
    zero, nine, plus = np.uint8(48), np.uint8(57), np.uint8(43)
    found = 0
    for i in range(1, len(text) - 1):
        before, after = text[i - 1], text[i + 1]
        start = (before == a) | (before == b) | (before == newline)
        found += ((text[i] == zero) | (text[i] == plus)) & (after >= zero) & (after <= nine) & start
    return found > 0
