"""A training in blocks on paper: tasks, bytes and minutes for a table and a cluster, from measured unit costs.

    python benchmarks/cluster_plan.py measure                       # unit costs of this machine's core -> results/
    python benchmarks/cluster_plan.py plan --ratings 2e10 --users 1e8 --items 1e6 --cores 1024 --factors 64
    python benchmarks/cluster_plan.py check                         # the plan of a small training, beside the training

The plan lists every map of ``engines.fit(..., "als")``: how many tasks, how many bytes each reads and writes, how long
it works. A simulation gives the tasks to cores one by one, each free core the next task, at the bandwidth that the
shared folder has for all; the driver waits for the last. Work grows with ratings, rows and factors as the measured
constants say; what a task costs besides (``--task``) is the cluster's. ``tests/engines/test_plan.py`` holds tasks and
bytes against the folder of a training.
"""

from __future__ import annotations

import argparse
import heapq
import json
import math
import shutil
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

UNITS = Path(__file__).parent / "results" / "unit_costs.json"
PART_ROWS, RANGE_IDS, CHUNK = 4_000_000, 2_000_000, 256


@dataclass(frozen=True)
class Units:
    """Nanoseconds of a core for each rating in each step; of a solve for each rating, and for each rating and factor
    squared (at the 100 to 300 ratings a row of the table that is measured)."""

    read: float
    ids: float
    encode: float
    group: float
    turn: float
    bias: float
    solve: float
    solve_factor2: float


@dataclass(frozen=True)
class Table:
    """What is trained on: ``k`` factors, ``epochs`` sweeps."""

    ratings: float
    users: float
    items: float
    k: int
    epochs: int


@dataclass(frozen=True)
class Map:
    """A map: ``tasks`` alike, each with so many bytes and so many seconds of work; ``times``: how often it is done."""

    name: str
    tasks: int
    reads: float
    writes: float
    seconds: float
    times: int = 1


