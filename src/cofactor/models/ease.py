"""``ease``: item weights in closed form, with a zero diagonal (Steck 2019, "Embarrassingly shallow autoencoders")."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from cofactor.data.interactions import CSR, Interactions
from cofactor.errors import ConfigError
from cofactor.kernels.blocks import over_rows
from cofactor.kernels.similarity import gram_rows, mirror_rows
from cofactor.model import Cost, TableSize
from cofactor.models.base.age import check_half_life, half_life_option
from cofactor.models.base.config import Search, option
from cofactor.models.base.cost import COMPILED, GROUPED, GROUPING, TURNED, WORK
from cofactor.models.base.history_ranker import HistoryRanker
from cofactor.models.base.inner import InnerSplit, hold_entries, inner_ndcg, kept_entries
from cofactor.models.base.inverse import inverse_in_place
from cofactor.models.base.local_ridge import (
    HEADS,
    diagonal_of,
    gram_entries,
    local_ridge,
    neighbours_of,
    ridge_each,
    sparse_gram,
)
from cofactor.models.base.propensity import check_propensity, propensity_option
from cofactor.models.base.solve import SolveStepper
from cofactor.models.base.sparse import times, transposed
from cofactor.models.base.strength import check_min_weight

Array = NDArray[Any]


@dataclass(frozen=True)
class EaseConfig:
    """Parameters of ``ease``."""

    reg: float = option(200.0, "added to the diagonal of the items' Gram matrix", Search(20.0, 5000.0, log=True))
    min_rating_weight: float = option(0.0, "weight of the lowest rating; the highest has 1", Search(0.0, 1.0))
    half_life: float = half_life_option()
    propensity: float = propensity_option()
    dropout: float = option(
        0.0, "denoising: the probability that an item is missing from a history (Steck 2020); 0: none", Search(0.0, 0.7)
    )
    neighbours: int | None = option(
        None, "number of nearest items that each item is regressed on; 0: all; none: 150 if there are over 8,000 items"
    )
    local_reg: float | None = option(
        None, "neighbours: added to the diagonal; none: chosen on a part of the items inside training"
    )
    max_gb: float = option(8.0, "refuse to start if more memory than this is needed", endless=True)

    def __post_init__(self) -> None:
        check_min_weight(self.min_rating_weight)
        check_half_life(self.half_life)
        check_propensity(self.propensity)
        if not self.reg > 0:
            raise ConfigError(f"reg is {self.reg}; it must be above 0")
        if self.local_reg is not None and not self.local_reg > 0:
            raise ConfigError(f"local_reg is {self.local_reg}; it must be above 0")
        if self.neighbours is not None and self.neighbours < 0:
            raise ConfigError(f"neighbours is {self.neighbours}; it must be at least 1, or 0 for all items")
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"dropout is {self.dropout}; it must be at least 0 and below 1")


class Ease(HistoryRanker):
    """EASE (Steck, 2019): a linear item-item model in closed form, dense or on each item's nearest items.

    ``weights`` are float32 (n_items, n_items), dense; with ``neighbours``, CSR.
    """

    name: ClassVar[str] = "ease"
    Config = EaseConfig

    def __init__(self, config: EaseConfig | None = None) -> None:
        super().__init__(config or EaseConfig())
        self.local_reg: float | None = None

    def settled(self) -> EaseConfig:
        """Return the config with the penalty that training chose, if it chose one."""
        return replace(self.config, local_reg=self.local_reg)  # type: ignore[no-any-return]

    @classmethod
    def cost(cls, config: EaseConfig, size: TableSize) -> Cost:
        """Return the cost: the table by user and by item; one square matrix of the items, inverted in place, or the
        sparse Gram matrix and the neighbours."""
        n, items, k = size.ratings, float(size.items), near_of(config, size.items)
        if k:
            near, entries = items * k, min(size.pairs_by_user, items**2)
            memory = (2 * GROUPING + 2 * TURNED + 16) * n + 16 * entries + 40 * near + WORK + 24 * size.users
            memory += 4 * min(items, HEADS) ** 2
            work = 10.0 * size.pairs_by_user + 0.3 * near * k**2
            return Cost(memory, GROUPED * n + 8 * near, work, "I x neighbours^3", COMPILED)
        kept = GROUPED * n + 4 * items**2
        memory = max((2 * GROUPING) * n, (GROUPED + TURNED + 4) * n + 4 * items**2 + WORK) + 24 * size.users
        work = 0.05 * items**3 + 5 * size.pairs_by_user
        return Cost(memory, kept, work, "I^3; I x I matrix in memory", COMPILED)

    def stepper(self, data: Interactions, rng: np.random.Generator) -> SolveStepper:
        """Raise ConfigError, with a forecast, if the matrix would not fit ``max_gb``."""
        k = near_of(self.config, data.n_items)
        if not k:
            check_memory(self.name, data.n_items, 1, self.config.max_gb)
        rows = self.begin(data)
        seed = int(rng.integers(2**63))
        return self.solving(rows, lambda: self._solve(rows, k, seed))

    def _solve(self, rows: CSR, k: int, seed: int) -> None:
        c = self.config
        if k:
            self.weights, self.local_reg = near_weights(rows, k, c, np.random.default_rng([seed, 1]), self.worth)
            return
        upper = gram(rows)
        if c.dropout:
            diagonal = np.einsum("ii->i", upper)
            diagonal *= np.float32(1 / (1 - c.dropout))
        self.weights = ease_weights(upper, c.reg)


MANY, NEAREST = 8_000, 150
"""From this many items on, each is regressed only on its nearest; and the number of those."""
USER_POWER = 0.5
"""With neighbours, a user's row weighs its length to the power of minus this."""
LOCAL_REGS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
"""Penalties tried, in units of the mean of the diagonal."""
PART, USERS, HELD = 0.15, 1500, 0.2
"""The penalty is chosen on this share of the items, this many users, and this share of their entries."""
SHRINK = 1.0
"""Added to the denominator of the cosine between items."""


