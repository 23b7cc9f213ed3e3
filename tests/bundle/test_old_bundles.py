"""Bundles that earlier versions wrote load, and give the lists and predictions that they gave."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import cofactor as cf
from cofactor.bundle import manifest
from old_bundles import odd_frame, odd_items

FIXTURES = Path(__file__).parent / "fixtures"
"""Written by format versions 2 and 4: 14 users, 15 films with titles, years and genres, some ids beyond ASCII."""
EXPECTED = json.loads((FIXTURES / "expected.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("place", sorted(p.name for p in FIXTURES.iterdir() if p.name.partition("-")[0] in EXPECTED))
@pytest.mark.parametrize("verify", [False, True])
@pytest.mark.parametrize("large", [False, True])
def test_a_bundle_of_an_earlier_version(
    place: str, verify: bool, large: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, _, version = place.rpartition("-")
    known = EXPECTED[name]
    assert int(version) < manifest.VERSION
    if large:
        monkeypatch.setattr("cofactor.bundle.loading.SMALL", 0)
        monkeypatch.setattr("cofactor.bundle.id_tables.FEW", 2)
    rec = cf.load(FIXTURES / place, verify=verify)
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


@pytest.mark.parametrize("large", [False, True])
def test_columns_of_many_types(large: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids that are dates, numbers that do not ascend, nested columns, with gaps: as version 4 has them, and as now.

    Only structs differ: they are read as columns now.
    """
    if large:
        monkeypatch.setattr("cofactor.bundle.loading.SMALL", 0)
    now = cf.read(odd_frame(), items=odd_items())
    old = cf.load(FIXTURES / "popular-4")
    old.save(tmp_path / "now")
    for rec in (old, cf.load(tmp_path / "now"), cf.load(tmp_path / "now", verify=True)):
        assert (rec.data.user_ids, rec.data.item_ids) == (now.user_ids, now.item_ids)
        assert rec.data.item_table is not None
        assert now.item_table is not None
        whole = rec.data.item_table
        flat = whole.with_columns(pl.col("facts").name.prefix_fields("facts.")).unnest("facts")
        assert set(flat.columns) == set(now.item_table.columns)
        flat = flat.select(now.item_table.columns)
        assert whole.schema["facts"].is_nested()
        assert flat.schema == now.item_table.schema
        assert flat.equals(now.item_table)
        assert rec.data.to_frame().equals(now.to_frame())
