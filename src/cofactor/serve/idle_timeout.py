"""Connections take turns, and those on which nothing is asked are closed: each holds a descriptor."""

from __future__ import annotations

import asyncio
import itertools
import re
import socket
import struct
from typing import Any, ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from cofactor.serve.door import VERSION
from cofactor.serve.middleware import problem
from cofactor.serve.turns import AHEAD, FIRST, LATER, Rounds, Turns

_END = re.compile(rb"\n\r?\n")
_EMPTY = re.compile(rb"(?:\r?\n)*")
"""Lines that a server passes over where a request may begin (RFC 9112, 2.2): some clients send one after a body."""
_FOLD = re.compile(rb"\n[ \t]")
"""A header that goes on in the next line (obsolete since RFC 7230): a proxy may read that as another one."""
_HEALTH = re.compile(rb"(GET|HEAD) /health[ ?]")
_LENGTH = re.compile(rb"\ncontent-length:[ \t]*([0-9]{1,5})[ \t\r\n]", re.IGNORECASE)
_EXPECT = re.compile(rb"\nexpect:", re.IGNORECASE)
READS = 8
"""Connections that are read in one round of the event loop."""
_AT_ONCE = struct.pack("ii", 1, 0)


class _Joining:
    """A transport that sends the head of an answer and what follows at once in one piece: each costs a system call, and
    wakes the client."""

    __slots__ = ("_head", "_loop", "_transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop, self._head = transport, loop, b""

    def write(self, data: bytes) -> None:
        """Send, or keep a head until the next piece, or the next round of the event loop."""
        if self._head:
            data, self._head = self._head + data, b""
        elif data.startswith(b"HTTP/1.1 ") and data.endswith(b"\r\n\r\n"):
            self._head = data
            self._loop.call_soon(self.flush)
            return
        self._transport.write(data)

    def flush(self) -> None:
        """Send a head that is kept."""
        if self._head:
            self.write(b"")

    def close(self) -> None:
        """Send all, and close."""
        self.flush()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class IdleTimeoutProtocol(H11Protocol):
    """HTTP/1.1 with an end to waiting for the head of a request, and to its length.

    Where there are too many connections, one that waits for its client (without a request, with one whose body is
    still on its way, or with an answer that is not read) makes room for the new one, else one that waits for its turn.
    """

    patience = 15.0
    """Seconds. A connection is closed when no request began for once to twice this time."""
    most, looks = 1000, 8
    """Connections at once; of how many one is chosen that makes room."""
    lines, head = 100, 16 << 10
    """Headers of a request, and their bytes."""
    piece, ahead = 16 << 10, 64 << 10
    """Bytes that are read at once (by itself asyncio reads 256 KB: many requests that are looked through, and copied,
    for each of them), and while a request waits for its turn."""
    moment = 0.02
    """Seconds that the head of a request waits for its body, which most clients send in a piece of its own: a request
    that begins with all of it waits for nothing later."""
    open: ClassVar[dict[IdleTimeoutProtocol, None]] = {}
    """All of this process, those first that were looked at the longest time ago."""
    turns: ClassVar[Turns[IdleTimeoutProtocol]]
    reads: ClassVar[Rounds[IdleTimeoutProtocol]]
    """Requests that wait to begin, and connections that wait to be read."""
    in_line = ended = last = waited = early = False
    """Whether a request waits for its turn; whether the client will send no more; whether we end after that request;
    whether the next request has waited for its body; whether it came before the last answer."""
    holding: asyncio.TimerHandle | None = None
    """Ends that wait."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Look at it after a while, and make room for it."""
        super().connection_made(transport)
        transport.max_size = self.piece  # type: ignore[attr-defined]
        self.transport = _Joining(transport, self.loop)  # type: ignore[assignment]
        self.open[self] = None
        if len(self.open) > self.most:
            self._make_room()
        self.loop.call_later(self.patience, self._look, None, 0)

    def data_received(self, data: bytes) -> None:
        """Take in a piece; where many others came in this round, the next one waits."""
        super().data_received(data)
        if not self.reads.take(self, self.loop):
            self.transport.pause_reading()

    def read_on(self) -> None:
        """It may be read again."""
        if not self.flow.read_paused:
            self.transport.resume_reading()

    def _make_room(self) -> None:
        """End a connection. A few are looked at, those that were not looked at for the longest time: to look at all of
        them for each that comes costs more than to answer it."""
        for other in list(itertools.islice(self.open, self.looks)):
            if other is not self and (other.waits or other.unread):
                other.cut()
                return
            self.open[other] = self.open.pop(other)
        self.turns.make_room()

    def handle_events(self) -> None:
        """Look at a head before it is read, which takes long where it has thousands of lines, and wait for a turn."""
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
                self.send_400_response(f"A request has {self.lines} headers of {self.head:,} bytes at most.")
                return
            if _FOLD.search(waiting, 0, end):
                self.send_400_response("A header is one line.")
                return
            if found is not None and not (self.waited or self.ended) and self._lacks_body(waiting, found):
                if self.holding is None:
                    self.holding = self.loop.call_later(self.moment, self._enough)
                return
            self._release()
            if found is None and self.ended:  # all that was asked is answered
                self.transport.close()
                return
            first = _HEALTH.match(waiting) and self.cycle is None
            if found is not None and not first and not self.turns.take(self, self.loop, self._line(waiting, found)):
                self.in_line = True
                return
            self.waited = False
        self._go_on()

    def on_response_complete(self) -> None:
        """Go on with what came meanwhile: whoever sent it did not wait for the answer."""
        self.early = True
        super().on_response_complete()
        self.early = False

    def _line(self, waiting: bytes, found: re.Match[bytes]) -> int:
        """In which line the request waits that ends with ``found``; see :class:`cofactor.serve.turns.Turns`."""
        if self.early or waiting.find(VERSION, found.end()) >= 0:
            return AHEAD
        return FIRST if self.cycle is None else LATER

    def _after_empty_lines(self) -> bytes:
        """What came and is not read yet; empty lines at its head are dropped."""
        waiting = self.conn.trailing_data[0]
        empty = _EMPTY.match(waiting)
        if empty is None or not empty.end():
            return waiting
        self.conn._receive_buffer.maybe_extract_at_most(empty.end())
        return waiting[empty.end() :]

    def _go_on(self) -> None:
        super().handle_events()
        if self.ended and self.cycle is not None and self.cycle.more_body and not self.cycle.response_complete:
            self.transport.close()  # the rest of the body does not come

    def _lacks_body(self, waiting: bytes, found: re.Match[bytes]) -> bool:
        """Whether a short body is announced, and not all of it is there."""
        length = _LENGTH.search(waiting, 0, found.end())
        if length is None or _EXPECT.search(waiting, 0, found.end()):  # that one waits for us
            return False
        return len(waiting) - found.end() < int(length[1]) <= self.ahead

    def _release(self) -> None:
        if self.holding is not None:
            self.holding.cancel()
            self.holding = None

    def _enough(self) -> None:
        """The request begins without the rest of its body."""
        self.holding, self.waited = None, True
        if self in self.open and not self.transport.is_closing():
            self.handle_events()

    def begin(self) -> None:
        """It is the turn of the request that waits."""
        self.in_line = self.waited = False
        if self not in self.open or self.transport.is_closing():
            return
        self._go_on()
        if self.last and self.cycle is not None:
            self.cycle.keep_alive = False

    def shutdown(self) -> None:
        """The server ends; what was asked is answered."""
        if self.holding is not None:
            self._release()
            self._enough()
        if self.in_line:
            self.last = True
        else:
            super().shutdown()

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
        """Who asked, and says that there is nothing more to come, gets all answers all the same."""
        self.ended = True
        if self.holding is not None:
            self._release()
            self._enough()
        return not self.waits

    def _unsupported_upgrade_warning(self) -> None:
        """Whoever asks for another protocol goes on in this one; anybody could fill the log with it."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Its place is free."""
        self.open.pop(self, None)
        self._release()
        super().connection_lost(exc)

    @property
    def waits(self) -> bool:
        """Whether the client has to send something before there is anything to do."""
        cycle = self.cycle
        if self.in_line:
            return False
        return cycle is None or cycle.response_complete or cycle.more_body

    @property
    def unread(self) -> int:
        """Bytes that wait here until the client reads."""
        return int(self.transport.get_write_buffer_size())

    def cut(self) -> bool:
        """End at once; what was not read is dropped here and by the system. Whether it was open."""
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
            self.cut()  # nothing of it was read since the last look, and closing waits for that
        elif self.cycle is before and ended and not self.unread:
            self.transport.close()
        self.loop.call_later(self.patience, self._look, self.cycle, self.unread)


def protocol_of(most: int) -> type[IdleTimeoutProtocol]:
    """The protocol of one server, which knows the connections of this server."""
    shared = {
        "most": most,
        "open": {},
        "turns": Turns(IdleTimeoutProtocol.begin),
        "reads": Rounds(READS, IdleTimeoutProtocol.read_on),
    }
    return type("Protocol", (IdleTimeoutProtocol,), shared)
