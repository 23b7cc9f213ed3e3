"""Dot product of embeddings plus biases: the model of the notebook, trained by Adam with decoupled weight decay.

    prediction = lo + (hi - lo) * sigmoid(u . v + b_user + b_item)

(or without the sigmoid, when there is no range).

Sources: Koren, Bell & Volinsky (2009) for the model; Loshchilov & Hutter (2019) for the decay.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from cofactor.data.interactions import CSR, Interactions
from cofactor.errors import BundleError, NotFittedError
from cofactor.kernels.dot_bias import predict as predictions
from cofactor.kernels.products import dots
from cofactor.model import Cost, Kind, State, TableSize, Task, Terms
from cofactor.models.base.arrays import stored
from cofactor.models.base.cost import COMPILED
from cofactor.models.dot_bias.config import DotBiasConfig, infer_range
from cofactor.models.dot_bias.fold_in import FromRows, fold, losses_of, prior_weight
from cofactor.models.dot_bias.stepper import DotBiasStepper
from cofactor.models.dot_bias.strata import AUTO_ROWS, CHUNK, counts_of
from cofactor.models.dot_bias.table import aligned, initial_table, lanes, stride_of

Array = NDArray[Any]
Side = Literal["user", "item"]


class DotBias(FromRows):
    """``user_table`` and ``item_table`` are float32 (n, stride): the weights, in place, never reallocated in
    training (kernels/dot_bias.py has the layout). :meth:`views` gives their named parts. Under a stepper rows may
    lag behind: ``flush`` brings them up to date, and everything here that reads weights calls it."""

    name: ClassVar[str] = "dot-bias"
    task: ClassVar[Task] = "rating"
    kind: ClassVar[Kind] = "batch"
    Config = DotBiasConfig

    def __init__(self, config: DotBiasConfig | None = None) -> None:
        self.config = config or DotBiasConfig()
        self.user_table: Array = np.zeros((0, 0), np.float32)
        self.item_table: Array = np.zeros((0, 0), np.float32)
        self.y_range: tuple[float, float] | None = None
        self._prior: Array = np.zeros((2, self.config.n_factors + 1))
        self._unknown: Array = np.zeros((2, stride_of(self.config.n_factors)), np.float32)
        self._known_step = -1
        self._stepper: DotBiasStepper | None = None

    @classmethod
    def cost(cls, config: DotBiasConfig, size: TableSize) -> Cost:
        """Return the cost: the table and both moments; the order of an epoch, or the rows by stratum."""
        n, rows, k = size.ratings, size.users + size.items, config.n_factors
        kept = 12 * stride_of(k) * rows + 40 * rows
        strata = config.parallel == "on" or (config.parallel == "auto" and n >= AUTO_ROWS)
        order = 6 * n + 24 * min(n, CHUNK) if strata else 24 * n + 24 * n / config.batch_size
        memory = kept + max(order, 8 * stride_of(k) * size.users)  # the mean user, in float64
        work = 15.0 * config.epochs * n * k
        return Cost(memory, kept + (8 if strata else 0) * n, work, f"{config.epochs} epochs x n x k={k}", COMPILED)

    def stepper(self, data: Interactions, rng: np.random.Generator) -> DotBiasStepper:
        """Start from random weights. For a loaded model, :meth:`resume` continues from its weights."""
        c = self.config
        table = initial_table(data.n_users, data.n_items, c.n_factors, rng)
        self.user_table, self.item_table = table[: data.n_users], table[data.n_users :]
        self.y_range = infer_range(data, c.loss) if isinstance(c.y_range, str) else c.y_range
        self._stepper = DotBiasStepper(self, data, table)
        return self._stepper

    def resume(self, data: Interactions) -> DotBiasStepper:
        """Return a stepper that continues from the present weights (copied into a new table) with a fresh optimizer."""
        users, items = self._tables()
        table = aligned((len(users) + len(items), users.shape[1]))
        np.concatenate([users, items], out=table)
        self.user_table, self.item_table = table[: len(users)], table[len(users) :]
        self._stepper = DotBiasStepper(self, data, table)
        return self._stepper

    def flush(self) -> None:
        """Bring every row up to date (cheap if none lags)."""
        if self._stepper is not None:
            self._stepper.flush()

    def views(self) -> dict[str, Array]:
        """Return NumPy views of the tables: ``u_weight`` (n_users, k), ``i_weight``, ``u_bias`` (n_users, 1),
        ``i_bias``."""
        users, items = self._tables()
        k = self.config.n_factors
        return {
            "u_weight": users[:, :k],
            "i_weight": items[:, :k],
            "u_bias": users[:, k : k + 1],
            "i_bias": items[:, k + 1 : k + 2],
        }

    def predict(self, users: Array, items: Array, times: Array | None = None) -> Array:
        user_table, item_table = self._tables()
        lo, hi, ranged = self._range()
        if len(users) and min(users.min(), items.min()) < 0:
            self._learn_unknown()
        out = np.empty(len(users), np.float32)
        predictions.predict(
            np.ascontiguousarray(users, np.int32),
            np.ascontiguousarray(items, np.int32),
            user_table,
            item_table,
            self._unknown,
            lo,
            hi,
            ranged,
            out,
            lanes(user_table),
        )
        return out

    def scores(self, users: Array) -> Array:
        return self.scores_from(self.user_state(users))

    def user_state(self, users: Array) -> Array:
        """Return rows of the user table (n, stride); for code -1 the mean row."""
        table, _ = self._tables()
        users = np.asarray(users)
        found = table[np.maximum(users, 0)]
        if (users < 0).any():
            self._learn_unknown()
            found[users < 0] = self._unknown[0]
        return found

    def fold_in(self, histories: CSR) -> Array:
        """Return rows of the user table (n, stride) for users with these ratings (models/dot_bias/fold_in.py)."""
        _, items = self._tables()
        self._learn_unknown()
        c, (mean, pull) = self.config, self._prior
        k = c.n_factors
        rows = np.zeros((histories.n_rows, items.shape[1]), np.float32)
        rows[:, k + 1] = 1
        for r in range(histories.n_rows):
            codes, ratings = histories.row(r)
            design = np.ones((len(codes), k + 1))
            design[:, :k] = items[codes, :k]
            y, (lo, hi, ranged) = self.in_units(ratings.astype(np.float64))
            loss = losses_of(y, c.loss, (lo, hi) if ranged else None)
            rows[r, : k + 1] = fold(design, items[codes, k + 1].astype(np.float64), loss, mean, pull)
        return rows

    def scores_from(self, user_state: Array) -> Array:
        _, items = self._tables()
        z = dots(user_state, items)
        if self.y_range is not None:
            predictions.squash(z.reshape(-1), *self.y_range)
        return z

    def terms(self, user: int, item: int, time: int | None = None) -> Terms:
        """Return user bias, item bias and one term per factor; an unknown side (-1) counts as the mean row."""
        tables, k = self._tables(), self.config.n_factors
        if min(user, item) < 0:
            self._learn_unknown()
        u = (tables[0][user] if user >= 0 else self._unknown[0]).astype(np.float64)
        i = (tables[1][item] if item >= 0 else self._unknown[1]).astype(np.float64)
        names = ("user", "item", *(f"factor {j}" for j in range(k)))
        link: Literal["identity", "sigmoid"] = "identity" if self.y_range is None else "sigmoid"
        return Terms(names, np.concatenate([[u[k], i[k + 1]], u[:k] * i[:k]]), link, self.y_range)

    def factors(self, which: Side) -> Array:
        return self.views()["u_weight" if which == "user" else "i_weight"]

    def bias(self, which: Side) -> Array:
        return self.views()["u_bias" if which == "user" else "i_bias"][:, 0]

    def shape(self) -> tuple[int, int]:
        """Return (users, items) of the training data."""
        return len(self.bias("user")), len(self.bias("item"))

    def state(self) -> State:
        users, items = self._tables()
        self._learn_unknown()
        bounds = np.array(self.y_range or (), np.float64)
        return {
            "user_table": users,
            "item_table": items,
            "y_range": bounds,
            "prior": self._prior,
            "unknown": self._unknown,
        }

    @classmethod
    def from_state(cls, config: DotBiasConfig, state: Mapping[str, Array]) -> Self:
        model = cls(config)
        stride = stride_of(config.n_factors)
        bounds = state.get("y_range", np.zeros(1))
        if bounds.shape != (0,):
            bounds = stored(state, "y_range", np.float64, (2,))
            if bounds[0] >= bounds[1]:
                raise BundleError(
                    f"the array 'y_range' of the saved model has its bounds in the wrong order: {bounds[0]} to"
                    f" {bounds[1]}"
                )
        model._prior = stored(state, "prior", np.float64, model._prior.shape)
        model._unknown = np.ascontiguousarray(stored(state, "unknown", np.float32, (2, stride)))
        model.user_table = np.ascontiguousarray(stored(state, "user_table", np.float32, (None, stride)))
        model.item_table = np.ascontiguousarray(stored(state, "item_table", np.float32, (None, stride)))
        model.y_range = (float(bounds[0]), float(bounds[1])) if len(bounds) else None
        return model

    def _tables(self) -> tuple[Array, Array]:
        if not self.user_table.size:
            raise NotFittedError("this dot-bias model is not trained yet; train it first")
        self.flush()
        return self.user_table, self.item_table

    def _learn_unknown(self) -> None:
        """Estimate users and items without ratings from those with ratings; repeated after every step.

        ``_unknown`` float32 (2, stride): the mean row of users and of items. ``_prior`` float64 (2, k + 1), for
        :meth:`fold_in`: the mean of each entry among users, and how strongly it pulls.
        """
        s = self._stepper
        if s is None or s.clock[0] == self._known_step:
            return
        users, items = self._tables()
        d, k = s.data, self.config.n_factors
        rows = users[counts_of(d.users, len(users)) > 0].astype(np.float64)
        self._unknown[0] = rows.mean(0)
        self._unknown[1] = items[counts_of(d.items, len(items)) > 0].mean(0, dtype=np.float64)
        some = slice(None, None, 1 + len(d) // 100_000)
        predicted = self.predict(d.users[some], d.items[some])
        y, (lo, hi, ranged) = self.in_units(d.values[some])
        weight = prior_weight(self.config.loss, (lo, hi) if ranged else None, y, self.in_units(predicted)[0])
        mean, variance = rows.mean(0)[: k + 1], rows.var(0)[: k + 1]
        pull = max(weight, 1e-6) / np.maximum(variance, 1e-6)
        self._prior = np.stack(
            [mean, np.minimum(pull, 1e14)]
        )  # the pull is limited to about a million: still a number that can be saved
        self._known_step = int(s.clock[0])

    def _range(self) -> tuple[float, float, bool]:
        return (0.0, 1.0, False) if self.y_range is None else (*self.y_range, True)

    @property
    def unit(self) -> float:
        """The divisor of ratings during training, so that Adam's epsilon has the same effect on any scale: 1 on usual
        scales, a power of 2 (exact) if the range is very small or very large."""
        if self.y_range is None or 0.01 <= self.y_range[1] - self.y_range[0] <= 1e4:
            return 1.0
        return float(2.0 ** np.round(np.log2((self.y_range[1] - self.y_range[0]) / 4)))

    def in_units(self, values: Array) -> tuple[Array, tuple[float, float, bool]]:
        """Return ratings and the range, in units."""
        lo, hi, ranged = self._range()
        if self.unit == 1.0:
            return values, (lo, hi, ranged)
        return (values.astype(np.float64) / self.unit).astype(values.dtype), (lo / self.unit, hi / self.unit, ranged)
