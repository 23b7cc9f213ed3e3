"""``python other_systems.py SYSTEM FOLDER``: use all of cofactor in a process that lacks what SYSTEM lacks."""

from __future__ import annotations

import builtins
import os
import shutil
import signal
import sys
import time
import types
import urllib.request  # noqa: F401
from pathlib import Path
from typing import Any

import fastapi.testclient  # noqa: F401  what these do by themselves on another system is theirs
import numba  # noqa: F401
import polars  # noqa: F401
import pytest
import sqlalchemy  # noqa: F401
import threadpoolctl  # noqa: F401
import uvicorn  # noqa: F401

# fmt: off
UNIX_ONLY = [
    "getuid", "geteuid", "getgid", "pread", "pwrite", "posix_fadvise", "fork", "forkpty", "register_at_fork",
    "sched_getaffinity", "getloadavg", "statvfs", "uname", "sysconf", "mkfifo", "fchmod", "killpg", "setsid",
    "O_NOFOLLOW", "O_DIRECTORY", "O_NONBLOCK", "O_CLOEXEC",
]
# fmt: on


def windows() -> None:
    real_open, real_replace, real_fsync = os.open, os.replace, os.fsync
    import fcntl as real

    def opened(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if dir_fd is not None:
            raise NotImplementedError("dir_fd unavailable on this platform")
        if os.path.isdir(path):
            raise PermissionError(13, "Permission denied")
        return real_open(path, flags, mode)

    def fsync(fd: int) -> None:
        if real.fcntl(fd, real.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(9, "Bad file descriptor")
        real_fsync(fd)

    def replace(source: Any, target: Any, **_: Any) -> None:
        """Replace as Windows does: a folder never replaces another, nor a file one that this process has open."""
        if os.path.isdir(target) or _is_open(target):
            raise PermissionError(13, "Access is denied")
        real_replace(source, target)

    def locking(fd: int, mode: int, count: int) -> None:
        assert (mode, count) == (2, 1)
        try:
            real.flock(fd, real.LOCK_EX | real.LOCK_NB)
        except BlockingIOError:
            raise PermissionError(13, "Permission denied") from None

    os.open, os.replace, os.fsync = opened, replace, fsync  # type: ignore[assignment]
    os.supports_dir_fd = set()
    shutil._use_fd_functions = False  # type: ignore[attr-defined]
    for name in UNIX_ONLY:
        if hasattr(os, name):
            delattr(os, name)
    for name in ("SIGKILL", "SIGHUP", "SIGALRM", "SIGUSR1", "setitimer", "pthread_sigmask"):
        delattr(signal, name)
    sys.modules["fcntl"] = sys.modules["resource"] = sys.modules["pwd"] = sys.modules["grp"] = None  # type: ignore[assignment]
    sys.modules["msvcrt"] = types.SimpleNamespace(LK_NBLCK=2, locking=locking)  # type: ignore[assignment]
    sys.platform = "win32"  # type: ignore[misc]
    _no_proc()
    _cp1252()
    import ctypes

    loaded = ctypes.CDLL

    class CDLL(loaded):  # type: ignore[misc, valid-type]
        def __init__(self, name: Any, *more: Any, **options: Any) -> None:
            if name is None:
                raise TypeError("argument of type 'NoneType' is not iterable")
            super().__init__(name, *more, **options)

    ctypes.CDLL = CDLL  # type: ignore[misc, assignment]


def macos() -> None:
    for name in ("sched_getaffinity", "posix_fadvise", "posix_fallocate", "copy_file_range", "memfd_create"):
        if hasattr(os, name):
            delattr(os, name)
    sys.platform = "darwin"  # type: ignore[misc]
    _no_proc()


def _no_proc() -> None:
    """Remove /proc and /sys."""
    real_open, real_list = builtins.open, os.listdir

    def opened(file: Any, *more: Any, **options: Any) -> Any:
        if str(file).startswith(("/proc", "/sys")) and file != "/proc/self/maps":  # this one belongs to threadpoolctl
            raise FileNotFoundError(2, "No such file or directory", str(file))
        return real_open(file, *more, **options)

    def listed(path: Any = ".") -> list[Any]:
        if str(path).startswith(("/proc", "/sys")):
            raise FileNotFoundError(2, "No such file or directory", str(path))
        return real_list(path)

    builtins.open, os.listdir = opened, listed  # type: ignore[assignment]


def _is_open(place: Any) -> bool:
    try:
        there = os.stat(place)
    except FileNotFoundError:
        return False
    for fd in range(3, 256):
        try:
            if os.path.samestat(os.fstat(fd), there):
                return True
        except OSError:
            continue
    return False


def _cp1252() -> None:
    """Write text without an explicit encoding as Windows does."""
    import locale

    locale.getpreferredencoding = lambda *_: "cp1252"  # type: ignore[assignment]
    real_open = builtins.open

    def opened(
        file: Any, mode: str = "r", buffering: int = -1, encoding: Any = None, *more: Any, **options: Any
    ) -> Any:
        if "b" not in mode and encoding is None and not isinstance(file, int):
            encoding = "cp1252"
        return real_open(file, mode, buffering, encoding, *more, **options)

    builtins.open = opened  # type: ignore[assignment]


def use(folder: Path) -> None:
    """Read, examine, train, save, load, update, forget, make all lists, checkpoints, a report, a server."""
    import cofactor as cf
    from cofactor.report import write_report

    table = folder / "ratings.csv"
    rows = [f"ł{u},É{i},{1 + (u * i) % 5}" for u in range(40) for i in range(25) if (u + 2 * i) % 3]
    table.write_text("user,title,rating\n" + "\n".join(rows), encoding="utf-8")
    ratings = cf.read(table)
    cf.check(ratings)
    options = {"model": "als", "n_factors": 3, "calibrate": False}
    rec = cf.fit(ratings, epochs=3, **options)
    place = folder / "m.cofactor"
    for _ in range(2):
        rec.save(place)
    again = cf.load(place, verify=True)
    assert again.recommend(user="ł3", n=5).equals(rec.recommend(user="ł3", n=5))
    for name in ("all.parquet", "all.csv"):
        for _ in range(2):
            rec.recommend_all(n=3, out=folder / name)
    assert rec.update([("ł3", "É1", 5.0)]).forget("ł5").recommend(user="ł3", n=2).height == 2
    for resume in (False, True):
        cf.fit(ratings, epochs=4, checkpoint=folder / "run.ckpt", resume=resume, **options)
    write_report(rec, folder / "report.html")
    assert "É1" in (folder / "report.html").read_text(encoding="utf-8")
    serve(place, folder / "state")


def serve(place: Path, state: Path) -> None:
    """Start a server twice on one state; the second start finds what the first was told."""
    from starlette.testclient import TestClient

    from cofactor.errors import ConfigError
    from cofactor.serve import Settings, create_app

    settings = Settings(model=place, state=state, keep=2)
    for start in range(2):
        with TestClient(create_app(settings), base_url="http://127.0.0.1") as client:
            assert client.get("/health").status_code == 200
            events = [{"user": "ł3", "item": f"É{2 + start}", "rating": 4}]
            assert (told := client.post("/v1/events", json={"events": events})).status_code < 300, told.text
            known = client.get("/v1/user", params={"user": "ł3"}).text
            assert f"É{2 + start}" in known
            for _ in range(3):
                while (made := client.post("/v1/refit", json={})).status_code == 409:  # the last one is still working
                    time.sleep(0.02)
                assert made.status_code < 300, made.text
            with pytest.raises(ConfigError, match="in use"), TestClient(create_app(settings)):
                pass  # two servers do not share a state


if __name__ == "__main__":
    {"windows": windows, "macos": macos}[sys.argv[1]]()
    use(Path(sys.argv[2]))
    print("done")
