"""Accounts that add up, what-if, named factors, the map, the report."""

from __future__ import annotations

import json
import re
import shutil
import subprocess

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cofactor as cf
from cofactor.data.interactions import CSR
from cofactor.errors import ConfigError, DataError, UnknownIdError
from cofactor.evaluation.held_out import LeakWarning
from cofactor.explain.explanation import explain_rows
from cofactor.kernels.layout import layout
from cofactor.model import Additive
from cofactor.models import REGISTRY, model_class
from cofactor.recommend.contributions import contributions
from cofactor.recommend.profiles import resolve_user
from cofactor.report.factors import genre_table, name_factors
from cofactor.report.maps import item_map, neighbours_among
from cofactor.report.report import render, report_data, write_report

QUICK = {
    "als": {"n_factors": 4},
    "bayes-mf": {"n_factors": 4, "epochs": 30, "burn_in": 10},
    "dot-bias": {"n_factors": 4, "epochs": 2},
    "neural": {"epochs": 1},
}


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    users, items = np.nonzero(rng.random((50, 24)) < 0.5)
    own = (users < 25) == (items < 12)
    rating = np.clip(np.where(own, 4.3, 2.2) + rng.normal(0, 0.5, len(users)), 1, 5).round(1)
    side = pl.DataFrame(
        {
            "item": [f"i{i:02d}" for i in range(24)],
            "title": [f"Film {i} </script><b>" for i in range(24)],
            "genres": ["Drama|Crime" if i < 12 else "Comedy" for i in range(24)],
        }
    )
    frame = pl.DataFrame({"user": users + 1, "item": [f"i{i:02d}" for i in items], "rating": rating})
    return cf.read(frame, items=side)


@pytest.fixture(scope="module")
def fitted(data):
    found = {}

    def get(name):
        if name not in found:
            if name == "neural":
                pytest.importorskip("torch")
            found[name] = cf.fit(data, model=name, seed=1, calibrate=False, **QUICK.get(name, {}))
        return found[name]

    return get


@pytest.mark.parametrize("name", REGISTRY)
def test_an_explanation_without_frames_says_the_same(fitted, name):
    rec = fitted(name)
    newer = rec.update([(1, "i03", 2.0), (99, "i07", 5.0)])
    asked = [(rec, 1, None), (rec, 40, None), (newer, 1, None), (newer, 99, None)]
    asked += [(rec, None, {"i01": 5, "i20": None}), (rec, None, {})]
    for which, user, history in asked:
        for item in ("i03", "i20", "i01"):
            for n in (0, 3, 100):
                whole = which.explain(user, item, history=history, n=n)
                rows = explain_rows(which, resolve_user(which, user, history), which.items.code(item), n=n)
                assert rows == {"label": whole.label} | whole.to_dict() | {"because": whole.because()}


@pytest.mark.parametrize("name", REGISTRY)
def test_both_accounts_sum_to_the_prediction(fitted, name):
    rec = fitted(name)
    for user, item in [(1, "i03"), (40, "i20"), (50, "i00")]:
        account = rec.explain(user, item)
        assert account.prediction == pytest.approx(rec.predict([(user, item)])["prediction"][0], abs=1e-5)
        if len(account.terms):
            assert account.linked_sum() == pytest.approx(account.prediction, abs=1e-5)
        total = float(account.rated["contribution"].sum()) + account.rest
        assert total == pytest.approx(account.prediction, abs=1e-9)
        assert json.loads(json.dumps(account.to_dict()))["item"] == item
        assert f"{account.prediction:.3f}" in str(account)


