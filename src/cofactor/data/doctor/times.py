"""Checks of times: what is improbable, and users who are faster than people."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np

from cofactor.data.doctor.findings import Finding, percent, shown_id
from cofactor.data.interactions import Interactions
from cofactor.data.times.timestamps import is_order

DAY = 86_400


def bots(data: Interactions, per_minute: int = 100) -> Iterator[Finding]:
    """Yield a finding for users who rate faster than a person can, or (without times) far more than all others."""
    counts = np.bincount(data.users, minlength=data.n_users)
    if data.times is None:
        typical = float(np.median(counts[counts > 0])) if len(data) else 0.0
        many = np.flatnonzero((counts > 0.5 * data.n_items) & (counts > 50 * typical) & (counts >= 1000))
        what = f"{len(many):,} users have rated more than half of all items, over 50 times the typical number"
        shown = tuple(f"{shown_id(data.user_ids, u)}: {counts[u]:,} {data.kind}" for u in many[:5])
    else:
        order = np.lexsort((data.times, data.users))
        users, times = data.users[order], data.times[order]
        back = min(per_minute - 1, len(users))
        fast = (users[back:] == users[: len(users) - back]) & (times[back:] - times[: len(times) - back] < 60)
        many = np.unique(users[back:][fast])
        what = f"{len(many):,} users have made {per_minute} {data.kind} or more within a minute"
        shown = tuple(f"{shown_id(data.user_ids, u)}: {counts[u]:,} {data.kind}" for u in many[:5])
    if len(many):
        todo = "probably bots or bulk imports; drop them if they are not real users"
        yield Finding("warning", "bots", "users", what, len(many), shown, todo)


def odd_times(data: Interactions) -> Iterator[Finding]:
    """Yield findings for gaps in time, impossible times, and one time that stands for 'unknown'."""
    if data.times is None or len(data) < 2:
        return
    now = int(time.time())
    if is_order(data.times):
        what = "times only order the rows; they are not dates"
        yield Finding("note", "times", "rows", what, len(data), (), "nothing to do; splits by time work")
        return
    for bad, said in ((data.times > now + DAY, "in the future"), (data.times < 473_385_600, "from before 1985")):
        n = int(bad.sum())
        if n:
            shown = tuple(_when(int(t)) for t in data.times[bad][:5])
            what = f"{n:,} {data.kind} are {said}"
            yield Finding("warning", "times", "rows", what, n, shown, "check the unit and the column")
    ordered = np.sort(data.times)
    moments, counts = np.unique(ordered, return_counts=True)
    if counts.max() > 0.05 * len(data) and counts.max() > 20 and len(moments) > 1:
        top = int(np.argmax(counts))
        what = f"{counts[top]:,} {data.kind} ({percent(counts[top] / len(data))}) have exactly the same time"
        shown = (_when(int(moments[top])),)
        yield Finding(
            "note",
            "times",
            "rows",
            what,
            int(counts[top]),
            shown,
            "is it a default for 'unknown'? then the time is meaningless",
        )
    gaps = np.diff(moments)
    span = int(moments[-1] - moments[0])
    if len(gaps) and gaps.max() > max(0.1 * span, 30 * DAY):
        at = int(np.argmax(gaps))
        what = f"no {data.kind} for {int(gaps[at]) // DAY:,} days, out of {span // DAY:,}"
        shown = (f"{_when(int(moments[at]))} to {_when(int(moments[at + 1]))}",)
        yield Finding("note", "time gap", "rows", what, 1, shown, "split the data at the gap if the two parts differ")


def _when(seconds: int) -> str:
    limit = 253_402_300_799
    return str(np.datetime64(seconds, "s")).replace("T", " ") if abs(seconds) <= limit else f"{seconds} s"
