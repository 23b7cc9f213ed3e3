"""A clock that is wrong, for a while or between two starts, deletes nothing too early, and keeps the order."""

from __future__ import annotations

import time

import numpy as np
import pytest

from cofactor.serve import Settings
from cofactor.serve.live.live import Live
from cofactor.serve.storage import clock
from cofactor.serve.storage.clock import DAY, FASTEST, NOTE, SLOWEST, Clock, Moment
from cofactor.serve.storage.rows import Event
from cofactor.serve.storage.store import Store
from serve_tools import saved, waited

YEAR = 365 * DAY


@pytest.mark.parametrize("seed", range(40))
def test_the_clock_of_a_state_never_goes_back_nor_faster_than_it_may(seed):
    """The machine's clock jumps as it likes, is right again after less than a day, and servers start anew."""
    rng = np.random.default_rng(seed)
    truth, running, start = 1.7e9, 100.0, "first"
    found = Clock.begin(Moment(truth, running, start), 0.0)
    ahead = 0.0  # how far the state may be before the truth at most
    for _ in range(40):
        wrong = float(rng.choice([-1, 1]) * rng.choice([10.0, 3600.0, 3 * DAY, 6.9 * DAY, 30 * DAY, YEAR, 50 * YEAR]))
        for off in [wrong] * int(rng.integers(1, 5)) + [0.0] * int(rng.integers(1, 5)):
            elapsed = float(rng.uniform(0, DAY / 6))
            truth, running = truth + elapsed, running + elapsed
            before, found = found, Clock.read(found.note()).looked(Moment(truth + off, running, start))
            if before.behind + elapsed <= DAY:  # it did not insist
                assert before.at <= found.at
                assert before.old <= found.old
            assert found.at <= before.at + FASTEST * elapsed + 1e-3
            assert found.old <= before.old + FASTEST * elapsed + 1e-3
            ahead += (FASTEST - 1 if off > 0 else SLOWEST - 1) * elapsed
            ahead = max(0.0, ahead)
            assert max(found.at, found.old) <= truth + ahead + 1e-3


def test_another_start_is_believed_by_a_day():
    """How long a machine was off, its clock alone knows: stamps go by it, what is deleted by a day of it."""
    before = Clock.begin(Moment(1.7e9, 5_000.0, "first"), 0.0)
    found = before.looked(Moment(1.7e9 + YEAR, 30.0, "second"))
    assert (found.at, found.old) == (1.7e9 + YEAR, 1.7e9 + DAY)
    again = before.looked(Moment(1.7e9 - 50 * YEAR, 30.0, "second"))  # not set yet
    assert (again.at, again.old) == (1.7e9, 1.7e9)
    assert again.looked(Moment(1.7e9 + 100, 40.0, "second"))[:2] == (1.7e9 + 80, 1.7e9 + 80)


def test_a_machine_that_insists_for_a_day_is_believed():
    """The state began with a wrong clock: nothing is stamped in a year to come for ever."""
    found = Clock.begin(Moment(1.7e9 + YEAR, 0.0, "first"), 0.0)
    for hour in range(25):
        found = found.looked(Moment(1.7e9 + 3600 * hour, 3600.0 * hour, "first"))
        assert found.at == 1.7e9 + YEAR + 1800 * hour
    found = found.looked(Moment(1.7e9 + 3600 * 25, 3600.0 * 25, "first"))
    assert (found.at, found.old) == (1.7e9 + 3600 * 25,) * 2


def test_a_machine_whose_clock_is_not_set_knows_when_the_model_was_made():
    assert Clock.begin(Moment(100.0, 10.0, "first"), 1.7e9)[:2] == (1.7e9, 1.7e9)


@pytest.mark.parametrize("off", [6.9 * DAY, YEAR, -YEAR, 100 * YEAR, -53 * YEAR])
@pytest.mark.parametrize("noted", [True, False])
def test_a_server_with_a_wrong_clock_deletes_nothing_and_keeps_the_order(tmp_path, monkeypatch, off, noted):
    monkeypatch.setattr("cofactor.serve.live.live._CLOCK_EVERY", 0.05)
    bundle, real = saved(tmp_path, "bias"), time.time
    now = int(real())
    live = Live(Settings(bundle, watch=False, retain_days=30))
    live.open()
    live.tell([Event(5, 102, 3.0, now - int(28.9 * DAY)), Event(6, 101, 3.0, live.time())])
    waited(lambda: live.store.note(NOTE) is not None, 10)
    live.close()
    assert live.last_error is None
    if not noted:  # a state of an earlier cofactor
        store = Store(live.settings.state_folder)
        store.keep_note(NOTE, "[1700000000.0, 0.0, 2]")
        store.close()

    monkeypatch.setattr(time, "time", lambda: real() + off)
    live = Live(Settings(bundle, watch=False, retain_days=30))
    live.open()
    if abs(off) > clock.FAR:
        waited(lambda: live.last_error is not None, 10)
        assert "the clock of this machine shows" in live.last_error
    live.tell([Event(7, 101, 3.0, live.time())], key="mine")
    time.sleep(0.2)
    events = live.store.events()[0]
    assert [e.user for e in events] == [5, 6, 7]
    if noted:
        assert 0 <= events[2].time - events[1].time < 60 * FASTEST
    monkeypatch.setattr(time, "time", real)
    assert live.tell([Event(7, 101, 3.0, live.time())], key="mine")["events"] == 3  # the same answer
    live.tell([Event(8, 101, 3.0, live.time())])
    times = [e.time for e in live.store.events()[0]]
    assert times[3] >= times[2]
    live.close()
