"""The client: what it gives is what the server says, and what is sent again is done once."""

from __future__ import annotations

import asyncio
import inspect

import httpx
import pytest

import cofactor as cf
from cofactor.client import AsyncClient, Client, ServerError, clients
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
