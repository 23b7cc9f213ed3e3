"""The files in ``deploy/``: their commands are ones that the program has, and what can run here does."""

from __future__ import annotations

import inspect
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import cofactor as cf
from cofactor.cli import serve
from serve_tools import ratings

DEPLOY = Path(__file__).parents[2] / "deploy"
DOCS = Path(__file__).parents[2] / "docs"
pytestmark = pytest.mark.skipif(not DEPLOY.is_dir(), reason="deploy/ is not part of this installation")


def options():
    """The options of ``cofactor serve``."""
    found = set()
    for parameter in inspect.signature(serve.command).parameters.values():
        for name in getattr(parameter.default, "param_decls", None) or ():
            found.update(name.split("/"))
    return found


@pytest.mark.parametrize("name", ["Dockerfile", "compose.yaml", "cofactor.service", "kubernetes.yaml"])
def test_the_options_in_a_file_are_those_of_the_program(name):
    lines = (DEPLOY / name).read_text().splitlines()
    text = "\n".join(line for line in lines if "HEALTHCHECK" not in line and not line.startswith("#"))
    if name == "Dockerfile":
        text = text[text.index("ENTRYPOINT") :]
    used = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text))
    assert used
    assert used <= options()


def test_the_commands_in_the_page_are_those_of_the_program():
    text = (DOCS / "production.md").read_text()
    used = {o for line in re.findall(r"cofactor serve[^`\n]*", text) for o in re.findall(r"--[a-z-]+", line)}
    assert used <= options()
    from cofactor.cli import state

    commands = {c.name for c in state.app.registered_commands}
    named = set(re.findall(r"cofactor state ([a-z]+)", text + (DOCS / "serving.md").read_text()))
    assert named <= commands
    assert {p.name for p in DEPLOY.iterdir()} <= set(re.findall(r"`([\w.]+)`", text))


@pytest.mark.skipif(os.name != "posix", reason="a shell script")
def test_the_script_that_retrains_writes_a_bundle(tmp_path):
    frame = ratings().to_frame()
    frame.write_csv(tmp_path / "films.csv")
    program = tmp_path / "cofactor"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m cofactor "$@"\n')
    program.chmod(0o755)
    told = {"TABLE": str(tmp_path / "films.csv"), "MODEL": str(tmp_path / "m.cofactor"), "COFACTOR": str(program)}
    subprocess.run([DEPLOY / "retrain.sh"], env=os.environ | told | {"KIND": "bias"}, check=True, timeout=120)
    assert cf.load(tmp_path / "m.cofactor").name == "bias"
    failed = subprocess.run([DEPLOY / "retrain.sh"], env={"PATH": os.environ["PATH"]}, capture_output=True, timeout=30)
    assert failed.returncode != 0


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
def test_the_unit_is_one(tmp_path):
    unit = tmp_path / "cofactor.service"
    text = (DEPLOY / "cofactor.service").read_text()
    unit.write_text(re.sub(r"ExecStart=\S+", f"ExecStart={sys.executable}", text).replace("User=cofactor\n", ""))
    found = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, timeout=60)
    said = [line for line in found.stderr.splitlines() if "cofactor.service" in line]
    assert not said
