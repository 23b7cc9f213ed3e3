"""Scripts in the manner of public notebooks, cell by cell, against what the real library leaves behind.

``reference.json`` is recorded by ``tools/record_notebooks.py`` in an environment of its own.
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the torch extra is not installed")
pytest.importorskip("pandas", reason="the torch extra is not installed")
pytest.importorskip("matplotlib", reason="the plot extra is not installed")
pytest.importorskip("sklearn", reason="scikit-learn is not installed")

HERE = Path(__file__).parent
TOOL = HERE.parent.parent / "tools" / "record_notebooks.py"
REFERENCE = json.loads((HERE / "reference.json").read_text(encoding="utf-8"))

OTHERWISE = {
    ("files", 1): "export returns the path of the file, there nothing",
    ("files", 17): "export returns the path of the file, there nothing",
    ("people", 83): "the device is a torch.device, there the text that was given",
    ("surface", 92): "the device is a torch.device, there the text that was given",
    ("getters", 17): "a decoded class is a text, there a text with a method show",
    ("getters", 18): "a decoded class is a text, there a text with a method show",
    ("getters", 34): "a decoded class is a text, there a text with a method show",
    ("homework", 2): "the device is a torch.device, there the text that was given",
    ("jokes", 8): "there is no recorder.plot_metrics",
    ("midlevel", 11): "a decoded class is a text, there a text with a method show",
    ("midlevel", 17): "a decoded number or class is plain, there it has a method show",
    ("ml1m", 26): "a CategoryMap has index, there not",
    ("odds", 23): "a gradient that the kernel did not keep is None, there zeros",
    ("recipes", 29): "the row of a prediction is a Series, there a table of one row",
    ("recipes", 30): "which classes are confused follows from the order of rows in training",
    ("surface", 20): "validate leaves the epochs of the last fit in the recorder, there it clears them",
}
"""Cells whose value is of another kind here, and why."""


def tool():
    spec = importlib.util.spec_from_file_location("record_notebooks", TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def near(here, there):
    """Whether the numbers agree, but for the order in which floats were added."""
    if isinstance(there, dict) and isinstance(here, dict):
        return here.keys() == there.keys() and all(near(here[k], there[k]) for k in there)
    if isinstance(there, list) and isinstance(here, list):
        return len(here) == len(there) and all(map(near, here, there))
    return here == there if here is None or there is None else here == pytest.approx(there, rel=2e-3, abs=1e-4)


LONG = {
    *("agreement", "implicit", "bookshop", "homework", "jokes", "ml1m", "papers", "recipes", "sequences"),
    *("amazon", "anime", "appy", "charts", "crossing", "folds", "measures", "older", "own_data", "serving"),
    *("midlevel", "tables", "torchy", "zoo"),
    *("cold_start", "drift", "getters", "left_behind", "optimizer_chapter", "rankings", "rows", "setup"),
    *("several_losses", "translated"),
    *("callbacks_zoo", "cross_validated", "estimator", "importance", "lecture", "maps", "prize", "rate_studies"),
    *("blocks", "callbacks", "edits", "further_research", "metric_study", "pipelines", "studies"),
}
"""Scripts with many fits: they run with the long tests."""
SCRIPTS = [pytest.param(s, marks=pytest.mark.slow) if s in LONG else s for s in sorted(REFERENCE)]


@pytest.mark.parametrize("script", SCRIPTS)
def test_each_cell_leaves_the_same_kind_of_thing(script):
    record = tool()
    ours = record.run(record.CELLS / f"{script}.py", "cofactor")
    there, here = ([line["source"] for line in lines[1:]] for lines in (REFERENCE[script], ours))
    assert here == there, "record the reference again"
    for there, here in zip(REFERENCE[script], ours):
        place = f"{script}, cell {there['cell']}: {there['source']!r}"
        assert here["ok"], f"{place}: {here.get('error')}"
        if there["ok"] and (script, there["cell"]) not in OTHERWISE:
            assert here.get("value") == there.get("value"), place
            assert here.get("exact") == there.get("exact"), place
            assert near(here.get("close"), there.get("close")), f"{place}: {here.get('close')}, {there.get('close')}"


def test_the_reference_ran():
    """A reference whose cells failed would ask for nothing."""
    lines = [line for lines in REFERENCE.values() for line in lines]
    assert len(lines) > 300
    assert sum(line["ok"] for line in lines) > 0.96 * len(lines)
    assert sum("exact" in line for line in lines) >= 8


def test_the_table_of_names_is_what_the_package_exports():
    import cofactor.notebook as nb

    spec = importlib.util.spec_from_file_location("notebook_names", TOOL.parent / "notebook_names.py")
    names = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(names)
    there = json.loads(names.NAMES.read_text(encoding="utf-8"))
    section = names.table(there, set(nb.__all__))
    assert names.PAGE.read_text(encoding="utf-8").endswith(section), "run tools/notebook_names.py"
    assert all(getattr(nb, name, None) is not None or name in ("BASE_PATH",) for name in nb.__all__)
    for line in section.splitlines():
        if line.startswith("| ") and "`" in line.split("|")[3]:
            assert line.split("|")[4].strip(), f"names that are not here need a reason: {line[:60]}"
