"""bias, als, svd++, item-knn, user-knn: kernels against NumPy, planted truths, fold-in, threads."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest

from cofactor.errors import BundleError, ConfigError, NotFittedError
from cofactor.kernels import als as als_kernels
from cofactor.kernels.blocks import over_rows
from cofactor.models.als import ALS, ALSConfig
from cofactor.models.base.sparse import transposed
from cofactor.models.bias import Bias, BiasConfig
from cofactor.models.knn.model import ItemKNN, ItemKNNConfig, UserKNN
from cofactor.models.svdpp import SVDpp, SVDppConfig, expected, regress
from cofactor.testing import toy_ratings
from toys import sparse
from toys import trained as train

NAMES = ("bias", "als", "svd++", "item-knn", "user-knn")


def rmse(guess, values):
    return float(np.sqrt(np.mean((guess.astype(np.float64) - values) ** 2)))


def error_on(model, data):
    return rmse(model.predict(data.users, data.items, data.times), data.values)


@pytest.fixture(scope="module")
def toy():
    return toy_ratings(seed=1)


# ---- kernels


@pytest.mark.parametrize("reg", [0.0, 0.3])
@pytest.mark.parametrize("weighted", [False, True])
def test_als_without_each_rating_is_the_fold_in_of_what_remains(toy, reg, weighted):
    model = train("als", toy.train, reg=reg, epochs=5)
    rng = np.random.default_rng(3)
    for row in np.argsort(toy.train.by_user.counts)[-3:]:
        history = toy.train.by_user.take(row[None])
        for n in (len(history.indices), 5, 1, 0):
            part = history._replace(
                indptr=np.array([0, n]), indices=history.indices[:n], values=history.values[:n],
                order=None, weights=rng.random(n).astype(np.float32) + 0.1 if weighted else None,
            )  # fmt: skip
            positions, items = np.arange(n)[::-2], np.array([0, 3, 24])
            found = model.scores_without(part, positions, items)
            each = model.fold_in(part.without_each(positions))
            assert found == pytest.approx(model.scores_from(each)[:, items].T, abs=2e-5)


@pytest.mark.parametrize("variances", [False, True])
@pytest.mark.parametrize("centred", [False, True])
def test_solve_rows_is_the_ridge_regression(variances, centred):
    rng = np.random.default_rng(0)
    rows = sparse(rng)
    k, n, m = 3, rows.n_rows, rows.n_cols
    other = rng.normal(size=(m, k)).astype(np.float32)
    offsets = rng.normal(size=m).astype(np.float32)
    other_spread = rng.random((m if variances else 0, k + 1)).astype(np.float32)
    ridge = (rng.random(k + 1) + 0.5).astype(np.float32)
    centre = rng.normal(size=(n if centred else 0, k + 1)).astype(np.float32)
    nu, noise = 0.5, 0.7
    out = np.zeros((n, k + 1), np.float32)
    spread = np.zeros((n if variances else 0, k + 1), np.float32)
    errors = np.zeros((n, 2))
    als_kernels.solve_rows(
        0,
        n,
        rows.indptr,
        rows.indices,
        rows.values,
        np.empty(0, np.float32),
        offsets,
        other,
        other_spread,
        ridge,
        nu,
        noise,
        centre,
        out,
        spread,
        errors,
    )
    for r in range(n):
        cols, values = rows.row(r)
        x = np.c_[other[cols], np.ones(len(cols))].astype(np.float64)
        target = values - offsets[cols].astype(np.float64)
        pull = ridge.astype(np.float64) * np.append(np.full(k, max(len(cols), 1) ** nu), 1)
        more = np.append(other_spread[cols, :k].sum(0, dtype=np.float64), 0) if variances else 0
        gram = x.T @ x + np.diag(pull + more)
        # the ridge, without the variances, pulls towards the centre; the variances pull to zero
        right = x.T @ target + (pull * centre[r] if centred else 0)
        solution = np.linalg.solve(gram, right)
        assert np.allclose(out[r], solution, atol=2e-4)
        left = target - x @ solution
        assert np.isclose(errors[r, 0], left @ left, atol=2e-3)
        if variances:
            var = noise * np.diag(np.linalg.inv(gram))
            assert np.allclose(spread[r], var, rtol=2e-3)
            s = other_spread[cols].astype(np.float64)
            uncertainty = (s[:, k] + var[k]).sum() + (
                var[:k] * x[:, :k] ** 2 + s[:, :k] * (solution[:k] ** 2 + var[:k])
            ).sum()
            assert np.isclose(errors[r, 1], uncertainty, rtol=2e-3)


def test_regress_comes_to_the_ridge_regression():
    rng = np.random.default_rng(3)
    rows = sparse(rng)
    columns = transposed(rows)
    target = rng.normal(size=(rows.n_rows, 4)).astype(np.float32)
    dense = np.zeros((rows.n_rows, rows.n_cols))
    for r in range(rows.n_rows):
        dense[r, rows.row(r)[0]] = 1 / np.sqrt(max(len(rows.row(r)[0]), 1))
    right = np.linalg.solve(dense.T @ dense + 2.0 * np.eye(rows.n_cols), dense.T @ target)
    found = regress(rows, columns, target, np.zeros((rows.n_cols, 4), np.float32), 2.0, steps=30)
    assert np.allclose(found, right, atol=1e-4)
    assert np.allclose(expected(rows, found), dense @ right, atol=1e-4)


def test_blocks_cover_every_row_once(monkeypatch):
    from numba import config

    monkeypatch.setattr(config, "NUMBA_NUM_THREADS", 3)
    indptr = np.concatenate([[0], np.cumsum(np.random.default_rng(4).integers(0, 900, 200))])
    seen = np.zeros(200, dtype=int)

    def work(first, last):
        seen[first:last] += 1

    over_rows(work, indptr)
    assert (seen == 1).all()
    over_rows(work, np.zeros(1, dtype=np.int64))
    assert (seen == 1).all()


def test_an_error_in_a_block_is_raised(monkeypatch):
    from numba import config

    monkeypatch.setattr(config, "NUMBA_NUM_THREADS", 2)

    def work(first, last):
        raise ValueError("in a block")

    with pytest.raises(ValueError, match="in a block"):
        over_rows(work, np.arange(0, 100_000, 100))


# ---- models


def test_bias_is_the_minimum_of_its_objective(toy):
    model = train("bias", toy.train, epochs=200)
    d = toy.train
    x = np.zeros((len(d), d.n_users + d.n_items))
    x[np.arange(len(d)), d.users] = 1
    x[np.arange(len(d)), d.n_users + d.items] = 1
    ridge = np.diag(np.r_[np.full(d.n_users, 4.0), np.full(d.n_items, 2.0)])
    right = np.linalg.solve(x.T @ x + ridge, x.T @ (d.values - d.values.mean(dtype=np.float64)))
    assert np.allclose(np.r_[model.bias("user"), model.bias("item")], right, atol=1e-4)


@pytest.mark.parametrize("name", ["als", "svd++"])
def test_planted_factors_are_recovered(name):
    toy = toy_ratings(200, 120, noise=0.15, low=-40, high=40, cut=False, seed=2)
    model = train(name, toy.train, n_factors=6)
    users, items = np.indices(toy.truth.shape).reshape(2, -1)
    kept = (users > 0) & (users < 199) & (items < 119)
    gap = rmse(model.predict(users[kept], items[kept]), toy.truth[users[kept], items[kept]])
    noise = 0.15 * 20
    assert gap < 0.4 * noise
    strength = np.sqrt((model.factors("user") ** 2).mean(0) * (model.factors("item") ** 2).mean(0))
    assert (np.sort(strength)[:-2] < 0.05 * strength.max()).all(), "factors that were not planted must vanish"


def test_als_measures_the_noise():
    toy = toy_ratings(200, 120, noise=0.15, low=-40, high=40, cut=False, seed=2)
    stepper = ALS(ALSConfig(n_factors=4)).stepper(toy.train, np.random.default_rng(0))
    for _ in range(40):
        stepper.run(None, None)
    assert np.sqrt(stepper.noise[0]) == pytest.approx(0.15 * 20, rel=0.05)


def test_counted_ridge_falls_to_its_minimum(toy):
    losses, objective = [], []
    model = ALS(ALSConfig(n_factors=3, reg=1.0))
    stepper = model.stepper(toy.train, np.random.default_rng(0))
    d, c = toy.train, model.config
    for _ in range(15):
        losses.append(stepper.run(None, None)[0])
        _, _, users, items = model.tables()
        total = losses[-1] * len(d)
        for table, rows, reg_bias in ((users, d.by_user, c.reg_user), (items, d.by_item, c.reg_item)):
            total += (c.reg * rows.counts[:, None] ** c.nu * table[:, :-1].astype(np.float64) ** 2).sum()
            total += reg_bias * (table[:, -1].astype(np.float64) ** 2).sum()
        objective.append(total)
    assert all(b <= a * (1 + 1e-5) for a, b in pairwise(objective))
    assert losses[-1] < losses[0]


def test_what_was_rated_tells_taste():
    """Few ratings, a lot of noise in them, and users rate mostly what they like: then the choice tells more."""
    rng = np.random.default_rng(5)
    toy = toy_ratings(300, 60, k=1, noise=0.1, low=-40, high=40, density=0.0, seed=5)
    taste = np.where(np.arange(300) % 2, 1.0, -1.0)
    loading = np.where(np.arange(60) % 2, 1.0, -1.0)
    truth = 4 * taste[:, None] * loading
    users, items = np.nonzero(rng.random(truth.shape) < np.where(truth > 0, 0.16, 0.04))
    values = truth[users, items] + 3 * rng.normal(size=len(users))
    data = type(toy.train)(
        users.astype(np.int32),
        items.astype(np.int32),
        values.astype(np.float32),
        None,
        toy.train.user_ids,
        toy.train.item_ids,
    )
    every = np.indices(truth.shape).reshape(2, -1)
    gaps = {name: rmse(train(name, data, n_factors=2).predict(*every), truth.ravel()) for name in ("als", "svd++")}
    assert gaps["svd++"] < 0.9 * gaps["als"]


@pytest.mark.parametrize("name", NAMES)
def test_predictions_keep_to_the_scale_and_scores_keep_their_order(name, toy):
    d = toy.train
    model = train(name, type(d)(d.users, d.items, np.minimum(d.values, 3.5), None, d.user_ids, d.item_ids))
    low, high = toy.train.range[0], 3.5
    scores = model.scores(np.arange(toy.train.n_users))
    users, items = np.indices(scores.shape).reshape(2, -1)
    guess = model.predict(users, items)
    assert guess.min() >= low
    assert guess.max() <= high
    assert scores.max() > high, "this toy has no score above the scale, so the test shows nothing"
    assert np.allclose(guess, np.clip(scores.ravel(), low, high), atol=1e-5)
    best = int(scores.max(axis=1).argmax())
    account = model.terms(best, int(scores[best].argmax()))
    assert account.names[-1] == "clip to the scale"
    assert account.values.sum() == pytest.approx(high, abs=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_a_training_user_folded_in_has_the_trained_scores(name, toy):
    """The last step of training solves the users, and a fold-in is the same solve."""
    model = train(name, toy.train)
    new = model.scores_from(model.fold_in(toy.train.by_user))
    assert np.allclose(new, model.scores(np.arange(toy.train.n_users)), atol=2e-3)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [3.0, 0.0])
def test_constant_ratings_are_predicted(name, value, toy):
    d = toy.train
    flat = type(d)(d.users, d.items, np.full(len(d), value, np.float32), None, d.user_ids, d.item_ids)
    model = train(name, flat)
    assert np.allclose(model.predict(d.users, d.items), value, atol=1e-3)


@pytest.mark.parametrize(
    ("cls", "bad"),
    [
        (BiasConfig, {"epochs": 0}),
        (BiasConfig, {"reg_user": -1}),
        (ALSConfig, {"n_factors": 0}),
        (ALSConfig, {"reg": float("nan")}),
        (SVDppConfig, {"reg": 0}),
        (ItemKNNConfig, {"k": 0}),
    ],
)
def test_bad_parameters_are_named(cls, bad):
    with pytest.raises(ConfigError, match=f"{next(iter(bad))} is .*; it must be a number of at least"):
        cls(**bad)


@pytest.mark.parametrize("cls", [Bias, ALS, SVDpp, ItemKNN, UserKNN])
def test_nothing_is_asked_of_an_untrained_model(cls):
    with pytest.raises(NotFittedError, match="is not trained yet"):
        cls().scores(np.array([0]))


@pytest.mark.parametrize(
    ("name", "array", "spoil"),
    [
        ("bias", "range", lambda a: a[::-1].copy()),
        ("als", "users", lambda a: a[:, :-1].copy()),
        ("als", "spread", lambda a: a[:-1]),
        ("svd++", "summed", lambda a: a[:-1]),
        ("item-knn", "indptr", lambda a: a + 1),
        ("item-knn", "indices", lambda a: a + np.int32(40)),
        ("item-knn", "neighbours", lambda a: a + np.int32(40)),
        ("user-knn", "residuals", lambda a: a[:-1]),
        ("user-knn", "neighbours", lambda a: a - np.int32(5)),
    ],
)
def test_a_state_that_does_not_hold_together_is_refused(name, array, spoil, toy):
    model = train(name, toy.train)
    state = model.state()
    with pytest.raises(BundleError, match="saved model"):
        type(model).from_state(model.config, state | {array: spoil(state[array])})


FINGERPRINT = """
import hashlib, sys
import numpy as np
from cofactor.models import model_class
from cofactor.testing import toy_ratings
data = toy_ratings(400, 200, seed=3).train
for name in sys.argv[1:]:
    cls = model_class(name)
    model = cls()
    stepper = model.stepper(data, np.random.default_rng(0))
    for _ in range(3 if model.kind == "sweep" else 1):
        stepper.run(None, None)
    digest = hashlib.sha256()
    for key, array in sorted(model.state().items()):
        digest.update(np.ascontiguousarray(array).tobytes())
    states = model.fold_in(data.by_user)
    digest.update(states.tobytes())
    digest.update(model.scores_from(states).tobytes())
    print(name, digest.hexdigest())
