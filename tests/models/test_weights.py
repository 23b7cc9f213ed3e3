"""Weights of single rows: twice the weight is the row twice, and a row of weight 0 is not there."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import polars as pl
import pytest

import cofactor as cf
from cofactor.data.fingerprint import fingerprint
from cofactor.data.interactions import Interactions
from cofactor.errors import ConfigError, DataError
from cofactor.models import REGISTRY, model_class
from cofactor.models.base.strength import strengths
from cofactor.recommend.intervals import residual_interval, residual_quantiles
from cofactor.train.learner import Learner

ABLE = [name for name in REGISTRY if getattr(model_class(name), "weighs_rows", False)]


def table(seed: int = 0, rows: int = 260, times: bool = False) -> pl.DataFrame:
    """Pairs that do not repeat, with ratings and with weights 0, 1, 2 and 3."""
    rng = np.random.default_rng(seed)
    found = {"user": rng.integers(0, 24, rows), "item": rng.integers(0, 16, rows), "rating": rng.integers(1, 6, rows)}
    found["w"] = rng.choice(4, rows, p=[0.1, 0.5, 0.2, 0.2])
    if times:
        found["time"] = rng.integers(1_600_000_000, 1_610_000_000, rows)
    return pl.DataFrame(found).unique(["user", "item"], keep="first", maintain_order=True)


def rows_of(frame: pl.DataFrame, weight: str | None = "w", **more: Any) -> Interactions:
    return cf.read(frame, user="user", item="item", rating="rating", weight=weight, kind="ratings", **more)


def written_out(frame: pl.DataFrame) -> Interactions:
    """The same table with each row as often as it weighs."""
    again = frame.filter(pl.col("w") > 0).select(pl.all().repeat_by("w").explode()).drop("w")
    return rows_of(again, None, duplicates="all")


@pytest.mark.parametrize(
    ("model", "config"),
    [
        ("bias", {}),
        ("popular", {"min_rating_weight": 0.2}),
        ("als", {"n_factors": 3, "epochs": 4}),
        ("als", {"n_factors": 3, "epochs": 4, "reg": 0.5}),
        ("ials", {"n_factors": 4, "epochs": 3, "alpha": 2.0, "min_rating_weight": 1.0}),
    ],
)
def test_a_weight_of_two_is_the_row_twice(model: str, config: dict[str, Any]) -> None:
    frame = table()
    weighed, twice = (cf.fit(d, model=model, calibrate=False, **config) for d in (rows_of(frame), written_out(frame)))
    users = np.arange(weighed.data.n_users, dtype=np.int32)
    ours, theirs = weighed.model.scores(users), twice.model.scores(users)
    if model == "ials":  # what the average user adds counts rows; factors do not
        ours, theirs = (rec.model.factors("item") for rec in (weighed, twice))
    assert np.abs(ours - theirs).max() < 2e-3 * np.abs(theirs).max()
    plain = cf.fit(rows_of(frame.filter(pl.col("w") > 0), None), model=model, calibrate=False, **config)
    other = plain.model.factors("item") if model == "ials" else plain.model.scores(users)
    assert np.abs(other - theirs).max() > 2e-2 * np.abs(theirs).max()


@pytest.mark.parametrize("model", ABLE)
def test_a_row_of_weight_0_is_not_there(model: str) -> None:
    frame = table(1)
    without = rows_of(frame.filter(pl.col("w") > 0))
    data = rows_of(frame)
    assert fingerprint(data) == fingerprint(without)
    assert any(f"{(frame['w'] == 0).sum():,} rows of weight 0 left out" in note for note in data.notes)


@pytest.mark.parametrize("model", ABLE)
def test_weights_change_what_is_learned_and_stay_in_a_bundle(model: str, tmp_path: Any) -> None:
    frame = table(2).with_columns(w=pl.col("w").clip(1, 3) ** 2)
    data, plain = rows_of(frame), rows_of(frame, None)
    rec, other = (cf.fit(d, model=model, calibrate=False) for d in (data, plain))
    users = np.arange(data.n_users, dtype=np.int32)
    scores = rec.model.scores(users)
    assert np.isfinite(scores).all()
    assert not np.allclose(scores, other.model.scores(users))
    rec.save(tmp_path / "a.cofactor")
    back = cf.load(tmp_path / "a.cofactor")
    assert np.array_equal(back.data.weights, data.weights)
    assert back.data.columns.weight == "w"
    assert np.array_equal(back.model.scores(users), scores)
    assert back.recommend(3, n=3).equals(rec.recommend(3, n=3))
    again = rec.model.fold_in(data.histories)  # the training rows folded in weigh what they weighed
    assert np.allclose(rec.model.scores_from(again), scores, atol=0.02 * np.abs(scores).max())


def test_models_that_know_no_weights_refuse_them() -> None:
    data = rows_of(table())
    for name in REGISTRY:
        if name not in ABLE:
            with pytest.raises(ConfigError, match=f"{name.replace('+', '.')} cannot use row weights") as said:
                cf.fit(data, model=name, calibrate=False)
    assert set(
        str(said.value).partition("; use ")[2].partition(", or read")[0].replace(" or ", ", ").split(", ")
    ) == set(ABLE)
    with pytest.raises(ConfigError, match="next-item cannot use"):
        cf.fit(data, model="blend", models=("ials", "next-item"))


def test_als_solves_weighted_ridge_regressions() -> None:
    data = rows_of(table(3))
    rec = cf.fit(data, model="als", n_factors=3, epochs=3, reg=0.7, nu=0.5, reg_user=2.0, calibrate=False)
    mean, items = float(rec.model.mean), rec.model.items.astype(np.float64)
    assert mean == pytest.approx(np.average(data.values, weights=data.weights), rel=1e-6)
    rows = data.by_user
    for user in range(data.n_users):
        at = slice(rows.indptr[user], rows.indptr[user + 1])
        w, columns = rows.weights[at].astype(np.float64), rows.indices[at]
        x = np.c_[items[columns, :-1], np.ones(len(columns))]
        y = rows.values[at] - mean - items[columns, -1]
        ridge = np.diag(np.append(np.full(3, 0.7 * max(w.sum(), 1) ** 0.5), 2.0))
        wanted = np.linalg.solve(x.T @ (w[:, None] * x) + ridge, x.T @ (w * y))
        assert rec.model.users[user] == pytest.approx(wanted, abs=2e-5)


def test_ials_folds_in_the_weighted_minimum() -> None:
    data = rows_of(table(4))
    rec = cf.fit(data, model="ials", n_factors=5, epochs=3, alpha=3.0, reg=2.0, nu=0.5, calibrate=False)
    items, rows = rec.model.factors("item").astype(np.float64), data.by_user
    c = 3.0 * strengths(rows.values, rec.model.range, 0.0) * rows.weights
    mean = data.weights.sum() / data.n_users
    states = rec.model.fold_in(rows)
    start = 3.0 / (2.0 + rows.counts[:, None]) * rec.model.average
    for user in range(data.n_users):
        at = slice(rows.indptr[user], rows.indptr[user + 1])
        x = items[rows.indices[at]]
        ridge = 2.0 * ((1 + rows.weights[at].sum()) / (1 + mean)) ** 0.5
        gram = items.T @ items + x.T @ (c[at][:, None] * x) + ridge * np.eye(5)
        wanted = np.linalg.solve(gram, c[at] @ x) + start[user]
        assert states[user] == pytest.approx(wanted, abs=1e-4)


def test_popular_and_ease_are_what_numpy_says() -> None:
    data = rows_of(table(5))
    sums = np.bincount(data.items, data.weights, data.n_items)
    assert cf.fit(data, model="popular", min_rating_weight=1.0).model.popularity == pytest.approx(sums / sums.max())
    rec = cf.fit(data, model="ease", reg=3.0, min_rating_weight=1.0)
    x = np.zeros((data.n_users, data.n_items))
    x[data.users, data.items] = data.weights
    p = np.linalg.inv(x.T @ x + 3.0 * np.eye(data.n_items))
    wanted = -p / np.diag(p)
    np.fill_diagonal(wanted, 0)
    assert rec.model.weights == pytest.approx(wanted, abs=1e-4)


def test_figures_weigh_test_rows() -> None:
    frame = table(6, 400)
    data = rows_of(frame)
    split = cf.split.random(data, 0.3, seed=1)
    assert split.train.weights is not None
    rec = cf.fit(split.train, model="als", n_factors=2, epochs=3, calibrate=False)
    test = split.valid
    error = rec.model.predict(test.users, test.items).astype(np.float64) - test.values
    found = cf.evaluate(rec, test, ["rmse", "mae"], draws=0)["value"]
    assert found[0] == pytest.approx(np.sqrt(np.average(error**2, weights=test.weights)))
    assert found[1] == pytest.approx(np.average(np.abs(error), weights=test.weights))
    frame = cf.evaluate(rec, test, ["ndcg@4", "recall@4", "precision@4"], relevant=1, draws=0)
    scores, seen = rec.model.scores(np.arange(data.n_users, dtype=np.int32)), split.train.by_user
    ndcg, recall = [], []
    for user in range(data.n_users):
        mine = test.users == user
        if not mine.any() or not seen.counts[user]:
            continue
        row = scores[user].copy()
        row[seen.row(user)[0]] = -np.inf
        worth = dict(zip(test.items[mine].tolist(), test.weights[mine].tolist(), strict=True))
        top = np.argsort(-row, kind="stable")[:4]
        discount = 1 / np.log2(np.arange(2, 6))
        gains = np.array([worth.get(int(item), 0.0) for item in top])
        best = np.sort(list(worth.values()))[::-1][:4]
        ndcg.append(gains @ discount / (best @ discount[: len(best)]))
        recall.append(gains.sum() / sum(worth.values()))
    assert frame["value"][0] == pytest.approx(np.mean(ndcg))
    assert frame["value"][1] == pytest.approx(np.mean(recall))
    assert "ndcg and recall use the row weights" in frame["note"][0]


def test_what_training_says_of_held_out_rows_goes_by_their_weights() -> None:
    split = cf.split.random(rows_of(table(rows=300)), valid=0.3, seed=3)
    valid = split.valid
    rec = cf.fit(split.train, model="als", n_factors=2, epochs=3, valid=valid, calibrate=False)
    squares = (rec.model.predict(valid.users, valid.items).astype(np.float64) - valid.values) ** 2
    assert rec.metrics["valid_rmse"] == pytest.approx(np.sqrt(np.average(squares, weights=valid.weights)))
    learn = Learner(split, rec.model)  # begins to train anew
    found, alike = learn.validate(valid), learn.validate(valid.replace(weights=None))
    squares = (learn.model.predict(valid.users, valid.items).astype(np.float64) - valid.values) ** 2
    assert found == pytest.approx(np.average(squares, weights=valid.weights))
    assert alike == pytest.approx(np.mean(squares))


def test_intervals_from_residuals_go_by_the_weights() -> None:
    """Rows of large residuals weigh ten times as much: intervals hold the level of such a mixture."""
    rng = np.random.default_rng(0)

    def draw(n: int) -> tuple[np.ndarray, np.ndarray]:
        wide = rng.random(n) < 0.2
        return rng.normal(size=n) * np.where(wide, 3.0, 1.0), np.where(wide, 10.0, 1.0)

    def held(given: Any) -> float:
        residuals, weights = draw(4000)
        found = residual_quantiles(np.zeros(4000), residuals, 1, (-50.0, 50.0), weights if given else None)
        truth, weights = draw(40_000)
        bounds = residual_interval(found, np.zeros(1), 0.8)
        return float(np.average((truth >= bounds.low) & (truth <= bounds.high), weights=weights))

    assert held(True) == pytest.approx(0.8, abs=0.02)
    assert held(False) < 0.7


@pytest.mark.parametrize("n", [1, 2, 7, 50, 399, 400, 1203])
def test_quantiles_of_equal_weights_are_the_usual_places(n: int) -> None:
    residuals = np.random.default_rng(n).normal(size=n)
    found = residual_quantiles(np.zeros(n), residuals, 1, (-9.0, 9.0))["residuals"][0]
    ordered, p = np.concatenate([[-18.0], np.sort(residuals), [18.0]]), np.arange(401) / 400
    place = np.where(p < 0.5, np.floor((n + 1) * p + 1e-9), np.ceil((n + 1) * p - 1e-9)).astype(int)
    np.testing.assert_array_equal(found, ordered[place].astype(np.float32))
    again = residual_quantiles(np.zeros(n), residuals, 1, (-9.0, 9.0), np.full(n, 0.3))["residuals"][0]
    np.testing.assert_array_equal(again, found)


def test_weights_stay_with_their_rows() -> None:
    frame = table(7, times=True)
    data = rows_of(frame, time="time")
    known = {(u, i): w for u, i, w in frame.select("user", "item", "w").rows()}
    splits = [cf.split.temporal(data), cf.split.leave_last(data), *cf.split.kfold(data, 3), cf.split.by_user(data)]
    for split in splits:
        for part in (split.train, split.valid, *([split.given] if split.given is not None else [])):
            out = part.to_frame()
            assert [known[u, i] for u, i in out.select("user", "item").rows()] == out["w"].to_list()
    rec = cf.fit(data, model="als", n_factors=2, epochs=2, calibrate=False)
    newer = rec.update([(0, 1, 5.0), (99, 2, 1.0)])
    mine = newer.data.rows_of(0)
    state = newer.model.fold_in(data.by_user.take(np.array([0])))
    assert newer.recommend(0, n=3) is not None
    assert state.shape == (1, 3)
    refitted = newer.refit(verbose=False)
    assert refitted.data.weights is not None
    out = refitted.data.to_frame()
    assert len(mine)
    for u, i, w in out.select("user", "item", "w").rows():
        assert w == (1.0 if (u, i) in ((0, 1), (99, 2)) else known[u, i])


def test_a_known_user_with_newer_rows_keeps_weights() -> None:
    data = rows_of(table(8))
    rec = cf.fit(data, model="bias", calibrate=False)
    item = next(i for i in range(16) if i not in data.by_user.row(2)[0] and i in data.item_ids.values)
    who = int(data.user_ids.values[2])
    newer = rec.update([(who, item, 5.0)])
    rows = data.by_user.take(np.array([2]))
    y = np.append(rows.values, 5.0) - float(rec.model.mean)
    codes = np.append(rows.indices, data.item_ids.index(item))
    w = np.append(rows.weights, 1.0)
    wanted = (w * (y - rec.model.item_bias[codes])).sum() / (w.sum() + 4.0)
    assert newer.updates.users[2].state[0] == pytest.approx(wanted, rel=1e-4)


def test_repeats_merge_their_weights() -> None:
    frame = pl.DataFrame(
        {"user": [1, 1, 1, 2], "item": [5, 5, 6, 5], "n": [3.0, 1.0, 2.0, 4.0], "w": [1.0, 3.0, 2.0, 0.5]}
    )
    data = cf.read(frame, count="n", weight="w")
    assert data.to_frame().sort("user", "item")["w"].to_list() == [1.5, 2.0, 0.5]  # (3 * 1 + 1 * 3) / 4
    last = cf.read(frame, rating="n", weight="w", kind="ratings")
    assert last.to_frame().sort("user", "item")["w"].to_list() == [3.0, 2.0, 0.5]
    mean = cf.read(frame, rating="n", weight="w", kind="ratings", duplicates="mean")
    assert mean.to_frame().sort("user", "item")["w"].to_list() == [2.0, 2.0, 0.5]


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ([1.0, -1.0, 1.0], r"row 2 \(column 'w'\) is -1.0"),
        ([1.0, 1e300, 1.0], "row 2 .* is 1e[+]300"),
        ([1.0, 1.0, 1e-300], "row 3 .* is 1e-300"),
        ([None, 1.0, 1.0], "row 1 .* is missing"),
        (["1", "x", "2"], "row 2 .* is 'x'"),
        ([float("nan"), 1.0, float("inf")], "row 1 .*, and 1 more"),
    ],
)
def test_weights_that_are_none_are_refused(weights: list[Any], said: str) -> None:
    frame = pl.DataFrame({"user": [1, 1, 2], "item": [1, 2, 1], "rating": [1, 2, 3], "w": weights}, strict=False)
    with pytest.raises(DataError, match=said):
        rows_of(frame)
    with pytest.raises(DataError, match="no column 'v'"):
        rows_of(frame, "v")
    with pytest.raises(DataError, match="given twice"):
        cf.read(frame, rating="w", weight="w")


def test_weights_of_interactions_made_by_hand() -> None:
    data = rows_of(table(), None)
    weighed = data.replace(weights=np.full(len(data), 2))
    assert weighed.by_user.weights.dtype == np.float32
    with pytest.raises(DataError, match="the weight of row 1 is 0"):
        data.replace(weights=np.zeros(len(data)))
    with pytest.raises(DataError, match="one number for each"):
        data.replace(weights=np.ones(3))


def test_auto_takes_models_that_know_weights(tmp_path: Any, typed: Any) -> None:
    frame = table(9, 500, times=True)
    data = rows_of(frame, time="time")
    for model in ("auto", "auto-ranking"):
        rec = cf.fit(data, model=model, verbose=False)
        assert rec.name in ABLE
        assert set(rec.trials["model"]) <= set(ABLE)
    frame[:150].write_csv(tmp_path / "a.csv")
    frame[150:].write_csv(tmp_path / "b.csv")
    out = str(tmp_path / "m.cofactor")
    told, _, err = typed("fit", tmp_path / "a.csv", "--weight", "w", "--model", "ials", "--out", out)
    assert told == 0, err
    assert cf.load(out).data.weights is not None
    told, _, err = typed("fit", tmp_path / "a.csv", "--weight", "w", "--model", "svd++", "--out", out)
    assert told == 2
    assert "svd++ cannot use row weights (column 'w')" in err
    told, text, _ = typed("evaluate", out, tmp_path / "b.csv", "--json")
    assert told == 0
    assert any("row weights" in line["note"] for line in json.loads(text))


def test_a_bundle_of_a_table_with_dislikes_opens(tmp_path: Any) -> None:
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({"user": rng.integers(0, 20, 300), "item": rng.integers(0, 12, 300)})
    frame = frame.with_columns(event=pl.Series(rng.choice(["like", "dislike"], 300)))
    data = cf.read(frame, behaviour="event", weights={"like": 1, "dislike": -1})
    rec = cf.fit(data, model="item-cosine")
    rec.save(tmp_path / "a.cofactor")
    assert cf.load(tmp_path / "a.cofactor").recommend(3, n=3).equals(rec.recommend(3, n=3))
