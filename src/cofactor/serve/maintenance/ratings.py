"""The newer ratings of a state: exported as a table, or deleted by age."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import polars as pl

from cofactor.errors import ConfigError
from cofactor.serve.maintenance.access import all_rows, opened
from cofactor.serve.storage import tables as t


def export(where: str | Path, out: Path) -> int:
    """Write the newer ratings as a table (CSV, TSV or Parquet, by the suffix), and return their number."""
    with opened(where) as (store, _):
        columns: dict[str, list[Any]] = {"user": [], "item": [], "rating": [], "time": []}
        count = 0
        for row in all_rows(store, t.events):
            store._whole(row)
            count += 1
            values = json.loads(row.user_id), json.loads(row.item_id), row.rating, row.time
            for name, value in zip(columns, values, strict=True):
                columns[name].append(value)
    try:
        table = pl.DataFrame(columns, strict=True)
    except (TypeError, pl.exceptions.PolarsError):  # ids of both kinds
        table = pl.DataFrame({k: [str(v) for v in c] if k in ("user", "item") else c for k, c in columns.items()})
    if out.suffix == ".parquet":
        table.write_parquet(out)
    elif out.suffix in (".csv", ".tsv"):
        table.write_csv(out, separator="\t" if out.suffix == ".tsv" else ",")
    else:
        raise ConfigError(f"{out}: give a name that ends in .csv, .tsv or .parquet")
    return count


def expire(where: str | Path, days: float, now: float | None = None) -> int:
    """Delete the newer ratings older than ``days`` days, and return their number. A running server notices it."""
    if not days > 0:
        raise ConfigError(f"--older-than is {days:g} days; it must be above 0")
    with opened(where, writes=True) as (store, _):
        return store.expire(int((time.time() if now is None else now) - 86400 * days))
