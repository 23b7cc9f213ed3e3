"""The HTTP protocol of the server: connections take turns, and idle ones are closed, since each holds a descriptor."""

from __future__ import annotations

import asyncio
import itertools
import re
import socket
import struct
from typing import Any, ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from cofactor.serve.connections.chunks import LimitedChunks
from cofactor.serve.connections.door import VERSION
from cofactor.serve.connections.turns import AHEAD, FIRST, LATER, Rounds, Turns
from cofactor.serve.guard.refused import problem

_END = re.compile(rb"\n\r?\n")
_EMPTY = re.compile(rb"(?:\r?\n)*")
"""Lines that a server passes over where a request may begin (RFC 9112, 2.2): some clients send one after a body."""
_FOLD = re.compile(rb"\n[ \t]")
"""A header continued on the next line (obsolete since RFC 7230); a proxy may read the line as another header."""
_HEALTH = re.compile(rb"(GET|HEAD) /health[ ?]")
_LENGTH = re.compile(rb"\ncontent-length:[ \t]*([0-9]{1,5})[ \t\r\n]", re.IGNORECASE)
_EXPECT = re.compile(rb"\nexpect:", re.IGNORECASE)
READS = 8
"""Number of connections read in one iteration of the event loop."""
_AT_ONCE = struct.pack("ii", 1, 0)


