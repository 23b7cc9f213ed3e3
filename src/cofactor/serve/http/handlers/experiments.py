"""Handlers of experiments: feedback on lists, their outcomes, and two versions beside each other."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

from cofactor.serve.experiments.experiment import Experiment
from cofactor.serve.experiments.feedback import Reaction, Shown, take
from cofactor.serve.experiments.outcomes import Outcome, difference
from cofactor.serve.experiments.outcomes import outcomes as lists_by_version
from cofactor.serve.http.handlers.asked import Asked, iso, within

MOST_SHOWN = 2000
"""Most items in the lists that one request reports as shown."""


def feedback(asked: Asked) -> dict[str, Any]:
    """Store feedback on lists: shown, clicked and bought items."""
    told = asked.what.events
    within("items", sum(len(one.items) for one in told if one.what == "shown"), MOST_SHOWN)
    live = asked.live
    return take(
        live.writable(),
        live.time(),
        [
            Shown(one.request, one.version, one.items)
            if one.what == "shown"
            else Reaction(one.request, one.item, one.what)
            for one in told
        ],
        lambda item: live.now.rec.items.find(item) >= 0,
    )


def begin_experiment(asked: Asked) -> dict[str, Any]:
    """Start an experiment: a version serves a share of the users."""
    what, live = asked.what, asked.live
    path = None if what.path is None else Path(what.path)
    return {"experiment": described(live.begin_experiment(what.version, path, what.share, what.mode))}


def end_experiment(asked: Asked) -> dict[str, Any]:
    """End the experiment: the live version serves all users again."""
    return {"ended": described(asked.live.end_experiment())}


def described(experiment: Experiment | None) -> dict[str, Any] | None:
    """Return an experiment as values for JSON."""
    if experiment is None:
        return None
    return experiment._asdict() | {"started": iso(int(experiment.started))}


def outcomes(asked: Asked) -> dict[str, Any]:
    """Return the outcomes of each version's lists, the difference between the two of an experiment, and drift."""
    live = asked.live
    store, served = live.writable(), live.now
    second = live.second
    whole, daily = lists_by_version(store)
    of = {one.version: one for one in whole}
    compared = None
    if second is not None and served.version in of and second.served.version in of:
        compared = difference(of[served.version], of[second.served.version])
    trials = {v.version: store.note(f"trial {v.version}") for v in store.versions(candidates=True)}
    return {
        "live": served.version,
        "experiment": None if second is None else described(second.experiment),
        "versions": [_outcome(one, served.rec.data.n_items) for one in whole],
        "days": [_outcome(one, served.rec.data.n_items) for one in daily],
        "difference": compared,
        "trials": {str(version): json.loads(text) for version, text in trials.items() if text is not None},
        "last_trial": live.last_trial,
        "drift": live.drift()._asdict(),
    }


def _outcome(one: Outcome, n_items: int) -> dict[str, Any]:
    found = {name: getattr(one, name) for name in ("version", "lists", "clicked", "bought", "hit_rate", "ndcg")}
    if one.day is None:
        return found | {"coverage": min(1.0, one.items / n_items)}
    return found | {"day": dt.date.fromordinal(one.day + dt.date(1970, 1, 1).toordinal()).isoformat()}
