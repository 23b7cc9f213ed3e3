"""Make features from side tables: columns of a user or item table become the sparse matrices that models learn from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from cofactor.data.features.features import Numbers, features
from cofactor.data.features.side_tables import align
from cofactor.data.ids.id_map import IdMap
from cofactor.data.interactions import Features, Interactions
from cofactor.errors import ConfigError, DataError, did_you_mean


def with_features(
    data: Interactions, user: Any = None, item: Any = None, *, numbers: Numbers = "bins", bins: int = 10
) -> Interactions:
    """Return the data with ``user_features`` and ``item_features`` made from side tables.

    ``user``, ``item``: names of columns of ``user_table``/``item_table``; or a frame or path with an id column, all of
    whose other columns are used; None leaves that side unchanged. Text becomes one column for each value
    (``"gender=F"``); lists, and text with ``|`` in it, one column for each member (``"genres=Drama"``); true/false one
    column. Numbers are cut at up to ``bins`` quantiles, one column for each bin (``"age=18..24"``), so that a linear
    model can fit a curve; ``numbers="standardise"`` keeps one column with mean 0 and variance 1 instead. Nulls have no
    feature.

    Raises ConfigError for a column that does not exist, and DataError for one that cannot be used.
    """
    if numbers not in ("bins", "standardise"):
        raise ConfigError(f"numbers={numbers!r}; it may be 'bins' or 'standardise'")
    if bins < 2:
        raise ConfigError(f"bins={bins}; at least 2 are needed")
    changes: dict[str, Any] = {}
    for kind, wanted, ids, table, key in (
        ("user", user, data.user_ids, data.user_table, data.columns.user),
        ("item", item, data.item_ids, data.item_table, data.columns.item),
    ):
        if wanted is None:
            continue
        frame = _wanted(wanted, ids, table, key)
        changes[f"{kind}_features"] = features(frame, numbers, bins)
        if table is None:
            changes[f"{kind}_table"] = frame.select(ids.values.alias(key), *frame.columns)
    return data.replace(**changes)


def _wanted(wanted: Any, ids: IdMap, table: pl.DataFrame | None, key: str) -> pl.DataFrame:
    """Return the feature columns without the id, aligned with the id map."""
    if isinstance(wanted, Features):
        raise ConfigError("these are features already; set them with data.replace(item_features=...)")
    if isinstance(wanted, (list, tuple)) and all(isinstance(name, str) for name in wanted):
        names: Sequence[str] = list(wanted)
        if table is None:
            raise ConfigError(
                f"no {ids.kind} table to take {', '.join(names)} from; give one with read(..., {ids.kind}s=...)"
            )
        for name in names:
            if name not in table.columns[1:]:
                raise ConfigError(
                    f"no column {name!r} in the {ids.kind} table; there are: {', '.join(table.columns[1:])}."
                    f"{did_you_mean(name, table.columns[1:])}"
                )
        return table.select(names)
    if isinstance(wanted, str) and table is not None and wanted in table.columns[1:]:
        return table.select(wanted)
    aligned, _ = align(wanted, ids, key)
    if aligned.width < 2:
        raise DataError(f"the {ids.kind} features have no column besides the id")
    return aligned.drop(aligned.columns[0])
