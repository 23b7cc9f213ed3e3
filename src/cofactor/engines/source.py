"""The sources of a training: files at paths or addresses, or Interactions, divided into parts that jobs read."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cofactor.bundle import columns
from cofactor.data.columns.behaviours import check_behaviours
from cofactor.data.formats.columnar import is_partitioned
from cofactor.data.formats.folders import files_in, is_pattern, matching
from cofactor.data.formats.remote import facts_of, fetch, files_at, is_url
from cofactor.data.interactions import Interactions
from cofactor.data.kind import SAMPLE, Kind, guess_kind
from cofactor.data.read_part import read_part
from cofactor.engines.work import Done, Work, put, take
from cofactor.errors import ConfigError, DataError

Array = NDArray[Any]

PART_ROWS = 4_000_000
"""Number of rows that a job reads."""
SAMPLES = 256
"""Size of the sample of a part's ids, which decides where the ids of all parts are cut."""
_NOTES = 20


def parts_of(source: Any, options: dict[str, Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the jobs that read a source, and the facts that identify it."""
    files, root = _files(source)
    known: list[Any] = []
    rows: list[int | None] = []
    for file in files:
        if isinstance(file, str):
            known.append([file, *facts_of(file)])
            rows.append(None)
            continue
        try:
            facts = file.stat()
        except OSError:
            raise DataError(f"no file {file}; check the path") from None
        known.append([str(file.absolute()), facts.st_size, facts.st_mtime_ns])
        rows.append(_parquet_rows(file))
    partitioned = is_partitioned([_place(file) for file in files], root)
    hive = _hive_types(files, root, parquet=None not in rows) if partitioned else None
    jobs: list[dict[str, Any]] = []
    for file, count in zip(files, rows, strict=True):
        path = file if isinstance(file, str) else str(file.absolute())
        cuts = [None] if count is None else [[lo, PART_ROWS] for lo in range(0, max(count, 1), PART_ROWS)]
        jobs += [{"path": path, "cut": cut, "hive": hive, "options": options} for cut in cuts]
    return jobs, {"files": known}


def _files(source: Any) -> tuple[list[Path | str], Path]:
    """Return the files of a source, in the order in which :func:`cofactor.read` takes them, and the folder whose
    subfolder names may be columns."""
    if is_url(source):
        return list(files_at(source)), Path("/")
    if isinstance(source, (str, os.PathLike)):
        place = Path(source).expanduser()
        if place.is_dir():
            found = files_in(place)
            if not found:
                raise DataError(f"{place} contains no file that could be a table")
            return list(found), place
        if not place.exists() and is_pattern(place):
            found = matching(place)
            if not found:
                raise DataError(f"no file matches {place}; check the pattern")
            return list(found), Path("/")
        return [place], place.parent
    if isinstance(source, Iterable) and not hasattr(source, "columns"):
        listed = list(source)
        if not listed:
            raise DataError("the list of files is empty")
        if all(isinstance(one, (str, os.PathLike)) for one in listed):
            return [str(one) if is_url(one) else Path(one).expanduser() for one in listed], Path("/")
    raise ConfigError(
        f"cannot train from a {type(source).__name__}; give Interactions, a folder of files, a pattern, a list of"
        " files, an address such as s3://..., or a Spark frame"
    )


def _parquet_rows(file: Path) -> int | None:
    """Return the number of rows of a Parquet file; None for another kind of file."""
    with open(file, "rb") as opened:
        if opened.read(4) != b"PAR1":
            return None
    try:
        return int(pl.scan_parquet(file, glob=False, hive_partitioning=False).select(pl.len()).collect().item())
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{file} cannot be read as a table: {str(error)[:200]}") from None


def _place(file: Path | str) -> Path:
    """Return the path of a file, or the corresponding part of an address."""
    return Path("/", file.partition("://")[2]) if isinstance(file, str) else file


def _hive_types(files: list[Path | str], root: Path, parquet: bool) -> dict[str, Any] | None:
    """Return the types of the columns that are folder names, such as ``year=2001``, from all files together."""
    remote = [file for file in files if isinstance(file, str)]
    if not parquet and not remote:
        if root == Path("/"):  # as cofactor.read handles a list of text files
            return None
        raise ConfigError(
            f"the files below {root} are not Parquet, and are in folders such as year=2001, which would be columns;"
            " write them as Parquet to train in blocks, or give a pattern of their names"
        )
    names = {part.partition("=")[0] for file in files for part in _place(file).parts[:-1] if "=" in part}
    with tempfile.TemporaryDirectory(prefix="cofactor-") as folder:
        places = [file for file in files if isinstance(file, Path)]
        if remote:  # columns from one file, names from all files
            first = fetch(remote[0], Path(folder, "first"))
            places += [Path(folder, _place(file).relative_to("/")) for file in remote]
            for place in places[-len(remote) :]:
                place.parent.mkdir(parents=True, exist_ok=True)
                place.symlink_to(first)
        try:
            schema = pl.scan_parquet(places, glob=False, hive_partitioning=True).collect_schema()
        except pl.exceptions.PolarsError as error:
            raise DataError(f"the files below {root} are not parts of one table: {str(error)[:200]}") from None
    return {name: kind for name, kind in schema.items() if name in names}


def read_task(job: dict[str, Any]) -> Done:
    """Read a part as :func:`cofactor.read` does, and write its codes and ids."""
    path = job["path"]
    with tempfile.TemporaryDirectory(prefix="cofactor-") as folder:
        source: Any = fetch(path, Path(folder)) if is_url(path) else path
        if job["hive"] or job["cut"] not in (None, [0, PART_ROWS]):
            lazy = pl.scan_parquet(source, glob=False, hive_partitioning=bool(job["hive"]), hive_schema=job["hive"])
            source = lazy.slice(*(job["cut"] or [0])).collect()
        try:
            found = read_part(source, **job["options"])
        except DataError as error:
            raise DataError(f"{path}: {str(error).replace(folder, '')}") from None
        if found.data is None:
            return Done({"rows": 0, "behaviours": found.behaviours}, [])
        return written(job["folder"], job["number"], found.data, found.kind, found.behaviours)


def written(folder: str, number: int, data: Interactions, kind: Kind | None, behaviours: list[str]) -> Done:
    """Write the files of a part that has been read."""
    files = []
    low, high = data.range
    value = _facts(data) | {"rows": len(data), "kind": kind, "behaviours": behaviours, "low": low, "high": high}
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


def _facts(data: Interactions) -> dict[str, Any]:
    names = data.columns
    return {
        "timed": data.times is not None,
        "columns": [names.user, names.item, names.rating, names.time],
        "notes": list(data.notes),
    }


def rows_of(folder: str, source: Interactions) -> list[Done]:
    """Write the rows of Interactions in parts, with their present codes."""
    done = []
    for number, lo in enumerate(range(0, max(len(source), 1), PART_ROWS)):
        part = slice(lo, lo + PART_ROWS)
        found = {"user": source.users, "item": source.items, "value": source.values, "time": source.times}
        files = [put(folder, f"parts/{number}-{x}", array[part]) for x, array in found.items() if array is not None]
        done.append(Done(_facts(source) | {"rows": len(source.users[part]), "kind": source.kind}, files))
    return done


# ---- what the parts are together


def kind_of(work: Work, parts: list[dict[str, Any]], numbers: list[int], chosen: Kind | None) -> tuple[Kind, list[str]]:
    """Return the kind of the values, as :func:`cofactor.read` decides it, and a note if it was guessed."""
    certain: Kind | None = chosen or parts[numbers[0]]["kind"]
    if certain is not None:
        return certain, []
    column = parts[numbers[0]]["columns"][2]
    sizes = [(n, parts[n]["rows"]) for n in numbers]
    kind, reason = work.step("b-kind", kind_task, [{"folder": str(work.folder), "parts": sizes, "column": column}])[0]
    return kind, [f"kind: {kind} ({reason}); kind=... overrides it"]


def unit_of(parts: list[dict[str, Any]], kind: Kind) -> float | None:
    """Return the value that all rows of events have, each of which counts 1; None where values differ, or where rows
    have no value of their own."""
    low, high = min(part["low"] for part in parts), max(part["high"] for part in parts)
    valued = parts[0]["kind"] is None and parts[0]["columns"][2] is not None
    return float(low) if kind == "events" and valued and low == high else None


def kind_task(job: dict[str, Any]) -> Done:
    """Return the kind of the values and the reason, from the values that :func:`cofactor.read` would sample."""
    rows = sum(size for _, size in job["parts"])
    step, start, found = max(1, rows // SAMPLE), 0, []
    for number, size in job["parts"]:
        found.append(np.asarray(take(job["folder"], f"parts/{number}-value")[-start % step :: step]))
        start += size
    guess = guess_kind(np.concatenate(found), job["column"])
    return Done([guess.kind, guess.reason], [])


def check_parts(parts: list[dict[str, Any]], weights: Mapping[str, float] | None) -> None:
    """Raise DataError if no part has rows, if the parts do not form one table, or if a behaviour with a weight occurs
    in none."""
    if weights:
        check_behaviours(weights, sorted({name for part in parts for name in part["behaviours"]}), "the files")
    facts = [[p["columns"], p["timed"], p["kind"]] for p in parts if p["rows"]]
    if not facts:
        raise DataError("the source has no rows; at least two users and two items are needed")
    if any(other != facts[0] for other in facts):
        raise DataError("the files have different columns; name them with user=, item=, rating= and time=")


def notes_of(parts: list[dict[str, Any]]) -> list[str]:
    """Return the notes of all parts, then those of some parts, up to a maximal number."""
    notes = list(dict.fromkeys(note for part in parts for note in part["notes"]))
    if len(notes) <= _NOTES:
        return notes
    common = [note for note in notes if all(note in part["notes"] for part in parts)]
    rest = [note for note in notes if note not in common]
    return [*common, *rest[:_NOTES], f"and {len(rest) - _NOTES:,} similar notes of other parts"]


def names_of(parts: list[dict[str, Any]], numbers: list[int], timed: bool) -> list[str]:
    """Return the files of parts that are not needed once the rows are encoded."""
    found = []
    for n in numbers:
        found += [f"parts/{n}-{x}" for x in ("user", "item", "value", *(["time"] if timed else []))]
        for side in ("user", "item") if "user_form" in parts[n] else ():
            text = parts[n][f"{side}_form"]["type"] in ("text", "binary")
            found += [f"parts/{n}-{side}-ids{x}" for x in ((".offsets", ".bytes") if text else ("",))]
    return found
