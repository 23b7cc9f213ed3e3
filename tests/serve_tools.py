"""Shared helpers of the server's tests: a small trained model, and a client of an application in this process."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import contextmanager

import numpy as np
import polars as pl
from starlette.testclient import TestClient

import cofactor as cf
from cofactor.serve import Settings, create_app

TOKEN = "a-token-of-some-length"
NEW = [{"user": 5, "item": 101, "rating": 1.0}, {"user": 999, "item": "Film 3 (1953)", "rating": 5.0}]


def ratings(n_users=40, n_items=25, seed=0, text_ids=False):
    """Return half of all pairs of a small world with two tastes, with times and a table of items."""
    rng = np.random.default_rng(seed)
    users, items = np.nonzero(rng.random((n_users, n_items)) < 0.5)
    likes = (users % 2) == (items % 2)
    values = np.clip(np.round(2.5 + 1.5 * np.where(likes, 1, -1) + rng.normal(0, 0.6, len(users))), 1, 5)
    frame = pl.DataFrame(
        {
            "user": users + 1,
            "item": items + 100,
            "rating": values,
            "time": 1_600_000_000 + rng.integers(0, 10**7, len(users)),
        }
    )
    table = pl.DataFrame(
        {
            "item": np.arange(n_items) + 100,
            "title": [f"Film {i} (19{50 + i})" for i in range(n_items)],
            "year": 1950 + np.arange(n_items),
            "genres": [("Drama|Crime", "Comedy")[i % 2] for i in range(n_items)],
        }
    )
    if text_ids:
        frame = frame.with_columns(pl.col("user", "item").cast(pl.String))
        table = table.with_columns(pl.col("item").cast(pl.String))
    return cf.read(frame, "user", "item", "rating", "time", items=table)


def saved(folder, model="als", name="m.cofactor", **options):
    """Save a bundle of a model of these ratings. Returns its path."""
    place = folder / name
    cf.fit(
        ratings(options.pop("n_users", 40), text_ids=options.pop("text_ids", False)), model=model, seed=0, **options
    ).save(place)
    return place


@contextmanager
def client(bundle, *, raises=True, headers=None, **settings):
    """Return a client of a server that runs in this process; ``client.app.state.live`` is the served model."""
    app = create_app(Settings(bundle, **{"watch": False} | settings))
    with TestClient(app, base_url="http://127.0.0.1:8000", raise_server_exceptions=raises, headers=headers) as found:
        yield found


@contextmanager
def serving(bundle, *, app=None, **settings):
    """Run a server on a socket, in a thread of this process. Yields (its port, the application)."""
    from cofactor.serve.server.process import server_of
    from cofactor.serve.server.sockets import listening

    told = Settings(bundle, **{"watch": False, "port": 0} | settings)
    app = app or create_app(told)
    server = server_of(app, told)
    listener = listening("127.0.0.1", 0)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    end = time.monotonic() + 30
    while not server.started:
        assert time.monotonic() < end
        assert thread.is_alive()
        time.sleep(0.01)
    try:
        yield listener.getsockname()[1], app
    finally:
        server.should_exit = True
        thread.join(20)
        listener.close()


def said(port, raw, *, until_closed=False):
    """Send raw bytes. Returns the status and all bytes of the answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        sock.sendall(raw)
        if until_closed:
            found = b""
            while piece := sock.recv(65536):
                found += piece
        else:
            found = sock.recv(65536)
    return int(found.split(b" ")[1]) if found else 0, found


def ok(answer):
    assert answer.status_code == 200, answer.text
    return answer.json()


def refused(answer, status, *words):
    assert answer.status_code == status, answer.text
    said = answer.json()
    assert said["detail"] == said["error"]
    assert (said["status"], answer.headers["content-type"]) == (status, "application/problem+json")
    assert all(word in said["error"] for word in words), said
    assert "\n" not in said["error"]
    assert "Traceback" not in said["error"]


def waited(condition, seconds=60):
    """Wait until the condition holds; fail if that takes too long."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
