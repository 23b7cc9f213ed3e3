"""Decide beforehand, from counted work, what an automatic choice tries. The clock has no influence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

SHARES = (1.0, 0.5, 0.25, 0.125)
"""Shares of users for the trials. On smaller samples, only the cheapest family is tried."""
DEFAULT_SECONDS, MOST_SECONDS = 60.0, 900.0
"""The default budget, and its maximum on a table that is too large for it."""
WHOLE_SECONDS = 180.0
"""The maximum for rankers, so that all users are tried and a blend of the cheapest of each family can be chosen. In a
sample of users an item has fewer rows, and the best ranker depends on their number."""


@dataclass(frozen=True)
class Cost:
    """The cost of one candidate, in counted seconds of one ordinary core: ``fit`` to train it on all rows, ``inner`` to
    train it on the inner training rows, ``score`` to measure it there. ``bytes``: its memory when it trains on all
    rows."""

    fit: float
    inner: float
    score: float
    bytes: float = 0.0
    crowd: float = math.inf
    """Ratio of available to measured validation users; small samples have fewer."""


@dataclass(frozen=True)
class Plan:
    """The plan of the trials.

    ``order``: the positions of the candidates to try, cheapest first; ``share``: the share of the users; ``windows``:
    the number of validation windows; ``skipped``: why the others are not tried, by position; ``work``: counted seconds
    of all trials, without the last training; ``budget``: the budget of the plan.

    ``too_dear``: those in ``order`` whose training on all rows exceeds the budget. They are tried to show what a larger
    budget would buy.
    """

    order: tuple[int, ...]
    share: float
    windows: int
    skipped: dict[int, str]
    work: float
    budget: float
    too_dear: frozenset[int] = frozenset()

    @property
    def left(self) -> float:
        """The counted seconds left for the last training."""
        return self.budget - self.work


def make_plan(
    costs: Sequence[Cost],
    families: Sequence[str],
    *,
    seconds: float | None = None,
    trials: int | None = None,
    windows: int = 1,
    memory: float = math.inf,
    smallest: float = 1e-3,
    whole: float = DEFAULT_SECONDS,
) -> Plan:
    """Return a plan for candidates with these costs. The first is the baseline and always tried, then the cheapest of
    each family, then the rest, cheapest first, as far as the budget allows.

    ``seconds`` limits the counted work. None: 60 s; more if that is too little for the cheapest of each family; and up
    to ``whole`` so that these are tried on all users. If it is above 60 s, they come before any sample of users.
    ``trials`` limits the number of candidates instead. If not all candidates fit, fewer ``windows`` are used; then all
    candidates are tried on the same sample of users, no smaller than the share ``smallest``.
    """
    skipped = {
        k: f"skipped: needs {cost.bytes / 2**30:.1f} GB of memory, there are {memory / 2**30:.1f}"
        for k, cost in enumerate(costs)
        if k and cost.bytes > memory
    }
    able = sorted((k for k in range(1, len(costs)) if k not in skipped), key=lambda k: (costs[k].fit, k))
    if trials is not None:
        order = [0, *able][: max(trials, 1)]
        skipped |= {k: f"skipped: the budget is {trials} trials" for k in able if k not in order}
        return Plan(tuple(order), 1.0, windows, skipped, 0.0, math.inf)
    first = _first_of_each(able, families)
    budget = _grown(costs, first, smallest, whole) if seconds is None else seconds
    affordable = [k for k in able if costs[k].fit + costs[0].fit <= budget]
    tried = _Tried(costs, affordable)
    ways = [(1.0, windows), *((share, 1) for share in SHARES)]
    way = next(((s, w) for s, w in ways if tried.work([0, *affordable], s, w) <= budget), None)
    chosen, takeable = list(affordable), list(affordable)
    cheapest = [k for k in first if k in affordable]
    if whole > DEFAULT_SECONDS and way is not None and way[0] < 1 and _fits(costs, cheapest, 1.0, budget):
        way, chosen = (1.0, 1), cheapest  # prefer one of each family on all users to more of them on a sample
    elif way is None:
        # The most expensive families give way before the sample gets small: they are then tried for comparison only.
        takeable = cheapest
        found = [(n, s) for n in range(len(takeable), 0, -1) for s in SHARES if _fits(costs, takeable[:n], s, budget)]
        n, share = found[0] if found else (1, _smaller(costs, takeable[:1], budget, smallest))
        takeable = takeable[:n]
        every = _Tried(costs, takeable)
        lower = next((s for s in SHARES if s < share), share)
        if every.work([0, *first], share) > budget >= every.work([0, *first], lower):
            share = lower  # one step smaller, so that every family is tried
        way, chosen = (share, 1), takeable if _fits(costs, takeable, share, budget) else []
        takeable = [*chosen, *(k for k in affordable if costs[k].fit <= _Tried(costs, chosen).last([0, *chosen]))]
    tried = _Tried(costs, takeable)
    for k in [*first, *affordable]:
        if k not in chosen and tried.work([0, *chosen, k], *way) <= budget:
            chosen = [*chosen, k]
    for k in able:
        if k not in chosen and k not in affordable:
            skipped[k] = f"skipped: training takes about {_said(costs[k].fit)}, the budget is {_said(budget)}"
        elif k not in chosen:
            skipped[k] = f"skipped: the budget of {_said(budget)} was used up by cheaper models"
    order = [0, *(k for k in able if k in chosen)]
    work = tried.work(order, *way) - tried.last(order)
    return Plan(tuple(order), *way, skipped, work, budget, frozenset(k for k in order[1:] if k not in takeable))


@dataclass(frozen=True)
class _Tried:
    costs: Sequence[Cost]
    takeable: Sequence[int]

    def last(self, which: Sequence[int]) -> float:
        """Return the counted seconds to train, on all rows, the most expensive candidate that may be chosen."""
        return max(self.costs[k].fit for k in which if k == 0 or k in self.takeable)

    def work(self, which: Sequence[int], share: float, windows: int = 1) -> float:
        """Return the counted seconds to try these, and to train the most expensive once more."""
        each = (c.inner * share + c.score * min(1.0, share * c.crowd) for c in (self.costs[k] for k in which))
        return windows * sum(each) + self.last(which)


def _fits(costs: Sequence[Cost], which: Sequence[int], share: float, budget: float) -> bool:
    return _Tried(costs, which).work([0, *which], share) <= budget


def _smaller(costs: Sequence[Cost], which: Sequence[int], budget: float, smallest: float) -> float:
    """Return a share of the users on which these fit into the budget, or the smallest share."""
    share = SHARES[-1]
    while not _fits(costs, which, share, budget) and share > smallest:
        share = max(share / 2, smallest)
    return share


def _first_of_each(able: Sequence[int], families: Sequence[str]) -> list[int]:
    """Return the cheapest of each family, cheapest first. The baseline's own family needs no other."""
    found: dict[str, int] = {}
    for k in able:
        if families[k] != families[0]:
            found.setdefault(families[k], k)
    return list(found.values())


def _grown(costs: Sequence[Cost], first: Sequence[int], smallest: float, whole: float) -> float:
    within = [k for k in first if costs[k].fit <= MOST_SECONDS / 2]
    tried = _Tried(costs, within)
    needed = tried.work([0, *within], max(0.25, smallest))
    every = tried.work([0, *within], 1.0) - tried.last([0, *within]) + sum(costs[k].fit for k in within)
    return min(max(DEFAULT_SECONDS, needed, min(every, whole)), MOST_SECONDS)


def _said(seconds: float) -> str:
    return f"{seconds:,.1f} s" if seconds < 100 else f"{seconds:,.0f} s"
