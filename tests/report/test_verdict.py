"""The verdict of the report: what it claims, and beside what."""

from __future__ import annotations

import json
import re

import numpy as np
import polars as pl
import pytest

import cofactor as cf
from cofactor.evaluation import with_figures
from cofactor.report import write_report
from cofactor.report.periods import change, shown, signed
from cofactor.report.report import report_data
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
    assert any(s.startswith("No clear difference from bias") for s in beside["sentences"])
    worse = verdict(models["bias"], split.valid, models["als"])
    assert worse["sentences"][0].startswith("Clearly worse than als in RMSE")  # of two models the comparison leads
    assert worse["sentences"][1].startswith("RMSE")


def test_without_held_out_rows_nothing_is_claimed(models):
    found = verdict(models["ease"])
    assert "does not show how good the model is" in found["sentences"][0]
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
    assert any(s.startswith("No clear change since the reference period") for s in same["sentences"])
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


@pytest.mark.parametrize("kind", ["ratings", "counts", "events"])
def test_every_figure_is_that_of_evaluate(kind):
    """For each kind of values, with a second model: the figures and bounds are those of a call by hand."""
    rng = np.random.default_rng(5)
    users, items = np.nonzero(rng.random((70, 30)) < 0.4)
    values = {"ratings": rng.integers(1, 6, len(users)), "counts": 1 + (rng.pareto(1.0, len(users)) * 20).astype(int)}
    frame = pl.DataFrame({"user": users, "item": items})
    if kind != "events":
        frame = frame.with_columns(value=values[kind])
    data = cf.read(frame, "user", "item", None if kind == "events" else "value", kind=kind)
    split = cf.split.random(data, valid=0.2, seed=2)
    first = cf.fit(split.train, model="als" if kind == "ratings" else "ease", seed=0)
    beside = cf.fit(split.train, model="popular", seed=0)
    page = report_data(first, test=split.valid, beside=beside)
    keys = ["metric", "value", "low", "high"]
    for model, told in zip((first, beside), page["verdict"]["models"], strict=False):
        by_hand = cf.evaluate(model, split.valid, metrics=[f["metric"].partition("@")[0] for f in told["figures"]])
        assert told["figures"] == by_hand.select(keys).to_dicts()
    everything = {row["metric"]: row for row in cf.evaluate(first, split.valid).to_dicts()}
    assert page["quality"]["figures"]
    for figure in page["quality"]["figures"]:
        assert figure == {key: everything[figure["metric"]][key] for key in (*keys, "note")}
    assert page["data"]["kind"] == kind
    assert any(f"on held-out {kind}" in text for text in page["verdict"]["sentences"])
    assert sum(page["data"]["level_counts"]) == len(split.train)


def test_ranges_of_counts_grow_with_them():
    values = np.array([1, 1, 2, 4, *range(5, 26), 49, 50, 1234])
    frame = pl.DataFrame({"user": np.arange(len(values)) // 2, "item": np.arange(len(values)) % 2, "plays": values})
    data = report_data(cf.fit(cf.read(frame, "user", "item", count="plays"), model="popular"))["data"]
    named = dict(zip(data["levels"], data["level_counts"], strict=True))
    assert named == {
        "1+": 2, "2+": 2, "5+": 5, "10+": 10, "20+": 7, "50+": 1, "100+": 0, "200+": 0, "500+": 0, "1,000+": 1
    }  # fmt: skip


def test_bounds_and_differences_have_the_decimals_of_their_figure():
    assert [shown(0.22091), shown(0.0098, 0.2209), signed(-0.00707, 0.2209)] == ["0.2209", "0.0098", "−0.0071"]
    assert [shown(1.0234e-6), shown(9.9e-7, 1.0234e-6), signed(3e-8, 1.0234e-6)] == [
        "0.000001023",
        "0.000000990",
        "+0.000000030",
    ]
    assert shown(0.0) == "0.0000"


@pytest.mark.parametrize("kind", ["counts", "events"])
def test_counts_and_events_are_called_so_and_an_order_is_no_date(kind, tmp_path):
    rng = np.random.default_rng(5)
    users = np.repeat(np.arange(60), 8)
    frame = pl.DataFrame(
        {
            "user": users,
            "item": np.concatenate([rng.choice(40, 8, replace=False) for _ in range(60)]),
            "plays": rng.integers(1, 900, len(users)),
            "position": np.tile(np.arange(8), 60),
        }
    )
    lone = pl.DataFrame({"user": [0], "item": [99], "plays": [1], "position": [9]})
    how = {"count": "plays"} if kind == "counts" else {"rating": False}
    split = cf.split.leave_last(cf.read(pl.concat([frame, lone]), time="position", **how))
    rec = cf.fit(split.train, model="popular")
    found = report_data(rec, test=split.valid, beside=cf.fit(split.train, model="item-cosine"))
    assert found["data"]["kind"] == kind
    assert found["data"]["period"] is None
    texts = " ".join([*found["verdict"]["sentences"], *(f["what"] + " ".join(f["examples"]) for f in found["doctor"])])
    assert "rating" not in texts, texts
    assert " 0 %" not in texts


def test_a_later_table_is_not_told_what_a_table_to_learn_from_is(tmp_path):
    frame = pl.DataFrame({"user": np.repeat(np.arange(60), 3), "item": np.arange(180) % 20})
    train = cf.read(frame)
    test = pl.DataFrame({"user": np.arange(60), "item": (np.arange(60) * 7) % 20})
    assert any("nothing is learned" in note for note in cf.read(test).notes)
    assert not [note for note in cf.split.given(train, test).valid.notes if "nothing is learned" in note]


def test_a_model_that_carries_figures_is_not_called_unmeasured(split, models):
    rec = models["als"]
    assert "does not show how good" in verdict(rec)["sentences"][0]
    measured = with_figures(rec, cf.evaluate(rec, split.valid, metrics=["rmse"]), "a fifth of the rows")
    said = verdict(measured)["sentences"][0]
    value = measured.figures["value"][0]
    assert said.startswith(f"RMSE {shown(value)} (")
    assert " on a fifth of the rows, measured on 20" in said


def test_users_who_have_every_item_get_no_figures_of_lists():
    """There is no popularity of an empty list, and no 0 % of it either."""
    frame = pl.DataFrame(
        {"user": list(range(20)) * 2, "item": ["tea"] * 20 + ["coffee"] * 20, "rating": [1, 2, 3, 4] * 10}
    )
    found = verdict(cf.fit(cf.read(frame, "user", "item", "rating"), model="bias", calibrate=False))
    assert found["lists"] == []
    assert found["sentences"][-1] == "bias has nothing left to recommend to its users: they have every item already."
    assert not [text for text in found["sentences"] if "%" in text]
