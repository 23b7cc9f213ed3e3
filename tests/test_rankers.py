"""The rankers: NumPy references for their kernels, planted truth, fold-in, state, determinism at 1 and 2 threads."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
import pytest

from cofactor.data.ids import IdMap
from cofactor.data.interactions import CSR, Interactions, csr
from cofactor.errors import BundleError, ConfigError, NotFittedError
from cofactor.model import FoldIn, HasFactors, HasSimilarity, Model
from cofactor.models import model_class
from cofactor.models.ease import ease_weights, gram
from cofactor.models.ials import improve, ridges, width_of
from cofactor.models.item_cosine import item_weights, nearest
from cofactor.models.ranker import rating_weights, stored_csr, transposed

RANKERS = ["popular", "item-cosine", "ease", "ials"]
PERSONAL = [name for name in RANKERS if name != "popular"]
SMALL: dict[str, dict[str, Any]] = {
    "item-cosine": {"k1": 10.0, "b": 0.2},
    "ease": {"reg": 2.0},
    "ials": {"n_factors": 20, "reg": 0.5},
}


def table(users: Any, items: Any, values: Any, n_users: int, n_items: int, times: Any = None) -> Interactions:
    ids = (IdMap(pl.Series(np.arange(n)), kind) for n, kind in ((n_users, "user"), (n_items, "item")))
    users, items = np.asarray(users, dtype=np.int32), np.asarray(items, dtype=np.int32)
    return Interactions(users, items, np.asarray(values, dtype=np.float32), times, *ids)


def noise(n_users: int = 60, n_items: int = 40, share: float = 0.25, seed: int = 0) -> Interactions:
    rng = np.random.default_rng(seed)
    users, items = np.nonzero(rng.random((n_users, n_items)) < share)
    return table(users, items, rng.integers(1, 6, len(users)), n_users, n_items)


def blocks(n_groups: int = 4, size: int = 12) -> tuple[Interactions, np.ndarray]:
    """Users and items in groups: a user has every item of the own group but one, the one to recommend."""
    n = n_groups * size
    group = np.arange(n) // size
    has = group[:, None] == group[None, :]
    left = group * size + (np.arange(n) * 5 + group) % size
    has[np.arange(n), left] = False
    users, items = np.nonzero(has)
    return table(users, items, np.ones(len(users)), n, n), left


def dense(rows: CSR) -> np.ndarray:
    out = np.zeros((rows.n_rows, rows.n_cols))
    out[np.repeat(np.arange(rows.n_rows), rows.counts), rows.indices] = rows.values
    return out


def fitted(name: str, data: Interactions, seed: int = 0, **config: Any) -> Any:
    cls = model_class(name)
    model = cls(cls.Config(**{**SMALL.get(name, {}), **config}))
    stepper = model.stepper(data, np.random.default_rng(seed))
    for _ in range(1 if stepper.kind == "solve" else model.config.epochs):
        stepper.run(None, None)
    return model


# Every ranker


@pytest.mark.parametrize("name", RANKERS)
def test_protocols_and_shapes(name: str) -> None:
    data = noise()
    model = fitted(name, data)
    assert isinstance(model, Model)
    assert isinstance(model, FoldIn)
    assert model.task == "ranking"
    assert model.name == name
    users = np.array([3, -1, 0])
    scores = model.scores(users)
    assert scores.shape == (3, data.n_items)
    assert scores.dtype == np.float32
    np.testing.assert_array_equal(np.argsort(-scores[1]), np.argsort(-np.bincount(data.items, minlength=40)))
    everybody, everything = (a.ravel() for a in np.meshgrid(users, np.arange(data.n_items), indexing="ij"))
    pairs = model.predict(everybody, everything)
    assert pairs.dtype == np.float32
    np.testing.assert_allclose(pairs.reshape(3, -1), scores, rtol=1e-5, atol=1e-6)
    assert model.predict(np.array([0, -1]), np.array([-1, -1])).tolist() == [0, 0]
    np.testing.assert_array_equal(model.scores_from(model.user_state(users)), scores)


@pytest.mark.parametrize("name", PERSONAL)
def test_finds_the_item_left_out(name: str) -> None:
    data, left = blocks()
    model = fitted(name, data)
    scores = model.scores(np.arange(data.n_users))
    scores[data.users, data.items] = -np.inf
    np.testing.assert_array_equal(scores.argmax(axis=1), left)


@pytest.mark.parametrize("name", PERSONAL)
def test_fold_in_of_a_new_user_finds_the_group(name: str) -> None:
    data, _ = blocks()
    model = fitted(name, data)
    history = csr(np.array([0, 0, 0]), np.array([12, 14, 17]), np.ones(3), 1, data.n_items)
    scores = model.scores_from(model.fold_in(history))[0]
    scores[history.indices] = -np.inf
    assert set(np.argsort(-scores)[:9].tolist()) == set(range(12, 24)) - {12, 14, 17}
    nothing = csr(np.array([], np.int32), np.array([], np.int32), np.array([]), 1, data.n_items)
    np.testing.assert_array_equal(model.scores_from(model.fold_in(nothing)), model.scores(np.array([-1])))


@pytest.mark.parametrize("name", RANKERS)
def test_state_round_trip(name: str) -> None:
    data = noise()
    model = fitted(name, data)
    state = {k: np.array(v) for k, v in model.state().items()}
    again = type(model).from_state(model.config, state)
    users = np.arange(-1, data.n_users)
    np.testing.assert_array_equal(again.scores(users), model.scores(users))
    for array in state:
        with pytest.raises(BundleError, match=array.split("_")[0]):
            type(model).from_state(model.config, {k: v for k, v in state.items() if k != array})
    with pytest.raises(NotFittedError, match=name):
        type(model)().scores(users)


@pytest.mark.parametrize("name", RANKERS)
def test_stepper_restores(name: str) -> None:
    data = noise()
    cls = model_class(name)
    whole = cls(cls.Config(**SMALL.get(name, {})))
    stepper = whole.stepper(data, np.random.default_rng(0))
    stepper.run(None, None)
    snapshot = stepper.snapshot()
    if stepper.kind == "sweep":
        stepper.run(None, None)
    other = cls(cls.Config(**SMALL.get(name, {})))
    later = other.stepper(data, np.random.default_rng(0))
    later.restore(snapshot)
    if later.kind == "sweep":
        later.run(None, None)
    np.testing.assert_array_equal(other.scores(np.arange(5)), whole.scores(np.arange(5)))


@pytest.mark.parametrize("name", RANKERS)
def test_one_user_one_item(name: str) -> None:
    model = fitted(name, table([0], [0], [4.0], 1, 1))
    assert np.isfinite(model.scores(np.array([0, -1]))).all()


DIGEST = """
import hashlib, sys
import numpy as np
sys.path.insert(0, {tests!r})
from test_rankers import RANKERS, fitted, noise
data = noise(900, 300, 0.1)
for name in RANKERS:
    print(name, hashlib.sha256(fitted(name, data).scores(np.arange(900)).tobytes()).hexdigest())
