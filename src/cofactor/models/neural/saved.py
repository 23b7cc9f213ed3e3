"""The arrays of ``neural`` in a bundle: those of its module, checked against the config without torch."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cofactor.errors import BundleError
from cofactor.models.base.arrays import stored
from cofactor.models.base.embedding_size import emb_sz_rule

Array = NDArray[Any]

PREFIX = "module."
NORM = ("weight", "bias", "running_mean", "running_var")


def embedding_sizes(config: Any, shape: tuple[int, int]) -> list[tuple[int, int]]:
    """Return the numbers of rows and the widths of the tables of users and of items."""
    widths = (config.user_factors or config.n_factors, config.item_factors or config.n_factors)
    return [(n, width or emb_sz_rule(n)) for n, width in zip(shape, widths)]


def shapes(config: Any, shape: tuple[int, int]) -> dict[str, tuple[int, ...]]:
    """Return the names and shapes of the arrays of an ``EmbeddingNN`` as ``Neural.build`` makes it."""
    tables = embedding_sizes(config, shape)
    found: dict[str, tuple[int, ...]] = {f"embeds.{side}.weight": size for side, size in enumerate(tables)}
    sizes = [sum(width for _, width in tables), *config.layers, 1]
    for i, (given, made) in enumerate(pairwise(sizes)):
        found[f"layers.{i}.0.weight"] = (made, given)
        if i == len(config.layers) or not config.batch_norm:
            found[f"layers.{i}.0.bias"] = (made,)
        else:
            found |= {f"layers.{i}.2.{name}": (made,) for name in NORM}
            found[f"layers.{i}.2.num_batches_tracked"] = ()
    return found


def arrays_of(state: Mapping[str, Array], config: Any, shape: tuple[int, int]) -> dict[str, Array]:
    """Return the module's arrays from a stored state, by their names there. Raises BundleError if they do not fit."""
    wanted = shapes(config, shape)
    given = {name.removeprefix(PREFIX) for name in state if name.startswith(PREFIX)}
    if odd := sorted(given ^ set(wanted)):
        raise BundleError(f"the saved weights are of another module: {odd[0]!r} is only in one of them")
    found = {}
    for name, size in wanted.items():
        kind = np.int64 if name.endswith("tracked") else np.float32
        array = stored(state, PREFIX + name, kind, size)
        if not np.isfinite(array).all():
            raise BundleError(f"the saved array {name!r} holds values that are not finite numbers")
        found[name] = array
    return found
