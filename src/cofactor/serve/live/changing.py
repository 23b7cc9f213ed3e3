"""Changes of the live model: swaps, rollbacks, refits, experiments, erasure.

One change happens at a time, among all processes of a state.
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

from cofactor.bundle.files import MANIFEST
from cofactor.errors import BundleError, CofactorError, ConfigError
from cofactor.recommender import load
from cofactor.serve.experiments.experiment import NOTE, Experiment, Mode
from cofactor.serve.experiments.experiment import read as read_experiment
from cofactor.serve.live import drift as drifting
from cofactor.serve.live.drift import Drift
from cofactor.serve.live.refit import grown
from cofactor.serve.live.trial import Trial, on_latest, refit_on_latest, refused, with_trial
from cofactor.serve.models.present import Present
from cofactor.serve.models.served import Second, woken
from cofactor.serve.settings import Settings
from cofactor.serve.storage import versions
from cofactor.serve.storage.rows import Event
from cofactor.serve.storage.store import Version
from cofactor.serve.storage.transactions import StoreError

log = logging.getLogger("cofactor.serve")
Stamp = tuple[int, int, int]
"""The inode, time and size of a manifest, which identify a bundle on disk."""


class _Forgotten(Exception):
    """A user was erased whose rows are in the training data of the model that is about to go live."""


class Busy(CofactorError):
    """A model swap is in progress, and only one is allowed at a time."""


class NotBetter(ConfigError):
    """A model was tested on the latest events, and was not good enough to go live."""


class Changing(Present):
    """The models that a server process answers with, and their changes."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.last_trial: str | None = None
        self._busy: str | None = None
        self._changing = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._drift: tuple[tuple[int, int], Drift] | None = None
        self._seen: Stamp | None = None

    @property
    def busy(self) -> str | None:
        """The change of models in progress, in this or another process; None where there is none."""
        if self._busy is not None or self.store is None:
            return self._busy
        with self.store.leading() as free:
            return None if free else "changing models in another process"

    @contextlib.contextmanager
    def _change(self, what: str) -> Iterator[None]:
        if not self._changing.acquire(blocking=False):
            raise Busy(f"the server is busy: {self._busy or 'changing models'}; try again later")
        try:
            with self._writable().leading() as alone:
                if not alone:
                    raise Busy("another process of this server is changing models; try again later")
                self._busy = what
                try:
                    yield
                except OSError as exc:  # such as a full disk
                    raise StoreError(f"{what} failed: {exc.strerror or exc}; try again") from exc
                finally:
                    self._busy = None
        finally:
            self._changing.release()

    def _start(self, work: Callable[[], None]) -> None:
        self._threads = [t for t in self._threads if t.is_alive()]
        thread = threading.Thread(target=work, daemon=True)
        self._threads.append(thread)
        thread.start()

    # ---- other models

    def reload(self, path: Path | None = None, source: str = "reload", *, force: bool = False) -> int:
        """Load a bundle (by default that of the settings), make it live, and return its version.

        The model is first tested on the latest events; NotBetter where it does not meet the settings, unless ``force``.
        """
        self._writable()
        with self._change("reloading"):
            seen = stamp_of(self.settings.model)
            origin = versions.origin_of(self.settings.model) if path is None else None
            try:
                place = path or self.settings.model
                version = self._install(place, source, 0, None, bundle_seen=origin, tried=True, force=force)
            except NotBetter:
                self._seen = seen if path is None else self._seen
                raise
            if path is None:
                self._seen = seen  # so that the watch does not repeat it
            return version

    def rollback(self, version: int | None = None) -> int:
        """Go back to a version (by default the one that was live before), and return its number."""
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
        """Train on all ratings, newer ones included, and make the result live; return at once (see ``busy``).

        Where the settings require a test (and without ``force``), the model is first trained without the latest fifth
        of the newer ratings and tested on these.
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
                    self._note(f"the refit failed: {exc}")
                    if not isinstance(exc, CofactorError):
                        log.exception("the refit failed")

        with contextlib.ExitStack() as begun:
            begun.enter_context(self._change("refitting"))
            change = begun.pop_all()  # released when the work ends
            try:
                self._start(work)
            except BaseException:
                change.close()
                raise

    def _try_refit(self, warm: bool | None) -> Trial | None:
        """Train on all but the latest newer ratings, and test on those; NotBetter where the result is not good
        enough."""
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
                continue  # a user in its training data was erased meanwhile: train again without them
            try:
                (found if trial is None else with_trial(found, trial)).save(scratch)
                drift = found.metrics.get("embedding_shift")
                self._install(scratch, "refit", now.through, drift, erasures=erasures, trial=trial)
                return
            except _Forgotten:
                continue  # a user was erased while the model was saved
            finally:
                kept.folder.remove(scratch.name)

    def _newer(self) -> list[Event]:
        """Return the events that the live version was not trained on."""
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
        """Store a bundle as a new version, make it live, and return its number.

        Args:
            bundle: the bundle.
            source: the origin of the version, such as ``"refit"``.
            through: the number of the last event that the model was trained on.
            drift: the embedding shift against the earlier model, if known.
            bundle_seen: the digest of the manifest, if this is the served bundle.
            erasures: the number of erasures when training began; more of them stop the swap.
            tried: test the model on the latest events first; NotBetter where it does not meet the settings.
            force: make it live even so.
            live: False stores the version for an experiment beside the live one.
            trial: the result of a test that a refit has already made.
        """
        kept = self._keeping()
        with kept.adopted(bundle) as found:
            if tried and self._now is not None:
                trial = on_latest(self.now.base, load(found.place), self._newer())
            why = refused(self.settings.require, trial) if tried and not force else None
            if why is not None:
                if bundle_seen is not None:
                    kept.store.keep_note("bundle", bundle_seen)  # not tested again at the next start
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
        """Load a version, check that it works, add the newer ratings, and only then make it live."""
        kept = self._keeping()
        store = kept.store
        fresh = woken(version, kept.place(version), kept.store.position()["erasures"], self.settings.max_cache)
        second = self._second
        if activate and second is not None and second.served.version == version.version:
            store.keep_note(NOTE, None)  # the tried version goes live, so the experiment ends
            self._second = None
        served = self._caught_up(fresh)  # slow; other threads may write meanwhile
        if activate:
            number = store.activate(version, bundle=bundle, erasures=erasures)
            if number is None:
                raise _Forgotten
            served = replace(served, activation=number)
        with self._lock:
            self._now, self.last_error = self._caught_up(served), None  # adds the few events that came meanwhile
        self._rebuild()
        log.info("version %d is live: %r", version.version, served.rec)

    # ---- experiments

    def begin_experiment(self, version: int | None, path: Path | None, share: float, mode: Mode) -> Experiment:
        """Start an experiment: a version (or a bundle, which becomes one) serves a share of the users."""
        store = self._writable()
        with self._change("starting an experiment"):
            if version is None:
                place = path or self.settings.model
                version = self._install(place, "candidate", 0, None, tried=True, force=True, live=False)
            if version == self.now.version:
                raise ConfigError(f"version {version} is live; name another version for the experiment")
            experiment = Experiment(secrets.token_hex(8), version, share, mode, time.time())
            second = self._loaded_second(experiment)
            store.keep_note(NOTE, json.dumps(experiment._asdict()))
            self._second = second
        return experiment

    def end_experiment(self) -> Experiment | None:
        """End the experiment: the live version serves all users again. Return the experiment, or None."""
        store = self._writable()
        with self._change("ending an experiment"):
            found = read_experiment(store)
            store.keep_note(NOTE, None)
            self._second = None
        return found

    def _loaded_second(self, experiment: Experiment) -> Second:
        """Load the version of an experiment, with all newer ratings."""
        kept = self._keeping()
        version = kept.version(experiment.version)
        fresh = woken(version, kept.place(version), kept.store.position()["erasures"], self.settings.max_cache)
        return Second(experiment, self._caught_up(fresh))

    def drift(self) -> Drift:
        """Return the drift of the latest events: of the first 200 at once, then computed every 100 events."""
        now = self.now
        key = now.version, now.through if now.through < drifting.LEAST else now.through // 100 * 100
        if self._drift is None or self._drift[0] != key:
            events = [] if self.store is None else self.store.events(max(0, now.through - drifting.LATEST))[0]
            self._drift = key, drifting.drift(now.base, events)
        return self._drift[1]

    # ---- erasure

    def erase(self, user: Any, *, refit: bool = False) -> dict[str, Any]:
        """Erase a user from the newer ratings and from every stored version, and report what is left of them.

        Each version with the user is rewritten without them. A version whose files are damaged is removed, unless it is
        live. ``refit`` trains the model again afterwards, so that the live model has learned nothing from the user.
        UnknownIdError where the id is unknown.
        """
        kept = self._keeping()
        with self._change("erasing a user"):
            kept.remove_strays()
            bundles = {version.origin for version in kept.store.versions(candidates=True)}
            deleted = kept.store.forget(user, everywhere=True, bundles=bundles | self._given())
            written, held, damaged = [], [], []
            for version in kept.store.versions(candidates=True):
                try:
                    rec = load(kept.place(version))
                except BundleError as exc:
                    if version.version == self.now.version:
                        raise
                    damaged.append(version)  # it may contain the user
                    held.append(f"version {version.version} could not be read and was removed: {exc}")
                    continue
                if user not in rec.data.user_ids:
                    continue
                rows = int(rec.data.by_user.counts[rec.data.user_ids.code(user)])
                kept.rewrite(version, rec.forget(user))
                written.append(version.version)
                held.append(f"version {version.version} was trained on {rows:,} of their ratings; refit to remove them")
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
                "the database keeps the bytes of deleted rows, and samples of values, until `VACUUM (FULL, ANALYZE)"
                " cofactor_events, cofactor_pieces, pg_statistic`, and in its log until the log is recycled"
            )
        for bundle in filter(None, (self.settings.model, self.settings.beside)):
            if self._names(bundle, user):
                held.append(
                    f"{bundle} still holds their ratings; the server does not change this file: save it again without"
                    " them (until then, they are left out when it is loaded)"
                )
        held += [f"{place}, which a repair moved aside, may name them; delete it" for place in kept.folder.damaged()]
        if refit:
            self.refit()
        return {"deleted": deleted, "versions": written, "held": held, "refit": refit}

    def _given(self) -> set[str]:
        """Return the present digests of the bundles that the server was started with."""
        found = set()
        for bundle in filter(None, (self.settings.model, self.settings.beside)):
            with contextlib.suppress(BundleError):
                found.add(versions.origin_of(bundle))
        return found

    @staticmethod
    def _names(bundle: Path, user: Any) -> bool:
        """Return whether a saved model has a user."""
        try:
            return user in load(bundle).data.user_ids
        except BundleError:
            return False


def stamp_of(bundle: Path) -> Stamp | None:
    """Return the stamp of a bundle; None where there is none."""
    try:
        found = (bundle / MANIFEST).stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
