"""Print the trials of ``auto``."""

from __future__ import annotations

import re
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
    label = pl.struct("model", "config").map_elements(lambda one: _candidate(**one), return_dtype=pl.String)
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


def _candidate(model: str, config: str) -> str:
    """Return a tried model with its settings; a blend with the shares of its parts."""
    if not config:
        return model
    found = re.fullmatch(r"models=\(([^()]+)\), weights=\(([^()]+)\)", config) if model == "blend" else None
    if found is None:
        return f"{model} ({config})"
    parts, weights = re.findall(r"'([^']+)'", found[1]), re.findall(r"[\d.]+", found[2])
    return f"blend: {', '.join(f'{float(weight):.0%} {part}' for part, weight in zip(parts, weights))}"
