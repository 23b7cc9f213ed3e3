"""The peak memory of this process."""

from __future__ import annotations

import resource
from pathlib import Path


def peak() -> float:
    """MB of resident memory at most so far.

    From the kernel's own figure where there is one: ``ru_maxrss`` begins with that of the parent process.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
