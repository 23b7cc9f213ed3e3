"""One Markov chain of ``bayes-mf``: its arrays, and a sweep of Gibbs sampling over them.

Ratings are standardised. A rating is ``p_u . q_i + a_u + b_i + drift_u(t)`` plus noise. The precision of the noise is a
common one times one of the user and one of the item. A row ``(p_u, a_u)`` has the prior mean ``mu + x_u W``, where
``x_u`` encodes the items that the user rated (and the user's side features); the same holds for items.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cofactor._blas import one_thread
from cofactor.data.interactions import CSR, csr
from cofactor.kernels.gibbs.features import draw_weights
from cofactor.kernels.gibbs.rows import draw_rows, residuals, weighted_squares
from cofactor.models.bayes_mf.ordinal import Cuts
from cofactor.models.bayes_mf.shift import shift
from cofactor.models.bayes_mf.time import ITEM_SCALE_SD, USER_SCALE_SD, Clock, Given, Process, draw_processes

Array = NDArray[Any]
F32 = np.float32
SHAPE, RATE = 0.5, 0.02
"""The Gamma prior of every precision (of standardised ratings): one pseudo-value of size 0.2, so that factors can
vanish."""


@dataclass(frozen=True)
class Design:
    """The design matrix of a side's rows, by columns: implicit feedback from the other side's rows first, then
    features."""

    indptr: Array
    rows: Array
    values: Array
    squares: Array
    block: Array
    n_implicit: int
    n_blocks: int
    means: Array
    """The mean of each column: over all rows for features, over the rows with ratings for implicit columns."""


@dataclass(frozen=True)
class Layout:
    """The ratings from one side: CSR of its rows, targets in that order, and the design. The chains share it."""

    indptr: Array
    cols: Array
    y: Array
    counts: Array
    design: Design | None


class Parts(NamedTuple):
    """The data of the chains. ``item_rows``: for each entry of the item layout, its position in the user layout.

    ``user_drifts`` and ``item_drifts``: the clocks of users and items, None without times. With times, the user layout
    is ordered by user and time. ``levels`` and ``level``: see ``find_levels``.
    """

    users: Layout
    items: Layout
    item_rows: Array
    user_drifts: Clock | None
    item_drifts: Clock | None
    levels: Array | None
    level: Array | None


def make_design(implicit: CSR | None, features: CSR | None, blocks: Sequence[int]) -> Design | None:
    """Return the design matrix. Implicit columns weigh 1 / sqrt(number of ratings of the row). ``blocks``: the numbers
    of feature columns that share a scale."""
    n_rows = implicit.n_rows if implicit is not None else features.n_rows if features is not None else 0
    rows, cols, values, n_implicit = [], [], [], 0
    if implicit is not None:
        n_implicit = implicit.n_cols
        row, column, value = rated_cells(implicit)
        rows.append(row)
        cols.append(column)
        values.append(value)
    if features is not None and features.n_cols:
        rows.append(np.repeat(np.arange(n_rows, dtype=np.int32), features.counts))
        cols.append(features.indices + np.int32(n_implicit))
        values.append(features.values.astype(np.float64))
    n_columns = n_implicit + (features.n_cols if features is not None else 0)
    if not n_columns:
        return None
    r, c, v = (parts[0] if len(parts) == 1 else np.concatenate(parts) for parts in (rows, cols, values))
    by_column = csr(c, r, v, n_columns, n_rows)
    sizes = ([n_implicit] if n_implicit else []) + [b for b in blocks if b]
    means = np.bincount(c, v, minlength=n_columns) / max(n_rows, 1)
    if implicit is not None:
        means[:n_implicit] *= n_rows / max(int(np.count_nonzero(implicit.counts)), 1)
    return Design(
        by_column.indptr,
        by_column.indices,
        by_column.values,
        np.bincount(c, v * v, minlength=n_columns).astype(F32),
        np.repeat(np.arange(len(sizes)), sizes).astype(np.int32),
        n_implicit,
        len(sizes),
        means,
    )


def rated_cells(implicit: CSR) -> tuple[Array, Array, Array]:
    """Return the rows, columns and values of the implicit part. A pair that occurs ``k`` times is one cell of ``k``
    times the value, because the sampler draws a column by the squares of its cells."""
    row = np.repeat(np.arange(implicit.n_rows, dtype=np.int32), implicit.counts)
    value = np.repeat(1.0 / np.sqrt(np.maximum(implicit.counts, 1)), implicit.counts)
    again = (np.diff(row) == 0) & (np.diff(implicit.indices) == 0)
    if not again.any():
        return row, implicit.indices, value
    first = np.flatnonzero(np.append(True, ~again))
    return row[first], implicit.indices[first], np.add.reduceat(value, first)


class Side:
    """The users' or the items' part of a chain: table, prior mean and its weights, precisions."""

    def __init__(self, layout: Layout, n_factors: int, rng: np.random.Generator) -> None:
        n, width = len(layout.counts), n_factors + 1
        d = layout.design
        self.layout = layout
        self.empty = np.flatnonzero(layout.counts == 0)
        self.target = layout.y.copy()
        self.draw = (0.1 * rng.standard_normal((n, width))).astype(F32)
        self.mean = self.draw.copy()
        self.mu = np.zeros(width)
        self.precision = np.full(width, 10.0)
        self.weight = np.ones(n, dtype=F32)
        self.explained = np.zeros((n, width), dtype=F32)
        self.weights = np.zeros((len(d.block) if d else 0, width), dtype=F32)
        self.weight_precision = np.full((d.n_blocks if d else 0, width), 50.0)

    NAMES = ("target", "draw", "mean", "mu", "precision", "weight", "explained", "weights", "weight_precision")

    @one_thread()
    def centre(self) -> Array:
        """Return float64 (k + 1,): the prior mean of an unknown row, which is that of the average row."""
        d = self.layout.design
        return self.mu if d is None else self.mu + d.means @ self.weights.astype(np.float64)

    @one_thread()
    def usual(self) -> Array:
        """Return float64 (k + 1,): the contribution of the average set of ratings, for rows without ratings, which have
        no set."""
        d = self.layout.design
        if d is None or not d.n_implicit:
            return np.zeros_like(self.mu)
        return np.asarray(d.means[: d.n_implicit] @ self.weights[: d.n_implicit].astype(np.float64))

    def draw_table(self, other: Side, noise_precision: float, rng: np.random.Generator) -> None:
        """Draw all rows given the other side, then their hyper-parameters."""
        lay = self.layout
        draw_rows(
            lay.indptr,
            lay.cols,
            self.target,
            other.draw,
            np.sqrt(other.weight),
            (noise_precision * self.weight).astype(F32),
            self.explained + self.mu.astype(F32),
            self.precision.astype(F32)[None, :],
            rng.standard_normal(self.draw.shape, dtype=F32),
            self.draw,
            self.mean,
        )
        self._draw_prior(rng)

    def settle(self, rng: np.random.Generator, passes: int) -> None:
        """Draw the hyper-parameters of the rows several times, with the rows held fixed."""
        for _ in range(passes):
            self._draw_prior(rng)

    def _draw_prior(self, rng: np.random.Generator) -> None:
        d, n = self.layout.design, len(self.draw)
        own = self.draw - self.mu.astype(F32)
        if d is not None:
            left = own - self.explained
            draw_weights(
                d.indptr,
                d.rows,
                d.values,
                d.squares,
                self.precision.astype(F32),
                self.weight_precision.astype(F32),
                d.block,
                rng.standard_normal(self.weights.shape, dtype=F32),
                self.weights,
                left,
            )
            self.explained[:] = own - left
            for b in range(d.n_blocks):
                part = self.weights[d.block == b].astype(np.float64)
                self.weight_precision[b] = draw_precision(rng, len(part), (part * part).sum(0))
        rest = self.draw.astype(np.float64) - self.explained
        certainty = n * self.precision + 1.0
        self.mu = self.precision * rest.sum(0) / certainty + rng.standard_normal(len(self.mu)) / np.sqrt(certainty)
        rest -= self.mu
        self.precision = draw_precision(rng, n, (rest * rest).sum(0))


def draw_precision(rng: np.random.Generator, n: float | Array, squares: float | Array) -> Array:
    """Draw precisions of normals, given ``n`` values of mean zero whose squares sum to ``squares``."""
    return np.asarray(rng.gamma(SHAPE + 0.5 * np.asarray(n), 1.0 / (RATE + 0.5 * np.asarray(squares))))


class Chain:
    """The state of one chain and its own stream of random numbers."""

    def __init__(
        self,
        parts: Parts,
        n_factors: int,
        noise_df: float,
        user_time_scales: Sequence[float],
        item_time_scales: Sequence[float],
        burn_in: int,
        rng: np.random.Generator,
    ) -> None:
        self.users = Side(parts.users, n_factors, rng)
        self.items = Side(parts.items, n_factors, rng)
        self.item_rows = parts.item_rows
        self.noise_df = noise_df
        self.burn_in = burn_in
        of_users, of_items = parts.user_drifts, parts.item_drifts
        self.user_drifts = [Process(of_users, s, USER_SCALE_SD) for s in user_time_scales] if of_users else []
        self.item_drifts = [Process(of_items, s, ITEM_SCALE_SD) for s in item_time_scales] if of_items else []
        self.cuts: Cuts | None = None
        self.y = parts.users.y
        """The factorised values, in the order of the user layout: the ratings, or latent values that are drawn."""
        if parts.levels is not None and parts.level is not None:
            self.cuts, self.y = Cuts(parts.levels, parts.level), parts.users.y.copy()
        self.noise_precision = np.array(1.0)
        self.sweeps = np.array(0)
        self.rng = rng
        self.error = np.array(0.0)

    def sweep(self) -> None:
        """Draw items, users, processes and noise once. ``error``: the mean squared error of the present draw
        (standardised)."""
        users, items, rng = self.users, self.items, self.rng
        items.draw_table(users, float(self.noise_precision), rng)
        users.draw_table(items, float(self.noise_precision), rng)
        shift(items, users, rng)
        shift(users, items, rng)
        lay = users.layout
        errors = np.empty(len(lay.y), dtype=F32)
        residuals(lay.indptr, lay.cols, users.target, users.draw, items.draw, errors)
        early = bool(self.sweeps < self.burn_in)
        move = early or bool(self.sweeps % 4 == 0)
        processes = self.user_drifts + self.item_drifts
        if processes:
            variance = self._noise_variance()
            for side, own in ((users, self.user_drifts), (items, self.item_drifts)):
                expected = side.explained[:, -1] + F32(side.mu[-1])
                bias = side.draw[:, -1] - expected
                fixed = self.cuts is not None and self.cuts.fixes_noise
                certainty = np.array(side.precision[-1])
                given = Given(errors, variance, bias, certainty, self.noise_precision, fixed)
                draw_processes(own, given, rng, early)
                side.precision[-1] = certainty
                side.draw[:, -1] = bias + expected
        self._draw_noise(errors)
        wrong = errors + (lay.y - self.y) if self.cuts else errors
        self.error[...] = np.einsum("n,n->", wrong, wrong, dtype=np.float64) / max(len(wrong), 1)
        if self.cuts:
            self.y[:] = self.cuts.draw(self.y - errors, self._noise_variance(), rng, move, early)
        if self.cuts or processes:
            users.target[:] = self.y
            for process in processes:
                process.take_from(users.target)
            items.target[:] = users.target[self.item_rows]
        self.sweeps += 1

    def _noise_variance(self) -> Array:
        """Return float32: the noise variance of each entry in the order of the user layout."""
        lay = self.users.layout
        variance = np.repeat(1.0 / (F32(self.noise_precision) * self.users.weight), lay.counts)
        variance /= self.items.weight[lay.cols]
        return variance

    def _draw_noise(self, errors: Array) -> None:
        users, items, lay = self.users, self.items, self.users.layout
        by_row, by_col = np.empty(len(users.draw)), np.empty(len(items.draw))
        half = 0.5 * self.noise_df
        weighted_squares(lay.indptr, lay.cols, errors, users.weight, items.weight, by_row, by_col)
        total = float(np.einsum("n,n->", by_row, users.weight))
        if not (self.cuts and self.cuts.fixes_noise):
            self.noise_precision[...] = draw_precision(self.rng, len(errors), total)
        if self.noise_df > 0:
            p = float(self.noise_precision)
            users.weight[:] = self.rng.gamma(half + 0.5 * lay.counts, 1.0 / (half + 0.5 * p * by_row))
            weighted_squares(lay.indptr, lay.cols, errors, users.weight, items.weight, by_row, by_col)
            items.weight[:] = self.rng.gamma(half + 0.5 * items.layout.counts, 1.0 / (half + 0.5 * p * by_col))
            if not (self.cuts and self.cuts.fixes_noise):
                self._share_noise(users.weight, half)
                self._share_noise(items.weight, half)

    def _share_noise(self, weight: Array, half: float) -> None:
        """Move a factor between the common precision and the weights, a direction that the likelihood does not
        determine.

        This is a step along an orbit of a group (Liu & Sabatti 2000), proposed from its density without the rate of the
        prior.
        """
        shape = half * len(weight) - SHAPE
        if shape > 0:
            factor = half * float(weight.sum(dtype=np.float64)) / self.rng.gamma(shape)
            if self.rng.exponential() > RATE * float(self.noise_precision) * (factor - 1.0):
                self.noise_precision *= factor
                weight /= F32(factor)

    def snapshot(self) -> dict[str, Array]:
        """Return copies of all arrays, and the state of the random numbers."""
        return {k: v.copy() for k, v in self._arrays().items()} | {"rng": _rng_words(self.rng)}

    def restore(self, state: Mapping[str, Array]) -> None:
        """Restore a snapshot."""
        for name, array in self._arrays().items():
            array[...] = state[name]
        _set_rng(self.rng, state["rng"])

    def _arrays(self) -> dict[str, Array]:
        found = {f"{n}.{a}": getattr(s, a) for n, s in (("user", self.users), ("item", self.items)) for a in Side.NAMES}
        for kind, processes in (("user_drift", self.user_drifts), ("item_drift", self.item_drifts)):
            for m, process in enumerate(processes):
                found |= {f"{kind}{m}.{a}": getattr(process, a) for a in Process.NAMES}
        if self.cuts:
            found |= {"y": self.y, "cuts.values": self.cuts.values, "cuts.step": self.cuts.step}
        return found | {a: getattr(self, a) for a in ("noise_precision", "sweeps", "error")}


def _rng_words(rng: np.random.Generator) -> Array:
    """Return the state of a PCG64 generator as uint64 (6,)."""
    s = rng.bit_generator.state
    big = [s["state"]["state"], s["state"]["inc"]]
    words = [w for b in big for w in (b & (2**64 - 1), b >> 64)]
    return np.array([*words, s["has_uint32"], s["uinteger"]], dtype=np.uint64)


def _set_rng(rng: np.random.Generator, words: Array) -> None:
    w = [int(x) for x in words]
    state = {"state": w[0] | (w[1] << 64), "inc": w[2] | (w[3] << 64)}
    rng.bit_generator.state = {"bit_generator": "PCG64", "state": state, "has_uint32": w[4], "uinteger": w[5]}
