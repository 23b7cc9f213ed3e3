"""Every example in the README and the docs is a file under examples/, and every file there runs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
# tests/recommend/test_docs.py and tests/test_docs.py run their blocks as they stand
RUN_ELSEWHERE = {"index.md", "recommending.md", "sklearn.md"}
PAGES = [ROOT / "README.md", *(p for p in sorted((ROOT / "docs").glob("*.md")) if p.name not in RUN_ELSEWHERE)]


SLOW = {
    "quickstart.py",
    "blocks.py",
    "serving.py",
    "notebook.py",
    "own_module.py",
}  # README's block is the same as quickstart.py


@pytest.mark.parametrize(
    "path", [pytest.param(p, marks=pytest.mark.slow) if p.name in SLOW else p for p in EXAMPLES], ids=lambda p: p.name
)
def test_examples_run(path, tmp_path):
    if path.name == "two_hosts.py":
        pytest.skip("three processes of Spark: make test-spark runs it")
    text = path.read_text(encoding="utf-8")
    if "cofactor.notebook" in text:
        pytest.importorskip("torch")
    if "pyspark" in text:
        pytest.importorskip("pyspark")
    done = subprocess.run(
        [sys.executable, str(path)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, "MPLBACKEND": "agg"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout


def blocks(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.M | re.S)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_python_in_pages_is_an_example(page):
    files = {p.name: p.read_text(encoding="utf-8") for p in EXAMPLES}
    for block in blocks(page):
        lines = [line for line in block.splitlines() if line.strip() and line.strip() != "..."]
        assert any(all(line in text for line in lines) for text in files.values()), (
            f"{page.name}: no example has\n{block}"
        )


def test_readme_has_examples():
    assert len(blocks(ROOT / "README.md")) >= 2


@pytest.mark.slow
def test_readme_shows_what_the_demo_prints(tmp_path):
    """Its words as they stand, its figures within what another processor's rounding may change."""
    command = [sys.executable, "-m", "cofactor", "demo"]
    env = {**os.environ, "COLUMNS": "80"}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=400, env=env)
    assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / "report.html").exists()
    printed = [line.split() for line in (done.stderr + done.stdout).splitlines()]
    shown = [line for line in README_DEMO.search(PAGES[0].read_text(encoding="utf-8"))[1].splitlines() if line != "..."]
    assert len(shown) > 8
    missing = [line for line in shown if not any(alike(line.split(), other) for other in printed)]
    assert not missing


README_DEMO = re.compile(r"`make demo` prints:\n\n```\n(.*?)```", re.S)


def alike(words: list[str], others: list[str]) -> bool:
    return len(words) == len(others) and all(a == b or near(a, b) for a, b in zip(words, others, strict=True))


def near(a: str, b: str) -> bool:
    try:
        x, y = float(a.strip("()")), float(b.strip("()"))
    except ValueError:
        return False
    return abs(x - y) <= min(0.02, 0.001 + 0.05 * abs(x))


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ("0.0727", "0.0728", True),
        ("(1.3753", "(1.3750", True),
        ("0.0088", "0.0195", False),
        ("1.4037", "1.3716", False),
        ("rank", "1", False),
    ],
)
def test_one_figure_does_not_pass_for_another(a, b, same):
    assert near(a, b) is same


NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.name)
def test_notebooks_run(path, tmp_path):
    """Their cells in order, in a program of their own; the last line of a cell may be a value."""
    pytest.importorskip("matplotlib")
    cells = ["".join(c["source"]) for c in json.loads(path.read_text("utf-8"))["cells"] if c["cell_type"] == "code"]
    if any("cofactor.notebook" in cell for cell in cells):
        pytest.importorskip("torch")
    program = tmp_path / "cells.py"
    program.write_text("\n\n".join(cells), encoding="utf-8")
    env = {**os.environ, "MPLBACKEND": "agg"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(program)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        env=env,
    )
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.name)
def test_notebooks_are_executed(path):
    """Every cell has run, in order, without an error."""
    cells = [c for c in json.loads(path.read_text("utf-8"))["cells"] if c["cell_type"] == "code"]
    assert [c["execution_count"] for c in cells] == list(range(1, len(cells) + 1))
    assert not [o for c in cells for o in c["outputs"] if o["output_type"] == "error"]
    assert any("image/png" in o.get("data", {}) for c in cells for o in c["outputs"])
