"""The best n of all items for many users, in blocks of bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cofactor.data.interactions import CSR
from cofactor.errors import ConfigError

Array = NDArray[Any]

BLOCK_BYTES = 64 << 20
"""About how much one block of scores may take."""


def blocks(n_rows: int, n_items: int) -> Iterator[slice]:
    """Slices of rows whose scores fit into one block."""
    step = max(1, BLOCK_BYTES // (4 * max(n_items, 1)))
    for first in range(0, n_rows, step):
        yield slice(first, min(first + step, n_rows))


def mask_rows(scores: Array, seen: CSR) -> None:
    """Set the scores of each row's entries in ``seen`` to -inf, in place."""
    rows = np.repeat(np.arange(seen.n_rows), seen.counts)
    scores[rows, seen.indices] = -np.inf


def top_n(scores: Array, n: int) -> tuple[Array, Array]:
    """The n best columns of each row: (codes int32, scores float32), both (rows, n), best first.

    Ties go to the lower code. Entries that are -inf come out as code -1 (and score -inf). ConfigError for NaN.
    """
    n = min(n, scores.shape[1])
    if n == 0:
        return np.empty((len(scores), 0), np.int32), np.empty((len(scores), 0), np.float32)
    last = np.partition(scores, scores.shape[1] - n, axis=1)[:, -n:]  # NaN would stand here too
    if np.isnan(last).any():
        raise ConfigError(
            "the model's scores hold values that are no numbers, so it is of no use; train it again with a lower"
            " learning rate or more regularisation"
        )
    kth = last[:, 0]
    codes = np.empty((len(scores), n), dtype=np.int32)
    for r in range(len(scores)):
        candidates = np.flatnonzero(scores[r] >= kth[r])
        order = np.lexsort((candidates, -scores[r, candidates]))[:n]
        codes[r] = candidates[order]
    best = np.take_along_axis(scores, codes.astype(np.int64), axis=1).astype(np.float32)
    codes[np.isneginf(best)] = -1
    return codes, best
