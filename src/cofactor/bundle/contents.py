"""The arrays of a bundle: the model's state, training rows, features, intervals.

Each function removes the arrays that it reads, so that unknown arrays are left at the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cofactor._blas import one_thread
from cofactor.bundle import config
from cofactor.bundle.lazy_rows import below
from cofactor.data.interactions import CSR, Features, Interactions, checked_weights
from cofactor.data.items_only import ItemsOnly
from cofactor.data.parts import Parts
from cofactor.errors import BundleError, ConfigError, DataError, MissingExtraError
from cofactor.model import HasFactors
from cofactor.models import is_registered, model_class
from cofactor.recommend.fitted import Fitted
from cofactor.recommend.intervals import residual_interval

Array = NDArray[Any]
LARGEST = 1e15
_OWN_MODULE = "torch-module"


_RENAMED = {"mood_": "user_drift_", "drift_": "item_drift_"}
"""Map prefixes of array names in earlier versions to the current ones."""


def collect(rec: Fitted) -> dict[str, Array]:
    """Return all arrays of a bundle; BundleError where one holds values that are not finite or above 1e15."""
    data = rec.data
    arrays = {f"model.{name}": np.asarray(array) for name, array in rec.model.state().items()}
    if isinstance(data, ItemsOnly):
        arrays["data.item_counts"] = data.item_counts
    else:
        arrays |= {"data.users": data.users, "data.items": data.items, "data.values": data.values}
        if data.times is not None:
            arrays["data.times"] = data.times
        if data.weights is not None:
            arrays["data.weights"] = data.weights
    for kind, found in (("user", data.user_features), ("item", data.item_features)):
        if found is not None:
            m = found.matrix
            arrays |= {f"{kind}_features.{n}": getattr(m, n) for n in ("indptr", "indices", "values")}
    for name, array in (rec.intervals or {}).items():
        arrays[f"intervals.{name}"] = np.asarray(array)
    if rec.rotation is not None:
        arrays["rotation"] = rec.rotation
    for name, array in arrays.items():
        if not finite(array):
            raise BundleError(
                f"the array {name!r} holds values that are not finite or above 1e15, so the model was not saved; train"
                " it again with a lower learning rate or more regularisation"
            )
    return arrays


def finite(array: Array) -> bool:
    """Return whether all values are finite and below ``LARGEST``; products of larger ones overflow float32."""
    if array.dtype.kind != "f":
        return True
    with np.errstate(invalid="ignore"):  # with NaN, min and max are NaN, and comparisons are False
        return array.size == 0 or bool(array.min() > -LARGEST and array.max() < LARGEST)


def check_finite(arrays: Mapping[str, Array], path: str | Path) -> None:
    """Raise BundleError where a value is not finite or above 1e15."""
    for name, array in arrays.items():
        if not finite(array):
            raise BundleError(f"the array {name!r} of {path} holds values that are not finite or above 1e15")


def rows(
    arrays: dict[str, Array], facts: Mapping[str, Any], path: str | Path
) -> tuple[Array, Array, Array, Array | None]:
    """Return users, items, values and times (or None) of the training data; codes are not yet checked."""
    n = facts["rows"]
    users, items = (_take(arrays, f"data.{x}", np.int32, (n,), path) for x in ("users", "items"))
    values = _take(arrays, "data.values", np.float32, (n,), path)
    times = _take(arrays, "data.times", np.int64, (n,), path) if "data.times" in arrays else None
    return users, items, values, times


def weights(arrays: dict[str, Array], n: int, path: str | Path) -> Array | None:
    """Return the weights of the training rows, float32 (n,), or None where all are equal."""
    if "data.weights" not in arrays:
        return None
    found = _take(arrays, "data.weights", np.float32, (n,), path)
    try:
        return checked_weights(found, n)
    except DataError as exc:
        raise BundleError(f"the array 'data.weights' of {path}: {exc}") from None


def item_counts(arrays: dict[str, Array], n_items: int, rows: int, path: str | Path) -> Array:
    """Return the number of rows of each item, int64 (n_items,), in a bundle without users."""
    found = _take(arrays, "data.item_counts", np.int64, (n_items,), path)
    if (found < 0).any() or int(found.sum()) != rows:
        raise BundleError(f"the array 'data.item_counts' of {path} does not add up to its number of rows")
    return np.array(found)


def features(
    arrays: dict[str, Array], kind: str, names: list[str] | None, n_rows: int, path: str | Path
) -> Features | None:
    """Return the side features of users or items, as sparse rows."""
    if names is None:
        return None
    indptr = _take(arrays, f"{kind}_features.indptr", np.int64, (n_rows + 1,), path)
    indices = _take(arrays, f"{kind}_features.indices", np.int32, (None,), path)
    values = _take(arrays, f"{kind}_features.values", np.float32, (len(indices),), path)
    whole = indptr[0] == 0 and indptr[-1] == len(indices) and bool((indptr[1:] >= indptr[:-1]).all())
    if not whole or not below(indices, len(names)):
        raise BundleError(f"the {kind} features of {path} are not a valid sparse matrix")
    return Features(CSR(indptr, indices, values, np.empty(0, np.int64), len(names)), tuple(names))


def intervals(arrays: dict[str, Array], path: str | Path) -> dict[str, Array] | None:
    """Return the quantiles of held-out residuals, or None."""
    names = [name for name in arrays if name.startswith("intervals.")]
    found = {name.removeprefix("intervals."): np.asarray(arrays.pop(name)) for name in names}
    if not found:
        return None
    if set(found) != {"edges", "residuals", "range"}:
        raise BundleError(f"the arrays 'intervals...' of {path} are not edges, residuals and range")

    residual_interval(found, np.zeros(1, np.float32))
    return found


def rotation(arrays: dict[str, Array], made: Any, path: str | Path) -> Array | None:
    """Return the rotation from the model's vectors to those of an earlier model, or None."""
    if "rotation" not in arrays:
        return None
    k = made.factors("item").shape[1] if isinstance(made, HasFactors) else 0
    found = _take(arrays, "rotation", np.float32, (k, k), path)
    with one_thread():
        is_one = k > 0 and np.abs(found @ found.T - np.eye(k)).max() <= 1e-3
    if not is_one:
        raise BundleError(f"the array 'rotation' of {path} is not a rotation of the model's vectors")
    return found


