"""Turn a table of ratings into blocks of rows. Ids get the codes that :func:`cofactor.read` gives.

There are five steps, each a map over jobs that read and write files: read each part; merge its ids, a range of ids in
each job; encode its rows and sort them by block of users; group each block of users and merge repeats; group each block
of items. Only paths, counts and a few sample ids pass through the driver.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from cofactor.data.interactions import Columns, Duplicates, Interactions
from cofactor.data.kind import Kind
from cofactor.data.read import COUNTS_ONE
from cofactor.data.rows.repeats import usual_policy
from cofactor.engines.codes import encode_part, form_of, merge_ids, splitters
from cofactor.engines.cuts import cut
from cofactor.engines.grouping import group_items, group_users
from cofactor.engines.source import check_parts, kind_of, names_of, notes_of, read_task, rows_of, unit_of
from cofactor.engines.work import SIDES, Done, Work

RANGE_IDS = 2_000_000
"""Approximate number of ids that a job merges."""


@dataclass(frozen=True)
class Prepared:
    """The blocks. ``cuts`` by side: where each block begins, and the end. The other fields describe the whole table."""

    folder: str
    cuts: dict[str, list[int]]
    ranges: dict[str, list[Any]]
    columns: Columns
    rows: int
    timed: bool
    value_sum: list[Any]
    limits: tuple[float, float]
    kind: Kind
    duplicates: Duplicates
    notes: list[str]
    unit: float | None = None

    def size(self, side: str) -> int:
        """Return the number of users or items."""
        return self.cuts[side][-1]

    def blocks(self, side: str) -> list[tuple[int, int, int]]:
        """Return (number, first row, end) of each block."""
        return [(at, lo, hi) for at, (lo, hi) in enumerate(pairwise(self.cuts[side]))]


def prepare(
    work: Work,
    jobs: list[dict[str, Any]],
    source: Interactions | None,
    block_rows: int,
    duplicates: Duplicates | None,
    chosen: Kind | None,
    weights: Mapping[str, float] | None,
    ordered: bool,
) -> Prepared:
    """Run the steps, or take their results from the folder if they are complete.

    ``ordered``: also keep the order of each user's rows in the table.
    """
    folder, workers = str(work.folder), work.executor.workers
    if source is None:
        parts = work.step("a-read", read_task, [{**job, "folder": folder, "number": n} for n, job in enumerate(jobs)])
    else:
        parts = work.alone("a-read", lambda: rows_of(folder, source))
    if source is None:
        check_parts(parts, weights)
    numbers = [n for n, part in enumerate(parts) if part["rows"]]
    full = [parts[n] for n in numbers]
    timed, said = full[0]["timed"], list[str]()
    if source is None:
        kind, said = kind_of(work, parts, numbers, chosen)
        unit = unit_of(full, kind)
        said += [COUNTS_ONE] if unit not in (None, 1.0) else []
        policy = duplicates or usual_policy(kind)
    else:
        kind, policy, unit = source.kind, "all", None
    if source is None:
        ranges = _merged(work, parts, numbers)
        sizes = {side: ranges[side][-1][2] for side in SIDES}
    else:
        ranges, sizes = {}, {"user": source.n_users, "item": source.n_items}
    cuts_by = work.alone("c-cut", lambda: [Done({s: cut(sizes[s], block_rows, workers) for s in SIDES}, [])])[0]
    shared = {"folder": folder, "ranges": ranges, "cuts": cuts_by["user"], "timed": timed}
    shared["ones"] = unit is not None
    own = ("users", "items", "user_form", "item_form") if source is None else ()
    encode = [{**shared, "number": n, **{k: parts[n][k] for k in own}} for n in numbers]
    work.step("d-encode", encode_part, encode, drop=names_of(parts, numbers, timed))
    users, items = cuts_by["user"][-1], cuts_by["item"][-1]
    group = [
        {
            "folder": folder,
            "block": at,
            "range": pair,
            "parts": numbers,
            "items": items,
            "timed": timed,
            "ordered": ordered,
            "item_cuts": cuts_by["item"],
            "duplicates": policy,
            "kind": kind,
        }
        for at, pair in enumerate(pairwise(cuts_by["user"]))
    ]
    kinds = ("user", "item", "value", "ends", *(["time"] if timed else []))
    rows_files = [f"rows/{n}-{x}" for n in numbers for x in kinds]
    grouped = work.step("e-users", group_users, group, drop=rows_files)
    blocks = len(grouped)
    turned = [
        {"folder": folder, "block": at, "range": pair, "users": users, "user_blocks": blocks, "timed": timed}
        for at, pair in enumerate(pairwise(cuts_by["item"]))
    ]
    turned_files = [f"turned/{n}-{x}" for n in range(blocks) for x in kinds]
    work.step("f-items", group_items, turned, drop=turned_files)
    repeats, returned = (sum(g[what] for g in grouped) for what in ("merged", "left_out"))
    if repeats:
        said.append(f"{repeats:,} duplicate rows of the same user and item merged")
    if returned:
        said.append(f"{returned:,} pairs whose counts sum to 0 or less (such as returns) left out")
    notes = [*notes_of(full), *said]
    return Prepared(
        folder,
        cuts_by,
        ranges,
        Columns(*full[0]["columns"]),
        sum(g["rows"] for g in grouped),
        timed,
        [node for g in grouped for node in g["sum"]],
        (
            min(g["low"] for g in grouped if g["low"] is not None),
            max(g["high"] for g in grouped if g["high"] is not None),
        ),
        kind,
        policy,
        notes,
        unit,
    )


def _merged(work: Work, parts: list[dict[str, Any]], numbers: list[int]) -> dict[str, list[Any]]:
    """Return the ranges of all ids of each side: (number, first code, end code, form)."""
    jobs = []
    for side in SIDES:
        full = [parts[n] for n in numbers]
        form = form_of(full, side)
        count = -(-sum(p[f"{side}s"] for p in full) // RANGE_IDS)
        samples = [s for p in full for s in p[f"{side}_samples"]]
        edges = [None, *(splitters(samples, count) if count > 1 and samples else []), None]
        known = [(n, parts[n][f"{side}s"], form) for n in numbers]
        jobs += [
            {"folder": str(work.folder), "side": side, "number": n, "low": low, "high": high, "parts": known}
            for n, (low, high) in enumerate(pairwise(edges))
        ]
    merged = work.step("b-ids", merge_ids, jobs)
    ranges: dict[str, list[Any]] = {}
    for side in SIDES:
        mine = [found for job, found in zip(jobs, merged) if job["side"] == side]
        ends = np.cumsum([0, *(m["rows"] for m in mine)]).tolist()
        ranges[side] = [(n, ends[n], ends[n + 1], m["form"]) for n, m in enumerate(mine)]
    return ranges
