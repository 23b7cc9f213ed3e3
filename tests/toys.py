"""Shared helpers of the tests: tables with a known structure, small models, and ways to train them."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

import cofactor as cf
from cofactor.data.ids.factorize import id_map
from cofactor.data.ids.id_map import IdMap
from cofactor.data.interactions import CSR, Columns, Interactions, csr
from cofactor.model import Hyper
from cofactor.models import model_class
from cofactor.models.bayes_mf.config import BayesMFConfig
from cofactor.models.bayes_mf.model import BayesMF
from cofactor.models.dot_bias.config import DotBiasConfig
from cofactor.models.dot_bias.model import DotBias

Array = NDArray[Any]


def planted_factors(
    n: int = 3000, n_users: int = 40, n_items: int = 60, seed: int = 0, power: float = 1.0
) -> Interactions:
    """Return ratings from planted factors. ``power`` skews how often each row is rated."""
    rng = np.random.default_rng(seed)
    users = (n_users * rng.random(n) ** power).astype(np.int32)
    items = (n_items * rng.random(n) ** power).astype(np.int32)
    u, v = rng.normal(size=(n_users, 3)), rng.normal(size=(n_items, 3))
    values = np.clip(np.round(3.5 + 0.7 * (u[users] * v[items]).sum(1) + 0.2 * rng.normal(size=n)), 1, 5).astype(
        np.float32
    )
    return Interactions(
        users, items, values, None, IdMap(pl.Series(range(n_users)), "user"), IdMap(pl.Series(range(n_items)), "item")
    )


def one_cycle(n: int, lr: float) -> tuple[Array, Array]:
    p = np.arange(n) / n
    up = p < 0.25

    def cos(a: float, b: float, x: Array) -> Array:
        return a + (1 - np.cos(np.pi * x)) * (b - a) / 2

    rates = np.where(up, cos(lr / 25, lr, p / 0.25), cos(lr, lr / 1e5, (p - 0.25) / 0.75))
    return rates, np.where(up, cos(0.95, 0.85, p / 0.25), cos(0.85, 0.95, (p - 0.25) / 0.75))


def batches(
    data: Interactions, bs: int, lr: float, wd: float, epochs: int, constant: bool = False
) -> tuple[Array, Hyper]:
    rng = np.random.default_rng(1)
    n = len(data) // bs
    rows = np.concatenate([rng.permutation(len(data))[: n * bs] for _ in range(epochs)])
    rates, momenta = one_cycle(n * epochs, lr)
    if constant:
        rates, momenta = np.full(n * epochs, lr), np.full(n * epochs, 0.9)
    return rows, Hyper(rates, momenta, wd, bs)


def strata_stepper(data: Interactions, parallel: str, seed: int = 3) -> Any:
    config = DotBiasConfig(n_factors=20, y_range=(0.0, 5.5), parallel=parallel)
    return DotBias(config).stepper(data, np.random.default_rng(seed))


def two_tastes(n_users=60, n_items=40, seed=0):
    """Return ratings of two tastes, with genres and years in the side table. Items from 100 on are liked by the first
    half of the users."""
    rng = np.random.default_rng(seed)
    users, items = np.nonzero(rng.random((n_users, n_items)) < 0.4)
    own = (users < n_users // 2) == (items < n_items // 2)
    rating = np.clip(np.where(own, 4.4, 2.2) + rng.normal(0, 0.4, len(users)), 1, 5).round(1)
    side = pl.DataFrame(
        {
            "item": np.arange(n_items) + 100,
            "genres": [("A" if i < n_items // 2 else "B") + ("|C" if i % 3 == 0 else "") for i in range(n_items)],
            "year": [1980 + i for i in range(n_items)],
        }
    )
    return cf.read(pl.DataFrame({"user": users + 1, "item": items + 100, "rating": rating}), items=side)


class TableModel:
    """A fake trained model: its scores and predictions are a table; unknown ids get 3."""

    name: ClassVar[str] = "table"
    task: ClassVar[Any] = "rating"
    config: Any = None

    def __init__(self, scores: NDArray, task: str = "rating") -> None:
        self.table = scores.astype(np.float32)
        self.task = task  # type: ignore[misc]
        self.asked: list[int] = []

    def stepper(self, data: Interactions, rng: np.random.Generator) -> Any:
        raise NotImplementedError

    def predict(self, users: NDArray, items: NDArray, times: NDArray | None = None) -> NDArray:
        known = (users >= 0) & (items >= 0)
        return np.where(known, self.table[users, items], 3).astype(np.float32)

    def scores(self, users: NDArray) -> NDArray:
        self.asked.append(len(users))
        return self.table[users]

    def state(self) -> dict[str, NDArray]:
        return {"table": self.table}

    @classmethod
    def from_state(cls, config: Any, state: Any) -> TableModel:
        return cls(state["table"])


def random_ratings(n_users: int = 40, n_items: int = 30, seed: int = 0, density: float = 0.6) -> Interactions:
    rng = np.random.default_rng(seed)
    users, items = np.nonzero(rng.random((n_users, n_items)) < density)
    order = rng.permutation(len(users))
    return Interactions(
        users[order].astype(np.int32),
        items[order].astype(np.int32),
        rng.integers(1, 6, len(users)).astype(np.float32),
        np.arange(len(users)),
        id_map(pl.Series([f"u{i:03}" for i in range(n_users)]), "user"),
        id_map(pl.Series(range(100, 100 + n_items)), "item"),
        Columns("user", "item", "rating", "time"),
    )


RANKERS = ["popular", "item-cosine", "ease", "slim", "ials", "bpr", "warp", "blend"]


SMALL_RANKERS: dict[str, dict[str, Any]] = {
    "item-cosine": {"k1": 10.0, "b": 0.2, "shrink": 0.0},
    "ease": {"reg": 2.0},
    "slim": {"l1": 0.1, "l2": 1.0},
    "ials": {"n_factors": 20, "reg": 5.0},
    "bpr": {"n_factors": 16, "epochs": 200, "reg": 0.002},
    "warp": {"n_factors": 4, "epochs": 60, "reg": 0.1},
    "blend": {"models": ("ease", "item-cosine", "ials")},
}


def interactions(users: Any, items: Any, values: Any, n_users: int, n_items: int, times: Any = None) -> Interactions:
    ids = (IdMap(pl.Series(np.arange(n)), kind) for n, kind in ((n_users, "user"), (n_items, "item")))
    users, items = np.asarray(users, dtype=np.int32), np.asarray(items, dtype=np.int32)
    return Interactions(users, items, np.asarray(values, dtype=np.float32), times, *ids)


def noise(n_users: int = 60, n_items: int = 40, share: float = 0.25, seed: int = 0) -> Interactions:
    rng = np.random.default_rng(seed)
    users, items = np.nonzero(rng.random((n_users, n_items)) < share)
    return interactions(users, items, rng.integers(1, 6, len(users)), n_users, n_items)


def blocks(n_groups: int = 4, size: int = 12) -> tuple[Interactions, np.ndarray]:
    """Return users and items in groups, and the item to recommend: a user has every item of their own group except that
    one."""
    n = n_groups * size
    group = np.arange(n) // size
    has = group[:, None] == group[None, :]
    left = group * size + (np.arange(n) * 5 + group) % size
    has[np.arange(n), left] = False
    users, items = np.nonzero(has)
    return interactions(users, items, np.ones(len(users)), n, n), left


def dense(rows: CSR) -> np.ndarray:
    out = np.zeros((rows.n_rows, rows.n_cols))
    out[np.repeat(np.arange(rows.n_rows), rows.counts), rows.indices] = rows.values
    return out


def trained_ranker(name: str, data: Interactions, seed: int = 0, **config: Any) -> Any:
    cls = model_class(name)
    model = cls(cls.Config(**{**SMALL_RANKERS.get(name, {}), **config}))
    stepper = model.stepper(data, np.random.default_rng(seed))
    for _ in range(1 if model.kind == "solve" else model.config.epochs):
        stepper.run(None, None)
    return model


def trained(name, data, seed=0, **config):
    cls = model_class(name)
    model = cls(cls.Config(**config))
    stepper = model.stepper(data, np.random.default_rng(seed))
    for _ in range(1 if model.kind == "solve" else model.config.epochs):
        stepper.run(None, None)
    return model


def sparse(rng, n=30, m=20, density=0.4):
    rows, cols = np.nonzero(rng.random((n, m)) < density)
    return csr(rows, cols, rng.normal(size=len(rows)).astype(np.float32), n, m)


SMALL_BAYES = BayesMFConfig(n_factors=3, epochs=40, burn_in=10, n_samples=20)


def bayes_table(users: Any, items: Any, values: Any, shape: tuple[int, int], times: Any = None) -> Interactions:
    ids = [IdMap(pl.Series(np.arange(n)), kind) for n, kind in zip(shape, ("user", "item"), strict=True)]
    arrays = (np.asarray(users, np.int32), np.asarray(items, np.int32), np.asarray(values, np.float32))
    return Interactions(*arrays, times, *ids)


def fit_bayes(data: Interactions, config: BayesMFConfig, seed: int = 0) -> BayesMF:
    model = BayesMF(config)
    stepper = model.stepper(data, np.random.default_rng(seed))
    for _ in range(config.epochs):
        stepper.run(None, None)
    return model


class PlantedDrift:
    """Data drawn from the model itself: two factors, biases, noise that differs by user, and a user drift that lasts a
    minute."""

    def __init__(self, n_users: int = 200, n_items: int = 100, each: int = 60, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        users = np.repeat(np.arange(n_users), each)
        items = np.concatenate([rng.choice(n_items, each, replace=False) for _ in range(n_users)])
        gaps = rng.exponential(40.0, (n_users, each))
        times = np.cumsum(gaps, axis=1).astype(np.int64).ravel()
        tastes = 0.9 * rng.normal(size=(n_users, 2)) @ rng.normal(size=(2, n_items)) / np.sqrt(2)
        self.mean = 10 + rng.normal(size=(n_users, 1)) * 0.5 + rng.normal(size=n_items) * 0.5 + tastes
        self.user_noise = np.exp(0.4 * rng.normal(size=n_users))
        mood = rng.normal(size=(n_users, each)) * 0.6
        for j in range(1, each):
            keep = np.exp(-(times.reshape(n_users, each)[:, j] - times.reshape(n_users, each)[:, j - 1]) / 60.0)
            mood[:, j] = keep * mood[:, j - 1] + np.sqrt(1 - keep**2) * mood[:, j]
        self.noise = 0.4
        noise = self.noise * self.user_noise[users] * rng.normal(size=len(users))
        values = self.mean[users, items] + mood.ravel() + noise
        data = bayes_table(users, items, values, (n_users, n_items), times)
        held = rng.random(len(users)) < 0.2
        self.train, self.test = data.take(~held), data.take(held)
