"""Train ``bayes-mf`` by chains: each is a job that holds the whole table. Samples are assembled as in one process.

A chain has its own stream of random numbers and shares only the data, so it draws the same samples wherever it runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cofactor.data.interactions import CSR, Features, Interactions
from cofactor.engines.grouping import numbered
from cofactor.engines.work import SIDES, Done, Work, put, take
from cofactor.models.bayes_mf.config import BayesMFConfig
from cofactor.models.bayes_mf.model import BayesMF
from cofactor.models.bayes_mf.samples import Samples
from cofactor.models.bayes_mf.state import BY_SAMPLE, per_sample
from cofactor.models.bayes_mf.stepper import BayesStepper, average

Array = NDArray[Any]

_ROWS = ("users", "items", "values", "times")


def train(
    work: Work, data: Interactions, config: BayesMFConfig, seed: int
) -> tuple[dict[str, Array], list[list[float]]]:
    """Return the model's state, and the losses of each sweep."""
    folder = str(work.folder)
    work.alone("a-rows", lambda: [_put_rows(folder, data)])
    shared = {
        "folder": folder,
        "config": config,
        "seed": seed,
        "sizes": (data.n_users, data.n_items),
        "kind": data.kind,
        "columns": data.columns,
        "timed": data.times is not None,
        "features": {side: getattr(data, f"{side}_features") is not None for side in SIDES},
        "names": {side: _names(data, side) for side in SIDES},
    }
    found = work.step("b-chains", chain_task, [shared | {"chain": c} for c in range(config.chains)])
    return _together(folder, found, config), _losses(found)


def _names(data: Interactions, side: str) -> tuple[str, ...]:
    features: Features | None = getattr(data, f"{side}_features")
    return () if features is None else features.names


def _put_rows(folder: str, data: Interactions) -> Done:
    arrays = {name: getattr(data, name) for name in _ROWS if getattr(data, name) is not None}
    for side in SIDES:
        features: Features | None = getattr(data, f"{side}_features")
        if features is not None:
            m = features.matrix
            arrays |= {f"{side}-{part}": getattr(m, part) for part in ("indptr", "indices", "values")}
    return Done(None, [put(folder, f"rows/{name}", array) for name, array in arrays.items()])


def _rows(job: dict[str, Any]) -> Interactions:
    """Return the table without its ids."""

    def array(name: str) -> Array:
        return np.array(take(job["folder"], f"rows/{name}"))

    features: dict[str, Any] = {}
    for side in SIDES:
        if job["features"][side]:
            indptr, indices, values = (array(f"{side}-{part}") for part in ("indptr", "indices", "values"))
            names = job["names"][side]
            matrix = CSR(indptr, indices, values, np.empty(0, np.int64), len(names))
            features[f"{side}_features"] = Features(matrix, names)
    users, items = job["sizes"]
    return Interactions(
        array("users"),
        array("items"),
        array("values"),
        array("times") if job["timed"] else None,
        numbered(users, "user"),
        numbered(items, "item"),
        columns=job["columns"],
        kind=job["kind"],
        **features,
    )


class OneChain(BayesStepper):
    """One of the chains. Means over all chains are computed from values that each chain writes one by one."""

    means: list[dict[str, Array]]

    def _average(self, values: dict[str, Array], nth: int) -> None:
        if nth == 1:  # the first kept sample; predictions shown before it do not count
            self.means = []
        self.means.append(values)


def chain_task(job: dict[str, Any]) -> Done:
    """Run one chain to its end, and write its samples."""
    config, folder, chain = job["config"], job["folder"], job["chain"]
    rng = np.random.default_rng([job["seed"], 0])
    stepper = OneChain(config, Samples(), _rows(job), rng, only=chain)
    errors = []
    for _ in range(config.epochs):
        stepper.run(None, None)
        errors.append(float(stepper.chains[0].error))
    files = [put(folder, f"chain-{chain}-{name}", array) for name, array in stepper.arrays.items()]
    means = stepper.means
    for name in means[0]:
        files.append(put(folder, f"chain-{chain}-mean-{name}", np.stack([values[name] for values in means])))
    traces = np.stack(stepper.traces) if stepper.traces else np.zeros((0, 1, 0))
    files.append(put(folder, f"chain-{chain}-traces", traces[:, 0]))
    value = {"errors": np.array(errors), "scale": stepper.scale, "kept": stepper.kept, "slots": stepper.slots}
    return Done(value | {"arrays": list(stepper.arrays), "means": list(means[0])}, files)


def _together(folder: str, found: Sequence[dict[str, Any]], config: BayesMFConfig) -> dict[str, Array]:
    """Return the model's state with the samples of all chains, ordered by slot, then by chain."""
    chains, wide, slots = range(len(found)), per_sample(config.n_factors), found[0]["slots"]
    arrays: dict[str, Array] = {}
    for name in found[0]["arrays"]:
        parts = [np.array(take(folder, f"chain-{c}-{name}")) for c in chains]
        if name in wide:
            rows = len(parts[0])
            split = np.stack([part.reshape(rows, slots, wide[name]) for part in parts], axis=2)
            arrays[name] = split.reshape(rows, slots * len(parts) * wide[name])
        elif name in BY_SAMPLE:
            arrays[name] = np.stack(parts, axis=1).reshape(slots * len(parts), *parts[0].shape[1:])
        else:
            arrays[name] = parts[0]
    means = [{name: take(folder, f"chain-{c}-mean-{name}") for name in found[0]["means"]} for c in chains]
    for name in found[0]["means"]:
        arrays[name] = np.zeros_like(arrays[name])
    for nth in range(max(found[0]["kept"], 1)):
        for c in chains:
            average(arrays, {name: values[nth] for name, values in means[c].items()}, nth * len(found) + c + 1)
    model = BayesMF(config)
    count = min(found[0]["kept"] * len(found), slots * len(found)) if found[0]["kept"] else len(found)
    model.samples.adopt(arrays, count, ())
    traces = [np.array(take(folder, f"chain-{c}-traces")) for c in chains]
    if traces[0].shape[0]:
        model.samples.traces = np.ascontiguousarray(np.stack(traces))
    return dict(model.state())


def _losses(found: Sequence[dict[str, Any]]) -> list[list[float]]:
    scale = found[0]["scale"]
    return [[float(np.mean(errors)) * scale**2, float("nan")] for errors in zip(*(one["errors"] for one in found))]
