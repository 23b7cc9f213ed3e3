"""Count rows that repeat a user and item, and merge them to one row for each pair.

Models learn from the merged rows. The table keeps the unmerged ones as events (:attr:`Interactions.events`). Temporal
splits cut the events and merge each part, so that earlier rows of a returning user are not lost to the future.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cofactor.data.arrays import group_kernels
from cofactor.data.interactions import Array, Duplicates, Interactions
from cofactor.data.kind import Kind
from cofactor.errors import ConfigError, DataError

POLICIES = ("last", "first", "mean", "sum", "count", "all", "error")


def check_duplicates(duplicates: Any) -> Duplicates | None:
    """ConfigError unless it is the name of a policy, or None for the usual one of the kind."""
    if not (duplicates is None or (isinstance(duplicates, str) and duplicates in POLICIES)):
        raise ConfigError(
            f"duplicates={duplicates!r}; it may be 'last', 'first', 'mean', 'sum', 'count', 'all' or 'error'"
        )
    found: Any = duplicates
    return found  # type: ignore[no-any-return]


def usual_policy(kind: Kind) -> Duplicates:
    """Return the usual policy: a later rating replaces an earlier one; counts and events are summed."""
    return "last" if kind == "ratings" else "sum"


def count_repeats(users: Array, items: Array, n_users: int, n_items: int, room: Array | None = None) -> int:
    """Return how many rows repeat the user and item of another one. O(n). ``room``: uint32 (n,), a buffer to
    overwrite."""
    group = group_kernels()
    if group.is_sorted(users):
        return int(group.repeats(group.row_starts(users, n_users), items, n_items))
    shift = (n_users // _BLOCKS).bit_length()
    bits = (n_items - 1).bit_length()
    fits = room is not None and shift + bits <= 32
    packed: Any = room if fits else np.empty(len(users), dtype=np.uint64)
    starts = group.block_starts(users, shift, ((n_users - 1) >> shift) + 1)
    group.pack(users, items, starts, shift, bits, packed)
    if shift + bits <= _CACHED:
        return int(group.marked_repeats(packed, starts, shift, bits))
    return int(group.packed_repeats(packed, starts, shift, bits, n_items))


_BLOCKS = 600
"""Maximal number of blocks of users: the next position of each stays in cache."""
_CACHED = 23
"""Up to 2 to this power, one bit for each possible pair of a block stays in cache."""


def different_pairs(data: Interactions) -> int:
    """Return the number of different pairs of user and item."""
    return len(data) - count_repeats(data.users, data.items, data.n_users, data.n_items)


def merged(data: Interactions, policy: Duplicates | None = None, repeated: int | None = None) -> Interactions:
    """Return one row for each user and item by the ``policy`` (the table's own unless given), in the order of the kept
    rows.

    The unmerged rows are its :attr:`Interactions.events`. The same table is returned if nothing repeats, or under
    "all". Pairs whose counts come to 0 or less (returns) are left out. Raises DataError for repeats under "error".
    """
    policy = policy or data.duplicates or usual_policy(data.kind)
    if data.duplicates != policy:
        data = data.replace(duplicates=policy)
    if repeated is None:
        repeated = 0 if policy == "all" else count_repeats(data.users, data.items, data.n_users, data.n_items)
    found, notes = data, list[str]()
    if repeated and policy != "all":
        found = _one_a_pair(data, policy, repeated)
        how = {
            "last": "the last",
            "first": "the first",
            "mean": "their mean",
            "sum": "their sum",
            "count": "their number",
        }
        by = " by time" if data.times is not None and policy in ("last", "first") else ""
        notes.append(f"{repeated:,} duplicate rows of the same user and item merged: {how[policy]}{by} kept")
    elif policy == "count" and (data.values != 1).any():
        found = data.replace(values=np.ones(len(data), dtype=np.float32))
    if data.kind == "counts" and len(found) and float(found.values.min()) <= 0:
        keep = found.values > 0
        notes.append(f"{int((~keep).sum()):,} pairs whose counts sum to 0 or less (such as returns) left out")
        found = found.take(keep)
    if data.kind == "events" and len(found) and not found.values.all():
        keep = found.values != 0
        notes.append(f"{int((~keep).sum()):,} pairs whose likes and dislikes sum to 0 left out")
        found = found.take(keep)
    if found is data:
        return data
    return found.replace(unmerged=data.replace(notes=()), notes=(*data.notes, *notes))


def _one_a_pair(data: Interactions, policy: Duplicates, repeated: int) -> Interactions:
    """Return the row that each pair keeps, with the value that the policy gives. O(n), stable in order."""
    group = group_kernels()
    starts = group.row_starts(data.users, data.n_users)
    n, position = len(data), np.int32 if len(data) < 2**31 else np.int64
    order = np.empty(n, dtype=position)
    group.group(data.users, starts, order)
    keep = np.ones(n, dtype=np.bool_)
    added = policy in ("mean", "sum", "count")
    sums = data.values.astype(np.float64) if added else np.empty(0)
    counts = np.ones(n if added else 0, dtype=np.int32)
    when = data.times if data.times is not None else np.empty(0, dtype=np.int64)
    group.resolve_repeats(
        starts, order, data.items, when, data.values, data.n_items, policy == "first", keep, sums, counts
    )
    if policy == "error":
        row = int(np.argmin(keep))
        who, what = data.user_ids.values[int(data.users[row])], data.item_ids.values[int(data.items[row])]
        raise DataError(
            f"{repeated:,} rows repeat a user and item, such as user {who!r} with item {what!r} (row {row + 1});"
            f" remove them or choose duplicates='last', 'first' or 'mean'"
        )
    if added:
        values: Array = counts if policy == "count" else sums / counts if policy == "mean" else sums
        weights = None if data.weights is None else _mean_weights(data, keep, policy)
        with np.errstate(over="ignore"):
            data = data.replace(values=values.astype(np.float32), weights=weights)
    return data.take(keep)


def _mean_weights(data: Interactions, keep: Array, policy: Duplicates) -> Array:
    """Return float32 (n,): for each kept row, the mean weight of the rows merged into it. If values are summed, each
    weight counts in proportion to its value, so that the sum of value times weight is preserved."""
    assert data.weights is not None
    _, pair = np.unique(data.users.astype(np.int64) * data.n_items + data.items, return_inverse=True)
    share = np.abs(data.values.astype(np.float64)) if policy == "sum" else np.ones(len(data))
    sums, all_shares, counts = (np.bincount(pair, part) for part in (share * data.weights, share, np.ones(len(data))))
    plain = np.bincount(pair, data.weights) / counts
    mean = np.where(all_shares > 0, sums / np.maximum(all_shares, 1e-300), plain)[pair]
    return np.where(keep, mean, data.weights).astype(np.float32)
