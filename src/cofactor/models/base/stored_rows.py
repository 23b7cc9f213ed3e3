"""Store sparse rows, histories and row weights as named arrays of a state, and read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cofactor.data.interactions import CSR
from cofactor.data.parts import Parts
from cofactor.errors import BundleError
from cofactor.model import State
from cofactor.models.base.arrays import stored

Array = NDArray[Any]

LATER = ("average",)
"""Arrays that states of earlier versions lack."""


def stored_csr(state: Mapping[str, Array], prefix: str, n_cols: int) -> CSR:
    """Return a CSR matrix of a state: ``<prefix>_indptr``, ``_indices``, ``_values``. Raises BundleError if it is
    invalid."""
    indptr = stored(state, f"{prefix}_indptr", np.int64, (None,))
    indices: Any = stored(state, f"{prefix}_indices", np.int32, (None,))
    values = stored(state, f"{prefix}_values", np.float32, (len(indices),))
    whole = len(indptr) > 0 and indptr[0] == 0 and indptr[-1] == len(indices) and bool((np.diff(indptr) >= 0).all())
    inside = isinstance(indices, Parts) or not len(indices) or (indices.min() >= 0 and indices.max() < n_cols)
    if not whole or not inside:
        raise BundleError(f"the arrays '{prefix}_...' of the saved model do not form a sparse matrix")
    return CSR(indptr, indices, values, np.empty(0, dtype=np.int64), n_cols)


def csr_state(matrix: CSR, prefix: str) -> State:
    """Return the arrays that ``stored_csr`` reads."""
    return {f"{prefix}_indptr": matrix.indptr, f"{prefix}_indices": matrix.indices, f"{prefix}_values": matrix.values}


def stored_history(state: Mapping[str, Array], n_cols: int, ordered: bool) -> CSR:
    """Return the training rows of a state, with their weights if there are any; with ``ordered``, also their times."""
    history = stored_csr(state, "history", n_cols)
    if "history_weights" in state:
        weights = stored(state, "history_weights", np.float32, (len(history.indices),))
        history = history._replace(weights=weights)
    if not ordered:
        return history
    return history._replace(order=stored(state, "history_order", np.int64, (len(history.indices),)))


def history_state(history: CSR) -> State:
    """Return the arrays that ``stored_history`` reads."""
    more = {"history_order": history.order, "history_weights": history.weights}
    return {**csr_state(history, "history"), **{name: array for name, array in more.items() if array is not None}}


def stored_average(state: Mapping[str, Array], n: int) -> Array:
    """Return the ``average`` of a state, float32 (n,); zeros for an earlier version, which did not start from the
    average user."""
    return stored(state, "average", np.float32, (n,)) if "average" in state else np.zeros(n, dtype=np.float32)


def stored_strength(state: Mapping[str, Array]) -> Array:
    """Return the ``range`` of a state, as :func:`strength_of` gives it. Raises BundleError if it is invalid."""
    found = stored(state, "range", np.float32, (None,))
    if len(found) not in (2, 3) or not np.isfinite(found).all():
        raise BundleError("the array 'range' of the saved model does not define the weights of values")
    return found
