"""Newer ratings, versions, and what is left after a crash."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import cofactor as cf
from cofactor.bundle import manifest
from cofactor.bundle.files import digest_of
from cofactor.errors import BundleError, ConfigError
from cofactor.serve import Settings
from cofactor.serve.live.changing import Busy
from cofactor.serve.live.live import Live
from cofactor.serve.live.refit import grown
from cofactor.serve.storage.rows import Event
from cofactor.serve.storage.store import Store
from cofactor.serve.storage.transactions import StoreError
from serve_tools import NEW, client, ok, ratings, refused, saved, waited


@pytest.fixture
def bundle(tmp_path):
    return saved(tmp_path)


def test_the_next_list_knows_a_new_rating(bundle):
    rec = cf.load(bundle)
    with client(bundle) as http:
        said = ok(http.post("/v1/events", json={"events": NEW}))
        assert said == {"accepted": 2, "version": 1, "events": 2, "new_items": []}
        newer = rec.update([(5, 101, 1.0), (999, 103, 5.0)])
        for user in (5, 6, 999):
            assert ok(http.get(f"/v1/recommend?user={user}"))["recommendations"] == newer.recommend(user).to_dicts()
        seen = {row["item"]: row for row in ok(http.get("/v1/user?user=5"))["ratings"]}
        assert seen[101]["rating"] == 1.0
        assert seen[101]["newer"] is True
        assert ok(http.get("/v1/info"))["newer_ratings"] == 2
        assert ok(http.get("/v1/users?q=999"))["users"] == [{"user": 999, "ratings": 1}]


def test_ratings_survive_a_restart(bundle):
    with client(bundle) as http:
        ok(http.post("/v1/events", json={"events": NEW}))
        before = ok(http.get("/v1/recommend?user=999"))
    with client(bundle) as http:
        assert ok(http.get("/v1/recommend?user=999")) == before


def test_events_are_taken_all_or_none(bundle):
    with client(bundle) as http:
        for wrong, status in (
            ({"user": 5, "item": 102, "rating": 99}, 422),
            ({"user": "five", "item": 102, "rating": 3}, 422),
            ({"user": 5, "item": "102", "rating": 3}, 404),
            ({"user": 5, "item": 102, "rating": 3, "time": "yesterday"}, 422),
            ({"user": 5, "item": 102, "rating": None, "time": -5}, 422),
        ):
            refused(http.post("/v1/events", json={"events": [*NEW, wrong]}), status)
        refused(http.post("/v1/events", json={"events": []}), 422)
        assert ok(http.get("/v1/info"))["newer_ratings"] == 0
        refused(http.get("/v1/recommend?user=999"), 404)


def test_a_key_makes_it_safe_to_send_again(bundle):
    with client(bundle) as http:
        first = ok(http.post("/v1/events", json={"events": NEW, "key": "a"}))
        assert ok(http.post("/v1/events", json={"events": NEW, "key": "a"})) == first
        assert ok(http.post("/v1/events", json={"events": NEW, "key": "b"}))["events"] == 4


def test_a_user_can_be_forgotten(bundle):
    with client(bundle) as http:
        ok(http.post("/v1/events", json={"events": NEW}))
        assert ok(http.delete("/v1/events?user=999")) == {"deleted": 1}
        refused(http.get("/v1/recommend?user=999"), 404)
        assert ok(http.get("/v1/info"))["newer_ratings"] == 1
        assert ok(http.delete("/v1/events?user=999")) == {"deleted": 0}
    with client(bundle) as http:
        refused(http.get("/v1/recommend?user=999"), 404)


def test_nothing_of_a_forgotten_user_stays_in_the_store(tmp_path):
    store = Store(tmp_path / "state")
    store.append([Event("a very particular name", 1, 3.0, 4), Event("b", 1, 3.0, 4)])
    assert store.forget("a very particular name") == 1
    store.close()
    for file in (tmp_path / "state").rglob("*"):
        assert file.is_dir() or b"a very particular name" not in file.read_bytes()


def test_a_refit_knows_new_items_and_users_and_is_a_version(bundle):
    with client(bundle) as http:
        events = [*NEW, *({"user": u, "item": 777, "rating": 5} for u in range(1, 30))]
        assert ok(http.post("/v1/events", json={"events": events}))["new_items"] == [777]
        refused(http.get("/v1/item?item=777"), 404)
        assert http.post("/v1/refit", json={}).status_code == 202
        waited(lambda: ok(http.get("/v1/versions"))["busy"] is None)
        first, second = ok(http.get("/v1/versions"))["versions"]
        assert (first["active"], second["active"], second["source"]) == (False, True, "refit")
        assert second["drift"] >= 0
        assert (first["events"], second["events"]) == (0, 31)
        assert ok(http.get("/v1/item?item=777"))["ratings"] == 29
        about = ok(http.get("/v1/info"))
        assert (about["newer_ratings"], about["items"], about["users"]) == (0, 26, 41)
        assert about["last_error"] is None
        assert ok(http.get("/v1/item?item=107"))["table"]["genres"] == "Comedy"  # the side table is still there

        assert ok(http.post("/v1/rollback", json={})) == {"version": 1}
        refused(http.get("/v1/item?item=777"), 404)
        assert ok(http.get("/v1/info"))["newer_ratings"] == 2  # and the newer ratings with it
        assert ok(http.post("/v1/rollback", json={"version": 2})) == {"version": 2}
        refused(http.post("/v1/rollback", json={"version": 7}), 404, "no version 7")
    with client(bundle) as http:
        assert ok(http.get("/v1/info"))["version"] == 2
        assert ok(http.get("/v1/item?item=777"))["ratings"] == 29


def test_a_rollback_holds_over_a_restart_and_a_new_bundle_ends_it(bundle, tmp_path):
    with client(bundle) as http:
        ok(http.post("/v1/events", json={"events": NEW}))
        saved(tmp_path, "bias", bundle.name)
        assert ok(http.post("/v1/reload", json={})) == {"version": 2}
        assert ok(http.get("/v1/info"))["model"] == "bias"
        assert ok(http.post("/v1/rollback", json={})) == {"version": 1}
        assert ok(http.get("/v1/info"))["model"] == "als"
    with client(bundle) as http:  # the bundle is the one of version 2, and one went back from it
        assert ok(http.get("/v1/info"))["model"] == "als"
        assert ok(http.get("/v1/info"))["newer_ratings"] == 2
    saved(tmp_path, "popular", bundle.name)
    with client(bundle) as http:
        assert ok(http.get("/v1/info"))["model"] == "popular"
        assert ok(http.get("/v1/info"))["version"] == 3


def test_a_bundle_that_is_broken_is_not_served(bundle, tmp_path):
    broken = saved(tmp_path, name="broken.cofactor")
    (broken / "arrays.safetensors").write_bytes(b"nonsense")
    with client(bundle) as http:
        before = ok(http.get("/v1/recommend?user=5"))
        refused(http.post("/v1/reload", json={"path": str(broken)}), 409, "arrays")
        refused(http.post("/v1/reload", json={"path": str(tmp_path / "none")}), 409, "cannot open")
        assert ok(http.get("/v1/recommend?user=5")) == before
        assert [v["version"] for v in ok(http.get("/v1/versions"))["versions"]] == [1]
        assert len(list((tmp_path / "m.cofactor.state" / "versions").iterdir())) == 1
    with pytest.raises(BundleError):
        Live(Settings(broken)).open()
    assert not (tmp_path / "broken.cofactor.state" / "versions" / "000001.cofactor").exists()


@pytest.mark.parametrize("name", ["users.safetensors", "items.safetensors", "arrays.safetensors"])
@pytest.mark.parametrize("read_only", [False, True])
def test_what_a_large_bundle_reads_at_first_use_is_read_before_it_is_live(
    bundle, tmp_path, monkeypatch, name, read_only
):
    """A forged one, whose sizes and digests fit: loading it is not an error, but it answers nobody."""
    broken = saved(tmp_path, name="broken.cofactor")
    content = bytearray((broken / name).read_bytes())
    if name == "arrays.safetensors":
        start = 8 + int.from_bytes(content[:8], "little")
        at = start + json.loads(content[8:start])["data.items"]["data_offsets"][0]
        content[at : at + 4] = (1 << 20).to_bytes(4, "little")
    else:
        start = 8 + int.from_bytes(content[:8], "little")
        at = start + json.loads(content[8:start])["id"]["data_offsets"][0]
        content[at + 8 : at + 16] = content[at : at + 8]  # one id stands twice
    (broken / name).write_bytes(content)
    facts = json.loads((broken / "manifest.json").read_text(encoding="utf-8"))
    facts["files"][name]["blake2b"] = digest_of(bytes(content))
    (broken / "manifest.json").write_bytes(manifest.dump(facts))
    monkeypatch.setattr("cofactor.bundle.loading.SMALL", 0)
    monkeypatch.setattr("cofactor.serve.live.live._LOOK_EVERY", 0.05)
    cf.load(broken)
    with client(bundle, watch=read_only, read_only=read_only) as http:
        before = ok(http.get("/v1/recommend?user=5"))
        if read_only:
            bundle.rename(tmp_path / "before.cofactor")
            broken.rename(bundle)
            waited(lambda: ok(http.get("/v1/info"))["last_error"] is not None)
        else:
            refused(http.post("/v1/reload", json={"path": str(broken)}), 409)
            assert [v["version"] for v in ok(http.get("/v1/versions"))["versions"]] == [1]
        assert ok(http.get("/v1/info"))["version"] == 1
        assert ok(http.get("/v1/recommend?user=5")) == before


def test_ratings_that_do_not_fit_stop_a_swap(bundle, tmp_path):
    other = saved(tmp_path, name="text.cofactor", text_ids=True)
    with client(bundle) as http:
        ok(http.post("/v1/events", json={"events": NEW}))
        refused(http.post("/v1/reload", json={"path": str(other)}), 422, "same type")
        assert ok(http.get("/v1/info"))["version"] == 1


@pytest.mark.parametrize("read_only", [False, True])
def test_a_replaced_bundle_is_seen(bundle, tmp_path, read_only, monkeypatch):
    monkeypatch.setattr("cofactor.serve.live.live._LOOK_EVERY", 0.05)
    with client(bundle, watch=True, read_only=read_only) as http:
        kept = (bundle / "manifest.json").read_bytes()
        (bundle / "manifest.json").write_bytes(b"{}")
        waited(lambda: ok(http.get("/v1/info"))["last_error"] is not None)
        assert ok(http.get("/v1/info"))["model"] == "als"
        (bundle / "manifest.json").write_bytes(kept)
        saved(tmp_path, "bias", bundle.name)
        waited(lambda: ok(http.get("/v1/info"))["model"] == "bias")
        assert ok(http.get("/v1/info"))["last_error"] is None


def test_only_so_many_versions_are_kept(bundle, tmp_path):
    with client(bundle, keep=3) as http:
        for number in range(2, 6):
            saved(tmp_path, "bias", bundle.name, reg_item=float(number))
            assert ok(http.post("/v1/reload", json={})) == {"version": number}
        assert [v["version"] for v in ok(http.get("/v1/versions"))["versions"]] == [3, 4, 5]
        kept = sorted(p.name for p in (tmp_path / "m.cofactor.state" / "versions").iterdir())
        assert kept == ["000003.cofactor", "000004.cofactor", "000005.cofactor"]
        assert ok(http.post("/v1/rollback", json={})) == {"version": 4}


def test_who_is_forgotten_while_a_model_is_loaded_is_gone(bundle, monkeypatch):
    live = Live(Settings(bundle, watch=False))
    live.open()
    live.tell([Event(999, 101, 5.0, 0), Event(5, 102, 5.0, 0)])
    caught_up = live._caught_up

    def slowly(served):
        found = caught_up(served)
        if live.busy and live.store.count() == 2:  # the events were read, and now one of them goes
            live.forget(999)
        return found

    monkeypatch.setattr(live, "_caught_up", slowly)
    live.reload()
    assert live.now.version == 2
    assert live.now.rec.users.code(999) < 0 <= live.now.rec.users.code(5)
    assert live.now.rec.updates.n_ratings == 1
    live.close()


def test_one_change_of_models_at_a_time(bundle):
    live = Live(Settings(bundle, watch=False))
    live.open()
    with live._change("refitting"), pytest.raises(Busy, match="refitting"):
        live.reload()
    live.close()


@pytest.mark.parametrize("how", ["store", "log", "folder", "replaced"])
def test_nothing_is_confirmed_that_goes_into_a_file_without_a_name(bundle, how):
    """Somebody removes or replaces the store while the server runs, which writes on into the open file."""
    with client(bundle, watch=False, raises=False) as http:
        store = http.app.state.live.settings.state_folder / "events.sqlite"
        ok(http.post("/v1/events", json={"events": NEW}))
        if how == "folder":
            shutil.rmtree(store.parent)
        elif how == "replaced":
            shutil.copy(store, store.with_suffix(".copy"))
            os.replace(store.with_suffix(".copy"), store)
        else:
            os.unlink(store if how == "store" else f"{store}-wal")
        refused(http.post("/v1/events", json={"events": NEW}), 503, "removed or replaced", "restart")
        refused(http.delete("/v1/events?user=999"), 503)
        assert ok(http.get("/v1/info"))["newer_ratings"] == 2
        ok(http.get("/v1/recommend?user=999"))


def test_two_servers_do_not_share_a_state(bundle):
    live = Live(Settings(bundle, watch=False))
    live.open()
    with pytest.raises(ConfigError, match="in use by another server"):
        Live(Settings(bundle, watch=False)).open()
    live.close()


def test_a_store_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "events.sqlite").write_bytes(b"this is a letter, and no database at all" * 50)
    with pytest.raises(ConfigError, match="move it away"):
        Store(tmp_path / "a")
    (tmp_path / "b").mkdir()
    other = sqlite3.connect(tmp_path / "b" / "events.sqlite")
    other.execute("CREATE TABLE mine (x)")
    other.commit()
    other.close()
    with pytest.raises(ConfigError, match="another program"):
        Store(tmp_path / "b")
    (tmp_path / "c").write_text("a file")
    with pytest.raises(ConfigError, match="cannot use"):
        Store(tmp_path / "c")


def test_ids_keep_their_types(tmp_path):
    store = Store(tmp_path / "state")
    events = [Event(1, "1", 2.5, 3), Event("1", 2**62, 2.5, 3)]
    store.append(events)
    assert store.events() == (events, 2)
    assert [type(e.user) for e in store.events()[0]] == [int, str]
    assert store.forget("1") == 1
    assert store.events()[0] == events[:1]
    store.close()


def test_a_full_disk_changes_nothing(bundle, monkeypatch):
    with client(bundle) as http:

        def full(*_):
            raise StoreError("database or disk is full")

        monkeypatch.setattr(Store, "append", full)
        refused(http.post("/v1/events", json={"events": NEW}), 503, "full")
        refused(http.get("/v1/recommend?user=999"), 404)


@pytest.mark.slow
def test_many_write_and_read_at_once_while_models_change(bundle):
    errors, total = [], 0
    with client(bundle) as http:
        stop = threading.Event()

        def read(user):
            while not stop.is_set():
                answer = http.get(f"/v1/recommend?user={user}")
                if answer.status_code != 200:
                    errors.append(answer.text)

        def write(first):
            for k in range(20):
                event = {"user": 1000 + first, "item": 100 + k, "rating": 3}
                answer = http.post("/v1/events", json={"events": [event]})
                if answer.status_code != 200:
                    errors.append(answer.text)

        readers = [threading.Thread(target=read, args=(u,)) for u in (1, 2)]
        writers = [threading.Thread(target=write, args=(w,)) for w in range(3)]
        for thread in (*readers, *writers):
            thread.start()
        for _ in range(5):
            ok(http.post("/v1/reload", json={}))
        for thread in writers:
            thread.join()
        stop.set()
        for thread in readers:
            thread.join()
        assert not errors
        total = ok(http.get("/v1/info"))["newer_ratings"]
        assert [ok(http.get(f"/v1/user?user={1000 + w}"))["total"] for w in range(3)] == [20, 20, 20]
    assert total == 60


WRITER = """
import sys
from pathlib import Path
from cofactor.serve import Settings
from cofactor.serve.live.live import Live
from cofactor.serve.storage.rows import Event
live = Live(Settings(Path(sys.argv[1]), watch=False))
live.open()
for k in range(10_000):
    live.tell([Event(5, 100 + k % 25, 1.0 + k % 5, 1_700_000_000 + k)])
    print(k, flush=True)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL here")
