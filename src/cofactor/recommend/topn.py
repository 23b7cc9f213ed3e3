"""The best n items for many users, in blocks of bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cofactor.data.interactions import CSR
from cofactor.errors import ConfigError

Array = NDArray[Any]

BLOCK_BYTES = 16 << 20
"""Size of a block of scores, in bytes."""
SMALL = 200_000
"""Up to this many scores, threads are not worthwhile."""


def blocks(n_rows: int, n_items: int) -> Iterator[slice]:
    """Yield slices of rows whose scores fit into one block."""
    step = max(1, BLOCK_BYTES // (4 * max(n_items, 1)))
    for first in range(0, n_rows, step):
        yield slice(first, min(first + step, n_rows))


def _topk() -> ModuleType:
    from cofactor.kernels import topk

    return topk


def mask_rows(scores: Array, seen: CSR) -> None:
    """Set the scores of each row's entries in ``seen`` to -inf, in place."""
    _topk().mask_seen(scores, seen.indptr, seen.indices)


def mask_items(scores: Array, keep: Array | None) -> None:
    """Set the scores of all items where ``keep`` (bool, n_items) is False to -inf, in place. None keeps all."""
    if keep is not None:
        _topk().mask_columns(scores, keep)


def top_n(scores: Array, n: int) -> tuple[Array, Array]:
    """Return the n best columns of each row: (codes int32, scores float32), both (rows, n), best first.

    Of equal scores the lower code comes first. An entry of -inf gets code -1 and score -inf. ConfigError for NaN. Rows
    are distributed over threads; the result does not depend on their number.
    """
    from cofactor.kernels.blocks import over_rows

    rows, columns = scores.shape
    n = min(n, columns)
    scores = np.ascontiguousarray(scores, dtype=np.float32)
    codes, best = np.empty((rows, n), np.int32), np.empty((rows, n), np.float32)
    if n == 0 or rows == 0:
        return codes, best
    bad = np.zeros(rows, dtype=bool)

    def work(first: int, last: int) -> None:
        part = slice(first, last)
        bad[first] = np.isnan(scores[part].max())  # max() of values with NaN is NaN
        _topk().select(scores[part], codes[part], best[part])

    if rows * columns < SMALL:
        work(0, rows)
    else:
        over_rows(work, np.arange(rows + 1) * columns)
    if bad.any():
        raise ConfigError(
            "the model's scores contain NaN; train the model again with a lower learning rate or more regularisation"
        )
    return codes, best
