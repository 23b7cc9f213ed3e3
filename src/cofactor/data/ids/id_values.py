"""Convert ids in any form to a series of one type that can be compared and stored."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any
from uuid import UUID

import numpy as np
import polars as pl

from cofactor.data.arrays import Array
from cofactor.errors import DataError


def type_in_words(dtype: pl.DataType) -> str:
    if dtype == pl.String:
        return "text"
    if dtype.is_numeric():
        return "numbers"
    return "dates" if dtype.is_temporal() else str(dtype)


def as_int64(values: pl.Series) -> Array:
    """Return integers as read-only int64: one type for the kernels, whatever the column's type."""
    array: Array = values.to_numpy().astype(np.int64, copy=False)
    array = array.view()
    array.flags.writeable = False
    return array


def plain_ids(values: pl.Series, kind: str) -> pl.Series:
    """Return ids in a type that can be compared and stored. Categories and bytes become text; whole numbers of other
    types become 64-bit integers, or else text. Booleans and nested values are refused."""
    if values.dtype in (pl.Categorical, pl.Enum):
        return values.cast(pl.String)
    if values.dtype == pl.Null and not len(values):
        return values.cast(pl.String)
    if values.dtype in (pl.Decimal, pl.Int128):
        return whole_numbers(values)
    if values.dtype == pl.Binary:
        return bytes_as_text(values)
    if values.dtype == pl.Boolean or values.dtype.is_nested() or values.dtype in (pl.Object, pl.Null):
        raise DataError(f"{kind} ids of type {values.dtype} cannot be used; give integers, text or dates")
    return values


def whole_numbers(values: pl.Series) -> pl.Series:
    """Return decimals and 128-bit integers as 64-bit integers if all fit, else as text."""
    for dtype in (pl.Int64, pl.UInt64):
        found = values.cast(dtype, strict=False)
        if found.null_count() == values.null_count() and (found.cast(values.dtype, strict=False) == values).all():
            return found
    return values.cast(pl.String)


def as_text(value: Any) -> Any:
    """Return the text form of a UUID or of bytes, and anything else unchanged.

    Bytes that are valid text become that text; 16 other bytes become a UUID, the form in which databases give it; all
    others become hexadecimal digits.
    """
    if isinstance(value, UUID):
        return str(value)
    if not isinstance(value, bytes):
        return value
    with suppress(UnicodeDecodeError):
        if (text := value.decode()).isprintable():
            return text
    return str(UUID(bytes=value)) if len(value) == 16 else value.hex()


def bytes_as_text(values: pl.Series) -> pl.Series:
    """Convert a column of bytes to text, each value by itself (:func:`as_text`)."""
    found = values.drop_nulls().unique()
    texts = pl.Series([as_text(one) for one in found.to_list()], dtype=pl.String)
    known = pl.DataFrame({"raw": found, "text": texts})
    return (
        values.rename("raw")
        .to_frame()
        .join(known, on="raw", how="left", maintain_order="left")["text"]
        .rename(values.name)
    )


def uuids_as_text(values: Sequence[Any]) -> list[Any]:
    """Return the same values, with UUIDs as text."""
    return [str(v) if isinstance(v, UUID) else v for v in values]


def as_series(values: Sequence[Any] | pl.Series | Array, kind: str) -> pl.Series:
    if type(values) is list and (plain := _plain(values)) is not None:
        return plain
    if isinstance(values, pl.Series) and values.dtype != pl.Object:
        if values.dtype in (pl.Decimal, pl.Int128):
            return whole_numbers(values)
        if values.dtype == pl.Binary:
            return bytes_as_text(values)
        return values.cast(pl.String) if values.dtype in (pl.Categorical, pl.Enum) else values
    if isinstance(values, np.ndarray) and values.dtype.kind in "iufU":
        return pl.Series(values=values)
    listed = [v.item() if isinstance(v, np.generic) else v for v in _listed(values)]
    listed = [as_text(v) for v in listed]
    mixed_check(listed, f"{kind} ids")
    try:
        return pl.Series(values=listed)
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError):
        raise DataError(f"some {kind} ids are neither numbers nor text nor dates") from None


def _plain(values: list[Any]) -> pl.Series | None:
    """Return a series of 64-bit whole numbers or of texts; None for any other list. This is the fast path for a server,
    which looks up a few ids at a time."""
    types = set(map(type, values))
    try:
        if types == {str}:
            return pl.Series(values=values, dtype=pl.String)
        return pl.Series(values=np.array(values, dtype=np.int64)) if types == {int} else None
    except (OverflowError, UnicodeEncodeError):  # a lone surrogate is not text
        return None


def _listed(values: Iterable[Any]) -> list[Any]:
    return values.tolist() if isinstance(values, np.ndarray) else list(values)


def mixed_check(values: Sequence[Any], what: str) -> None:
    """Raise DataError, naming the row and the types, if a list of ids holds more than one type, apart from None."""
    types = {type(v) for v in values} - {type(None)}
    if len(types) <= 1 or types <= {int, float}:
        return
    first = next(v for v in values if v is not None)
    row = next(r for r, v in enumerate(values) if v is not None and type(v) is not type(first))
    odd = values[row]
    raise DataError(
        f"{what} mix types: {odd!r} in row {row + 1} is {type(odd).__name__}, but {first!r} is"
        f" {type(first).__name__};"
        f" make them all text or all whole numbers"
    )
