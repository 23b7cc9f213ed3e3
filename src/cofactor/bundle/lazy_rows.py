"""The data of a large bundle: rows, ids and side tables are read and checked on demand."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cofactor.bundle.id_tables import Unread
from cofactor.data.interactions import Interactions
from cofactor.errors import BundleError

Array = NDArray[Any]


def below(codes: Array, limit: int) -> bool:
    """Return whether all int32 codes are at least 0 and below ``limit``, in one pass."""
    return not len(codes) or int(codes.view(np.uint32).max()) < limit


def check(codes: Array, limit: int, name: str, path: object) -> None:
    """Raise BundleError where a code has no id, since it would be outside an array."""
    if not below(codes, limit):
        raise BundleError(f"the array 'data.{name}' of {path} holds codes that do not exist")


class _Codes:
    """A field of codes, checked once at first use."""

    def __set_name__(self, owner: type[Any], name: str) -> None:
        self.name, self.held = name, f"_held_{name}"

    def __set__(self, rows: Any, codes: Array) -> None:
        vars(rows)[self.held] = codes, False

    def __get__(self, rows: Any, owner: type[Any]) -> Any:
        codes, checked = vars(rows)[self.held]
        if not checked:
            check(codes, rows.n_users if self.name == "users" else rows.n_items, self.name, "the bundle")
            codes.flags.writeable = False
            vars(rows)[self.held] = codes, True
        return codes


class _Stored:
    """A field of ids or of a side table, read at first use."""

    def __set_name__(self, owner: type[Any], name: str) -> None:
        self.name = name

    def __set__(self, rows: Any, value: Any) -> None:
        vars(rows)[self.name] = value

    def __get__(self, rows: Any, owner: type[Any]) -> Any:
        found = vars(rows)[self.name]
        if isinstance(found, Unread):
            found = vars(rows)[self.name] = found.ids() if self.name.endswith("_ids") else found.table()
        return found


class LaterRows(Interactions):
    """Interactions whose arrays may be in a mapped file, and whose ids may be unread.

    Nothing is read before its first use, since scanning 50 million rows, or making two million names, would take too
    long when a file is opened. The numbers of users and items are always known. The first use of forged codes, or of a
    damaged table, raises BundleError.
    """

    users = _Codes()
    items = _Codes()
    user_ids = _Stored()
    item_ids = _Stored()
    user_table = _Stored()
    item_table = _Stored()

    def __post_init__(self) -> None:
        for array in (self.values, self.times, self.weights):
            if array is not None:
                array.flags.writeable = False

    def __len__(self) -> int:
        return len(self.values)

    def __reduce__(self) -> Any:
        """Copy and pickle as plain Interactions."""
        return Interactions, tuple(getattr(self, name) for name in Interactions.__dataclass_fields__)

    @property
    def n_users(self) -> int:
        return len(vars(self)["user_ids"])

    @property
    def n_items(self) -> int:
        return len(vars(self)["item_ids"])

    def take(self, rows: Array) -> Any:
        """Return a subset in memory, as plain Interactions."""
        return plain(self).take(rows)

    def replace(self, **changes: Any) -> Any:
        """Return the data with some fields changed, as plain Interactions."""
        return plain(self).replace(**changes)


def plain(rows: LaterRows) -> Interactions:
    """Return the data, read and checked, as plain Interactions."""
    return Interactions(**{name: getattr(rows, name) for name in Interactions.__dataclass_fields__})
