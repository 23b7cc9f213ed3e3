"""Options of a recommendation list, apart from the user: each declared once, in ``ListOptions``.

The keywords of ``recommend`` and ``recommend_all``, the flags of ``cofactor recommend``, the fields of a request over
HTTP, and the key of a resumable job all come from there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated, Any, Literal, NamedTuple, TypedDict, get_args, get_origin, get_type_hints

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cofactor._validate import check_bool, check_int, check_iterable
from cofactor.errors import ConfigError

Array = NDArray[Any]
Unknown = Literal["error", "skip", "popular"]
Strength = float | tuple[str, float]
Kind = Literal[
    "count",
    "flag",
    "ids",
    "predicate",
    "cap",
    "strength",
    "grouped strength",
    "level",
    "level or draw",
    "seed",
    "policy",
]


class Option(NamedTuple):
    """An option's kind, default and help. ``kind`` determines the accepted values and their form on the command line
    and over HTTP."""

    kind: Kind
    default: Any
    help: str


class ListOptions(TypedDict, total=False):
    """The options of a list."""

    n: Annotated[int, Option("count", 10, "Number of items.")]
    seen: Annotated[bool, Option("flag", False, "Allow items that the user has already rated.")]
    allow: Annotated[Iterable[Any] | None, Option("ids", None, "Recommend only these items.")]
    deny: Annotated[Iterable[Any] | None, Option("ids", None, "Never recommend these items.")]
    where: Annotated[
        str | pl.Expr | None,
        Option(
            "predicate", None, 'Recommend only items whose row meets this: "genres contains Drama and year >= 1990".'
        ),
    ]
    per_group: Annotated[
        tuple[str, int] | None, Option("cap", None, "At most this many items of each group: a column and a number.")
    ]
    diversity: Annotated[
        float, Option("strength", 0.0, "Penalty for similar items, 0 to 1 (maximal marginal relevance).")
    ]
    calibration: Annotated[
        Strength, Option("grouped strength", 0.0, "Match the user's own shares of groups, such as genres, 0 to 1.")
    ]
    sure: Annotated[
        float | None,
        Option("level", None, "Rank by the lower confidence bound at this level, such as 0.9 (safe choices)."),
    ]
    explore: Annotated[
        float | Literal["draw"] | None,
        Option(
            "level or draw", None, "Rank by the upper confidence bound at this level, or by a 'draw' of the posterior."
        ),
    ]
    interval: Annotated[
        float | None,
        Option("level", None, "Show bounds that should contain this share of the true ratings, such as 0.9."),
    ]
    seed: Annotated[int, Option("seed", 0, "The seed of explore='draw'.")]
    unknown: Annotated[
        Unknown,
        Option("policy", "error", "Unknown ids: 'error', 'skip' (leave out) or 'popular' (the most rated items)."),
    ]


def _declared() -> dict[str, Option]:
    hints = get_type_hints(ListOptions, include_extras=True)
    return {name: get_args(hint)[1] for name, hint in hints.items() if get_origin(hint) is Annotated}


OPTIONS: dict[str, Option] = _declared()
"""Map each option's name to its declaration."""


def list_options(**given: Any) -> ListOptions:
    """Return all options, with defaults for those not given. ConfigError for an unknown name or a bad value."""
    for name in given:
        if name not in OPTIONS:
            raise ConfigError(f"there is no list option {name!r}; the options are: {', '.join(OPTIONS)}")
    found: Any = {name: option.default for name, option in OPTIONS.items()} | given
    for name, value in found.items():
        _CHECKS[OPTIONS[name].kind](name, value)
    found["n"] = int(found["n"])  # NumPy's integers overflow
    if found["sure"] is not None and found["explore"] is not None:
        raise ConfigError("give either sure= (lower bounds) or explore= (upper bounds), not both")
    made: ListOptions = found
    return made


def calibration_of(options: ListOptions) -> tuple[str | None, float]:
    """Return (the column to calibrate by, or None; the strength)."""
    given = options["calibration"]
    return (given[0], float(given[1])) if isinstance(given, tuple) else (None, float(given))


def reranked(options: ListOptions) -> bool:
    """Return whether options change the order by score: a cap, diversity or calibration."""
    return options["per_group"] is not None or options["diversity"] > 0 or calibration_of(options)[1] > 0


def needs_each_user(options: ListOptions) -> bool:
    """Return whether lists must be made one user at a time: with reranking or confidence bounds."""
    bounds = (options["sure"], options["explore"], options["interval"])
    return reranked(options) or any(bound is not None for bound in bounds)


def check_policy(unknown: object) -> None:
    """Raise ConfigError for a policy that does not exist."""
    if not isinstance(unknown, str) or unknown not in get_args(Unknown):
        raise ConfigError(f"unknown is {unknown!r}; give 'error', 'skip' or 'popular'")


def _is_int(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool)


def _check_count(name: str, value: Any) -> None:
    if not _is_int(value) or value < 1:
        raise ConfigError(f"{name} is {value!r}; it must be a whole number of at least 1")


def _check_ids(name: str, value: Any) -> None:
    if value is not None:
        check_iterable(name, value, "a list of items")


def _check_cap(name: str, value: Any) -> None:
    if value is None:
        return
    if not (isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str)) or (
        not _is_int(value[1]) or value[1] < 1
    ):
        raise ConfigError(f"{name} is {value!r}; give a column and the most items of one group, such as ('genres', 3)")


def _check_strength(name: str, value: Any) -> None:
    if not _is_number(value) or not 0 <= value <= 1:
        raise ConfigError(f"{name} is {value!r}; it must be a number from 0 (not at all) to 1")


def _check_grouped_strength(name: str, value: Any) -> None:
    if isinstance(value, tuple):
        if not (len(value) == 2 and isinstance(value[0], str)):
            raise ConfigError(f"{name} is {value!r}; give a strength, or a column and a strength: ('genres', 0.5)")
        value = value[1]
    _check_strength(name, value)


def _check_level(name: str, value: Any, more: str = "") -> None:
    if value is not None and (not _is_number(value) or not 0 < float(value) < 1):
        raise ConfigError(f"{name} is {value!r}; it must be a level between 0 and 1, such as 0.9{more}")


def _check_level_or_draw(name: str, value: Any) -> None:
    if not (isinstance(value, str) and value == "draw"):
        _check_level(name, value, ", or 'draw'")


_CHECKS: dict[Kind, Callable[[str, Any], object]] = {
    "count": _check_count,
    "flag": check_bool,
    "ids": _check_ids,
    "predicate": lambda name, value: None,  # checked against the table, in predicates.py
    "cap": _check_cap,
    "strength": _check_strength,
    "grouped strength": _check_grouped_strength,
    "level": _check_level,
    "level or draw": _check_level_or_draw,
    "seed": lambda name, value: check_int(name, value, 0),
    "policy": lambda name, value: check_policy(value),
}
