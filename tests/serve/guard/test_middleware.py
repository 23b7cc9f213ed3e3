"""UserProfile may ask, and how much: hosts, origins, tokens, sizes, crowds."""

from __future__ import annotations

import asyncio

import pytest

from cofactor.errors import ConfigError
from cofactor.serve import Settings
from cofactor.serve.guard.middleware import Guard
from serve_tools import TOKEN, client, ok, refused, saved


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return saved(tmp_path_factory.mktemp("guard"), "bias")


def test_a_name_that_was_made_to_point_here_gets_nothing(bundle):
    with client(bundle, read_only=True, hosts=("my.name",)) as http:
        for host in (
            "evil.example",
            "evil.example:8000",
            "127.0.0.1.evil.example",
            "",
            "[::1",
            "[::2]:80",
            "[::1]evil",
            "localhost:8000evil",
        ):
            assert http.get("/v1/info", headers={"host": host}).status_code == 421
        for host in ("localhost", "LOCALHOST:8000", "127.0.0.1:80", "[::1]:8000", "my.name:1"):
            assert http.get("/v1/info", headers={"host": host}).status_code == 200


def test_a_page_elsewhere_may_not_write(bundle, tmp_path):
    with client(saved(tmp_path, "bias")) as http:
        event = {"events": [{"user": 5, "item": 101, "rating": 3}]}
        refused(http.post("/v1/events", json=event, headers={"origin": "http://evil.example"}), 403, "origin")
        refused(http.post("/v1/events", json=event, headers={"origin": "null"}), 403)
        refused(http.delete("/v1/events?user=5", headers={"origin": "http://127.0.0.1:9"}), 403)
        refused(http.delete("/v1/events?user=5", headers={"sec-fetch-site": "cross-site"}), 403)
        refused(http.post("/v1/events", content=b"{}", headers={"content-type": "text/plain"}), 415, "JSON")
        refused(http.post("/v1/events", content=b"{}"), 415)
        ok(http.post("/v1/events", json=event, headers={"origin": "http://127.0.0.1:8000"}))


def test_a_token_guards_all_but_the_page_and_health(bundle):
    with client(bundle, read_only=True, token=TOKEN) as http:
        for path in ("/v1/info", "/v1/recommend?user=5", "/metrics", "/openapi.json"):
            refused(http.get(path), 401, "token")
            for wrong in ("Bearer no", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x", "Bearer é"):
                refused(http.get(path, headers={"authorization": wrong.encode("latin-1")}), 401)
            assert http.get(path, headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200
        for path in ("/", "/health", "/ready"):
            assert http.get(path).status_code == 200
        assert http.get("/v1/info", headers={"host": "any.name", "authorization": f"bearer {TOKEN}"}).status_code == 200


def test_long_bodies_are_refused(bundle):
    with client(bundle, read_only=True, max_body=2000) as http:
        json = {"content-type": "application/json"}
        refused(http.post("/v1/recommend", content=b" " * 2001, headers=json), 413, "2,000")
        refused(http.post("/v1/recommend", content=(b" " * 500 for _ in range(100)), headers=json), 413)
        refused(http.post("/v1/recommend", content=b" " * 1990 + b"{}", headers=json), 422)


def ask(app, receive, path="/v1/info"):
    """The messages that an application sends for one request."""
    sent = []

    async def send(message):
        sent.append(message)

    headers = [(b"host", b"localhost"), (b"content-type", b"application/json"), (b"content-length", b"5")]
    scope = {"type": "http", "method": "POST", "path": path, "headers": headers}
    asyncio.run(app(scope, receive, send))
    return sent


def test_a_body_that_takes_too_long(tmp_path):
    async def receive():
        await asyncio.sleep(60)

    async def app(scope, receive, send):
        raise AssertionError("not reached")

    sent = ask(Guard(app, Settings(tmp_path / "m", body_seconds=0.05)), receive)
    assert sent[0]["status"] == 408


def test_a_crowd_is_told_to_come_again(tmp_path):
    async def body():
        return {"type": "http.request", "body": b"{}"}

    statuses = []

    async def app(scope, receive, send):
        await asyncio.sleep(0.05)
        await send({"type": "http.response.start", "status": 200, "headers": []})

    guard = Guard(app, Settings(tmp_path / "m", max_requests=3))

    async def send(message):
        if message["type"] == "http.response.start":
            statuses.append((message["status"], dict(message["headers"]).get(b"retry-after")))

    async def crowd(path, n):
        scope = {"type": "http", "method": "GET" if path == "/health" else "POST", "path": path}
        headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
        await asyncio.gather(*(guard(scope | {"headers": headers}, body, send) for _ in range(n)))

    asyncio.run(crowd("/v1/recommend", 8))
    assert sorted(statuses, key=str) == [(200, None)] * 3 + [(503, b"1")] * 5
    assert guard.inside == 0
    statuses.clear()
    asyncio.run(crowd("/health", 8))
    assert statuses == [(200, None)] * 8


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"host": "0.0.0.0"}, "COFACTOR_TOKEN"),
        ({"host": "::"}, "COFACTOR_TOKEN"),
        ({"host": "192.168.1.5", "read_only": True}, "COFACTOR_TOKEN"),
        ({"host": "example.org"}, "COFACTOR_TOKEN"),
        ({"token": "short"}, "16"),
        ({"token": "with\nnew line and more"}, "16"),
        ({"port": 70_000}, "65535"),
        ({"port": -1}, "port"),
        ({"max_requests": 0}, "max_requests"),
        ({"body_seconds": 0}, "body_seconds"),
        ({"keep": 1}, "keep"),
    ],
)
def test_settings_that_make_no_sense(tmp_path, wrong, words):
    with pytest.raises(ConfigError, match=words):
        Settings(tmp_path / "m", **wrong)


def test_a_server_for_others_needs_a_token(tmp_path):
    assert Settings(tmp_path / "m", host="0.0.0.0", token=TOKEN).allowed_hosts is None
    assert Settings(tmp_path / "m", host="127.0.0.2").allowed_hosts is not None


def test_spans_of_requests(bundle, tmp_path):
    sdk = pytest.importorskip("opentelemetry.sdk.trace", reason="OpenTelemetry is not installed")
    from opentelemetry import trace
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    provider, kept = sdk.TracerProvider(), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    trace.set_tracer_provider(provider)
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    with client(bundle, state=tmp_path / "s", traces=True) as http:
        http.get("/v1/recommend?user=5", headers={"traceparent": parent, "x-request-id": "mine"})
        http.get("/v1/recommend?user=77")
    one, other = kept.get_finished_spans()
    assert (one.name, one.attributes["http.response.status_code"]) == ("GET /v1/recommend", 200)
    assert one.attributes["cofactor.request_id"] == "mine"
    assert f"{one.context.trace_id:032x}" == parent.split("-")[1]
    assert f"{one.parent.span_id:016x}" == parent.split("-")[2]
    assert other.attributes["http.response.status_code"] == 404
    assert "user=5" not in str(one.attributes)  # what was asked names people
