"""Mixed load on a server for a while: answers a second, and whether its memory stays flat.

    python benchmarks/serving_load.py                          ten minutes, one worker, als of ml-1m
    python benchmarks/serving_load.py --seconds 60 --workers 1 2    how much two workers answer beside one
    python benchmarks/serving_load.py --model films.cofactor --connections 16

Of a hundred requests 70 are lists of known users, 12 lists of a history, 6 reasons, 10 newer ratings and 2 batches of
100. Memory is what the processes of the server hold themselves (anonymous pages; files that are mapped, such as the
model and libraries, are shared); the first fifth of the time, in which caches fill, is told apart. The load comes from
processes of its own, which send what they made before: on a machine with as many cores as workers both take from each
other, so the ratio of two workers to one is a lower bound there, and the processor time of one answer says what it
would be elsewhere. ``--cores`` names cores for the load.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import re
import selectors
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parent / "jobs"))
sys.path.insert(0, str(Path(__file__).parent))
from serving import processor_seconds, question

import cofactor as cf

SHARES = {"a known user": 70, "a history of 20": 12, "why": 6, "a newer rating": 10, "100 newer ratings": 2}
MADE = 30_000
"""Requests that each process of the load makes before it begins; they come again in another order."""


class Count(NamedTuple):
    """What one process of the load saw: answers, those that were no success, and its own processor time."""

    answers: int
    wrong: int
    seconds: float


class Found(NamedTuple):
    """Of one server: answers a second, processor milliseconds for one, and MB of memory when the caches were full."""

    rate: float
    milliseconds: float
    memory: float


def requests(seed: int, users: list[Any], items: list[Any]) -> list[bytes]:
    """Requests of all kinds, as they are sent."""
    rng, made = random.Random(seed), []
    for what in rng.choices([*SHARES], [*SHARES.values()], k=MADE):
        method, path, body = question(what, users, items, rng)
        head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        if body is not None:
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        made.append(f"{head}\r\n{body or ''}".encode())
    return made


def load(
    port: int, seconds: float, seed: int, connections: int, users: list[Any], items: list[Any], ready: Any, found: Any
) -> None:
    """Ask for a while over several connections, each with one request at a time."""
    made, rng = requests(seed, users, items), random.Random(seed)
    ready.wait()
    chosen, begun = selectors.DefaultSelector(), time.process_time()
    for _ in range(connections):
        one = socket.create_connection(("127.0.0.1", port))
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        chosen.register(one, selectors.EVENT_READ, bytearray())
        one.sendall(made[rng.randrange(MADE)])
    end, answers, wrong = time.monotonic() + seconds, 0, 0
    while time.monotonic() < end:
        for key, _ in chosen.select(1.0):
            held: bytearray = key.data
            held += key.fileobj.recv(1 << 18)  # type: ignore[union-attr]
            head = held.find(b"\r\n\r\n")
            at = held.find(b"content-length: ", 0, head)
            if head < 0 or len(held) < head + 4 + int(held[at + 16 : held.find(b"\r", at)]):
                continue
            answers += 1
            wrong += held[9:12] != b"200"
            held.clear()
            key.fileobj.sendall(made[rng.randrange(MADE)])  # type: ignore[union-attr]
    found.put(Count(answers, wrong, time.process_time() - begun))


def family(process: int) -> list[int]:
    """A process and those that it started."""
    found = [process]
    for child in Path(f"/proc/{process}/task/{process}/children").read_text().split():
        found += family(int(child))
    return found


def memory(process: int) -> float:
    """MB that the processes of a server hold themselves."""
    total = 0
    for one in family(process):
        text = Path(f"/proc/{one}/smaps_rollup").read_text()
        total += sum(int(kb) for kb in re.findall(r"^Pss_(?:Anon|Shmem): +(\d+) kB", text, re.M))
    return total / 1000


def measured(bundle: Path, data: Any, asked: argparse.Namespace, workers: int) -> Found:
    """What a server with so many workers does; says what was seen."""
    users, items = data.user_ids.values.to_list(), data.item_ids.values.to_list()
    with tempfile.TemporaryDirectory() as state:
        command = [sys.executable, "-m", "cofactor", "serve", str(bundle), "--port", "0", "--no-watch"]
        where = ["--state", f"{state}/state"]
        if asked.database is not None:
            where = ["--state", asked.database, "--versions", f"{state}/versions"]
        command += ["--workers", str(workers), *where]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            ports = (re.search(r"at http://.*?:(\d+)", line) for line in server.stdout)
            port = next(int(found[1]) for found in ports if found)
            context = multiprocessing.get_context("spawn")
            counts, ready = context.Queue(), context.Barrier(asked.clients + 1)
            jobs = [
                context.Process(
                    target=load, args=(port, asked.seconds, seed, asked.connections, users, items, ready, counts)
                )
                for seed in range(asked.clients)
            ]
            for job in jobs:
                job.start()
                if asked.cores:
                    os.sched_setaffinity(job.pid or 0, asked.cores)
            ready.wait()
            begun, used, held = time.monotonic(), sum(map(processor_seconds, family(server.pid))), []
            while (at := time.monotonic() - begun) < asked.seconds:
                held.append((at, memory(server.pid)))
                time.sleep(min(10.0, asked.seconds / 40))
            used = sum(map(processor_seconds, family(server.pid))) - used
            found = [counts.get() for _ in jobs]
            server.terminate()
    answers, wrong = sum(one.answers for one in found), sum(one.wrong for one in found)
    settled = [mb for at, mb in held if at >= asked.seconds / 5]
    half = len(settled) // 2
    first, last = (sum(part) / len(part) for part in (settled[:half], settled[-half:]))
    rate, cost = answers / asked.seconds, 1000 * used / answers
    mine = 1000 * sum(one.seconds for one in found) / answers
    print(f"{workers} workers, {asked.clients} x {asked.connections} connections, {asked.seconds:g} s: ", end="")
    print(f"{rate:.0f} answers a second, {answers:,} in all, {wrong} not a success")
    print(f"  processor time of an answer: {cost:.2f} ms of the server, {mine:.2f} ms of the load")
    print(f"  memory {held[0][1]:.0f} MB at first, then {min(settled):.0f} to {max(settled):.0f} MB;", end="")
    print(f" second half against first half: {100 * (last / first - 1):+.1f} %", flush=True)
    return Found(rate, cost, last)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--workers", type=int, nargs="+", default=[1])
    parser.add_argument("--clients", type=int, default=2, help="processes of the load")
    parser.add_argument("--connections", type=int, default=8, help="of each of them")
    parser.add_argument("--cores", type=int, nargs="*", default=[])
    parser.add_argument("--model", type=Path)
    parser.add_argument("--data", default="ml-1m")
    parser.add_argument("--database", help="a new PostgreSQL database for the state (default: SQLite)")
    asked = parser.parse_args()
    data = cf.load_dataset(asked.data)
    with tempfile.TemporaryDirectory() as folder:
        bundle = asked.model or Path(folder) / "m.cofactor"
        if asked.model is None:
            cf.fit(data, model="als", seed=0, calibrate=False).save(bundle)
        found = [measured(bundle, data, asked, workers) for workers in asked.workers]
    one = found[0]
    for workers, other in zip(asked.workers[1:], found[1:], strict=True):
        print(f"{workers} workers answer {other.rate / one.rate:.2f} times as much as {asked.workers[0]}", end="")
        print(f" here; by the processor time of an answer {one.milliseconds / other.milliseconds:.2f} of", end="")
        print(f" {workers / asked.workers[0]:g} times where each worker has a core and the load runs elsewhere")


if __name__ == "__main__":
    main()
