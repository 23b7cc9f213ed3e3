"""What must not matter to lists does not, with every model: types of ids, units of time, rows that are there twice,
columns that nobody reads, and, where no row is drawn at random, the order of rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest

import cofactor as cf
from cofactor.models import REGISTRY, model_class

QUICK: dict[str, dict[str, Any]] = {
    "als": {"n_factors": 4, "epochs": 4},
    "svd++": {"n_factors": 4, "epochs": 4},
    "dot-bias": {"n_factors": 4, "epochs": 2},
    "bayes-mf": {"n_factors": 4, "burn_in": 3, "epochs": 6},
    "ials": {"n_factors": 4, "epochs": 4},
    "bpr": {"n_factors": 4, "epochs": 2},
    "warp": {"n_factors": 4, "epochs": 2},
    "neural": {"n_factors": 4, "epochs": 1},
    "blend": {"models": ("popular", "item-cosine"), "weights": (1.0, 2.0)},
}
DRAWN = {"dot-bias", "bpr", "warp", "neural", "bayes-mf"}
"""Models that draw rows, or noise by row: another order of rows is another sample."""
RNG = np.random.default_rng(7)
USERS, ITEMS = np.divmod(RNG.permutation(50 * 24)[:520], 24)
TASTE = (USERS % 2 == ITEMS % 2).astype(int)
TABLE = pl.DataFrame(
    {
        "user": USERS + 100,
        "item": ITEMS + 10,
        "rating": np.clip(2 * TASTE + RNG.integers(1, 4, len(USERS)), 1, 5).astype(float),
        "time": 1_400_000_000 + RNG.permutation(len(USERS)) * 86_400,
    }
)
SAME: dict[str, Callable[[pl.DataFrame], pl.DataFrame]] = {
    "text ids": lambda t: t.with_columns(pl.format("u{}", "user"), pl.format("i{}", "item")),
    "categories": lambda t: t.with_columns(
        pl.format("u{}", "user").cast(pl.Categorical), pl.col("item").cast(pl.UInt8)
    ),
    "milliseconds": lambda t: t.with_columns(pl.col("time") * 1000),
    "date-times": lambda t: t.with_columns(pl.from_epoch("time").dt.replace_time_zone("UTC")),
    "rows twice": lambda t: pl.concat([t[:200], t]),
    "other columns": lambda t: t.select(pl.lit("x").alias("comment"), "time", "rating", "item", "user"),
}


def lists(frame: pl.DataFrame, model: str, rows: str) -> pl.DataFrame:
    """Return the lists of all users, without letters in ids, and one list for a history."""
    if rows == "events":
        frame = frame.drop("rating").unique(["user", "item"], keep="last", maintain_order=True)
    config = QUICK.get(model, {})
    rec = cf.fit(cf.read(frame), model=model, seed=1, calibrate=False, **config)
    found = rec.recommend_all(n=6, seen=model == "repeat-buy").select("user", "item", "score")
    known = rec.data.item_ids.values.to_list()
    history = dict.fromkeys(known[2:9:2], 5.0) if rows == "ratings" else known[2:9:2]
    new = rec.recommend(history=history, n=6).select(pl.lit("new").alias("user"), "item", "score")
    plain = [
        one.with_columns(pl.col("user", "item").cast(pl.String).str.strip_chars_start("ui")) for one in (found, new)
    ]
    return pl.concat([one.with_columns(pl.col("score").cast(pl.Float64)) for one in plain])


RANKERS = [name for name in REGISTRY if model_class(name).task == "ranking"]
CASES = [(name, "ratings") for name in REGISTRY] + [(name, "events") for name in RANKERS]


@pytest.fixture(scope="module")
def usual() -> Callable[[str, str], pl.DataFrame]:
    known: dict[tuple[str, str], pl.DataFrame] = {}

    def of(model: str, rows: str) -> pl.DataFrame:
        if (model, rows) not in known:
            known[model, rows] = lists(TABLE, model, rows)
        return known[model, rows]

    return of


@pytest.mark.parametrize(("model", "rows"), CASES)
def test_how_the_same_table_is_written(model: str, rows: str, usual: Callable[..., pl.DataFrame]) -> None:
    if model == "neural":
        pytest.importorskip("torch")
    wanted = usual(model, rows)
    assert wanted["score"].is_finite().all()
    ways = ("text ids", "rows twice") if model in ("neural", "bayes-mf") else SAME
    for name in ways:
        if name != "rows twice" or model != "repeat-buy":  # what repeat-buy learns from
            assert lists(SAME[name](TABLE), model, rows).equals(wanted), name


@pytest.mark.parametrize(("model", "rows"), [case for case in CASES if case[0] not in DRAWN])
def test_the_order_of_rows(model: str, rows: str, usual: Callable[..., pl.DataFrame]) -> None:
    wanted, found = usual(model, rows), lists(TABLE[RNG.permutation(len(TABLE))], model, rows)
    both = wanted.join(found, on=["user", "item"], how="full", coalesce=True, suffix="_found")
    spread = max(float(wanted["score"].std()), 1e-3)
    alike = both.drop_nulls()
    np.testing.assert_allclose(alike["score_found"], alike["score"], atol=0.02 * spread)
    assert len(alike) > 0.97 * len(wanted)  # the last of a list may be tied
