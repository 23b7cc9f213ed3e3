"""Training again on more ratings, with vectors that stay comparable with the old ones."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cofactor._checks import truth
from cofactor.data.ids import IdMap
from cofactor.data.interactions import CSR, Features, Interactions
from cofactor.errors import ConfigError
from cofactor.model import HasFactors
from cofactor.recommend.warm import by_gradient, shortened

if TYPE_CHECKING:
    from cofactor.recommend.recommender import Recommender

Array = NDArray[Any]


def refit(
    rec: Recommender, ratings: Any, seed: int, warm: bool | None, verbose: bool, changes: dict[str, Any]
) -> Recommender:
    """The work of :meth:`Recommender.refit`."""
    from cofactor.fitting import _calibrate as calibrate
    from cofactor.fitting import fit
    from cofactor.models import REGISTRY

    if rec.name not in REGISTRY:
        raise ConfigError(f"{rec.name} is a module of your own, which only your code can make; train it by a Learner")
    if warm is not None:
        truth("warm", warm)
    old = rec.model.config
    going_on = not by_gradient(old) if warm is None else warm
    config = {f.name: getattr(old, f.name) for f in dataclasses.fields(old)}
    shorter = shortened(old) if going_on else {}
    data = enlarged(rec) if ratings is None else ratings
    found = fit(
        data,
        model=rec.name,
        seed=seed,
        calibrate=rec.intervals is not None and not shorter,
        warm_from=rec if going_on else None,
        verbose=verbose,
        **config | shorter | changes,
    )
    began = found.metrics.setdefault("warm_start", 0.0)
    if shorter:
        if not began:  # there was nothing to go on from, so it needs its usual epochs
            return refit(rec, ratings, seed, False, verbose, changes)
        usual = {name: getattr(old, name) for name in shorter if name not in changes}
        found.model.config = dataclasses.replace(found.model.config, **usual)
        if rec.intervals is not None and len(found.data) >= 100:  # by a model with the usual epochs, as ever
            calibrate(found, found.data, rec.name, config | changes, seed)
    if verbose and not began:
        print(f"trained afresh: {_why(rec, going_on)}")
    rotation, drift = turned(rec, found)
    found.rotation = rotation
    if np.isfinite(drift):
        found.metrics["drift"] = drift
    return found


def _why(rec: Recommender, going_on: bool) -> str:
    """Why training did not go on from the old vectors, in words."""
    if not going_on and by_gradient(rec.model.config):
        return f"{rec.name} learns by gradient steps, and is a little worse when it goes on; warm=True does it anyhow"
    return f"{rec.name} has no vectors that training could go on from"


def turned(old: Recommender, new: Recommender) -> tuple[Array | None, float]:
    """(rotation (k, k), drift): what turns the new vectors onto the old ones, by the items rated in both.

    (None, NaN) where there are no vectors, or too few common items to tell. No rotation where nobody is shown vectors
    (``item_rows``, as in ``neural``): the drift alone.
    """
    before, after = _item_rows(old.model), _item_rows(new.model)
    if before is None or after is None:
        return None, float("nan")
    rated = np.flatnonzero(old.data.by_item.counts > 0).astype(np.int32)
    theirs = new.data.item_ids.encode(old.data.item_ids.decode(rated))
    both = (theirs >= 0) & (new.data.by_item.counts[np.maximum(theirs, 0)] > 0)
    a, b = after[theirs[both]], before[rated[both]]
    if a.shape[1] == 0 or a.shape[1] != b.shape[1] or len(a) <= a.shape[1]:
        return None, float("nan")
    b = b if old.rotation is None else b @ old.rotation
    rotation = procrustes(a, b)
    return rotation if isinstance(new.model, HasFactors) else None, mean_turn(a @ rotation, b)


def _item_rows(model: Any) -> Array | None:
    """The item vectors (n_items, k) by which two models are compared."""
    if isinstance(model, HasFactors):
        return model.factors("item")
    found: Array | None = model.item_rows() if hasattr(model, "item_rows") else None
    return found


def procrustes(a: Array, b: Array) -> Array:
    """float32 (k, k), orthogonal: the one that brings the rows of ``a`` nearest to those of ``b`` (Schönemann 1966)."""
    left, _, right = np.linalg.svd(a.astype(np.float64).T @ b.astype(np.float64))
    found: Array = (left @ right).astype(np.float32)
    return found


def mean_turn(a: Array, b: Array) -> float:
    """The mean of 1 - cosine between rows; rows of zeros do not count."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    length = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    some = length > 0
    return float(np.mean(1 - (a * b).sum(axis=1)[some] / length[some])) if some.any() else 0.0


def enlarged(rec: Recommender) -> Interactions:
    """The training data with the newer ratings: those of a pair that was rated before take its place."""
    data, overlay = rec.data, rec.overlay
    if not overlay.users:
        return data
    newer = [(code, t.items[t.new], t.values[t.new], t.times[t.new]) for code, t in overlay.users.items()]
    users = np.concatenate([np.full(len(items), code, np.int32) for code, items, _, _ in newer])
    items, values, times = (np.concatenate([n[at] for n in newer]) for at in (1, 2, 3))
    pair = data.users.astype(np.int64) * data.n_items + data.items
    kept = ~np.isin(pair, users.astype(np.int64) * data.n_items + items)
    ids, new = data.user_ids, list(overlay.new_ids)
    all_ids = pl.concat([ids.values, pl.Series(ids.values.name, new, dtype=ids.values.dtype)])
    when = None
    if data.times is not None:  # a rating without a time counts as the latest
        latest = max(int(data.times.max(initial=0)), int(times.max(initial=0)))
        when = np.concatenate([data.times[kept], np.where(times < 0, latest, times)])
    return data.but(
        users=np.concatenate([data.users[kept], users]),
        items=np.concatenate([data.items[kept], items]),
        values=np.concatenate([data.values[kept], values]),
        times=when,
        user_ids=IdMap(all_ids, ids.kind),
        user_table=_longer(data.user_table, all_ids),
        user_features=_more_rows(data.user_features, len(new)),
    )


def _longer(table: pl.DataFrame | None, ids: pl.Series) -> pl.DataFrame | None:
    """The same side table with rows of nulls for users that it does not have."""
    if table is None:
        return None
    return pl.DataFrame({table.columns[0]: ids}).join(table, on=table.columns[0], how="left", maintain_order="left")


def _more_rows(features: Features | None, n: int) -> Features | None:
    """The same features with ``n`` empty rows at the end."""
    if features is None or n == 0:
        return features
    m = features.matrix
    indptr = np.concatenate([m.indptr, np.full(n, m.indptr[-1])])
    return Features(CSR(indptr, m.indices, m.values, m.rows, m.n_cols), features.names)
