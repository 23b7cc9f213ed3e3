"""Ids and side tables as Parquet: ``id`` first, then the side table's columns, named ``side:NAME``.

Bundles up to format version 4 and exports use this format. Files are written without compression, so that a reader can
check their size: a row takes at least a byte of the file, and no page expands. The footer is checked for that before
polars reads the file.
"""

from __future__ import annotations

import io
from typing import BinaryIO

import polars as pl

from cofactor.bundle.columns import of_polars
from cofactor.bundle.parquet import footer
from cofactor.data.ids.id_map import IdMap
from cofactor.errors import BundleError, DataError

_COLUMN_LIMIT = 10_000


def write(file: BinaryIO, ids: IdMap, table: pl.DataFrame | None) -> None:
    """Write ids and a side table that is aligned with them."""
    frame = ids.values.alias("id").to_frame()
    if table is not None:
        if len(table) != len(ids):
            raise BundleError(f"the {ids.kind} table has {len(table):,} rows for {len(ids):,} ids")
        frame = frame.with_columns(table[name].alias(f"side:{name}") for name in table.columns)
    held = io.BytesIO()
    try:
        # One row group, so that a reader gets each column in one piece, without copies.
        frame.write_parquet(
            held, compression="uncompressed", statistics=False, use_pyarrow=False, row_group_size=max(1, len(frame))
        )
    except BaseException as exc:
        if not of_polars(exc):
            raise
        raise BundleError(f"the {ids.kind} table cannot be saved ({exc}); change the types of its columns") from None
    footer.check(held.getvalue(), len(ids), f"the {ids.kind} table")
    file.write(held.getbuffer())


def read(data: bytes, kind: str, rows: int, what: str) -> tuple[IdMap, pl.DataFrame | None]:
    """Return the id map and the side table (None where there is none); BundleError unless there are ``rows`` rows."""
    footer.check(data, rows, what)
    try:
        frame = pl.read_parquet(data, use_pyarrow=False, memory_map=False, glob=False)
    except BaseException as exc:
        if not of_polars(exc):
            raise
        raise BundleError(f"{what} cannot be read ({str(exc)[:100]}); save the model again") from None
    names = frame.columns
    if len(frame) != rows or not names or names[0] != "id" or len(names) > _COLUMN_LIMIT:
        raise BundleError(f"{what} does not hold {rows:,} ids; save the model again")
    if not all(name.startswith("side:") for name in names[1:]):
        raise BundleError(f"{what} has columns that do not belong there; save the model again")
    try:
        ids = IdMap(frame["id"], kind)
    except DataError as exc:
        raise BundleError(f"{what}: {exc}") from None
    if len(names) == 1:
        return ids, None
    return ids, frame.select(pl.col(name).alias(name.removeprefix("side:")) for name in names[1:])
