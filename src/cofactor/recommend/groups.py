"""Which groups (genres, say) each item belongs to, from a column of the side table."""

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
    """One row an item, one column a group: the values of a column; lists, and text with ``|``, hold several.

    ``column`` None: the first of ``genres``, ``genre``, ``categories``, ``category``, ``tags`` that there is.
    ConfigError where there is none.
    """
    table = data.item_table
    if table is None:
        raise ConfigError("there is no table of items to group them by; give one with read(..., items=...)")
    if column is None:
        column = next((name for name in USUAL if name in table.columns), None)
        if column is None:
            raise ConfigError(
                f"name the column to group by, as in ('column', 0.5); there are: {', '.join(table.columns)}"
            )
    if column not in table.columns:
        raise ConfigError(
            f"no column {column!r} to group items by; there are: {', '.join(table.columns)}."
            f"{did_you_mean(column, table.columns)}"
        )
    values = table[column]
    return features((values if values.dtype.is_nested() else values.cast(pl.String)).to_frame())


def shares(groups: Features, items: Array) -> Array:
    """float64 (len(items), groups): 1 / (number of groups of the item) in each of its groups; zeros without any."""
    rows = groups.matrix.take(items)
    out = np.zeros((len(items), max(len(groups.names), 1)))
    which = np.repeat(np.arange(len(items)), rows.counts)
    out[which, rows.indices] = 1.0 / rows.counts[which]
    return out
