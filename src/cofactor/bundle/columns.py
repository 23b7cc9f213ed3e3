"""Conversion of columns of ids and side tables to plain arrays and back: texts become offsets and bytes.

A small JSON object, the *form*, describes a column, such as ``{"type": "text"}`` or ``{"type": "list", "of": {...}}``.
Arrays are named by their path in the form. Every element takes bytes in the file, so a small file cannot expand: the
memory of a column is bounded by a multiple of the size of its arrays.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cofactor.data.ids.packed_text import PackedText
from cofactor.errors import BundleError

Array = NDArray[Any]
Form = dict[str, Any]
Arrays = dict[str, Array]

_DEPTH = 8
_FEW = 2_000
"""Most lists that are made one by one, which needs no threads of polars."""
_LISTED = 1 << 17
"""Most numbers that are passed to polars as a list; for an array it would import numpy.ma, which takes longer."""
_NUMBERS: dict[str, pl.DataType] = {
    "int8": pl.Int8(),
    "int16": pl.Int16(),
    "int32": pl.Int32(),
    "int64": pl.Int64(),
    "uint8": pl.UInt8(),
    "uint16": pl.UInt16(),
    "uint32": pl.UInt32(),
    "uint64": pl.UInt64(),
    "float32": pl.Float32(),
    "float64": pl.Float64(),
    "bool": pl.Boolean(),
}
_UNITS = ("ms", "us", "ns")


def write(column: pl.Series, name: str) -> tuple[Form, Arrays]:
    """Return the form of a column and its arrays, whose names begin with ``name``; BundleError for Python objects."""
    arrays: Arrays = {}
    form = _write(column.rechunk(), name, arrays, 0)
    return form, arrays


def _write(column: pl.Series, name: str, arrays: Arrays, depth: int) -> Form:
    dtype = column.dtype
    if depth > _DEPTH or dtype == pl.Object:
        raise BundleError(f"the column {column.name!r} of type {dtype} cannot be saved; change its type or drop it")
    if dtype == pl.Null:
        arrays[name] = np.zeros(len(column), dtype=np.bool_)
        return {"type": "null"}
    form: Form = {}
    if column.null_count():
        form["gaps"] = True
        arrays[f"{name}.there"] = column.is_not_null().to_numpy()
    for word, number in _NUMBERS.items():
        if dtype == number:
            full = column.fill_null(False if word == "bool" else 0) if column.null_count() else column
            arrays[name] = full.to_numpy()
            return {"type": word, **form}
    if isinstance(dtype, (pl.List, pl.Array)):
        if isinstance(dtype, pl.Array):
            form["width"] = dtype.size
            column = column.arr.to_list()
        counts = column.list.len().fill_null(0).to_numpy()
        arrays[f"{name}.offsets"] = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
        inner = column.filter(column.list.len() > 0).explode()
        return {"type": "list", "of": _write(inner.rechunk(), f"{name}.of", arrays, depth + 1), **form}
    if isinstance(dtype, pl.Struct):
        parts = {
            f.name: _write(column.struct.field(f.name), f"{name}.{at}", arrays, depth + 1)
            for at, f in enumerate(dtype.fields)
        }
        arrays[name] = np.zeros(len(column), dtype=np.bool_)
        return {"type": "struct", "fields": list(parts), "of": list(parts.values()), **form}
    if dtype.is_temporal():
        arrays[name] = column.to_physical().fill_null(0).to_numpy()
        unit, zone = getattr(dtype, "time_unit", None), getattr(dtype, "time_zone", None)
        return {
            "type": type(dtype).__name__.lower(),
            **({"unit": unit} if unit else {}),
            **({"zone": zone} if zone else {}),
            **form,
        }
    if isinstance(dtype, pl.Enum):
        form["words"] = len(dtype.categories)
        _write(dtype.categories, f"{name}.words", arrays, depth + 1)
    if isinstance(dtype, pl.Decimal):
        form["digits"] = [dtype.precision, dtype.scale]
    if dtype == pl.Binary:
        binary = [b or b"" for b in column.to_list()]
        offsets = np.zeros(len(binary) + 1, dtype=np.int64)
        np.cumsum([len(b) for b in binary], out=offsets[1:])
        packed = PackedText(offsets, np.frombuffer(b"".join(binary), dtype=np.uint8))
    else:
        packed = PackedText.of(column.cast(pl.String).fill_null(""))
    arrays[f"{name}.offsets"], arrays[f"{name}.bytes"] = packed.offsets, packed.data
    known: dict[Any, str] = {
        pl.String: "text",
        pl.Binary: "binary",
        pl.Categorical: "category",
        pl.Enum: "enum",
        pl.Decimal: "decimal",
        pl.Int128: "int128",
    }
    if dtype.base_type() not in known:
        raise BundleError(f"the column {column.name!r} of type {dtype} cannot be saved; change its type or drop it")
    return {"type": known[dtype.base_type()], **form}


def read(form: Any, name: str, rows: int, take: Callable[[str], Array], what: str) -> pl.Series:
    """Return the column of a form and arrays. ``take(name)`` returns and removes an array; BundleError where anything
    does not match."""
    try:
        return _read(form, name, rows, take, 0)
    except BundleError:
        raise
    except BaseException as exc:
        if not of_polars(exc):
            raise
        raise BundleError(f"{what}: the column {name!r} cannot be built from its arrays ({str(exc)[:100]})") from None


def of_polars(exc: BaseException) -> bool:
    """Return whether this is an ordinary error or a panic of polars (not an ``Exception``), rather than an
    interrupt."""
    return isinstance(exc, Exception) or type(exc).__name__ == "PanicException"


class _Bad(ValueError):
    pass


def _array(take: Callable[[str], Array], name: str, dtypes: tuple[Any, ...], rows: int | None) -> Array:
    found = take(name)
    if found.ndim != 1 or found.dtype not in dtypes or (rows is not None and len(found) != rows):
        raise _Bad(f"the array {name!r} is {found.dtype} {found.shape}")
    return found.view(np.ndarray)


def packed_text(name: str, rows: int, take: Callable[[str], Array]) -> PackedText:
    """Return texts as stored in the file; offsets other than the first and the last are checked later."""
    offsets = _array(take, f"{name}.offsets", (np.uint32, np.int64), rows + 1)
    data = _array(take, f"{name}.bytes", (np.uint8,), None)
    if offsets[0] != 0 or offsets[-1] != len(data):
        raise _Bad("its offsets do not span its bytes")
    return PackedText(offsets, data)


def _read(form: Any, name: str, rows: int, take: Callable[[str], Array], depth: int) -> pl.Series:
    if not isinstance(form, dict) or not isinstance(form.get("type"), str) or depth > _DEPTH:
        raise _Bad("its form is unknown")
    word = form["type"]
    there = _array(take, f"{name}.there", (np.bool_,), rows) if form.get("gaps") is True else None
    if word in _NUMBERS:
        array = _array(take, name, (np.dtype(word),), rows)
        found = _series(array, _NUMBERS[word])
    elif word == "null":
        _array(take, name, (np.bool_,), rows)
        return pl.Series([None] * rows, dtype=pl.Null)
    elif word == "list":
        offsets = _array(take, f"{name}.offsets", (np.int64,), rows + 1)
        if offsets[0] != 0 or (np.diff(offsets) < 0).any() or offsets[-1] > 1 << 40:
            raise _Bad("its lists overlap")
        inner = _read(form["of"], f"{name}.of", int(offsets[-1]), take, depth + 1)
        found = _lists(inner, offsets)
        if "width" in form:
            width = form["width"]
            found = _masked(found, there).cast(pl.Array(inner.dtype, width))
            return found
    elif word == "struct":
        _array(take, name, (np.bool_,), rows)
        names, forms = form["fields"], form["of"]
        if len(set(names)) != len(names) or len(names) != len(forms) or not names:
            raise _Bad("its fields do not match")
        parts = [
            _read(f, f"{name}.{at}", rows, take, depth + 1).rename(n) for at, (n, f) in enumerate(zip(names, forms))
        ]
        found = pl.DataFrame(parts).to_struct("")
    elif word in ("date", "datetime", "time", "duration"):
        number = np.int32 if word == "date" else np.int64
        days = pl.Int32() if word == "date" else pl.Int64()
        found = _series(_array(take, name, (number,), rows), days).cast(_temporal(word, form))
    else:
        packed = packed_text(name, rows, take)
        if word == "binary":
            cuts, raw = packed._checked(0, rows).tolist(), packed.data.tobytes()
            found = pl.Series([raw[a:b] for a, b in pairwise(cuts)], dtype=pl.Binary)
        else:
            text = packed.to_series()
            words = _words(form, name, take, depth) if word == "enum" else None
            found = text if word == "text" else _masked(text, there).cast(_worded(word, form, words))
    return _masked(found, there)


def _lists(inner: pl.Series, offsets: Array) -> pl.Series:
    """Return the values split into lists."""
    rows = len(offsets) - 1
    if rows <= _FEW:
        values, cuts = inner.to_list(), offsets.tolist()
        return pl.Series([values[a:b] for a, b in pairwise(cuts)], dtype=pl.List(inner.dtype))
    at = np.arange(rows, dtype=np.uint32)
    of = pl.DataFrame({"at": np.repeat(at, np.diff(offsets)), "of": inner}).with_columns(pl.col("at").set_sorted())
    grouped = of.group_by("at", maintain_order=True).agg("of")
    found = pl.DataFrame({"at": at}).join(grouped, on="at", how="left", maintain_order="left")["of"]
    none = pl.lit([], dtype=found.dtype)
    return pl.select(pl.when(found.is_null()).then(none).otherwise(found)).to_series().rename("")


def _masked(found: pl.Series, there: Array | None) -> pl.Series:
    if there is None:
        return found
    return pl.select(pl.when(_series(there, pl.Boolean())).then(found)).to_series().rename("")


def _series(array: Array, dtype: pl.DataType) -> pl.Series:
    return pl.Series(array.tolist(), dtype=dtype) if len(array) <= _LISTED else pl.Series(array)


def _temporal(word: str, form: Form) -> pl.DataType:
    if word == "date":
        return pl.Date()
    if word == "time":
        return pl.Time()
    unit = form["unit"]
    if unit not in _UNITS:
        raise _Bad("its unit of time is unknown")
    return pl.Duration(unit) if word == "duration" else pl.Datetime(unit, form.get("zone"))


def _words(form: Form, name: str, take: Callable[[str], Array], depth: int) -> pl.Series:
    count = form["words"]
    if type(count) is not int or not 0 <= count < 1 << 31:
        raise _Bad("the number of its words is out of range")
    return _read({"type": "text"}, f"{name}.words", count, take, depth + 1)


def _worded(word: str, form: Form, words: pl.Series | None) -> pl.DataType:
    if word == "category":
        return pl.Categorical()
    if words is not None:
        return pl.Enum(words)
    if word == "decimal":
        precision, scale = form["digits"]
        return pl.Decimal(precision, scale)
    if word == "int128":
        return pl.Int128()
    raise _Bad(f"its type {word[:40]!r} is unknown")
