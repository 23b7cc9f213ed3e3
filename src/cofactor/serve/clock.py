"""What time it is, for stamping what comes without a time, and for deleting what is too old.

The clock of a machine may be wrong for a while: set by hand, or not set yet after a start. Two other clocks are kept in
the state. They follow the machine's, at no less than half and no more than ``FASTEST`` times the pace of the time that
goes by (as the running time of the machine says, which nobody sets and which goes on while the server is stopped). So
they never go back, unless the machine insists for a day. What is deleted is too old by the machine's clock too.
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

from cofactor.serve.store import Store

NOTE = "clock"
SLOWEST, FASTEST = 0.5, 8.0
"""Seconds for each one that went by, until the machine's clock is met."""
DAY = 86_400.0
FAR = 7 * DAY
"""Seconds between the machine's clock and that of the state that are worth a word: more than come of a day of it."""


class Moment(NamedTuple):
    """What a machine says: seconds since 1970, seconds that it is running, and since which start of it."""

    machine: float
    running: float
    start: str

    @classmethod
    def now(cls) -> Self:
        """At this moment."""
        boottime: int | None = getattr(time, "CLOCK_BOOTTIME", None)  # goes on while the machine sleeps
        return cls(time.time(), time.monotonic() if boottime is None else time.clock_gettime(boottime), _start())


@cache
def _start() -> str:
    """Tells one start of the machine from another; where it does not say, one process from another."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    return secrets.token_hex(8)


class Clock(NamedTuple):
    """``at``: what is stamped; ``old``: by this, newer ratings become too old; both in seconds since 1970, at the last
    look, at which the machine was ``running`` since its ``start``. For ``behind`` seconds it has said a time that is
    ``FAR`` before that."""

    at: float
    old: float
    running: float
    start: str
    behind: float = 0.0

    @classmethod
    def begin(cls, now: Moment, least: float) -> Self:
        """Of a state that had none: the machine is believed, but never a time before ``least`` (when a model that is
        there was made)."""
        at = max(now.machine, least)
        return cls(at, at, now.running, now.start)

    @classmethod
    def read(cls, note: str) -> Self:
        """What :meth:`note` wrote. ValueError where it is of an earlier cofactor."""
        found = json.loads(note)
        if len(found) != len(cls._fields):
            raise ValueError(note)
        return cls(*found)

    def note(self) -> str:
        """As a text for the store."""
        return json.dumps(self)

    def looked(self, now: Moment) -> Self:
        """After another look."""
        at, old, elapsed = self.at, self.old, now.running - self.running
        if now.start == self.start and elapsed >= 0:
            at, old = _paced(at, now.machine, elapsed), _paced(old, now.machine, elapsed)
        else:  # another start, or host: how long it was off, its clock alone knows
            at, old, elapsed = max(at, now.machine), max(old, min(now.machine, old + DAY)), 0.0
        behind = self.behind + elapsed if now.machine < at - FAR else 0.0
        if behind > DAY:
            at, old, behind = now.machine, min(old, now.machine), 0.0
        return type(self)(at, old, now.running, now.start, behind)

    def trouble(self, machine: float) -> str | None:
        """What is wrong, in words; None where the machine's clock and that of the state are near."""
        if abs(machine - self.old) <= FAR:
            return None
        return (
            f"the clock of this machine says {_day(machine)}, but by the state it is about {_day(self.old)}; newer"
            " ratings are deleted by the earlier of the two. If the machine is right: the state's clock catches up at"
            f" {FASTEST:.0f} times the usual pace, and `cofactor state expire` deletes now"
        )


def _paced(at: float, machine: float, elapsed: float) -> float:
    return min(max(at + SLOWEST * elapsed, machine), at + FASTEST * elapsed)


class StateClock:
    """The clock of a state, in one process. Its methods may be called from any thread."""

    def __init__(self, store: Store) -> None:
        self._store, self._lock = store, threading.Lock()
        self._clock = _opened(store, Moment.now())

    def now(self) -> int:
        """Seconds since 1970, for what comes without a time."""
        with self._lock:
            self._clock = self._clock.looked(Moment.now())
            return int(self._clock.at)

    def keep(self) -> None:
        """Note it in the store, for the next start."""
        self.now()
        self._store.keep_note(NOTE, self._clock.note())

    def expire(self, most: float) -> tuple[int, str | None]:
        """Delete the newer ratings that are older than ``most`` seconds by both clocks. Returns (how many there were,
        what is wrong with the clocks)."""
        self.now()
        clock, machine = self._clock, time.time()
        return self._store.expire(int(min(clock.old, machine) - most)), clock.trouble(machine)


def _opened(store: Store, now: Moment) -> Clock:
    """The clock of a state when a process begins to use it."""
    note = store.note(NOTE)
    if note is not None:
        with suppress(ValueError, TypeError):
            return Clock.read(note).looked(now)
    known = store.versions(candidates=True)
    least = max((_seconds(version.created) for version in known), default=0.0)
    begin = Clock.begin(now, least)
    if store.position()["events"]:  # of before there were notes: its last change of models says when it was
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
