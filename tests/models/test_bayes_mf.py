"""bayes-mf as a whole: planted truth, a Geweke test of the sampler, chains, threads, resuming, fold-in, MovieLens."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from statistics import NormalDist
from typing import Any

import numpy as np
import polars as pl
import pytest

from cofactor.data.interactions import CSR, Features, Interactions, Split, csr
from cofactor.errors import BundleError, ConfigError
from cofactor.models.bayes_mf import chain as chain_module
from cofactor.models.bayes_mf import time as process_module
from cofactor.models.bayes_mf.chain import Chain
from cofactor.models.bayes_mf.diagnostics import effective_size, rhat
from cofactor.models.bayes_mf.model import BayesMF, BayesMFConfig
from cofactor.models.bayes_mf.stepper import feature_blocks, layouts
from cofactor.testing import model_checks
from toys import SMALL_BAYES as SMALL
from toys import PlantedDrift as Planted
from toys import bayes_table as table
from toys import fit_bayes as fit


def rmse(model: BayesMF, data: Interactions) -> float:
    return float(np.sqrt(np.mean((model.predict(data.users, data.items, data.times) - data.values) ** 2)))


@pytest.fixture(scope="module")
def planted() -> Planted:
    return Planted()


@pytest.fixture(scope="module")
def model(planted: Planted) -> BayesMF:
    config = BayesMFConfig(n_factors=3, epochs=150, burn_in=50, n_samples=60, user_time_scales=(200.0,))
    return fit(planted.train, config)


@pytest.mark.parametrize("check", model_checks(BayesMF, SMALL), ids=str)
def test_conforms(check: Any) -> None:
    check()


def ordinal_data() -> tuple[Interactions, Interactions]:
    """Latent values cut into five levels of very unequal width."""
    planted = Planted(150, 80, 40)
    both = np.concatenate([planted.train.values, planted.test.values])
    edges = np.quantile(both, [0.05, 0.1, 0.2, 0.6])
    return tuple(  # type: ignore[return-value]
        replace(part, values=(1 + np.searchsorted(edges, part.values)).astype(np.float32), times=None)
        for part in (planted.train, planted.test)
    )


@pytest.fixture(scope="module")
def ordinal() -> BayesMF:
    return fit(ordinal_data()[0], BayesMFConfig(n_factors=3, epochs=120, burn_in=60, likelihood="ordinal"))


def test_ordinal_probit_knows_unequal_levels(ordinal: BayesMF) -> None:
    train, test = ordinal_data()
    gaussian = fit(train, BayesMFConfig(n_factors=3, epochs=120, burn_in=60))
    assert rmse(ordinal, test) < 0.99 * rmse(gaussian, test)
    cuts, z = ordinal.state()["cuts"], NormalDist().inv_cdf
    found = (cuts[1:-1] - cuts[0]) / (cuts[-1] - cuts[0])
    wanted = np.array([z(q) - z(0.05) for q in (0.1, 0.2)]) / (z(0.6) - z(0.05))
    np.testing.assert_allclose(found, wanted, atol=0.06)
    bounds = ordinal.predict_interval(test.users, test.items, 0.9)
    assert 0.85 < np.mean((test.values >= bounds.low) & (test.values <= bounds.high)) < 0.95


def test_ordinal_answers_agree_with_each_other(ordinal: BayesMF) -> None:
    users = np.arange(20, dtype=np.int32)
    scores = ordinal.scores(users)
    assert scores.min() >= 1.0 - 1e-5
    assert scores.max() <= 5.0 + 1e-5
    np.testing.assert_allclose(scores[:, 7], ordinal.predict(users, np.full(20, 7, np.int32)), atol=1e-4)
    terms = ordinal.terms(3, 7)
    assert "rating scale" in terms.names
    assert terms.values.sum() == pytest.approx(float(scores[3, 7]), abs=1e-4)
    folded = ordinal.terms_from(ordinal.user_state(users)[3], 7)
    assert folded.values.sum() == pytest.approx(float(scores[3, 7]), abs=1e-5)
    again = ordinal.scores_from(ordinal.fold_in(ordinal_data()[0].by_user.take(users)))
    assert np.sqrt(np.mean((again - scores) ** 2)) < 0.25
    copy = BayesMF.from_state(ordinal.config, ordinal.state())
    np.testing.assert_array_equal(copy.scores(users), scores)


def test_ordinal_needs_few_levels() -> None:
    with pytest.raises(ConfigError, match="distinct ratings"):
        fit(Planted(20, 20, 10).train, replace(SMALL, likelihood="ordinal"))
    two = replace(ordinal_data()[0], values=(ordinal_data()[0].values > 3).astype(np.float32))
    model = fit(two, replace(SMALL, likelihood="ordinal"))
    assert rmse(model, two) < 0.95 * two.values.std()


def test_planted_truth_is_recovered(planted: Planted, model: BayesMF) -> None:
    users, items = (x.ravel().astype(np.int32) for x in np.indices(planted.mean.shape))
    found = model.scores(np.arange(200)).ravel()
    error = np.sqrt(np.mean((found - planted.mean[users, items]) ** 2))
    assert error < 0.35  # of a standard deviation of 1.15; biases alone leave 0.9
    traced = dict(zip(model.trace_names, model.traces.mean((0, 1)), strict=True))
    assert traced["user drift 0 seconds"] == pytest.approx(60.0, rel=0.35)
    assert traced["user drift 0 sd"] == pytest.approx(0.6, rel=0.15)
    arrays = model.state()
    noise = arrays["scale"] * np.sqrt(np.mean(1 / arrays["noise_precision"]) * arrays["user_noise"][:-1])
    truth = planted.noise * planted.user_noise
    assert np.corrcoef(np.log(noise), np.log(truth))[0, 1] > 0.83  # 0.839 to 0.851 with six seeds
    assert np.exp(np.mean(np.log(noise / truth))) == pytest.approx(1.0, rel=0.1)


def test_intervals_cover_what_they_say(planted: Planted, model: BayesMF) -> None:
    test = planted.test
    for level in (0.5, 0.9):
        bounds = model.predict_interval(test.users, test.items, level, test.times)
        inside = np.mean((test.values >= bounds.low) & (test.values <= bounds.high))
        assert inside == pytest.approx(level, abs=0.03)


def test_moods_help_near_known_times(planted: Planted, model: BayesMF) -> None:
    test = planted.test
    blind = np.sqrt(np.mean((model.predict(test.users, test.items) - test.values) ** 2))
    assert rmse(model, test) < 0.95 * blind


class Drifting:
    """400 days in which items drift (a process of 100 days, sd 0.8) and users have moods of days."""

    def __init__(self, n_users: int = 300, n_items: int = 40, each: int = 40) -> None:
        rng = np.random.default_rng(2)
        self.day = 86400
        users, items = (x.ravel() for x in np.indices((n_users, each)))
        times = rng.integers(0, 400, len(users)) * self.day + rng.integers(0, 3600, len(users))
        self.drift = ou(rng, n_items, 401, 100.0, 0.8)
        moods = ou(rng, n_users, 401, 3.0, 0.5)
        day = times // self.day
        base = 5 + 0.5 * rng.normal(size=n_users)[users] + 0.5 * rng.normal(size=n_items)[items]
        values = base + self.drift[items, day] + moods[users, day] + 0.5 * rng.normal(size=len(users))
        data = table(users, items, values, (n_users, n_items), times)
        held = rng.random(len(users)) < 0.2
        self.train, self.test = data.take(~held), data.take(held)


def ou(rng: np.random.Generator, n: int, steps: int, scale: float, sd: float) -> np.ndarray:
    """float64 (n, steps): processes with a time scale of ``scale`` steps."""
    keep, out = np.exp(-1.0 / scale), sd * rng.normal(size=(n, steps))
    for t in range(1, steps):
        out[:, t] = keep * out[:, t - 1] + np.sqrt(1 - keep**2) * out[:, t]
    return out


@pytest.fixture(scope="module")
def drifting() -> tuple[Drifting, BayesMF]:
    planted = Drifting()
    day = float(planted.day)
    config = BayesMFConfig(
        n_factors=2, epochs=150, burn_in=50, user_time_scales=(2 * day,), item_time_scales=(60 * day,)
    )
    return planted, fit(planted.train, config)


def test_planted_drifts_of_items_and_days_of_users(drifting: tuple[Drifting, BayesMF]) -> None:
    planted, model = drifting
    traced = dict(zip(model.trace_names, model.traces.mean((0, 1)), strict=True))
    assert traced["item drift 0 seconds"] / planted.day == pytest.approx(100.0, rel=0.35)
    assert traced["item drift 0 sd"] == pytest.approx(0.8, rel=0.2)
    assert traced["user drift 0 seconds"] / planted.day == pytest.approx(3.0, rel=0.5)
    assert traced["user drift 0 sd"] == pytest.approx(0.5, rel=0.25)
    test = planted.test
    blind = np.sqrt(np.mean((model.predict(test.users, test.items) - test.values) ** 2))
    without = fit(planted.train, replace(model.config, item_time_scales=()))
    assert rmse(model, test) < 0.85 * blind
    assert rmse(model, test) < 0.9 * rmse(without, test)
    bounds = model.predict_interval(test.users, test.items, 0.9, test.times)
    assert np.mean((test.values >= bounds.low) & (test.values <= bounds.high)) == pytest.approx(0.9, abs=0.03)
    days = np.arange(20, 400, 20) * planted.day
    found = [model.predict(np.full(len(days), -1), np.full(len(days), i), days) for i in range(40)]
    inside = [np.corrcoef(f, planted.drift[i, 20:400:20])[0, 1] for i, f in enumerate(found)]
    assert np.median(inside) > 0.8


def test_drifts_have_terms_and_states_and_fade(drifting: tuple[Drifting, BayesMF]) -> None:
    planted, model = drifting
    test = planted.test
    for n in range(20):
        user, item, time = int(test.users[n]), int(test.items[n]), int(test.times[n])
        terms = model.terms(user, item, time)
        assert {"user drift at the time", "item drift at the time"} <= set(terms.names)
        predicted = model.predict(test.users[[n]], test.items[[n]], test.times[[n]])[0]
        assert terms.values.sum() == pytest.approx(float(predicted), abs=1e-4)
    copy = BayesMF.from_state(model.config, model.state())
    assert copy.trace_names == model.trace_names
    args = test.users, test.items, test.times
    np.testing.assert_array_equal(copy.predict(*args), model.predict(*args))
    far = model.predict(test.users, test.items, np.full(len(test), 10**12))
    np.testing.assert_allclose(far, model.predict(test.users, test.items), atol=1e-5)


def test_a_state_from_before_drifts_loads(planted: Planted) -> None:
    without = fit(planted.train, replace(SMALL, item_time_scales=()))
    state = {name: array for name, array in without.state().items() if not name.startswith("item_drift_")}
    state["implicit"] = state["implicit"][:-1]
    history = planted.test.by_user.take(np.arange(3))
    assert BayesMF.from_state(SMALL, state).fold_in(history).shape == without.fold_in(history).shape
    copy = BayesMF.from_state(SMALL, state)
    args = planted.test.users, planted.test.items, planted.test.times
    np.testing.assert_array_equal(copy.predict(*args), without.predict(*args))
    partly = state | {"item_drift_numbers": np.zeros((0, 3), np.float32)}
    with pytest.raises(BundleError, match="item_drift_indptr"):
        BayesMF.from_state(SMALL, partly)


def test_drifts_of_chains_meet(planted: Planted) -> None:
    frame = fit(
        planted.train, BayesMFConfig(n_factors=3, epochs=600, burn_in=200, user_time_scales=(200.0,))
    ).diagnostics()
    drifts = frame.filter(pl.col("name").str.starts_with("user drift"))
    assert len(drifts) == 2
    assert (drifts["rhat"] < 1.1).all()
    assert (drifts["ess"] > 30).all()


def test_chains_meet(planted: Planted) -> None:
    frame = fit(planted.train, BayesMFConfig(n_factors=3, epochs=150, burn_in=50, time=False)).diagnostics()
    assert frame.columns == ["name", "mean", "sd", "rhat", "ess"]
    pairs = frame.filter(pl.col("name").str.starts_with("prediction"))
    assert len(pairs) == 8
    assert (pairs["rhat"] < 1.1).all()
    assert pairs["ess"].median() > 100  # 149 to 174 with six seeds; the least of eight, from 42 to 138
    assert (pairs["ess"] > 30).all()
    assert (frame["rhat"] < 1.2).all()  # at most 1.06 with these seeds; up to 1.28 without the shifts of the means


def test_diagnostics_tell_good_chains_from_bad() -> None:
    rng = np.random.default_rng(0)
    white = rng.normal(size=(4, 500))
    assert rhat(white) < 1.01
    assert effective_size(white) == pytest.approx(2000, rel=0.15)
    assert rhat(white + np.arange(4)[:, None]) > 1.5
    slow = np.zeros((4, 4000))
    for t in range(1, 4000):
        slow[:, t] = 0.8 * slow[:, t - 1] + rng.normal(size=4)
    assert effective_size(slow) == pytest.approx(16000 / 9, rel=0.25)  # (1 + rho) / (1 - rho) = 9
    assert np.isnan(rhat(white[:, :3]))


# ---- the sampler agrees with the prior when the data are drawn anew each sweep (Geweke 2004)


def prior_draw(c: Chain, rng: np.random.Generator, a: float) -> None:
    """Everything in the chain from its prior."""
    for side in (c.users, c.items):
        d, n, width = side.layout.design, len(side.draw), side.draw.shape[1]
        assert d is not None
        side.mu = rng.normal(size=width)
        side.precision = rng.gamma(a, 1 / a, width)
        side.weight_precision = rng.gamma(a, 1 / a, (d.n_blocks, width))
        side.weights[:] = rng.normal(size=side.weights.shape) / np.sqrt(side.weight_precision[d.block])
        side.explained[:] = dense(d, n) @ side.weights
        side.draw[:] = side.mu + side.explained + rng.normal(size=(n, width)) / np.sqrt(side.precision)
        side.weight[:] = rng.gamma(c.noise_df / 2, 2 / c.noise_df, n)
    c.noise_precision[...] = rng.gamma(a, 1 / a)
    for process in c.user_drifts + c.item_drifts:
        variance = 1 / rng.gamma(a, 1 / a)
        scale = process.prior_scale * np.exp(process.scale_sd * rng.normal())
        process.numbers[:] = scale, variance
        for n, gap in enumerate(process.clock.gaps[process.clock.place]):
            keep = np.exp(-gap / scale)
            before = process.values[n - 1] if n else 0.0
            process.values[n] = keep * before + np.sqrt(variance * (1 - keep**2)) * rng.normal()


def dense(d: Any, n: int) -> np.ndarray:
    out = np.zeros((n, len(d.block)))
    out[d.rows, np.repeat(np.arange(len(d.block)), np.diff(d.indptr))] = d.values
    return out


def data_draw(c: Chain, rng: np.random.Generator) -> None:
    """Ratings given everything else, written into the layouts."""
    who = np.repeat(np.arange(len(c.users.draw)), c.users.layout.counts)
    what = c.users.layout.cols
    p, q = c.users.draw[who].astype(float), c.items.draw[what].astype(float)
    fit = (p[:, :-1] * q[:, :-1]).sum(1) + p[:, -1] + q[:, -1]
    in_time = np.zeros(len(what), dtype=np.float32)
    for process in c.user_drifts + c.item_drifts:
        process.take_from(in_time)
    precision = c.noise_precision * c.users.weight[who] * c.items.weight[what]
    rest = fit + rng.normal(size=len(fit)) / np.sqrt(precision)
    c.users.layout.y[:] = rest - in_time
    c.items.layout.y[:] = c.users.layout.y[c.item_rows]
    c.users.target[:], c.items.target[:] = rest, rest[c.item_rows]


def numbers(c: Chain) -> np.ndarray:
    """What the two simulations are compared in."""
    found = [np.log(c.noise_precision)]
    for side in (c.users, c.items):
        found += [side.mu[0], side.mu[-1], np.log(side.precision[0]), np.log(side.precision[-1])]
        found += [*np.log(side.weight_precision[:, 0]), np.log(side.weight[1]), np.tanh(side.draw[1, -1])]
    for process in c.user_drifts + c.item_drifts:
        found += [*np.log(process.numbers), np.tanh(process.values[2])]
    return np.array(found)


@pytest.mark.slow
def test_sampler_agrees_with_its_own_prior(monkeypatch: pytest.MonkeyPatch) -> None:
    a = 4.0
    for module, names in ((chain_module, ("",)), (process_module, ("", "NOISE_", "BIAS_"))):
        for name in names:
            monkeypatch.setattr(module, f"{name}SHAPE", a)
            monkeypatch.setattr(module, f"{name}RATE", a)
    rng = np.random.default_rng(0)
    users, items = np.nonzero(rng.random((5, 4)) < 0.7)
    times = rng.integers(0, 60, len(users))
    data = table(users, items, np.zeros(len(users)), (5, 4), times)
    groups = csr(np.arange(5), np.arange(5) % 2, np.ones(5), 5, 2)
    data = replace(data, user_features=Features(groups, ("g=a", "g=b")))
    parts = layouts(data, data.values, True, True)
    c = Chain(parts, 1, 6.0, (10.0, 100.0), (30.0,), 0, rng)
    from_prior = np.empty((4000, len(numbers(c))))
    for i in range(len(from_prior)):
        prior_draw(c, rng, a)
        from_prior[i] = numbers(c)
    data_draw(c, rng)
    by_sweeps = np.empty((8000, from_prior.shape[1]))
    for i in range(len(by_sweeps)):
        c.sweep()
        data_draw(c, rng)
        by_sweeps[i] = numbers(c)
    for power in (1, 2):
        x, y = from_prior**power, by_sweeps**power
        error = np.sqrt(x.var(0) / len(x) + y.reshape(40, -1, y.shape[1]).mean(1).var(0, ddof=1) / 40)
        assert np.abs((x.mean(0) - y.mean(0)) / error).max() < 4.5


# ---- features, threads, resuming, fold-in, config


def test_features_place_new_users_and_items() -> None:
    rng = np.random.default_rng(0)
    n_users, n_items = 60, 50
    group, genre = np.arange(n_users) % 2, np.arange(n_items) % 2
    users, items = np.nonzero(rng.random((n_users, n_items)) < 0.5)
    values = 3 + np.where(group[users] == genre[items], 1.0, -1.0) + 0.3 * rng.normal(size=len(users))
    seen = (users < n_users - 2) & (items < n_items - 2)
    data = table(users[seen], items[seen], values[seen], (n_users, n_items))
    one_hot = Features(csr(np.arange(n_users), group, np.ones(n_users), n_users, 2), ("group=a", "group=b"))
    genres = Features(csr(np.arange(n_items), genre, np.ones(n_items), n_items, 2), ("genre=a", "genre=b"))
    model = fit(replace(data, user_features=one_hot, item_features=genres), SMALL)
    scores = model.scores(np.arange(n_users))
    new_user, new_item = scores[-2:], scores[:, -2:]
    assert (new_user[group[-2:, None] == genre] - 3).min() > 0.5
    assert (new_item[group[:, None] == genre[-2:]] - 3).min() > 0.5
    assert (new_item[group[:, None] != genre[-2:]] - 3).max() < -0.5


def test_users_without_ratings_are_as_the_usual_one(planted: Planted) -> None:
    data = replace(planted.train, times=None)
    known = data.take(data.users < 150)
    # the rating falls with the number of items rated, so that a set of none would speak for high ones
    counts = np.bincount(known.users, minlength=200)[known.users]
    keep = np.random.default_rng(0).random(len(known)) < 0.2 + 0.8 * (known.users % 2)
    known = replace(known, values=(known.values - 2.0 * (known.users % 2)).astype(np.float32)).take(keep)
    assert len(counts) > len(known)
    model = fit(known, BayesMFConfig(n_factors=3, epochs=80, burn_in=30))
    scores = model.scores(np.arange(200))
    assert scores[150:].mean() == pytest.approx(scores[:150].mean(), abs=0.25)
    empty = model.fold_in(CSR(np.zeros(2, np.int64), *(x[:0] for x in data.by_user[1:4]), data.n_items))
    np.testing.assert_allclose(model.scores_from(empty)[0], model.scores(np.array([-1]))[0], atol=1e-5)
    again = model.scores_from(model.fold_in(known.by_user.take(np.arange(20))))
    assert np.sqrt(np.mean((again - scores[:20]) ** 2)) < 0.15


def test_feature_columns_are_grouped_and_scaled() -> None:
    matrix = csr([0, 0, 0, 1], [0, 1, 2, 1], [1.0, 30.0, 1.0, 40.0], 2, 3)
    found, sizes = feature_blocks(Features(matrix, ("a=x", "age", "a=y")))
    assert found is not None
    assert sizes == [2, 1]
    dense_rows = np.zeros((2, 3))
    dense_rows[np.repeat([0, 1], found.counts), found.indices] = found.values
    size = np.sqrt((900 + 1600) / 2)
    np.testing.assert_allclose(dense_rows, [[1, 1, 30 / size], [0, 0, 40 / size]], rtol=1e-6)


PROGRAM = """
import hashlib, sys
sys.path.insert(0, {tests!r})
from toys import PlantedDrift as Planted, SMALL_BAYES as SMALL, fit_bayes as fit
model = fit(Planted(60, 30, 20).train, SMALL)
state = model.state()
print(hashlib.sha256(b"".join(state[k].tobytes() for k in sorted(state))).hexdigest())
"""


@pytest.mark.slow
def test_same_bits_with_one_thread_and_two() -> None:
    program = PROGRAM.format(tests=os.path.dirname(os.path.dirname(__file__)))
    found = []
    for threads in ("1", "2"):
        env = os.environ | {"NUMBA_NUM_THREADS": threads}
        run = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True)
        found.append(run.stdout.strip())
    assert len(found[0]) == 64
    assert found[0] == found[1]


def test_chains_differ_and_seeds_matter() -> None:
    data = Planted(60, 30, 20).train
    model = BayesMF(SMALL)
    stepper = model.stepper(data, np.random.default_rng(0))
    stepper.run(None, None)
    first, second = stepper.chains
    assert not np.array_equal(first.users.draw, second.users.draw)
    assert not np.array_equal(fit(data, SMALL, 0).state()["user_bias"], fit(data, SMALL, 1).state()["user_bias"])


def test_resuming_half_way_gives_the_same_bits() -> None:
    data = Planted(60, 30, 20).train
    whole = fit(data, SMALL).state()
    first = BayesMF(SMALL).stepper(data, np.random.default_rng(0))
    for _ in range(17):
        first.run(None, None)
    model = BayesMF(SMALL)
    second = model.stepper(data, np.random.default_rng(5))
    second.restore(first.snapshot())
    for _ in range(SMALL.epochs - 17):
        second.run(None, None)
    for name, array in model.state().items():
        np.testing.assert_array_equal(array, whole[name])


def test_folding_in_a_trained_user_gives_the_user_back(planted: Planted) -> None:
    data = replace(planted.train, times=None)
    model = fit(data, BayesMFConfig(n_factors=3, epochs=80, burn_in=30))
    some = np.arange(0, 200, 9)
    again = model.scores_from(model.fold_in(data.by_user.take(some)))
    trained = model.scores(some)
    assert np.sqrt(np.mean((again - trained) ** 2)) < 0.08
    empty = model.fold_in(CSR(np.zeros(2, np.int64), *(x[:0] for x in data.by_user[1:4]), data.n_items))
    np.testing.assert_allclose(model.scores_from(empty)[0], model.scores(np.array([-1]))[0], atol=1e-5)


@pytest.mark.parametrize("implicit", [True, False])
@pytest.mark.parametrize("given", [1, 2, 30])
def test_leaving_out_is_solving_again_without(planted: Planted, implicit: bool, given: int) -> None:
    """Exactly so where noise is the same for all; where it is drawn, it is drawn for the whole history only."""
    data = replace(planted.train, times=None)
    whole = data.by_user.take(np.array([3]))
    none = whole.rows[:0]
    history = CSR(np.array([0, given]), whole.indices[:given], whole.values[:given], none, data.n_items)
    positions = np.arange(0, given, 1 if given < 3 else 4)
    for noise_df, most in ((0.0, 1e-5), (10.0, 0.1 if given < 30 else 5e-3)):
        model = fit(data, BayesMFConfig(n_factors=3, epochs=20, burn_in=10, noise_df=noise_df, implicit=implicit))
        expected = model.scores_from(model.fold_in(history.without_each(positions)))
        for item in (int(whole.indices[-1]), 7):
            found = model.scores_without(history, positions, np.array([item]))[0]
            np.testing.assert_allclose(found[0], expected[0, item], atol=1e-5)
            np.testing.assert_allclose(found, expected[:, item], atol=most)
            known = model.scores_without_of(3, history, positions, np.array([item]))[0]  # nothing is drawn for them
            np.testing.assert_allclose(known[1:] - known[0], found[1:] - found[0], atol=max(most, 1e-5))


@pytest.mark.parametrize("given", [1, 3, 10])
def test_intervals_of_users_with_short_histories(planted: Planted, given: int) -> None:
    data = replace(planted.train, times=None)
    known = data.take(data.users < 120)
    model = fit(known, BayesMFConfig(n_factors=3, epochs=90, burn_in=30, n_samples=60))
    later = data.take(data.users >= 120)
    order = np.argsort(later.users, kind="stable")
    place = np.arange(len(order)) - np.searchsorted(later.users[order], later.users[order])
    history, rest = later.take(order[place < given]), later.take(order[place >= given])
    state = model.fold_in(history.by_user.take(np.arange(120, 200)))
    bounds = model.interval_from(state, 0.9)
    low, high = (b[rest.users - 120, rest.items] for b in (bounds.low, bounds.high))
    assert np.mean((rest.values >= low) & (rest.values <= high)) == pytest.approx(0.9, abs=0.035)


def test_vectors_find_what_scores_order(planted: Planted, model: BayesMF) -> None:
    state = np.concatenate([model.user_state(np.arange(200)), model.fold_in(planted.test.by_user.take(np.arange(5)))])
    scores, found = model.scores_from(state), model.query_vectors(state) @ model.item_vectors().T
    assert found.shape == scores.shape
    assert model.item_vectors().shape == (100, 8)
    ahead = np.argsort(-found, axis=1)[:, :15]
    best = np.argsort(-scores, axis=1)[:, :10]
    assert np.mean([len(set(a) & set(b)) for a, b in zip(ahead, best, strict=True)]) > 9.9
    np.testing.assert_allclose(model.scores_at(state, best), np.take_along_axis(scores, best, axis=1), atol=1e-4)


def test_factors_are_the_average_interaction(planted: Planted, model: BayesMF) -> None:
    users, items = model.factors("user"), model.factors("item")
    assert users.shape == (200, 3)
    assert items.shape == (100, 3)
    rest = model.scores(np.arange(200)) - float(model.state()["mean"])
    rest -= model.bias("user")[:, None] + model.bias("item")
    assert np.mean((rest - users @ items.T) ** 2) < 0.05 * np.mean(rest**2)
    found = model.scores(np.arange(200))
    np.testing.assert_allclose(model.bias("item"), found.mean(0) - float(model.state()["mean"]), atol=1e-4)
    np.testing.assert_allclose(model.bias("user"), found.mean(1) - found.mean(), atol=1e-4)
    strength = np.linalg.norm(users, axis=0)
    assert (np.diff(strength) <= 1e-4).all()


def test_memory_for_samples_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cofactor.models.bayes_mf.stepper.KEPT_BYTES", 40_000)
    model = fit(Planted(60, 30, 20).train, SMALL)
    assert model.count == 12
    arrays = model.state()
    kept = sum(a.nbytes for a in arrays.values() if a.ndim == 2 and len(a) in (30, 31, 61))
    assert 20_000 < kept < 40_000
    in_time = sum(a.nbytes for n, a in arrays.items() if n.startswith(("user_drift", "item_drift")))
    rows = len(Planted(60, 30, 20).train)
    assert sum(a.nbytes for a in arrays.values()) < kept + in_time + model.traces.nbytes + 2_000
    assert in_time < 16 * rows + 1_000
    monkeypatch.setattr("cofactor.models.bayes_mf.stepper.KEPT_BYTES", 1)
    least = fit(Planted(60, 30, 20).train, SMALL)
    assert least.count == 2
    test = Planted(60, 30, 20).test
    assert rmse(least, test) < 1.2 * rmse(model, test)
    bounds = least.predict_interval(test.users, test.items, 0.9, test.times)
    assert 0.7 < np.mean((test.values >= bounds.low) & (test.values <= bounds.high)) < 0.97


@pytest.mark.parametrize(
    "change",
    [
        {"n_factors": 0},
        {"burn_in": 40},
        {"chains": 0},
        {"n_samples": 0},
        {"noise_df": -1.0},
        {"noise_df": 1.5},
        {"user_time_scales": (0.0,)},
        {"item_time_scales": (-5.0,)},
        {"likelihood": "poisson"},
    ],
)
def test_bad_parameters_are_named(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(change))):
        BayesMF(replace(SMALL, **change)).stepper(Planted(10, 10, 5).train, np.random.default_rng(0))


def test_a_constant_rating_stays_constant() -> None:
    data = table([0, 0, 1], [0, 1, 1], [3, 3, 3], (2, 2))
    assert fit(data, SMALL).predict(np.array([0, 1]), np.array([0, 0])) == pytest.approx([3.0, 3.0])


@pytest.mark.movielens
@pytest.mark.slow
def test_movielens_fold_one(ml100k_folds: list[Split]) -> None:
    train, test = ml100k_folds[0].train, ml100k_folds[0].valid
    model = fit(train, BayesMFConfig(epochs=100))
    assert rmse(model, test) < 0.88
    bounds = model.predict_interval(test.users, test.items, 0.9, test.times)
    assert 0.88 < np.mean((test.values >= bounds.low) & (test.values <= bounds.high)) < 0.92


@pytest.mark.movielens
@pytest.mark.slow
def test_processes_of_chains_meet_on_movielens(ml100k_folds: list[Split]) -> None:
    frame = fit(ml100k_folds[1].train, BayesMFConfig(), seed=0).diagnostics()
    worst = frame.filter(pl.col("name").str.contains("drift"))["rhat"].max()
    assert worst < 1.2  # 1.10 to 1.13 on three folds; 1.25 to 1.45 with one move of the numbers a sweep
