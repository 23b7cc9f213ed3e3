"""``bpr`` and ``warp``: factors learned from pairs, an item that a user has against one that the user does not have.

Rendle, Freudenthaler, Gantner & Schmidt-Thieme (2009); Weston, Bengio & Usunier (2011). The two differ in how they draw
the other item. Training is serial, hence deterministic.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from cofactor.data.interactions import CSR, Interactions
from cofactor.errors import ConfigError
from cofactor.kernels import bpr as kernel
from cofactor.kernels.blocks import over_rows
from cofactor.model import Cost, Hyper, State, Stepper, TableSize
from cofactor.models.base.age import popularity
from cofactor.models.base.arrays import fitted
from cofactor.models.base.config import GradientConfig, Search, option
from cofactor.models.base.cost import COMPILED, GROUPED
from cofactor.models.base.factor_ranker import FactorRanker
from cofactor.models.base.pairwise import moved_without
from cofactor.models.base.strength import check_min_weight, strength_of, weighted

Array = NDArray[Any]

FOLDED = 20
"""Up to this many entries, the effect of leaving one out is found by fold-ins."""


@dataclass(frozen=True)
class BprConfig(GradientConfig):
    """Parameters of ``bpr``."""

    n_factors: int = option(64, "length of the embeddings", Search(16, 256, log=True))
    epochs: int = option(150, "passes over the rows", Search(20, 200, log=True))
    lr: float = option(0.02, "learning rate", Search(0.005, 0.2, log=True))
    reg: float = option(0.01, "decay of the rows of each pair", Search(0.0005, 0.2, log=True))
    min_rating_weight: float = option(0.0, "weight of the lowest rating; the highest has 1", Search(0.0, 1.0))

    def __post_init__(self) -> None:
        check_min_weight(self.min_rating_weight)
        if self.n_factors < 1 or self.epochs < 1:
            raise ConfigError(f"n_factors={self.n_factors}, epochs={self.epochs}: both must be at least 1")
        if not (self.lr > 0 and self.reg >= 0 and self.lr * self.reg < 1):
            raise ConfigError(
                f"lr={self.lr}, reg={self.reg}: lr must be above 0, reg at least 0, their product below 1"
            )


@dataclass(frozen=True)
class WarpConfig(BprConfig):
    """Parameters of ``warp``."""

    epochs: int = option(40, "passes over the rows", Search(5, 100, log=True))
    reg: float = option(0.05, "decay of the rows of each pair", Search(0.0005, 0.2, log=True))
    trials: int = option(30, "maximal number of other items drawn, until one scores too high", Search(5, 100, log=True))
    margin: float = option(1.0, "margin by which an item that the user has should score higher")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.trials < 1:
            raise ConfigError(f"trials is {self.trials}; it must be at least 1")


class Bpr(FactorRanker):
    """BPR (Rendle et al., 2009): factors and item biases that rank taken items before others, pair by pair."""

    name: ClassVar[str] = "bpr"
    Config: ClassVar[type[BprConfig]] = BprConfig

    def __init__(self, config: BprConfig | None = None) -> None:
        super().__init__(config or self.Config())

    @classmethod
    def cost(cls, config: BprConfig, size: TableSize) -> Cost:
        """Return the cost: the table by user with weights, the order of a pass; both tables, and one of them again at
        the start."""
        n, k = size.ratings, config.n_factors
        tables = 4 * (k + 1) * (size.users + size.items)
        kept = (GROUPED + 8) * n + tables
        trials = isinstance(config, WarpConfig)
        work = (18.0 if trials else 8.0) * config.epochs * n * k
        more = ", more as it gets better" if trials else ""
        memory = kept + 6 * n + 64 * size.users + max(8 * n, 4 * k * max(size.users, size.items))
        return Cost(memory, kept, work, f"{config.epochs} epochs x n x k={k}{more}", COMPILED)

    def stepper(self, data: Interactions, rng: np.random.Generator) -> BprStepper:
        """Begin with small random factors and no biases."""
        return BprStepper(self, data, rng)

    def fold_in(self, histories: CSR) -> Array:
        """Run the same passes over the user's rows alone, with items held fixed: float32 (n, k). A user's result does
        not depend on the others of the block."""
        items, bias = (np.require(a, requirements="W") for a in (self.factors("item"), self.bias("item")))
        c = self.config
        rows = weighted(histories, fitted(self.range, self.name), c.min_rating_weight)
        out = np.zeros((rows.n_rows, items.shape[1]), dtype=np.float32)
        owner = np.repeat(np.arange(rows.n_rows, dtype=np.int32), rows.counts)
        fixed = (np.require(a, requirements="W") for a in (rows.indptr, rows.indices, rows.values))
        arrays = (owner, *fixed, out, items, bias, c.lr, c.reg, *draws(c))
        over_rows(lambda a, b: kernel.fold_rows(a, b, c.epochs, *arrays), rows.indptr, small=1000)
        return out

    def scores_without(self, history: CSR, positions: Array, items: Array) -> Array:
        """Return float64 (len(items), 1 + len(positions)): for short histories by a fold-in of each remainder, for
        longer ones by Newton steps (``base/pairwise.py``)."""
        at = np.asarray(positions)
        if len(history.indices) <= FOLDED:
            states = self.fold_in(history.without_each(at)).astype(np.float64)
        else:
            limits, c = fitted(self.range, self.name), self.config
            weights = weighted(history, limits, c.min_rating_weight).values
            whole = self.fold_in(history)[0]
            moved = moved_without(whole, history.indices, weights, self.factors("item"), self.bias("item"), c.reg)
            states = np.concatenate([np.zeros((1, len(whole))), moved[at]]) + whole
        wanted = np.asarray(items)
        factors, bias = self.factors("item")[wanted].astype(np.float64), self.bias("item")[wanted]
        found: Array = np.einsum("ik,sk->is", factors, states) + bias[:, None]
        nothing = ~states.any(axis=1)
        found[:, nothing] = fitted(self.popularity, self.name)[wanted, None]
        return found


class Warp(Bpr):
    """WARP (Weston, Bengio & Usunier, 2011): factors and item biases, pushed hardest where ranks are bad."""

    name: ClassVar[str] = "warp"
    scores_without = None  # type: ignore[assignment]  # its loss jumps: there is no Newton step
    Config: ClassVar[type[BprConfig]] = WarpConfig


class BprStepper(Stepper):
    """Passes over the rows in a new random order each time."""

    def __init__(self, model: Bpr, data: Interactions, rng: np.random.Generator) -> None:
        k = model.config.n_factors
        self.model = model
        model.range, model.popularity = strength_of(data), popularity(data)
        model.mean_count = np.array(len(data) / max(data.n_users, 1))
        self.rows = weighted(data.by_user, model.range, model.config.min_rating_weight)
        self.owner = np.repeat(np.arange(data.n_users, dtype=np.int32), self.rows.counts)
        model.user_factors, model.item_factors = (
            rng.standard_normal((n, k), dtype=np.float32) * np.float32(0.1 / np.sqrt(k))
            for n in (data.n_users, data.n_items)
        )
        model.user_factors[self.rows.counts == 0] = 0
        model.item_bias = np.zeros(data.n_items, dtype=np.float32)
        self.random = rng.integers(0, 2**63, 2).astype(np.uint64)
        self.passes = 0

    def run(self, rows: Array | None, hyper: Hyper | None) -> Array:
        """Run one pass. Returns its mean loss."""
        order = np.random.default_rng([int(self.random[0]), self.passes]).permutation(len(self.owner))
        m = self.model
        users, items, bias = m.factors("user"), m.factors("item"), m.bias("item")
        r, c = self.rows, m.config
        arrays = (r.indptr, r.indices, r.values, users, items, bias, c.lr, c.reg, *draws(c), self.random[1:])
        loss: float = kernel.epoch(order, self.owner, *arrays, True)
        self.passes += 1
        return np.array([loss])

    def snapshot(self) -> State:
        """Return copies of the factors and biases, and the state of the random numbers."""
        m = self.model
        tables = {"users": m.factors("user"), "items": m.factors("item"), "bias": m.bias("item"), "random": self.random}
        return {**{name: table.copy() for name, table in tables.items()}, "passes": np.array(self.passes)}

    def restore(self, state: Mapping[str, Array]) -> None:
        """Restore a snapshot."""
        m = self.model
        m.factors("user")[:], m.factors("item")[:], m.bias("item")[:] = state["users"], state["items"], state["bias"]
        self.random[:] = state["random"]
        self.passes = int(state["passes"])


def draws(c: BprConfig) -> tuple[int, float]:
    """Return the kernel's ``trials`` and ``margin``."""
    return (c.trials, c.margin) if isinstance(c, WarpConfig) else (0, 0.0)
