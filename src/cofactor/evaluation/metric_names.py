"""The names of metrics, what each needs from a model, and which direction is better."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

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


@dataclass(frozen=True)
class CustomMetric:
    """A metric of your own, for ``metrics=[...]`` beside the names. A plain function stands for one that needs lists.

    ``needs="lists"``: ``function(recommended, relevant)`` gets one user's list (item ids, best first) and the set of
    the user's relevant items (ids), and returns a number; NaN leaves the user out. ``needs="rating"``:
    ``function(truth, predicted)`` gets two arrays (n,) and returns one number for each row, whose mean is the figure.
    """

    function: Callable[[Any, Any], Any]
    name: str = ""
    needs: Literal["lists", "rating"] = "lists"
    lower_is_better: bool = False

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise ConfigError(f"a metric of your own is a function, not {self.function!r}")
        if self.needs not in ("lists", "rating"):
            raise ConfigError(f"needs is {self.needs!r}; it is 'lists' or 'rating'")
        if not _takes_two(self.function):
            two = "(recommended, relevant)" if self.needs == "lists" else "(truth, predicted)"
            raise ConfigError(f"a metric of your own gets two arguments, {two}; {self.function!r} takes others")
        name = self.name or str(getattr(self.function, "__name__", "custom")).strip("<>")
        if name in GROUPS["all"] or name in GROUPS or "@" in name:
            raise ConfigError(f"a metric of your own cannot be called {name!r}; give CustomMetric(function, name=...)")
        object.__setattr__(self, "name", name)


def _takes_two(function: Callable[..., Any]) -> bool:
    """Return whether a function can be called with two arguments; True if its signature is not known."""
    try:
        inspect.signature(function).bind(None, None)
    except ValueError:
        return True
    except TypeError:
        return False
    return True


LONGEST_LIST = 1_000_000
"""The largest number of items of a list that is measured."""


class Metric(NamedTuple):
    """A metric. ``base`` is the name without the list length; ``n`` is 0 for metrics without one."""

    base: str
    n: int = 0
    custom: CustomMetric | None = None

    def __str__(self) -> str:
        return f"{self.base}@{self.n}" if self.n else self.base

    @property
    def lower_is_better(self) -> bool:
        return self.base in LOWER if self.custom is None else self.custom.lower_is_better

    @property
    def needs(self) -> str:
        """The input that the metric needs: ``rating``, ``interval`` or ``lists``."""
        if self.custom is not None:
            return self.custom.needs
        if self.base in RATING:
            return "rating"
        return "interval" if self.base in (*INTERVAL, CALIBRATION) else "lists"


def metric(name: str) -> Metric:
    """Return one metric by name, such as ``rmse`` or ``ndcg@10`` (``ndcg`` alone means @10)."""
    return parse([name], (10,))[0]


def parse(names: Any, n: Sequence[int]) -> list[Metric]:
    """Return metrics from one or several names or functions (:class:`CustomMetric`).

    A name may have ``@`` or not (then it is measured for every length in ``n``), or be the name of a group.
    """
    for k in check_iterable("n", n, "(5, 10)"):
        check_int("n", k)
    one = isinstance(names, (str, CustomMetric)) or callable(names)
    found: list[Metric] = []
    for name in [names] if one else check_iterable("metrics", names, "['rmse', 'ndcg']"):
        if callable(name) or isinstance(name, CustomMetric):
            own = name if isinstance(name, CustomMetric) else CustomMetric(name)
            found += [Metric(own.name, k, own) for k in (n if own.needs == "lists" else (0,))]
            continue
        base, _, at = str(name).partition("@")
        for each in GROUPS.get(base, (base,)):
            if each not in GROUPS["all"]:
                known = [*GROUPS["all"], *GROUPS]
                raise ConfigError(f"no metric {name!r}; there are: {', '.join(known)}.{did_you_mean(base, known)}")
            cut = each in LISTS or each in BEYOND
            if at and (not cut or not at.isdigit() or int(at) < 1):
                raise ConfigError(f"no metric {name!r}: only {', '.join((*LISTS, *BEYOND))} take @ and a number from 1")
            found += [Metric(each, k) for k in ([int(at)] if at else n)] if cut else [Metric(each)]
    if (longest := max((metric.n for metric in found), default=0)) > LONGEST_LIST:
        raise ConfigError(f"n is {longest}; lists of at most {LONGEST_LIST:,} items are measured")
    shown = [str(metric) for metric in dict.fromkeys(found)]
    if twice := {name for name in shown if shown.count(name) > 1}:
        raise ConfigError(f"two metrics are called {', '.join(sorted(twice))}; give CustomMetric(function, name=...)")
    return list(dict.fromkeys(found))


def lengths_of(n: Any) -> tuple[int, ...]:
    """Lengths of lists from one or several."""
    several = hasattr(n, "__iter__") and not isinstance(n, str) and getattr(n, "ndim", 1) > 0
    return tuple(n) if several else (n,)


def default_metrics(task: Task, intervals: bool) -> tuple[str, ...]:
    """Return the metrics that ``evaluate`` measures by default."""
    if task == "ranking":
        return (*LISTS, "auc", *BEYOND)
    return (*RATING, *INTERVAL) if intervals else RATING
