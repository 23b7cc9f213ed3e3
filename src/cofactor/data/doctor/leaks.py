"""The check of two parts for rows that should be in one of them only."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from cofactor.data.doctor.findings import Finding
from cofactor.data.interactions import Interactions


def leaks(train: Interactions, valid: Interactions) -> Iterator[Finding]:
    """Yield findings for rows of the training part that are also in the other part, and for time that runs
    backwards."""
    a = pl.DataFrame({"u": train.user_ids.decode(train.users), "i": train.item_ids.decode(train.items)})
    b = pl.DataFrame({"u": valid.user_ids.decode(valid.users), "i": valid.item_ids.decode(valid.items)})
    for name in ("u", "i"):
        if a[name].dtype != b[name].dtype:
            kind = "user" if name == "u" else "item"
            what = f"{kind} ids are {a[name].dtype} in the training part and {b[name].dtype} in the other"
            yield Finding("error", "leakage", f"{kind}s", what, len(b), (), "read both with the same types")
            return
    if train.times is not None and valid.times is not None:  # the same pair at a later time is not a leak
        a, b = a.with_columns(t=pl.Series(train.times)), b.with_columns(w=pl.Series(valid.times))
        last = a.group_by("u", "i").agg(pl.col("t").max())
        both = b.join(last, on=["u", "i"], how="inner").filter(pl.col("w") <= pl.col("t")).select("u", "i")
    else:
        both = b.join(a, on=["u", "i"], how="semi")
    if len(both):
        what = f"{len(both):,} of {len(b):,} validation rows are in the training part as well"
        shown = tuple(f"user {u!r}, item {i!r}" for u, i in both.head(5).iter_rows())
        yield Finding(
            "error",
            "leakage",
            "rows",
            what,
            len(both),
            shown,
            "remove them from one part; otherwise scores are too good",
        )
    if train.times is not None and valid.times is not None and len(train) and len(valid):
        early = int((valid.times < train.times.max()).sum())
        if early:
            what = f"{early:,} of {len(b):,} validation rows are older than the newest training row"
            todo = "to measure forecasts, split by time: cofactor.split.temporal"
            yield Finding("note", "time travel", "rows", what, early, (), todo)
    for name, kind in (("u", "user"), ("i", "item")):
        new = b.join(a.select(name).unique(), on=name, how="anti")
        if len(new):
            what = f"{len(new):,} of {len(b):,} validation rows have {'an item' if kind == 'item' else 'a user'}"
            what += " that is not in the training part"
            shown = tuple(repr(v) for v in new[name].unique(maintain_order=True).head(5))
            yield Finding(
                "note",
                "cold start",
                f"{kind}s",
                what,
                len(new),
                shown,
                "these rows measure the fallback for unknown ids",
            )
