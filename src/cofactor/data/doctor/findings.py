"""What the doctor finds, and how rows and ids are shown in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from cofactor.data.ids.id_map import Array, IdMap
from cofactor.data.interactions import Interactions

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True)
class Finding:
    """One finding. ``error``: the table cannot be read as it is; ``warning``: results will suffer; ``note``: worth
    knowing.

    ``count`` is the number of rows, users or items (``where``) concerned.
    """

    severity: Severity
    check: str
    where: str
    what: str
    count: int
    examples: tuple[str, ...]
    todo: str


def percent(share: float) -> str:
    """Format a share as a percentage that never rounds a few to none, nor most to all."""
    if 0 < share < 0.001:
        return "< 0.1 %"
    if 0.995 <= share < 1:
        return "> 99 %"
    return f"{share * 100:.{1 if share < 0.0995 and share else 0}f} %"


def shown_id(ids: IdMap, code: int) -> str:
    """Return an id with its kind: user 'anna'."""
    return f"{ids.kind} {ids.values[int(code)]!r}"


def shown_pairs(data: Interactions, rows: Array) -> tuple[str, ...]:
    """Return the users, items and row numbers of the first five of ``rows``."""
    users, items = data.users[rows[:5]], data.items[rows[:5]]
    return tuple(
        f"{shown_id(data.user_ids, u)}, {shown_id(data.item_ids, i)} (row {int(r) + 1})"
        for r, u, i in zip(rows, users, items)
    )


def shown_rows(mask: pl.Series) -> tuple[str, ...]:
    """Return the numbers of the first five rows where ``mask`` is true."""
    return tuple(f"row {int(r) + 1}" for r in np.flatnonzero(mask.to_numpy())[:5])
