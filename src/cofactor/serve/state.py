"""Maintenance of a state, for ``cofactor state``: check, repair, back up, restore, export, expire.

A backup is itself a state (SQLite and versions in a directory), whatever its source. So a restoration is also a copy,
and copying moves a state between SQLite and PostgreSQL.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from cofactor.bundle import info
from cofactor.bundle.files import MANIFEST, digest_of
from cofactor.errors import BundleError, ConfigError
from cofactor.recommender import load
from cofactor.serve import tables as t
from cofactor.serve import versions
from cofactor.serve.kept import Kept
from cofactor.serve.settings import Settings
from cofactor.serve.state_folder import MARKER, StateError, StateFolder
from cofactor.serve.store import Erasure, Store, Version
from cofactor.serve.transactions import StoreError

_BATCH = 5_000
"""Number of rows copied at once."""
_ATTEMPTS = 20_000
"""Most attempts to read around damaged rows."""


class Report(NamedTuple):
    """The result of :func:`check`: counts, and sentences about errors (``wrong``; empty: no errors)."""

    events: int
    versions: list[int]
    live: int | None
    wrong: list[str]


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
            store = _joined(Path(where))
        else:
            store = _joined(_copied(there, Path(held.enter_context(tempfile.TemporaryDirectory(prefix="cofactor-")))))
        held.callback(store.close)
        yield store, there


def _joined(where: Path) -> Store:
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


# ---- check and repair


def check(where: str | Path) -> Report:
    """Check every row and every version of a state. Nothing is changed."""
    wrong: list[str] = []
    try:
        with opened(where) as (store, folder):
            count = 0
            for row in _rows(store, t.events):
                count += 1
                if not t.is_whole(row):
                    wrong.append(f"newer rating {row[0]} was changed outside the server")
            for table in (t.meta, t.counters, t.answered, t.versions, t.lists, t.outcomes):
                wrong += [
                    f"a row of {table.name} was changed outside the server"
                    for r in _rows(store, table)
                    if not t.is_whole(r)
                ]
            now = store.position()
            if count != now["events"] - now["deleted"]:
                wrong.append(f"there are {count:,} newer ratings, but {now['events'] - now['deleted']:,} were stored")
            known = store.versions()
            for version in known:
                try:
                    if store.folder is not None:
                        versions.check_whole(folder.versions / version.folder, version.contents)
                    else:
                        _check_pieces(store, version)
                except BundleError as exc:
                    wrong.append(f"version {version.version}: {exc}")
            live = max(known, key=lambda v: v.activation, default=None)
            return Report(count, [v.version for v in known], None if live is None else live.version, wrong)
    except (StateError, StoreError) as exc:
        return Report(0, [], None, [*wrong, str(exc)])


def _rows(store: Store, table: sa.Table) -> Iterator[Any]:
    """Yield all rows of a table in order of their key, reading some at a time."""
    key, last = next(iter(table.primary_key.columns)), None
    while True:
        with store._read() as db:
            query = table.select().order_by(key).limit(_BATCH)
            rows = db.execute(query if last is None else query.where(key > last)).all()
        yield from rows
        if len(rows) < _BATCH:
            return
        last = rows[-1]._mapping[key]


def _check_pieces(store: Store, version: Version) -> None:
    manifest = b"".join(data for name, data in store.files(version.contents) if name == MANIFEST)
    if digest_of(manifest) != version.contents:
        raise BundleError("its files in the database were changed")


class Repaired(NamedTuple):
    """The result of :func:`repair`. ``lost`` is the number of newer ratings that could not be saved (None: unknown);
    ``aside`` is the new path of the damaged file."""

    kept: int
    lost: int | None
    live: int | None
    aside: Path | None


def repair(where: Path) -> Repaired:
    """Repair a damaged state: keep the rows and versions whose checksums are right.

    The damaged store is moved aside, not deleted. An intact state is not changed.
    """
    folder = StateFolder(where)
    if not folder.look(damaged=True):
        raise ConfigError(f"{where} is not a state of a server")
    found = check(where)
    if not found.wrong:
        return Repaired(found.events, 0, found.live, None)
    if not os.access(where, os.W_OK):
        raise ConfigError(f"{where} is read-only; repair a copy of it")
    folder.take_lock()
    try:
        marked = dict(folder.facts)
        saved: dict[str, list[Any]] = {}
        aside = None
        if folder.store.exists():
            saved = _salvaged(folder.store)
            aside = where / f"{folder.store.name}.damaged-{secrets.token_hex(4)}"
            for tail in ("", "-wal", "-shm"):
                with contextlib.suppress(FileNotFoundError):
                    os.rename(f"{folder.store}{tail}", f"{aside}{tail}")
        with contextlib.suppress(FileNotFoundError):
            (where / "state.json").unlink()
        hidden = where.parent / f".{where.name}.{secrets.token_hex(4)}"
        kept, lost, live = _rebuilt(where, folder, saved, marked, hidden)
    finally:
        folder.close()
    return Repaired(kept, lost, live, aside)


def _rebuilt(
    where: Path, folder: StateFolder, saved: dict[str, list[Any]], marked: dict[str, Any], hidden: Path
) -> tuple[int, int | None, int | None]:
    """Make a new store with the saved rows in the place of the old one; return (events kept, lost, live version)."""
    events = [r for r in saved.get(t.events.name, []) if t.is_whole(r)]
    counters = {r.name: r.value for r in saved.get(t.counters.name, []) if t.is_whole(r)}
    rows = [r for r in saved.get(t.versions.name, []) if t.is_whole(r)]
    facts = {r.name: r.value for r in saved.get(t.meta.name, []) if t.is_whole(r)}
    answered = [r for r in saved.get(t.answered.name, []) if t.is_whole(r)] if "salt" in facts else []
    whole = []
    for row in rows:
        with contextlib.suppress(BundleError):
            versions.check_whole(folder.versions / row.folder, row.contents)
            whole.append(row)
    known = {row.folder for row in whole}
    last_event = max([counters.get("events", 0), marked.get("events", 0), *(r.id for r in events)])
    store = Store(hidden)
    try:
        with store._write() as db:
            keep = {k: v for k, v in facts.items() if k != "format"}
            for name, value in keep.items():
                db.execute(t.meta.delete().where(t.meta.c.name == name))
                db.execute(t.meta.insert().values(t.with_digest(name=name, value=value)))
            rest = [
                (table, [r for r in saved.get(table.name, []) if "digest" not in table.c or t.is_whole(r)])
                for table in (t.outcomes, t.shown_items, *((t.lists,) if "salt" in facts else ()))
            ]
            for table, found in ((t.events, events), (t.answered, answered), (t.versions, whole), *rest):
                for at in range(0, len(found), _BATCH):
                    db.execute(table.insert(), [dict(r._mapping) for r in found[at : at + _BATCH]])
            found_on_disk = [p for p in folder.own() if p.name not in known and p.name[:6].isdigit()]
            number = max([counters.get("versions", 0), *(int(p.name[:6]) for p in found_on_disk)])
            activation = max(
                [counters.get("activations", 0), marked.get("activations", 0), *(r.activation for r in whole)]
            )
            if not whole:  # the records are lost: the newest intact version is the best guess
                for place in sorted(found_on_disk):
                    with contextlib.suppress(BundleError):
                        facts_of = info(place, verify=True)
                        contents, activation = versions.origin_of(place), activation + 1
                        version = Version(
                            int(place.name[:6]), "repair", contents, place.name, contents, facts_of["model"],
                            facts_of["created"], 0, None, activation, time.time(),
                        )  # fmt: skip
                        db.execute(t.versions.insert().values(t.with_digest(**version._asdict())))
            lost = last_event - len(events) - counters.get("deleted", 0) if counters or marked else None
            values = counters | {
                "events": last_event, "deleted": last_event - len(events),
                "versions": number, "activations": activation,
                "requests": max([counters.get("requests", 0), *(r.request for r in answered)]),
                "lists": max([counters.get("lists", 0), *(r.number for r in saved.get(t.lists.name, []))]),
            }  # fmt: skip
            for name in t.COUNTERS:
                value = values.get(name, 0)
                db.execute(t.counters.delete().where(t.counters.c.name == name))
                db.execute(t.counters.insert().values(t.with_digest(name=name, value=value)))
        live = store.live()
    finally:
        store.close()
    os.rename(hidden / folder.store.name, folder.store)
    made = StateFolder(hidden)
    made.look(damaged=True)
    folder.mark(made.facts | {"id": facts.get("id", store.meta["id"])})
    for left in sorted(hidden.rglob("*"), reverse=True):
        left.rmdir() if left.is_dir() else left.unlink()
    hidden.rmdir()
    Store(where, lock=False).close()
    return len(events), lost, None if live is None else live.version


class _Row:
    """A row read from a damaged file, with the interface of SQLAlchemy's rows."""

    def __init__(self, values: dict[str, Any]) -> None:
        self._mapping = values

    def __getattr__(self, name: str) -> Any:
        if name == "_mapping" or name not in self._mapping:
            raise AttributeError(name)
        return self._mapping[name]


