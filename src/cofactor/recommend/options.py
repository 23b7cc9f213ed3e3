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
    """``kind`` decides what values are accepted, and how the command line and HTTP spell them."""

    kind: Kind
    default: Any
    help: str


class ListOptions(TypedDict, total=False):
    """The options of a list."""

    n: Annotated[int, Option("count", 10, "How many items.")]
    seen: Annotated[bool, Option("flag", False, "List items already rated too.")]
    allow: Annotated[Iterable[Any] | None, Option("ids", None, "List only these items.")]
    deny: Annotated[Iterable[Any] | None, Option("ids", None, "Never list these items.")]
    where: Annotated[
        str | pl.Expr | None,
        Option("predicate", None, 'Only items that meet a condition: "genres contains Drama and year >= 1990".'),
    ]
    per_group: Annotated[
        tuple[str, int] | None, Option("cap", None, "At most this many items of each group, such as a genre.")
    ]
    diversity: Annotated[float, Option("strength", 0.0, "0 to 1: avoid similar items (maximal marginal relevance).")]
    calibration: Annotated[
        Strength,
        Option("grouped strength", 0.0, "0 to 1: keep groups, such as genres, in proportion to the user's own."),
    ]
    sure: Annotated[
        float | None,
        Option("level", None, "Rank by the lower confidence bound at this level, such as 0.9: safe bets."),
    ]
    explore: Annotated[
        float | Literal["draw"] | None,
        Option("level or draw", None, "Rank by the upper confidence bound at this level, or by a posterior 'draw'."),
    ]
    interval: Annotated[
        float | None, Option("level", None, "Show bounds that should hold this share of true ratings, such as 0.9.")
    ]
    seed: Annotated[int, Option("seed", 0, "The seed of explore='draw'.")]
    unknown: Annotated[
        Unknown, Option("policy", "error", "Unknown ids: an 'error', left out ('skip'), or the most rated ('popular').")
    ]


def _declared() -> dict[str, Option]:
    hints = get_type_hints(ListOptions, include_extras=True)
    return {name: get_args(hint)[1] for name, hint in hints.items() if get_origin(hint) is Annotated}


OPTIONS: dict[str, Option] = _declared()
"""Name -> what it is."""


def list_options(**given: Any) -> ListOptions:
    """All options, those not given at their defaults. ConfigError for one that does not exist or makes no sense."""
    for name in given:
        if name not in OPTIONS:
            raise ConfigError(f"a list has no option {name!r}; there are: {', '.join(OPTIONS)}")
    found: Any = {name: option.default for name, option in OPTIONS.items()} | given
    for name, value in found.items():
        _CHECKS[OPTIONS[name].kind](name, value)
    found["n"] = int(found["n"])  # NumPy's integers overflow
    if found["sure"] is not None and found["explore"] is not None:
        raise ConfigError("give either sure= (safe bets) or explore= (worth a try), and not both")
    made: ListOptions = found
    return made


def calibration_of(options: ListOptions) -> tuple[str | None, float]:
    """(the column to calibrate by, where it is named; the strength)."""
    given = options["calibration"]
    return (given[0], float(given[1])) if isinstance(given, tuple) else (None, float(given))


def reranked(options: ListOptions) -> bool:
    """Whether the list is anything other than the best by score."""
    return options["per_group"] is not None or options["diversity"] > 0 or calibration_of(options)[1] > 0


def needs_each_user(options: ListOptions) -> bool:
    """Whether lists are made one user at a time: reranked ones, and those with confidence bounds."""
    bounds = (options["sure"], options["explore"], options["interval"])
    return reranked(options) or any(bound is not None for bound in bounds)


def check_policy(unknown: object) -> None:
    """ConfigError for a policy that does not exist."""
    if not isinstance(unknown, str) or unknown not in get_args(Unknown):
        raise ConfigError(f"unknown={unknown!r}; it is one of 'error', 'skip' and 'popular'")


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
        raise ConfigError(f"{name} is {value!r}; give a column and how many of one group, such as ('genres', 3)")


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
    "predicate": lambda name, value: None,  # said where it is read against the table
    "cap": _check_cap,
    "strength": _check_strength,
    "grouped strength": _check_grouped_strength,
    "level": _check_level,
    "level or draw": _check_level_or_draw,
    "seed": lambda name, value: check_int(name, value, 0),
    "policy": lambda name, value: check_policy(value),
}
