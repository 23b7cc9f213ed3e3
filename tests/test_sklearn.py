"""Models as scikit-learn estimators."""

from __future__ import annotations

import pickle

import numpy as np
import polars as pl
import pytest

pytest.importorskip("sklearn")

from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV, cross_val_predict, cross_val_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

import cofactor as cf
from cofactor.errors import ConfigError, DataError
from cofactor.sklearn import CofactorRegressor


@pytest.fixture(scope="module")
def pairs():
    rng = np.random.default_rng(0)
    users, items = np.nonzero(rng.random((40, 30)) < 0.5)
    ratings = np.clip(
        np.round(3 + np.where((users % 2) == (items % 2), 1.2, -1.2) + rng.normal(0, 0.5, len(users))), 1, 5
    )
    return np.stack([users, items], axis=1), ratings


def test_it_is_the_same_model_as_by_fit(pairs):
    X, y = pairs
    mine = CofactorRegressor("als", seed=3, n_factors=4).fit(X, y)
    frame = pl.DataFrame({"user": X[:, 0], "item": X[:, 1], "rating": y})
    rec = cf.fit(cf.read(frame, "user", "item", "rating"), model="als", seed=3, n_factors=4)
    expected = rec.predict(frame.select("user", "item"))["prediction"].to_numpy()
    np.testing.assert_array_equal(mine.predict(X), expected)
    assert mine.recommender_.recommend(user=0, n=3).equals(rec.recommend(user=0, n=3))


def test_parameters_follow_the_protocol(pairs):
    one = CofactorRegressor("als", n_factors=7)
    assert one.get_params()["n_factors"] == 7
    assert one.get_params()["seed"] == 0
    assert set(one.get_params()) > {"model", "seed", "unknown", "epochs"}
    two = clone(one)
    assert two is not one
    assert two.get_params() == one.get_params()
    assert one.set_params(n_factors=3, seed=5).get_params()["n_factors"] == 3
    assert two.get_params()["n_factors"] == 7
    with pytest.raises(ConfigError, match="n_factor"):
        one.set_params(n_factor=3)
    assert "CofactorRegressor" in repr(one)


def test_cross_validation_and_grid_search(pairs):
    X, y = pairs
    scores = cross_val_score(CofactorRegressor("bias"), X, y, cv=3)
    assert scores.shape == (3,)
    assert np.isfinite(scores).all()
    search = GridSearchCV(CofactorRegressor("als", seed=0), {"n_factors": [1, 4]}, cv=2).fit(X, y)
    assert search.best_params_["n_factors"] in (1, 4)
    assert search.best_estimator_.recommender_.model.config.n_factors == search.best_params_["n_factors"]


@pytest.mark.parametrize("kind", ["polars", "pandas", "object"])
def test_ids_keep_their_type(pairs, kind):
    X, y = pairs
    names = [f"i{i}" for i in X[:, 1]]
    frame = pl.DataFrame({"u": X[:, 0], "i": names})
    if kind == "pandas":
        pandas = pytest.importorskip("pandas")
        given = pandas.DataFrame({"u": X[:, 0], "i": names})
    else:
        given = frame if kind == "polars" else np.array([list(r) for r in frame.rows()], dtype=object)
    model = CofactorRegressor("bias").fit(given, y)
    assert model.recommender_.data.user_ids.values.dtype.is_integer()
    assert model.predict(given[:5] if kind != "pandas" else given.iloc[:5]).shape == (5,)


def test_what_makes_no_sense_is_said(pairs):
    X, y = pairs
    with pytest.raises(DataError, match="3 columns"):
        CofactorRegressor().fit(np.ones((4, 3)), np.ones(4))
    with pytest.raises(DataError, match="y has shape"):
        CofactorRegressor().fit(X, y[:-1])
    with pytest.raises(NotFittedError):
        CofactorRegressor().predict(X)
    model = CofactorRegressor("bias", unknown="error").fit(X, y)
    with pytest.raises(cf.CofactorError, match="unknown"):
        model.predict([[99, 1]])
    assert np.isfinite(CofactorRegressor("bias").fit(X, y).predict([[99, 1]])).all()


