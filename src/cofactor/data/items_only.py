"""A table without users and their rows: only the number of rows of each item, and the limits of the values."""

from __future__ import annotations

from functools import cached_property
from typing import Any, NoReturn

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cofactor.data.ids.id_map import IdMap
from cofactor.data.interactions import CSR, Columns, Features, Interactions, Reading
from cofactor.data.kind import Kind
from cofactor.errors import ConfigError

Array = NDArray[Any]


def refuse() -> NoReturn:
    """Raise ConfigError: the request needs the users."""
    raise ConfigError(
        "this model was saved for serving (serve_only), without its users and their ratings: give a history, or load"
        " the whole model"
    )


class Absent:
    """A placeholder for an array that is not available. Any use of it raises ConfigError."""

    def _refuse(self, *given: Any, **named: Any) -> NoReturn:
        refuse()

    __getitem__ = __len__ = __iter__ = __array__ = __add__ = __ne__ = __eq__ = _refuse
    __hash__ = None  # type: ignore[assignment]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        self._refuse()


class _Counted(CSR):
    """Rows of which only the number of entries is known. Asking for the entries raises ConfigError."""

    @property
    def indices(self) -> Array:
        refuse()

    @property
    def values(self) -> Array:
        refuse()

    @property
    def rows(self) -> Array:
        refuse()


class ItemsOnly(Interactions):
    """A table without users and rows. ``item_counts`` int64 (n_items,): the number of rows that each item had;
    ``limits``: their lowest and highest value; ``scale_limits``: those of the scale."""

    limits: tuple[float, float]
    scale_limits: tuple[float, float]

    @classmethod
    def of(
        cls,
        item_counts: Array,
        limits: tuple[float, float],
        scale_limits: tuple[float, float],
        user_ids: IdMap,
        item_ids: IdMap,
        *,
        timed: bool,
        columns: Columns,
        kind: Kind,
        duplicates: Any,
        reading: Reading,
        item_table: pl.DataFrame | None,
        item_features: Features | None,
        name: str,
        notes: tuple[str, ...],
    ) -> ItemsOnly:
        """Make the table. ``user_ids``: an empty id map with the type of the users; ``timed``: whether the rows had
        times."""
        absent: Any = Absent()
        made = cls(
            absent,
            absent,
            absent,
            absent if timed else None,
            user_ids,
            item_ids,
            columns=columns,
            item_table=item_table,
            item_features=item_features,
            name=name,
            notes=notes,
            kind=kind,
            duplicates=duplicates,
            reading=reading,
        )
        vars(made).update(item_counts=item_counts, limits=limits, scale_limits=scale_limits)
        return made

    def __post_init__(self) -> None:
        pass

    def __len__(self) -> int:
        return int(self.item_counts.sum())

    @cached_property
    def by_user(self) -> CSR:
        """The users' rows: none."""
        none = np.empty(0, dtype=np.int64)
        empty = np.empty(0, dtype=np.int32), np.empty(0, dtype=np.float32)
        return CSR(np.zeros(1, dtype=np.int64), *empty, none, self.n_items)

    @cached_property
    def by_item(self) -> CSR:
        """The number of rows of each item. The rows themselves are not available."""
        absent: Any = Absent()
        return _Counted(np.concatenate([[0], np.cumsum(self.item_counts)]).astype(np.int64), absent, absent, absent, 0)

    @property
    def range(self) -> tuple[float, float]:
        return self.limits

    @property
    def scale(self) -> tuple[float, float]:
        return self.scale_limits
