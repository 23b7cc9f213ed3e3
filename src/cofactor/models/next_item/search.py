"""Choose the constants of ``next-item`` inside training: the rows before each user's last row should list it.

The search changes one constant at a time, from a start that is good on most data: a step up or down its ladder for as
long as NDCG rises.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cofactor.data.interactions import CSR
from cofactor.kernels.blocks import over_rows
from cofactor.kernels.gain import ndcg_of_ranks
from cofactor.kernels.transitions import target_ranks
from cofactor.models.base.sequences import Sequences
from cofactor.models.base.sparse import frozen
from cofactor.models.next_item.config import NextItemConfig
from cofactor.models.next_item.counts import DAY, Settings, neighbours, recent_scores, transitions

Array = NDArray[Any]

SLOW = 1.0
"""The decay of the neighbours: all items of a history count equally."""

_LADDERS: dict[str, tuple[float, ...]] = {
    "decay": (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0),
    "share": (0.0, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.2, 2.0),
    "to_power": (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6),
    "from_power": (0.0, 0.25, 0.5, 0.75, 1.0),
    "power": (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0),
    "backward": (0.0, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0),
    "shrink": (0.0, 2.0, 5.0, 10.0, 20.0, 50.0),
    "time_power": (0.0, 0.1, 0.2, 0.4, 0.8),
    "popular": (0.0, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8),
}
_ROUNDS = 2
_GAIN = 1.002
"""A step must raise NDCG by at least this; less is noise."""
_TOP = 20
_A_HISTORY = 1000
"""Approximate number of items to which a history contributes."""
_RECENT = (1 / 8, 1 / 32, 1 / 128)
"""Candidate half-lives of popularity, as fractions of the time span of the rows."""


@dataclass(frozen=True)
class Held:
    """Histories without each user's last row, and these rows."""

    histories: Sequences
    users: Array
    targets: Array


def some_users(counts: Array, max_rows: int, rng: np.random.Generator) -> Array:
    """Return users (codes, ascending) with about ``max_rows`` rows in all at most, given their ``counts``. The
    constants are chosen on theirs."""
    order = rng.permutation(len(counts))
    kept = np.sort(order[: max(int(np.searchsorted(np.cumsum(counts[order]), max_rows)), 1)])
    return kept[counts[kept] > 0]


def hold_out(seqs: Sequences, users: int, rng: np.random.Generator) -> Held:
    """Hold out the last row of each of at most ``users`` users, from sequences none of which is empty."""
    last = seqs.starts[1:] - 1
    before = np.ones(len(seqs.items), dtype=np.bool_)
    before[last] = False
    starts = seqs.starts - np.arange(len(seqs.starts))
    histories = Sequences(starts, seqs.items[before], seqs.times[before], seqs.values[before])
    row = np.repeat(np.arange(len(last)), histories.counts)
    again = np.zeros(len(last), dtype=np.bool_)
    again[row[histories.items == seqs.items[last][row]]] = True
    able = np.flatnonzero((histories.counts > 0) & ~again)
    able = rng.permutation(able)[:users]
    able = np.sort(able).astype(np.int64)
    return Held(histories, able, seqs.items[last[able]])


def ndcg(held: Held, n_items: int, s: Settings, steps: CSR, near: CSR) -> float:
    """Return the mean NDCG of the held-out rows, one relevant item each."""
    out = np.empty(len(held.users), dtype=np.int64)
    h, recent = held.histories, recent_scores(held.histories, n_items, s)
    by_recent = np.argsort(-recent, kind="stable")
    arrays: tuple[Any, ...] = (
        *frozen(held.users, held.targets, h.starts, h.items, h.times, h.values),
        s.decay,
        SLOW,
        s.share,
        *frozen(steps.indptr, steps.indices, steps.values, near.indptr, near.indices, near.values),
        *frozen(recent, by_recent),
        out,
    )
    over_rows(lambda a, b: target_ranks(a, b, *arrays), np.arange(len(out) + 1), per_row=_A_HISTORY)
    return float(ndcg_of_ranks(out, _TOP).sum()) / max(len(out), 1)


def choose(seqs: Sequences, n_items: int, c: NextItemConfig, timed: bool, rng: np.random.Generator) -> Settings:
    """Choose the constants that ``c`` leaves open, by the sequences of some users (see :func:`some_users`). ``timed``:
    the times are real, not table positions."""
    given = {f.name: getattr(c, f.name) for f in dataclasses.fields(Settings) if getattr(c, f.name) is not None}
    best = dataclasses.replace(Settings(), **{k: float(v) for k, v in given.items()})
    held = hold_out(seqs, c.users, rng)
    near = neighbours(held.histories, n_items, c.neighbours, c.reg, c.max_gb)
    if not len(near.indices):
        best = dataclasses.replace(best, share=0.0)
    if not len(held.users):
        return best
    search = Search(held, n_items, c, near)
    value = search.value(best)
    names = [
        k for k in _LADDERS if k not in given and (k != "time_power" or timed) and (k != "share" or len(near.indices))
    ]
    for _ in range(_ROUNDS):
        before = value
        for name in names:
            best, value = _climb(search, best, value, name, _LADDERS[name])
            if name == "popular" and timed and "half_life" not in given:
                best, value = _with_recency(search, best, value, held)
        if value <= before:
            break
    return best


def _climb(
    search: Search, best: Settings, value: float, name: str, ladder: tuple[float, ...]
) -> tuple[Settings, float]:
    """Move up or down the ladder from the present value for as long as it helps."""
    for way in (1, -1):
        at = int(np.argmin(np.abs(np.array(ladder) - getattr(best, name)))) + way
        moved = False
        while 0 <= at < len(ladder):
            trial = dataclasses.replace(best, **{name: ladder[at]})
            found = search.value(trial)
            if found <= value * _GAIN:
                break
            best, value, moved = trial, found, True
            at += way
        if moved:
            break
    return best, value


def _with_recency(search: Search, best: Settings, value: float, held: Held) -> tuple[Settings, float]:
    """Try recent popularity: other half-lives, each at several weights."""
    times = held.histories.times
    span = float(times.max() - times.min()) / DAY if len(times) else 0.0
    for part in _RECENT:
        for weight in (0.02, 0.1, 0.4):
            trial = dataclasses.replace(best, half_life=max(span * part, 1e-3), popular=weight)
            found = search.value(trial)
            if found > value * _GAIN:
                best, value = trial, found
    return best, value


class Search:
    """Evaluates settings. Transitions are counted again only if a setting changes them."""

    def __init__(self, held: Held, n_items: int, c: NextItemConfig, near: CSR) -> None:
        self.held, self.n_items, self.config, self.near = held, n_items, c, near
        self.key: tuple[float, ...] = ()
        self.steps: CSR | None = None

    def value(self, s: Settings) -> float:
        """Return the NDCG with these settings."""
        key = (s.power, s.time_power, s.backward, s.from_power, s.to_power, s.shrink)
        if self.steps is None or key != self.key:
            c = self.config
            self.steps = transitions(self.held.histories, self.n_items, c.steps, c.transitions, s)
            self.key = key
        return ndcg(self.held, self.n_items, s, self.steps, self.near)
