"""Frozen arrays of user-item interactions, and their CSR views.

An :class:`Interactions` never changes after it is made. ``take`` returns a subset of rows that shares the id maps, so a
code means the same user or item in every part of a split.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any, Literal, NamedTuple, Self, cast

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cofactor._frames import frames_out
from cofactor._html import lines_html, table_html
from cofactor.data.arrays import group_kernels
from cofactor.data.ids.id_map import IdMap
from cofactor.data.kind import Kind, guess_kind, scale_of
from cofactor.errors import DataError

Array = NDArray[Any]
_OF_ROWS = ("users", "items", "values", "times", "weights", "notes", "unmerged")
"""Fields of :class:`Interactions` in which the unmerged table differs from the merged one."""
HeldOut = Literal["random", "last", "future"]
Duplicates = Literal["last", "first", "mean", "sum", "count", "error", "all"]


class CSR(NamedTuple):
    """Compressed sparse rows. The entries of row ``r`` are at ``indptr[r]:indptr[r + 1]``.

    ``indptr`` int64 (n_rows + 1,); ``indices`` int32 (nnz,), ascending within a row; ``values`` float32 (nnz,);
    ``rows`` int64 (nnz,): the table position of each entry (empty if there is no table); ``order`` int64 (nnz,): times
    or positions, larger for newer entries of a row, None if unknown; ``weights`` float32 (nnz,): how much each entry
    counts, None if all count the same.
    """

    indptr: Array
    indices: Array
    values: Array
    rows: Array
    n_cols: int
    order: Array | None = None
    weights: Array | None = None

    @property
    def n_rows(self) -> int:
        return len(self.indptr) - 1

    @property
    def counts(self) -> Array:
        """Return the number of entries in each row, int64 (n_rows,)."""
        return np.diff(self.indptr)

    @property
    def totals(self) -> Array:
        """Return the sum of each row's weights, float64 (n_rows,); its number of entries if there are no weights."""
        if self.weights is None:
            return self.counts
        return np.bincount(np.repeat(np.arange(self.n_rows), self.counts), self.weights, minlength=self.n_rows)

    def row(self, r: int) -> tuple[Array, Array]:
        """Return (indices, values) of one row, as views."""
        lo, hi = self.indptr[r], self.indptr[r + 1]
        return self.indices[lo:hi], self.values[lo:hi]

    def take(self, rows: Array) -> CSR:
        """Return a CSR of these rows, in this order."""
        rows = np.asarray(rows, dtype=np.int64)
        begins = self.indptr[rows]
        counts = self.indptr[rows + 1] - begins
        indptr = np.zeros(len(rows) + 1, dtype=np.int64)
        np.cumsum(counts, out=indptr[1:])
        at = np.arange(indptr[-1]) - np.repeat(indptr[:-1] - begins, counts)
        return CSR(
            indptr,
            self.indices[at],
            self.values[at],
            self.rows[at] if len(self.rows) else self.rows,
            self.n_cols,
            None if self.order is None else self.order[at],
            None if self.weights is None else self.weights[at],
        )

    def without_each(self, positions: Array) -> CSR:
        """For a CSR of one row, return a CSR whose row 0 is that row and whose row 1 + k lacks its entry
        ``positions[k]``."""
        n = len(self.indices)
        keep = np.ones((len(positions) + 1, n), dtype=bool)
        keep[np.arange(1, len(positions) + 1), positions] = False
        indptr = np.concatenate([[0], np.cumsum(keep.sum(axis=1))]).astype(np.int64)

        def kept(values: Array) -> Array:
            return np.asarray(np.broadcast_to(values, keep.shape)[keep])

        order, weights = (None if each is None else kept(each) for each in (self.order, self.weights))
        none = np.empty(0, dtype=np.int64)
        return CSR(indptr, kept(self.indices), kept(self.values), none, self.n_cols, order, weights)


def frozen(array: Array, dtype: Any) -> Array:
    """Return a read-only view (or copy) of the given type, so that kernels are compiled only once."""
    view = np.asarray(array, dtype=dtype).view()
    view.flags.writeable = False
    return view


def csr(rows: Array, cols: Array, values: Array, n_rows: int, n_cols: int) -> CSR:
    """Group aligned arrays by row. Columns ascend within a row, and equal pairs keep their order. O(n)."""
    group = group_kernels()
    rows, cols = frozen(rows, np.int32), frozen(cols, np.int32)
    values = frozen(values, np.float32)
    n = len(rows)
    indptr = group.row_starts(rows, n_rows)
    indices, grouped, at = np.empty(n, np.int32), np.empty(n, np.float32), np.empty(n, np.int64)
    group.to_csr(rows, cols, values, indptr, group.row_starts(cols, n_cols), indices, grouped, at)
    return CSR(indptr, indices, grouped, at, n_cols)


class Features(NamedTuple):
    """Side information as sparse rows: one row for each user (or item), one column for each named feature.

    ``matrix`` has a row for every code of the id map (empty for one without features); ``names`` are the column names,
    such as ``"genre=Drama"``.
    """

    matrix: CSR
    names: tuple[str, ...]


