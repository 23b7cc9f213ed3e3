"""Train again on more ratings, with vectors that stay comparable to the old ones."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cofactor._blas import one_thread
from cofactor._progress import say
from cofactor._validate import check_bool
from cofactor.data import splits
from cofactor.data.features.with_features import with_features
from cofactor.data.interactions import Features, Interactions, Split
from cofactor.data.rows.repeats import merged
from cofactor.data.rows.rows import without_case
from cofactor.errors import ConfigError, DataError
from cofactor.fitting.calibrate import calibrate_intervals
from cofactor.fitting.fit import fit_named, prepared
from cofactor.fitting.warm import by_gradient, continued
from cofactor.model import HasFactors, HasItemVectors
from cofactor.models import is_registered
from cofactor.models.base.procrustes import mean_turn, procrustes
from cofactor.recommend.fitted import Fitted
from cofactor.recommend.update import enlarged

Array = NDArray[Any]


def refit(rec: Fitted, ratings: Any, seed: int, warm: bool | None, verbose: bool, changes: dict[str, Any]) -> Fitted:
    """Do the work of :meth:`Recommender.refit`."""
    if not is_registered(rec.name):
        raise ConfigError(f"{rec.name} is a module of your own, which only your code can make; train it by a Learner")
    check_bool("verbose", verbose)
    if warm is not None:
        check_bool("warm", warm)
    old = rec.model.config
    going_on = not by_gradient(old) if warm is None else warm
    config = {f.name: getattr(old, f.name) for f in dataclasses.fields(old)}
    shorter = continued(old) if going_on else {}
    changes = dict(changes)
    features = (changes.pop(name, None) for name in ("user_features", "item_features"))
    data = prepared(enlarged(rec) if ratings is None else ratings, *features)
    train, valid = (data.train, data.valid) if isinstance(data, Split) else (data, None)
    found = fit_named(
        train,
        rec.name,
        seed=seed,
        valid=valid,
        calibrate=rec.intervals is not None and not shorter,
        warm_from=rec if going_on else None,
        verbose=verbose,
        **config | shorter | changes,
    )
    began = found.metrics.setdefault("warm_start", 0.0)
    if shorter:
        if not began:  # it could not start from the old vectors, so it needs its usual epochs
            return refit(rec, data, seed, False, verbose, changes)
        usual = {name: getattr(old, name) for name in shorter if name not in changes}
        found.model.config = dataclasses.replace(found.model.config, **usual)
        if rec.intervals is not None and len(found.data) >= 100:  # otherwise a model with the usual epochs
            calibrate_intervals(found, dataclasses.replace(old, **changes))
    if verbose and not began:
        say(f"trained from random values: {_why(rec, going_on)}")
    rotation, drift = turned(rec, found)
    found.rotation = rotation
    if np.isfinite(drift):
        found.metrics["embedding_shift"] = drift
    return found


def with_newer(old: Interactions, newer: Interactions) -> Interactions:
    """Return the rows of both tables, with new users and items. Rows of the same user and item are merged as in
    ``old``: the last rating counts, and counts are summed.

    Side tables and features are kept; users and items that only ``newer`` knows have none. Raises DataError if the ids
    of ``newer`` are written differently, so that users or items would be duplicated.
    """
    _check_same_ids(old, newer)
    parts = splits.given(old.events, newer.events)
    times = None
    if old.times is not None and parts.train.times is not None:  # a row without a time counts as the latest
        latest = np.full(len(parts.valid), old.times.max(initial=0))
        times = np.concatenate([parts.train.times, latest if parts.valid.times is None else parts.valid.times])
    weights = None
    if parts.train.weights is not None or parts.valid.weights is not None:
        weights = np.concatenate(
            [np.ones(len(p), np.float32) if p.weights is None else p.weights for p in (parts.train, parts.valid)]
        )
    both = parts.train.replace(
        users=np.concatenate([parts.train.users, parts.valid.users]),
        items=np.concatenate([parts.train.items, parts.valid.items]),
        values=np.concatenate([parts.train.values, parts.valid.values]),
        times=times,
        weights=weights,
        kind=old.kind,
        duplicates=old.duplicates,
    )
    data = merged(both).replace(notes=old.notes)
    user, item = (_columns_of(features) for features in (old.user_features, old.item_features))
    return with_features(data, user=user, item=item) if user or item else data


def _check_same_ids(old: Interactions, newer: Interactions) -> None:
    """Raise DataError if no id of the newer rows is known, or if most differ from known ones only in case, blanks or
    leading zeros."""
    strange: dict[str, pl.Series] = {}
    for side in ("user", "item"):
        mine, theirs = getattr(old, f"{side}_ids"), getattr(newer, f"{side}_ids")
        if mine.dtype != theirs.dtype:
            return  # reported elsewhere
        strange[side] = theirs.values.filter(pl.Series(mine.encode(theirs.values) < 0))
        if mine.dtype == pl.String and 2 * len(strange[side]) > len(theirs):
            for spelled, apart in (
                (without_case, "case and blanks"),
                (_without_zeros, "leading zeros"),
            ):
                twins = strange[side].filter(spelled(strange[side]).is_in(spelled(mine.values).implode()))
                if 2 * len(twins) > len(theirs):
                    raise DataError(
                        f"{len(twins):,} of the {len(theirs):,} {side}s of the newer rows, such as {twins[0]!r},"
                        f" differ from known ones only in {apart}, and would be duplicates; write them as in the"
                        " training data"
                    )
    users, items = strange["user"], strange["item"]
    if len(users) < newer.n_users or len(items) < newer.n_items:
        return
    swapped = old.user_ids.dtype == old.item_ids.dtype and (
        (old.item_ids.encode(users) >= 0).any() and (old.user_ids.encode(items) >= 0).any()
    )
    hint = (
        "the columns of users and items seem to be swapped; name them with user=... and item=... (on the command line"
        " --user, --item)"
        if swapped
        else "check the columns and how ids are written, or fit a model to both tables together"
    )
    raise DataError(
        f"no user and no item of the newer rows is in the training data (user {users[0]!r}, item {items[0]!r}); {hint}"
    )


def _without_zeros(ids: pl.Series) -> pl.Series:
    return ids.str.strip_chars_start("0")


def _columns_of(features: Features | None) -> list[str] | None:
    """Return the columns of a side table that features were made from."""
    return None if features is None else list(dict.fromkeys(name.partition("=")[0] for name in features.names))


def _why(rec: Fitted, going_on: bool) -> str:
    """Return, in words, why training did not start from the old vectors."""
    if not going_on and by_gradient(rec.model.config):
        return (
            f"{rec.name} learns by gradient steps, and gets slightly worse when it starts from old vectors;"
            " warm=True does so anyway"
        )
    return f"{rec.name} has no vectors that training could start from"


@one_thread()
def turned(old: Fitted, new: Fitted) -> tuple[Array | None, float]:
    """Return (rotation (k, k), drift): the rotation of the new vectors onto the old ones, fitted on items rated in
    both.

    (None, NaN) if there are no vectors, or too few common items. The rotation is None, and only the drift returned, if
    users never see the vectors (``HasItemVectors``, such as ``neural``).
    """
    before, after = _vectors_of(old.model), _vectors_of(new.model)
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


def _vectors_of(model: Any) -> Array | None:
    """Return the item vectors (n_items, k) by which two models are compared."""
    if isinstance(model, HasFactors):
        return model.factors("item")
    return model.item_embedding() if isinstance(model, HasItemVectors) else None
