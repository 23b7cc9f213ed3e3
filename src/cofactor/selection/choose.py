"""Choose a model automatically: the best on an inner validation part of the training rows, within a budget of counted
work."""

from __future__ import annotations

import dataclasses
import math
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from cofactor._progress import progress
from cofactor.data.interactions import Interactions, Split
from cofactor.errors import CofactorError, ConfigError, DataError
from cofactor.evaluation import metric_names
from cofactor.evaluation.held_out import held_out_rows
from cofactor.evaluation.measure import measure
from cofactor.evaluation.protocol import EvaluationProtocol
from cofactor.evaluation.relevance import relevant_items, threshold
from cofactor.evaluation.scorer import Scorer, scorer
from cofactor.fitting.estimate import table_size
from cofactor.model import ChoosesSettings, TableSize, Task
from cofactor.models import REGISTRY, model_class
from cofactor.models.base.mixing import mixture, standing_of
from cofactor.models.base.windows import comes_next, measured_users, ranking_windows
from cofactor.models.specs import spec_text
from cofactor.recommend.fitted import TRIALS
from cofactor.selection.budget import counted, memory_limit
from cofactor.selection.candidates import Candidate, Fit, candidate, default_fit
from cofactor.selection.plan import DEFAULT_SECONDS, WHOLE_SECONDS, Cost, Plan, make_plan
from cofactor.selection.subsamples import few_users, random_rows, some_users

TIE = 5e-4
"""Two figures count as equal if their relative difference is below this."""
HALF_LIVES = (1, 2, 4, 7, 14, 30, 90, 365)
"""Half-lives in days of the recent forms of ``popular``, up to an eighth of the time span of the rows."""
RANKERS = ("item-cosine", "ease", "graph-filter", "ials", "slim")
RATING_MODELS = ("bias", "als", "item-knn", "dot-bias", "svd++", "bayes-mf:epochs=60:burn_in=20", "bayes-mf")
"""The candidates, from the simplest up. Of equal ones the simpler is chosen."""
FAMILIES = {
    "popular": "popularity",
    "bias": "biases",
    "item-cosine": "neighbours",
    "item-knn": "neighbours",
    "user-knn": "neighbours",
    "next-item": "sequences",
    "graph-filter": "graph",
    "ease": "linear",
    "slim": "linear",
    "als": "factors",
    "svd++": "factors",
    "ials": "factors",
    "dot-bias": "gradient",
    "bpr": "gradient",
    "warp": "gradient",
    "bayes-mf": "bayes",
}
EFFORT = {"epochs", "burn_in"}
"""Settings of the training length only: if a longer training fits, the shorter is not tried."""
MIXED = 6
"""Maximal number of rankers that are kept for the blend."""


class ChoiceWarning(UserWarning):
    """The budget left nothing but the simplest model to try."""


@dataclass(frozen=True)
class Choice:
    """The choice. ``model`` and ``config``: what to train on all rows; ``metrics``: its figures on the inner validation
    rows; ``frame``: what was tried, with the columns of ``cofactor.recommend.fitted.TRIALS``; ``plan``: the plan of the
    trials."""

    model: str
    config: dict[str, Any]
    metrics: dict[str, float]
    frame: pl.DataFrame
    plan: Plan

    @property
    def notes(self) -> list[str]:
        """Sentences on how the model was chosen."""
        return trial_notes(self.frame)


def auto_candidates(task: Task, data: Interactions) -> list[str]:
    """Return the candidates for these rows, from the simplest up. If rows have weights, only those that support
    them."""
    if task == "rating":
        return _able(RATING_MODELS, data)
    found = ["popular"]
    if data.times is not None:
        days = (int(data.times.max()) - int(data.times.min())) / 86_400
        found += [f"popular:half_life={h}" for h in HALF_LIVES if 8 * h <= days]
    found += RANKERS
    if data.times is not None:
        found.append("next-item")
    return _able(found, data)


