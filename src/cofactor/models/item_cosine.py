"""``item-cosine``: the nearest items by their common users: cosine, TF-IDF or BM25 weights (Deshpande & Karypis 2004),
or two-step walks that damp popular items (RP3beta, Paudel et al. 2017).

An item is a document and its users are the words: a user who has everything says little about any item. BM25 follows
Robertson & Walker (1994).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from cofactor.data.interactions import CSR, Interactions
from cofactor.errors import ConfigError
from cofactor.kernels.sums import row_sum
from cofactor.model import Cost, TableSize
from cofactor.models.base.age import check_half_life, half_life_option
from cofactor.models.base.config import Search, option
from cofactor.models.base.cost import COMPILED, COMPILING, GROUPED, GROUPING, TURNED
from cofactor.models.base.history_ranker import HistoryRanker
from cofactor.models.base.neighbours import nearest, walks
from cofactor.models.base.propensity import check_propensity, propensity_option
from cofactor.models.base.solve import SolveStepper
from cofactor.models.base.sparse import transposed
from cofactor.models.base.strength import check_min_weight

Array = NDArray[Any]

WEIGHTINGS = ("cosine", "tfidf", "bm25", "rp3beta")


@dataclass(frozen=True)
class ItemCosineConfig:
    """Parameters of ``item-cosine``."""

    weighting: str = option("bm25", "cosine, tfidf, bm25 or rp3beta", Search(choices=WEIGHTINGS))
    neighbours: int = option(200, "items kept for each item", Search(10, 500, log=True))
    k1: float = option(100.0, "bm25: how slowly the weight of a rating saturates", Search(0.5, 200.0, log=True))
    b: float = option(0.5, "bm25, rp3beta: damping of popular items, 0 to 1", Search(0.0, 1.0))
    shrink: float = option(
        50.0, "bm25, cosine: pseudo-ratings added to each item, which lower the weight of rare ones", Search(0.0, 100.0)
    )
    min_rating_weight: float = option(0.0, "weight of the lowest rating; the highest has 1", Search(0.0, 1.0))
    half_life: float = half_life_option()
    propensity: float = propensity_option()

    def __post_init__(self) -> None:
        check_min_weight(self.min_rating_weight)
        check_half_life(self.half_life)
        check_propensity(self.propensity)
        if self.weighting not in WEIGHTINGS:
            raise ConfigError(f"no weighting {self.weighting!r}; there are: {', '.join(WEIGHTINGS)}")
        if self.neighbours < 1:
            raise ConfigError(f"neighbours is {self.neighbours}; it must be at least 1")
        if not (self.k1 > 0 and 0 <= self.b <= 1 and self.shrink >= 0):
            raise ConfigError(
                f"k1={self.k1}, b={self.b}, shrink={self.shrink}: "
                "k1 must be above 0, b between 0 and 1, shrink at least 0"
            )


class ItemCosine(HistoryRanker):
    """Neighbours of items by cosine, TF-IDF or BM25 similarity of their users.

    ``weights`` are sparse: ``neighbours`` a row at most.
    """

    name: ClassVar[str] = "item-cosine"
    Config = ItemCosineConfig

    def __init__(self, config: ItemCosineConfig | None = None) -> None:
        super().__init__(config or ItemCosineConfig())

    @classmethod
    def cost(cls, config: ItemCosineConfig, size: TableSize) -> Cost:
        """Return the cost: the table by user, by item and again by user, with weights; the neighbours."""
        n, near = size.ratings, size.items * min(config.neighbours, size.items)
        found = min(near, size.pairs_by_user or near)  # of room for all neighbours, those that there are
        memory = (GROUPED + TURNED + GROUPING + 22) * n + 9 * (near + found) + 32 * (size.users + size.items)
        work = 8.0 * size.pairs_by_user + 2.5 * float(size.items) ** 2
        words = "sum over users of (ratings of the user)^2, and I^2"
        return Cost(memory, GROUPED * n + 8 * found, work, words, COMPILED, COMPILING)

    def stepper(self, data: Interactions, rng: np.random.Generator) -> SolveStepper:
        """Create the stepper. Nothing is computed before the first run."""
        rows = self.begin(data)
        return self.solving(rows, lambda: self._solve(rows))

    def _solve(self, rows: CSR) -> None:
        c = self.config
        if c.weighting == "rp3beta":
            self.weights = walks(rows, 1.0, c.b, 1.0, c.neighbours)
        else:
            self.weights = nearest(item_weights(transposed(rows), c), c.neighbours)


def item_weights(by_item: CSR, c: ItemCosineConfig) -> CSR:
    """Reweight rows of items over users, so that products of rows are similarities."""
    idf = user_idf(np.bincount(by_item.indices, minlength=by_item.n_cols), by_item.n_rows)[by_item.indices]
    sums = item_sums(by_item.indptr, by_item.values, idf, c)
    norms = item_norms(sums, float(row_sum(sums)) / max(len(sums), 1), c)
    item = np.repeat(np.arange(by_item.n_rows), by_item.counts)
    return by_item._replace(values=entry_weights(by_item.values, idf, norms[item], c))


def user_idf(counts: Array, n_items: int) -> Array:
    """Return float64: the weight of a user who has ``counts`` items. It falls with their number."""
    return np.asarray(np.log(max(n_items, 1)) - np.log1p(counts))


def item_sums(indptr: Array, values: Array, idf: Array, c: ItemCosineConfig) -> Array:
    """Return float64 (n_items,): for bm25 the sums of each item's ratings, including ``shrink`` pseudo-ratings; else
    its squared length.

    ``idf``: that of each entry's user.
    """
    item = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
    x = values.astype(np.float64)
    if c.weighting == "tfidf":
        x = np.sqrt(x) * idf
    sums = np.bincount(item, x if c.weighting == "bm25" else x * x, minlength=len(indptr) - 1)
    return np.asarray(sums + (0.0 if c.weighting == "tfidf" else c.shrink))


def item_norms(sums: Array, mean: float, c: ItemCosineConfig) -> Array:
    """Return float64 (n_items,): for bm25 how much of a rating's weight saturates; else the length of the item's
    row."""
    if c.weighting == "bm25":
        return np.asarray(1 - c.b + c.b * sums / max(mean, 1e-30))
    return np.maximum(np.sqrt(sums), 1e-30)


def entry_weights(values: Array, idf: Array, norms: Array, c: ItemCosineConfig) -> Array:
    """Return float32: the weight of each entry, with the ``idf`` of its user and the norm of its item."""
    x = values.astype(np.float64)
    if c.weighting == "bm25":
        return np.asarray(x * (c.k1 + 1) / (c.k1 * norms + x) * idf, dtype=np.float32)
    return np.asarray((np.sqrt(x) * idf if c.weighting == "tfidf" else x) / norms, dtype=np.float32)
