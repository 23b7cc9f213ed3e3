"""Open matrices and arrays as tables of user, item and value: scipy.sparse, numpy, ``.mtx``, ``.npz``, ``.npy``."""

from __future__ import annotations

import inspect
import io
import zipfile
from typing import Any

import numpy as np
import polars as pl

from cofactor.data.arrays import timed
from cofactor.data.tables import Table, loaded, sound
from cofactor.errors import DataError

MTX = b"%%MatrixMarket"
NPY = b"\x93NUMPY"


def is_sparse(source: Any) -> bool:
    """Return whether this is a scipy.sparse matrix, without importing scipy."""
    return type(source).__module__.startswith("scipy.sparse") and hasattr(source, "tocoo")


def open_sparse(matrix: Any, label: str = "the matrix", first: int = 0, valued: bool = True) -> Table:
    """Open a matrix: rows are users, columns are items, numbered from ``first``. Each stored entry is a value, zeros
    included."""
    entries = matrix.tocoo()
    if len(entries.shape) != 2:
        raise DataError(f"{label} has {len(entries.shape)} dimensions; rows of users and columns of items are needed")
    frame = pl.DataFrame(
        {
            "user": np.asarray(entries.row, dtype=np.int64) + first,
            "item": np.asarray(entries.col, dtype=np.int64) + first,
            **({"value": _real(entries.data, label)} if valued else {}),
        }
    )
    said = (
        f"a matrix of {entries.shape[0]:,} rows (users) and {entries.shape[1]:,} columns (items), numbered from {first}"
    )
    return loaded(frame, label, [said])


def open_mtx(data: bytes, label: str) -> Table:
    """Open a Matrix Market file. Its rows and columns are numbered from 1, as in the file; a pattern has no values."""
    from scipy import io as scipy_io

    head = data[: data.find(b"\n")].lower()
    # a sparse array in the versions of scipy that have spmatrix=; from 1.18 on scipy warns if it is not given
    arrays = {"spmatrix": False} if "spmatrix" in inspect.signature(scipy_io.mmread).parameters else {}
    try:
        matrix = scipy_io.mmread(io.BytesIO(data), **arrays)
    except (ValueError, TypeError, IndexError, OverflowError) as error:
        raise DataError(f"{label} is not a Matrix Market file: {error}") from None
    if not is_sparse(matrix):
        return _dense(np.asarray(matrix), label)
    return open_sparse(matrix, label, first=1, valued=b"pattern" not in head)


def is_npz(data: bytes) -> bool:
    """Return whether the bytes of a zip archive are numpy arrays."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
    except Exception:  # a damaged archive can fail in many ways
        return False
    return bool(names) and all(name.endswith(".npy") for name in names)


def open_npz(data: bytes, label: str) -> Table:
    """Open arrays as numpy and scipy.sparse save them: a sparse matrix, or named columns of equal length."""
    with sound(label, "not a valid file of numpy arrays"), np.load(io.BytesIO(data), allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    if "shape" in arrays and "data" in arrays:
        from scipy import sparse

        with sound(label, "not a valid scipy.sparse matrix"):
            return open_sparse(sparse.load_npz(io.BytesIO(data)), label)
    columns = {name: timed(array) for name, array in arrays.items() if array.ndim == 1}
    if len(columns) >= 2 and len({len(array) for array in columns.values()}) == 1:
        return loaded(pl.DataFrame(columns), label)
    if len(arrays) == 1:
        return open_array(next(iter(arrays.values())), label)
    shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
    raise DataError(
        f"{label} has arrays that do not form a table ({shapes}); give user, item and value arrays of the same length"
    )


def open_npy(data: bytes, label: str) -> Table:
    """Open one numpy array from a file."""
    with sound(label, "not a numpy array"):
        return open_array(np.load(io.BytesIO(data), allow_pickle=False), label)


def open_array(array: Any, label: str = "the array") -> Table:
    """Open rows of (user, item[, value[, time]]), a structured array, or a matrix of users by items with NaN for no
    value."""
    if isinstance(array, np.ma.MaskedArray) and array.dtype.kind in "biuf":
        array = np.where(np.ma.getmaskarray(array), np.nan, array.data)
    array = np.asarray(array)
    if array.dtype.names:
        return loaded(pl.DataFrame({name: timed(array[name]) for name in array.dtype.names}), label)
    if array.ndim != 2 or array.dtype.kind not in "biufUO":
        raise DataError(
            f"{label} has the shape {array.shape} and type {array.dtype}; give rows of (user, item, rating[, time])"
        )
    if 2 <= array.shape[1] <= 4:
        columns = {f"column_{at}": _whole(array[:, at]) for at in range(array.shape[1])}
        return loaded(pl.DataFrame(columns, strict=False), label, headed=False)
    return _dense(array, label)


def _dense(array: np.ndarray[Any, Any], label: str) -> Table:
    if array.dtype.kind not in "biuf":
        raise DataError(f"{label} is a matrix of type {array.dtype}; numbers are needed")
    values = array.astype(np.float64)
    if not np.isnan(values).any():
        raise DataError(
            f"{label} is a full matrix of {array.shape[0]:,} by {array.shape[1]:,}, in which 0 may mean a value or no"
            " value; give a scipy.sparse matrix, or NaN for no value"
        )
    users, items = np.nonzero(~np.isnan(values))
    frame = pl.DataFrame({"user": users, "item": items, "value": values[users, items]})
    return loaded(frame, label, [f"a matrix of {array.shape[0]:,} rows (users) and {array.shape[1]:,} columns (items)"])


def _whole(column: np.ndarray[Any, Any]) -> Any:
    """Return a column of an array in one type: whole numbers as integers, text and objects unchanged."""
    if column.dtype.kind == "f" and np.isfinite(column).all() and (column == np.floor(column)).all():
        return column.astype(np.int64) if np.abs(column).max(initial=0) < 2**53 else column
    return column.tolist() if column.dtype.kind in "OU" else column


def _real(values: Any, label: str) -> Any:
    if values.dtype.kind not in "biuf":
        raise DataError(f"the values of {label} are {values.dtype}; numbers are needed")
    return values.astype(np.float64) if values.dtype.kind in "bf" else values
