"""Figures that are stored with a model: what was measured, on which rows, and when."""

from __future__ import annotations

import datetime as dt
from typing import TypeVar

import polars as pl

from cofactor.recommend.fitted import FIGURES, Fitted

Some = TypeVar("Some", bound=Fitted)
MOST = 200
"""Maximal number of lines stored with a model; older ones are dropped."""


def with_figures(rec: Some, found: pl.DataFrame, rows: str) -> Some:
    """Return the same model with these results of :func:`cofactor.evaluate` among its figures. ``rows`` names the rows.

    Figures of the same rows and metric replace earlier ones.
    """
    now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    new = found.select("metric", "value", "low", "high", "n_users", "n_rows", "note").with_columns(
        rows=pl.lit(rows), measured=pl.lit(now)
    )
    new = new.select([pl.col(name).cast(kind) for name, kind in FIGURES.items()]).with_columns(
        pl.col("note").fill_null("")
    )
    if rec.figures is not None:
        new = pl.concat([new, rec.figures.join(new, on=["rows", "metric"], how="anti")])
    return rec.replace(figures=new.head(MOST))
