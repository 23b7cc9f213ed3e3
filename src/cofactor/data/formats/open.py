"""Open tables in any form as ``Table``: files by their first bytes, whatever their names; frames, matrices,
databases."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from cofactor._fork import check_threads
from cofactor.data.arrays import timed
from cofactor.data.catalog import DATASETS
from cofactor.data.columns.names import is_known_name
from cofactor.data.formats import columnar, containers, databases, folders, matrices, remote, spreadsheets
from cofactor.data.formats.delimited import open_delimited
from cofactor.data.formats.frames import open_frame
from cofactor.data.tables import Table, flattened, loaded
from cofactor.errors import DataError, did_you_mean


class _Ways(NamedTuple):
    """The caller's options for the layout of a file."""

    sep: str | None
    encoding: str | None
    header: bool | None
    table: str | None
    named: Sequence[str]


def open_table(
    source: Any,
    *,
    sep: str | None = None,
    encoding: str | None = None,
    header: bool | None = None,
    table: str | None = None,
    named: Sequence[str] = (),
) -> Table:
    """Open any source that holds a table.

    ``source``: a path to a file (delimited text, JSON, Parquet, Arrow, a workbook, SQLite, a matrix; compressed, or the
    one table of an archive), to a folder of such files, a name pattern, a list of paths, the address of a database or a
    connection to one, or a frame, matrix or array in memory. ``table``: the file of an archive, the sheet, or the table
    of a database (or a SELECT). ``named``: column names that the caller gives, which the header must contain.

    Raises DataError if the file does not exist, is empty, or is not a table.
    """
    check_threads()
    for name, value in (("sep", sep), ("encoding", encoding), ("table", table)):
        if value is not None and (not isinstance(value, str) or not value):
            common = {"sep": "',' or ';'", "encoding": "'utf-8' or 'latin-1'", "table": "'ratings'"}[name]
            raise DataError(f"{name} is {value!r}; give a text such as {common} (on the command line --{name})")
    if header is not None and not isinstance(header, bool):
        raise DataError(f"header is {header!r}; give True or False (on the command line --header or --no-header)")
    ways = _Ways(sep, encoding, header, table, named)
    if isinstance(source, str) and databases.is_uri(source):
        return databases.open_uri(source, table)
    if remote.is_url(source):
        return _open_url([source], source, ways)
    if isinstance(source, (str, os.PathLike)):
        return _open_path(Path(source), ways)
    if isinstance(source, (list, tuple)) and source and all(isinstance(one, (str, os.PathLike)) for one in source):
        if any(remote.is_url(one) for one in source):
            return _open_url([str(one) for one in source], "the list of files", ways)
        return folders.open_files(
            [Path(one) for one in source], None, "the list of files", lambda p: _open_file(p, ways)
        )
    if isinstance(source, (list, tuple)) and source:
        return _open_rows(source)
    if matrices.is_sparse(source):
        return matrices.open_sparse(source)
    if type(source).__module__ in ("numpy", "numpy.ma") or type(source).__name__ in ("recarray", "MaskedArray"):
        return matrices.open_array(source)
    if databases.is_connection(source):
        return databases.open_connection(source, table)
    return _unnested(open_frame(source))


def _unnested(table: Table) -> Table:
    """Return the table of a frame with the fields of its structs as columns."""
    if pl.Struct not in table.sample.dtypes:
        return table
    return loaded(flattened(table.load(table.names, [])), table.label, table.notes, table.headed)


def _open_url(urls: list[str], label: str, ways: _Ways) -> Table:
    """Open the files at addresses. Local copies are kept for as long as the table is in use."""
    here = remote.Fetched(urls)
    if here.files == [here.alone]:
        table = _open_file(here.files[0], ways, label)
    else:
        table = folders.open_files(here.files, here.folder, label, lambda one: _open_file(one, ways))
    load, stream = table.load, table.stream

    def kept(columns: list[str], ids: list[str]) -> pl.DataFrame:
        assert here.files
        return load(columns, ids)

    return replace(table, load=kept, stream=None if stream is None else lambda column: (here, stream(column))[1])


