"""The processes in time of ``bayes-mf``: drift of users and of items.

A process has one time scale and one variance for all users (or all items). Both are drawn with the process itself
integrated out, among many candidates at once (Tjelmeland 2004), because its likelihood costs hardly more for sixteen
pairs of numbers than for one. Two processes of a side are integrated out and drawn together: each explains what the
other leaves, so that one at a time they would move by small steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cofactor._blas import one_thread
from cofactor.errors import BundleError
from cofactor.kernels.gibbs.time import LANES, draw_drift, draw_pair, drift_logliks, pair_logliks
from cofactor.kernels.group import in_parts
from cofactor.models.base.arrays import stored

Array = NDArray[Any]
F32 = np.float32
KINDS = ("user_drift", "item_drift")
"""The names of the processes of users and of items."""
SHAPE, RATE = 0.5, 0.01
"""The Gamma prior of a process's precision: one pseudo-observation of size 0.14, because processes are small."""
NOISE_SHAPE, NOISE_RATE = 0.5, 0.02
"""The Gamma prior of the noise's precision."""
BIAS_SHAPE, BIAS_RATE = 0.5, 0.02
"""The Gamma prior of the biases' precision."""
START = 0.03
USER_SCALE_SD, ITEM_SCALE_SD = 1.5, 0.7
"""How far (in logarithms) a time scale may lie from where it is set: a factor of 4.5 either way, of items one of 2. The
few ratings of an item tell little of its scale, which would wander from months to a day and back."""
DIGITS = 3
"""Gaps are rounded to this many digits, so that few distinct ones remain."""


class Clock(NamedTuple):
    """The times at which the rows of a side were rated, ordered by row and time.

    ``order``: the entry of the user layout at each position (None: the same). ``rows``: the rows that have entries, and
    ``counts``, how many each has. Entry ``n`` came ``gaps[place[n]]`` seconds after the one before it (float32; inf for
    the first of a row). ``known``: the entries with a new time, whose ``times`` (int64) are in CSR by ``indptr``.
    """

    order: Array | None
    rows: Array
    counts: Array
    place: Array
    gaps: Array
    known: Array
    indptr: Array
    times: Array


class Given(NamedTuple):
    """The inputs for drawing a process: errors and noise variances in the order of the user layout, the biases of its
    side without their prior means, their precision, and the common precision of the noise (both 0-d)."""

    errors: Array
    noise: Array
    bias: Array
    bias_precision: Array
    precision: Array
    noise_fixed: bool


def clock(rows: Array, times: Array, n_rows: int, order: Array | None) -> Clock:
    """Return the clock of entries that are ordered by row, then by time."""
    seconds, place = np.empty(len(rows), dtype=F32), np.empty(len(rows), dtype=np.int32)

    def measure(first: int, last: int) -> None:
        before = np.maximum(np.arange(first, last) - 1, 0)
        since = (times[first:last] - times[before]).astype(np.float64)
        unit = 10.0 ** np.maximum(np.floor(np.log10(np.maximum(since, 1.0))) - (DIGITS - 1), 0.0)
        since = np.round(since / unit) * unit
        since[rows[first:last] != rows[before]] = np.inf
        seconds[first:last] = since

    def find(first: int, last: int) -> None:
        place[first:last] = np.searchsorted(gaps, seconds[first:last])

    in_parts(len(rows), measure)
    seconds[:1] = np.inf
    gaps = np.unique(seconds)
    in_parts(len(rows), find)
    known = np.flatnonzero(seconds > 0)
    counts = np.bincount(rows[known], minlength=n_rows)
    indptr = np.append(0, np.cumsum(counts)).astype(np.int64)
    own = np.bincount(rows, minlength=n_rows)
    return Clock(order, np.flatnonzero(own), own[own > 0], place, gaps, known, indptr, times[known])


