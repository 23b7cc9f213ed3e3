"""What a server and its maintenance do with a state, with a fault at one operation, and what must be true afterwards.

Run as a program: ``python crash_points.py FOLDER SCENARIO HOW FIRST STEP``, HOW ``each`` for all in turn. It prepares a
state, tries the fault at the operations FIRST, FIRST + STEP, ... until there is no such operation, each in a process of
its own, and prints one line of JSON: the number of points tried, of all operations, and what was wrong.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

import cofactor as cf
from cofactor.errors import CofactorError, ConfigError, UnknownIdError
from cofactor.serve import Settings
from cofactor.serve.live.live import Live
from cofactor.serve.maintenance import check
from cofactor.serve.maintenance.copies import copy, restore
from cofactor.serve.maintenance.repair import repair
from cofactor.serve.models import served
from cofactor.serve.storage.rows import Event
from faults import ENDED, HOWS, Faults, real_write
from serve_tools import ratings

GONE, NEW, STAYS = "a-very-particular-person", "one-who-came-later", "one-who-stays"
PATIENCE = 120


class Place(NamedTuple):
    """The folders of one try: ``state`` is that of the server, ``other`` that of a copy, ``backup`` an earlier one."""

    folder: Path

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def backup(self) -> Path:
        return self.folder / "backup"

    @property
    def other(self) -> Path:
        return self.folder / "other"

    def model(self, name: str) -> Path:
        return self.folder / f"{name}.cofactor"


Say = Callable[[str], None]


def people(seed: int) -> Any:
    """Ratings of a small world, in which one user has a particular name."""
    data = ratings(20, 12, seed)
    users = data.user_ids.decode(data.users).cast(pl.String).replace({"7": GONE})
    items = data.item_ids.decode(data.items).cast(pl.String)
    return cf.read(pl.DataFrame({"user": users, "item": items, "rating": data.values}), "user", "item", "rating")


def opened(place: Place, model: str = "first", **more: Any) -> Live:
    live = Live(Settings(place.model(model), state=place.state, watch=False, keep=2, **more))
    live.open()
    return live


def rated(user: str, n: int, time: int) -> list[Event]:
    return [Event(user, f"{101 + k}", 4.0, time) for k in range(n)]


def begin(place: Place) -> None:
    """Make the models, and a state with two versions and newer ratings of three users, and a backup of it."""
    for seed, name in enumerate(("first", "second", "third")):
        cf.fit(people(seed), model="bias", seed=0).save(place.model(name))
    live = opened(place)
    live.tell(rated(NEW, 3, 10) + rated(STAYS, 2, 20) + rated(GONE, 1, 30), "begin", "{}")
    live.reload(place.model("second"))
    live.close()
    copy(place.state, place.backup)


# ---- what is done; each tells what was confirmed


def create(place: Place, say: Say) -> None:
    live = opened(place)
    say("open")
    live.close()


def events(place: Place, say: Say) -> None:
    live = opened(place)
    for n in range(3):
        live.tell(rated(f"writer-{n}", 2, 100 + n), f"key-{n}", f"{n}")
        say(f"key-{n}")
    live.close()


def forget(place: Place, say: Say) -> None:
    live = opened(place)
    live.forget(NEW)
    say("forgotten")
    live.close()


def erase(place: Place, say: Say) -> None:
    live = opened(place)
    live.erase(GONE)
    say("erased")
    live.close()


def swaps(place: Place, say: Say) -> None:
    live = opened(place)
    say(f"live {live.reload(place.model('third'))}")
    say(f"live {live.rollback()}")
    live.begin_experiment(None, place.model("first"), 0.5, "ab")
    say("experiment")
    live.end_experiment()
    live.close()


def refit(place: Place, say: Say) -> None:
    live = opened(place)
    before = live.now.version
    live.refit()
    while live.busy:
        time.sleep(0.01)
    if live.now.version != before:
        say(f"live {live.now.version}")
    elif live.last_error:
        raise CofactorError(live.last_error)
    live.close()


def backup(place: Place, say: Say) -> None:
    copy(place.state, place.other)
    say("copied")


def restored(place: Place, say: Say) -> None:
    restore(place.backup, place.other, place.state)
    say("copied")


def repaired(place: Place, say: Say) -> None:
    repair(place.state)
    say("repaired")


# ---- what must be true afterwards, of what was confirmed


def there(live: Live) -> dict[str, int]:
    """How many events there are of each user."""
    assert live.store is not None
    found: dict[str, int] = {}
    for event in live.store.events()[0]:
        found[event.user] = found.get(event.user, 0) + 1
    return found


def named(folder: Path, who: str) -> list[str]:
    return [str(p) for p in folder.rglob("*") if p.is_file() and who.encode() in p.read_bytes()]


def after_create(place: Place, said: list[str]) -> None:
    live = opened(place)
    assert live.now.version >= 1, live.now.version
    live.close()


def after_events(place: Place, said: list[str]) -> None:
    live = opened(place)
    for n in range(3):
        found = there(live).get(f"writer-{n}", 0)
        assert found in ((2,) if f"key-{n}" in said else (0, 2)), f"key-{n}: {found} events, confirmed {said}"
        live.tell(rated(f"writer-{n}", 2, 100 + n), f"key-{n}", f"{n}")
    assert there(live) == {NEW: 3, STAYS: 2, GONE: 1} | {f"writer-{n}": 2 for n in range(3)}, there(live)
    live.close()


def after_forget(place: Place, said: list[str]) -> None:
    live = opened(place)
    assert "forgotten" not in said or NEW not in there(live), "a forgotten user is back"
    live.forget(NEW)
    live.close()
    assert not named(place.state, NEW), f"a forgotten user is in {named(place.state, NEW)}"


def after_erase(place: Place, said: list[str]) -> None:
    live = opened(place)
    assert live.now.version == 2, live.now.version
    if "erased" in said:
        assert GONE not in there(live), "an erased user is back"
        assert live.now.rec.users.code(GONE) < 0, "an erased user is in the model"
        assert not named(place.state, GONE), f"an erased user is in {named(place.state, GONE)}"
    else:
        with contextlib.suppress(UnknownIdError):  # nothing of them was left
            live.erase(GONE)
    live.close()
    assert not named(place.state, GONE), f"an erased user is in {named(place.state, GONE)}"


def after_swaps(place: Place, said: list[str]) -> None:
    live = opened(place)
    least = [int(text.split()[1]) for text in said if text.startswith("live")]
    order = [2, 3, 2]
    assert live.now.version in order[len(least) : len(least) + 2], (live.now.version, said)
    live.reload(place.model("third"))
    live.end_experiment()
    live.close()


def after_refit(place: Place, said: list[str]) -> None:
    live = opened(place)
    assert live.now.version >= (3 if said else 2), (live.now.version, said)
    assert there(live) == {NEW: 3, STAYS: 2, GONE: 1}, there(live)
    live.close()


def after_backup(place: Place, said: list[str]) -> None:
    _copy_is_whole(place, said, {NEW: 3, STAYS: 2, GONE: 1}, lambda: copy(place.state, place.other))


def after_restored(place: Place, said: list[str]) -> None:
    _copy_is_whole(
        place, said, {NEW: 3, STAYS: 2}, lambda: restore(place.backup, place.other, place.state)
    )  # fmt: skip
    assert not named(place.other, GONE), f"an erased user is in {named(place.other, GONE)}"


def _copy_is_whole(place: Place, said: list[str], wanted: dict[str, int], again: Callable[[], Any]) -> None:
    try:
        wrong = check(place.other).wrong
    except ConfigError as exc:
        wrong = [str(exc)]
    if wrong:
        assert not said, f"what was confirmed is not there: {wrong}"
        again()
    found = check(place.other)
    assert found.wrong == [], found.wrong
    assert not _strays(place), _strays(place)
    shutil.move(place.other, place.folder / "state-before")
    shutil.rmtree(place.state)
    shutil.move(place.folder / "state-before", place.state)
    live = opened(place)
    assert live.now.version == 2, live.now.version
    assert there(live) == wanted, there(live)
    live.close()
    shutil.move(place.state, place.other)
    shutil.copytree(place.other, place.state)


def _strays(place: Place) -> set[str]:
    known = {"state", "backup", "other", "first.cofactor", "second.cofactor", "third.cofactor"}
    return {name for name in os.listdir(place.folder) if name not in known}


def after_repaired(place: Place, said: list[str]) -> None:
    if check(place.state).wrong:
        repair(place.state)
    assert check(place.state).wrong == [], check(place.state).wrong
    assert not _strays(place), _strays(place)
    live = opened(place)
    assert live.now.version == 2, live.now.version
    assert there(live) == {NEW: 3, STAYS: 1, GONE: 1}, there(live)
    live.close()


def nothing(place: Place) -> None:
    pass


def without_state(place: Place) -> None:
    shutil.rmtree(place.state)


def with_an_erasure(place: Place) -> None:
    live = opened(place)
    live.erase(GONE)
    live.close()


def damaged(place: Place) -> None:
    import sqlite3

    with sqlite3.connect(place.state / "events.sqlite") as db:
        db.execute("UPDATE cofactor_events SET rating = 1.5 WHERE id = 4")


SCENARIOS: dict[str, tuple[Callable[[Place], None], Callable[[Place, Say], None], Callable[..., None]]] = {
    "create": (without_state, create, after_create),
    "events": (nothing, events, after_events),
    "forget": (nothing, forget, after_forget),
    "erase": (nothing, erase, after_erase),
    "swaps": (nothing, swaps, after_swaps),
    "refit": (nothing, refit, after_refit),
    "backup": (nothing, backup, after_backup),
    "restore": (with_an_erasure, restored, after_restored),
    "repair": (damaged, repaired, after_repaired),
}


# ---- one process for each


class Ended(NamedTuple):
    """How a process ended: its code (None: it hung), and what it said."""

    code: int | None
    said: list[str]


def apart(work: Callable[[Say], None]) -> Ended:
    """Do this in a process of its own."""
    end, begin = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(end)
        code = 0
        try:
            work(lambda text: _said(begin, text))
        except CofactorError as exc:
            code = 3
            if "\n" in str(exc) or "Traceback" in str(exc):
                code = 4
            _said(begin, f"error: {type(exc).__name__}: {exc}")
        except BaseException:
            code = 4
            _said(begin, "error: " + traceback.format_exc().replace("\n", " | "))
        finally:
            os._exit(code)
    os.close(begin)
    until, text = time.monotonic() + PATIENCE, b""
    os.set_blocking(end, False)
    code = None
    while time.monotonic() < until:
        done, status = os.waitpid(process, os.WNOHANG)
        with contextlib.suppress(BlockingIOError):
            text += os.read(end, 1 << 20)
        if done:
            code = os.waitstatus_to_exitcode(status)
            break
        time.sleep(0.005)
    else:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
    os.close(end)
    return Ended(code, text.decode().splitlines())


def _said(pipe: int, text: str) -> None:
    real_write(pipe, f"{text}\n".encode())


def tried(template: Path, place: Place, scenario: str, how: str, at: int) -> tuple[int, list[str]]:
    """Try a fault at one operation; return (the number of operations, what was wrong)."""
    shutil.rmtree(place.folder, ignore_errors=True)
    shutil.copytree(template, place.folder, symlinks=True)
    _, action, after = SCENARIOS[scenario]

    def work(say: Say) -> None:
        faults = Faults(place.folder, at, how)
        faults.install()
        try:
            action(place, say)
        finally:
            faults.off = True
            say(f"count: {faults.count}")

    first = apart(work)
    said = [text for text in first.said if not text.startswith(("error: ", "count: "))]
    errors = [text for text in first.said if text.startswith("error: ")]
    count = max([int(text[7:]) for text in first.said if text.startswith("count: ")], default=at)
    wrong = []
    if first.code not in (0, 3, ENDED):
        wrong.append(f"it ended with {first.code}: {errors}")
    if not at and first.code:
        wrong.append(f"without a fault it ended with {first.code}: {errors}")
    second = apart(lambda say: after(place, said))
    if second.code != 0:
        wrong.append(f"afterwards ({first.code}, {said}, {errors}): {second.code} {second.said}")
    elif scenario not in ("backup", "restore"):
        found = apart(lambda say: say(json.dumps(check(place.state).wrong)))
        if found.said != ["[]"]:
            wrong.append(f"the check says {found.said}")
    return count, [f"{scenario}, {how} at {at}: {text}" for text in wrong]


served.warm_up = lambda rec: None  # it looks for kernels, which takes longer than all else


def main(folder: Path, scenario: str, how: str, first: int, step: int) -> None:
    template, place = folder / "template", Place(folder / "try")
    place.folder.mkdir(parents=True)

    def made(say: Say) -> None:
        begin(place)
        SCENARIOS[scenario][0](place)

    found = apart(made)
    assert found.code == 0, found
    os.rename(place.folder, template)
    count, wrong = tried(template, place, scenario, HOWS[0], 0)
    points = range(first, count + 1, step)
    for number, at in enumerate(points):
        way = HOWS[number % len(HOWS)] if how == "each" else how
        wrong += tried(template, place, scenario, way, at)[1]
        if len(wrong) >= 5:
            break
    print(json.dumps({"points": len(points), "operations": count, "wrong": wrong}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
