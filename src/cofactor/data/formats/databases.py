"""Open SQLite and DuckDB files and database connections as tables."""

from __future__ import annotations

import importlib
import re
import sqlite3
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import polars as pl

from cofactor.data.tables import Table, as_data_error, loaded
from cofactor.errors import DataError

SQLITE, DUCKDB = b"SQLite format 3\x00", b"DUCK"
"""The first bytes of these files; DuckDB's follow a checksum of 8 bytes."""


def open_sqlite(path: Path, table: str | None) -> Table:
    """Open the only table of a SQLite file, the one called ``table``, or the result of a SELECT. The file is only
    read."""
    uri = f"file:{quote(str(path.resolve()))}?mode=ro"
    try:
        connection = sqlite3.connect(uri, uri=True)
        try:
            return open_connection(connection, table, str(path))
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise DataError(f"{path} cannot be read as a SQLite database: {error}") from None


def open_duckdb(path: Path, table: str | None, label: str) -> Table:
    """Open a DuckDB file in the same way."""
    with as_data_error(), _libraries():
        connection = importlib.import_module("duckdb").connect(str(path), read_only=True)
        try:
            if table is None:
                listed = "SELECT table_name FROM information_schema.tables ORDER BY table_name"
                table = _one_of([name for (name,) in connection.execute(listed).fetchall()], label)
            return open_connection(connection, table, label)
        finally:
            connection.close()


def is_connection(source: Any) -> bool:
    """Return whether this is a database connection, an engine or a cursor that polars can read from."""
    if any(hasattr(type(source), name) for name in ("columns", "schema", "__arrow_c_stream__", "__dataframe__")):
        return False
    return hasattr(source, "cursor") or hasattr(source, "execute") or type(source).__module__.startswith("sqlalchemy")


def is_uri(source: str) -> bool:
    """Return whether a text is the address of a database, such as ``postgresql://user@host/name``."""
    return (
        re.match(
            r"(postgres(ql)?|mysql|mariadb|mssql|oracle|redshift|clickhouse|sqlite|duckdb|snowflake|trino)(\+\w+)?://",
            source,
        )
        is not None
    )


def open_connection(connection: Any, table: str | None, label: str = "the database") -> Table:
    """Open a table of an open connection (sqlite3, SQLAlchemy, ADBC, ...). ``table`` is its name or a SELECT."""
    query = _query(table) if table is not None else None
    if isinstance(connection, sqlite3.Connection):
        try:
            return loaded(_sqlite_frame(connection, query or _query(_only_table(connection, label))), label)
        except sqlite3.Error as error:
            raise DataError(f"{label} cannot be read as a SQLite database: {error}") from None
    if query is None:
        raise DataError(f"name the table of {label} with table='ratings', or give a SELECT: table='select ...'")
    with as_data_error(), _libraries():
        return loaded(pl.read_database(query, connection), label)


def open_uri(uri: str, table: str | None) -> Table:
    """Open a table by the address of its database: SQLite and DuckDB files, others through connectorx or ADBC."""
    label = re.sub(r"//[^@/]*@", "//", uri)  # without the user's name and password
    scheme, _, rest = uri.partition("://")
    if scheme.partition("+")[0] == "sqlite":
        return open_sqlite(_file(rest, label), table)
    if scheme == "duckdb":
        return open_duckdb(_file(rest, label), table, label)
    if table is None:
        raise DataError(f"name the table of {label} with table='ratings', or give a SELECT: table='select ...'")
    with as_data_error(), _libraries():
        plain = f"{scheme.partition('+')[0]}://{rest}"  # SQLAlchemy puts the name of the driver into the address
        return loaded(pl.read_database_uri(_query(table), plain), label)


def _file(rest: str, label: str) -> Path:
    """Return the file of an address: ``sqlite:///here.db`` or, from the root, ``sqlite:////tmp/here.db``."""
    path = unquote(rest.partition("?")[0]).removeprefix("/")
    found = next((one for one in (Path(path), Path("/" + path)) if one.is_file()), None)
    if found is None:
        raise DataError(f"no file {path} for {label}; check the path")
    return found


class _libraries:
    """Name the missing library; polars and pandas read databases through several. Errors of the database become
    DataError."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, ImportError):
            library = error.name or "connectorx"
            raise DataError(f"reading this database needs {library}; install it: pip install {library}") from None
        if isinstance(error, Exception) and not isinstance(error, (DataError, pl.exceptions.PolarsError)):
            raise DataError(
                f"the database says: {str(error).strip().splitlines()[0] if str(error).strip() else error!r}"
            ) from None


def _query(table: str) -> str:
    if re.match(r"\s*(select|with)\b", table, re.IGNORECASE):
        return table
    return "SELECT * FROM " + ".".join(f'"{part}"' for part in table.replace('"', '""').split("."))


def _only_table(connection: sqlite3.Connection, label: str) -> str:
    found = connection.execute(
        "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%' ORDER BY name"
    )
    return _one_of([name for (name,) in found], label)


def _one_of(names: list[Any], label: str) -> str:
    """Return the only table."""
    if len(names) == 1:
        return str(names[0])
    if not names:
        raise DataError(f"{label} contains no table")
    raise DataError(
        f"{label} has {len(names)} tables ({', '.join(names[:8])}); name one with table=... (on the command"
        " line --table)"
    )


def _sqlite_frame(connection: sqlite3.Connection, query: str) -> pl.DataFrame:
    """Return all rows. A column of several types, which SQLite allows, becomes text."""
    cursor = connection.execute(query)
    names = [column[0] for column in cursor.description]
    rows = cursor.fetchall()
    columns: dict[str, pl.Series] = {}
    for at, name in enumerate(names):
        values = [row[at] for row in rows]
        kinds = {type(value) for value in values} - {type(None)}
        if len(kinds) > 1 and not kinds <= {int, float}:
            values = [
                None if v is None else v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v) for v in values
            ]
        columns[name] = pl.Series(name, values, strict=False)
    return pl.DataFrame(columns)
