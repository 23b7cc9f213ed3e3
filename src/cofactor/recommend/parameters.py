"""Parameters of a model as frames: biases and vectors."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cofactor._blas import one_thread
from cofactor._validate import check_choice, check_int
from cofactor.errors import ConfigError
from cofactor.model import HasFactors
from cofactor.recommend.fitted import Fitted

Array = NDArray[Any]
Side = Literal["item", "user"]


def biases_frame(rec: Fitted, n: int, which: Side) -> pl.DataFrame:
    """Implement :meth:`Recommender.biases`."""
    check_choice("which", which, "item", "user")
    check_int("n", n, 0)
    bias = _with_factors(rec).bias(which)
    if rec.model.task == "ranking" and not bias.any():
        raise ConfigError(f"{rec.name} learns no {which} biases; use bias, als, dot-bias or bayes-mf")
    view = rec.data.by_item if which == "item" else rec.data.by_user
    rated = np.flatnonzero(view.counts > 0)
    order = rated[np.argsort(bias[rated], kind="stable")]
    n = min(n, len(order) // 2) if len(order) > 1 else len(order)
    codes = np.concatenate([order[:n], order[::-1][:n]])
    ids = rec.item_columns(codes) if which == "item" else [rec.data.user_ids.decode(codes).alias("user")]
    return pl.DataFrame({"end": ["lowest"] * n + ["highest"] * (len(codes) - n)}).with_columns(
        *ids, pl.Series("bias", bias[codes]), pl.Series("ratings", view.counts[codes])
    )


@one_thread()
def embeddings_frame(rec: Fitted, which: Side) -> pl.DataFrame:
    """Implement :meth:`Recommender.embeddings`."""
    check_choice("which", which, "item", "user")
    model = _with_factors(rec)
    ids = rec.data.item_ids if which == "item" else rec.data.user_ids
    factors = np.ascontiguousarray(model.factors(which), dtype=np.float32)
    factors = factors if rec.rotation is None else factors @ rec.rotation
    vectors = pl.Series("factors", factors, dtype=pl.Array(pl.Float32, factors.shape[1]))
    return pl.DataFrame([ids.values.alias("id"), pl.Series("bias", model.bias(which)), vectors])


def _with_factors(rec: Fitted) -> HasFactors:
    if not isinstance(rec.model, HasFactors):
        raise ConfigError(f"{rec.name} has no factors or biases to show; use bias, als, dot-bias or bayes-mf")
    return rec.model
