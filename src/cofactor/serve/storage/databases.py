"""Connections to the databases of a store: SQLite in a file, PostgreSQL by its address."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from cofactor._paths import open_plain
from cofactor.errors import ConfigError, MissingExtraError
from cofactor.serve.storage import tables as t
from cofactor.serve.storage.state_folder import StateFolder

_PRAGMAS = ("journal_mode = WAL", "synchronous = FULL", "secure_delete = ON", "foreign_keys = ON")


def sqlite_engine(path: Path) -> sa.Engine:
    """Return an engine for a SQLite file. Transactions write, unless they have the option ``reading``; with ``plain``
    there is no transaction."""
    address = sa.URL.create("sqlite", database=str(path))
    engine = sa.create_engine(address, connect_args={"timeout": 10.0}, pool_size=8, max_overflow=8)

    @sa.event.listens_for(engine, "connect")
    def _connected(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # we send BEGIN ourselves, see below
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")

    @sa.event.listens_for(engine, "begin")
    def _began(db: sa.Connection) -> None:
        options = db.get_execution_options()
        if not options.get("plain"):
            db.exec_driver_sql("BEGIN" if options.get("reading") else "BEGIN IMMEDIATE")

    return engine


_PATIENT = {
    "connect_timeout": 10, "keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}  # fmt: skip
"""Timeouts after which an unresponsive database host is given up, in seconds (the last one in milliseconds)."""


def postgresql_engine(address: str) -> sa.Engine:
    """Return an engine for a PostgreSQL database, whose address may name several hosts."""
    try:
        import psycopg
    except ModuleNotFoundError:
        raise MissingExtraError("psycopg", "postgres", "a state in PostgreSQL") from None
    options = "-c statement_timeout=30000 -c lock_timeout=10000 -c synchronous_commit=on"
    options += " -c idle_in_transaction_session_timeout=30000"  # a stopped process blocks others no longer
    try:
        given = psycopg.conninfo.conninfo_to_dict(address)
    except psycopg.Error:  # its message may contain the password
        raise ConfigError("the database address is not valid; write postgresql://user@host:5432/name") from None
    usual: dict[str, Any] = {name: value for name, value in _PATIENT.items() if name not in given}

    def connect() -> Any:
        return psycopg.connect(address, options=options, application_name="cofactor", **usual)

    return sa.create_engine("postgresql+psycopg://", creator=connect, pool_size=8, max_overflow=8, pool_pre_ping=True)


def create(folder: StateFolder, more: dict[str, str]) -> None:
    """Create an empty SQLite store with ``more`` notes; the file gets its name only when it is complete."""
    scratch = folder.path / f"{folder.store.name}.{secrets.token_hex(4)}.tmp"
    os.close(open_plain(scratch, os.O_RDWR | os.O_CREAT | os.O_EXCL))
    engine = sqlite_engine(scratch)
    try:
        with engine.connect() as db, db.begin():
            facts = {"id": secrets.token_hex(8), "salt": secrets.token_hex(16)}
            t.migrate(db, 0, facts | more)
        with engine.connect().execution_options(plain=True) as db:
            db.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        engine.dispose()
        os.replace(scratch, folder.store)
    finally:
        engine.dispose()
        for tail in ("", "-wal", "-shm", "-journal"):
            with contextlib.suppress(OSError):
                Path(f"{scratch}{tail}").unlink()