@pytest.mark.parametrize("name", ["ease", "slim", "item-cosine"])
def test_linear_models_leave_what_the_average_user_adds(fitted, name):
    rec = fitted(name)
    account = rec.explain(history={"i01": 5, "i02": 4, "i15": 1}, item="i05")
    assert account.user is None
    assert len(account.terms) == 0
    code = rec.data.item_ids.encode(["i05"])[0]
    assert account.rest == pytest.approx(3 / (2 + 3) * rec.model.average[code], abs=1e-5)
    assert account.to_dict()["rest_is"] == "popular with everybody"


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_als_terms_sum_for_any_pair(fitted, seed):
    rec = fitted("als")
    rng = np.random.default_rng(seed)
    user, item = int(rng.integers(rec.data.n_users)), int(rng.integers(rec.data.n_items))
    account = rec.model.terms(user, item)
    predicted = float(rec.model.predict(np.array([user]), np.array([item]))[0])
    assert np.asarray(account.values, dtype=np.float64).sum() == pytest.approx(predicted, abs=1e-5)


@pytest.mark.parametrize("name", [n for n in REGISTRY if issubclass(model_class(n), Additive)])
@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000))
def test_terms_sum_for_any_history(fitted, name, seed):
    rec = fitted(name)
    rng = np.random.default_rng(seed)
    items = rec.data.item_ids.values.to_list()
    chosen = rng.choice(len(items), int(rng.integers(1, len(items))), replace=False)
    history = {items[c]: float(rng.uniform(*rec.data.range)) for c in chosen}
    item = items[int(rng.integers(len(items)))]
    account = rec.explain(history=history, item=item, n=0)
    assert len(account.terms)
    assert account.linked_sum() == pytest.approx(account.prediction, abs=1e-5)
    listed = rec.recommend(history=history, n=len(items), seen=True).filter(pl.col("item") == item)
    assert account.prediction == pytest.approx(listed["score"][0], abs=1e-5)


def test_bayes_mf_says_the_same_of_trained_and_folded_states(fitted):
    model = fitted("bayes-mf").model
    states = model.user_state(np.arange(50))
    for user, item in [(0, 3), (7, 20), (49, 11)]:
        trained, folded = model.terms(user, item), model.terms_from(states[user], item)
        assert trained.names == folded.names
        np.testing.assert_allclose(folded.values, trained.values, atol=2e-5)


def test_the_likes_of_it_pull_up(fitted):
    account = fitted("ease").explain(1, "i03")
    said = account.because(len(account.rated))
    assert said[0].startswith("because you gave ")
    assert all(("although" in words) == ("-" in words.rsplit(":", 1)[1]) for words in said)
    assert account.rated["contribution"].abs().is_sorted(descending=True)
    top = account.rated.filter(pl.col("contribution") > 0)
    assert all(int(i[1:]) < 12 for i in top.head(3)["item"])


def test_where_nothing_was_rated_people_chose(data):
    frame = pl.DataFrame({"user": data.users, "item": data.item_ids.decode(data.items)})
    rec = cf.fit(cf.read(frame, rating=False), model="ials", n_factors=4, seed=1)
    account = rec.explain(1, "i03")
    assert all(" you chose i" in words for words in account.because())
    assert "rated" not in str(account)
    assert report_data(rec)["biases"] is None  # ials has factors and no biases


def test_left_out_leaves_one_out():
    none = np.empty(0, np.int64)
    history = CSR(np.array([0, 3]), np.array([2, 5, 7], np.int32), np.array([1, 2, 3], np.float32), none, 9)
    parts = history.without_each(np.array([0, 2]))
    assert [parts.row(r)[0].tolist() for r in range(3)] == [[2, 5, 7], [5, 7], [2, 5]]
    assert [parts.row(r)[1].tolist() for r in range(3)] == [[1, 2, 3], [2, 3], [1, 2]]


def test_contributions_are_differences(fitted):
    rec = fitted("als")
    items, values = rec.data.by_user.row(4)
    none = np.empty(0, np.int64)
    history = CSR(np.array([0, len(items)]), items, values, none, rec.data.n_items)
    scores, difference = contributions(rec.model, history, np.array([3, 7]))
    assert difference.shape == (2, len(items))
    keep = np.arange(len(items)) != 1
    rest = CSR(np.array([0, keep.sum()]), items[keep], values[keep], none, rec.data.n_items)
    alone = rec.model.scores_from(rec.model.fold_in(rest))[0, [3, 7]]
    expected = np.where(items[1] == [3, 7], 0, scores - alone)
    assert difference[:, 1] == pytest.approx(expected, abs=1e-5)


