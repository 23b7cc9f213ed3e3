"""Imports go downward only, and ``import cofactor`` stays light."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import cofactor

ROOT = Path(cofactor.__file__).parent
LAYER = {
    "errors": 0,
    "kernels": 0,
    "_callable": 0,
    "_checks": 0,
    "_outputs": 0,
    "_plain": 0,
    "_progress": 0,
    "data": 1,
    "model": 2,
    "models": 3,
    "train": 3,
    "recommend": 3,
    "evaluate": 3,
    "explain": 3,
    "bundle": 3,
    "_bundle": 3,
    "export": 3,
    "fitting": 4,
    "collab": 4,
    "testing": 4,
    "engines": 4,
    "cli": 5,
    "serve": 5,
    "notebook": 5,
    "__main__": 6,
    "_notebook": 5,
}
FILES = sorted(p for p in ROOT.rglob("*.py") if p != ROOT / "__init__.py")


def part(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def imports(path: Path, *, lazy: bool):
    """Modules of cofactor that a file imports: at its top, or (lazy) inside functions."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inside = {
        id(n) for f in ast.walk(tree) if isinstance(f, (ast.FunctionDef, ast.AsyncFunctionDef)) for n in ast.walk(f)
    }
    guarded = {
        id(n)
        for f in ast.walk(tree)
        if isinstance(f, ast.If) and "TYPE_CHECKING" in ast.unparse(f.test)
        for n in ast.walk(f)
    }
    for node in ast.walk(tree):
        if id(node) in guarded or (id(node) in inside) != lazy:
            continue
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("cofactor"):
            yield node.module if node.module != "cofactor" else f"cofactor.{node.names[0].name}"
        elif isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.startswith("cofactor"))


def layer_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def test_every_part_has_a_layer():
    parts = {layer_of(p) for p in FILES}
    assert parts <= set(LAYER), f"give these a layer: {parts - set(LAYER)}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_downward(path):
    mine = LAYER[layer_of(path)]
    for module in imports(path, lazy=False):
        assert LAYER.get(part(module), 0) <= mine, f"{path.name} imports {module}, which is above it"


@pytest.mark.parametrize("folder", ["train", "recommend", "evaluate", "explain"])
def test_they_know_protocols_and_no_model(folder):
    for path in (ROOT / folder).rglob("*.py"):
        for lazy in (False, True):
            for module in imports(path, lazy=lazy):
                concrete = module.startswith("cofactor.models.") and module != "cofactor.models.config"
                assert not concrete, f"{path.name} imports {module}"


def test_kernels_import_nothing_of_ours_but_kernels():
    for path in (ROOT / "kernels").rglob("*.py"):
        for lazy in (False, True):
            assert all(part(m) == "kernels" for m in imports(path, lazy=lazy)), path.name


def test_import_is_light():
    heavy = ("torch", "matplotlib", "numba", "pandas", "polars", "scipy", "optuna", "fastapi")
    code = f"import sys, cofactor; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_using_the_core_loads_neither_torch_nor_plots():
    code = (
        "import sys, cofactor as cf\n"
        "for name in cf.__all__: getattr(cf, name)\n"
        "print([m for m in ('torch', 'matplotlib', 'pandas', 'optuna') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_public_name_is_there():
    for name in cofactor.__all__:
        assert getattr(cofactor, name) is not None
    assert set(dir(cofactor)) >= set(cofactor.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = cofactor.nonsense


def test_packages_that_share_a_name_with_a_function_can_be_called():
    code = "import cofactor.models.bias, cofactor as cf; print(cf.models().height > 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"
