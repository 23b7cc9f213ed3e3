"""Ratings newer than the model, by user. The whole history of such a user is folded in when it is needed."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cofactor.data.interactions import CSR, Interactions
from cofactor.data.rows.repeats import usual_policy
from cofactor.data.times.timestamps import is_order, to_seconds
from cofactor.errors import ConfigError, DataError
from cofactor.model import Model

Array = NDArray[Any]
_NONE = np.empty(0, dtype=np.int64)


NO_TIME = np.iinfo(np.int64).min
_OVERHEAD = 600
"""Bytes of the Python objects around the arrays kept for a user."""
NEWER = np.dtype([("item", np.int32), ("value", np.float64), ("time", np.int64)])
"""One newer rating: the item's code, the value (float64, since counts are summed), seconds since 1970 or NO_TIME."""


class Rated(NamedTuple):
    """All ratings of a user, by item (codes ascending).

    ``times`` int64: ``NO_TIME`` where the time is unknown. ``new``: True where a rating is not in the training data.
    ``order`` int64: positions in time; larger is newer, equal times have equal positions. ``weights`` float32: 1 for
    newer ratings; None where all weights are equal.
    """

    items: Array
    values: Array
    times: Array
    new: Array
    order: Array
    weights: Array | None = None


class Recent:
    """A cache of what was computed from users' newer ratings, limited in bytes over all users.

    The oldest entry is dropped first, and computed again when needed.
    """

    def __init__(self, most: int = 16 << 20) -> None:
        self.most, self.bytes = most, 0
        self._held: dict[UpdatedUser, int] = {}
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type[Recent], tuple[int]]:
        return Recent, (self.most,)  # a copy is empty

    def keep(self, user: UpdatedUser, size: int) -> None:
        """Add ``size`` bytes to a user's entry, and drop the oldest users beyond the limit."""
        with self._lock:
            self._held[user] = self._held.pop(user, 0) + size
            self.bytes += size
            while self.bytes > self.most and len(self._held) > 1:
                self._drop(next(iter(self._held)))

    def drop(self, user: UpdatedUser) -> None:
        """Drop what was computed for a user."""
        if user in self._held:
            with self._lock:
                self._drop(user)

    def _drop(self, user: UpdatedUser) -> None:
        self.bytes -= self._held.pop(user, 0)
        user._rated = user._state = None


class UpdatedUser:
    """A user with newer ratings: ``log`` holds these as bytes (``NEWER``), in order of arrival, each item once.

    All ratings and the model's state are computed when first needed, and cached while there is room in ``recent``: most
    users with an event get another event before their next request. Both depend only on the ratings.
    """

    __slots__ = ("__weakref__", "_data", "_model", "_rated", "_recent", "_state", "code", "log")

    def __init__(self, data: Interactions, model: Model, code: int, log: bytes, recent: Recent) -> None:
        self.code, self.log = code, log
        self._data, self._model, self._recent = data, model, recent
        self._rated: Rated | None = None
        self._state: Array | None = None

    @property
    def newer(self) -> Array:
        """The newer ratings as records (``NEWER``)."""
        return np.frombuffer(self.log, NEWER)

    @property
    def rated(self) -> Rated:
        """All ratings, those of the training data included."""
        found = self._rated
        if found is None:
            found = self._rated = _merged(self._data, self.code, self.newer)
            self._recent.keep(self, sum(column.nbytes for column in found if column is not None) + _OVERHEAD)
        return found

    @property
    def history(self) -> tuple[Array, Array, Array, Array | None]:
        """(items, values, order, weights), as :func:`as_rows` takes them."""
        rated = self.rated
        return rated.items, rated.values, rated.order, rated.weights

    @property
    def state(self) -> Array:
        """(d,): the whole history folded in, with the items held fixed."""
        return states_of([self])[0]