def _salvaged(path: Path) -> dict[str, list[Any]]:
    """Return the readable rows of a damaged SQLite file, by table. Unreadable rows are skipped."""
    found: dict[str, list[Any]] = {}
    db = sqlite3.connect(path)
    db.text_factory = lambda b: b.decode("utf-8", "replace")
    try:
        for table in t.ALL:
            names = [c.name for c in table.columns]
            columns = ", ".join(names)
            try:
                (most,) = db.execute(f"SELECT max(rowid) FROM {table.name} NOT INDEXED").fetchone()
            except sqlite3.Error as exc:
                if "malformed" not in str(exc) or "schema" in str(exc):
                    continue  # the table is unreadable
                most = 1 << 24
            rows = found.setdefault(table.name, [])
            todo, attempts = [(0, most or 0)], _ATTEMPTS
            while todo and attempts:
                low, high = todo.pop()
                try:
                    query = f"SELECT {columns} FROM {table.name} NOT INDEXED WHERE rowid > ? AND rowid <= ?"
                    part = db.execute(f"{query} ORDER BY rowid", (low, high)).fetchall()
                    rows += [_Row(dict(zip(names, row, strict=True))) for row in part]
                except sqlite3.Error:
                    attempts -= 1
                    if high - low > 1:
                        middle = (low + high) // 2
                        todo += [(middle, high), (low, middle)]
    except sqlite3.Error:
        pass  # the file is no longer a database
    finally:
        db.close()
    return found


