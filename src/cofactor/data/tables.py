"""An opened table, whatever its source, and its errors in plain words.

Nothing here decides what the columns mean. The notes say what was guessed (separator, encoding, header).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import polars as pl
import polars.exceptions

from cofactor.data.ids.id_values import uuids_as_text
from cofactor.errors import DataError

Frame = TypeVar("Frame", pl.DataFrame, pl.LazyFrame)

SAMPLE_ROWS = 1000
"""The number of rows in the sample that is examined before a table is read."""


@dataclass(frozen=True)
class Table:
    """A table that is open but not yet read: its column names, a sample of rows, and functions that load columns."""

    names: list[str]
    headed: bool
    sample: pl.DataFrame
    load: Callable[[list[str], list[str]], pl.DataFrame]
    """``load(columns, ids)``: these columns; ids with leading zeros are loaded as text."""
    label: str
    notes: list[str] = field(default_factory=list)
    """Sentences on what was guessed; loading may add some."""
    parsed_at_once: bool = False
    """Whether it is better to load all columns in one call."""
    objects: Callable[[str], list[Any] | None] = lambda name: None
    """The Python objects of a frame's column, if it holds any."""
    stream: Callable[[str], tuple[int, Iterator[pl.Series]]] | None = None
    """``stream(column)``: the number of rows, and the column in parts, in order; None if a file cannot give parts."""


def loaded(frame: pl.DataFrame, label: str, notes: Sequence[str] = (), headed: bool = True) -> Table:
    """Return a table that is already in memory. Columns of types that polars does not know have their storage type: a
    ``numeric`` of a database, for example, is text."""
    extended = [name for name, dtype in frame.schema.items() if isinstance(dtype, getattr(pl, "BaseExtension", ()))]
    frame = frame.with_columns(frame[name].ext.storage() for name in extended) if extended else frame
    if objects := [name for name, dtype in frame.schema.items() if dtype == pl.Object]:
        frame = frame.with_columns(pl.Series(name, uuids_as_text(frame[name].to_list())) for name in objects)
    return Table(
        frame.columns, headed, frame.head(SAMPLE_ROWS), lambda columns, ids: frame.select(columns), label, list(notes)
    )


def flattened(frame: Frame) -> Frame:
    """Return a frame in which the fields of structs are columns, named ``outer.inner``."""
    while structs := [name for name, dtype in frame.collect_schema().items() if dtype == pl.Struct]:
        frame = frame.with_columns(pl.col(name).name.prefix_fields(f"{name}.") for name in structs).unnest(*structs)
    return frame


class readable:
    """Convert errors of polars and of the system about a bad file to DataError."""

    def __init__(self, label: str) -> None:
        self.label = label

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, (polars.exceptions.PolarsError, OSError)):
            raise DataError(f"{self.label} cannot be read as a table: {in_words(error)}") from None


class sound:
    """Convert errors of a library about invalid bytes to DataError. ``what``: such as "a damaged zip archive"."""

    def __init__(self, label: str, what: str) -> None:
        self.label, self.what = label, what

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, Exception) and not isinstance(error, DataError):
            raise DataError(f"{self.label} is {self.what}: {first_line(error)}") from None


class as_data_error:
    """Convert errors of polars about objects that do not form a table to DataError."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, (polars.exceptions.PolarsError, TypeError, ValueError)) and not isinstance(
            error, DataError
        ):
            raise DataError(f"this is not a table: {first_line(error)}") from None


def no_objects(frame: pl.DataFrame, what: str) -> None:
    """Raise DataError if a column holds Python objects that are neither text nor numbers nor lists."""
    for column in frame:
        if column.dtype == pl.Object:
            kind = next((type(value).__name__ for value in column if value is not None), "None")
            raise DataError(
                f"column {column.name!r} of {what} holds Python objects ({kind}); make it text, numbers or lists"
            )


def distinct(names: list[str]) -> list[str]:
    seen: dict[str, int] = {}
    out = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        out.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return out


def first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


_WORDS = {
    "found more fields": "some row has more fields than the first; put quotes around text that holds the separator, or"
    " name another with sep=... (on the command line --sep)",
    "CSV malformed": "a quote stands within a field or is not closed; put quotes around whole fields, and double those"
    " within",
    "could not parse": "a field does not fit its column, or a quote is not closed; save it as UTF-8 CSV again",
}


def in_words(error: BaseException) -> str:
    """Return an error of polars in words for the owner of the file."""
    said = first_line(error)
    return next((words for start, words in _WORDS.items() if said.startswith(start)), said)
