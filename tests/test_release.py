"""What a release needs: files, one version, workflows that name what exists."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

import cofactor as cf

ROOT = Path(__file__).parent.parent


def test_the_repository_could_be_released():
    done = subprocess.run([sys.executable, "tools/check_release.py"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert cf.__version__ in done.stdout


def test_a_release_with_the_wrong_tag_or_placeholder_addresses_is_refused():
    done = subprocess.run(
        [sys.executable, "tools/check_release.py", "--tag", "v9.9.9"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "the tag is v9.9.9" in done.stdout


def test_the_version_has_one_source():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert "version" not in project["project"]
    assert project["project"]["dynamic"] == ["version", "readme"]
    named = [p for p in (ROOT / "src").rglob("*.py") if re.search(r"^__version__ =", p.read_text("utf-8"), re.M)]
    assert [p.name for p in named] == ["_version.py"]


def test_every_python_that_is_promised_is_tested():
    classifiers = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["classifiers"]
    promised = [c.rpartition(" ")[2] for c in classifiers if c.startswith("Programming Language :: Python :: 3.")]
    workflow = (ROOT / ".github/workflows/tests.yml").read_text("utf-8")
    assert promised == re.findall(r'"(3\.\d+)"', re.search(r"python: \[(.*?)\]", workflow)[1])


def test_workflows_name_commands_and_files_that_exist():
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for path in (ROOT / ".github/workflows").glob("*.yml"):
        text = path.read_text("utf-8")
        for target in re.findall(r"run: make (\w+)", text):
            assert re.search(rf"^{target}:", makefile, re.M), f"{path.name}: make {target}"
        for file in re.findall(r"python (tools/\S+\.py)", text):
            assert (ROOT / file).exists(), f"{path.name}: {file}"


def test_the_conda_recipe_asks_for_what_the_package_asks():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    recipe = (ROOT / "conda" / "meta.yaml").read_text(encoding="utf-8").partition("  run:")[2].partition("test:")[0]
    lines = [line.strip() for line in recipe.splitlines()]
    asked = {line.removeprefix("- ").replace(" ", "") for line in lines if line.startswith("- ")}
    assert {name for name in asked if not name.startswith("python>")} == set(project["dependencies"])


def test_the_readme_of_the_package_has_whole_addresses(monkeypatch):
    interface = SimpleNamespace(MetadataHookInterface=object)
    monkeypatch.setitem(sys.modules, "hatchling.metadata.plugin.interface", interface)  # a part of the build alone
    spec = importlib.util.spec_from_file_location("package_readme", ROOT / "tools/package_readme.py")
    hook = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hook)
    text = "![a](docs/a.png) [b](docs/b.md#c) [d](https://e.example) [f](#g)\n```\n[h](i)\n```\n[j](k/)"
    whole = (
        text.replace("(docs/a", "(S/raw/v1/docs/a")
        .replace("(docs/b", "(S/blob/v1/docs/b")
        .replace("(k", "(S/blob/v1/k")
    )
    assert hook.absolute(text, "S", "v1") == whole
    made = hook.PackageReadme()
    made.root = str(ROOT)
    metadata = {"urls": {"Source": "https://code.example"}}
    made.update(metadata)
    assert metadata["readme"]["content-type"] == "text/markdown"
    shown = metadata["readme"]["text"]
    assert f"](https://code.example/raw/v{cf.__version__}/docs/explorer.png)" in shown
    assert not re.findall(r"\]\((?![a-z]+:|#)", shown)
