"""What a type checker says of a wrong model name or option."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def test_the_overloads_are_those_of_the_models():
    spec = importlib.util.spec_from_file_location("typed_fit", ROOT / "tools" / "typed_fit.py")
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    assert tool.PLACE.read_text("utf-8") == tool.written(), "out of date: python tools/typed_fit.py"


@pytest.mark.slow
def test_a_wrong_name_or_option_is_a_type_error(tmp_path):
    api = pytest.importorskip("mypy.api", reason="mypy is not installed")
    program = tmp_path / "program.py"
    lines = [
        "import cofactor as cf",
        'cf.fit("r.csv")',
        'cf.fit("r.csv", model="als", n_factors=20, seed=1)',
        'cf.fit("r.csv", model="auto-ranking", budget_seconds=10)',
        'cf.fit("r.csv", model="asl")',
        'cf.fit("r.csv", model="als", n_factor=20)',
        'cf.fit("r.csv", model="ease", n_factors=20)',
        'cf.fit("r.csv", model="als", n_factors="many")',
    ]
    program.write_text("\n".join(lines) + "\n", encoding="utf-8")
    command = ["--config-file", str(ROOT / "pyproject.toml"), "--cache-dir", str(tmp_path / "cache"), str(program)]
    said, _, _ = api.run(command)
    wrong = {int(line.split(":")[1]) for line in said.splitlines() if line.startswith(str(program)) and "error" in line}
    assert wrong == {5, 6, 7, 8}, said
