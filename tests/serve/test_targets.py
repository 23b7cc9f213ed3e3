"""What may be written in more than one way: targets, empty lines, chunks, bodies that wait (RFC 9112), and odd ids."""

from __future__ import annotations

import contextlib
import socket
import time
from urllib.parse import quote

import pytest

from cofactor.serve.guard.tokens import ADMIN, READ, line_of
from serve_tools import client, ok, refused, saved, serving

ASK = b'{"user": 5, "n": 1}'
HOST = b"Host: localhost\r\n"
JSON = b"Content-Type: application/json\r\n"
POST = b"POST /v1/recommend HTTP/1.1\r\n" + HOST + JSON
BODY = b"Content-Length: %d\r\n\r\n" % len(ASK) + ASK
LAST = b"GET /health HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return saved(tmp_path_factory.mktemp("targets"), "bias")


@pytest.fixture(scope="module")
def port(bundle):
    with serving(bundle, read_only=True, max_body=4096, body_seconds=0.5) as (port, _):
        yield port


def answers(port, *pieces, pause=0.0):
    """(status, head, body) of each answer to what is sent in pieces, until the server closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            sock.sendall(piece)
            time.sleep(pause)
        data = b""
        while more := sock.recv(65536):
            data += more
    found = []
    while data:
        head, _, data = data.partition(b"\r\n\r\n")
        lines = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        length = int(lines.get(b"content-length", 0))
        found.append((int(head.split()[1]), lines, data[:length]))
        data = data[length:]
    return found


def get(target, host=b"localhost", more=b""):
    return b"GET " + target + b" HTTP/1.1\r\nHost: " + host + b"\r\nConnection: close\r\n" + more + b"\r\n"


# ---- targets


@pytest.mark.parametrize(
    "target",
    [b"http://localhost/v1/recommend?user=5", b"HTTP://localhost:8000/v1/recommend?user=5",
     b"https://127.0.0.1/v1/recommend?user=5", b"http://[::1]/v1/recommend?user=5"],
)  # fmt: skip
def test_a_target_may_be_a_whole_address(port, target):
    """What ``Host`` says does not count then."""
    ((status, _, body),) = answers(port, get(target, b"elsewhere"))
    ((_, _, plain),) = answers(port, get(b"/v1/recommend?user=5"))
    assert (status, body) == (200, plain)


@pytest.mark.parametrize(
    ("target", "status"),
    [(b"http://elsewhere/v1/info", 421), (b"http://localhost@elsewhere/v1/info", 421), (b"http:///v1/info", 404),
     (b"ftp://localhost/v1/info", 404), (b"http://localhost", 200), (b"http://localhost?a=b", 200),
     (b"http://localhost/none", 404), (b"v1/info", 404)],
)  # fmt: skip
def test_addresses_that_are_not_ours(port, target, status):
    assert answers(port, get(target))[0][0] == status


def test_a_whole_address_passes_no_guard(bundle, tmp_path):
    tokens = tmp_path / "tokens"
    tokens.write_text(line_of("r", frozenset((READ,)), "r" * 20) + "\n" + line_of("a", frozenset((ADMIN,)), "a" * 20))
    with serving(bundle, read_only=True, tokens=tokens) as (port, _):
        for target, token, status in (
            (b"http://x/v1/users", b"r", 403), (b"http://x/v1/users", b"a", 200), (b"http://x/v1/info", b"", 401),
            (b"http://x/assets/../v1/users", b"", 404), (b"http://x/health", b"", 200),
        ):  # fmt: skip
            more = b"Authorization: Bearer " + token * 20 + b"\r\n" if token else b""
            assert answers(port, get(target, more=more))[0][0] == status, (target, token)


def test_options_of_the_whole_server(port):
    ((status, head, body),) = answers(port, get(b"*").replace(b"GET", b"OPTIONS"))
    assert (status, body) == (200, b"")
    assert {b"get", b"post"} <= set(head[b"allow"].split(b", "))
    assert answers(port, get(b"*"))[0][0] == 404


# ---- where a request begins and ends


@pytest.mark.parametrize("empty", [b"\r\n", b"\n", b"\r\n\r\n\r\n", b"\r\n" * 5000])
def test_empty_lines_before_a_request_are_passed_over(port, empty):
    found = answers(port, empty + POST + BODY + empty + POST + BODY + empty + LAST)
    assert [status for status, _, _ in found] == [200, 200, 200]


@pytest.mark.parametrize(
    "pieces",
    [(POST + BODY, b"\r\n", LAST), (POST + BODY + b"\r", b"\n" + LAST), (b"\r", b"\n", b"\r\n" + LAST),
     (POST + BODY + b"\r\n" + LAST[:3], LAST[3:])],
)  # fmt: skip
def test_empty_lines_may_come_in_pieces(port, pieces):
    found = answers(port, *pieces, pause=0.03)
    assert {status for status, _, _ in found} == {200}
    assert found[-1][2] == b'{"status":"ok"}'


def test_what_is_no_empty_line_is_refused(port):
    for odd in (b"\r\r\n", b" \r\n", b"\t\r\n", b"\0\r\n", b"\x0b\n"):
        assert answers(port, odd + LAST)[0][0] == 400, odd


@pytest.mark.parametrize(
    "chunks",
    [b"%x;a=b\r\n" % len(ASK) + ASK + b"\r\n0;last\r\n\r\n", b'%x;name="a;b"\r\n' % len(ASK) + ASK + b"\r\n0\r\n\r\n",
     b"%X\r\n" % len(ASK) + ASK + b"\r\n000\r\nX-Sum: 1\r\nContent-Length: 3\r\n\r\n",
     b"".join(b"1\r\n%c\r\n" % one for one in ASK) + b"0\r\n\r\n"],
)  # fmt: skip
def test_chunks_may_have_extensions_and_trailers(port, chunks):
    found = answers(port, POST + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + LAST)
    assert [status for status, _, _ in found] == [200, 200]


def test_a_body_of_many_small_chunks_costs_little(bundle):
    """Parsing each of its bytes as a chunk of its own took seconds."""
    sent = ASK + b" " * 200_000

    def chunks(size):
        parts = [sent[at : at + size] for at in range(0, len(sent), size)]
        return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"

    head, small = POST + b"Transfer-Encoding: chunked\r\n\r\n", chunks(1)
    with serving(bundle, read_only=True) as (port, _):
        begun = time.process_time()
        with contextlib.suppress(ConnectionError):  # it is closed before all of it is read
            assert [status for status, _, _ in answers(port, head + small)] == [400]
        assert time.process_time() - begun < 0.5
        for size in (63, 64, 5000):  # some small chunks, or any number of larger ones
            assert [status for status, _, _ in answers(port, head + chunks(size) + LAST)] == [200, 200]


@pytest.mark.parametrize("size", [b"ffffffffffffffff", b"0000000000001001", b"1001;a=b"])
@pytest.mark.parametrize("sent", [b"", ASK])
def test_a_chunk_that_is_too_long_is_refused_when_it_is_announced(bundle, size, sent):
    """Until the time for bodies was over, the server waited for the rest."""
    with serving(bundle, read_only=True, max_body=4096, body_seconds=60) as (port, _):
        ((status, _, body),) = answers(port, POST + b"Transfer-Encoding: chunked\r\n\r\n" + size + b"\r\n" + sent)
    assert status == 413
    assert b"at most 4,096 bytes" in body


def test_a_client_may_wait_before_it_sends_its_body(port):
    found = answers(port, POST + b"Expect: 100-continue\r\nContent-Length: 19\r\n\r\n", ASK + LAST, pause=0.1)
    assert [status for status, _, _ in found] == [100, 200, 200]


@pytest.mark.parametrize(
    ("head", "status"),
    [(POST + b"Content-Length: 5000\r\n", 413), (POST.replace(b"application/json", b"text/csv") + BODY[:20], 415),
     (POST.replace(b"recommend", b"none") + b"Content-Length: 19\r\n", 404),
     (POST.replace(b"localhost", b"elsewhere") + b"Content-Length: 19\r\n", 421)],
)  # fmt: skip
def test_who_is_refused_before_the_body_is_told_that_nothing_more_is_read(port, head, status):
    """Else the next request would be taken for the body that the client keeps to itself."""
    found = answers(port, head + b"Expect: 100-continue\r\n\r\n", LAST, pause=0.05)
    assert [one[0] for one in found] == [status]
    assert found[0][1][b"connection"] == b"close"


# ---- queries and ids


def test_a_query_is_not_passed_over_where_none_is_read(bundle, tmp_path):
    with client(bundle, state=tmp_path / "s") as http:
        ok(http.post("/v1/recommend", json={"user": 5}))
        refused(http.post("/v1/recommend?user=6", json={"user": 5}), 422, "takes no query", "body")
        event = {"events": [{"user": 5, "item": 101, "rating": 1.0}]}
        refused(http.post("/v1/events?key=a", json=event), 422, "takes no query")
        refused(http.get("/v1/info?user=5"), 422, "takes no query")
        assert ok(http.get("/v1/info"))["newer_ratings"] == 0


IDS = [
    "a/b",
    "a%2Fb",
    "é",
    "\N{HOT BEVERAGE} tea",
    "a b",
    "a+b",
    "a&b=c",
    "#1",
    "5",
    "005",
    "..",
    "x" * 1000,
    "'\"\\",
    "\u202e",
]


def test_any_text_is_an_id(tmp_path):
    with client(saved(tmp_path, "bias", text_ids=True), state=tmp_path / "s") as http:
        events = [{"user": one, "item": "101", "rating": 5.0} for one in IDS if one != "5"]
        ok(http.post("/v1/events", json={"events": events}))
        for one in IDS:
            asked = quote(one, safe="")
            by_query, by_body = http.get(f"/v1/recommend?user={asked}"), http.post("/v1/recommend", json={"user": one})
            assert ok(by_query) == ok(by_body), one
            assert ok(http.get(f"/v1/user?user={asked}"))["user"] == one
            assert ok(http.delete(f"/v1/user?user={asked}"))["deleted"] == (one != "5")
        assert ok(http.get("/v1/info"))["newer_ratings"] == 0


def test_an_empty_or_longer_text_is_none(tmp_path):
    """What cannot be asked for, or erased, in a query is not taken in a body either."""
    with client(saved(tmp_path, "bias", text_ids=True), state=tmp_path / "s") as http:
        for odd in ("", "x" * 1001):
            for event in ({"user": odd, "item": "101"}, {"user": "5", "item": odd}):
                refused(http.post("/v1/events", json={"events": [event]}), 422, "1 to 1,000 characters")
            refused(http.post("/v1/recommend", json={"user": odd}), 422, "1 to 1,000 characters")
            refused(http.get(f"/v1/recommend?user={odd}"), 422, "user")
            refused(http.delete(f"/v1/user?user={odd}"), 422, "user")


@pytest.mark.parametrize("text", ["5", "+5", "05", "%205"])
def test_a_number_may_be_written_in_several_ways_in_a_query(bundle, text):
    with client(bundle, read_only=True) as http:
        assert ok(http.get(f"/v1/recommend?user={text}")) == ok(http.post("/v1/recommend", json={"user": 5}))


@pytest.mark.parametrize("text", ["5.0", "5e0", "0x5", "5_0", "\N{FULLWIDTH DIGIT FIVE}", "five", "9" * 30, "-5"])
def test_what_is_no_number_is_nobody(bundle, text):
    with client(bundle, read_only=True) as http:
        refused(http.get(f"/v1/recommend?user={quote(text)}"), 404)
