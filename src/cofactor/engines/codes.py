"""Assign codes to ids: merge the ids of all parts, a range of ids in each job; then encode the rows with these
codes."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cofactor.bundle import columns
from cofactor.data.ids.id_map import IdMap
from cofactor.engines.cuts import by_block
from cofactor.engines.work import SIDES, Done, put, take
from cofactor.errors import DataError

Array = NDArray[Any]


def stored_ids(folder: str, name: str, form: Any, rows: int) -> pl.Series:
    """Return a column of ids that a job wrote."""
    return columns.read(form, name, rows, lambda part: take(folder, part), folder)


def merge_ids(job: dict[str, Any]) -> Done:
    """Return the distinct ids of all parts from ``low`` up to, but not including, ``high`` (None: no bound),
    ascending."""
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


def splitters(samples: list[Any], count: int) -> list[Any]:
    """Return ids that divide the sample into ``count`` ranges of about equal size."""
    ordered = sorted(samples)
    return sorted({ordered[len(ordered) * at // count] for at in range(1, count)})


def form_of(parts: list[dict[str, Any]], side: str) -> Any:
    """Return the common form of a side's ids. Raises DataError if the parts differ."""
    forms = {str(p[f"{side}_form"]): p[f"{side}_form"] for p in parts}
    if len(forms) > 1:
        types = " and ".join(sorted({f["type"] for f in forms.values()}))
        raise DataError(f"the {side} ids are {types} in different files; make them one type")
    return next(iter(forms.values()))


def encode_part(job: dict[str, Any]) -> Done:
    """Write a part's rows with the codes of all ids, sorted by block of users (stable)."""
    folder, number = job["folder"], job["number"]
    codes = {}
    for side in SIDES:
        if not job["ranges"]:
            codes[side] = np.asarray(take(folder, f"parts/{number}-{side}"))
            continue
        local = stored_ids(folder, f"parts/{number}-{side}-ids", job[f"{side}_form"], job[f"{side}s"])
        codes[side] = _global_codes(folder, side, local, job["ranges"][side])[take(folder, f"parts/{number}-{side}")]
    order, ends = by_block(codes["user"], job["cuts"])
    values = take(folder, f"parts/{number}-value")
    if job["ones"]:
        values = np.ones(len(values), dtype=np.float32)
    files = [
        put(folder, f"rows/{number}-user", codes["user"][order]),
        put(folder, f"rows/{number}-item", codes["item"][order]),
        put(folder, f"rows/{number}-value", values[order]),
        put(folder, f"rows/{number}-ends", ends),
    ]
    if job["timed"]:
        files.append(put(folder, f"rows/{number}-time", take(folder, f"parts/{number}-time")[order]))
    return Done(None, files)


def _global_codes(folder: str, side: str, local: pl.Series, ranges: list[tuple[int, int, int, Any]]) -> Array:
    """Return the code of each of a part's own ids, int32. ``ranges``: (number, first code, end code, form)."""
    found = np.full(len(local), -1, dtype=np.int32)
    for number, first, end, form in ranges:
        ids = IdMap(stored_ids(folder, f"ids/{side}-{number}", form, end - first), side)
        codes = ids.encode(local)
        found[codes >= 0] = codes[codes >= 0] + first
    return found