class Columns(NamedTuple):
    """The column names in the user's own table."""

    user: str = "user"
    item: str = "item"
    rating: str | None = "rating"
    time: str | None = None
    weight: str | None = None


class Reading(NamedTuple):
    """How a table was read, so that a later table of the same source can be read in the same way. The fields are
    arguments of :func:`cofactor.read`; ``behaviour`` and ``dates`` hold what was found (None: not known). ``unit`` is
    the value of all rows of a table of events, each of which counts 1 (None: the values differ)."""

    behaviour: str | Literal[False] | None = None
    weights: Mapping[str, float] | None = None
    dates: str | None = None
    missing: tuple[float | str | None, ...] | None = None
    missing_ids: str = "error"
    fold_ids: bool = False
    unit: float | None = None


_UNKNOWN = cast(Kind, "")
_SCANS = 16
"""For up to this many users the table is scanned; beyond that it is grouped by user."""


LEAST_WEIGHT, MOST_WEIGHT = 1e-6, 1e6
"""Limits of row weights: a wider range would lose small weights in float32 sums."""


def checked_weights(weights: Any, n: int) -> Array:
    """Return float32 (n,), read-only. Raises DataError for a weight that is not a number within the limits."""
    found = np.asarray(weights)
    if found.shape != (n,) or found.dtype.kind not in "fiu":
        raise DataError(f"weights must be one number for each of the {n:,} rows; this is {found.dtype} {found.shape}")
    good = (found >= LEAST_WEIGHT) & (found <= MOST_WEIGHT)
    if not good.all():
        row = int(np.argmin(good))
        raise DataError(
            f"the weight of row {row + 1} is {found[row]:g}; weights lie between {LEAST_WEIGHT:g} and {MOST_WEIGHT:g}:"
            " scale them, and leave out rows of weight 0"
        )
    return frozen(found, np.float32)


