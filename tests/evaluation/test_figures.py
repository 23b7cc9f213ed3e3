"""Figures that travel with a model: into the bundle, out of it, over HTTP, on the command line."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import cofactor as cf
from cofactor.evaluation import with_figures
from cofactor.recommend.fitted import FIGURES


@pytest.fixture(scope="module")
def split():
    rng = np.random.default_rng(0)
    users, items = np.nonzero(rng.random((40, 25)) < 0.5)
    values = np.clip(
        np.round(3 + 1.4 * np.where((users % 2) == (items % 2), 1, -1) + rng.normal(0, 0.6, len(users))), 1, 5
    )
    data = cf.read(pl.DataFrame({"user": users, "item": items, "rating": values}))
    return cf.split.random(data, valid=0.2, seed=1)


def test_they_say_what_on_which_rows_and_when(split, tmp_path):
    rec = cf.fit(split.train, model="als", n_factors=2, epochs=3)
    assert rec.figures is None
    found = cf.evaluate(rec, split.valid)
    measured = with_figures(rec, found, "a fifth of the rows")
    assert type(measured) is type(rec)
    assert rec.figures is None  # the old one stays as it is
    measured.save(tmp_path / "m.cofactor")
    back = cf.load(tmp_path / "m.cofactor").figures
    assert back.schema == FIGURES
    assert back.drop("rows", "measured").equals(found.select([n for n in FIGURES if n not in ("rows", "measured")]))
    assert back["rows"].unique().to_list() == ["a fifth of the rows"]
    assert back["measured"].str.to_datetime().dt.year().min() >= 2026


def test_the_same_rows_again_take_the_place_of_the_old(split):
    rec = cf.fit(split.train, model="bias")
    found = cf.evaluate(rec, split.valid, metrics=["rmse", "mae"], draws=0)
    once = with_figures(rec, found, "these")
    twice = with_figures(with_figures(once, found, "others"), found.head(1), "these")
    assert len(twice.figures) == 4
    assert twice.figures.filter(pl.col("rows") == "these")["metric"].to_list() == ["rmse", "mae"]


def test_a_bundle_without_figures_has_none(split, tmp_path):
    cf.fit(split.train, model="bias").save(tmp_path / "m.cofactor")
    assert cf.load(tmp_path / "m.cofactor").figures is None


def test_what_no_reader_would_take_is_not_written(split, tmp_path):
    rec = cf.fit(split.train, model="bias")
    rec.save(tmp_path / "m.cofactor")
    before = (tmp_path / "m.cofactor" / "manifest.json").read_bytes()
    found = with_figures(rec, cf.evaluate(rec, split.valid, metrics=["rmse"], draws=0), "these")
    wrong = rec.replace(figures=found.figures.with_columns(note=pl.lit(None, pl.String)))
    with pytest.raises(cf.CofactorError, match="figures, line 1: the field 'note' has the wrong type NoneType"):
        wrong.save(tmp_path / "m.cofactor")
    assert (tmp_path / "m.cofactor" / "manifest.json").read_bytes() == before
