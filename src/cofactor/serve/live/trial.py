"""Test of a model before it goes live, on the latest events, on which neither it nor the live model was trained.

Both models know the earlier ratings (newer ones are folded in). The comparison is paired by user, and the interval of
the difference is a bootstrap over users.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cofactor.evaluation.bootstrap import UserSums, interval, resample
from cofactor.evaluation.figures import with_figures
from cofactor.evaluation.metrics import ndcg
from cofactor.evaluation.relevance import threshold
from cofactor.recommend.profiles import known_user
from cofactor.recommender import Recommender
from cofactor.serve.live.refit import grown
from cofactor.serve.models.served import updated
from cofactor.serve.settings import Require
from cofactor.serve.storage.rows import Event

Array = NDArray[Any]
LATEST = 5000
"""Most events in a test, the latest ones."""
HELD_OUT = 0.2
"""Share of the newer events, the latest ones, on which a refit is tested."""
LEAST = 20
"""Least number of users for a test."""
LISTED = 10
_USERS = 500
_DRAWS = 1000


class Trial(NamedTuple):
    """The result of a test. ``metric`` is rmse for rating models, otherwise ndcg@10. ``gain`` is the improvement by the
    candidate (above 0: better), with a 95 % interval from ``low`` to ``high``; ``bounds`` is the 95 % interval of the
    candidate's own figure."""

    metric: str
    live: float
    candidate: float
    gain: float
    low: float
    high: float
    users: int
    events: int
    bounds: tuple[float, float]

    def __str__(self) -> str:
        better = "better" if self.gain > 0 else "worse"
        return (
            f"{self.metric} {self.candidate:.4f}, the live model {self.live:.4f}: {better} by {abs(self.gain):.4f}"
            f" (95 % interval {self.low:+.4f} to {self.high:+.4f}; {self.users:,} users, {self.events:,} events)"
        )


def refused(require: Require, trial: Trial | None) -> str | None:
    """Return the reason why a candidate does not go live; None where it does."""
    if require == "nothing":
        return None
    if trial is None or trial.users < LEAST:
        users = 0 if trial is None else trial.users
        if require == "not-worse":
            return None
        return f"only {users} users have newer ratings that both models have not learned; a comparison needs {LEAST}"
    if require == "better":
        return None if trial.low > 0 else f"the model is not significantly better: {trial}"
    return None if trial.high >= 0 else f"the model is significantly worse: {trial}"


def on_latest(live: Recommender, candidate: Recommender, events: Sequence[Event]) -> Trial | None:
    """Compare two models on the latest of these events, on which neither was trained; both know the earlier events."""
    held_out = min(max(int(HELD_OUT * len(events)), min(len(events), 200)), LATEST)
    earlier, latest = _divided(events, held_out)
    both = [updated(rec, earlier) if earlier else rec for rec in (live, candidate)]
    return tried(both[0], both[1], latest)


def with_trial(refitted: Recommender, trial: Trial) -> Recommender:
    """Return a refitted model with the figure that its trial found among its figures.

    The name of the rows has the time, since each refit is tried on rows of its own.
    """
    now = dt.datetime.now(dt.UTC).isoformat(" ", "milliseconds").removesuffix("+00:00")
    line = {
        "metric": trial.metric,
        "value": trial.candidate,
        "low": trial.bounds[0],
        "high": trial.bounds[1],
        "n_users": trial.users,
        "n_rows": trial.events,
        "note": "measured on a model trained without these rows; this one has learned them too",
    }
    return with_figures(refitted, pl.DataFrame([line]), f"the latest newer rows, tried before the refit at {now} UTC")


def refit_on_latest(live: Recommender, events: Sequence[Event], warm: bool | None) -> Trial | None:
    """Train on all but the latest fifth of these events, and compare the result with the live model on that fifth. None
    where it has too few users."""
    earlier, latest = _divided(events, min(int(HELD_OUT * len(events)), LATEST))
    if len({e.user for e in latest}) < LEAST:
        return None
    before = updated(live, earlier)
    missed = [e for e in earlier if before.items.find(e.item) < 0]
    return tried(before, before.refit(grown(before, missed), warm=warm), latest)


