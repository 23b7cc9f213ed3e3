"""From a table of ratings to blocks of rows: ids get the codes that :func:`cofactor.read` gives, each block its rows.

Five steps, each a map over jobs that read and write files: read each part; merge its ids, a range of ids a job; encode
its rows and sort them by block of users; group each block of users, where repeats are settled; group each block of
items. Nothing goes through the driver but paths, counts and a few sample ids.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cofactor.bundle import columns
from cofactor.data.ids import IdMap
from cofactor.data.interactions import CSR, Columns, Duplicates, Interactions, csr
from cofactor.data.kind import SAMPLE, Kind, guess_kind
from cofactor.data.read import read
from cofactor.data.repeats import merged, usual_policy
from cofactor.engines.work import Done, Work, put, take
from cofactor.errors import ConfigError, DataError
from cofactor.kernels.sums import CHUNK, leaves_of, nodes_of

Array = NDArray[Any]

PART_ROWS = 4_000_000
"""Rows that a job reads at a time."""
RANGE_IDS = 2_000_000
"""About how many ids a job merges."""
SAMPLES = 256
SIDES = ("user", "item")


@dataclass(frozen=True)
class Prepared:
    """The blocks: ``cuts`` by side are where each block begins, and the end; the rest is what all of them have."""

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

    def size(self, side: str) -> int:
        """How many users or items."""
        return self.cuts[side][-1]

    def blocks(self, side: str) -> list[tuple[int, int, int]]:
        """(number, first row, end) of each block."""
        return [(at, lo, hi) for at, (lo, hi) in enumerate(pairwise(self.cuts[side]))]


# ---- the source


def parts_of(source: Any, options: dict[str, Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The jobs that read a source, and what tells it from another one."""
    if isinstance(source, (str, os.PathLike)):
        place = Path(source).expanduser()
        files = _files(place) if place.is_dir() else [place]
        if not files:
            raise DataError(f"{place} holds no Parquet file")
    elif isinstance(source, Iterable) and not hasattr(source, "columns"):
        files = [Path(p).expanduser() for p in source]
        if not files:
            raise DataError("the list of files is empty")
    else:
        raise ConfigError(
            f"cannot train from a {type(source).__name__}; give Interactions, a folder of Parquet files, a list of"
            " files, or a Spark frame"
        )
    jobs, known = [], []
    for file in files:
        try:
            facts = file.stat()
        except OSError:
            raise DataError(f"no file {file}; check the path") from None
        known.append([str(file.absolute()), facts.st_size, facts.st_mtime_ns])
        rows = _parquet_rows(file)
        cuts = [None] if rows is None else [[lo, PART_ROWS] for lo in range(0, max(rows, 1), PART_ROWS)]
        jobs += [{"path": str(file.absolute()), "cut": cut, "options": options} for cut in cuts]
    return jobs, {"files": known}


def _files(folder: Path) -> list[Path]:
    """The Parquet files in a folder and below, but not what Spark keeps beside them."""
    found = [p for p in folder.rglob("*.parquet") if p.is_file()]
    return sorted(p for p in found if not any(x.startswith(("_", ".")) for x in p.relative_to(folder).parts))


def _parquet_rows(file: Path) -> int | None:
    """How many rows a Parquet file has; None for another kind of file."""
    with open(file, "rb") as opened:
        if opened.read(4) != b"PAR1":
            return None
    try:
        return int(pl.scan_parquet(file, glob=False, hive_partitioning=False).select(pl.len()).collect().item())
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{file} cannot be read as a table: {str(error)[:200]}") from None


def read_part(job: dict[str, Any]) -> Done:
    """Read a part as :func:`cofactor.read` does, and write its codes and ids."""
    folder, number, path = job["folder"], job["number"], job["path"]
    source: Any = path
    if job["cut"] is not None and job["cut"] != [0, PART_ROWS]:
        lazy = pl.scan_parquet(path, glob=False, hive_partitioning=False)
        source = lazy.slice(*job["cut"]).collect()
    try:
        data = read(source, duplicates="all", **job["options"])
    except DataError as error:
        if "has no rows" in str(error):
            return Done({"rows": 0}, [])
        raise DataError(f"{path}: {error}") from None
    return written_part(folder, number, data)


