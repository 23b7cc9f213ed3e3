"""``cofactor fit --checkpoint``, killed with SIGKILL in processes of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import cofactor as cf
from cofactor.train.checkpoint import load_checkpoint

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
EPOCHS = 90
"""Enough for a process to be killed long before its end."""


def fit_command(csv: Path, out: Path, checkpoint: Path, model: str, *more: str) -> subprocess.Popen[bytes]:
    """``cofactor fit --checkpoint`` in a process of its own."""
    given = ["fit", csv, "--model", model, "--out", out, "--checkpoint", checkpoint, "--epochs", str(EPOCHS), *more]
    quiet = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.Popen([sys.executable, "-m", "cofactor", *map(str, given)], **quiet)


def epochs_in(checkpoint):
    """How many epochs a checkpoint holds; 0 without one."""
    return int(load_checkpoint(checkpoint)[1]["epoch"]) + 1 if checkpoint.exists() else 0


@pytest.mark.slow
@pytest.mark.parametrize(("model", "delays"), [("als", (0.004,)), ("dot-bias", (0.0, 0.013))])
def test_kill_9_while_fitting_with_a_checkpoint(toy, tmp_path, model, delays):
    """Killed at several moments, each run gets further; the last one ends as if never interrupted."""
    toy.to_frame().write_csv(tmp_path / "r.csv")
    start = [tmp_path / "r.csv", tmp_path / "m.cofactor", tmp_path / "run.ckpt", model, "--n-factors", "4"]
    done, kills = [0], 0
    for delay in delays:
        process = fit_command(*start, *(["--resume"] if done[-1] else []))
        wanted = done[-1] + 12
        deadline = time.monotonic() + 60
        while process.poll() is None and epochs_in(start[2]) < wanted and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        kills += process.wait() == -signal.SIGKILL
        process.stdout.close()
        assert epochs_in(start[2]) >= wanted
        done.append(epochs_in(start[2]))
    assert kills == len(delays), done
    assert not (tmp_path / "m.cofactor").exists()
    last = fit_command(*start, "--resume")
    assert last.wait() == 0, last.stdout.read()
    last.stdout.close()
    whole = cf.fit(start[0], model=model, n_factors=4, epochs=EPOCHS, calibrate=False)
    found = cf.load(tmp_path / "m.cofactor")
    np.testing.assert_array_equal(found.history, whole.history)
    assert len(found.history) == EPOCHS
    assert all(np.array_equal(x, whole.model.state()[name]) for name, x in found.model.state().items())