def test_what_if(fitted):
    rec = fitted("ease")
    frame = rec.what_if(history={"i01": 5, "i02": 5, "i15": 5}, without=["i15"], n=5)
    assert frame.columns == ["item", "title", "rank_before", "rank_after", "score_before", "score_after"]
    after = rec.recommend(history={"i01": 5, "i02": 5}, deny=["i15"], n=5)
    assert frame.drop_nulls("rank_after")["item"].to_list() == after["item"].to_list()
    changed = fitted("als").what_if(3, instead={"i15": 5})
    assert (changed["score_before"] != changed["score_after"]).any()
    with pytest.raises(DataError, match="not among the rated"):
        rec.what_if(history={"i01": 5}, without=["i05"])
    with pytest.raises(ConfigError, match="without"):
        rec.what_if(history={"i01": 5})
    with pytest.raises(ConfigError, match="either a user"):
        rec.what_if(without=["i05"])
    with pytest.raises(UnknownIdError):
        rec.explain(999, "i05")
    with pytest.raises(ConfigError, match="name the item"):
        rec.explain(1)


def test_waterfall(fitted):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    account = fitted("als").explain(1, "i03")
    ax = account.plot(3)
    widths = [bar.get_width() for bar in ax.patches]
    assert sum(widths[:-1]) == pytest.approx(widths[-1])
    assert ax.get_title() == "Film 3 </script><b> for user 1"
    small = fitted("ease").explain(1, "i03")
    small_ax = small.plot()
    assert f"{small.prediction:.{small.digits}f}" in {text.get_text().strip() for text in small_ax.texts}
    bars = [bar for bar in small_ax.patches if abs(bar.get_width()) > 0]
    edge = small_ax.get_xlim()[0]
    assert edge == 0 or small.rest < 0 or edge > 0.5 * small.rest  # a bar of nearly nothing is not a long one
    assert min(min(bar.get_x(), bar.get_x() + bar.get_width()) for bar in bars) >= edge - 1e-9
    plt.close("all")


def test_factors_are_named_by_what_goes_with_them(data, fitted):
    first = name_factors(fitted("als").model, data, n=2, least=1)[0]
    assert {g for g, _ in first.genres} & {"Drama", "Crime", "Comedy"}
    assert abs(first.genres[0][1]) > 0.8
    names, member = genre_table(data, np.arange(24))
    assert names == ["Comedy", "Crime", "Drama"]
    assert member[:12].tolist() == [[False, True, True]] * 12


# ---- the map


def layout_reference(xy, heads, tails, weights, epochs, negatives, seed):
    """The same in plain Python."""
    mask, state, n = (1 << 64) - 1, seed, len(xy)

    def clip(x):
        return min(4.0, max(-4.0, x))

    for epoch in range(epochs):
        rate = 1.0 - epoch / epochs
        for i, j, w in zip(heads.tolist(), tails.tolist(), weights.tolist(), strict=True):
            d = xy[i] - xy[j]
            pull = -2.0 * w / (1.0 + d @ d) * rate
            g = np.array([clip(pull * d[0]), clip(pull * d[1])])
            xy[i] += g
            xy[j] -= g
            for _ in range(negatives):
                state = (state + 0x9E3779B97F4A7C15) & mask
                z = state
                z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
                z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
                k = (z ^ (z >> 31)) % n
                if k == i:
                    continue
                d = xy[i] - xy[k]
                push = 2.0 * w / ((0.01 + d @ d) * (1.0 + d @ d)) * rate
                xy[i] += [clip(push * d[0]), clip(push * d[1])]


