"""What the jobs share: workers in processes of their own, medians, and a Markdown page of results."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from importlib.metadata import version
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

HERE = Path(__file__).parent
RIVALS = HERE / "rivals"
OURS = sys.executable
QUICK = os.environ.get("COFACTOR_BENCH_QUICK") == "1"
"""Tiny settings, to see that everything runs; figures go to .cache/quick and mean nothing."""
RESULTS = HERE / ".cache" / "quick" if QUICK else HERE / "results"


def worker(python: str, script: str | Path, params: dict[str, Any], threads: int = 0, **env: str) -> Any:
    """Run a script with ``params`` as JSON in its first argument; its last line of output is JSON.

    ``threads``: how many the libraries in it may start (0: what they choose).
    """
    more = dict(env)
    if threads:
        names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
        more = dict.fromkeys(names, str(threads)) | more
    command = [python, str(script), json.dumps(params)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | more)
    if done.returncode:
        raise SystemExit(f"{script} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def script(path: Path, *arguments: str, python: str = OURS) -> str:
    """The standard output of one of the scripts that stand alone."""
    done = subprocess.run([python, str(path), *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{path.name} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return done.stdout


def mid(runs: Sequence[dict[str, Any]], key: str) -> float:
    """The median of one figure over runs."""
    return float(median(run[key] for run in runs))


def mean(runs: Sequence[dict[str, Any]], key: str) -> float:
    return float(np.mean([run[key] for run in runs]))


@contextmanager
def folder() -> Iterator[Path]:
    """A temporary folder."""
    with TemporaryDirectory(prefix="cofactor-bench-") as name:
        yield Path(name)


def save(path: Path, **parts: Any) -> str:
    """Interactions as plain arrays, so that a rival's process needs nothing of ours; the path as text."""
    arrays = {f"{n}_{k}": getattr(p, k) for n, p in parts.items() for k in ("users", "items", "values")}
    first = next(iter(parts.values()))
    np.savez(path, shape=[first.n_users, first.n_items], **arrays)
    return str(path)


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A Markdown table; the first column to the left, the rest to the right."""
    lines = [" | ".join(map(str, row)) for row in (head, ["---", *["---:"] * (len(head) - 1)], *rows)]
    return "\n".join(f"| {line} |" for line in lines)


def machine() -> str:
    """Processor, cores, memory, system: what a figure depends on."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        name = names[0] if names else name
        if " avx512f " in cpuinfo.read_text():
            name += " with AVX-512"
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30 if hasattr(os, "sysconf") else 0
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{name}, {cores} cores, {memory:.0f} GiB, {platform.system()}, Python {platform.python_version()}"


class Page:
    """One page of results. Note the load as it begins: what else ran on the machine."""

    def __init__(self, name: str, title: str, by: str = "") -> None:
        """``by``: the script below benchmarks/ that makes it, unless it is a job of run.py."""
        self.name, self.by = name, by or f"run.py --only {name}"
        self.load = os.getloadavg()[0]
        self.parts = [f"# {title}"]
        self.versions = [f"{p} {version(p)}" for p in ("cofactor", "numpy", "numba")]

    def say(self, text: str) -> None:
        self.parts.append(" ".join(text.split()))

    def show(self, text: str) -> None:
        """Something that is Markdown already."""
        self.parts.append(text.strip())

    def write(self) -> None:
        about = [
            f"- made by: `python benchmarks/{self.by}` on {date.today()}",
            f"- machine: {machine()}",
            f"- load (1 minute) at the start {self.load:.1f}, at the end {os.getloadavg()[0]:.1f} (this job's own"
            " included)",
            f"- versions: {', '.join(self.versions)}",
        ]
        text = "\n\n".join([self.parts[0], "\n".join(about), *self.parts[1:]]) + "\n"
        RESULTS.mkdir(parents=True, exist_ok=True)
        (RESULTS / f"{self.name}.md").write_text(text, encoding="utf-8")
        print(text)
