"""Repairing a damaged state: what is intact goes into a new store."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import sqlite3
import time
from pathlib import Path
from typing import Any, NamedTuple

from cofactor._paths import sync_file, sync_folder
from cofactor.bundle import info
from cofactor.errors import BundleError, ConfigError
from cofactor.serve.maintenance.access import BATCH, all_rows
from cofactor.serve.maintenance.check import check
from cofactor.serve.storage import tables as t
from cofactor.serve.storage import versions
from cofactor.serve.storage.state_folder import REPAIRED, REPAIRING, StateFolder
from cofactor.serve.storage.store import Store, Version
from cofactor.serve.storage.transactions import UNFINISHED

_ATTEMPTS = 20_000
"""Most attempts to read around damaged rows."""


class Repaired(NamedTuple):
    """The result of :func:`repair`. ``lost`` is the number of newer ratings that could not be saved (None: unknown);
    ``aside`` is the new path of the damaged file."""

    kept: int
    lost: int | None
    live: int | None
    aside: Path | None


def repair(where: Path) -> Repaired:
    """Repair a damaged state: keep the rows and versions whose checksums are right.

    The damaged store is moved aside, not deleted, when the new one is whole. An intact state is not changed. A repair
    that was interrupted is continued.
    """
    folder = StateFolder(where)
    if not folder.look(damaged=True):
        raise ConfigError(f"{where} is not a state of a server")
    found = check(where)
    if not found.wrong:
        return Repaired(found.events, 0, found.live, None)
    if not os.access(where, os.W_OK):
        raise ConfigError(f"{where} is read-only; repair a copy of it")
    try:
        folder.take_lock()
        lost = None
        if _whole(where) is None:
            folder.look(damaged=True)
            lost = _rebuilt(where, folder)
        aside = _put_in_place(folder)
    except OSError as exc:
        raise ConfigError(f"cannot repair {where}: {exc.strerror or exc}; repair it again") from None
    finally:
        folder.close()
    store = Store(where, lock=False)
    try:
        live = store.live()
        return Repaired(store.count(), lost, None if live is None else live.version, aside)
    finally:
        store.close()


def _whole(where: Path) -> Path | None:
    """Return the folder in which the new store is whole, or None."""
    return next((where / name for name in os.listdir(where) if REPAIRED.fullmatch(name)), None)


def _put_in_place(folder: StateFolder) -> Path | None:
    """Move the old store aside and the new one to its place; return the path of the old one. Each step may be the last
    before a crash: it is then the first that the next repair finds undone."""
    made = _whole(folder.path)
    assert made is not None
    new, aside = made / folder.store.name, Path(f"{folder.store}.damaged-{made.name.partition('-')[2]}")
    if new.exists():
        for tail in ("-wal", "-shm", ""):  # the new store must not meet the old one's log
            with contextlib.suppress(FileNotFoundError):
                os.rename(f"{folder.store}{tail}", f"{aside}{tail}")
        os.rename(new, folder.store)
        sync_folder(folder.path)
    facts = StateFolder(made)
    facts.look(damaged=True)
    if facts.facts:  # otherwise it is marked already
        folder.mark(facts.facts)
    shutil.rmtree(made)
    return aside if aside.exists() else None


def _rebuilt(where: Path, folder: StateFolder) -> int | None:
    """Make a whole new store of what is intact, beside the old one; return how many events are lost (None: unknown)."""
    making, marked = where / REPAIRING, folder.facts
    if making.exists():  # of a repair that was interrupted
        shutil.rmtree(making)
    saved = _salvaged(folder.store) if folder.store.exists() else {}
    events = [r for r in saved.get(t.events.name, []) if t.is_whole(r)]
    counters = {r.name: r.value for r in saved.get(t.counters.name, []) if t.is_whole(r)}
    rows = [r for r in saved.get(t.versions.name, []) if t.is_whole(r)]
    facts = {r.name: r.value for r in saved.get(t.meta.name, []) if t.is_whole(r)}
    if UNFINISHED in facts:
        raise ConfigError(f"{where} is a copy of a state that was not finished; make the copy again")
    answered = [r for r in saved.get(t.answered.name, []) if t.is_whole(r)] if "salt" in facts else []
    whole = []
    for row in rows:
        with contextlib.suppress(BundleError):
            versions.check_whole(folder.versions / row.folder, row.contents)
            whole.append(row)
    known = {row.folder for row in whole}
    last_event = max([counters.get("events", 0), marked.get("events", 0), *(r.id for r in events)])
    store = Store(making)
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
                for at in range(0, len(found), BATCH):
                    db.execute(table.insert(), [dict(r._mapping) for r in found[at : at + BATCH]])
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
        store.meta = {row.name: row.value for row in all_rows(store, t.meta)}
        assert store.folder is not None
        store.folder.mark(store.folder.facts | {"id": store.meta["id"]})
    finally:
        store.close()
    sync_file(making / folder.store.name)
    os.rename(making, where / f"repaired-{secrets.token_hex(4)}")
    sync_folder(where)
    return lost


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
