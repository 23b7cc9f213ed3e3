"""One harness for everybody: trainings in processes of their own, predictions as arrays, figures by cofactor's metrics.

A training is done once: its predictions stay in ``benchmarks/.cache/accuracy`` under the rows, the method and the
setting. ``Job.limit`` seconds after the start no training is begun any more; the same command goes on from there. With
``Job.finished`` nothing is trained, and those that are not through are left out of the page, which says so.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from common import OURS, RESULTS, RIVALS, machine, table, worker  # noqa: E402
from environments import PINS, python_of  # noqa: E402
from rows import exported, split_of  # noqa: E402

from cofactor.data.interactions import Interactions, Split  # noqa: E402
from cofactor.evaluation.evaluate import evaluate  # noqa: E402
from cofactor.evaluation.metric_names import metric  # noqa: E402
from cofactor.evaluation.scorer import Scorer  # noqa: E402
from cofactor.model import Task  # noqa: E402
from cofactor.selection.compare import compare  # noqa: E402
from cofactor.selection.comparison import Comparison  # noqa: E402

CACHE = HERE.parent / ".cache" / "accuracy"
Setting = dict[str, Any]


@dataclass(frozen=True)
class Side:
    """One contender: the settings it was given, and what trains it."""

    label: str
    method: str
    settings: tuple[Setting, ...]
    env: str = ""
    """The environment of a rival; empty: cofactor."""
    script: str = "ratings.py"
    parts: int = 2
    """Inner parts of the training rows to choose by, where there is a choice."""
    threads: int = 1

    @property
    def ours(self) -> bool:
        return not self.env


def ours(label: str, *, threads: int = 1, **setting: Any) -> Side:
    """A model of ours at its defaults, but for what is named."""
    return Side(label, "cofactor", (setting,), threads=threads)


def product(**options: Sequence[Any]) -> tuple[Setting, ...]:
    """All combinations."""
    found: list[Setting] = [{}]
    for name, values in options.items():
        found = [{**one, name: value} for one in found for value in values]
    return tuple(found)


class Unfinished(Exception):
    """A training that is not there, where none is to be begun."""


@dataclass
class Job:
    """What is measured by what, and how long this run may take."""

    task: Task
    metrics: tuple[str, ...]
    relevant: float | None = None
    limit: float = float("inf")
    only: str = ""
    finished: bool = False
    left_out: list[str] = field(default_factory=list)
    begun: float = field(default_factory=time.monotonic)

    @property
    def inner(self) -> int:
        """One in how many training rows is held out to choose by."""
        return 10 if self.task == "rating" else 5

    def path(self, side: Side, rows: str, setting: Setting) -> Path:
        name = hashlib.sha256(json.dumps([side.method, setting], sort_keys=True).encode()).hexdigest()[:12]
        return CACHE / rows.replace(" ", "_") / f"{side.method}-{name}.npy"

    def train(self, side: Side, rows: str, settings: Sequence[Setting]) -> None:
        """What of these is not there yet; ends the program where time is up."""
        missing = [(s, str(self.path(side, rows, s))) for s in settings if not self.about(side, rows, s)]
        if not missing:
            return
        if self.finished:
            raise Unfinished
        left = self.limit - (time.monotonic() - self.begun)
        if left > 0:
            print(f"{side.label}: {rows}, {len(missing)} trainings", file=sys.stderr, flush=True)
            Path(missing[0][1]).parent.mkdir(parents=True, exist_ok=True)
            asked = {"method": side.method, "runs": missing, "limit": min(left, 1e9), "rows": rows}
            script = HERE / "ours.py" if side.ours else RIVALS / side.script
            if not side.ours:
                asked["file"] = exported(rows, CACHE / "rows")
            python = OURS if side.ours else python_of(side.env)
            if worker(python, script, asked, threads=side.threads) == len(missing):
                return
        raise SystemExit(f"time is up at {side.label}, {rows}; run the same command again to go on")

    def about(self, side: Side, rows: str, setting: Setting) -> dict[str, Any]:
        """What the worker noted of a training; empty where there is none."""
        file = self.path(side, rows, setting).with_suffix(".json")
        return json.loads(file.read_text()) if file.exists() else {}

    def found(self, side: Side, rows: str, setting: Setting) -> Scorer:
        """What a training predicted, for the metrics."""
        return stored(side.label, self.task, split_of(rows), np.load(self.path(side, rows, setting)))

    def value(self, side: Side, rows: str, setting: Setting, name: str) -> float:
        """One figure of one training; kept beside its predictions."""
        kept = self.path(side, rows, setting).with_suffix(f".{name}")
        if not kept.exists():
            by, test = self.found(side, rows, setting), split_of(rows)
            kept.write_text(str(evaluate(by, test, name, relevant=self.relevant, draws=0)["value"][0]))
        return float(kept.read_text())

    def choose(self, side: Side, rows: str) -> Setting:
        """The best setting by the first metric, on inner parts of the training rows alone."""
        if len(side.settings) == 1:
            return side.settings[0]
        parts = [f"{rows} inner {k} of {self.inner}" for k in range(side.parts)]
        for part in parts:
            self.train(side, part, side.settings)
        first = self.metrics[0]
        means = [np.mean([self.value(side, part, s, first) for part in parts]) for s in side.settings]
        best = int(np.argmin(means) if metric(first).lower_is_better else np.argmax(means))
        return side.settings[best]

    def run(self, sides: Sequence[Side], rows: Sequence[str]) -> dict[str, Setting]:
        """Choose on the first rows, train on all; by label the setting taken."""
        taken = {}
        for side in sides:
            if self.only and self.only not in side.label:
                continue
            try:
                chosen = self.choose(side, rows[0])
                for one in rows:
                    self.train(side, one, [chosen])
            except Unfinished:
                self.left_out.append(f"{side.label} ({rows[0]})" if len(rows) == 1 else side.label)
            else:
                taken[side.label] = chosen
        return taken

    def compare(self, sides: Sequence[Side], rows: Sequence[str], taken: dict[str, Setting]) -> Comparison:
        """Everybody on the same test rows, by paired bootstrap over users."""
        splits = [split_of(one) for one in rows]

        def scorer(side: Side) -> Callable[[Interactions, int], Scorer]:
            def trained(data: Interactions, seed: int) -> Scorer:
                at = next(k for k, split in enumerate(splits) if split.train is data)
                return self.found(side, rows[at], taken[side.label])

            return trained

        models = [(side.label, scorer(side)) for side in sides]
        return compare(
            split=splits, models=models, metrics=self.metrics, relevant=self.relevant, draws=2000, baselines=False
        )

    def missing(self) -> tuple[str, ...]:
        """A paragraph on those that are left out, where there are any."""
        return (f"Left out, not trained yet: {'; '.join(self.left_out)}.",) if self.left_out else ()

    def seconds(self, side: Side, rows: Sequence[str], setting: Setting, key: str = "cpu") -> float:
        return float(np.mean([self.about(side, one, setting)[key] for one in rows]))


def arguments(about: str | None) -> argparse.ArgumentParser:
    """What every page's script may be asked."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=float, default=float("inf"), help="seconds after which no training is begun")
    parser.add_argument("--only", default="", help="candidates with this in their name; writes no page")
    parser.add_argument("--finished", action="store_true", help="train nothing: a page of what is there")
    return parser


