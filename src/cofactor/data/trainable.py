"""Check whether a table has anything to learn from."""

from __future__ import annotations

from cofactor.data.interactions import Columns, Interactions
from cofactor.data.kind import Kind
from cofactor.errors import DataError

LARGEST = 1e15
"""Values above this are refused: sums of their squares overflow single precision."""


def check_trainable(data: Interactions) -> None:
    """Raise DataError if there is nothing to learn: no rows, one user, one item, or the same rating everywhere.

    A table of implicit feedback (``columns.rating`` is None) may contain a single value.
    """
    if not len(data):
        raise DataError("no ratings to learn from; the table, or this part of a split, has no rows")
    for kind, codes, ids in (("user", data.users, data.user_ids), ("item", data.items, data.item_ids)):
        if (codes == codes[0]).all():
            raise DataError(
                f"only one {kind} ({ids.values[int(codes[0])]!r}); at least two are needed to learn anything"
            )
    check_limits(*data.range, data.columns, data.kind)


def check_limits(low: float, high: float, columns: Columns, kind: Kind) -> None:
    """Raise DataError if the lowest and highest value leave nothing to learn, or are too large."""
    if max(abs(low), abs(high)) > LARGEST:
        raise DataError(
            f"values reach {max(abs(low), abs(high)):g}, more than {LARGEST:g}; their squares are too large for a"
            " model; divide the column by a power of ten"
        )
    if low == high and columns.rating is not None and kind == "ratings":
        raise DataError(
            f"every rating is {low:g}, so there is nothing to learn; choose another rating column, or rating=False for"
            " implicit feedback"
        )
