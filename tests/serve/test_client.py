"""The client: what it gives is what the server says, and what is sent again is done once."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import socket
import threading

import httpx
import pytest

import cofactor as cf
from cofactor.client import AsyncClient, Client, ServerError, clients, requests
from cofactor.errors import ConfigError
from serve_tools import TOKEN, saved, serving


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return saved(tmp_path_factory.mktemp("client"), "bias")


@pytest.fixture(scope="module")
def url(bundle):
    with serving(bundle, token=TOKEN) as (port, _):
        yield f"http://127.0.0.1:{port}"


def test_it_says_what_the_recommender_says(url, bundle):
    rec = cf.load(bundle)
    with Client(url, token=TOKEN) as films:
        assert (
            films.recommend(5, n=3, where="genres contains Drama")
            == rec.recommend(5, n=3, where="genres contains Drama").to_dicts()
        )
        history = {101: 5.0, "Film 3 (1953)": 2.0}
        assert films.recommend(history=history) == rec.recommend(history=history).to_dicts()
        assert films.recommend(history=[101, 102]) == rec.recommend(history=[101, 102]).to_dicts()
        assert films.recommend_many([5, 6], n=2) == [rec.recommend(u, n=2).to_dicts() for u in (5, 6)]
        assert films.recommend_many(histories=[[101], {102: 1.0}])[1] == rec.recommend(history={102: 1.0}).to_dicts()
        assert films.predict([(5, 101), (6, 102)]) == rec.predict([(5, 101), (6, 102)]).to_dicts()
        assert films.similar(101, 3) == rec.similar_items(101, 3).to_dicts()
        assert films.explain(101, 5)["because"] == rec.explain(5, 101).because()
        assert films.info()["model"] == "bias"
        found = films.recommend_list(5, n=3)
        assert found["recommendations"] == rec.recommend(5, n=3).to_dicts()
        shown = {"what": "shown", "request": found["request"], "version": found["version"], "items": [101, 102]}
        assert films.feedback([shown, {"what": "clicked", "request": found["request"], "item": 102}]) == 2
        assert films.versions()["busy"] is None
        with pytest.raises(ServerError, match="unknown user 999") as found:
            films.recommend(999)
        assert found.value.status == 404
    with Client(url) as nobody, pytest.raises(ServerError, match="token"):
        nobody.info()


def test_the_other_client_has_the_same_methods(url):
    async def main():
        async with AsyncClient(url, token=TOKEN) as films:
            lists = await asyncio.gather(*(films.recommend(user, n=2) for user in range(1, 9)))
            said = await films.tell([{"user": 77, "item": 101, "rating": 5}], key="async")
            again = await films.tell([{"user": 77, "item": 101, "rating": 5}], key="async")
            assert said == again
            assert (await films.erase(77))["deleted"] == 1
            return lists

    lists = asyncio.run(main())
    with Client(url, token=TOKEN) as films:
        assert lists == films.recommend_many(list(range(1, 9)), n=2)
    public = [n for n, f in vars(Client).items() if inspect.isfunction(f) and not n.startswith("_")]
    for name in public:
        one, other = (inspect.signature(getattr(c, name)) for c in (Client, AsyncClient))
        assert one == other, name


class Flaky(httpx.BaseTransport):
    """Answers that get lost, or say that it is not the time."""

    def __init__(self, *fates):
        self.fates, self.seen = list(fates), []

    def handle_request(self, request):
        self.seen.append(request.read())
        fate = self.fates.pop(0)
        if isinstance(fate, Exception):
            raise fate
        return httpx.Response(fate, json={"version": 2, "recommendations": [], "accepted": 1, "detail": "not now"})


def test_events_may_be_tuples_as_those_of_update(url):
    listed = requests.tell([(5, 101, 4), (5, 102), {"user": 5, "item": 103}], key="a").body["events"]
    assert listed == [{"user": 5, "item": 101, "rating": 4}, {"user": 5, "item": 102}, {"user": 5, "item": 103}]
    for wrong in ("5, 101", (5,), (5, 101, 4, None, 1), None):
        with pytest.raises(ConfigError, match=r"event 2 is .*give \(user, item, rating\)"):
            requests.tell([(5, 101), wrong])
    with Client(url, token=TOKEN) as films:
        assert films.tell([(78, 101, 5)], key="tuples") == films.tell([(78, 101, 5)], key="tuples")


@pytest.mark.parametrize("what", ["recommend", "tell", "rollback"])
def test_what_is_lost_is_sent_again_where_that_is_safe(monkeypatch, what):
    monkeypatch.setattr(clients.random, "uniform", lambda *_: 0.0)  # no time between two attempts
    lost = httpx.ReadTimeout("lost")
    films = Client("http://localhost")
    films._http._transport = flaky = Flaky(lost, 503, lost, 200)
    ask = {
        "recommend": lambda: films.recommend(5),
        "tell": lambda: films.tell([{"user": 5, "item": 101}]),
        "rollback": films.rollback,
    }[what]
    if what == "rollback":  # it would go back twice
        with pytest.raises(ServerError, match="did not answer") as found:
            ask()
        assert (len(flaky.seen), found.value.status) == (1, 0)
    else:
        ask()
        assert len(flaky.seen) == 4
        assert len(set(flaky.seen)) == 1  # with the same key
    films._http._transport = Flaky(*[503] * 9)
    with pytest.raises(ServerError, match="not now"):
        ask()
    films.close()


@contextlib.contextmanager
def cutting(port, cuts):
    """A proxy that hides the first answers from the client: it cuts after so many of their bytes."""
    left = list(cuts)

    def one(client):
        with client, socket.create_connection(("127.0.0.1", port)) as server, contextlib.suppress(OSError):
            while asked := client.recv(65536):
                server.sendall(asked)
                if b"\r\n\r\n" in asked and not asked.endswith(b"}") and asked.startswith(b"POST"):
                    continue  # the body comes apart from the head
                found = server.recv(65536)  # what was asked for is done now
                if left:
                    client.sendall(found[: left.pop(0)])
                    return
                client.sendall(found)

    def run(listener):
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=one, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=run, args=(listener,), daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", left
        listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_events_whose_answer_was_cut_off_are_stored_once(url, kind, monkeypatch):
    monkeypatch.setattr(clients.random, "uniform", lambda *_: 0.0)
    port, user = int(url.rpartition(":")[2]), 700 + (kind is Client)
    events = [{"user": user, "item": item, "rating": 4} for item in (101, 102)]

    async def told(address):
        async with AsyncClient(address, token=TOKEN) as films:
            return await films.tell(events)

    with Client(url, token=TOKEN) as films, cutting(port, [0, 9, 200]) as (address, left):
        before = films.info()["newer_ratings"]
        if kind is Client:
            with Client(address, token=TOKEN) as behind:
                said = behind.tell(events)
        else:
            said = asyncio.run(told(address))
        assert left == []
        assert said["accepted"] == 2
        assert films.info()["newer_ratings"] == before + 2
        assert films.erase(user)["deleted"] == 2


def test_an_answer_that_is_no_json_is_said():
    films = Client("http://localhost")
    films._http._transport = httpx.MockTransport(lambda request: httpx.Response(200, text="<html>welcome</html>"))
    with pytest.raises(ServerError, match=r"localhost/v1/info is not JSON; give the address"):
        films.info()
    films.close()
