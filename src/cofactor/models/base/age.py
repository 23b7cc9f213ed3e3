"""Row weights that decrease with age: the half-life of rankers, and recent popularity."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cofactor.data.interactions import CSR, Interactions
from cofactor.errors import ConfigError
from cofactor.models.base.config import option
from cofactor.models.base.strength import liked_rows

Array = NDArray[Any]

DAY = 86_400


def half_life_option() -> Any:
    """Return the config field of rankers whose row weights can decrease with age."""
    return option(0.0, "days after which a row counts half; 0: age does not matter")


def half_life_of(config: Any) -> float:
    """Return the config's half-life in days; 0 (no decay) without such an option."""
    return float(getattr(config, "half_life", 0.0))


def check_half_life(half_life: float) -> None:
    """Raise ConfigError unless it is a number of days, or 0."""
    if not half_life >= 0:
        raise ConfigError(f"half_life is {half_life}; it must be 0 or more days")


def check_timed(name: str, half_life: float, data: Interactions) -> None:
    """Raise ConfigError if a half-life is set and the data have no times."""
    if half_life and data.times is None:
        raise ConfigError(f"{name} with a half_life needs times; name the time column, or set half_life=0")


def aged(rows: CSR, half_life: float, newest: int | None = None) -> CSR:
    """Return the same rows, with each entry's value halved for every ``half_life`` days of age.

    Age is measured from ``newest`` (seconds), or from the newest entry of the row. Without a half-life or times nothing
    changes. A user's own list depends on the entries' ages relative to each other; the weight of a row for its item
    depends on its age today.
    """
    if not half_life or rows.order is None or not len(rows.indices):
        return rows
    end: Array | int = newest if newest is not None else 0
    if newest is None:
        some = rows.counts > 0
        last = np.maximum.reduceat(rows.order, rows.indptr[:-1][some])
        end = np.repeat(last, rows.counts[some])
    decay = 0.5 ** (np.maximum(end - rows.order, 0) / (DAY * half_life))
    return rows._replace(values=(rows.values * decay).astype(np.float32))


def newest_entry(rows: CSR, half_life: float) -> int:
    """Return the position of the entry from which :func:`aged` measures the ages of a single row, or -1 if none or
    several are the newest, or age does not matter."""
    if not half_life or rows.order is None or not len(rows.order):
        return -1
    newest = np.flatnonzero(rows.order == rows.order.max())
    return int(newest[0]) if len(newest) == 1 else -1


def faded(data: Interactions, half_life: float) -> Interactions:
    """Return the same pairs, where each value that sums several events weighs them by their age when the last of them
    happened: halved for every ``half_life`` days. Together with the decay of the pair from its last event on
    (:func:`aged`), each event weighs by its own age.

    The same table is returned without a half-life or times, and where values do not sum events.
    """
    events = data.unmerged
    if not half_life or events is None or events.times is None or data.duplicates not in ("sum", "count"):
        return data
    pairs = data.users.astype(np.int64) * data.n_items + data.items
    order = np.argsort(pairs)
    place = order[
        np.searchsorted(pairs, events.users.astype(np.int64) * data.n_items + events.items, sorter=order).clip(
            max=len(pairs) - 1
        )
    ]
    kept = (data.users[place] == events.users) & (data.items[place] == events.items)  # others came to 0 or less
    place, when = place[kept], events.times[kept]
    last = np.full(len(data), np.iinfo(np.int64).min)
    np.maximum.at(last, place, when)
    decay = 0.5 ** ((last[place] - when) / (DAY * half_life))
    amounts = decay if data.duplicates == "count" else decay * events.values[kept]
    return data.replace(values=np.bincount(place, amounts, minlength=len(data)).astype(np.float32))


def popularity(data: Interactions, half_life: float = 0.0) -> Array:
    """Return float32 (n_items,): the weight of each item's rows, without dislikes, divided by that of the most popular
    item. With a half-life, older rows count less."""
    liked = liked_rows(data.values, data.kind)
    data = data if liked is None else data.take(liked)
    if not half_life or data.times is None or not len(data):
        return popularity_of(np.bincount(data.items, data.weights, minlength=data.n_items))
    decay = 0.5 ** ((int(data.times.max()) - data.times) / (DAY * half_life))
    if data.weights is not None:
        decay *= data.weights
    return popularity_of(np.bincount(data.items, decay, minlength=data.n_items))


def popularity_of(counts: Array) -> Array:
    """Return the same from the number of rows of each item."""
    shares = counts.astype(np.float32)
    return shares / max(float(shares.max(initial=0)), 1.0)
