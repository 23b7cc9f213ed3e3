"""Tune a model: find better settings inside the training rows.

The search is Optuna's tree-structured Parzen estimator (Bergstra et al. 2011), seeded. The first trial is the defaults,
so the result is never worse than they are on the inner validation rows.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from cofactor._fork import check_threads
from cofactor._frames import frames_out
from cofactor._paths import check_file
from cofactor._progress import progress
from cofactor._validate import check_bool, check_budget, check_choice, check_function, check_int
from cofactor.data import splits
from cofactor.data.fingerprint import fingerprint
from cofactor.data.interactions import Interactions, Split
from cofactor.data.read import read
from cofactor.data.splits.by_name import WAYS
from cofactor.data.trainable import check_trainable
from cofactor.errors import CofactorError, ConfigError, DataError, MissingExtraError
from cofactor.evaluation import held_out, metric_names
from cofactor.evaluation.measure import measure
from cofactor.evaluation.protocol import EvaluationProtocol
from cofactor.evaluation.scorer import scorer
from cofactor.fitting.fit import check_values
from cofactor.model import Task
from cofactor.models import model_class
from cofactor.models.base.config import make_config
from cofactor.models.base.windows import held_out_futures, measured_users
from cofactor.selection import search_space
from cofactor.selection.budget import train_watched
from cofactor.selection.candidates import Fit
from cofactor.selection.subsamples import few_users


@frames_out
@dataclasses.dataclass(frozen=True, eq=False)
class Tuned:
    """The result of tuning. ``best``: config values to use, as in ``cofactor.fit(data, model=tuned.model,
    **tuned.best)``; ``value``: their metric on the inner validation rows (optimistic, because it is the best of many:
    measure again on test rows); ``frame``: the trials: ``trial, state, value, seconds`` and a column for each
    parameter; ``data``: the rows used."""

    model: str
    metric: str
    best: dict[str, Any]
    value: float
    frame: pl.DataFrame
    data: Interactions = dataclasses.field(repr=False)
    how: str = ""
    """A description of the held-out rows."""


def tune(
    data: Any,
    model: str,
    metric: str | None = None,
    *,
    budget_seconds: float | None = None,
    trials: int | None = None,
    seed: int = 0,
    folds: int = 1,
    fixed: Mapping[str, Any] | None = None,
    relevant: float | None = None,
    how: str = "auto",
    storage: str | Path | None = None,
    fit: Fit | None = None,
    quiet: bool | None = None,
) -> Tuned:
    """Search the config of a model for the best values inside the training rows.

    The config declares the ranges (``cofactor.models.base.config.Search``). Each trial trains on some of the rows and
    is measured on the rest; bad trials are pruned between epochs and folds. ``Tuned.how`` describes the held-out rows.

    Args:
        data: the training rows: Interactions, a Split (only its ``train`` part is used), or what :func:`cofactor.read`
            takes.
        model: a name from :func:`cofactor.list_models`.
        metric: by default RMSE for rating models, NDCG@10 for rankers.
        budget_seconds: stop when the next trial would probably exceed it (60 if ``trials`` is not given either). The
            first trial, with the defaults, always runs.
        trials: stop after this many trials in total; the result then depends on the seed alone.
        seed: the seed of the search and of every training.
        folds: the number of parts that each trial is measured on: windows of time, rows before the last, or random
            fifths.
        fixed: parameters to hold at a given value.
        relevant: the lowest rating that counts as relevant, as in :func:`cofactor.evaluate`.
        how: which rows are held out: ``"auto"`` is the future where there are times (the last fifth by time, or each
            user's last row; a fifth of each user's for ratings), else a random fifth; or ``"random"``, ``"temporal"``,
            ``"last"``.
        storage: a file to resume from: SQLite where its name ends in ``.db`` or ``.sqlite``, else a journal. A resumed
            run gives the result of an uninterrupted one.
        fit: ``fit(train, model=name, seed=seed, **config)``, a function that replaces :func:`cofactor.fit`.
        quiet: no progress bar; None: a bar on a terminal.

    Returns:
        A Tuned: the best config, its figure, and every trial.

    Raises:
        ConfigError: there is nothing to search.
        DataError: there is nothing to learn from, or the model does not predict such values: as :func:`cofactor.fit`.
        MissingExtraError: Optuna is not installed.
    """
    check_threads()
    optuna = _optuna()
    cls = model_class(model)
    if fixed is not None and not isinstance(fixed, Mapping):
        raise ConfigError(f"fixed is {fixed!r}; give parameters with their values, such as {{'epochs': 10}}")
    fixed = dict(fixed or {})
    make_config(cls.Config, fixed)
    ranges = search_space.ranges(cls.Config, set(fixed))
    if not ranges:
        raise ConfigError(f"{model} has no parameter left to tune")
    if trials is not None:
        check_int("trials", trials)
    check_budget("budget_seconds", budget_seconds)
    if quiet is not None:
        check_bool("quiet", quiet)
    if fit is not None:
        check_function("fit", fit, "fit(train, model=name, seed=seed, **config)")
    check_int("seed", seed, 0)
    if check_int("folds", folds) > 5:
        raise ConfigError(f"folds is {folds}; it must be from 1 to 5")
    train = _rows(data)
    target = metric_names.metric(metric if metric is not None else "ndcg@10" if cls.task == "ranking" else "rmse")
    check_trainable(train)
    check_values(model, cls.task, train.kind, train.range, train.columns)
    inner = _inner(train, how, folds, seed, cls.task)
    if target.needs == "lists":
        inner = [few_users(one, measured_users(train), seed) for one in inner]
    label = f"{model} {target} seed={seed} folds={folds} {how} {relevant} {sorted(fixed.items())} {fingerprint(train)}"
    limit = budget_seconds if budget_seconds is not None else (60.0 if trials is None else float("inf"))
    with _study(optuna, label, target, storage) as study:
        job = _Job(model, target, inner, fixed, ranges, seed, EvaluationProtocol(relevant), fit, study)
        job.run(trials, limit, quiet)
        return job.result(train)


def _inner(train: Interactions, how: str, folds: int, seed: int, task: Task) -> list[Split]:
    """Return the splits for training and measuring, the most informative first."""
    check_choice("how", how, *WAYS)
    last: int | float = 1 if task == "ranking" else 0.2
    if how == "temporal":
        return splits.rolling(train, folds, 0.1)[::-1] if folds > 1 else [splits.temporal(train, 0.2)]
    if how == "last":
        found = [splits.leave_last(train, last)]
        while len(found) < folds:
            found.append(splits.leave_last(found[-1].train, last))
        return found
    futures = held_out_futures(train, folds, 0.1 if folds > 1 else 0.2, last)[::-1] if how == "auto" else []
    return futures or splits.kfold(train, 5, seed)[:folds]


def _rows(data: Any) -> Interactions:
    if isinstance(data, Split):
        return data.train
    if isinstance(data, Interactions):
        return data

    return read(data)


def _optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise MissingExtraError("optuna", "tune", "tuning") from None
    return optuna


@contextlib.contextmanager
def _study(optuna: Any, label: str, target: metric_names.Metric, storage: str | Path | None) -> Iterator[Any]:
    """Yield the search so far. The connections to its file are closed at the end."""
    from optuna.storages import JournalStorage, RDBStorage
    from optuna.storages.journal import JournalFileBackend

    where: Any = None
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        path = None if storage is None else check_file(storage, "the file to store trials in")
        try:
            if path is not None:
                sqlite = path.suffix in (".db", ".sqlite", ".sqlite3")
                where = RDBStorage(f"sqlite:///{path}") if sqlite else JournalStorage(JournalFileBackend(str(path)))
            study = optuna.create_study(
                storage=where,
                study_name=label,
                direction="minimize" if target.lower_is_better else "maximize",
                pruner=optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=3, n_min_trials=3),
                load_if_exists=True,
            )
        except Exception as exc:  # whatever the readers of these files raise
            if path is None:
                raise
            said = f"{type(exc).__name__}: {exc}" if str(exc) else type(exc).__name__
            raise ConfigError(f"no trials can be read from {path} ({said}); give a new file to store them in") from exc
    finally:
        optuna.logging.set_verbosity(level)
    try:
        yield study
    finally:
        if isinstance(where, RDBStorage):
            where.remove_session()
            where.engine.dispose()


class _OutOfTime(Exception):
    """The budget ended during a trial, which does not count."""


@dataclasses.dataclass
class _Job:
    """A search in progress."""

    model: str
    target: metric_names.Metric
    inner: list[Split]
    fixed: Mapping[str, Any]
    ranges: list[search_space.Range]
    seed: int
    choices: EvaluationProtocol
    fit: Fit | None
    study: Any
    deadline: float = float("inf")

    def run(self, trials: int | None, budget: float, quiet: bool | None) -> None:
        """Run trials until there are enough, or until time is up."""
        optuna = _optuna()
        start = time.perf_counter()
        self.deadline = start + budget
        level = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        try:
            with progress(
                f"tuning {self.model}", trials or (None if budget == float("inf") else budget), quiet
            ) as step:
                self._revive(optuna)
                if self.fit is None:
                    self._warm_up()
                while trials is None or len(self._finished()) < trials:
                    done = self._finished()
                    spent = time.perf_counter() - start
                    if any(t.values for t in done) and spent + _usual(done) > budget:
                        break
                    self._trial(optuna, len(done))
                    shown = f"{self.target} {self.study.best_value:.4f}" if self._complete() else ""
                    step(shown, 1 if trials else time.perf_counter() - start - spent)
        finally:
            optuna.logging.set_verbosity(level)

    def _trial(self, optuna: Any, number: int) -> None:
        # A fresh sampler for each trial, seeded by its number: a resumed search continues as if never
        # interrupted.
        chosen = int(np.random.SeedSequence([self.seed, number]).generate_state(1)[0])
        self.study.sampler = optuna.samplers.TPESampler(seed=chosen, n_startup_trials=8)
        if number == 0:
            self.study.enqueue_trial({k: v for r in self.ranges for k, v in r.first().items()}, skip_if_exists=True)
        trial = self.study.ask()
        config = {**self.fixed, **{r.name: r.suggest(trial) for r in self.ranges}}
        try:
            value = self._value(optuna, trial, config)
        except optuna.TrialPruned:
            self.study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        except _OutOfTime:
            trial.set_user_attr("lost", True)
            self.study.tell(trial, state=optuna.trial.TrialState.FAIL)
        except CofactorError as error:
            if number == 0:
                raise
            trial.set_user_attr("error", str(error))
            self.study.tell(trial, state=optuna.trial.TrialState.FAIL)
        else:
            state = optuna.trial.TrialState.COMPLETE if np.isfinite(value) else optuna.trial.TrialState.FAIL
            self.study.tell(trial, value if np.isfinite(value) else None, state=state)

    def _value(self, optuna: Any, trial: Any, config: Mapping[str, Any]) -> float:
        values: list[float] = []
        told = -1
        for k, split in enumerate(self.inner):

            def report(share: float, loss: float, k: int = k) -> None:
                # Reported by tenths of the run, so that runs of different lengths compare; only the first fold is
                # monitored.
                nonlocal told
                if time.perf_counter() > self.deadline and self._complete():
                    raise _OutOfTime
                tenth = int(share * 10 + 1e-9)
                if k == 0 and self.target.base in ("rmse", "mse") and np.isfinite(loss) and tenth > told:
                    told = tenth
                    trial.report(loss, tenth)
                    if trial.should_prune():
                        raise optuna.TrialPruned

            trained = self._trained(split, config, report)
            data = held_out.held_out_rows(split, split.train)
            values.append(measure(scorer(trained, split.train), data, [self.target], self.choices).value(self.target))
            if k + 1 < len(self.inner):
                trial.report(float(np.mean(values)), 11 + k)
                if trial.should_prune():
                    raise optuna.TrialPruned
        return float(np.mean(values))

    def _warm_up(self) -> None:
        """Compile on a few rows, so that the first trial is not charged for it."""
        few = self.inner[0].train.take(np.arange(min(len(self.inner[0].train), 300)))
        fields = {f.name for f in dataclasses.fields(model_class(self.model).Config)}
        short = {"epochs": 2} if "epochs" in fields else {}
        with suppress(CofactorError):
            self._trained(Split(few, few, "a few rows"), {**self.fixed, **short}, lambda share, loss: None)

    def _trained(self, split: Split, config: Mapping[str, Any], report: Any) -> Any:
        if self.fit is not None:
            return self.fit(split.train, model=self.model, seed=self.seed, **config)

        return train_watched(split, self.model, dict(config), self.seed, report)

    def _finished(self) -> list[Any]:
        from optuna.trial import TrialState

        states = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
        return [t for t in self.study.get_trials(deepcopy=False, states=states) if "lost" not in t.user_attrs]

    def _complete(self) -> list[Any]:
        from optuna.trial import TrialState

        found: list[Any] = self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        return found

    def _revive(self, optuna: Any) -> None:
        """Mark trials that a crash cut off as failed, and repeat them."""
        for lost in self.study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,)):
            live = optuna.trial.Trial(self.study, lost._trial_id)
            live.set_user_attr("lost", True)
            self.study.tell(lost.number, state=optuna.trial.TrialState.FAIL)

    def result(self, train: Interactions) -> Tuned:
        """Return the best trial, and the frame of all trials."""
        if not self._complete():
            raise DataError(f"no trial of {self.model} gave a finite {self.target}")
        best = self.study.best_trial
        table: list[dict[str, Any]] = []
        for at, t in enumerate(self._finished()):
            seconds = (t.datetime_complete - t.datetime_start).total_seconds()
            values = {r.name: r.read(t.params) for r in self.ranges} if t.params else {}
            line = {"trial": at, "state": t.state.name.lower(), "value": t.value, "seconds": seconds}
            table.append({**line, **{name: v if _plain(v) else str(v) for name, v in values.items()}})
        found = {r.name: r.read(best.params) for r in self.ranges}
        frame = pl.DataFrame(table, infer_schema_length=None)
        return Tuned(
            self.model,
            str(self.target),
            {**self.fixed, **found},
            float(best.value or 0.0),
            frame,
            train,
            self.inner[0].how,
        )


def _usual(done: list[Any]) -> float:
    return float(np.median([(t.datetime_complete - t.datetime_start).total_seconds() for t in done]))


def _plain(value: Any) -> bool:
    return isinstance(value, (bool, int, float, str))
