"""RMSE against seconds of training: the settings of each side, the page and the plot (jobs/factorise_*.py)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common import HERE, OURS, QUICK, RESULTS, RIVALS, Page, folder, mean, mid, save, table, worker
from environments import python_of, versions_of

from cofactor.data.interactions import Split

Point = tuple[float, float]
"""Seconds, RMSE."""
DEFAULTS = (
    "No settings tried: the package's defaults, which were chosen earlier on parts of the training rows of the"
    " published folds of ml-100k (and, for als, of ml-1m)."
)
WITHIN = 0.0005
"""RMSE within this counts as the same."""


@dataclass(frozen=True)
class Side:
    """A curve: one library at one setting, trained for several numbers of epochs."""

    label: str
    library: str
    setting: dict[str, Any]
    epochs: dict[str, Sequence[int]]
    """The name of the field that counts epochs, and its values."""
    tried: int
    """Settings looked at on a held-out part of the training rows."""
    rounds: int = 3
    more: dict[str, str] = field(default_factory=dict)

    @property
    def ours(self) -> bool:
        return self.label.startswith("cofactor")

    def runs(self) -> list[dict[str, Any]]:
        ((name, values),) = self.epochs.items()
        return [{**self.setting, name: n} for n in (values[:1] if QUICK else values)]


def measure(side: Side, file: str) -> list[dict[str, float]]:
    """One process: every number of epochs once, warm."""
    if side.ours:
        python, script = OURS, HERE / "ours" / "factorise.py"
    else:
        python, script = python_of("lenskit" if side.library == "lenskit" else "factorisation"), RIVALS / "factorise.py"
    params = {"library": side.library, "file": file, "runs": side.runs()}
    found: list[dict[str, float]] = worker(python, script, params, threads=2, **side.more)
    return found


def curves(sides: Sequence[Side], split: Split) -> dict[str, list[Point]]:
    """Medians of seconds and means of RMSE for every side, in rounds that take turns."""
    found: dict[str, list[list[dict[str, float]]]] = {}
    for side in sides:  # environments first: nothing is built between measurements
        if not side.ours:
            python_of("lenskit" if side.library == "lenskit" else "factorisation")
    with folder() as there:
        file = save(there / "rows.npz", train=split.train, valid=split.valid)
        for r in range(1 if QUICK else max(side.rounds for side in sides)):
            for side in sides:
                if r < side.rounds:
                    found.setdefault(side.label, []).append(measure(side, file))
    return {
        label: [(mid(at, "seconds"), mean(at, "rmse")) for at in zip(*rounds, strict=True)]
        for label, rounds in found.items()
    }


def first_within(points: Sequence[Point], target: float) -> float | None:
    """Seconds of the quickest training that reaches the target."""
    reached = [seconds for seconds, rmse in points if rmse <= target + WITHIN]
    return min(reached) if reached else None


def write(name: str, title: str, about: str, sides: Sequence[Side], split: Split) -> None:
    page = Page(name, title)
    page.versions.append(versions_of(python_of("factorisation"), "libmf", "cornac", "scikit-surprise"))
    page.versions.append(versions_of(python_of("lenskit"), "lenskit"))
    found = curves(sides, split)
    page.say(
        f"{about} Two threads (Surprise has one). Seconds of training alone, data in memory, warm; every number of"
        " epochs is a training of its own; medians over rounds that take turns, means of RMSE. *Settings tried* were"
        " looked at on a held-out part of the training rows; the test rows chose nothing. Predictions cut to the"
        " range of the ratings."
    )
    rows = []
    for side in sides:
        ((field_name, _),) = side.epochs.items()
        for run, (seconds, rmse) in zip(side.runs(), found[side.label], strict=True):
            rows.append([side.label, run[field_name], f"{seconds:.2f}", f"{rmse:.4f}"])
    page.show(f"![RMSE against seconds]({name}.png)")
    page.show(table(["", "epochs", "seconds", "RMSE"], rows))
    reach = []
    ours = [side.label for side in sides if side.ours]
    for side in sides:
        if side.ours:
            continue
        best = min(rmse for _, rmse in found[side.label])
        theirs = first_within(found[side.label], best)
        mine = [(t, label) for label in ours if (t := first_within(found[label], best)) is not None]
        if theirs is None or not mine:
            reach.append([side.label, f"{best:.4f}", f"{theirs:.2f}", "not reached", "", ""])
            continue
        t, label = min(mine)
        reach.append([side.label, f"{best:.4f}", f"{theirs:.2f}", f"{t:.2f}", label, f"{theirs / t:.1f}"])
    page.say(f"Seconds to the best RMSE of each rival (within {WITHIN}), by the quickest of ours that gets there:")
    page.show(table(["rival", "its best RMSE", "its seconds", "ours", "by", "times faster"], reach))
    settings = [[side.label, f"`{side.setting}`", side.tried, 1 if QUICK else side.rounds] for side in sides]
    page.show(table(["", "setting", "settings tried", "rounds"], settings))
    page.say(DEFAULTS)
    plot(RESULTS / f"{name}.png", title, sides, found)
    page.write()


def plot(path: Path, title: str, sides: Sequence[Side], found: dict[str, list[Point]]) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6.4, 4.0), dpi=100, layout="constrained")
    colours = {
        "cofactor": ["#b2182b", "#ef8a62", "#8c2d52", "#d6604d"],
        "": ["#2166ac", "#67a9cf", "#555555", "#1b7837"],
    }
    used = {"cofactor": 0, "": 0}
    for side in sides:
        kind = "cofactor" if side.ours else ""
        colour = colours[kind][used[kind] % 4]
        used[kind] += 1
        seconds, rmse = zip(*sorted(found[side.label]), strict=True)
        style = {"marker": "o", "linewidth": 2} if side.ours else {"marker": "s", "linewidth": 1.2, "linestyle": "--"}
        axes.plot(seconds, rmse, color=colour, markersize=4, label=side.label, **style)
    axes.set_xscale("log")
    axes.set_xlabel("seconds of training (log)")
    axes.set_ylabel("RMSE on held-out ratings")
    axes.set_title(title, fontsize=10)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    plt.close(figure)
