"""Compare several models on the same splits, with a verdict."""

from __future__ import annotations

import dataclasses
import time
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import combinations
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cofactor._fork import check_threads
from cofactor._progress import progress
from cofactor._validate import check_bool, check_choice, check_fraction, check_function, check_int, check_number
from cofactor.data.interactions import Interactions, Split
from cofactor.data.read import read
from cofactor.data.splits.by_name import WAYS, split_by
from cofactor.errors import CofactorError, ConfigError, DataError
from cofactor.evaluation import bootstrap, held_out
from cofactor.evaluation.bootstrap import UserSums
from cofactor.evaluation.fold_in import folded, joined
from cofactor.evaluation.held_out import HeldOut, RelevanceWarning
from cofactor.evaluation.measure import Measured, measure
from cofactor.evaluation.metric_names import BEYOND, Metric, lengths_of, parse
from cofactor.evaluation.protocol import EvaluationProtocol
from cofactor.evaluation.relevance import check_relevant, few_relevant, relevant_items
from cofactor.evaluation.scorer import Scorer, scorer
from cofactor.models import model_class
from cofactor.selection.candidates import Candidate, Fit, candidate, candidates_of, default_fit, usual_models
from cofactor.selection.comparison import Comparison
from cofactor.selection.search_space import ranges
from cofactor.selection.tune import tune

Array = NDArray[Any]


@dataclasses.dataclass
class _Run:
    """The results of one model on every fold."""

    spec: Candidate
    measured: list[Measured] = dataclasses.field(default_factory=list)
    fit_seconds: list[float] = dataclasses.field(default_factory=list)
    predict_seconds: list[float] = dataclasses.field(default_factory=list)
    configs: list[Mapping[str, Any]] = dataclasses.field(default_factory=list)