def block_of(n: float, workers: int, block_rows: int) -> int:
    """Rows of a block, as ``engines.prepare.cut`` makes them."""
    return max(1, min(block_rows // CHUNK, math.ceil(n / (4 * workers * CHUNK)))) * CHUNK


def needed(n: float, draws: float) -> float:
    """About how many of ``n`` things are met in so many draws (all alike: popular ones make it fewer)."""
    return n * -math.expm1(-draws / n) if n else 0.0


def plan(t: Table, workers: int, units: Units, block_rows: int = 65_536) -> list[Map]:
    """The maps of a training, in order. Ids are integers of 8 bytes; there are no times."""
    n, d = t.ratings, t.k + 1
    parts = math.ceil(n / PART_ROWS)
    rows = n / parts
    ids = needed(t.users, rows) + needed(t.items, rows)
    ranges = sum(math.ceil(parts * needed(size, rows) / RANGE_IDS) for size in (t.users, t.items))
    blocks = {s: math.ceil(size / block_of(size, workers, block_rows)) for s, size in (("u", t.users), ("i", t.items))}
    each = {s: n / count for s, count in blocks.items()}
    need = {"u": needed(t.items, each["u"]), "i": needed(t.users, each["i"])}
    size = {"u": t.users / blocks["u"], "i": t.items / blocks["i"]}

    def ns(unit: float, count: float) -> float:
        return 1e-9 * unit * count

    found = [
        Map("read", parts, 12 * rows, 12 * rows + 8 * ids, ns(units.read, rows)),
        Map("ids", ranges, 8 * parts * ids / ranges, 8 * (t.users + t.items) / ranges, ns(units.ids, n / ranges)),
        Map("encode", parts, 12 * rows + 8 * (t.users + t.items), 12 * rows, ns(units.encode, rows)),
        Map(
            "group users",
            blocks["u"],
            12 * each["u"],
            20 * each["u"] + 8 * size["u"] + 4 * need["u"],
            ns(units.group, each["u"]),
        ),
        Map(
            "group items",
            blocks["i"],
            12 * each["i"],
            8 * each["i"] + 8 * size["i"] + 4 * need["i"],
            ns(units.turn, each["i"]),
        ),
    ]
    for name, s in (("items", "i"), ("users", "u")):
        found.append(
            Map(
                f"biases of {name}",
                blocks[s],
                8 * each[s] + 8 * size[s] + 12 * need[s],
                8 * size[s],
                ns(units.bias, each[s]),
                times=2,
            )
        )
    for name, s in (("items", "i"), ("users", "u")):
        work = ns(units.solve + units.solve_factor2 * t.k**2, each[s])
        reads = 8 * each[s] + 8 * size[s] + (4 + 8 * d) * need[s]
        found.append(Map(f"solve {name}", blocks[s], reads, 8 * d * size[s], work, times=t.epochs))
    return found


def makespan(m: Map, cores: int, task_seconds: float, bandwidth: float) -> float:
    """Seconds of a map: each free core takes the next task; all share the bandwidth (bytes a second) of the folder."""
    share = bandwidth / min(cores, m.tasks)
    one = task_seconds + m.seconds + (m.reads + m.writes) / share
    free = [0.0] * min(cores, m.tasks)
    for _ in range(m.tasks):
        heapq.heappush(free, heapq.heappop(free) + one)
    return max(free)


def largest_folder(maps: list[Map]) -> float:
    """Bytes of the work folder at its largest: when users are grouped, and encoded rows are still there."""
    written = {m.name: m.tasks * m.writes for m in maps}
    return written["encode"] + written["group users"] + written["ids"]


def measure() -> Units:
    """The constants, from trainings of a made table by one process, with two numbers of factors."""
    from blocks import make
    from clocked import Clocked

    from cofactor import engines

    folder = Path(tempfile.mkdtemp())
    n, n_users, n_items = 1_000_000, 10_000, 3_000
    found: dict[tuple[str, int], float] = {}
    try:
        make(folder / "small", 50_000, 1_000, 500)
        make(folder / "table", n, n_users, n_items)
        with engines.processes(1) as pool:
            for rows, k in (("small", 16), ("table", 16), ("table", 64)):  # the first one compiles
                clocked, place = Clocked(pool), folder / f"{rows}-{k}"
                place.mkdir()
                engines.fit(folder / rows, "als", place / "w", place / "m", executor=clocked, n_factors=k, epochs=2)
                for name in {m.name for m in clocked.maps}:  # the mean of its maps
                    mine = [m.processor for m in clocked.maps if m.name == name]
                    found[name, k] = sum(mine) / len(mine)
    finally:
        shutil.rmtree(folder)
    small, large = found["solve_task", 16] * 1e9 / n, found["solve_task", 64] * 1e9 / n
    slope = (large - small) / (64**2 - 16**2)
    one = {name: found[name, 16] * 1e9 / n for name in ("read_task", "merge_ids", "encode_part", "bias_task")}
    return Units(
        one["read_task"],
        one["merge_ids"],
        one["encode_part"],
        found["group_users", 16] * 1e9 / n,
        found["group_items", 16] * 1e9 / n,
        one["bias_task"],
        max(small - slope * 16**2, 0.0),
        slope,
    )


def show(t: Table, cores: int, units: Units, task_seconds: float, bandwidth: float) -> float:
    """Print the plan; returns its minutes."""
    total = 0.0
    maps = plan(t, cores, units)
    print(f"{t.ratings:,.0f} ratings, {t.users:,.0f} users, {t.items:,.0f} items, {t.k} factors, {t.epochs} sweeps;")
    print(f"{cores} cores, {bandwidth / 1e9:g} GB/s of the shared folder, {task_seconds:g} s a task besides its work")
    print(f"{'map':18}{'times':>6}{'tasks':>8}{'MB read':>9}{'MB written':>11}{'s of work':>10}{'minutes':>9}")
    for m in maps:
        minutes = m.times * makespan(m, cores, task_seconds, bandwidth) / 60
        total += minutes
        sizes = f"{m.reads / 1e6:9.0f}{m.writes / 1e6:11.0f}"
        print(f"{m.name:18}{m.times:6}{m.tasks:8,}{sizes}{m.seconds:10.2f}{minutes:9.1f}")
    model = 4 * (t.k + 1) * (t.users + 2 * t.items)
    print(f"{total:.0f} minutes; the folder holds {largest_folder(maps) / 1e9:.1f} GB at most", end="; ")
    items = 8 * (t.k + 1) * t.items
    print(f"the model {model / 1e9:.1f} GB, of which items, which a server needs, {items / 1e9:.2f} GB")
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("measure", "plan", "check"))
    parser.add_argument("--ratings", type=float, default=2e10)
    parser.add_argument("--users", type=float, default=1e8)
    parser.add_argument("--items", type=float, default=1e6)
    parser.add_argument("--factors", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--cores", type=int, default=1024)
    parser.add_argument("--task", type=float, default=0.1, help="seconds that a task costs besides its work")
    parser.add_argument("--bandwidth", type=float, default=20e9, help="of the shared folder, bytes a second for all")
    asked = parser.parse_args()
    if asked.what == "measure":
        units = measure()
        UNITS.write_text(json.dumps(asdict(units), indent=2) + "\n")
        print(json.dumps(asdict(units)))
        return
    units = Units(**json.loads(UNITS.read_text()))
    if asked.what == "plan":
        t = Table(asked.ratings, asked.users, asked.items, asked.factors, asked.epochs)
        show(t, asked.cores, units, asked.task, asked.bandwidth)
        return
    from blocks import fit, make
    from clocked import Clocked

    from cofactor import engines

    folder = Path(tempfile.mkdtemp())
    try:
        make(folder / "r", 4_000_000, 40_000, 6_000)
        minutes = show(Table(4e6, 4e4, 6e3, 16, 4), 2, units, 0.002, 1e9)
        with engines.processes(2) as pool:
            fit(folder / "r", "als", 1, Clocked(pool), 65_536)  # compiles
            clocked = Clocked(pool)
            fit(folder / "r", "als", 4, clocked, 65_536)
        spent = sum(m.seconds for m in clocked.maps)
        work = sum(m.processor for m in clocked.maps) / 2
        print(f"planned {60 * minutes:.1f} s, the maps took {spent:.1f} s, the processor {work:.1f} s on each core")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
