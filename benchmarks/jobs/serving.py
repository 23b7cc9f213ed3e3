"""The server: how long an answer takes, and how many there are a second, with one client and with eight."""

from __future__ import annotations

import http.client
import itertools
import json
import os
import random
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from common import OURS, QUICK, Page, folder, table

import cofactor as cf

SECONDS = 0.5 if QUICK else 3.0
SEEDS = itertools.count()
"""Of one client each: nobody asks what was asked before, of which answers are kept."""
DATA = "movietweetings-demo" if QUICK else "ml-1m"
MODELS: dict[str, dict[str, Any]] = {"als": {}, "ease": {}, "bayes-mf": {}}
QUESTIONS = ("a known user", "a known user again", "a history of 20", "why", "a newer rating", "100 newer ratings")
EMPTY = """
import socket, sys, uvicorn
from fastapi import FastAPI
app = FastAPI()

@app.get("/v1/nothing")
def nothing():
    return {}

listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # as uvicorn binds: without delays
listener.bind(("127.0.0.1", 0))
listener.listen(128)
print(f"at http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
uvicorn.Server(uvicorn.Config(app, http="h11", log_level="warning", access_log=False)).run(sockets=[listener])
"""
"""What the processor time of every answer is compared with: FastAPI as in its first example, in the same run."""


@contextmanager
def serving(bundle: Path | None) -> Iterator[tuple[int, int]]:
    """A server in a process of its own, without a bundle the empty one; its port and process."""
    command = [OURS, "-m", "cofactor", "serve", str(bundle), "--port", "0", "--no-watch"]
    if bundle is None:
        command = [OURS, "-c", EMPTY]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            found = (re.search(r"at http://.*:(\d+)", line) for line in process.stdout)
            yield next(int(port[1]) for port in found if port), process.pid
        finally:
            process.terminate()


def question(what: str, users: list[Any], items: list[Any], rng: random.Random) -> tuple[str, str, str | None]:
    """(method, path, body) of a request about somebody."""
    user = rng.choice(users)
    if what == "nothing":
        return "GET", "/v1/nothing", None
    if what == "a known user":  # each time another list, so that none is kept from before
        return "GET", f"/v1/recommend?user={user}&n={rng.randint(10, 12)}&seen={rng.choice(('true', 'false'))}", None
    if what == "a known user again":
        return "GET", f"/v1/recommend?user={users[rng.randrange(20)]}", None
    if what == "a history of 20":
        history = [{"item": item, "rating": rng.choice((3, 4, 5))} for item in rng.sample(items, 20)]
        return "POST", "/v1/recommend", json.dumps({"history": history})
    if what == "why":
        return "POST", "/v1/explain", json.dumps({"user": user, "item": rng.choice(items)})
    events = [
        {"user": rng.choice(users), "item": rng.choice(items), "rating": rng.choice((3, 4, 5))}
        for _ in range(100 if what == "100 newer ratings" else 1)
    ]
    return "POST", "/v1/events", json.dumps({"events": events})


def processor_seconds(process: int) -> float:
    """What a process has used so far."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measured(
    port: int, process: int, clients: int, what: str, users: list[Any], items: list[Any], seconds: float = SECONDS
) -> tuple[float, float, float, float]:
    """(median, 99 % in milliseconds, answers a second, processor milliseconds of the server for one); an answer that is
    not a success ends the benchmark."""
    used = processor_seconds(process)
    took: list[float] = []
    wrong: list[bytes] = []

    def ask(seed: int) -> None:
        rng, connection = random.Random(seed), http.client.HTTPConnection("127.0.0.1", port)
        end = time.perf_counter() + seconds
        while time.perf_counter() < end and not wrong:
            method, path, body = question(what, users, items, rng)
            start = time.perf_counter()
            connection.request(method, path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
            took.append(time.perf_counter() - start)
            if answer.status != 200:
                wrong.append(text)

    threads = [threading.Thread(target=ask, args=(next(SEEDS),)) for _ in range(clients)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if wrong:
        raise SystemExit(f"{what}: {wrong[0].decode()}")
    rate = len(took) / (time.perf_counter() - start)
    took.sort()
    used = processor_seconds(process) - used
    return 1000 * took[len(took) // 2], 1000 * took[int(len(took) * 0.99)], rate, 1000 * used / len(took)


def main() -> None:
    page = Page("serving", "The server")
    data = cf.load_dataset(DATA)
    users, items = data.user_ids.values.to_list(), data.item_ids.values.to_list()
    page.say(
        f"`cofactor serve` with a model of {DATA}, one process; clients are threads of another process on the same"
        f" machine ({os.cpu_count()} cores for both), each with one connection, {SECONDS:g} s a line. Lists of ten."
        " A newer rating is on disk (flushed) and folded in when the answer comes."
    )
    rows = []
    with serving(None) as alone, folder() as there:
        measured(*alone, 1, "nothing", users, items)
        found = [measured(*alone, clients, "nothing", users, items) for clients in (1, 8)]
        times = [f"{x:.1f}" for f in found for x in f[:3]]
        rows.append(["FastAPI alone", "an empty answer", *times, f"{found[0][3]:.2f}", f"{found[0][3]:.2f}", "1.0"])
        for name, config in MODELS.items():
            bundle = there / f"{name}.cofactor"
            cf.fit(data, model=name, seed=0, **config | ({"epochs": 35} if name == "bayes-mf" else {})).save(bundle)
            with serving(bundle) as server:
                for what in QUESTIONS:
                    measured(*server, 1, what, users, items)  # kernels compiled, caches filled
                    before = measured(*alone, 1, "nothing", users, items, SECONDS / 2)[3]
                    found = [measured(*server, 1, what, users, items)]
                    after = measured(*alone, 1, "nothing", users, items, SECONDS / 2)[3]
                    found.append(measured(*server, 8, what, users, items))
                    used, empty = found[0][3], (before + after) / 2
                    times = [f"{x:.1f}" for f in found for x in f[:3]]
                    rows.append([f"`{name}`", what, *times, f"{used:.2f}", f"{empty:.2f}", f"{used / empty:.1f}"])
    columns = ("median ms", "99 % ms", "a second")
    heads = [f"{c}, {n}" for n in ("1 client", "8 clients") for c in columns]
    page.say(
        "Processor time is that of the server for one answer with one client. FastAPI alone is asked right before and"
        " after, and the mean of both is beside it. No question comes twice, except for *a known user again*."
    )
    page.show(table(["model", "question", *heads, "processor ms", "FastAPI alone ms", "ratio"], rows))
    page.write()


if __name__ == "__main__":
    main()
