"""Admission of connections by priority.

asyncio makes a transport and a protocol for each accepted connection, in the order of arrival. A client that opens
thousands of connections would therefore delay ``/health`` behind all of them. Here the first bytes of a connection
decide its priority: requests for ``/health`` come first, pipelined requests last. Connections that are closed already
are dropped at little cost.
"""

from __future__ import annotations

import asyncio
import logging
import re
import select
import socket
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

log = logging.getLogger("cofactor.serve")
_HEALTH = re.compile(rb"(GET|HEAD) /health[ ?]")
VERSION = b" HTTP/1."
"""Part of the first line of every request; its count is the number of pipelined requests."""
_LOOKED_AT = 2048
"""Number of first bytes that are examined."""
_HEALTH_FIRST, _ASKS, _ENDED, _AHEAD = range(4)
"""Priorities: a request for ``/health``; another request; a client that has stopped sending, and may be gone; several
pipelined requests."""
_AT_ONCE = 1024
"""Most connections accepted in one iteration of the event loop."""
_REST = 6
"""Iterations without accepting after a request for ``/health``: its answer takes that many."""
_PAUSE = 1.0
"""Seconds without accepting when no descriptors are left."""
_PEEK = socket.MSG_PEEK | getattr(socket, "MSG_DONTWAIT", 0)
_NO_MORE = getattr(select, "POLLRDHUP", 0)
"""The event that the client has stopped sending; it may have closed the connection."""


class Door:
    """The queue of accepted connections of one listening socket.

    Args:
        listener: the listening socket.
        connect: makes a connection of an accepted socket.
        most: the most connections that wait; another one replaces the oldest of the longest queue.
        crowded: whether connections must wait, asked for pipelining clients (True) and for the others (False). Requests
            for ``/health`` never wait.
    """

    def __init__(
        self,
        listener: socket.socket,
        connect: Callable[[socket.socket], Coroutine[Any, Any, Any]],
        most: int,
        crowded: Callable[[bool], bool] = lambda ahead: False,
    ):
        self.listener, self.connect, self.most, self.crowded = listener, connect, most, crowded
        self._loop = asyncio.get_running_loop()
        self._lines: tuple[deque[socket.socket], ...] = (deque(), deque(), deque(), deque())  # in order of priority
        self._batch, self._going, self._turn = 1, False, 0
        self._rest, self._rested = 0, False
        self._tasks: set[asyncio.Task[Any]] = set()
        self._loop.remove_reader(listener.fileno())  # the reader of asyncio
        self._loop.add_reader(listener.fileno(), self._accept)

    def _accept(self) -> None:
        """Accept connections: one, and twice as many in each further iteration, since other processes accept too."""
        if self._rest > 0:
            self._rest -= 1
            self._rested = True
            return
        self._rested = False
        for _ in range(self._batch):
            try:
                one, _ = self.listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                self._batch = 1
                break
            except OSError as exc:
                log.error("cannot accept connections at the moment: %s", exc.strerror or exc)
                self._loop.remove_reader(self.listener.fileno())
                self._loop.call_later(_PAUSE, self._again)
                break
            self._look(one)
        else:
            self._batch = min(2 * self._batch, _AT_ONCE)
        self._go()

    def _again(self) -> None:
        if self.listener.fileno() >= 0:
            self._loop.add_reader(self.listener.fileno(), self._accept)

    def _look(self, one: socket.socket) -> None:
        rank = _rank(one)
        if rank is None:
            one.close()
            return
        one.setblocking(False)
        self._lines[rank].append(one)
        if sum(map(len, self._lines)) > self.most:
            max(reversed(self._lines), key=len).popleft().close()

    def _go(self) -> None:
        if not self._going and any(self._lines):
            self._going = True
            self._loop.call_soon(self._next)

    def _next(self) -> None:
        """Admit two connections: the first by priority, and one of the other priorities in turn, so that none starves.

        The priority is determined again here, since the client may have gone or sent more meanwhile.
        """
        self._going = False
        others = (_ASKS, _ENDED, _AHEAD)
        self._turn = (self._turn + 1) % len(others)
        for order in (range(len(self._lines)), others[self._turn :] + others[: self._turn]):
            for _ in range(_AT_ONCE):
                rank = next((k for k in order if self._lines[k] and self._open_to(k)), None)
                if rank is None:
                    break
                one = self._lines[rank].popleft()
                now = _rank(one)
                if now is None:
                    one.close()
                    continue
                if now > rank:
                    self._lines[now].append(one)
                    continue
                if rank == _HEALTH_FIRST and not self._rested:  # many requests for it must not starve the others
                    self._rest = _REST
                task = self._loop.create_task(self._let_in(one))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
                break
        self._go()

    def _open_to(self, rank: int) -> bool:
        return rank == _HEALTH_FIRST or not self.crowded(rank == _AHEAD)

    async def _let_in(self, one: socket.socket) -> None:
        try:
            await self.connect(one)
        except OSError:
            one.close()

    def close(self) -> None:
        """Close the waiting connections."""
        for line in self._lines:
            while line:
                line.popleft().close()


def _rank(one: socket.socket) -> int | None:
    """Return the priority of a connection by its first bytes; None where the client is gone and sent nothing."""
    try:
        first = one.recv(_LOOKED_AT, _PEEK)
    except BlockingIOError:
        return _ASKS
    except OSError:
        return None
    if not first:
        return None
    if _ends(one):
        return _ENDED
    if _HEALTH.match(first):
        return _HEALTH_FIRST
    return _AHEAD if first.count(VERSION) > 1 else _ASKS


def _ends(one: socket.socket) -> bool:
    if not _NO_MORE:
        return False
    asked = select.poll()
    asked.register(one, _NO_MORE)
    return bool(asked.poll(0))