def model(m: Mapping[str, Any], arrays: dict[str, Array], data: Interactions, module: Any, path: str | Path) -> Any:
    """Return the model, built from its config and state; BundleError where anything does not match."""
    cls = _class(m["model"], path)
    if cls.task != m["task"]:
        raise BundleError(f"{path} says that {m['model']} is for {m['task'][:40]!r}; it is for {cls.task!r}")
    settings = config.restore(cls.Config, m["config"], f"the config of {path}")
    names = [name for name in arrays if name.startswith("model.")]
    state = _Watched({_present_name(name.removeprefix("model.")): _plain(arrays.pop(name)) for name in names})
    if module is not None and m["model"] != _OWN_MODULE:
        raise BundleError(f"{path} holds the built-in model {m['model']}; load it without module=")
    given = {} if module is None else {"module": module}
    try:
        made = cls.from_state(settings, state, **given)
        n_users, n_items = made.shape()
    except (BundleError, MissingExtraError):
        raise
    except ConfigError as exc:
        raise BundleError(f"the model in {path} does not match its own parameters: {exc}") from exc
    except Exception as exc:  # a forged state may raise anything in a model's code
        raise BundleError(f"the model in {path} cannot be built from its arrays ({type(exc).__name__}: {exc})") from exc
    if n_users not in (None, data.n_users) or n_items != data.n_items:
        raise BundleError(
            f"the model in {path} is for {n_users:,} users and {n_items:,} items,"
            f" but its data have {data.n_users:,} and {data.n_items:,}"
        )
    if state.unread:
        raise BundleError(f"{path} holds an array {min(state.unread)!r} that {m['model']} does not know")
    return made


def _plain(array: Any) -> Any:
    """Return a mapped array as a plain one; arrays in parts as they are."""
    return array if isinstance(array, Parts) else array.view(np.ndarray)


def _present_name(name: str) -> str:
    """Return the current name of a model's array."""
    for old, new in _RENAMED.items():
        if name.startswith(old):
            return new + name.removeprefix(old)
    return name


def nothing_left(arrays: Mapping[str, Array], path: str | Path) -> None:
    """Raise BundleError where an array is left."""
    if arrays:
        raise BundleError(f"{path} holds an unknown array {min(arrays)!r}")


def _class(name: str, path: str | Path) -> type[Any]:
    if name == _OWN_MODULE:
        from cofactor.models.torch.module import TorchModule

        return TorchModule
    if not is_registered(name):
        raise BundleError(f"{path} holds a model {name[:60]!r}, which this cofactor does not have; update cofactor")
    return model_class(name)


class _Watched(dict[str, Array]):
    """A state that records which arrays were not read."""

    def __init__(self, arrays: dict[str, Array]) -> None:
        super().__init__(arrays)
        self.unread = set(arrays)

    def __getitem__(self, name: str) -> Array:
        self.unread.discard(name)
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        self.unread.discard(name)
        return super().get(name, default)

    def items(self) -> Any:
        self.unread.clear()
        return super().items()


def _take(arrays: dict[str, Array], name: str, dtype: Any, shape: tuple[int | None, ...], path: str | Path) -> Array:
    if name not in arrays:
        raise BundleError(f"{path} lacks the array {name!r}; save the model again")
    array = arrays.pop(name)
    fits = array.ndim == len(shape) and all(w is None or w == n for w, n in zip(shape, array.shape, strict=True))
    if array.dtype != dtype or not fits:
        raise BundleError(
            f"the array {name!r} of {path} is {array.dtype} {array.shape}, not {np.dtype(dtype)} of the right shape"
        )
    return array.view(np.ndarray)
