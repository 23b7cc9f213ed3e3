"""Files of lists: Parquet, or CSV and TSV by their names; no other table is replaced by one."""

from __future__ import annotations

import os
from pathlib import Path

import polars as pl

from cofactor._paths import check_file
from cofactor.errors import ConfigError

TEXTS = {".csv": ",", ".tsv": "\t"}
"""Endings of names that are written as text, and what separates their fields."""

OTHERS = {".xlsx", ".xls", ".ods", ".json", ".jsonl", ".ndjson", ".txt", ".gz", ".zip", ".feather", ".arrow", ".html"}
"""Endings that would promise something else."""


def check_table(out: str | Path) -> None:
    """ConfigError where a table cannot be written to this file, or its name promises another format."""
    suffix = check_file(out).suffix.lower()
    if suffix in OTHERS:
        raise ConfigError(f"{out}: a table is written as .parquet, .csv or .tsv, not as {suffix}")


def check_lists(out: str | Path) -> None:
    """ConfigError where lists cannot be written to this file, or where it holds another table, such as the ratings."""
    check_table(out)
    if Path(out).is_file() and Path(out).stat().st_size and "rank" not in _columns_of(out):
        raise ConfigError(f"{out} already exists and does not hold lists; choose another file")


def _columns_of(path: str | Path) -> list[str]:
    """The columns of a Parquet file, or the fields in the first line of a text."""
    with open(path, "rb") as file:
        first = file.readline(1 << 16)
    if not first.startswith(b"PAR1"):
        return first.decode("latin-1").strip().replace("\t", ",").split(",")
    try:
        return list(pl.read_parquet_schema(path))
    except pl.exceptions.PolarsError:
        return []


def write_table(frame: pl.DataFrame, out: str | Path) -> None:
    """A frame as a file, in one step: Parquet, or text where the name ends in .csv or .tsv."""
    place = Path(out)
    scratch = place.with_name(f".{place.name}.{os.getpid()}")
    try:
        if place.suffix.lower() in TEXTS:
            frame.write_csv(scratch, separator=TEXTS[place.suffix.lower()])
        else:
            frame.write_parquet(scratch)
        os.replace(scratch, place)
    except OSError as exc:
        raise ConfigError(f"cannot write {out}: {exc.strerror or exc}; what was there before is unharmed") from None
    finally:
        scratch.unlink(missing_ok=True)
