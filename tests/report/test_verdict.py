"""The verdict of the report: what it claims, and beside what."""

from __future__ import annotations

import json
import re

import numpy as np
import polars as pl
import pytest

import cofactor as cf
from cofactor.report import write_report
from cofactor.report.periods import change
from cofactor.report.verdict import verdict


@pytest.fixture(scope="module")
def split():
    rng = np.random.default_rng(0)
    share = np.linspace(0.1, 0.7, 80)[:, None]
    users, items = np.nonzero(rng.random((80, 40)) < share)
    values = np.clip(
        np.round(3 + 1.4 * np.where((users % 2) == (items % 2), 1, -1) + rng.normal(0, 0.6, len(users))), 1, 5
    )
    return cf.split.random(cf.read(pl.DataFrame({"user": users, "item": items, "rating": values})), valid=0.2, seed=1)


@pytest.fixture(scope="module")
def models(split):
    return {
        name: cf.fit(split.train, model=name, seed=0, calibrate=False) for name in ("als", "bias", "ease", "popular")
    }


def test_a_model_that_is_better_is_said_to_be_so(split, models):
    found = verdict(models["als"], split.valid)
    assert [m["name"] for m in found["models"]] == ["als", "bias"]
    expected = cf.evaluate(models["als"], split.valid, metrics=["rmse"]).to_dicts()[0]
    assert found["models"][0]["figures"][0]["value"] == expected["value"]
    assert found["sentences"][0].startswith(f"RMSE {expected['value']:.4f}")
    assert any(s.startswith("Clearly better than bias in RMSE") for s in found["sentences"])


def test_the_simplest_is_not_better_than_itself(split, models):
    found = verdict(models["bias"], split.valid)
    assert [m["name"] for m in found["models"]] == ["bias"]
    beside = verdict(models["bias"], split.valid, models["bias"])
    assert any(s.startswith("Not to be told apart from bias") for s in beside["sentences"])
    worse = verdict(models["bias"], split.valid, models["als"])
    assert any(s.startswith("Clearly worse than als in RMSE") for s in worse["sentences"])


def test_without_held_out_rows_nothing_is_claimed(models):
    found = verdict(models["ease"])
    assert "nothing is claimed" in found["sentences"][0]
    assert found["models"] == []
    assert not found["activity"]


def test_figures_by_activity_are_those_of_the_rows(split, models):
    found = verdict(models["als"], split.valid)["activity"]
    assert [a["part"] for a in found] == ["few", "some", "many"]
    assert sum(a["rows"] for a in found) == len(split.valid)
    counts = split.train.by_user.counts[split.valid.users]
    assert found[0]["from"] == counts.min()
    few = split.valid.take(counts <= found[0]["to"])
    assert found[0]["value"] == pytest.approx(cf.evaluate(models["als"], few, metrics=["rmse"])["value"][0])


def test_lists_say_how_much_of_the_catalogue_they_hold(models):
    line = verdict(models["popular"])["lists"][0]
    everybody = models["popular"].recommend_all(n=10)
    assert line["catalogue"] == pytest.approx(everybody["item"].n_unique() / 40)
    assert line["popular"] > line["typical"]


def test_the_page_begins_with_it(split, models, tmp_path):
    page = write_report(models["als"], tmp_path / "r.html", test=split.valid, beside=models["ease"]).read_text("utf-8")
    data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)[1])
    assert [m["name"] for m in data["verdict"]["models"]] == ["als", "ease", "bias"]
    assert len(page) < 3_000_000


def test_a_reference_period_stands_beside(split, models, tmp_path):
    """The same rows are no change; rows whose ratings are noise are a clear one."""
    same = verdict(models["als"], split.valid, reference=split.valid)
    assert same["periods"][0]["figures"] == same["periods"][1]["figures"]
    assert any(s.startswith("Not to be told apart from in the reference period") for s in same["sentences"])
    rows = split.valid
    noise = rows.replace(values=np.random.default_rng(3).permutation(6 - rows.values).astype(np.float32))
    worse = verdict(models["als"], noise, reference=rows)
    assert any(s.startswith("Clearly worse than in the reference period: RMSE") for s in worse["sentences"])
    page = write_report(models["als"], tmp_path / "r.html", test=noise, reference=rows).read_text("utf-8")
    data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)[1])
    assert [p["name"] for p in data["verdict"]["periods"]] == ["held out", "reference"]
    with pytest.raises(cf.CofactorError, match="compared with test"):
        write_report(models["als"], tmp_path / "r.html", reference=rows)


def test_bounds_of_a_change_hold_as_often_as_they_say():
    """MOVER's bounds from two 95 % intervals of means hold the true difference in about 95 % of draws."""
    rng, held = np.random.default_rng(0), 0
    for _ in range(2000):
        lines = []
        for n, centre in ((60, 0.7), (140, 0.4)):
            x = rng.normal(centre, 1.0, n)
            half = 1.96 * x.std(ddof=1) / np.sqrt(n)
            lines.append({"value": x.mean(), "low": x.mean() - half, "high": x.mean() + half})
        _, low, high = change(*lines)
        held += low <= 0.3 <= high
    assert 0.93 < held / 2000 < 0.965


def test_new_users_are_those_without_training_rows(split, models):
    before = split.train.take(split.train.users != split.valid.users[0])
    rec = cf.fit(before, model="bias", calibrate=False)
    line = verdict(rec, split.valid, reference=split.valid)["periods"][0]
    assert line["new_users"] == pytest.approx((split.valid.users == split.valid.users[0]).mean())
    assert line["new_items"] == 0.0


@pytest.mark.parametrize("pair", [("als", "bias"), ("ease", "popular")])
def test_a_baseline_beside_it_is_named_once(models, split, pair):
    """Where the other model is the simplest one, that is not trained and judged a second time."""
    rec, beside = (models[name] for name in pair)
    found = verdict(rec, split.valid, beside)
    assert [m["name"] for m in found["models"]] == list(pair)
    assert len(found["sentences"]) == len(set(found["sentences"]))
