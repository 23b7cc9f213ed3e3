"""The data of a bundle in shards: the rows of a user come from the user's shard."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cofactor.data.interactions import CSR, Interactions
from cofactor.data.parts import Parts, Positions

Array = NDArray[Any]


class _Whole:
    """A column of all rows in table order, put together at first use."""

    def __set_name__(self, owner: type[Any], name: str) -> None:
        self.name = name

    def __set__(self, data: Any, value: Any) -> None:
        vars(data)[self.name] = value

    def __get__(self, data: Any, owner: type[Any]) -> Any:
        found = vars(data)[self.name]
        if isinstance(found, Parts):
            by_user: CSR = vars(data)["by_user"]
            if self.name == "users":
                column = np.repeat(np.arange(by_user.n_rows, dtype=np.int32), np.diff(by_user.indptr))
            else:
                column = np.asarray(found)
            places: Any = by_user.rows
            if isinstance(places, Parts):
                moved = np.empty_like(column)
                moved[np.asarray(places)] = column
                column = moved
            column.flags.writeable = False
            found = vars(data)[self.name] = column
        return found


class ShardedRows(Interactions):
    """Interactions whose users lie in shards. ``by_user`` opens the shards of the users that are asked for; a column of
    all rows opens all shards."""

    users = _Whole()
    items = _Whole()
    values = _Whole()
    times = _Whole()
    weights = _Whole()

    @classmethod
    def of(cls, light: Interactions, user_ids: Any, indptr: Array, columns: dict[str, Parts]) -> ShardedRows:
        """Make the data from those of the items, and the columns of the rows by user: items, values, and, where there
        are any, times, weights and rows (positions in the table)."""
        held = {f.name: getattr(light, f.name) for f in dataclasses.fields(Interactions)}
        held |= {name: columns.get(name) for name in ("items", "values", "times", "weights")}
        made = cls(**held | {"users": columns["items"], "user_ids": user_ids})
        known: Any = columns.get("rows", Positions(int(indptr[-1])))
        items: Any = columns["items"]
        values: Any = columns["values"]
        weights: Any = columns.get("weights")
        by_user = CSR(indptr, items, values, known, light.n_items, weights=weights)
        vars(made).update(by_user=by_user, times_by_user=columns.get("times"))
        vars(made).update(item_counts=light.item_counts, range=light.range, scale=light.scale)
        return made

    def __post_init__(self) -> None:
        pass

    def __len__(self) -> int:
        return int(self.by_user.indptr[-1])

    def rated_by(self, user: int) -> tuple[Array, Array, Array, Array | None, Array | None]:
        """Return rows (positions), items, values, times and weights of one user (a code), by ascending item."""
        found, times = self.by_user.take(np.array([user])), vars(self)["times_by_user"]
        lo, hi = self.by_user.indptr[user : user + 2]
        return found.rows, found.indices, found.values, None if times is None else times[lo:hi], found.weights

    @property
    def histories(self) -> CSR:
        """``by_user`` with the order of each user's rows."""
        times = vars(self)["times_by_user"]
        return self.by_user._replace(order=self.by_user.rows if times is None else times)

    def __reduce__(self) -> Any:
        """Copy and pickle as plain Interactions."""
        return Interactions, tuple(getattr(self, f.name) for f in dataclasses.fields(Interactions))

    def take(self, rows: Array) -> Any:
        """Return a subset in memory, as plain Interactions."""
        return self.in_memory.take(rows)

    def replace(self, **changes: Any) -> Any:
        """Return the data with some fields changed, as plain Interactions."""
        return self.in_memory.replace(**changes)

    @property
    def in_memory(self) -> Interactions:
        """The table as plain Interactions."""
        return Interactions(**{f.name: getattr(self, f.name) for f in dataclasses.fields(Interactions)})
