"""Train ``popular`` in blocks of items."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cofactor.engines.blocks import jobs, whole
from cofactor.engines.prepare import Prepared
from cofactor.engines.values import strength
from cofactor.engines.work import Done, Work, put, take
from cofactor.errors import ConfigError
from cofactor.models.popular import PopularConfig, item_sums

Array = NDArray[Any]


def train(work: Work, data: Prepared, config: PopularConfig, seed: int) -> tuple[dict[str, Array], list[list[float]]]:
    """Return the model's state. There are no losses."""
    if config.half_life and not data.timed:
        raise ConfigError("popular with a half_life needs times; name the time column, or set half_life=0")
    limits = strength(work, data)
    newest = max(work.step("newest", _newest_task, jobs(data, "item"))) if config.half_life else 0
    work.step("popular", _sum_task, jobs(data, "item", limits=limits, newest=newest, config=config))
    counts = whole(data, "item", "popular")
    return {"popularity": (counts / max(counts.max(initial=0), 1e-30)).astype(np.float32)}, [[float("nan")] * 2]


def _newest_task(job: dict[str, Any]) -> Done:
    times = take(job["folder"], f"item-{job['block']}-times")
    return Done(int(times.max()) if len(times) else -(1 << 62), [])


def _sum_task(job: dict[str, Any]) -> Done:
    name = f"item-{job['block']}"
    indptr, values = (np.asarray(take(job["folder"], f"{name}-{x}")) for x in ("indptr", "values"))
    times = np.asarray(take(job["folder"], f"{name}-times")) if job["config"].half_life else None
    sums = item_sums(indptr, values, times, job["newest"], job["limits"], job["config"])
    return Done(None, [put(job["folder"], f"{name}-popular", sums)])
