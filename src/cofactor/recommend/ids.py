"""Look up items and users: from an id, a title or a number in a frame to a code, with suggestions where it fails."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cofactor.data.ids.id_map import IdMap
from cofactor.data.interactions import Interactions
from cofactor.errors import UnknownIdError, did_you_mean
from cofactor.recommend.updates import Updates

Array = NDArray[Any]
SEVERAL = -2
_LISTED = 1 << 18
"""Most items whose labels are kept in a Python list."""
_LOOK = 64
"""Number of titles compared with the ids first; where they differ, the others need no comparison."""
_FEW = 2048
"""Most titles that are looked up one by one."""


class Items:
    """Items by id and by title. The indexes are built when first used."""

    def __init__(self, data: Interactions) -> None:
        self.data = data
        self.ids = data.item_ids

    @cached_property
    def titles(self) -> pl.Series | None:
        """Titles by code, or None where the item table has no ``title`` column or the titles equal the ids."""
        table = self.data.item_table
        if table is None or "title" not in table.columns:
            return None
        column = table["title"].cast(pl.String)
        if self.ids.dtype != pl.String or not column.head(_LOOK).fill_null("").equals(self.ids.head(_LOOK)):
            return column
        return None if (column.fill_null("") == self.ids.values).all() else column

    @cached_property
    def _by_title(self) -> dict[str, int]:
        """Map each title to its code; SEVERAL for a title of more than one item."""
        found: dict[str, int] = {}
        for code, title in enumerate([] if self.titles is None else self.titles.to_list()):
            if title is not None:
                found[title] = SEVERAL if title in found else code
        return found

    def find(self, item: object) -> int:
        """Return the code of an item by its id, or by its title if exactly one item has it; else -1."""
        code = self.ids.code(item)
        if code >= 0 or not isinstance(item, str):
            return code
        return max(self._by_title.get(item, -1), -1)

    def code(self, item: object) -> int:
        """Return the code as :meth:`find` does, but raise UnknownIdError, with suggestions, where there is none."""
        code = self.find(item)
        if code >= 0:
            return code
        if isinstance(item, str) and self.titles is not None:
            if self._by_title.get(item) == SEVERAL:
                several = (self.titles == item).arg_true()
                ids = ", ".join(repr(i) for i in self.ids.decode(several.to_numpy()[:5]))
                raise UnknownIdError(f"{len(several)} items are called {item!r}; name one by its id: {ids}")
            hint = did_you_mean(item, self.titles.drop_nulls())
            if hint:
                raise UnknownIdError(f"unknown item {item!r}.{hint}")
        raise UnknownIdError(self.ids.unknown(item))

    def codes(self, items: Iterable[Any], *, strict: bool = True) -> Array:
        """Return the codes, int32, of several items. Unknown items raise UnknownIdError, or are left out without
        ``strict``.

        Fast for many ids, above all as a NumPy array or polars series of the ids' own type.
        """
        if not isinstance(items, (pl.Series, np.ndarray)):
            items = list(items)
            if len({isinstance(item, str) for item in items}) > 1:  # some by id, some by title
                one_by_one = [self.code(item) if strict else self.find(item) for item in items]
                return np.array([code for code in one_by_one if code >= 0], dtype=np.int32)
        codes = np.array(self.ids.encode(items), dtype=np.int32)
        unknown = np.flatnonzero(codes < 0)
        if len(unknown) and (strict or isinstance(items[int(unknown[0])], str)):  # a number is not a title
            find = self.code if strict else self.find
            codes[unknown] = [find(items[at]) for at in unknown.tolist()]
        return codes[codes >= 0]

    def labels(self, codes: Array) -> list[str]:
        """Return the labels of these items: their titles, or their ids where they have none."""
        if len(self.ids) <= _LISTED:
            listed = self._labels
            return [listed[code] for code in np.asarray(codes).tolist()]
        return self._labelled(codes)

    @cached_property
    def _labels(self) -> list[str]:
        """All labels by code, for small catalogues: reading a list is many times faster than reading a series."""
        return self._labelled(np.arange(len(self.ids)))

    def _labelled(self, codes: Array) -> list[str]:
        ids = [str(i) for i in self.ids.decode(codes)]
        if self.titles is None:
            return ids
        return [t if t is not None else i for t, i in zip(self.titles.gather(codes), ids, strict=True)]

    @cached_property
    def _title_list(self) -> list[str | None]:
        return [] if self.titles is None else self.titles.to_list()

    def titles_of(self, codes: Array) -> list[str | None] | None:
        """Return the titles of these items, or None where there are no titles."""
        if self.titles is None:
            return None
        if len(self.ids) > _LISTED:
            found: list[str | None] = self.titles.gather(codes).to_list()
            return found
        listed = self._title_list
        return [listed[code] for code in np.asarray(codes).tolist()]

    def columns(self, codes: Array) -> list[pl.Series]:
        """Return the columns ``item`` (ids) and, where there are titles, ``title``, for frames."""
        columns = [self.ids.decode(codes).alias("item")]
        if self.titles is not None and len(self.ids) <= _LISTED and len(codes) <= _FEW:
            columns.append(pl.Series("title", self.titles_of(codes), dtype=pl.String))
        elif self.titles is not None:
            columns.append(self.titles.gather(codes).alias("title"))
        return columns


class Users:
    """Users by id: the users of the training data, followed by the users that came with newer ratings."""

    def __init__(self, ids: IdMap, updates: Updates) -> None:
        self.ids = ids
        self.new_ids = updates.new_ids
        self.new_codes = updates.new_codes

    def code(self, user: object) -> int:
        """Return the code of a user, or -1. Codes of new users follow those of the training data."""
        code = self.ids.code(user)
        if code >= 0 or not self.new_codes:
            return code
        user = user.item() if isinstance(user, np.generic) else user
        try:
            return self.new_codes.get(user, -1) if not isinstance(user, (bool, float)) else -1
        except TypeError:  # not hashable
            return -1

    def codes(self, users: pl.Series | Array | list[Any]) -> Array:
        """Return the codes, int64, of many users; -1 for unknown ones."""
        codes = np.array(self.ids.encode(users), dtype=np.int64)
        if self.new_codes:
            for at in np.flatnonzero(codes < 0):
                codes[at] = self.code(users[int(at)])
        return codes

    def column(self, codes: Array) -> pl.Series:
        """Return user ids by code, as a column of a frame."""
        codes, n = np.asarray(codes, dtype=np.int64), len(self.ids)
        new = codes >= n
        if not new.any():
            return self.ids.decode(codes)
        ids = self.ids.values
        if new.all():
            return pl.Series(ids.name, [self.new_ids[code - n] for code in codes.tolist()], dtype=ids.dtype)
        return pl.concat([ids, pl.Series(ids.name, list(self.new_ids), dtype=ids.dtype)]).gather(codes)


def titles(data: Interactions) -> pl.Series | None:
    """Return :attr:`Items.titles`."""
    return Items(data).titles


def item_labels(data: Interactions, codes: Array) -> list[str]:
    """Return :meth:`Items.labels`."""
    return Items(data).labels(codes)


def find_item(data: Interactions, item: object) -> int:
    """Return :meth:`Items.find`."""
    return Items(data).find(item)


def item_code(data: Interactions, item: object) -> int:
    """Return :meth:`Items.code`."""
    return Items(data).code(item)
