"""``ease``: item weights in closed form, without a diagonal (Steck 2019, "Embarrassingly shallow autoencoders")."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from cofactor._blas import one_thread
from cofactor.data.interactions import CSR, Interactions
from cofactor.errors import ConfigError
from cofactor.kernels.blocks import over_rows
from cofactor.kernels.similarity import gram_rows, mirror_rows
from cofactor.model import Cost, TableSize
from cofactor.models.base.config import Search, option
from cofactor.models.base.cost import COMPILED, GROUPED, GROUPING, TURNED, WORK
from cofactor.models.base.rankers import HistoryRanker, SolveStepper, check_min_weight
from cofactor.models.base.sparse import transposed

Array = NDArray[Any]


@dataclass(frozen=True)
class EaseConfig:
    """Parameters of ``ease``."""

    reg: float = option(200.0, "added to the diagonal of the items' Gram matrix", Search(20.0, 5000.0, log=True))
    min_rating_weight: float = option(0.0, "weight of the lowest rating; the highest has 1", Search(0.0, 1.0))
    max_gb: float = option(8.0, "refuse to start where more memory than this would be needed", endless=True)

    def __post_init__(self) -> None:
        check_min_weight(self.min_rating_weight)
        if not self.reg > 0:
            raise ConfigError(f"reg is {self.reg}; it must be above 0")


class Ease(HistoryRanker):
    """EASE (Steck, 2019): a dense item-item model in closed form.

    ``weights`` are dense, float32 (n_items, n_items).
    """

    name: ClassVar[str] = "ease"
    Config = EaseConfig

    def __init__(self, config: EaseConfig | None = None) -> None:
        super().__init__(config or EaseConfig())

    @classmethod
    def cost(cls, config: EaseConfig, size: TableSize) -> Cost:
        """The table by user and by item; one square matrix of the items, inverted in place."""
        n, items = size.ratings, float(size.items)
        kept = GROUPED * n + 4 * items**2
        memory = max((2 * GROUPING) * n, (GROUPED + TURNED + 4) * n + 4 * items**2 + WORK) + 24 * size.users
        work = 0.05 * items**3 + 5 * size.pairs_by_user
        return Cost(memory, kept, work, "I^3; I x I matrix in memory", COMPILED)

    def stepper(self, data: Interactions, rng: np.random.Generator) -> SolveStepper:
        """ConfigError, with a forecast, where the matrix would not fit ``max_gb``."""
        check_memory(self.name, data.n_items, 1, self.config.max_gb)
        rows = self.begin(data)
        return SolveStepper(lambda: self._solve(rows))

    def _solve(self, rows: CSR) -> None:
        self.weights = ease_weights(gram(rows), self.config.reg)


def check_memory(name: str, n_items: int, matrices: int, max_gb: float) -> None:
    """ConfigError where so many dense n_items² float32 matrices exceed ``max_gb``."""
    need = 4e-9 * matrices * n_items**2
    if need > max_gb:
        raise ConfigError(
            f"{name} needs {need:.1f} GB for {n_items:,} items, more than max_gb={max_gb:g}; "
            "leave out rare items, raise max_gb, or take ials or item-cosine, which need no square matrix"
        )


def gram(rows: CSR) -> Array:
    """float32 (n_items, n_items): the products of the items' columns, in the upper half; the lower half is not set."""
    by_item = transposed(rows)
    out = np.empty((rows.n_cols, rows.n_cols), dtype=np.float32)
    over_rows(
        lambda a, b: gram_rows(
            a, b, by_item.indptr, by_item.indices, by_item.values, rows.indptr, rows.indices, rows.values, out
        ),
        by_item.indptr,
    )
    return out


def ease_weights(upper: Array, reg: float) -> Array:
    """Steck's eq. 8, ``-P / diag(P)`` with ``P = (G + reg I)^-1``, in the memory of G; zeros on the diagonal."""
    from scipy.linalg import lapack

    diagonal = np.einsum("ii->i", upper)
    diagonal += np.float32(reg)
    with one_thread():
        factor, fault = lapack.spotrf(upper.T, lower=1, clean=0, overwrite_a=1)
        if not fault:
            inverse, fault = lapack.spotri(factor, lower=1, overwrite_c=1)
    if fault:
        raise ConfigError(f"the Gram matrix of the items is not positive enough for reg={reg:g}; raise reg")
    weights: Array = inverse.T
    mirror_rows(0, len(weights), weights)
    weights /= -np.diagonal(weights).copy()
    np.einsum("ii->i", weights)[:] = 0
    return weights
