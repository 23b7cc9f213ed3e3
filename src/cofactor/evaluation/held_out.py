"""Test rows in the codes of the training data, and checks of them."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cofactor.data.ids.id_map import IdMap
from cofactor.data.interactions import Interactions, Split
from cofactor.data.read_alike import check_alike, is_file, read_alike
from cofactor.errors import DataError

Array = NDArray[Any]


class LeakWarning(UserWarning):
    """Test rows are also training rows."""


class RelevanceWarning(UserWarning):
    """Fewer than a tenth of the test users have a relevant row."""


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Aligned arrays of test rows.

    ``users``, ``items`` int32 codes of the training id maps, -1 for ids that are not in training; ``values`` float32;
    ``times`` int64 or None. ``cluster`` int64: the user of each row as a number from 0, with unknown users kept
    distinct; ``labels``: their ids.
    """

    users: Array
    items: Array
    values: Array
    times: Array | None
    cluster: Array
    labels: pl.Series
    how: str = ""
    source: Interactions | None = None
    """The same rows with their own ids."""
    weights: Array | None = None
    """The weight of each row, float32; None: all the same."""

    def names(self, rows: Array) -> pl.Series:
        """Return the item ids of some of the rows."""
        assert self.source is not None
        return self.source.item_ids.decode(self.source.items[rows])

    def __len__(self) -> int:
        return len(self.users)

    @property
    def n_clusters(self) -> int:
        return len(self.labels)


HeldOut.__test__ = False  # type: ignore[attr-defined]  # pytest: this is not a test class


def held_out_rows(test: Any, train: Interactions) -> HeldOut:
    """Return test rows from a Split (its valid part), Interactions, a path, or a frame with the training table's column
    names."""
    how = test.how if isinstance(test, Split) else ""
    data = test.valid if isinstance(test, Split) else test
    typed = not is_file(data)
    if not isinstance(data, Interactions):
        data = _read(data, train)
    if len(data) == 0:
        raise DataError("there are no test rows")
    if data.user_ids is not train.user_ids:
        check_alike(data, train)
    users, items = (
        codes if theirs is ours else _recode(theirs, ours, typed)[codes]
        for codes, theirs, ours in (
            (data.users, data.user_ids, train.user_ids),
            (data.items, data.item_ids, train.item_ids),
        )
    )
    present, cluster = np.unique(data.users, return_inverse=True)
    labels = data.user_ids.decode(present)
    times = data.times if train.times is not None else None
    return HeldOut(users, items, data.values, times, cluster.astype(np.int64), labels, how, data, data.weights)


held_out_rows.__test__ = False  # type: ignore[attr-defined]  # pytest: this is not a test


def _read(table: Any, train: Interactions) -> Interactions:
    if is_file(table) or hasattr(table, "columns") or hasattr(table, "schema"):
        return read_alike(table, train)
    raise DataError(f"test rows must be Interactions, a Split, a path or a frame, not {type(table).__name__}")


def _recode(theirs: IdMap, ours: IdMap, typed: bool) -> Array:
    """Return our code of each of their ids. If the types were guessed (not ``typed``), numbers written as text count as
    numbers."""
    values = theirs.values
    if not typed and values.dtype == pl.String and ours.dtype.is_integer():
        numbers = values.cast(ours.dtype, strict=False)
        values = numbers.set((numbers.cast(pl.String) != values).fill_null(True), None)
    codes = ours.encode(values)
    if len(codes) and (codes < 0).all():
        raise DataError(f"no {ours.kind} of the test rows is in the training data: {ours.unknown(theirs.values[0])}")
    return codes


def in_training(users: Array, items: Array, train: Interactions) -> Array:
    """Return bool (n,): whether these pairs of codes are also rows of the training data."""
    by_user = train.by_user
    owner = np.repeat(np.arange(by_user.n_rows, dtype=np.int64), by_user.counts)
    known = owner * train.n_items + by_user.indices
    asked = users.astype(np.int64) * train.n_items + items
    at = np.minimum(np.searchsorted(known, asked), max(len(known) - 1, 0))
    found: Array = (users >= 0) & (items >= 0)
    return found & (known[at] == asked) if len(known) else np.zeros_like(found)


def repeated_later(test: HeldOut, train: Interactions) -> Array:
    """Return bool (n,): whether the user had the item in training and took it again later, such as a second
    purchase."""
    found = in_training(test.users, test.items, train)
    if test.times is None or train.times is None or not found.any():
        return np.zeros_like(found)
    rows = np.flatnonzero(found)
    latest = pl.DataFrame({"user": train.users, "item": train.items, "time": train.times})
    asked = pl.DataFrame({"user": test.users[rows], "item": test.items[rows], "when": test.times[rows]}).with_columns(
        pl.col("user", "item").cast(pl.Int32)
    )
    latest = latest.group_by("user", "item").agg(pl.col("time").max())
    joined = asked.join(latest, on=["user", "item"], how="left", maintain_order="left")
    found[rows] = (joined["when"] > joined["time"]).fill_null(False).to_numpy()
    return found


def leaked(test: HeldOut, train: Interactions) -> int:
    """Return the number of test rows that are also training rows, except those at a later time. Warns (LeakWarning) if
    there are any."""
    n = int((in_training(test.users, test.items, train) & ~repeated_later(test, train)).sum())
    if n:
        text = (
            f"{n:,} of {len(test):,} test rows (same user and item) are also training rows, so the figures measure"
            " memory"
        )
        warnings.warn(text, LeakWarning, stacklevel=3)
    return n


def notes(test: HeldOut, train: Interactions, n_leaked: int) -> list[str]:
    """Return sentences on these rows that a reader of the figures should know."""
    said = []
    if n_leaked:
        said.append(f"{n_leaked:,} rows are also in training")
    if again := int(repeated_later(test, train).sum()):
        said.append(f"{again:,} rows repeat an item of their user's training rows (exclude=None lists such items)")
    for kind, codes, counts in (
        ("user", test.users, train.by_user.counts),
        ("item", test.items, train.by_item.counts),
    ):
        if unknown := int(((codes < 0) | (counts[codes] == 0)).sum()):
            said.append(f"{unknown:,} rows of {kind}s that are not in training")
    if "temporal" in test.how and test.times is not None and train.times is not None and len(train):
        older = int((test.times < train.times.max()).sum())
        if older:
            said.append(f"{older:,} rows are older than the newest training row")
    return said


def chosen_by_others(trials: pl.DataFrame | None, test: HeldOut, train: Interactions) -> list[str]:
    """Return a sentence where a ranker was chosen by the latest of its training rows (``trials``), and most of these
    rows are not later than the training rows: another one may be best for them."""
    if trials is None or "held_out" not in trials.columns or test.times is None or train.times is None:
        return []
    how = str(trials["held_out"][0])
    older = int((test.times < train.times.max()).sum()) if len(train) else 0
    if not ("rolling" in how or "temporal" in how) or 2 * older < len(test):
        return []
    return [
        f"the model was chosen by the latest training rows, but {older:,} of these rows are older than the newest of"
        " them: fit with held_out='random' or 'last' (--held-out) to choose by such rows"
    ]
