"""``slim``: sparse item weights, by an elastic net for each item (Ning & Karypis 2011)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from cofactor.data.interactions import CSR, Interactions, csr
from cofactor.errors import ConfigError
from cofactor.kernels.blocks import over_rows
from cofactor.kernels.similarity import mirror_rows
from cofactor.kernels.slim import solve_columns
from cofactor.model import Cost, TableSize
from cofactor.models.base.age import check_half_life, half_life_option
from cofactor.models.base.config import Search, option
from cofactor.models.base.cost import COMPILED, GROUPED, GROUPING, TURNED, WORK
from cofactor.models.base.history_ranker import HistoryRanker
from cofactor.models.base.propensity import check_propensity, propensity_option
from cofactor.models.base.solve import SolveStepper
from cofactor.models.base.strength import check_min_weight
from cofactor.models.ease import check_memory, gram

Array = NDArray[Any]

_COLUMNS = 1024
"""Number of columns solved at a time; they are dense until they are done."""


@dataclass(frozen=True)
class SlimConfig:
    """Parameters of ``slim``."""

    l1: float = option(1.0, "penalty on the size of a weight: the larger, the sparser", Search(0.1, 50.0, log=True))
    l2: float = option(100.0, "penalty on the square of a weight", Search(5.0, 2000.0, log=True))
    positive: bool = option(True, "weights may not be negative", Search(choices=(True, False)))
    min_rating_weight: float = option(0.0, "weight of the lowest rating; the highest has 1", Search(0.0, 1.0))
    half_life: float = half_life_option()
    propensity: float = propensity_option()
    passes: int = option(60, "maximal number of passes of coordinate descent")
    tolerance: float = option(1e-3, "stop when no weight changes by more than this fraction of the largest")
    max_gb: float = option(8.0, "refuse to start if more memory than this is needed", endless=True)

    def __post_init__(self) -> None:
        check_min_weight(self.min_rating_weight)
        check_half_life(self.half_life)
        check_propensity(self.propensity)
        if not (self.l1 >= 0 and self.l2 >= 0 and self.l1 + self.l2 > 0):
            raise ConfigError(f"l1 is {self.l1} and l2 is {self.l2}; they must be 0 or more, one of them above 0")
        if self.passes < 1:
            raise ConfigError(f"passes is {self.passes}; it must be at least 1")


class Slim(HistoryRanker):
    """SLIM (Ning & Karypis, 2011): a sparse item-item model by elastic net.

    ``weights`` are sparse.
    """

    name: ClassVar[str] = "slim"
    Config = SlimConfig

    def __init__(self, config: SlimConfig | None = None) -> None:
        super().__init__(config or SlimConfig())

    @classmethod
    def cost(cls, config: SlimConfig, size: TableSize) -> Cost:
        """Return the cost of ``ease``, and the resulting weights: 200 per item at ``l1=1``, where some 150 were
        found."""
        n, items = size.ratings, float(size.items)
        found = items * min(items, 200 / max(config.l1, 1e-6))
        kept = GROUPED * n + TURNED * found
        memory = max(2 * GROUPING * n, (GROUPED + TURNED + 4) * n + 4 * items**2 + 56 * found + WORK)
        each = min(0.6 + 0.09 * n / max(items, 1.0), 15.0)  # most passes go over the few weights that are not zero
        work = each * config.passes * items**2 + 5 * size.pairs_by_user
        return Cost(memory, kept, work, "I^2 x passes; I x I matrix in memory", COMPILED)

    def stepper(self, data: Interactions, rng: np.random.Generator) -> SolveStepper:
        """Raise ConfigError, with a forecast, if the items' Gram matrix would not fit ``max_gb``."""
        check_memory(self.name, data.n_items, 1, self.config.max_gb)
        rows = self.begin(data)
        return self.solving(rows, lambda: self._solve(rows))

    def _solve(self, rows: CSR) -> None:
        c = self.config
        self.weights = slim_weights(gram(rows), c.l1, c.l2, c.positive, c.passes, c.tolerance)


def slim_weights(gram: Array, l1: float, l2: float, positive: bool, passes: int, tolerance: float) -> CSR:
    """Return a sparse matrix whose column ``j`` holds the contributions of each item to item ``j``. Only the upper half
    of ``gram`` is read; the lower half is filled in place."""
    n = len(gram)
    mirror_rows(0, n, gram)
    items, targets, values = [], [], []
    for offset in range(0, n, _COLUMNS):
        size = min(_COLUMNS, n - offset)
        out = np.zeros((size, n), dtype=np.float32)
        cost = np.arange(size + 1, dtype=np.int64) * n
        over_rows(
            lambda a, b, at=offset, out=out: solve_columns(a, b, at, gram, l1, l2, positive, passes, tolerance, out),  # type: ignore[misc]
            cost,
        )
        target, item = np.nonzero(out)
        items.append(item.astype(np.int32))
        targets.append((target + offset).astype(np.int32))
        values.append(out[target, item])
    found = csr(np.concatenate(items), np.concatenate(targets), np.concatenate(values), n, n)
    return found._replace(rows=np.empty(0, dtype=np.int64))
