"""Start training from the vectors of an earlier model instead of random ones."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cofactor.data.ids.id_map import IdMap
from cofactor.errors import NotFittedError
from cofactor.model import HasFactors, State, WarmStart
from cofactor.models.base.config import ContinuedConfig, GradientConfig
from cofactor.recommend.fitted import Fitted
from cofactor.train.learner import Learner

Array = NDArray[Any]


def by_gradient(config: Any) -> bool:
    """Return whether a model with this config learns by gradient steps."""
    return isinstance(config, GradientConfig)


def continued(config: Any) -> dict[str, Any]:
    """Return the config changes of a run that starts from trained vectors. There are none unless the config names
    some."""
    found: dict[str, Any] = config.continued() if isinstance(config, ContinuedConfig) else {}
    return found


def warm_start(learn: Learner, old: Fitted) -> bool:
    """Put the vectors (and biases) of an earlier model into a Learner that has not started. Returns whether that was
    possible.

    It is possible in three cases: training solves in sweeps (ALS and its like), and the stepper's snapshot holds tables
    of users and items that begin with the model's factors; the model's factors are the weights that gradient steps
    change; or the model has its own way (``WarmStart``, such as ``neural`` and ``bayes-mf``).
    """
    if type(learn.model) is not type(old.model):
        return False
    stepper = learn.stepper  # starts the run, so that there are arrays to write into
    sides = (
        (learn.train.user_ids, old.data.user_ids, old.data.by_user.counts),
        (learn.train.item_ids, old.data.item_ids, old.data.by_item.counts),
    )
    users, items = (_common(ids, olds, counts) for ids, olds, counts in sides)
    if isinstance(learn.model, WarmStart):
        before: Any = old.model  # of the same class
        return learn.model.begin_from(stepper, before, users, items)
    if not isinstance(learn.model, HasFactors) or not isinstance(old.model, HasFactors):
        return False
    try:
        if by_gradient(learn.model.config):
            return _overwrite(learn.model, old.model, "user", *users) and _overwrite(
                learn.model, old.model, "item", *items
            )
        if learn.model.kind != "sweep":
            return False
        snapshot = stepper.snapshot()
        found = _fill(snapshot, learn.model, old.model, "user", *users)
        found = _fill(snapshot, learn.model, old.model, "item", *items) and found
    except NotFittedError:  # a model that has vectors only after training
        return False
    if found:
        stepper.restore(snapshot)
    return found


def _overwrite(new: HasFactors, old: HasFactors, which: Literal["user", "item"], mine: Array, theirs: Array) -> bool:
    """Write the old rows over the weights. Returns False if the widths differ, or if the factors are not the
    weights."""
    if new.factors(which).shape[1] != old.factors(which).shape[1] or not new.factors(which).flags.writeable:
        return False
    rows, bias = old.factors(which)[theirs], old.bias(which)[theirs]
    new.factors(which)[mine] = rows
    if new.bias(which).flags.writeable:
        new.bias(which)[mine] = bias
    return np.array_equal(new.factors(which)[mine], rows)


def _common(ids: IdMap, olds: IdMap, counts: Array) -> tuple[Array, Array]:
    """Return the codes of the ids in both maps that had ratings before (``counts``): in the one, and in the other."""
    theirs = olds.encode(ids.values)
    mine = np.flatnonzero((theirs >= 0) & (counts[np.maximum(theirs, 0)] > 0))
    return mine, theirs[mine]


def _fill(
    snapshot: State, new: HasFactors, old: HasFactors, which: Literal["user", "item"], mine: Array, theirs: Array
) -> bool:
    """Write the old rows into the table of one side. Returns False unless exactly one table qualifies."""
    factors, bias, before = new.factors(which), new.bias(which), old.factors(which)
    n, k = factors.shape
    if not k or before.shape[1] != k:
        return False
    tables = [a for a in snapshot.values() if a.ndim == 2 and len(a) == n and a.shape[1] >= k]
    tables = [a for a in tables if np.array_equal(a[:, :k], factors)]
    if len(tables) != 1:
        return False
    table = tables[0]
    table[mine, :k] = before[theirs]
    if table.shape[1] > k and np.array_equal(table[:, k], bias) and bias.any():
        table[mine, k] = old.bias(which)[theirs]
    return True
