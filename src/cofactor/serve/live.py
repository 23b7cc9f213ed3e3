"""The recommender that is live: newer ratings go into it, other models take its place, and one can go back.

A reader takes ``live.now`` once and works with that: it never changes. A writer makes another one and puts it
there in one assignment, after the store has it on disk. Other processes of the same state are followed: their events,
changes of models and erasures arrive here within a second or two.
"""

from __future__ import annotations

import contextlib
import json
import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from cofactor.bundle import info
from cofactor.bundle.files import MANIFEST
from cofactor.errors import BundleError, CofactorError, ConfigError, UnknownIdError
from cofactor.recommender import load
from cofactor.serve import drift as drifting
from cofactor.serve import versions
from cofactor.serve.clock import StateClock
from cofactor.serve.drift import Drift
from cofactor.serve.experiment import NOTE, Experiment, Mode
from cofactor.serve.experiment import read as read_experiment
from cofactor.serve.kept import Kept
from cofactor.serve.present import Present
from cofactor.serve.refit import grown
from cofactor.serve.rows import Event
from cofactor.serve.served import Second, unwritten, woken
from cofactor.serve.settings import Settings
from cofactor.serve.store import StoreError, Version
from cofactor.serve.trial import Trial, on_latest, refit_on_latest, refused

log = logging.getLogger("cofactor.serve")
_PATIENCE = 5.0
"""How long shutdown waits for a model swap, in seconds; a slower swap is abandoned."""
_LOOK_EVERY = 2.0
"""Seconds between two looks at the bundle."""
_FOLLOW_EVERY = 0.2
"""Seconds between two looks at what other processes did."""
_LOOKS = 5
"""Of so many of these looks one is for experiments."""
_CLOCK_EVERY = 600.0
"""Seconds between two notes of what time it is, and looks for newer ratings that are too old."""
_Stamp = tuple[int, int, int]
"""What tells one bundle on disk from the next: inode, time, size of its manifest."""


class _Forgotten(Exception):
    """A user was forgotten whose rows the model that is to go live has learned."""


class Busy(CofactorError):
    """A change of models is under way, and there is one at a time."""


class NotBetter(ConfigError):
    """A model was tried on the latest events, and does not go live."""


