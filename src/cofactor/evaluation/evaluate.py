"""Measure a trained model on rows that it has not seen."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cofactor._fork import check_threads
from cofactor._frames import frames_out
from cofactor._validate import check_fraction, check_int
from cofactor.data.interactions import Interactions, Split
from cofactor.errors import ConfigError
from cofactor.evaluation import bootstrap, held_out
from cofactor.evaluation import metrics as m
from cofactor.evaluation.fold_in import folded
from cofactor.evaluation.held_out import RelevanceWarning
from cofactor.evaluation.measure import LEVELS, masked_scores, measure
from cofactor.evaluation.metric_names import default_metrics, lengths_of, parse
from cofactor.evaluation.protocol import EvaluationProtocol
from cofactor.evaluation.scorer import interval_blocks, scorer


@frames_out
def evaluate(
    trained: Any,
    test: Any,
    metrics: Any = None,
    *,
    n: int | Sequence[int] = (10,),
    relevant: float | None = None,
    exclude: Literal["seen", "new"] | None = "seen",
    users_without: Literal["skip", "zero"] = "skip",
    new_users: Literal["skip", "popular"] = "skip",
    propensity: float = 0.0,
    level: float = 0.9,
    train: Interactions | None = None,
    draws: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> pl.DataFrame:
    """Measure a model on held-out rows, with confidence intervals. ``docs/metrics.md`` defines every metric.

    Ids that are not in training get the model's fallback, and the notes count them.

    Args:
        trained: a Recommender, or a bare model with its training rows as ``train``.
        test: a Split (its valid part; users of its ``given`` part are folded in with those ratings), Interactions, a
            path or a frame.
        metrics: names such as ``"rmse"``, ``"ndcg@10"``, ``"auc"``; groups: ``"rating"``, ``"interval"``,
            ``"ranking"``, ``"beyond"``, ``"all"`` (all that this model supports); or a function of your own
            (``cofactor.evaluation.CustomMetric``). By default those of the model's task.
        n: list lengths for metrics without one.
        relevant: the lowest rating that counts as relevant; by default three quarters up the training range.
        exclude: ``"seen"`` leaves the training items of a user out of their list; ``"new"`` leaves out all others, to
            measure repeated choices; None leaves out nothing.
        users_without: whether users without a relevant item are skipped or count 0.
        new_users: users without training rows are skipped, or (``"popular"``) count with the most popular items, as a
            service would answer.
        propensity: 0 to 1. A relevant item with ``n`` training ratings counts ``n ** -propensity`` in ``ndcg`` and
            ``recall``, which corrects for popularity bias in what was shown (inverse propensity, self-normalised; Yang
            et al. 2018).
        level: the level of the model's own intervals.
        train: the training rows of a bare model.
        draws: bootstrap draws of users; 0: no intervals.
        confidence: the level of ``low`` and ``high``.
        seed: the seed of the draws.

    Returns:
        A frame metric, value, low, high, n_users, n_rows, note.

    Raises:
        ConfigError: a metric does not exist, or this model cannot give it.
        DataError: the test rows cannot be used, or no user has a relevant one.

    Warns:
        LeakWarning: test rows are training rows.
        RelevanceWarning: fewer than a tenth of the test users have a relevant row.
    """
    check_threads()
    for name, value in (("draws", draws), ("seed", seed)):
        check_int(name, value, 0)
    check_fraction("confidence", confidence, "0.95")
    by = scorer(trained, train)
    if isinstance(test, Split) and test.given is not None:
        by = folded(by, getattr(trained, "model", trained), test.given)
    data = held_out.held_out_rows(test, by.train)
    lengths = lengths_of(n)
    wanted = parse(default_metrics(by.task, by.interval is not None) if metrics is None else metrics, lengths)
    if metrics == "all":
        able = {"lists"} | ({"rating"} if by.task == "rating" else set()) | ({"interval"} if by.interval else set())
        wanted = [metric for metric in wanted if metric.needs in able]
    protocol = EvaluationProtocol(relevant, exclude, users_without, level, new_users, propensity)
    found = measure(by, data, wanted, protocol)
    if found.few_relevant:
        warnings.warn(found.few_relevant, RelevanceWarning, stacklevel=2)
    said = held_out.notes(data, by.train, held_out.leaked(data, by.train))
    said += held_out.chosen_by_others(getattr(trained, "trials", None), data, by.train)
    spread = [metric for metric in wanted if metric in found.cells]
    drawn = bootstrap.resample([found.cells[metric] for metric in spread], draws, seed)
    bounds = {metric: bootstrap.interval(drawn[:, j], confidence) for j, metric in enumerate(spread)} if draws else {}
    table = []
    for metric in wanted:
        low, high = (_finite(x) for x in bounds.get(metric, (None, None)))
        note = "; ".join([*found.notes.get(metric.needs, []), *said])
        line = (
            str(metric),
            _finite(found.value(metric)),
            low,
            high,
            found.n_users(metric),
            found.rows[metric],
            note,
        )
        table.append(line)
    schema = {
        "metric": pl.String,
        "value": pl.Float64,
        "low": pl.Float64,
        "high": pl.Float64,
        "n_users": pl.Int64,
        "n_rows": pl.Int64,
        "note": pl.String,
    }
    return pl.DataFrame(table, schema=schema, orient="row")


def _finite(value: float | None) -> float | None:
    """Return the value, or None if it is undefined (such as the diversity of lists of one item)."""
    return value if value is not None and np.isfinite(value) else None


@frames_out
def calibration(
    trained: Any, test: Any, levels: Sequence[float] = LEVELS, *, train: Interactions | None = None
) -> pl.DataFrame:
    """Return a frame ``level, observed, width``: the share of intervals that hold the true rating, beside the nominal
    level."""
    by = scorer(trained, train)
    data = held_out.held_out_rows(test, by.train)
    if any(not 0 < level < 1 for level in levels):
        raise ConfigError(f"levels are {list(levels)}; each must lie between 0 and 1")
    table = []
    for level in levels:
        found = interval_blocks(by, data.users, data.items, data.times, level)
        observed = m.interval_coverage(data.values, found.low, found.high)
        table.append((float(level), observed, m.interval_width(found.low, found.high)))
    schema = {"level": pl.Float64, "observed": pl.Float64, "width": pl.Float64}
    return pl.DataFrame(table, schema=schema, orient="row")


def lists(trained: Any, users: Any, n: int = 10, *, train: Interactions | None = None) -> NDArray[Any]:
    """Return the top lists of known users (codes), int32 (len(users), n), without seen items; -1 where fewer are
    left."""
    by = scorer(trained, train)
    out = np.full((len(users), n), -1, dtype=np.int32)
    for part, scores in masked_scores(by, np.asarray(users), "seen"):
        out[part] = m.top_n(scores, n)
    return out