def test_what_was_answered_survives_kill(bundle):
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(bundle)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    said = -1
    for line in process.stdout:
        said = int(line)
        if said == 40:
            os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    live = Live(Settings(bundle, watch=False))
    live.open()
    assert live.store is not None
    events, _ = live.store.events()
    assert len(events) in (said + 1, said + 2)  # the last may have been written and not said
    assert [e.time - 1_700_000_000 for e in events] == list(range(len(events)))
    assert live.now.rec.updates.n_ratings > 0
    live.close()


def test_left_overs_of_a_crash_are_cleared(bundle):
    with client(bundle):
        pass
    folder = Path(f"{bundle}.state") / "versions"
    shutil.copytree(folder / "000001.cofactor", folder / "new.cofactor")
    shutil.copytree(folder / "000001.cofactor", folder / "000009.cofactor")
    with client(bundle) as http:
        assert ok(http.get("/v1/info"))["version"] == 1
    assert [p.name for p in folder.iterdir()] == ["000001.cofactor"]


def test_a_version_that_went_bad_falls_back_to_the_bundle(bundle):
    with client(bundle):
        pass
    (Path(f"{bundle}.state") / "versions" / "000001.cofactor" / "manifest.json").unlink()
    with client(bundle) as http:
        assert ok(http.get("/v1/info"))["version"] == 2
        assert ok(http.get("/v1/recommend?user=5"))["recommendations"]


