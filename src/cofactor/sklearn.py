"""Models as scikit-learn estimators, for ``cross_val_score``, ``GridSearchCV`` and pipelines.

``X`` has two columns, users and items, a row for each pair; ``y`` the ratings. Needs scikit-learn.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cofactor.api.fit import fit
from cofactor.data.read import read
from cofactor.errors import ConfigError, DataError, MissingExtraError
from cofactor.models import model_class
from cofactor.recommend.options import Unknown
from cofactor.recommender import Recommender

try:
    from sklearn.base import BaseEstimator, RegressorMixin
    from sklearn.utils.validation import check_is_fitted
except ImportError as exc:  # pragma: no cover - scikit-learn is in the dev extra
    raise MissingExtraError("scikit-learn", "sklearn", "cofactor.sklearn") from exc

__all__ = ["CofactorRegressor"]
USER, ITEM, RATING, WEIGHT = "user", "item", "rating", "weight"


class CofactorRegressor(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """A model of ratings (or a ranker, whose predictions are scores) that learns from pairs.

    ``model`` is a name such as ``"als"``; ``config`` are fields of its config (``n_factors=50``). ``unknown`` chooses
    the result for users and items without training rows: the prediction for an average one (``"popular"``), or an
    ``"error"``. After ``fit``, ``recommender_`` is the :class:`cofactor.Recommender`.
    """

    def __init__(self, model: str = "als", *, seed: int = 0, unknown: Unknown = "popular", **config: Any) -> None:
        self.model = model
        self.seed = seed
        self.unknown = unknown
        self.config = config

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters: ``model``, ``seed``, ``unknown``, and every field of the model's config."""
        own = {"model": self.model, "seed": self.seed, "unknown": self.unknown}
        return {**own, **_defaults(self.model), **self.config}

    def set_params(self, **params: Any) -> Self:
        """Set some of the parameters; ConfigError for a name that neither the estimator nor the model has.

        A change of ``model`` drops parameters that the new model lacks, and parameters at the old model's defaults, so
        that a grid can try several models.
        """
        old, before = self.model, _defaults(self.model)
        for name in ("model", "seed", "unknown"):
            if name in params:
                setattr(self, name, params.pop(name))
        known = _defaults(self.model)
        if self.model != old:  # another model: keep the settings that both models have
            self.config = {
                name: value
                for name, value in self.config.items()
                if name not in before or (name in known and value != before[name])
            }
        for name in params:
            if name not in known:
                raise ConfigError(f"{self.model} has no parameter {name!r}; it has {', '.join(known)}")
        self.config = {**self.config, **params}
        return self

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Train on pairs ``X`` (n, 2) with ratings ``y`` (n,); without ``y`` every rating is 1.

        ``sample_weight`` (n,) are weights of the rows, as ``weight=`` of :func:`cofactor.read`; ConfigError from models
        that do not support weights. The names of a frame's columns are kept in ``feature_names_in_``.
        """
        pairs = _pairs(X)
        if y is not None:
            ratings = np.asarray(y)
            if ratings.shape != (len(pairs),):
                raise DataError(f"y has shape {ratings.shape}; give a rating for each of the {len(pairs)} rows of X")
            pairs = pairs.with_columns(pl.Series(RATING, ratings))
        if sample_weight is not None:
            weights = np.asarray(sample_weight)
            if weights.shape != (len(pairs),):
                raise DataError(
                    f"sample_weight has shape {weights.shape}; give a weight for each of the {len(pairs)} rows of X"
                )
            pairs = pairs.with_columns(pl.Series(WEIGHT, weights))
        data = read(
            pairs,
            USER,
            ITEM,
            False if y is None else RATING,
            False,
            weight=None if sample_weight is None else WEIGHT,
        )
        self.recommender_: Recommender = fit(data, model=self.model, seed=self.seed, **self.config)
        self.n_features_in_ = 2
        named = _names(X)
        if named is not None:
            self.feature_names_in_ = np.asarray(named, dtype=object)
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_  # from an earlier fit
        return self

    def predict(self, X: Any) -> NDArray[np.float32]:
        """Return predicted ratings (a ranker's scores), float32 (n,), of pairs ``X`` (n, 2).

        DataError where the names or the order of a frame's columns differ from those in ``fit``.
        """
        check_is_fitted(self, "recommender_")
        named, before = _names(X), getattr(self, "feature_names_in_", None)
        if named is not None and before is not None and named != list(before):
            raise DataError(f"X has the columns {', '.join(named)}; give those of fit, in order: {', '.join(before)}")
        found = self.recommender_.predict(_pairs(X), unknown=self.unknown)
        return found["prediction"].to_numpy()


def _defaults(model: str) -> dict[str, Any]:
    """Return the fields of a model's config with their defaults."""
    if model in ("auto", "auto-ranking"):
        return {}
    config = model_class(model).Config()
    return {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}


def _names(X: Any) -> list[str] | None:
    """Return the names of a frame's columns; None where they are not all text, or X is an array."""
    names = list(X.columns) if hasattr(X, "columns") else []
    return names if names and all(isinstance(name, str) for name in names) else None


def _pairs(X: Any) -> pl.DataFrame:
    """Return X as two columns, user and item, that keep the types of the ids."""
    if hasattr(X, "iloc"):  # pandas: column by column, so that integers beside text stay integers
        columns = [X.iloc[:, k].to_numpy() for k in range(X.shape[1])]
    elif isinstance(X, pl.DataFrame):
        columns = [X.to_series(k) for k in range(X.width)]
    else:
        table = np.asarray(X)
        if table.ndim != 2:
            raise DataError(f"X has {table.ndim} dimensions; give two columns, users and items")
        columns = [table[:, k] for k in range(table.shape[1])]
    if len(columns) != 2:
        raise DataError(f"X has {len(columns)} columns; give two, users and items")
    return pl.DataFrame([_column(name, column) for name, column in zip((USER, ITEM), columns, strict=True)])


def _column(name: str, values: Any) -> pl.Series:
    if isinstance(values, np.ndarray) and values.dtype == object:
        return pl.Series(name, values.tolist())
    return pl.Series(name, values)
