"""The rivals' environments: one virtual environment a group, in benchmarks/.envs (not in git), pinned, made once.

python benchmarks/environments.py [NAME ...]        all of them unless named
"""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from pathlib import Path

FOLDER = Path(__file__).parent / ".envs"

PINS: dict[str, tuple[str, ...]] = {
    "fastai": ("torch==2.13.0", "torchvision==0.28.0", "fastai==2.8.12"),
    "factorisation": ("scikit-surprise==1.1.5", "cornac==3.0.1", "libmf==0.9.2"),
    "lenskit": ("torch==2.13.0", "lenskit==2025.8.1"),
    "ranking": ("implicit==0.7.3", "myfm==0.4.0", "threadpoolctl==3.7.0"),
    "rankers": ("implicit==0.7.3", "lightfm-next==1.19.0", "scikit-learn==1.9.1"),
}


def python_of(name: str) -> str:
    """The interpreter of an environment; builds it where it is missing or its pins have changed."""
    folder = FOLDER / name
    python = folder / "bin" / "python"
    stamp = folder / "pins.json"
    if stamp.exists() and json.loads(stamp.read_text()) == list(PINS[name]):
        return str(python)
    print(f"building the environment {name}: {', '.join(PINS[name])}", file=sys.stderr, flush=True)
    venv.create(folder, with_pip=True, clear=True)
    subprocess.run([str(python), "-m", "pip", "install", "-qq", *PINS[name]], check=True)
    stamp.write_text(json.dumps(list(PINS[name])))
    return str(python)


def versions_of(python: str, *packages: str) -> str:
    """``name version, name version`` as installed there."""
    code = "import sys, importlib.metadata as m; print(', '.join(f'{p} {m.version(p)}' for p in sys.argv[1:]))"
    return subprocess.run([python, "-c", code, *packages], check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    for each in sys.argv[1:] or PINS:
        print(each, python_of(each))
