"""The fused, lazily updated dot-bias against a plain dense NumPy reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cofactor.data.interactions import CSR, Interactions
from cofactor.errors import BundleError, ConfigError, NotFittedError
from cofactor.model import Additive, HasFactors, Hyper, Model
from cofactor.models.dot_bias.config import DotBiasConfig
from cofactor.models.dot_bias.model import DotBias
from cofactor.models.dot_bias.table import initial_table
from toys import batches as job
from toys import planted_factors as toy

Array = Any


def link(z: Array, y: Array, loss: str, y_range: tuple[float, float] | None) -> tuple[Array, Array]:
    """Loss of each rating and its derivative by z, in float64."""
    lo, hi = y_range or (0.0, 1.0)
    s = 1 / (1 + np.exp(-z))
    if loss == "bce":
        t = (y - lo) / (hi - lo)
        return np.logaddexp(0, z) - z * t, s - t
    d, slope = (z - y, 1.0) if y_range is None else (lo + (hi - lo) * s - y, (hi - lo) * s * (1 - s))
    if loss == "mse":
        return d * d, 2 * d * slope
    if loss == "mae":
        return np.abs(d), np.sign(d) * slope
    c = np.clip(d, -1, 1)
    return c * (d - c / 2), c * slope


def dense(
    data: Interactions, seed: int, k: int, rows: Array, hyper: Hyper, loss: str, y_range: Any
) -> tuple[list[Array], Array]:
    """The rule as DESIGN states it, every row of every table at every step, in float64."""
    table = initial_table(data.n_users, data.n_items, k, np.random.default_rng(seed))
    users, items = table[: data.n_users], table[data.n_users :]
    p = [users[:, :k], items[:, :k], users[:, k], items[:, k + 1]]
    p = [x.astype(np.float64) for x in p]
    m, v = [np.zeros_like(x) for x in p], [np.zeros_like(x) for x in p]
    losses = []
    for t, (lr, b1) in enumerate(zip(hyper.lr, hyper.momentum), start=1):
        batch = rows[(t - 1) * hyper.batch_size : t * hyper.batch_size]
        u, i, y = data.users[batch], data.items[batch], data.values[batch].astype(np.float64)
        z = (p[0][u] * p[1][i]).sum(1) + p[2][u] + p[3][i]
        each, e = link(z, y, loss, y_range)
        losses.append(each.mean())
        e = e / len(batch)
        g = [np.zeros_like(x) for x in p]
        np.add.at(g[0], u, e[:, None] * p[1][i])
        np.add.at(g[1], i, e[:, None] * p[0][u])
        np.add.at(g[2], u, e)
        np.add.at(g[3], i, e)
        for x, mx, vx, gx in zip(p, m, v, g):
            x *= 1 - lr * hyper.weight_decay
            mx *= b1
            mx += (1 - b1) * gx
            vx *= 0.99
            vx += 0.01 * gx * gx
            x -= lr / (1 - b1**t) * mx / (np.sqrt(vx / (1 - 0.99**t)) + 1e-5)
    return p, np.array(losses)


def lazy(data: Interactions, seed: int, config: DotBiasConfig, rows: Array, hyper: Hyper) -> tuple[DotBias, Array]:
    model = DotBias(config)
    stepper = model.stepper(data, np.random.default_rng(seed))
    losses = stepper.run(rows, hyper)
    model.flush()
    return model, losses


@pytest.mark.parametrize(
    ("loss", "y_range", "bs", "lr", "wd", "constant", "power"),
    [
        ("mse", (0.0, 5.5), 64, 5e-3, 0.1, False, 1.0),
        ("mse", (0.0, 5.5), 4, 5e-3, 0.1, False, 4.0),  # rows far apart
        ("mse", None, 16, 5e-3, 0.0, True, 2.0),
        ("mae", (0.0, 5.5), 16, 5e-3, 0.1, False, 2.0),
        ("huber", (0.0, 5.5), 16, 5e-3, 0.1, False, 2.0),
        ("bce", (1.0, 5.0), 16, 5e-3, 0.1, False, 2.0),
        ("mse", (0.0, 5.5), 16, 5e-2, 0.5, True, 3.0),
    ],
)
def test_lazy_follows_dense(loss, y_range, bs, lr, wd, constant, power) -> None:
    data = toy(power=power)
    config = DotBiasConfig(n_factors=10, y_range=y_range, loss=loss)
    rows, hyper = job(data, bs, lr, wd, 3, constant)
    model, losses = lazy(data, 5, config, rows, hyper)
    want, want_losses = dense(data, 5, 10, rows, hyper, loss, y_range)
    epochs = np.array([losses.reshape(3, -1).mean(1), want_losses.reshape(3, -1).mean(1)])
    assert np.abs(epochs[0] - epochs[1]).max() < (1e-4 if lr < 1e-2 else 2e-3) * max(1.0, epochs[1].max())
    v = model.views()
    scale = np.sqrt((want[0] ** 2).mean())
    assert np.sqrt(((v["u_weight"] - want[0]) ** 2).mean()) < (0.01 if lr < 1e-2 else 0.1) * scale
    assert want_losses[:20].mean() > 1.02 * want_losses[-20:].mean()  # it learned something


@pytest.mark.parametrize("chunk", [1, 7])
def test_whole_run_and_batches_give_the_same_bits(chunk: int) -> None:
    data = toy(power=2.0)
    config = DotBiasConfig(n_factors=20, y_range=(0.0, 5.5))
    rows, hyper = job(data, 32, 5e-3, 0.1, 2)
    whole, losses = lazy(data, 3, config, rows, hyper)
    model = DotBias(config)
    stepper = model.stepper(data, np.random.default_rng(3))
    parts = []
    for at in range(0, len(hyper.lr), chunk):
        piece = Hyper(hyper.lr[at : at + chunk], hyper.momentum[at : at + chunk], hyper.weight_decay, hyper.batch_size)
        parts.append(stepper.run(rows[at * 32 : (at + len(piece.lr)) * 32], piece))
    np.testing.assert_array_equal(np.concatenate(parts), losses)
    for name, view in model.views().items():
        np.testing.assert_array_equal(view, whole.views()[name])


def test_snapshot_goes_on_as_if_never_interrupted() -> None:
    data = toy()
    config = DotBiasConfig(n_factors=5, y_range=(0.0, 5.5))
    rows, hyper = job(data, 32, 5e-3, 0.1, 1)
    model = DotBias(config)
    stepper = model.stepper(data, np.random.default_rng(3))
    stepper.run(rows, hyper)
    kept = stepper.snapshot()
    first = stepper.run(rows, hyper)
    table = model.state()["user_table"].copy()
    again = model.stepper(data, np.random.default_rng(99))
    again.run(rows, hyper)
    again.restore(kept)
    np.testing.assert_array_equal(again.run(rows, hyper), first)
    np.testing.assert_array_equal(model.state()["user_table"], table)


def test_long_gaps_flush_and_stay_finite() -> None:
    """A row touched once, then never again for longer than the history kept, at decays that underflow."""
    data = toy(n=400)
    lone = Interactions(
        np.r_[np.int32(39), data.users % 5].astype(np.int32),
        np.r_[np.int32(59), data.items % 5].astype(np.int32),
        np.r_[np.float32(5), data.values].astype(np.float32),
        None,
        data.user_ids,
        data.item_ids,
    )
    config = DotBiasConfig(n_factors=5, y_range=(0.0, 5.5))
    n = 10_000
    rows = np.r_[0, 1 + np.arange(n - 1) % 400]
    for wd, mom in ((0.1, 0.9), (50.0, 0.99), (200.0, 0.0), (0.0, 0.999)):
        model, losses = lazy(lone, 0, config, rows, Hyper(np.full(n, 5e-3), np.full(n, mom), wd, 1))
        assert np.isfinite(losses).all()
        assert np.isfinite(model.user_table).all()
        assert np.isfinite(model.predict(np.array([39]), np.array([59]))).all()
        if wd >= 50:
            assert np.abs(model.views()["u_weight"][39]).max() < 1e-6


def test_columns_of_ones_and_padding_never_change() -> None:
    model, _ = lazy(toy(), 0, DotBiasConfig(n_factors=10), *job(toy(), 16, 5e-3, 0.1, 1))
    assert (model.user_table[:, 11] == 1).all()
    assert (model.item_table[:, 10] == 1).all()
    assert (model.user_table[:, 12:] == 0).all()
    assert (model.item_table[:, 12:] == 0).all()


def test_a_hand_edit_of_the_weights_is_honoured() -> None:
    data = toy()
    rows, hyper = job(data, 16, 5e-3, 0.1, 1)
    model = DotBias(DotBiasConfig(n_factors=10))
    stepper = model.stepper(data, np.random.default_rng(0))
    stepper.run(rows, hyper)
    address = model.user_table.ctypes.data
    model.views()["u_bias"][:] = 0.25
    np.testing.assert_array_equal(model.bias("user"), np.float32(0.25))
    stepper.run(rows, hyper)
    assert np.abs(model.bias("user") - 0.25).mean() < 0.3
    assert model.user_table.ctypes.data == address
    assert address % 64 == 0


def test_predictions_agree_and_unknown_codes_fall_back() -> None:
    data = toy()
    model, _ = lazy(data, 0, DotBiasConfig(n_factors=10, y_range=(0.0, 5.5)), *job(data, 16, 5e-3, 0.1, 2))
    assert isinstance(model, Model)
    assert isinstance(model, Additive)
    assert isinstance(model, HasFactors)
    v = model.views()
    z = v["u_weight"].astype(float) @ v["i_weight"].T + v["u_bias"] + v["i_bias"].T
    np.testing.assert_allclose(model.scores(np.arange(40)), 5.5 / (1 + np.exp(-z)), atol=2e-5)
    np.testing.assert_allclose(model.predict(np.arange(40), np.arange(40)), 5.5 / (1 + np.exp(-np.diag(z))), atol=2e-5)
    u, i = (np.r_[t, [t.mean(0)]].astype(float) for t in (model.user_table, model.item_table))
    got = model.predict(np.array([-1, 3, -1]), np.array([4, -1, -1]))
    np.testing.assert_allclose(
        got, 5.5 / (1 + np.exp(-np.array([u[-1] @ i[4], u[3] @ i[-1], u[-1] @ i[-1]]))), atol=2e-5
    )
    np.testing.assert_allclose(model.scores(np.array([-1]))[0], 5.5 / (1 + np.exp(-u[-1] @ i[:-1].T)), atol=2e-5)
    for user, item in ((2, 7), (-1, 7), (2, -1), (-1, -1)):
        z = model.terms(user, item).values.sum()
        assert 5.5 / (1 + np.exp(-z)) == pytest.approx(model.predict(np.array([user]), np.array([item]))[0], abs=1e-5)


def test_state_round_trip_and_errors() -> None:
    data = toy()
    config = DotBiasConfig(n_factors=10)
    model, _ = lazy(data, 0, config, *job(data, 16, 5e-3, 0.1, 1))
    state = model.state()
    twin = DotBias.from_state(config, state)
    np.testing.assert_array_equal(twin.scores(np.arange(5)), model.scores(np.arange(5)))
    assert model.y_range == (0.5, 5.5)
    with pytest.raises(BundleError, match="user_table"):
        DotBias.from_state(config, {k: a for k, a in state.items() if k != "user_table"})
    with pytest.raises(BundleError, match="item_table"):
        DotBias.from_state(config, state | {"item_table": state["item_table"][:, :5]})
    with pytest.raises(NotFittedError):
        DotBias(config).predict(np.array([0]), np.array([0]))
    with pytest.raises(ConfigError, match="y_range"):
        DotBiasConfig(y_range=(5, 1))
    with pytest.raises(ConfigError, match="loss"):
        DotBiasConfig(loss="mea")


@pytest.mark.parametrize(
    ("loss", "y_range"),
    [("mse", (0.5, 5.5)), ("mse", None), ("mae", (0.5, 5.5)), ("huber", (0.5, 5.5)), ("bce", (0.5, 5.5))],
)
def test_fold_in_predicts_held_out_users_like_trained_ones(loss: str, y_range: Any) -> None:
    data = toy(n=8000, n_users=150, n_items=60, seed=4)
    held = data.users >= 120
    half = np.random.default_rng(0).random(len(data)) < 0.5
    config = DotBiasConfig(n_factors=5, y_range=y_range, loss=loss)
    test = data.take(held & ~half)

    def rmse(p: Array) -> float:
        return float(np.sqrt(np.mean((p - test.values) ** 2)))

    def trained(mask: Array) -> DotBias:
        part = data.take(mask)
        return lazy(part, 0, config, *job(part, 16, 2e-2, 0.1, 12))[0]

    together = rmse(trained(~held | half).predict(test.users, test.items))
    model = trained(~held)
    rows = model.fold_in(data.take(held & half).by_user)
    folded = rmse(model.scores_from(rows)[test.users, test.items])
    unknown = rmse(model.predict(np.full(len(test), -1), test.items))
    assert folded < 1.05 * together
    assert folded < 0.9 * unknown
    twin = DotBias.from_state(config, model.state())
    np.testing.assert_array_equal(twin.fold_in(data.take(held & half).by_user), rows)
    nobody = CSR(np.zeros(2, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32), np.zeros(0, np.int64), 60)
    np.testing.assert_allclose(model.fold_in(nobody)[0, :6], model.state()["prior"][0], rtol=1e-6)
    np.testing.assert_array_equal(model.scores_from(model.user_state(np.arange(5))), model.scores(np.arange(5)))


@pytest.mark.movielens
def test_ml100k_losses_are_those_of_the_dense_update(ml100k: Interactions) -> None:
    """A quarter of the rows, two epochs; benchmarks/dot_bias.py has the whole job over ten seeds."""
    data = ml100k.take(np.random.default_rng(0).permutation(len(ml100k))[:20_000])
    rows, hyper = job(data, 64, 5e-3, 0.1, 2)
    _, losses = lazy(data, 0, DotBiasConfig(y_range=(0.0, 5.5)), rows, hyper)
    _, want = dense(data, 0, 50, rows, hyper, "mse", (0.0, 5.5))
    assert np.abs((losses - want).reshape(2, -1).mean(1)).max() < 1e-4


def test_counts_up_to_a_million_can_be_saved(tmp_path) -> None:
    import cofactor as cf

    data = toy()
    counts = np.floor(np.exp(np.random.default_rng(0).exponential(3, len(data)))).clip(1, 1e6).astype(np.float32)
    rec = cf.fit(data.replace(values=counts), model="dot-bias", epochs=1)
    rec.save(tmp_path / "m.cofactor")
    history = {0: 5.0, 1: 900.0}
    assert cf.load(tmp_path / "m.cofactor").recommend(history=history).equals(rec.recommend(history=history))
