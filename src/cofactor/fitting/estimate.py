"""Estimate the cost of training: a forecast for every model, and a refusal of what does not fit into memory.

Each model counts its own bytes and operations (its ``cost``). This module adds those of the table and of the process.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from cofactor.data.interactions import Interactions
from cofactor.errors import ConfigError
from cofactor.fitting.compiled import is_compiled
from cofactor.model import Cost, HasCost, Posterior, TableSize
from cofactor.models import REGISTRY, model_class
from cofactor.train.memory import SMALL, free_memory, in_words, too_large

PROCESS = 153e6
"""Bytes of a process that has loaded Python, NumPy, polars and numba, and has compiled a kernel before."""
READ = 22e6
"""Bytes more where it has read a file: what polars' threads keep."""
_CHUNK = 1 << 20


def table_size(data: Interactions) -> TableSize:
    """Return the facts of a table that costs depend on."""
    pairs = []
    for codes, n in ((data.users, data.n_users), (data.items, data.n_items)):
        counts = np.zeros(n, dtype=np.int64)
        for lo in range(0, len(codes), _CHUNK):  # bincount copies its input to int64
            counts += np.bincount(codes[lo : lo + _CHUNK], minlength=n)
        pairs.append(float((counts.astype(np.float64) ** 2).sum()))
    return TableSize(len(data), data.n_users, data.n_items, pairs[0], pairs[1], data.times is not None)


def table_bytes(size: TableSize) -> float:
    """Return the bytes of the table in memory: codes, values and times, without ids."""
    return (20.0 if size.timed else 12.0) * size.ratings


def fit_cost(cls: type[Any], config: Any, size: TableSize, *, calibrate: bool = True) -> Cost:
    """Return the cost of :func:`cofactor.fit`.

    Rating models without a posterior train again on nine tenths of the rows, for their intervals. The result of the
    first training stays in memory meanwhile.
    """
    cost: Cost = cls.cost(config, size)
    if not calibrate or cls.task != "rating" or issubclass(cls, Posterior) or size.ratings < 100:
        return cost
    inner: Cost = cls.cost(config, size.part(0.9))
    second = cost.kept + table_bytes(size) + 12 * size.ratings + inner.memory
    return cost._replace(memory=max(cost.memory, second), operations=cost.operations + inner.operations)


def forecast(data: Interactions, configs: Mapping[str, Any] | None = None, *, calibrate: bool = True) -> pl.DataFrame:
    """Return a frame model, memory_mb, seconds, formula: the cost of :func:`cofactor.fit` on one core, for each model.

    ``configs``: a config by model, if it is not the default; ``calibrate``: whether intervals are learned.
    ``memory_mb`` (of 10^6 bytes) is the peak memory of the process during training, the table included. It is counted,
    and up to a fifth above the measured peak. If the model's kernels were never compiled here, it includes the memory
    of compiling them. ``seconds`` are rough, right to within a factor of five or so.
    """
    size, rows = table_size(data), []
    process = PROCESS + (READ if data.name else 0.0)  # tables of files have names
    for name in REGISTRY:
        cls = model_class(name)
        if issubclass(cls, HasCost):
            cost = fit_cost(cls, (configs or {}).get(name) or cls.Config(), size, calibrate=calibrate)  # type: ignore[attr-defined]
            memory = process + cost.libraries + table_bytes(size) + cost.memory
            memory += 0.0 if is_compiled(cls) else cost.compiling
            rows.append((name, round(memory / 1e6, 1), float(f"{cost.operations / 1e9 + 0.01:.2g}"), cost.formula))
    return pl.DataFrame(rows, schema=["model", "memory_mb", "seconds", "formula"], orient="row")


def refuse_what_does_not_fit(
    name: str, config: Any, data: Interactions, *, calibrate: bool = True, free: float | None = None
) -> None:
    """Raise ConfigError if training would need more memory than is ``free`` (bytes; None: as the system says).

    Nothing is refused if the system does not report the free memory.
    """
    cls = model_class(name)
    if not issubclass(cls, HasCost):
        return
    size = TableSize(len(data), data.n_users, data.n_items, 0.0, 0.0, data.times is not None)
    needed = fit_cost(cls, config, size, calibrate=calibrate).memory
    free = free_memory() if free is None and needed >= SMALL else free
    if free is not None and needed > max(free, SMALL):
        raise ConfigError(f"{too_large(name, size, needed, free)}; {_what_fits(cls, config, size, calibrate, free)}")


def _what_fits(cls: type[Any], config: Any, size: TableSize, calibrate: bool, free: float) -> str:
    """Return what would fit instead: other models of the task, or else a part of the users."""
    others = []
    for name in REGISTRY:
        other = model_class(name)
        if other is not cls and issubclass(other, HasCost) and other.task == cls.task:  # type: ignore[attr-defined]
            needed = fit_cost(other, other.Config(), size, calibrate=calibrate).memory  # type: ignore[attr-defined]
            if needed <= free:
                others.append((needed, f"{name} ({in_words(needed)})"))
    found = [text for _, text in sorted(others, reverse=True)[:3]]
    for percent in range(95, 0, -5):
        part = size.part(percent / 100)._replace(users=round(size.users * percent / 100))
        if fit_cost(cls, config, part, calibrate=calibrate).memory <= free:
            found.append(f"{cls.name} on {percent} % of the users")
            break
    return "what would fit: " + (", or ".join(found) if found else "no model, not even on a twentieth of the users")
