"""Start-up: import, --help, the first training with a warm and a cold numba cache, the size of the core install."""

from __future__ import annotations

import subprocess
import sys
import time
import venv
from pathlib import Path
from statistics import median
from typing import Any

from common import HERE, OURS, QUICK, Page, folder, mid, table, worker

RUNS = 1 if QUICK else 7
MODELS: dict[str, dict[str, Any]] = {
    "collab_learner": {},
    "als": {"epochs": 1},
    "svd++": {"epochs": 1},
    "bayes-mf": {"epochs": 3, "burn_in": 1},
    "item-knn": {},
    "ials": {"epochs": 1},
    "ease": {},
    "bpr": {"epochs": 1},
}


def seconds_of(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start


def import_seconds() -> float:
    code = "import time; s = time.perf_counter(); import cofactor; print(time.perf_counter() - s)"
    return float(subprocess.run([OURS, "-c", code], check=True, capture_output=True, text=True).stdout)


def installed_megabytes(where: Path) -> float:
    """A fresh environment with the core of this source tree, pip itself not counted."""
    venv.create(where, with_pip=True)
    python = where / "bin" / "python"
    packages = where / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    before = size(packages)
    subprocess.run([str(python), "-m", "pip", "install", "-qq", str(HERE.parent)], check=True)
    return (size(packages) - before) / 1e6


def size(where: Path) -> int:
    """Bytes on disk."""
    return sum(p.lstat().st_blocks * 512 for p in where.rglob("*") if not p.is_symlink())


def main() -> None:
    page = Page("start", "Start-up")
    command = [str(Path(OURS).parent / "cofactor"), "--help"]
    seconds_of(command)
    rows = [
        ["`import cofactor`", f"{median(import_seconds() for _ in range(RUNS)):.3f} s", "0.35 s"],
        ["`cofactor --help`", f"{median(seconds_of(command) for _ in range(RUNS)):.3f} s", "0.6 s"],
    ]
    with folder() as there:
        if not QUICK:
            rows.append(["core install, no extras", f"{installed_megabytes(there / 'core'):.0f} MB", "700 MB"])
        page.say(f"Medians of {RUNS} fresh processes, files in the page cache.")
        page.show(table(["", "measured", "target"], rows))
        first = []
        for model, config in list(MODELS.items())[: 2 if QUICK else None]:
            cache = {"NUMBA_CACHE_DIR": str(there / model)}
            params = {"model": model, "config": config}
            cold = worker(OURS, HERE / "ours" / "start.py", params, **cache)
            warm = [worker(OURS, HERE / "ours" / "start.py", params, **cache) for _ in range(min(RUNS, 3))]
            shown = [f"{mid(runs, key):.2f}" for runs in (warm, [cold]) for key in ("seconds", "cpu")]
            first.append([f"`{model}`", *shown])
            if cold["also"]:
                raise SystemExit(f"training {model} loaded {cold['also']}")
    page.say(
        "First training in a fresh process: seconds from the arrays of ML-100k being ready (import of what trains,"
        " one epoch, or three sweeps for `bayes-mf`, validation for `collab_learner`) with a warm numba cache,"
        " median of 3, and with an empty one. Targets: 1 s warm, 15 s cold."
    )
    page.show(table(["model", "warm", "processor s", "cold", "processor s"], first))
    page.write()


if __name__ == "__main__":
    main()
