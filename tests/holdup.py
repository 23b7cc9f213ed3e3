"""Measure how long an attacked server delays ``/health``, separately from delays by other work of the machine.

As a program this module attacks: ``holdup.py PORT CLIENTS WAY`` sends what it reads from its input.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import selectors
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

HEALTH = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
CONTROL = """
import socket
with socket.create_server(("127.0.0.1", 0)) as listener:
    print(listener.getsockname()[1], flush=True)
    while True:
        one = listener.accept()[0]
        with one:
            one.recv(65536)
            sum(range(50_000))
            one.sendall(b'{"status":"ok"}')
"""


class Held(NamedTuple):
    """The delay of nine of ten probes in seconds, and how much longer a computation took than at best; see above."""

    busy: float
    idle: float
    noise: float

    @property
    def seconds(self) -> float:
        """Return how long the server delayed a probe, in seconds."""
        return max(self.busy / self.noise, self.idle)

    def __str__(self) -> str:
        return f"busy {1000 * self.busy:.0f} ms, idle {1000 * self.idle:.0f} ms, noise {self.noise:.1f}"


class Used(NamedTuple):
    """The seconds that the threads of a process ran, and waited for a processor."""

    ran: float
    waited: float

    @classmethod
    def by(cls, process: int) -> Used:
        found = []
        for task in Path(f"/proc/{process}/task").iterdir():
            with contextlib.suppress(OSError):  # it ended
                found.append([int(ns) for ns in (task / "schedstat").read_text(encoding="utf-8").split()[:2]])
        return cls(*(sum(column) / 1e9 for column in zip(*found, strict=True)))


def asked(port: int) -> float:
    """Return the seconds until a server has answered."""
    begun = time.perf_counter()
    with socket.create_connection(("127.0.0.1", port), timeout=20) as sock:
        sock.sendall(HEALTH)
        found = b""
        while piece := sock.recv(65536):
            found += piece
    assert found.endswith(b'{"status":"ok"}'), found[:200]
    return time.perf_counter() - begun


def held_up(port: int, process: int, probes: int = 25) -> Held:
    """Measure how long a server delays requests for its health."""
    if not Path("/proc/self/schedstat").exists():
        import pytest

        pytest.skip("this system does not say how long a thread waited for a processor")
    busy, idle, control = [], [], []
    with subprocess.Popen([sys.executable, "-S", "-c", CONTROL], stdout=subprocess.PIPE, text=True) as other:
        try:
            assert other.stdout is not None
            beside = int(other.stdout.readline())
            for _ in range(probes):
                before = Used.by(other.pid)
                asked(beside)
                control.append(Used.by(other.pid).ran - before.ran)
                mine, theirs = Used.by(os.getpid()), Used.by(process)
                took = asked(port)
                ran, waited = Used.by(process)
                busy.append(min(took, ran - theirs.ran))
                others = (ran - theirs.ran) + (waited - theirs.waited) + sum(Used.by(os.getpid())) - sum(mine)
                idle.append(max(0.0, took - others))
                time.sleep(0.02)
        finally:
            other.kill()
    return Held(ninth(busy), ninth(idle), max(1.0, ninth(control) / min(control)))


def best_of(measure: Callable[[], Held], within: float = 0.05, windows: int = 3) -> Held:
    """What was measured in the best of some windows. A fault of the server is there in each of them; what others do
    with this machine for a moment is not."""
    found = measure()
    for _ in range(windows - 1):
        if found.seconds <= within:
            break
        found = min(found, measure(), key=lambda held: held.seconds)
    return found


def ninth(times: list[float]) -> float:
    return sorted(times)[len(times) * 9 // 10]


# ---- the attack


@contextlib.contextmanager
def attacked(port: int, sent: bytes, clients: int = 4, way: str = "waiting"):
    """A server under attack: each of so many clients sends the same again and again, over a new connection each time
    and ``waiting`` for the answer, ``leaving`` at once, or ``pipelined`` over one. It must have answered once."""
    command = [sys.executable, "-S", __file__, str(port), str(clients), way]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(len(sent).to_bytes(8, "big") + sent)
            process.stdin.flush()
            assert process.stdout.read(1) == b"+", "the attack is not answered"
            yield
        finally:
            process.kill()


def _attack(port: int, sent: bytes) -> None:
    """Run one client, with one connection for each request."""
    for turn in itertools.count():
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=20) as sock:
            with contextlib.suppress(ConnectionError):
                sock.sendall(sent)
            while sock.recv(65536):
                pass
        if turn == 0:
            _say()


def _leaving(port: int, sent: bytes) -> None:
    """Run one client that waits for nothing except the first time."""
    asked(port)
    _say()
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=20) as sock:
            sock.sendall(sent)


def _pipelined(port: int, sent: bytes, clients: int) -> None:
    """Open many connections, on which requests follow each other without a pause."""
    chosen, many = selectors.DefaultSelector(), memoryview(sent * 50)

    def begin() -> None:
        sock = socket.create_connection(("127.0.0.1", port))
        sock.setblocking(False)
        chosen.register(sock, selectors.EVENT_READ | selectors.EVENT_WRITE, [0])

    for _ in range(clients):
        begin()
    answered = False
    while True:
        for key, events in chosen.select():
            try:
                if events & selectors.EVENT_READ:
                    if not key.fileobj.recv(1 << 18):
                        raise ConnectionError("closed")
                    if not answered:
                        _say()
                    answered = True
                if events & selectors.EVENT_WRITE:
                    key.data[0] = (key.data[0] + key.fileobj.send(many[key.data[0] :])) % len(many)
            except BlockingIOError:
                pass
            except ConnectionError:  # it made room for another one
                chosen.unregister(key.fileobj)
                key.fileobj.close()
                begin()
        time.sleep(0.001)


def _say() -> None:
    sys.stdout.buffer.write(b"+")
    sys.stdout.buffer.flush()


def main() -> None:
    port, clients = int(sys.argv[1]), int(sys.argv[2])
    sent = sys.stdin.buffer.read(int.from_bytes(sys.stdin.buffer.read(8), "big"))
    if sys.argv[3] == "pipelined":
        _pipelined(port, sent, clients)
    else:
        one = _leaving if sys.argv[3] == "leaving" else _attack
        for _ in range(clients):
            threading.Thread(target=one, args=(port, sent)).start()


if __name__ == "__main__":
    main()
