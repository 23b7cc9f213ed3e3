"""Tables as they come -> ``Table``: Parquet and Arrow files here, delimited text and frames in files of their own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
from polars import selectors

from cofactor._fork import check_threads
from cofactor.data.catalog import DATASETS
from cofactor.data.delimited import open_text
from cofactor.data.frames import open_frame
from cofactor.data.tables import Table, readable
from cofactor.errors import DataError, did_you_mean


def open_table(
    source: Any, *, sep: str | None = None, encoding: str | None = None, header: bool | None = None
) -> Table:
    """Open a path (CSV, TSV, ``::``, Parquet, Arrow/Feather; text also gzipped) or a pandas, polars or Arrow frame.

    DataError where there is no such file, it is a directory, it is empty, or it is not a table.
    """
    check_threads()
    for name, value in (("sep", sep), ("encoding", encoding)):
        if value is not None and (not isinstance(value, str) or not value):
            common = "',' or ';'" if name == "sep" else "'utf-8' or 'latin-1'"
            raise DataError(f"{name} is {value!r}; give a text such as {common} (on the command line --{name})")
    if isinstance(source, (str, os.PathLike)):
        return _open_file(Path(source), sep, encoding, header)
    return open_frame(source)


def _open_file(path: Path, sep: str | None, encoding: str | None, header: bool | None) -> Table:
    path = Path(os.path.expanduser(path))
    try:
        folder, there = path.is_dir(), path.exists()
    except OSError as error:  # a name that is too long, say
        raise DataError(f"no file {path}: {error.strerror}") from None
    if folder:
        raise DataError(f"{path} is a directory; give the file with the ratings")
    if not there:
        raise DataError(f"no file {path}; check the path.{did_you_mean(path, DATASETS)}")
    try:
        with path.open("rb") as file:
            magic = file.read(6)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None
    if not magic:
        raise DataError(f"{path} is empty; a table of user, item and rating is needed")
    if magic[:4] == b"PAR1":
        return _open_columnar(path, pl.read_parquet, pl.scan_parquet, lambda p: list(pl.read_parquet_schema(p)))
    if magic == b"ARROW1":
        return _open_columnar(path, pl.read_ipc, None, lambda p: list(pl.read_ipc_schema(p)))
    if magic[:2] == b"PK":
        raise DataError(f"{path} is a zip archive; unpack it and give the file inside")
    return open_text(path, magic[:2] == b"\x1f\x8b", sep, encoding, header)


def _open_columnar(path: Path, reader: Any, scan: Any, schema: Callable[[Path], list[str]]) -> Table:
    def load(columns: list[str], ids: list[str]) -> pl.DataFrame:
        with readable(path):
            frame: pl.DataFrame = reader(path, columns=columns)
        return frame

    def stream(column: str) -> tuple[int, Iterator[pl.Series]]:
        with readable(path):
            lazy = scan(path, glob=False)
            return lazy.select(pl.len()).collect().item(), parts(lazy.select(selectors.by_name(column)))

    def parts(lazy: Any) -> Iterator[pl.Series]:
        with readable(path):
            for batch in lazy.collect_batches():
                yield batch.to_series()

    with readable(path):
        names = schema(path)
        sample: pl.DataFrame = reader(path, n_rows=20)
    streams = scan is not None and hasattr(pl.LazyFrame, "collect_batches")  # polars 1.34 or later
    return Table(names, True, sample, load, str(path), stream=stream if streams else None)
