"""A limit on the work in each iteration of the event loop; further work waits for later iterations.

With hundreds of connections, an iteration that began a request of each would take long, and ``/health`` needs several
iterations. So one request begins in each iteration, and a few connections are read.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar


class Connection(Protocol):
    """A waiting connection."""

    def cut(self) -> bool:
        """Close the connection, and return whether it was open."""


T = TypeVar("T", bound=Connection)


class Rounds(Generic[T]):
    """A queue that admits at most ``most`` entries per iteration of the event loop.

    ``go`` is called for each entry that had to wait. With several ``lines``, entries are taken from them in turn.
    """

    def __init__(self, most: int, go: Callable[[T], None], lines: int = 1) -> None:
        self.most, self.go = most, go
        self.lines: list[deque[T]] = [deque() for _ in range(lines)]
        self._left, self._counting, self._last = most, False, 0

    def take(self, one: T, loop: asyncio.AbstractEventLoop, line: int = 0) -> bool:
        """Return whether ``one`` is admitted now; otherwise it waits at the end of a line."""
        self._count(loop)
        if self._left > 0:
            self._left -= 1
            return True
        self.lines[line].append(one)
        return False

    def _count(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self._counting:
            self._counting = True
            loop.call_soon(self._next, loop)

    def _next(self, loop: asyncio.AbstractEventLoop) -> None:
        """Run in the next iteration: admit those that wait."""
        self._left, self._counting = self.most, False
        while self._left > 0 and any(self.lines):
            self._left -= 1
            self._last = next(k for k in self._after() if self.lines[k])
            self.go(self.lines[self._last].popleft())
        if self._left < self.most:
            self._count(loop)

    def _after(self) -> list[int]:
        """Return the numbers of the lines, beginning with the next one in turn."""
        return [(self._last + k) % len(self.lines) for k in range(1, len(self.lines) + 1)]


FIRST, LATER, AHEAD = 0, 1, 2
"""Lines of requests: the first one of a connection; a later one, sent after the last answer; a pipelined one, sent
before it."""


class Turns(Rounds[T]):
    """The queue of requests that may begin, one per iteration.

    The three lines take turns. So neither busy clients nor new connections starve the others, and pipelined requests
    wait only for each other.
    """

    enough = 8
    """Number of waiting requests at which a line admits no more connections."""

    def __init__(self, go: Callable[[T], None]) -> None:
        super().__init__(1, go, lines=3)

    def crowded(self, line: int = FIRST) -> bool:
        """Return whether a line is full, so that more connections would only occupy memory."""
        return len(self.lines[line]) >= self.enough

    def make_room(self) -> None:
        """Close the newest connection of the first line that is not empty: pipelined, later, first requests."""
        for line in reversed(self.lines):
            while line:
                if line.pop().cut():
                    return
