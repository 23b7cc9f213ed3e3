"""Checking a state: every row, and every file of a version, against its checksum."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from cofactor.bundle.files import MANIFEST, digest_of
from cofactor.errors import BundleError
from cofactor.serve.maintenance.access import all_rows, opened
from cofactor.serve.storage import tables as t
from cofactor.serve.storage import versions
from cofactor.serve.storage.state_folder import StateError
from cofactor.serve.storage.store import Store, Version
from cofactor.serve.storage.transactions import StoreError


class Report(NamedTuple):
    """The result of :func:`check`: counts, and sentences about errors (``wrong``; empty: no errors)."""

    events: int
    versions: list[int]
    live: int | None
    wrong: list[str]


def check(where: str | Path) -> Report:
    """Check every row and every version of a state. Nothing is changed."""
    wrong: list[str] = []
    try:
        with opened(where) as (store, folder):
            count = 0
            for row in all_rows(store, t.events):
                count += 1
                if not t.is_whole(row):
                    wrong.append(f"newer rating {row[0]} was changed outside the server")
            for table in (t.meta, t.counters, t.answered, t.versions, t.lists, t.outcomes):
                wrong += [
                    f"a row of {table.name} was changed outside the server"
                    for r in all_rows(store, table)
                    if not t.is_whole(r)
                ]
            now = store.position()
            if count != now["events"] - now["deleted"]:
                wrong.append(f"there are {count:,} newer ratings, but {now['events'] - now['deleted']:,} were stored")
            known = store.versions()
            for version in store.versions(candidates=True):
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


def _check_pieces(store: Store, version: Version) -> None:
    manifest = b"".join(data for name, data in store.files(version.contents) if name == MANIFEST)
    if digest_of(manifest) != version.contents:
        raise BundleError("its files in the database were changed")
