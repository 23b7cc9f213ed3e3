"""The posterior samples of ``bayes-mf``. The stepper fills them, and the model reads them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
T = TypeVar("T")


class Samples:
    """``arrays`` by name (see ``BayesStepper``), of which the first ``count`` samples are in use, and the ``traces``.

    ``traces`` is float64 (chains, sweeps, len(trace_names)).
    """

    def __init__(self) -> None:
        self.arrays: dict[str, Array] | None = None
        self.count = 0
        self.traces = np.zeros((0, 0, 0))
        self.trace_names: tuple[str, ...] = ()
        self._derived: dict[str, Any] = {}

    def adopt(self, arrays: dict[str, Array], count: int, names: tuple[str, ...]) -> None:
        """Use these arrays, into which a stepper writes."""
        self.arrays, self.trace_names = arrays, names
        self.use(count)

    def use(self, count: int) -> None:
        """Use the first ``count`` samples, and forget everything derived from others."""
        self.count = count
        self._derived = {}

    def derive(self, name: str, make: Callable[[], T]) -> T:
        """Return the result of ``make``, computed on the first request for ``name`` since the samples last changed."""
        if name not in self._derived:
            self._derived[name] = make()
        found: T = self._derived[name]
        return found


def trace_names(n_user_drifts: int, n_item_drifts: int, n_pairs: int) -> tuple[str, ...]:
    """Return the names of the columns of a trace."""
    processes = [f"user drift {i}" for i in range(n_user_drifts)] + [f"item drift {i}" for i in range(n_item_drifts)]
    return (
        "train mse",
        "noise sd",
        "user effect sd",
        "item effect sd",
        *(f"{process} {what}" for process in processes for what in ("seconds", "sd")),
        *(f"prediction {i}" for i in range(n_pairs)),
    )
