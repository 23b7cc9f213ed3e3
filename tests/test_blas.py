"""The same bits at any number of BLAS threads, for each kernel of OpenBLAS that this processor can run."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

import cofactor
from cofactor._blas import one_thread
from cofactor.kernels.products import dots, row_dots
from cofactor.models import REGISTRY

DIGESTS = Path(__file__).with_name("blas_digests.py")
HERE = {str(i.get("architecture", "")) for i in threadpool_info() if i["user_api"] == "blas"}
"""The kernels that OpenBLAS takes by itself here."""


# ---- whatever a model shows


@pytest.mark.slow
@pytest.mark.parametrize("kernel", ["native", "Haswell", "Zen", "Sandybridge", "SkylakeX"])
def test_everything_shown_has_the_same_bits_at_one_and_two_threads(kernel: str) -> None:
    if kernel in HERE:
        pytest.skip("this is the native kernel")
    names = [n for n in REGISTRY if n != "neural" or (kernel == "native" and _has_torch())]
    env = os.environ | {"NUMBA_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"}
    env |= {} if kernel == "native" else {"OPENBLAS_CORETYPE": kernel}
    program = [sys.executable, str(DIGESTS), ",".join(names)]
    done = subprocess.run(program, env=env, capture_output=True, text=True)
    if kernel != "native" and done.returncode < 0:
        pytest.skip(f"this processor cannot run {kernel}: signal {-done.returncode}")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    if kernel != "native" and kernel not in found["blas"]:
        pytest.skip(f"OpenBLAS runs {found['blas']} where {kernel} is asked for")
    assert {key.split(":")[0] for key in found["1"]} == set(names)
    assert [key for key in found["1"] if found["1"][key] != found["2"][key]] == []


def _has_torch() -> bool:
    try:
        import torch  # noqa: F401
    except ImportError:
        return False
    return True


# ---- dot products


@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 5, 9])
@pytest.mark.parametrize(("m", "d"), [(1, 1), (7, 3), (16, 16), (40, 5), (203, 33), (3, 0), (0, 4)])
def test_dots_are_the_product_of_the_tables(n: int, m: int, d: int) -> None:
    rng = np.random.default_rng([n, m, d])
    left, wide = rng.normal(size=(n, d)).astype(np.float32), rng.normal(size=(m, d + 2)).astype(np.float32)
    for table in (wide[:, :d], np.ascontiguousarray(wide[:, :d]), wide[::-1, :d], wide[:, 1 : d + 1]):
        found = dots(left, table)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, left.astype(np.float64) @ table.T.astype(np.float64), rtol=1e-5, atol=1e-5)


def test_a_dot_product_has_the_same_bits_in_any_company(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    left, table = rng.normal(size=(70, 37)).astype(np.float32), rng.normal(size=(611, 37)).astype(np.float32)
    every = dots(left, table)
    for n in (1, 2, 3, 4, 6, 69):
        assert np.array_equal(dots(left[-n:], table), every[-n:])
    assert np.array_equal(dots(left[5:6], table[11:]), every[5:6, 11:])
    rows = rng.integers(0, 611, (70, 21))
    assert np.array_equal(row_dots(left, table, rows), np.take_along_axis(every, rows, axis=1))
    monkeypatch.setattr("cofactor.kernels.products.SMALL", 1)
    for threads in (1, 2, 3):
        monkeypatch.setattr("numba.config.NUMBA_NUM_THREADS", threads)
        assert np.array_equal(dots(left, table), every)
        assert np.array_equal(dots(left[:2], table), every[:2])


def test_dots_do_not_touch_what_lies_beside_the_columns() -> None:
    wide = np.full((20, 6), np.nan, np.float32)
    wide[:, :4] = 1.0
    assert np.array_equal(dots(np.ones((5, 4), np.float32), wide[:, :4]), np.full((5, 20), 4.0))


# ---- BLAS on one thread


def _threads() -> set[int]:
    return {int(i["num_threads"]) for i in threadpool_info() if i["user_api"] == "blas"}


def test_one_thread_inside_and_as_many_as_before_after_that() -> None:
    with threadpool_limits(2, user_api="blas"):
        before = _threads()
        with one_thread():
            assert _threads() == {1}
            with one_thread():
                assert _threads() == {1}
            assert _threads() == {1}
        assert _threads() == before
        with pytest.raises(ZeroDivisionError), one_thread():
            _ = 1 / 0
        assert _threads() == before


def test_callers_in_several_threads_do_not_undo_each_other() -> None:
    inside, left, seen = threading.Event(), threading.Event(), []

    def first() -> None:
        with one_thread():
            inside.set()
            left.wait(10)
            seen.append(_threads())

    with threadpool_limits(2, user_api="blas"):
        before = _threads()
        other = threading.Thread(target=first)
        other.start()
        inside.wait(10)
        with one_thread():
            pass
        left.set()
        other.join()
        assert seen == [{1}]
        assert _threads() == before


# ---- no product elsewhere

NUMPY = {"dot", "vdot", "inner", "tensordot", "matmul", "cov", "corrcoef", "polyfit"}


def test_one_place_sets_the_threads_of_blas() -> None:
    """``threadpool_limits`` is undone by other threads, and does nothing in any but the first that used it."""
    root = Path(cofactor.__file__).parent
    assert [p.name for p in root.rglob("*.py") if "threadpoolctl" in p.read_text(encoding="utf-8")] == ["_blas.py"]


def products_outside(source: str) -> list[int]:
    """Lines of products that BLAS or LAPACK may take and that stand in no ``one_thread()``, as context or decorator."""
    found: list[int] = []

    def guards(node: ast.AST) -> bool:
        if isinstance(node, ast.With):
            return any("one_thread()" in ast.unparse(item.context_expr) for item in node.items)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            return any(ast.unparse(d) == "one_thread()" for d in node.decorator_list)
        return False

    def product(node: ast.AST) -> bool:
        if isinstance(node, (ast.BinOp, ast.AugAssign)):
            return isinstance(node.op, ast.MatMult)
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            return False
        name, of = node.func.attr, ast.unparse(node.func.value)
        options = {k.arg for k in node.keywords}
        if name == "dot" or (of == "np" and name in NUMPY):
            return True
        if name == "einsum":
            return "optimize" in options
        if name == "norm":
            return "axis" not in options  # of a whole table it is a dot product
        return of.split(".")[-1] in {"linalg", "lapack", "blas"}

    def walk(node: ast.AST, inside: bool) -> None:
        inside = inside or guards(node)
        if product(node) and not inside:
            found.append(int(getattr(node, "lineno", 0)))
        for child in ast.iter_child_nodes(node):
            walk(child, inside)

    walk(ast.parse(source), False)
    return found


def test_every_product_stands_inside_one_thread() -> None:
    root = Path(cofactor.__file__).parent
    texts = {path: path.read_text(encoding="utf-8") for path in root.rglob("*.py")}
    ours = {path: text for path, text in texts.items() if "\nimport torch\n" not in text}  # @ of tensors is not BLAS's
    wrong = [f"{path.relative_to(root)}:{line}" for path, text in ours.items() for line in products_outside(text)]
    assert wrong == []


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("a @ b", [1]),
        ("with one_thread():\n    a @ b", []),
        ("@one_thread()\ndef f():\n    return np.linalg.svd(a)", []),
        ("def f():\n    return np.linalg.svd(a)", [2]),
        ("a @= b", [1]),
        ("np.einsum('n,n->', a, b)", []),
        ("np.einsum('np,pq,nq->n', a, b, a, optimize=True)", [1]),
        ("np.linalg.norm(a, axis=1), np.linalg.norm(a), a.dot(b)", [1, 1]),
        ("lapack.spotrf(a)", [1]),
    ],
)
def test_products_are_found(source: str, lines: list[int]) -> None:
    assert products_outside(source) == lines
