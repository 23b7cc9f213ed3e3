"""``cofactor state``: check, repair, backup, restore, export, expire, also while a server runs."""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path

import polars as pl
import pytest

from cofactor.errors import ConfigError
from cofactor.serve import Settings, create_app, maintenance
from cofactor.serve.live.live import Live
from cofactor.serve.storage.rows import Event
from serve_tools import TOKEN, client, ok, refused, saved, waited


@pytest.fixture
def bundle(tmp_path):
    return saved(tmp_path, "bias")


def told(bundle, n=200):
    live = Live(Settings(bundle, watch=False))
    live.open()
    live.tell([Event(5, 100 + k % 25, 1.0 + k % 5, 1_700_000_000 + k) for k in range(n)], "a", "body")
    return live


def state_of(bundle):
    return Path(f"{bundle}.state")


def test_a_whole_state_is_said_to_be_whole(bundle):
    live = told(bundle)
    for _ in range(2):  # while a server uses it, and after
        assert maintenance.check(state_of(bundle)) == maintenance.Report(200, [1], 1, [])
        live.close()
    assert maintenance.repair(state_of(bundle)) == maintenance.Repaired(200, 0, 1, None)
    with pytest.raises(ConfigError, match="not a state"):
        maintenance.check(bundle.parent / "none")


def test_a_read_only_state_is_checked_and_copied(bundle, tmp_path, monkeypatch):
    """A backup on a disk that cannot be written to: nothing is, and what would change it says so."""
    live = told(bundle)
    backup = tmp_path / "backup"
    maintenance.copy(state_of(bundle), backup)
    live.close()
    real = os.access
    monkeypatch.setattr(os, "access", lambda place, mode: Path(place) != backup and real(place, mode))
    places = [backup, *sorted(backup.rglob("*"))]
    before = [(place, place.stat().st_mtime_ns, place.is_file() and place.read_bytes()) for place in places]
    assert maintenance.check(backup) == maintenance.Report(200, [1], 1, [])
    assert maintenance.export(backup, tmp_path / "e.csv") == 200
    assert maintenance.copy(backup, tmp_path / "again") == maintenance.Report(200, [1], 1, [])
    report, changed = maintenance.restore(backup, tmp_path / "third", state_of(bundle))
    assert (report, changed) == (maintenance.Report(200, [1], 1, []), [])
    assert [backup, *sorted(backup.rglob("*"))] == places
    assert [(place, place.stat().st_mtime_ns, place.is_file() and place.read_bytes()) for place in places] == before
    (backup / "events.sqlite").write_bytes(b"x")
    assert maintenance.check(backup).wrong
    with pytest.raises(ConfigError, match="is read-only; repair a copy"):
        maintenance.repair(backup)


@pytest.mark.parametrize("tail", ["", "-wal", "-shm", "-journal"])
def test_what_a_crash_left_of_a_new_state_is_in_nobodys_way(bundle, tmp_path, tail):
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / f"events.sqlite.0123abcd.tmp{tail}").write_bytes(b"half")
    with client(bundle, state=tmp_path / "s") as http:
        assert ok(http.get("/v1/info"))["newer_ratings"] == 0


def test_a_backup_of_a_running_server_is_a_state(bundle, tmp_path):
    live = told(bundle)
    maintenance.copy(state_of(bundle), tmp_path / "backup")
    live.tell([Event(6, 101, 5.0, 1_700_000_000)])
    live.close()
    assert maintenance.check(tmp_path / "backup") == maintenance.Report(200, [1], 1, [])
    maintenance.copy(tmp_path / "backup", tmp_path / "again")
    live = Live(Settings(bundle, state=tmp_path / "again", watch=False))
    live.open()
    assert live.store.count() == 200
    assert live.tell([Event(5, 101, 5.0, 1)], "a", "body")["accepted"] == 200  # keys too
    live.close()
    for taken in (tmp_path / "again", bundle, tmp_path):
        with pytest.raises(ConfigError):
            maintenance.copy(tmp_path / "backup", taken)


def test_what_is_whole_of_a_damaged_state_is_kept(bundle):
    told(bundle).close()
    with sqlite3.connect(state_of(bundle) / "events.sqlite") as db:
        db.execute("UPDATE cofactor_events SET rating = 1.5 WHERE id = 50")
    db.close()
    assert any("newer rating 50" in said for said in maintenance.check(state_of(bundle)).wrong)
    with pytest.raises(ConfigError, match="newer rating 50"):
        Live(Settings(bundle, watch=False)).open()
    found = maintenance.repair(state_of(bundle))
    assert (found.kept, found.lost, found.live) == (199, 1, 1)
    assert found.aside.exists()
    assert maintenance.check(state_of(bundle)).wrong == []
    live = Live(Settings(bundle, watch=False))
    live.open()
    assert (live.store.count(), live.now.version) == (199, 1)
    assert live.tell([Event(5, 101, 5.0, 1)], "a", "body")["accepted"] == 200
    assert live.tell([Event(5, 101, 5.0, 1)])["events"] == 200
    live.close()


