"""Ids and side tables as arrays in one file: arrays of ids are named ``id...``, those of the side table ``side...``.

The file's metadata describes the columns. Text ids are stored end to end in ascending order (or with their order beside
them), so that one of millions is found without a Python object for each.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from typing import Any, BinaryIO

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cofactor import _tensors as tensors
from cofactor.bundle import columns, files
from cofactor.data.ids.id_map import IdMap
from cofactor.errors import BundleError, DataError

Array = NDArray[Any]

_ORDER, _LIMIT = "id.order", 10_000
_FACTS = "columns"
FEW = 1 << 16
"""Most text ids that are converted to a column at once, which needs no kernel; larger numbers stay in the file."""


def write(file: BinaryIO, ids: IdMap, table: pl.DataFrame | None) -> None:
    """Write ids and a side table that is aligned with them; BundleError for columns that cannot be saved."""
    arrays: dict[str, Array] = {}
    if ids.dtype == pl.String:
        packed, order, form = ids.packed, ids.order, {"type": "text"}
        arrays |= {"id.offsets": packed.offsets, "id.bytes": packed.data}
        arrays |= {} if order is None else {_ORDER: order.astype(np.uint32, copy=False)}
    else:
        form, arrays = columns.write(ids.values, "id")
    side = None
    if table is not None:
        if len(table) != len(ids):
            raise BundleError(f"the {ids.kind} table has {len(table):,} rows for {len(ids):,} ids")
        side = {}
        for at, column in enumerate(table):
            side[column.name], found = columns.write(column, f"side.{at}")
            arrays |= found
    facts = json.dumps({"id": form, "side": side}, separators=(",", ":"), ensure_ascii=False)
    tensors.write(file, arrays, {_FACTS: facts})


class IdTable:
    """The ids and the side table of ``rows`` users or items, from the bytes of a file (uint8, in memory or mapped).

    BundleError where the arrays do not match the columns. Arrays of texts are not copied.
    """

    def __init__(self, held: Array, kind: str, rows: int, what: str) -> None:
        self.kind, self.rows, self.what, self.held = kind, rows, what, held
        self.arrays = tensors.views(held, what)
        found = tensors.parse_json(tensors.facts(held, what).get(_FACTS, "").encode(), f"{what}: its columns")
        side = found.get("side") if isinstance(found, dict) else None
        if not isinstance(found, dict) or set(found) != {"id", "side"} or not isinstance(side, (dict, type(None))):
            raise BundleError(f"{what} does not describe its columns; save the model again")
        if side is not None and len(side) > _LIMIT:
            raise BundleError(f"{what} has {len(side):,} columns; at most {_LIMIT:,} are allowed")
        self.form, self.side = found["id"], side
        known = {name for name in self.arrays if name.startswith("id")}
        if odd := [name for name in self.arrays if name not in known and not name.startswith("side.")]:
            raise BundleError(f"{what} holds an unknown array {min(odd)!r}")

    def ids(self) -> IdMap:
        """Return the ids, fully checked."""
        left = {name: array for name, array in self.arrays.items() if name.startswith("id")}
        try:
            if self.form == {"type": "text"}:
                order = self._order(left.pop(_ORDER, None))
                packed = columns.packed_text("id", self.rows, lambda name: left.pop(name))
                if self.rows > FEW:
                    packed.check(order, self._let_go)
                    ids = IdMap.of_packed(packed, self.kind, order)
                else:
                    ids = IdMap(packed.to_series(), self.kind)
            else:
                ids = IdMap(columns.read(self.form, "id", self.rows, left.pop, self.what), self.kind)
        except BundleError:
            raise
        except (DataError, ValueError, KeyError) as exc:
            why = f"there is no array {exc}" if isinstance(exc, KeyError) else str(exc)[:200]
            raise BundleError(f"{self.what} does not hold {self.rows:,} {self.kind} ids: {why}") from None
        self._nothing_left(left)
        return ids

    def table(self) -> pl.DataFrame | None:
        """Return the side table, in memory; None where there is none."""
        left = {name: array for name, array in self.arrays.items() if name.startswith("side.")}
        found = [
            columns.read(form, f"side.{at}", self.rows, left.pop, self.what).rename(name)
            for at, (name, form) in enumerate((self.side or {}).items())
        ]
        self._nothing_left(left)
        self._let_go()
        return None if self.side is None else pl.DataFrame(found)

    def _order(self, order: Array | None) -> Array | None:
        if order is not None and (order.dtype != np.uint32 or order.shape != (self.rows,)):
            raise BundleError(f"the array {_ORDER!r} of {self.what} is {order.dtype} {order.shape}")
        return None if order is None else order.view(np.ndarray)

    def _nothing_left(self, arrays: Mapping[str, Array]) -> None:
        if arrays:
            raise BundleError(f"{self.what} holds an unknown array {min(arrays)!r}")

    def _let_go(self) -> None:
        """Release the pages of a mapped file that were read, so that they do not count as this process's memory."""
        mapped = getattr(self.held, "_mmap", None)
        if mapped is not None and hasattr(mmap, "MADV_DONTNEED"):
            with contextlib.suppress(OSError, ValueError):
                mapped.madvise(mmap.MADV_DONTNEED)