def written_part(folder: str, number: int, data: Interactions) -> Done:
    """The files of a part that has been read."""
    files = []
    value: dict[str, Any] = {
        "rows": len(data),
        "timed": data.times is not None,
        "columns": [data.columns.user, data.columns.item, data.columns.rating, data.columns.time],
        "notes": list(data.notes),
    }
    for side, ids, codes in (("user", data.user_ids, data.users), ("item", data.item_ids, data.items)):
        form, arrays = columns.write(ids.values, f"parts/{number}-{side}-ids")
        files += [put(folder, name, array) for name, array in arrays.items()]
        files.append(put(folder, f"parts/{number}-{side}", codes))
        samples = ids.values.gather(np.linspace(0, len(ids) - 1, min(len(ids), SAMPLES)).astype(np.int64))
        plain = form["type"] == "text" or ids.values.dtype.is_integer()
        value |= {f"{side}s": len(ids), f"{side}_form": form, f"{side}_samples": samples.to_list() if plain else []}
    files.append(put(folder, f"parts/{number}-value", data.values))
    if data.times is not None:
        files.append(put(folder, f"parts/{number}-time", data.times))
    return Done(value, files)


# ---- ids


def stored_ids(folder: str, name: str, form: Any, rows: int) -> pl.Series:
    """A column of ids that a job wrote."""
    return columns.read(form, name, rows, lambda part: take(folder, part), folder)


def merge_ids(job: dict[str, Any]) -> Done:
    """The distinct ids of all parts from ``low`` on and below ``high`` (None: no bound), in ascending order."""
    folder, side, low, high = job["folder"], job["side"], job["low"], job["high"]
    found: list[pl.Series] = []
    for number, rows, form in job["parts"]:
        ids = stored_ids(folder, f"parts/{number}-{side}-ids", form, rows)
        if low is not None:
            ids = ids.filter(ids >= low)
        if high is not None:
            ids = ids.filter(ids < high)
        found.append(ids)
        if len(found) >= 16:
            found = [pl.concat(found, how="vertical").unique()]
    merged = pl.concat(found).unique().sort()
    form, arrays = columns.write(merged, f"ids/{side}-{job['number']}")
    return Done({"rows": len(merged), "form": form}, [put(folder, name, array) for name, array in arrays.items()])


