"""Files of object stores and other addresses (``s3://...``), copied here by fsspec where it is installed."""

from __future__ import annotations

import re
import shutil
import tempfile
import weakref
from pathlib import Path
from typing import Any

from cofactor.data.formats.folders import is_pattern, wanted
from cofactor.errors import DataError

_EXTRAS = {"s3": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "abfs": "adlfs", "abfss": "adlfs", "az": "adlfs"}
"""The package that fsspec needs for each protocol."""


def is_url(source: Any) -> bool:
    """Return whether a text is an address such as ``s3://bucket/ratings/`` (and not a path)."""
    return isinstance(source, str) and re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", source) is not None


def files_at(url: str) -> list[str]:
    """Return the addresses of a table's files, in order: the file itself; all files below a folder, except hidden ones
    and names that begin with ``_``; or all matches of a pattern. Raises DataError if there are none."""
    system, path, protocol = _opened(url)
    with _said(url):
        if is_pattern(Path(path)):
            found = [name for name in system.glob(path) if system.isfile(name)]
        elif system.isfile(path):
            return [url]
        else:
            root = path.rstrip("/") + "/"
            found = [name for name in system.find(path) if wanted(Path(name.removeprefix(root)))]
    if not found:
        raise DataError(f"there is no file at {url}; check the address")
    return [f"{protocol}://{name.lstrip('/') if protocol == 'memory' else name}" for name in sorted(found)]


def facts_of(url: str) -> list[Any]:
    """Return the facts that identify a version of the file at an address: its size and the store's version data."""
    system, path, _ = _opened(url)
    with _said(url):
        facts = system.info(path)
    marks = (facts.get(name) for name in ("ETag", "etag", "md5Hash", "mtime", "created", "LastModified"))
    return [facts.get("size"), next((str(mark) for mark in marks if mark is not None), None)]


def fetch(url: str, folder: Path) -> Path:
    """Copy a file into ``folder``. Returns its path there, which keeps the folders of its address."""
    system, path, protocol = _opened(url)
    place = folder / protocol / path.strip("/")
    with _said(url):
        place.parent.mkdir(parents=True, exist_ok=True)
        system.get_file(path, str(place))
    return place


class Fetched:
    """The files at some addresses (or paths), copied into a temporary folder that is deleted with this object.

    ``alone``: the file, if the only address names exactly one; else None.
    """

    def __init__(self, urls: list[str]) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="cofactor-"))
        weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)
        found = [one for url in urls for one in (files_at(url) if is_url(url) else [url])]
        self.files = [fetch(one, self.folder) if is_url(one) else Path(one) for one in found]
        self.alone = self.files[0] if found == urls[:1] and len(urls) == 1 else None


def _opened(url: str) -> tuple[Any, str, str]:
    """Return the file system of an address, the path there, and the protocol."""
    protocol = url.partition("://")[0].lower()
    try:
        import fsspec
    except ImportError:
        extra = _EXTRAS.get(protocol)
        raise DataError(
            f"{url} is an address, which needs fsspec{f' and {extra}' if extra else ''} (pip install"
            f" fsspec{f' {extra}' if extra else ''}); or copy the files here and give their path"
        ) from None
    try:
        system, path = fsspec.core.url_to_fs(url)
    except ImportError as error:
        raise DataError(f"{url} cannot be read: {_first(error)}; or copy the files here and give their path") from None
    except ValueError:
        raise DataError(f"{url} cannot be read: fsspec knows no protocol {protocol!r}; check the address") from None
    except Exception as error:  # any error of the store's client about its settings
        raise DataError(f"{url} cannot be read: {_first(error)}") from None
    return system, str(path), protocol


class _said:
    """Convert any error of a store's client to a DataError that names the address."""

    def __init__(self, url: str) -> None:
        self.url = url

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, FileNotFoundError):
            raise DataError(f"there is no file at {self.url}; check the address") from None
        if isinstance(error, Exception) and not isinstance(error, DataError):
            raise DataError(f"{self.url} cannot be read: {_first(error)}") from None


def _first(error: BaseException) -> str:
    """Return the first line of an error message, or the error's class name."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
