"""Training that begins with the vectors of an earlier model instead of random ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from cofactor.data.ids import IdMap
from cofactor.errors import NotFittedError
from cofactor.model import HasFactors, State

if TYPE_CHECKING:
    from cofactor.recommend.recommender import Recommender
    from cofactor.train import Learner

Array = NDArray[Any]


def warm_start(learn: Learner, old: Recommender) -> bool:
    """Put the vectors (and biases) of an earlier model into a Learner that has not begun; whether that could be done.

    It can be where training goes in sweeps that solve (ALS and its like, which go on from any vectors to the same end)
    and the stepper's snapshot holds tables of users and items that begin with the model's factors. With gradient steps
    (a config with a learning rate) the number of epochs is part of what keeps a model from overfitting: going on from
    trained vectors cost ``warp`` 7 % of NDCG@10 on ml-100k. So these begin afresh.
    """
    if learn.stepper.kind != "sweep" or hasattr(learn.model.config, "lr"):
        return False
    if not isinstance(learn.model, HasFactors) or not isinstance(old.model, HasFactors):
        return False
    snapshot, found = learn.stepper.snapshot(), 0
    for which, ids, olds in (
        ("user", learn.train.user_ids, old.data.user_ids),
        ("item", learn.train.item_ids, old.data.item_ids),
    ):
        try:
            found += _fill(snapshot, learn.model, old.model, which, *_common(ids, olds))  # type: ignore[arg-type]
        except NotFittedError:  # a model whose vectors come only with training
            return False
    if found == 2:
        learn.stepper.restore(snapshot)
    return found == 2


def _common(ids: IdMap, olds: IdMap) -> tuple[Array, Array]:
    """Codes of the ids in both maps: in the one, and in the other."""
    theirs = olds.encode(ids.values)
    mine = np.flatnonzero(theirs >= 0)
    return mine, theirs[mine]


def _fill(
    snapshot: State, new: HasFactors, old: HasFactors, which: Literal["user", "item"], mine: Array, theirs: Array
) -> bool:
    """Write the old rows into the table of one side; False where no table, or more than one, could be it."""
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
