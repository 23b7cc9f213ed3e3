"""The automatic choice of a model: what is best on an inner validation part of the training rows, within a
time budget."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from cofactor.data.interactions import Interactions, Split
from cofactor.errors import CofactorError, ConfigError
from cofactor.evaluate import names, rows
from cofactor.evaluate.measure import Choices, measure
from cofactor.evaluate.progress import progress
from cofactor.evaluate.sample import held_out, smaller
from cofactor.evaluate.scorer import scorer
from cofactor.evaluate.specs import Fit, default_fit
from cofactor.model import Task
from cofactor.models import REGISTRY

Candidates = Sequence[tuple[str, Mapping[str, Any]]]

CANDIDATES: dict[str, Candidates] = {
    "rating": (
        ("bias", {}),
        ("als", {}),
        ("item-knn", {}),
        ("dot-bias", {}),
        ("svd++", {}),
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
"""What is tried, from the simplest up; of equal ones the simpler is taken. The first is always tried."""

TIE = 5e-4
"""A relative difference below which two figures count as equal."""


@dataclass(frozen=True)
class Choice:
    """``model`` and ``config`` to train on all rows; ``metrics``: what it reached on the inner validation
    rows; ``frame``: what was tried, ``model, config, metric, value, seconds, status``."""

    model: str
    config: dict[str, Any]
    metrics: dict[str, float]
    frame: pl.DataFrame


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
    than it on these validation rows. The others follow from the simplest up; one whose cost, forecast from
    fits to small parts, does not fit in what is left of ``budget_seconds`` (training it once more on all rows
    included) is skipped, and the frame says so. With time enough for all, the choice depends on data and seed
    only. ``candidates`` are names or ``(name, config)``.

    Raises ConfigError for a task that is neither ``rating`` nor ``ranking``.
    """
    if task not in CANDIDATES:
        raise ConfigError(f"the task is {task!r}; it must be 'rating' or 'ranking'")
    start = time.perf_counter()
    split = held_out(data, 0.1 if task == "rating" else 0.2, seed)
    target = names.metric("rmse" if task == "rating" else "ndcg@10")
    trial = _Trial(split, target, Choices(_floor(data, relevant)), seed, fit or default_fit(False))
    pool = _pool(task, candidates)
    table: list[dict[str, Any]] = []
    with progress("choosing a model", len(pool), None if verbose else True) as step:
        for k, (model, config) in enumerate(pool):
            step(model, 0)
            left = budget_seconds - (time.perf_counter() - start)
            line: dict[str, Any] = {"model": model, "config": str(dict(config)), "metric": str(target)}
            needed = trial.forecast(model, config, left) if k else 0.0
            # It is trained here, and if it wins once more on all rows.
            if k and 2.1 * needed > left:
                why = f"would take some {needed:.1f} s" if math.isfinite(needed) else "no time left"
                line |= {"value": None, "seconds": None, "status": f"skipped: {why}"}
            else:
                line |= trial.run(model, config, required=k == 0)
            table.append(line)
            step(model, 1)
    best = _best(table, target)
    value = table[best]["value"]
    name, config = pool[best]
    frame = pl.DataFrame(table, schema=_SCHEMA)
    return Choice(name, dict(config), {f"inner_{target}": value}, frame)


_SCHEMA = {
    "model": pl.String,
    "config": pl.String,
    "metric": pl.String,
    "value": pl.Float64,
    "seconds": pl.Float64,
    "status": pl.String,
}


def _pool(task: str, candidates: Sequence[Any] | None) -> Candidates:
    if candidates is None:
        return [(name, config) for name, config in CANDIDATES[task] if name in REGISTRY]
    found = [(one, {}) if isinstance(one, str) else (one[0], dict(one[1])) for one in candidates]
    if not found:
        raise ConfigError("there is no candidate to choose from")
    return found


def _floor(data: Interactions, relevant: float | None) -> float | None:
    """The threshold of all rows, so that it does not depend on which were held out."""
    from cofactor.evaluate.measure import threshold

    return threshold(data, relevant)


def _best(table: list[dict[str, Any]], target: names.Metric) -> int:
    """The first of those as good as the best, but for ties."""
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
    target: names.Metric
    choices: Choices
    seed: int
    fit: Fit

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
        return {"value": value, "seconds": seconds, "status": "tried"}

    def _value(self, split: Split, model: str, config: Mapping[str, Any]) -> float:
        trained = self.fit(split.train, model=model, seed=self.seed, **config)
        data = rows.test_rows(split, split.train)
        return measure(scorer(trained, split.train), data, [self.target], self.choices).value(self.target)

    def forecast(self, model: str, config: Mapping[str, Any], left: float) -> float:
        """Seconds that the candidate will probably take, from fits to parts with fewer users and items.

        With a share f of both there are f² of the rows, so time grows as f^-2 for what is linear in the rows,
        and as f^-3 for what solves items × items. The first fit is made twice: it may have to compile.
        """
        if left <= 0:
            return math.inf
        if not math.isfinite(left):
            return 0.0
        before: tuple[float, float] | None = None
        guess = 0.0
        for share in (0.1, 0.1, 0.2, 0.4):
            part = smaller(self.split, share, self.seed)
            if part is None:
                continue
            start = time.perf_counter()
            try:
                self._value(part, model, config)
            except CofactorError:
                return 0.0
            seconds = time.perf_counter() - start
            power = 3.0
            if before is not None and before[0] < share:
                slope = math.log(max(seconds, 1e-6) / max(before[1], 1e-6)) / math.log(share / before[0])
                power = min(max(slope, 2.0), 3.0)
            guess = float(seconds * (1 / share) ** power)
            # Cheap beyond doubt, or too dear beyond doubt: no need to look closer.
            if guess < left / 8 or seconds > left / 4:
                return guess
            before = (share, seconds)
        return guess