@frames_out
@dataclass(frozen=True, eq=False)
class Interactions:
    """A table of ratings (or clicks, plays, purchases: then every value is 1 or a count) in arrays.

    ``users``, ``items`` int32 codes (n,); ``values`` float32 (n,); ``times`` int64 seconds since 1970 (n,) or
    None; ``weights`` float32 (n,), above 0, or None: how much each row counts beside the others. ``item_table`` and
    ``user_table`` are side tables aligned with the id maps (row ``c`` describes code ``c``).
    """

    users: Array
    items: Array
    values: Array
    times: Array | None
    user_ids: IdMap
    item_ids: IdMap
    columns: Columns = field(default_factory=Columns)
    item_table: pl.DataFrame | None = None
    user_table: pl.DataFrame | None = None
    user_features: Features | None = None
    item_features: Features | None = None
    name: str = ""
    notes: tuple[str, ...] = ()
    """The reader's decisions, one sentence each: columns guessed, duplicates merged, encoding, unit of time."""

    kind: Kind = _UNKNOWN
    """What the values mean. Guessed from the values if it is not given."""
    duplicates: Duplicates | None = None
    """How rows of the same user and item are merged: a policy of :func:`cofactor.read`; None: the usual one."""
    reading: Reading = field(default_factory=Reading)
    """How the table was read, for later tables of the same source."""
    unmerged: Interactions | None = None
    """The rows before merging, if any were merged; see :attr:`events`."""
    weights: Array | None = None
    held_out: HeldOut | None = None
    """Which rows a split took away from these: random ones, each user's last, or those after a time (None: not known).
    What is chosen inside training is measured on rows of the same kind."""

    def __post_init__(self) -> None:
        if self.weights is not None:
            object.__setattr__(self, "weights", checked_weights(self.weights, len(self.users)))
        if len(self.kind) == 0:
            object.__setattr__(self, "kind", guess_kind(self.values, self.columns.rating).kind)
        for array in (self.users, self.items, self.values, self.times, self.weights):
            if array is not None:
                array.flags.writeable = False

    def __len__(self) -> int:
        return len(self.users)

    def __repr__(self) -> str:
        label = f" {self.name!r}" if self.name else ""
        return f"<Interactions{label}: {len(self):,} {self.kind}, {self.n_users:,} users, {self.n_items:,} items>"

    def _repr_html_(self) -> str:
        c, some = self.columns, slice(0, 5)
        shown: dict[str, Any] = {
            c.user: self.user_ids.decode(self.users[some]),
            c.item: self.item_ids.decode(self.items[some]),
        }
        if self.kind != "events":
            shown[c.rating or "value"] = [f"{v:g}" for v in self.values[some]]
        if self.times is not None:
            shown[c.time or "time"] = self.times[some].astype("datetime64[s]").tolist()
        size = f"{len(self):,} {self.kind}, {self.n_users:,} users, {self.n_items:,} items"
        more = [f"{len(self) - 5:,} more rows"] if len(self) > 5 else []
        caption = f"{self.name}: {size}" if self.name else size
        return table_html(list(shown), zip(*shown.values()), caption, left=2) + lines_html([*more, *self.notes[:5]])

    @property
    def n_users(self) -> int:
        """The number of users in the id map (some may have no row here)."""
        return len(self.user_ids)

    @property
    def n_items(self) -> int:
        """The number of items in the id map (some may have no row here)."""
        return len(self.item_ids)

    @cached_property
    def by_user(self) -> CSR:
        """The table as CSR: rows are users, columns are items."""
        return self._weighted(csr(self.users, self.items, self.values, self.n_users, self.n_items))

    def rows_of(self, user: int) -> Array:
        """Return the rows (positions, int64) of one user (a code), by ascending item. Rows of equal pairs keep their
        order.

        The first few users are looked up by scanning the table, which is faster than grouping all of it.
        """
        asked = vars(self).setdefault("_asked", [0])
        if "by_user" not in vars(self) and asked[0] < _SCANS:
            asked[0] += 1
            rows = np.flatnonzero(self.users == user)
            found: Array = rows[np.argsort(self.items[rows], kind="stable")]
            return found
        grouped = self.by_user
        return grouped.rows[grouped.indptr[user] : grouped.indptr[user + 1]]

    def rated_by(self, user: int) -> tuple[Array, Array, Array, Array | None, Array | None]:
        """Return rows (positions), items, values, times and weights of one user (a code), by ascending item."""
        rows = self.rows_of(user)
        times, weights = (None if each is None else each[rows] for each in (self.times, self.weights))
        return rows, self.items[rows], self.values[rows], times, weights

    @property
    def histories(self) -> CSR:
        """``by_user`` with the order of each user's rows: times, or positions in the table."""
        rows = self.by_user
        return rows._replace(order=rows.rows if self.times is None else self.times[rows.rows])

    @cached_property
    def by_item(self) -> CSR:
        """The table as CSR: rows are items, columns are users."""
        return self._weighted(csr(self.items, self.users, self.values, self.n_items, self.n_users))

    def _weighted(self, rows: CSR) -> CSR:
        return rows if self.weights is None else rows._replace(weights=self.weights[rows.rows])

    @cached_property
    def item_counts(self) -> Array:
        """The number of rows of each item, int64 (n_items,)."""
        counts = np.zeros(self.n_items, dtype=np.int64)
        for start in range(0, len(self.items), 1 << 20):  # bincount copies its input to int64
            counts += np.bincount(self.items[start : start + (1 << 20)], minlength=self.n_items)
        return counts

    @cached_property
    def range(self) -> tuple[float, float]:
        """The lowest and highest value."""
        return float(self.values.min()), float(self.values.max())

    @cached_property
    def scale(self) -> tuple[float, float]:
        """The lowest and highest value of the scale, without values that mean "no rating", such as 99 beside 1 to 5."""
        return scale_of(self.values) if self.kind == "ratings" and len(self) else self.range

    @property
    def counted(self) -> bool:
        """Whether each value says how often something happened, or how much.

        Ratings do not, nor do means, nor events that weigh differently: three of weight 1, or one of weight 3.
        """
        weighed = any(abs(weight) not in (0, 1) for weight in (self.reading.weights or {}).values())
        if self.kind == "ratings" or self.duplicates == "mean" or weighed:
            return False
        return self.kind == "counts" or self.columns.rating is None or self.reading.unit is not None

    @property
    def events(self) -> Interactions:
        """The rows before those of the same user and item were merged, with the other attributes of this table."""
        if self.unmerged is None:
            return self
        described = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in _OF_ROWS}
        return replace(self.unmerged, **described)

    @property
    def in_memory(self) -> Interactions:
        """The table with all columns and groups in memory, as training needs it: itself, unless its users lie in
        shards."""
        return self

    def take(self, rows: Array) -> Self:
        """Return a subset of rows (positions or a boolean mask) with the same id maps and side tables."""
        changes: dict[str, Any] = {
            name: each[rows]
            for name in ("users", "items", "values", "times", "weights")
            if (each := getattr(self, name)) is not None
        }
        return self.replace(**changes)

    def replace(self, **changes: Any) -> Self:
        """Return a copy with some fields changed. Nothing cached is kept, and no events if the rows change."""
        if not changes.keys().isdisjoint(("users", "items", "values", "times", "weights")):
            changes.setdefault("unmerged", None)
        return replace(self, **changes)

    def to_frame(self) -> pl.DataFrame:
        """Return the table as a frame, with the user's own column names and ids."""
        c = self.columns
        data: dict[str, Any] = {
            c.user: self.user_ids.decode(self.users),
            c.item: self.item_ids.decode(self.items),
            c.rating or "rating": self.values,
        }
        if self.times is not None:
            data[c.time or "time"] = self.times
        if self.weights is not None:
            data[c.weight or "weight"] = self.weights
        return pl.DataFrame(data)


@dataclass(frozen=True, eq=False)
class Split:
    """Parts of one table that share id maps. ``how`` describes the split in words; ``seed`` is None if nothing was
    drawn."""

    train: Interactions
    valid: Interactions
    how: str
    seed: int | None = None
    given: Interactions | None = None
    """For ``by_user`` splits: the ratings of held-out users that may serve as their history at test time."""
