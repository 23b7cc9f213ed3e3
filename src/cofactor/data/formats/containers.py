"""Unpack compressed files and archives to the bytes of the one table inside."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

import polars as pl

from cofactor.data.tables import sound
from cofactor.errors import DataError

_ASIDE = ("readme", "license", "licence", "changelog", "__macosx", "_success", ".ds_store", "thumbs.db")


def is_zip(head: bytes) -> bool:
    return head[:4] in (b"PK\x03\x04", b"PK\x05\x06")


def compression(head: bytes) -> str | None:
    """Return the compression that the first bytes of a file indicate: gzip, bzip2, xz, zstd, zlib; else None."""
    marks = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
    return next((name for mark, name in marks.items() if head.startswith(mark)), None)


def is_tar(data: bytes) -> bool:
    return data[257:262] == b"ustar"


def decompress(data: bytes, how: str, label: str) -> bytes:
    """Decompress the bytes of a file. Raises DataError if it is damaged or truncated."""
    by: dict[str, Callable[[bytes], bytes]] = {
        "gzip": gzip.decompress,
        "bzip2": bz2.decompress,
        "xz": lzma.decompress,
        "zstd": _zstd,
    }
    try:
        return by[how](data)
    except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError) as error:
        raise DataError(f"{label} is a damaged {how} file: {error}") from None


def _zstd(data: bytes) -> bytes:
    """Decompress zstd with whichever library is installed. polars itself reads compressed text, as one column of
    lines."""
    for library in (_zstd_of_python, _zstd_of_zstandard, _zstd_of_pyarrow):
        try:
            return library(data)
        except ImportError:
            continue
    try:
        lines = pl.read_csv(
            io.BytesIO(data), has_header=False, separator="\x01", quote_char=None, schema={"line": pl.String}
        )
    except pl.exceptions.PolarsError:
        raise DataError("this zstd file needs pyarrow or zstandard: pip install zstandard") from None
    return "\n".join(lines["line"].fill_null("")).encode() + b"\n"


def _zstd_of_python(data: bytes) -> bytes:
    from compression import zstd  # type: ignore[import-not-found]  # Python 3.14

    found: bytes = zstd.decompress(data)
    return found


def _zstd_of_zstandard(data: bytes) -> bytes:
    import zstandard  # type: ignore[import-not-found]

    try:
        with zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data), read_across_frames=True) as stream:
            found: bytes = stream.read()
        return found
    except zstandard.ZstdError as error:
        raise OSError(str(error)) from None


def _zstd_of_pyarrow(data: bytes) -> bytes:
    import pyarrow as pa

    found: bytes = pa.CompressedInputStream(pa.BufferReader(data), "zstd").read()
    return found


def member(source: Any, label: str, table: str | None) -> tuple[str, bytes]:
    """Return (name, bytes) of the only table of a zip archive, or of the one called ``table``. ``source``: a path or
    file."""
    with sound(label, "a damaged zip archive"), zipfile.ZipFile(source) as archive:
        names = [info.filename for info in archive.infolist() if not info.is_dir()]
        name = chosen(names, label, table)
        if archive.getinfo(name).flag_bits & 1:
            raise DataError(f"{label} is encrypted; unpack it and give the file inside")
        return name, archive.read(name)


def tar_member(data: bytes, label: str, table: str | None) -> tuple[str, bytes]:
    """Return the same for a tar archive."""
    with sound(label, "a damaged tar archive"), tarfile.open(fileobj=io.BytesIO(data)) as archive:
        files = {entry.name: entry for entry in archive.getmembers() if entry.isfile()}
        name = chosen(list(files), label, table)
        file = archive.extractfile(files[name])
        return name, file.read() if file is not None else b""


def chosen(names: list[str], label: str, table: str | None) -> str:
    """Return the only name that can be a table, or the one asked for. Raises DataError if there is not exactly one."""
    if table is not None:
        found = [name for name in names if name == table] or [name for name in names if name.endswith(f"/{table}")]
        if len(found) == 1:
            return found[0]
        raise DataError(f"{label} has no file {table!r}; there are: {_listed(names)}")
    tables = [name for name in names if not _aside(name)]
    if len(tables) == 1:
        return tables[0]
    if not tables:
        raise DataError(f"{label} contains no file that could be a table")
    raise DataError(
        f"{label} has {len(tables)} files ({_listed(tables)}); name the table with table=... (on the command line"
        " --table)"
    )


def _aside(name: str) -> bool:
    parts = name.lower().split("/")
    return parts[0] == "__macosx" or parts[-1].startswith((".", "_")) or parts[-1].startswith(_ASIDE)


def _listed(names: list[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
