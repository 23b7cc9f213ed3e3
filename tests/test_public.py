"""The public surface: one list for each public module, which its exports equal; the docs name nothing else."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

import cofactor

ROOT = Path(__file__).parents[1]
PUBLIC: dict[str, list[str]] = {
    "cofactor": [
        "Callback",
        "CofactorError",
        "Interactions",
        "Learner",
        "Recommender",
        "Split",
        "check",
        "collab_learner",
        "compare",
        "diff",
        "evaluate",
        "fit",
        "folds",
        "list_datasets",
        "list_models",
        "load",
        "load_dataset",
        "read",
        "set_frames",
        "split",
        "tune",
        "__version__",
    ],
    "cofactor.bundle": ["MIGRATIONS", "check_writable", "info", "load", "save"],
    "cofactor.engines": ["MODELS", "Executor", "evaluate", "fit", "processes", "recommend", "recommend_all", "spark"],
    "cofactor.evaluation": [
        "CustomMetric",
        "Difference",
        "LeakWarning",
        "RelevanceWarning",
        "calibration",
        "evaluate",
        "paired_difference",
        "with_figures",
    ],
    "cofactor.explain": ["Explanation", "explain"],
    "cofactor.report": ["write_report"],
    "cofactor.selection": ["Comparison", "Tuned", "compare", "protocols", "reproduce", "tune"],
    "cofactor.serve": ["Settings", "create_app", "run"],
    "cofactor.testing": ["Check", "Toy", "check_model", "model_checks", "toy_blocks", "toy_ratings"],
    "cofactor.train": [
        "CSVLog",
        "Callback",
        "EarlyStopping",
        "Learner",
        "Plan",
        "PrintTable",
        "Recorder",
        "SaveBest",
        "flat_plan",
        "one_cycle_plan",
    ],
}
"""Public module -> what it exports. The notebook's names have a table of their own (tests/notebook)."""
WHOLE = (
    "cofactor.errors",
    "cofactor.model",
    "cofactor.models",
    "cofactor.notebook",
    "cofactor.split",
    "cofactor.sklearn",
    "cofactor.client",
    "cofactor.export",
    "cofactor.hub",
    "cofactor.mlflow",
    "cofactor.vectors",
    "cofactor.evaluation.metrics",
    "cofactor.engines.spark",
)
"""Public modules whose every public name is meant: errors, protocols, splits and the like."""


@pytest.mark.parametrize("name", PUBLIC)
def test_exports_are_the_list(name):
    module = importlib.import_module(name)
    assert sorted(module.__all__) == sorted(PUBLIC[name])
    if name not in ("cofactor.serve",):  # needs an extra
        for each in PUBLIC[name]:
            assert getattr(module, each) is not None


def test_the_documentation_names_nothing_else():
    pages = [*(ROOT / "docs").rglob("*.md"), ROOT / "README.md", *(ROOT / "examples").rglob("*.py")]
    for page in pages:
        for dotted in re.findall(r"\bcofactor(?:\.\w+)+", page.read_text(encoding="utf-8")):
            first = ".".join(dotted.split(".")[:2])
            name = dotted.split(".")[1]
            inside = page.parent.name == "own_ranker" or page.name in ("architecture.md", "mathematics.md")
            known = name in PUBLIC["cofactor"] or first in PUBLIC or first in WHOLE or dotted in WHOLE
            files = re.search(r"\.(cofactor|md|py|csv|toml|service)$", dotted) or name in (
                "png",
                "state",
                "md",
                "models",
            )
            assert known or files or inside, f"{page.relative_to(ROOT)} names {dotted}, which is not public"


def test_nothing_else_is_on_top():
    assert set(dir(cofactor)) >= set(PUBLIC["cofactor"])