def _able(candidates: Sequence[str], data: Interactions) -> list[str]:
    named = [(one, one.partition(":")[0]) for one in candidates]
    weighed = data.weights is not None
    return [
        one
        for one, name in named
        if name in REGISTRY and (not weighed or getattr(model_class(name), "weighs_rows", False))
    ]


def choose(
    data: Interactions,
    task: Task = "rating",
    *,
    seed: int = 42,
    budget_seconds: float | None = None,
    trials: int | None = None,
    candidates: Sequence[Any] | None = None,
    relevant: float | None = None,
    fit: Fit | None = None,
    clock: Callable[[], float] = time.perf_counter,
    verbose: bool = False,
) -> Choice:
    """Try models on most of the rows, and choose the best on the rest: by RMSE, or by NDCG@10 for rankers.

    Rating models are measured on a random tenth of the rows. Rankers are measured on the future if there are times (the
    last tenth by time, or each user's last row: ``cofactor.split.auto``), else on a random fifth of each user's rows;
    on 5,000 users at most. Rows that a split made (``data.held_out``) are split further in the same way. ``relevant``:
    the rating from which a row is relevant. By default it is as in ``evaluate``, except that each user's last row is
    always relevant: it is what came next.

    The trials are planned beforehand from *counted* work, so that neither load nor a cold start changes the choice.
    First comes the simplest (``bias``, ``popular``), then the cheapest of each family, then the rest, cheapest first,
    as far as ``budget_seconds`` allows: seconds of one ordinary core, including the training of the most expensive one
    on all rows. If the budget is too small for all users, every candidate is tried on the same sample of users. The
    default is 60 s, and more for a table on which the cheapest of each family could not be trained in that time
    (rankers up to 180 s, so that all users are tried: in a sample an item has fewer rows). ``trials`` limits the number
    of candidates instead. ``clock`` only measures the seconds that the frame shows.

    The best rankers are also tried as a blend. Its weights are fitted on one half of the validation users and measured
    on the other. It is chosen if it is as good there as the best of its parts, within a standard error. ``candidates``
    are as in ``compare``, from the simplest up.

    Raises ConfigError for a task that is neither ``rating`` nor ``ranking``, and DataError if no candidate gives a
    figure or no rating reaches ``relevant``. Warns (ChoiceWarning) if the budget left only the simplest model to try,
    and if no list can be measured (for example if every user has one row); the first candidate is then chosen.
    """
    if task not in ("rating", "ranking"):
        raise ConfigError(f"the task is {task!r}; it must be 'rating' or 'ranking'")
    pool = [candidate(one) for one in (auto_candidates(task, data) if candidates is None else candidates)]
    if not pool:
        raise ConfigError("there are no candidates to choose from")
    if task == "ranking" and relevant is not None and not (data.values >= relevant).any():
        raise DataError(
            f"no list can be measured: none of the {len(data):,} rows has a rating of {relevant:g} or more; set"
            " relevant= lower (--relevant); with 0 or less every row counts"
        )
    windows = inner_splits(data, task, seed)
    target = metric_names.metric("rmse" if task == "rating" else "ndcg@10")
    measured = measured_users(data)
    size = table_size(data)
    costs = [_cost(one, size, windows[-1], task, measured) for one in pool]
    plan = make_plan(
        costs,
        [FAMILIES.get(one.model, one.model) for one in pool],
        seconds=budget_seconds,
        trials=trials,
        windows=len(windows),
        memory=memory_limit(),
        smallest=min(1.0, 500 / max(data.n_users, 1)),
        whole=WHOLE_SECONDS if task == "ranking" else DEFAULT_SECONDS,
    )
    parts = [_sampled(one, task, plan.share, measured, seed) for one in windows[-plan.windows :]]
    how = parts[-1].how if len(parts) == 1 else f"{len(parts)} times; the last: {parts[-1].how}"
    graded = task == "ranking" and threshold(data, None) is not None
    if relevant is None and graded and all(comes_next(part) for part in parts):
        relevant, how = float(data.range[0]), f"{how}; every row counts, whatever its rating"
    protocol = EvaluationProtocol(threshold(data, relevant))
    if task == "ranking" and not (parts := [part for part in parts if _measurable(part, protocol)]):
        return _unmeasured(pool, str(target), how, plan)
    trial = _Trial(parts, target, how, protocol, seed, fit or default_fit(False), clock)
    table = [trial.line(one, plan.skipped.get(k, "")) for k, one in enumerate(pool)]
    kept: dict[int, list[Scorer]] = {}
    with progress("choosing a model", len(plan.order) + 1, None if verbose else True) as step:
        for k in plan.order:
            step(pool[k].label, 0)
            if any(_more_effort(pool[j], pool[k]) for j in plan.order):
                table[k]["status"] = "skipped: tried with more effort"
            else:
                trained = trial.run(pool[k], table[k], required=k == 0)
                if k in plan.too_dear and trained:
                    table[k]["status"] = f"tried, {TOO_DEAR} about {costs[k].fit:,.0f} s"
                elif trained and task == "ranking":
                    kept = _best_few(kept | {k: trained}, pool, table)
            step(pool[k].label, 1)
        mixed = None
        if len(kept) > 1:
            step("blend", 0)
            mixed = trial.blend([pool[k] for k in kept], list(kept.values()))
            used = set(mixed[0].config["models"])
            work = sum(costs[k].fit for k in kept if trial.part(pool[k]) in used)
            if work > plan.left:
                mixed[1]["status"] = f"tried, {TOO_DEAR} about {work:,.0f} s"
        step("", 1)
    lines = table if mixed is None else [*table, mixed[1]]
    # A blend as good as the best single model is chosen: which single model is best depends more on chance.
    best = len(pool) if mixed is not None and mixed[1]["status"] == "tried" else _best(table, target)
    chosen = mixed[0] if mixed is not None and best == len(pool) else pool[best]
    frame = pl.DataFrame([{**line, "chosen": k == best} for k, line in enumerate(lines)], schema=TRIALS)
    if len(pool) > 1 and only_the_simplest(frame):
        warnings.warn(trial_notes(frame)[-1], ChoiceWarning, stacklevel=3)
    return Choice(chosen.model, dict(chosen.config), {f"inner_{target}": lines[best]["value"]}, frame, plan)


