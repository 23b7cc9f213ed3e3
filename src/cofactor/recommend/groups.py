"""Groups of items, such as genres, from a column of the item table."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cofactor.data.features.features import GROUPS, features
from cofactor.data.interactions import Features, Interactions
from cofactor.errors import ConfigError, did_you_mean

Array = NDArray[Any]
USUAL = GROUPS


def groups_of(data: Interactions, column: str | None) -> Features:
    """Return a sparse matrix with a row for each item and a column for each group, from the values of ``column``.

    A list, or a text with ``|``, names several groups. ``column`` None: the first existing column of ``genres``,
    ``genre``, ``categories``, ``category``, ``tags``. ConfigError where there is no such column.
    """
    table = data.item_table
    if table is None:
        raise ConfigError("grouping items needs an item table; give one with read(..., items=...)")
    if column is None:
        column = next((name for name in USUAL if name in table.columns), None)
        if column is None:
            raise ConfigError(
                f"name the column to group by, as in ('column', 0.5); the columns are: {', '.join(table.columns)}"
            )
    if column not in table.columns:
        raise ConfigError(
            f"the item table has no column {column!r} to group by; its columns are: {', '.join(table.columns)}."
            f"{did_you_mean(column, table.columns)}"
        )
    values = table[column]
    return features((values if values.dtype.is_nested() else values.cast(pl.String)).to_frame())


def shares(groups: Features, items: Array) -> Array:
    """Return shares, float64 (len(items), groups): 1 / (number of groups of the item) in each group of the item."""
    rows = groups.matrix.take(items)
    out = np.zeros((len(items), max(len(groups.names), 1)))
    which = np.repeat(np.arange(len(items)), rows.counts)
    out[which, rows.indices] = 1.0 / rows.counts[which]
    return out
