"""Evaluation of users held out of training, by their given histories."""

from __future__ import annotations

import numpy as np
import pytest

import cofactor
from cofactor.data import splits
from cofactor.data.interactions import Interactions, Split
from cofactor.errors import ConfigError, DataError
from cofactor.evaluation import evaluate
from cofactor.evaluation.fold_in import folded, joined
from cofactor.evaluation.scorer import scorer
from cofactor.selection import compare
from toys import TableModel as Table


@pytest.fixture
def split(toy: Interactions) -> Split:
    return splits.by_user(toy, users=0.3, given=0.5, seed=1)


def test_users_are_folded_in_by_what_is_given(split: Split) -> None:
    assert split.given is not None
    rec = cofactor.fit(split.train, model="bias", seed=0, calibrate=False)
    frame = evaluate(rec, split, ["rmse", "ndcg@5"], draws=0)
    model = rec.model
    errors = []
    for user in np.unique(split.valid.users):
        history = split.given.by_user.take(np.array([user]))
        scores = model.scores_from(model.fold_in(history))[0]
        mine = split.valid.users == user
        errors += list(np.clip(scores[split.valid.items[mine]], 1, 5) - split.valid.values[mine])
    assert frame["value"][0] == pytest.approx(np.sqrt(np.mean(np.square(errors))), rel=1e-5)
    blind = evaluate(rec, split.valid, ["rmse"], draws=0)["value"][0]
    assert frame["value"][0] < blind  # their own biases are known now


def test_histories_count_as_seen(split: Split) -> None:
    assert split.given is not None
    rec = cofactor.fit(split.train, model="bias", seed=0, calibrate=False)
    by = folded(scorer(rec), rec.model, split.given)
    assert len(by.train) == len(split.train) + len(split.given)
    assert set(np.unique(by.train.users)) == set(np.unique(joined(split.train, split.given).users))
    assert by.interval is None
    user = split.given.users[:1]
    np.testing.assert_array_equal(
        by.scores(user), rec.model.scores_from(rec.model.fold_in(split.given.by_user.take(user)))
    )
    known = split.train.users[:1]
    np.testing.assert_array_equal(by.scores(np.array([known[0], user[0]]))[0], rec.model.scores(known)[0])
    unknown = by.predict(np.array([-1, user[0]], np.int32), np.array([0, -1], np.int32), None)
    np.testing.assert_array_equal(unknown, rec.model.predict(np.array([-1, user[0]]), np.array([0, -1])))


def test_compare_folds_in_too(split: Split) -> None:
    found = compare(split=split, models=["bias"], metrics=["rmse"], draws=0)
    rec = cofactor.fit(split.train, model="bias", seed=42, calibrate=False)
    assert found.frame["mean"][0] == pytest.approx(evaluate(rec, split, ["rmse"], draws=0)["value"][0])


def test_a_bare_model_without_fold_in_is_refused(split: Split) -> None:
    assert split.given is not None
    by = scorer(Table(np.zeros((40, 25))), split.train)
    with pytest.raises(ConfigError, match="cannot fold in"):
        folded(by, Table(np.zeros((40, 25))), split.given)


def test_other_id_maps_are_refused(split: Split, demo: Interactions) -> None:
    rec = cofactor.fit(split.train, model="bias", seed=0, calibrate=False)
    with pytest.raises(DataError, match="share the id maps"):
        folded(scorer(rec), rec.model, demo)