"""


@pytest.mark.slow
def test_one_or_two_threads_give_the_same_bits():
    outputs = []
    for threads in ("1", "2"):
        env = os.environ | {"NUMBA_NUM_THREADS": threads}
        done = subprocess.run(
            [sys.executable, "-c", FINGERPRINT, *NAMES], env=env, capture_output=True, text=True, check=True
        )
        outputs.append(done.stdout)
    assert len(outputs[0].splitlines()) == len(NAMES)
    assert outputs[0] == outputs[1]


# ---- real ratings

BOUNDS = {"bias": 0.955, "als": 0.920, "svd++": 0.897, "item-knn": 0.926, "user-knn": 0.934}
"""RMSE on u1 at the defaults, with a margin of some 0.003."""


@pytest.mark.movielens
@pytest.mark.parametrize("name", NAMES)
def test_rmse_on_u1(name, ml100k_folds):
    split = ml100k_folds[0]
    assert error_on(train(name, split.train), split.valid) < BOUNDS[name]


@pytest.mark.movielens
@pytest.mark.parametrize("name", NAMES)
def test_fold_in_is_nearly_as_good_as_training(name, ml100k):
    """A fifth of the users held out of training, half of each one's ratings their history: within 2 % in RMSE."""
    rng = np.random.default_rng(0)
    new = np.isin(ml100k.users, rng.permutation(ml100k.n_users)[: ml100k.n_users // 5])
    history = new & (rng.random(len(ml100k)) < 0.5)
    asked = ml100k.take(new & ~history)
    without, together = train(name, ml100k.take(~new)), train(name, ml100k.take(~new | history))
    who, at = np.unique(asked.users, return_inverse=True)
    state = without.fold_in(ml100k.take(history).by_user.take(who))
    guess = np.clip(without.scores_from(state)[at, asked.items], *ml100k.range)
    assert rmse(guess, asked.values) <= 1.02 * error_on(together, asked)
