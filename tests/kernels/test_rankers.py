"""The kernels of the rankers against plain NumPy or Python."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from cofactor.data.interactions import Interactions, csr
from cofactor.errors import ConfigError
from cofactor.kernels import bpr
from cofactor.models import model_class
from cofactor.models.base.average import start_weight
from cofactor.models.base.neighbours import nearest
from cofactor.models.base.sparse import transposed
from cofactor.models.base.strength import strengths
from cofactor.models.ease import ease_weights, gram
from cofactor.models.ials import IalsConfig, basis, improve, padded, ridges, singles, turn_rows
from cofactor.models.item_cosine import ItemCosineConfig, item_weights
from cofactor.models.slim import slim_weights
from toys import dense, noise
from toys import interactions as table
from toys import trained_ranker as fitted


def elastic_net(gram: np.ndarray, column: int, l1: float, l2: float, positive: bool) -> np.ndarray:
    """By proximal gradient, slowly and surely."""
    w = np.zeros(len(gram))
    rate = 1 / (np.linalg.eigvalsh(gram)[-1] + l2)
    for _ in range(20_000):
        w -= rate * (gram @ w - gram[column] + l2 * w)
        w = np.maximum(w - rate * l1, 0) if positive else np.sign(w) * np.maximum(np.abs(w) - rate * l1, 0)
        w[column] = 0
    return w


@pytest.mark.parametrize("positive", [True, False])
def test_slim_is_the_elastic_net(positive: bool) -> None:
    rows = noise(60, 12, 0.4).by_user
    x = dense(rows)
    found = dense(slim_weights(gram(rows), 30.0, 5.0, positive, 2000, 1e-6))
    for column in range(12):
        np.testing.assert_allclose(found[:, column], elastic_net(x.T @ x, column, 30.0, 5.0, positive), atol=1e-4)
    assert (found == 0).sum() > 12


def test_slim_with_negative_weights() -> None:
    x = np.array(
        [[1, 1, 0], [1, 0, 1], [1, 1, 0], [1, 0, 1]], dtype=float
    )  # the third item is the first less the second
    rows = csr(*np.nonzero(x), x[x > 0], 4, 3)
    found = dense(slim_weights(gram(rows), 0.01, 0.01, False, 2000, 1e-6))
    np.testing.assert_allclose(found[:, 2], elastic_net(x.T @ x, 2, 0.01, 0.01, False), atol=1e-4)
    assert found[1, 2] < -0.9


def test_slim_forecasts_memory() -> None:
    with pytest.raises(ConfigError, match=r"slim needs .* for 40 items"):
        fitted("slim", noise(), max_gb=1e-9)


def plain_pairs(
    data: Interactions, order: np.ndarray, u: np.ndarray, i: np.ndarray, b: np.ndarray, trials: int
) -> float:
    """The kernel of bpr and warp in plain Python, with the kernel's own random numbers. Changes its arrays."""
    rows, state, total = data.by_user, np.array([7], dtype=np.uint64), 0.0
    owner = np.repeat(np.arange(data.n_users), rows.counts)
    for entry in order:
        user, item = owner[entry], rows.indices[entry]
        mine = set(rows.row(user)[0].tolist())
        for trial in range(1, max(trials, 1) + 1):
            other = int(bpr.draw(state, data.n_items))
            while other in mine:
                other = int(bpr.draw(state, data.n_items))
            gap = b[item] - b[other] + u[user] @ (i[item] - i[other])
            if trials == 0:
                rate = 1 / (1 + np.exp(gap))
                total += np.log1p(np.exp(-gap))
            elif gap < 1.0:
                rate = np.log(max((data.n_items - 1) // trial, 1)) / np.log(data.n_items)
                total += rate * (1.0 - gap)
            else:
                continue
            step, keep = 0.05 * rate, 1 - 0.05 * 0.02
            u[user], i[item], i[other] = (
                keep * u[user] + step * (i[item] - i[other]),
                keep * i[item] + step * u[user],
                keep * i[other] - step * u[user],
            )
            b[item], b[other] = keep * b[item] + step, keep * b[other] - step
            break
    return total / len(order)


@pytest.mark.parametrize("trials", [0, 5])
def test_pairs(trials: int) -> None:
    data, rng = noise(), np.random.default_rng(0)
    order = rng.permutation(len(data))
    u, i, b = rng.normal(0, 0.5, (60, 8)), rng.normal(0, 0.5, (40, 8)), rng.normal(0, 0.1, 40)
    fast = [a.astype(np.float32) for a in (u, i, b)]
    wanted = plain_pairs(data, order, u, i, b, trials)
    rows, owner = data.by_user, np.repeat(np.arange(60, dtype=np.int32), data.by_user.counts)
    state, ones = np.array([7], dtype=np.uint64), np.ones(len(data), dtype=np.float32)
    loss = bpr.epoch(order, owner, rows.indptr, rows.indices, ones, *fast, 0.05, 0.02, trials, 1.0, state, True)
    assert loss == pytest.approx(wanted, rel=1e-4)
    for a, c in zip(fast, (u, i, b)):
        np.testing.assert_allclose(a, c, atol=1e-3)


def test_draw_is_even() -> None:
    state = np.array([3], dtype=np.uint64)
    counts = np.bincount([bpr.draw(state, 10) for _ in range(20_000)], minlength=10)
    assert len(counts) == 10
    assert ((counts - 2000) ** 2 / 2000).sum() < 27.9  # chi squared with 9 degrees of freedom: one in a thousand


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
    model = fitted("ease", noise(), reg=30.0, min_rating_weight=1.0)
    binary = (x > 0).astype(float)
    p = np.linalg.inv(binary.T @ binary + 30 * np.eye(40))
    w = -p / np.diag(p)
    np.fill_diagonal(w, 0)
    start = start_weight(rows.counts)[:, None] * model.average  # of the average user
    np.testing.assert_allclose(model.scores(np.arange(60)) - start, binary @ w, atol=1e-4)


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
    with pytest.raises(ConfigError, match=r"ease needs 0\.0 GB for .*items.*, more than max_gb"):
        fitted("ease", noise(), max_gb=1e-9)


@pytest.mark.parametrize("weighting", ["cosine", "tfidf", "bm25"])
def test_nearest_items(weighting: str) -> None:
    by_item = transposed(noise(80, 30).by_user)
    x = dense(by_item)
    if weighting != "cosine":
        idf = np.log(30) - np.log1p((x > 0).sum(axis=0))
        sums = x.sum(axis=1) + 4
        norm = 1 - 0.3 + 0.3 * sums / sums.mean()
        x = (np.sqrt(x) if weighting == "tfidf" else x * 8 / (7 * norm[:, None] + x)) * idf
    if weighting != "bm25":
        square = (x**2).sum(axis=1, keepdims=True)
        x = x / np.sqrt(square + (4 if weighting == "cosine" else 0))
    similar = x @ x.T
    np.fill_diagonal(similar, 0)
    similar[similar < np.sort(similar, axis=1)[:, [-7]]] = 0
    similar[similar < 0] = 0
    found = nearest(item_weights(by_item, ItemCosineConfig(weighting, k1=7.0, b=0.3, shrink=4.0)), 7)
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
    losses = improve(rows, 2.0, y, y.T @ y, ridge, x, width=width)
    np.testing.assert_allclose(x, wanted, atol=2e-4)
    np.testing.assert_allclose(losses, left, rtol=1e-3)


def plain_cg(x: np.ndarray, matrix: np.ndarray, right: np.ndarray, scale: np.ndarray, steps: int) -> np.ndarray:
    """Conjugate gradients, preconditioned by a diagonal."""
    r = right - matrix @ x
    p = r / scale
    for _ in range(steps):
        size = r @ (r / scale)
        step = size / (p @ matrix @ p)
        x, r = x + step * p, r - step * (matrix @ p)
        p = r / scale + (r @ (r / scale)) / size * p
    return x


@pytest.mark.parametrize(("k", "steps"), [(16, 1), (48, 3), (64, 5)])
def test_ials_conjugate_gradients(k: int, steps: int) -> None:
    rng = np.random.default_rng(0)
    rows = noise().by_user
    rows = rows._replace(values=rng.random(len(rows.values)).astype(np.float32))
    y, x = (rng.normal(0, 0.3, (n, k)).astype(np.float32) for n in (40, 60))
    turn, spectrum = basis(y.T @ y, k)
    before = x @ y.T
    turn_rows(x, turn)
    turn_rows(y, turn)
    np.testing.assert_allclose(x @ y.T, before, atol=1e-4)
    np.testing.assert_allclose(y.T @ y, np.diag(spectrum), atol=1e-4)
    ridge = ridges(rows.counts, float(rows.counts.mean()), 0.7, 0.5)
    wanted, left, errors = np.zeros((60, k)), np.zeros(60), np.zeros((60, 2))
    for r in range(60):
        items, w = rows.row(r)
        mine, w = y[items].astype(float), 2.0 * w.astype(float)
        scale = spectrum.astype(float) + ridge[r]
        matrix, right = np.diag(scale) + (mine.T * w) @ mine, w @ mine
        wanted[r] = plain_cg(x[r].astype(float), matrix, right, scale, steps)
        fit = y @ wanted[r]
        left[r] = (w * (1 - fit[items]) ** 2).sum() + (fit**2).sum() + ridge[r] * (wanted[r] ** 2).sum()
        exact = np.linalg.solve(matrix, right)
        errors[r] = [np.abs(one - exact).max() for one in (x[r], wanted[r])]
    losses = improve(rows, 2.0, y, spectrum, ridge, x, steps=steps)
    np.testing.assert_allclose(x, wanted, atol=2e-4)
    np.testing.assert_allclose(losses, left, rtol=1e-3)
    assert errors[:, 1].mean() < 0.3 * errors[:, 0].mean()


def test_ials_basis_keeps_spare_columns_zero() -> None:
    y = padded(np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32))  # of rank 3
    turn, spectrum = basis(y.T @ y, 5)
    turn_rows(y, turn)
    assert spectrum.shape == (16,)
    assert (spectrum >= 0).all()
    assert not y[:, 5:].any()


def test_ials_users_of_one_item_in_closed_form() -> None:
    y = np.random.default_rng(0).normal(size=(30, 16)).astype(np.float32)
    c = IalsConfig(alpha=3.0, reg=2.0, nu=0.5).for_table(900, 60, 30)
    found = singles(y[:4], y.T @ y, c, 15.0)
    ridge = 2.0 * (2 / 16) ** 0.5
    for x, one in zip(found, y[:4].astype(float), strict=True):
        matrix = y.T @ y + ridge * np.eye(16) + 3.0 * np.outer(one, one)
        np.testing.assert_allclose(x, np.linalg.solve(matrix, 3.0 * one), atol=1e-4)


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_ials_objective_falls_and_is_the_one_in_the_paper(steps: int) -> None:
    data = noise()
    cls = model_class("ials")
    model = cls(cls.Config(n_factors=32, reg=3.0, nu=0.3, alpha=2.0, steps=steps, min_rating_weight=0.4))
    stepper = model.stepper(data, np.random.default_rng(0))
    losses = [float(stepper.run(None, None)[0]) for _ in range(6)]
    assert all(b < a + 1e-6 for a, b in pairwise(losses))
    start = start_weight(data.by_user.counts)[:, None] * model.average  # of the average user, not of the objective
    x, y = (model.factors("user") - start).astype(float), model.factors("item").astype(float)
    fit = x @ y.T
    w = 2.0 * strengths(data.values, np.array([1, 5]), 0.4)
    count_u, count_i = np.bincount(data.users, minlength=60), np.bincount(data.items, minlength=40)
    penalty = (ridges(count_u, len(data) / 60, 3.0, 0.3) * (x**2).sum(axis=1)).sum()
    penalty += (ridges(count_i, len(data) / 40, 3.0, 0.3) * (y**2).sum(axis=1)).sum()
    wanted = (w * (1 - fit[data.users, data.items]) ** 2).sum() + (fit**2).sum() + penalty
    assert losses[-1] == pytest.approx(wanted / len(data), rel=1e-4)


def test_ials_fold_in_of_training_rows_is_the_trained_user() -> None:
    data = noise(200, 40, 0.3)
    model = fitted("ials", data, epochs=60, steps=5, reg=5.0)
    np.testing.assert_allclose(model.fold_in(data.by_user), model.user_state(np.arange(200)), atol=5e-3)
