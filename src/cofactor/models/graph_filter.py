"""``graph-filter``: filters on the graph of users and items, without training (Shen et al. 2021, GF-CF).

There are two filters: two-step walks, from an item over its users to their items, with popularity damped on both sides
(RP3beta, Paudel et al. 2017; Turbo-CF, Park et al. 2024), and the ideal low-pass filter, the first singular vectors of
the normalised matrix. The exponent of popularity and the weight of the second filter are chosen inside training.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from cofactor.data.interactions import CSR, Interactions
from cofactor.errors import BundleError, ConfigError
from cofactor.kernels.products import dots
from cofactor.model import Cost, State, TableSize
from cofactor.models.base.age import check_half_life, half_life_option
from cofactor.models.base.arrays import at, fitted, stored
from cofactor.models.base.config import Search, option
from cofactor.models.base.cost import COMPILED, COMPILING, GROUPED, WORK
from cofactor.models.base.history_ranker import HistoryRanker
from cofactor.models.base.inner import InnerSplit, hold_entries, inner_ndcg
from cofactor.models.base.neighbours import degrees, walked, walks
from cofactor.models.base.propensity import check_propensity, propensity_option
from cofactor.models.base.solve import SolveStepper
from cofactor.models.base.sparse import times
from cofactor.models.base.spectrum import right_singular
from cofactor.models.base.strength import check_min_weight

Array = NDArray[Any]

TO_POWERS = (0.1, 0.2, 0.3, 0.4, 0.5)
LOW_PASS = (0.0, 0.1, 0.2, 0.35, 0.6, 1.0, 2.0)
_SPAN, _SPAN_CHOSEN = 500, 250
"""Number of users whose scores set the scale of the two filters, both finally and while their weights are chosen."""
_WIDE = 64_000_000
"""Maximal size of the table of singular vectors: catalogues with very many items keep fewer vectors."""


@dataclass(frozen=True)
class GraphFilterConfig:
    """Parameters of ``graph-filter``."""

    n_factors: int = option(256, "singular vectors of the low-pass filter", Search(32, 512, log=True))
    neighbours: int = option(500, "items kept for each item, the largest", Search(50, 1000, log=True))
    from_power: float = option(0.7, "damping of popular items in the history, 0 to 1", Search(0.0, 1.0))
    to_power: float | None = option(None, "damping of popular items in the list, 0 to 1; none: chosen inside training")
    user_power: float = option(1.0, "damping of users with many items, 0 to 1", Search(0.0, 1.0))
    low_pass: float | None = option(None, "weight of the low-pass filter; none: chosen inside training")
    min_rating_weight: float = option(
        0.0, "weight of the lowest rating, relative to 1 for the highest", Search(0.0, 1.0)
    )
    half_life: float = half_life_option()
    propensity: float = propensity_option()
    users: int = option(1000, "maximal number of users whose rows are held out for the choice")
    max_users: int = option(200_000, "maximal number of users for finding the singular vectors")

    def __post_init__(self) -> None:
        check_min_weight(self.min_rating_weight)
        check_half_life(self.half_life)
        check_propensity(self.propensity)
        if min(self.n_factors, self.neighbours, self.users, self.max_users) < 1:
            raise ConfigError(
                f"n_factors={self.n_factors}, neighbours={self.neighbours}, users={self.users}, "
                f"max_users={self.max_users}: all must be at least 1"
            )
        for name in ("from_power", "to_power", "user_power"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise ConfigError(f"{name} is {value}; it must be between 0 and 1")
        if self.low_pass is not None and not self.low_pass >= 0:
            raise ConfigError(f"low_pass is {self.low_pass}; it must be 0 or more")


class GraphFilter(HistoryRanker):
    """Two-step walks and a low-pass filter on the graph of users and items.

    ``weights``: the walks, CSR (n_items, n_items); ``inward`` and ``outward`` float32 (n_items, k): the low-pass filter
    is ``inward @ outward.T``, at its weight. A user's state is the row of scores.
    """

    name: ClassVar[str] = "graph-filter"
    Config = GraphFilterConfig

    def __init__(self, config: GraphFilterConfig | None = None) -> None:
        super().__init__(config or GraphFilterConfig())
        self.inward: Array | None = None
        self.outward: Array | None = None
        self.chosen: tuple[float, float] | None = None

    @classmethod
    def cost(cls, config: GraphFilterConfig, size: TableSize) -> Cost:
        """Return the cost: the table by user and by item, twice while choosing; the walks; tables of singular
        vectors."""
        n, items = size.ratings, float(size.items)
        near, k = items * min(config.neighbours, items), min(config.n_factors, items)
        people, held = min(size.users, config.max_users), min(config.users, size.users)
        spectrum = 112 * n + 4 * (k + 32) * (people + 5 * items) + WORK
        memory = max(spectrum, 24 * n + 48 * near, 24 * n + 12.0 * held * items)
        vectors = 2.0 * (k + 32) * n + 0.3 * (k + 32) ** 2 * items
        choosing = config.to_power is None or config.low_pass is None
        choice = vectors + 120.0 * held * items if choosing else 0.0
        work = 30.0 * size.pairs_by_user + 2 * items**2 + vectors + choice
        kept = GROUPED * n + 8 * near + 8 * k * items
        return Cost(
            memory, kept, work, "sum over users of (ratings of the user)^2; ratings x factors", COMPILED, COMPILING
        )

    def stepper(self, data: Interactions, rng: np.random.Generator) -> SolveStepper:
        """Create the stepper. Nothing is computed before the first run."""
        rows = self.begin(data)
        seed = int(rng.integers(2**63))
        return self.solving(rows, lambda: self._solve(rows, seed))

    def _solve(self, rows: CSR, seed: int) -> None:
        c = self.config
        to_power, low = c.to_power, c.low_pass
        if to_power is None or low is None:
            to_power, low = _chosen(rows, c, np.random.default_rng([seed, 1]), self.worth)
        self.chosen = (to_power, low)
        some = np.sort(np.random.default_rng([seed, 2]).permutation(rows.n_rows)[:_SPAN])
        found = walks(rows, c.from_power, to_power, c.user_power, c.neighbours)
        self.weights = _scaled(found, 1 / _spread(times(rows.take(some), found)))
        if low > 0:
            inward, outward = low_pass(rows, c, np.random.default_rng([seed, 3]))
            outward *= np.float32(low / _spread(dots(times(rows.take(some), inward), outward)))
        else:
            inward = outward = np.zeros((rows.n_cols, 0), dtype=np.float32)
        self.inward, self.outward = inward, outward

    def settled(self) -> GraphFilterConfig:
        """Return the config with the exponent and the weight that training chose."""
        assert self.chosen is not None, "settings are chosen in training"
        return replace(self.config, to_power=self.chosen[0], low_pass=self.chosen[1])  # type: ignore[no-any-return]

    def summed(self, rows: CSR) -> Array:
        """Return float32 (n, n_items): the sums of the contributions of weighted rows to each item."""
        inward, outward = fitted(self.inward, self.name), fitted(self.outward, self.name)
        out = super().summed(rows)
        if inward.shape[1]:
            out += dots(times(rows, inward), outward)
        return out

    def _added(self, rated: Array, items: Array) -> Array:
        inward, outward = fitted(self.inward, self.name), fitted(self.outward, self.name)
        out = super()._added(rated, items)
        return out + dots(inward[rated], outward[items]) if inward.shape[1] else out

    def item_similarity(self, items: Array) -> Array:
        """Return float32 (len(items), n_items): the contribution of each of these to every item."""
        items = np.asarray(items)
        inward, outward = fitted(self.inward, self.name), fitted(self.outward, self.name)
        out = super().item_similarity(items)
        if inward.shape[1]:
            out += dots(at(inward, items), outward)
        known = items >= 0
        out[np.flatnonzero(known), items[known]] = 0.0
        return out

    def state(self) -> State:
        """``weights_...`` and ``history_...`` (CSR), ``inward``, ``outward``, ``popularity`` and ``range``."""
        inward, outward = fitted(self.inward, self.name), fitted(self.outward, self.name)
        return {**super().state(), "inward": inward, "outward": outward}

    @classmethod
    def from_state(cls, config: Any, state: Mapping[str, Array]) -> Self:
        """Restore the model from its state. Raises BundleError if an array does not fit."""
        model: Self = super().from_state(config, state)
        assert model.popularity is not None
        model.inward = stored(state, "inward", np.float32, (len(model.popularity), None))
        model.outward = stored(state, "outward", np.float32, model.inward.shape)
        if not isinstance(model.weights, CSR):
            raise BundleError("the weights of the saved model are dense; those of graph-filter are sparse")
        return model


def low_pass(rows: CSR, c: GraphFilterConfig, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return (inward, outward), float32 (n_items, k): the projection onto the first singular vectors of the normalised
    rows, from the space of the rows and back."""
    users, items = degrees(rows)
    if rows.n_rows > c.max_users:
        some = np.sort(rng.permutation(rows.n_rows)[: c.max_users])
        rows, users = rows.take(some), users[some]
    who = np.repeat(np.arange(rows.n_rows), rows.counts)
    values = rows.values * users[who] ** -0.5 * items[rows.indices] ** -0.5
    k = max(min(c.n_factors, _WIDE // max(rows.n_cols, 1)), 1)
    vectors, _ = right_singular(rows._replace(values=values.astype(np.float32)), k, rng)
    root = np.where(items > 1e-6, np.sqrt(items), 0.0).astype(np.float32)[:, None]
    inward = np.divide(vectors, root, out=np.zeros_like(vectors), where=root > 0)
    return inward, np.ascontiguousarray(vectors * root)


def _chosen(
    rows: CSR, c: GraphFilterConfig, rng: np.random.Generator, worth: Array | None = None
) -> tuple[float, float]:
    """Return (to_power, low_pass), chosen by NDCG@20 of held-out entries, with walks of which none is left out."""
    split = hold_entries(rows, c.users, 0.2, rng, worth)
    powers = TO_POWERS if c.to_power is None else (c.to_power,)
    weights = LOW_PASS if c.low_pass is None else (c.low_pass,)
    scores = np.zeros((2, len(split.users), rows.n_cols), dtype=np.float32)
    best = (-1.0, powers[len(powers) // 2], weights[0])
    if max(weights) > 0 and len(split.users):
        inward, outward = low_pass(split.rows, c, rng)
        scores[1] = dots(times(split.seen, inward), outward)
        scores[1] /= np.float32(_spread(scores[1]))
    raw = walked(split.rows, split.seen, c.from_power, c.user_power)
    items = degrees(split.rows)[1]
    for power in powers:
        np.multiply(raw, (items**-power).astype(np.float32), out=scores[0])
        scores[0] /= np.float32(_spread(scores[0]))
        best = max(best, _best_weight(split, scores, power, weights))
    return best[1], best[2]


def _best_weight(
    split: InnerSplit, scores: Array, power: float, weights: tuple[float, ...]
) -> tuple[float, float, float]:
    values = [inner_ndcg(split, scores, np.array([1.0, w])) for w in weights]
    best = int(np.argmax(values))
    return values[best], power, weights[best]


def _spread(scores: Array) -> float:
    """Return the mean over users (some of them) of the deviation of their scores."""
    scores = scores[:: max(len(scores) // _SPAN_CHOSEN, 1)]
    return max(float(scores.std(axis=1, dtype=np.float64).mean()) if len(scores) else 0.0, 1e-30)


def _scaled(weights: CSR, factor: float) -> CSR:
    return weights._replace(values=(weights.values * factor).astype(np.float32))
