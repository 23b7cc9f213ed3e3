"""``bayes-mf``, a chain a worker: the bits of one process, with and without times, features, grades."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import cofactor as cf
from cofactor import engines
from cofactor.data.features.with_features import with_features
from cofactor.engines import chains
from cofactor.engines.executors import Here
from cofactor.engines.work import Done
from cofactor.errors import DataError


def table() -> pl.DataFrame:
    rng = np.random.default_rng(2)
    n = 600
    users, items = rng.integers(0, 40, n), rng.integers(0, 25, n)
    frame = pl.DataFrame(
        {"user": users, "item": items, "rating": rng.integers(1, 6, n), "time": 10**9 + rng.integers(0, 10**8, n)}
    )
    return frame.unique(["user", "item"], keep="first", maintain_order=True)


FEW = {"n_factors": 2, "epochs": 9, "burn_in": 3, "n_samples": 7}
CASES: dict[str, dict[str, Any]] = {
    "two chains": {"chains": 2},
    "three chains, fewer sweeps than samples": {"chains": 3, "epochs": 5},
    "one chain": {"chains": 1, "implicit": False},
    "in time": {"chains": 2, "user_time_scales": (1e5, 1e7), "item_time_scales": (1e6,)},
    "grades": {"chains": 2, "likelihood": "ordinal"},
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("features", [False, True])
def test_the_bits_of_one_process(case: str, features: bool, tmp_path: Path) -> None:
    data = cf.read(table(), items=pl.DataFrame({"item": range(25), "kind": ["a", "b", "c", "d", "e"] * 5}))
    data = with_features(data, item=["kind"]) if features else data
    config = FEW | CASES[case]
    one = cf.fit(data, model="bayes-mf", seed=3, calibrate=False, **config)
    found = engines.fit(data, "bayes-mf", tmp_path / "w", tmp_path / "m", seed=3, **config)
    mine, theirs = one.model.state(), found.model.state()
    assert mine.keys() == theirs.keys()
    for name, array in mine.items():
        assert array.dtype == theirs[name].dtype, name
        np.testing.assert_array_equal(array, theirs[name], err_msg=name)
    assert np.array_equal(one.history, found.history, equal_nan=True)
    pairs = table().head(20)
    assert one.predict(pairs, interval=True).equals(found.predict(pairs, interval=True))


def test_a_file_two_processes_and_going_on(tmp_path: Path) -> None:
    place, work = tmp_path / "t.parquet", tmp_path / "w"
    table().write_parquet(place)
    config = FEW | {"chains": 2}
    with engines.processes(2) as pool:
        found = engines.fit(place, "bayes-mf", work, tmp_path / "m", executor=pool, seed=3, **config)
    one = cf.fit(place, model="bayes-mf", seed=3, calibrate=False, **config)
    for name, array in one.model.state().items():
        np.testing.assert_array_equal(array, found.model.state()[name], err_msg=name)
    again = engines.fit(place, "bayes-mf", work, tmp_path / "n", seed=3, **config)  # from its folder
    assert np.array_equal(again.model.state()["user_factors"], found.model.state()["user_factors"])
    part = work / "chain-1-user_factors.npy"
    content = bytearray(part.read_bytes())
    content[-1] ^= 1
    part.write_bytes(bytes(content))
    with pytest.raises(DataError, match="was changed after it was written"):
        engines.fit(place, "bayes-mf", work, tmp_path / "o", seed=3, **config)


def test_a_chain_that_was_done_is_not_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, config = cf.read(table()), FEW | {"chains": 2}
    engines.fit(data, "bayes-mf", tmp_path / "w", tmp_path / "m", executor=Here(), seed=3, **config)

    def never(job: dict[str, Any]) -> Done:
        raise AssertionError

    monkeypatch.setattr(chains, "chain_task", never)
    engines.fit(data, "bayes-mf", tmp_path / "w", tmp_path / "n", seed=3, **config)
    with pytest.raises(DataError, match="counts"):
        engines.fit(data.replace(kind="counts"), "bayes-mf", tmp_path / "x", tmp_path / "n", seed=3, **config)
