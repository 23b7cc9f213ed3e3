"""The served model with all newer ratings so far. The object never changes; events make a new one."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cofactor.errors import BundleError
from cofactor.recommend.cold_start.users import feature_prior
from cofactor.recommend.update import Events, one_type
from cofactor.recommender import Recommender, load
from cofactor.report.maps import item_map
from cofactor.serve.experiments.experiment import Experiment
from cofactor.serve.models.catalogue import Catalogue
from cofactor.serve.storage.rows import Event
from cofactor.serve.storage.store import Store, Version

_PART = 20_000
"""Number of events read from the store at once."""


@dataclass(frozen=True)
class Served:
    """A served version: ``rec`` includes all newer ratings up to event ``through``, ``base`` none. ``activation`` and
    ``erasures`` are the store's counters that this process has followed."""

    version: int
    base: Recommender
    rec: Recommender
    through: int
    loaded: float
    catalogue: Catalogue
    activation: int = 0
    erasures: int = 0
    contents: str = ""

    def told(self, events: Sequence[Event], through: int) -> Served:
        """Return the version with these events added, of which the last has the number ``through``."""
        rec = updated(self.rec, events) if events else self.rec
        return replace(self, rec=rec, through=through)

    def caught_up(self, store: Store, goes_on: Callable[[], bool] = lambda: True) -> Served:
        """Return the version with the events that it lacks."""
        served = self
        while goes_on():
            events, last = store.events(served.through, _PART)
            if last == served.through:
                break
            served = served.told(events, last)
        return served


class Second(NamedTuple):
    """The version in an experiment beside the live one."""

    experiment: Experiment
    served: Served


def unwritten(bundle: Path, version: int, max_cache: int) -> Served:
    """Load a bundle for a read-only server."""
    rec = load(bundle)
    warm_up(rec)
    return Served(version, rec, rec, 0, time.time(), Catalogue(rec, max_cache))


def woken(version: Version, place: Path, erasures: int, max_cache: int, *, warm: bool = True) -> Served:
    """Load a stored version, without newer ratings. ``warm`` calls :func:`warm_up`."""
    rec = load(place)
    if warm:
        warm_up(rec)
    return Served(
        version.version, rec, rec, version.through, time.time(), Catalogue(rec, max_cache),
        version.activation, erasures, version.contents,
    )  # fmt: skip


def updated(rec: Recommender, events: Sequence[Event], codes: NDArray[Any] | None = None) -> Recommender:
    """Return a recommender with these events; those of items that it does not know are left out. ``codes`` are those
    of their items, if the caller has them."""
    return rec.update(columns(events)._replace(codes=codes), unknown="skip")


def updated_users(rec: Recommender) -> list[Any]:
    """Return the ids of the users with newer ratings."""
    codes, n = list(rec.updates.users), rec.data.n_users
    known = rec.data.user_ids.decode([code for code in codes if code < n]).to_list()
    return known + [rec.updates.new_ids[code - n] for code in codes if code >= n]


def columns(events: Sequence[Event]) -> Events:
    """Return events in the form for ``update``; DataError where user ids mix types."""
    users = one_type([e.user for e in events], "user")
    values = np.array([e.rating for e in events], dtype=np.float32)
    times = np.array([e.time for e in events], dtype=np.int64)  # always seconds
    return Events(users, [e.item for e in events], values, times)


def warm_up(rec: Recommender) -> None:
    """Make the most frequent requests once, so that kernels are compiled and a broken model is found before it is live.

    This also reads and checks what a large bundle loads on demand: ids, tables, and the codes for the counts.
    """
    for ids in (rec.data.user_ids, rec.data.item_ids):
        if not (ids.dtype.is_integer() or ids.text == "text"):
            raise BundleError(f"the {ids.kind} ids are {ids.text}; a server needs ids that are whole numbers or text")
    item = rec.data.item_ids.decode([int(np.argmax(rec.data.item_counts))])[0]
    found = rec.recommend(history=[item], n=10, seen=True)
    if not len(found) or not np.isfinite(found["score"].to_numpy()).all():
        raise BundleError(f"the model {rec.name} makes no list for a history of its own item {item!r}; train it again")
    if not rec.data.n_users:  # a bundle saved with serve_only, without users
        return
    rated = np.flatnonzero(rec.data.item_counts > 0)[:3].astype(np.int32)
    if len(rated) == 3:
        item_map(rec.model, rec.data, rated, seed=rec.seed)
    user = rec.data.user_ids.decode([int(np.argmax(rec.data.by_user.counts))])[0]
    found = rec.recommend(user, n=10, seen=True)
    if not len(found) or not np.isfinite(found["score"].to_numpy()).all():
        raise BundleError(f"the model {rec.name} makes no list for its own user {user!r}; train it again")
    if rec.data.user_table is not None or rec.data.user_features is not None:
        feature_prior(rec)  # it is learned at first use
    rec.similar_items(item)
