"""The plan of the package: imports go strictly downward, at any depth, and ``import cofactor`` stays light."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

import cofactor

ROOT = Path(cofactor.__file__).parent
FLOOR = {
    "_version": 0,
    "_json": 0,
    "errors": 0,
    "_validate": 1,
    "_fork": 1,
    "_frames": 1,
    "_tensors": 1,
    "_paths": 1,
    "_progress": 1,
    "_plot": 1,
    "_html": 1,
    "_blas": 1,
    "_capability": 1,
    "_locks": 1,
    "kernels": 1,
    "data": 2,
    "model": 3,
    "train": 4,
    "models": 5,
    "recommend": 5,
    "evaluation": 6,
    "explain": 6,
    "bundle": 6,
    "fitting": 6,
    "testing": 7,
    "recommender": 7,
    "collab_networks": 7,
    "selection": 7,
    "api": 8,
    "collab": 8,
    "client": 8,
    "export": 8,
    "report": 8,
    "vectors": 8,
    "_typed": 8,
    "hub": 9,
    "mlflow": 9,
    "engines": 9,
    "notebook": 9,
    "serve": 9,
    "sklearn": 9,
    "cli": 10,
    "__main__": 11,
}
"""Part of the package -> its floor. A part imports only from floors below its own (``docs/architecture.md``)."""

FILES = {
    ".".join(["cofactor", *path.relative_to(ROOT).with_suffix("").parts]).removesuffix(".__init__"): path
    for path in sorted([*ROOT.rglob("*.py"), *ROOT.rglob("*.pyi")])
}

START_UP = {
    "kernels": "numba takes half a second to load, and a list from a saved model may need none of it",
    "models.torch": "PyTorch is an extra, and takes a second to load",
    "models.neural.fused": "it needs PyTorch, and only training needs it",
    "models.neural.network": "it brings kernels, and few load a network",
    "collab_networks": "a dot product needs no network",
    "selection": "most fits name their model, and need nothing that chooses one",
    "recommender": "a Learner may never be asked for one",
    "bundle.parquet": "only bundles of earlier versions hold Parquet",
    "fitting": "a saved model answers without the modules that train",
    "explain": "a saved model makes lists without the modules that explain",
    "recommend": "a saved model opens before the modules of what is asked of it load",
    "serve": "FastAPI and uvicorn are an extra",
}
"""What may be imported inside a function, for start-up time, and why. Nothing else may."""
AT_MOST = 40


class Import(NamedTuple):
    """``name`` is the imported module, ``place`` is "top", "function" or "types"."""

    name: str
    place: str
    line: int


def part(module: str) -> str:
    """The part of the package that a module belongs to; "" for the package itself."""
    return module.split(".")[1] if "." in module else ""


def imports(path: Path) -> list[Import]:
    """Every first-party import of a file, name by name: ``from cofactor import a, b`` is two."""
    found = []

    def visit(node: ast.AST, place: str) -> None:
        for child in ast.iter_child_nodes(node):
            here = place
            if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
                here = "function"
            elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                here = "types"
            if isinstance(child, ast.Import):
                found.extend(
                    Import(a.name, here, child.lineno) for a in child.names if part(a.name) or a.name == "cofactor"
                )
            elif isinstance(child, ast.ImportFrom):
                assert child.level == 0, f"{path}: imports are absolute"
                base = child.module or ""
                names = [f"{base}.{a.name}" if f"{base}.{a.name}" in FILES else base for a in child.names]
                found.extend(Import(name, here, child.lineno) for name in names if name.split(".")[0] == "cofactor")
            visit(child, here)

    visit(ast.parse(path.read_text(encoding="utf-8")), "top")
    return [one for one in found if one.name.split(".")[0] == "cofactor"]


IMPORTS = {name: imports(path) for name, path in FILES.items()}


def test_every_part_has_a_floor():
    parts = {part(name) for name in FILES} - {""}
    assert parts == set(FLOOR), f"parts without a floor, or floors without a part: {parts ^ set(FLOOR)}"


@pytest.mark.parametrize("name", [name for name in FILES if name != "cofactor"])
def test_imports_go_strictly_downward(name):
    mine = part(name)
    for one in IMPORTS[name]:
        theirs = part(one.name)
        assert theirs, f"{name}:{one.line} imports the package itself; name the module that holds what it needs"
        if theirs != mine:
            assert FLOOR[theirs] < FLOOR[mine], f"{name}:{one.line} imports {one.name}, which is not below it"


def test_the_page_says_the_floors():
    page = (ROOT.parents[1] / "docs" / "architecture.md").read_text(encoding="utf-8")
    said = {}
    for floor, cell in re.findall(r"^\| (\d+) \| ([^|]*) \|", page, re.MULTILINE):
        said |= {name.removesuffix("/").removesuffix(".py"): int(floor) for name in re.findall(r"`([^`]+)`", cell)}
    assert said == FLOOR


def test_pages_name_files_that_exist():
    home = ROOT.parents[1]
    for page in (home / "CONTRIBUTING.md", home / "README.md", *sorted((home / "docs").rglob("*.md"))):
        text = page.read_text(encoding="utf-8")
        named = set(re.findall(r"`((?:src/cofactor/)?[a-z_]+/[a-z_/]*(?:[a-z_]+\.py)?)`", text))
        for name in named if page.name in ("CONTRIBUTING.md", "architecture.md") else modules_in(named):
            assert any((place / name).exists() for place in (ROOT, home)), f"{page} names {name}, which is not there"


def modules_in(names: set[str]) -> set[str]:
    """Those of these names that say files of the package: a part of it comes first."""
    return {x for x in names if x.endswith(".py") and x.removeprefix("src/cofactor/").split("/")[0] in FLOOR}


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Modules that import each other, by Tarjan's algorithm (1972)."""
    index, low, stack, rings = {}, {}, [], []

    def go(v: str) -> None:
        index[v] = low[v] = len(index)
        stack.append(v)
        for w in sorted(graph[v]):
            if w not in index:
                go(w)
                low[v] = min(low[v], low[w])
            elif w in stack:
                low[v] = min(low[v], index[w])
        if low[v] == index[v]:
            ring = [stack.pop()]
            while ring[-1] != v:
                ring.append(stack.pop())
            if len(ring) > 1:
                rings.append(sorted(ring))

    for v in graph:
        if v not in index:
            go(v)
    return rings


