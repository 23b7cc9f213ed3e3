"""The training run of ``bayes-mf``: several chains, one thread each, and the samples that the model keeps."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from cofactor._blas import one_thread
from cofactor.data.interactions import CSR, Features, Interactions, csr, frozen
from cofactor.kernels.group import SMALL, sort_within
from cofactor.model import Hyper, State, Stepper
from cofactor.models.bayes_mf.chain import Chain, Layout, Parts, make_design
from cofactor.models.bayes_mf.config import BayesMFConfig
from cofactor.models.bayes_mf.ordinal import find_levels
from cofactor.models.bayes_mf.samples import Samples, trace_names
from cofactor.models.bayes_mf.time import KINDS, clock
from cofactor.models.bayes_mf.warm import begin_chain

Array = NDArray[Any]
F32 = np.float32
KEPT_BYTES = 256 * 2**20
"""Maximal memory of the kept samples (at least one per chain is kept)."""
WATCHED = 8
"""Number of pairs whose predictions are traced."""


class BayesStepper(Stepper):
    """Each ``run`` is one sweep of every chain. Chains share only the data, so threads cannot change the result.

    ``only``: the number of the one chain to run here, with the same draws as beside the others.
    """

    def __init__(
        self,
        config: BayesMFConfig,
        samples: Samples,
        data: Interactions,
        rng: np.random.Generator,
        only: int | None = None,
    ) -> None:
        c = self.config = config
        self.samples = samples
        values = data.values.astype(np.float64)
        self.mean = float(values.mean()) if len(data) else 0.0
        self.scale = float(values.std()) or 1.0
        ordinal = c.likelihood == "ordinal"
        parts = layouts(data, (values - self.mean) / self.scale, c.implicit, c.time, ordinal)
        streams = [np.random.Generator(np.random.PCG64(int(s))) for s in rng.integers(2**63, size=c.chains)]
        scales = slow_left_out(c.user_time_scales, data), slow_left_out(c.item_time_scales, data)
        settings = c.n_factors, c.noise_df, *scales, c.burn_in
        self.chains = [Chain(parts, *settings, stream) for n, stream in enumerate(streams) if only in (None, n)]
        pairs = rng.integers(0, max(len(data), 1), size=(2, WATCHED if len(data) else 0))
        self.watched = data.users[pairs[0]], data.items[pairs[1]]
        self.traces: list[Array] = []
        self.done = 0
        self.kept = 0
        threads = min(len(self.chains), numba.config.NUMBA_NUM_THREADS)  # type: ignore[attr-defined]
        self.pool = ThreadPoolExecutor(threads - 1) if threads > 1 else None
        """Threads for all chains but the first, which runs in the calling thread."""
        self.arrays = self._allocate(data, parts)
        samples.adopt(self.arrays, 0, trace_names(*self._processes(), len(self.watched[0])))

    def run(self, rows: Array | None, hyper: Hyper | None) -> Array:
        """Run one sweep of every chain. Returns the training mean squared error of the draws (mean over the chains)."""
        c = self.config
        self._sweep()
        self.done += 1
        if self.done > c.burn_in:
            self.traces.append(np.stack([self._trace(chain) for chain in self.chains]))
        self._keep()
        return np.array([float(np.mean([chain.error for chain in self.chains])) * self.scale**2])

    def begin_from(self, old: Samples, width: int, users: tuple[Array, Array], items: tuple[Array, Array]) -> bool:
        """Start the chains from the last kept samples of an earlier model, before the first sweep; see ``warm.py``.

        ``width``: its number of factors; ``users`` and ``items``: codes of the rows in both, (here, there). Returns
        False if the widths differ.
        """
        k = self.config.n_factors
        if old.arrays is None or not old.count or width != k:
            return False
        for c, chain in enumerate(self.chains):
            sample = old.count - 1 - c % old.count
            begin_chain(chain, old.arrays, sample, k, (self.mean, self.scale), users, items)
        return True

    def _sweep(self) -> None:
        first, *others = self.chains
        if self.pool is None:
            for chain in self.chains:
                chain.sweep()
            return
        running = [self.pool.submit(chain.sweep) for chain in others]
        first.sweep()
        for other in running:
            other.result()

    def snapshot(self) -> State:
        """Return every chain, every kept sample, and the counters."""
        chains = {f"chain{i}.{k}": v for i, chain in enumerate(self.chains) for k, v in chain.snapshot().items()}
        kept = {f"kept.{k}": v.copy() for k, v in self.arrays.items()}
        traces = np.stack(self.traces) if self.traces else np.zeros((0, 0, 0))
        return {
            **chains,
            **kept,
            "counters": np.array([self.done, self.kept]),
            "watched": np.array(self.watched),
            "traces": traces,
        }

    def restore(self, state: Mapping[str, Array]) -> None:
        """Restore a snapshot."""
        for i, chain in enumerate(self.chains):
            prefix = f"chain{i}."
            chain.restore({k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)})
        for name, array in self.arrays.items():
            array[...] = state[f"kept.{name}"]
        self.done, self.kept = (int(n) for n in state["counters"])
        self.watched = state["watched"][0], state["watched"][1]
        self.traces = list(state["traces"].copy())
        self._publish()

    # ---- what is kept

    def _allocate(self, data: Interactions, parts: Parts) -> dict[str, Array]:
        c = self.config
        k, n, m = c.n_factors, data.n_users + 1, data.n_items + 1
        design, levels = parts.users.design, parts.levels
        has_implicit = design is not None and design.n_implicit > 0
        self.slots = s = kept_samples(c, data.n_users, data.n_items)[0] // c.chains * len(self.chains)
        in_time: dict[str, Array] = {}
        for name, found, number, rows in zip(
            KINDS, (parts.user_drifts, parts.item_drifts), self._processes(), (n, m), strict=True
        ):
            known = found if found is not None and number else None
            in_time |= {
                f"{name}_indptr": np.zeros(rows, dtype=np.int64) if known is None else known.indptr,
                f"{name}_times": np.zeros(0, dtype=np.int64) if known is None else known.times,
                f"{name}_mean": np.zeros((number, 0 if known is None else len(known.times)), dtype=F32),
                f"{name}_numbers": np.zeros((number, 3), dtype=F32),
            }
        return {
            "mean": np.array(self.mean, dtype=F32),
            "scale": np.array(self.scale, dtype=F32),
            "range": np.array(data.range if len(data) else (0.0, 0.0), dtype=F32),
            "user_factors": np.zeros((n, s * k), dtype=F32),
            "user_bias": np.zeros((n, s), dtype=F32),
            "user_factor_draws": np.zeros((n, s * k), dtype=F32),
            "user_bias_draws": np.zeros((n, s), dtype=F32),
            "item_factors": np.zeros((m, s * k), dtype=F32),
            "item_bias": np.zeros((m, s), dtype=F32),
            "implicit": np.zeros((m if has_implicit else 0, s * (k + 1)), dtype=F32),
            "user_precision": np.zeros((s, k + 1), dtype=F32),
            "noise_precision": np.zeros(s, dtype=F32),
            "user_noise": np.zeros(n, dtype=F32),
            "item_noise": np.zeros(m, dtype=F32),
            "levels": np.zeros(0) if levels is None else levels,
            "cuts": np.zeros(0 if levels is None else len(levels) - 1),
            **in_time,
        }

    def _processes(self) -> tuple[int, int]:
        """Return the numbers of processes of users and of items."""
        return len(self.chains[0].user_drifts), len(self.chains[0].item_drifts)

    def _keep(self) -> None:
        """Keep the present draws if it is time to. Until the first is kept, the model shows the draws of each sweep."""
        c, per_chain = self.config, self.slots // len(self.chains)
        after, span = self.done - c.burn_in, max(c.epochs - c.burn_in, 1)
        if after <= 0:
            self._write(0, 1)
            self.samples.use(len(self.chains))
            return
        if after * per_chain // span > (after - 1) * per_chain // span:
            self.kept += 1
            self._write((self.kept - 1) % per_chain, self.kept)
        self._publish()

    def _publish(self) -> None:
        if self.kept:
            self.samples.use(min(self.kept * len(self.chains), self.slots))
        elif self.done:
            self.samples.use(len(self.chains))
        if self.traces:
            self.samples.traces = np.ascontiguousarray(np.stack(self.traces).transpose(1, 0, 2))

    def _write(self, slot: int, nth: int) -> None:
        """Write the draws of all chains. Running means take the ``nth`` value."""
        a, k, n_chains = self.arrays, self.config.n_factors, len(self.chains)
        for c, chain in enumerate(self.chains):
            s = slot * n_chains + c
            users, items = chain.users, chain.items
            wide = slice(s * k, (s + 1) * k)
            centres = users.centre().astype(F32), items.centre().astype(F32)
            noise = (centres[0] + chain.rng.standard_normal(k + 1) / np.sqrt(users.precision)).astype(F32)
            usual = users.usual().astype(F32), items.usual().astype(F32)
            for name, part, table, last, more in (
                ("user", users, users.mean, centres[0], usual[0]),
                ("user_draws", users, users.draw, noise, usual[0]),
                ("item", items, items.draw, centres[1], usual[1]),
            ):
                side, _, draws = name.partition("_")
                suffix = f"_{draws}" if draws else ""
                factors, bias = a[f"{side}_factor_draws" if draws else f"{side}_factors"], a[f"{side}_bias{suffix}"]
                factors[:-1, wide], factors[-1, wide] = table[:, :k], last[:k]
                bias[:-1, s], bias[-1, s] = table[:, k], last[k]
                factors[part.empty, wide] += more[:k]
                bias[part.empty, s] += more[k]
            if len(a["implicit"]):
                weights = a["implicit"][:, s * (k + 1) : (s + 1) * (k + 1)]
                weights[:-1], weights[-1] = users.weights[: len(weights) - 1], usual[0]
            a["user_precision"][s] = users.precision
            a["noise_precision"][s] = chain.noise_precision
            self._average(averaged(chain), (nth - 1) * n_chains + c + 1)

    def _average(self, values: dict[str, Array], nth: int) -> None:
        average(self.arrays, values, nth)

    @one_thread()
    def _trace(self, chain: Chain) -> Array:
        users, items = self.watched
        p, q = chain.users.draw[users], chain.items.draw[items]
        pairs = (p[:, :-1] * q[:, :-1]).sum(1) + p[:, -1] + q[:, -1]
        numbers = [chain.error * self.scale**2, self.scale / np.sqrt(chain.noise_precision)]
        for side, other in ((chain.users, chain.items), (chain.items, chain.users)):
            effects = side.draw[:, :-1] @ other.draw[:, :-1].mean(0) + side.draw[:, -1]
            numbers += [np.std(effects) * self.scale]
        for process in chain.user_drifts + chain.item_drifts:
            numbers += [process.numbers[0], np.sqrt(process.numbers[1]) * self.scale]
        return np.concatenate([np.array(numbers, dtype=np.float64), self.mean + self.scale * pairs])


def averaged(chain: Chain) -> dict[str, Array]:
    """Return the draws of a chain that are kept only as a mean: the noise of rows, the cuts, the processes in time."""
    found: dict[str, Array] = {}
    for which, part in (("user", chain.users), ("item", chain.items)):
        spread = 1.0 / part.weight
        found[f"{which}_noise"] = np.append(spread, np.mean(spread) if len(spread) else 1.0)
    if chain.cuts is not None:
        found["cuts"] = chain.cuts.values[1:-1].copy()
    for kind, processes in zip(KINDS, (chain.user_drifts, chain.item_drifts), strict=True):
        if processes:
            found[f"{kind}_mean"] = np.stack([p.mean[p.clock.known] for p in processes])
            found[f"{kind}_numbers"] = np.stack([np.append(p.numbers, p.uncertainty) for p in processes])
    return found


def average(arrays: dict[str, Array], values: dict[str, Array], nth: int) -> None:
    """Add the ``nth`` values to the running means. The first ones overwrite everything."""
    share = 1.0 / nth
    for name, value in values.items():
        if nth == 1:
            arrays[name][...] = value
        else:
            arrays[name] += share * (value - arrays[name])


def kept_samples(c: BayesMFConfig, n_users: int, n_items: int) -> tuple[int, int]:
    """Return the number of samples kept over all chains, and the bytes of each; see ``KEPT_BYTES``."""
    tables = 2 * (n_users + 1) + (n_items + 1) * (2 if c.implicit else 1)
    bytes_each = 4 * (c.n_factors + 1) * tables
    per_chain = min(c.n_samples // c.chains, KEPT_BYTES // (bytes_each * c.chains), c.epochs - c.burn_in)
    return max(1, per_chain) * c.chains, bytes_each


def slow_left_out(scales: tuple[float, ...], data: Interactions) -> tuple[float, ...]:
    """Return the time scales that the data span: a slower drift could not be distinguished from a bias."""
    span = float(np.ptp(data.times)) if data.times is not None and len(data) else 0.0
    return tuple(s for s in scales if s <= span)


def layouts(data: Interactions, y: Array, implicit: bool, time: bool, ordinal: bool = False) -> Parts:
    """Return the data from both sides (see ``Parts``)."""
    timed = time and data.times is not None and len(data) > 0
    times = data.times if timed else None
    if times is None:
        order = csr(data.users, data.items, data.values, data.n_users, data.n_items).rows
    else:
        order = in_time(data.users, data.items, data.values, times, data.n_users, data.n_items)
    u, i, y = data.users[order], data.items[order], y[order].astype(F32)
    counts = np.bincount(u, minlength=data.n_users)
    user_drifts, item_drifts = None, None
    if times is not None:
        times = times[order]
        user_drifts = clock(u, times, data.n_users, None)
        by_time = in_time(i, u, y, times, data.n_items, data.n_users)
        item_drifts = clock(i[by_time], times[by_time], data.n_items, by_time)
    by_item = csr(i, u, y, data.n_items, data.n_users)
    user_set = csr(u, i, y, data.n_users, data.n_items) if implicit else None
    user_design = make_design(user_set, *feature_blocks(data.user_features))
    item_design = make_design(by_item if implicit else None, *feature_blocks(data.item_features))
    indptr = np.append(0, np.cumsum(counts)).astype(np.int64)
    users = Layout(indptr, i.astype(np.int32), y, counts, user_design)
    items = Layout(by_item.indptr, by_item.indices, by_item.values, by_item.counts, item_design)
    levels, level = find_levels(y) if ordinal else (None, None)
    return Parts(users, items, by_item.rows, user_drifts, item_drifts, levels, level)


def in_time(rows: Array, cols: Array, values: Array, times: Array, n_rows: int, n_cols: int) -> Array:
    """Return int64 (n,): the entries ordered by row, time and column; equal ones keep their order."""
    if len(rows) < SMALL:
        return np.lexsort((cols, times, rows))
    grouped = csr(rows, cols, values, n_rows, n_cols)
    sort_within(grouped.indptr, frozen(times, np.int64), grouped.rows)
    return grouped.rows


def feature_blocks(features: Features | None) -> tuple[CSR | None, list[int]]:
    """Return the matrix with columns scaled to root mean square 1, sorted so that each block (names up to ``=``) is
    together."""
    if features is None or not features.matrix.n_cols:
        return None, []
    m, names = features.matrix, [n.partition("=")[0] for n in features.names]
    blocks = {b: i for i, b in enumerate(dict.fromkeys(names))}
    number = np.array([blocks[n] for n in names])
    order = np.argsort(number, kind="stable")
    place = np.empty(len(order), dtype=np.int32)
    place[order] = np.arange(len(order), dtype=np.int32)
    squares = np.bincount(m.indices, m.values.astype(np.float64) ** 2, minlength=m.n_cols)
    size = np.sqrt(squares / np.maximum(np.bincount(m.indices, minlength=m.n_cols), 1))
    size[size == 0.0] = 1.0
    matrix = m._replace(indices=place[m.indices], values=(m.values / size[m.indices]).astype(F32))
    return matrix, np.bincount(number, minlength=len(blocks)).tolist()