def test_a_refit_with_new_items_keeps_the_names_and_the_table():
    frame = ratings()
    rec = cf.fit(frame, model="bias", seed=0)
    data = grown(rec, [Event(1, 500, 4.0, 1_700_000_000)])
    assert data.columns == frame.columns
    assert data.n_items == frame.n_items + 1
    assert len(data) == len(frame) + 1
    assert data.item_table["title"].to_list() == [*frame.item_table["title"], None]


def test_lists_are_kept_until_there_are_newer_ratings(bundle, tmp_path, monkeypatch):
    from cofactor.serve.http.handlers import lists

    calls, real = [], lists.recommend_rows

    def counted(*args):
        calls.append(args)
        return real(*args)

    monkeypatch.setattr(lists, "recommend_rows", counted)
    body = {"user": 5, "n": 3}
    with client(bundle) as http:
        first, other = ok(http.get("/v1/recommend?user=5")), ok(http.post("/v1/recommend", json=body))
        assert ok(http.get("/v1/recommend?user=5")) == first
        assert ok(http.post("/v1/recommend", json=body)) == other
        assert len(calls) == 2
        ok(http.post("/v1/events", json={"events": [{"user": 6, "item": 101, "rating": 1}]}))
        ok(http.get("/v1/recommend?user=5"))
        assert len(calls) == 2
        for delete in (False, True):  # newer ratings of the user: another list; without them the old one
            if delete:
                ok(http.delete("/v1/events?user=5"))
            else:
                ok(http.post("/v1/events", json={"events": [{"user": 5, "item": 101, "rating": 1}]}))
            found = ok(http.get("/v1/recommend?user=5"))
            assert (found == first) is delete
            assert found["recommendations"] == http.app.state.live.now.rec.recommend(5).to_dicts()
        before = len(calls)
        saved(tmp_path, "popular", bundle.name)
        ok(http.post("/v1/reload", json={}))
        assert ok(http.get("/v1/recommend?user=5"))["version"] == 2
        assert len(calls) == before + 1