def states_of(users: Sequence[UpdatedUser]) -> list[Array]:
    """Return the state of each of these users of one model. States not yet computed are folded in together."""
    found = [user._state for user in users]
    fresh = [at for at, state in enumerate(found) if state is None]
    if fresh:
        model, data = users[fresh[0]]._model, users[fresh[0]]._data
        rows = folded(model, as_rows([users[at].history for at in fresh], data.n_items))
        for at, row in zip(fresh, rows, strict=True):
            state = np.array(row)
            found[at] = users[at]._state = state
            users[at]._recent.keep(users[at], state.nbytes + _OVERHEAD)
    return [state for state in found if state is not None]


def folded(model: Model, histories: CSR) -> Array:
    """Return the model's states of users with these histories."""
    try:
        return model.fold_in(histories)
    except np.linalg.LinAlgError as exc:
        raise ConfigError(
            f"the history cannot be folded in ({exc}); the model's parameters are unusable: train it again"
        ) from exc


class Layers(Mapping[int, UpdatedUser]):
    """A large mapping under a small one, so that a change copies only the small one."""

    __slots__ = ("_base", "_top")

    def __init__(self, base: dict[int, UpdatedUser], top: dict[int, UpdatedUser]) -> None:
        self._base, self._top = base, top

    def __getitem__(self, code: int) -> UpdatedUser:
        found = self._top.get(code)
        return self._base[code] if found is None else found

    def get(self, code: int, default: Any = None) -> Any:
        """Return the entry or the default. Faster than ``Mapping.get`` for missing keys, which are the usual case."""
        found = self._top.get(code)
        return self._base.get(code, default) if found is None else found

    def __contains__(self, code: object) -> bool:
        return code in self._top or code in self._base

    def __iter__(self) -> Iterator[int]:
        yield from self._base
        yield from (code for code in self._top if code not in self._base)

    def __len__(self) -> int:
        return len(self._base) + sum(code not in self._base for code in self._top)

    def over(self, fresh: dict[int, UpdatedUser]) -> Layers:
        """Return the mapping with these entries, which replace entries of the same codes."""
        top = self._top | fresh
        if len(top) ** 2 > 16 * (len(self._base) + 256):
            return Layers(self._base | top, {})
        return Layers(self._base, top)


@dataclass(frozen=True)
class Updates:
    """Ratings that came after training. ``users`` maps codes to users; users that were not in training have codes from
    ``n_users`` on, in the order of ``new_ids``.
    ``n_ratings`` is the number of pairs of a user and an item with newer ratings."""

    users: Layers = field(default_factory=lambda: Layers({}, {}))
    new_ids: tuple[Any, ...] = ()
    new_codes: Mapping[Any, int] = field(default_factory=dict)
    n_ratings: int = 0

    def among(self, codes: Array) -> NDArray[np.bool_]:
        """Return a mask of the codes of users with newer ratings."""
        if not self.users:
            return np.zeros(len(codes), dtype=bool)
        return np.fromiter((code in self.users for code in codes.tolist()), dtype=bool, count=len(codes))


def as_rows(histories: Sequence[tuple[Any, ...]], n_items: int) -> CSR:
    """Return the histories as sparse rows. Each history is (codes ascending, values[, order or None[, weights or
    None]]); the rows have an order where all histories have one."""
    if len(histories) == 1:  # as in most requests to a server
        items, values, order, weights = (*histories[0], None, None)[:4]
        indptr = np.array([0, len(items)], dtype=np.int64)
        row = np.array(items, dtype=np.int32), np.array(values, dtype=np.float32)  # copies: kernels want them writable
        return CSR(indptr, *row, _NONE, n_items, order, weights)
    indptr = np.zeros(len(histories) + 1, dtype=np.int64)
    np.cumsum([len(history[0]) for history in histories], out=indptr[1:])
    items = np.concatenate([np.empty(0, np.int32), *(h[0] for h in histories)]).astype(np.int32)
    values = np.concatenate([np.empty(0, np.float32), *(h[1] for h in histories)]).astype(np.float32)
    orders = [h[2] for h in histories if len(h) > 2 and h[2] is not None]
    order = np.concatenate([_NONE, *orders]) if len(orders) == len(histories) else None
    weights = [h[3] if len(h) > 3 else None for h in histories]
    if all(each is None for each in weights):
        return CSR(indptr, items, values, _NONE, n_items, order)
    each = [np.ones(len(h[0]), np.float32) if w is None else w for h, w in zip(histories, weights)]
    return CSR(indptr, items, values, _NONE, n_items, order, np.concatenate(each))


