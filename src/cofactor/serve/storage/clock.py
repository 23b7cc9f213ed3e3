"""The clock of a state, for stamping events without a time and for deleting events that are too old.

The clock of a machine may be wrong for a while: set by hand, or not yet set after a boot. So the state keeps two clocks
of its own. They follow the machine's clock at a pace between ``SLOWEST`` and ``FASTEST`` times the elapsed time, which
comes from the machine's uptime; uptime cannot be set, and continues while the server is stopped. The state's clocks
never go back, unless the machine's clock stays behind for a day. An event is deleted only if it is too old by the
machine's clock too.
"""

from __future__ import annotations

import datetime as dt
import json
import secrets
import threading
import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple, Self

from cofactor.serve.storage.store import Store

NOTE = "clock"
SLOWEST, FASTEST = 0.5, 8.0
"""Pace of the state's clocks, relative to the elapsed time, until they meet the machine's clock."""
DAY = 86_400.0
FAR = 7 * DAY
"""Difference, in seconds, between the machine's clock and the state's above which a warning is given."""


class Moment(NamedTuple):
    """A reading of a machine's clocks: seconds since 1970, uptime in seconds, and an id of the boot."""

    machine: float
    running: float
    start: str

    @classmethod
    def now(cls) -> Self:
        """Return the reading at this moment."""
        boottime: int | None = getattr(time, "CLOCK_BOOTTIME", None)  # continues while the machine sleeps
        return cls(time.time(), time.monotonic() if boottime is None else time.clock_gettime(boottime), _start())


@cache
def _start() -> str:
    """Return an id of this boot of the machine; where the system has none, an id of this process."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    return secrets.token_hex(8)


class Clock(NamedTuple):
    """The clocks of a state at their last reading.

    ``at`` is the time for stamps, ``old`` the time for the age of newer ratings, both in seconds since 1970.
    ``running`` is the machine's uptime then, and ``start`` the id of its boot. For ``behind`` seconds the machine's
    clock has been more than ``FAR`` behind.
    """

    at: float
    old: float
    running: float
    start: str
    behind: float = 0.0

    @classmethod
    def begin(cls, now: Moment, least: float) -> Self:
        """Return the first clock of a state: the machine's time, but not before ``least``, the creation of a model in
        the state."""
        at = max(now.machine, least)
        return cls(at, at, now.running, now.start)

    @classmethod
    def read(cls, note: str) -> Self:
        """Return the clock that :meth:`note` wrote; ValueError for one of an earlier version of cofactor."""
        found = json.loads(note)
        if len(found) != len(cls._fields):
            raise ValueError(note)
        return cls(*found)

    def note(self) -> str:
        """Return the clock as text for the store."""
        return json.dumps(self)

    def looked(self, now: Moment) -> Self:
        """Return the clock advanced to another reading."""
        at, old, elapsed = self.at, self.old, now.running - self.running
        if now.start == self.start and elapsed >= 0:
            at, old = _paced(at, now.machine, elapsed), _paced(old, now.machine, elapsed)
        else:  # another boot or host: the elapsed time is known only from its clock
            at, old, elapsed = max(at, now.machine), max(old, min(now.machine, old + DAY)), 0.0
        behind = self.behind + elapsed if now.machine < at - FAR else 0.0
        if behind > DAY:
            at, old, behind = now.machine, min(old, now.machine), 0.0
        return type(self)(at, old, now.running, now.start, behind)

    def trouble(self, machine: float) -> str | None:
        """Return a warning; None where the machine's clock and the state's agree."""
        if abs(machine - self.old) <= FAR:
            return None
        return (
            f"the clock of this machine shows {_day(machine)}, but the clock of the state {_day(self.old)}; newer"
            " ratings are deleted by the earlier of the two. If the machine is right, wait: the state's clock catches"
            f" up at {FASTEST:.0f} times the usual pace. `cofactor state expire` deletes at once"
        )


def _paced(at: float, machine: float, elapsed: float) -> float:
    return min(max(at + SLOWEST * elapsed, machine), at + FASTEST * elapsed)


class StateClock:
    """The clock of a state in one process. Its methods are thread-safe."""

    def __init__(self, store: Store) -> None:
        self._store, self._lock = store, threading.Lock()
        self._clock = _opened(store, Moment.now())

    def now(self) -> int:
        """Return seconds since 1970, for events without a time."""
        with self._lock:
            self._clock = self._clock.looked(Moment.now())
            return int(self._clock.at)

    def keep(self) -> None:
        """Save the clock in the store, for the next start."""
        self.now()
        self._store.keep_note(NOTE, self._clock.note())

    def expire(self, most: float) -> tuple[int, str | None]:
        """Delete the newer ratings that are older than ``most`` seconds by both clocks. Return (their number, a warning
        about the clocks or None)."""
        self.now()
        clock, machine = self._clock, time.time()
        return self._store.expire(int(min(clock.old, machine) - most)), clock.trouble(machine)


def _opened(store: Store, now: Moment) -> Clock:
    """Return the clock of a state when a process opens it."""
    note = store.note(NOTE)
    if note is not None:
        with suppress(ValueError, TypeError):
            return Clock.read(note).looked(now)
    known = store.versions(candidates=True)
    least = max((_seconds(version.created) for version in known), default=0.0)
    begin = Clock.begin(now, least)
    if store.position()["events"]:  # a state older than these notes: its last swap of models gives the time
        last = max((version.activated or 0.0 for version in known), default=0.0)
        begin = begin._replace(old=max(least, min(begin.old, last + DAY)))
    return begin


def _seconds(text: str) -> float:
    with suppress(ValueError):
        found = dt.datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=dt.UTC)).timestamp()
    return 0.0


def _day(seconds: float) -> str:
    try:
        return dt.datetime.fromtimestamp(seconds, dt.UTC).date().isoformat()
    except (OverflowError, ValueError, OSError):
        return f"{seconds:.0f} s since 1970"