def test_a_grid_tries_several_models(pairs):
    """Each candidate is the model by its own defaults, whatever the others have."""
    X, y = pairs
    grid = [{"model": ["bias", "popular"]}, {"model": ["als"], "n_factors": [2]}]
    search = GridSearchCV(CofactorRegressor("als", seed=0, reg=7.0), grid, cv=2, error_score="raise").fit(X, y)
    assert len(search.cv_results_["params"]) == 3
    for name in ("bias", "als", "ease", "dot-bias", "bayes-mf"):
        moved = clone(CofactorRegressor("als", seed=2)).set_params(model=name)
        assert moved.get_params() == CofactorRegressor(name, seed=2).get_params()
    kept = clone(CofactorRegressor("als", n_factors=7)).set_params(model="ials")
    assert kept.get_params()["n_factors"] == 7
    with pytest.raises(ConfigError, match="n_factor"):
        CofactorRegressor("als", n_factor=7).set_params(model="bias").fit(X, y)


def test_in_a_pipeline_pickled_and_searched_at_random(pairs):
    X, y = pairs
    line = Pipeline([("same", FunctionTransformer()), ("model", CofactorRegressor("bias"))]).fit(X, y)
    again = pickle.loads(pickle.dumps(line))
    np.testing.assert_array_equal(again.predict(X), line.predict(X))
    assert (
        again.named_steps["model"]
        .recommender_.recommend(user=0, n=2)
        .equals(line.named_steps["model"].recommender_.recommend(user=0, n=2))
    )
    assert clone(line).set_params(model__reg_user=3.0).get_params()["model__reg_user"] == 3.0
    assert cross_val_predict(CofactorRegressor("bias"), X, y, cv=2).shape == y.shape
    found = RandomizedSearchCV(CofactorRegressor("bias"), {"reg_user": [1.0, 5.0]}, n_iter=2, cv=2, random_state=0)
    assert found.fit(X, y).best_params_["reg_user"] in (1.0, 5.0)


def test_fitting_again_forgets_what_was_before(pairs):
    X, y = pairs
    model = CofactorRegressor("bias").fit(X, y)
    other = model.fit(X[:100], y[:100])
    assert other is model
    fresh = CofactorRegressor("bias").fit(X[:100], y[:100])
    np.testing.assert_array_equal(model.predict(X[:50]), fresh.predict(X[:50]))
    before = X.copy(), y.copy()
    model.predict(X)
    np.testing.assert_array_equal(X, before[0])
    np.testing.assert_array_equal(y, before[1])


def test_weights_of_rows_count(pairs):
    """A row of weight 2 counts as the row twice, one of weight 0 not at all, in a search too."""
    X, y = pairs
    weights = np.arange(len(y)) % 3
    weighed = CofactorRegressor("bias").fit(X, y, sample_weight=weights)
    frame = pl.DataFrame({"user": X[:, 0], "item": X[:, 1], "rating": y, "weight": weights})
    rec = cf.fit(cf.read(frame, "user", "item", "rating", weight="weight"), model="bias", seed=0)
    kept = X[weights > 0]
    expected = rec.predict(pl.DataFrame(kept, schema=["user", "item"]))["prediction"].to_numpy()
    np.testing.assert_array_equal(weighed.predict(kept), expected)
    assert (weighed.predict(kept) != CofactorRegressor("bias").fit(X, y).predict(kept)).any()
    GridSearchCV(CofactorRegressor("bias"), {"reg_user": [1.0, 9.0]}, cv=2).fit(X, y, sample_weight=weights)
    with pytest.raises(DataError, match="sample_weight has shape"):
        CofactorRegressor("bias").fit(X, y, sample_weight=weights[1:])


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_columns_of_a_frame_keep_their_names_and_order(pairs, library):
    X, y = pairs
    pd = pytest.importorskip("pandas")
    named = ["viewer", "film"]
    frame = pl.DataFrame(X, schema=named) if library == "polars" else pd.DataFrame(X, columns=named)
    model = CofactorRegressor("bias").fit(frame, y)
    assert list(model.feature_names_in_) == named
    np.testing.assert_array_equal(model.predict(X), model.predict(frame))  # an array has no names to differ
    with pytest.raises(DataError, match=r"columns film, viewer; give those of fit, in order: viewer, film"):
        model.predict(frame[["film", "viewer"]])
    assert not hasattr(model.fit(X, y), "feature_names_in_")
