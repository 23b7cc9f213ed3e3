"""What broke the server once: odd ids and headers, crashes between two steps, forgetting while it trains."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import os
import shutil
import socket
import stat
import threading
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import cofactor as cf
from cofactor.errors import BundleError, ConfigError
from cofactor.recommender import Recommender
from cofactor.serve import Settings
from cofactor.serve.guard.middleware import Guard
from cofactor.serve.live.live import Live
from cofactor.serve.models.catalogue import Catalogue
from cofactor.serve.storage.rows import Event
from cofactor.serve.storage.store import Store
from cofactor.serve.storage.transactions import StoreError
from cofactor.serve.storage.versions import adopt
from serve_tools import NEW, TOKEN, client, ok, ratings, refused, saved, waited


@pytest.fixture
def bundle(tmp_path):
    return saved(tmp_path, "bias")


def test_a_user_with_ratings_of_unknown_items_only(tmp_path):
    with client(saved(tmp_path)) as http:
        ok(http.post("/v1/events", json={"events": [{"user": 888, "item": 777, "rating": 5}]}))
        for path in ("/v1/user?user=888", "/v1/recommend?user=888"):
            assert http.get(path).status_code in (200, 404), http.get(path).text
        for path, more in (("recommend", {}), ("explain", {"item": 101}), ("what-if", {})):
            assert http.post(f"/v1/{path}", json={"user": 888} | more).status_code in (200, 404, 422)
        assert http.post("/v1/predict", json={"pairs": [{"user": 888, "item": 101}]}).status_code in (200, 404)
        ok(http.get("/v1/users?q=888"))


def test_numbers_that_nothing_holds(bundle):
    with client(bundle) as http:
        for path in ("/v1/user", "/v1/recommend"):
            refused(http.get(f"{path}?user={'9' * 20}"), 404)
        assert http.delete(f"/v1/events?user={'9' * 20}").status_code in (200, 404)
        for rating in (1e308, -1e308, 3.5e38):
            refused(http.post("/v1/events", json={"events": [{"user": 5, "item": 101, "rating": rating}]}), 422)
            refused(http.post("/v1/recommend", json={"history": [{"item": 101, "rating": rating}]}), 422)


def test_a_new_item_must_fit_among_the_others(tmp_path):
    frame = ratings()
    small = pl.DataFrame(
        {
            "user": frame.user_ids.decode(frame.users),
            "item": frame.item_ids.decode(frame.items).cast(pl.Int32),
            "rating": frame.values,
        }
    )
    cf.fit(cf.read(small, "user", "item", "rating"), model="bias", seed=0).save(tmp_path / "m.cofactor")
    with client(tmp_path / "m.cofactor") as http:
        refused(http.post("/v1/events", json={"events": [{"user": 5, "item": 2**40, "rating": 5}]}), 404, str(2**40))
        twice = [{"user": 5, "item": 777, "rating": r} for r in (1, 5)]
        ok(http.post("/v1/events", json={"events": twice}))
        assert http.post("/v1/refit", json={}).status_code == 202
        waited(lambda: ok(http.get("/v1/versions"))["busy"] is None)
        about = ok(http.get("/v1/info"))
        assert (about["last_error"], about["version"]) == (None, 2)
        assert ok(http.get("/v1/item?item=777"))["histogram"] == [{"rating": 5.0, "count": 1}]  # the later one counts


def test_headers_that_are_no_addresses(bundle):
    with client(bundle, raises=False) as http:
        event = {"events": [{"user": 5, "item": 101, "rating": 3}]}
        for origin in ("http://[", "http://[::1", "//", "\x7f"):
            refused(http.post("/v1/events", json=event, headers={"origin": origin}), 403)


def test_answers_about_people_are_not_kept_by_caches(bundle):
    with client(bundle) as http:
        for path in ("/v1/info", "/v1/user?user=5", "/v1/user?user=x", "/metrics"):
            assert http.get(path).headers["cache-control"] == "no-store"
        assert http.get("/").headers["cache-control"] == "no-cache"


def test_a_token_guards_an_application_under_another_path(bundle):
    from starlette.applications import Starlette
    from starlette.routing import Mount
    from starlette.testclient import TestClient

    from cofactor.serve import create_app

    inner = create_app(Settings(bundle, read_only=True, watch=False, token=TOKEN))
    inner.state.live.open()
    with TestClient(Starlette(routes=[Mount("/films", app=inner)])) as http:
        assert http.get("/films/health").status_code == 200
        refused(http.get("/films/v1/info"), 401)
        ok(http.get("/films/v1/info", headers={"authorization": f"Bearer {TOKEN}"}))
    inner.state.live.close()


@pytest.mark.skipif(os.name != "posix", reason="file modes are those of POSIX")
def test_only_the_owner_can_read_the_state(bundle):
    with client(bundle) as http:
        ok(http.post("/v1/events", json={"events": NEW}))
        state = Path(f"{bundle}.state")
        assert stat.S_IMODE(state.stat().st_mode) == 0o700
        assert {stat.S_IMODE(p.stat().st_mode) for p in state.glob("events.sqlite*")} == {0o600}


def test_a_state_is_no_bundle(bundle):
    with pytest.raises(ConfigError, match="is a saved model"):
        Live(Settings(bundle, state=bundle)).open()


def test_a_model_by_a_path_without_a_name(bundle, monkeypatch):
    monkeypatch.chdir(bundle)
    assert Settings(Path(".")).state_folder == Path(f"{bundle}.state")


def test_only_the_files_of_a_bundle_are_kept(bundle, tmp_path):
    (bundle / "diary.txt").write_text("mine")
    adopt(bundle, tmp_path / "kept")
    assert not (tmp_path / "kept" / "diary.txt").exists()
    cf.load(tmp_path / "kept")
    other = tmp_path / "other"
    other.mkdir()
    (other / "diary.txt").write_text("mine")
    with pytest.raises(BundleError):
        adopt(other, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_crash_before_a_version_was_live_leaves_nothing_of_it(bundle, tmp_path):
    with client(bundle):
        pass
    saved(tmp_path, "popular", bundle.name)
    store = Store(Path(f"{bundle}.state"))  # as far as an install came
    assert store.new_number() == 2
    adopt(bundle, Path(f"{bundle}.state") / "versions" / "000002.cofactor")
    store.close()
    with client(bundle) as http:
        assert ok(http.get("/v1/info"))["model"] == "popular"
        assert [v["version"] for v in ok(http.get("/v1/versions"))["versions"]] == [1, 3]
        ok(http.post("/v1/rollback", json={}))
        assert ok(http.get("/v1/info"))["model"] == "bias"


def test_a_version_that_went_bad_is_said(bundle):
    with client(bundle):
        pass
    shutil.rmtree(Path(f"{bundle}.state") / "versions" / "000001.cofactor")
    with client(bundle) as http:
        assert "version 1 cannot be opened" in ok(http.get("/v1/info"))["last_error"]
        refused(http.post("/v1/rollback", json={}), 409, "cannot open")
        assert ok(http.get("/v1/info"))["version"] == 2


def test_a_reload_that_was_asked_for_is_not_done_again_by_the_watch(bundle, tmp_path, monkeypatch):
    monkeypatch.setattr("cofactor.serve.live.live._LOOK_EVERY", 0.2)
    with client(bundle, watch=True) as http:
        saved(tmp_path, "popular", bundle.name)
        http.post("/v1/reload", json={})  # 409 where the watch was quicker
        time.sleep(0.8)
        assert [v["model"] for v in ok(http.get("/v1/versions"))["versions"]] == ["bias", "popular"]
        ok(http.post("/v1/rollback", json={}))
        assert ok(http.get("/v1/info"))["model"] == "bias"


def test_the_watch_outlives_an_error(bundle, tmp_path, monkeypatch):
    monkeypatch.setattr("cofactor.serve.live.live._LOOK_EVERY", 0.05)
    with client(bundle, watch=True) as http:
        full = StoreError("database or disk is full")
        with monkeypatch.context() as patch:
            patch.setattr(Store, "new_number", lambda *_: (_ for _ in ()).throw(full))
            saved(tmp_path, "popular", bundle.name)
            waited(lambda: "full" in (ok(http.get("/v1/info"))["last_error"] or ""))
        waited(lambda: ok(http.get("/v1/info"))["model"] == "popular")


def test_a_transaction_that_cannot_end_does_not_block_the_next(tmp_path):
    store = Store(tmp_path / "state")
    with store._write() as db:
        db.exec_driver_sql("CREATE TABLE parent (id PRIMARY KEY)")
        db.exec_driver_sql("CREATE TABLE child (id REFERENCES parent DEFERRABLE INITIALLY DEFERRED)")
    with pytest.raises(StoreError), store._write() as db:  # found at COMMIT, as a full disk can be
        db.exec_driver_sql("INSERT INTO child VALUES (1)")
    store.append([Event(1, 2, 3.0, 4)])
    assert store.count() == 1
    store.close()


def slow_refit(monkeypatch):
    """(refit has begun, refit may go on)."""
    begun, go_on, real = threading.Event(), threading.Event(), Recommender.refit

    def refit(self, *args, **kwargs):
        begun.set()
        assert go_on.wait(60)
        return real(self, *args, **kwargs)

    monkeypatch.setattr(Recommender, "refit", refit)
    return begun, go_on


def test_who_is_forgotten_while_it_trains_is_not_learned(tmp_path, monkeypatch):
    bundle = saved(tmp_path)
    begun, go_on = slow_refit(monkeypatch)
    with client(bundle) as http:
        ok(http.post("/v1/events", json={"events": [*NEW, {"user": 999, "item": 777, "rating": 5}]}))
        http.post("/v1/refit", json={})
        assert begun.wait(60)
        assert ok(http.delete("/v1/events?user=999")) == {"deleted": 2}
        ok(http.post("/v1/events", json={"events": [{"user": 6, "item": 102, "rating": 1}]}))
        go_on.set()
        waited(lambda: ok(http.get("/v1/versions"))["busy"] is None)
        assert ok(http.get("/v1/info"))["version"] == 2
        refused(http.get("/v1/user?user=999"), 404)
        refused(http.get("/v1/item?item=777"), 404)
        rated = {row["item"]: row["rating"] for row in ok(http.get("/v1/user?user=6"))["ratings"]}
        assert rated[102] == 1.0


@pytest.mark.clock
def test_an_end_does_not_wait_for_a_training(tmp_path, monkeypatch):
    bundle = saved(tmp_path)
    begun, go_on = slow_refit(monkeypatch)
    monkeypatch.setattr("cofactor.serve.live.live._PATIENCE", 0.1)
    live = Live(Settings(bundle, watch=False))
    live.open()
    live.tell([Event(5, 101, 1.0, 1_700_000_000)])
    live.refit()
    assert begun.wait(60)
    began = time.monotonic()
    live.close()
    assert time.monotonic() - began < 5
    go_on.set()
    waited(lambda: live.busy is None)
    with client(bundle) as http:
        assert ok(http.get("/v1/info"))["version"] == 1
        assert ok(http.get("/v1/info"))["newer_ratings"] == 1


def test_connections_without_a_request_are_closed():
    import uvicorn

    from cofactor.serve.connections.idle_timeout import protocol_of

    quick = protocol_of(most=100, body=1000)
    quick.patience = 0.2

    async def app(scope, receive, send):
        await asyncio.sleep(0.7)  # longer than the patience: it is for requests that do not come
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    async def main():
        with socket.create_server(("127.0.0.1", 0)) as listener:
            server = uvicorn.Server(uvicorn.Config(app, http=quick, lifespan="off", log_level="error"))
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            answers = []
            for said in (b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"):
                reader, writer = await asyncio.open_connection(*listener.getsockname())
                writer.write(said)
                answers.append(await asyncio.wait_for(reader.read(), 4))  # until it is closed
                writer.close()
            server.should_exit = True
            await serving
            return answers

    nothing, half, whole = asyncio.run(main())
    assert nothing == half == b""
    assert whole.startswith(b"HTTP/1.1 204")


def test_who_does_not_read_holds_no_place(tmp_path, monkeypatch):
    monkeypatch.setattr("cofactor.serve.guard.reply.SEND_SECONDS", 0.05)

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def receive():
        return {"type": "http.request", "body": b""}

    async def stuck(message):
        await asyncio.sleep(60)

    guard = Guard(app, Settings(tmp_path / "m"))
    scope = {"type": "http", "method": "GET", "path": "/v1/info", "headers": [(b"host", b"localhost")]}
    asyncio.run(asyncio.wait_for(guard(scope, receive, stuck), 5))
    asyncio.run(asyncio.wait_for(guard(scope | {"headers": []}, receive, stuck), 5))
    assert guard.inside == 0


def test_ids_that_json_cannot_name_are_refused(tmp_path):
    frame = pl.DataFrame(
        {"user": [dt.date(2020, 1, d) for d in (1, 1, 2, 2)], "item": [1, 2, 1, 2], "rating": [1.0, 2.0, 3.0, 4.0]}
    )
    cf.fit(cf.read(frame, "user", "item", "rating"), model="bias", seed=0).save(tmp_path / "m.cofactor")
    with pytest.raises(BundleError, match="whole numbers or text"):
        Live(Settings(tmp_path / "m.cofactor", watch=False)).open()


def test_who_is_forgotten_is_so_where_the_disk_fails_after_it(tmp_path, monkeypatch):
    with client(saved(tmp_path)) as http:
        ok(http.post("/v1/events", json={"events": NEW}))
        monkeypatch.setattr(Store, "_truncated", lambda self: False)
        assert ok(http.delete("/v1/events?user=999")) == {"deleted": 1}
        refused(http.get("/v1/user?user=999"), 404)


@pytest.mark.parametrize("unrated", [0, 2])
def test_a_map_is_computed_once_and_made_in_parts(monkeypatch, unrated):
    data = ratings()
    kept = data.items >= unrated
    columns = {name: getattr(data, name)[kept] for name in ("users", "items", "values", "times")}
    rec = cf.fit(data.replace(**columns), model="als", seed=0)
    places, calls = np.random.default_rng(0).random((25, 2), dtype=np.float32), []
    place = "cofactor.serve.models.catalogue"
    monkeypatch.setattr(f"{place}.item_map", lambda m, d, shown, seed: calls.append(shown) or places[: len(shown)])
    monkeypatch.setattr(f"{place}._PART", 4)
    catalogue = Catalogue(rec, 0)
    for limit in (1500, 1500, 9):
        found = json.loads(catalogue.map(limit))
        shown = calls[0][:limit]
        assert sorted(found["groups"]) == ["Comedy", "Crime", "Drama"]
        for row, facts, (x, y), code in zip(found["items"], catalogue.facts(shown), places, shown, strict=False):
            group = row.pop("group")
            assert group in (["Drama", "Crime"] if code % 2 == 0 else ["Comedy"])
            assert row == facts | {"x": round(float(x), 4), "y": round(float(y), 4), "year": 1950 + code}
        assert len(found["items"]) == min(limit, 25 - unrated)
    assert len(calls) == 1