def test_layout_against_the_reference():
    rng = np.random.default_rng(0)
    xy = rng.normal(size=(12, 2))
    heads, tails = rng.integers(0, 12, 30).astype(np.int32), rng.integers(0, 12, 30).astype(np.int32)
    weights = rng.random(30)
    other = xy.copy()
    layout(xy, heads, tails, weights, 5, 3, 42)
    layout_reference(other, heads, tails, weights, 5, 3, 42)
    np.testing.assert_allclose(xy, other, atol=1e-9)


def test_the_map_keeps_tastes_apart(data, fitted):
    model = fitted("als").model
    items = np.arange(24)
    near, similarity = neighbours_among(model, data, items, 5)
    assert (near != items[:, None]).all()
    assert (np.diff(similarity, axis=1) <= 1e-6).all()
    xy = item_map(model, data, items)
    assert np.array_equal(xy, item_map(model, data, items))
    within = np.linalg.norm(xy[:12] - xy[:12].mean(axis=0), axis=1).mean()
    between = np.linalg.norm(xy[:12].mean(axis=0) - xy[12:].mean(axis=0))
    assert between > within


def test_items_beyond_the_landmarks_stand_among_those_that_they_are_like(fitted):
    rec = fitted("als")
    items = np.argsort(-rec.data.by_item.counts, kind="stable").astype(np.int32)
    xy = item_map(rec.model, rec.data, items, landmarks=12)
    assert xy.shape == (24, 2)
    assert np.isfinite(xy).all()
    own = items < 12  # two tastes, two crowds
    middle = [xy[:12][own[:12] == side].mean(axis=0) for side in (True, False)]
    far = [np.linalg.norm(xy[12:] - m, axis=1) for m in middle]
    assert ((far[0] < far[1]) == own[12:]).mean() > 0.9


def test_crowds_far_from_each_other_have_room_on_the_map(data, fitted, monkeypatch):
    def pushed(xy, *rest):
        xy[:12, 0], xy[12:, 0] = np.linspace(0, 1, 12), np.linspace(1000, 1001, 12)

    monkeypatch.setattr("cofactor.kernels.layout.layout", pushed)
    left = item_map(fitted("als").model, data, np.arange(24))[:, 0]
    assert (np.diff(left) > 0).all()
    assert np.ptp(left[:12]) == pytest.approx(11 / 23 / 3, abs=0.01)


# ---- the report


@pytest.mark.parametrize("name", ["als", "ease", "popular"])
def test_report_for_any_kind_of_model(fitted, name, tmp_path):
    rec = fitted(name)
    path = write_report(rec, tmp_path / "r.html", title="A <title>")
    page = path.read_text(encoding="utf-8")
    inside = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S).group(1)
    held = json.loads(inside)
    assert held["title"] == "A <title>"
    assert "</script><b>" not in inside
    assert held["data"]["ratings"] == len(rec.data)
    assert (held["biases"] is not None) == (name == "als")
    assert len(held["users"]) == 4
    assert not re.search(r"""(src|href)=["']https?:""", page)


def test_report_is_written_whole_or_not_at_all(fitted, tmp_path):
    rec = fitted("als")
    path = tmp_path / "r.html"
    path.write_text("before")
    with pytest.raises(UnknownIdError):
        write_report(rec, path, users=["nobody"])
    assert path.read_text(encoding="utf-8") == "before"
    with pytest.raises(ConfigError, match="cannot write"):
        write_report(rec, tmp_path / "no" / "r.html")
    assert [p.name for p in tmp_path.iterdir()] == ["r.html"]


def test_strict_json(fitted):
    held = report_data(fitted("als"))
    held["history"].append([None, None])
    assert "NaN" not in json.dumps(held, allow_nan=False)
    assert render(held).count("<script") == 2


