"""While numba compiles, Python's collector rests; the sigmoid that is spelled out in instructions is a sigmoid."""

from __future__ import annotations

import contextlib
import gc
import os
import subprocess
import sys

import numpy as np
import pytest
from numba.core import event

from cofactor.kernels import WithoutCollector
from cofactor.kernels.dot_bias.predict import squash


@pytest.mark.parametrize("was", [True, False])
def test_the_collector_rests_while_numba_compiles_and_is_left_as_it_was(was):
    assert any(isinstance(o, WithoutCollector) for o in event._registered["numba:compile"])
    seen = []
    before = gc.isenabled()
    (gc.enable if was else gc.disable)()
    try:
        with contextlib.suppress(ZeroDivisionError), event.trigger_event("numba:compile"):
            seen.append(gc.isenabled())
            with event.trigger_event("numba:compile"):
                pass
            seen.append(gc.isenabled())
            _ = 1 / 0
        assert seen == [False, False]
        assert gc.isenabled() is was
    finally:
        (gc.enable if before else gc.disable)()


def test_the_sigmoid():
    z = np.concatenate([np.linspace(-100, 100, 4001), [-np.inf, np.inf, np.nan, 0.0]]).astype(np.float32)
    out = z.copy()
    squash(out, 0.0, 1.0)
    with np.errstate(over="ignore"):
        wanted = 1 / (1 + np.exp(-z.astype(np.float64)))
    np.testing.assert_allclose(out[:-2], wanted[:-2], rtol=1e-6, atol=1e-36)
    assert np.isnan(out[-2])
    assert out[-1] == 0.5


def test_without_compiling_a_sentence_says_what_to_do() -> None:
    code = "import cofactor as cf\ntry: cf.read({'user': [1], 'item': [2]})\nexcept cf.CofactorError as e: print(e)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "unset the variable" in done.stdout