@pytest.mark.parametrize("how", ["empty", "missing", "pages", "marker", "head"])
def test_a_state_can_be_repaired_whatever_happened_to_it(bundle, how):
    told(bundle, 900).close()
    store = state_of(bundle) / "events.sqlite"
    if how == "missing":
        store.unlink()
    elif how == "empty":
        os.truncate(store, 0)
    elif how == "marker":
        (state_of(bundle) / "state.json").write_text("nonsense")
    else:
        content = bytearray(store.read_bytes())
        pages = len(content) // 4096
        begin, end = (0, 1) if how == "head" else (pages * 5 // 6, pages)
        content[begin * 4096 : end * 4096] = b"\xff" * (4096 * (end - begin))
        store.write_bytes(content)
    assert maintenance.check(state_of(bundle)).wrong
    with pytest.raises(ConfigError, match="repair"):
        Live(Settings(bundle, watch=False)).open()
    found = maintenance.repair(state_of(bundle))
    assert maintenance.check(state_of(bundle)) == maintenance.Report(found.kept, [1], 1, [])
    assert found.kept == {"marker": 900}.get(how, found.kept)
    assert how != "pages" or 0 < found.kept < 900
    live = Live(Settings(bundle, watch=False))
    live.open()
    assert (live.store.count(), live.now.version) == (found.kept, 1)
    live.close()


def test_newer_ratings_as_a_table(bundle, tmp_path):
    live = told(bundle, 30)
    for name, read in (("a.csv", pl.read_csv), ("a.parquet", pl.read_parquet)):
        assert maintenance.export(state_of(bundle), tmp_path / name) == 30
        table = read(tmp_path / name)
        assert table.row(3) == (5, 103, 4.0, 1_700_000_003)
    live.close()


def test_old_ratings_expire_while_a_server_runs(bundle):
    with client(bundle) as http:
        events = [{"user": 900 + k, "item": 101, "rating": 5, "time": 1_600_000_000 + k * 86400} for k in range(10)]
        ok(http.post("/v1/events", json={"events": events}))
        assert maintenance.expire(state_of(bundle), 5.5, now=1_600_000_000 + 10 * 86400) == 5
        waited(lambda: http.get("/v1/user?user=904").status_code == 404, 5)
        for k in (0, 4):
            refused(http.get(f"/v1/user?user={900 + k}"), 404)
        for k in (5, 9):
            assert ok(http.get(f"/v1/user?user={900 + k}"))["total"] == 1
    with client(bundle) as http:
        assert ok(http.get("/v1/info"))["newer_ratings"] == 5


def test_the_commands(bundle, tmp_path, typed):
    told(bundle, 30).close()
    where = state_of(bundle)
    assert typed("state", "check", where)[0] == 0
    assert typed("state", "backup", where, tmp_path / "backup")[0] == 0
    assert typed("state", "restore", tmp_path / "backup", tmp_path / "again")[0] == 0
    assert typed("state", "export", where, tmp_path / "a.csv")[0] == 0
    assert typed("state", "expire", where, "--older-than", "1")[1].startswith("30 ")
    code, out, _ = typed("state", "repair", where)
    assert (code, "0 newer ratings are kept, 0 are lost" in out) == (0, True)
    os.truncate(where / "events.sqlite", 0)
    assert typed("state", "check", where)[0] == 2
    code, _, err = typed("state", "backup", where, tmp_path / "more")
    assert (code, len(err.strip().splitlines())) == (2, 1)
    assert typed("state", "check", tmp_path / "none")[0] == 2


def test_tokens_have_scopes_and_change_while_it_runs(bundle, tmp_path, typed, monkeypatch):
    monkeypatch.setattr("cofactor.serve.guard.tokens._LOOK_EVERY", 0.0)
    file = tmp_path / "tokens"
    asked = {}
    for name, scopes in (("reader", "read"), ("writer", "read,events"), ("boss", "read,events,admin")):
        code, out, _ = typed("token", name, "--scopes", scopes, "--file", file)
        assert code == 0
        asked[name] = {"authorization": f"Bearer {out.strip()}"}
        assert out.strip() not in file.read_text(encoding="utf-8")
    assert typed("token", "x", "--scopes", "all")[0] == 2
    event = {"events": [{"user": 5, "item": 101, "rating": 3}]}
    with client(bundle, tokens=file, host="0.0.0.0") as http:
        refused(http.get("/v1/info"), 401)
        refused(http.get("/v1/info", headers={"authorization": f"Bearer {TOKEN}"}), 401)
        for name, statuses in (
            ("reader", (200, 403, 403, 403)),
            ("writer", (200, 200, 403, 403)),
            ("boss", (200,) * 4),
        ):
            answers = (
                http.get("/v1/recommend?user=5", headers=asked[name]),
                http.post("/v1/events", json=event, headers=asked[name]),
                http.get("/v1/users", headers=asked[name]),
                http.post("/v1/reload", json={}, headers=asked[name]),
            )
            assert tuple(a.status_code for a in answers) == statuses, name
        lines = [line for line in file.read_text(encoding="utf-8").splitlines() if not line.startswith("reader")]
        time.sleep(0.01)
        file.write_text("\n".join(lines))
        refused(http.get("/v1/info", headers=asked["reader"]), 401)
        assert http.get("/v1/info", headers=asked["writer"]).status_code == 200
        file.write_text("nonsense\n")
        refused(http.get("/v1/info", headers=asked["boss"]), 401)
    with pytest.raises(ConfigError, match=r"line .* is not valid"):
        create_app(Settings(bundle, tokens=file)).build_middleware_stack()


def test_old_ratings_are_deleted_by_the_server_itself(bundle, tmp_path, monkeypatch):
    """Now and then, and by a clock that does not jump with that of the machine."""
    monkeypatch.setattr("cofactor.serve.live.live._CLOCK_EVERY", 0.05)
    now = int(time.time())
    live = Live(Settings(bundle, state=tmp_path / "kept", watch=False, retain_days=30))
    live.open()
    live.tell([Event(5, 101, 3.0, now - 31 * 86_400), Event(5, 102, 3.0, now - 29 * 86_400), Event(6, 101, 3.0, now)])
    waited(lambda: live.store.count() == 2, 10)
    waited(lambda: live.now.rec.updates.n_ratings == 2, 10)
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 1000 * 86_400)
    time.sleep(0.3)
    assert live.store.count() == 2
    live.close()
