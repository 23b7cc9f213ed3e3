"""The loop: schedules, order of rows, hooks, checkpoints, interrupts, the learning-rate finder."""

from __future__ import annotations

import csv
import math
import os
import signal

import numpy as np
import pytest

import cofactor as cf
from cofactor.errors import BundleError, ConfigError
from cofactor.models.als import ALS, ALSConfig
from cofactor.models.bias import Bias
from cofactor.models.dot_bias.model import DotBias
from cofactor.train import Callback, CSVLog, EarlyStopping, Learner, SaveBest, flat_plan, one_cycle_plan
from cofactor.train.learner import epoch_order
from cofactor.train.losses import bce, huber, mae, mse
from cofactor.train.recorder import SmoothLoss


def make(split, seed=0, bs=16, **config):
    return Learner(split, DotBias(DotBias.Config(n_factors=4, **config)), seed=seed, bs=bs, verbose=False)


def weights(learn):
    return {k: v.copy() for k, v in learn.model.state().items()}


def same(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) for k in a)


@pytest.fixture(scope="module")
def split():
    rng = np.random.default_rng(3)
    pairs = rng.permutation(30 * 40)[:500]
    users, items = pairs // 40, pairs % 40
    ratings = np.clip(np.round(3 + rng.normal(0, 1, 30)[users] + rng.normal(0, 1, 40)[items]), 1, 5)
    import polars as pl

    return cf.split.random(cf.read(pl.DataFrame({"user": users, "item": items, "rating": ratings})), seed=1)


# ---- schedules


def test_one_cycle_is_the_published_policy():
    plan = one_cycle_plan(4, 1e-2, 0.1)
    lr, mom = plan.arrays(0, 0, 400, 100)
    assert lr[0] == pytest.approx(1e-2 / 25)
    assert mom[0] == pytest.approx(0.95)
    assert lr.argmax() == 100
    assert lr[100] == pytest.approx(1e-2)
    assert mom[100] == pytest.approx(0.85)
    for t in (37, 250, 399):
        p = t / 400
        if p < 0.25:
            a, b, q = 1e-2 / 25, 1e-2, p / 0.25
        else:
            a, b, q = 1e-2, 1e-2 / 1e5, (p - 0.25) / 0.75
        assert lr[t] == pytest.approx(a + (b - a) * (1 - math.cos(math.pi * q)) / 2)
    assert lr[-1] < 1e-5


def test_a_plan_by_pieces_is_the_plan():
    plan = one_cycle_plan(3, 5e-3, 0.0)
    whole = np.concatenate([plan.arrays(e, 0, 50, 50)[0] for e in range(3)])
    pieces = np.concatenate([plan.arrays(e, i, 10, 50)[0] for e in range(3) for i in range(0, 50, 10)])
    assert np.array_equal(whole, pieces)
    assert np.all(flat_plan(2, 0.1, 0.0).arrays(1, 0, 5, 5)[0] == 0.1)


def test_smooth_loss_by_its_definition():
    losses = np.random.default_rng(0).random(50)
    total, expected = 0.0, []
    for i, x in enumerate(losses, 1):
        total = 0.98 * total + 0.02 * x
        expected.append(total / (1 - 0.98**i))
    smooth = SmoothLoss()
    got = np.concatenate([smooth.add(losses[:13]), smooth.add(losses[13:])])
    np.testing.assert_allclose(got, expected)
    assert smooth.value == pytest.approx(expected[-1])


def test_losses():
    p, t = np.array([1.0, 2.0, 4.0]), np.array([1.0, 3.0, 1.0])
    assert mse(p, t) == pytest.approx(10 / 3)
    assert mae(p, t) == pytest.approx(4 / 3)
    assert huber(p, t) == pytest.approx((0 + 0.5 + 2.5) / 3)
    assert bce(np.array([0.9, 0.2]), np.array([1.0, 0.0])) == pytest.approx(-(math.log(0.9) + math.log(0.8)) / 2)


# ---- the loop


def test_an_epoch_visits_every_row_once():
    order = epoch_order(1000, 5, 2)
    assert sorted(order.tolist()) == list(range(1000))
    assert not np.array_equal(order, epoch_order(1000, 5, 3))
    assert np.array_equal(order, epoch_order(1000, 5, 2))


