"""A PostgreSQL server of the tests' own, which only this machine can reach."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

SERVERS = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))


@contextmanager
def postgres_server(*, fsync: bool = False) -> Iterator[str]:
    """The address of a new server; the test is skipped where PostgreSQL or psycopg is not installed."""
    if not SERVERS:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    pytest.importorskip("psycopg")
    folder = Path(tempfile.mkdtemp(prefix="cofactor-pg-"))  # pytest's own folders are closed to others, again and again
    if os.geteuid() == 0:  # it does not run as root
        shutil.chown(folder, "postgres")
    as_other = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []
    bin_ = SERVERS[-1].parent
    quiet = {"check": True, "stdout": subprocess.DEVNULL, "cwd": folder}
    subprocess.run([*as_other, bin_ / "initdb", "-D", folder / "data", "-U", "cofactor", "--auth=trust", "-N"], **quiet)
    port = 20_000 + os.getpid() % 20_000
    command = [*as_other, bin_ / "postgres", "-D", folder / "data", "-p", str(port), "-h", "127.0.0.1", "-k", folder]
    with open(folder / "log", "w") as log:
        options = ["-c", "max_connections=200", "-c", f"fsync={'on' if fsync else 'off'}"]
        server = subprocess.Popen([*command, *options], stdout=log, stderr=log, cwd=folder)
    try:
        for _ in range(300):
            ready = subprocess.run([bin_ / "pg_isready", "-h", "127.0.0.1", "-p", str(port), "-q"], check=False)
            if ready.returncode == 0:
                break
            assert server.poll() is None, (folder / "log").read_text(encoding="utf-8")
            time.sleep(0.02)
        yield f"postgresql://cofactor@127.0.0.1:{port}"
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(30)
        shutil.rmtree(folder, ignore_errors=True)