def _divided(events: Sequence[Event], held_out: int) -> tuple[Sequence[Event], Sequence[Event]]:
    at = len(events) - held_out
    return events[:at], events[at:]


def tried(live: Recommender, candidate: Recommender, events: Sequence[Event]) -> Trial | None:
    """Compare two models on events; both know the earlier events. Pairs that a model already knows are left out; None
    where none are left."""
    pairs = {(e.user, e.item): e for e in events[-LATEST:]}
    fresh = _unknown_pairs(candidate, _unknown_pairs(live, list(pairs)))
    if not fresh:
        return None
    chosen = [pairs[pair] for pair in fresh]
    if live.model.task == candidate.model.task == "rating" and live.scale.explicit:
        sums, name, count = _errors(live, candidate, chosen), "rmse", len(chosen)
    else:
        found = _gains(live, candidate, chosen)
        if found is None:
            return None
        (sums, count), name = found, f"ndcg@{LISTED}"
    ours, theirs = (one.point() for one in sums)
    draws = resample(sums, _DRAWS, 0)
    sign = -1 if name == "rmse" else 1
    low, high = interval(sign * (draws[:, 1] - draws[:, 0]))
    bounds = interval(draws[:, 1])
    return Trial(name, ours, theirs, sign * (theirs - ours), low, high, sums[0].n_users, count, bounds)


def _unknown_pairs(rec: Recommender, pairs: Sequence[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    """Return the pairs that are not among the ratings of a model."""
    rated: dict[Any, set[int]] = {}
    found = []
    for user, item in pairs:
        if user not in rated:
            code = rec.users.code(user)
            rated[user] = set(known_user(rec, code).items.tolist()) if code >= 0 else set()
        if rec.items.find(item) not in rated[user]:
            found.append((user, item))
    return found


def _errors(live: Recommender, candidate: Recommender, events: Sequence[Event]) -> list[UserSums]:
    """Return the squared errors of both models, summed by user."""
    pairs, truth = [(e.user, e.item) for e in events], np.array([e.rating for e in events])
    users = {user: at for at, user in enumerate(dict.fromkeys(e.user for e in events))}
    at = np.array([users[e.user] for e in events])
    counts = np.bincount(at, minlength=len(users))[:, None].astype(np.float64)
    found = []
    for rec in (live, candidate):
        off = rec.predict(pairs, unknown="popular")["prediction"].to_numpy() - truth
        sums = np.bincount(at, weights=off.astype(np.float64) ** 2, minlength=len(users))
        found.append(UserSums(sums[:, None], counts, "root"))
    return found


def _gains(live: Recommender, candidate: Recommender, events: Sequence[Event]) -> tuple[list[UserSums], int] | None:
    """Return the NDCG of both models' lists for the latest users, and the number of relevant events."""
    floor = threshold(live.data, None)
    wanted: dict[Any, set[Any]] = {}
    for event in reversed(events):
        if (floor is None or event.rating >= floor) and (event.user in wanted or len(wanted) < _USERS):
            wanted.setdefault(event.user, set()).add(event.item)
    if not wanted:
        return None
    relevant = np.array([len(items) for items in wanted.values()])
    ones = np.ones((len(wanted), 1))
    found = []
    for rec in (live, candidate):
        hits = np.zeros((len(wanted), LISTED), dtype=bool)
        for row, (user, items) in enumerate(wanted.items()):
            if rec.users.code(user) >= 0:
                listed = rec.recommend(user, n=LISTED)["item"].to_list()
                hits[row, : len(listed)] = [item in items for item in listed]
        found.append(UserSums(ndcg(hits, relevant)[:, None], ones))
    return found, int(relevant.sum())