def test_example_users_are_from_the_middle_of_the_field():
    from cofactor.report.report import _typical

    counts = np.concatenate([np.ones(500, dtype=int), np.arange(5, 105), [0, 0]])
    shown = counts[_typical(counts)]
    assert shown.tolist() == [45, 55, 65, 80]
    assert counts[_typical(np.array([1, 1, 0]))].size >= 1
    assert _typical(np.array([0, 0])).size <= 2
    oddity = np.zeros(len(counts))
    twins = np.append(counts, 45), np.append(oddity, -1.0)  # as many ratings as another, and less odd
    assert _typical(*twins).tolist()[0] == len(counts)


def test_of_equal_ratings_the_best_known_items_are_shown():
    users, items, ratings = [1] * 13 + [2, 2], [*"abcdefghijklm", "m", "l"], [4.0] * 14 + [3.0]
    frame = pl.DataFrame({"user": users, "item": items, "rating": ratings})
    shown = report_data(cf.fit(cf.read(frame), model="popular"), users=[1])["users"][0]["liked"]
    assert [label for label, _ in shown][:3] == ["l", "m", "a"]
    assert len(shown) == 12


def test_the_report_says_how_skewed_the_ratings_are(fitted):
    from cofactor.report.report import at_a_glance

    data = fitted("als").data
    items, users = (np.sort(side.counts)[::-1] for side in (data.by_item, data.by_user))
    expected = [items[:2].sum() / len(data), users[:5].sum() / len(data)]
    assert at_a_glance(fitted("als"))["top_tenth"] == pytest.approx(expected)


def test_the_map_takes_the_rarest_of_the_genres(fitted):
    held = report_data(fitted("als"))["items"]
    assert held["by"] == "als"
    bits = {name: 1 << k for k, name in enumerate(held["genres"])}
    own = {"Drama", "Crime"}
    for label, genre, mask in zip(held["label"], held["genre"], held["mask"], strict=True):
        mine = own if int(label.split()[1]) < 12 else {"Comedy"}
        assert mask == sum(bits[name] for name in mine)
        assert genre == max(held["genres"].index(name) for name in mine)


def test_example_users_have_intervals_where_the_model_knows_them(fitted):
    assert report_data(fitted("als"))["users"][0]["recommended"][0]["interval"] is None
    rec = fitted("bayes-mf")
    for shown in report_data(rec, users=[3])["users"][0]["recommended"]:
        low, high = shown["interval"]
        assert low <= shown["score"] <= high


def test_quality_beside_the_mean_alone(fitted):
    with pytest.warns(LeakWarning):
        held = report_data(fitted("als"), test=fitted("als").data)["quality"]
    values = fitted("als").data.values.astype(np.float64)
    assert held["plain"]["rmse"] == pytest.approx(values.std())
    assert held["plain"]["mae"] == pytest.approx(np.abs(values - values.mean()).mean())
    nothing = report_data(fitted("ease"), test=fitted("ease").data)  # all is seen, so no list can be measured
    assert "plain" not in nothing["quality"]
    assert nothing["verdict"]["sentences"][0].startswith("The model could not be measured: ")


@pytest.mark.skipif(shutil.which("node") is None, reason="Node, which parses scripts, is not installed")
def test_node_parses_the_script_of_the_report(fitted, tmp_path):
    script = re.findall(r"<script>(.*?)</script>", render(report_data(fitted("als"))), re.S)[0]
    (tmp_path / "page.js").write_text(script, encoding="utf-8")
    done = subprocess.run(["node", "--check", str(tmp_path / "page.js")], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_figures_of_the_report_are_explained():
    from importlib import resources

    from cofactor.evaluation.metric_names import INTERVAL, RATING

    script = (resources.files("cofactor.report") / "page" / "page.js").read_text(encoding="utf-8")
    meanings = script[script.index("const MEANING") : script.index("const meaning")]
    assert all(
        f"  {name}: " in meanings for name in (*RATING, *INTERVAL, "valid_rmse", "random_tenth_rmse", "inner_rmse")
    )