def _measurable(part: Split, protocol: EvaluationProtocol) -> bool:
    """Return whether lists can be measured: some user has rows in both parts, and a row of the second is relevant and
    new."""
    try:
        return bool((relevant_items(held_out_rows(part, part.train), part.train, protocol).counts > 0).any())
    except DataError:
        return False


NOTHING = "no list can be measured"
"""The start of the status if no held-out rows can compare the rankers."""


def _unmeasured(pool: Sequence[Candidate], target: str, how: str, plan: Plan) -> Choice:
    """Return the simplest ranker, when none can be measured: no user has rows both for training and for validation."""
    why = f"{NOTHING}: no user has training rows and another relevant item"
    lines: list[dict[str, Any]] = []
    for at, one in enumerate(pool):
        shown = ", ".join(f"{name}={value!r}" for name, value in one.config.items())
        line = {"model": one.model, "config": shown, "metric": target, "value": None, "seconds": None}
        status = f"taken: {why}" if at == 0 else why
        lines.append(line | {"status": status, "chosen": at == 0, "held_out": how})
    frame = pl.DataFrame(lines, schema=TRIALS)
    warnings.warn(trial_notes(frame)[-1], ChoiceWarning, stacklevel=4)
    return Choice(pool[0].model, dict(pool[0].config), {}, frame, plan)


TOO_DEAR = "but training on all rows takes"
"""The start of the status of a trial that is too expensive to be chosen."""


