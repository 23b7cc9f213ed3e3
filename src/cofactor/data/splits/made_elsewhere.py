"""A split whose two parts were made elsewhere."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from cofactor._validate import check_text
from cofactor.data.features.side_tables import align_frame
from cofactor.data.ids.id_map import Array, IdMap
from cofactor.data.interactions import HeldOut, Interactions, Split
from cofactor.data.kind import rows_of
from cofactor.data.read import read
from cofactor.data.read_alike import as_text, check_alike, is_file, read_alike
from cofactor.errors import DataError

_NEARLY_ALL = 0.99


def given(train: Any, valid: Any, how: str | None = None, **options: Any) -> Split:
    """Use two parts that were split elsewhere, such as ``u1.base`` and ``u1.test``.

    The id maps cover both parts, so that ids of only one part are known.

    Args:
        train: a path, a frame or Interactions.
        valid: the same for the held-out rows.
        how: what ``Split.how`` should say.
        options: those of :func:`cofactor.read`, for both parts.

    Raises:
        DataError: ids or columns do not fit together.
    """
    if how is not None:
        check_text("how", how)
    a = train if isinstance(train, Interactions) else read(train, **options)
    b = valid if isinstance(valid, Interactions) else read_alike(valid, a, **options)
    check_alike(b, a)
    if is_file(train) and is_file(valid):
        a, b = _same_types(a, b)
    if (a.columns.rating is None) != (b.columns.rating is None):
        raise DataError("one part has ratings and the other has none; name the rating column of both")
    user_ids, a_users, b_users = _union(a.user_ids, b.user_ids)
    item_ids, a_items, b_items = _union(a.item_ids, b.item_ids)
    sides = {
        "user_table": _joined(a.user_table, b.user_table, user_ids, a.columns.user),
        "item_table": _joined(a.item_table, b.item_table, item_ids, a.columns.item),
    }
    parts = [
        part.replace(
            users=users[part.users],
            items=items[part.items],
            user_ids=user_ids,
            item_ids=item_ids,
            columns=a.columns,
            kind=a.kind,
            user_features=None,
            item_features=None,
            **sides,
        )
        for part, users, items in ((a, a_users, a_items), (b, b_users, b_items))
    ]
    parts[0] = parts[0].replace(held_out=_held_out(*parts))
    names = f" ({a.name} and {b.name})" if a.name and b.name else ""
    said = f"given: {len(a):,} {rows_of(a.kind)} for training, {len(b):,} for validation{names}"
    return Split(parts[0], parts[1], how or said)


def _held_out(train: Interactions, valid: Interactions) -> HeldOut | None:
    """Return which rows are held out, as the times tell: those after a time, each user's last, or others."""
    if train.times is None or valid.times is None or not len(train) or not len(valid):
        return None
    if valid.times.min() >= train.times.max():
        return "future"
    newest = np.full(train.n_users, np.iinfo(np.int64).min)
    np.maximum.at(newest, train.users, train.times)
    return "last" if (valid.times >= newest[valid.users]).mean() > _NEARLY_ALL else "random"


def _same_types(a: Interactions, b: Interactions) -> tuple[Interactions, Interactions]:
    """Return both parts with text ids, if the ids of one file all look like numbers and those of the other do not."""
    for side in ("user", "item"):
        types = {getattr(part, f"{side}_ids").dtype for part in (a, b)}
        if len(types) > 1 and pl.String in types:
            a, b = as_text(a, side), as_text(b, side)
    return a, b


def _union(a: IdMap, b: IdMap) -> tuple[IdMap, Array, Array]:
    """Return one id map over two, and the new code of each old code of either."""
    if a.values.dtype != b.values.dtype:
        raise DataError(
            f"{a.kind} ids are {a.text} ({a.values.dtype}) in one part and {b.text} ({b.values.dtype}) in the other;"
            f" make them the same type"
        )
    if a == b:
        same = np.arange(len(a), dtype=np.int32)
        return a, same, same
    both = IdMap(pl.concat([a.values, b.values]).unique().sort(), a.kind)
    return both, both.encode(a.values), both.encode(b.values)


def _joined(a: pl.DataFrame | None, b: pl.DataFrame | None, ids: IdMap, column: str) -> pl.DataFrame | None:
    """Return one side table aligned with ``ids``. If both know an id, the first table wins."""
    tables = [t.rename({t.columns[0]: column}) for t in (a, b) if t is not None]
    if not tables:
        return None
    stacked = pl.concat(tables, how="diagonal_relaxed") if len(tables) > 1 else tables[0]
    return align_frame(stacked, column, ids, column)[0]
