"""A ranker of one's own, which ``cofactor`` finds by an entry point: ``cofactor fit plays.csv --model random-walk``.

Three steps on the graph of users and items (P3alpha; Cooper, Lee, Radinsky & Siantos 2014): from an item to a user who
has it, from there to another item of that user. The chance to arrive is the weight between the two items.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy import sparse

from cofactor.data.interactions import CSR, Interactions
from cofactor.errors import ConfigError
from cofactor.model import Cost, TableSize
from cofactor.models.base.config import Search, option
from cofactor.models.base.cost import COMPILED, GROUPED, GROUPING
from cofactor.models.base.history_ranker import HistoryRanker
from cofactor.models.base.solve import SolveStepper


@dataclass(frozen=True)
class RandomWalkConfig:
    """Parameters of ``random-walk``."""

    alpha: float = option(1.0, "power of each step's chance; above 1 prefers rarely rated items", Search(0.5, 2.0))
    min_rating_weight: float = option(0.0, "weight of the lowest rating; the highest has 1", Search(0.0, 1.0))

    def __post_init__(self) -> None:
        if not self.alpha > 0:
            raise ConfigError(f"alpha is {self.alpha}; it must be above 0")


class RandomWalk(HistoryRanker):
    """Scores, fold-in, states and bundles come from the base; a subclass says how the item weights are learned."""

    name: ClassVar[str] = "random-walk"
    Config = RandomWalkConfig

    def __init__(self, config: RandomWalkConfig | None = None) -> None:
        super().__init__(config or RandomWalkConfig())

    @classmethod
    def cost(cls, config: RandomWalkConfig, size: TableSize) -> Cost:
        """The rows by user, and the pairs of items that have a user in common."""
        pairs = float(min(size.pairs_by_user, size.items**2))
        kept = GROUPED * size.ratings + 8 * pairs
        work = 10.0 * size.pairs_by_user + size.ratings
        return Cost(kept + GROUPING * size.ratings + 24 * pairs, kept, work, "pairs of items of one user", COMPILED)

    def stepper(self, data: Interactions, rng: np.random.Generator) -> SolveStepper:
        """One pass solves it."""
        rows = self.begin(data)
        return self.solving(rows, lambda: self._solve(rows))

    def _solve(self, rows: CSR) -> None:
        users_to_items = sparse.csr_array((rows.values, rows.indices, rows.indptr), shape=(rows.n_rows, rows.n_cols))
        walk: Any = _chances(users_to_items.T, self.config.alpha) @ _chances(users_to_items, self.config.alpha)
        walk = sparse.csr_array(walk, dtype=np.float32)
        walk.setdiag(0)
        walk.eliminate_zeros()
        walk.sort_indices()
        none = np.empty(0, np.int64)
        self.weights = CSR(walk.indptr.astype(np.int64), walk.indices.astype(np.int32), walk.data, none, rows.n_cols)


def _chances(matrix: Any, alpha: float) -> Any:
    """Each row divided by its sum, to the power ``alpha``."""
    rows = sparse.csr_array(matrix, dtype=np.float64)
    sums = np.asarray(rows.sum(axis=1)).ravel()
    rows.data = (rows.data / np.repeat(np.where(sums > 0, sums, 1), np.diff(rows.indptr))) ** alpha
    return rows