def only_the_simplest(frame: pl.DataFrame) -> bool:
    """Return whether the budget left only the first model of a frame of trials, in all its forms."""
    able = frame.filter(pl.col("status") == "tried")
    late = frame.filter(pl.col("status").str.contains("the budget|" + TOO_DEAR))
    return bool(len(late)) and set(able["model"]) <= {frame["model"][0]}


def trial_notes(frame: pl.DataFrame) -> list[str]:
    """Return sentences on how a choice was made, from the frame of trials."""
    if frame["status"].str.contains(NOTHING).all():
        said = f"{NOTHING} on these rows: no user has training rows and another relevant item"
        return [f"Rankers could not be compared, so {frame['model'][0]} was chosen: {said}."]
    notes = [f"Chosen on held-out rows: {frame['held_out'][0]}."] if frame["held_out"][0] else []
    late = frame.filter(pl.col("status").str.contains("the budget|" + TOO_DEAR))
    if not len(late):
        return notes
    names = ", ".join(f"{m} ({c})" if c else m for m, c in late.select("model", "config").rows())
    larger = "a larger one (budget_seconds=..., on the command line --budget)"
    if only_the_simplest(frame):
        first = frame["model"][0]
        return [*notes, f"ONLY {first} WAS TRIED: the budget left no room for {names}. Give {larger}."]
    return [*notes, f"The budget left out {names}; {larger} tries them too."]


def inner_splits(data: Interactions, task: Task, seed: int) -> list[Split]:
    """Return the splits into rows for training and rows for validation, the most informative last. Rankers get several
    if one has few users: windows of time, each user's last rows, or random rows."""
    if len(data) < 10:
        raise DataError(f"{len(data)} ratings are too few to choose a model by; name one, such as model='bias'")
    if task == "rating":
        return [random_rows(data, 0.1, seed)]
    return ranking_windows(data, seed)


def _sampled(split: Split, task: Task, share: float, measured: int, seed: int) -> Split:
    part = some_users(split, share, seed)
    return few_users(part, measured, seed) if task == "ranking" else part


def _cost(one: Candidate, size: TableSize, newest: Split, task: Task, measured: int) -> Cost:
    seconds, memory = counted(one.model, one.config, size)
    inner, _ = counted(one.model, one.config, size.part(len(newest.train) / size.ratings))
    users = len(np.unique(newest.valid.users))
    score = 1e-8 * (min(measured, users) * size.items if task == "ranking" else 10 * len(newest.valid))
    return Cost(seconds, inner, score, memory, max(users / measured, 1.0))


def _more_effort(more: Candidate, less: Candidate) -> bool:
    """Return whether two candidates are the same model, the first trained for longer."""
    if more is less or more.model != less.model or more.train is not None or less.train is not None:
        return False
    settings = {**more.config, **less.config}
    differ = {name for name in settings if more.config.get(name) != less.config.get(name)}
    return bool(differ) and differ <= EFFORT and set(more.config) < set(less.config)


def _best_few(
    models: Mapping[int, Any], pool: Sequence[Candidate], table: Sequence[Mapping[str, Any]]
) -> dict[int, Any]:
    """Return the best few for the blend, in the order of the candidates; at most two of the same model."""
    order = sorted(models, key=lambda k: (-table[k]["value"], k))
    order = [k for at, k in enumerate(order) if sum(pool[j].model == pool[k].model for j in order[:at]) < 2]
    return {k: models[k] for k in sorted(order[:MIXED])}


def _best(table: Sequence[Mapping[str, Any]], target: metric_names.Metric) -> int:
    """Return the first of those as good as the best, up to ties."""
    sign = 1.0 if target.lower_is_better else -1.0
    losses = [sign * line["value"] if line["status"] == "tried" else math.inf for line in table]
    least = min(losses)
    if not math.isfinite(least):
        why = "; ".join(f"{line['model']}: {line['status']}" for line in table)
        raise DataError(f"no candidate gave a finite {target}, so there is nothing to choose from ({why})")
    found = next(k for k, loss in enumerate(losses) if loss <= least + TIE * abs(least))
    # A tie must not admit something worse than the baseline.
    return found if losses[found] <= losses[0] else losses.index(least)


