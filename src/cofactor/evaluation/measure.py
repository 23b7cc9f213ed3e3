"""Compute every user's contribution to every metric, from a trained model and test rows."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cofactor.data.interactions import CSR, Interactions
from cofactor.errors import ConfigError
from cofactor.evaluation import metrics as m
from cofactor.evaluation.bootstrap import UserSums
from cofactor.evaluation.held_out import HeldOut
from cofactor.evaluation.metric_names import BEYOND, CALIBRATION, LISTS, Metric
from cofactor.evaluation.protocol import EvaluationProtocol
from cofactor.evaluation.relevance import (
    Relevant,
    check_relevant,
    few_relevant,
    relevant_ids,
    relevant_items,
    threshold,
)
from cofactor.evaluation.scorer import Scorer, interval_blocks, predict_blocks

Array = NDArray[Any]
LEVELS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
MANY = 5000


@dataclass
class Measured:
    """The measurements. ``cells`` by metric: those that are means over users; ``whole``: those that belong to all lists
    together.

    ``rows`` counts the test rows behind each metric; ``notes`` holds sentences by what a metric needs; ``listed``
    counts the users who got a list.
    """

    cells: dict[Metric, UserSums] = field(default_factory=dict)
    whole: dict[Metric, float] = field(default_factory=dict)
    rows: dict[Metric, int] = field(default_factory=dict)
    notes: dict[str, list[str]] = field(default_factory=dict)
    listed: int = 0
    few_relevant: str = ""
    """A sentence, if fewer than a tenth of the users have a relevant row."""

    def value(self, metric: Metric) -> float:
        """Return the figure itself."""
        return self.cells[metric].point() if metric in self.cells else self.whole[metric]

    def n_users(self, metric: Metric) -> int:
        """Return the number of users behind it."""
        return self.cells[metric].n_users if metric in self.cells else self.listed


def measure(by: Scorer, test: HeldOut, wanted: Sequence[Metric], choices: EvaluationProtocol) -> Measured:
    """Measure every wanted metric. Raises ConfigError if the model does not support one (ratings from a ranker, or
    intervals)."""
    out = Measured()
    needs = {metric.needs for metric in wanted}
    if by.task == "ranking" and "rating" in needs:
        names = ", ".join(str(metric) for metric in wanted if metric.needs == "rating")
        raise ConfigError(f"{by.name} ranks items and does not predict ratings, so it has no {names}")
    if "rating" in needs:
        _ratings(by, test, wanted, out)
    if "interval" in needs:
        _intervals(by, test, wanted, choices.level, out)
    if "lists" in needs:
        _lists(by, test, wanted, choices, out)
    return out


def _by_user(values: Array, test: HeldOut) -> Array:
    """Return sums over the rows of each user, with the weights of the rows."""
    each = values if test.weights is None else values * test.weights
    return np.bincount(test.cluster, weights=each, minlength=test.n_clusters)[:, None]


def _ratings(by: Scorer, test: HeldOut, wanted: Sequence[Metric], out: Measured) -> None:
    predicted = predict_blocks(by, test.users, test.items, test.times)
    error = predicted.astype(np.float64) - test.values
    count = _by_user(np.ones(len(test)), test)
    for metric in wanted:
        if metric.needs != "rating":
            continue
        if metric.custom is not None:
            losses = _of_rows(metric, metric.custom.function(np.array(test.values), predicted.copy()), len(test))
        else:
            losses = np.abs(error) if metric.base == "mae" else error * error
        out.cells[metric] = UserSums(_by_user(losses, test), count, "root" if metric.base == "rmse" else "mean")
        out.rows[metric] = len(test)


def _of_rows(metric: Metric, found: Any, n: int) -> Array:
    """Return the values of the user's function for the rows. Raises ConfigError unless there is one finite number for
    each."""
    values = np.asarray(found, dtype=np.float64)
    if values.shape != (n,) or not np.isfinite(values).all():
        raise ConfigError(
            f"the metric {metric} must give one finite number for each of {n:,} rows; it gave an array of shape "
            f"{values.shape}{'' if np.isfinite(values).all() else ' with values that are not finite'}"
        )
    return values


def _intervals(by: Scorer, test: HeldOut, wanted: Sequence[Metric], level: float, out: Measured) -> None:
    def at(wide: float) -> tuple[Array, Array]:
        found = interval_blocks(by, test.users, test.items, test.times, wide)
        return found.low.astype(np.float64), found.high.astype(np.float64)

    mine = [metric for metric in wanted if metric.needs == "interval"]
    count = _by_user(np.ones(len(test)), test)
    low, high = at(level)
    for metric in mine:
        out.rows[metric] = len(test)
        if metric.base == CALIBRATION:
            tops = [_by_user(m.covered(test.values, *at(wide)).astype(np.float64), test) for wide in LEVELS]
            out.cells[metric] = UserSums(np.hstack(tops), np.repeat(count, len(LEVELS), axis=1), "miss", LEVELS)
        elif metric.base == "interval_coverage":
            out.cells[metric] = UserSums(_by_user(m.covered(test.values, low, high).astype(np.float64), test), count)
        elif metric.base == "interval_width":
            out.cells[metric] = UserSums(_by_user(high - low, test), count)
        else:
            out.cells[metric] = UserSums(_by_user(m.interval_scores(test.values, low, high, level), test), count)
    out.notes["interval"] = [f"intervals at {level:g}"]


def masked_scores(
    by: Scorer, users: Array, exclude: Literal["seen", "new"] | None, block: int = 1 << 22
) -> Iterator[tuple[slice, Array]]:
    """Yield (slice of ``users``, their float32 scores), a block at a time. Items that are not candidates score -inf.

    Users with code -1 get the items' popularity in training as scores.
    """
    size = max(1, block // max(by.train.n_items, 1))
    seen = by.train.by_user
    popular = by.train.by_item.counts.astype(np.float32)
    for lo in range(0, len(users), size):
        part = users[lo : lo + size]
        known = part >= 0
        scores = np.empty((len(part), by.train.n_items), dtype=np.float32)
        scores[known] = by.scores(part[known]) if known.any() else 0.0
        scores[~known] = popular
        scores[np.isnan(scores)] = -np.inf
        if exclude is not None:
            counts = np.where(known, seen.counts[part], 0)
            rows = np.repeat(np.arange(len(part)), counts)
            within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
            had = (rows, seen.indices[np.repeat(seen.indptr[part], counts) + within])
            kept = scores[had]
            if exclude == "seen":
                scores[had] = -np.inf
            else:  # only the items that they had before
                scores[:] = -np.inf
                scores[had] = kept
        yield slice(lo, lo + len(part)), scores


def _lists(by: Scorer, test: HeldOut, wanted: Sequence[Metric], choices: EvaluationProtocol, out: Measured) -> None:
    mine = [metric for metric in wanted if metric.needs == "lists"]
    who = relevant_items(test, by.train, choices)
    if any(metric.base not in BEYOND for metric in mine):
        check_relevant(who, by.train, choices)
    # Users without a relevant item matter only to metrics that ignore relevance.
    beyond = any(metric.base in BEYOND for metric in mine)
    at = np.arange(len(who.users)) if beyond else np.flatnonzero(who.counts > 0)
    longest = max((metric.n for metric in mine), default=0)
    top = np.full((len(who.users), longest), -1, dtype=np.int32)
    areas = np.full(len(who.users), np.nan)
    full = any(metric.base == "auc" for metric in mine)
    rank = by.rank or functools.partial(rank_users, by)
    top[at], areas[at] = rank(who.users[at], who.items.take(at), longest, full, choices.exclude)
    hits = m.hits_of(top, who.items.indptr, who.items.indices)
    for metric in mine:
        out.rows[metric] = int(who.counts.sum())
        if metric.custom is not None:
            values = _of_lists(metric, top[:, : metric.n], who, test, by.train)
            _mean(metric, values, who, test, choices.users_without, out)
        elif (choices.propensity or who.weights is not None) and metric.base in m.DEBIASED:
            worth = np.maximum(by.train.by_item.counts, 1.0) ** -choices.propensity
            missing = who.counts - who.items.counts
            sought = m.Sought(worth, who.items.indptr, who.items.indices, missing, who.weights, who.unseen)
            values = m.DEBIASED[metric.base](hits[:, : metric.n], top[:, : metric.n], sought)
            _mean(metric, values, who, test, choices.users_without, out)
        elif metric.base in LISTS:
            values = m.RANKING[metric.base](hits[:, : metric.n], who.counts)
            _mean(metric, values, who, test, choices.users_without, out)
        elif metric.base == "auc":
            _mean(metric, areas, who, test, choices.users_without, out)
        else:
            _beyond(metric, top[:, : metric.n], who, test, by.train, out)
    out.listed = len(who.users)
    out.few_relevant = few_relevant(who, test, by.train, choices)
    out.notes["lists"] = _said(who, test, by.train, choices)
    if who.weights is not None:
        out.notes["lists"].append("ndcg and recall use the row weights, and other figures count all rows equally")


def rank_users(
    by: Scorer, users: Array, relevant: CSR, n: int, full: bool, exclude: Literal["seen", "new"] | None
) -> tuple[Array, Array]:
    """Return top lists of users, int32 (len(users), n), and with ``full`` the areas under their ROC curves, float64
    (else NaN).

    ``relevant``: the relevant items of each user. A user's list does not depend on the other users.
    """
    top, areas = np.full((len(users), n), -1, dtype=np.int32), np.full(len(users), np.nan)
    for part, scores in masked_scores(by, users, exclude):
        if n:
            top[part] = m.top_n(scores, n)
        if full:
            marks = np.zeros(scores.shape, dtype=bool)
            block = relevant.take(np.arange(part.start, part.stop))
            marks[np.repeat(np.arange(len(scores)), block.counts), block.indices] = True
            areas[part] = m.auc(scores, marks)
    return top, areas


def _of_lists(metric: Metric, top: Array, who: Relevant, test: HeldOut, train: Interactions) -> Array:
    """Return the value of the user's function for each list, float64 (users,); NaN for a user without a relevant
    item."""
    assert metric.custom is not None
    goal = relevant_ids(who, test)
    names = train.item_ids.decode(np.maximum(top, 0).ravel()).to_list()
    values = np.full(len(top), np.nan)
    for u in np.flatnonzero(who.counts > 0):
        row = names[u * top.shape[1] : (u + 1) * top.shape[1]]
        listed = [name for name, code in zip(row, top[u]) if code >= 0]
        value = metric.custom.function(listed, set(goal[int(u)]))
        try:
            values[u] = float(value)
        except (TypeError, ValueError):
            raise ConfigError(f"the metric {metric} must give a number for each user; it gave {value!r}") from None
    return values


def _mean(
    metric: Metric, values: Array, who: Relevant, test: HeldOut, without: Literal["skip", "zero"], out: Measured
) -> None:
    top, bottom = np.zeros((test.n_clusters, 1)), np.zeros((test.n_clusters, 1))
    there = np.isfinite(values)
    top[who.cluster[there], 0] = values[there]
    bottom[who.cluster if without == "zero" else who.cluster[there], 0] = 1.0
    out.cells[metric] = UserSums(top, bottom)


def _beyond(metric: Metric, top: Array, who: Relevant, test: HeldOut, train: Interactions, out: Measured) -> None:
    if metric.base == "item_coverage":
        out.whole[metric] = m.catalogue_coverage(top, train.n_items)
    elif metric.base == "gini":
        out.whole[metric] = m.gini(top, train.n_items)
    elif metric.base == "diversity":
        # Pairs of items are expensive: of many users, a sample is measured.
        some = np.unique(np.linspace(0, len(top) - 1, min(len(top), MANY)).astype(np.int64))
        values = np.full(len(top), np.nan)
        values[some] = m.diversity(top[some], item_vectors(train))
        _mean(metric, values, who, test, "skip", out)
    else:
        counts = train.by_item.counts
        raters = int((train.by_user.counts > 0).sum())
        values = m.novelty(top, counts, raters) if metric.base == "novelty" else m.popularity(top, counts)
        _mean(metric, values, who, test, "skip", out)


def item_vectors(train: Interactions) -> Any:
    """Return the vectors by which items are compared: a scipy CSR (n_items, d) of their features, or else of their
    raters."""
    from scipy import sparse

    features = train.item_features
    matrix = train.by_item if features is None else features.matrix
    values = np.ones(len(matrix.indices)) if features is None else matrix.values
    return sparse.csr_matrix((values, matrix.indices, matrix.indptr), shape=(matrix.n_rows, matrix.n_cols))


def _said(who: Relevant, test: HeldOut, train: Interactions, choices: EvaluationProtocol) -> list[str]:
    floor = threshold(train, choices.relevant)
    said = ["relevant: every test row" if floor is None else f"relevant: ratings from {floor:g}"]
    if choices.propensity:
        said.append(
            f"{' and '.join(m.DEBIASED)}: a relevant item with n ratings counts n to the power -{choices.propensity:g}"
        )
    said.append(
        {
            "seen": "seen items are left out",
            "new": "only items of the user's training rows",
            None: "seen items are ranked too",
        }[choices.exclude]
    )
    if without := int((who.counts == 0).sum()):
        verb = "skipped" if choices.users_without == "skip" else "count as 0"
        said.append(f"{without:,} users without a relevant item {verb}")
    if unknown := test.n_clusters - len(who.users):
        said.append(f"{unknown:,} users are not in training, so they are not ranked")
    if new := int((who.users < 0).sum()):
        said.append(f"{new:,} users without training rows get the most popular items")
    return said
