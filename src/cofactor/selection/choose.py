"""The automatic choice of a model: what is best on an inner validation part of the training rows, within a
time budget."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from cofactor._progress import progress
from cofactor.data.interactions import Interactions, Split
from cofactor.errors import CofactorError, ConfigError
from cofactor.evaluation import metric_names
from cofactor.evaluation.held_out import held_out_rows
from cofactor.evaluation.measure import EvaluationProtocol, measure, threshold
from cofactor.evaluation.scorer import scorer
from cofactor.model import Task
from cofactor.models import REGISTRY
from cofactor.recommend.fitted import TRIALS
from cofactor.selection.budget import forecast_passes
from cofactor.selection.candidates import Fit, default_fit
from cofactor.selection.subsamples import few_users, held_out, smaller

Candidates = Sequence[tuple[str, Mapping[str, Any]]]

CANDIDATES: dict[str, Candidates] = {
    "rating": (
        ("bias", {}),
        ("als", {}),
        ("item-knn", {}),
        ("dot-bias", {}),
        ("svd++", {}),
        ("bayes-mf", {"epochs": 60, "burn_in": 20}),
        ("bayes-mf", {}),
    ),
    "ranking": (
        ("popular", {}),
        ("item-cosine", {}),
        ("ease", {}),
        ("ials", {}),
        ("slim", {}),
        ("blend", {}),
    ),
}
"""What is tried, from the simplest up; of equal ones the simpler is taken. The first is always tried, then
the last, ..."""

TIE = 5e-4
"""A relative difference below which two figures count as equal."""


@dataclass(frozen=True)
class Choice:
    """``model`` and ``config`` to train on all rows; ``metrics``: what it reached on the inner validation
    rows; ``frame``: what was tried, ``model, config, metric, value, seconds, status, chosen``."""

    model: str
    config: dict[str, Any]
    metrics: dict[str, float]
    frame: pl.DataFrame

    @property
    def note(self) -> str:
        """Whether the budget decided: empty where every candidate was tried that can be."""
        return out_of_time(self.frame)


def out_of_time(frame: pl.DataFrame) -> str:
    """What the budget kept out of a frame of what was tried, in words; empty where nothing was."""
    late = frame.filter(pl.col("status").str.contains(r"^skipped: (would take|no time)"))
    if not len(late):
        return ""
    names = ", ".join(f"{m} ({c})" if c else m for m, c in late.select("model", "config").rows())
    return (
        f"The time budget left no room for {names}, so the choice depends on the speed of this machine; a larger"
        " budget (budget_seconds=..., on the command line --budget) tries them too."
    )


def choose(
    data: Interactions,
    task: Task = "rating",
    *,
    seed: int = 42,
    budget_seconds: float = 60.0,
    candidates: Sequence[Any] | None = None,
    relevant: float | None = None,
    fit: Fit | None = None,
    verbose: bool = False,
) -> Choice:
    """Try models on nine tenths of the rows (four fifths for rankers) and take the best on the rest: by RMSE,
    or NDCG@10.

    The simplest (``bias``, ``popular``) is tried first and whatever the budget, so the choice is never worse
    than it on these validation rows. The others follow from the one that usually wins down; one whose cost,
    forecast from fits to small parts, does not fit in what is left of ``budget_seconds`` (training the best
    once more on all rows included) is skipped, and the frame and ``note`` say so. With time enough for all, the
    choice depends on data and seed only. ``candidates`` are names or ``(name, config)``, from the simplest up.
    Rankers are measured on 5,000 users at most.

    Raises ConfigError for a task that is neither ``rating`` nor ``ranking``.
    """
    if task not in CANDIDATES:
        raise ConfigError(f"the task is {task!r}; it must be 'rating' or 'ranking'")
    start = time.perf_counter()
    split = held_out(data, 0.1, seed) if task == "rating" else few_users(held_out(data, 0.2, seed), 5000, seed)
    target = metric_names.metric("rmse" if task == "rating" else "ndcg@10")
    trial = _Trial(
        split, target, EvaluationProtocol(_floor(data, relevant)), seed, fit or default_fit(False), fit is None
    )
    pool = _pool(task, candidates)
    table: list[dict[str, Any]] = [{"model": m, "config": _shown(c), "metric": str(target)} for m, c in pool]
    with progress("choosing a model", len(pool), None if verbose else True) as step:
        for k in (0, *range(len(pool) - 1, 0, -1)):
            model, config = pool[k]
            step(model, 0)
            if any(name == model and line.get("value") is not None for (name, _), line in zip(pool[k:], table[k:])):
                table[k] |= {"value": None, "seconds": None, "status": "skipped: tried with more effort"}
                continue
            left = budget_seconds - (time.perf_counter() - start)
            again = max((line.get("seconds") or 0.0 for line in table), default=0.0)
            needed = trial.forecast(model, config, left) if k else 0.0
            left = budget_seconds - (time.perf_counter() - start)
            # It is trained here, and the best once more on all rows.
            if k and needed + 1.1 * max(needed, again) > left:
                why = f"would take some {needed:.1f} s" if math.isfinite(needed) else "no time left"
                table[k] |= {"value": None, "seconds": None, "status": f"skipped: {why}"}
            else:
                table[k] |= trial.run(model, config, required=k == 0)
            step(model, 1)
    best = _best(table, target)
    value = table[best]["value"]
    name, config = pool[best]
    frame = pl.DataFrame([{**line, "chosen": k == best} for k, line in enumerate(table)], schema=TRIALS)
    return Choice(name, dict(config), {f"inner_{target}": value}, frame)


def _shown(config: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in config.items())


def _pool(task: str, candidates: Sequence[Any] | None) -> Candidates:
    if candidates is None:
        return [(name, config) for name, config in CANDIDATES[task] if name in REGISTRY]
    found = [(one, {}) if isinstance(one, str) else (one[0], dict(one[1])) for one in candidates]
    if not found:
        raise ConfigError("there is no candidate to choose from")
    return found


def _floor(data: Interactions, relevant: float | None) -> float | None:
    """The threshold of all rows, so that it does not depend on which were held out."""
    return threshold(data, relevant)


def _best(table: list[dict[str, Any]], target: metric_names.Metric) -> int:
    """The first of those as good as the best, up to ties."""
    sign = 1.0 if target.lower_is_better else -1.0
    losses = [math.inf if line["value"] is None else sign * line["value"] for line in table]
    least = min(losses)
    if not math.isfinite(least):
        return 0
    found = next(k for k, loss in enumerate(losses) if loss <= least + TIE * abs(least))
    # A tie must not let in something worse than the baseline.
    return found if losses[found] <= losses[0] else losses.index(least)


@dataclass
class _Trial:
    split: Split
    target: metric_names.Metric
    choices: EvaluationProtocol
    seed: int
    fit: Fit
    registered: bool

    def run(self, model: str, config: Mapping[str, Any], required: bool) -> dict[str, Any]:
        """Train and measure one candidate. One that cannot be trained here is passed over, unless
        ``required``."""
        start = time.perf_counter()
        try:
            value = self._value(self.split, model, config)
        except CofactorError as error:
            if required:
                raise
            return {"value": None, "seconds": None, "status": f"skipped: {error}"}
        seconds = time.perf_counter() - start
        if not math.isfinite(value):
            return {"value": None, "seconds": seconds, "status": "skipped: no finite value"}
        return {"value": value, "seconds": seconds, "status": "trials"}

    def _value(self, split: Split, model: str, config: Mapping[str, Any]) -> float:
        trained = self.fit(split.train, model=model, seed=self.seed, **config)
        data = held_out_rows(split, split.train)
        return measure(scorer(trained, split.train), data, [self.target], self.choices).value(self.target)

    def forecast(self, model: str, config: Mapping[str, Any], left: float) -> float:
        """Seconds that the candidate will probably take: from a few passes, or from fits to parts with fewer
        users and items.

        A share f of both has f² of the rows. Time is taken to be ``a + b f^p``: p from three parts (2 for
        what is linear in the rows, 3 for what solves items × items), 2.5 from two. The first fit only
        compiles.
        """
        if left <= 0:
            return math.inf
        if not math.isfinite(left):
            return 0.0
        if self.registered:
            try:
                found = forecast_passes(self.split.train, model, config, self.seed, left)
            except CofactorError:
                return 0.0
            if found is not None:
                return 1.1 * found
        seen: list[tuple[float, float]] = []
        guess = 0.0
        for share in (0.08, 0.1, 0.2, 0.4):
            part = smaller(self.split, share, self.seed)
            if part is None:
                continue
            start = time.perf_counter()
            try:
                self._value(part, model, config)
            except CofactorError:
                return 0.0
            seconds = time.perf_counter() - start
            if share == 0.08:
                if seconds > left:
                    return seconds
                continue
            seen.append((share, seconds))
            guess = _extrapolated(seen)
            # Cheap beyond uncertainty, or too dear beyond uncertainty: no need to look closer.
            if guess < left / 8 or seconds > left / 4:
                break
        return guess


def _extrapolated(seen: list[tuple[float, float]]) -> float:
    """Seconds at a share of 1, from (share, seconds) at shares that double; a tenth is added for safety."""
    share, seconds = seen[-1]
    if len(seen) == 1:
        return float(seconds / share**2.5)
    grown = max(seconds - seen[-2][1], 0.0)
    power = 2.5
    if len(seen) > 2 and grown > 0 and seen[-2][1] > seen[-3][1]:
        power = min(max(math.log2(grown / (seen[-2][1] - seen[-3][1])), 1.0), 3.0)
    steps = (1 - share**power) / (share**power - seen[-2][0] ** power)
    return float(1.1 * (seconds + grown * steps))
