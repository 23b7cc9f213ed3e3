"""The rows by name: ``ml-100k u1`` .. ``u5``; ``ml-1m``, ``movietweetings``, ``movietweetings-demo`` (the 5-core).

A name followed by ``inner 0``, ``inner 1``, ... is a part of its training rows: a random tenth of them to choose by
(``ratings``), or a fifth (``rankings``), and the rest to learn from.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import numpy as np

import cofactor as cf
from cofactor.data.datasets import folds, load_dataset
from cofactor.data.interactions import Split

ML_100K = tuple(f"ml-100k u{i}" for i in range(1, 6))
SHARES = {"ml-1m": 0.1, "movietweetings": 0.2, "movietweetings-demo": 0.2}
"""Of the rows for testing, drawn with seed 42."""


@cache
def split_of(name: str) -> Split:
    """The training and the held-out rows."""
    if within := re.fullmatch(r"(.*) inner (\d+) of (\d+)", name):
        base, part, of = within[1], int(within[2]), int(within[3])
        return cf.split.random(split_of(base).train, 1 / of, seed=part)
    if name in ML_100K:
        return folds("ml-100k")[int(name[-1]) - 1]
    return cf.split.random(load_dataset(name, item="id"), SHARES[name], seed=42)


def exported(name: str, folder: Path) -> str:
    """A file of plain arrays, so that a rival's process needs nothing of ours."""
    path = folder / f"{name.replace(' ', '_')}.npz"
    if not path.exists():
        split = split_of(name)
        parts = (("train", split.train), ("valid", split.valid))
        arrays = {f"{n}_{k}": getattr(p, k) for n, p in parts for k in ("users", "items", "values", "times")}
        arrays = {k: v for k, v in arrays.items() if v is not None}
        folder.mkdir(parents=True, exist_ok=True)
        np.savez(path, shape=[split.train.n_users, split.train.n_items], **arrays)
    return str(path)