"""


def test_same_bits_at_one_and_two_threads() -> None:
    said = []
    for threads in ("1", "2"):
        env = {**os.environ, "NUMBA_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
        code = DIGEST.format(tests=os.path.dirname(__file__))
        said.append(
            subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True).stdout
        )
    assert said[0] == said[1]
    assert len(said[0].splitlines()) == len(RANKERS)


# What they share


def test_rating_weights() -> None:
    values = np.array([1, 2, 3, 4, 5, 9], dtype=np.float32)
    np.testing.assert_allclose(rating_weights(values, np.array([1, 5]), 0.2), [0.2, 0.4, 0.6, 0.8, 1, 1], rtol=1e-6)
    assert rating_weights(values, np.array([1, 5]), 1.0).tolist() == [1] * 6
    assert rating_weights(values, np.array([3, 3]), 0.0).tolist() == [1] * 6


def test_stored_csr_refuses_nonsense() -> None:
    good = {
        "m_indptr": np.array([0, 1, 2]),
        "m_indices": np.array([0, 1], np.int32),
        "m_values": np.ones(2, np.float32),
    }
    assert stored_csr(good, "m", 2).n_rows == 2
    for bad in (
        {"m_indices": np.array([0, 2], np.int32)},
        {"m_indptr": np.array([0, 3, 2])},
        {"m_indptr": np.array([1, 2])},
    ):
        with pytest.raises(BundleError, match="sparse"):
            stored_csr({**good, **bad}, "m", 2)


# popular


def test_popular_counts_and_forgets() -> None:
    day = 86_400
    data = table([0, 1, 2, 0], [0, 0, 0, 1], [5, 5, 1, 5], 3, 2, np.array([0, 0, 0, 60]) * day)
    np.testing.assert_allclose(fitted("popular", data).popularity, [1, 1 / 3], rtol=1e-6)
    np.testing.assert_allclose(fitted("popular", data, half_life=20.0).popularity, [3 / 8, 1], rtol=1e-6)
    np.testing.assert_allclose(fitted("popular", data, low_rating=0.0).popularity, [1, 0.5], rtol=1e-6)
    with pytest.raises(ConfigError, match="times"):
        fitted("popular", noise(), half_life=5.0)


# Kernels against NumPy


def test_gram_is_the_product() -> None:
    rows = noise().by_user
    x = dense(rows)
    np.testing.assert_array_equal(np.triu(gram(rows)), np.triu(x.T @ x))


def test_ease_is_steck_eq_8() -> None:
    rows = noise().by_user
    x = dense(rows)
    p = np.linalg.inv(x.T @ x + 30 * np.eye(40))
    wanted = -p / np.diag(p)
    np.fill_diagonal(wanted, 0)
    np.testing.assert_allclose(ease_weights(gram(rows), 30.0), wanted, atol=1e-5)
    model = fitted("ease", noise(), reg=30.0, low_rating=1.0)
    binary = (x > 0).astype(float)
    p = np.linalg.inv(binary.T @ binary + 30 * np.eye(40))
    w = -p / np.diag(p)
    np.fill_diagonal(w, 0)
    np.testing.assert_allclose(model.scores(np.arange(60)), binary @ w, atol=1e-4)


def test_ease_single_precision_is_enough() -> None:
    rng = np.random.default_rng(1)
    has = rng.random((3000, 300)) < 1 / np.linspace(1.1, 31, 300)  # a long tail, and items that everybody has
    users, items = np.nonzero(has)
    rows = csr(users, items, np.ones(len(users)), 3000, 300)
    p = np.linalg.inv(has.T.astype(float) @ has + 20 * np.eye(300))
    wanted = -p / np.diag(p)
    np.fill_diagonal(wanted, 0)
    assert np.abs(ease_weights(gram(rows), 20.0) - wanted).max() < 1e-3 * np.abs(wanted).max()


def test_ease_forecasts_memory() -> None:
    with pytest.raises(ConfigError, match=r"ease needs 0\.0 GB for 40 items, more than max_gb"):
        fitted("ease", noise(), max_gb=1e-9)


@pytest.mark.parametrize("weighting", ["cosine", "tfidf", "bm25"])
def test_nearest_items(weighting: str) -> None:
    by_item = transposed(noise(80, 30).by_user)
    x = dense(by_item)
    if weighting != "cosine":
        idf = np.log(30) - np.log1p((x > 0).sum(axis=0))
        norm = 1 - 0.3 + 0.3 * x.sum(axis=1) / x.sum(axis=1).mean()
        x = (np.sqrt(x) if weighting == "tfidf" else x * 8 / (7 * norm[:, None] + x)) * idf
    if weighting != "bm25":
        x = x / np.linalg.norm(x, axis=1, keepdims=True)
    similar = x @ x.T
    np.fill_diagonal(similar, 0)
    similar[similar < np.sort(similar, axis=1)[:, [-7]]] = 0
    similar[similar < 0] = 0
    found = nearest(item_weights(by_item, weighting, 7.0, 0.3), 7)
    np.testing.assert_allclose(dense(found), similar, atol=1e-5)


def test_nearest_ties_go_to_the_lowest_codes() -> None:
    data = table([0] * 5, range(5), np.ones(5), 1, 5)
    found = nearest(transposed(data.by_user), 2)
    assert found.indices.reshape(5, 2).tolist() == [[1, 2], [0, 2], [0, 1], [0, 1], [0, 1]]


def ials_row(
    x: np.ndarray, y: np.ndarray, items: np.ndarray, weights: np.ndarray, ridge: float, width: int
) -> np.ndarray:
    x = x.astype(np.float64)
    for left in range(0, len(x), width):
        part = slice(left, left + width)
        slope = y.T @ (y @ x) + ridge * x + y[items].T @ (weights * (y[items] @ x - 1))
        hessian = y.T @ y + ridge * np.eye(len(x)) + (y[items].T * weights) @ y[items]
        x[part] -= np.linalg.solve(hessian[part, part], slope[part])
    return x


@pytest.mark.parametrize("width", [16, 32, 64])
def test_ials_rows_are_newton_steps(width: int) -> None:
    rng = np.random.default_rng(0)
    rows = noise().by_user
    rows = rows._replace(values=rng.random(len(rows.values)).astype(np.float32))
    y = rng.normal(0, 0.3, (40, 64)).astype(np.float32)
    x = rng.normal(0, 0.3, (60, 64)).astype(np.float32)
    ridge = ridges(rows.counts, float(rows.counts.mean()), 0.7, 0.5)
    wanted = np.zeros((60, 64))
    left = np.zeros(60)
    for r in range(60):
        items, w = rows.row(r)
        wanted[r] = ials_row(x[r], y.astype(float), items, 2.0 * w, ridge[r], width)
        fit = y @ wanted[r]
        left[r] = (2.0 * w * (1 - fit[items]) ** 2).sum() + (fit**2).sum() + ridge[r] * (wanted[r] ** 2).sum()
    losses = improve(rows, 2.0, y, y.T @ y, ridge, width, x)
    np.testing.assert_allclose(x, wanted, atol=2e-4)
    np.testing.assert_allclose(losses, left, rtol=1e-3)


@pytest.mark.parametrize(("block", "k", "width"), [(0, 64, 64), (32, 64, 32), (32, 48, 16), (64, 48, 48), (5, 32, 16)])
def test_width_of(block: int, k: int, width: int) -> None:
    assert width_of(block, k) == width


@pytest.mark.parametrize("block", [0, 16])
def test_ials_objective_falls_and_is_the_one_in_the_paper(block: int) -> None:
    data = noise()
    cls = model_class("ials")
    model = cls(cls.Config(n_factors=32, reg=3.0, nu=0.3, alpha=2.0, block=block, low_rating=0.4))
    stepper = model.stepper(data, np.random.default_rng(0))
    losses = [float(stepper.run(None, None)[0]) for _ in range(6)]
    assert all(b < a + 1e-6 for a, b in pairwise(losses))
    x, y = model.factors("user").astype(float), model.factors("item").astype(float)
    fit = x @ y.T
    w = 2.0 * rating_weights(data.values, np.array([1, 5]), 0.4)
    count_u, count_i = np.bincount(data.users, minlength=60), np.bincount(data.items, minlength=40)
    penalty = (ridges(count_u, len(data) / 60, 3.0, 0.3) * (x**2).sum(axis=1)).sum()
    penalty += (ridges(count_i, len(data) / 40, 3.0, 0.3) * (y**2).sum(axis=1)).sum()
    wanted = (w * (1 - fit[data.users, data.items]) ** 2).sum() + (fit**2).sum() + penalty
    assert losses[-1] == pytest.approx(wanted / len(data), rel=1e-4)


def test_ials_fold_in_of_training_rows_is_the_trained_user() -> None:
    data = noise(200, 40, 0.3)
    model = fitted("ials", data, epochs=60, block=0, reg=5.0)
    np.testing.assert_allclose(model.fold_in(data.by_user), model.user_state(np.arange(200)), atol=5e-3)


def test_similarity_and_factors_are_offered() -> None:
    for name in PERSONAL:
        model = fitted(name, noise())
        assert isinstance(model, (HasSimilarity, HasFactors))
        if isinstance(model, HasSimilarity):
            rows = model.item_similarity(np.array([4, -1]))
            assert rows.shape == (2, 40)
            assert rows[0].any()
            assert not rows[1].any()