# ---- copies


def copy(source: str | Path, target: str | Path) -> Report:
    """Copy a state, even while a server uses it: for a backup, its restoration, or a move to another database.

    ``target`` must not hold a state. The copy is a snapshot of one moment, and is checked.
    """
    if not is_database(target):
        place = StateFolder(Path(target))
        if place.look():
            raise ConfigError(f"{target} already holds a state; give a new or empty directory")
    with opened(source) as (old, folder):
        new = Store(str(target)) if is_database(target) else Store(Path(target))
        done = False
        try:
            if new.live() is not None or new.position()["events"]:
                raise ConfigError("the database already holds a state; give another database")
            with old._engine.connect().execution_options(**_snapshot(old)) as db, db.begin(), new._write() as into:
                _copy_rows(db, into, old)
            new.meta = {row.name: row.value for row in _rows(new, t.meta)}
            for version in new.versions():
                _copy_version(old, folder, new, version)
            if new.folder is not None:
                new.folder.mark(new.folder.facts | {"id": new.meta["id"]})
            done = True
        except SQLAlchemyError as exc:
            raise StoreError(str(getattr(exc, "orig", exc))) from exc
        finally:
            new.close()
            if not done and not is_database(target):
                _discard(Path(target))
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
    copy(backup, target)
    changed = _erase_again(target, erased)
    return check(target), changed


def _erase_again(where: str | Path, erased: dict[str, Erasure]) -> list[int]:
    changed = []
    with tempfile.TemporaryDirectory(prefix="cofactor-") as scratch:
        database = is_database(where)
        kept = Kept(Settings(Path(scratch) / "m", state=str(where) if database else Path(where)))
        try:
            kept.store.erase_again(erased)
            for version in kept.store.versions(candidates=True):
                rec = load(kept.place(version))
                gone = [
                    user
                    for user in rec.data.user_ids.values
                    if (one := kept.store.erasure_of(user, erased)) is not None and version.version <= one.versions
                ]
                for user in gone:
                    rec = rec.forget(user)
                if gone:
                    kept.rewrite(version, rec)
                    changed.append(version.version)
            kept.drop_files()
        finally:
            kept.close()
    return changed


def _snapshot(store: Store) -> dict[str, Any]:
    return {"reading": True} if store.folder is not None else {"isolation_level": "REPEATABLE READ"}


def _copy_rows(db: sa.Connection, into: sa.Connection, old: Store) -> None:
    for table in t.ALL:
        into.execute(table.delete())
        rows = db.execution_options(yield_per=_BATCH).execute(table.select())
        for part in rows.partitions(_BATCH):
            whole = [old._whole(row) if "digest" in table.c else row for row in part]
            into.execute(table.insert(), [dict(row._mapping) for row in whole])


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
            versions.adopt(place, new.folder.versions / version.folder)
        else:
            versions.put(new, version.contents, place)
    finally:
        if scratch is not None:
            _discard(scratch)


def _discard(place: Path) -> None:
    """Remove a directory that this module made."""
    shutil.rmtree(place, ignore_errors=True)


# ---- tables


def export(where: str | Path, out: Path) -> int:
    """Write the newer ratings as a table (CSV, TSV or Parquet, by the suffix), and return their number."""
    with opened(where) as (store, _):
        columns: dict[str, list[Any]] = {"user": [], "item": [], "rating": [], "time": []}
        count = 0
        for row in _rows(store, t.events):
            store._whole(row)
            count += 1
            values = json.loads(row.user_id), json.loads(row.item_id), row.rating, row.time
            for name, value in zip(columns, values, strict=True):
                columns[name].append(value)
    try:
        table = pl.DataFrame(columns, strict=True)
    except (TypeError, pl.exceptions.PolarsError):  # ids of both kinds
        table = pl.DataFrame({k: [str(v) for v in c] if k in ("user", "item") else c for k, c in columns.items()})
    if out.suffix == ".parquet":
        table.write_parquet(out)
    elif out.suffix in (".csv", ".tsv"):
        table.write_csv(out, separator="\t" if out.suffix == ".tsv" else ",")
    else:
        raise ConfigError(f"{out}: give a name that ends in .csv, .tsv or .parquet")
    return count


def expire(where: str | Path, days: float, now: float | None = None) -> int:
    """Delete the newer ratings older than ``days`` days, and return their number. A running server notices it."""
    if not days > 0:
        raise ConfigError(f"--older-than is {days:g} days; it must be above 0")
    with opened(where, writes=True) as (store, _):
        return store.expire(int((time.time() if now is None else now) - 86400 * days))