def _splitters(samples: list[Any], count: int) -> list[Any]:
    """Ids that cut the sample into ``count`` about equal ranges."""
    ordered = sorted(samples)
    return sorted({ordered[len(ordered) * at // count] for at in range(1, count)})


def _form_of(parts: list[dict[str, Any]], side: str) -> Any:
    """The one form of the ids of a side; DataError where parts disagree."""
    forms = {str(p[f"{side}_form"]): p[f"{side}_form"] for p in parts}
    if len(forms) > 1:
        types = " and ".join(sorted({f["type"] for f in forms.values()}))
        raise DataError(f"the {side} ids are {types} in different files; make them one type")
    return next(iter(forms.values()))


def kind_task(job: dict[str, Any]) -> Done:
    """The kind of the values, from those that :func:`cofactor.read` would look at."""
    rows = sum(size for _, size in job["parts"])
    step, start, found = max(1, rows // SAMPLE), 0, []
    for number, size in job["parts"]:
        found.append(np.asarray(take(job["folder"], f"parts/{number}-value")[-start % step :: step]))
        start += size
    return Done(guess_kind(np.concatenate(found), job["column"]).kind, [])


# ---- rows


def encode_part(job: dict[str, Any]) -> Done:
    """A part's rows with the codes of all ids, sorted by block of users (stable)."""
    folder, number = job["folder"], job["number"]
    codes = {}
    for side in SIDES:
        if not job["ranges"]:
            codes[side] = np.asarray(take(folder, f"parts/{number}-{side}"))
            continue
        local = stored_ids(folder, f"parts/{number}-{side}-ids", job[f"{side}_form"], job[f"{side}s"])
        codes[side] = _global_codes(folder, side, local, job["ranges"][side])[take(folder, f"parts/{number}-{side}")]
    starts = np.asarray(job["cuts"])
    block = np.searchsorted(starts, codes["user"], side="right") - 1
    order = np.argsort(block.astype(np.int32), kind="stable")
    ends = np.searchsorted(block[order], np.arange(len(starts)))
    files = [
        put(folder, f"rows/{number}-user", codes["user"][order]),
        put(folder, f"rows/{number}-item", codes["item"][order]),
        put(folder, f"rows/{number}-value", take(folder, f"parts/{number}-value")[order]),
        put(folder, f"rows/{number}-ends", ends),
    ]
    if job["timed"]:
        files.append(put(folder, f"rows/{number}-time", take(folder, f"parts/{number}-time")[order]))
    return Done(None, files)


def _global_codes(folder: str, side: str, local: pl.Series, ranges: list[tuple[int, int, int, Any]]) -> Array:
    """int32: the code of each of a part's own ids. ``ranges``: (number, first code, end's code, form)."""
    found = np.full(len(local), -1, dtype=np.int32)
    for number, first, end, form in ranges:
        ids = IdMap(stored_ids(folder, f"ids/{side}-{number}", form, end - first), side)
        codes = ids.encode(local)
        found[codes >= 0] = codes[codes >= 0] + first
    return found


def group_users(job: dict[str, Any]) -> Done:
    """The rows of a block of users, repeats settled, grouped by user; and the same sorted by block of items."""
    folder, block, (lo, hi) = job["folder"], job["block"], job["range"]
    pieces: dict[str, list[Array]] = {"user": [], "item": [], "value": [], "time": []}
    for number in job["parts"]:
        a, b = take(folder, f"rows/{number}-ends")[block : block + 2]
        for name, found in pieces.items():
            if name != "time" or job["timed"]:
                found.append(np.asarray(take(folder, f"rows/{number}-{name}")[a:b]))
    users, items, values = (np.concatenate(pieces[name]) for name in ("user", "item", "value"))
    times = np.concatenate(pieces["time"]) if job["timed"] else None
    data = Interactions(
        users - np.int32(lo),
        items,
        values,
        times,
        _numbered(hi - lo, "user"),
        _numbered(job["items"], "item"),
        kind=job["kind"],
    )
    before = len(data)
    if job["duplicates"] != "all":
        try:
            data = merged(data, job["duplicates"])
        except DataError:
            raise DataError(
                "some rows repeat a user and item; remove them or choose duplicates='last', 'first' or 'mean'"
            ) from None
    rows = csr(data.users, data.items, data.values, hi - lo, job["items"])
    files = _block_files(folder, f"user-{block}", rows, data.times)
    # for the blocks of items: in order of item block, and there of user
    who = np.repeat(np.arange(lo, hi, dtype=np.int32), rows.counts)
    starts = np.asarray(job["item_cuts"])
    to = (np.searchsorted(starts, rows.indices, side="right") - 1).astype(np.int32)
    order = np.argsort(to, kind="stable")
    files += [
        put(folder, f"turned/{block}-user", who[order]),
        put(folder, f"turned/{block}-item", rows.indices[order]),
        put(folder, f"turned/{block}-value", rows.values[order]),
        put(folder, f"turned/{block}-ends", np.searchsorted(to[order], np.arange(len(starts)))),
    ]
    if data.times is not None:
        files.append(put(folder, f"turned/{block}-time", data.times[rows.rows][order]))
    per_row = np.bincount(np.repeat(np.arange(hi - lo), rows.counts), rows.values, minlength=hi - lo)
    return Done(
        {
            "rows": len(data),
            "merged": before - len(data),
            "low": float(data.values.min()) if len(data) else None,
            "high": float(data.values.max()) if len(data) else None,
            "sum": nodes_of(leaves_of(per_row), lo // CHUNK),
        },
        files,
    )


def _numbered(n: int, kind: str) -> IdMap:
    return IdMap(pl.Series(np.arange(n)), kind)


def group_items(job: dict[str, Any]) -> Done:
    """The rows of a block of items, grouped by item, users ascending."""
    folder, block, (lo, hi) = job["folder"], job["block"], job["range"]
    pieces: dict[str, list[Array]] = {"user": [], "item": [], "value": [], "time": []}
    for number in range(job["user_blocks"]):
        a, b = take(folder, f"turned/{number}-ends")[block : block + 2]
        for name, found in pieces.items():
            if name != "time" or job["timed"]:
                found.append(np.asarray(take(folder, f"turned/{number}-{name}")[a:b]))
    users, items, values = (np.concatenate(pieces[name]) for name in ("user", "item", "value"))
    rows = csr(items - np.int32(lo), users, values, hi - lo, job["users"])
    return Done(
        None, _block_files(folder, f"item-{block}", rows, np.concatenate(pieces["time"]) if job["timed"] else None)
    )


def _block_files(folder: str, name: str, rows: CSR, times: Array | None) -> list[tuple[str, int, str]]:
    """A block's rows, the columns renumbered among those that it needs."""
    need, local = np.unique(rows.indices, return_inverse=True)
    files = [
        put(folder, f"{name}-indptr", rows.indptr),
        put(folder, f"{name}-indices", local.astype(np.int32)),
        put(folder, f"{name}-values", rows.values),
        put(folder, f"{name}-need", need.astype(np.int32)),
    ]
    if times is not None:
        files.append(put(folder, f"{name}-times", times[rows.rows]))
    return files


# ---- all of it


def cut(n: int, block_rows: int, workers: int) -> list[int]:
    """Where blocks of rows begin, and the end: whole chunks, ``block_rows`` at most, some blocks for each worker."""
    size = max(1, min(block_rows // CHUNK, -(-n // (4 * workers * CHUNK)))) * CHUNK
    return [*range(0, n, size), n]


def prepare(
    work: Work,
    jobs: list[dict[str, Any]],
    source: Interactions | None,
    block_rows: int,
    duplicates: Duplicates | None,
    chosen: Kind | None,
) -> Prepared:
    """Run the steps, or take them from the folder where they are done."""
    folder, workers = str(work.folder), work.executor.workers
    if source is None:
        parts = work.step("a-read", read_part, [{**job, "folder": folder, "number": n} for n, job in enumerate(jobs)])
    else:
        parts = work.alone("a-read", lambda: _rows_of(folder, source))
    numbers = [n for n, part in enumerate(parts) if part["rows"]]
    if not numbers:
        raise DataError("the source has no rows; at least two users and two items are needed")
    full = [parts[n] for n in numbers]
    timed = full[0]["timed"]
    if any(p["columns"] != full[0]["columns"] or p["timed"] != timed for p in full):
        raise DataError("the files have different columns; name them with user=, item=, rating= and time=")
    if source is None:
        guess = {"folder": folder, "parts": [(n, parts[n]["rows"]) for n in numbers], "column": full[0]["columns"][2]}
        kind: Kind = chosen or work.step("b-kind", kind_task, [guess])[0]
        policy = duplicates or usual_policy(kind)
    else:
        kind, policy = source.kind, "all"
    if source is None:
        ranges = _merged(work, parts, numbers)
        sizes = {side: ranges[side][-1][2] for side in SIDES}
    else:
        ranges, sizes = {}, {"user": source.n_users, "item": source.n_items}
    cuts_by = work.alone("c-cut", lambda: [Done({s: cut(sizes[s], block_rows, workers) for s in SIDES}, [])])[0]
    shared = {"folder": folder, "ranges": ranges, "cuts": cuts_by["user"], "timed": timed}
    own = ("users", "items", "user_form", "item_form") if source is None else ()
    encode = [{**shared, "number": n, **{k: parts[n][k] for k in own}} for n in numbers]
    work.step("d-encode", encode_part, encode, drop=_names(parts, numbers, timed))
    users, items = cuts_by["user"][-1], cuts_by["item"][-1]
    group = [
        {
            "folder": folder,
            "block": at,
            "range": pair,
            "parts": numbers,
            "items": items,
            "timed": timed,
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
    repeats = sum(g["merged"] for g in grouped)
    notes = list(dict.fromkeys(note for p in full for note in p["notes"]))
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
        [*notes, *([f"{repeats:,} duplicate rows of the same user and item merged"] if repeats else [])],
    )


def _merged(work: Work, parts: list[dict[str, Any]], numbers: list[int]) -> dict[str, list[Any]]:
    """The ranges of all ids of each side: (number, first code, end's code, form)."""
    jobs = []
    for side in SIDES:
        full = [parts[n] for n in numbers]
        form = _form_of(full, side)
        count = -(-sum(p[f"{side}s"] for p in full) // RANGE_IDS)
        samples = [s for p in full for s in p[f"{side}_samples"]]
        edges = [None, *(_splitters(samples, count) if count > 1 and samples else []), None]
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


def _rows_of(folder: str, source: Interactions) -> list[Done]:
    """The rows of Interactions in parts, with the codes that they have."""
    done = []
    for number, lo in enumerate(range(0, max(len(source), 1), PART_ROWS)):
        part = slice(lo, lo + PART_ROWS)
        found = {"user": source.users, "item": source.items, "value": source.values, "time": source.times}
        files = [put(folder, f"parts/{number}-{x}", array[part]) for x, array in found.items() if array is not None]
        names = source.columns
        value = {
            "rows": len(source.users[part]),
            "timed": source.times is not None,
            "columns": [names.user, names.item, names.rating, names.time],
            "notes": list(source.notes),
        }
        done.append(Done(value, files))
    return done


def _names(parts: list[dict[str, Any]], numbers: list[int], timed: bool) -> list[str]:
    """The files of parts that nobody needs once the rows are encoded."""
    found = []
    for n in numbers:
        found += [f"parts/{n}-{x}" for x in ("user", "item", "value", *(["time"] if timed else []))]
        for side in SIDES if f"{SIDES[0]}_form" in parts[n] else ():
            text = parts[n][f"{side}_form"]["type"] in ("text", "binary")
            found += [f"parts/{n}-{side}-ids{x}" for x in ((".offsets", ".bytes") if text else ("",))]
    return found