def test_training_learns_and_records(split):
    learn = make(split, y_range=(0.5, 5.5))
    before = learn.validate()
    learn.fit_one_cycle(6, 5e-2, wd=0.05)
    assert len(learn.recorder.values) == 6
    assert learn.recorder.values[-1][1] == pytest.approx(learn.validate())
    assert learn.validate() < 0.7 * before
    per_epoch = len(split.train) // 16
    assert len(learn.recorder.losses) == len(learn.recorder.lrs) == 6 * per_epoch


def test_hooks_at_batches_do_not_change_the_weights(split):
    class Watch(Callback):
        def __init__(self):
            self.losses = []

        def after_batch(self, learn, batch, loss):
            self.losses.append(loss)

    plain, watched, watch = make(split), make(split), Watch()
    plain.fit_one_cycle(3, 1e-2)
    watched.fit_one_cycle(3, 1e-2, callbacks=[watch])
    assert same(weights(plain), weights(watched))
    np.testing.assert_array_equal(watch.losses, plain.recorder.losses)


def test_one_seed_one_result(split):
    a, b, c = make(split, seed=7), make(split, seed=7), make(split, seed=8)
    for learn in (a, b, c):
        learn.fit_one_cycle(2, 1e-2)
    assert same(weights(a), weights(b))
    assert not same(weights(a), weights(c))


def test_a_second_fit_goes_on_with_new_orders(split):
    learn = make(split)
    learn.fit(1, 1e-2)
    first = weights(learn)
    learn.fit(1, 1e-2)
    assert not same(first, weights(learn))
    assert len(learn.recorder.values) == 1


@pytest.mark.parametrize("callbacks", [(), (EarlyStopping(patience=9), SaveBest())])
def test_a_resumed_run_ends_as_an_uninterrupted_one(split, tmp_path, callbacks):
    class Crash(Callback):
        def before_epoch(self, learn):
            if self.armed and learn.epoch == 2:
                raise RuntimeError("power cut")

    whole = make(split)
    quiet = Crash()
    quiet.armed = False
    whole.fit_one_cycle(4, 1e-2, callbacks=[*callbacks, quiet])
    path = tmp_path / "run.ckpt"
    crash = Crash()
    crash.armed = True
    with pytest.raises(RuntimeError):
        make(split).fit_one_cycle(4, 1e-2, callbacks=[*callbacks, crash], checkpoint=path)
    crash.armed = False
    again = make(split)
    again.fit_one_cycle(4, 1e-2, callbacks=[*callbacks, crash], checkpoint=path, resume=True)
    assert same(weights(whole), weights(again))
    assert again.recorder.values == whole.recorder.values
    assert again.recorder.losses == whole.recorder.losses


def test_writing_checkpoints_changes_no_bit(split, tmp_path):
    plain, saved = make(split.train), make(split.train)
    plain.fit_one_cycle(6, 1e-2)
    saved.fit_one_cycle(6, 1e-2, checkpoint=tmp_path / "run.ckpt")
    assert same(weights(plain), weights(saved))


def test_divergence_is_said(split):
    with pytest.raises(ConfigError, match="diverged in epoch 0"):
        make(split, y_range=None).fit(3, 1e30)


def test_divergence_of_sweeps_is_said(split, monkeypatch):
    learn = Learner(split, ALS(ALSConfig(n_factors=2)))
    monkeypatch.setattr(learn.stepper, "run", lambda rows, hyper: np.array([np.nan]))
    with pytest.raises(ConfigError, match="diverged in epoch 0: the loss is nan"):
        learn.fit(3)


def test_a_checkpoint_of_another_run_is_refused(split, tmp_path):
    path = tmp_path / "run.ckpt"
    make(split).fit_one_cycle(1, 1e-2, checkpoint=path)
    with pytest.raises(BundleError, match="another run"):
        make(split, seed=1).fit_one_cycle(1, 1e-2, checkpoint=path, resume=True)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(BundleError, match="not a complete checkpoint"):
        make(split).fit_one_cycle(1, 1e-2, checkpoint=path, resume=True)


def test_ctrl_c_keeps_what_was_learned(split):
    class Interrupt(Callback):
        def after_batch(self, learn, batch, loss):
            if learn.epoch == 1 and batch == 3:
                os.kill(os.getpid(), signal.SIGINT)

    learn, untouched = make(split), make(split)
    handler = signal.getsignal(signal.SIGINT)
    learn.fit_one_cycle(5, 1e-2, callbacks=[Interrupt()])
    assert len(learn.recorder.values) == 2
    untouched.validate()
    assert not same(weights(learn), weights(untouched))
    assert signal.getsignal(signal.SIGINT) is handler


