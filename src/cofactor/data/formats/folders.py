"""Find the files of one table: in folders, lists of files and name patterns."""

from __future__ import annotations

import glob
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import polars as pl

from cofactor.data.formats.columnar import columnar_format, open_parquet_files
from cofactor.data.tables import Table
from cofactor.errors import DataError

Opener = Callable[[Path], Table]


def is_pattern(path: Path) -> bool:
    """Return whether a name contains the marks of a pattern. A file of exactly that name takes precedence."""
    return re.search(r"[*?\[]", str(path)) is not None


def matching(path: Path) -> list[Path]:
    """Return the files that match a pattern, in order."""
    return sorted(found for name in glob.glob(str(path), recursive=True) if (found := Path(name)).is_file())


def files_in(folder: Path) -> list[Path]:
    """Return the files of a dataset, in order: all files in the folder and its subfolders, except hidden ones, empty
    ones and names that begin with ``_`` (``_SUCCESS``, ``_metadata``)."""
    found = []
    for path in sorted(folder.rglob("*")):
        if wanted(path.relative_to(folder)) and path.is_file() and path.stat().st_size:
            found.append(path)
    return found


def is_saved_model(folder: Path) -> bool:
    """Return whether a folder looks like a bundle, which holds arrays and no table of ratings."""
    return (folder / "manifest.json").is_file() and (folder / "arrays.safetensors").is_file()


def wanted(path: Path) -> bool:
    """Return whether a file of a dataset holds rows, by its path in the folder: see :func:`files_in`."""
    return not any(part.startswith((".", "_")) for part in path.parts) and path.suffix != ".crc"


def open_files(paths: Sequence[Path], root: Path | None, label: str, opener: Opener) -> Table:
    """Concatenate the rows of all files. Folders such as ``year=2001`` below ``root`` become columns."""
    if not paths:
        raise DataError(f"{label} contains no file that could be a table")
    heads = []
    for path in paths:
        try:
            with path.open("rb") as file:
                heads.append(columnar_format(file.read(6)))
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error.strerror or error}") from None
    said = f"{len(paths):,} file{'s' if len(paths) > 1 else ''} read as one table"
    if set(heads) == {"parquet"}:
        table = open_parquet_files(list(paths), root or Path("/"), label)
        table.notes.append(said)
        return table
    if len({head or "text" for head in heads}) > 1:
        kinds = ", ".join(sorted({head or "text" for head in heads}))
        raise DataError(f"{label} has files of several formats ({kinds}); give the files of one table: {_shown(paths)}")
    tables = [opener(path) for path in paths]
    first = tables[0]
    for path, table in zip(paths, tables):
        if (
            table.headed != first.headed
            or (table.headed and set(table.names) != set(first.names))
            or len(table.names) != len(first.names)
        ):
            raise DataError(
                f"the files of {label} are not parts of one table: {paths[0].name} has the columns"
                f" {', '.join(first.names[:8])}, {path.name} has {', '.join(table.names[:8])}; give the files of one"
                " table as a list, or one of them"
            )
    parts = {path: _partition(path, root) for path in paths}
    extra = list(parts[paths[0]])

    def load(columns: list[str], ids: list[str]) -> pl.DataFrame:
        own = [name for name in columns if name not in extra]
        frames = []
        for path, table in zip(paths, tables):
            frame = table.load(own or table.names[:1], [name for name in ids if name in own])
            for name in extra:
                if name in columns:
                    frame = frame.with_columns(pl.lit(parts[path][name]).alias(name))
            frames.append(frame.select(columns))
        for name in ids:
            kinds = {frame[name].dtype == pl.String for frame in frames if name in frame.columns and len(frame)}
            if len(kinds) > 1:
                notes.append(f"ids of column {name!r} are text in some files and numbers in others; read as text")
        try:
            return pl.concat(frames, how="vertical_relaxed")
        except pl.exceptions.PolarsError:
            return pl.concat([frame.select(pl.all().cast(pl.String)) for frame in frames])

    sample = first.sample.with_columns(pl.lit(parts[paths[0]][name]).alias(name) for name in extra)
    notes = list(dict.fromkeys([*(note for table in tables for note in table.notes), said]))
    return Table([*first.names, *extra], first.headed, sample, load, label, notes, parsed_at_once=True)


def _partition(path: Path, root: Path | None) -> dict[str, str | int]:
    if root is None:
        return {}
    found: dict[str, str | int] = {}
    for part in path.relative_to(root).parts[:-1]:
        name, sign, value = part.partition("=")
        if sign:
            found[name] = int(value) if value.isdecimal() and (value == "0" or value[0] != "0") else value
    return found


def _shown(paths: Sequence[Path]) -> str:
    return ", ".join(path.name for path in paths[:6]) + (f" and {len(paths) - 6} more" if len(paths) > 6 else "")
