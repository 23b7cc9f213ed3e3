"""Tables with known contents, for tests that write them in the shapes of public data."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import cofactor as cf

DAY = 86_399
"""Seconds by which a day, as its first second, comes before its last."""
Row = tuple[int, int, float, int]


def rows(values: str = "stars", again: bool = False) -> list[Row]:
    """Return rows (user, item, value, second) of 30 users and 20 items, popular items first."""
    rng = np.random.default_rng(3)
    popularity = 1 / np.arange(1, 21)
    found: list[Row] = []
    for user in range(30):
        for item in rng.choice(20, rng.integers(4, 12), replace=False, p=popularity / popularity.sum()):
            value = {
                "stars": lambda: rng.choice([1, 2, 3, 4, 5], p=[0.06, 0.1, 0.25, 0.35, 0.24]),
                "counts": lambda: int(np.exp(rng.normal(2, 1.5))) + 1,
            }[values]()
            for _ in range(1 + (int(rng.integers(0, 3)) if again else 0)):
                found.append((user, int(item), int(value), 1_300_000_000 + int(rng.integers(0, 300_000_000))))
    rng.shuffle(found)
    return [(int(u), int(i), int(v), int(t)) for u, i, v, t in found]


STARS, COUNTS, AGAIN = rows(), rows("counts"), rows("counts", again=True)


def when(second: int, form: str) -> str:
    return dt.datetime.fromtimestamp(second, dt.UTC).strftime(form)


def lines(table: list[Row], line: Callable[[int, int, Any, int], str], header: str = "") -> str:
    return (header + "\n" if header else "") + "\n".join(line(*row) for row in table) + "\n"


def check(
    data: cf.Interactions,
    table: list[Row],
    kind: str,
    *,
    user: Callable[[int], Any] = str,
    item: Callable[[int], Any] = str,
    value: bool = True,
    within: int | None = None,
) -> None:
    """That ``data`` are these rows: the last of those that repeat of ratings, the sum of others; times within so many
    seconds, or no times."""
    assert data.kind == kind, data.notes
    expected: dict[tuple[str, str], tuple[float, int]] = {}
    for u, i, v, t in table:
        pair, v = (str(user(u)), str(item(i))), v if value else 1
        before, then = expected.get(pair, (0, -1)) if kind != "ratings" else (0, -1)
        expected[pair] = (before + v, max(t, then))
    users, items = [str(one) for one in data.user_ids], [str(one) for one in data.item_ids]
    found = {(users[u], items[i]): at for at, (u, i) in enumerate(zip(data.users, data.items))}
    assert set(found) == set(expected), data.notes
    at = np.array([found[pair] for pair in expected])
    np.testing.assert_allclose(data.values[at], [v for v, _ in expected.values()], rtol=1e-5)
    assert (data.times is None) == (within is None), data.notes
    if within is not None and data.times is not None:
        late = np.array([t for _, t in expected.values()]) - data.times[at]
        assert late.min() >= 0
        assert late.max() <= within


def put(folder: Path, text: str | bytes, name: str = "table.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path
