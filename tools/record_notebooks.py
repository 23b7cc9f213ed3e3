"""Run the scripts of tests/notebooks/cells cell by cell and write down what each cell leaves: kinds, shapes, exact
facts (names that begin with ``exact_``), numbers that must agree but for rounding (``close_``).

    python tools/record_notebooks.py OUT.json [--library fastai|cofactor] [SCRIPT ...]

The reference (tests/notebooks/reference.json) is recorded with ``--library fastai`` in an environment of its own
that has
``fastai==2.8.12``, ``torch`` and ``scikit-learn``. With ``cofactor`` the import lines are replaced, nothing else.
Prints the cells that failed.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import io
import json
import os
import re
import tempfile
import warnings
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

CELLS = Path(__file__).parent.parent / "tests" / "notebooks" / "cells"
IMPORTS = re.compile(r"^from fastai(\.\S+)? import .*$", re.MULTILINE)


def cells_of(path: Path) -> list[str]:
    """The cells of a script: the parts between lines that begin with ``# %%``."""
    parts = re.split(r"^# %%.*\n", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return [part.strip("\n") for part in parts if part.strip()]


def kind(v: Any, depth: int = 0) -> Any:
    """What a reader can see of a value: its kind, shape, kind of dtype; of collections, their first elements."""
    import numpy as np
    import pandas as pd
    import torch

    if v is None or isinstance(v, (bool, str)):
        return "None" if v is None else type(v).__mro__[-2].__name__
    if isinstance(v, torch.Tensor):
        letter = "f" if v.is_floating_point() else "b" if v.dtype == torch.bool else "i"
        return ["tensor", letter, list(v.shape), v.requires_grad]
    if isinstance(v, np.ndarray):
        return ["array", v.dtype.kind, list(v.shape)]
    if isinstance(v, (int, float, np.generic)):
        return "number"
    if isinstance(v, pd.DataFrame):
        return ["frame", list(v.shape), [str(c) for c in v.columns]]
    if isinstance(v, pd.Series):
        return ["series", list(v.shape), v.dtype.kind]
    if isinstance(v, torch.nn.Module):
        return ["module", re.sub(r"0\.0\b", "0", repr(v))]
    if isinstance(v, dict):
        return ["dict", {str(k): kind(x, depth + 1) for k, x in list(v.items())[:8]}]
    if isinstance(v, (list, tuple)) or type(v).__name__ == "L":
        items = [kind(x, depth + 1) for x in list(v)[:6]] if depth < 3 else []
        return ["tuple" if isinstance(v, tuple) else "list", len(v), items]
    return "object"


def run(path: Path, library: str) -> list[dict[str, Any]]:
    """One script, in a folder of its own that is thrown away."""
    names: dict[str, Any] = {"__name__": "__main__"}
    found, seen, here = [], set[str](), os.getcwd()
    sources = [*cells_of(CELLS / "_data.py"), *cells_of(path)]
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            for number, source in enumerate(sources):
                run_as = IMPORTS.sub("from cofactor.notebook import *", source) if library == "cofactor" else source
                found.append({"cell": number, "source": source[:70], **run_cell(number, run_as, names, seen)})
        finally:
            os.chdir(here)
    return found


def run_cell(number: int, source: str, names: dict[str, Any], seen: set[str]) -> dict[str, Any]:
    tree = ast.parse(source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    line: dict[str, Any] = {}
    quiet = io.StringIO()
    try:
        with contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            exec(compile(tree, f"cell {number}", "exec", dont_inherit=True), names)
            if last is not None:
                expression = compile(ast.Expression(last.value), f"cell {number}", "eval", dont_inherit=True)
                line["value"] = kind(eval(expression, names))
        line["ok"] = True
        for sort in ("exact", "close"):
            found = {k: names[k] for k in names if k.startswith(f"{sort}_") and k not in seen}
            if found:
                seen |= set(found)
                line[sort] = json.loads(json.dumps(found, default=list))
    except Exception as exc:
        line |= {"ok": False, "error": f"{type(exc).__name__}: {str(exc)[:200]}"}
    return line


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("scripts", nargs="*")
    parser.add_argument("--library", choices=("fastai", "cofactor"), default="fastai")
    given = parser.parse_intermixed_args()
    result = {}
    for path in sorted(CELLS.glob("[!_]*.py")):
        if not given.scripts or path.stem in given.scripts:
            lines = result[path.stem] = run(path, given.library)
            bad = [line for line in lines if not line["ok"]]
            print(f"{path.stem}: {len(lines)} cells, {len(bad)} failed", flush=True)
            for line in bad:
                print(f"    {line['cell']} {line['source'][:50]!r}: {line['error']}")
    rows = ",\n".join(
        f'"{name}": [\n' + ",\n".join(json.dumps(line) for line in lines) + "\n]" for name, lines in result.items()
    )
    given.out.write_text("{\n" + rows + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
