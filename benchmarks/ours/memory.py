"""The memory of this process."""

from __future__ import annotations

import resource
from pathlib import Path


def peak() -> float:
    """MB of resident memory at most so far.

    From the kernel's own figure where there is one: ``ru_maxrss`` begins with that of the parent process.
    """
    found = _status("VmHWM")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 if found is None else found


def resident() -> float:
    """MB of resident memory now; NaN where the kernel does not say."""
    found = _status("VmRSS")
    return float("nan") if found is None else found


def _status(name: str) -> float | None:
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    line = next(line for line in status.read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) / 1024
