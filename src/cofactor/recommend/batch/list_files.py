"""Files of lists: Parquet, or CSV and TSV by the file name. A list file never replaces a table of another kind."""

from __future__ import annotations

import os
from pathlib import Path

import polars as pl

from cofactor._paths import check_file
from cofactor.errors import ConfigError

TEXTS = {".csv": ",", ".tsv": "\t"}
"""Map the suffixes of text files to their separators."""

OTHERS = {".xlsx", ".xls", ".ods", ".json", ".jsonl", ".ndjson", ".txt", ".gz", ".zip", ".feather", ".arrow", ".html"}
"""Suffixes of formats that are not written."""


def check_table(out: str | Path) -> None:
    """Raise ConfigError where a table cannot be written to this file, or its suffix means another format."""
    suffix = check_file(out).suffix.lower()
    if suffix in OTHERS:
        raise ConfigError(f"{out}: tables are written as .parquet, .csv or .tsv, not as {suffix}; rename the file")


def check_lists(out: str | Path) -> None:
    """Raise ConfigError where lists cannot be written to this file, or it holds another table, such as the ratings."""
    check_table(out)
    if Path(out).is_file() and Path(out).stat().st_size and "rank" not in _columns_of(out):
        raise ConfigError(f"{out} already exists and does not hold lists; choose another file")


def _columns_of(path: str | Path) -> list[str]:
    """Return the columns of a Parquet file, or the fields in the first line of a text file."""
    with open(path, "rb") as file:
        first = file.readline(1 << 16)
    if not first.startswith(b"PAR1"):
        return first.decode("latin-1").strip().replace("\t", ",").split(",")
    try:
        return list(pl.read_parquet_schema(path))
    except pl.exceptions.PolarsError:
        return []


def write_table(frame: pl.DataFrame, out: str | Path) -> None:
    """Write a frame to a file atomically: Parquet, or text where the name ends in .csv or .tsv."""
    place = Path(out)
    scratch = place.with_name(f".{place.name}.{os.getpid()}")
    try:
        if place.suffix.lower() in TEXTS:
            frame.write_csv(scratch, separator=TEXTS[place.suffix.lower()])
        else:
            frame.write_parquet(scratch)
        os.replace(scratch, place)
    except OSError as exc:
        raise ConfigError(f"cannot write {out}: {exc.strerror or exc}; an earlier file there is unchanged") from None
    finally:
        scratch.unlink(missing_ok=True)
