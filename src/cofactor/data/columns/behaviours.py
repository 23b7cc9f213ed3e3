"""Convert a behaviour column (view, cart, purchase) to a weight for each row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from cofactor.data.columns.contents import plain_sign
from cofactor.data.columns.names import says_taken
from cofactor.errors import ConfigError, DataError, did_you_mean

_BACK = frozenset(
    [
        "remove",
        "removed",
        "removefromcart",
        "return",
        "returned",
        "refund",
        "dislike",
        "disliked",
        "unlike",
        "skip",
        "down",
        "downvote",
        "downvoted",
        "thumbsdown",
        "notrecommended",
        "\N{THUMBS DOWN SIGN}",
        "cancel",
        "cancelled",
        "canceled",
        "refunded",
        "returns",
        "void",
        "voided",
        "chargeback",
        "storno",
        "storniert",
        "retoure",
        "failed",
        "declined",
        "rejected",
        "uninstall",
        "unfollow",
        "unsubscribe",
        "hate",
        "negative",
        "-1",
        "\N{BROKEN HEART}",
        "brokenheart",
        "\N{POUTING FACE}",
        "rage",
        "angry",
    ]
)
"""Behaviours that undo or reject something. They count 0 unless they are given a weight."""
_NOT_TAKEN = frozenset(("0", "00", "false", "no", "f", "n"))
_TAKEN = frozenset(("1", "10", "true", "yes", "t", "y"))
"""Values of an outcome column (was the shown item taken?), without punctuation: 0.0 is 00."""


def says_no(values: pl.Series) -> bool:
    """Return whether some of a column's few distinct texts undo or reject something."""
    texts = values.drop_nulls().unique().to_list()
    return bool(_BACK & set(map(_plain, texts)))


def _plain(text: str) -> str:
    """A text without case, blanks and marks, unless it is a mark or a sign."""
    sign = plain_sign(text)
    return sign if sign == "-1" else "".join(c for c in text.lower() if c.isalnum()) or sign


def check_weights(weights: Any) -> dict[str, float] | None:
    """Raise ConfigError unless ``weights`` maps behaviours to numbers. A weight below 0 is a dislike."""
    if weights is None:
        return None
    if not isinstance(weights, Mapping) or not weights:
        raise ConfigError(
            f"weights is {weights!r}; give a number for each behaviour, such as {{'view': 1, 'purchase': 5}}"
        )
    for name, value in weights.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < float("inf"):
            raise ConfigError(f"the weight of {name!r} is {value!r}; give a number; below 0 it is a dislike")
    return {str(name): float(value) for name, value in weights.items()}


def weigh(column: pl.Series, weights: dict[str, float] | None) -> tuple[pl.Series, str]:
    """Return the weight of each row (0: leave it out), and a note.

    The note names the behaviours, how often each occurs and what it counts. Raises DataError for weights of behaviours
    that do not occur, and for rows without a behaviour.
    """
    text = column.cast(pl.String).str.strip_chars()
    if text.null_count():
        row = int(text.is_null().arg_max() or 0)
        raise DataError(
            f"the behaviour in row {row + 1} (column {column.name!r}) is missing; fill it in or drop the row"
        )
    counts = text.value_counts(sort=True)
    names = counts.to_series(0).to_list()
    if len(names) > 200:
        raise DataError(
            f"column {column.name!r} has {len(names):,} different values, so it is not a column of behaviours; name"
            " another with behaviour=..., or behaviour=False"
        )
    yes_no = set(map(_plain, names)) <= _NOT_TAKEN | _TAKEN
    back = _BACK | _NOT_TAKEN if says_taken(column.name) or yes_no else _BACK
    found = {name: 0.0 if _plain(name) in back else 1.0 for name in names}
    if weights is not None:
        check_behaviours(weights, names, f"column {column.name!r}")
        found = {name: weights.get(name, 0.0) for name in names}
    shown = ", ".join(f"{name} ({n:,} rows, counts {found[name]:g})" for name, n in counts.head(12).iter_rows())
    values = text.replace_strict(list(found), np.array(list(found.values()), dtype=np.float64), return_dtype=pl.Float64)
    return values, (
        f"behaviours of column {column.name!r}: {shown}; set others with weights={{...}}"
        " (on the command line --weights view=1,purchase=5)"
    )


def check_behaviours(weights: Mapping[str, float], names: list[str], where: str) -> None:
    """Raise DataError if a behaviour that is given a weight does not occur."""
    unknown = [name for name in weights if name not in names]
    if unknown:
        raise DataError(
            f"there is no behaviour {unknown[0]!r} in {where}; there are:"
            f" {', '.join(map(repr, names[:12]))}.{did_you_mean(unknown[0], names)}"
        )