class Process:
    """One process of all rows of a side, in the order of the clock."""

    NAMES = ("values", "mean", "numbers", "step", "uncertainty")

    def __init__(self, clock: Clock, scale: float, scale_sd: float) -> None:
        self.clock = clock
        self.prior_scale, self.scale_sd = scale, scale_sd
        self.values = np.zeros(len(clock.place), dtype=F32)
        self.mean = np.zeros(len(clock.place), dtype=F32)
        self.uncertainty = np.array(START)
        """The process's addition to the variance of a known row, apart from that of the bias (the two are
        correlated)."""
        self.numbers = np.array([scale, START])
        """Time scale (seconds) and variance."""
        self.step = np.array([[0.5, 0.25, 0.05, 0.0], [0.0, 0.25, 0.05, 0.1], [0.5, 0.25, 0.05, 0.0]])
        """Distance between candidates, in logarithms: time scale, variance, variance of the noise, precision of the
        biases; for three moves, one after the other."""

    def take_from(self, target: Array) -> None:
        """Subtract the process from the factorised values, in the order of the user layout."""
        if self.clock.order is None:
            target -= self.values
        else:
            target[self.clock.order] -= self.values


def draw_processes(processes: Sequence[Process], given: Given, rng: np.random.Generator, adapt: bool) -> None:
    """Draw the processes of one side, two at a time, and update ``given``: their hyper-parameters, then their values
    together with the biases."""
    for at in range(0, len(processes), 2):
        _draw_together(processes[at : at + 2], given, rng, adapt)


def _draw_together(some: Sequence[Process], given: Given, rng: np.random.Generator, adapt: bool) -> None:
    clock = some[0].clock
    order, rows = clock.order, clock.rows
    here = given if order is None else given._replace(errors=given.errors[order], noise=given.noise[order])
    errors, bias = here.errors, here.bias[rows]
    for process in some:
        errors += process.values
    errors += np.repeat(bias, clock.counts)
    for move in range(len(some[0].step)):
        _draw_numbers(some, move, here, rng, adapt)
    keep = np.stack([_kept(clock.gaps, process.numbers[0]) for process in some])
    for process in some:
        rng.standard_normal(out=process.values, dtype=F32)  # the draws replace them
    bias_noise, expected = rng.standard_normal(len(rows), dtype=F32), np.empty_like(bias)
    variance, certainty = np.array([process.numbers[1] for process in some]), float(given.bias_precision)
    one, other = some[0], some[-1]
    if one is other:
        room = np.empty((2, len(errors)), dtype=F32)
        told = clock.place, keep[0], errors, here.noise, variance[0], certainty, one.values, bias_noise
        draw_drift(*told, room, one.mean, one.values, expected, bias)
    else:
        room = np.empty((6, len(errors)), dtype=F32)
        told = clock.place, keep, errors, here.noise, variance, certainty, bias_noise, room
        draw_pair(*told, one.mean, other.mean, one.values, other.values, expected, bias)
    del room
    _share_uncertainty(some, np.repeat(bias - expected, clock.counts))
    for process in some:
        errors -= process.values
    here.bias[rows] = bias
    errors -= np.repeat(bias, clock.counts)
    if order is not None:
        given.errors[order], given.noise[order] = errors, here.noise


def _kept(gaps: Array, scale: Array) -> Array:
    """Return how much of a process remains after each gap, float32."""
    found = gaps * (-1.0 / np.asarray(scale)).astype(F32)
    return np.asarray(np.exp(found, out=found))


def _share_uncertainty(some: Sequence[Process], of_bias: Array) -> None:
    """Divide what the processes add to the variance of a known row among them, by the sizes of their deviations from
    the mean."""
    total, sizes = np.zeros_like(of_bias), []
    for process in some:
        off = process.values - process.mean
        sizes.append(np.einsum("n,n->", off, off, dtype=np.float64))
        total += off
    added = max(np.einsum("n,n->", total, total + 2 * of_bias, dtype=np.float64) / max(len(total), 1), 0.0)
    for process, size in zip(some, sizes, strict=True):
        process.uncertainty[...] = added * size / max(sum(sizes), 1e-300)


