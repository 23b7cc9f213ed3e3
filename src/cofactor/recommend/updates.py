"""Ratings newer than the model: the whole history of each user that they touch, folded in with the items held fixed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cofactor.data.interactions import CSR, Interactions

Array = NDArray[Any]
_NONE = np.empty(0, dtype=np.int64)


class UpdatedUser(NamedTuple):
    """A user with newer ratings: all ratings by item (codes ascending), and what the model makes of them (d,).

    ``times`` int64, ``NO_TIME`` where none is known; ``new`` is True where a rating is not in the training data.
    """

    items: Array
    values: Array
    times: Array
    new: Array
    state: Array


NO_TIME = np.iinfo(np.int64).min


@dataclass(frozen=True)
class Updates:
    """``users`` by code; users that were not in training have codes from ``n_users`` on, in order of ``new_ids``."""

    users: Mapping[int, UpdatedUser] = field(default_factory=dict)
    new_ids: tuple[Any, ...] = ()
    new_codes: Mapping[Any, int] = field(default_factory=dict)

    @property
    def codes(self) -> Array:
        """int64: the codes of all touched users."""
        return np.fromiter(self.users, dtype=np.int64, count=len(self.users))

    @property
    def n_ratings(self) -> int:
        """How many ratings are newer than the training data."""
        return sum(int(np.count_nonzero(t.new)) for t in self.users.values())


def as_rows(histories: list[tuple[Array, Array]], n_items: int) -> CSR:
    """(codes ascending, values) of each user as sparse rows."""
    indptr = np.zeros(len(histories) + 1, dtype=np.int64)
    np.cumsum([len(items) for items, _ in histories], out=indptr[1:])
    items = np.concatenate([np.empty(0, np.int32), *(i for i, _ in histories)]).astype(np.int32)
    values = np.concatenate([np.empty(0, np.float32), *(v for _, v in histories)]).astype(np.float32)
    return CSR(indptr, items, values, _NONE, n_items)


def trained_on(data: Interactions, code: int) -> UpdatedUser:
    """What a user rated in the training data, nothing of it new; without a state. Nothing at all for a later user."""
    if code >= data.n_users:
        return UpdatedUser(_NONE, _NONE, _NONE, np.zeros(0, dtype=bool), _NONE)
    items, values = data.by_user.row(code)
    row = slice(data.by_user.indptr[code], data.by_user.indptr[code + 1])
    times = np.full(len(items), NO_TIME) if data.times is None else data.times[data.by_user.rows[row]]
    return UpdatedUser(items, values, times, np.zeros(len(items), dtype=bool), _NONE)