def near_of(config: EaseConfig, n_items: int) -> int:
    """Return on how many nearest items each is regressed; 0: on all."""
    if config.neighbours is not None:
        return config.neighbours
    dense = n_items <= MANY and 4e-9 * n_items**2 <= config.max_gb
    return 0 if dense else NEAREST


def near_weights(
    rows: CSR, k: int, c: EaseConfig, rng: np.random.Generator, worth: Array | None = None
) -> tuple[CSR, float]:
    """Return the ridge weights of each item on its ``k`` nearest, and the penalty, which is chosen if it is not
    given."""
    indptr = gram_entries(rows)
    check_entries(int(indptr[-1]), c.max_gb)
    reg = chosen_reg(rows, k, c, rng, worth) if c.local_reg is None else c.local_reg
    matrix = sparse_gram(by_length(rows), indptr)
    return local_ridge(matrix, k, penalties(diagonal_of(matrix), reg, c.dropout), SHRINK), reg


def check_entries(entries: int, max_gb: float) -> None:
    """Raise ConfigError if a sparse Gram matrix with this many entries exceeds ``max_gb``."""
    need = 8e-9 * entries
    if need > max_gb:
        raise ConfigError(
            f"ease needs {need:.1f} GB for the items that share users, more than max_gb={max_gb:g}; "
            "raise max_gb, or use graph-filter, item-cosine or ials"
        )


def by_length(rows: CSR) -> CSR:
    """Return rows weighted so that a user counts its number of entries to the power of minus ``USER_POWER``."""
    weights = np.maximum(rows.counts, 1) ** (-USER_POWER / 2)
    values = rows.values * np.repeat(weights, rows.counts)
    return rows._replace(values=values.astype(np.float32))


def penalties(diagonal: Array, reg: float, dropout: float) -> Array:
    """Return float32 (n_items,): the addition to the diagonal, including EDLAE's part for ``dropout``."""
    return np.asarray(np.float32(reg) + np.float32(dropout / (1 - dropout)) * diagonal)


