"""``repeat-buy``: which of the items that a user took before come next again, by how often and how recently.

The score of an item of the history is ``rate of the item ^ a * times taken ^ b * (1 + age / typical gap) ^ -c``: items
that most of their users take again (Bhagat et al. 2018, "Buy it again"), often, and recently (Anderson et al. 2014).
The three exponents are chosen inside training, on the repeats in the last part of the time. Other items follow by
popularity, below all of them: request lists with ``seen=True``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from cofactor.data.interactions import CSR, Interactions
from cofactor.data.rows.repeats import merged
from cofactor.errors import BundleError, ConfigError
from cofactor.kernels.gain import ndcg
from cofactor.model import Cost, Kind, State, TableSize, Task
from cofactor.models.base.age import popularity
from cofactor.models.base.arrays import fitted, stored
from cofactor.models.base.config import option
from cofactor.models.base.cost import COMPILED, GROUPED, GROUPING
from cofactor.models.base.history_ranker import ScoresAsState
from cofactor.models.base.solve import SolveStepper
from cofactor.models.base.stored_rows import history_state, stored_history

Array = NDArray[Any]

RATES, COUNTS, AGES = (0.0, 0.5, 1.0), (0.0, 0.5, 1.0, 2.0), (0.0, 0.25, 0.5, 1.0, 2.0)
"""Exponents tried."""
_AT, _FUTURE = 10, 0.2
"""The exponents are chosen by NDCG at this many items, on this share of the events, the last by time."""
_SHRINK = 5.0
"""Pseudo-users added to each item, who take it again at the rate of all items."""


@dataclass(frozen=True)
class RepeatBuyConfig:
    """Parameters of ``repeat-buy``. Those that are None are chosen inside training."""

    rate_power: float | None = option(None, "exponent of the share of an item's users who take it again; none: chosen")
    count_power: float | None = option(None, "exponent of the number of times that the user took it; none: chosen")
    age_power: float | None = option(None, "exponent of the decay with the time since the last one; none: chosen")
    max_rows: int = option(500_000, "maximal number of events for the choice")

    def __post_init__(self) -> None:
        for name in ("rate_power", "count_power", "age_power"):
            value = getattr(self, name)
            if value is not None and not (np.isfinite(value) and value >= 0):
                raise ConfigError(f"{name} is {value}; it must be a number of 0 or more")
        if self.max_rows < 1:
            raise ConfigError(f"max_rows is {self.max_rows}; it must be at least 1")


class RepeatBuy(ScoresAsState):
    """The items that a user takes again: by a rate of each item, how often the user took it, and how long ago.

    ``rate`` float32 (n_items,): the share of an item's users who took it again; ``popularity`` (n_items,);
    ``constants`` float64 (5,): the three exponents, the typical gap between two events of a pair, and the newest time,
    in seconds. A user's state is the row of scores: above 1 for items taken before, below 1 for the rest.
    """

    name: ClassVar[str] = "repeat-buy"
    task: ClassVar[Task] = "ranking"
    kind: ClassVar[Kind] = "solve"
    ordered: ClassVar[bool] = True
    Config = RepeatBuyConfig

    def __init__(self, config: RepeatBuyConfig | None = None) -> None:
        self.config = config or RepeatBuyConfig()
        self.rate: Array | None = None
        self.popularity: Array | None = None
        self.constants: Array | None = None
        self.history: CSR | None = None

    @classmethod
    def cost(cls, config: RepeatBuyConfig, size: TableSize) -> Cost:
        """Return the cost: the table by user, its events in order; a sample of them for each setting."""
        n = size.ratings
        tried = len(RATES) * len(COUNTS) * len(AGES)
        memory = (GROUPED + GROUPING + 80) * n + 16 * size.items
        work = 150.0 * n + 120.0 * tried * min(n, config.max_rows)
        return Cost(memory, (GROUPED + 16) * n + 8 * size.items, work, "n", COMPILED)

    def stepper(self, data: Interactions, rng: np.random.Generator) -> SolveStepper:
        """Create the stepper. Nothing is counted before the first run."""
        self.history = data.histories._replace(rows=np.empty(0, dtype=np.int64))
        self.popularity = popularity(data)
        seed = int(rng.integers(2**63))
        return SolveStepper(lambda: self._solve(data, seed))

    def settled(self) -> RepeatBuyConfig:
        """Return the config with the exponents that training chose."""
        a, b, c = fitted(self.constants, self.name)[:3].tolist()
        return replace(self.config, rate_power=a, count_power=b, age_power=c)

    def _solve(self, data: Interactions, seed: int) -> None:
        c = self.config
        given = (c.rate_power, c.count_power, c.age_power)
        powers = given if None not in given else _chosen(data, c, np.random.default_rng([seed, 1]))
        self.rate, gap, newest = _repeats(data)
        self.constants = np.array([*powers, gap, newest], dtype=np.float64)

    def user_state(self, users: Array) -> Array:
        """Return float32 (len(users), n_items): their scores."""
        users = np.asarray(users)
        popular = fitted(self.popularity, self.name)
        assert self.history is not None
        if not self.history.n_rows:
            return np.repeat(popular[None], len(users), axis=0)
        out = self.fold_in(self.history.take(np.maximum(users, 0)))
        out[users < 0] = popular
        return out

    def fold_in(self, histories: CSR) -> Array:
        """Return float32 (n, n_items): the scores of users with these histories. Values say how often, and ``order``
        when last."""
        popular = fitted(self.popularity, self.name)
        out = np.repeat(popular[None], histories.n_rows, axis=0)
        row = np.repeat(np.arange(histories.n_rows), histories.counts)
        liked = histories.values > 0
        scores = entry_scores(histories, fitted(self.rate, self.name), fitted(self.constants, self.name))
        out[row[liked], histories.indices[liked]] = scores[liked]
        return out

    def scores_from(self, user_state: Array) -> Array:
        """Return a copy: the state is the scores."""
        return np.array(user_state, dtype=np.float32)

    def without_users(self) -> Self:
        """Return the model without the training histories."""
        made = type(self)(self.config)
        made.rate, made.popularity, made.constants = self.rate, self.popularity, self.constants
        assert self.history is not None
        made.history = self.history.take(np.empty(0, dtype=np.int64))
        return made

    def shape(self) -> tuple[int, int]:
        """Return (users, items) of the training data."""
        assert self.history is not None
        return self.history.n_rows, self.history.n_cols

    def state(self) -> State:
        """``rate``, ``popularity``, ``constants`` and ``history_...`` (CSR, and ``history_order``)."""
        learned = {name: fitted(getattr(self, name), self.name) for name in ("rate", "popularity", "constants")}
        assert self.history is not None
        return learned | history_state(self.history)

    @classmethod
    def from_state(cls, config: RepeatBuyConfig, state: Mapping[str, Array]) -> Self:
        """Restore the model from its state. Raises BundleError if an array does not fit."""
        model = cls(config)
        model.popularity = stored(state, "popularity", np.float32, (None,))
        n = len(model.popularity)
        model.rate = stored(state, "rate", np.float32, (n,))
        model.constants = stored(state, "constants", np.float64, (5,))
        if (model.constants[:3] < 0).any() or not model.constants[3] > 0 or (model.rate < 0).any():
            raise BundleError("the constants of the saved model are negative; save it again from the original")
        model.history = stored_history(state, n, True)
        return model


def entry_scores(rows: CSR, rate: Array, constants: Array) -> Array:
    """Return float32 (nnz,): 100 plus the logarithm of the score of taking each entry of some histories again; above
    1."""
    a, b, c, gap, newest = constants.tolist()
    found = a * np.log(np.maximum(rate[rows.indices].astype(np.float64), 1e-9))
    found += b * np.log(np.maximum(rows.values.astype(np.float64), 1e-9))
    if rows.order is not None and c:
        who = np.repeat(np.arange(rows.n_rows), rows.counts)
        ends = np.full(rows.n_rows, newest)
        np.maximum.at(ends, who, rows.order)
        found -= c * np.log1p((ends[who] - rows.order) / gap)
    return np.asarray(np.maximum(100 + found, 2.0), dtype=np.float32)


def _repeats(data: Interactions) -> tuple[Array, float, float]:
    """Return (rate of each item, float32 (n_items,); the median time between two events of a pair; the newest time).

    They are computed from the events if rows were merged, else from the counts. Without times, table positions replace
    them.
    """
    pairs = data.by_user
    again = _times_taken(data)[pairs.rows] > 1
    users = np.bincount(pairs.indices, minlength=data.n_items)
    repeated = np.bincount(pairs.indices[again], minlength=data.n_items)
    mean = repeated.sum() / max(int(users.sum()), 1)
    rate = (repeated + _SHRINK * mean) / (users + _SHRINK)
    events = data.events
    when = np.arange(len(events)) if events.times is None else events.times
    order = np.lexsort((when, events.items, events.users))
    same = (np.diff(events.users[order]) == 0) & (np.diff(events.items[order]) == 0)
    gaps = np.diff(when[order])[same]
    gaps = gaps[gaps > 0]
    span = float(when.max() - when.min()) if len(when) else 1.0
    gap = float(np.median(gaps)) if len(gaps) else max(span / 10, 1.0)
    last = data.histories.order
    return rate.astype(np.float32), gap, float(last.max()) if last is not None and len(last) else 0.0


def _times_taken(data: Interactions) -> Array:
    """Return float64 (n,): the number of events of each row of the table; its value, if the events are not known."""
    events = data.events
    if events is data:
        return np.asarray(data.values, dtype=np.float64)
    keys, counts = np.unique(events.users.astype(np.int64) * data.n_items + events.items, return_counts=True)
    return np.asarray(counts[np.searchsorted(keys, data.users.astype(np.int64) * data.n_items + data.items)], float)


def _chosen(data: Interactions, c: RepeatBuyConfig, rng: np.random.Generator) -> tuple[float, float, float]:
    """Choose the exponents by NDCG of the repeats in the last part of the events; 1, 1, 1 if there are none."""
    held = _held_out(data, c.max_rows, rng)
    grids = [
        tried if value is None else (value,)
        for tried, value in zip((RATES, COUNTS, AGES), (c.rate_power, c.count_power, c.age_power), strict=True)
    ]
    best = (-1.0, tuple(1.0 if value is None else value for value in (c.rate_power, c.count_power, c.age_power)))
    if held is None:
        return best[1]  # type: ignore[return-value]
    rows, taken, rate, gap, newest = held
    row = np.repeat(np.arange(rows.n_rows), rows.counts)
    relevant = np.bincount(row[taken], minlength=rows.n_rows)
    for powers in product(*grids):
        scores = entry_scores(rows, rate, np.array([*powers, gap, newest]))
        order = np.lexsort((-scores, row))
        place = np.arange(len(row)) - np.repeat(rows.indptr[:-1], rows.counts)
        hits = np.zeros((rows.n_rows, _AT), dtype=bool)
        top = place < _AT
        hits[row[top], place[top]] = taken[order][top]
        value = float(ndcg(hits, relevant).mean())
        if value > best[0] * 1.001:
            best = value, powers
    return best[1]  # type: ignore[return-value]


def _held_out(
    data: Interactions, max_rows: int, rng: np.random.Generator
) -> tuple[CSR, Array, Array, float, float] | None:
    """Return (histories up to a cutoff, bool: which of their entries were taken again after it, the result of
    ``_repeats`` up to it); None if nothing was taken again, or if the events have no times."""
    events = data.events
    if events is data and (data.times is None or (data.values == data.values.max(initial=0)).all()):
        return None
    when = np.arange(len(events)) if events.times is None else events.times
    cut = np.partition(when, int((1 - _FUTURE) * (len(when) - 1)))[int((1 - _FUTURE) * (len(when) - 1))]
    before, after = when <= cut, when > cut
    earlier = merged(events.take(before), "count" if data.kind == "events" else data.duplicates)
    if not len(earlier) or not after.any():
        return None
    later = np.unique(events.users[after].astype(np.int64) * data.n_items + events.items[after])
    histories = earlier.histories
    who = np.repeat(np.arange(histories.n_rows), histories.counts)
    taken = np.isin(who.astype(np.int64) * data.n_items + histories.indices, later)
    some = rng.permutation(np.flatnonzero(np.bincount(who[taken], minlength=histories.n_rows)))
    if not len(some):
        return None
    fits = max(int(np.searchsorted(np.cumsum(histories.counts[some]), max_rows)), 1)
    some = np.sort(some[:fits])
    part = histories._replace(values=histories.values).take(some)
    marks = histories._replace(values=taken.astype(np.float32)).take(some).values > 0
    return (part, marks, *_repeats(earlier))