def positions_in_time(times: Array, new: Array, arrival: Array) -> Array:
    """Return positions in time, int64 (n,); equal times have equal positions.

    A training rating without a time comes before all others, a newer one after them, each in order of ``arrival``.
    """
    timed = times != NO_TIME
    group = np.where(timed, 1, np.where(new, 2, 0))
    key = np.where(timed, times, arrival)
    at = np.lexsort((key, group))
    differs = (np.diff(group[at]) != 0) | (np.diff(key[at]) != 0)
    out = np.empty(len(at), dtype=np.int64)
    out[at] = np.concatenate([[0], np.cumsum(differs)])[: len(at)]
    return out


def trained_on(data: Interactions, code: int) -> Rated:
    """Return a user's training ratings; none for a user who came later."""
    if code >= data.n_users:
        return Rated(_NONE.astype(np.int32), _NONE.astype(np.float32), _NONE, np.zeros(0, dtype=bool), _NONE)
    rows, items, values, when, weights = data.rated_by(code)
    times = np.full(len(items), NO_TIME) if when is None else when
    new = np.zeros(len(items), dtype=bool)
    if when is None:  # in the order of the table
        order = np.empty(len(rows), dtype=np.int64)
        order[np.argsort(rows)] = np.arange(len(rows))
    else:
        order = positions_in_time(times, new, rows)
    return Rated(items, values, times, new, order, weights)


def adds_up(data: Interactions) -> bool:
    """Return whether values of the same user and item are summed (counts, events); otherwise the last one counts."""
    return (data.duplicates or usual_policy(data.kind)) in ("sum", "count")


def _merged(data: Interactions, code: int, newer: Array) -> Rated:
    """Return the training and newer ratings of a user; for an item with both, the newer value or the sum."""
    before, n = trained_on(data, code), len(newer)
    items, values, kept = newer["item"], newer["value"].copy(), np.ones(len(before.items), dtype=bool)
    if len(kept):
        at = np.minimum(np.searchsorted(before.items, items), len(kept) - 1)
        again = before.items[at] == items
        kept[at[again]] = False
        if adds_up(data):
            values[again] += before.values[at[again]]
    every = np.concatenate([before.items[kept], items])
    by_item = np.argsort(every, kind="stable")
    times = np.concatenate([before.times[kept], newer["time"]])[by_item]
    new = by_item >= len(every) - n
    newest = len(before.order) and int(before.order.max()) + 1
    arrival = np.concatenate([before.order[kept], newest + np.arange(n)])[by_item]
    both = np.concatenate([before.values[kept], values.astype(np.float32)])[by_item]
    weights = None
    if before.weights is not None:
        weights = np.concatenate([before.weights[kept], np.ones(n, np.float32)])[by_item]
    return Rated(every[by_item], both, times, new, positions_in_time(times, new, arrival), weights)


def read_times(values: Any, data: Interactions) -> Array:
    """Return seconds since 1970, int64, of numbers, dates or times, by the rules of :func:`cofactor.read` for a column.

    Where the training ``data`` have an order in place of times, return positions in that order. DataError where a time
    is missing or cannot be read.
    """
    try:
        series = pl.Series(values=values)
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError):
        series = None
    if series is None or series.dtype in (pl.Object, pl.Boolean, pl.Int128) or series.null_count():
        raise DataError("the times of the events must be seconds since 1970 or dates, and none may be missing")
    if series.dtype == pl.Datetime and getattr(series.dtype, "time_zone", None):
        series = series.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    in_order = data.times is not None and is_order(data.times)
    dates = data.reading.dates if series.dtype == pl.String else None
    return to_seconds(series, data.columns.time or "time", in_order=in_order, dates=dates)[0]
