"""Clients that are slow in every way, many at once: the others are answered, and memory has a bound."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import select
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from cofactor.serve import Settings, create_app
from cofactor.serve.guard.begun import Begun
from cofactor.serve.guard.budget import Budget
from cofactor.serve.guard.middleware import Guard
from cofactor.serve.guard.reply import PIECE
from cofactor.serve.http.routes import ROUTES
from holdup import attacked, best_of, held_up
from serve_tools import said, saved, serving, waited

HEALTH = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
HEAD = b"Host: localhost\r\nContent-Type: application/json\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server in a process of its own, of which the connections are few; its port and process."""
    folder = tmp_path_factory.mktemp("slow")
    command = [sys.executable, "-m", "cofactor", "serve", str(saved(folder, "als", n_users=400)), "--port", "0"]
    command += ["--state", str(folder / "s"), "--max-connections", "150", "--body-seconds", "2", "--max-requests", "8"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        found = (re.search(r"at http://.*?:(\d+)", line) for line in process.stdout)
        yield next(int(one[1]) for one in found if one), process.pid
        process.terminate()


def half_heads():
    return [f"{one.method} {one.path} HTTP/1.1\r\nHost: local".encode() for one in ROUTES]


def half_bodies():
    return [
        b"POST %s HTTP/1.1\r\n%sContent-Length: 1000000\r\n\r\n%s" % (one.path.encode(), HEAD, b"[" * 999_000)
        for one in ROUTES
        if one.body is not None
    ]


def small_bodies():
    return [
        b"POST %s HTTP/1.1\r\n%sTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n" % (one.path.encode(), HEAD)
        for one in ROUTES
        if one.body is not None
    ]


def unread():
    """Answers of some hundred KB each that nobody reads."""
    body = json.dumps({"users": list(range(1, 101)), "n": 25, "seen": True}).encode()
    return [b"POST /v1/recommend-many HTTP/1.1\r\n%sContent-Length: %d\r\n\r\n%s" % (HEAD, len(body), body)]


WAYS = {"half heads": half_heads, "half bodies": half_bodies, "small bodies": small_bodies, "unread answers": unread}


@pytest.mark.clock
@pytest.mark.parametrize("way", WAYS)
def test_health_is_answered_within_50_ms_whoever_is_slow(server, way):
    (port, process), starts = server, WAYS[way]()

    def under_attack():
        with contextlib.ExitStack() as held:
            for k in range(200):  # more than there may be
                sock = socket.socket()
                held.callback(sock.close)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                sock.settimeout(0.5)
                with contextlib.suppress(OSError):
                    sock.connect(("127.0.0.1", port))
                    sock.sendall(starts[k % len(starts)])
            found = held_up(port, process)
            ask = b"GET /v1/recommend?user=7 HTTP/1.1\r\nHost: localhost\r\n\r\n"
            waited(lambda: said(port, ask)[0] == 200, 10)
            ask = b'{"user": 5, "n": 3}'
            ask = b"POST /v1/recommend HTTP/1.1\r\n%sContent-Length: %d\r\n\r\n%s" % (HEAD, len(ask), ask)
            waited(lambda: said(port, ask)[0] == 200, 10)
        return found

    held = best_of(under_attack)
    assert held.seconds < 0.05, str(held)


@pytest.mark.parametrize("way", ["leaving", "pipelined"])
def test_connections_have_a_bound_also_where_none_waits_for_its_client(server, way):
    """Each asks, and is gone or asks again before it has its answer: none of them could be closed for nothing."""
    port, process = server
    ask, most = b"GET /v1/recommend?user=7 HTTP/1.1\r\nHost: localhost\r\n\r\n", 0

    def answered():
        with contextlib.suppress(ConnectionError):
            return said(port, ask)[0] == 200

    with attacked(port, ask, clients={"leaving": 4, "pipelined": 400}[way], way=way):
        for _ in range(20):
            select.select([], [], [], 0.05)
            most = max(most, len(list(Path(f"/proc/{process}/fd").iterdir())))
        assert said(port, HEALTH)[0] == 200
        if way == "leaving":
            waited(answered, 10)
    waited(answered, 10)
    assert most <= 2 * 150 + 50  # those inside, and those that wait


def test_who_does_not_read_an_answer_holds_no_place_and_little_memory(tmp_path):
    """A place is for work; an answer leaves in pieces, as the client takes them."""
    sizes, going = [], asyncio.Event()

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": bytes(10 * PIECE)})

    async def send(message):
        sizes.append(len(message.get("body", b"")))
        if message["type"] == "http.response.body":
            await going.wait()

    async def receive():
        return {"type": "http.disconnect"}

    async def ask(guard):
        scope = {"type": "http", "method": "GET", "path": "/v1/info", "headers": [(b"host", b"localhost")]}
        await guard(scope, receive, send)

    async def crowd():
        guard = Guard(app, Settings(tmp_path / "m", max_requests=2))
        tasks = [asyncio.create_task(ask(guard)) for _ in range(20)]
        await asyncio.sleep(0.05)
        assert guard.inside == 0
        assert (guard.answers.used, max(sizes)) == (20 * 10 * PIECE, PIECE)
        going.set()
        await asyncio.gather(*tasks)
        assert (guard.answers.used, sum(sizes)) == (0, 20 * 10 * PIECE)

    asyncio.run(crowd())


def test_a_budget_makes_the_largest_end():
    async def hold(budget, size, ended):
        try:
            async with asyncio.timeout(10) as end:
                budget.take(end, size)
                await asyncio.sleep(0.2)
        except TimeoutError:
            ended.append(size)
        finally:
            budget.give_back(end)

    async def all_of(sizes):
        budget, ended = Budget(100), []
        await asyncio.gather(*(hold(budget, size, ended) for size in sizes))
        assert budget.used == 0
        return ended

    assert asyncio.run(all_of([30, 30, 40])) == []
    assert asyncio.run(all_of([10, 50, 40, 1])) == [50]
    assert sorted(asyncio.run(all_of([40, 41, 1, 20, 50]))) == [41, 50]
    assert asyncio.run(all_of([150, 1])) == [150]
    assert asyncio.run(all_of([60, 60, 60, 60])) == [60, 60, 60]


def test_bodies_that_wait_make_room_for_one_that_comes(tmp_path):
    """Each of many clients sends all of a large body but its end: small ones are taken all the same."""
    statuses = []

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def ask(guard, size, ends):
        pieces = [bytes(size // 2)] * 2

        async def receive():
            if pieces:
                return {"type": "http.request", "body": pieces.pop(), "more_body": bool(pieces) or not ends}
            await asyncio.sleep(60)

        async def send(message):
            if message["type"] == "http.response.start":
                statuses.append((size, message["status"], dict(message["headers"]).get(b"retry-after")))

        headers = [(b"host", b"localhost"), (b"content-type", b"application/json"), (b"content-length", b"9")]
        scope = {"type": "http", "method": "POST", "path": "/v1/recommend", "headers": headers}
        await guard(scope, receive, send)

    async def crowd():
        guard = Guard(app, Settings(tmp_path / "m", max_body=1024, body_seconds=0.5))
        guard.bodies.most = 5000
        await asyncio.gather(*(ask(guard, 900, False) for _ in range(20)), *(ask(guard, 10, True) for _ in range(20)))
        assert guard.bodies.used == 0

    asyncio.run(crowd())
    assert [one for one in statuses if one[0] == 10] == [(10, 200, None)] * 20
    assert {one[1:] for one in statuses if one[0] == 900} == {(503, b"1"), (408, None)}


def test_a_connection_whose_answer_is_not_read_ends(tmp_path, monkeypatch):
    """Closing waits until all is read; one that reads nothing is cut."""
    from cofactor.serve.connections.idle_timeout import IdleTimeoutProtocol

    monkeypatch.setattr(IdleTimeoutProtocol, "patience", 0.1)
    monkeypatch.setattr("cofactor.serve.guard.reply.SEND_SECONDS", 0.3)
    monkeypatch.setattr("cofactor.serve.guard.reply.BYTES_A_SECOND", 1 << 20)
    with serving(saved(tmp_path, "als", n_users=400)) as (port, _), socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        sock.connect(("127.0.0.1", port))
        sock.sendall(unread()[0] * 8)
        ended = select.poll()
        ended.register(sock, select.POLLHUP | select.POLLERR)
        assert ended.poll(20_000)


def test_a_coroutine_that_is_begun_ends_as_it_would_by_itself():
    """Whether it waits or not, gives a value or an error, or is cancelled."""

    async def of(waits, fails=False):
        for _ in range(waits):
            await asyncio.sleep(0)
        if fails:
            raise ValueError(waits)
        return waits

    async def cancelled():
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            raise

    async def main():
        for waits in range(3):
            begun = Begun(of(waits))
            assert begun.done == (waits == 0)
            assert await begun == waits
        with pytest.raises(ValueError, match="0"):
            Begun(of(0, fails=True))
        with pytest.raises(ValueError, match="2"):
            await Begun(of(2, fails=True))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await Begun(cancelled())

    asyncio.run(main())


BODY = json.dumps({"history": [{"item": 101, "rating": 4}]}).encode()
LIST = b"POST /v1/recommend HTTP/1.1\r\n" + HEAD + b"Content-Length: %d\r\n%s\r\n"


def test_a_body_may_come_in_any_pieces(tmp_path):
    """In one piece with its head or apart, byte by byte, late, followed by other requests, never, or when asked for."""
    with serving(saved(tmp_path), body_seconds=1.0, state=tmp_path / "s") as (port, _):
        whole = LIST % (len(BODY), b"") + BODY
        ways = [[whole], [whole[: -len(BODY)], BODY], [whole[:-1], whole[-1:]], [whole[i : i + 1] for i in range(300)]]
        ways[-1].append(whole[300:])
        ways.append([whole + whole + HEALTH[:20], HEALTH[20:]])
        for way in ways:
            for pause in (0.0, 0.03):
                with socket.create_connection(("127.0.0.1", port), 10) as one:
                    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    for at, piece in enumerate(way):
                        one.sendall(piece)
                        select.select([], [], [], pause if at < 3 else 0)
                    wanted, found = 1 if way is not ways[-1] else 3, b""
                    while found.count(b"HTTP/1.1 ") < wanted and (more := one.recv(65536)):
                        found += more
                    assert found.count(b"HTTP/1.1 200") == wanted, (way, found)
        assert said(port, LIST % (len(BODY), b"") + BODY[:-1])[0] == 408
        with socket.create_connection(("127.0.0.1", port), 10) as one:
            one.sendall(LIST % (len(BODY), b"Expect: 100-continue\r\n"))
            assert one.recv(1000).startswith(b"HTTP/1.1 100")
            one.sendall(BODY)
            assert one.recv(1000).startswith(b"HTTP/1.1 200")


def test_a_request_begins_with_its_whole_body(tmp_path):
    """A head waits a moment for a short body, so that nothing waits for it later."""
    begun = []
    bundle = saved(tmp_path)
    app = create_app(Settings(bundle, watch=False, state=tmp_path / "s"))

    async def looked(scope, receive, send):
        if scope["type"] == "http":
            first = Begun(receive())
            begun.append(first.done and not first.value.get("more_body"))

            async def again():
                return await first if not first.done else first.value

            await app(scope, again, send)
        else:
            await app(scope, receive, send)

    looked.state = app.state
    with (
        serving(bundle, app=looked, state=tmp_path / "s") as (port, _),
        socket.create_connection(("127.0.0.1", port)) as one,
    ):
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(5):
            one.sendall(LIST % (len(BODY), b""))
            select.select([], [], [], 0.002)
            one.sendall(BODY)
            assert one.recv(100_000).startswith(b"HTTP/1.1 200")
    assert all(begun), begun
