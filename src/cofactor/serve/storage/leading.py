"""The lead: one process at a time, among all that use a state, may change models."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from cofactor._locks import try_lock
from cofactor._paths import open_plain
from cofactor.serve.storage import tables as t
from cofactor.serve.storage.state_folder import REFIT_LOCK, StateFolder
from cofactor.serve.storage.transactions import StoreError

_LEADING = t.OURS + 1
"""The key of the advisory lock in PostgreSQL."""


class Leading:
    """The lead among the processes of a state.

    It is a lock on a file in ``folder`` or, without a folder, an advisory lock in the database. The database gives it
    to another process after ``silent`` seconds without a sign of life.
    """

    def __init__(self, engine: sa.Engine, folder: StateFolder | None, silent: float) -> None:
        self._engine, self.folder, self.silent = engine, folder, silent
        self._leader: int | None = None

    @contextlib.contextmanager
    def begun(self) -> Iterator[bool]:
        """Try to take the lead until the end of the block (or of the process), and yield whether it worked."""
        if self.folder is not None:
            place = self.folder.path / REFIT_LOCK
            try:
                fd = open_plain(place, os.O_RDWR | os.O_CREAT)
            except OSError as exc:
                raise StoreError(f"cannot open {place}: {exc.strerror or exc}") from None
            try:
                yield try_lock(fd)
            finally:
                os.close(fd)
            return
        with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as db:
            took = bool(db.exec_driver_sql(f"SELECT pg_try_advisory_lock({_LEADING})").scalar())
            with self._signs(db) if took else contextlib.nullcontext():
                yield took

    @contextlib.contextmanager
    def _signs(self, db: sa.Connection) -> Iterator[None]:
        """Send signs of life over the connection that holds the lock.

        Without one for ``silent`` seconds the database ends the session, and another process may lead. A stopped
        process therefore blocks the others no longer.
        """
        held, ends = int(db.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()), threading.Event()
        limited = (db.dialect.server_version_info or (0,)) >= (14,)

        def give() -> None:
            with contextlib.suppress(SQLAlchemyError):  # the session was ended: see check
                while not ends.wait(self.silent / 5):
                    db.exec_driver_sql("SELECT 1")

        if limited:
            db.exec_driver_sql(f"SET idle_session_timeout = {max(1, round(1000 * self.silent))}")
        thread = threading.Thread(target=give, name="cofactor-leads", daemon=True)
        thread.start()
        self._leader = held
        try:
            yield
        finally:
            self._leader = None if self._leader == held else self._leader
            ends.set()
            thread.join()
            with contextlib.suppress(SQLAlchemyError):
                db.exec_driver_sql(f"SELECT pg_advisory_unlock({_LEADING})")
                if limited:
                    db.exec_driver_sql("RESET idle_session_timeout")

    def check(self, db: sa.Connection) -> None:
        """Raise StoreError where this process has lost the lead because it was silent for too long."""
        if self._leader is not None:
            which = "locktype = 'advisory' AND granted AND objsubid = 1 AND (classid::bigint << 32) + objid::bigint"
            there = f"SELECT count(*) FROM pg_locks WHERE {which} = {_LEADING} AND pid = {self._leader}"
            if not db.exec_driver_sql(there).scalar():
                raise StoreError("this server was silent for so long that another server may change models; try again")