def settled(model: Any) -> dict[str, Any]:
    """Return the settings that a model chose during training."""
    left_open = getattr(model, "config", None)
    if not isinstance(model, ChoosesSettings):
        return {}
    return {k: v for k, v in dataclasses.asdict(model.settled()).items() if v != getattr(left_open, k)}


@dataclass
class _Trial:
    """Trains candidates on the inner rows and measures them."""

    parts: Sequence[Split]
    target: metric_names.Metric
    how: str
    protocol: EvaluationProtocol
    seed: int
    fit: Fit
    clock: Callable[[], float]
    settled: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    """By the label of a candidate: the settings that it chose during training on random rows. They hold for all rows,
    so that a part of a blend does not choose again."""

    def part(self, one: Candidate) -> str:
        """Return a candidate as a part of a blend."""
        return spec_text(one.model, {**one.config, **self.settled.get(one.label, {})})

    def line(self, one: Candidate, status: str) -> dict[str, Any]:
        """Return a line of the frame of trials for a candidate that is not yet tried."""
        shown = ", ".join(f"{name}={value!r}" for name, value in one.config.items())
        fixed = {"model": one.model, "config": shown, "metric": str(self.target), "held_out": self.how}
        return fixed | {"value": None, "seconds": None, "status": status}

    def run(self, one: Candidate, line: dict[str, Any], required: bool) -> list[Scorer]:
        """Train and measure one candidate, and write value, seconds and status into its ``line``. Returns the trained
        models, one for each part. A candidate that cannot be trained here is skipped, unless ``required``.

        Settings that a model chooses during training are chosen on the oldest window of time, and kept for the others.
        """
        start = self.clock()
        values, found = [], []
        config: dict[str, Any] = {}
        try:
            for part in self.parts:
                trained = one.fit(part.train, self.seed, self.fit, config)
                by = scorer(trained, part.train)
                chose = settled(getattr(trained, "model", trained))
                if part.how.startswith("random"):
                    self.settled[one.label] = chose
                else:
                    config = config or chose
                test = held_out_rows(part, part.train)
                values.append(measure(by, test, [self.target], self.protocol).value(self.target))
                found.append(by)
        except CofactorError as error:
            if required:
                raise
            line["status"] = f"skipped: {error}"
            return []
        line["seconds"] = self.clock() - start
        if not math.isfinite(value := float(np.mean(values))):
            line["status"] = f"skipped: no finite {self.target}"
            return []
        line["value"], line["status"] = value, "tried"
        return found

    def blend(
        self, which: Sequence[Candidate], trained: Sequence[Sequence[Scorer]]
    ) -> tuple[Candidate, dict[str, Any]]:
        """Return the best blend of trained rankers, and its line of the frame."""
        start = self.clock()
        standings = []
        for at, part in enumerate(self.parts):
            who = relevant_items(held_out_rows(part, part.train), part.train, self.protocol)
            rows = np.flatnonzero(who.counts > 0)
            users = who.users[rows]
            seen = part.train.by_user.take(users)
            scores = [each[at].scores for each in trained]
            standings.append(standing_of(scores, users, seen, who.items.take(rows), who.counts[rows]))
        found = mixture(standings, self.seed, self.target.n)
        used = [k for k, weight in enumerate(found.weights) if weight > 0]
        models = tuple(self.part(which[k]) for k in used)
        weights = tuple(float(round(found.weights[k], 6)) for k in used)
        one = candidate(("blend", {"models": models, "weights": weights}))
        worse = "tried, worse than the best of its parts"
        alone = "tried, one model alone is best"
        line = self.line(one, alone if len(used) == 1 else "tried" if found.as_good else worse)
        return one, line | {"value": found.value, "seconds": self.clock() - start}
