"""The Recommender: a trained model, the ratings it learned from, and everything one asks of them.

A small class over functions: each method looks ids up, calls one function, and gives a polars frame.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cofactor.data.interactions import CSR, Interactions
from cofactor.errors import ConfigError
from cofactor.model import HasFactors, Interval, Model, Posterior
from cofactor.recommend import lookup
from cofactor.recommend.predicting import Unknown, predict_frame
from cofactor.recommend.similar import item_similarity, shared_raters
from cofactor.recommend.topn import top_n

if TYPE_CHECKING:
    from cofactor.explain import Explanation
    from cofactor.train import Learner

Array = NDArray[Any]


class Recommender:
    """What :func:`cofactor.fit` gives and :func:`cofactor.load` reads back.

    ``model`` is the trained model, ``data`` the ratings it learned from (they say what a user has seen, and why an item
    is recommended), ``metrics`` what was measured on held-out rows, ``history`` a ``[train_loss, valid_loss]`` for each
    epoch, ``intervals`` the quantiles of held-out residuals for models that have no posterior.
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
    ) -> None:
        self.model = model
        self.data = data
        self.seed = seed
        self.metrics = dict(metrics or {})
        self.history = [list(map(float, row)) for row in history or []]
        self.intervals = dict(intervals) if intervals else None

    @classmethod
    def of_learner(cls, learn: Learner) -> Self:
        """Around the model of a Learner, with the losses it recorded."""
        history = learn.recorder.values
        loss = getattr(learn.model.config, "loss", "mse")
        metrics = {f"valid_{loss}": history[-1][1]} if history and np.isfinite(history[-1][1]) else {}
        return cls(learn.model, learn.train, seed=learn.seed, history=history, metrics=metrics)

    @property
    def name(self) -> str:
        """The model's name in the registry."""
        return self.model.name

    def __repr__(self) -> str:
        return f"<Recommender {self.name} of {self.data!r}>"

    # ---- predictions

    def predict(
        self,
        pairs: Iterable[tuple[Any, Any]] | pl.DataFrame,
        *,
        interval: bool = False,
        level: float = 0.9,
        times: Sequence[int] | None = None,
        unknown: Unknown = "error",
    ) -> pl.DataFrame:
        """Predictions for (user, item) pairs: a frame user, item, prediction[, low, high], status.

        ``interval`` adds bounds that should hold ``level`` of true ratings. ``unknown`` says what to do with ids that
        were not in training: ``error``, ``skip`` (leave the row out), or ``popular`` (predict without knowing the user
        or item, and say so in ``status``). ``times`` are seconds since 1970, for models that use time.
        """
        return predict_frame(self, pairs, interval=interval, level=level, times=times, unknown=unknown)

    def predict_codes(self, users: Array, items: Array, times: Array | None = None) -> Array:
        """float32 predictions for codes of the training data (-1: not known)."""
        return self.model.predict(users, items, times)

    def predict_interval(self, users: Array, items: Array, level: float = 0.9, times: Array | None = None) -> Interval:
        """Predictions with bounds, from the posterior where the model has one, or else from held-out residuals."""
        if isinstance(self.model, Posterior):
            return self.model.predict_interval(users, items, level, times)
        if self.model.task == "ranking":
            raise ConfigError(f"{self.name} ranks items; its scores are no ratings and have no interval")
        if self.intervals is None:
            raise ConfigError(
                "this model has no posterior and no held-out residuals to make intervals from; "
                "fit it with cofactor.fit(..., calibrate=True)"
            )
        from cofactor.evaluate.intervals import residual_interval

        return residual_interval(self.intervals, self.predict_codes(users, items, times), level)

    # ---- recommendations

    def recommend(
        self,
        user: Any = None,
        *,
        history: Mapping[Any, float] | Iterable[Any] | None = None,
        n: int = 10,
        seen: bool = False,
        allow: Iterable[Any] | None = None,
        deny: Iterable[Any] | None = None,
        unknown: Unknown = "error",
    ) -> pl.DataFrame:
        """The ``n`` best items for a user of the training data, or for anybody with a ``history``.

        A frame rank, item, [title,] score, reason.
        ``history`` maps items to ratings (or lists items that were liked); nothing is retrained. Seen items are left
        out unless ``seen=True``. ``allow`` keeps only these items, ``deny`` leaves these out.
        """
        from cofactor.recommend.recommending import recommend_frame

        return recommend_frame(self, user, history=history, n=n, seen=seen, allow=allow, deny=deny, unknown=unknown)

    def recommend_all(self, n: int = 10, *, out: str | Path | None = None, seen: bool = False) -> pl.DataFrame | None:
        """The ``n`` best items for every user: a frame user, rank, item, score, or a Parquet file ``out``."""
        from cofactor.recommend.everybody import recommend_all

        return recommend_all(self, n, out=out, seen=seen)

    # ---- what it learned

    def similar_items(self, item: Any, n: int = 10) -> pl.DataFrame:
        """The ``n`` items nearest to one: a frame rank, item, similarity, shared_raters."""
        code = lookup.item_code(self.data, item)
        row = item_similarity(self.model, self.data, np.array([code]))
        row[0, code] = -np.inf
        codes, values = top_n(row, n)
        kept = codes[0] >= 0
        found = codes[0][kept]
        frame = pl.DataFrame({"rank": np.arange(1, len(found) + 1, dtype=np.int32)})
        return frame.with_columns(
            *self.item_columns(found),
            pl.Series("similarity", values[0][kept]),
            pl.Series("shared_raters", shared_raters(self.data, code, found)),
        )

    def biases(self, n: int = 5, which: Literal["item", "user"] = "item") -> pl.DataFrame:
        """The ``n`` lowest and ``n`` highest biases: a frame end, item (or user), bias, ratings.

        A low one is disliked whoever rates; the highest come first among the highest.
        """
        bias = self._with_factors().bias(which)
        view = self.data.by_item if which == "item" else self.data.by_user
        rated = np.flatnonzero(view.counts > 0)
        order = rated[np.argsort(bias[rated], kind="stable")]
        n = min(n, len(order) // 2) if len(order) > 1 else len(order)
        codes = np.concatenate([order[:n], order[::-1][:n]])
        ids = self.item_columns(codes) if which == "item" else [self.data.user_ids.decode(codes).alias("user")]
        return pl.DataFrame({"end": ["lowest"] * n + ["highest"] * (len(codes) - n)}).with_columns(
            *ids, pl.Series("bias", bias[codes]), pl.Series("ratings", view.counts[codes])
        )

    def embeddings(self, which: Literal["item", "user"] = "item") -> pl.DataFrame:
        """The learned vectors: a frame id, bias, factors (a fixed-size list of float32)."""
        model = self._with_factors()
        ids = self.data.item_ids if which == "item" else self.data.user_ids
        factors = np.ascontiguousarray(model.factors(which), dtype=np.float32)
        vectors = pl.Series("factors", factors, dtype=pl.Array(pl.Float32, factors.shape[1]))
        return pl.DataFrame([ids.values.alias("id"), pl.Series("bias", model.bias(which)), vectors])

    def explain(self, user: Any, item: Any, *, n: int = 5) -> Explanation:
        """Why this user gets this prediction for this item: terms that sum to it, and the nearest rated items."""
        from cofactor.explain import explain

        return explain(self, self.data.user_ids.index(user), lookup.item_code(self.data, item), n=n)

    # ---- files

    def save(self, path: str | Path) -> None:
        """Write a bundle (a directory that ends in ``.cofactor`` by custom) that :func:`cofactor.load` reads."""
        from cofactor.bundle import save

        save(self, path)

    # ---- helpers for the functions behind the methods

    def item_columns(self, codes: Array) -> list[pl.Series]:
        """``item`` ids and, where the side table names them, ``title``, for frames."""
        columns = [self.data.item_ids.decode(codes).alias("item")]
        names = lookup.titles(self.data)
        if names is not None:
            columns.append(names.gather(codes).alias("title"))
        return columns

    def seen_by(self, users: Array) -> CSR:
        """What these users (codes) rated, a row each."""
        return self.data.by_user.take(users)

    def _with_factors(self) -> HasFactors:
        if not isinstance(self.model, HasFactors):
            raise ConfigError(f"{self.name} has no factors or biases to show; try bias, als, dot-bias or bayes-mf")
        return self.model
