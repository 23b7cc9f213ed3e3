"""Synthetic ratings whose users and items follow power laws, with planted biases and factors.

python benchmarks/synthetic.py 20000000 138493 26744 ratings.parquet     rows, users, items, where to
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
CHUNK = 1 << 20
FACTORS = 8


def ratings(rows: int, n_users: int, n_items: int, seed: int = 0) -> tuple[Array, Array, Array]:
    """Users and items as int32 codes, ratings 0.5 .. 5 as float32, all (rows,), in random order; no pair twice.

    The r-th most active user is drawn in proportion to ``(r + 50) ** -0.7``, the r-th most popular item to
    ``(r + 20) ** -0.9``: of 26,744 items the first hundredth then has 28 % of the ratings.
    """
    if rows > 0.3 * n_users * n_items:
        raise ValueError("too many rows for so few users and items")
    rng = np.random.default_rng(seed)
    who, what = (rng.permutation(n).astype(np.int64) for n in (n_users, n_items))
    cut_users, cut_items = (cumulative(n, a, b) for n, a, b in ((n_users, 50, 0.7), (n_items, 20, 0.9)))
    pairs = np.empty(0, np.int64)
    while len(pairs) < rows:
        wanted = int(1.1 * (rows - len(pairs))) + 1000
        new = np.empty(wanted, np.int64)
        for lo in range(0, wanted, CHUNK):
            n = min(CHUNK, wanted - lo)
            users = who[np.searchsorted(cut_users, rng.random(n))]
            new[lo : lo + n] = users * n_items + what[np.searchsorted(cut_items, rng.random(n))]
        pairs = np.concatenate([pairs, new])
        pairs.sort()
        pairs = pairs[np.concatenate([[True], pairs[1:] != pairs[:-1]])]
    rng.shuffle(pairs)
    pairs = pairs[:rows]
    users, items = (part.astype(np.int32) for part in np.divmod(pairs, n_items))
    del pairs
    return users, items, values(users, items, n_users, n_items, rng)


def cumulative(n: int, shift: float, power: float) -> Array:
    """The right ends of the shares of [0, 1) that belong to each rank."""
    found = np.cumsum((np.arange(n) + shift) ** -power)
    found /= found[-1]
    found[-1] = 1.0
    return found


def values(users: Array, items: Array, n_users: int, n_items: int, rng: np.random.Generator) -> Array:
    """Mean 3.5, biases of sd 0.4 and 0.5, an inner product of sd 0.4, noise of sd 0.8; cut and rounded to halves."""
    u, i = (rng.normal(0, 0.4**0.5 / FACTORS**0.25, (n, FACTORS)).astype(np.float32) for n in (n_users, n_items))
    bu, bi = (rng.normal(0, sd, n).astype(np.float32) for sd, n in ((0.4, n_users), (0.5, n_items)))
    out = np.empty(len(users), np.float32)
    for lo in range(0, len(users), CHUNK):
        a, b = users[lo : lo + CHUNK], items[lo : lo + CHUNK]
        exact = 3.5 + bu[a] + bi[b] + np.einsum("nk,nk->n", u[a], i[b]) + 0.8 * rng.standard_normal(len(a), np.float32)
        out[lo : lo + CHUNK] = np.clip(np.round(2 * exact) / 2, 0.5, 5)
    return out


def frame(rows: int, n_users: int, n_items: int, seed: int = 0) -> Any:
    """A polars frame with the columns of MovieLens: userId, movieId, rating, timestamp."""
    import polars as pl

    users, items, stars = ratings(rows, n_users, n_items, seed)
    when = np.random.default_rng([seed, 1]).integers(1_000_000_000, 1_600_000_000, rows)
    columns = {"userId": users + 1, "movieId": items + 1, "rating": stars, "timestamp": when}
    return pl.DataFrame(columns)


def main() -> None:
    rows, n_users, n_items = (int(arg.replace("_", "")) for arg in sys.argv[1:4])
    out, made = Path(sys.argv[4]), frame(rows, n_users, n_items)
    made.write_parquet(out) if out.suffix == ".parquet" else made.write_csv(out)


if __name__ == "__main__":
    main()
