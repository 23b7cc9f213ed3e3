"""Mixed load on a server for a while: answers a second, and whether its memory stays flat.

    python benchmarks/serving_load.py                          ten minutes, one worker, als of ml-1m
    python benchmarks/serving_load.py --seconds 30 --workers 1 2    how much two workers answer beside one
    python benchmarks/serving_load.py --model films.cofactor --clients 4

Of a hundred requests 70 are lists of known users, 12 lists of a history, 6 reasons, 10 newer ratings and 2 batches of
100. Memory is the resident set of all processes of the server, each half a minute; the first fifth, in which caches
fill, is told apart. The load comes from processes of its own: on a machine with as many cores as workers both take
from each other, so the ratio of two workers to one is only a lower bound there; ``--cores`` names cores for the load.
"""

from __future__ import annotations

import argparse
import http.client
import multiprocessing
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent / "jobs"))
sys.path.insert(0, str(Path(__file__).parent))
from serving import question

import cofactor as cf

SHARES = {"a known user": 70, "a history of 20": 12, "why": 6, "a newer rating": 10, "100 newer ratings": 2}


def load(port: int, seconds: float, seed: int, users: list[Any], items: list[Any], found: Any) -> None:
    """Ask for a while, over one connection; puts (answers, those that were no success) into ``found``."""
    rng, connection = random.Random(seed), http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    end, answers, wrong = time.monotonic() + seconds, 0, 0
    while time.monotonic() < end:
        method, path, body = question(rng.choices([*SHARES], [*SHARES.values()])[0], users, items, rng)
        connection.request(method, path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        answers += 1
        wrong += answer.status != 200
    found.put((answers, wrong))


def family(process: int) -> list[int]:
    """A process and those that it started."""
    found = [process]
    for child in Path(f"/proc/{process}/task/{process}/children").read_text().split():
        found += family(int(child))
    return found


def memory(process: int) -> float:
    """MB that the processes of a server hold: what is shared counts once (proportional set size)."""
    total = 0
    for one in family(process):
        text = Path(f"/proc/{one}/smaps_rollup").read_text()
        total += sum(int(kb) for kb in re.findall(r"^Pss: +(\d+) kB", text, re.M))
    return total / 1000


def measured(bundle: Path, data: Any, asked: argparse.Namespace, workers: int) -> float:
    """Answers a second; says what was seen."""
    users, items = data.user_ids.values.to_list(), data.item_ids.values.to_list()
    with tempfile.TemporaryDirectory() as state:
        command = [sys.executable, "-m", "cofactor", "serve", str(bundle), "--port", "0", "--no-watch"]
        command += ["--workers", str(workers), "--state", f"{state}/state"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            ports = (re.search(r"at http://.*?:(\d+)", line) for line in server.stdout)
            port = next(int(found[1]) for found in ports if found)
            context = multiprocessing.get_context("spawn")
            counts = context.Queue()
            jobs = [
                context.Process(target=load, args=(port, asked.seconds, seed, users, items, counts))
                for seed in range(asked.clients)
            ]
            for job in jobs:
                job.start()
                if asked.cores:
                    os.sched_setaffinity(job.pid or 0, asked.cores)
            begun, held = time.monotonic(), []
            while any(job.is_alive() for job in jobs):
                held.append((time.monotonic() - begun, memory(server.pid)))
                for job in jobs:
                    job.join(30 / asked.clients if asked.seconds > 120 else 1)
            found = [counts.get() for _ in jobs]
            server.terminate()
    answers, wrong = sum(a for a, _ in found), sum(w for _, w in found)
    settled = [mb for at, mb in held if at >= asked.seconds / 5] or [held[-1][1]]
    half = max(1, len(settled) // 2)
    first, last = (sum(part) / len(part) for part in (settled[:half], settled[-half:]))
    rate = answers / asked.seconds
    print(f"{workers} workers, {asked.clients} clients, {asked.seconds:g} s: {rate:.0f} answers a second, ", end="")
    print(f"{answers:,} in all, {wrong} not a success")
    print(f"  memory {held[0][1]:.0f} MB at first, then {min(settled):.0f} to {max(settled):.0f} MB;", end="")
    print(f" second half against first half: {100 * (last / first - 1):+.1f} %", flush=True)
    return rate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--workers", type=int, nargs="+", default=[1])
    parser.add_argument("--clients", type=int, default=2)
    parser.add_argument("--cores", type=int, nargs="*", default=[])
    parser.add_argument("--model", type=Path)
    parser.add_argument("--data", default="ml-1m")
    asked = parser.parse_args()
    data = cf.load_dataset(asked.data)
    with tempfile.TemporaryDirectory() as folder:
        bundle = asked.model or Path(folder) / "m.cofactor"
        if asked.model is None:
            cf.fit(data, model="als", seed=0, calibrate=False).save(bundle)
        rates = [measured(bundle, data, asked, workers) for workers in asked.workers]
    for workers, rate in zip(asked.workers[1:], rates[1:], strict=True):
        print(f"{workers} workers answer {rate / rates[0]:.2f} times as much as {asked.workers[0]}")


if __name__ == "__main__":
    main()
