"""``popular``: the same scores for all users: the number of rows of each item, in all or recently. The baseline of
rankers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from cofactor.data.interactions import CSR, Interactions
from cofactor.errors import ConfigError
from cofactor.model import Cost, Kind, State, TableSize, Task
from cofactor.models.base.age import DAY
from cofactor.models.base.arrays import at, fitted, stored
from cofactor.models.base.config import Search, option
from cofactor.models.base.cost import COMPILED
from cofactor.models.base.solve import SolveStepper
from cofactor.models.base.strength import check_min_weight, like_strengths, strength_of

Array = NDArray[Any]


@dataclass(frozen=True)
class PopularConfig:
    """Parameters of ``popular``."""

    half_life: float = option(
        0.0,
        "days after which a row counts half, measured from the newest row; 0: all count the same",
        Search(7, 2000, log=True),
    )
    min_rating_weight: float = option(1.0, "weight of the lowest rating; the highest has 1", Search(0.0, 1.0))

    def __post_init__(self) -> None:
        check_min_weight(self.min_rating_weight)
        if not self.half_life >= 0:
            raise ConfigError(f"half_life is {self.half_life}; it must be 0 or more days")


class Popular:
    """The most popular items, overall or recently: the same list for all users, without their seen items.

    It learns only ``popularity`` float32 (n_items,); a user's state is empty.
    """

    name: ClassVar[str] = "popular"
    task: ClassVar[Task] = "ranking"
    kind: ClassVar[Kind] = "solve"
    weighs_rows: ClassVar[bool] = True
    Config = PopularConfig

    def __init__(self, config: PopularConfig | None = None) -> None:
        self.config = config or PopularConfig()
        self.popularity: Array | None = None

    @classmethod
    def cost(cls, config: PopularConfig, size: TableSize) -> Cost:
        """Return the cost: counts of the rows, with their weights."""
        n = size.ratings
        a_row = 60 if config.half_life else 44
        return Cost(a_row * n + 32 * (size.users + size.items), 4 * size.items, 80.0 * n, "n", COMPILED)

    def stepper(self, data: Interactions, rng: np.random.Generator) -> SolveStepper:
        """Raise ConfigError if a half-life is set and the data have no times."""
        if self.config.half_life and data.times is None:
            raise ConfigError("popular with a half_life needs times; name the time column, or set half_life=0")
        self.popularity = np.zeros(data.n_items, dtype=np.float32)
        return SolveStepper(lambda: self._count(data))

    def _count(self, data: Interactions) -> None:
        rows = data.by_item
        times, newest = None, 0
        if self.config.half_life and data.times is not None and len(data):
            times, newest = data.times[rows.rows], int(data.times.max())
        counts = item_sums(rows.indptr, rows.values, times, newest, strength_of(data), self.config, rows.weights)
        self.popularity = (counts / max(counts.max(initial=0), 1e-30)).astype(np.float32)

    def predict(self, users: Array, items: Array, times: Array | None = None) -> Array:
        """Return float32 (n,): from 0 to 1, where the most popular item has 1. An unknown item has 0; users do not
        matter."""
        return at(fitted(self.popularity, self.name), items)

    def scores(self, users: Array) -> Array:
        """Return float32 (len(users), n_items): equal rows."""
        return self.scores_from(self.user_state(users))

    def fold_in(self, histories: CSR) -> Array:
        """Return float32 (n, 0)."""
        return np.zeros((histories.n_rows, 0), dtype=np.float32)

    def user_state(self, users: Array) -> Array:
        """Return float32 (len(users), 0)."""
        return np.zeros((len(users), 0), dtype=np.float32)

    def scores_from(self, user_state: Array) -> Array:
        """Return float32 (len(user_state), n_items): equal rows."""
        return np.repeat(fitted(self.popularity, self.name)[None, :], len(user_state), axis=0)

    def without_users(self) -> Self:
        """Return the model itself: it stores nothing of users."""
        return self

    def shape(self) -> tuple[None, int]:
        """Return any number of users (None), and the number of items of the training data."""
        return None, len(fitted(self.popularity, self.name))

    def state(self) -> State:
        """``popularity`` (n_items,)."""
        return {"popularity": fitted(self.popularity, self.name)}

    @classmethod
    def from_state(cls, config: PopularConfig, state: Mapping[str, Array]) -> Self:
        """Restore the model from its state. Raises BundleError if an array does not fit."""
        model = cls(config)
        model.popularity = stored(state, "popularity", np.float32, (None,))
        return model


def item_sums(
    indptr: Array,
    values: Array,
    times: Array | None,
    newest: int,
    limits: Array,
    config: PopularConfig,
    row_weights: Array | None = None,
) -> Array:
    """Return float64 (n_items,): the summed weights of each item's rows. Rows come item by item, from ``indptr`` on.

    ``row_weights``: further weights of the rows. ``times``: given if older rows count less, measured from ``newest``.
    ``limits``: the ratings between which weights grow.
    """
    weights = like_strengths(values, limits, config.min_rating_weight).astype(np.float64)
    if row_weights is not None:
        weights *= row_weights
    if times is not None:
        weights *= 0.5 ** ((newest - times) / DAY / config.half_life)
    item = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
    return np.bincount(item, weights, minlength=len(indptr) - 1)
