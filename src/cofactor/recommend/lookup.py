"""From what people write (an id, a title, a number from a frame) to codes, with help where it fails."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cofactor.data.interactions import Interactions
from cofactor.errors import UnknownIdError, did_you_mean

Array = NDArray[Any]


def titles(data: Interactions) -> pl.Series | None:
    """The items' titles by code, where the side table has a ``title`` column that says more than the ids do."""
    table = data.item_table
    if table is None or "title" not in table.columns:
        return None
    column = table["title"].cast(pl.String)
    if data.item_ids.values.dtype == pl.String and (column.fill_null("") == data.item_ids.values).all():
        return None
    return column


def item_labels(data: Interactions, codes: Array) -> list[str]:
    """What to call these items in words: their titles, or else their ids."""
    column = titles(data)
    ids = [str(i) for i in data.item_ids.decode(codes)]
    if column is None:
        return ids
    return [t if t is not None else i for t, i in zip(column.gather(codes), ids, strict=True)]


def find_item(data: Interactions, item: object) -> int:
    """The code of an item by its id, or by its title where just one item has that title; -1 where there is none."""
    code = data.item_ids.code(item)
    if code >= 0 or not isinstance(item, str):
        return code
    column = titles(data)
    if column is None:
        return -1
    found = (column == item).arg_true()
    return int(found[0]) if len(found) == 1 else -1


def item_code(data: Interactions, item: object) -> int:
    """Like :func:`find_item`, but UnknownIdError (with suggestions) where there is none."""
    code = find_item(data, item)
    if code >= 0:
        return code
    column = titles(data)
    if column is not None and isinstance(item, str):
        several = (column == item).arg_true()
        if len(several) > 1:
            ids = ", ".join(repr(i) for i in data.item_ids.decode(several.to_numpy()[:5]))
            raise UnknownIdError(f"{len(several)} items are called {item!r}; name one by its id: {ids}")
        hint = did_you_mean(item, column.drop_nulls())
        if hint:
            raise UnknownIdError(f"unknown item {item!r}.{hint}")
    raise UnknownIdError(data.item_ids.unknown(item))


def item_codes(data: Interactions, items: Iterable[Any]) -> Array:
    """int32 codes of several items, each of which must be known. Fast for many ids."""
    items = list(items)
    if len({isinstance(item, str) for item in items}) > 1:  # some by id, some by title
        return np.array([item_code(data, item) for item in items], dtype=np.int32)
    codes = np.array(data.item_ids.encode(items), dtype=np.int32)
    for at in np.flatnonzero(codes < 0):
        codes[at] = item_code(data, items[at])
    return codes
