"""Download an archive with resume, size limit and checksum, and unpack it safely."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import re
import shutil
import stat
import sys
import tempfile
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from cofactor.errors import DatasetError

_CHUNK = 1 << 18
_AGENT = {"User-Agent": "cofactor"}
Advance = Callable[[int, int | None], None]
"""A function of (bytes so far, total bytes or None)."""


def fetch(
    url: str, target: Path, *, md5: str | None = None, limit: int = 1 << 30, tries: int = 3, timeout: float = 30.0
) -> Path:
    """Download ``url`` to ``target``. A partial download is kept beside it and continued.

    ``md5``: the expected checksum; without it, the publisher's ``url + ".md5"`` is used where it exists. Raises
    DatasetError for a wrong checksum (the file is deleted), for more bytes than ``limit``, or if the network fails
    ``tries`` times.
    """
    _secure(url)
    md5 = md5 or published_md5(url, timeout)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    for attempt in range(1, tries + 1):
        try:
            with _progress(target.name) as advance:
                _continue(url, part, limit, timeout, advance)
            break
        except urllib.error.HTTPError as error:
            if error.code < 500 or attempt == tries:
                raise DatasetError(f"{url} answers {error.code} {error.reason}") from None
        except (OSError, http.client.HTTPException) as error:
            if attempt == tries:
                reason = getattr(error, "reason", error)
                raise DatasetError(
                    f"{url} cannot be downloaded ({reason}); check the connection and run again; the download resumes"
                ) from None
    if md5 is not None:
        found = md5_of(part)
        if found != md5.lower():
            part.unlink()
            raise DatasetError(f"{url} has the wrong checksum (md5 {found}, not {md5}); it was deleted; run again")
    os.replace(part, target)
    return target


def published_md5(url: str, timeout: float = 30.0) -> str | None:
    """Return the checksum that the publisher keeps beside the file, or None."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url + ".md5", headers=_AGENT), timeout=timeout) as answer:
            found = re.search(rb"\b[0-9a-fA-F]{32}\b", answer.read(4096))
    except (OSError, http.client.HTTPException):
        return None
    return found.group().decode().lower() if found else None


def md5_of(path: Path) -> str:
    """Return the MD5 of a file as hexadecimal text. Publishers of data still use it; it guards against accidents, not
    attacks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def unpack(archive: Path, target: Path, limit: int = 8 << 30) -> Path:
    """Unpack a zip into the new folder ``target``. A single top-level folder is left out of the paths.

    Nothing is written outside ``target``, no links are made, and at most ``limit`` bytes are written. The folder
    appears under its name only when complete. Raises DatasetError for a damaged archive, and for one that breaks any of
    these rules.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        with zipfile.ZipFile(archive) as zipped:
            members = [info for info in zipped.infolist() if not info.is_dir()]
            paths = [_inside(info, archive) for info in members]
            if sum(info.file_size for info in members) > limit:
                raise DatasetError(f"{archive.name} would unpack to more than {limit:,} bytes; it was not unpacked")
            tops = {path.parts[0] for path in paths}
            strip = len(tops) == 1 and all(len(path.parts) > 1 for path in paths)
            left = limit
            for info, path in zip(members, paths):
                out = work.joinpath(*path.parts[1 if strip else 0 :])
                out.parent.mkdir(parents=True, exist_ok=True)
                with zipped.open(info) as source, out.open("wb") as sink:
                    while chunk := source.read(_CHUNK):
                        left -= len(chunk)
                        if left < 0:
                            raise DatasetError(
                                f"{archive.name} unpacks to more than {limit:,} bytes; it was not unpacked"
                            )
                        sink.write(chunk)
        if target.exists():
            shutil.rmtree(target)
        os.chmod(work, 0o755)
        os.replace(work, target)
    except (zipfile.BadZipFile, zipfile.LargeZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise DatasetError(f"{archive.name} is a damaged archive ({error}); remove {archive} and run again") from None
    except OSError as error:
        raise DatasetError(f"{archive.name} cannot be unpacked to {target}: {error.strerror or error}") from None
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return target


def _inside(info: zipfile.ZipInfo, archive: Path) -> PurePosixPath:
    """Return the path of a member, which must be a plain file inside the archive."""
    path = PurePosixPath(info.filename)
    mode = info.external_attr >> 16
    plain = not stat.S_IFMT(mode) or stat.S_ISREG(mode)
    name = info.filename
    inside = path.parts and not path.is_absolute() and ".." not in path.parts and "\\" not in name and ":" not in name
    if not inside or not plain:
        raise DatasetError(f"{archive.name} holds an unsafe entry {name!r}; it was not unpacked")
    return path


def _continue(url: str, part: Path, limit: int, timeout: float, advance: Advance) -> None:
    """Download the missing rest of ``part``."""
    have = part.stat().st_size if part.exists() else 0
    headers = {**_AGENT, "Range": f"bytes={have}-"} if have else _AGENT
    try:
        answer = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=timeout)
    except urllib.error.HTTPError as error:
        if error.code != 416 or not have:
            raise
        size = re.search(r"/(\d+)$", error.headers.get("Content-Range") or "")
        if size and int(size.group(1)) == have:
            return  # already complete
        part.unlink()
        raise ConnectionError("the file has changed; starting again") from None
    with answer:
        _secure(answer.geturl())
        if have and answer.status != 206:
            have = 0  # the server ignores the range and sends the whole file
        length = answer.headers.get("Content-Length")
        total = have + int(length) if length and length.isdecimal() else None
        if total is not None and total > limit:
            raise DatasetError(f"{url} is {total:,} bytes, more than the {limit:,} expected; it was not downloaded")
        with part.open("ab" if have else "wb") as file:
            while chunk := answer.read(_CHUNK):
                have += len(chunk)
                if have > limit:
                    raise DatasetError(f"{url} sends more than the {limit:,} bytes expected; the download was stopped")
                file.write(chunk)
                advance(have, total)
        if total is not None and have < total:
            raise ConnectionError(f"the connection broke after {have:,} of {total:,} bytes")


def _secure(url: str) -> None:
    """Raise unless the URL is https or on this machine."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost", "::1")):
        raise DatasetError(f"{url} is not https; it was not downloaded")


@contextlib.contextmanager
def _progress(label: str) -> Iterator[Advance]:
    """Show a progress bar on a terminal, and nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(f"downloading {label}", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