class _Joining:
    """A transport that joins the head of an answer and the data that follows at once, since each write costs a system
    call and wakes the client."""

    __slots__ = ("_head", "_loop", "_transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop, self._head = transport, loop, b""

    def write(self, data: bytes) -> None:
        """Send data, or hold a head until the next write or the next iteration of the event loop."""
        if self._head:
            data, self._head = self._head + data, b""
        elif data.startswith(b"HTTP/1.1 ") and data.endswith(b"\r\n\r\n"):
            self._head = data
            self._loop.call_soon(self.flush)
            return
        self._transport.write(data)

    def flush(self) -> None:
        """Send a held head."""
        if self._head:
            self.write(b"")

    def close(self) -> None:
        """Send a held head, and close the connection."""
        self.flush()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class IdleTimeoutProtocol(H11Protocol):
    """HTTP/1.1 with limits on the length of a request's head and on the wait for it.

    When there are too many connections, a new one replaces one that waits for its client (for a request, for the rest
    of a body, or for an answer to be read), or else one that waits for its turn.
    """

    patience = 15.0
    """Timeout in seconds. A connection is closed when no request has begun for one to two times this long."""
    most, looks = 1000, 8
    """Most connections at once, and the number of connections examined to choose one for replacement."""
    lines, head = 100, 16 << 10
    """Most headers of a request, and their bytes."""
    body = 1 << 20
    """Most bytes of a chunk of a body."""
    piece, ahead = 16 << 10, 64 << 10
    """Bytes read at once, and bytes read while a request waits for its turn. (asyncio's default of 256 KB holds many
    requests, which would be searched and copied for each of them.)"""
    moment = 0.02
    """Seconds that the head of a request waits for its body, which most clients send separately. A request that begins
    with its body does not wait later."""
    open: ClassVar[dict[IdleTimeoutProtocol, None]] = {}
    """All connections of this process, in order of their last examination, the oldest first."""
    turns: ClassVar[Turns[IdleTimeoutProtocol]]
    reads: ClassVar[Rounds[IdleTimeoutProtocol]]
    """Requests waiting to begin, and connections waiting to be read."""
    in_line = ended = last = waited = early = False
    """Whether a request waits for its turn; whether the client will send no more; whether we end after that request;
    whether the next request has waited for its body; whether it came before the last answer."""
    conn: LimitedChunks
    holding: asyncio.TimerHandle | None = None
    """The timer that ends the wait for a body."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Register the connection, make room for it, and start its timeout."""
        super().connection_made(transport)
        self.conn = LimitedChunks(self.head, self.body)
        transport.max_size = self.piece  # type: ignore[attr-defined]
        self.transport = _Joining(transport, self.loop)  # type: ignore[assignment]
        self.open[self] = None
        if len(self.open) > self.most:
            self._make_room()
        self.loop.call_later(self.patience, self._look, None, 0)

    def data_received(self, data: bytes) -> None:
        """Process received data; where many connections were read in this iteration, pause reading."""
        super().data_received(data)
        if not self.reads.take(self, self.loop):
            self.transport.pause_reading()

    def read_on(self) -> None:
        """Resume reading."""
        if not self.flow.read_paused:
            self.transport.resume_reading()

    def _make_room(self) -> None:
        """Close a connection to make room.

        Only a few connections are examined, those examined longest ago: examining all of them for each new connection
        would cost more than answering it.
        """
        for other in list(itertools.islice(self.open, self.looks)):
            if other is not self and (other.waits or other.unread):
                other.cut()
                return
            self.open[other] = self.open.pop(other)
        self.turns.make_room()

    def handle_events(self) -> None:
        """Check a head before h11 parses it, which is slow for thousands of lines, and wait for a turn."""
        if self.conn.their_state is h11.IDLE:
            if self.in_line:
                if len(self.conn.trailing_data[0]) > self.ahead:
                    self.flow.pause_reading()
                return
            waiting = self._after_empty_lines()
            if waiting == b"\r" and not self.ended:  # the rest of another one comes
                return
            found = _END.search(waiting)
            end = len(waiting) if found is None else found.start()
            if end > self.head or waiting.count(b"\n", 0, end) > self.lines:
                self.send_400_response(f"A request may have at most {self.lines} headers of {self.head:,} bytes.")
                return
            if _FOLD.search(waiting, 0, end):
                self.send_400_response("A header must be on one line.")
                return
            if found is not None and not (self.waited or self.ended) and self._lacks_body(waiting, found):
                if self.holding is None:
                    self.holding = self.loop.call_later(self.moment, self._enough)
                return
            self._release()
            if found is None and self.ended:  # all requests are answered
                self.transport.close()
                return
            first = _HEALTH.match(waiting) and self.cycle is None
            if found is not None and not first and not self.turns.take(self, self.loop, self._line(waiting, found)):
                self.in_line = True
                return
            self.waited = False
        self._go_on()

    def on_response_complete(self) -> None:
        """Continue with the bytes that came meanwhile; their client did not wait for the answer."""
        self.early = True
        super().on_response_complete()
        self.early = False

    def _line(self, waiting: bytes, found: re.Match[bytes]) -> int:
        """Return the line of :class:`Turns` for the request that ends with ``found``."""
        if self.early or waiting.find(VERSION, found.end()) >= 0:
            return AHEAD
        return FIRST if self.cycle is None else LATER

    def _after_empty_lines(self) -> bytes:
        """Return the bytes that h11 has not parsed yet, without leading empty lines, which are dropped."""
        waiting = self.conn.trailing_data[0]
        empty = _EMPTY.match(waiting)
        if empty is None or not empty.end():
            return waiting
        self.conn._receive_buffer.maybe_extract_at_most(empty.end())
        return waiting[empty.end() :]

    def _go_on(self) -> None:
        super().handle_events()
        if self.ended and self.cycle is not None and self.cycle.more_body and not self.cycle.response_complete:
            self.transport.close()  # the rest of the body will not come

    def _lacks_body(self, waiting: bytes, found: re.Match[bytes]) -> bool:
        """Return whether a short body is announced and has not fully arrived."""
        length = _LENGTH.search(waiting, 0, found.end())
        if length is None or _EXPECT.search(waiting, 0, found.end()):  # with Expect, the client waits for us
            return False
        return len(waiting) - found.end() < int(length[1]) <= self.ahead

    def _release(self) -> None:
        if self.holding is not None:
            self.holding.cancel()
            self.holding = None

    def _enough(self) -> None:
        """Begin the request without the rest of its body."""
        self.holding, self.waited = None, True
        if self in self.open and not self.transport.is_closing():
            self.handle_events()

    def begin(self) -> None:
        """Begin the waiting request: its turn has come."""
        self.in_line = self.waited = False
        if self not in self.open or self.transport.is_closing():
            return
        self._go_on()
        if self.last and self.cycle is not None:
            self.cycle.keep_alive = False

    def shutdown(self) -> None:
        """Answer the pending requests, since the server is shutting down."""
        if self.holding is not None:
            self._release()
            self._enough()
        if self.in_line:
            self.last = True
        else:
            super().shutdown()

    def send_400_response(self, msg: str) -> None:
        """Answer invalid HTTP with a problem document, and close the connection."""
        status = 400
        if self.conn.too_long:
            status, msg = 413, f"the body of a request may have at most {self.body:,} bytes"
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            body = problem(status, msg)
            headers = [
                (b"content-type", b"application/problem+json"), (b"content-length", str(len(body)).encode()),
                (b"cache-control", b"no-store"), (b"connection", b"close"),
            ]  # fmt: skip
            for event in (h11.Response(status_code=status, headers=headers), h11.Data(data=body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def eof_received(self) -> bool:  # type: ignore[override]
        """Note that the client has stopped sending; it still gets all answers."""
        self.ended = True
        if self.holding is not None:
            self._release()
            self._enough()
        return not self.waits

    def _unsupported_upgrade_warning(self) -> None:
        """Ignore upgrade requests without a log line, since any client could fill the log with them."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Free the place of the connection."""
        self.open.pop(self, None)
        self._release()
        super().connection_lost(exc)

    @property
    def waits(self) -> bool:
        """Whether the server waits for the client to send something."""
        cycle = self.cycle
        if self.in_line:
            return False
        return cycle is None or cycle.response_complete or cycle.more_body

    @property
    def unread(self) -> int:
        """Bytes in the write buffer, which the client has not read."""
        return int(self.transport.get_write_buffer_size())

    def cut(self) -> bool:
        """Close at once and drop unread data, here and in the system; return whether the connection was open."""
        if self not in self.open:
            return False
        del self.open[self]
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
        self.transport.abort()
        return True

    def _look(self, before: Any, unread: int) -> None:
        if self not in self.open:
            return
        ended = not self.in_line and (self.cycle is None or self.cycle.response_complete)
        if unread and unread == self.unread and (ended or self.transport.is_closing()):
            self.cut()  # the client has read nothing since the last check, and a normal close would wait for it
        elif self.cycle is before and ended and not self.unread:
            self.transport.close()
        self.loop.call_later(self.patience, self._look, self.cycle, self.unread)


def protocol_of(most: int, body: int) -> type[IdleTimeoutProtocol]:
    """Return the protocol class of one server; it holds the connections of that server, at most ``most``. A body has at
    most ``body`` bytes."""
    shared = {
        "most": most,
        "body": body,
        "open": {},
        "turns": Turns(IdleTimeoutProtocol.begin),
        "reads": Rounds(READS, IdleTimeoutProtocol.read_on),
    }
    return type("Protocol", (IdleTimeoutProtocol,), shared)
