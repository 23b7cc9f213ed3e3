"""Read parts of a table whose options are decided for the whole elsewhere: like :func:`cofactor.read`, but unmerged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import polars as pl

from cofactor.data.columns import behaviours, values
from cofactor.data.formats.open import open_table
from cofactor.data.interactions import Interactions
from cofactor.data.kind import Kind
from cofactor.data.read import NoRows, kind_without_values, unmerged
from cofactor.data.rows.rows import MissingIds, with_roles


class Part(NamedTuple):
    """A part of a table.

    Its rows are unmerged and have no kind yet (``data.kind`` is meaningless); None if it has no rows. ``kind``: the
    kind, if it does not depend on the values of other parts; ``behaviours``: those that occur, if weights are given.
    """

    data: Interactions | None
    kind: Kind | None
    behaviours: list[str]


def read_part(
    source: Any,
    *,
    user: str | int | None = None,
    item: str | int | None = None,
    rating: str | int | Literal[False] | None = None,
    time: str | int | Literal[False] | None = None,
    behaviour: str | int | Literal[False] | None = None,
    weights: Mapping[str, float] | None = None,
    missing: list[Any] | None = None,
    missing_ids: MissingIds = "error",
    fold_ids: bool = False,
    dates: str | None = None,
) -> Part:
    """Read a part. The arguments are those of :func:`cofactor.read`; weights may name behaviours that do not occur in
    this part."""
    gone, weighing = values.check_missing(missing), behaviours.check_weights(weights)
    asked: dict[str, Any] = {"user": user, "item": item, "rating": rating, "time": time}
    opened = open_table(source, named=[one for one in (*asked.values(), behaviour) if isinstance(one, str)])
    opened, found, gone = with_roles(opened, asked, behaviour, None, gone)
    occur: list[str] = []
    if weighing is not None and found.behaviour is not None:
        column = opened.load([found.behaviour], [])[found.behaviour].cast(pl.String).str.strip_chars()
        occur = column.drop_nulls().unique().sort().to_list()
        weighing = {**dict.fromkeys(occur, 0.0), **{k: v for k, v in weighing.items() if k in occur}}
    certain = kind_without_values(found)
    try:
        data, _ = unmerged(opened, found, weighing, gone, missing_ids, fold_ids, dates, False)
    except NoRows:
        return Part(None, None, occur)
    return Part(data, None if certain is None else certain[0], occur)
