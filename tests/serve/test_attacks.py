"""Attacks on what is kept: restarts, clocks, foreign folders, bundles written over, stores that are damaged."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

import cofactor as cf
from cofactor.errors import BundleError, ConfigError
from cofactor.serve import Settings
from cofactor.serve.live.live import Live
from cofactor.serve.storage.rows import Event
from serve_tools import NEW, client, ok, refused, saved, waited


@pytest.fixture
def bundle(tmp_path):
    return saved(tmp_path, "bias")


def state_of(bundle):
    return Path(f"{bundle}.state")


def refit(http):
    assert http.post("/v1/refit", json={}).status_code == 202
    waited(lambda: ok(http.get("/v1/versions"))["busy"] is None)
    assert ok(http.get("/v1/info"))["last_error"] is None


# ---- what is live survives


def test_many_refits_survive_a_restart(bundle):
    with client(bundle, keep=2) as http:
        for at in range(4):
            ok(http.post("/v1/events", json={"events": [{"user": 700 + at, "item": 101, "rating": 5}]}))
            refit(http)
        before = ok(http.get("/v1/info"))
    with client(bundle, keep=2) as http:
        after = ok(http.get("/v1/info"))
        assert (after["version"], after["users"], after["ratings"]) == (5, before["users"], before["ratings"])
        assert ok(http.get("/v1/recommend?user=703"))["version"] == 5


def test_a_reload_from_elsewhere_survives_a_restart(bundle, tmp_path):
    other = saved(tmp_path, "popular", "other.cofactor")
    with client(bundle) as http:
        ok(http.post("/v1/reload", json={"path": str(other)}))
    shutil.rmtree(other)
    with client(bundle) as http:
        assert ok(http.get("/v1/info"))["model"] == "popular"
        assert ok(http.get("/v1/info"))["version"] == 2


def test_rollback_and_what_is_kept_go_by_order_and_not_by_the_clock(bundle, tmp_path, monkeypatch):
    real = time.time
    with client(bundle, keep=3) as http:
        for number, days in ((2, -10), (3, -20), (4, 5)):
            monkeypatch.setattr(time, "time", lambda days=days: real() + 86400 * days)
            saved(tmp_path, "bias", bundle.name, reg_item=float(number))
            assert ok(http.post("/v1/reload", json={})) == {"version": number}
        assert [v["version"] for v in ok(http.get("/v1/versions"))["versions"]] == [2, 3, 4]
        assert ok(http.post("/v1/rollback", json={})) == {"version": 3}


def test_keys_outlive_a_jump_of_the_clock(bundle, monkeypatch):
    real = time.time
    with client(bundle) as http:
        first = ok(http.post("/v1/events", json={"events": NEW, "key": "a"}))
        monkeypatch.setattr(time, "time", lambda: real() + 86400 * 400)
        ok(http.post("/v1/events", json={"events": NEW[:1], "key": "b"}))
        assert ok(http.post("/v1/events", json={"events": NEW, "key": "a"})) == first
        assert ok(http.get("/v1/info"))["newer_ratings"] == 2
    with client(bundle) as http:
        assert ok(http.post("/v1/events", json={"events": NEW, "key": "a"})) == first


# ---- nothing foreign is deleted or trusted


def files(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("name", ["versions", "src", ".git"])
def test_a_folder_with_other_things_is_refused(bundle, tmp_path, name):
    other = tmp_path / "repository"
    (other / name / "v1.0").mkdir(parents=True)
    (other / name / "v1.0" / "notes.txt").write_text("mine")
    before = files(other)
    with pytest.raises(ConfigError, match="other files"):
        Live(Settings(bundle, state=other, watch=False)).open()
    assert files(other) == before


def test_a_link_to_a_folder_of_others_is_not_followed(bundle, tmp_path):
    other = tmp_path / "repository"
    (other / "v1.0").mkdir(parents=True)
    (other / "v1.0" / "notes.txt").write_text("mine")
    state = tmp_path / "state"
    state.mkdir()
    (state / "versions").symlink_to(other)
    with pytest.raises(ConfigError):
        Live(Settings(bundle, state=state, watch=False)).open()
    assert (other / "v1.0" / "notes.txt").exists()
    (state / "versions").unlink()
    with client(bundle, state=state):
        pass
    kept = state / "versions" / "000001.cofactor"
    for stray in ("v1.0", "my notes", "000009.cofactor"):
        (state / "versions" / stray).mkdir()
        (state / "versions" / stray / "notes.txt").write_text("mine")
    (state / "versions" / "000008.cofactor").symlink_to(other)
    with client(bundle, state=state):
        pass
    assert {p.name for p in (state / "versions").iterdir()} == {
        kept.name, "v1.0", "my notes", "000009.cofactor", "000008.cofactor",
    }  # fmt: skip
    assert (other / "v1.0" / "notes.txt").exists()


@pytest.mark.parametrize("how", ["cp", "truncate", "flip"])
def test_a_bundle_that_is_written_over_changes_no_version(bundle, tmp_path, how):
    with client(bundle) as http:
        before = ok(http.get("/v1/recommend?user=5"))
        arrays = bundle / "arrays.safetensors"
        if how == "cp":
            other = saved(tmp_path, "bias", "other.cofactor", reg_item=500.0)
            for file in other.iterdir():
                (bundle / file.name).write_bytes(file.read_bytes())
        elif how == "truncate":
            os.truncate(arrays, 100)
        else:
            content = bytearray(arrays.read_bytes())
            content[-1] ^= 1
            with open(arrays, "r+b") as file:
                file.write(content)
        saved(tmp_path, "popular", "next.cofactor")
        ok(http.post("/v1/reload", json={"path": str(tmp_path / "next.cofactor")}))
        assert ok(http.post("/v1/rollback", json={})) == {"version": 1}
        assert ok(http.get("/v1/recommend?user=5")) == before


def test_a_version_that_was_changed_does_not_go_live(bundle, tmp_path):
    with client(bundle) as http:
        saved(tmp_path, "popular", "next.cofactor")
        ok(http.post("/v1/reload", json={"path": str(tmp_path / "next.cofactor")}))
        other = saved(tmp_path, "bias", "other.cofactor", reg_item=500.0)
        kept = state_of(bundle) / "versions" / "000001.cofactor"
        shutil.rmtree(kept)
        shutil.copytree(other, kept)
        refused(http.post("/v1/rollback", json={}), 409, "changed")
        assert ok(http.get("/v1/info"))["model"] == "popular"


# ---- a damaged or missing store is refused


def told(bundle, n=200):
    live = Live(Settings(bundle, watch=False))
    live.open()
    for at in range(0, n, 100):
        live.tell([Event(5, 100 + k % 25, 1.0 + k % 5, 1_700_000_000 + k) for k in range(at, at + 100)])
    return live


KILLED = """
import os, sys
from pathlib import Path
from cofactor.serve import Settings
from cofactor.serve.live.live import Live
from cofactor.serve.storage.rows import Event
live = Live(Settings(Path(sys.argv[1]), watch=False))
live.open()
live.tell([Event(5, 100 + k % 25, 1.0 + k % 5, 1_700_000_000 + k) for k in range(200)])
os._exit(9)
"""


@pytest.fixture(scope="module")
def once(tmp_path_factory):
    """A folder with a state whose process ended without closing it, and one that was closed."""
    folder = tmp_path_factory.mktemp("once")
    for name in ("crashed", "closed"):
        (folder / name).mkdir()
        bundle = saved(folder / name, "bias")
        if name == "closed":
            told(bundle).close()
        else:
            subprocess.run([sys.executable, "-c", KILLED, str(bundle)], check=False, timeout=60)
    return folder


@pytest.fixture
def crashed(once, tmp_path):
    shutil.copytree(once / "crashed", tmp_path / "crashed")
    return tmp_path / "crashed" / "m.cofactor"


@pytest.fixture
def closed(once, tmp_path):
    shutil.copytree(once / "closed", tmp_path / "closed")
    return tmp_path / "closed" / "m.cofactor"


@pytest.mark.parametrize("which", ["crashed", "closed"])
def test_a_state_of_which_nothing_is_lost_goes_on(which, request):
    live = Live(Settings(request.getfixturevalue(which), watch=False))
    live.open()
    assert (live.store.count(), live.now.version) == (200, 1)
    live.close()


@pytest.mark.parametrize("crash", [False, True])
@pytest.mark.parametrize("how", ["empty", "missing", "half", "letter"])
def test_a_store_that_lost_ratings_is_refused(closed, crashed, how, crash):
    bundle = crashed if crash else closed
    store = state_of(bundle) / "events.sqlite"
    if how == "missing":
        store.unlink()
    elif how == "letter":
        store.write_bytes(b"Dear all, " * 1000)
    else:
        os.truncate(store, 0 if how == "empty" else store.stat().st_size // 2)
    before = files(state_of(bundle))
    with pytest.raises(ConfigError, match="state repair"):
        Live(Settings(bundle, watch=False)).open()
    after = files(state_of(bundle))
    assert {k: v for k, v in after.items() if "versions" in str(k)} == {
        k: v for k, v in before.items() if "versions" in str(k)
    }


@pytest.mark.parametrize("how", ["missing", "empty", "half", "flipped"])
def test_a_lost_log_is_refused(crashed, how):
    log = state_of(crashed) / "events.sqlite-wal"
    size = log.stat().st_size
    if how == "missing":
        log.unlink()
    elif how == "flipped":
        content = bytearray(log.read_bytes())
        content[size // 2] ^= 255
        log.write_bytes(content)
    else:
        os.truncate(log, 0 if how == "empty" else size // 2)
    with pytest.raises(ConfigError, match="state repair"):
        Live(Settings(crashed, watch=False)).open()


@pytest.mark.slow
def test_bits_that_flip_anywhere_are_seen(bundle):
    """A bit here and there, one at a time: refused at the start, or nothing of what is answered is another."""
    live = told(bundle, 100)
    before = live.store.events()
    live.close()
    store = state_of(bundle) / "events.sqlite"
    marker = state_of(bundle) / "state.json"
    whole, mark = store.read_bytes(), marker.read_bytes()
    refusals = 0
    for at in range(0, len(whole), 617):
        content = bytearray(whole)
        content[at] ^= 1 << (at % 8)
        store.write_bytes(content)
        marker.write_bytes(mark)
        for left in ("-wal", "-shm"):
            Path(f"{store}{left}").unlink(missing_ok=True)
        live = Live(Settings(bundle, watch=False))
        try:
            live.open()
        except (ConfigError, BundleError):
            refusals += 1
            continue
        assert live.store.events() == before
        assert live.now.version == 1
        live.close()
    assert refusals > 5


def test_a_row_that_was_changed_by_hand_is_seen(bundle):
    told(bundle).close()
    with sqlite3.connect(state_of(bundle) / "events.sqlite") as db:
        name = db.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE '%events'").fetchone()[0]
        db.execute(f"UPDATE {name} SET rating = 1 WHERE id = 50")
    db.close()
    with pytest.raises(ConfigError, match="newer rating 50 was changed"):
        Live(Settings(bundle, watch=False)).open()


def test_a_refused_second_server_leaves_the_first_its_lock(bundle):
    live = Live(Settings(bundle, watch=False))
    live.open()
    for _ in range(2):
        with pytest.raises(ConfigError, match="in use"):
            Live(Settings(bundle, watch=False)).open()
    code = "import sys; from cofactor.serve import Settings; from cofactor.serve.live.live import Live\n"
    code += "Live(Settings(sys.argv[1], watch=False)).open()"
    other = subprocess.run([sys.executable, "-c", code, str(bundle)], capture_output=True, text=True, timeout=60)
    assert "in use" in other.stderr
    live.close()


@pytest.mark.skipif(os.name != "posix", reason="file modes are those of POSIX")
def test_a_state_that_was_open_to_others_is_closed(bundle):
    state = state_of(bundle)
    state.mkdir(mode=0o755)
    state.chmod(0o755)
    with client(bundle) as http:
        ok(http.post("/v1/events", json={"events": NEW}))
    for place in (state, *state.rglob("*")):
        if place.is_dir() and place.suffix != ".cofactor":
            place.chmod(0o755)
        elif place.suffix == ".sqlite":
            place.chmod(0o644)
    with client(bundle) as http:
        ok(http.post("/v1/events", json={"events": NEW}))
        assert stat.S_IMODE(state.stat().st_mode) == 0o700
        assert stat.S_IMODE((state / "versions").stat().st_mode) == 0o700
        assert {stat.S_IMODE(p.stat().st_mode) for p in state.iterdir() if p.is_file()} == {0o600}


def test_a_state_of_the_first_format_is_read(bundle):
    state = state_of(bundle)
    (state / "versions").mkdir(parents=True)
    other = saved(bundle.parent, "popular", "other.cofactor")
    shutil.copytree(other, state / "versions" / "000001.cofactor")
    with sqlite3.connect(state / "events.sqlite") as db:
        db.executescript(FIRST_FORMAT)
        db.execute("INSERT INTO events (user, item, rating, time) VALUES (999, 101, 5.0, 1700000000)")
        db.execute("INSERT INTO events (user, item, rating, time) VALUES (5, 102, 1.0, 1700000001)")
        db.execute("DELETE FROM events WHERE id = 2")
        from cofactor.serve.storage.versions import origin_of

        row = 1, "given", origin_of(bundle), "000001.cofactor", "popular", "", 0, None, 1.7e9, 1
        db.execute("INSERT INTO versions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    db.close()
    live = Live(Settings(bundle, watch=False))
    live.open()
    assert live.now.rec.name == "popular"
    assert live.now.version == 1
    assert live.store.events() == ([Event(999, 101, 5.0, 1_700_000_000)], 2)
    assert live.store.new_number() == 2
    live.close()


FIRST_FORMAT = """
CREATE TABLE events (
    id INTEGER PRIMARY KEY AUTOINCREMENT, user, item, rating REAL NOT NULL, time INTEGER NOT NULL
);
CREATE INDEX events_of_user ON events (user);
CREATE TABLE answered (key TEXT PRIMARY KEY, accepted INTEGER NOT NULL, received INTEGER NOT NULL);
CREATE TABLE versions (
    version INTEGER PRIMARY KEY AUTOINCREMENT, source TEXT NOT NULL, origin TEXT NOT NULL, folder TEXT NOT NULL,
    model TEXT NOT NULL, created TEXT NOT NULL, through INTEGER NOT NULL, drift REAL, activated REAL, active INTEGER
);
PRAGMA application_id = 202353776;
PRAGMA user_version = 1;
"""


def test_a_version_is_a_copy(bundle):
    with client(bundle):
        kept = state_of(bundle) / "versions" / "000001.cofactor"
        for file in bundle.iterdir():
            assert (kept / file.name).stat().st_ino != file.stat().st_ino
        assert cf.load(kept, verify=True).name == "bias"
