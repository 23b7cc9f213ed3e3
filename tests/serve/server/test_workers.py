"""Several processes with one state, in SQLite and in PostgreSQL: nothing that was answered is lost, and all see it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from cofactor.errors import ConfigError
from cofactor.serve import Settings, maintenance
from cofactor.serve.experiments import feedback, outcomes
from cofactor.serve.http.errors import explained
from cofactor.serve.live.live import Live
from cofactor.serve.storage import tables
from cofactor.serve.storage.rows import Event
from cofactor.serve.storage.store import Store
from cofactor.serve.storage.transactions import StoreError, Unsure
from postgres_server import postgres_server
from serve_tools import saved, waited

CYCLES = int(os.environ.get("COFACTOR_KILLS", "1"))
"""How often workers are killed; more of it shows more, and takes longer."""
WORDS = {k: v for k, v in os.environ.items() if k != "COFACTOR_TOKEN"}


@pytest.fixture(scope="session")
def postgresql():
    """The address of a PostgreSQL server of our own."""
    with postgres_server(fsync=CYCLES > 1) as address:  # fsync off: it is not this server that is killed
        yield address


@pytest.fixture(params=["sqlite", "postgresql"])
def where(request, tmp_path):
    """A place for a state: a directory, or an empty database."""
    if request.param == "sqlite":
        return tmp_path / "state"
    return database(request.getfixturevalue("postgresql"))


def database(server):
    """The address of a new database."""
    import psycopg

    name = f"db{random.getrandbits(60)}"
    with psycopg.connect(f"{server}/postgres", autocommit=True) as db:
        db.execute(f"CREATE DATABASE {name}")
    return f"{server}/{name}"


@pytest.fixture
def bundle(tmp_path):
    return saved(tmp_path, "bias")


def opened(bundle, where, **more):
    live = Live(Settings(bundle, state=where, watch=False, **more))
    live.open()
    return live


# ---- the store, in both


def test_ids_keep_their_types_and_order(where):
    store = Store(where)
    events = [Event(1, "1", 2.5, 3), Event("1", 2**62, 2.5, 3), Event("a\x00ü\U0001f600", -5, 1e300, 2**39)]
    assert store.append(events).last == 3
    assert store.events() == (events, 3)
    assert [type(e.user) for e in store.events()[0]] == [int, str, str]
    assert store.forget("1") == 1
    assert store.events() == ([events[0], events[2]], 3)
    assert (store.count(), store.append(events).first) == (2, 4)
    store.close()


def test_a_user_is_forgotten_in_all_parts_of_the_events(where, monkeypatch):
    """Users are indexed within parts of the events; a part may be gone, and a statement looks at some of them."""
    monkeypatch.setattr("cofactor.serve.storage.rows._PARTS", 1)
    store, n = Store(where), 2 * tables.PART + 100
    theirs = {1, tables.PART - 1, tables.PART, tables.PART + 1, n}
    store.append([Event(7 if k in theirs else f"{k % 90}", k, 1.0, k) for k in range(1, n + 1)])
    assert store.expire(tables.PART) == tables.PART - 1
    assert store.forget(7) == len(theirs) - 2
    assert (store.forget(7), store.forget("nobody")) == (0, 0)
    assert [e.item for e in store.events()[0]] == [k for k in range(tables.PART, n) if k not in theirs]
    which = sa.select(tables.events.c.id).where(tables.part.in_([0, 1]), tables.events.c.user_id == '"7"')
    plan = which.compile(store._engine, compile_kwargs={"literal_binds": True})
    with store._read() as db:
        db.exec_driver_sql("ANALYZE cofactor_events")
        explain = "EXPLAIN QUERY PLAN" if db.dialect.name == "sqlite" else "EXPLAIN"
        assert "cofactor_events_by_part" in str(db.exec_driver_sql(f"{explain} {plan}").all())
    for k in range(90):
        store.forget(f"{k}")
    assert (store.forget(7), store.count()) == (0, 0)
    store.close()


def test_a_copy_that_was_not_finished_is_no_state(bundle, tmp_path, where, monkeypatch):
    live = opened(bundle, tmp_path / "source")
    live.tell([Event(5, 101, 4.0, 7)])
    live.close()

    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("cofactor.serve.maintenance.copies._copy_version", interrupted)
        if isinstance(where, Path):  # as a kill leaves it
            patched.setattr("cofactor.serve.maintenance.copies._discard", lambda place: None)
        with pytest.raises(KeyboardInterrupt):
            maintenance.copy(tmp_path / "source", where)
    assert "not finished; make the copy again" in maintenance.check(where).wrong[0]
    with pytest.raises(ConfigError, match="not finished"):
        opened(bundle, where, versions=tmp_path / "copies")
    assert maintenance.copy(tmp_path / "source", where).wrong == []
    live = opened(bundle, where, versions=tmp_path / "copies")
    assert live.store.events()[0] == [Event(5, 101, 4.0, 7)]
    live.close()
    with pytest.raises(ConfigError, match="already holds a state"):
        maintenance.copy(tmp_path / "source", where)


def test_a_state_of_the_third_format_is_read(where):
    store = Store(where)
    events = [Event(k % 5, k, 1.0, k) for k in range(50)]
    store.append(events)
    with store._write() as db:
        db.exec_driver_sql("DROP INDEX cofactor_events_by_part")
        db.exec_driver_sql("CREATE INDEX cofactor_events_of_user ON cofactor_events (user_id)")
        row = tables.with_digest(name="format", value="3")
        db.execute(tables.meta.update().where(tables.meta.c.name == "format").values(row))
    store.close()
    store = Store(where)
    with store._read() as db:
        kind = "sqlite_master WHERE tbl_name" if db.dialect.name == "sqlite" else "pg_indexes WHERE tablename"
        column = "name" if db.dialect.name == "sqlite" else "indexname"
        names = db.exec_driver_sql(f"SELECT {column} FROM {kind} = 'cofactor_events'").all()
    assert store.events() == (events, 50)
    assert store.forget(3) == 10
    store.close()
    assert {name for (name,) in names} - {"cofactor_events", "cofactor_events_pkey"} == {"cofactor_events_by_part"}
    Store(where).close()


def test_a_database_that_is_lost_while_it_ends_a_transaction_is_said(postgresql):
    """Whether the events are kept is not known then, and nobody is told that nothing was changed."""
    store, lose = Store(database(postgresql)), []

    @sa.event.listens_for(store._engine, "commit")
    def _ended(db):
        if lose:
            lose.clear()
            with store._engine.connect() as other:
                other.exec_driver_sql(f"SELECT pg_terminate_backend({db.connection.dbapi_connection.info.backend_pid})")
                time.sleep(0.1)

    event = Event(1, "1", 2.5, 3)
    store.append([event])
    lose.append(True)
    with pytest.raises(Unsure) as lost:
        store.append([event], "key", "body")
    status, said = explained(lost.value, "POST", "/v1/events")
    assert (status, "may or may not" in said, "nothing was changed" in said) == (503, True, False)
    assert store.append([event], "key", "body").last == store.position()["events"] == 2
    with pytest.raises(StoreError) as wrong, store._write() as db:
        db.exec_driver_sql("SELECT nothing")
    assert not isinstance(wrong.value, Unsure)
    store.close()


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_connection_that_is_lost_at_any_statement_loses_and_doubles_no_event(postgresql, monkeypatch, when):
    """The client gets 503, repeats the request with its key, and the events are stored once."""
    import psycopg

    address = database(postgresql)
    store, other = Store(address), psycopg.connect(address, autocommit=True)
    left, lost, number = [0], 0, 0
    plain = {name: getattr(psycopg.Cursor, name) for name in ("execute", "executemany")}

    def cutting(name):
        def run(cursor, *args, **kwargs):
            if cursor.connection is other:
                return plain[name](cursor, *args, **kwargs)
            left[0] -= 1
            if left[0] == 0 and when == "after":
                found = plain[name](cursor, *args, **kwargs)
            if left[0] == 0:
                other.execute("SELECT pg_terminate_backend(%s, 5000)", (cursor.connection.info.backend_pid,))
            return found if left[0] == 0 and when == "after" else plain[name](cursor, *args, **kwargs)

        return run

    for name in plain:
        monkeypatch.setattr(psycopg.Cursor, name, cutting(name))
    while left[0] <= 0:  # until an append ends before the statement that is cut
        number += 1
        events = [Event(user, str(number), 2.5, 3) for user in (1, 2)]
        left[0] = number
        for _ in range(3):
            try:
                said = store.append(events, f"key {number}", "body", lambda there: {"there": there})
                break
            except StoreError as exc:
                lost += 1
                status, _ = explained(exc, "POST", "/v1/events")
                assert status == 503
        assert json.loads(said.answer) == {"there": 2 * number}
    monkeypatch.undo()
    found, last = store.events()
    assert [(e.user, e.item) for e in found] == [(user, str(at)) for at in range(1, number + 1) for user in (1, 2)]
    assert last == store.count() == 2 * number
    assert lost >= 5
    store.close()
    other.close()


def test_many_who_write_get_numbers_in_order(where):
    store = Store(where)
    others = [Store(where, lock=False) for _ in range(3)]
    seen, stop = [], threading.Event()

    def write(number):
        for k in range(15):
            others[number].append([Event(number, k, 1.0, 0)] * 3, f"{number} {k}", "body", lambda total: {"n": total})

    def read():
        while not stop.is_set() or len(seen) < 135:
            found, _ = store.events(len(seen))
            seen.extend(found)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(3)]
    reader = threading.Thread(target=read)
    reader.start()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stop.set()
    reader.join(30)
    assert seen == store.events()[0]
    for number in range(3):
        assert [e.item for e in seen if e.user == number] == [k for k in range(15) for _ in range(3)]
    for one in (*others, store):
        one.close()


def test_versions_go_by_order_of_activation(bundle, where, tmp_path):
    live = opened(bundle, where)
    for number in (2, 3):
        live.reload(saved(tmp_path, "bias", f"{number}.cofactor", reg_item=float(number)))
    assert live.rollback() == 2
    assert live.rollback() == 3
    assert live.rollback(1) == 1
    live.tell([Event(5, 101, 1.0, 0)], "a", "body")
    live.close()
    shutil.rmtree(tmp_path / "3.cofactor")
    live = opened(bundle, where)
    assert live.now.version == 1
    assert live.tell([Event(5, 101, 1.0, 0)], "a", "body")["accepted"] == 1
    assert live.store.count() == 1
    assert live.rollback(3) == 3
    live.close()
    assert maintenance.check(where).wrong == []


def test_another_host_gets_the_versions_from_the_database(bundle, postgresql, tmp_path, request):
    import psycopg

    with psycopg.connect(f"{postgresql}/postgres", autocommit=True) as db:
        db.execute("CREATE DATABASE hosts")
    where = f"{postgresql}/hosts"
    one = opened(bundle, where, versions=tmp_path / "one")
    one.reload(saved(tmp_path, "popular", "other.cofactor"))
    two = opened(bundle, where, versions=tmp_path / "two")
    assert (two.now.rec.name, two.now.version) == ("popular", 2)
    one.tell([Event(5, 101, 1.0, 0)])
    waited(lambda: two.now.rec.updates.n_ratings == 1, 5)
    one.rollback()
    waited(lambda: (two.now.version, one.now.rec.name) == (1, "bias"), 10)
    with pytest.raises(ConfigError, match="is a saved model"):
        opened(bundle, where, versions=bundle)
    for live in (one, two):
        live.close()


def test_a_host_waits_while_another_changes_the_format(postgresql, monkeypatch, caplog):
    import psycopg

    where = database(postgresql)
    monkeypatch.setattr("cofactor.serve.storage.transactions._TURN_EVERY", 0.02)
    with psycopg.connect(where) as other:
        other.execute(f"SELECT pg_advisory_xact_lock({tables.OURS})")
        found = []
        thread = threading.Thread(target=lambda: found.append(Store(where)))
        thread.start()
        waited(lambda: "waiting until it is done" in caplog.text, 5)
        assert not found
        other.commit()
        thread.join(10)
        assert found[0].append([Event(1, 2, 3.0, 4)]).last == 1
        other.execute(f"SELECT pg_advisory_xact_lock({tables.OURS})")
        monkeypatch.setattr("cofactor.serve.storage.transactions.MIGRATING", 0.1)
        with pytest.raises(ConfigError, match="start this server again"):
            Store(where)
    found[0].close()


def test_a_change_of_the_format_says_that_others_use_the_database(postgresql, monkeypatch):
    """The lock that a change needs, an old server holds in a transaction that takes long."""
    import psycopg

    where = database(postgresql)
    store = Store(where)
    with store._write() as db:
        row = tables.with_digest(name="format", value="3")
        db.execute(tables.meta.update().where(tables.meta.c.name == "format").values(row))
    store.close()
    real = psycopg.connect
    monkeypatch.setattr(
        psycopg, "connect", lambda a, options="", **k: real(a, options=f"{options} -c lock_timeout=100", **k)
    )
    with real(where) as other:
        other.execute("SELECT count(*) FROM cofactor_events")
        with pytest.raises(ConfigError, match="stop them, start this server"):
            Store(where)
    store = Store(where)
    assert store.count() == 0
    store.close()


LEADS = """
import sys
from cofactor.serve.storage.store import Store, Version
from cofactor.serve.storage.transactions import StoreError
store = Store(sys.argv[1], silent=1.0)
with store.leading() as alone:
    print(alone, flush=True)
    sys.stdin.readline()
    try:
        store.add_candidate(Version(7, "refit", "", "", "", "bias", "", 0, None, 0, None))
    except StoreError as exc:
        print(exc, flush=True)
