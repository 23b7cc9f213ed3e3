"""Named arrays in one file, in the safetensors layout: 8 bytes of length, a JSON header, then the raw numbers.

This is a separate reader because it must not trust the file: it checks every offset, length, shape and type before it
makes an array, and never allocates more than the file holds.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from cofactor.errors import BundleError

Array = NDArray[Any]

TYPES: dict[str, np.dtype[Any]] = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "I16": np.dtype("<i2"),
    "I8": np.dtype("i1"),
    "U64": np.dtype("<u8"),
    "U32": np.dtype("<u4"),
    "U16": np.dtype("<u2"),
    "U8": np.dtype("u1"),
    "BOOL": np.dtype("?"),
}
_NAMES = {dtype: name for name, dtype in TYPES.items()}
_HEADER_LIMIT = 4 << 20
_COUNT_LIMIT = 10_000
_DIM_LIMIT = 8
_METADATA = "__metadata__"


def write(file: BinaryIO, arrays: Mapping[str, Array], facts: Mapping[str, str] | None = None) -> None:
    """Write arrays in a fixed order: the widest types first (so that each is aligned), then by name.

    ``facts`` are texts by name, stored as the format's metadata.
    """
    for name, array in arrays.items():
        if array.dtype.newbyteorder("<") not in _NAMES:
            raise BundleError(f"the array {name!r} has type {array.dtype}, which cannot be saved")
    order = sorted(arrays, key=lambda name: (-arrays[name].dtype.itemsize, name))
    header: dict[str, Any] = {_METADATA: dict(facts)} if facts else {}
    at = 0
    for name in order:
        array = arrays[name]
        kind, end = _NAMES[array.dtype.newbyteorder("<")], at + array.nbytes
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [at, end]}
        at = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(len(text) + 8) % 64)
    if len(text) > _HEADER_LIMIT or len(arrays) > _COUNT_LIMIT:
        raise BundleError(f"there are {len(arrays):,} arrays, more than a bundle can hold")
    file.write(len(text).to_bytes(8, "little") + text)
    for name in order:
        array = arrays[name]
        flat = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).reshape(-1)
        if flat.nbytes:
            file.write(flat.view(np.uint8).data)


def mapped(fd: int, size: int, what: str) -> dict[str, Array]:
    """Return the arrays of an open file as ``numpy.memmap`` views, whose pages are read when first used.

    Writing to an array changes private copies of pages, never the file.
    """
    if size < 8:
        raise BundleError(f"{what} is cut short: {size} bytes")
    return views(map_file(fd, size), what)


def map_file(fd: int, size: int) -> Array:
    """Return the bytes of an open file, at least one, as a ``numpy.memmap`` of private pages."""
    with os.fdopen(os.dup(fd), "rb") as file:
        return np.memmap(file, dtype=np.uint8, mode="c", shape=(size,))


def views(held: Array, what: str) -> dict[str, Array]:
    """Return the arrays of a file as views of its bytes (uint8)."""
    header, start = _header(held, what)
    spans = []
    for name, entry in header.items():
        dtype, shape, lo, hi = _entry(name, entry, what)
        spans.append((lo, hi, name, dtype, shape))
    arrays, at = {}, 0
    for lo, hi, name, dtype, shape in sorted(spans, key=lambda span: (span[0], span[1])):
        if lo != at:
            raise BundleError(f"{what}: the array {name!r} begins at byte {lo}, not at {at}; arrays must be adjacent")
        if start + hi > len(held):
            raise BundleError(f"{what} is cut short: the array {name!r} ends at byte {start + hi} of {len(held)}")
        if (start + lo) % dtype.itemsize:
            raise BundleError(f"{what}: the array {name!r} is not aligned to its type")
        raw = held[start + lo : start + hi]
        if dtype == np.bool_ and raw.size and raw.max() > 1:
            raise BundleError(f"{what}: the array {name!r} holds bytes other than 0 and 1")
        arrays[name], at = raw.view(dtype).reshape(shape), hi
    if start + at != len(held):
        raise BundleError(f"{what} has {len(held)} bytes, but its header describes {start + at}")
    return arrays


def facts(held: Array, what: str) -> dict[str, str]:
    """Return the metadata texts of a file, from this or any other writer."""
    header, _ = _read_header(held, what)
    return dict(header.get(_METADATA, {}))


def _header(held: Array, what: str) -> tuple[dict[str, Any], int]:
    """Return (the entries of all arrays, the offset of the numbers)."""
    header, start = _read_header(held, what)
    return {name: entry for name, entry in header.items() if name != _METADATA}, start


def _read_header(held: Array, what: str) -> tuple[dict[str, Any], int]:
    """Return (the header with its metadata, the offset of the numbers)."""
    if len(held) < 8:
        raise BundleError(f"{what} is cut short: {len(held)} bytes")
    length = int.from_bytes(held[:8].tobytes(), "little")
    if length > _HEADER_LIMIT:
        raise BundleError(f"{what} claims a header of {length:,} bytes; at most {_HEADER_LIMIT:,} are allowed")
    if 8 + length > len(held):
        raise BundleError(f"{what} is cut short within its header")
    header = parse_json(held[8 : 8 + length].tobytes(), what)
    if not isinstance(header, dict) or len(header) > _COUNT_LIMIT:
        raise BundleError(f"{what} has a header that is not a list of arrays")
    extra = header.get(_METADATA, {})
    if not isinstance(extra, dict) or not all(isinstance(text, str) for text in extra.values()):
        raise BundleError(f"{what} has metadata that is not text by name")
    return header, 8 + length


def _entry(name: str, entry: Any, what: str) -> tuple[np.dtype[Any], tuple[int, ...], int, int]:
    """Return (type, shape, first byte, end) of one array."""
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise BundleError(f"{what}: the entry of the array {name!r} must have exactly dtype, shape and data_offsets")
    kind, shape, place = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(kind, str) or kind not in TYPES:
        raise BundleError(f"{what}: the array {name!r} has a type that is not allowed")
    if not _sizes(shape) or len(shape) > _DIM_LIMIT or not _sizes(place) or len(place) != 2:
        raise BundleError(f"{what}: the array {name!r} has a shape or offsets that are not a list of sizes")
    dtype = TYPES[kind]
    if math.prod(max(n, 1) for n in shape) * dtype.itemsize >= 1 << 62:  # empty, but too large for NumPy
        raise BundleError(f"{what}: the array {name!r} has an impossible shape")
    if math.prod(shape) * dtype.itemsize != place[1] - place[0]:
        raise BundleError(
            f"{what}: the array {name!r} of shape {tuple(shape)} needs {math.prod(shape) * dtype.itemsize} bytes,"
            f" not {place[1] - place[0]}"
        )
    return dtype, tuple(shape), place[0], place[1]


def _sizes(value: Any) -> bool:
    return isinstance(value, list) and all(type(n) is int and 0 <= n < 1 << 62 for n in value)


def parse_json(text: bytes, what: str) -> Any:
    """Parse strict JSON: UTF-8, no duplicate keys, no NaN; BundleError for anything else, too deep nesting included."""
    try:
        return json.loads(text.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError) as exc:
        raise BundleError(f"{what} is not valid JSON ({_short(exc)}); save the model again") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a duplicate name")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


def _short(exc: BaseException) -> str:
    return str(exc)[:100]
