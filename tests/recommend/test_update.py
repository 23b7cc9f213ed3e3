"""Ratings that come after training: update, refit."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest

import cofactor as cf
from cofactor.data.features.with_features import with_features
from cofactor.errors import BundleError, ConfigError, DataError, UnknownIdError
from cofactor.fitting.refit import mean_turn, procrustes, turned
from cofactor.recommend.update import _each_once, _place
from cofactor.recommend.updates import NEWER
from toys import two_tastes as table


@pytest.fixture(scope="module")
def rec():
    return cf.fit(table(), model="als", seed=1, n_factors=4)


def unseen(rec, user, n):
    rated, _ = rec.data.by_user.row(rec.data.user_ids.code(user))
    return [int(i) for i in rec.data.item_ids.values if rec.data.item_ids.code(i) not in set(rated.tolist())][:n]


def test_a_known_user_is_folded_in_with_old_and_new_ratings(rec):
    items = unseen(rec, 5, 3)
    newer = rec.update([(5, item, 1.0) for item in items])
    rated, values = rec.data.by_user.row(rec.data.user_ids.code(5))
    history = dict(zip(rec.data.item_ids.decode(rated).to_list(), values.tolist(), strict=True))
    history |= dict.fromkeys(items, 1.0)
    expected = rec.recommend(history=history, n=50)
    found = newer.recommend(5, n=50)
    assert found["item"].to_list() == expected["item"].to_list()
    np.testing.assert_array_equal(found["score"], expected["score"])
    assert set(found["status"]) == {"known, with newer ratings"}
    assert not set(items) & set(found["item"].to_list())
    assert rec.recommend(5, n=50)["item"].to_list() != found["item"].to_list()  # the old one stays as it is
    assert newer.recommend(6, n=50).equals(rec.recommend(6, n=50))


def test_predictions_follow(rec):
    item = unseen(rec, 5, 1)[0]
    newer = rec.update([(5, i, 5.0) for i in range(120, 140)])
    pairs = [(5, item), (6, 103), (5, 130)]
    before, after = rec.predict(pairs), newer.predict(pairs)
    assert after["prediction"][0] != before["prediction"][0]
    assert after["prediction"][1] == before["prediction"][1]
    assert after["prediction"][2] > before["prediction"][2]
    scores = {row["item"]: row["score"] for row in newer.recommend(5, n=40, seen=True).to_dicts()}
    assert after["prediction"][2] == pytest.approx(min(scores[130], 5.0), abs=1e-5)
    bounds = newer.predict(pairs, interval=True)
    assert (bounds["low"] <= bounds["prediction"]).all()
    np.testing.assert_array_equal(bounds["prediction"], after["prediction"])


def test_many_events_at_once_end_as_one_after_the_other(rec):
    events = [
        (5, 130, 1.0),
        (999, 130, 5.0),
        (6, 131, 2.0),
        (5, 131, 4.0),
        (5, 130, 3.0),
        (999, 132, 4.0),
        (6, 130, 1.0),
    ]
    together, apart = rec.update(events), rec
    for event in events:
        apart = apart.update([event])
    for user in (5, 6, 999):
        assert together.recommend(user, n=30).equals(apart.recommend(user, n=30))
    assert together.updates.n_ratings == apart.updates.n_ratings == 6


@pytest.mark.parametrize("kind", ["ratings", "counts"])
def test_what_is_known_of_a_user_does_not_depend_on_when_it_was_asked(kind):
    """Events one by one, in parts, at once, and with questions in between; with the result of a plain loop."""
    rng = np.random.default_rng(5)
    data = (
        table()
        if kind == "ratings"
        else table().replace(kind="counts", duplicates="sum", values=np.round(table().values))
    )
    one = cf.fit(data, model="bias" if kind == "ratings" else "item-cosine", calibrate=False)
    ids = data.item_ids.values.to_list()
    events = [
        (int(rng.choice([5, 6, 998, 999])), ids[rng.integers(6)], float(rng.integers(1, 6)), 1_700_000_000 + int(t))
        for t in rng.permutation(60)
    ]
    once, single, parts = one.update(events), one, one
    for event in events:
        single = single.update([event])
    for at in range(0, 60, 7):
        parts = parts.update(events[at : at + 7])
        parts.recommend(6, n=3)
    for user in (5, 6, 998, 999):
        plain = dict(_rated_by(one, user))
        for who, item, value, _ in events:
            if who == user:
                plain[item] = value + (plain.get(item, 0.0) if kind == "counts" else 0.0)
        for rec in (once, single, parts):
            rated = rec.updates.users[rec.users.code(user)].rated
            assert dict(zip(data.item_ids.decode(rated.items).to_list(), rated.values.tolist(), strict=True)) == plain
            first = once.updates.users[once.users.code(user)]
            for ours, theirs in zip(rated, first.rated, strict=True):
                np.testing.assert_array_equal(ours, theirs)
            np.testing.assert_array_equal(rec.updates.users[rec.users.code(user)].state, first.state)
    new = {(who, item) for who, item, _, _ in events}
    assert {rec.updates.n_ratings for rec in (once, single, parts)} == {len(new)}


def _rated_by(rec, user):
    code = rec.data.user_ids.code(user)
    if code < 0:
        return []
    items, values = rec.data.by_user.row(code)
    return zip(rec.data.item_ids.decode(items).to_list(), values.tolist(), strict=True)


def test_many_users_with_newer_ratings_are_kept_in_layers(rec):
    """Thousands of users, some each time: as a plain dictionary would have them."""
    newer, plain = rec, {}
    for at in range(0, 3000, 60):
        events = [(10_000 + (at + k) % 2000, 101 + k % 20, float(1 + k % 5)) for k in range(60)]
        newer = newer.update(events)
        plain |= {user: None for user, _, _ in events}
    assert len(newer.updates.users) == len(plain) == len(list(newer.updates.users))
    assert sorted(newer.updates.users) == sorted(newer.users.code(user) for user in plain)
    assert newer.updates.n_ratings == sum(len(user.newer) for user in newer.updates.users.values())


def test_an_item_is_found_among_records_by_its_place_and_not_by_its_bytes():
    """Whether an item is there is asked of the bytes of all records, in which its number may stand elsewhere too."""
    rng = np.random.default_rng(0)
    for _ in range(300):
        log = np.zeros(rng.integers(1, 6), NEWER)
        log["item"], log["value"], log["time"] = rng.integers(0, 4, len(log)), rng.integers(0, 3, len(log)), 2**32
        bytes_, before = log.tobytes(), log["item"][:-1].tolist()
        at = _place(bytes_, len(bytes_) - NEWER.itemsize)
        assert at == (NEWER.itemsize * before.index(log["item"][-1]) if log["item"][-1] in before else -1)


@pytest.mark.parametrize("counts", [False, True])
def test_events_one_by_one_come_to_the_same_as_all_at_once(counts):
    """A new event of an item that a user rated before takes the place of the old one, or is added to it."""
    rng = np.random.default_rng(1)
    frame = pl.DataFrame({"user": np.arange(60) % 6, "item": np.arange(60) // 6, "rating": np.arange(60) % 5 + 1.0})
    kind = {"count": "rating"} if counts else {"rating": "rating"}
    rec = cf.fit(cf.read(frame, user="user", item="item", time=None, **kind), model="item-cosine" if counts else "bias")
    events = [(int(u), int(i), float(v)) for u, i, v in zip(*rng.integers(1, 5, (3, 80)), strict=True)]
    once, one_by_one = rec.update(events), rec
    for event in events:
        one_by_one = one_by_one.update([event])
    for code, user in once.updates.users.items():
        assert one_by_one.updates.users[code].log == user.log
        assert (_each_once(user.newer, counts) == user.newer).all()


def test_what_is_known_of_the_items_is_shared(rec):
    newer = rec.update([(999, 130, 5.0)])
    assert newer.items is rec.items
    assert newer.remember("key", lambda: 1) == rec.remember("key", lambda: 2) == 1
    assert rec.users.code(999) < 0 <= newer.users.code(999)


def test_a_new_user(rec):
    newer = rec.update([(999, 130, 5.0), (999, 131, 4.5), (999, 132, 5.0), (999, 101, 1.0)])
    found = newer.recommend(999, n=6)
    assert found.drop("status").equals(rec.recommend(history={130: 5, 131: 4.5, 132: 5, 101: 1}, n=6).drop("status"))
    assert newer.predict([(999, 133)])["status"][0] == "known"
    assert newer.predict([(999, 133)])["prediction"][0] > newer.predict([(999, 102)])["prediction"][0]
    with pytest.raises(UnknownIdError, match="unknown user 999"):
        rec.recommend(999)
    twice = newer.update([(999, 103, 2.0), (1000, 103, 5.0)])
    assert twice.updates.n_ratings == 6
    everybody = twice.recommend_all(3)
    assert everybody.filter(pl.col("user") == 999)["item"].to_list() == twice.recommend(999, n=3)["item"].to_list()
    assert set(everybody.filter(pl.col("user") >= 999)["status"]) == {"known, with newer ratings"}
    assert everybody["user"].n_unique() == 62


def test_of_two_ratings_the_later_counts(rec):
    one = rec.update([(5, 120, 1.0), (5, 120, 5.0)])
    other = rec.update([(5, 120, 3.0)]).update([(5, 120, 5.0)])
    np.testing.assert_array_equal(one.updates.users[4].state, other.updates.users[4].state)
    rated = one.updates.users[4].rated
    assert rated.values[rated.items == 20].tolist() == [5.0]


def test_events_from_frames(rec):
    rows = {"user": [5, 999], "item": [120, 121], "rating": [5.0, 4.0]}
    expected = rec.update([(5, 120, 5.0), (999, 121, 4.0)]).recommend(999)
    assert rec.update(pl.DataFrame(rows)).recommend(999).equals(expected)
    assert rec.update(pd.DataFrame(rows)).recommend(999).equals(expected)


@pytest.mark.parametrize(
    ("events", "error", "message"),
    [
        ([(5, 120, float("nan"))], DataError, "event 1 is nan; it must be a finite"),
        ([(5, 120, 3.0), (5, 121, "good")], DataError, "event 2 is 'good'"),
        ([(5,)], DataError, "event 1 is"),
        ("5", DataError, "list of tuples"),
        ([("new", 120, 5.0)], DataError, "same type"),
        ([("5", 120, 5.0)], DataError, "write 5"),
        ([(5, 999, 5.0)], UnknownIdError, "unknown item 999"),
        ([(5, 120, 5.0, 7), (5, 121, 5.0)], DataError, "event 2 has no time"),
        (pl.DataFrame({"user": [5], "film": [120]}), DataError, "no column 'item'"),
        (pl.DataFrame({"user": [5], "item": [120]}), DataError, "no column 'rating'"),
        (pl.DataFrame({"user": [None], "item": [120], "rating": [1.0]}), DataError, "event 1 is missing"),
    ],
)
def test_events_that_cannot_be_used(rec, events, error, message):
    with pytest.raises(error, match=message):
        rec.update(events)


def test_unknown_items_can_be_left_out(rec):
    newer = rec.update([(5, 999, 5.0), (5, 120, 5.0)], unknown="skip")
    assert newer.updates.n_ratings == 1
    assert rec.update([(5, 999, 5.0)], unknown="skip").updates.n_ratings == 0
    with pytest.raises(ConfigError, match="'skip'"):
        rec.update([(5, 120, 5.0)], unknown="popular")


def test_what_would_be_lost_is_refused(rec, tmp_path):
    newer = rec.update([(5, 120, 5.0)])
    with pytest.raises(ConfigError, match="1 ratings are newer than the model"):
        newer.save(tmp_path / "x.cofactor")


def test_explanations_follow(rec):
    newer = rec.update([(5, 120, 5.0), (999, 121, 4.0)])
    for user in (5, 6, 999):
        account = newer.explain(user, 125)
        assert account.prediction == pytest.approx(newer.predict([(user, 125)])["prediction"][0], abs=1e-5)
    assert newer.explain(6, 120).prediction == rec.explain(6, 120).prediction


@pytest.mark.parametrize("name", ["bias", "als", "svd++", "item-knn", "user-knn", "dot-bias"])
def test_terms_of_an_updated_user_sum_to_the_prediction(name):
    rec = cf.fit(table(), model=name, calibrate=False, **({"epochs": 3} if name in ("svd++", "dot-bias") else {}))
    newer = rec.update([(5, 120, 5.0), (999, 121, 4.0), (999, 101, 1.0)])
    accounts = [newer.explain(user, item) for user in (5, 999) for item in (102, 125, 139)]
    accounts += [rec.explain(history={121: 4.0, 101: 1.0}, item=item) for item in (102, 125, 139)]
    for account in accounts:
        assert {"user", "item"} <= set(account.terms["term"])
        assert account.linked_sum() == pytest.approx(account.prediction, abs=1e-5)
        if account.user is not None:
            asked = newer.predict([(account.user, account.item)])["prediction"][0]
            assert account.prediction == pytest.approx(asked, abs=1e-5)
    assert accounts[3].terms.equals(accounts[6].terms)  # the same ratings, the same account
    assert "= " in str(accounts[0])


@pytest.mark.parametrize("name", ["bias", "svd++", "item-knn", "user-knn", "ease", "ials", "popular", "bayes-mf"])
def test_every_kind_of_model_takes_updates(name):
    small = {"bayes-mf": {"epochs": 8, "burn_in": 4}, "svd++": {"epochs": 3}, "ials": {"epochs": 3}}
    rec = cf.fit(table(), model=name, calibrate=False, **small.get(name, {}))
    newer = rec.update([(5, 120, 5.0), (999, 121, 4.0)])
    for user in (5, 999):
        frame = newer.recommend(user, n=5)
        assert len(frame) == 5
        assert frame["score"].is_finite().all()
    if name == "bayes-mf":
        assert newer.predict([(999, 122)], interval=True)["low"][0] < newer.predict([(999, 122)])["prediction"][0]


# ---- refit


def test_refit_learns_the_new_ratings_on_the_old_axes(rec):
    newer = rec.update([(5, 120, 5.0), (999, 121, 4.0), (999, 122, 5.0)])
    data = newer.ratings()
    assert len(data) == len(rec.data) + 3 - (20 in rec.data.by_user.row(4)[0])
    assert data.user_ids.code(999) == 60
    again = newer.refit()
    assert again.recommend(999, n=3)["status"][0] == "known"
    assert 0 <= again.metrics["embedding_shift"] < 0.2
    raw = mean_turn(again.model.factors("item"), rec.model.factors("item"))
    assert again.metrics["embedding_shift"] <= raw + 1e-6
    before, after = rec.embeddings(), again.embeddings()
    assert before["id"].equals(after["id"])
    turned = mean_turn(after["factors"].to_numpy(), before["factors"].to_numpy())
    assert turned == pytest.approx(again.metrics["embedding_shift"], abs=1e-6)
    np.testing.assert_allclose(again.rotation @ again.rotation.T, np.eye(4), atol=1e-5)


def test_vectors_of_two_trainings_are_brought_to_the_same_axes():
    rec, other, third = (cf.fit(table(), model="als", seed=seed, n_factors=4, calibrate=False) for seed in (1, 9, 10))
    raw = mean_turn(other.model.factors("item"), rec.model.factors("item"))
    assert raw > 0.5
    other.rotation, drift = turned(rec, other)
    assert drift < 0.1
    third.rotation, _ = turned(other, third)  # on the axes of the first, not of the second
    first, last = rec.embeddings()["factors"].to_numpy(), third.embeddings()["factors"].to_numpy()
    assert mean_turn(last, first) < 0.1


@pytest.mark.parametrize("name", ["als", "svd++", "ials"])
def test_sweeps_go_on_from_the_old_vectors(name):
    data = table()
    old = cf.fit(data, model=name, seed=1, n_factors=4, calibrate=False)
    more = old.update([(999, 101, 5.0), (5, 139, 1.0)])
    fresh = cf.fit(more.ratings(), model=name, seed=2, n_factors=4, calibrate=False, epochs=1)
    warm = more.refit(seed=2, epochs=1)
    assert warm.metrics["warm_start"] == 1
    assert warm.history[0][0] < fresh.history[0][0]
    assert warm.metrics["embedding_shift"] < 0.1
    assert mean_turn(warm.model.factors("item"), old.model.factors("item")) < 0.1


@pytest.mark.parametrize("name", ["dot-bias", "bpr", "bias", "ease"])
def test_others_begin_afresh_and_say_so(name):
    small = {"bpr": {"epochs": 3}, "dot-bias": {"epochs": 2}}
    rec = cf.fit(table(), model=name, seed=1, calibrate=False, **small.get(name, {}))
    again = rec.refit()
    assert again.metrics["warm_start"] == 0
    assert again.recommend(5).equals(rec.recommend(5))


@pytest.mark.parametrize("name", ["dot-bias", "bpr", "warp", "neural"])
def test_gradient_steps_go_on_when_asked_to(name):
    if name == "neural":
        pytest.importorskip("torch", reason="the torch extra is not installed")
    small = {"dot-bias": {"lr": 5e-2}, "neural": {"layers": (8,), "batch_size": 32}, "bpr": {"lr": 0.1}, "warp": {}}
    config = {"n_factors": 4, "epochs": 20, **small[name]}
    old = cf.fit(table(), model=name, seed=1, calibrate=name == "dot-bias", **config)
    more = old.update([(999, 101, 5.0), (999, 102, 4.0), (5, 139, 1.0)])
    warm, fresh = more.refit(seed=2, warm=True), more.refit(seed=2, warm=False)
    assert (warm.metrics["warm_start"], fresh.metrics["warm_start"]) == (1, 0)
    assert len(warm.history) == 4
    assert warm.model.config == old.model.config
    again = more.refit(seed=2, epochs=4)
    assert again.metrics["warm_start"] == 0
    assert warm.history[0][0] < again.history[0][0]
    assert warm.recommend(999)["score"].is_finite().all()
    assert (warm.intervals is None) == (name != "dot-bias")
    assert warm.metrics["embedding_shift"] < fresh.metrics["embedding_shift"]
    assert warm.metrics["embedding_shift"] < 0.2
    assert (warm.rotation is None) == (name == "neural")  # whose vectors are shown nowhere


def test_chains_go_on_from_their_last_samples(tmp_path):
    data = with_features(table(), item=["genres"])
    old = cf.fit(data, model="bayes-mf", seed=1, n_factors=4, epochs=60, burn_in=12)
    more = old.update([(999, 101, 5.0), (999, 102, 4.0), (5, 139, 1.0)])
    fresh = cf.fit(more.ratings(), model="bayes-mf", seed=2, n_factors=4, epochs=3, burn_in=2)
    warm = more.refit(seed=2)
    assert warm.metrics["warm_start"] == 1
    assert len(warm.history) == 2 + 24
    assert warm.model.config == old.model.config
    assert warm.history[0][0] < 1.5 * old.history[-1][0] < fresh.history[0][0]  # they need not find the way again
    assert 0 <= warm.metrics["embedding_shift"] < 0.3
    assert warm.recommend(999)["score"].is_finite().all()
    assert more.refit(seed=2).recommend(999).equals(warm.recommend(999))
    old.save(tmp_path / "m.cofactor")
    again = cf.load(tmp_path / "m.cofactor").refit(more.ratings(), seed=2)
    assert again.recommend(999).equals(warm.recommend(999))
    wider = old.refit(n_factors=5, epochs=4, burn_in=1)
    assert wider.metrics["warm_start"] == 0
    assert len(wider.history) == 4
    with pytest.raises(ConfigError, match="burn_in is 2"):
        old.refit(epochs=2)
    assert old.refit(warm=False).metrics["warm_start"] == 0


def test_ordinal_chains_go_on_too():
    old = cf.fit(
        table().replace(values=np.round(table().values)),
        model="bayes-mf",
        seed=1,
        n_factors=3,
        epochs=40,
        burn_in=12,
        likelihood="ordinal",
    )
    warm = old.refit(seed=2)
    assert warm.metrics["warm_start"] == 1
    users = np.arange(60, dtype=np.int32)
    off = warm.model.scores(users) - old.model.scores(users)
    assert np.sqrt(np.mean(off**2)) < 0.5 * old.model.scores(users).std()


def test_nothing_to_go_on_from_means_the_usual_epochs(capsys):
    old = cf.fit(table(), model="ease", seed=1)
    assert old.refit(warm=True, verbose=True).metrics["warm_start"] == 0
    assert "ease has no vectors that training could start from" in capsys.readouterr().out
    dot = cf.fit(table(), model="dot-bias", seed=1, epochs=10, calibrate=False)
    wider = dot.refit(warm=True, n_factors=7, seed=1)
    assert wider.metrics["warm_start"] == 0
    assert len(wider.history) == 10
    assert dot.refit(verbose=True).metrics["warm_start"] == 0
    assert "warm=True does so anyway" in capsys.readouterr().out


def test_the_axes_are_saved(tmp_path):
    rec = cf.fit(table(), model="ials", seed=1, n_factors=4, epochs=3)
    other = rec.refit(seed=9, epochs=4)
    assert other.model.config.epochs == 4
    other.save(tmp_path / "m.cofactor")
    assert cf.load(tmp_path / "m.cofactor").embeddings().equals(other.embeddings())
    other.rotation = 2 * other.rotation
    other.save(tmp_path / "m.cofactor")
    with pytest.raises(BundleError, match="not a rotation"):
        cf.load(tmp_path / "m.cofactor")


def test_procrustes_finds_a_planted_rotation():
    rng = np.random.default_rng(0)
    a = rng.normal(size=(50, 5))
    q, _ = np.linalg.qr(rng.normal(size=(5, 5)))
    np.testing.assert_allclose(procrustes(a, a @ q), q, atol=1e-5)
