"""Popularity debiasing: rows of popular items weigh less (inverse propensity; Schnabel et al. 2016).

A choice tells less if the item is shown to everyone. The probability of being shown is assumed to grow with a power of
the item's number of rows (Yang et al. 2018). A row therefore weighs ``rows ** -power``, relative to the mean row.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cofactor.data.interactions import CSR
from cofactor.errors import ConfigError
from cofactor.models.base.config import option

Array = NDArray[Any]


def propensity_option() -> Any:
    """Return the config field of rankers whose rows can weigh less the more popular their item is."""
    return option(0.0, "popularity debiasing: a row of an item with n rows weighs n ** -propensity; 0: none")


def propensity_of(config: Any) -> float:
    """Return the config's power; 0 without such an option."""
    return float(getattr(config, "propensity", 0.0))


def check_propensity(power: float) -> None:
    """Raise ConfigError unless it is between 0 and 1."""
    if not 0 <= power <= 1:
        raise ConfigError(f"propensity is {power}; it must be between 0 and 1")


def item_worth(popularity: Array, power: float) -> Array:
    """Return float32 (n_items,): the weight of a row of each item; the mean over all rows is 1.

    ``popularity``: rows of each item, in any unit. An item without rows weighs as the rarest of the others.
    """
    shares = np.asarray(popularity, dtype=np.float64)
    some = shares[shares > 0]
    if not power or not len(some):
        return np.ones(len(shares), dtype=np.float32)
    worth = np.maximum(shares, some.min()) ** -power
    return np.asarray(worth * shares.sum() / (shares * worth).sum(), dtype=np.float32)


def debiased(rows: CSR, worth: Array | None) -> CSR:
    """Return the same rows, with each entry's value times the ``worth`` of its item."""
    return rows if worth is None else rows._replace(values=rows.values * worth[rows.indices])
