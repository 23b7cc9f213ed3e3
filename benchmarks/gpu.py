"""Seconds an epoch on a GPU and on the CPU, within five minutes: the notebook, a module, neural; and ials.

    python benchmarks/gpu.py [--ratings 1000000] [--minutes 4.5]

Data are made (users, items and ratings at random with planted factors), so that it needs no files. Each job trains on a
small table first, which does not count, then epochs until its share of the time is used up (one at least); the table
shows medians. ``dot-bias`` and ``ials`` train on the CPU whatever there is: their rows say what a GPU has to beat. The
notebook's learner predicts a fifth of the rows after each epoch, too.
"""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
import torch

import cofactor as cf
from cofactor.models.dot_bias.model import DotBias
from cofactor.models.ials import Ials
from cofactor.models.neural.model import Neural
from cofactor.models.torch.module import TorchModule
from cofactor.notebook import CollabDataLoaders, collab_learner
from cofactor.train.learner import Learner


def ratings(n: int) -> Any:
    """About ``n`` ratings of 1 to 5 by n / 100 users of n / 250 items."""
    rng = np.random.default_rng(0)
    users, items = rng.integers(0, n // 100, n), (rng.random(n) ** 2 * (n // 250)).astype(int)
    u, i = rng.normal(0, 0.5, (n // 100, 4)), rng.normal(0, 0.5, (n // 250, 4))
    values = np.clip(np.round(3.5 + (u[users] * i[items]).sum(1) + rng.normal(0, 0.8, n)), 1, 5)
    return cf.read({"user": users, "item": items, "rating": values}, kind="ratings")


class Product(torch.nn.Module):
    """A product of embeddings and their biases, as a user would write it."""

    def __init__(self, n_users: int, n_items: int, k: int = 50) -> None:
        super().__init__()
        self.users, self.items = torch.nn.Embedding(n_users, k), torch.nn.Embedding(n_items, k)
        self.user_bias, self.item_bias = torch.nn.Embedding(n_users, 1), torch.nn.Embedding(n_items, 1)
        for table in (self.users, self.items, self.user_bias, self.item_bias):
            torch.nn.init.normal_(table.weight, 0, 0.01)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        u, i = x[:, 0], x[:, 1]
        found = (self.users(u) * self.items(i)).sum(1, keepdim=True) + self.user_bias(u) + self.item_bias(i)
        return 5.5 * torch.sigmoid(found).squeeze(1)


def epochs_of(epoch: Callable[[], None], seconds: float) -> list[float]:
    """Seconds of each epoch, until the time is used up."""
    found: list[float] = []
    while not found or sum(found) + found[-1] < seconds:
        wait()
        start = time.perf_counter()
        epoch()
        wait()
        found.append(time.perf_counter() - start)
    return found


def wait() -> None:
    """Until a GPU has done what it was given."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    elif torch.backends.mps.is_available():
        torch.mps.synchronize()


Begin = Callable[[Any, str, int], Callable[[], None]]
"""What begins a training on data, on a device, in batches of a size; gives a function that trains an epoch."""


def module(data: Any, device: str, batch: int) -> Callable[[], None]:
    run = Learner(data, TorchModule(module=Product, device=device), bs=batch, verbose=False)
    return lambda: run.fit_one_cycle(1, 5e-3)


def neural(data: Any, device: str, batch: int) -> Callable[[], None]:
    run = Learner(data, Neural(device=device), bs=batch, verbose=False)
    return lambda: run.fit_one_cycle(1, 5e-3)


def dot_bias(data: Any, device: str, batch: int) -> Callable[[], None]:
    run = Learner(data, DotBias(), bs=batch, verbose=False)
    return lambda: run.fit_one_cycle(1, 5e-3)


def ials(data: Any, device: str, batch: int) -> Callable[[], None]:
    run = Learner(data, Ials(), verbose=False)
    return lambda: run.fit(1)


def notebook(data: Any, device: str, batch: int) -> Callable[[], None]:
    loaders = CollabDataLoaders.from_df(data.to_frame(), bs=batch, seed=0, device=device)
    learn = collab_learner(loaders, n_factors=50, y_range=(0, 5.5))

    def epoch() -> None:
        with learn.no_bar(), learn.no_logging():
            learn.fit_one_cycle(1, 5e-3, wd=0.1)

    return epoch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ratings", type=int, default=1_000_000)
    parser.add_argument("--minutes", type=float, default=4.5)
    asked = parser.parse_args()
    gpu = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else None
    print(f"Python {platform.python_version()}, torch {torch.__version__}, {torch.get_num_threads()} threads;", end=" ")
    print(torch.cuda.get_device_name() if gpu == "cuda" else gpu or "no GPU here, so the CPU alone")
    devices = [d for d in ("cpu", gpu) if d]
    jobs: list[tuple[str, Begin, str, int]] = [("dot-bias", dot_bias, "cpu", 64), ("ials", ials, "cpu", 0)]
    for batch in (64, 4096):
        for name, begin in (("notebook", notebook), ("module", module), ("neural", neural)):
            jobs += [(name, begin, device, batch) for device in devices if (name, batch) != ("neural", 64)]
    end = time.perf_counter() + asked.minutes * 60
    data, small = ratings(asked.ratings), ratings(20_000)
    print(f"{len(data):,} ratings, {data.n_users:,} users, {data.n_items:,} items")
    print(f"{'job':12}{'batch':>8}  {'device':8}{'s an epoch':>12}{'epochs':>8}", flush=True)
    for at, (name, begin, device, batch) in enumerate(jobs):
        begin(small, device, batch)()
        found = epochs_of(begin(data, device, batch), (end - time.perf_counter()) / (len(jobs) - at))
        print(f"{name:12}{batch or '-':>8}  {device:8}{median(found):12.2f}{len(found):8}", flush=True)


if __name__ == "__main__":
    main()