def chosen_reg(rows: CSR, k: int, c: EaseConfig, rng: np.random.Generator, worth: Array | None = None) -> float:
    """Return the penalty that ranks held-out entries best, among a part of the items: only these are regressed."""
    split = hold_entries(rows, USERS, HELD, rng, worth)
    part = part_of(rows.n_cols, rng)
    matrix = sparse_gram(by_length(split.rows), gram_entries(split.rows))
    diagonal = diagonal_of(matrix)
    near, count = neighbours_of(matrix, k, SHRINK, part)

    def regressed(some: list[float]) -> Iterable[CSR]:
        return ridge_each(matrix, near, count, np.stack([penalties(diagonal, reg, c.dropout) for reg in some]))

    return best_reg(split, part, rows.n_cols, regs_of(diagonal), regressed)


def part_of(n_items: int, rng: np.random.Generator) -> Array:
    """Return int64, ascending: the items that are regressed while the penalty is chosen."""
    return np.sort(rng.permutation(n_items)[: max(round(PART * n_items), min(n_items, 500))])


def regs_of(diagonal: Array) -> list[float]:
    """Return the candidate penalties."""
    mean = max(float(diagonal.mean(dtype=np.float64)), 1e-6)
    return [step * mean for step in LOCAL_REGS]


def best_reg(
    split: InnerSplit, part: Array, n_items: int, regs: list[float], regressed: Callable[[list[float]], Iterable[CSR]]
) -> float:
    """Return the penalty of ``regs`` (ascending) whose weights rank the held-out entries best among the items ``part``.

    ``regressed``: penalties -> the weights with each. Three in the middle are tried first. While the best is the lowest
    or the highest tried so far, the next one on that side is tried too. Of equal ones the highest is chosen.
    """
    place = np.full(n_items, -1, dtype=np.int32)
    place[part] = np.arange(len(part), dtype=np.int32)
    some = _among(split, place, len(part))
    first = max(len(regs) // 2 - 2, 0)
    found: dict[int, float] = {}
    wanted = list(range(first, min(first + 3, len(regs))))
    while wanted:
        for at, weights in zip(wanted, regressed([regs[at] for at in wanted]), strict=True):
            scores = times(split.seen.take(some.users), weights)[:, part]
            found[at] = inner_ndcg(some, scores[None], np.ones(1))
        best = max(found, key=lambda at: (found[at], at))
        wanted = [at for at in (best - 1, best + 1) if 0 <= at < len(regs) and at not in found]
    return regs[best]


def _among(split: InnerSplit, place: Array, n: int) -> InnerSplit:
    """Return the split with items renumbered by ``place`` (-1: left out), and only users (positions) with a wanted
    item."""

    def renumbered(part: CSR) -> CSR:
        kept = kept_entries(part, place[part.indices] >= 0)
        return kept._replace(indices=place[kept.indices], n_cols=n)

    wanted = renumbered(split.wanted)
    users = np.flatnonzero(wanted.counts > 0)
    return InnerSplit(split.rows, users, renumbered(split.seen).take(users), wanted.take(users))


def check_memory(name: str, n_items: int, matrices: int, max_gb: float) -> None:
    """Raise ConfigError if this many dense n_items² float32 matrices exceed ``max_gb``."""
    need = 4e-9 * matrices * n_items**2
    if need > max_gb:
        raise ConfigError(
            f"{name} needs {need:.1f} GB for {n_items:,} items, more than max_gb={max_gb:g}; "
            "leave out rare items, raise max_gb, or use ials or item-cosine, which need no square matrix"
        )


def gram(rows: CSR) -> Array:
    """Return float32 (n_items, n_items): the products of the items' columns in the upper half; the lower half is not
    set."""
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
    """Compute Steck's eq. 8, ``-P / diag(P)`` with ``P = (G + reg I)^-1``, in the memory of G, with a zero diagonal."""
    diagonal = np.einsum("ii->i", upper)
    diagonal += np.float32(reg)
    if not inverse_in_place(upper):
        raise ConfigError(f"the Gram matrix of the items is not positive definite with reg={reg:g}; raise reg")
    weights = upper
    mirror_rows(0, len(weights), weights)
    weights /= -np.diagonal(weights).copy()
    np.einsum("ii->i", weights)[:] = 0
    return weights
