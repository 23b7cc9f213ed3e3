"""Repeats that are kept (``duplicates="all"``): every model learns finite numbers from pairs that stand often."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import cofactor as cf
from cofactor.data.interactions import Interactions, csr
from cofactor.models.bayes_mf.chain import make_design, rated_cells
from toys import SMALL_BAYES

QUICK = {
    "bayes-mf": {name: getattr(SMALL_BAYES, name) for name in ("n_factors", "epochs", "burn_in", "n_samples")},
    "neural": {"epochs": 1},
}


@pytest.fixture(scope="module")
def often() -> Interactions:
    """200 ratings of 0 or 1 of 20 users and 10 items: each pair about once, many three times or more."""
    rng = np.random.default_rng(2)
    columns = {name: rng.integers(0, n, 200) for name, n in (("user", 20), ("item", 10), ("rating", 2))}
    columns["time"] = rng.integers(10**9, 10**9 + 10**7, 200)
    return cf.read(pl.DataFrame(columns), kind="ratings", duplicates="all")


@pytest.mark.parametrize("model", cf.list_models()["model"])
def test_every_model_learns_from_repeats(model: str, often: Interactions) -> None:
    if model == "neural":
        pytest.importorskip("torch")
    rec = cf.fit(often, model=model, seed=0, **QUICK.get(model, {}))
    scores = rec.model.scores(np.arange(often.n_users, dtype=np.int32))
    assert np.isfinite(scores).all()
    if rec.model.task == "rating":
        predicted = rec.model.predict(often.users, often.items, often.times)
        assert np.mean((predicted - often.values) ** 2) < 1.3 * np.var(often.values)


def test_a_pair_that_stands_twice_is_one_cell_of_the_design() -> None:
    users, items = np.array([0, 0, 0, 1]), np.array([2, 2, 0, 1])
    once = csr(users, items, np.ones(4, np.float32), 2, 3)
    rows, cols, values = rated_cells(once)
    assert list(zip(rows.tolist(), cols.tolist(), strict=True)) == [(0, 0), (0, 2), (1, 1)]
    np.testing.assert_allclose(values, [1 / np.sqrt(3), 2 / np.sqrt(3), 1.0])
    design = make_design(once, None, [])
    assert design is not None
    np.testing.assert_allclose(design.squares, [1 / 3, 1.0, 4 / 3], rtol=1e-6)
