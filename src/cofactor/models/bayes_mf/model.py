"""``bayes-mf``: Bayesian matrix factorisation by Gibbs sampling, with intervals and hardly any parameter to tune.

The model is that of Salakhutdinov & Mnih (2008) in the form of Rendle, Zhang & Koren (2019): the set of items that a
user rated, and the set of users who rated an item, shift the prior means (implicit feedback, both ways), and so do side
features. In addition, each user and item has its own noise (Lakshminarayanan, Bouchard & Archambeau 2011), and user
drift is a process in time. Predictions are averages over kept samples. User vectors enter as their posterior means
given the rest of a sample. That halves the sampling noise, and makes a folded-in user equivalent to a trained one.
"""

from __future__ import annotations

from collections.abc import Mapping
from statistics import NormalDist
from typing import Any, ClassVar, Literal, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cofactor._blas import one_thread
from cofactor._frames import frames_out
from cofactor.data.interactions import CSR, Interactions
from cofactor.kernels.gibbs.pairs import pair_dots, pair_variances
from cofactor.kernels.gibbs.time import drift_at
from cofactor.kernels.products import dots, row_dots
from cofactor.model import CommonRows, Cost, Interval, Kind, State, Stepper, TableSize, Task, Terms
from cofactor.models.base.arrays import clipped_terms, fitted
from cofactor.models.base.cost import COMPILED
from cofactor.models.bayes_mf.config import BayesMFConfig, check
from cofactor.models.bayes_mf.diagnostics import effective_size, rhat
from cofactor.models.bayes_mf.fold_in import Folded, Regression, fold_one, regression_of, state_of, state_width
from cofactor.models.bayes_mf.leave_one_out import latent_without
from cofactor.models.bayes_mf.ordinal import expected_level, half_way, rescale
from cofactor.models.bayes_mf.samples import Samples, trace_names
from cofactor.models.bayes_mf.state import BY_SAMPLE, per_sample, stored_samples
from cofactor.models.bayes_mf.stepper import BayesStepper, kept_samples
from cofactor.models.bayes_mf.terms import Account, account, user_parts
from cofactor.models.bayes_mf.time import KINDS
from cofactor.models.bayes_mf.uncertainty import latent_draw, latent_variances
from cofactor.models.bayes_mf.vectors import Directions, directions

Array = NDArray[Any]
F32 = np.float32
_KEPT = 2 << 20
"""Maximal bytes of a history's table that is kept for the next request."""


