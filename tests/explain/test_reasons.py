"""The reason in a list is the first reason of the explanation, for every model and kind of history."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import cofactor as cf
from cofactor.recommend.contributions import PATIENCE, SOLVED, STEPPED, contributions, entries_compared
from cofactor.recommend.updates import as_rows

SETTINGS = {
    "als": {"n_factors": 4, "epochs": 4},
    "svd++": {"n_factors": 4, "epochs": 4},
    "item-knn": {},
    "user-knn": {},
    "dot-bias": {"n_factors": 4, "epochs": 2},
    "bayes-mf": {"n_factors": 3, "epochs": 12, "burn_in": 6},
    "ease": {"reg": 5.0},
    "slim": {},
    "item-cosine": {},
    "ials": {"n_factors": 4, "epochs": 4},
    "bpr": {"n_factors": 4, "epochs": 2},
    "warp": {"n_factors": 4, "epochs": 2},
    "blend": {"models": ("ease", "item-cosine"), "weights": (0.5, 0.5)},
    "bias": {},
    "popular": {},
}


def world(n_users=60, n_items=80, seed=3):
    """Two tastes; user 0 has rated 50 items, user 1 two, the others some."""
    rng = np.random.default_rng(seed)
    users, items = np.nonzero(rng.random((n_users, n_items)) < 0.25)
    keep = users > 1
    users = np.concatenate([np.zeros(50, int), [1, 1], users[keep]])
    items = np.concatenate([np.arange(50), [4, 9], items[keep]])
    likes = (users % 2) == (items % 2)
    values = np.clip(np.round(3 + 1.5 * np.where(likes, 1, -1) + rng.normal(0, 0.7, len(users))), 1, 5)
    frame = pl.DataFrame({"user": users, "item": items, "rating": values})
    return cf.read(
        frame, items=pl.DataFrame({"item": np.arange(n_items), "title": [f"Film {i}" for i in range(n_items)]})
    )


@pytest.fixture(scope="module")
def fitted():
    data, made = world(), {}

    def get(name):
        if name not in made:
            made[name] = cf.fit(data, model=name, seed=1, calibrate=False, **SETTINGS[name])
        return made[name]

    return get


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("who", ["heavy", "light", "history", "liked"])
def test_the_list_and_the_explanation_tell_one_story(fitted, name, who):
    rec = fitted(name)
    given = {
        "heavy": {"user": 0},
        "light": {"user": 1},
        "history": {"history": {3: 5, 8: 1, 11: 4, 20: 2}},
        "liked": {"history": [3, 11, 21]},
    }[who]
    for row in rec.recommend(**given, n=6).to_dicts():
        account = rec.explain(item=row["item"], **given)
        said = account.because()
        assert account.reason == row["reason"]
        assert row["reason"] in said[0]
        assert said[0].startswith("because ")
        ways = [line.startswith("because") for line in said]
        assert ways == sorted(ways, reverse=True)  # what speaks for it comes first
        assert float(account.rated["contribution"].sum()) + account.rest == pytest.approx(account.prediction, abs=1e-6)


@pytest.mark.parametrize("name", ["ease", "slim", "item-cosine"])
def test_of_sums_over_the_history_the_average_user_is_left(fitted, name):
    rec = fitted(name)
    account = rec.explain(user=0, item=60)
    assert len(account.rated) == 50
    code = rec.data.item_ids.encode([60])
    added = rec.model.average_part(as_rows([rec.data.by_user.row(0)], rec.data.n_items), code)[0]
    assert account.rest == pytest.approx(added, abs=1e-4 * max(1, abs(account.prediction)))
    assert "popular with everybody" in str(account)


@pytest.mark.parametrize("name", ["ease", "slim", "item-cosine", "als", "bayes-mf"])
def test_several_items_at_once_are_each_alone(fitted, name):
    rec = fitted(name)
    history, items = as_rows([rec.data.by_user.row(0)], rec.data.n_items), np.array([61, 3, 55])
    scores, found = contributions(rec.model, history, items)
    assert (found[1, 3], found.shape) == (0, (3, 50))  # its own rating is no reason
    for row, item in enumerate(items):
        alone = contributions(rec.model, history, np.array([item]))
        np.testing.assert_allclose(found[row], alone[1][0], atol=1e-5)
        np.testing.assert_allclose(scores[row], alone[0][0], atol=1e-5)


def test_the_strongest_rating_is_the_reason(fitted):
    """By the definition: the rating without which the score would be lowest."""
    rec = fitted("als")
    items, values = rec.data.by_user.row(0)
    row = rec.recommend(user=0, n=1).to_dicts()[0]
    keep = [np.arange(len(items)) != gone for gone in range(len(items))]
    states = rec.model.fold_in(as_rows([(items[k], values[k]) for k in keep], rec.data.n_items))
    lowest = int(rec.model.scores_from(states)[:, row["item"]].argmin())
    assert row["reason"] == f"you gave {values[lowest]:g} to Film {items[lowest]}"


def test_liked_is_not_called_rated(fitted):
    rec = fitted("ease")
    reasons = rec.recommend(history={3: None, 11: 5, 21: None}, n=10)["reason"].to_list()
    assert any("you liked Film" in text for text in reasons)
    assert not any("rated Film 3 " in text or "rated Film 21 " in text for text in reasons)
    account = rec.explain(history={3: None, 11: 5}, item=15)
    assert account.rated.filter(pl.col("item") == 3)["stated"].to_list() == [False]
    assert any("you liked Film 3:" in text for text in account.because())


def test_where_leaving_out_takes_too_long_the_nearest_leads(fitted):
    rec = fitted("warp")
    assert [entries_compared(rec.model, n) for n in (STEPPED, STEPPED + 1)] == [STEPPED, 0]
    assert [entries_compared(fitted("svd++").model, n) for n in (SOLVED, SOLVED + 1)] == [SOLVED, 0]
    for name in ("als", "bayes-mf"):
        model = fitted(name).model
        most = int(PATIENCE / model.seconds_without(1))
        assert most > SOLVED
        assert [entries_compared(model, n) for n in (most - 1, most + 2)] == [most - 1, 0]
    assert [entries_compared(fitted(name).model, 10**6) for name in ("ease", "ials")] == [10**6] * 2
    row = rec.recommend(user=0, n=1).to_dicts()[0]
    assert row["reason"].startswith("like Film ")
    assert ", which you gave " in row["reason"]
    assert rec.explain(user=0, item=row["item"]).because()[0] == f"because it is {row['reason']}"


def test_the_rest_of_a_long_history_is_told_by_what_it_does(fitted):
    account = fitted("ease").explain(user=0, item=60)
    others = account.others(5)
    assert {way for way, _, _ in others} == {"for", "against"}
    assert sum(n for _, n, _ in others) == 45
    shown = account.strongest(5)["contribution"].sum() + sum(total for _, _, total in others)
    assert shown + account.rest == pytest.approx(account.prediction, abs=1e-6)
    assert "other ratings against it" in str(account)
