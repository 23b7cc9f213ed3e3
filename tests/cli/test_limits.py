"""Processes that may use little: one sentence, exit code 2, and no traceback."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from cofactor.cli import app


def test_few_addresses_are_said_before_anything_is_loaded() -> None:
    resource = pytest.importorskip("resource")
    code = (
        f"import resource, sys; resource.setrlimit(resource.RLIMIT_AS, ({app.ADDRESSES // 2},) * 2)\n"
        "from cofactor.cli.app import main\nsys.argv = ['cofactor', 'models']\nmain()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("cofactor: the limit of address space (ulimit -v) is 650 MB")
    assert done.stderr.count("\n") == 1
    assert resource


class PanicException(BaseException):
    """Like the one of polars, which no ``except Exception`` catches."""


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RuntimeError("can't start new thread"), "cannot start more threads"),
        (PanicException("could not spawn threads"), "cannot start more threads"),
        (PanicException("index out of bounds"), "polars failed: index out of bounds"),
        (MemoryError("Unable to allocate 3 GiB"), "not enough memory (Unable to allocate 3 GiB)"),
    ],
)
def test_what_the_system_refuses(error: BaseException, said: str, typed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise error

    monkeypatch.setattr(app, "program", lambda asked: lambda **_: fails())
    code, _, err = typed("models")
    assert code == 2
    assert err.startswith(f"cofactor: {said}")


def test_other_errors_are_not_hidden(typed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(app, "program", lambda asked: fails)
    with pytest.raises(RuntimeError, match="a fault of ours"):
        app.main()
