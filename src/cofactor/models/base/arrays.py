"""Shared helpers of the models: rows for codes that may be -1, checks of configs and of stored states, terms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from cofactor.data.parts import Parts
from cofactor.errors import BundleError, ConfigError, NotFittedError
from cofactor.model import Terms

Array = NDArray[Any]


def at(table: Array, codes: Array) -> Array:
    """Return the rows of ``table`` at these codes, zeros where a code is -1 (an unknown id)."""
    codes = np.asarray(codes)
    if not len(table):
        return np.zeros((len(codes), *table.shape[1:]), dtype=table.dtype)
    found = table[np.maximum(codes, 0)]
    found[codes < 0] = 0
    return found


def fitted(table: Array | None, name: str) -> Array:
    """Return the array, or raise NotFittedError if the model has not learned anything yet."""
    if table is None:
        raise NotFittedError(f"{name} is not trained yet; train it first")
    return table


def stored(state: Mapping[str, Array], name: str, dtype: Any, shape: tuple[int | None, ...]) -> Array:
    """Return one array of a stored state, of this dtype and shape (None: any length), and finite.

    Raises BundleError otherwise.
    """
    if name not in state:
        raise BundleError(f"the saved model lacks the array {name!r}; save it again from the original")
    array: Any = state[name] if isinstance(state[name], Parts) else np.asarray(state[name])
    if array.dtype != np.dtype(dtype):
        raise BundleError(f"the array {name!r} of the saved model is {array.dtype}, not {np.dtype(dtype)}")
    if array.ndim != len(shape) or any(w is not None and w != n for w, n in zip(shape, array.shape, strict=True)):
        wanted = tuple("any" if n is None else n for n in shape)
        raise BundleError(f"the array {name!r} of the saved model has the shape {array.shape}, not {wanted}")
    # Arrays of a large mapped file are not scanned, so that it need not be read completely; parts neither.
    scanned = not isinstance(array, Parts) and not isinstance(array.base, np.memmap)
    if scanned and array.dtype.kind == "f" and not np.isfinite(array).all():
        raise BundleError(f"the array {name!r} of the saved model holds values that are not finite numbers")
    return cast("Array", array)


def stored_range(state: Mapping[str, Array]) -> Array:
    """Return the array ``range`` of a state: float32 (2,), the lowest and highest rating of the training data."""
    found = stored(state, "range", np.float32, (2,))
    if found[0] > found[1]:
        raise BundleError(
            f"the array 'range' of the saved model has its bounds in the wrong order: {found[0]} to {found[1]}"
        )
    return found


def clipped_terms(named: Mapping[str, float], limits: Array) -> Terms:
    """Return terms that sum to the prediction, with ``clip to the scale`` if their sum would leave the range."""
    names, values = tuple(named), np.array(list(named.values()), dtype=np.float64)
    total = float(values.sum())
    clip = min(max(total, float(limits[0])), float(limits[1])) - total
    if clip != 0.0:
        names, values = (*names, "clip to the scale"), np.append(values, clip)
    return Terms(names, values, "identity", None)


def check_at_least(config: Any, **bounds: float) -> None:
    """Raise ConfigError for the first field of a config that is below its bound or not finite."""
    for name, low in bounds.items():
        value = getattr(config, name)
        if not (isinstance(value, (int, float)) and np.isfinite(value) and value >= low):
            raise ConfigError(f"{name} is {value!r}; it must be a number of at least {low:g}")
