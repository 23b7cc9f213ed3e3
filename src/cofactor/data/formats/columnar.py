"""Open Parquet and Arrow files (and streams), and datasets of many of them, as tables read column by column."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
from polars import selectors

from cofactor.data.tables import SAMPLE_ROWS, Table, flattened, loaded, readable

STREAM = b"\xff\xff\xff\xff"
"""The first bytes of an Arrow stream."""


def columnar_format(head: bytes) -> str | None:
    """Return ``parquet``, ``arrow`` or ``arrow stream``, by the first bytes of a file; None if it is none of these."""
    marks = {b"PAR1": "parquet", b"ARROW1": "arrow", STREAM: "arrow stream"}
    return next((name for mark, name in marks.items() if head.startswith(mark)), None)


def open_columnar(path: Path, how: str, label: str) -> Table:
    """Open one file. Its name is used literally, whatever characters it contains."""
    if how == "arrow stream":
        with readable(label), path.open("rb") as file:
            return loaded(flattened(pl.read_ipc_stream(file)), label)
    if how == "parquet":
        return of_scan(pl.scan_parquet(path, glob=False), label)
    with readable(label):
        return of_scan(pl.scan_ipc(path, glob=False), label, streams=False)


def open_columnar_bytes(data: bytes, how: str, label: str) -> Table:
    """Open a file in memory, such as one from an archive."""
    reader = {"parquet": pl.read_parquet, "arrow": pl.read_ipc, "arrow stream": pl.read_ipc_stream}[how]
    with readable(label):
        return loaded(flattened(reader(io.BytesIO(data))), label)


def open_parquet_files(paths: list[Path], root: Path, label: str) -> Table:
    """Open Parquet files as one table. Folders such as ``year=2001`` between ``root`` and the files become columns."""
    return of_scan(pl.scan_parquet(paths, glob=False, hive_partitioning=is_partitioned(paths, root)), label)


def is_partitioned(paths: list[Path], root: Path) -> bool:
    """Return whether all files lie in folders such as ``year=2001`` below the root, with the same names for each
    file."""
    names = {tuple(p.name.partition("=")[0] for p in _between(path, root) if "=" in p.name) for path in paths}
    return len(names) == 1 and names != {()}


def _between(path: Path, root: Path) -> list[Path]:
    return [parent for parent in path.parents if root in parent.parents]


def of_scan(lazy: pl.LazyFrame, label: str, streams: bool = True) -> Table:
    """Return a table whose columns are read when they are needed. ``streams``: they can also be read in parts."""

    def load(columns: list[str], ids: list[str]) -> pl.DataFrame:
        with readable(label):
            return lazy.select(selectors.by_name(*columns)).collect()

    def stream(column: str) -> tuple[int, Iterator[pl.Series]]:
        with readable(label):
            return lazy.select(pl.len()).collect().item(), parts(lazy.select(selectors.by_name(column)))

    def parts(column: Any) -> Iterator[pl.Series]:
        with readable(label):
            for batch in column.collect_batches(maintain_order=True):
                yield batch.to_series()

    with readable(label):
        lazy = flattened(lazy)
        names = lazy.collect_schema().names()
        sample = lazy.head(SAMPLE_ROWS).collect()
    streams = streams and hasattr(pl.LazyFrame, "collect_batches")  # polars 1.34 or later
    return Table(names, True, sample, load, label, stream=stream if streams else None)