def _in_thread(work: Callable[[], str]) -> Future[str]:
    """Run some work in its own thread and return its future; run it at once where no thread can start."""
    found: Future[str] = Future()

    def run() -> None:
        try:
            found.set_result(work())
        except BaseException as error:
            found.set_exception(error)

    try:
        threading.Thread(target=run, daemon=True).start()
    except RuntimeError:
        run()
    return found


class Unread:
    """The unread ids and side table of ``rows`` users or items, in a file that stays open until one of them is read.

    So they belong to the same bundle even if it is replaced meanwhile. ``wanted`` is the manifest's entry for the file;
    ``old`` means that it is Parquet. BundleError for more rows than bytes, for which no arrays may be made.
    """

    def __init__(self, fd: int, wanted: Mapping[str, Any], kind: str, rows: int, what: str, *, old: bool) -> None:
        if rows > wanted["bytes"]:
            raise BundleError(f"{what} cannot hold {rows:,} rows in {wanted['bytes']:,} bytes; save the model again")
        self.fd, self.wanted, self.kind, self.rows, self.what, self.old = os.dup(fd), wanted, kind, rows, what, old
        self._opened: IdTable | tuple[IdMap, pl.DataFrame | None] | None = None
        self._digest: Future[str] | None = None
        self._close = weakref.finalize(self, os.close, self.fd)

    def __len__(self) -> int:
        return self.rows

    def ids(self) -> IdMap:
        """Return the ids, read and checked; BundleError where the file does not match the manifest or is not valid."""
        with self._checked():
            found = self._found(mapped=True)
            return found.ids() if isinstance(found, IdTable) else found[0]

    def table(self) -> pl.DataFrame | None:
        """Return the side table, read and checked in the same way."""
        with self._checked():
            found = self._found(mapped=True)
            return found.table() if isinstance(found, IdTable) else found[1]

    def read(self) -> tuple[IdMap, pl.DataFrame | None]:
        """Return both, in memory."""
        found = self._found(mapped=False)
        return (found.ids(), found.table()) if isinstance(found, IdTable) else found

    @contextlib.contextmanager
    def _checked(self) -> Iterator[None]:
        """Check the digest, which a thread computes during the block. A wrong digest takes precedence over other errors
        of the block."""
        try:
            yield
        finally:
            if self._digest is not None:
                files.check_digest(self._digest.result(), self.wanted, self.what)
                self._digest = None

    def _found(self, mapped: bool) -> IdTable | tuple[IdMap, pl.DataFrame | None]:
        if self._opened is None:
            size = self.wanted["bytes"]
            if mapped and not self.old:
                files.check_size(os.fstat(self.fd).st_size, self.wanted, self.what)
                held = tensors.map_file(self.fd, size)
                self._digest = _in_thread(lambda: files.digest_of(held.data))
                self._opened = IdTable(held, self.kind, self.rows, self.what)
            else:
                content = files.held(self.fd, size)
                files.check_size(len(content), self.wanted, self.what)
                files.check_digest(files.digest_of(content.data), self.wanted, self.what)
                if self.old:
                    from cofactor.bundle.parquet import tables as parquet

                    self._opened = parquet.read(content.tobytes(), self.kind, self.rows, self.what)
                else:
                    self._opened = IdTable(content, self.kind, self.rows, self.what)
            self._close()  # a mapping keeps the file open by itself
        return self._opened
