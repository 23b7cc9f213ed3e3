"""The stored versions of a server: each has a record in the store and files in a folder (see ``versions.py``)."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from cofactor.bundle import info
from cofactor.errors import BundleError, ConfigError, UnknownIdError
from cofactor.recommender import Recommender, load
from cofactor.serve.experiments.experiment import read as read_experiment
from cofactor.serve.settings import Settings
from cofactor.serve.storage import versions
from cofactor.serve.storage.state_folder import StateFolder
from cofactor.serve.storage.store import Store, Version


class Adopted(NamedTuple):
    """A copy of a bundle that is not a version yet; ``contents`` is the digest of its manifest, ``facts`` its
    content."""

    place: Path
    origin: str
    contents: str
    facts: dict[str, Any]


class Kept:
    """The ``store`` and ``folder`` of a state, opened unless they are given. Where hosts share a database, it holds the
    files too."""

    def __init__(self, settings: Settings, opened: tuple[Store, StateFolder] | None = None) -> None:
        self.settings = settings
        self.store, self.folder = opened or opened_store(settings)

    def close(self) -> None:
        """Close the store and the folder."""
        self.store.close()
        self.folder.close()

    # ---- stored versions

    def version(self, number: int) -> Version:
        """Return the record of a version; UnknownIdError where there is none."""
        for version in self.store.versions(candidates=True):
            if version.version == number:
                return version
        raise UnknownIdError(f"there is no version {number}")

    def place(self, version: Version) -> Path:
        """Return the directory of a version after checking its digest."""
        if self.settings.shared:
            return versions.fetch(self.store, self.folder, version)
        place = self.folder.versions / version.folder
        versions.check_whole(place, version.contents)
        return place

    def measured(self, version: Version) -> dict[str, Any]:
        """Return the metrics and figures of a version; empty where its files are not on this host."""
        try:
            facts = info(self.folder.versions / version.folder)
        except BundleError:
            return {"metrics": {}, "figures": []}
        return {"metrics": facts["metrics"], "figures": facts["figures"]}

    # ---- new versions

    def scratch(self, name: str) -> Path:
        """Return the path, not in use, of a folder of this process for a version in preparation."""
        place = self.folder.versions / f"{name}.{os.getpid():x}.cofactor"
        self.folder.remove(place.name)
        return place

    @contextlib.contextmanager
    def adopted(self, bundle: Path) -> Iterator[Adopted]:
        """Copy a bundle into a scratch folder; the copy exists until the end of the block."""
        place = self.scratch("new")
        try:
            origin = versions.adopt(bundle, place)
            self._forget_again(place, origin)
            yield Adopted(place, origin, versions.origin_of(place), info(place))
        finally:
            self.folder.remove(place.name)

    def _forget_again(self, place: Path, origin: str) -> None:
        """Remove from a copy the users who were erased while a version of the same bundle was stored."""
        names = {name for name, one in self.store.erased().items() if origin in one.bundles}
        if not names:
            return
        rec = load(place)
        gone = [user for user in rec.data.user_ids.values if self.store.erased_name(user) in names]
        for user in gone:
            rec = rec.forget(user)
        if gone:
            rec.save(place)
            place.chmod(0o700)

    @contextlib.contextmanager
    def numbered(self, found: Adopted, source: str, through: int, drift: float | None) -> Iterator[Version]:
        """Turn a copy into a version. The block must store its record; if the block fails, the folder is removed."""
        number = self.store.new_number()
        version = Version(
            number, source, found.origin, f"{number:06d}.cofactor", found.contents, found.facts["model"],
            found.facts["created"], through, drift, 0, None,
        )  # fmt: skip
        if self.settings.shared:
            versions.put(self.store, found.contents, found.place)
        try:
            os.rename(found.place, self.folder.versions / version.folder)
            yield version
        except BaseException:
            self.folder.remove(version.folder)
            raise

    def rewrite(self, version: Version, rec: Recommender) -> None:
        """Replace the contents of a version."""
        number = 1 + max((int(p.name.split(".")[1]) for p in self.folder.own() if p.name.count(".") == 2), default=0)
        folder = f"{version.version:06d}.{number}.cofactor"
        place = self.folder.versions / folder
        rec.save(place)
        place.chmod(0o700)
        contents = versions.origin_of(place)
        if self.settings.shared:
            versions.put(self.store, contents, place)
        self.store.replace_version(version._replace(folder=folder, contents=contents))
        self.folder.remove(version.folder)

    # ---- removal

    def prune(self, number: int, *, live: bool) -> None:
        """Remove the versions beyond the limit after the new version ``number``, which counts if ``live``."""
        experiment = read_experiment(self.store)
        beside = {number, 0 if experiment is None else experiment.version}
        known = [v for v in self.store.versions(candidates=True) if v.version not in beside and not only_beside(v)]
        never = [v for v in known if not v.activation]
        outdated = versions.outdated([v for v in known if v.activation], self.settings.keep - int(live))
        for old in never + outdated:
            self.drop(old)
        self.drop_files()

    def drop_files(self) -> None:
        """Delete the files in a shared database that belong to no version."""
        if self.settings.shared:
            self.store.drop_files()

    def without_earlier(self, wanted: str | None) -> bool:
        """Remove the versions kept beside the live one, except a copy of ``wanted`` (the digest of a manifest); return
        whether there is a version of that origin."""
        kept = self.store.versions(candidates=True)
        for version in (v for v in kept if only_beside(v) and v.origin != wanted):
            self.drop(version)
        return wanted in {v.origin for v in kept}

    def tidy(self) -> None:
        """Remove folders that a crash left behind; only folders with names made by the server are touched."""
        with self.store.leading() as alone:
            if alone:
                self.remove_strays()

    def remove_strays(self) -> None:
        """Remove folders that a crash left behind, as the leader; only names made by the server are touched."""
        known = {v.folder for v in self.store.versions(candidates=True)}
        for stray in list(self.folder.strays(known, fetched=self.settings.shared)):
            self.folder.remove(stray.name)

    def drop(self, version: Version) -> None:
        """Remove a version and its files."""
        self.store.drop_version(version.version)
        self.folder.remove(version.folder)


def only_beside(version: Version) -> bool:
    """Return whether a version is only for comparison and was never live."""
    return version.source == "beside" and not version.activation


def opened_store(settings: Settings) -> tuple[Store, StateFolder]:
    """Open, check and lock the store of a server and the directory of its versions, and return both."""
    if not settings.shared:
        store = Store(settings.state_folder, lock=not settings.joins)
        assert store.folder is not None
        return store, store.folder
    store = Store(str(settings.database), silent=settings.silent_seconds)
    folder = StateFolder(settings.state_folder)
    try:
        folder.open(lock=not settings.joins)
        if folder.facts and folder.facts.get("id") != store.meta["id"]:
            raise ConfigError(f"{folder.path} holds versions of another state; give another directory with --versions")
        if not settings.joins:
            folder.mark({"store": "database", "id": store.meta["id"]})
    except BaseException:
        store.close()
        folder.close()
        raise
    return store, folder