class Live(Present):
    """One for each process. ``open`` it, and ``close`` it at the end."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.last_trial: str | None = None
        self._busy: str | None = None
        self._changing = threading.Lock()
        self._opening = threading.Lock()
        self._looks = 0
        self._threads: list[threading.Thread] = []
        self._drift: tuple[tuple[int, int], Drift] | None = None
        self._seen: _Stamp | None = None

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
            self._now = unwritten(self.settings.model, 1, self.settings.max_cache)
        else:
            info(self.settings.model)  # fail before creating any file if this is not a bundle
            self.kept = Kept(self.settings)
            try:
                self._open_version(versions.origin_of(self.settings.model))
                self.clock = StateClock(self.kept.store)
                if self.settings.leads:
                    self._keep_beside()
            except BaseException:
                self.kept.close()
                self.kept = None
                raise
            self._start(self._follow)
        if self.settings.watch and self.settings.leads:
            self._start(self._watch)
        if self.settings.leads and self.kept is not None:
            self._start(self._keep_time)

    def _open_version(self, origin: str) -> None:
        kept = self._keeping()
        live, trouble = kept.store.live(), None
        if self.settings.leads:
            kept.tidy()
        seen = kept.store.bundle()  # None after a repair: which bundle it was is not known any more
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
        beside = self.settings.beside
        there = self._keeping().without_earlier(None if beside is None else versions.origin_of(beside))
        if beside is not None and not there:
            with self._change("loading"):
                self._install(beside, "beside", 0, None, live=False)

    def close(self) -> None:
        """Stop looking, wait a little for what is under way, and let go of the store."""
        self._stop.set()
        end = time.monotonic() + _PATIENCE
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
        if self.kept is not None:
            if self.clock is not None and self.settings.leads:
                with contextlib.suppress(StoreError):
                    self.clock.keep()
            with self._lock:
                self.kept.close()

    # ---- erasure

    def erase(self, user: Any, *, refit: bool = False) -> dict[str, Any]:
        """Remove a person from the newer ratings and from every version that is kept; what is left of them, in words.

        A version is written again without them, and takes the place of the old one; one whose files are damaged is
        removed, unless it is live. ``refit``: train again after it, so
        that what is live has learned nothing of them. UnknownIdError where nobody has this id.
        """
        kept = self._keeping()
        with self._change("forgetting a user"):
            deleted = kept.store.forget(user, everywhere=True)
            written, held, damaged = [], [], []
            for version in kept.store.versions(candidates=True):
                try:
                    rec = load(kept.place(version))
                except BundleError as exc:
                    if version.version == self.now.version:
                        raise
                    damaged.append(version)  # whether they are in it cannot be said
                    held.append(f"version {version.version} could not be read, so it was removed: {exc}")
                    continue
                if user not in rec.data.user_ids:
                    continue
                rows = int(rec.data.by_user.counts[rec.data.user_ids.code(user)])
                kept.rewrite(version, rec.forget(user))
                written.append(version.version)
                held.append(f"version {version.version} learned from {rows:,} of their ratings, until it is refitted")
            if not written and not deleted:
                self.now.rec.data.user_ids.index(user)
            for version in damaged:
                if self._second is not None and self._second.served.version == version.version:
                    kept.store.keep_note(NOTE, None)
                    self._second = None
                kept.drop(version)
            kept.drop_files()
            if self.now.version in written:
                self._go_live(kept.version(self.now.version), activate=False)
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

    @staticmethod
    def _names(bundle: Path, user: Any) -> bool:
        """Whether a saved model has a user."""
        try:
            return user in load(bundle).data.user_ids
        except BundleError:
            return False

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
        kept = self._keeping()
        with self._change("going back"):
            if version is not None:
                wanted = kept.version(version)
            else:
                known = sorted(kept.store.versions(), key=lambda v: v.activation)
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
                    trial = None
                    if not force and self.settings.require != "nothing":
                        trial = self._try_refit(warm)
                    self._refit(warm, trial)
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

    def _try_refit(self, warm: bool | None) -> Trial | None:
        """Train on all but the latest newer ratings, and try that on them; NotBetter where it is not good enough."""
        trial = refit_on_latest(self.now.base, self._newer(), warm)
        self.last_trial = None if trial is None else str(trial)
        if (why := refused(self.settings.require, trial)) is not None:
            raise NotBetter(why)
        return trial

    def _refit(self, warm: bool | None, trial: Trial | None) -> None:
        kept = self._keeping()
        scratch = kept.scratch("refit")
        while True:
            self._rebuild()
            now, erasures = self.now, self.now.erasures
            missed = [e for e in self._newer() if now.rec.items.find(e.item) < 0]
            found = now.rec.refit(grown(now.rec, missed), warm=warm)
            if self._stop.is_set():
                return
            if kept.store.position()["erasures"] != erasures:
                continue  # a user whose rows this model has learned was forgotten meanwhile: train again, without
            try:
                found.save(scratch)
                drift = found.metrics.get("embedding_shift")
                self._install(scratch, "refit", now.through, drift, erasures=erasures, trial=trial)
                return
            except _Forgotten:
                continue  # the same, while it was saved
            finally:
                kept.folder.remove(scratch.name)

    def _newer(self) -> list[Event]:
        """The events that the live version has not learned."""
        kept = self._keeping()
        return kept.store.events(kept.version(self.now.version).through)[0]

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
        trial: Trial | None = None,
    ) -> int:
        """Keep a bundle as a version of its own, and make it live. ``bundle_seen``: the digest of the manifest of the
        served bundle, where this is it; ``erasures``: how often people may have been forgotten by then; ``tried``: on
        the latest events first, NotBetter where the settings require more (unless ``force``); ``live``: False for a
        version that is kept to be tried beside the live one; ``trial``: what a refit's own showed."""
        kept = self._keeping()
        with kept.adopted(bundle) as found:
            if tried and self._now is not None:
                trial = on_latest(self.now.base, load(found.place), self._newer())
            why = refused(self.settings.require, trial) if tried and not force else None
            if why is not None:
                if bundle_seen is not None:
                    kept.store.keep_note("bundle", bundle_seen)  # not again at the next start
                raise NotBetter(why)
            with kept.numbered(found, source, through, drift) as version:
                if live:
                    self._go_live(version, bundle=bundle_seen, erasures=erasures)
                else:
                    kept.store.add_candidate(version)
        if trial is not None:
            self.last_trial = str(trial)
            kept.store.keep_note(f"trial {version.version}", json.dumps(trial._asdict()))
        kept.prune(version.version, live=live)
        return version.version

    def _go_live(
        self, version: Version, *, activate: bool = True, bundle: str | None = None, erasures: int | None = None
    ) -> None:
        """Load a version, try it, give it the newer ratings, and only then let it answer."""
        kept = self._keeping()
        store = kept.store
        fresh = woken(version, kept.place(version), kept.store.position()["erasures"], self.settings.max_cache)
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
        kept = self._keeping()
        version = kept.version(experiment.version)
        fresh = woken(version, kept.place(version), kept.store.position()["erasures"], self.settings.max_cache)
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
        second = self._second
        self._looks += 1
        if self._looks % _LOOKS == 0 and self._busy is None:
            wanted = read_experiment(store)
            if wanted != (None if second is None else second.experiment):
                self._second = None if wanted is None else self._loaded_second(wanted)
                return
        if second is not None:
            try:
                contents = self._keeping().version(second.served.version).contents
            except UnknownIdError:  # it was removed, and with it the experiment ends
                self._second = None
                return
            if contents != second.served.contents:  # somebody was erased from it
                self._second = self._loaded_second(second.experiment)
            elif second.served.erasures != there["erasures"]:
                self._rebuild()
            elif there["events"] > second.served.through:
                self._catch_up(there["events"])

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

    def _watch(self) -> None:
        """Where the bundle is replaced by another, serve that."""
        while not self._stop.wait(_LOOK_EVERY):
            stamp = _stamp(self.settings.model)
            if stamp is None or stamp == self._seen:
                continue
            try:
                if self.settings.read_only:
                    self._now = unwritten(self.settings.model, self.now.version + 1, self.settings.max_cache)
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

    def _keep_time(self) -> None:
        """Note what time it is, and delete newer ratings that are too old; see :mod:`cofactor.serve.clock`."""
        clock, days, trouble = self.clock, self.settings.retain_days, None
        assert clock is not None
        while True:
            try:
                clock.keep()
                if days is not None:
                    found, trouble = clock.expire(86_400 * days)
                    if found:
                        log.info("%d newer ratings were too old, and are deleted", found)
                        self._rebuild()
                    if trouble is not None:
                        self._note_once(trouble)
            except Exception as exc:
                self._note_once(f"newer ratings that are too old cannot be deleted: {exc}")
            if self._stop.wait(_CLOCK_EVERY):
                return


def _stamp(bundle: Path) -> _Stamp | None:
    try:
        found = (bundle / MANIFEST).stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
