"""The outcomes of the lists of each version, and the difference between two versions."""

from __future__ import annotations

import math
from typing import NamedTuple

import sqlalchemy as sa

from cofactor.serve.storage import tables as t
from cofactor.serve.storage.store import Store


class Outcome(NamedTuple):
    """The outcomes of a version's shown lists on a ``day`` (None: on all days). ``items`` is the number of distinct
    items in them."""

    version: int
    day: int | None
    lists: int
    hits: int
    clicked: int
    bought: int
    gain: float
    squares: float
    items: int = 0

    @property
    def hit_rate(self) -> float:
        """The share of the lists with a click or a purchase."""
        return self.hits / self.lists if self.lists else 0.0

    @property
    def ndcg(self) -> float:
        """The mean NDCG of the lists; it is 0 for a list without a click or purchase."""
        return self.gain / self.lists if self.lists else 0.0


def outcomes(store: Store) -> tuple[list[Outcome], list[Outcome]]:
    """Return the outcomes (by version, by version and day), in order."""
    with store._read() as db:
        rows = db.execute(t.outcomes.select().order_by(t.outcomes.c.version, t.outcomes.c.day)).all()
        which = sa.select(t.shown_items.c.version, sa.func.count()).group_by(t.shown_items.c.version)
        covered = {int(row[0]): int(row[1]) for row in db.execute(which)}
    daily = [Outcome(*store._whole(row)[:-1]) for row in rows]
    whole = []
    for version in dict.fromkeys(one.version for one in daily):
        mine = [one for one in daily if one.version == version]
        whole.append(
            Outcome(
                version,
                None,
                sum(one.lists for one in mine),
                sum(one.hits for one in mine),
                sum(one.clicked for one in mine),
                sum(one.bought for one in mine),
                sum(one.gain for one in mine),
                sum(one.squares for one in mine),
                covered.get(version, 0),
            )
        )
    return whole, daily


def difference(live: Outcome, tried: Outcome) -> dict[str, list[float]]:
    """Return (difference, low, high) of the hit rate and the NDCG of two versions: 95 % normal intervals, as for
    independent lists."""
    found = {}
    for name, first, second in (
        ("hit_rate", _mean(live.hits, live.hits, live.lists), _mean(tried.hits, tried.hits, tried.lists)),
        ("ndcg", _mean(live.gain, live.squares, live.lists), _mean(tried.gain, tried.squares, tried.lists)),
    ):
        off, width = second[0] - first[0], 1.96 * math.sqrt(first[1] + second[1])
        found[name] = [off, off - width, off + width]
    return found


def _mean(total: float, squares: float, n: int) -> tuple[float, float]:
    """Return (the mean, its variance)."""
    mean = total / n
    return mean, max(0.0, squares / n - mean**2) / max(n - 1, 1)
