"""From what people write (an id, a title, a number from a frame) to codes, with help where it fails."""

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
"""Up to this many items have their labels in a list."""
_LOOK = 64
"""So many titles that are not their ids need no look at the others."""
_FEW = 2048
"""Up to this many titles are looked up one by one."""


class Items:
    """The items of some data by id and by title. What has to be built for that is built when first used, and kept."""

    def __init__(self, data: Interactions) -> None:
        self.data = data
        self.ids = data.item_ids

    @cached_property
    def titles(self) -> pl.Series | None:
        """The titles by code, where the side table has a ``title`` column that says more than the ids do."""
        table = self.data.item_table
        if table is None or "title" not in table.columns:
            return None
        column = table["title"].cast(pl.String)
        if self.ids.dtype != pl.String or not column.head(_LOOK).fill_null("").equals(self.ids.head(_LOOK)):
            return column
        return None if (column.fill_null("") == self.ids.values).all() else column

    @cached_property
    def _by_title(self) -> dict[str, int]:
        """The code of each title; SEVERAL for a title of more than one item."""
        found: dict[str, int] = {}
        for code, title in enumerate([] if self.titles is None else self.titles.to_list()):
            if title is not None:
                found[title] = SEVERAL if title in found else code
        return found

    def find(self, item: object) -> int:
        """The code of an item by its id, or by its title where just one item has that title; -1 where there is none."""
        code = self.ids.code(item)
        if code >= 0 or not isinstance(item, str):
            return code
        return max(self._by_title.get(item, -1), -1)

    def code(self, item: object) -> int:
        """Like :meth:`find`, but UnknownIdError (with suggestions) where there is none."""
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
        """int32 codes of several items; ``strict``: each must be known, or else those that are not are left out.

        Fast for many ids, above all as a numpy array or polars series of the ids' own type.
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
        """What to call these items in words: their titles, or else their ids."""
        if len(self.ids) <= _LISTED:
            listed = self._labels
            return [listed[code] for code in np.asarray(codes).tolist()]
        return self._labelled(codes)

    @cached_property
    def _labels(self) -> list[str]:
        """All labels by code, for catalogues that are not large: a list is read many times faster than a series."""
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
        """The titles of some items; None where the side table names none."""
        if self.titles is None:
            return None
        if len(self.ids) > _LISTED:
            found: list[str | None] = self.titles.gather(codes).to_list()
            return found
        listed = self._title_list
        return [listed[code] for code in np.asarray(codes).tolist()]

    def columns(self, codes: Array) -> list[pl.Series]:
        """``item`` ids and, where the side table names them, ``title``, for frames."""
        columns = [self.ids.decode(codes).alias("item")]
        if self.titles is not None and len(self.ids) <= _LISTED and len(codes) <= _FEW:
            columns.append(pl.Series("title", self.titles_of(codes), dtype=pl.String))
        elif self.titles is not None:
            columns.append(self.titles.gather(codes).alias("title"))
        return columns


class Users:
    """The users by id: those of the training data, and after them those that came with newer ratings."""

    def __init__(self, ids: IdMap, updates: Updates) -> None:
        self.ids = ids
        self.new_ids = updates.new_ids
        self.new_codes = updates.new_codes

    def code(self, user: object) -> int:
        """The code of a user, new ones from the size of the training data on, or -1."""
        code = self.ids.code(user)
        if code >= 0 or not self.new_codes:
            return code
        user = user.item() if isinstance(user, np.generic) else user
        try:
            return self.new_codes.get(user, -1) if not isinstance(user, (bool, float)) else -1
        except TypeError:  # not hashable
            return -1

    def codes(self, users: pl.Series | Array | list[Any]) -> Array:
        """int64 codes of many users, -1 for those not known."""
        codes = np.array(self.ids.encode(users), dtype=np.int64)
        if self.new_codes:
            for at in np.flatnonzero(codes < 0):
                codes[at] = self.code(users[int(at)])
        return codes

    def column(self, codes: Array) -> pl.Series:
        """User ids by code, for frames."""
        codes, n = np.asarray(codes, dtype=np.int64), len(self.ids)
        new = codes >= n
        if not new.any():
            return self.ids.decode(codes)
        ids = self.ids.values
        if new.all():
            return pl.Series(ids.name, [self.new_ids[code - n] for code in codes.tolist()], dtype=ids.dtype)
        return pl.concat([ids, pl.Series(ids.name, list(self.new_ids), dtype=ids.dtype)]).gather(codes)


def titles(data: Interactions) -> pl.Series | None:
    """See :attr:`Items.titles`."""
    return Items(data).titles


def item_labels(data: Interactions, codes: Array) -> list[str]:
    """See :meth:`Items.labels`."""
    return Items(data).labels(codes)


def find_item(data: Interactions, item: object) -> int:
    """See :meth:`Items.find`."""
    return Items(data).find(item)


def item_code(data: Interactions, item: object) -> int:
    """See :meth:`Items.code`."""
    return Items(data).code(item)