def test_no_circle_of_any_kind():
    graph = {name: {one.name for one in found if one.name != name} for name, found in IMPORTS.items()}
    assert circles(graph) == []
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c"]]


def rooms(folder: str) -> dict[str, set[str]]:
    """The files and folders of a folder, each with those beside it that it imports from."""
    inside = {name.removeprefix(folder + ".").split(".")[0] for name in FILES if name.startswith(folder + ".")}
    graph: dict[str, set[str]] = {room: set() for room in inside}
    for name, found in IMPORTS.items():
        for one in found:
            if name.startswith(folder + ".") and one.name.startswith(folder + "."):
                here, there = (x.removeprefix(folder + ".").split(".")[0] for x in (name, one.name))
                if here != there:
                    graph[here].add(there)
    return graph


FOLDERS = sorted({name.rsplit(".", 1)[0] for name in FILES if "." in name})


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_circle_of_folders(folder):
    assert circles(rooms(folder)) == []


def test_imports_inside_functions_are_for_start_up_alone():
    inside = [(name, one) for name, found in IMPORTS.items() for one in found if one.place == "function"]
    for name, one in inside:
        known = any(one.name == f"cofactor.{x}" or one.name.startswith(f"cofactor.{x}.") for x in START_UP)
        assert known, f"{name}:{one.line} imports {one.name} inside a function; START_UP has no reason for that"
    assert len(inside) <= AT_MOST


@pytest.mark.parametrize("folder", ["train", "recommend", "evaluation", "explain"])
def test_they_know_protocols_and_no_model(folder):
    for name, found in IMPORTS.items():
        if part(name) == folder:
            assert not [one.name for one in found if part(one.name) == "models"], name


def test_kernels_import_nothing_of_ours_but_kernels_and_errors():
    for name, found in IMPORTS.items():
        if part(name) == "kernels":
            assert {part(one.name) for one in found} <= {"kernels", "errors"}, name


def loaded(names, work):
    """Those of these modules that a fresh process has loaded after ``work``, lines of Python."""
    code = f"import sys\n{work}\nprint([m for m in {names!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return ast.literal_eval(done.stdout.strip())


HEAVY = ("torch", "matplotlib", "numba", "pandas", "polars", "scipy", "optuna", "fastapi")


def test_import_is_light():
    assert loaded(("cofactor", *HEAVY), "import cofactor") == ["cofactor"]


def test_using_the_core_loads_neither_torch_nor_plots():
    work = "import cofactor as cf\nfor name in cf.__all__: getattr(cf, name)"
    assert loaded(("polars", "torch", "matplotlib", "pandas", "optuna"), work) == ["polars"]


def test_what_opens_a_model_loads_no_numba():
    assert loaded(("cofactor.recommender", "numba"), "import cofactor as cf; cf.load") == ["cofactor.recommender"]


def test_a_fit_loads_no_module_that_chooses_or_measures():
    names = ("cofactor.api.fit", "cofactor.evaluation", "cofactor.selection", "cofactor.data.doctor.doctor")
    assert loaded(names, "import cofactor as cf; cf.fit") == ["cofactor.api.fit"]


def test_a_saved_model_opens_without_the_modules_that_read_tables(tmp_path, toy):
    cofactor.fit(toy, model="popular").save(tmp_path / "m.cofactor")
    asked = ("recommender", "data.open", "data.read", "train", "explain", "fitting", "recommend.recommend")
    names = [f"cofactor.{name}" for name in (*asked, "kernels.topk", "evaluation", "selection")]
    work = f"import cofactor as cf; cf.load({str(tmp_path / 'm.cofactor')!r})"
    assert loaded(names, work) == ["cofactor.recommender"]


def test_every_public_name_is_there():
    for name in cofactor.__all__:
        assert getattr(cofactor, name) is not None
    assert set(dir(cofactor)) >= set(cofactor.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = cofactor.nonsense
