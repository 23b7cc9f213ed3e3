"""A training run of ``dot-bias``: Adam on its table, in the plain order or by strata."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cofactor.data.interactions import Interactions
from cofactor.errors import ConfigError
from cofactor.kernels.dot_bias import epoch as kernel
from cofactor.model import Hyper, State, Stepper
from cofactor.models.dot_bias.config import LOSSES, DotBiasConfig
from cofactor.models.dot_bias.strata import AUTO_ROWS, Strata, run_epoch
from cofactor.models.dot_bias.table import aligned, lanes

Array = NDArray[Any]

BETA2 = 0.99
EPS = 1e-5


class Trained(Protocol):
    """The attributes that a run needs of the model that it trains."""

    config: DotBiasConfig
    user_table: Array

    @property
    def unit(self) -> float: ...

    def in_units(self, values: Array) -> tuple[Array, tuple[float, float, bool]]: ...


class DotBiasStepper(Stepper):
    """Adam on the table of a model (users, then items). Rows lag until they are used or flushed."""

    def __init__(self, model: Trained, data: Interactions, table: Array) -> None:
        k, (n, stride) = model.config.n_factors, table.shape
        self.model = model
        self.data = data
        self.values, self.limits = model.in_units(data.values)
        self.table = table
        self.ms = aligned((n, 2, stride))
        self.last, self.first = np.zeros(n, np.int32), np.zeros(n, np.int32)
        self.mask = aligned((2, stride))
        self.mask[:, : k + 2] = 1
        self.mask[0, k + 1] = self.mask[1, k] = 0
        columns = max(4096, n // 2) + 1
        self.clock = np.zeros(3, np.int64)
        self.past = np.zeros((5, columns))
        self.past[[0, 1, 4], 0] = 1
        self.strata: Strata | None = None
        self.lanes = lanes(table)
        self.fade = BETA2 ** np.arange(columns, dtype=np.float64)

    def run(self, rows: Array | None, hyper: Hyper | None) -> Array:
        if rows is None or hyper is None:
            raise ConfigError("dot-bias trains batch by batch: give rows and hyper")
        n = len(hyper.lr)
        if len(rows) != n * hyper.batch_size or n == 0:
            raise ConfigError(f"{len(rows)} rows are not {n} batches of {hyper.batch_size}")
        rows = np.ascontiguousarray(rows, np.int32 if len(self.data) < 2**31 else np.int64)
        losses = np.empty(n, np.float64)
        d, (lo, hi, ranged) = self.data, self.limits
        plan = kernel.schedule(hyper.lr, hyper.momentum, float(hyper.weight_decay), BETA2, int(self.clock[0]))
        space, done = kernel.scratch(hyper.batch_size, self.lanes), 0
        while done < n:
            done += kernel.train(
                rows[done * hyper.batch_size :],
                d.users,
                d.items,
                self.values,
                self.clock,
                self.past,
                self.fade,
                self.table,
                self.ms,
                self.last,
                self.first,
                self.mask,
                len(self.model.user_table),
                np.ascontiguousarray(plan[:, done:]),
                BETA2,
                EPS,
                LOSSES[self.model.config.loss],
                lo,
                hi,
                ranged,
                losses[done:],
                self.lanes,
                space,
            )
            if done < n:
                self.flush()
        return losses * self._loss_unit()

    def run_epoch(self, seed: Sequence[int], hyper: Hyper) -> Array | None:
        """Train an epoch by strata, in the order that ``seed`` gives, and return its losses. Returns None if the plain
        order is wanted."""
        parallel = self.model.config.parallel
        if parallel == "off" or (parallel == "auto" and len(self.data) < AUTO_ROWS):
            return None
        if self.strata is None:
            self.strata = Strata(self.data, self.values, self.table.shape[1])
        found = run_epoch(self, self.strata, seed, hyper, BETA2, EPS, LOSSES[self.model.config.loss])
        return found * self._loss_unit()

    def _loss_unit(self) -> float:
        """Return the factor that converts a loss in units to one of ratings."""
        return {"mse": self.model.unit**2, "bce": 1.0}.get(self.model.config.loss, self.model.unit)

    def flush(self) -> None:
        """Bring every row up to date. Nothing is done if the last step was followed by a flush."""
        if self.clock[1]:
            kernel.flush(
                self.clock,
                self.past,
                self.fade,
                self.table,
                self.ms,
                self.last,
                self.mask,
                len(self.model.user_table),
                EPS,
                lanes(self.table),
            )

    def snapshot(self) -> State:
        self.flush()
        return {"table": self.table.copy(), "ms": self.ms.copy(), "clock": self.clock.copy()}

    def restore(self, state: Mapping[str, Array]) -> None:
        self.flush()
        self.table[:], self.ms[:], self.clock[:] = state["table"], state["ms"], state["clock"]