@one_thread()
def _draw_numbers(some: Sequence[Process], move: int, given: Given, rng: np.random.Generator, adapt: bool) -> None:
    """Move among candidates around a point near the present hyper-parameters, each with the probability of its
    posterior.

    The biases' precision is among them: it decides how much of a user's ratings of one evening is bias and how much is
    drift.
    """
    clock, m = some[0].clock, 2 * len(some)
    step = np.concatenate([*(process.step[move, :2] for process in some), some[0].step[move, 2:]])
    here = np.concatenate([*(np.log(process.numbers) for process in some), [0.0, np.log(given.bias_precision)]])
    free = np.where(np.arange(m + 2) == m, 0.0 if given.noise_fixed else 1.0, 1.0) * step
    tried = here + free * rng.standard_normal(m + 2) + free * rng.standard_normal((LANES, m + 2))
    tried[0] = here
    scales, variances = np.exp(tried.T[:m:2]), np.exp(tried.T[1:m:2])
    factors, certainty = np.exp(tried[:, m]), np.exp(tried[:, m + 1])
    logs = np.empty(LANES)
    keep = [_kept(clock.gaps[:, None], each) for each in scales]
    known = (
        given.errors,
        given.noise,
        *variances.astype(F32, order="C"),
        factors.astype(F32),
        certainty.astype(F32),
        logs,
    )
    (pair_logliks if len(some) == 2 else drift_logliks)(clock.place, *keep, *known)
    others = np.delete(given.bias, clock.rows)  # rows without ratings
    logs += 0.5 * (len(others) * tried[:, m + 1] - certainty * (others @ others))
    logs += BIAS_SHAPE * tried[:, m + 1] - BIAS_RATE * certainty
    for p, process in enumerate(some):
        logs += -0.5 * ((tried[:, 2 * p] - np.log(process.prior_scale)) / process.scale_sd) ** 2
        logs -= SHAPE * tried[:, 2 * p + 1] + RATE / variances[p]
    logs -= NOISE_SHAPE * tried[:, m] + NOISE_RATE * float(given.precision) / factors
    chance = np.exp(logs - logs.max())
    chance /= chance.sum()
    taken = min(int(np.searchsorted(np.cumsum(chance), rng.random())), LANES - 1)
    for p, process in enumerate(some):
        process.numbers[:] = scales[p, taken], variances[p, taken]
    noise, precision = given.noise, given.precision
    given.bias_precision[...] = certainty[taken]
    noise *= F32(factors[taken])
    precision /= factors[taken]
    if adapt:
        centre = chance @ tried
        narrower = chance @ (tried - centre) ** 2 < 0.4 * tried.var(0)
        change = np.where(narrower, 0.85, 1.2)
        for p, process in enumerate(some):
            process.step[move, :2] *= change[2 * p : 2 * p + 2]
        some[0].step[move, 2:] *= change[m:]


def stored_process(state: Mapping[str, Array], kind: str, rows: int) -> dict[str, Array]:
    """Return the arrays of one kind of drift; none if the state is older than item drift."""
    if kind == "item_drift" and not any(name.startswith("item_drift_") for name in state):
        state = {
            "item_drift_indptr": np.zeros(rows, dtype=np.int64),
            "item_drift_times": np.zeros(0, dtype=np.int64),
            "item_drift_mean": np.zeros((0, 0), dtype=F32),
            "item_drift_numbers": np.zeros((0, 3), dtype=F32),
        }
    indptr, times = (
        stored(state, f"{kind}_indptr", np.int64, (rows,)),
        stored(state, f"{kind}_times", np.int64, (None,)),
    )
    numbers = stored(state, f"{kind}_numbers", F32, (None, 3))
    mean = stored(state, f"{kind}_mean", F32, (len(numbers), len(times)))
    if (np.diff(indptr) < 0).any() or indptr[0] != 0 or indptr[-1] != len(times):
        raise BundleError(f"the array '{kind}_indptr' of the saved model does not fit '{kind}_times'")
    if (numbers[:, 0] <= 0).any():
        raise BundleError("the saved model holds scales that are not above 0")
    return {f"{kind}_indptr": indptr, f"{kind}_times": times, f"{kind}_mean": mean, f"{kind}_numbers": numbers}
