"""Make bundles of version 4, and the tables of the fixture ``popular-4``: ids that are not text, columns of many
types."""

from __future__ import annotations

import datetime as dt
import io
import json
from pathlib import Path

import polars as pl

import cofactor as cf
from cofactor.bundle import files, manifest
from cofactor.bundle.parquet import tables

N = 12


def odd_frame() -> pl.DataFrame:
    """Return users with unordered whole numbers as ids, and items with dates as ids."""
    days = [dt.date(2024, 1, 1) + dt.timedelta(days=d) for d in range(N)]
    rows = [(u, days[(u + k) % N], float(1 + (u * k) % 5)) for u in (900, 7, 33, 12) for k in range(6)]
    return pl.DataFrame(rows, schema=["user", "item", "rating"], orient="row")


def odd_items() -> pl.DataFrame:
    """Return attributes of the items, with gaps."""
    days = [dt.date(2024, 1, 1) + dt.timedelta(days=d) for d in range(N)]
    words = ["jazz", "Ästhetik", None, "東京"] * (N // 4)
    return pl.DataFrame(
        {
            "item": days,
            "title": [f"day {d}" for d in range(N)],
            "genres": [["a", None, "ü"], [], None, ["b"]] * (N // 4),
            "pair": pl.Series([[1, 2], None, [3, 4], [5, 6]] * (N // 4), dtype=pl.Array(pl.Int16, 2)),
            "facts": [{"year": 1990 + d, "word": words[d]} for d in range(N)],
            "word": pl.Series(words, dtype=pl.Categorical),
            "grade": pl.Series(["low", "high", None] * (N // 3), dtype=pl.Enum(["low", "high"])),
            "raw": [b"\xff\x00", None] * (N // 2),
            "price": pl.Series([1.5, None, 2.25] * (N // 3)).cast(pl.Decimal(10, 2)),
            "at": pl.Series([dt.datetime(2024, 1, 1, 12, d) for d in range(N)]).cast(
                pl.Datetime("ms", "Europe/Berlin")
            ),
            "new": [True, None, False] * (N // 3),
            "none": pl.Series([None] * N),
        }
    )


def as_version_4(path: Path, name: str | None = None, content: bytes | None = None) -> None:
    """Convert a bundle to version 4, with ids in Parquet. ``content``: the new content of the file ``name``."""
    rec = cf.load(path)
    m = json.loads((path / files.MANIFEST).read_text(encoding="utf-8"))
    sides = {"user": (rec.data.user_ids, rec.data.user_table), "item": (rec.data.item_ids, rec.data.item_table)}
    for side, (ids, table) in sides.items():
        held = io.BytesIO()
        tables.write(held, ids, table)
        (path / f"{side}s.safetensors").unlink()
        del m["files"][f"{side}s.safetensors"]
        found = content if content is not None and name == f"{side}s.parquet" else held.getvalue()
        (path / f"{side}s.parquet").write_bytes(found)
        m["files"][f"{side}s.parquet"] = {"bytes": len(found), "blake2b": files.digest_of(found)}
    (path / files.MANIFEST).write_bytes(manifest.dump(m | {"format_version": 4}))
