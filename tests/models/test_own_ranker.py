"""A model of another package: found by its entry point, conforming, fitted, saved and loaded by name."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from cofactor.errors import ConfigError
from cofactor.models import REGISTRY, is_registered, model_class

EXAMPLE = Path(__file__).parents[2] / "examples" / "own_ranker"

PROGRAM = """
import sys
import cofactor as cf
from cofactor.models import model_class
from cofactor.testing import check_model, toy_blocks

check_model(model_class("random-walk"))
assert "random-walk" in cf.list_models()["model"].to_list()
toy = toy_blocks()
rec = cf.fit(toy.train, model="random-walk", alpha=1.2)
rec.save(sys.argv[1])
again = cf.load(sys.argv[1])
user = rec.data.user_ids.values[0]
assert again.recommend(user).equals(rec.recommend(user))
assert again.refit().model.config.alpha == 1.2
found = cf.compare(toy.train, models=["popular", "random-walk"], draws=0, metrics=["ndcg"])
mean = dict(zip(found.frame["model"], found.frame["mean"]))
assert mean["random-walk"] > mean["popular"], mean
print("fine")
"""


def installed(folder: Path) -> None:
    """What installing the example puts on the path: its module, and the entry points of its pyproject.toml."""
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    info = folder / "own_ranker-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    lines = [f"{name} = {value}" for name, value in project["entry-points"]["cofactor.models"].items()]
    (info / "entry_points.txt").write_text("\n".join(["[cofactor.models]", *lines, "bias = own_ranker:RandomWalk", ""]))
    (folder / "own_ranker.py").write_text((EXAMPLE / "own_ranker.py").read_text(encoding="utf-8"), encoding="utf-8")


def ran(folder: Path, program: str, *args: str) -> subprocess.CompletedProcess[str]:
    code = f"import sys; sys.path.insert(0, {str(folder)!r})\n{program}"
    return subprocess.run([sys.executable, "-c", code, *args], capture_output=True, text=True)


def test_a_ranker_of_another_package(tmp_path):
    installed(tmp_path)
    done = ran(tmp_path, PROGRAM, str(tmp_path / "m.cofactor"))
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout == "fine\n"


def test_it_cannot_take_over_a_name_nor_break_others(tmp_path):
    installed(tmp_path)
    (tmp_path / "own_ranker.py").write_text("raise ImportError('no such thing')\n")
    done = ran(
        tmp_path,
        "from cofactor.models import model_class\n"
        "from cofactor.errors import ConfigError\n"
        "print(model_class('bias').__module__)\n"
        "try: model_class('random-walk')\n"
        "except ConfigError as exc: print(exc)\n",
    )
    assert done.stdout.splitlines() == [
        "cofactor.models.bias",
        "the package that registers the model 'random-walk' cannot be loaded (no such thing)",
    ], done.stderr


def test_unknown_names():
    assert all(is_registered(name) for name in REGISTRY)
    assert not is_registered("random-walkk")
    with pytest.raises(ConfigError, match=r"no model 'bais'.*Did you mean 'bias'"):
        model_class("bais")
