"""A limit on the work in each iteration of the event loop; further work waits for later iterations.

An iteration with a request from each of hundreds of connections would last so long that ``/health``, which takes
several iterations, waited a second. So in each iteration one request begins, and some connections are read.
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
    """At most ``most`` per iteration; ``go`` is called in a later iteration for each one that waits. Several lines take
    turns."""

    def __init__(self, most: int, go: Callable[[T], None], lines: int = 1) -> None:
        self.most, self.go = most, go
        self.lines: list[deque[T]] = [deque() for _ in range(lines)]
        self._left, self._counting, self._last = most, False, 0

    def take(self, one: T, loop: asyncio.AbstractEventLoop, line: int = 0) -> bool:
        """Return whether ``one`` may go on now; otherwise it waits at the end of a line."""
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
        """Return the lines, beginning with the one whose turn it is."""
        return [(self._last + k) % len(self.lines) for k in range(1, len(self.lines) + 1)]


FIRST, LATER, AHEAD = 0, 1, 2
"""Lines of requests: the first ones of their connections, those of who waited for the last answer, and those that were
sent before there was one."""


class Turns(Rounds[T]):
    """Which request begins. The three lines take turns: clients that send one request after the other keep nobody out,
    new connections do not either, and those that send many at once only wait for each other."""

    enough = 8
    """Requests that wait in a line, before no more connections are taken in for it."""

    def __init__(self, go: Callable[[T], None]) -> None:
        super().__init__(1, go, lines=3)

    def crowded(self, line: int = FIRST) -> bool:
        """Whether such requests wait already: more connections would only be held in memory."""
        return len(self.lines[line]) >= self.enough

    def make_room(self) -> None:
        """End the connection that came last into its line: of those that sent many requests at once, of those that had
        an answer before, or else of the others."""
        for line in reversed(self.lines):
            while line:
                if line.pop().cut():
                    return
