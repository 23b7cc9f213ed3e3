"""Print the trials of ``auto``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cofactor.cli.printing import console, show
from cofactor.selection.choose import trial_notes

if TYPE_CHECKING:
    import polars as pl


def show_trials(tried: pl.DataFrame) -> None:
    """Print the trials of ``auto``: which model it chose, and which ones did not fit the budget."""
    import polars as pl

    metric = str(tried["metric"][0])
    notes = trial_notes(tried)
    tried = tried.filter(~pl.col("status").str.ends_with("with more effort"))
    label = pl.when(pl.col("config") == "").then("model").otherwise(pl.format("{} ({})", "model", "config"))
    remark = (
        pl.when(pl.col("status").str.starts_with("weight "))
        .then("status")
        .when("chosen")
        .then(pl.lit("chosen"))
        .when(pl.col("status") == "tried")
        .then(pl.lit(""))
        .otherwise("status")
    )
    show(tried.select(label.alias("model"), pl.col("value").alias(f"inner {metric}"), "seconds", remark.alias("")))
    for note in notes:
        console().print(note, markup=False)