def _open_rows(source: Sequence[Any]) -> Table:
    """Open a list of (user, item[, rating[, time]]) rows, of named tuples or of dicts; or a tuple of columns, such as
    numpy arrays."""
    first = source[0]
    names = getattr(first, "_fields", ())
    if sum(map(is_known_name, names)) >= 2 and all(getattr(row, "_fields", None) == names for row in source):
        first, source = first._asdict(), [row._asdict() for row in source]
    if isinstance(first, dict):
        try:
            return _unnested(open_frame(pl.DataFrame(list(source), infer_schema_length=None)))
        except (pl.exceptions.PolarsError, TypeError, ValueError) as error:
            raise DataError(f"this list of dicts is not a table: {error}") from None
    if (
        isinstance(source, tuple)
        and 2 <= len(source) <= 4
        and all(hasattr(c, "__len__") and not isinstance(c, str) for c in source)
        and len({len(c) for c in source}) == 1
        and len(first) > 4
    ):
        columns = [timed(column) for column in source]
    elif all(isinstance(row, (list, tuple)) and len(row) == len(first) and 2 <= len(row) <= 4 for row in source):
        columns = [list(column) for column in zip(*source)]
    else:
        raise DataError(
            "this list is not a table; give (user, item, rating) rows of one length, dicts, or paths of files"
        )
    try:
        frame = pl.DataFrame({f"column_{at}": column for at, column in enumerate(columns)}, strict=True)
    except (pl.exceptions.PolarsError, TypeError, ValueError, OverflowError) as error:
        raise DataError(
            f"these rows do not form a table: {str(error).splitlines()[0]}; each column needs one type"
        ) from None
    table = open_frame(frame)
    return Table(table.names, False, table.sample, table.load, "the rows")


def _open_path(path: Path, ways: _Ways) -> Table:
    path = Path(os.path.expanduser(path))
    try:
        folder, there = path.is_dir(), path.exists()
    except OSError as error:  # such as a name that is too long
        raise DataError(f"no file {path}: {error.strerror}") from None
    except ValueError:
        raise DataError(f"no file {str(path)!r}; a file name cannot contain a zero byte") from None
    if folder and folders.is_saved_model(path):
        raise DataError(f"{path} is a saved model, not a table of ratings; give the table (CSV, Parquet, ...)")
    if folder:
        return folders.open_files(folders.files_in(path), path, str(path), lambda one: _open_file(one, ways))
    if not there and folders.is_pattern(path):
        found = folders.matching(path)
        if not found:
            raise DataError(f"no file matches {path}; check the pattern")
        return folders.open_files(found, None, str(path), lambda one: _open_file(one, ways))
    if not there:
        raise DataError(f"no file {path}; check the path.{did_you_mean(path, DATASETS)}")
    return _open_file(path, ways)


def _open_file(path: Path, ways: _Ways, label: str | None = None) -> Table:
    label = label or str(path)
    try:
        with path.open("rb") as file:
            head = file.read(512)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None
    if not head:
        raise DataError(f"{path} is empty; a table of user, item and rating is needed")
    how = columnar.columnar_format(head)
    if how is not None:
        return columnar.open_columnar(path, how, label)
    if head.startswith(databases.SQLITE):
        return databases.open_sqlite(path, ways.table)
    if head[8:12] == databases.DUCKDB:
        return databases.open_duckdb(path, ways.table, label)
    if _held(head):
        return _open_bytes(path.read_bytes(), label, ways)
    return open_delimited(path, None, label, ways.sep, ways.encoding, ways.header, ways.named)


def _held(head: bytes) -> bool:
    """Return whether a file must be read into memory to be opened."""
    return (
        containers.compression(head) is not None
        or containers.is_zip(head)
        or containers.is_tar(head)
        or head.startswith((matrices.MTX, matrices.NPY))
    )


def _open_bytes(data: bytes, label: str, ways: _Ways, depth: int = 0) -> Table:
    """Open the bytes of a file. The contents of an archive are opened in the same way."""
    if not data:
        raise DataError(f"{label} is empty; a table of user, item and rating is needed")
    compressed = containers.compression(data[:8])
    if depth > 3:
        raise DataError(f"{label} is an archive in an archive in an archive; unpack it and give the file inside")
    if compressed is not None:
        return _open_bytes(containers.decompress(data, compressed, label), label, ways, depth + 1)
    if containers.is_zip(data[:4]):
        if spreadsheets.is_workbook(data):
            return spreadsheets.open_workbook(data, label, ways.table)
        if matrices.is_npz(data):
            return matrices.open_npz(data, label)
        name, inner = containers.member(io.BytesIO(data), label, ways.table)
        return _open_bytes(inner, f"{label} ({name})", ways._replace(table=None), depth + 1)
    if containers.is_tar(data):
        name, inner = containers.tar_member(data, label, ways.table)
        return _open_bytes(inner, f"{label} ({name})", ways._replace(table=None), depth + 1)
    how = columnar.columnar_format(data)
    if how is not None:
        return columnar.open_columnar_bytes(data, how, label)
    if data.startswith(matrices.MTX):
        return matrices.open_mtx(data, label)
    if data.startswith(matrices.NPY):
        return matrices.open_npy(data, label)
    if data.startswith(databases.SQLITE):
        raise DataError(f"{label} is a SQLite database in an archive; unpack it and give the file inside")
    return open_delimited(None, data, label, ways.sep, ways.encoding, ways.header, ways.named)