def compare(
    ratings: Any = None,
    models: Sequence[Any] | None = None,
    split: Split | Sequence[Split] | str | None = None,
    metrics: Any = None,
    *,
    n: int | Sequence[int] = (10,),
    relevant: float | None = None,
    exclude: Literal["seen"] | None = "seen",
    users_without: Literal["skip", "zero"] = "skip",
    new_users: Literal["skip", "popular"] = "skip",
    level: float = 0.9,
    tune: float | None = None,
    seed: int = 42,
    draws: int = 1000,
    alpha: float = 0.05,
    fit: Fit | None = None,
    baselines: bool = True,
    quiet: bool | None = None,
) -> Comparison:
    """Train every model on the training rows of every split, and measure all of them on the same test rows.

    Bounds and p-values come from a paired bootstrap over users, with Holm's correction. A model that cannot be trained
    here (a missing extra, no times) is left out, with the reason in the verdict. Rankers have no RMSE; those cells stay
    empty.

    Args:
        ratings: Interactions or anything that :func:`cofactor.read` takes; not needed where ``split`` is a Split.
        models: names, ``"name:parameter=value"``, ``(name, config)``, ``(label, name, config)``, ``(label, function)``
            with ``function(train, seed)`` -> Recommender or Model, or results of :func:`cofactor.tune`. By default the
            usual ones from popularity up.
        split: a Split, several (folds), or how to hold out a fifth: ``"auto"`` (the default: the future where there are
            times, else random rows; ``cofactor.split.auto``), ``"random"``, ``"temporal"`` or ``"last"`` (each user's
            last fifth).
        metrics: as in :func:`cofactor.evaluate`; by default RMSE, MAE and NDCG.
        n: list lengths for metrics without one.
        relevant: the lowest rating that counts as relevant, as in :func:`cofactor.evaluate`.
        exclude: ``"seen"`` leaves the training items of a user out of their list.
        users_without: whether users without a relevant item are skipped or count 0.
        new_users: ``"popular"`` also counts users without training rows, with the most popular items.
        level: the level of the models' own intervals.
        tune: seconds for tuning each model, shared by the folds; each fold tunes inside its own training rows.
        seed: the seed of every training.
        draws: bootstrap draws.
        alpha: the level of the tests.
        fit: ``fit(train, model=name, seed=seed, **config)``, a function that replaces :func:`cofactor.fit`.
        baselines: add the simplest model if ``models`` lack it: ``popular`` for lists, ``bias`` for ratings.
        quiet: no progress bar; None: a bar on a terminal.

    Returns:
        A Comparison: a frame of figures, the pairs that differ, and a verdict in words.

    Raises:
        ConfigError: a model was tuned on test rows, or an argument is invalid.
        DataError: only lists are measured, and no user has a relevant row.

    Warns:
        LeakWarning: test rows are training rows.
        RelevanceWarning: fewer than a tenth of the test users have a relevant row.
    """
    check_threads()
    folds = _folds(ratings, split, seed)
    first = folds[0].train
    candidates = candidates_of(usual_models(first) if models is None else models)
    lengths = lengths_of(n)
    for name, least in (("draws", draws), ("seed", seed)):
        check_int(name, least, 0)
    check_bool("baselines", baselines)
    check_fraction("alpha", alpha, "0.05")
    if quiet is not None:
        check_bool("quiet", quiet)
    if fit is not None:
        check_function("fit", fit, "fit(train, model=name, seed=seed, **config)")
    if tune is not None:
        check_number("tune", tune)
    wanted = parse(("rmse", "mae", "ndcg") if metrics is None else metrics, lengths)
    if metrics is None and (first.kind != "ratings" or first.range[0] == first.range[1]):
        wanted = parse(("ndcg", "recall"), lengths)
    choices = EvaluationProtocol(relevant, exclude, users_without, level, new_users)
    tests = [held_out.held_out_rows(fold, fold.train) for fold in folds]
    notes = _checked(folds, tests, candidates)
    if why := _unmeasured(folds, tests, wanted, choices):
        if metrics is not None or all(metric.needs == "lists" for metric in wanted):
            raise DataError(why)
        notes.append(f"Lists were not measured: {why}.")
        wanted = [metric for metric in wanted if metric.needs != "lists"]
    foot = _foot(candidates, wanted, first) if baselines else []
    candidates = [*foot, *candidates]
    if foot:
        said = " and ".join(one.label for one in foot)
        notes.append(
            f"{said} {'was' if len(foot) == 1 else 'were'} added, as the simplest"
            f" {'baseline' if len(foot) == 1 else 'baselines'}."
        )
    by = fit or default_fit(any(metric.needs == "interval" for metric in wanted))
    runs, skipped = [], {}
    with progress("comparing", len(candidates) * len(folds), quiet) as step:
        for one in candidates:
            try:
                tuner = None if tune is None else _Tuner(tune / len(folds), wanted, choices, seed, fit)
                runs.append(_run(one, folds, tests, wanted, choices, tuner, seed, by, step))
            except CofactorError as error:
                skipped[one.label] = str(error)
    runs = [run for run in runs if any(run.measured[0].rows)]
    if not runs:
        raise ConfigError("no model could be compared: " + "; ".join(f"{k}: {v}" for k, v in skipped.items()))
    frame, pairs = _frames(runs, tests, wanted, draws, seed)
    if not len(frame):
        raise DataError(f"no model has a finite {' or '.join(map(str, wanted))} on these rows")
    return Comparison(frame, pairs, tuple(fold.how for fold in folds), tuple(notes), skipped, alpha, _settings(runs))


def _settings(runs: list[_Run]) -> dict[str, tuple[str, Mapping[str, Any]]]:
    """Return each model's name and parameters, by its label, if they are the same on every fold."""
    return {
        run.spec.label: (run.spec.model, run.configs[0])
        for run in runs
        if run.spec.train is None and all(config == run.configs[0] for config in run.configs)
    }


def _unmeasured(folds: list[Split], tests: list[HeldOut], wanted: list[Metric], choices: EvaluationProtocol) -> str:
    """Return why no list can be measured on these rows, or an empty text. Warns if lists can be measured for few users
    only."""
    if all(metric.needs != "lists" or metric.base in BEYOND for metric in wanted):
        return ""
    for fold, test in zip(folds, tests):
        train = fold.train if fold.given is None else joined(fold.train, fold.given)
        who = relevant_items(test, train, choices)
        try:
            check_relevant(who, train, choices)
        except DataError as error:
            return str(error)
        if said := few_relevant(who, test, train, choices):
            warnings.warn(said, RelevanceWarning, stacklevel=3)
    return ""


def _foot(candidates: list[Candidate], wanted: list[Metric], train: Interactions) -> list[Candidate]:
    """Return the simplest model of each measured kind, if it is not among the candidates."""
    there = {name for one in candidates for name in (one.label, one.model)}
    needs = {metric.needs for metric in wanted}
    rated = train.kind == "ratings" and train.range[0] != train.range[1]
    names = ["popular"] if "lists" in needs else []
    names += ["bias"] if needs & {"rating", "interval"} and rated else []
    return [candidate(name) for name in names if name not in there]


