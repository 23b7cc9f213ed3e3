"""Check, before a training starts, whether it fits into the memory that is free for this process."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from cofactor.data.interactions import Interactions
from cofactor.errors import ConfigError
from cofactor.model import HasCost, Model, TableSize

SMALL = 64e6
"""A training that needs less than this is not checked, in bytes."""


def check_memory(model: Model, data: Interactions, free: float | None = None) -> None:
    """Raise ConfigError if training ``model`` on ``data`` needs more memory than is ``free`` (bytes; None: as the
    system says).

    Models without a cost estimate are not checked, and nothing is if the system does not report the free memory.
    """
    if not isinstance(model, HasCost):
        return
    size = TableSize(len(data), data.n_users, data.n_items, 0.0, 0.0, data.times is not None)
    needed = model.cost(model.config, size).memory
    free = free_memory() if free is None and needed >= SMALL else free
    if free is not None and needed > max(free, SMALL):
        raise ConfigError(f"{too_large(model.name, size, needed, free)}; use fewer rows, users or factors")


def too_large(name: str, size: TableSize, needed: float, free: float) -> str:
    """Return the first half of the error message."""
    return (
        f"{name} needs about {in_words(needed)} of memory for {size.ratings:,} rows, {size.users:,} users and"
        f" {size.items:,} items, and {in_words(free)} are free"
    )


def in_words(n: float) -> str:
    """Return a number of bytes in words, such as 1.4 GB."""
    return f"{n / 1e9:.1f} GB" if n >= 1e8 else f"{n / 1e6:.0f} MB"


def free_memory(root: Path = Path("/")) -> float | None:
    """Return the bytes that the process can use before something is swapped out or killed; None if the system does not
    say.

    Linux reports it in ``/proc/meminfo``. A container or a service may have less: the limit of its control group
    (version 1 or 2) or of a parent group. ``root``: the folder of ``proc`` and ``sys``.
    """
    found = [free for free in (_of_system(root), *_of_groups(root)) if free is not None]
    return max(min(found), 0.0) if found else None


def _of_system(root: Path) -> float | None:
    for line in _text(root / "proc/meminfo").splitlines():
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            return float(value.split()[0]) * 1024
    return None


def _of_groups(root: Path) -> list[float | None]:
    """Return what is left of the limit of each control group that holds the process, from its own to the topmost."""
    found = []
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        base = root / ("sys/fs/cgroup/memory" if controllers else "sys/fs/cgroup")
        names = ("limit_in_bytes", "usage_in_bytes", "total_inactive_file") if controllers else _VERSION_2
        group = PurePosixPath("/", *(part for part in path.split("/") if part not in ("", "..")))
        found += [_left(base / str(each).lstrip("/"), *names) for each in (group, *group.parents)]
    return found


_VERSION_2 = ("max", "current", "inactive_file")


def _left(folder: Path, limit: str, usage: str, reclaimed: str) -> float | None:
    most, used = (_text(folder / f"memory.{name}").strip() for name in (limit, usage))
    if not most.isdigit() or not used.isdigit():
        return None
    lines = (line.split() for line in _text(folder / "memory.stat").splitlines())
    cached = next((float(line[1]) for line in lines if line[0] == reclaimed), 0.0)
    return float(most) - float(used) + cached


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
