"""Matrices and arrays -> tables of user, item and value: scipy.sparse, numpy, ``.mtx``, ``.npz``, ``.npy``."""

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
    """Whether this is a matrix of scipy.sparse, without importing it."""
    return type(source).__module__.startswith("scipy.sparse") and hasattr(source, "tocoo")


def open_sparse(matrix: Any, label: str = "the matrix", first: int = 0, valued: bool = True) -> Table:
    """Rows are users, columns items, numbered from ``first``; what is stored is a value, zeros too."""
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
    """A file of the Matrix Market, numbered from 1 as it is there; a pattern has no values."""
    from scipy import io as scipy_io

    head = data[: data.find(b"\n")].lower()
    # a sparse array, where this version of scipy is told which kind: from 1.18 on it warns if it is not
    arrays = {"spmatrix": False} if "spmatrix" in inspect.signature(scipy_io.mmread).parameters else {}
    try:
        matrix = scipy_io.mmread(io.BytesIO(data), **arrays)
    except (ValueError, TypeError, IndexError, OverflowError) as error:
        raise DataError(f"{label} is not a matrix of the Matrix Market: {error}") from None
    if not is_sparse(matrix):
        return _dense(np.asarray(matrix), label)
    return open_sparse(matrix, label, first=1, valued=b"pattern" not in head)


def is_npz(data: bytes) -> bool:
    """Whether the bytes of a zip archive are arrays of numpy."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
    except Exception:  # damaged in one of many ways
        return False
    return bool(names) and all(name.endswith(".npy") for name in names)


def open_npz(data: bytes, label: str) -> Table:
    """Arrays as numpy and scipy.sparse save them: a sparse matrix, or columns of equal length by their names."""
    with sound(label, "not a file of numpy arrays"), np.load(io.BytesIO(data), allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    if "shape" in arrays and "data" in arrays:
        from scipy import sparse

        with sound(label, "not a sparse matrix of scipy"):
            return open_sparse(sparse.load_npz(io.BytesIO(data)), label)
    columns = {name: timed(array) for name, array in arrays.items() if array.ndim == 1}
    if len(columns) >= 2 and len({len(array) for array in columns.values()}) == 1:
        return loaded(pl.DataFrame(columns), label)
    if len(arrays) == 1:
        return open_array(next(iter(arrays.values())), label)
    shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
    raise DataError(f"{label} has arrays that make no table ({shapes}); user, item and value of one length are needed")


def open_npy(data: bytes, label: str) -> Table:
    """One array of numpy in a file."""
    with sound(label, "not a numpy array"):
        return open_array(np.load(io.BytesIO(data), allow_pickle=False), label)


def open_array(array: Any, label: str = "the array") -> Table:
    """Rows of (user, item[, value[, time]]), a structured array, or a matrix of users by items with NaN for nothing."""
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
            f"{label} is a full matrix of {array.shape[0]:,} by {array.shape[1]:,}, in which a 0 cannot be told from"
            " nothing; give a scipy.sparse matrix, or NaN where there is nothing"
        )
    users, items = np.nonzero(~np.isnan(values))
    frame = pl.DataFrame({"user": users, "item": items, "value": values[users, items]})
    return loaded(frame, label, [f"a matrix of {array.shape[0]:,} rows (users) and {array.shape[1]:,} columns (items)"])


def _whole(column: np.ndarray[Any, Any]) -> Any:
    """A column of an array of one type: whole numbers as integers, text and objects as they are."""
    if column.dtype.kind == "f" and np.isfinite(column).all() and (column == np.floor(column)).all():
        return column.astype(np.int64) if np.abs(column).max(initial=0) < 2**53 else column
    return column.tolist() if column.dtype.kind in "OU" else column


def _real(values: Any, label: str) -> Any:
    if values.dtype.kind not in "biuf":
        raise DataError(f"the values of {label} are {values.dtype}; numbers are needed")
    return values.astype(np.float64) if values.dtype.kind in "bf" else values