def _folds(ratings: Any, split: Split | Sequence[Split] | str | None, seed: int) -> list[Split]:
    if isinstance(ratings, Split) and split is None:
        return [ratings]
    if isinstance(split, Split):
        return [split]
    how = "auto" if split is None else split
    if not isinstance(how, str):
        found = [one for one in how if isinstance(one, Split)] if isinstance(how, Sequence) else []
        if not found or len(found) < len(how):
            raise ConfigError("split must be a Split or a list of them, as cofactor.split gives")
        return found
    check_choice("split", how, *WAYS)
    if ratings is None:
        raise ConfigError("give ratings, or a split of them")
    return [split_by(ratings if isinstance(ratings, Interactions) else read(ratings), how, 0.2, seed)]


def _checked(folds: list[Split], tests: list[HeldOut], candidates: list[Candidate]) -> list[str]:
    """Check for leaks: each is warned of, noted or refused."""
    notes = []
    for k, (fold, test) in enumerate(zip(folds, tests)):
        said = held_out.notes(test, fold.train, held_out.leaked(test, fold.train))
        where = f"Fold {k + 1}: " if len(folds) > 1 else "Test rows: "
        notes += [f"{where}{'; '.join(said)}."] if said else []
        for one in candidates:
            if one.tuned_on is None:
                continue
            shared = held_out.held_out_rows(fold, one.tuned_on)
            known = int(held_out.in_training(shared.users, shared.items, one.tuned_on).sum())
            if known:
                raise ConfigError(
                    f"{one.label} was tuned on {known:,} of the {len(test):,} test rows; tune it on training rows only"
                )
    return notes


def _run(
    one: Candidate,
    folds: list[Split],
    tests: list[HeldOut],
    wanted: list[Metric],
    choices: EvaluationProtocol,
    tuner: _Tuner | None,
    seed: int,
    by: Fit,
    step: Any,
) -> _Run:
    run = _Run(one)
    _warm_up(one, folds[0].train, seed, by)
    for k, (fold, test) in enumerate(zip(folds, tests)):
        step(f"{one.label}, fold {k + 1}" if len(folds) > 1 else one.label, 0)
        config: Mapping[str, Any] = one.config
        if tuner is not None and one.train is None:
            config = {**config, **tuner.best(one, fold.train)}
        start = time.perf_counter()
        trained = one.fit(fold.train, seed, by, config)
        middle = time.perf_counter()
        found = scorer(trained, fold.train, one.label)
        if fold.given is not None:
            found = folded(found, getattr(trained, "model", trained), fold.given)
        run.measured.append(measure(found, test, [m for m in wanted if able(found, m)], choices))
        run.predict_seconds.append(time.perf_counter() - middle)
        run.fit_seconds.append(middle - start)
        run.configs.append(config)
        step(one.label, 1)
    return run


def able(by: Scorer, metric: Metric) -> bool:
    """Return whether this model supports this metric."""
    if metric.needs == "rating":
        return by.task == "rating"
    return metric.needs == "lists" or by.interval is not None


def _warm_up(one: Candidate, train: Interactions, seed: int, by: Fit) -> None:
    """Compile what the model needs on a few rows, so that its seconds measure training only."""
    if one.train is not None:
        return
    fields = {f.name for f in dataclasses.fields(model_class(one.model).Config)}
    short = {"epochs": 2} if "epochs" in fields else {}
    with suppress(CofactorError):
        one.fit(train.take(np.arange(min(len(train), 300))), seed, by, short)


@dataclasses.dataclass(frozen=True)
class _Tuner:
    """Tunes within the training rows of one fold, by the first metric that the model supports."""

    seconds: float
    wanted: list[Metric]
    choices: EvaluationProtocol
    seed: int
    fit: Fit | None

    def best(self, one: Candidate, train: Interactions) -> Mapping[str, Any]:
        """Return config values; none if the model has nothing to tune."""
        cls = model_class(one.model)
        if not ranges(cls.Config, set(one.config)):
            return {}
        target = next(
            (m for m in self.wanted if m.needs == "lists" or (m.needs == "rating" and cls.task == "rating")), None
        )
        found = tune(
            train,
            one.model,
            None if target is None else str(target),
            budget_seconds=self.seconds,
            seed=self.seed,
            fixed=one.config,
            relevant=self.choices.relevant,
            fit=self.fit,
            quiet=True,
        )
        return found.best


