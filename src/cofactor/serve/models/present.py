"""The models that a process serves: the live one with all newer ratings, one in an experiment, one by version number.

A reader takes ``now`` once and works with that object, which never changes. A writer makes a new object and assigns it,
after the store has written the change to disk.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cofactor.data.ids.id_map import IdMap
from cofactor.errors import ConfigError, UnknownIdError
from cofactor.recommend.forget import without_updates
from cofactor.serve.models.kept import Kept
from cofactor.serve.models.served import Second, Served, updated, updated_users, woken
from cofactor.serve.settings import Settings
from cofactor.serve.storage.clock import StateClock
from cofactor.serve.storage.rows import Event
from cofactor.serve.storage.store import Store

log = logging.getLogger("cofactor.serve")
_PART = 500
"""Number of events folded in while the lock is held."""


class KnownItems(NamedTuple):
    """The codes of the items of some events (-1: not known), by these ids."""

    ids: IdMap
    codes: NDArray[np.int32]


class Present:
    """The models that a server process answers with. The subclass ``Live`` starts, stops and swaps them."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.kept: Kept | None = None
        self.clock: StateClock | None = None
        self.last_error: str | None = None
        self._lock = threading.RLock()
        self._stop = threading.Event()
        self._now: Served | None = None
        self._second: Second | None = None
        self._beside: Served | None = None
        self._waking = threading.Lock()

    @property
    def store(self) -> Store | None:
        """The store of newer ratings; None for a read-only server."""
        return None if self.kept is None else self.kept.store

    @property
    def now(self) -> Served:
        """The live version, which answers requests."""
        if self._now is None:
            raise ConfigError("the model is not loaded yet")
        return self._now

    def at(self, version: int | None) -> Served:
        """Return the model of a version, with all newer ratings. A version other than the live one is loaded on demand;
        one of them is held at a time. UnknownIdError where there is no such version."""
        if version is None or version == self.now.version:
            return self.now
        if self.kept is None:
            raise UnknownIdError(f"there is no version {version}")
        wanted, erasures = self.kept.version(version), self.kept.store.position()["erasures"]
        with self._waking:
            held = self._beside
            key = (wanted.version, wanted.contents, erasures)
            if held is None or (held.version, held.contents, held.erasures) != key:
                self._beside = None  # free the old one before the next is loaded
                held = woken(wanted, self.kept.place(wanted), erasures, self.settings.max_cache, warm=False)
            self._beside = held = self._caught_up(held)
            return held

    @property
    def ready(self) -> bool:
        """Whether a model is loaded."""
        return self._now is not None

    @property
    def second(self) -> Second | None:
        """The version in an experiment beside the live one, or None."""
        return self._second

    def serving(self, user: Any) -> Served:
        """Return the version that serves a user: the live one or, in an A/B experiment, the tried one."""
        second = self._second
        if second is None or second.experiment.mode != "ab" or user is None or not second.experiment.takes(user):
            return self.now
        return self.now if second.served.rec.users.code(user) < 0 else second.served

    # ---- newer ratings

    def tell(
        self,
        events: Sequence[Event],
        key: str | None = None,
        body: str = "",
        new: Sequence[Any] = (),
        known: KnownItems | None = None,
    ) -> dict[str, Any]:
        """Store these events, all or none, and return the answer. They are then on disk and in every later answer.

        For a repeated ``key`` it returns the earlier answer, or raises KeyReused where ``body``, the request as text,
        differs. ``new`` are items in the events that the model does not know.
        """
        store = self._writable()
        if key is not None and (before := store.answered(key, body)) is not None:
            return _object(before)
        now = self.now
        rec = updated(
            now.rec, events, known.codes if known is not None and known.ids is now.rec.data.item_ids else None
        )
        said = {"accepted": len(events), "version": now.version, "new_items": list(new)}
        appended = store.append(events, key, body, lambda total: said | {"events": total})
        if appended.first:
            with self._lock:
                if self._now is now and now.through == appended.first - 1:
                    self._now = replace(now, rec=rec, through=appended.last)
            self._catch_up(appended.last)
        return _object(appended.answer)

    def forget(self, user: Any) -> int:
        """Delete the newer ratings of a user, and return their number."""
        store = self._writable()
        deleted = store.forget(user)
        if deleted:
            self._rebuild()
        return deleted

    def _catch_up(self, last: int) -> None:
        """Add the events of other processes up to number ``last``, in parts."""
        store = self._writable()
        while not self._stop.is_set():
            with self._lock:
                now, second = self.now, self._second
                behind = now.through < last
                if behind:
                    events, through = store.events(now.through, _PART)
                    self._now = now.told(events, through) if through > now.through else now
                elif second is not None and second.served.through < last:
                    events, through = store.events(second.served.through, _PART)
                    if through == second.served.through:
                        return
                    self._second = second._replace(served=second.served.told(events, through))
                else:
                    return
                if behind and through == now.through:
                    return

    def _rebuild(self) -> None:
        """Leave out deleted ratings: those of single users at once, otherwise by folding all others in again."""
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
            try:
                version = self._keeping().version(old.version)
            except UnknownIdError:
                if behind:
                    raise
                self._second = None  # the version was removed, so the experiment ends
                return
            fresh = self._without_deleted(old, erasures)
            if fresh is None:
                fresh = self._caught_up(replace(old, rec=old.base, through=version.through, erasures=erasures))
            with self._lock:
                if behind and self.now.activation == now.activation and self.now.erasures == now.erasures:
                    self._now = self._caught_up(fresh)  # adds the few events that came meanwhile
                elif not behind and second is not None and self._second is second:
                    self._second = second._replace(served=self._caught_up(fresh))

    def _without_deleted(self, served: Served, erasures: int) -> Served | None:
        """Return the version after these erasures, if they only deleted events of single users; otherwise None."""
        store = self._writable()
        deleted = store.deleted(served.erasures, erasures)
        if deleted is None or min(deleted.values()) < served.through:  # the user may have newer events
            return None
        rec = served.rec
        gone = [user for user in updated_users(rec) if store.erased_name(user) in deleted]
        rec = rec.replace(updates=without_updates(rec, gone))
        return self._caught_up(replace(served, rec=rec, erasures=erasures))

    def _caught_up(self, served: Served) -> Served:
        """Return the version with the events that it lacks."""
        return served.caught_up(self._writable(), lambda: not self._stop.is_set())

    # ---- inside

    def writable(self) -> Store:
        """Return the store; ConfigError for a read-only server."""
        return self._writable()

    def time(self) -> int:
        """Return seconds since 1970 by the clock of the state; ConfigError for a read-only server."""
        self._keeping()
        assert self.clock is not None
        return self.clock.now()

    def _writable(self) -> Store:
        return self._keeping().store

    def _keeping(self) -> Kept:
        if self.kept is None:
            raise ConfigError("this server is read-only: it stores no ratings and swaps no models")
        return self.kept

    def _note(self, error: str) -> None:
        self.last_error = error
        log.error("%s", error)

    def _note_once(self, error: str) -> None:
        if error != self.last_error:
            self._note(error)


def _object(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text)
    return found
