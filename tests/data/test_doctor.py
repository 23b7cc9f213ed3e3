"""The data doctor finds what was planted, and nothing in sound data. Features of side tables."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cofactor.data import splits
from cofactor.data.doctor import doctor
from cofactor.data.doctor.doctor import Report, k_cores
from cofactor.data.features.with_features import with_features
from cofactor.data.interactions import Interactions
from cofactor.data.read import read
from cofactor.errors import ConfigError, DataError
from cofactor.fitting.check import check

YEAR = 365 * 86_400


def sound(n_users: int = 30, n_items: int = 20) -> pl.DataFrame:
    """A table with nothing wrong: every user has rated most items, at sane times."""
    rng = np.random.default_rng(1)
    users, items = np.nonzero(rng.random((n_users, n_items)) < 0.7)
    return pl.DataFrame(
        {
            "user": [f"user-{u}" for u in users],
            "item": [f"item-{i}" for i in items],
            "rating": rng.integers(1, 6, len(users)).astype(float),
            "time": 1_000_000_000 + np.sort(rng.integers(0, YEAR, len(users))),
        }
    )


def rows(**columns: list[object]) -> pl.DataFrame:
    n = len(columns["user"])
    return pl.DataFrame({"item": ["item-0"] * n, "rating": [3.0] * n, "time": [1_010_000_000] * n} | columns).select(
        "user", "item", "rating", "time"
    )


def found(report: Report, name: str) -> dict[str, object]:
    hits = [f for f in report.frame.to_dicts() if f["check"] == name]
    assert len(hits) == 1, (name, report.frame)
    return hits[0]


def test_sound_data_have_no_findings(demo: Interactions) -> None:
    report = check(sound())
    assert report.findings == ()
    assert report.worst is None
    assert report.summary["users"] == 30
    assert {f.severity for f in check(demo).findings} <= {"note"}


def test_duplicates_and_conflicts() -> None:
    frame = sound()
    again = frame.head(3).with_columns(rating=pl.Series([frame["rating"][0], 9.0 - frame["rating"][1], 0.0]))
    report = check(pl.concat([frame, again]))
    assert found(report, "duplicates")["count"] == 1
    conflict = found(report, "conflicting ratings")
    assert conflict["count"] == 2
    assert conflict["severity"] == "warning"


def test_rows_that_read_refuses_become_findings() -> None:
    frame = sound().to_pandas().astype({"user": object, "rating": object})
    frame.loc[0, "user"] = 17
    frame.loc[1, "user"] = None
    frame.loc[2, "rating"] = "five"
    frame.loc[3, "rating"] = None
    with pytest.raises(DataError):
        read(frame)
    report = check(frame)
    assert report.worst == "error"
    assert found(report, "mixed id types")["count"] == 1
    assert found(report, "ratings")["examples"] == ["row 3: 'five'"]
    assert {f.what.split(" have no ")[1] for f in report.findings if f.check == "missing values"} == {
        "user (column 'user')",
        "rating (column 'rating')",
    }
    assert report.summary["rows usable"] == len(frame) - 3


def test_look_alikes() -> None:
    odd = rows(user=["USER-0", " user-1", "ｕser-2"], item=["item-1", "item-1", "item-1"])
    report = check(pl.concat([sound(), odd]))
    assert found(report, "look-alike ids")["count"] == 3
    zeros = check(pl.DataFrame({"user": ["7", "007", "8"], "item": ["a", "b", "a"], "rating": [1, 2, 3]}))
    assert found(zeros, "look-alike ids")["examples"] == ["'007' / '7'"]


def test_scale() -> None:
    frame = sound()
    report = check(
        pl.concat([frame, rows(user=["user-new", "user-new"], item=["item-1", "item-2"], rating=[99.0, -1.0])])
    )
    assert [f.what.split(" is outside")[0] for f in report.findings if f.check == "scale"] == ["-1", "99"]
    assert "there is nothing to learn" in str(found(check(frame.with_columns(rating=pl.lit(3.0))), "scale")["what"])


def test_constant_users_and_bots() -> None:
    frame = sound()
    same = rows(
        user=["user-same"] * 8, item=[f"item-{i}" for i in range(8)], time=[1_010_000_000 + i * 10**5 for i in range(8)]
    )
    assert found(check(pl.concat([frame, same])), "constant users")["count"] == 1
    bot = rows(
        user=["user-bot"] * 120,
        item=[f"item-{i % 20}" if i < 20 else f"extra-{i}" for i in range(120)],
        rating=[float(i % 5 + 1) for i in range(120)],
        time=[1_010_000_000 + i // 3 for i in range(120)],
    )
    bots = found(check(pl.concat([frame, bot])), "bots")
    assert bots["count"] == 1
    assert bots["examples"] == ["user 'user-bot': 120 ratings"]


def test_times() -> None:
    frame = sound()
    odd = rows(user=["user-0", "user-1"], item=["x", "x"], rating=[1.0, 2.0], time=[5, 9_000_000_000])
    said = [f.what for f in check(pl.concat([frame, odd])).findings if f.check == "times"]
    assert said == ["1 ratings are in the future", "1 ratings are from before 1985"]
    late = frame.with_columns(time=pl.col("time") + (pl.int_range(pl.len()) > pl.len() // 2) * YEAR)
    assert found(check(late), "time gap")["severity"] == "note"


def test_one_rating_and_k_cores() -> None:
    frame = pl.DataFrame({"user": [1, 1, 2, 2, 3], "item": [1, 2, 1, 2, 3], "rating": [1, 2, 3, 4, 5]})
    cores = k_cores(read(frame), (1, 2, 3))
    assert cores.select("k", "rows", "users", "items").rows() == [(1, 5, 3, 3), (2, 4, 2, 2), (3, 0, 0, 0)]
    singles = [f for f in check(frame).findings if f.check == "one rating"]
    assert [(f.where, f.count) for f in singles] == [("users", 1), ("items", 1)]


def test_leaks() -> None:
    data = read(sound())
    cut = splits.temporal(data)
    assert not [f for f in check(cut.train, valid=cut.valid).findings if f.check in ("leakage", "time travel")]
    leak = check(cut.train, valid=data)
    assert found(leak, "leakage")["count"] == len(cut.train)
    assert found(leak, "leakage")["severity"] == "error"
    cut = splits.random(data)
    assert found(check(cut.train, valid=cut.valid), "time travel")["count"] > 50  # type: ignore[operator]


def test_the_report_as_tables_and_json() -> None:
    report = check(pd.DataFrame({"user": [1, 1, 2], "item": ["a", "b", "a"], "rating": [1, 5, 3]}))
    assert list(report.sections()) == ["Summary", "Findings", "k-core", "Forecast"]
    again = json.loads(json.dumps(report.to_dict()))
    assert again["summary"]["rows"] == 3
    assert {"model", "memory_mb", "seconds", "formula"} == set(again["forecast"][0])
    assert report.forecast["memory_mb"].min() >= 0  # type: ignore[operator]
    with pytest.raises(DataError, match="no file"):
        check("nowhere.csv")


@pytest.fixture
def described() -> Interactions:
    frame = pl.DataFrame({"user": [1, 2, 3], "item": ["a", "b", "c"], "rating": [1, 2, 3]})
    items = pl.DataFrame(
        {"item": ["c", "a"], "genres": ["Drama|War", "Drama"], "year": [1990, 2000], "old": [True, False]}
    )
    return read(frame, items=items)


def dense(data: Interactions) -> dict[str, list[float]]:
    features = data.item_features
    assert features is not None
    matrix = np.zeros((features.matrix.n_rows, features.matrix.n_cols))
    for r in range(len(matrix)):
        cols, values = features.matrix.row(r)
        matrix[r, cols] = values
    return dict(zip(features.names, matrix.T.tolist()))


def test_features_of_the_side_table(described: Interactions) -> None:
    data = with_features(described, item=["genres", "year", "old"])
    assert dense(data) == {
        "genres=Drama": [1, 0, 1],
        "genres=War": [0, 0, 1],
        "year=1990": [0, 0, 1],
        "year=2000": [1, 0, 0],
        "old": [0, 0, 1],
    }
    scaled = with_features(described, item=["year"], numbers="standardise")
    assert dense(scaled) == {"year": [1, 0, -1]}
    assert data.user_features is None


def test_features_of_a_frame_lists_and_bins(described: Interactions) -> None:
    frame = pl.DataFrame({"item": ["b", "a", "c"], "tags": [["x"], ["x", "y"], []]})
    assert dense(with_features(described, item=frame)) == {"tags=x": [1, 1, 0], "tags=y": [1, 0, 0]}
    ages = pl.DataFrame({"user": list(range(100)), "age": list(range(100))})
    users = read(pl.DataFrame({"user": list(range(100)), "item": [0, 1] * 50, "rating": [1, 2] * 50}))
    made = with_features(users, user=ages, bins=4).user_features
    assert made is not None
    assert made.names == ("age=0..24", "age=25..49", "age=50..74", "age=75..99")
    assert made.matrix.counts.tolist() == [1] * 100
    with pytest.raises(
        ConfigError, match=r"no column 'genre' in the item table; there are: genres, .*Did you mean 'genres'"
    ):
        with_features(described, item=["genre"])
    with pytest.raises(ConfigError, match="no user table"):
        with_features(described, user=["age"])


def test_shares_never_call_a_few_none() -> None:
    from cofactor.data.doctor.findings import percent

    said = [percent(x) for x in (0.0, 0.0007, 0.0012, 0.03, 0.25, 0.997, 1.0)]
    assert said == ["0 %", "< 0.1 %", "0.1 %", "3.0 %", "25 %", "> 99 %", "100 %"]


def test_a_report_reads_as_text():
    """In a notebook it is looked at as it is."""
    frame = pl.DataFrame({"user": [1, 1, 2, 2, 3], "item": [1, 2, 1, 3, 1], "rating": [1.0, 5, 3, 3, 4]})
    report = check(read(frame))
    lines = repr(report).splitlines()
    assert any(line.split()[:2] == ["users", "3"] for line in lines)
    assert "Finding(" not in repr(report)
    for finding in report.findings:
        assert any(line.startswith(f"{finding.severity}: {finding.what}") for line in lines)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.sampled_from(["a", " a", "A", "a ", "b", "1", "01", "ä"]), min_size=6, max_size=12),
    st.booleans(),
    st.booleans(),
)
def test_the_doctor_counts_ids_as_they_are_read(
    tmp_path_factory: pytest.TempPathFactory, users: list[str], fold: bool, text: bool
) -> None:
    items, ratings = [f"i{n % 5} " for n in range(len(users))], [3 + n % 2 for n in range(len(users))]
    frame = pl.DataFrame({"user": users, "item": items, "rating": ratings})
    source: object = frame
    if text:
        source = tmp_path_factory.mktemp("tables") / "t.csv"
        frame.write_csv(source)  # type: ignore[arg-type]
    data = read(source, "user", "item", "rating", fold_ids=fold, duplicates="all", kind="ratings")
    report = check(source, user="user", item="item", rating="rating", fold_ids=fold, kind="ratings")
    assert (report.summary["users"], report.summary["items"]) == (data.n_users, data.n_items)


@pytest.mark.parametrize("timed", [False, True])
def test_tables_of_any_size(timed: bool) -> None:
    rng = np.random.default_rng(4)
    for n in (1, 2, 3, 7, 20, 49, 50, 51, 75, 97, 98, 99, 100, 101, 130):
        rows = {"user": rng.integers(0, 9, n), "item": rng.integers(0, 12, n), "rating": rng.integers(1, 6, n)}
        frame = pl.DataFrame(rows | ({"time": 10**9 + 60 * np.arange(n)} if timed else {}))
        assert doctor.check(frame).summary["rows usable"] == n


def test_density_counts_a_pair_once() -> None:
    again = [("a", "x"), ("a", "y"), ("b", "x"), ("b", "y"), ("c", "x")] * 4
    found = check(pl.DataFrame(again, schema=["user", "item"], orient="row")).summary
    assert found["density"] == round(5 / 6, 6)
    assert found["rows usable"] == 20
    assert found["rows per user (median)"] == 8
