"""The recommender that is live: newer ratings go into it, other models take its place, and one can go back.

Whoever asks takes ``live.now`` once and works with that: it never changes. Whoever writes makes another one and puts it
there in one assignment, after the store has it on disk.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from cofactor.api import load
from cofactor.bundle import info
from cofactor.bundle.files import MANIFEST, is_bundle
from cofactor.errors import BundleError, CofactorError, ConfigError
from cofactor.recommend.cold_start.users import feature_prior
from cofactor.recommender import Recommender
from cofactor.serve import versions
from cofactor.serve.catalogue import Catalogue
from cofactor.serve.refit import grown
from cofactor.serve.settings import Settings
from cofactor.serve.store import Event, Store, Version

log = logging.getLogger("cofactor.serve")
_BUNDLE_SOURCES = ("given", "reload")
_PATIENCE = 5.0
"""How long shutdown waits for a model swap, in seconds; a slower swap is abandoned."""
_LOOK_EVERY = 2.0
"""Seconds between two looks at the bundle."""


_Stamp = tuple[int, int, int]
"""What tells one bundle on disk from the next: inode, time, size of its manifest."""


class _Forgotten(Exception):
    """Somebody was forgotten whom the model that is to go live has learned."""


class Busy(CofactorError):
    """A change of models is under way, and there is one at a time."""


@dataclass(frozen=True)
class Served:
    """``rec`` with all newer ratings up to event ``through``; ``base`` without any."""

    version: int
    base: Recommender
    rec: Recommender
    through: int
    loaded: float
    catalogue: Catalogue


class Live:
    """One for each server. ``open`` it, and ``close`` it at the end."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.folder = settings.state_folder
        self.store: Store | None = None
        self.last_error: str | None = None
        self.busy: str | None = None
        self._writing = threading.Lock()
        self._changing = threading.Lock()
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._now: Served | None = None
        self._seen: _Stamp | None = None

    @property
    def now(self) -> Served:
        """What answers requests."""
        if self._now is None:
            raise ConfigError("no model is loaded yet")
        return self._now

    @property
    def ready(self) -> bool:
        """Whether there is a model."""
        return self._now is not None

    # ---- beginning and end

    def open(self) -> None:
        """Load the model: the one that was last live, unless the bundle was replaced since. May raise CofactorError."""
        self._seen = _stamp(self.settings.model)
        if self.folder is None:
            self._now = self._unwritten(1)
        else:
            info(self.settings.model)  # fail before creating any file if this is not a bundle
            origin = versions.origin_of(self.settings.model)
            if is_bundle(self.folder):
                raise ConfigError(f"{self.folder} is a saved model; give another --state")
            try:
                self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                (self.folder / "versions").mkdir(exist_ok=True)
            except OSError as exc:
                raise ConfigError(f"cannot keep newer ratings in {self.folder}: {exc.strerror or exc}") from None
            self.store = Store(self.folder / "events.sqlite")
            try:
                self._open_version(origin)
            except BaseException:
                self.store.close()
                raise
        if self.settings.watch:
            self._start(self._watch)

    def _open_version(self, origin: str) -> None:
        assert self.store is not None
        assert self.folder is not None
        self.store.drop_unfinished()
        known = self.store.versions()
        for stray in (self.folder / "versions").iterdir():
            if stray.name not in {v.folder for v in known}:
                versions.remove(stray)
        given = [v for v in known if v.source in _BUNDLE_SOURCES]
        active, trouble = next((v for v in known if v.active), None), None
        if active is not None and given and given[-1].origin == origin:
            try:
                self._go_live(active)
                return
            except BundleError as exc:
                trouble = f"version {active.version} cannot be opened ({exc}); the bundle is loaded again"
        self._install(self.settings.model, "given", 0, None)
        if trouble is not None:
            self._note(trouble)

    def close(self) -> None:
        """Stop looking, wait a little for what is under way, and let go of the store."""
        self._stop.set()
        end = time.monotonic() + _PATIENCE
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
        if self.store is not None:
            with self._writing:
                self.store.close()

    # ---- newer ratings

    def tell(self, events: Sequence[Event], key: str | None = None) -> int:
        """Take these in, all or none; when this returns they are on disk, and in every later answer.

        How many were accepted, which for a ``key`` that was there before is what was said then.
        """
        store = self._writable()
        with self._writing:
            before = None if key is None else store.answered(key)
            if before is not None:
                return before
            now = self.now
            rec = now.rec.update([tuple(e) for e in events], unknown="skip")
            self._now = replace(now, rec=rec, through=store.append(events, key))
            return len(events)

    def forget(self, user: Any) -> int:
        """Delete the newer ratings of a user; how many there were."""
        store = self._writable()
        with self._writing:
            deleted = store.forget(user)
            if deleted:
                now, through = self.now, self._version(self.now.version).through
                self._now = self._caught_up(replace(now, rec=now.base, through=through))
            return deleted

    def _caught_up(self, served: Served) -> Served:
        """The same with the events that it lacks."""
        assert self.store is not None
        events, last = self.store.events(served.through)
        rec = served.rec.update([tuple(e) for e in events], unknown="skip") if events else served.rec
        return replace(served, rec=rec, through=last)

    # ---- other models

    def reload(self, path: Path | None = None, source: str = "reload") -> int:
        """Load a bundle (by default that of the settings) and put it in the place of the present one; its version."""
        self._writable()
        with self._change("reloading"):
            seen = _stamp(self.settings.model)
            version = self._install(path or self.settings.model, source, 0, None)
            if path is None:
                self._seen = seen  # the watch need not do it again
            return version

    def rollback(self, version: int | None = None) -> int:
        """Back to a version, by default the one that was live before; its number."""
        store = self._writable()
        with self._change("going back"):
            known = store.versions()
            if version is not None:
                wanted = self._version(version)
            else:
                passive = [v for v in known if not v.active]
                if not passive:
                    raise ConfigError("there is no earlier version to go back to")
                wanted = max(passive, key=lambda v: v.activated)
            self._go_live(wanted)
            return wanted.version

    def refit(self, warm: bool | None = None) -> None:
        """Train on everything, newer ratings included, and put that in place; returns at once (see ``busy``)."""
        self._writable()

        def work() -> None:
            with change:
                try:
                    self._refit(warm)
                except Exception as exc:
                    self._note(f"refitting failed: {exc}")
                    if not isinstance(exc, CofactorError):
                        log.exception("refitting failed")

        with contextlib.ExitStack() as begun:
            begun.enter_context(self._change("refitting"))
            change = begun.pop_all()  # ends with the work
            try:
                self._start(work)
            except BaseException:
                change.close()
                raise

    def _refit(self, warm: bool | None) -> None:
        store = self._writable()
        assert self.folder is not None
        scratch = self.folder / "versions" / "refit.cofactor"
        while True:
            with self._writing:
                now, deleted = self.now, store.deleted()
                events, _ = store.events(self._version(now.version).through)
            missed = [e for e in events if now.rec.items.find(e.item) < 0]
            found = now.rec.refit(grown(now.rec, missed), warm=warm)
            if self._stop.is_set():
                return
            if store.deleted() != deleted:
                continue  # somebody whom this model has learned was forgotten meanwhile: train again, without
            try:
                found.save(scratch)
                self._install(scratch, "refit", now.through, found.metrics.get("drift"), deleted)
                return
            except _Forgotten:
                continue  # the same, while it was saved
            finally:
                versions.remove(scratch)

    def _install(self, bundle: Path, source: str, through: int, drift: float | None, deleted: int | None = None) -> int:
        """Keep a bundle as a version of its own, and make it live. ``deleted``: how many events may be gone by then."""
        store = self._writable()
        assert self.folder is not None
        scratch = self.folder / "versions" / "new.cofactor"
        try:
            versions.adopt(bundle, scratch)
            facts, origin = info(scratch), versions.origin_of(scratch)
            number = store.add_version(source, origin, facts["model"], facts["created"], through, drift)
            place = self.folder / "versions" / self._version(number).folder
            try:
                os.rename(scratch, place)
                self._go_live(self._version(number), deleted)
            except BaseException:
                store.drop_version(number)
                versions.remove(place)
                raise
        finally:
            versions.remove(scratch)
        for old in versions.outdated(store.versions(), self.settings.keep):
            store.drop_version(old.version)
            versions.remove(self.folder / "versions" / old.folder)
        return number

    def _go_live(self, version: Version, deleted: int | None = None) -> None:
        """Load a version, try it, give it the newer ratings, and only then let it answer."""
        store = self._writable()
        assert self.folder is not None
        rec = load(self.folder / "versions" / version.folder)
        _warm_up(rec)
        fresh, before = Served(version.version, rec, rec, version.through, time.time(), Catalogue(rec)), store.deleted()
        served = self._caught_up(fresh)  # this may take a while, and others may write meanwhile
        with self._writing:
            if deleted is not None and store.deleted() != deleted:
                raise _Forgotten
            served = self._caught_up(served if store.deleted() == before else fresh)
            store.activate(version.version)
            self._now, self.last_error = served, None
        log.info("version %d is live: %r", version.version, served.rec)

    def _version(self, number: int) -> Version:
        for version in self._writable().versions():
            if version.version == number:
                return version
        raise ConfigError(f"there is no version {number}")

    # ---- inside

    def _writable(self) -> Store:
        if self.store is None:
            raise ConfigError("this server is read-only")
        return self.store

    @contextlib.contextmanager
    def _change(self, what: str) -> Iterator[None]:
        if not self._changing.acquire(blocking=False):
            raise Busy(f"the server is {self.busy or 'changing models'}; try again later")
        self.busy = what
        try:
            yield
        finally:
            self.busy = None
            self._changing.release()

    def _start(self, work: Any) -> None:
        self._threads = [t for t in self._threads if t.is_alive()]
        thread = threading.Thread(target=work, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _note(self, error: str) -> None:
        self.last_error = error
        log.error("%s", error)

    def _watch(self) -> None:
        """Where the bundle is replaced by another, serve that."""
        while not self._stop.wait(_LOOK_EVERY):
            stamp = _stamp(self.settings.model)
            if stamp is None or stamp == self._seen:
                continue
            try:
                if self.folder is None:
                    self._now = self._unwritten(self.now.version + 1)
                    self.last_error = None
                else:
                    self.reload()
                self._seen = stamp
            except Busy:
                continue
            except Exception as exc:  # perhaps it is not whole yet, or the disk is full: looked at again, said once
                said = f"the new {self.settings.model.name} is not served: {exc}"
                if said != self.last_error:
                    self._note(said)

    def _unwritten(self, version: int) -> Served:
        """The bundle, by a server that writes nothing."""
        rec = load(self.settings.model)
        _warm_up(rec)
        return Served(version, rec, rec, 0, time.time(), Catalogue(rec))


def _stamp(bundle: Path) -> _Stamp | None:
    try:
        found = (bundle / MANIFEST).stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _warm_up(rec: Recommender) -> None:
    """Ask what is asked most, so that kernels are compiled, and a model without sense is found before it is live.

    All that a large bundle reads and checks at first use is read here: ids and tables at once, codes for the counts.
    """
    for ids in (rec.data.user_ids, rec.data.item_ids):
        if not (ids.values.dtype.is_integer() or ids.text == "text"):
            raise BundleError(f"the {ids.kind} ids are {ids.text}; a server needs whole numbers or text")
    counts = rec.data.by_user.counts
    user = rec.data.user_ids.values[int(np.argmax(counts))]
    item = rec.data.item_ids.values[int(np.argmax(rec.data.by_item.counts))]
    found = rec.recommend(user, n=10, seen=True)
    if not len(found) or not np.isfinite(found["score"].to_numpy()).all():
        raise BundleError(f"the model {rec.name} gives no list to its own user {user!r}")
    rec.recommend(history=[item], n=10)
    if rec.data.user_table is not None or rec.data.user_features is not None:
        feature_prior(rec)  # what features say of users is learned at first use
    rec.similar_items(item)
