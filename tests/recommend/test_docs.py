"""The examples of docs/recommending.md run."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import cofactor as cf

PAGE = Path(__file__).parents[2] / "docs" / "recommending.md"


@pytest.mark.movielens
def test_every_example_runs(ml100k, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    split = cf.split.random(ml100k, valid=0.1, seed=0)
    pair = [part.users.astype(np.int64) * ml100k.n_items + part.items for part in (split.train, split.valid)]
    test = split.valid.take(~np.isin(pair[1], pair[0]))  # some titles stand for two films, which some people rated both
    rec = cf.fit(split.train, model="als", epochs=3, calibrate=False)
    frame = pl.DataFrame({"title": ["New (2001)"], "genres": ["Drama"]})
    names = {"rec": rec, "cf": cf, "pl": pl, "frame": frame, "test": test}
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert len(blocks) == 7
    for block in blocks:
        exec(block, names)
    assert pl.read_parquet(tmp_path / "recs.parquet")["status"].unique().to_list() == ["known"]
    assert type(names["frame_of_pandas"]).__module__.startswith("pandas")
    assert names["newer"].updates.n_ratings == 2
    assert "genres Drama: " in rec.recommend_new(frame, user=196)["reason"][0]
    assert len(rec.similar_items("Fargo (1996)")) == 10
    assert names["rec"].refit(epochs=1).metrics["warm_start"] == 1
