"""The kind of the values: from their distribution, whatever their unit and order; and what is no rating."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cofactor as cf
from cofactor.data.kind import guess_kind, in_words, unit_of
from cofactor.errors import ConfigError, DataError

RNG = np.random.default_rng(0)
N = 5_000
FIVE = RNG.choice([1, 2, 3, 4, 5], N, p=[0.06, 0.11, 0.27, 0.34, 0.22])
SHAPES = {
    "stars": ("ratings", FIVE),
    "halves": ("ratings", RNG.choice(np.arange(1, 11) / 2, N)),
    "all or nothing": ("ratings", RNG.choice([1, 2, 3, 4, 5], N, p=[0.4, 0.1, 0.1, 0.15, 0.25])),
    "thumbs": ("ratings", RNG.choice([0, 1], N)),
    "up and down": ("ratings", RNG.choice([-1, 1], N)),
    "a slider": ("ratings", RNG.uniform(-10, 10, N).round(2)),
    "points of a hundred": ("ratings", np.clip(RNG.normal(70, 15, N).round(), 0, 100)),
    "tenths": ("ratings", RNG.normal(6.4, 1.2, N).clip(1, 10).round(1)),
    "books, mostly 0": ("ratings", RNG.choice([0, 5, 6, 7, 8, 9, 10], N, p=[0.62, 0.05, 0.04, 0.07, 0.09, 0.07, 0.06])),
    "stars and 99": ("ratings", np.where(RNG.random(N) < 0.3, 99, FIVE)),
    "plays": ("counts", np.ceil(RNG.lognormal(5.5, 1.3, N))),
    "few plays": ("counts", RNG.geometric(0.6, N)),
    "order lines": (
        "counts",
        RNG.choice([1, 2, 3, 4, 6, 12, 24, 48], N, p=[0.5, 0.15, 0.08, 0.08, 0.08, 0.06, 0.04, 0.01]),
    ),
    "hours": ("counts", RNG.exponential(20, N).round(1)),
    "seconds": ("counts", RNG.lognormal(5, 1, N)),
    "prices": ("counts", RNG.lognormal(3, 0.8, N).round(2)),
    "all alike": ("events", np.ones(N)),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("unit", [1e-6, 1.0, 3.7, 1e7])
def test_kinds_by_their_values_in_any_unit_and_order(shape: str, unit: float) -> None:
    kind, values = SHAPES[shape]
    scaled = (values * unit).astype(np.float32)
    assert guess_kind(scaled, "value").kind == kind
    assert guess_kind(scaled[::-1], "value").kind == kind


def test_names_decide_where_values_do_not() -> None:
    three = RNG.choice([1.0, 2.0, 3.0], N)
    assert guess_kind(three, "rating").kind == "ratings"
    assert guess_kind(three, "playCount").kind == "counts"
    assert guess_kind(three, "times_played").kind == "counts"
    assert guess_kind(np.ceil(RNG.lognormal(5, 2, N)), "rating").kind == "counts"  # plays under the name of a rating
    assert guess_kind(three, None).kind == "events"


@pytest.mark.parametrize("code", [99.0, -1.0, 0.0, 999.0])
@pytest.mark.parametrize("share", [0.0005, 0.005, 0.05, 0.3, 0.7])
@pytest.mark.parametrize("unit", [0.5, 1.0])
def test_codes_for_no_rating_are_found_at_any_share(code: float, share: float, unit: float) -> None:
    values = RNG.choice([1, 2, 3, 4, 5], 20_000, p=[0.06, 0.11, 0.27, 0.34, 0.22]) * unit
    values[RNG.random(20_000) < share] = code
    guess = guess_kind(values, "rating")
    assert guess.codes == (code,)
    assert guess.kind == "ratings"


def test_sound_scales_have_no_codes() -> None:
    for values in (FIVE, RNG.choice(np.arange(1, 11) / 2, N), RNG.integers(0, 101, N), RNG.normal(0, 1, N)):
        assert guess_kind(values.astype(float), "rating").codes == ()
    assert guess_kind(cf.load_dataset("movietweetings-demo").values, "rating").codes == ()


def frame(values: np.ndarray, name: str = "value") -> pl.DataFrame:
    n = len(values)
    return pl.DataFrame({"user": np.arange(n) % 50, "item": np.arange(n) // 50, name: values})


def test_the_reader_says_the_kind_and_takes_another() -> None:
    data = cf.read(frame(SHAPES["plays"][1]), rating="value")
    assert data.kind == "counts"
    assert any("kind: counts" in note and "long tail" in note for note in data.notes)
    assert cf.read(frame(SHAPES["plays"][1]), kind="ratings").kind == "ratings"
    assert cf.read(frame(FIVE), count="value").kind == "counts"
    assert cf.read(frame(FIVE)).kind == "ratings"
    assert cf.read(frame(FIVE), rating=False).kind == "events"
    with pytest.raises(ConfigError, match="it may be 'ratings', 'counts' or 'events'"):
        cf.read(frame(FIVE), kind="stars")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="not both"):
        cf.read(frame(FIVE), rating="value", count="value")


def test_the_kind_survives_subsets_and_splits() -> None:
    data = cf.read(frame(SHAPES["few plays"][1]), kind="counts")
    assert data.take(np.arange(5)).kind == "counts"
    split = cf.split.random(data, seed=0)
    assert (split.train.kind, split.valid.kind) == ("counts", "counts")


def test_values_that_mean_no_rating_are_left_out_when_asked() -> None:
    values = np.where(np.arange(N) % 10 == 0, 99, FIVE)
    noted = cf.read(frame(values))
    assert any("99 is outside the scale" in note and "missing=[99]" in note for note in noted.notes)
    data = cf.read(frame(values), missing=[99])
    assert len(data) == N - N // 10
    assert data.range == (1, 5)
    assert any("500 rows whose value means no rating" in note for note in data.notes)
    text = frame(values).with_columns(pl.col("value").cast(pl.String).replace("99", "-"))
    assert len(cf.read(text, missing=["-"])) == len(data)
    with pytest.raises(DataError, match=r"missing \('-'\), and 499 more are.*missing=\['-'\]"):
        cf.read(text)
    with pytest.raises(ConfigError, match="give a list"):
        cf.read(frame(values), missing=99)  # type: ignore[arg-type]


@settings(max_examples=30, deadline=None)
@given(st.floats(1e-6, 1e6), st.permutations(range(60)))
def test_unit_and_order_of_rows_do_not_matter(unit: float, order: list[int]) -> None:
    values = np.array([1, 2, 3, 4, 5] * 12, dtype=np.float64)
    rows = pl.DataFrame({"user": np.arange(60) % 10, "item": np.arange(60) // 10, "rating": values * unit})
    plain, turned = cf.read(rows), cf.read(rows[order])
    assert plain.kind == turned.kind == "ratings"
    assert plain.to_frame().sort("user", "item").equals(turned.to_frame().sort("user", "item"))


@pytest.mark.parametrize(
    ("kind", "column", "label", "value", "said"),
    [
        ("counts", "plays", "Blur", 31, "played Blur 31 times"),
        ("counts", "plays", "Blink 182", 1031, "played Blink 182, 1,031 times"),
        ("counts", "qty", 13, 1, "bought 13, once"),
        ("counts", "minutes", "Heat", 90.5, "spent 90.5 minutes on Heat"),
        ("counts", "Hours", "Heat", 1, "spent 1 hour on Heat"),
        ("counts", "amount", "Film 7", 12, "chose Film 7 (amount: 12)"),
        ("events", None, "Film 7", 1, "chose Film 7"),
        ("counts", "minutes_watched", "Dark", 31, "spent 31 minutes on Dark"),
        ("events", None, "Film 7", 2, "chose Film 7, 2 times"),
        ("events", None, "Heat", -1, "disliked Heat"),
    ],
)
def test_what_a_user_did_is_said_in_words(kind, column, label, value, said):
    assert in_words(kind, column, label, value) == said


@pytest.mark.parametrize(
    ("kind", "column", "counted", "unit"),
    [
        ("counts", "playcount", True, "×"),
        ("counts", None, True, "×"),
        ("counts", "hours_played", True, "hours"),
        ("counts", "minutes_watched", True, "minutes"),
        ("counts", "spend_eur", True, "spend_eur"),
        ("counts", "playcount", False, None),
        ("events", None, True, None),
        ("ratings", "stars", False, None),
    ],
)
def test_a_value_has_the_unit_of_its_column(kind, column, counted, unit):
    assert unit_of(kind, column, counted) == unit


PAIRS = [(f"u{u}", f"i{i}") for u in range(8) for i in range(6) if (u * 7 + i * 3) % 4]


def _said(data: cf.Interactions) -> str:
    """All sentences about the rows of the first user."""
    rec = cf.fit(data, "item-cosine", seed=0)
    user, items = data.user_ids.values[0], data.item_ids.values.to_list()
    told = [line for item in items for line in (*rec.explain(user, item).because(10), str(rec.explain(user, item)))]
    return "\n".join([*told, *rec.recommend(user, n=3, seen=True)["reason"]])


@pytest.mark.parametrize("column", ["behaviour", "rating", "quantity", "stars"])
def test_one_event_is_never_several(column):
    """Each pair occurs once, whatever its row weighs: no sentence says that it happened several times."""
    n = len(PAIRS)
    table = pl.DataFrame(PAIRS, schema=["user", "item"], orient="row")
    made: dict[str, tuple[pl.Series, dict]] = {
        "behaviour": (
            pl.Series([["view", "cart", "buy"][k * 5 % 3] for k in range(n)]),
            {"behaviour": "behaviour", "weights": {"view": 1, "cart": 3, "buy": 5}},
        ),
        "rating": (pl.Series([5] * n), {}),
        "quantity": (pl.Series([2] * n), {"behaviour": "did", "weights": {"cart": 3, "buy": 5}}),
        "stars": (pl.Series([k % 5 + 1 for k in range(n)]), {"rating": "stars", "kind": "events"}),
    }
    values, options = made[column]
    table = table.with_columns(values.alias(column))
    if column == "quantity":
        table = table.with_columns(pl.Series("did", [["cart", "buy"][k % 2] for k in range(n)]))
    data = cf.read(table, **options)
    assert data.kind == "events"
    said = _said(data)
    assert "you chose" in said or "which you chose" in said
    assert "times" not in said
    again = cf.read(pl.concat([table, table]), **options)
    assert ("times" in _said(again)) == again.counted == (column == "rating")


@pytest.mark.parametrize("form", ["frame", "tuples", "without a value"])
def test_a_newer_event_counts_as_its_training_row_did(form):
    table = pl.DataFrame(PAIRS * 2, schema=["user", "item"], orient="row").with_columns(rating=pl.lit(5))
    rec = cf.fit(cf.read(table), "item-cosine", seed=0)
    new = table[0]
    rec = rec.update({"frame": new, "tuples": new.rows(), "without a value": [new.rows()[0][:2]]}[form])
    other = next(item for user, item in PAIRS if user == new["user"][0] and item != new["item"][0])
    rated = dict(rec.explain(new["user"][0], other).rated.select("item", "rating").rows())
    assert rated.pop(new["item"][0]) == 3
    assert set(rated.values()) == {2}


def test_how_rows_count_is_kept_in_the_bundle(tmp_path):
    table = pl.DataFrame(PAIRS * 2, schema=["user", "item"], orient="row").with_columns(rating=pl.lit(5))
    rec = cf.fit(cf.read(table), "item-cosine", seed=0)
    rec.save(tmp_path / "m")
    again = cf.load(tmp_path / "m")
    assert again.data.reading.unit == 5
    assert again.data.counted
    user, item = PAIRS[0]
    assert again.explain(user, item).because() == rec.explain(user, item).because()
