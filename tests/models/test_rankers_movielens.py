"""The rankers on the published fold u1 of ml-100k (the five folds: benchmarks/accuracy/rankers.py)."""

from __future__ import annotations

import numpy as np
import pytest

from cofactor.data.interactions import Split
from cofactor.evaluation.metrics import ndcg
from cofactor.models import model_class


@pytest.mark.movielens
@pytest.mark.parametrize(("name", "floor"), [("popular", 0.24), ("item-cosine", 0.42), ("ease", 0.48), ("ials", 0.48)])
def test_ndcg_on_u1(ml100k_folds: list[Split], name: str, floor: float) -> None:
    train, test = ml100k_folds[0].train, ml100k_folds[0].valid
    cls = model_class(name)
    model = cls()
    stepper = model.stepper(train, np.random.default_rng(0))
    for _ in range(1 if model.kind == "solve" else model.config.epochs):
        stepper.run(None, None)
    good = test.values >= 4
    wanted = np.zeros((train.n_users, train.n_items), dtype=bool)
    wanted[test.users[good], test.items[good]] = True
    users = np.flatnonzero(wanted.any(axis=1))
    scores = model.scores(np.arange(train.n_users))
    scores[train.users, train.items] = -np.inf
    top = np.argsort(-scores[users], axis=1, kind="stable")[:, :10]
    hits = np.take_along_axis(wanted[users], top, axis=1)
    assert float(ndcg(hits, wanted[users].sum(axis=1)).mean()) >= floor
