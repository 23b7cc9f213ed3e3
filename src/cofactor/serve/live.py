"""The recommender that is live: newer ratings go into it, other models take its place, and one can go back.

A reader takes ``live.now`` once and works with that: it never changes. A writer makes another one and puts it
there in one assignment, after the store has it on disk. Other processes of the same state are followed: their events,
changes of models and erasures arrive here within a second or two.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from cofactor.bundle import info
from cofactor.bundle.files import MANIFEST
from cofactor.errors import BundleError, CofactorError, ConfigError, UnknownIdError
from cofactor.recommend.cold_start.users import feature_prior
from cofactor.recommend.update import Events, one_type
from cofactor.recommend.updates import read_times
from cofactor.recommender import Recommender, load
from cofactor.serve import drift as drifting
from cofactor.serve import versions
from cofactor.serve.catalogue import Catalogue
from cofactor.serve.drift import Drift
from cofactor.serve.experiment import NOTE, Experiment, Mode
from cofactor.serve.experiment import read as read_experiment
from cofactor.serve.refit import grown
from cofactor.serve.settings import Settings
from cofactor.serve.state_folder import StateFolder
from cofactor.serve.store import Event, Store, Version
from cofactor.serve.trial import HELD_OUT, LATEST, LEAST, Trial, refused, tried

log = logging.getLogger("cofactor.serve")
_PATIENCE = 5.0
"""How long shutdown waits for a model swap, in seconds; a slower swap is abandoned."""
_LOOK_EVERY = 2.0
"""Seconds between two looks at the bundle."""
_FOLLOW_EVERY = 0.2
"""Seconds between two looks at what other processes did."""
_EXPIRE_EVERY = 3600.0
"""Seconds between two looks for newer ratings that are too old."""
_PART = 500
"""Events that are folded in under one hold of the lock."""
_LARGE_PART = 20_000


_Stamp = tuple[int, int, int]
"""What tells one bundle on disk from the next: inode, time, size of its manifest."""


class _Forgotten(Exception):
    """A user was forgotten whose rows the model that is to go live has learned."""


class Busy(CofactorError):
    """A change of models is under way, and there is one at a time."""


@dataclass(frozen=True)
class Served:
    """``rec`` with all newer ratings up to event ``through``; ``base`` without any. ``activation`` and ``erasures`` say
    how far this process has followed the store."""

    version: int
    base: Recommender
    rec: Recommender
    through: int
    loaded: float
    catalogue: Catalogue
    activation: int = 0
    erasures: int = 0
    contents: str = ""


class Second(NamedTuple):
    """The version that is tried beside the live one."""

    experiment: Experiment
    served: Served


class NotBetter(ConfigError):
    """A model was tried on the latest events, and does not go live."""


class Live:
    """One for each process. ``open`` it, and ``close`` it at the end."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.store: Store | None = None
        self.folder: StateFolder | None = None
        self.last_error: str | None = None
        self.last_trial: str | None = None
        self._busy: str | None = None
        self._lock = threading.RLock()
        self._changing = threading.Lock()
        self._opening = threading.Lock()
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._now: Served | None = None
        self._second: Second | None = None
        self._drift: tuple[tuple[int, int], Drift] | None = None
        self._beside: Served | None = None
        self._waking = threading.Lock()
        self._seen: _Stamp | None = None

    @property
    def now(self) -> Served:
        """What answers requests."""
        if self._now is None:
            raise ConfigError("no model is loaded yet")
        return self._now

    def at(self, version: int | None) -> Served:
        """The model of a version, with all newer ratings: what is live, or one that is kept, loaded when first asked
        for. One of these is held at a time. UnknownIdError where there is none of this number."""
        if version is None or version == self.now.version:
            return self.now
        if self.store is None:
            raise UnknownIdError(f"there is no version {version}")
        wanted, erasures = self._version(version), self.store.position()["erasures"]
        with self._waking:
            held = self._beside
            key = (wanted.version, wanted.contents, erasures)
            if held is None or (held.version, held.contents, held.erasures) != key:
                self._beside = None  # let go of one before the next is read
                rec = load(self._place(wanted))
                held = Served(wanted.version, rec, rec, wanted.through, time.time(), Catalogue(rec),
                              wanted.activation, erasures, wanted.contents)  # fmt: skip
            self._beside = held = self._caught_up(held)
            return held

    def measured(self, version: Version) -> dict[str, Any]:
        """The metrics and figures that a version carries; empty where its files are not on this host."""
        assert self.folder is not None
        try:
            facts = info(self.folder.versions / version.folder)
        except BundleError:
            return {"metrics": {}, "figures": []}
        return {"metrics": facts["metrics"], "figures": facts["figures"]}

    @property
    def ready(self) -> bool:
        """Whether there is a model."""
        return self._now is not None

    @property
    def second(self) -> Second | None:
        """The version that is tried beside the live one, where there is an experiment."""
        return self._second

    def serving(self, user: Any) -> Served:
        """What answers a user: the live version, or in an A/B experiment the one that is tried."""
        second = self._second
        if second is None or second.experiment.mode != "ab" or user is None or not second.experiment.takes(user):
            return self.now
        return second.served

    @property
    def busy(self) -> str | None:
        """Which change of models is under way, here or in another process; None where none is."""
        if self._busy is not None or self.store is None:
            return self._busy
        with self.store.leading() as free:
            return None if free else "changing models in another process"

    # ---- beginning and end

    def open(self) -> None:
        """Load the model: the one that was last live, unless the bundle was replaced since. May raise CofactorError."""
        with self._opening:
            if self._now is None:
                self._open()

    def _open(self) -> None:
        self._seen = _stamp(self.settings.model)
        if self.settings.read_only:
            self._now = self._unwritten(1)
        else:
            info(self.settings.model)  # fail before creating any file if this is not a bundle
            self.store, self.folder = opened_store(self.settings)
            try:
                self._open_version(versions.origin_of(self.settings.model))
                if self.settings.leads:
                    self._keep_beside()
            except BaseException:
                self.store.close()
                self.store = None
                raise
            self._start(self._follow)
        if self.settings.watch and self.settings.leads:
            self._start(self._watch)
        if self.settings.retain_days is not None and self.settings.leads and self.store is not None:
            self._start(self._expire)

    def _open_version(self, origin: str) -> None:
        assert self.store is not None
        live, trouble = self.store.live(), None
        if self.settings.leads:
            self._tidy()
        seen = self.store.bundle()  # None after a repair: which bundle it was is not known any more
        if live is not None and (seen in (origin, None) or not self.settings.leads):
            try:
                self._go_live(live, activate=False)
                return
            except BundleError as exc:
                if not self.settings.leads:
                    raise
                trouble = f"version {live.version} cannot be opened ({exc}); the bundle is loaded again"
        if live is not None and trouble is None and self.settings.require != "nothing":  # the new bundle is tried
            try:
                self._go_live(live, activate=False)
                with self._change("loading"):
                    self._install(self.settings.model, "given", 0, None, bundle_seen=origin, tried=True)
                return
            except NotBetter as exc:
                trouble = f"the new {self.settings.model.name} is not served: {exc}"
                self._note(trouble)
                return
            except BundleError as exc:
                trouble = str(exc)
        with self._change("loading"):
            self._install(self.settings.model, "given", 0, None, bundle_seen=origin)
        if trouble is not None:
            self._note(trouble)

    def _keep_beside(self) -> None:
        """Make the second bundle of the settings a version, unless it is one already, and let go of an earlier one."""
        assert self.store is not None
        assert self.folder is not None
        beside = self.settings.beside
        wanted = None if beside is None else versions.origin_of(beside)
        kept = self.store.versions(candidates=True)
        for version in (v for v in kept if _only_beside(v) and v.origin != wanted):
            self.store.drop_version(version.version)
            self.folder.remove(version.folder)
        if beside is not None and wanted not in {v.origin for v in kept}:
            with self._change("loading"):
                self._install(beside, "beside", 0, None, live=False)

    def _tidy(self) -> None:
        """Remove what a crash left of versions that never were live. Only names of our own."""
        assert self.store is not None
        assert self.folder is not None
        with self.store.leading() as alone:
            known = {v.folder for v in self.store.versions(candidates=True)}
            for stray in list(self.folder.own()) if alone else []:
                if stray.name not in known:
                    self.folder.remove(stray.name)

    def close(self) -> None:
        """Stop looking, wait a little for what is under way, and let go of the store."""
        self._stop.set()
        end = time.monotonic() + _PATIENCE
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
        if self.store is not None:
            with self._lock:
                self.store.close()
                if self.folder is not None:
                    self.folder.close()

    # ---- newer ratings

    def tell(
        self, events: Sequence[Event], key: str | None = None, body: str = "", new: Sequence[Any] = ()
    ) -> dict[str, Any]:
        """Take these in, all or none; when this returns they are on disk, and in every later answer.

        What is answered, which for a ``key`` that was there before is what was said then (KeyReused where ``body``, the
        request in words, was another). ``new``: items among them that the model does not know.
        """
        store = self._writable()
        if key is not None and (before := store.answered(key, body)) is not None:
            return _object(before)
        now = self.now
        rec = now.rec.update(_columns(now.rec, events), unknown="skip")
        said = {"accepted": len(events), "version": now.version, "new_items": list(new)}
        appended = store.append(events, key, body, lambda total: said | {"events": total})
        if appended.first:
            with self._lock:
                if self._now is now and now.through == appended.first - 1:
                    self._now = replace(now, rec=rec, through=appended.last)
            self._catch_up(appended.last)
        return _object(appended.answer)

    def forget(self, user: Any) -> int:
        """Delete the newer ratings of a user; how many there were."""
        store = self._writable()
        deleted = store.forget(user)
        if deleted:
            self._rebuild()
        return deleted

    def erase(self, user: Any, *, refit: bool = False) -> dict[str, Any]:
        """Remove a person from the newer ratings and from every version that is kept; what is left of them, in words.

        A version is written again without them, and takes the place of the old one. ``refit``: train again after it, so
        that what is live has learned nothing of them. UnknownIdError where nobody has this id.
        """
        store = self._writable()
        with self._change("forgetting a user"):
            deleted = store.forget(user)
            written, held = [], []
            for version in store.versions(candidates=True):
                rec = load(self._place(version))
                if user not in rec.data.user_ids:
                    continue
                rows = int(rec.data.by_user.counts[rec.data.user_ids.code(user)])
                self._rewrite(version, rec.forget(user))
                written.append(version.version)
                held.append(f"version {version.version} learned from {rows:,} of their ratings, until it is refitted")
            if self.settings.shared:
                store.drop_files()
            if not written and not deleted:
                self.now.rec.data.user_ids.index(user)
            if self.now.version in written:
                self._go_live(self._version(self.now.version), activate=False)
            else:
                self._rebuild()
            if self._second is not None and self._second.served.version in written:
                self._second = self._loaded_second(self._second.experiment)
        if self.settings.shared:
            held.append(
                "the database keeps the bytes of deleted rows until VACUUM FULL cofactor_events, and its log until that"
                " is recycled"
            )
        if self._names(self.settings.model, user):
            held.append(f"{self.settings.model} still has their ratings: it is yours; save it again without them")
        if refit:
            self.refit()
        return {"deleted": deleted, "versions": written, "held": held, "refit": refit}

    def _rewrite(self, version: Version, rec: Recommender) -> None:
        """Put other contents in the place of a version."""
        store = self._writable()
        assert self.folder is not None
        number = 1 + max((int(p.name.split(".")[1]) for p in self.folder.own() if p.name.count(".") == 2), default=0)
        folder = f"{version.version:06d}.{number}.cofactor"
        place = self.folder.versions / folder
        rec.save(place)
        place.chmod(0o700)
        contents = versions.origin_of(place)
        if self.settings.shared:
            versions.put(store, contents, place)
        store.replace_version(version._replace(folder=folder, contents=contents))
        self.folder.remove(version.folder)

    @staticmethod
    def _names(bundle: Path, user: Any) -> bool:
        """Whether a saved model has a user."""
        try:
            return user in load(bundle).data.user_ids
        except BundleError:
            return False

    def _catch_up(self, last: int) -> None:
        """Take in the events of others up to number ``last``, some at a time."""
        store = self._writable()
        while not self._stop.is_set():
            with self._lock:
                now, second = self.now, self._second
                behind = now.through < last
                if behind:
                    events, through = store.events(now.through, _PART)
                    self._now = _with(now, events, through) if through > now.through else now
                elif second is not None and second.served.through < last:
                    events, through = store.events(second.served.through, _PART)
                    if through == second.served.through:
                        return
                    self._second = second._replace(served=_with(second.served, events, through))
                else:
                    return
                if behind and through == now.through:
                    return

    def _rebuild(self) -> None:
        """Take all newer ratings in again: some were deleted."""
        store = self._writable()
        while True:
            now, second, erasures = self.now, self._second, store.position()["erasures"]
            behind = now.erasures != erasures
            if behind:
                old = now
            elif second is not None and second.served.erasures != erasures:
                old = second.served
            else:
                return
            version = self._version(old.version)
            fresh = self._caught_up(replace(old, rec=old.base, through=version.through, erasures=erasures))
            with self._lock:
                if behind and self.now.activation == now.activation and self.now.erasures == now.erasures:
                    self._now = self._caught_up(fresh)  # with what came meanwhile, which is little
                elif not behind and second is not None and self._second is second:
                    self._second = second._replace(served=self._caught_up(fresh))

    def _caught_up(self, served: Served) -> Served:
        """The same with the events that it lacks."""
        store = self._writable()
        while not self._stop.is_set():
            events, last = store.events(served.through, _LARGE_PART)
            if last == served.through:
                break
            served = _with(served, events, last)
        return served

    # ---- other models

    def reload(self, path: Path | None = None, source: str = "reload", *, force: bool = False) -> int:
        """Load a bundle (by default that of the settings) and put it in the place of the present one; its version.

        It is tried on the latest events first; NotBetter where the settings require more of it, unless ``force``.
        """
        self._writable()
        with self._change("reloading"):
            seen = _stamp(self.settings.model)
            origin = versions.origin_of(self.settings.model) if path is None else None
            try:
                place = path or self.settings.model
                version = self._install(place, source, 0, None, bundle_seen=origin, tried=True, force=force)
            except NotBetter:
                self._seen = seen if path is None else self._seen
                raise
            if path is None:
                self._seen = seen  # the watch need not do it again
            return version

    def rollback(self, version: int | None = None) -> int:
        """Back to a version, by default the one that was live before; its number."""
        store = self._writable()
        with self._change("going back"):
            if version is not None:
                wanted = self._version(version)
            else:
                known = sorted(store.versions(), key=lambda v: v.activation)
                if len(known) < 2:
                    raise ConfigError("there is no earlier version to go back to")
                wanted = known[-2]
            self._go_live(wanted)
            return wanted.version

    def refit(self, warm: bool | None = None, *, force: bool = False) -> None:
        """Train on everything, newer ratings included, and put that in place; returns at once (see ``busy``).

        Where the settings require something of it (and not ``force``), it is first trained without the latest fifth of
        the newer ratings and tried on these.
        """
        self._writable()

        def work() -> None:
            with change:
                try:
                    if not force and self.settings.require != "nothing":
                        self._try_refit(warm)
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

    def _try_refit(self, warm: bool | None) -> None:
        """Train on all but the latest newer ratings, and try that on them; NotBetter where it is not good enough."""
        store = self._writable()
        now = self.now
        events, _ = store.events(self._version(now.version).through)
        held_out = min(int(HELD_OUT * len(events)), LATEST)
        earlier, latest = events[: len(events) - held_out], events[len(events) - held_out :]
        trial = None
        if len({e.user for e in latest}) >= LEAST:  # else there is nothing to train for
            live = now.base.update(_columns(now.base, earlier), unknown="skip")
            missed = [e for e in earlier if live.items.find(e.item) < 0]
            trial = tried(live, live.refit(grown(live, missed), warm=warm), latest)
        self.last_trial = None if trial is None else str(trial)
        if (why := refused(self.settings.require, trial)) is not None:
            raise NotBetter(why)

    def _refit(self, warm: bool | None) -> None:
        store = self._writable()
        assert self.folder is not None
        scratch = self.folder.versions / f"refit.{os.getpid():x}.cofactor"
        while True:
            self._rebuild()
            now, erasures = self.now, self.now.erasures
            events, _ = store.events(self._version(now.version).through)
            missed = [e for e in events if now.rec.items.find(e.item) < 0]
            found = now.rec.refit(grown(now.rec, missed), warm=warm)
            if self._stop.is_set():
                return
            if store.position()["erasures"] != erasures:
                continue  # a user whose rows this model has learned was forgotten meanwhile: train again, without
            try:
                found.save(scratch)
                self._install(scratch, "refit", now.through, found.metrics.get("embedding_shift"), erasures=erasures)
                return
            except _Forgotten:
                continue  # the same, while it was saved
            finally:
                self.folder.remove(scratch.name)

    def _install(
        self,
        bundle: Path,
        source: str,
        through: int,
        drift: float | None,
        *,
        bundle_seen: str | None = None,
        erasures: int | None = None,
        tried: bool = False,
        force: bool = False,
        live: bool = True,
    ) -> int:
        """Keep a bundle as a version of its own, and make it live. ``bundle_seen``: the digest of the manifest of the
        served bundle, where this is it; ``erasures``: how often people may have been forgotten by then; ``tried``: on
        the latest events first, NotBetter where the settings require more (unless ``force``); ``live``: False for a
        version that is kept to be tried beside the live one."""
        store = self._writable()
        assert self.folder is not None
        scratch = self.folder.versions / f"new.{os.getpid():x}.cofactor"
        self.folder.remove(scratch.name)
        try:
            contents = versions.adopt(bundle, scratch)
            facts = info(scratch)
            trial = self._tried(load(scratch)) if tried else None
            why = refused(self.settings.require, trial) if tried and not force else None
            if why is not None:
                if bundle_seen is not None:
                    store.keep_note("bundle", bundle_seen)  # not again at the next start
                raise NotBetter(why)
            number = store.new_number()
            folder = f"{number:06d}.cofactor"
            version = Version(
                number,
                source,
                contents,
                folder,
                contents,
                facts["model"],
                facts["created"],
                through,
                drift,
                0,
                None,
            )
            if self.settings.shared:
                versions.put(store, contents, scratch)
            try:
                os.rename(scratch, self.folder.versions / folder)
                if live:
                    self._go_live(version, bundle=bundle_seen, erasures=erasures)
                else:
                    store.add_candidate(version)
            except BaseException:
                self.folder.remove(folder)
                raise
        finally:
            self.folder.remove(scratch.name)
        if trial is not None:
            self.last_trial = str(trial)
            store.keep_note(f"trial {number}", json.dumps(trial._asdict()))
        experiment = read_experiment(store)
        beside = {number, 0 if experiment is None else experiment.version}
        known = [v for v in store.versions(candidates=True) if v.version not in beside and not _only_beside(v)]
        kept = self.settings.keep - int(live)
        for old in [v for v in known if not v.activation] + versions.outdated([v for v in known if v.activation], kept):
            store.drop_version(old.version)
            self.folder.remove(old.folder)
        if self.settings.shared:
            store.drop_files()
        return number

    def _go_live(
        self, version: Version, *, activate: bool = True, bundle: str | None = None, erasures: int | None = None
    ) -> None:
        """Load a version, try it, give it the newer ratings, and only then let it answer."""
        store = self._writable()
        before = store.position()["erasures"]
        rec = load(self._place(version))
        _warm_up(rec)
        fresh = Served(
            version.version, rec, rec, version.through, time.time(), Catalogue(rec), version.activation, before,
            version.contents,
        )  # fmt: skip
        second = self._second
        if activate and second is not None and second.served.version == version.version:
            store.keep_note(NOTE, None)  # what was tried goes live
            self._second = None
        served = self._caught_up(fresh)  # this may take a while, and others may write meanwhile
        if activate:
            number = store.activate(version, bundle=bundle, erasures=erasures)
            if number is None:
                raise _Forgotten
            served = replace(served, activation=number)
        with self._lock:
            self._now, self.last_error = self._caught_up(served), None  # with what came meanwhile, which is little
        self._rebuild()
        log.info("version %d is live: %r", version.version, served.rec)

    def _place(self, version: Version) -> Path:
        """The directory of a version, whose digests are those that were kept."""
        assert self.folder is not None
        if self.settings.shared:
            return versions.fetch(self._writable(), self.folder, version)
        place = self.folder.versions / version.folder
        versions.check_whole(place, version.contents)
        return place

    def _version(self, number: int) -> Version:
        for version in self._writable().versions(candidates=True):
            if version.version == number:
                return version
        raise UnknownIdError(f"there is no version {number}")

    def _tried(self, candidate: Recommender) -> Trial | None:
        """How a model does on the latest events, against the live one: both know what came before these."""
        store = self._writable()
        if self._now is None:
            return None
        now = self.now
        events, _ = store.events(self._version(now.version).through)
        held_out = min(max(int(HELD_OUT * len(events)), min(len(events), 200)), LATEST)
        earlier, latest = events[: len(events) - held_out], events[len(events) - held_out :]
        both = [r.update(_columns(r, earlier), unknown="skip") if earlier else r for r in (now.base, candidate)]
        return tried(both[0], both[1], latest)

    # ---- two versions beside each other

    def begin_experiment(self, version: int | None, path: Path | None, share: float, mode: Mode) -> Experiment:
        """Try a version (or another bundle, which becomes one) on a share of the users, beside the live one."""
        store = self._writable()
        with self._change("starting an experiment"):
            if version is None:
                place = path or self.settings.model
                version = self._install(place, "candidate", 0, None, tried=True, force=True, live=False)
            if version == self.now.version:
                raise ConfigError(f"version {version} is live; name another one to try beside it")
            experiment = Experiment(secrets.token_hex(8), version, share, mode, time.time())
            second = self._loaded_second(experiment)
            store.keep_note(NOTE, json.dumps(experiment._asdict()))
            self._second = second
        return experiment

    def end_experiment(self) -> Experiment | None:
        """Everybody gets the live version again; what was under way."""
        store = self._writable()
        with self._change("ending an experiment"):
            found = read_experiment(store)
            store.keep_note(NOTE, None)
            self._second = None
        return found

    def _loaded_second(self, experiment: Experiment) -> Second:
        """The version of an experiment, with all newer ratings."""
        store = self._writable()
        version, before = self._version(experiment.version), store.position()["erasures"]
        rec = load(self._place(version))
        _warm_up(rec)
        fresh = Served(
            version.version, rec, rec, version.through, time.time(), Catalogue(rec), version.activation, before,
            version.contents,
        )  # fmt: skip
        return Second(experiment, self._caught_up(fresh))

    def drift(self) -> Drift:
        """How far the latest events are from the training data; computed again at most every hundred events."""
        now = self.now
        key = now.version, now.through // 100
        if self._drift is None or self._drift[0] != key:
            events = [] if self.store is None else self.store.events(max(0, now.through - drifting.LATEST))[0]
            self._drift = key, drifting.drift(now.base, events)
        return self._drift[1]

    # ---- other processes

    def _follow(self) -> None:
        """Do here what other processes did to the state."""
        trouble = None
        while not self._stop.wait(_FOLLOW_EVERY):
            try:
                self._look()
            except Exception as exc:  # the database is away, say: it is looked at again
                if self._stop.is_set():
                    return
                trouble = f"what other processes changed is not seen here: {exc}"
                self._note_once(trouble)
                self._stop.wait(1.0)
            else:
                if trouble is not None and self.last_error == trouble:
                    self.last_error = None
                trouble = None

    def _look(self) -> None:
        store = self._writable()
        there, now = store.position(), self.now
        if there["activations"] != now.activation or there["erasures"] != now.erasures:
            live = store.live()
            if live is not None and (live.version, live.contents) != (now.version, now.contents):
                if self._busy is None:  # else it is done here
                    self._go_live(live, activate=False)
            elif live is not None:
                with self._lock:
                    self._now = replace(self.now, activation=live.activation)
                self._rebuild()
        elif there["events"] > now.through:
            self._catch_up(there["events"])
        wanted = read_experiment(store)
        second = self._second
        if self._busy is None and wanted != (None if second is None else second.experiment):
            self._second = None if wanted is None else self._loaded_second(wanted)
        elif second is not None:
            contents = self._version(second.served.version).contents
            if contents != second.served.contents:  # somebody was erased from it
                self._second = self._loaded_second(second.experiment)
            elif second.served.erasures != there["erasures"]:
                self._rebuild()
            elif there["events"] > second.served.through:
                self._catch_up(there["events"])

    # ---- inside

    def writable(self) -> Store:
        """The store; ConfigError where there is none."""
        return self._writable()

    def _writable(self) -> Store:
        if self.store is None:
            raise ConfigError("this server is read-only")
        return self.store

    @contextlib.contextmanager
    def _change(self, what: str) -> Iterator[None]:
        if not self._changing.acquire(blocking=False):
            raise Busy(f"the server is {self._busy or 'changing models'}; try again later")
        try:
            with self._writable().leading() as alone:
                if not alone:
                    raise Busy("another process of this server is changing models; try again later")
                self._busy = what
                try:
                    yield
                finally:
                    self._busy = None
        finally:
            self._changing.release()

    def _start(self, work: Callable[[], None]) -> None:
        self._threads = [t for t in self._threads if t.is_alive()]
        thread = threading.Thread(target=work, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _note(self, error: str) -> None:
        self.last_error = error
        log.error("%s", error)

    def _note_once(self, error: str) -> None:
        if error != self.last_error:
            self._note(error)

    def _watch(self) -> None:
        """Where the bundle is replaced by another, serve that."""
        while not self._stop.wait(_LOOK_EVERY):
            stamp = _stamp(self.settings.model)
            if stamp is None or stamp == self._seen:
                continue
            try:
                if self.settings.read_only:
                    self._now = self._unwritten(self.now.version + 1)
                    self.last_error = None
                elif versions.origin_of(self.settings.model) != self._writable().bundle():
                    self.reload()
                self._seen = stamp
            except Busy:
                continue
            except NotBetter as exc:
                self._note(f"the new {self.settings.model.name} is not served: {exc}")
            except Exception as exc:  # perhaps it is not whole yet, or the disk is full: looked at again, said once
                self._note_once(f"the new {self.settings.model.name} is not served: {exc}")

    def _expire(self) -> None:
        """Delete newer ratings that are too old, now and once an hour. How old goes by a clock that does not jump while
        the server runs."""
        assert self.settings.retain_days is not None
        ahead = time.time() - time.monotonic()
        while True:
            try:
                oldest = time.monotonic() + ahead - 86_400 * self.settings.retain_days
                if found := self._writable().expire(int(oldest)):
                    log.info("%d newer ratings were too old, and are deleted", found)
                    self._rebuild()
            except Exception as exc:
                self._note_once(f"newer ratings that are too old cannot be deleted: {exc}")
            if self._stop.wait(_EXPIRE_EVERY):
                return

    def _unwritten(self, version: int) -> Served:
        """The bundle, by a server that writes nothing."""
        rec = load(self.settings.model)
        _warm_up(rec)
        return Served(version, rec, rec, 0, time.time(), Catalogue(rec))


def opened_store(settings: Settings) -> tuple[Store, StateFolder]:
    """The store of a server, and the directory of its versions; both are checked and held."""
    if not settings.shared:
        store = Store(settings.state_folder, lock=not settings.joins)
        assert store.folder is not None
        return store, store.folder
    store = Store(str(settings.database))
    folder = StateFolder(settings.state_folder)
    try:
        folder.open(lock=not settings.joins)
        if folder.facts and folder.facts.get("id") != store.meta["id"]:
            raise ConfigError(f"{folder.path} holds versions of another state; give another --versions")
        if not settings.joins:
            folder.mark({"store": "database", "id": store.meta["id"]})
    except BaseException:
        store.close()
        folder.close()
        raise
    return store, folder


def _only_beside(version: Version) -> bool:
    """Whether a version is there to compare with, and never was live."""
    return version.source == "beside" and not version.activation


def _with(served: Served, events: Sequence[Event], through: int) -> Served:
    """What is served, with these events."""
    rec = served.rec.update(_columns(served.rec, events), unknown="skip") if events else served.rec
    return replace(served, rec=rec, through=through)


def _columns(rec: Recommender, events: Sequence[Event]) -> Events:
    """Events as ``update`` takes them; DataError where the ids of the users mix types."""
    users = one_type([e.user for e in events], "user")
    values = np.array([e.rating for e in events], dtype=np.float32)
    return Events(users, [e.item for e in events], values, read_times(pl.Series([e.time for e in events]), rec.data))


def _object(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text)
    return found


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
    item = rec.data.item_ids.values[int(np.argmax(rec.data.by_item.counts))]
    found = rec.recommend(history=[item], n=10, seen=True)
    if not len(found) or not np.isfinite(found["score"].to_numpy()).all():
        raise BundleError(f"the model {rec.name} gives no list for its own item {item!r}")
    if not rec.data.n_users:  # a bundle that was saved for serving, without users
        return
    user = rec.data.user_ids.values[int(np.argmax(rec.data.by_user.counts))]
    found = rec.recommend(user, n=10, seen=True)
    if not len(found) or not np.isfinite(found["score"].to_numpy()).all():
        raise BundleError(f"the model {rec.name} gives no list to its own user {user!r}")
    if rec.data.user_table is not None or rec.data.user_features is not None:
        feature_prior(rec)  # what features say of users is learned at first use
    rec.similar_items(item)
