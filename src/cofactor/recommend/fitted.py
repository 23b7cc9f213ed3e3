"""``Fitted``: the state after training, a model and its training rows. Functions of this package take a ``Fitted``."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, Self, TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cofactor._html import table_html
from cofactor.data.interactions import CSR, Features, Interactions
from cofactor.model import Model
from cofactor.recommend.groups import groups_of
from cofactor.recommend.ids import Items, Users
from cofactor.recommend.index import Index
from cofactor.recommend.rating_scale import Scale, scale_of
from cofactor.recommend.updates import Updates, as_rows

Array = NDArray[Any]
T = TypeVar("T")

TRIALS = {
    "model": pl.String,
    "config": pl.String,
    "metric": pl.String,
    "value": pl.Float64,
    "seconds": pl.Float64,
    "status": pl.String,
    "chosen": pl.Boolean,
    "held_out": pl.String,
}
"""Columns and types of ``Fitted.trials``."""
FIGURES = {
    "metric": pl.String,
    "value": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "n_users": pl.Int64,
    "n_rows": pl.Int64,
    "note": pl.String,
    "rows": pl.String,
    "measured": pl.String,
}
"""Columns and types of ``Fitted.figures``. ``rows`` describes the held-out rows; ``measured`` is a time (ISO, UTC)."""

_STATE = (
    "model",
    "data",
    "seed",
    "metrics",
    "history",
    "intervals",
    "rotation",
    "updates",
    "index",
    "trials",
    "figures",
)


def unrated(status: str) -> str:
    """Return the status of an item without training ratings, in the list of a user of this ``status``."""
    alone = {"known": "item without ratings", "user without ratings": "user and item without ratings"}
    return alone.get(status, f"{status}; item without ratings")


class Fitted:
    """The state after training: a model, its training data, and what was measured.

    Attributes:
        model: the trained model.
        data: the ratings it learned from. They show what a user has seen, and why an item is recommended.
        seed: the seed of the training.
        metrics: figures measured on held-out rows, by name.
        history: ``[train_loss, valid_loss]`` of each epoch.
        intervals: quantiles of held-out residuals, for models without a posterior.
        rotation: the orthogonal matrix (k, k) from the model's vectors to the axes of an earlier model.
        updates: the ratings that came after training.
        index: the index that finds candidates; None: exact search.
        trials: the trials of ``model="auto"``, a frame with the columns of ``TRIALS``; or None.
        figures: figures with their held-out rows and times, a frame with the columns of ``FIGURES``; or None. See
            :func:`cofactor.evaluation.with_figures`.
    """

    def __init__(
        self,
        model: Model,
        data: Interactions,
        *,
        seed: int = 0,
        metrics: Mapping[str, float] | None = None,
        history: Sequence[Sequence[float]] | None = None,
        intervals: Mapping[str, Array] | None = None,
        rotation: Array | None = None,
        updates: Updates | None = None,
        index: Index | None = None,
        trials: pl.DataFrame | None = None,
        figures: pl.DataFrame | None = None,
    ) -> None:
        self.model = model
        self.data = data
        self.seed = seed
        self.metrics = dict(metrics or {})
        self.history = [list(map(float, row)) for row in history or []]
        self.intervals = dict(intervals) if intervals else None
        self.rotation = rotation
        self.updates = updates or Updates()
        self.index = index
        self.trials = trials
        self.figures = figures
        self._memory: dict[Any, Any] = {}

    @classmethod
    def of(cls, fitted: Fitted) -> Self:
        """Return the same state as an object of this class. Cached results are shared; metrics and history are
        copied."""
        made = cls(**{name: getattr(fitted, name) for name in _STATE})
        made._memory = fitted._memory
        return made

    def replace(self, **changes: Any) -> Self:
        """Return the same state with new values of some fields, as :func:`dataclasses.replace`. Metrics and history are
        copied.

        Cached results are kept unless the model or the data change: none of them depends on other fields.
        """
        made = type(self)(**{name: getattr(self, name) for name in _STATE} | changes)
        if made.model is self.model and made.data is self.data:
            made._memory = self._memory
        return made

    def remember(self, key: Any, make: Callable[[], T]) -> T:
        """Return the cached result for ``key``; the first call computes it with ``make``. Results must depend only on
        the model and its data."""
        try:
            found: T = self._memory[key]
        except KeyError:
            found = self._memory[key] = make()
        return found

    @property
    def name(self) -> str:
        """The model's name in the registry."""
        return self.model.name

    def __repr__(self) -> str:
        newer = f", {self.updates.n_ratings:,} newer ratings" if self.updates.users else ""
        index = f", approximate: {self.index!r}" if self.index is not None else ""
        return f"<{type(self).__name__} {self.name} of {self.data!r}{newer}{index}>"

    def _repr_html_(self) -> str:
        data, config = self.data, self.model.config
        size = f"{len(data):,} {data.kind}, {data.n_users:,} users, {data.n_items:,} items"
        rows: list[tuple[str, str]] = [("trained on", f"{data.name}: {size}" if data.name else size)]
        if dataclasses.is_dataclass(config) and not isinstance(config, type):
            usual = ((f, getattr(config, f.name)) for f in dataclasses.fields(config))
            changed = [f"{f.name}={value!r}" for f, value in usual if value != f.default]
            rows += [("settings", ", ".join(changed))] if changed else []
        rows += [(name, f"{value:.4g}") for name, value in list(self.metrics.items())[:8]]
        rows += [("newer ratings", f"{self.updates.n_ratings:,}")] if self.updates.users else []
        rows += [("lists", repr(self.index))] if self.index is not None else []
        return table_html((), rows, f"{type(self).__name__}: {self.name}", left=2)

    @property
    def items(self) -> Items:
        """The items by id and title."""
        return self.remember("items", lambda: Items(self.data))

    @cached_property
    def users(self) -> Users:
        """The users by id, those of updates included."""
        return Users(self.data.user_ids, self.updates)

    @property
    def scale(self) -> Scale:
        """The scale of the training ratings: its ends, and the value of an item that was liked without a rating."""
        return self.remember("scale", lambda: scale_of(self.data, self.model.task))

    @property
    def is_personalised(self) -> bool:
        """Whether the order of the items depends on the user's ratings. A model with at most one number per user
        (``popular``, ``bias``) ranks the items alike for all users."""
        one = np.zeros(1, dtype=np.int32)
        return self.remember("is_personalised", lambda: bool(self.model.user_state(one).shape[1] > 1))

    def groups(self, column: str | None) -> Features:
        """Return the groups of each item, from a column of the item table."""
        return self.remember(("groups", column), lambda: groups_of(self.data, column))

    def item_columns(self, codes: Array) -> list[pl.Series]:
        """Return the columns ``item`` (ids) and, where the item table has titles, ``title``, for frames."""
        return self.items.columns(codes)

    def list_status(self, codes: Array, status: str) -> list[str]:
        """Return the status of each item of a list: the user's, with a remark on items without training ratings."""
        other = unrated(status)
        return [status if count else other for count in self.data.item_counts[codes].tolist()]

    def on_scale(self, scores: Array) -> Array:
        """Return scores as lists show them: a rating model's are clipped to the range of the ratings, as
        predictions."""
        return np.clip(scores, *self.data.range) if self.model.task == "rating" else scores

    def seen_by(self, users: Array) -> CSR:
        """Return the ratings of these users (codes), newer ratings included: one sparse row per user."""
        if not self.updates.users:
            return self.data.by_user.take(users)
        rows = []
        for code in np.asarray(users).tolist():
            newer = self.updates.users.get(code)
            rows.append(self.data.by_user.row(code) if newer is None else newer.history[:2])
        return as_rows(rows, self.data.n_items)
