"""reproduce: protocols are what they say, published and own figures side by side."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from cofactor.data import splits
from cofactor.data.interactions import Interactions, Split
from cofactor.errors import ConfigError
from cofactor.evaluation.metric_names import metric
from cofactor.selection import compare, protocols, reproduce
from cofactor.selection import reproduce as function
from cofactor.selection.published import PROTOCOLS
from cofactor.selection.reproduce import splits_of


def test_every_protocol_is_well_formed() -> None:
    frame = protocols()
    assert frame["protocol"].to_list() == list(PROTOCOLS)
    for protocol in PROTOCOLS.values():
        assert protocol.cut in ("u", "u1", "a", "random", "kfold", "temporal")
        assert {f.metric for f in protocol.figures} <= set(protocol.metrics)
        assert all(metric(name) for name in protocol.metrics)
        assert all(f.source and 0 < f.value < 1.1 for f in protocol.figures)


def test_published_figures_stand_beside_ours(toy: Interactions, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    module = sys.modules["cofactor.selection.reproduce"]
    split = splits.random(toy, 0.2, seed=1)
    monkeypatch.setattr(module, "splits_of", lambda protocol, seed: [split])
    frame = reproduce("ml-100k-u1", ["bias", ("none", "bias", {"reg_user": 1e6, "reg_item": 1e6})])
    assert frame.columns == ["model", "metric", "value", "low", "high", "fit_seconds", "source", "note"]
    ours = frame.filter(pl.col("source") == "cofactor")
    assert ours.select("model", "metric").n_unique() == 4
    expected = compare(split=split, models=["bias"], metrics=["rmse"]).frame["mean"][0]
    assert ours.filter(pl.col("model") == "bias", pl.col("metric") == "rmse")["value"][0] == expected
    assert frame.filter(pl.col("model") == "IGMC")["value"].to_list() == [0.905]
    for name in ("rmse", "mae"):
        values = frame.filter(pl.col("metric") == name)["value"].to_list()
        assert values == sorted(values)
    assert len(frame) == 4 + len(PROTOCOLS["ml-100k-u1"].figures)
    assert reproduce("ml-100k-ua-ub", ["bias"])["source"].to_list() == ["cofactor"] * 2


def test_unknown_names() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'ml-100k-u1'"):
        function("ml100k-u1")


@pytest.mark.movielens
def test_the_cuts_are_the_published_ones(ml100k_folds: list[Split], data_dir: Any) -> None:
    u = splits_of(PROTOCOLS["ml-100k-u1-u5"], 0)
    assert [len(s.valid) for s in u] == [20_000] * 5
    assert len(splits_of(PROTOCOLS["ml-100k-u1"], 0)) == 1
    for split in splits_of(PROTOCOLS["ml-100k-ua-ub"], 0):
        assert set(np.bincount(split.valid.users)) == {10}
    past = splits_of(PROTOCOLS["ml-100k-temporal"], 0)[0]
    assert past.train.times is not None
    assert past.valid.times is not None
    assert past.train.times.max() < past.valid.times.min()
    folds = splits_of(PROTOCOLS["ml-100k-5-fold"], 0)
    assert [len(s.valid) for s in folds] == [20_000] * 5


@pytest.mark.movielens
def test_popularity_agrees_with_an_independent_measurement(ml100k_folds: list[Split]) -> None:
    # 0.198 was measured with another program, on the protocol of "ml-100k-ranking".
    found = compare(split=ml100k_folds, models=["popular"], metrics=["ndcg@10"], relevant=4, draws=0)
    assert found.frame["mean"][0] == pytest.approx(0.198, abs=0.0006)


@pytest.mark.movielens
def test_ranking_by_rows_agrees_with_ir_measures(ml100k_folds: list[Split]) -> None:
    ir = pytest.importorskip("ir_measures")
    import cofactor
    from cofactor.evaluation.evaluate import lists

    split = ml100k_folds[0]
    rec = cofactor.fit(split.train, model="popular", seed=0)
    mine = cofactor.evaluate(rec, split, ["ndcg@10", "map@10", "recall@10", "mrr@10"], relevant=4, draws=0)
    users = np.unique(split.valid.users)
    top = lists(rec, users, 10)
    run = [ir.ScoredDoc(str(u), str(i), float(-k)) for u, row in zip(users, top) for k, i in enumerate(row) if i >= 0]
    good = split.valid.values >= 4
    qrels = [ir.Qrel(str(u), str(i), 1) for u, i in zip(split.valid.users[good], split.valid.items[good])]
    measures = [ir.nDCG @ 10, ir.AP @ 10, ir.R @ 10, ir.RR @ 10]
    theirs = ir.calc_aggregate(measures, qrels, run)
    for name, measure in zip(mine["metric"], measures):
        assert mine.filter(pl.col("metric") == name)["value"][0] == pytest.approx(theirs[measure], abs=1e-9), name
