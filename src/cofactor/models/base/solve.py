"""The stepper of models that are solved at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cofactor.model import State, Stepper

Array = NDArray[Any]


class SolveStepper(Stepper):
    """A stepper for models that are solved at once: ``solve`` does it all when first run; there is no training loss."""

    def __init__(self, solve: Any) -> None:
        self.solve = solve
        self.done = False

    def run(self, rows: Array | None, hyper: Any) -> Array:
        """Solve (again); no losses."""
        self.solve()
        self.done = True
        return np.empty(0)

    def snapshot(self) -> State:
        """Whether it has run; solving again returns the same."""
        return {"done": np.array(self.done)}

    def restore(self, state: Mapping[str, Array]) -> None:
        """Solve where the snapshot had been solved."""
        if bool(state["done"]) and not self.done:
            self.run(None, None)
