"""The names of metrics, what they ask of a model, and which way is better."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from cofactor._validate import check_int, check_iterable
from cofactor.errors import ConfigError, did_you_mean
from cofactor.evaluation.metrics import RANKING
from cofactor.model import Task

RATING = ("rmse", "mse", "mae")
INTERVAL = ("interval_coverage", "interval_width", "interval_score")
CALIBRATION = "calibration_error"
LISTS = tuple(RANKING)
BEYOND = ("item_coverage", "gini", "novelty", "popularity", "diversity")
LOWER = {*RATING, "interval_width", "interval_score", CALIBRATION, "gini", "popularity"}
GROUPS = {
    "rating": RATING,
    "interval": (*INTERVAL, CALIBRATION),
    "ranking": (*LISTS, "auc"),
    "beyond": BEYOND,
    "all": (*RATING, *INTERVAL, CALIBRATION, *LISTS, "auc", *BEYOND),
}


class Metric(NamedTuple):
    """``base`` is the name without the length of the list; ``n`` is 0 for metrics that have none."""

    base: str
    n: int = 0

    def __str__(self) -> str:
        return f"{self.base}@{self.n}" if self.n else self.base

    @property
    def lower_is_better(self) -> bool:
        return self.base in LOWER

    @property
    def needs(self) -> str:
        """``rating``, ``interval`` or ``lists``."""
        if self.base in RATING:
            return "rating"
        return "interval" if self.base in (*INTERVAL, CALIBRATION) else "lists"


def metric(name: str) -> Metric:
    """One metric, such as ``rmse`` or ``ndcg@10`` (``ndcg`` alone means @10)."""
    return parse([name], (10,))[0]


def parse(names: str | Sequence[str], n: Sequence[int]) -> list[Metric]:
    """Metrics from names, with ``@`` or not (then once for every length in ``n``), or from the name of a
    group."""
    for k in check_iterable("n", n, "(5, 10)"):
        check_int("n", k)
    if not isinstance(names, str):
        check_iterable("metrics", names, "['rmse', 'ndcg']")
    found: list[Metric] = []
    for name in [names] if isinstance(names, str) else names:
        base, _, at = str(name).partition("@")
        for one in GROUPS.get(base, (base,)):
            if one not in GROUPS["all"]:
                known = [*GROUPS["all"], *GROUPS]
                raise ConfigError(f"no metric {name!r}; there are: {', '.join(known)}.{did_you_mean(base, known)}")
            cut = one in LISTS or one in BEYOND
            if at and (not cut or not at.isdigit() or int(at) < 1):
                raise ConfigError(
                    f"no metric {name!r}: @ and a number from 1 go with {', '.join((*LISTS, *BEYOND))} only"
                )
            found += [Metric(one, k) for k in ([int(at)] if at else n)] if cut else [Metric(one)]
    return list(dict.fromkeys(found))


def lengths_of(n: Any) -> tuple[int, ...]:
    """Lengths of lists from one or several."""
    return tuple(n) if hasattr(n, "__iter__") and not isinstance(n, str) else (n,)


def default_metrics(task: Task, intervals: bool) -> tuple[str, ...]:
    """What ``evaluate`` measures when not told."""
    if task == "ranking":
        return (*LISTS, "auc", *BEYOND)
    return (*RATING, *INTERVAL) if intervals else RATING
