"""What time it is, for deleting what is too old: a clock that is wrong for a while deletes nothing too early.

The state keeps when it was last looked at. A machine whose clock is more than a week off that is believed after a day.
"""

from __future__ import annotations

import datetime as dt
import json
from typing import NamedTuple, Self

from cofactor.serve.store import Store

NOTE = "clock"
NEAR = 7 * 86_400.0
"""Seconds between two looks that need no explanation: a server that was stopped, a clock that was set."""
PATIENCE = 86_400.0
"""Seconds after which a clock that goes on saying something else is believed."""


class Clock(NamedTuple):
    """``at``: seconds since 1970 at the last look; ``off``: for so many seconds the machine has said something else;
    ``through``: the number of the last event before it did."""

    at: float
    off: float
    through: int

    @classmethod
    def read(cls, note: str) -> Self:
        """What :meth:`note` wrote."""
        return cls(*json.loads(note))

    def note(self) -> str:
        """As a text for the store."""
        return json.dumps(self)

    def looked(self, machine: float, elapsed: float, events: int) -> Self:
        """After another look: the machine says ``machine``, ``elapsed`` seconds later, and ``events`` is the number of
        the last event."""
        expected, off = self.at + elapsed, self.off + elapsed
        if abs(machine - expected) <= NEAR or off > PATIENCE:
            return type(self)(machine, 0.0, events)
        return type(self)(expected, off, self.through)

    def trouble(self, machine: float) -> str | None:
        """What is wrong, in words; None where the machine is believed."""
        if machine == self.at:
            return None
        return (
            f"the clock of this machine says {_day(machine)}, but by the state it is about {_day(self.at)}; newer"
            " ratings are deleted by the latter, until the machine has gone on like this for a day"
        )


def expire(store: Store, most: float, machine: float, elapsed: float) -> tuple[int, str | None]:
    """Delete the newer ratings that are older than ``most`` seconds. The machine's clock says ``machine``, and the last
    look of this process was ``elapsed`` seconds ago. Returns (how many there were, what is wrong with the clock)."""
    note, events = store.note(NOTE), store.position()["events"]
    if note is not None:
        before = Clock.read(note)
    else:  # a state of before there were notes: its last change of models says when it was
        before = Clock(max((v.activated or 0.0 for v in store.versions()), default=0.0) or machine, 0.0, events)
    now = before.looked(machine, elapsed, events)
    trouble = now.trouble(machine)
    found = store.expire(int(now.at - most), None if trouble is None else now.through)
    store.keep_note(NOTE, now.note())
    return found, trouble


def _day(seconds: float) -> str:
    try:
        return dt.datetime.fromtimestamp(seconds, dt.UTC).date().isoformat()
    except (OverflowError, ValueError, OSError):
        return f"{seconds:.0f} s since 1970"