with store.leading() as alone:
    print(alone, flush=True)
    store.add_candidate(Version(8, "refit", "", "", "", "bias", "", 0, None, 0, None))
"""


@pytest.mark.slow
def test_a_host_that_is_stopped_while_it_changes_models_holds_nobody_up(postgresql):
    where = database(postgresql)
    store = Store(where)
    with subprocess.Popen(
        [sys.executable, "-c", LEADS, where], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "True\n"
        time.sleep(2.5)  # it gives signs of life
        with store.leading() as alone:
            assert not alone
        other.send_signal(signal.SIGSTOP)

        def leads():
            with store.leading() as alone:
                return alone

        waited(leads, 20)
        other.send_signal(signal.SIGCONT)
        other.stdin.write("go on\n")
        other.stdin.flush()
        assert "silent for so long" in other.stdout.readline()
        assert other.stdout.readline() == "True\n"
        assert other.wait(20) == 0
    assert [v.version for v in store.versions(candidates=True)] == [8]
    store.close()


def test_what_came_of_lists_is_kept_and_an_experiment_too(bundle, where, tmp_path):
    live = opened(bundle, where)
    begun = live.begin_experiment(None, saved(tmp_path, "popular", "other.cofactor"), 0.5, "ab")
    shown = [feedback.Shown(f"r{k}", 1 + k % 2, [100 + k, 101, 101 + k]) for k in range(10)]
    assert feedback.take(live.store, 86_400, shown) == {"accepted": 10}
    react = [feedback.Reaction("r0", 101, "clicked"), feedback.Reaction("r0", 101, "bought")]
    assert feedback.take(live.store, 86_400, [*react, feedback.Reaction("r1", 101, "clicked")]) == {"accepted": 3}
    one, two = outcomes.outcomes(live.store)[0]
    assert (one.version, one.lists, one.hits, one.clicked, one.bought) == (1, 5, 1, 0, 1)
    assert (two.version, two.lists, two.hits, two.clicked, two.bought) == (2, 5, 1, 1, 0)
    assert one.items == len({item for s in shown if s.version == 1 for item in s.items})
    live.close()
    live = opened(bundle, where)
    waited(lambda: live.second is not None, 5)
    assert live.second.experiment == begun
    live.close()
    with live.store._write() as db:  # as a state of the format before
        for table in ("lists", "outcomes", "shown_items"):
            db.exec_driver_sql(f"DROP TABLE cofactor_{table}")
        db.exec_driver_sql("DELETE FROM cofactor_counters WHERE name = 'lists'")
        tables.migrate(db, 2, {})
    live.store.close()
    live = opened(bundle, where)
    assert outcomes.outcomes(live.store) == ([], [])
    assert feedback.take(live.store, 86_400, shown[:1]) == {"accepted": 1}
    live.close()


def test_a_state_moves_between_databases(bundle, where, postgresql, tmp_path):
    import psycopg

    live = opened(bundle, where)
    live.tell([Event(5, 100 + k % 25, 3.0, k) for k in range(300)], "a", "body")
    live.close()
    with psycopg.connect(f"{postgresql}/postgres", autocommit=True) as db:
        name = f"moved{random.getrandbits(60)}"
        db.execute(f"CREATE DATABASE {name}")
    maintenance.copy(where, f"{postgresql}/{name}")
    found = maintenance.copy(f"{postgresql}/{name}", tmp_path / "back")
    assert found == maintenance.Report(300, [1], 1, [])
    live = opened(bundle, tmp_path / "back")
    assert live.store.count() == 300
    assert live.tell([], "a", "body")["accepted"] == 300
    live.close()


def test_who_is_forgotten_is_in_no_page_of_the_table(where):
    store = Store(where)
    store.append([Event("a very particular name", 1, 3.0, 4), Event("b", 1, 3.0, 4)], "a very particular name 7", "x")
    assert store.forget("a very particular name") == 1
    with store._read() as db:
        for table in ("events", "answered", "meta", "counters", "versions"):
            rows = db.exec_driver_sql(f"SELECT * FROM cofactor_{table}").all()
            assert "particular" not in repr(rows)
    store.close()


def test_no_byte_names_who_was_erased_after_the_command_that_the_answer_says(bundle, postgresql):
    """In the files of PostgreSQL's tables and statistics; its log is PostgreSQL's own."""
    psycopg = pytest.importorskip("psycopg")
    name = f"erased{random.getrandbits(60)}"
    with psycopg.connect(f"{postgresql}/postgres", autocommit=True) as db:
        db.execute(f"CREATE DATABASE {name}")
        (oid,) = db.execute("SELECT oid FROM pg_database WHERE datname = %s", (name,)).fetchone()
        (data,) = db.execute("SHOW data_directory").fetchone()
    live = opened(bundle, f"{postgresql}/{name}")
    who = random.getrandbits(60)
    live.tell([Event(who, 101 + k % 9, 3.0, k) for k in range(500)], f"key of {who}", f"body of {who}")
    live.tell([Event(5, 101, 3.0, 1)])

    def found():
        with psycopg.connect(f"{postgresql}/{name}", autocommit=True) as db:
            db.execute("CHECKPOINT")
        return [
            place.name for place in Path(data, "base", str(oid)).iterdir() if str(who).encode() in place.read_bytes()
        ]

    with psycopg.connect(f"{postgresql}/{name}", autocommit=True) as db:
        db.execute("ANALYZE")  # as PostgreSQL does by itself: its statistics hold frequent values
    assert len(found()) > 1
    (advice,) = (said for said in live.erase(who)["held"] if "VACUUM" in said)
    with psycopg.connect(f"{postgresql}/{name}", autocommit=True) as db:
        db.execute(re.search("`(VACUUM.*)`", advice)[1])
    assert found() == []
    live.close()


# ---- processes


def ask(port, method, path, body=None, timeout=30):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        sent = json.dumps(body) if body is not None else None
        connection.request(method, path, sent, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


class Served:
    """``cofactor serve`` with two workers."""

    def __init__(self, bundle, where, *more):
        command = [sys.executable, "-m", "cofactor", "serve", str(bundle), "--port", "0", "--workers", "2"]
        command += ["--state", str(where), *more]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=WORDS)
        said = []
        for line in self.process.stdout:
            said.append(line)
            if found := re.search(r"at http://127.0.0.1:(\d+)", line):
                self.port = int(found[1])
                return
        raise AssertionError("".join(said) + self.process.stderr.read())

    def workers(self):
        children = (
            Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text(encoding="utf-8").split()
        )
        found = []
        for pid in children:
            with contextlib.suppress(OSError):  # it ended meanwhile
                if "multiprocessing.spawn" in Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8"):
                    found.append(int(pid))
        return found

    def end(self):
        self.process.terminate()
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out, err


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def served(request, tmp_path_factory):
    """Two workers, started once for the tests below; and where their state is."""
    folder = tmp_path_factory.mktemp("served")
    place = folder / "state" if request.param == "sqlite" else database(request.getfixturevalue("postgresql"))
    found = Served(saved(folder, "bias"), place)
    try:
        yield found, place, folder
    finally:
        if found.process.poll() is None:
            found.end()


def agree(answers, expected, seconds):
    """All of many answers, of whichever worker, are as expected before so much time is over."""
    waited(lambda: {answers() for _ in range(12)} == {expected}, seconds)


@pytest.mark.slow
def test_workers_see_what_the_others_do(served):
    server, where, folder = served
    assert len(server.workers()) == 2
    status, said = ask(server.port, "POST", "/v1/events", {"events": [{"user": 999, "item": 101, "rating": 5}]})
    assert (status, said["events"]) == (200, 1)
    agree(lambda: ask(server.port, "GET", "/v1/user?user=999")[0], 200, 1.5)
    status, said = ask(server.port, "POST", "/v1/reload", {"path": str(saved(folder, "popular", "o.cofactor"))})
    assert (status, said) == (200, {"version": 2})
    agree(lambda: ask(server.port, "GET", "/v1/info")[1]["model"], "popular", 2.5)
    assert ask(server.port, "DELETE", "/v1/events?user=999")[1] == {"deleted": 1}
    agree(lambda: ask(server.port, "GET", "/v1/user?user=999")[0], 404, 1.5)
    asked = int(
        re.search(r'requests_total{route="/v1/info",status="200"} (\d+)', http_text(server.port, "/metrics"))[1]
    )
    assert asked % 12 == 0  # of all workers together
    if isinstance(where, Path):
        with pytest.raises(ConfigError, match="in use"):
            opened(folder / "m.cofactor", where)
    assert maintenance.check(where) == maintenance.Report(0, [1, 2], 2, [])


def http_text(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", path)
    text = connection.getresponse().read().decode()
    connection.close()
    return text


@pytest.mark.slow
def test_a_worker_that_is_stopped_is_replaced(bundle, where):
    server = Served(bundle, where, "--silent-seconds", "5")
    event = {"events": [{"user": 999, "item": 101, "rating": 5}]}
    try:
        for pid in server.workers():  # also the one that leads, and holds what it holds
            os.kill(pid, signal.SIGSTOP)
            waited(lambda pid=pid: pid not in server.workers() and len(server.workers()) == 2, 90)
            status, _ = ask(server.port, "POST", "/v1/events", event, timeout=90)
            assert status == 200
        waited(lambda: ask(server.port, "POST", "/v1/refit", {}, timeout=90)[0] == 202, 90)
        agree(lambda: ask(server.port, "GET", "/v1/info", timeout=90)[1]["version"], 2, 90)
    finally:
        _, _, err = server.end()
    assert err.count("gave no sign of life for 5 s") >= 2


@pytest.mark.slow
def test_what_was_answered_survives_kill(served):
    served, where, _ = served
    answered, stop, lock = {}, threading.Event(), threading.Lock()

    def write(number):
        rng, sent = random.Random(number), 0
        while not stop.is_set():
            sent += 1
            events = [
                {
                    "user": 2000 + number,
                    "item": 100 + rng.randrange(25),
                    "rating": rng.randint(1, 5),
                    "time": number * 10**7 + sent,
                }
                for _ in range(rng.choice((1, 1, 5)))
            ]
            body, key = {"events": events, "key": f"{number}-{sent}"}, f"{number}-{sent}"
            while not stop.is_set():
                try:
                    status, _ = ask(served.port, "POST", "/v1/events", body, timeout=10)
                except OSError:
                    continue
                except http.client.HTTPException:
                    continue
                assert status in (200, 503)
                if status == 200:
                    with lock:
                        answered[key] = len(events)
                    break

    threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(CYCLES):
            wanted = len(answered) + 10
            old = set(served.workers())
            os.kill(random.choice(sorted(old)), signal.SIGKILL)
            waited(lambda old=old: len(new := set(served.workers())) == 2 and new != old, 240)
            waited(lambda wanted=wanted: len(answered) > wanted, 240)
    finally:
        stop.set()
        for thread in threads:
            thread.join(30)
        _, _, err = served.end()
    assert "Traceback" not in err
    report = maintenance.check(where)
    assert report.wrong == []
    store = Store(where)
    events, _ = store.events()
    store.close()
    there = {}
    for event in events:
        number, sent = divmod(event.time, 10**7)
        there[f"{number}-{sent}"] = there.get(f"{number}-{sent}", 0) + 1
    assert {k: there.get(k) for k in answered} == answered  # none lost, doubled or in part
    assert len(there) - len(answered) <= 4  # what was on its way when it ended
    print(f"{CYCLES} kills, {sum(answered.values())} events answered, {len(events)} kept")


def test_a_worker_that_does_not_come_up_keeps_no_other_from_it(bundle, tmp_path, monkeypatch):
    """The parent waits for none of them: one hangs, one fails, one comes up."""
    from cofactor.serve.server import workers as processes

    began = []

    class Process:
        def __init__(self, number):
            self.number, self.exitcode, self.killed = number, None, False

        def kill(self):
            self.killed, self.exitcode = True, -9

        def join(self, _=None):
            pass

    workers = processes.Workers(Settings(bundle, state=tmp_path / "s", workers=3), [])
    workers._processes = {number: Process(number) for number in range(3)}
    for process in workers._processes.values():
        process.exitcode = -9

    def begin(number, metrics):
        here, there = workers._context.Pipe()
        process = workers._processes[number] = Process(number)
        began.append(number)
        if number == 1:
            there.send(("error", ConfigError("the database is away")))
            process.exitcode = 0
        if number == 2:
            there.send(("serving", "it"))
        begins.append(there)  # of the first nothing comes
        return processes.Beginning(process, here, time.monotonic())

    begins = []
    monkeypatch.setattr(workers, "_begin", begin)
    thread = threading.Thread(target=workers._watch, args=("",))
    thread.start()
    waited(lambda: began.count(1) >= 2, 10)  # tried again after a while
    workers._stop.set()
    thread.join(10)
    assert began.count(0) == began.count(2) == 1
    assert not workers._processes[0].killed
    monkeypatch.setattr(processes, "_LOADING", 0.0)
    workers._stop.clear()
    workers._processes[0].exitcode = -9
    thread = threading.Thread(target=workers._watch, args=("",))
    thread.start()
    waited(lambda: began.count(0) >= 2 and workers._processes[0].killed, 10)  # what hangs is ended
    workers._stop.set()
    thread.join(10)


def test_a_worker_without_a_sign_of_life_is_ended(bundle, tmp_path, monkeypatch):
    from cofactor.serve.server import workers as processes

    class Process:
        exitcode, killed = None, False

        def kill(self):
            self.killed = True

    monkeypatch.setattr(processes, "_TICK", 0.01)
    workers = processes.Workers(Settings(bundle, state=tmp_path / "s", workers=2, silent_seconds=0.2), [])
    workers._processes = {number: Process() for number in range(2)}
    thread = threading.Thread(target=workers._watch, args=("",))
    thread.start()

    def done():
        workers._beats[1] += 1
        return workers._processes[0].killed

    waited(done, 10)
    workers._stop.set()
    thread.join(10)
    assert not workers._processes[1].killed
