"""Users that were not in training, from the kept samples of ``bayes-mf``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cofactor.data.interactions import CSR
from cofactor.kernels.gibbs_rows import draw_rows, residuals
from cofactor.models.bayes_mf_ordinal import half_way, rescale

Array = NDArray[Any]
F32 = np.float32


def fold_users(a: Mapping[str, Array], count: int, k: int, noise_df: float, histories: CSR) -> Array:
    """float32 (n, count * k + 2): posterior means of the users' vectors in each sample, bias, and size of the noise."""
    rows = [_fold_one(a, count, k, noise_df, *histories.row(r)) for r in range(histories.n_rows)]
    return np.stack(rows) if rows else np.zeros((0, count * k + 2), dtype=F32)


def _fold_one(a: Mapping[str, Array], count: int, k: int, noise_df: float, items: Array, values: Array) -> Array:
    """One user: each sample is a row of its own with its own copy of the items, so one kernel call solves them all."""
    n, width = len(items), k + 1
    centre = np.concatenate(
        [a["user_factors"][-1, : count * k].reshape(count, k), a["user_bias"][-1, :count, None]], axis=1
    )
    if n and len(a["implicit"]):
        spoken = a["implicit"][items, : count * width].sum(0).reshape(count, width)
        centre = centre + spoken / F32(np.sqrt(n))
    table = np.empty((count, n, width), dtype=F32)
    table[:, :, :k] = a["item_factors"][items, : count * k].reshape(n, count, k).transpose(1, 0, 2)
    table[:, :, k] = a["item_bias"][items, :count].T
    flat = table.reshape(count * n, width)
    y = (values - a["mean"]) / a["scale"]
    if len(a["cuts"]):
        y = rescale(y, half_way(a["levels"]), a["cuts"])
    target = np.tile(y.astype(F32), count)
    root = np.tile(1.0 / np.sqrt(a["item_noise"][items]), count).astype(F32)
    indptr, cols = np.arange(count + 1) * n, np.arange(count * n, dtype=np.int32)
    precision = a["user_precision"][:count].copy()
    draw, mean = np.empty((count, width), dtype=F32), np.empty((count, width), dtype=F32)
    trust, errors = F32(1.0), np.empty_like(target)
    for _ in range(2 if noise_df > 0 and n else 1):
        noise = trust * a["noise_precision"][:count]
        draw_rows(indptr, cols, target, flat, root, noise, centre, precision, np.zeros_like(centre), draw, mean)
        if noise_df > 0 and n:
            residuals(indptr, cols, target, mean, flat, errors)
            squares = ((errors * root) ** 2).reshape(count, n).sum(1)
            trust = F32((noise_df + n) / (noise_df + np.mean(squares * a["noise_precision"][:count])))
    size = a["user_noise"][-1] if noise_df <= 0 or not n else 1 / trust
    return np.append(mean[:, :k].ravel(), np.array([mean[:, k].mean(), size], dtype=F32))
