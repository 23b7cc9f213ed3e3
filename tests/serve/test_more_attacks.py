"""What a second hour of attacks found: answers for others, wrong numbers in silence, work without an end."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import stat
import threading

import pytest

from cofactor.errors import CofactorError, ConfigError
from cofactor.serve import Settings
from cofactor.serve.guard import tokens
from cofactor.serve.guard.tokens import ADMIN, EVENTS, READ
from cofactor.serve.live.live import Live
from cofactor.serve.storage import tables
from cofactor.serve.storage.store import Store
from serve_tools import client, ok, refused, saved, serving, waited

JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return saved(tmp_path_factory.mktemp("more"), "als")


@pytest.fixture(scope="module")
def http(bundle):
    with client(bundle) as found:
        yield found


def bearer(token):
    return {"authorization": f"Bearer {token}"}


def test_an_answer_that_an_admin_got_is_not_kept_for_others(bundle, tmp_path):
    """A version that is not live is shown to admins only, also where one of them asked before."""
    file = tmp_path / "tokens.txt"
    names = {"boss": frozenset((ADMIN, READ)), "reader": frozenset((READ,))}
    file.write_text("\n".join(tokens.line_of(name, scopes, f"{name}-{'x' * 20}") for name, scopes in names.items()))
    boss, reader = (bearer(f"{name}-{'x' * 20}") for name in names)
    with client(bundle, state=tmp_path / "s", tokens=file) as http:
        ok(http.post("/v1/reload", json={"path": str(saved(tmp_path, "popular", "o.cofactor"))}, headers=boss))
        asked = {"user": 5, "version": 1}
        for _ in range(2):
            assert ok(http.post("/v1/recommend", json=asked, headers=boss))["version"] == 1
            refused(http.post("/v1/recommend", json=asked, headers=reader), 403, "admin")


def test_who_is_in_an_experiment_gets_its_version_whatever_was_answered_before(bundle, tmp_path):
    with client(bundle, state=tmp_path / "s") as http:
        ways = [
            lambda user: http.get(f"/v1/recommend?user={user}"),
            lambda user: http.post("/v1/recommend", json={"user": user, "n": 3}),
        ]
        before = [ok(way(user))["version"] for user in range(1, 41) for way in ways]
        assert set(before) == {1}
        other = str(saved(tmp_path, "popular", "o.cofactor"))
        ok(http.post("/v1/experiment", json={"path": other, "share": 0.5}))
        takes = http.app.state.live.second.experiment.takes
        assert 5 < sum(takes(user) for user in range(1, 41)) < 35
        for _ in range(2):
            for user in range(1, 41):
                assert {ok(way(user))["version"] for way in ways} == {2 if takes(user) else 1}
        ok(http.request("DELETE", "/v1/experiment"))
        assert {ok(way(user))["version"] for user in range(1, 41) for way in ways} == {1}


def test_a_query_is_not_answered_as_a_body_nor_a_body_as_a_query(bundle, tmp_path):
    with serving(bundle, state=tmp_path / "s") as (port, _):

        def sent(head, body=b""):
            with socket.create_connection(("127.0.0.1", port), timeout=5) as sock:
                more = b" HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: "
                sock.sendall(head + more + b"%d\r\n\r\n" % len(body) + body)
                return sock.recv(65536)[9:12]

        for _ in range(2):
            assert sent(b"GET /v1/recommend?user=7&n=3") == b"200"
            assert sent(b"POST /v1/recommend", b"user=7&n=3") == b"422"
            assert sent(b"POST /v1/recommend", b'{"user":7,"n":4}') == b"200"
            assert sent(b'GET /v1/recommend?{"user":7,"n":4}') == b"422"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/events", '{"events": [{"user": 5, "item": 101, "rating": %s}]}'),
        ("/v1/recommend", '{"history": [{"item": 101, "rating": %s}]}'),
        ("/v1/explain", '{"item": 102, "history": [{"item": 101, "rating": %s}]}'),
        ("/v1/what-if", '{"user": 5, "instead": [{"item": 101, "rating": %s}]}'),
        ("/v1/recommend", '{"user": 5, "diversity": %s}'),
        ("/v1/predict", '{"pairs": [{"user": 5, "item": 101}], "level": %s}'),
        ("/v1/experiment", '{"version": 1, "share": %s}'),
    ],
)
@pytest.mark.parametrize("number", ["true", "false", '"3"', '"0.5"', "NaN", "Infinity", "-1e999", "[1]", "{}", '""'])
def test_what_is_not_a_number_is_not_taken_for_one(http, path, body, number):
    refused(http.post(path, content=body % number, headers=JSON), 422)


@pytest.mark.parametrize(
    ("time_", "words"),
    [
        ('"20200101"', "number as text"),
        ('"1700000000"', "number as text"),
        ("1700000000000", "1970 to 2100"),
        ("1700000000000.5", "1970 to 2100"),
        ("1e300", "1970 to 2100"),
        ('"9999-12-31T23:59:59-14:00"', "1970 to 2100"),
        ('"0001-01-01T00:00:00+14:00"', "1970 to 2100"),
        ('"yesterday"', "ISO text"),
        ("true", ""),
    ],
)
def test_a_time_is_a_time_or_refused(http, time_, words):
    """Days were taken for seconds of 1970, and milliseconds of one kind of number for seconds."""
    event = '{"events": [{"user": 5, "item": 101, "rating": 3, "time": %s}]}'
    refused(http.post("/v1/events", content=event % time_, headers=JSON), 422, "events.0.time", words)


def test_times_are_written_in_many_ways(http):
    event = '{"events": [{"user": 5, "item": 101, "rating": 3, "time": %s}]}'
    for given in (
        "1700000000", "1700000000.9", '"2023-11-14T22:13:20"', '"2023-11-14T23:13:20+01:00"', '"2023-11-14T22:13:20Z"',
        '"2023-11-14 22:13:20"',
    ):  # fmt: skip
        ok(http.post("/v1/events", content=event % given, headers=JSON))
    assert {e.time for e in http.app.state.live.store.events()[0]} == {1_700_000_000}


@pytest.mark.parametrize("version", [0, -1, 2**31, 2**63, 2**70, 10**400])
def test_numbers_of_versions_that_no_database_holds(http, version):
    shown = {"what": "shown", "request": "r", "version": version, "items": [101]}
    for path, body in (
        ("/v1/feedback", {"events": [shown]}),
        ("/v1/rollback", {"version": version}),
        ("/v1/experiment", {"version": version}),
        ("/v1/recommend", {"user": 5, "version": version}),
    ):
        refused(http.post(path, json=body), 422, "version")


def test_items_that_nobody_knows_are_no_coverage_and_fill_no_table(bundle, tmp_path):
    with client(bundle, state=tmp_path / "s") as http:
        for k in range(5):
            items = [101, *(f"made up {n}" for n in range(100 * k, 100 * k + 50))]
            event = {"what": "shown", "request": f"r{k}", "version": 1, "items": items}
            assert ok(http.post("/v1/feedback", json={"events": [event]})) == {"accepted": 1}
        (one,) = ok(http.get("/v1/outcomes"))["versions"]
        assert (one["lists"], one["coverage"]) == (5, 1 / 25)
        made_up = {"what": "clicked", "request": "r0", "item": "made up 3"}  # an advertisement, say
        assert ok(http.post("/v1/feedback", json={"events": [made_up]})) == {"accepted": 1}


def test_maps_of_all_sizes_do_not_queue_without_an_end(bundle, tmp_path, monkeypatch):
    going, begun = threading.Event(), []

    def slow(model, data, shown, seed):
        begun.append(len(shown))
        going.wait(10)
        raise RuntimeError("no map today")

    monkeypatch.setattr("cofactor.serve.models.catalogue.item_map", slow)
    statuses = []
    with client(bundle, state=tmp_path / "s", wait_seconds=0.1, raises=False) as http:

        def ask(limit):
            statuses.append(http.get(f"/v1/map?limit={limit}").status_code)

        threads = [threading.Thread(target=ask, args=(limit,)) for limit in range(3, 40)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert statuses == [503] * 37
        heavy = http.app.state.live.now.catalogue.heavy
        assert len(heavy) <= 6
        going.set()
        waited(lambda: all(one.done() for one in heavy.values()), 10)
        assert len(begun) <= 6
        http.get("/v1/map?limit=3")


@pytest.mark.parametrize("upgrade", ["websocket", "h2c", "TLS/1.0"])
def test_a_connection_is_upgraded_to_nothing(bundle, tmp_path, upgrade):
    with serving(bundle, state=tmp_path / "s", token="a-token-of-some-length") as (port, _):
        key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        for path, status in (("/v1/info", b"401"), ("/health", b"200")):
            with socket.create_connection(("127.0.0.1", port), timeout=5) as sock:
                head = (
                    f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: {upgrade}\r\n{key}\r\n"
                )
                sock.sendall(head.encode())
                assert sock.recv(65536)[9:12] == status


def test_keys_are_of_the_whole_request_over_processes(bundle, tmp_path):
    """The same key from many at once is done once."""
    with client(bundle, state=tmp_path / "s") as http:
        body = {"events": [{"user": 5, "item": 101, "rating": 3}], "key": "k"}
        found = []
        threads = [threading.Thread(target=lambda: found.append(http.post("/v1/events", json=body))) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert {(one.status_code, json.dumps(one.json())) for one in found} == {(200, json.dumps(found[0].json()))}
        assert http.app.state.live.store.count() == 1


def test_scopes_hold_for_every_spelling_of_a_path(bundle, tmp_path):
    """A token for events, and none at all, at paths that a proxy or a route may take for another one."""
    file = tmp_path / "tokens.txt"
    file.write_text(tokens.line_of("shop", frozenset((EVENTS,)), "shop-" + "x" * 20))
    with serving(bundle, state=tmp_path / "s", tokens=file) as (port, _):
        for path in (
            "/v1/info", "/v1%2finfo", "/v1/%69nfo", "//v1/info", "/v1//info", "/v1/info/", "/v1/info;x", "/V1/info",
            "/assets/../v1/info", "/assets/..%2fv1/info", "/./v1/info", "/v1/info%00", "/assets/%2e%2e/%2e%2e/app.py",
            "http://localhost/v1/info", "/v1/info%2f", "/metrics", "/openapi.json", "/assets/..%2f..%2fapp.py",
            "/health/../v1/info", "/ready/../v1/info",
        ):  # fmt: skip
            for more in (b"", b"Authorization: Bearer shop-" + b"x" * 20 + b"\r\n"):
                with socket.create_connection(("127.0.0.1", port), timeout=5) as sock:
                    sock.sendall(b"GET " + path.encode() + b" HTTP/1.1\r\nHost: localhost\r\n" + more + b"\r\n")
                    answer = sock.recv(65536)
                assert answer[9:12] in (b"401", b"403", b"404"), (path, answer[:300])


def test_a_state_that_cannot_be_made_says_so_in_one_sentence(bundle, tmp_path, monkeypatch):
    """A disk that is full before the first row is written."""

    def full(db, begin, facts):
        db.exec_driver_sql("PRAGMA max_page_count = 2")
        tables.metadata.create_all(db)

    with monkeypatch.context() as patch:
        patch.setattr("cofactor.serve.storage.tables.migrate", full)
        with pytest.raises(ConfigError, match=r"cannot open .*database or disk is full$"):
            Store(tmp_path / "s")
    store = Store(tmp_path / "s")  # nothing is left in the way
    assert store.count() == 0
    store.close()


@pytest.mark.skipif(os.name != "posix", reason="links of POSIX")
@pytest.mark.parametrize("name", ["events.sqlite", "events.sqlite-wal", "lock", "refit.lock", "state.json", "reserve"])
def test_a_link_in_a_state_is_not_written_through(bundle, tmp_path, name):
    place, victim = tmp_path / "s", tmp_path / "victim"
    Store(place).close()
    victim.write_text("precious")
    victim.chmod(0o644)
    (place / name).unlink(missing_ok=True)
    (place / name).symlink_to(victim)
    live = Live(Settings(bundle, state=place, watch=False))
    with contextlib.suppress(CofactorError):  # a sentence, where it is not used
        live.open()
    live.close()
    assert (victim.read_text(encoding="utf-8"), stat.S_IMODE(victim.stat().st_mode)) == ("precious", 0o644)
