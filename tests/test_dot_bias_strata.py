"""dot-bias by strata: the interleaved sequence, bit for bit, at any number of threads."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from cofactor.data.interactions import Interactions
from cofactor.errors import BundleError, ConfigError
from cofactor.model import Hyper
from cofactor.models import dot_bias_strata as strata
from cofactor.models.dot_bias import DotBias, DotBiasConfig
from cofactor.train import Learner
from cofactor.train.callbacks import Callback
from test_dot_bias import job, toy

Array = Any


def stepped(data: Interactions, parallel: str, seed: int = 3) -> Any:
    config = DotBiasConfig(n_factors=20, y_range=(0.0, 5.5), parallel=parallel)
    return DotBias(config).stepper(data, np.random.default_rng(seed))


def serially(data: Interactions, rows: Array, hyper: Hyper) -> tuple[Any, Array]:
    """The plain kernel over the interleaved sequence, a batch a call, all rows up to date between the rounds."""
    plain = stepped(data, "off")
    rounds = strata.Strata(data, plain.table.shape[1]).rounds(rows.astype(np.int32), hyper.bs)
    at, lr, mom = strata.stretched(hyper, sum(len(owner) for _, _, owner in rounds))
    losses = []
    for _, parts, owner in rounds:
        plain.flush()
        done = [0] * len(parts)
        for s in owner:
            batch = parts[s][done[s] : done[s] + hyper.bs]
            done[s] += len(batch)
            t = len(losses)
            losses.append(plain.run(batch, Hyper(lr[t : t + 1], mom[t : t + 1], hyper.wd, len(batch)))[0])
        assert done == [len(part) for part in parts]
    plain.flush()
    return plain, np.array([np.mean(np.array(losses)[at == k]) for k in range(len(hyper.lr))])


@pytest.mark.parametrize(("power", "wd"), [(1.0, 0.1), (2.0, 0.1), (2.0, 30.0)])  # at 30, decays that underflow
def test_parallel_is_the_interleaved_sequence_bit_for_bit(power: float, wd: float) -> None:
    data = toy(n=6010, power=power)
    rows, hyper = job(data, 16, 5e-3, wd, 1)
    hyper = Hyper(np.full_like(hyper.lr, 2e-2), hyper.mom, wd, 16) if wd > 1 else hyper
    want, want_losses = serially(data, rows, hyper)
    got = stepped(data, "on")
    losses = got.run(rows, hyper)
    np.testing.assert_array_equal(got.table, want.table)
    np.testing.assert_array_equal(got.ms, want.ms)
    np.testing.assert_array_equal(got.clock[0], want.clock[0])
    np.testing.assert_allclose(losses, want_losses, rtol=1e-6)
    again, other = got.run(rows, hyper), stepped(data, "off")  # and it goes on from there
    assert wd > 1 or again.mean() < losses.mean()
    other.run(rows, hyper)
    other.flush()
    assert (other.table != got.table).any()


def test_every_row_is_trained_once_and_strata_of_a_round_share_no_row() -> None:
    data = toy(n=5000, power=2.0)
    rows = np.random.default_rng(0).permutation(5000)[:4992].astype(np.int32)
    cut = strata.Strata(data, 32)
    assert (cut.user_cuts[0], cut.user_cuts[-1], cut.item_cuts[-1]) == (0, 40, 60)
    rounds = cut.rounds(rows, 16)
    np.testing.assert_array_equal(np.sort(np.concatenate([p for _, parts, _ in rounds for p in parts])), np.sort(rows))
    where = np.empty(5000, np.int64)
    where[rows] = np.arange(len(rows))
    for pairs, parts, owner in rounds:
        assert sorted(u for u, _ in pairs) == sorted(i for _, i in pairs) == list(range(cut.blocks))
        for n, ((u, i), part) in enumerate(zip(pairs, parts)):
            assert (np.diff(where[part]) > 0).all()
            assert (owner == n).sum() == -(-len(part) // 16)
            assert (np.searchsorted(cut.user_cuts, data.users[part], "right") == u + 1).all()
            assert (np.searchsorted(cut.item_cuts, data.items[part], "right") == i + 1).all()


SCRIPT = """
import hashlib, numpy as np
from test_dot_bias import job
from test_dot_bias_strata import stepped, toy
data = toy(n=6010, power=2.0)
got = stepped(data, "on")
losses = got.run(*job(data, 16, 5e-3, 0.1, 1))
print(hashlib.sha256(got.table.tobytes() + got.ms.tobytes() + losses.tobytes()).hexdigest())
"""


def test_threads_and_cached_kernels_change_no_bit() -> None:
    """Fresh processes, at 1 and 2 threads, over the same cache."""
    seen = set()
    for threads in ("1", "2", "1"):
        env = os.environ | {"NUMBA_NUM_THREADS": threads, "PYTHONPATH": os.path.dirname(__file__)}
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
    monkeypatch.setattr("cofactor.models.dot_bias.AUTO_ROWS", 1000)
    assert used("auto")
    assert not used("off")
    with pytest.raises(ConfigError, match="parallel"):
        DotBiasConfig(parallel="yes")


def test_few_users_and_one_that_rated_nearly_everything() -> None:
    data = toy(n=4000, n_users=3, n_items=50)
    users = np.where(np.arange(4000) % 50 == 0, data.users, 1).astype(np.int32)
    got = stepped(data.but(users=users), "on")
    losses = [got.run(*job(data, 16, 5e-3, 0.1, 1)) for _ in range(3)]
    assert got.strata.blocks == 3
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