def stored(label: str, task: Task, split: Split, values: np.ndarray) -> Scorer:
    """A Scorer of saved arrays: a prediction for each held-out row, or a score for each user and item."""
    n = split.train.n_items
    keys = split.valid.users.astype(np.int64) * n + split.valid.items
    order = np.argsort(keys)

    def predict(users: Any, items: Any, times: Any = None) -> Any:
        at = np.searchsorted(keys[order], users.astype(np.int64) * n + items)
        return values[order[at]]

    return Scorer(label, task, split.train, predict, lambda users: values[users], None)


def against(found: Comparison, one: str, other: str, name: str) -> tuple[float, float, float]:
    """``one`` minus ``other``: the difference and its 95 % bounds."""
    for row in found.pairs.iter_rows(named=True):
        if row["metric"] == name and {row["better"], row["other"]} == {one, other}:
            d, low, high = row["difference"], row["low"], row["high"]
            return (d, low, high) if row["better"] == one else (-d, -high, -low)
    raise KeyError(f"{one} and {other} were not compared")


def signed(difference: tuple[float, float, float]) -> str:
    d, low, high = difference
    return f"{d:+.4f} [{low:+.4f}, {high:+.4f}]"


def shown(setting: Setting) -> str:
    return f"`{json.dumps(setting)}`" if setting else "defaults"


def settings_table(sides: Sequence[Side], taken: dict[str, Setting]) -> str:
    head = ("", "setting taken", "settings tried", "inner parts")
    lines = []
    for side in sides:
        n = len(side.settings)
        lines.append((side.label, shown(taken[side.label]), n if n > 1 else "-", side.parts if n > 1 else "-"))
    return table(head, lines)


def versions(sides: Sequence[Side]) -> str:
    from importlib.metadata import version

    mine = [f"{p} {version(p)}" for p in ("cofactor", "numpy", "numba")]
    theirs = sorted({pin.replace("==", " ") for side in sides if side.env for pin in PINS[side.env]})
    return ", ".join([*mine, *theirs])


def page(name: str, title: str, command: str, sides: Sequence[Side], parts: Sequence[str]) -> None:
    """Write a page of results."""
    about = [
        f"- made by: `{command}` on {date.today()}",
        f"- machine: {machine()}",
        f"- load (1 minute) as the page was written: {os.getloadavg()[0]:.1f}",
        f"- versions: {versions(sides)}",
    ]
    text = "\n\n".join([f"# {title}", "\n".join(about), *parts]) + "\n"
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / f"{name}.md").write_text(text, encoding="utf-8")
    print(text)
