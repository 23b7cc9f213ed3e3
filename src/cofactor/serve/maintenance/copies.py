"""Copies of a state: backups, restorations, and moves between SQLite and PostgreSQL.

A backup is itself a state (SQLite and versions in a directory), whatever its source. So a restoration is also a copy,
and copying moves a state between SQLite and PostgreSQL.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from cofactor.errors import BundleError, ConfigError
from cofactor.recommender import load
from cofactor.serve.maintenance.access import BATCH, all_rows, is_database, joined, opened
from cofactor.serve.maintenance.check import Report, check
from cofactor.serve.models.kept import Kept
from cofactor.serve.settings import Settings
from cofactor.serve.storage import tables as t
from cofactor.serve.storage import versions
from cofactor.serve.storage.rows import put
from cofactor.serve.storage.state_folder import StateFolder
from cofactor.serve.storage.store import Erasure, Store, Version
from cofactor.serve.storage.transactions import UNFINISHED, StoreError, Unfinished

_ATTEMPTS = 5
"""Most attempts to copy a state whose versions change meanwhile."""
_CHANGING = "activations", "erasures", "versions"
"""Counters that change with the versions."""


def copy(source: str | Path, target: str | Path) -> Report:
    """Copy a state, even while a server uses it: for a backup, its restoration, or a move to another database.

    ``target`` must not hold a state, except an unfinished copy. The copy is a snapshot of one moment, and is checked.
    Until it is whole, nothing else opens it.
    """
    _copy(source, target, {})
    return check(target)


def restore(backup: str | Path, target: str | Path, erased_in: str | Path) -> tuple[Report, list[int]]:
    """Restore a backup without the users who were erased since it was made; return (report, changed versions).

    ``erased_in`` is the state that was used after the backup; it holds the notes on erasures. The changed versions no
    longer hold these users, but were trained on their ratings, so they need a refit.
    """
    with opened(erased_in) as (store, _):
        erased, name = store.erased(), store.meta["id"]
    with opened(backup) as (store, _):
        if store.meta["id"] != name:
            raise ConfigError(f"{backup} is not a backup of the state {erased_in}")
    changed = _copy(backup, target, erased)
    return check(target), changed


def _copy(source: str | Path, target: str | Path, erased: dict[str, Erasure]) -> list[int]:
    """Copy a state without these users; return the versions that were changed."""
    if not is_database(target) and StateFolder(Path(target)).look() and not _unfinished(Path(target)):
        raise ConfigError(f"{target} already holds a state; give a new or empty directory")
    with opened(source) as (old, folder):
        for attempt in range(1, _ATTEMPTS + 1):
            before = old.position()
            try:
                return _copy_once(old, folder, target, erased)
            except BundleError:
                now = old.position()
                if attempt == _ATTEMPTS or all(now[name] == before[name] for name in _CHANGING):
                    raise  # a version is damaged; otherwise it was replaced or removed while it was copied
    raise AssertionError


def _unfinished(place: Path) -> bool:
    """Return whether a directory holds a copy that was not finished."""
    try:
        joined(place).close()
    except Unfinished:
        return True
    except ConfigError:  # whatever it is, it is no copy of ours
        return False
    return False


def _copy_once(old: Store, folder: StateFolder, target: str | Path, erased: dict[str, Erasure]) -> list[int]:
    new = Store(str(target) if is_database(target) else Path(target), copies=True)
    done = False
    try:
        if UNFINISHED not in new.meta:
            if new.live() is not None or new.position()["events"]:
                done = True  # nothing of ours is there
                raise ConfigError("the database already holds a state; give another database")
            new.keep_note(UNFINISHED, "")
        with old._engine.connect().execution_options(**_snapshot(old)) as db, db.begin(), new._write() as into:
            _copy_rows(db, into, old)
        new.meta = {row.name: row.value for row in all_rows(new, t.meta) if row.name != UNFINISHED}
        for version in new.versions(candidates=True):
            _copy_version(old, folder, new, version)
        changed = _erase_again(new, target, erased) if erased else []
        if new.folder is not None:
            new.folder.mark(new.folder.facts | {"id": new.meta["id"]})
        else:
            new.drop_files()
        new.keep_note(UNFINISHED, None)
        done = True
        return changed
    except SQLAlchemyError as exc:
        raise StoreError(str(getattr(exc, "orig", exc))) from exc
    except OSError as exc:
        raise StoreError(f"cannot write the copy {target}: {exc.strerror or exc}") from exc
    finally:
        new.close()
        if not done and not is_database(target):
            _discard(Path(target))


def _erase_again(new: Store, target: str | Path, erased: dict[str, Erasure]) -> list[int]:
    """Erase these users from a copy; return the versions that were changed."""
    changed = []
    with tempfile.TemporaryDirectory(prefix="cofactor-") as scratch:
        folder = new.folder
        if folder is None:
            folder = StateFolder(Path(scratch))
            folder.versions.mkdir()
        where = str(target) if new.folder is None else Path(target)
        kept = Kept(Settings(Path(scratch) / "m", state=where), (new, folder))
        new.erase_again(erased)
        for version in new.versions(candidates=True):
            rec = load(kept.place(version))
            gone = [
                user
                for user in rec.data.user_ids.values
                if (one := new.erasure_of(user, erased)) is not None and version.version <= one.versions
            ]
            for user in gone:
                rec = rec.forget(user)
            if gone:
                kept.rewrite(version, rec)
                changed.append(version.version)
        kept.drop_files()
    return changed


def _snapshot(store: Store) -> dict[str, Any]:
    return {"reading": True} if store.folder is not None else {"isolation_level": "REPEATABLE READ"}


def _copy_rows(db: sa.Connection, into: sa.Connection, old: Store) -> None:
    for table in t.ALL:
        into.execute(table.delete())
        rows = db.execution_options(yield_per=BATCH).execute(table.select())
        for part in rows.partitions(BATCH):
            whole = [old._whole(row) if "digest" in table.c else row for row in part]
            into.execute(table.insert(), [dict(row._mapping) for row in whole])
    put(into, UNFINISHED, "")


def _copy_version(old: Store, folder: StateFolder, new: Store, version: Version) -> None:
    scratch = None
    if old.folder is not None:
        place = folder.versions / version.folder
        versions.check_whole(place, version.contents)
    else:
        scratch = Path(tempfile.mkdtemp(prefix="cofactor-"))
        (scratch / "versions").mkdir()
        place = versions.fetch(old, StateFolder(scratch), version)
    try:
        if new.folder is not None:
            new.folder.remove(version.folder)  # of an earlier attempt
            versions.adopt(place, new.folder.versions / version.folder)
        else:
            versions.put(new, version.contents, place)
    finally:
        if scratch is not None:
            _discard(scratch)


def _discard(place: Path) -> None:
    """Remove a directory that this module made."""
    shutil.rmtree(place, ignore_errors=True)