def test_early_stopping_and_save_best(split):
    class Worse(Callback):
        """Makes every epoch after the second one worse."""

        def after_epoch(self, learn):
            if learn.epoch >= 2:
                learn.recorder.values[-1][1] = 100.0 + learn.epoch

    learn, shorter = make(split), make(split)
    learn.fit(9, 1e-3, callbacks=[Worse(), EarlyStopping(patience=2), SaveBest()])
    assert len(learn.recorder.values) == 4
    shorter.fit(2, 1e-3)
    assert same(weights(learn), weights(shorter))


def test_csv_log(split, tmp_path):
    path = tmp_path / "log.csv"
    learn = make(split)
    learn.fit(2, 1e-3, callbacks=[CSVLog(path)])
    learn.fit(1, 1e-3, callbacks=[CSVLog(path, append=True)])
    with path.open() as file:
        rows = list(csv.DictReader(file))
    assert [r["epoch"] for r in rows] == ["0", "1", "0"]
    assert float(rows[-1]["valid_loss"]) == learn.recorder.values[-1][1]


def test_the_printed_table(split, capsys):
    learn = make(split)
    learn.verbose = True
    learn.fit_one_cycle(2, 1e-2)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["epoch", "train_loss", "valid_loss", "time"]
    assert [line.split()[0] for line in lines[1:]] == ["0", "1"]
    assert float(lines[2].split()[2]) == pytest.approx(learn.recorder.values[-1][1], abs=1e-6)


def test_the_finder_puts_everything_back(split):
    learn = make(split)
    learn.validate()
    before = weights(learn)
    found = learn.lr_find()
    assert same(before, weights(learn))
    assert found.lrs[0] == pytest.approx(1e-5)
    assert 1e-4 < found.valley < 1
    assert len(found.lrs) == len(found.losses)
    assert len(repr(found)) < 100  # a notebook shows it where the call is the last line of a cell


def test_models_that_solve_use_the_same_loop(split):
    learn = Learner(split, Bias(Bias.Config()), verbose=False)
    learn.fit(3)
    assert learn.recorder.values[-1][1] == pytest.approx(learn.validate())
    with pytest.raises(ConfigError, match="no learning rate"):
        learn.lr_find()


def test_no_valid_part_is_nan(split):
    learn = Learner(split.train, DotBias(DotBias.Config(n_factors=3)), verbose=False)
    learn.fit(1, 1e-3)
    assert math.isnan(learn.recorder.values[0][1])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda learn: learn.fit(0), "epochs is 0"),
        (lambda learn: learn.fit(1, -1.0), "learning rate is -1.0"),
        (lambda learn: learn.fit(1, math.nan), "learning rate is nan"),
        (lambda learn: learn.fit(1, wd=-0.1), "weight decay is -0.1"),
        (lambda learn: learn.fit_one_cycle(1, pct_start=0.0), "pct_start is 0.0"),
        (lambda learn: learn.lr_find(1.0, 0.1), "0 < start < end"),
    ],
)
def test_bad_numbers_are_named(split, call, message):
    with pytest.raises(ConfigError, match=message):
        call(make(split))
    with pytest.raises(ConfigError, match="batch size is 0"):
        make(split, bs=0)


def test_plots(split):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    learn = make(split)
    learn.fit_one_cycle(2, 1e-2)
    assert len(learn.recorder.plot_loss().lines) == 2
    assert len(learn.recorder.plot_sched()) == 2
    assert learn.lr_find().plot().get_xscale() == "log"
    plt.close("all")


def test_a_word_before_compiling_and_only_then():
    import numba

    from cofactor._progress import compiling_announced

    said = []
    fresh = numba.njit(lambda x: x + 1)
    with compiling_announced(said.append):
        fresh(1)
        fresh(1.5)
    assert len(said) == 1
    with compiling_announced(said.append):
        fresh(2)
    assert len(said) == 1


def test_many_epochs_print_no_table(split, capsys):
    learn = make(split)
    learn.verbose = True
    learn.fit(40, 1e-3)
    assert "epoch" not in capsys.readouterr().out
    assert len(learn.recorder.values) == 40
