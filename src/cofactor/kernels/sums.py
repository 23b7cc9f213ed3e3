"""Sums over the rows of a table whose bits do not depend on how the table is cut into blocks.

Rows are added in chunks of :data:`CHUNK`, and the sums of chunks in a binary tree over their numbers: node ``(level,
index)`` holds the chunks ``index * 2**level`` to ``(index + 1) * 2**level``. A block of rows that begins at a chunk
yields the largest complete nodes that it covers, a few for each doubling. The nodes of all blocks, in order, form the
same tree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Node = tuple[int, int, Any]
"""Level, index, and the sum of the chunks below: a number or an array."""

CHUNK = 256


def nodes_of(leaves: Iterable[Any], first: int = 0) -> list[Node]:
    """Return the complete nodes over the sums of consecutive chunks, the first of which has the number ``first``."""
    return merged((0, first + at, leaf) for at, leaf in enumerate(leaves))


def merged(nodes: Iterable[Node]) -> list[Node]:
    """Merge nodes of consecutive blocks, in order, where two are the halves of a larger one."""
    found: list[Node] = []
    for node in nodes:
        found.append(node)
        while len(found) > 1 and found[-1][0] == found[-2][0] and found[-2][1] % 2 == 0:
            (level, index, left), (_, _, right) = found[-2:]
            found[-2:] = [(level + 1, index // 2, left + right)]
    return found


def total(nodes: Iterable[Node]) -> Any:
    """Return the sum of all chunks, from the nodes of all blocks in order; None if there are none."""
    found = None
    for _, _, value in reversed(merged(nodes)):
        found = value if found is None else value + found
    return found


def chunks(n_rows: int) -> list[slice]:
    """Return the chunks of a table."""
    return [slice(lo, min(lo + CHUNK, n_rows)) for lo in range(0, n_rows, CHUNK)]


def leaves_of(table: Array) -> Array:
    """Return float64 (chunks, ...): the sums of the rows of each chunk."""
    starts = np.arange(0, len(table), CHUNK)
    if not len(starts):
        return np.zeros((0, *table.shape[1:]))
    return np.add.reduceat(table, starts, axis=0, dtype=np.float64)


def row_sum(table: Array) -> Any:
    """Return the sum of all rows, float64, equal to the sum over blocks; zero without rows."""
    if not len(table):
        return np.zeros(table.shape[1:])[()]
    return total(nodes_of(leaves_of(table)))


def chunk_sum(function: Callable[[slice], Any], n_rows: int) -> Any:
    """Return the sum of the results of ``function`` for each chunk of rows; None without rows."""
    return total(nodes_of(function(part) for part in chunks(n_rows)))
