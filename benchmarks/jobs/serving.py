"""The server: how long an answer takes, and how many there are a second, with one client and with eight."""

from __future__ import annotations

import http.client
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

SECONDS = 0.5 if QUICK else 5.0
DATA = "movietweetings-demo" if QUICK else "ml-1m"
MODELS: dict[str, dict[str, Any]] = {"als": {}, "ease": {}, "bayes-mf": {}}
QUESTIONS = ("a known user", "a history of 20", "why", "a newer rating")


@contextmanager
def serving(bundle: Path) -> Iterator[int]:
    """A server in a process of its own; its port."""
    command = [OURS, "-m", "cofactor", "serve", str(bundle), "--port", "0", "--no-watch"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield next(int(found[1]) for line in process.stdout if (found := re.search(r"at http://.*:(\d+)", line)))
        finally:
            process.terminate()


def question(what: str, users: list[Any], items: list[Any], rng: random.Random) -> tuple[str, str, str | None]:
    """(method, path, body) of a request about somebody."""
    user = rng.choice(users)
    if what == "a known user":
        return "GET", f"/v1/recommend?user={user}", None
    if what == "a history of 20":
        history = [{"item": item, "rating": rng.choice((3, 4, 5))} for item in rng.sample(items, 20)]
        return "POST", "/v1/recommend", json.dumps({"history": history})
    if what == "why":
        return "POST", "/v1/explain", json.dumps({"user": user, "item": rng.choice(items)})
    event = {"user": user, "item": rng.choice(items), "rating": rng.choice((3, 4, 5))}
    return "POST", "/v1/events", json.dumps({"events": [event]})


def measured(port: int, clients: int, what: str, users: list[Any], items: list[Any]) -> tuple[float, float, float]:
    """(median, 99 % in milliseconds, answers a second); an answer that is no success ends the benchmark."""
    took: list[float] = []
    wrong: list[bytes] = []

    def ask(seed: int) -> None:
        rng, connection = random.Random(seed), http.client.HTTPConnection("127.0.0.1", port)
        end = time.perf_counter() + SECONDS
        while time.perf_counter() < end and not wrong:
            method, path, body = question(what, users, items, rng)
            start = time.perf_counter()
            connection.request(method, path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
            took.append(time.perf_counter() - start)
            if answer.status != 200:
                wrong.append(text)

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(clients)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if wrong:
        raise SystemExit(f"{what}: {wrong[0].decode()}")
    rate = len(took) / (time.perf_counter() - start)
    took.sort()
    return 1000 * took[len(took) // 2], 1000 * took[int(len(took) * 0.99)], rate


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
    with folder() as there:
        for name, config in MODELS.items():
            bundle = there / f"{name}.cofactor"
            cf.fit(data, model=name, seed=0, **config | ({"epochs": 35} if name == "bayes-mf" else {})).save(bundle)
            with serving(bundle) as port:
                for what in QUESTIONS:
                    measured(port, 1, what, users, items)  # kernels compiled, caches filled
                    found = [measured(port, clients, what, users, items) for clients in (1, 8)]
                    rows.append([f"`{name}`", what, *(f"{x:.1f}" for f in found for x in f)])
    columns = ("median ms", "99 % ms", "a second")
    page.show(table(["model", "question", *(f"{c}, {n}" for n in ("1 client", "8 clients") for c in columns)], rows))
    page.write()


if __name__ == "__main__":
    main()
