"""A state opened for maintenance, even while a server uses it."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from cofactor.errors import ConfigError
from cofactor.serve.storage.state_folder import MARKER, StateError, StateFolder
from cofactor.serve.storage.store import Store

BATCH = 5_000
"""Number of rows read or copied at once."""


def is_database(where: str | Path) -> bool:
    """Return whether a state is in a database, rather than a directory."""
    return str(where).startswith(("postgresql://", "postgres://"))


@contextlib.contextmanager
def opened(
    where: str | Path, cache: Path | None = None, *, writes: bool = False
) -> Iterator[tuple[Store, StateFolder]]:
    """Open the store of a state and the directory of its versions, even while a server uses them.

    Where the directory is read-only (a backup on such a disk), a copy of its store is opened, unless ``writes``.
    """
    if is_database(where):
        store = Store(str(where))
        folder = StateFolder(cache if cache is not None else Path(os.devnull))
        try:
            yield store, folder
        finally:
            store.close()
        return
    there = StateFolder(Path(where))
    if not there.look():
        raise ConfigError(f"{where} is not a state of a server")
    with contextlib.ExitStack() as held:
        if writes or os.access(where, os.W_OK):
            store = joined(Path(where))
        else:
            store = joined(_copied(there, Path(held.enter_context(tempfile.TemporaryDirectory(prefix="cofactor-")))))
        held.callback(store.close)
        yield store, there


def joined(where: Path) -> Store:
    """Open a store, even if a server uses its state."""
    try:
        return Store(where)
    except StateError:
        raise
    except ConfigError as exc:
        if "in use" not in str(exc):
            raise
        return Store(where, lock=False)


def _copied(folder: StateFolder, scratch: Path) -> Path:
    """Copy the store and the marker of a state, without its versions, into a directory, and return it."""
    for name in (MARKER, folder.store.name, f"{folder.store.name}-wal"):
        with contextlib.suppress(FileNotFoundError):
            shutil.copyfile(folder.path / name, scratch / name)
    return scratch


def all_rows(store: Store, table: sa.Table) -> Iterator[Any]:
    """Yield all rows of a table in order of their key, reading some at a time."""
    key, last = next(iter(table.primary_key.columns)), None
    while True:
        with store._read() as db:
            query = table.select().order_by(key).limit(BATCH)
            rows = db.execute(query if last is None else query.where(key > last)).all()
        yield from rows
        if len(rows) < BATCH:
            return
        last = rows[-1]._mapping[key]