class BayesMF:
    """Bayesian matrix factorisation by Gibbs sampling, with implicit feedback and time terms, and intervals.

    ``predict`` clips to the range of the training ratings; ``scores`` does not, so that the order is kept.
    """

    name: ClassVar[str] = "bayes-mf"
    task: ClassVar[Task] = "rating"
    kind: ClassVar[Kind] = "sweep"
    Config = BayesMFConfig

    def __init__(self, config: BayesMFConfig | None = None) -> None:
        self.config = config or BayesMFConfig()
        self.samples = Samples()

    @classmethod
    def cost(cls, config: BayesMFConfig, size: TableSize) -> Cost:
        """Return the cost: the table by user and by item, the designs of both sides, the chains, and the kept
        samples."""
        n, c = size.ratings, config
        rows, width = size.users + size.items + 2, c.n_factors + 1
        n_samples, each = kept_samples(c, size.users, size.items)
        samples = n_samples * each
        timed = size.timed and c.time
        a_row = 128 + 68 * c.chains if timed else 64 + 18 * c.chains  # layouts; targets, errors, drifts by chain
        layouts, tables = 140, 36  # while the layouts are built; nine tables per chain, most of them while one is drawn
        if not c.implicit:
            a_row, layouts, tables = a_row - 24, 110, 24
        kept = samples + c.chains * tables * rows * width + 150 * rows
        memory = max(layouts * n + 150 * rows, a_row * n + kept)
        work = c.chains * c.epochs * ((18 if timed else 8) * n * c.n_factors + 0.2 * rows * c.n_factors**3)
        sweeps = c.chains * c.epochs
        return Cost(memory, kept, work, f"{sweeps} sweeps x (n k + (U+I) k^3), {n_samples} samples kept", COMPILED)

    def stepper(self, data: Interactions, rng: np.random.Generator) -> BayesStepper:
        """Start from small random vectors. Each chain has its own stream of random numbers."""
        check(self.config)
        return BayesStepper(self.config, self.samples, data, rng)

    @property
    def count(self) -> int:
        """The number of kept samples in use."""
        return self.samples.count

    @property
    def traces(self) -> Array:
        """float64 (chains, sweeps, len(trace_names))."""
        return self.samples.traces

    @property
    def trace_names(self) -> tuple[str, ...]:
        """The names of the columns of the traces."""
        return self.samples.trace_names

    def begin_from(self, stepper: Stepper, old: Self, users: CommonRows, items: CommonRows) -> bool:
        """Start the chains of ``stepper`` from the last samples of an earlier model. Returns False if the widths
        differ."""
        assert isinstance(stepper, BayesStepper)
        return stepper.begin_from(old.samples, old.config.n_factors, users, items)

    # ---- predictions

    def predict(self, users: Array, items: Array, times: Array | None = None) -> Array:
        """Return float32 (n,), within the range of the training ratings. A code of -1 counts as unknown: its prior
        mean."""
        a, users, items = self._fitted(), _codes(users), _codes(items)
        latent = self._link(users, items) + self._in_time(users, items, times)[0]
        ratings = self._ratings(latent, a["user_noise"][users] * a["item_noise"][items])
        return np.clip(ratings, *a["range"]).astype(F32)

    def predict_interval(self, users: Array, items: Array, level: float, times: Array | None = None) -> Interval:
        """Return posterior-predictive bounds: the spread over samples plus the noise of this user and item, as a
        normal."""
        a, k = self._fitted(), self.config.n_factors
        users, items = _codes(users), _codes(items)
        variance = np.empty(len(users))
        tables = a["user_factor_draws"], a["user_bias_draws"], a["item_factors"], a["item_bias"]
        pair_variances(*tables, users, items, self.count, k, variance)
        passing, spread = self._in_time(users, items, times)
        noise = a["user_noise"][users] * a["item_noise"][items]
        variance += spread + self._noise_size() * noise
        half = NormalDist().inv_cdf(0.5 + level / 2) * np.sqrt(variance)
        centre = self._link(users, items) + passing
        ends = [centre - half, centre + half]
        if len(a["cuts"]):
            ends = [rescale(x, a["cuts"], half_way(a["levels"])) for x in ends]
        ratings = self._ratings(centre, noise), *(a["mean"] + a["scale"] * x for x in ends)
        return Interval(*(np.clip(x, *a["range"]).astype(F32) for x in ratings))

    def scores(self, users: Array) -> Array:
        """Return float32 (len(users), n_items), not clipped, without user drift."""
        return self.scores_from(self.user_state(users))

    def scores_from(self, user_state: Array) -> Array:
        """Return float32 (len(user_state), n_items), not clipped."""
        a, latent = self._fitted(), self._latent(user_state)
        noise = self._noise_of(user_state) * a["item_noise"][:-1] if len(a["cuts"]) else latent
        return np.asarray(self._ratings(latent, noise), dtype=F32)

    def _latent(self, user_state: Array) -> Array:
        """Return float32 (len(user_state), n_items): standardised scores, averaged over the samples."""
        a, wide = self._fitted(), self.count * self.config.n_factors
        vectors, n_items = np.ascontiguousarray(user_state[:, :wide]), len(a["item_factors"]) - 1
        if len(vectors) <= 4:  # each item is read only once
            latent, everything = np.empty((len(vectors), n_items), dtype=F32), np.arange(n_items, dtype=np.int32)
            for row, out in enumerate(latent):
                pair_dots(vectors, a["item_factors"], np.full(n_items, row, np.int32), everything, wide, out)
        else:
            latent = dots(vectors, a["item_factors"][:-1, :wide])
        latent /= F32(self.count)
        latent += user_state[:, wide, None] + self._bias("item")[:-1]
        return np.asarray(latent)

    def user_state(self, users: Array) -> Array:
        """Return float32 (len(users), d): mean vectors of every kept sample, bias, size of the noise, then draws of
        vectors and biases."""
        a, users = self._fitted(), _codes(users)
        wide = self.count * self.config.n_factors
        draws = a["user_factor_draws"][users, :wide], a["user_bias_draws"][users, : self.count]
        rest = self._bias("user")[users, None], a["user_noise"][users, None]
        return np.concatenate([a["user_factors"][users, :wide], *rest, *draws], axis=1)

    def fold_in(self, histories: CSR) -> Array:
        """Return the same for users with these ratings, with the items fixed at each kept sample."""
        out = np.empty((histories.n_rows, state_width(self.count, self.config.n_factors)), dtype=F32)
        for r, row in enumerate(out):
            row[:] = state_of(self._folded(*histories.row(r)))
        return out

    def scores_without(self, history: CSR, positions: Array, items: Array) -> Array:
        """float64 (len(items), 1 + len(positions)); the size of the user's noise is the one that the whole history
        tells."""
        user = self._folded(*history.row(0))
        return self._without(user.regression, user.noise, history, positions, items)

    def scores_without_of(self, user: int, history: CSR, positions: Array, items: Array) -> Array:
        """The same of a user of the training data, with the size of their noise that was found there."""
        noise = float(self._fitted()["user_noise"][user])
        told = regression_of(self._fitted(), self.count, self.config.n_factors, noise, *history.row(0))
        return self._without(told, noise, history, positions, items)

    def _without(self, told: Regression, noise: float, history: CSR, positions: Array, items: Array) -> Array:
        a = self._fitted()
        latent = latent_without(a, told, history.row(0)[0], positions, items)
        return self._ratings(latent, np.asarray(noise * a["item_noise"][items])[:, None])

    def seconds_without(self, n: int) -> float:
        """Return the time: each entry changes one vector in each sample."""
        return 1.3e-7 * n * self.count * (self.config.n_factors + 1)

    def interval_from(self, user_state: Array, level: float) -> Interval:
        """Return bounds for every item, (len(user_state), n_items) each; ``bayes_mf/uncertainty.py`` explains folded-in
        users."""
        a, k = self._fitted(), self.config.n_factors
        noise = self._noise_of(user_state) * a["item_noise"][:-1]
        variance = latent_variances(a, self.count, k, user_state) + self._noise_size() * noise
        variance += sum(float(a[f"{kind}_numbers"][:, 1].sum(dtype=np.float64)) for kind in KINDS)
        half = NormalDist().inv_cdf(0.5 + level / 2) * np.sqrt(variance)
        centre = self._latent(user_state)
        ends = [centre - half, centre + half]
        if len(a["cuts"]):
            ends = [rescale(x, a["cuts"], half_way(a["levels"])) for x in ends]
        ratings = self._ratings(centre, noise), *(a["mean"] + a["scale"] * x for x in ends)
        return Interval(*(np.clip(x, *a["range"]).astype(F32) for x in ratings))

    def draw_from(self, user_state: Array, rng: np.random.Generator) -> Array:
        """Return float32 (len(user_state), n_items): scores by one kept sample."""
        a, k = self._fitted(), self.config.n_factors
        noise = self._noise_of(user_state) * a["item_noise"][:-1]
        return np.asarray(self._ratings(latent_draw(a, self.count, k, user_state, rng), noise), dtype=F32)

    # ---- approximate search

    @one_thread()
    def query_vectors(self, user_state: Array) -> Array:
        """Return float32 (len(user_state), 2 * n_factors + 2)."""
        turn = self._directions().turn
        found = user_state[:, : len(turn)] @ turn
        return np.concatenate([found, np.ones((len(found), 1), dtype=F32)], axis=1)

    def item_vectors(self) -> Array:
        """Return float32 (n_items, 2 * n_factors + 2): the leading directions of the sum over all kept samples."""
        return self._directions().items

    def scores_at(self, user_state: Array, items: Array) -> Array:
        """Return float32 (len(user_state), m)."""
        a, wide = self._fitted(), self.count * self.config.n_factors
        latent = row_dots(user_state[:, :wide], a["item_factors"][:, :wide], items) / F32(self.count)
        latent += user_state[:, wide, None] + self._bias("item")[items]
        noise = self._noise_of(user_state) * a["item_noise"][items] if len(a["cuts"]) else latent
        return np.asarray(self._ratings(latent, noise), dtype=F32)

    # ---- looking

    @frames_out
    def diagnostics(self) -> pl.DataFrame:
        """Return the traced quantities: mean, sd, split R-hat (below 1.05 is good) and effective sample size over all
        chains."""
        self._fitted()
        rows = [
            (name, float(t.mean()), float(t.std()), rhat(t), effective_size(t))
            for name, t in zip(self.trace_names, self.traces.transpose(2, 0, 1), strict=False)
        ]
        return pl.DataFrame(rows, schema=["name", "mean", "sd", "rhat", "ess"], orient="row")

    def terms(self, user: int, item: int, time: int | None = None) -> Terms:
        """Return global, user, item, each factor (of the average interaction), the rest of it, time, and the clip."""
        a = self._fitted()
        u, i = np.array([user]), np.array([item])
        in_time: dict[str, float] = {}
        for kind, rows in zip(KINDS, (u, i), strict=True):
            if time is not None and len(a[f"{kind}_mean"]):
                value = np.zeros(1)
                self._add_process(kind, rows, np.array([time]), value, np.zeros(1))
                in_time[f"{kind.replace('_', ' ')} at the time"] = float(a["scale"]) * float(value[0])
        parts = self._parts()
        factors = parts.user_factors[user] if user >= 0 else None
        own = float(parts.user_bias[user]), factors, float(a["user_noise"][user])
        return self._terms(own, item, float(self._link(u, i)[0]), in_time)

    @one_thread()
    def terms_from(self, user_state: Array, item: int) -> Terms:
        """Return the same for one row of a user state (d,), without time."""
        a, wide = self._fitted(), self.count * self.config.n_factors
        of_user, noise = (float(x) for x in user_state[wide : wide + 2])
        latent = float(user_state[:wide] @ a["item_factors"][item, :wide]) / self.count
        latent += of_user + float(self._bias("item")[item])
        bias, factors = user_parts(self._parts(), user_state[:wide], float(a["scale"]) * of_user)
        return self._terms((bias, factors, noise), item, latent, {})

    def _terms(self, own: tuple[float, Array | None, float], item: int, latent: float, more: dict[str, float]) -> Terms:
        """Return the terms. ``own``: a user's bias, factors (None: of the average user) and size of the noise."""
        a, parts = self._fitted(), self._parts()
        bias, factors, noise = own
        mean, scale = float(a["mean"]), float(a["scale"])
        named = {"global": mean, "user": bias, "item": float(parts.item_bias[item])}
        if factors is not None and item >= 0:
            named |= {f"factor {f}": x for f, x in enumerate((factors * parts.item_factors[item]).tolist())}
        named["other factors"] = mean + scale * latent - sum(named.values())
        named |= more
        if len(a["cuts"]):
            total = sum(named.values())
            each = np.array([noise * float(a["item_noise"][item])])
            named["rating scale"] = float(self._ratings((np.array([total]) - mean) / scale, each)[0]) - total
        return clipped_terms(named, a["range"])

    def factors(self, which: Literal["user", "item"]) -> Array:
        """Return float32 (n, k): the best k-factor approximation of the average interaction, strongest first, in rating
        units."""
        return self._parts().user_factors if which == "user" else self._parts().item_factors

    def bias(self, which: Literal["user", "item"]) -> Array:
        """Return float32 (n,): for an item, what the average user gives it above the mean; for a user, how much more
        the user gives the average item."""
        return (self._parts().user_bias if which == "user" else self._parts().item_bias)[:-1]

    # ---- state

    def shape(self) -> tuple[int, int]:
        """Return (users, items) of the training data."""
        a = self._fitted()
        return len(a["user_bias"]) - 1, len(a["item_bias"]) - 1

    def state(self) -> State:
        """Return the kept samples (see ``BayesStepper``), standardised, and the traces."""
        a, k, s = self._fitted(), self.config.n_factors, self.count
        wide = {name: s * per for name, per in per_sample(k).items()}
        arrays = {name: np.ascontiguousarray(x[:, : wide[name]]) if name in wide else x for name, x in a.items()}
        for name in BY_SAMPLE:
            arrays[name] = a[name][:s]
        return arrays | {"traces": self.traces}

    @classmethod
    def from_state(cls, config: BayesMFConfig, state: Mapping[str, Array]) -> Self:
        """Restore the model from its state. Raises BundleError if an array does not fit."""
        check(config)
        model, k = cls(config), config.n_factors
        a, traces = stored_samples(k, state)
        s = len(a["noise_precision"])
        model.samples.traces = traces
        names = trace_names(len(a["user_drift_numbers"]), len(a["item_drift_numbers"]), 0)
        model.samples.adopt(a, s, names + tuple(f"prediction {i}" for i in range(traces.shape[2] - len(names))))
        return model

    # ---- inside

    def _fitted(self) -> dict[str, Array]:
        arrays = self.samples.arrays if self.count else None
        if arrays is None:
            fitted(None, self.name)
        assert arrays is not None
        return arrays

    def _folded(self, items: Array, values: Array) -> Folded:
        """Return a user with these ratings. The last one is cached, because a list and its explanations use the same
        history."""
        kept: dict[str, Any] = self.samples.derive("the last history", dict)
        key = items.tobytes(), values.tobytes()
        last = kept.get("last")
        if last is not None and last[0] == key:
            user: Folded = last[1]
            return user
        user = fold_one(self._fitted(), self.count, self.config.n_factors, self.config.noise_df, items, values)
        if user.regression.table.nbytes <= _KEPT:
            kept["last"] = key, user
        return user

    def _link(self, users: Array, items: Array) -> Array:
        """Return float32 (n,): standardised predictions without user drift, averaged over the samples."""
        a, users, items = self._fitted(), _codes(users), _codes(items)
        dots = np.empty(len(users), dtype=F32)
        pair_dots(a["user_factors"], a["item_factors"], users, items, self.count * self.config.n_factors, dots)
        return np.asarray(dots / F32(self.count) + self._bias("user")[users] + self._bias("item")[items])

    def _noise_of(self, user_state: Array) -> Array:
        """Return the size of the noise of each row (n, 1)."""
        return user_state[:, self.count * self.config.n_factors + 1, None]

    def _noise_size(self) -> float:
        """Return the standardised noise variance of an average user and item."""
        return float(np.mean(1.0 / self._fitted()["noise_precision"][: self.count]))

    def _ratings(self, latent: Array, noise: Array) -> Array:
        """Return ratings for standardised latent values. ``noise``: the size of the noise of these users and items."""
        a = self._fitted()
        if len(a["cuts"]):
            latent = expected_level(latent, self._noise_size() * noise, a["cuts"], a["levels"])
        return np.asarray(a["mean"] + a["scale"] * latent)

    def _bias(self, which: str) -> Array:
        """Return float32 (n + 1,), standardised, cached; the last is for unknown ids."""
        return self.samples.derive(
            f"{which} bias", lambda: self._fitted()[f"{which}_bias"][:, : self.count].mean(axis=1, dtype=F32)
        )

    def _in_time(self, users: Array, items: Array, times: Array | None) -> tuple[Array, Array]:
        """Return standardised drifts of users and items at the times, and their variances; without times 0 and the full
        variance."""
        value, spread = np.zeros(len(users)), np.zeros(len(users))
        self._add_process("user_drift", users, times, value, spread)
        self._add_process("item_drift", items, times, value, spread)
        return value, spread

    def _add_process(self, kind: str, rows: Array, times: Array | None, value: Array, spread: Array) -> None:
        a = self._fitted()
        numbers = a[f"{kind}_numbers"].astype(np.float64)
        for mean, (scale, variance, open_variance) in zip(a[f"{kind}_mean"], numbers, strict=True):
            if times is None:
                spread += variance
            else:
                args = a[f"{kind}_indptr"], a[f"{kind}_times"], mean, scale, variance, open_variance
                drift_at(*args, _codes(rows), np.asarray(times, dtype=np.int64), value, spread)

    def _directions(self) -> Directions:
        """Return the directions, computed on first use."""
        return self.samples.derive("directions", lambda: directions(self._fitted(), self.count, self.config.n_factors))

    def _parts(self) -> Account:
        """Return the average terms, computed on first use."""
        return self.samples.derive("account", lambda: account(self._fitted(), self.count, self.config.n_factors))


def _codes(codes: Array) -> Array:
    return np.ascontiguousarray(codes, dtype=np.int32)
