"""Write a Parquet file part by part: the file appears only when complete, and a killed run can be resumed.

Parts are in the folder ``<file>.parts`` beside the file, with the key of the job. Each is written under another name
and renamed. Parts of other jobs are removed. At the end all parts are streamed into one file, which is renamed into
place.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from types import TracebackType
from typing import Self

import polars as pl

from cofactor._locks import try_lock
from cofactor._paths import sync_file
from cofactor.errors import DataError

ROW_GROUP = 100_000
_KEY = "key"


class ParquetParts:
    """A context that joins the parts when its block ends without an error. DataError where files cannot be written, or
    where another run writes the same file."""

    def __init__(self, path: str | Path, key: str, count: int) -> None:
        self.path = Path(path)
        self.folder = self.path.with_name(self.path.name + ".parts")
        self.key, self.count = key, count
        self._lock = -1

    def __enter__(self) -> Self:
        if self.path.is_dir():
            raise DataError(f"cannot write {self.path}: it is a folder; name a file, such as recs.parquet")
        try:
            self.folder.mkdir(exist_ok=True)
            self._lock = _locked(self.folder)
            key = self.folder / _KEY
            if not key.exists() or key.read_text(encoding="utf-8") != self.key:
                for old in self.folder.iterdir():
                    old.unlink()
                _put(key, self.key.encode())
        except OSError as exc:
            self._release()
            raise self._cannot(exc) from exc
        return self

    def has(self, at: int) -> bool:
        """Return whether a part was finished, by this run or by an earlier one."""
        return self._part(at).exists()

    def write(self, at: int, frame: pl.DataFrame) -> None:
        """Write one part. The part is complete once it has its own name."""
        scratch = self.folder / "unfinished"
        try:
            frame.write_parquet(scratch, statistics=False)
            sync_file(scratch)
            os.replace(scratch, self._part(at))
        except (OSError, pl.exceptions.PolarsError) as exc:
            raise self._cannot(exc) from exc

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            if kind is None:
                self._join()
        finally:
            self._release()

    def _join(self) -> None:
        scratch = self.folder / "whole"
        try:
            parts = pl.scan_parquet([self._part(at) for at in range(self.count)], glob=False)
            parts.sink_parquet(scratch, row_group_size=ROW_GROUP, maintain_order=True)
            sync_file(scratch)
            os.replace(scratch, self.path)
            shutil.rmtree(self.folder)
        except (OSError, pl.exceptions.PolarsError) as exc:
            raise self._cannot(exc) from exc

    def _part(self, at: int) -> Path:
        return self.folder / f"{at:06d}.parquet"

    def _cannot(self, exc: Exception) -> DataError:
        why = getattr(exc, "strerror", None) or str(exc).splitlines()[0]
        return DataError(f"cannot write {self.path}: {why}; an earlier file there is unchanged")

    def _release(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def _put(place: Path, content: bytes) -> None:
    scratch = place.with_name("unfinished")
    scratch.write_bytes(content)
    sync_file(scratch)
    os.replace(scratch, place)


def _locked(folder: Path) -> int:
    """Return a descriptor with the folder's lock (-1 where there are no locks); BlockingIOError where another run has
    it."""
    try:
        fd = os.open(folder, os.O_RDONLY)
    except PermissionError:  # Windows cannot open folders
        return -1
    if not try_lock(fd):
        os.close(fd)
        raise BlockingIOError(0, "another run is writing it")
    return fd
