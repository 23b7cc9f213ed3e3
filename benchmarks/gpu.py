"""Seconds an epoch on a GPU and on the CPU, within five minutes: the notebook's model, a module, neural; and ials.

    python benchmarks/gpu.py [--ratings 1000000] [--minutes 4.5]

Data are made (users, items and ratings at random with planted factors), so that it needs no files. Each job trains an
epoch that does not count, then epochs until its share of the time is used up (one at least); the table shows medians.
``dot-bias`` and ``ials`` train on the CPU whatever there is: their rows say what a GPU has to beat.
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
from cofactor.models.torch.module import TorchModule
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


def epochs_of(run: Learner, seconds: float, epoch: Callable[[Learner], None]) -> list[float]:
    """Seconds of each epoch after the first, until the time is used up."""
    epoch(run)
    found: list[float] = []
    begun = time.perf_counter()
    while not found or time.perf_counter() - begun + found[-1] < seconds:
        start = time.perf_counter()
        epoch(run)
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        found.append(time.perf_counter() - start)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ratings", type=int, default=1_000_000)
    parser.add_argument("--minutes", type=float, default=4.5)
    asked = parser.parse_args()
    gpu = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else None
    print(f"Python {platform.python_version()}, torch {torch.__version__}, {torch.get_num_threads()} threads;", end=" ")
    print(torch.cuda.get_device_name() if gpu == "cuda" else gpu or "no GPU here, so the CPU alone")
    data = ratings(asked.ratings)
    devices = [d for d in ("cpu", gpu) if d]

    def one_cycle(run: Learner) -> None:
        run.fit_one_cycle(1, 5e-3)

    def sweep(run: Learner) -> None:
        run.fit(1)

    from cofactor.models import model_class

    jobs: list[tuple[str, str, Callable[[], Learner], Callable[[Learner], None]]] = []
    for batch in (64, 4096):
        for device in devices:
            jobs.append(
                (f"module, batches of {batch}", device,
                 lambda b=batch, d=device: Learner(data, TorchModule(module=Product, device=d), bs=b, verbose=False),
                 one_cycle)
            )  # fmt: skip
    for name, act in (("dot-bias", one_cycle), ("neural", one_cycle), ("ials", sweep)):
        cls = model_class(name)
        jobs.append((name, "cpu", lambda c=cls: Learner(data, c(c.Config()), bs=4096, verbose=False), act))
    each = asked.minutes * 60 / len(jobs)
    print(f"{len(data):,} ratings, {data.n_users:,} users, {data.n_items:,} items; {each:.0f} s a job")
    print(f"{'job':28}{'device':8}{'s an epoch':>12}{'epochs':>8}")
    for name, device, make, act in jobs:
        found = epochs_of(make(), each, act)
        print(f"{name:28}{device:8}{median(found):12.2f}{len(found):8}", flush=True)


if __name__ == "__main__":
    main()
