"""Frames and arrays of types that are seldom: each is read as what it is, or refused in one sentence."""

from __future__ import annotations

import datetime as dt
import decimal
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy import sparse

import cofactor as cf
from cofactor.errors import DataError
from shapes import STARS, check

U, J, V, T = (list(column) for column in zip(*STARS))
MATRIX = sparse.coo_matrix((V, (U, J)), shape=(30, 20)).tocsr()
FULL = np.where(MATRIX.toarray() == 0, np.nan, MATRIX.toarray())


def frame(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame({"user": U, "item": J, "rating": V} | columns)


def moments(unit: str) -> Any:
    return np.array(T, dtype="M8[s]").astype(f"M8[{unit}]")


def zoned(t: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(t, dt.timezone(dt.timedelta(hours=t % 5)))


MADE: dict[str, tuple[Callable[[], Any], dict[str, Any]]] = {
    "nullable": (lambda: frame(user=pd.array(U, "Int64"), rating=pd.array(V, "Float32")), {}),
    "categories": (
        lambda: frame(user=pd.Categorical([f"u{u}" for u in U]), item=pd.Categorical(J), rating=pd.Categorical(V)),
        {"user": "u{}".format},
    ),
    "decimals": (lambda: frame(user=[decimal.Decimal(u) for u in U], rating=[decimal.Decimal(v) for v in V]), {}),
    "objects": (lambda: frame(user=pd.Series(U, dtype=object), rating=pd.Series(V, dtype=object)), {}),
    "index": (lambda: frame().set_index(["user", "item"]), {}),
    "series": (lambda: frame().set_index(["user", "item"])["rating"], {}),
    "float16": (lambda: frame(rating=np.array(V, np.float16)), {}),
    "uint64": (lambda: frame(user=np.array(U, np.uint64) + np.uint64(2**63)), {"user": lambda u: u + 2**63}),
    "bytes": (lambda: frame(user=[f"u{u}".encode() for u in U]), {"user": "u{}".format}),
    "sparse column": (lambda: frame(rating=pd.arrays.SparseArray(V)), {}),
    "arrow strings": (lambda: frame(user=pd.array([str(u) for u in U], "string[pyarrow]")), {}),
    "New York": (
        lambda: frame(ts=pd.to_datetime(T, unit="s", utc=True).tz_convert("America/New_York")),
        {"within": 0},
    ),
    "zones by row": (lambda: frame(ts=pd.Series([zoned(t) for t in T], dtype=object)), {"within": 0}),
    "periods": (
        lambda: frame(month=pd.to_datetime(pd.Series(T), unit="s").dt.to_period("M")),
        {"within": 31 * 86_400},
    ),
    "structs beside": (lambda: pl.from_pandas(frame()).with_columns(pl.struct(a=1).alias("more")), {}),
    "128 bits": (lambda: pl.from_pandas(frame()).with_columns(pl.col("user").cast(pl.Int128)), {}),
    "enum": (
        lambda: pl.from_pandas(frame()).with_columns(pl.col("user").cast(pl.String).cast(pl.Enum(map(str, range(30))))),
        {},
    ),
    "lazy": (lambda: pl.from_pandas(frame()).lazy(), {}),
    "dictionaries": (
        lambda: pa.table({"user": pa.array(U).dictionary_encode(), "item": J, "rating": pa.array(V, pa.float16())}),
        {},
    ),
    "decimal256": (
        lambda: pa.table(
            {"user": pa.array([decimal.Decimal(u) for u in U], pa.decimal256(50, 0)), "item": J, "rating": V}
        ),
        {},
    ),
    "a batch": (lambda: pa.RecordBatch.from_pydict({"user": U, "item": J, "rating": V}), {}),
    "fields in seconds": (
        lambda: np.rec.fromarrays([U, J, V, moments("s")], names="user,item,rating,time"),
        {"within": 0},
    ),
    "columns in hours": (lambda: (np.array(U), np.array(J), np.array(V), moments("h")), {"within": 3_600}),
    "a dict in minutes": (
        lambda: {"user": np.array(U), "item": np.array(J), "rating": np.array(V), "time": moments("m")},
        {"within": 60},
    ),
    "days": (lambda: {"user": U, "item": J, "rating": V, "time": moments("D")}, {"within": 86_400}),
    "big endian": (lambda: np.array([U, J, V], ">i4").T, {}),
    "text": (lambda: np.array([[f"u{u}", str(i), str(v)] for u, i, v, _ in STARS]), {"user": "u{}".format}),
    "masked": (lambda: np.ma.masked_invalid(FULL), {}),
    "masked whole": (lambda: np.ma.masked_equal(MATRIX.toarray(), 0), {}),
    "NaN for nothing": (lambda: FULL, {}),
    "csr": (lambda: MATRIX, {}),
    "csr array": (lambda: sparse.csr_array(MATRIX), {}),
    "numpy scalars": (lambda: [(np.int64(u), np.int32(i), np.float32(v)) for u, i, v, _ in STARS], {}),
    "a dict of dicts": (
        lambda: {f"u{u}": {i: v for w, i, v, _ in STARS if w == u} for u in range(30)},
        {"user": "u{}".format},
    ),
}


@pytest.mark.parametrize("name", MADE)
def test_read_as_what_it_is(name: str) -> None:
    make, how = MADE[name]
    check(cf.read(make()), STARS, "ratings", **how)


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "no rating": (lambda: frame(rating=pd.array([None, *V[1:]], "Int64")), "rating in row 1 .* is missing"),
    "no user": (lambda: frame(user=pd.array([None, *U[1:]], "Int64")), "user id missing in row 1"),
    "NaT": (lambda: frame(ts=pd.to_datetime([None, *T[1:]], unit="s")), "time missing in row 1"),
    "mixed ids": (lambda: frame(user=pd.Series([U[0], *map(str, U[1:])], dtype=object)), "mix types: .* row 2"),
    "one name": (lambda: pd.DataFrame(np.array([U, J, V, V]).T, columns=[*"uir", "r"]), "have the same name"),
    "fractions": (lambda: frame(user=[u + 0.5 for u in U]), "is a decimal number"),
    "tuples": (lambda: frame(user=[(u, "a") for u in U]), "not a table"),
    "yes and no": (lambda: frame(user=[u % 2 == 0 for u in U]), "ids of type Boolean"),
    "lists": (lambda: frame(rating=[[v] for v in V]), "not a rating"),
    "infinite": (lambda: frame(rating=[np.inf, *V[1:]]), "is inf"),
    "complex": (lambda: np.array([U, J, V], complex).T, "complex128"),
    "complex matrix": (lambda: MATRIX * 1j, "complex128"),
    "zeros": (lambda: MATRIX.toarray(), "0 may mean a value or no value"),
    "three axes": (lambda: np.zeros((3, 3, 3)), "has the shape"),
    "one column": (lambda: pd.DataFrame({"user": U}), "cannot guess which column"),
    "a generator": (lambda: (row for row in STARS), "cannot read ratings from a generator"),
    "dicts of all sorts": (lambda: {"a": {"x": 1}, "b": {3: "y"}}, "not a number"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_one_sentence(name: str) -> None:
    make, words = REFUSED[name]
    with pytest.raises(DataError, match=words) as caught:
        cf.read(make())
    assert "\n" not in str(caught.value)


def test_durations_that_may_be_the_value_are_said() -> None:
    data = cf.read(frame(rating=pd.to_timedelta(V, unit="m")).rename(columns={"rating": "watch_time"}))
    assert any("no rating column used: 'watch_time'" in note for note in data.notes)
    counted = cf.read(frame(rating=pd.to_timedelta(V, unit="m")).rename(columns={"rating": "watch_time"}), count=2)
    check(counted, [(u, i, 60 * v, t) for u, i, v, t in STARS], "counts")
