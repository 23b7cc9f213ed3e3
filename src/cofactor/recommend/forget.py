"""Erase a user: remove their rows, their id and their features. The parameters of the model stay.

The user's code stays, under a placeholder id, so that the positions in the model's arrays do not change. A refit then
learns without this user.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cofactor.data.ids.id_map import IdMap
from cofactor.data.interactions import CSR, Features, Interactions
from cofactor.errors import ConfigError
from cofactor.recommend.fitted import Fitted
from cofactor.recommend.updates import Layers, Recent, UpdatedUser, Updates

Array = NDArray[Any]


def forgotten(rec: Fitted, user: Any) -> dict[str, Any]:
    """Return the fields of a recommender that change when a user is erased; UnknownIdError where the id is unknown."""
    code = rec.users.code(user)
    if code < 0:
        rec.data.user_ids.index(user)  # raises UnknownIdError
    data = _rows_without(rec.data, code) if code < rec.data.n_users else rec.data
    return {"data": data, "updates": _without(rec, data, {code})}


def without_updates(rec: Fitted, users: Iterable[Any]) -> Updates:
    """Return the newer ratings without those of these users. The training data stay; new users become unknown."""
    return _without(rec, rec.data, {rec.users.code(user) for user in users})


def _without(rec: Fitted, data: Interactions, gone: set[int]) -> Updates:
    """Return the newer ratings without those of the users with these codes, for the same or new training data."""
    updates, n, same = rec.updates, rec.data.n_users, data is rec.data
    kept = [code for code in range(n, n + len(updates.new_ids)) if code not in gone]
    moved = {code: n + at for at, code in enumerate(kept)}  # the codes after a new user decrease
    recent = rec.remember("recent", Recent) if same else Recent()
    users: dict[int, UpdatedUser] = {}
    for code, user in updates.users.items():
        now = moved.get(code, code)
        if same and now == code and code not in gone:
            users[code] = user
            continue
        recent.drop(user)
        if code not in gone:
            users[now] = UpdatedUser(data, rec.model, now, user.log, recent)
    new_ids = tuple(updates.new_ids[code - n] for code in kept)
    new_codes = {user: moved[code] for user, code in updates.new_codes.items() if code in moved}
    return Updates(Layers(users, {}), new_ids, new_codes, sum(len(user.newer) for user in users.values()))


def _rows_without(data: Interactions, code: int) -> Interactions:
    """Return the training data without the rows of a user, whose code stays."""
    kept = np.flatnonzero(data.users != code)
    values = data.user_ids.values
    nobody = pl.Series([_nobody(data.user_ids)], dtype=values.dtype)
    ids = pl.concat([values[:code].rename("user"), nobody.rename("user"), values[code + 1 :].rename("user")])
    table, features = data.user_table, data.user_features
    if table is not None:
        empty = {name: [None] for name in table.columns}
        if data.columns.user in table.columns:
            empty[data.columns.user] = [nobody[0]]
        table = pl.concat([table[:code], pl.DataFrame(empty, schema=table.schema), table[code + 1 :]])
    if features is not None:
        features = Features(_row_cleared(features.matrix, code), features.names)
    return data.take(kept).replace(user_ids=IdMap(ids, data.user_ids.kind), user_table=table, user_features=features)


def _row_cleared(matrix: CSR, row: int) -> CSR:
    begin, end = int(matrix.indptr[row]), int(matrix.indptr[row + 1])
    indptr = np.array(matrix.indptr)
    indptr[row + 1 :] -= end - begin
    kept = np.r_[0:begin, end : len(matrix.indices)]
    rows = matrix.rows[kept] if len(matrix.rows) == len(matrix.indices) else matrix.rows
    return matrix._replace(indptr=indptr, indices=matrix.indices[kept], values=matrix.values[kept], rows=rows)


def _nobody(ids: IdMap) -> Any:
    """Return an id that no user has."""
    if ids.dtype == pl.String:
        number = 1
        while ids.code(name := f"forgotten-{number}") >= 0:
            number += 1
        return name
    if ids.dtype.is_integer():
        signed = ids.dtype.is_signed_integer()
        step, number = (-1, -1) if signed else (1, int(ids.values.max() or 0) + 1)  # type: ignore[arg-type]
        while ids.code(number) >= 0:
            number += step
        return number
    raise ConfigError(f"users whose ids are {ids.text} cannot be erased; train again on a table without them")
