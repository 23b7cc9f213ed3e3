"""Connections are taken in by what they ask for, and by whether they are still there."""

from __future__ import annotations

import asyncio
import socket

import pytest

from cofactor.serve.connections.door import Door
from serve_tools import saved, serving

HEALTH = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"


def taken_in(clients, most=1000, crowded=lambda ahead: False):
    """What the connections asked for that were made, in order. Each client is (what it sends, what it does then)."""
    made = []

    async def connect(one):
        one.setblocking(False)
        try:
            made.append(one.recv(1000))
        except BlockingIOError:
            made.append(None)
        one.close()

    async def main():
        with socket.create_server(("127.0.0.1", 0), backlog=500) as listener:
            listener.setblocking(False)
            held = []
            for sends, then in clients:
                one = socket.create_connection(listener.getsockname())
                one.sendall(sends)
                if then == "close":
                    one.close()
                elif then == "end":
                    one.shutdown(socket.SHUT_WR)
                held.append(one)
            door = Door(listener, connect, most, crowded)
            await asyncio.sleep(0.3)
            door.close()
            asyncio.get_running_loop().remove_reader(listener.fileno())
            for one in held:
                one.close()

    asyncio.run(main())
    return made


def test_who_asks_for_the_health_goes_first_and_who_is_gone_costs_nothing():
    made = taken_in([*[(b"", "close")] * 100, *[(b"GET /a", "wait")] * 50, *[(b"GET /b", "end")] * 5, (HEALTH, "wait")])
    assert len(made) == 56
    assert HEALTH in made[:20]  # it is the last that came
    assert made.count(b"GET /b") == 5
    assert made[:8].count(b"GET /b") <= 2


def test_who_sends_nothing_yet_is_taken_in_too():
    assert taken_in([(b"", "wait"), (HEALTH, "end")]) in ([None, HEALTH], [HEALTH, None])


def test_no_more_wait_than_may():
    made = taken_in([(b"GET /a", "wait")] * 200, most=20)
    assert 20 <= len(made) < 200


def test_while_it_is_crowded_only_those_who_ask_for_the_health_come_in():
    many = [*[(b"GET /a", "wait")] * 30, *[(b"GET /b", "end")] * 30, *[(HEALTH, "wait")] * 3]
    assert taken_in(many, crowded=lambda ahead: True) == [HEALTH] * 3


MANY = b"GET /m HTTP/1.1\r\nHost: localhost\r\n\r\n" * 3


def test_who_sends_many_requests_at_once_waits_behind_who_sends_one():
    made = taken_in([*[(MANY, "wait")] * 60, *[(b"GET /a HTTP/1.1\r\n", "wait")] * 20])
    assert (made.count(MANY), len(made)) == (60, 80)
    assert made[:40].count(b"GET /a HTTP/1.1\r\n") >= 15
    there = taken_in([*[(MANY, "wait")] * 60, (b"GET /a", "wait")], crowded=lambda ahead: ahead)
    assert there == [b"GET /a"]


def test_no_rank_waits_for_ever():
    """Of each three that come in one has ended, and one asks something else, however many ask for the health."""
    made = taken_in([*[(HEALTH, "wait")] * 200, *[(b"GET /a", "wait")] * 20, *[(b"GET /b", "end")] * 20])
    assert made.count(b"GET /a") == made.count(b"GET /b") == 20
    assert made[:160].count(b"GET /a") + made[:160].count(b"GET /b") >= 35


def test_without_descriptors_it_goes_on_after_a_while(monkeypatch, caplog):
    monkeypatch.setattr("cofactor.serve.connections.door._PAUSE", 0.05)
    real, fails = socket.socket.accept, [OSError(24, "Too many open files")]

    def accept(self):
        if fails:
            raise fails.pop()
        return real(self)

    monkeypatch.setattr(socket.socket, "accept", accept)
    assert taken_in([(HEALTH, "wait")]) == [HEALTH]
    assert "Too many open files" in caplog.text


@pytest.mark.parametrize("ends", [False, True])
def test_a_server_answers_behind_its_door(tmp_path, ends):
    with serving(saved(tmp_path, "bias"), read_only=True) as (port, _):
        for _ in range(3):
            with socket.create_connection(("127.0.0.1", port), timeout=10) as one:
                one.sendall(HEALTH)
                if ends:
                    one.shutdown(socket.SHUT_WR)
                assert one.recv(1000).endswith(b'{"status":"ok"}')
