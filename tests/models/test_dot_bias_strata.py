"""dot-bias by strata: the batches in turn, bit for bit, at any number of threads."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cofactor.data.interactions import Interactions
from cofactor.errors import BundleError, ConfigError
from cofactor.kernels.dot_bias import strata as kernel
from cofactor.model import Hyper
from cofactor.models.dot_bias import strata as strata
from cofactor.models.dot_bias.config import DotBiasConfig
from cofactor.models.dot_bias.model import DotBias
from cofactor.train import Learner
from cofactor.train.callbacks import Callback
from toys import batches as job
from toys import planted_factors as toy
from toys import strata_stepper as stepped

Array = Any


SEED = [3, 1, 0]


def unpacked(words: Array) -> tuple[Array, Array, Array]:
    ratings = (words >> np.uint64(32)).astype(np.uint32).view(np.float32)
    return (words & np.uint64(0xFFFF)).astype(np.int64), (words >> np.uint64(16)).astype(np.int64) & 0xFFFF, ratings


def pieces(cut: Any, turn: Any, seed: list[int] = SEED) -> list[tuple[Array, Array, Array]]:
    """Users, items and ratings of the strata of a round, in the order in which they are trained."""
    found = []
    for pair in turn.pairs:
        users, items, ratings = unpacked(cut.words(pair, turn.piece, cut.keys(seed)))
        found.append((users + cut.user_cuts[pair[0]], items + cut.item_cuts[pair[1]], ratings))
    return found


def serially(data: Interactions, hyper: Hyper) -> tuple[Any, Array]:
    """The plain kernel over the batches in turn, a batch a call, all rows up to date between the rounds."""
    plain = stepped(data, "off")
    cut = strata.Strata(data, data.values, plain.table.shape[1])
    turns = list(cut.turns(SEED, hyper.batch_size))
    steps = sum(turn.steps for turn in turns)
    at = np.arange(steps) * len(hyper.lr) // steps
    lr, mom = hyper.lr[at], hyper.momentum[at]
    order = [  # every round's batches: a share of each stratum
        np.concatenate([column[len(column) * t // n : len(column) * (t + 1) // n] for column in columns])
        for turn in turns
        for n in [turn.steps]
        for t in range(n)
        for columns in zip(*pieces(cut, turn))
    ]
    batches = [order[k : k + 3] for k in range(0, len(order), 3)]
    plain.data = data.replace(
        **{name: np.concatenate(x) for name, x in zip(("users", "items", "values"), zip(*batches))}
    )
    plain.values = plain.data.values
    losses, done, starts = [], 0, set(np.cumsum([turn.steps for turn in turns]).tolist())
    for t, (users, _, _) in enumerate(batches):
        if t in starts:
            plain.flush()
        rows = np.arange(done, done + len(users), dtype=np.int32)
        losses.append(plain.run(rows, Hyper(lr[t : t + 1], mom[t : t + 1], hyper.weight_decay, len(rows)))[0])
        done += len(rows)
    assert done == len(data)
    plain.flush()
    return plain, np.array([np.mean(np.array(losses)[at == k]) for k in range(len(hyper.lr))])


@pytest.mark.parametrize(
    ("power", "wd", "loss"),
    [(1.0, 0.1, "mse"), (2.0, 0.1, "huber"), (2.0, 30.0, "mse")],  # at 30, decays that underflow
)
@pytest.mark.slow
def test_strata_are_the_batches_in_turn_bit_for_bit(power: float, wd: float, loss: str) -> None:
    data = toy(n=6010, power=power)
    _, hyper = job(data, 16, 5e-3, wd, 1)
    hyper = Hyper(np.full_like(hyper.lr, 2e-2), hyper.momentum, wd, 16) if wd > 1 else hyper
    want, want_losses = serially(data, hyper)
    got = stepped(data, "on")
    losses = got.run_epoch(SEED, hyper)
    np.testing.assert_array_equal(got.table, want.table)
    np.testing.assert_array_equal(got.ms, want.ms)
    np.testing.assert_array_equal(got.clock[0], want.clock[0])
    np.testing.assert_allclose(losses, want_losses, rtol=1e-6)
    again, other = got.run_epoch([3, 1, 1], hyper), stepped(data, "on")  # and it goes on from there
    assert wd > 1 or again.mean() < losses.mean()
    other.run_epoch([3, 1, 1], hyper)
    assert (other.table != want.table).any()


@pytest.mark.parametrize(("n_users", "n_items", "codes"), [(40, 60, True), (60, 7, False), (3, 50, True)])
def test_every_rating_is_trained_once_in_rounds_that_share_no_row(n_users: int, n_items: int, codes: bool) -> None:
    data = toy(n=5000, n_users=n_users, n_items=n_items, power=2.0)
    if not codes:
        data = data.replace(values=np.random.default_rng(0).random(5000, np.float32))
    cut = strata.Strata(data, data.values, 32)
    assert (cut.levels is None) == (not codes)
    assert cut.packed.dtype == (np.uint32 if codes else np.uint64)
    assert (cut.user_cuts[0], cut.user_cuts[-1], cut.item_cuts[-1]) == (0, n_users, n_items)
    seen = []
    for turn in cut.turns(SEED, 16):
        assert len({u for u, _ in turn.pairs}) == len({i for _, i in turn.pairs}) == len(turn.pairs)
        parts = pieces(cut, turn)
        assert turn.sizes == [len(users) for users, _, _ in parts]
        assert turn.whole().sum() == sum(turn.sizes)
        assert turn.whole().max() <= 16 + len(parts)
        for (u, i), (users, items, _) in zip(turn.pairs, parts):
            assert (np.searchsorted(cut.user_cuts, users, "right") == u + 1).all()
            assert (np.searchsorted(cut.item_cuts, items, "right") == i + 1).all()
        seen += parts
    users, items, values = (np.concatenate(x) for x in zip(*seen))
    for got, want in ((users, data.users), (items, data.items), (values, data.values)):
        order, other = np.lexsort((values, items, users)), np.lexsort((data.values, data.items, data.users))
        np.testing.assert_array_equal(got[order], want[other])


def test_a_stratum_is_shuffled_evenly_and_by_its_key() -> None:
    packed, shifts = np.arange(6, dtype=np.uint32), (0, 3, 19)
    packed |= np.uint32(65535 << 3) | ((packed % 2) << 19)
    levels = np.array([0.5, 5.0], np.float32).view(np.uint32)
    keys = np.random.SeedSequence(0).generate_state(6000, np.uint64)
    found = np.array([unpacked(kernel.shuffled(packed, shifts, levels, key, 6)) for key in keys])
    places = np.array([np.bincount(found[:, 0, at].astype(int), minlength=6) for at in range(6)])
    assert (np.abs(places - 1000) < 5 * np.sqrt(1000 * 5 / 6)).all()
    assert (found[:, 1] == 65535).all()
    np.testing.assert_array_equal(found[:, 2], np.where(found[:, 0] % 2 == 1, 5.0, 0.5))
    part = np.array([unpacked(kernel.shuffled(packed, shifts, levels, key, 2)) for key in keys[:50]])
    np.testing.assert_array_equal(part[:, :, :2], found[:50, :, :2])


def test_ratings_become_places_among_those_that_there_are() -> None:
    rng = np.random.default_rng(0)
    values = rng.permutation(np.concatenate([np.arange(256), rng.integers(0, 256, 2000)])).astype(np.float32) / 7
    marks, levels = strata.coded(values)
    assert levels is not None
    assert len(levels) == 256
    np.testing.assert_array_equal(levels.view(np.float32)[marks], values)
    bits, none = strata.coded(np.append(values, np.float32(99)))
    assert none is None
    np.testing.assert_array_equal(bits.view(np.float32)[:-1], values)


@pytest.mark.parametrize(
    ("n_users", "n_items", "stride", "want"),
    [
        (6_040, 3_706, 64, (4, 4)),
        (138_493, 26_744, 64, (32, 4)),
        (26_744, 138_493, 64, (4, 32)),
        (3, 50, 32, (3, 3)),
        (2_000_000, 500_000, 16, (64, 16)),
    ],
)
def test_blocks(n_users: int, n_items: int, stride: int, want: tuple[int, int]) -> None:
    got = strata.n_blocks(n_users, n_items, stride)
    assert got == want
    codes = (n_users * np.random.default_rng(0).random(10_000) ** 3).astype(np.int32)
    cuts = strata.cuts_of(codes, n_users, got[0])
    assert (np.diff(cuts) >= 0).all()
    assert np.diff(cuts).max() <= min(65_536, 2 * n_users / got[0] + 1)


SCRIPT = """
import hashlib, numpy as np
from toys import batches as job
from toys import strata_stepper as stepped, planted_factors as toy
data = toy(n=6010, power=2.0)
got = stepped(data, "on")
losses = got.run_epoch([0, 1, 0], job(data, 16, 5e-3, 0.1, 1)[1])
print(hashlib.sha256(got.table.tobytes() + got.ms.tobytes() + losses.tobytes()).hexdigest())
"""


@pytest.mark.slow
def test_threads_and_cached_kernels_change_no_bit() -> None:
    """Fresh processes, at 1 and 2 threads, over the same cache."""
    seen = set()
    for threads in ("1", "2", "1"):
        env = os.environ | {"NUMBA_NUM_THREADS": threads, "PYTHONPATH": os.path.dirname(os.path.dirname(__file__))}
        run = subprocess.run([sys.executable, "-c", SCRIPT], env=env, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stderr
        seen.add(run.stdout)
    assert len(seen) == 1


def test_when_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    data = toy(n=3000)

    class Watch(Callback):
        def after_batch(self, learn: Learner, batch: int, loss: float) -> None:
            pass

    def used(parallel: str, *callbacks: Callback) -> bool:
        learn = Learner(data, DotBias(DotBiasConfig(n_factors=5, parallel=parallel)), bs=16, verbose=False)
        learn.fit_one_cycle(1, callbacks=callbacks)
        assert len(learn.recorder.losses) == 187
        assert np.isfinite(learn.recorder.losses).all()
        return learn.stepper.strata is not None

    assert used("on")
    assert not used("on", Watch())
    assert not used("off")
    assert not used("auto")
    monkeypatch.setattr("cofactor.models.dot_bias.stepper.AUTO_ROWS", 1000)
    assert used("auto")
    assert not used("off")
    with pytest.raises(ConfigError, match="parallel"):
        DotBiasConfig(parallel="yes")


def test_a_resumed_run_by_strata_ends_as_an_uninterrupted_one(tmp_path: Path) -> None:
    data = toy(n=4000)

    def run(path: Path | None, *, crash: bool = False, resume: bool = False) -> Learner:
        class Crash(Callback):
            def before_epoch(self, learn: Learner) -> None:
                if crash and learn.epoch == 2:
                    raise RuntimeError("power cut")

        learn = Learner(data, DotBias(DotBiasConfig(n_factors=5, parallel="on")), bs=16, seed=7, verbose=False)
        learn.fit_one_cycle(4, 1e-2, callbacks=[Crash()], checkpoint=path, resume=resume)
        return learn

    whole = run(None)
    with pytest.raises(RuntimeError):
        run(tmp_path / "run.ckpt", crash=True)
    again = run(tmp_path / "run.ckpt", resume=True)
    assert again.stepper.strata is not None
    for name, view in whole.model.views().items():
        np.testing.assert_array_equal(again.model.views()[name], view)
    assert again.recorder.losses == whole.recorder.losses
    assert len({tuple(whole.stepper.strata.keys([7, 1, e])) for e in range(4)}) == 4


def test_few_users_and_one_that_rated_nearly_everything() -> None:
    data = toy(n=4000, n_users=3, n_items=50)
    users = np.where(np.arange(4000) % 50 == 0, data.users, 1).astype(np.int32)
    got = stepped(data.replace(users=users), "on")
    losses = [got.run_epoch([0, 1, e], job(data, 16, 5e-3, 0.1, 1)[1]) for e in range(3)]
    assert got.strata.blocks == (3, 3)
    assert np.mean(losses[2]) < np.mean(losses[0])


def test_a_state_with_a_number_that_is_none_is_refused() -> None:
    data = toy()
    got = stepped(data, "off")
    got.run(*job(data, 16, 5e-3, 0.1, 1))
    state = got.model.state()
    for name in ("user_table", "item_table", "prior", "unknown", "y_range"):
        bad = state[name].copy()
        bad.flat[0] = np.nan
        with pytest.raises(BundleError, match=name):
            DotBias.from_state(got.model.config, state | {name: bad})
