"""Bundles that earlier versions wrote load, and give the lists and predictions that they gave."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import cofactor as cf
from cofactor.bundle import manifest

FIXTURES = Path(__file__).parent / "fixtures"
"""Written by format version 2: 14 users, 15 films with titles, years and genres, some ids beyond ASCII."""
EXPECTED = json.loads((FIXTURES / "expected.json").read_text())


@pytest.mark.parametrize("name", EXPECTED)
@pytest.mark.parametrize("verify", [False, True])
def test_a_bundle_of_version_2(name: str, verify: bool, tmp_path: Path) -> None:
    known = EXPECTED[name]
    assert known["version"] == 2 < manifest.VERSION
    rec = cf.load(FIXTURES / f"{name}-2", verify=verify)
    for again in (rec, None):
        if again is None:  # written by this version, and read again
            rec.save(tmp_path / "now.cofactor")
            again = cf.load(tmp_path / "now.cofactor", verify=verify)
        assert (again.name, again.data.n_users, len(again.data)) == (name, known["n_users"], known["rows"])
        assert again.data.item_ids.values.to_list() == known["item_ids"]
        assert again.data.item_table is not None
        assert again.data.item_table["title"].to_list() == known["titles"]
        lists = again.recommend(user=known["user"], n=4)
        assert lists["item"].to_list() == known["items"]
        np.testing.assert_allclose(lists["score"], known["scores"], rtol=1e-4)
        if "predictions" in known:
            pairs = pl.DataFrame({"user": ["user 01", "user 02"], "item": ["Dune", "東京物語"]})
            np.testing.assert_allclose(again.predict(pairs)["prediction"], known["predictions"], rtol=1e-4)
