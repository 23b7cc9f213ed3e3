"""Columns of Python objects: taken as what they hold, or refused in one sentence, wherever a frame may be given."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import polars as pl
import pytest

import cofactor as cf
from cofactor.data.features.encoding import encode_like
from cofactor.data.features.features import features
from cofactor.data.features.with_features import with_features
from cofactor.errors import DataError
from toys import two_tastes as table


class Thing:
    """What no table is made of."""


@pytest.fixture(scope="module")
def rec():
    return cf.fit(table(), model="als", seed=1, n_factors=4)


EVENTS = {"user": [3, 4], "item": [103, 104], "rating": [5.0, 4.0]}
NEW = {"item": [900, 901], "genres": ["A", "B"]}


def with_objects(columns, name, values=None):
    """The columns as a polars and as a pandas frame, one of them of Python objects."""
    values = [Thing(), Thing()] if values is None else values
    changed = columns | {name: values}
    yield pl.DataFrame([pl.Series(k, v, dtype=pl.Object if k == name else None) for k, v in changed.items()])
    yield pd.DataFrame({k: pd.Series(v, dtype=object if k == name else None) for k, v in changed.items()})


@pytest.mark.filterwarnings("ignore::cofactor.evaluation.LeakWarning")  # what rows they are is of no matter here
@pytest.mark.parametrize("name", EVENTS)
def test_events_and_test_rows(rec, name):
    for frame in with_objects(EVENTS, name):
        with pytest.raises(DataError, match=rf"^column '{name}' of the events holds Python objects \(Thing\); make it"):
            rec.update(frame)
        with pytest.raises(DataError, match="type Object"):
            cf.evaluate(rec, frame)
        with pytest.raises(DataError, match="type Object"):
            cf.check(frame)
    wanted, measured = rec.update(pl.DataFrame(EVENTS)).predict([(4, 110)]), cf.evaluate(rec, pl.DataFrame(EVENTS))
    for frame in with_objects(EVENTS, name, EVENTS[name]):
        assert rec.update(frame).predict([(4, 110)]).equals(wanted)
        assert cf.evaluate(rec, frame).equals(measured)


@pytest.mark.parametrize("name", ["user", "item"])
def test_pairs(rec, name):
    for frame in with_objects(EVENTS, name):
        with pytest.raises(DataError, match=rf"^column '{name}' of the pairs holds Python objects \(Thing\)"):
            rec.predict(frame)
    wanted = rec.predict([(3, 103), (4, 104)])
    for frame in (*with_objects(EVENTS, name, EVENTS[name]), pd.DataFrame(EVENTS), pl.DataFrame(EVENTS).lazy()):
        assert rec.predict(frame).equals(wanted)
    with pytest.raises(DataError, match="the pairs have no column 'user'; there are: item"):
        rec.predict(pd.DataFrame({"item": [103]}))


@pytest.mark.parametrize("name", NEW)
def test_new_items(rec, name):
    for frame in with_objects(NEW, name):
        with pytest.raises(DataError, match=rf"^column '{name}' of the new items holds Python objects \(Thing\)"):
            rec.recommend_new(frame, 3)
    wanted = rec.recommend_new(pl.DataFrame(NEW), 3)
    for frame in (*with_objects(NEW, name, NEW[name]), *with_objects(NEW, "of no use")):
        assert rec.recommend_new(frame, 3).equals(wanted)
    mixed = pd.DataFrame(NEW | {"genres": ["A", 3]})
    assert rec.recommend_new(mixed, 3)["status"][1] == "new item: no known feature; never seen: genres=3"
    with pytest.raises(DataError, match="two columns of the frame have the same name"):
        rec.recommend_new(pd.DataFrame([[900, "A", "B"]], columns=["item", "genres", "genres"]), 3)


@pytest.mark.parametrize("name", NEW)
def test_side_tables(name):
    ratings, side = pl.DataFrame(EVENTS), {"item": [103, 104], "genres": ["A", "B"]}
    for frame in with_objects(side, name):
        with pytest.raises(DataError, match=rf"^column '{name}' of the item table holds Python objects \(Thing\)"):
            cf.read(ratings, items=frame)
        with pytest.raises(DataError, match=rf"^column '{name}' of the item table holds Python objects"):
            with_features(cf.read(ratings), item=frame)
    for frame in with_objects(side, name, side[name]):
        assert cf.read(ratings, items=frame).item_table.equals(pl.DataFrame(side))
    for ids in ([[103], [104]], [True, False]):
        with pytest.raises(DataError, match=r"the item table has ids of type .* \(column 'item'\); give"):
            cf.read(ratings, items=pl.DataFrame({"item": ids, "genres": ["A", "B"]}))


def test_lists_of_ids(rec):
    ids = pl.Series([103, 104], dtype=pl.Object)
    assert rec.data.item_ids.encode(ids).tolist() == [3, 4]
    assert rec.data.item_ids.encode(pl.Series([103, Thing()], dtype=pl.Object).slice(1)).tolist() == [-1]
    assert set(rec.recommend(3, allow=ids, seen=True)["item"]) == {103, 104}


def test_types_that_make_no_feature_are_left_out_or_said():
    odd = {"when": [dt.time(1), dt.time(1)], "deep": [[["x"]], [["x"]]], "parts": [{"a": 1}, {"a": 1}]}
    for name, values in odd.items():
        with pytest.raises(DataError, match=f"column '{name}' has type .*, which cannot be made into features"):
            features(pl.DataFrame({name: values}))
        with pytest.raises(DataError, match=f"column '{name}' has type .*, which cannot be made into features"):
            encode_like(pl.DataFrame({name: values}), [f"{name}=x"], None)
    data = table()
    columns = [pl.Series(name, values[:1] * data.n_items) for name, values in odd.items()]
    found = cf.fit(data.replace(item_table=data.item_table.with_columns(columns)), model="bias", calibrate=False)
    wanted = cf.fit(data, model="bias", calibrate=False).recommend_new(pl.DataFrame(NEW), 3)
    assert found.recommend_new(pl.DataFrame(NEW), 3).equals(wanted)


def test_what_pandas_makes_dicts_of():
    frame = pd.DataFrame({"item": [7, 8, 7, 9], "user": [1, 1, 2, 2], "rating": [4.0, 2.0, 5.0, 1.0]})
    wanted = cf.read(frame).to_frame()
    for orient in ("dict", "list", "records", "index"):
        assert cf.read(frame.to_dict(orient)).to_frame().equals(wanted), orient
    assert cf.read(list(frame.itertuples(index=False))).to_frame().equals(wanted)
    assert cf.read(list(frame.itertuples())).to_frame().equals(wanted)
    assert cf.read({"u1": {"a": 5.0, "b": 1.0}, "u2": {"a": 4.0}}).n_users == 2


def test_intervals_are_ids_and_arrays_are_lists():
    users = np.repeat(np.arange(30), 3)
    bands = pd.DataFrame({"user": users, "item": pd.cut(np.arange(90) * 7 % 31, 4), "rating": 1 + np.arange(90) % 5})
    assert cf.read(bands).item_ids.values.str.contains(r"^\(.*\]$").all()
    pairs = pl.DataFrame({"user": [1, 2], "item": [[5, 6], [5, 7]]}, schema_overrides={"item": pl.Array(pl.Int64, 2)})
    assert cf.read(pairs).to_frame().rows() == [(1, 5, 1.0), (1, 6, 1.0), (2, 5, 1.0), (2, 7, 1.0)]