def _frames(
    runs: list[_Run], tests: list[HeldOut], wanted: list[Metric], draws: int, seed: int
) -> tuple[pl.DataFrame, pl.DataFrame]:
    places, n_users = _places(tests)
    columns: list[tuple[_Run, Metric, UserSums]] = []
    for metric in wanted:
        for run in runs:
            if metric in run.measured[0].cells and np.isfinite([m.value(metric) for m in run.measured]).all():
                parts = [(found.cells[metric], at) for found, at in zip(run.measured, places)]
                columns.append((run, metric, bootstrap.pool_folds(parts, n_users)))
    drawn = bootstrap.resample([cells for _, _, cells in columns], draws, seed)
    pairs = _pairs(columns, drawn)
    at = {(run.spec.label, metric): j for j, (run, metric, _) in enumerate(columns)}
    table = []
    for metric in wanted:
        having = [run for run in runs if metric in run.measured[0].rows]
        having = [run for run in having if np.isfinite([m.value(metric) for m in run.measured]).all()]
        sign = 1.0 if metric.lower_is_better else -1.0
        means = {run.spec.label: float(np.mean([m.value(metric) for m in run.measured])) for run in having}
        best = min(means, key=lambda label: sign * means[label]) if means else ""
        for run in having:
            label = run.spec.label
            j = at.get((label, metric))
            low, high = (None, None) if j is None or not draws else bootstrap.interval(drawn[:, j])
            p = pairs.filter(
                (pl.col("metric") == str(metric)) & (pl.col("better") == best) & (pl.col("other") == label)
            )["p_holm"]
            table.append(
                {
                    "model": label,
                    "metric": str(metric),
                    "mean": means[label],
                    "low": low,
                    "high": high,
                    "worse_by": sign * (means[label] - means[best]) + 0.0,  # never -0.0
                    "p": p[0] if len(p) else None,
                    "fit_seconds": float(np.mean(run.fit_seconds)),
                    "predict_seconds": float(np.mean(run.predict_seconds)),
                    "folds": len(tests),
                    "n_users": columns[j][2].n_users if j is not None else run.measured[0].n_users(metric),
                    "config": str(dict(run.configs[0])) if len(set(map(str, run.configs))) == 1 else str(run.configs),
                }
            )
    return pl.DataFrame(table, infer_schema_length=None), pairs


def _pairs(columns: list[tuple[_Run, Metric, UserSums]], drawn: Array) -> pl.DataFrame:
    """Compare every two models on every metric. The better one comes first."""
    found: list[dict[str, Any]] = []
    for (j, (a, metric, left)), (k, (b, other, right)) in combinations(enumerate(columns), 2):
        # Coverage should be near its level, so neither direction is better.
        if metric != other or metric.base == "interval_coverage":
            continue
        difference, draws = left.point() - right.point(), drawn[:, j] - drawn[:, k]
        names = a.spec.label, b.spec.label
        if (difference > 0) == metric.lower_is_better and difference != 0:
            names, difference, draws = names[::-1], -difference, -draws
        low, high = bootstrap.interval(draws) if len(draws) else (None, None)
        p = bootstrap.paired_p(difference, draws) if len(draws) > 1 and left.n_users > 1 else 1.0
        found.append({"metric": str(metric), "better": names[0], "other": names[1], "difference": difference})
        found[-1] |= {"low": low, "high": high, "p": p}
    schema = {"metric": pl.String, "better": pl.String, "other": pl.String, "difference": pl.Float64}
    frame = pl.DataFrame(found, schema={**schema, "low": pl.Float64, "high": pl.Float64, "p": pl.Float64})
    return frame.with_columns(pl.Series("p_holm", bootstrap.holm(frame["p"].to_numpy()), dtype=pl.Float64))


def _places(tests: list[HeldOut]) -> tuple[list[Array], int]:
    """Return the positions of each fold's users among the users of all folds."""
    if len({test.labels.dtype for test in tests}) > 1:
        raise DataError("the splits have user ids of different types; make them from one table")
    everybody = pl.concat([test.labels.rename("user") for test in tests]).unique(maintain_order=True)
    place = pl.DataFrame({"user": everybody, "at": np.arange(len(everybody))})
    found = [
        test.labels.rename("user").to_frame().join(place, on="user", how="left", maintain_order="left")["at"].to_numpy()
        for test in tests
    ]
    return found, len(everybody)
