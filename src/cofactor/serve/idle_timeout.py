"""Connections on which nothing is asked are closed: each holds a descriptor, of which there are only so many."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from typing import Any, ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from cofactor.serve.middleware import problem

_END = re.compile(rb"\n\r?\n")
_AT_ONCE = struct.pack("ii", 1, 0)


class IdleTimeoutProtocol(H11Protocol):
    """HTTP/1.1 with an end to waiting for the head of a request, and to its length.

    Where there are too many connections, the one that has waited longest for its client (without a request, with one
    whose body is still on its way, or with an answer that is not read) makes room for the new one.
    """

    patience = 15.0
    """Seconds. A connection is closed when no request began for once to twice this time."""
    most = 1000
    """Connections at once."""
    lines, head = 100, 16 << 10
    """Headers of a request, and their bytes."""
    open: ClassVar[dict[IdleTimeoutProtocol, None]] = {}
    """All of this process, the oldest first."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Look at it after a while, and make room for it."""
        super().connection_made(transport)
        self.open[self] = None
        if len(self.open) > self.most:
            for other in self.open:
                if other is not self and (other.waits or other.unread):
                    other.cut()
                    del self.open[other]
                    break
        self.loop.call_later(self.patience, self._look, None, 0)

    def handle_events(self) -> None:
        """Look at a head before it is read, which takes long where it has thousands of lines."""
        if self.conn.their_state is h11.IDLE:
            waiting = self.conn.trailing_data[0]
            found = _END.search(waiting)
            end = len(waiting) if found is None else found.start()
            if end > self.head or waiting.count(b"\n", 0, end) > self.lines:
                self.send_400_response(f"A request has {self.lines} headers of {self.head:,} bytes at most.")
                return
        super().handle_events()

    def send_400_response(self, msg: str) -> None:
        """What is not HTTP gets a problem document too, and the connection ends."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            body = problem(400, msg)
            headers = [
                (b"content-type", b"application/problem+json"), (b"content-length", str(len(body)).encode()),
                (b"cache-control", b"no-store"), (b"connection", b"close"),
            ]  # fmt: skip
            for event in (h11.Response(status_code=400, headers=headers), h11.Data(data=body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def eof_received(self) -> bool:  # type: ignore[override]
        """Who asked, and says that there is nothing more to come, gets the answer all the same."""
        if self.waits:
            return False
        self.cycle.keep_alive = False
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Its place is free."""
        self.open.pop(self, None)
        super().connection_lost(exc)

    @property
    def waits(self) -> bool:
        """Whether the client has to send something before there is anything to do."""
        cycle = self.cycle
        return cycle is None or cycle.response_complete or cycle.more_body

    @property
    def unread(self) -> int:
        """Bytes that wait here until the client reads."""
        return int(self.transport.get_write_buffer_size())

    def cut(self) -> None:
        """End at once; what was not read is dropped here and by the system."""
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
        self.transport.abort()

    def _look(self, before: Any, unread: int) -> None:
        if self not in self.open:
            return
        ended = self.cycle is None or self.cycle.response_complete
        if unread and unread == self.unread and (ended or self.transport.is_closing()):
            self.cut()  # nothing of it was read since the last look, and closing waits for that
        elif self.cycle is before and ended and not self.unread:
            self.transport.close()
        self.loop.call_later(self.patience, self._look, self.cycle, self.unread)
