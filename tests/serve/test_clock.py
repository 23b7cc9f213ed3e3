"""A clock that is wrong for a while deletes nothing too early, and nothing for ever."""

from __future__ import annotations

import time

import numpy as np
import pytest

from cofactor.serve import Settings, clock
from cofactor.serve.clock import NEAR, PATIENCE, Clock
from cofactor.serve.live import Live
from cofactor.serve.store import Event
from serve_tools import saved, waited

DAY = 86_400
YEAR = 365 * DAY


@pytest.mark.parametrize("seed", range(20))
def test_what_the_clock_of_a_machine_is_believed(seed):
    """Truth goes on; the machine's clock is right, but for one stretch of less than a day."""
    rng = np.random.default_rng(seed)
    truth, events = 1.7e9, 0
    found = Clock(truth, 0.0, 0)
    off = rng.choice([-1, 1]) * rng.uniform(NEAR * 1.01 + PATIENCE, 10 * YEAR)
    begin, last = rng.integers(5, 30), rng.integers(30, 50)
    for look in range(60):
        elapsed = float(rng.uniform(0, PATIENCE / (last - begin + 1)))
        truth, events = truth + elapsed, events + int(rng.integers(0, 9))
        wrong = begin <= look < last
        found = found.looked(truth + off * wrong, elapsed, events)
        assert abs(found.at - truth) < 1e-3
        assert (found.trouble(truth + off * wrong) is None) == (not wrong)
        if not wrong:
            before = events
        assert found.through == before
        assert Clock.read(found.note()) == found


def test_a_clock_that_goes_on_is_believed_after_a_day():
    found = Clock(1.7e9, 0.0, 3)
    for hour in range(1, 24):
        found = found.looked(1.7e9 + YEAR + 3600 * hour, 3600.0, 9)
        assert found.at < 1.7e9 + DAY
    for hour in (24, 25):
        found = found.looked(1.7e9 + YEAR + 3600 * hour, 3600.0, 9)
    assert found == Clock(1.7e9 + YEAR + 25 * 3600, 0.0, 9)


@pytest.mark.parametrize("off", [YEAR, -YEAR, 100 * YEAR, -56 * YEAR])
@pytest.mark.parametrize("noted", [True, False])
def test_a_server_with_a_wrong_clock_deletes_what_is_old_and_nothing_else(tmp_path, monkeypatch, off, noted):
    monkeypatch.setattr("cofactor.serve.live._EXPIRE_EVERY", 0.05)
    bundle, real = saved(tmp_path, "bias"), time.time
    now = int(real())
    live = Live(Settings(bundle, watch=False, retain_days=30 if noted else None))
    live.open()
    live.tell([Event(5, 102, 3.0, now - 29 * DAY), Event(6, 101, 3.0, now)])
    if noted:
        waited(lambda: Clock.read(live.store.note(clock.NOTE) or "[0, 0, 0]").through == 2, 10)
    live.close()
    assert live.last_error is None

    monkeypatch.setattr(time, "time", lambda: real() + off)
    live = Live(Settings(bundle, watch=False, retain_days=30))
    live.open()
    waited(lambda: live.last_error is not None, 10)
    assert "the clock of this machine says" in live.last_error
    live.tell([Event(7, 101, 3.0, int(time.time()))])  # stamped by the wrong clock
    time.sleep(0.3)
    assert [e.user for e in live.store.events()[0]] == [5, 6, 7]
    monkeypatch.setattr(clock, "NEAR", 0.0)
    monkeypatch.setattr(Clock, "looked", lambda self, machine, elapsed, events: self._replace(at=now + 2 * DAY))
    waited(lambda: live.store.count() == 2, 10)  # two days later, by the state
    assert [e.user for e in live.store.events()[0]] == [6, 7]
    live.close()
