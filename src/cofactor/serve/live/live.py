"""The live recommender of a process, from start to stop, and the threads that keep it up to date.

It follows the other processes of its state: their events, swaps and erasures arrive within a second or two. It also
watches the served bundle and the clock.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from dataclasses import replace

from cofactor.bundle import info
from cofactor.errors import BundleError, UnknownIdError
from cofactor.serve.experiments.experiment import read as read_experiment
from cofactor.serve.live.changing import Busy, Changing, NotBetter, stamp_of
from cofactor.serve.models.kept import Kept
from cofactor.serve.models.served import unwritten
from cofactor.serve.settings import Settings
from cofactor.serve.storage import versions
from cofactor.serve.storage.clock import StateClock
from cofactor.serve.storage.transactions import StoreError

log = logging.getLogger("cofactor.serve")
_PATIENCE = 5.0
"""How long shutdown waits for a model swap, in seconds; a slower swap is abandoned."""
_LOOK_EVERY = 2.0
"""Seconds between two checks of the bundle."""
_FOLLOW_EVERY = 0.2
"""Seconds between two checks for changes by other processes."""
_LOOKS = 5
"""Number of these checks from one check for experiments to the next."""
_CLOCK_EVERY = 600.0
"""Seconds between two notes of the time, and checks for newer ratings that are too old."""


class Live(Changing):
    """The live recommender of one process. Call ``open`` first and ``close`` at the end."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._opening = threading.Lock()
        self._looks = 0

    # ---- start and stop

    def open(self) -> None:
        """Load the model that was last live, or the bundle if it was replaced since. May raise CofactorError."""
        with self._opening:
            if self._now is None:
                self._open()

    def _open(self) -> None:
        self._seen = stamp_of(self.settings.model)
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
        seen = kept.store.bundle()  # None after a repair, when the served bundle is unknown
        if live is not None and (seen in (origin, None) or not self.settings.leads):
            try:
                self._go_live(live, activate=False)
                return
            except BundleError as exc:
                if not self.settings.leads:
                    raise
                trouble = f"version {live.version} cannot be opened ({exc}); the bundle is loaded instead"
        if live is not None and trouble is None and self.settings.require != "nothing":  # test the new bundle
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
        """Make the second bundle of the settings a version, unless it already is one, and remove an earlier one."""
        beside = self.settings.beside
        there = self._keeping().without_earlier(None if beside is None else versions.origin_of(beside))
        if beside is not None and not there:
            with self._change("loading"):
                self._install(beside, "beside", 0, None, live=False)

    def close(self) -> None:
        """Stop the background threads, wait a little for work in progress, and close the store."""
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

    # ---- other processes

    def _follow(self) -> None:
        """Apply the changes that other processes make to the state."""
        trouble = None
        while not self._stop.wait(_FOLLOW_EVERY):
            try:
                self._look()
            except Exception as exc:  # such as an unreachable database: try again
                if self._stop.is_set():
                    return
                trouble = f"changes by other processes cannot be read: {exc}"
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
                if self._busy is None:  # otherwise this process makes the change
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
            except UnknownIdError:  # the version was removed, so the experiment ends
                self._second = None
                return
            if contents != second.served.contents:  # a user was erased from it
                self._second = self._loaded_second(second.experiment)
            elif second.served.erasures != there["erasures"]:
                self._rebuild()
            elif there["events"] > second.served.through:
                self._catch_up(there["events"])

    def _watch(self) -> None:
        """Swap to the new bundle whenever the file of the model is replaced."""
        while not self._stop.wait(_LOOK_EVERY):
            stamp = stamp_of(self.settings.model)
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
            except Exception as exc:  # an incomplete bundle, or a full disk: try again, log once
                self._note_once(f"the new {self.settings.model.name} is not served: {exc}")

    def _keep_time(self) -> None:
        """Save the clock, and delete newer ratings that are too old; see :mod:`cofactor.serve.storage.clock`."""
        clock, days, trouble = self.clock, self.settings.retain_days, None
        assert clock is not None
        while True:
            try:
                clock.keep()
                if days is not None:
                    found, trouble = clock.expire(86_400 * days)
                    if found:
                        log.info("deleted %d newer ratings that were too old", found)
                        self._rebuild()
                    if trouble is not None:
                        self._note_once(trouble)
            except Exception as exc:
                self._note_once(f"cannot delete newer ratings that are too old: {exc}")
            if self._stop.wait(_CLOCK_EVERY):
                return
