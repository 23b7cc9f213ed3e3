"""Tables as they come -> polars frames: delimited text of any kind, Parquet, Arrow files, and frames in memory.

Nothing is decided here about what the columns mean. What was guessed (separator, encoding, header) is said in notes.
"""

from __future__ import annotations

import csv
import gzip
import io
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import polars.exceptions
from polars import selectors

from cofactor.data import zeros
from cofactor.data.ids import mixed_check
from cofactor.errors import DataError, did_you_mean

SEPARATORS = ("::", "\t", ";", "|", ",")
_UNIT = "\x1f"
"""Stands for ``::`` while polars, which wants one byte, reads the file."""


@dataclass(frozen=True)
class Table:
    """A table that has been opened but not yet read: its columns, a few rows, and how to read the columns wanted."""

    names: list[str]
    headed: bool
    sample: pl.DataFrame
    load: Callable[[list[str], list[str]], pl.DataFrame]
    """``load(columns, ids)``: those columns; those in ``ids`` keep leading zeros (text, then)."""
    label: str
    notes: list[str] = field(default_factory=list)
    """What was guessed; loading may add to it."""
    parsed_at_once: bool = False
    """Whether all columns had better be loaded in one call."""
    objects: Callable[[str], list[Any] | None] = lambda name: None
    """The Python objects of a frame's column, where it holds such."""
    stream: Callable[[str], tuple[int, Iterator[pl.Series]]] | None = None
    """``stream(column)``: how many rows there are, and the column in parts, in order; where a file gives such."""


def open_table(
    source: Any, *, sep: str | None = None, encoding: str | None = None, header: bool | None = None
) -> Table:
    """Open a path (CSV, TSV, ``::``, Parquet, Arrow/Feather; text also gzipped) or a pandas, polars or Arrow frame.

    DataError where there is no such file, it is a directory, it is empty, or it is no table.
    """
    for name, value in (("sep", sep), ("encoding", encoding)):
        if value is not None and (not isinstance(value, str) or not value):
            common = "',' or ';'" if name == "sep" else "'utf-8' or 'latin-1'"
            raise DataError(f"{name} is {value!r}; give a text such as {common} (on the command line --{name})")
    if isinstance(source, (str, os.PathLike)):
        return _open_file(Path(source), sep, encoding, header)
    return _open_frame(source)


def _open_file(path: Path, sep: str | None, encoding: str | None, header: bool | None) -> Table:
    path = path.expanduser()
    if path.is_dir():
        raise DataError(f"{path} is a directory; give the file with the ratings")
    if not path.exists():
        from cofactor.data.datasets import DATASETS

        raise DataError(f"no file {path}; check the path.{did_you_mean(path, DATASETS)}")
    try:
        with path.open("rb") as file:
            magic = file.read(6)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None
    if not magic:
        raise DataError(f"{path} is empty; a table of user, item and rating is needed")
    if magic[:4] == b"PAR1":
        return _open_columnar(path, pl.read_parquet, pl.scan_parquet, lambda p: list(pl.read_parquet_schema(p)))
    if magic == b"ARROW1":
        return _open_columnar(path, pl.read_ipc, None, lambda p: list(pl.read_ipc_schema(p)))
    if magic[:2] == b"PK":
        raise DataError(f"{path} is a zip archive; unpack it and give the file inside")
    return _open_text(path, magic[:2] == b"\x1f\x8b", sep, encoding, header)


def _open_columnar(path: Path, reader: Any, scan: Any, schema: Callable[[Path], list[str]]) -> Table:
    def load(columns: list[str], ids: list[str]) -> pl.DataFrame:
        with readable(path):
            frame: pl.DataFrame = reader(path, columns=columns)
        return frame

    def stream(column: str) -> tuple[int, Iterator[pl.Series]]:
        with readable(path):
            lazy = scan(path, glob=False)
            return lazy.select(pl.len()).collect().item(), parts(lazy.select(selectors.by_name(column)))

    def parts(lazy: Any) -> Iterator[pl.Series]:
        with readable(path):
            for batch in lazy.collect_batches():
                yield batch.to_series()

    with readable(path):
        names = schema(path)
        sample: pl.DataFrame = reader(path, n_rows=20)
    streams = scan is not None and hasattr(pl.LazyFrame, "collect_batches")  # polars 1.34 or later
    return Table(names, True, sample, load, str(path), stream=stream if streams else None)


def _open_text(path: Path, zipped: bool, sep: str | None, encoding: str | None, header: bool | None) -> Table:
    data: bytes | None = None
    if zipped:
        try:
            data = gzip.decompress(path.read_bytes())
        except (OSError, EOFError) as error:
            raise DataError(f"{path} is a damaged gzip file: {error}") from None
        head = data[: 1 << 16]
    else:
        with path.open("rb") as file:
            head = file.read(1 << 16)
    notes: list[str] = []
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encoding = encoding or "utf-16"
    if encoding and encoding.lower().replace("_", "-") not in ("utf-8", "utf8", "utf-8-sig"):
        data = _recode(data if data is not None else path.read_bytes(), encoding, path)
        head = data[: 1 << 16]
    lines = [line for line in head.decode("utf-8", "replace").lstrip("\ufeff").splitlines() if line.strip()]
    if len(head) == 1 << 16 and len(lines) > 1:
        lines.pop()  # the last one may be cut
    lines = lines[:50]
    if not lines:
        raise DataError(f"{path} is empty; a table of user, item and rating is needed")
    if "\x00" in lines[0]:
        raise DataError(f"{path} is not a text table (it has zero bytes); give CSV, TSV or Parquet")
    if sep is None:
        sep = _guess_separator(lines)
        if sep not in (",", "\t"):
            notes.append(f"separator guessed: {sep!r}")
    quote = None if sep in ("::", "\t") else '"'
    first = _fields(lines[0], sep, quote)
    if header is None:
        header = not any(_numeric(cell) for cell in first)
        if not header:
            notes.append("no header line: the first line has numbers")
    names = _distinct([cell.strip() for cell in first]) if header else [f"column_{i}" for i in range(len(first))]
    if len(sep.encode()) > 1:
        whole = data if data is not None else path.read_bytes()
        data = whole.replace(sep.encode(), _UNIT.encode())
        lines = [line.replace(sep, _UNIT) for line in lines]
        sep = _UNIT
    layout: dict[str, Any] = {"has_header": bool(header), "separator": sep, "quote_char": quote}
    first_lines = "\n".join(lines).encode()
    with readable(path):
        raw = pl.read_csv(io.BytesIO(first_lines), n_rows=1, infer_schema=False, **layout).columns
        text = _Text(path, data, layout, dict(zip(names, raw)), notes, encoding)
        sample = text.parse(io.BytesIO(first_lines), names, [])
    return Table(names, bool(header), sample, text.load, str(path), notes, parsed_at_once=True)


@dataclass(frozen=True)
class _Text:
    """A delimited text and how it is laid out."""

    path: Path
    data: bytes | None
    layout: dict[str, Any]
    raw: dict[str, str]
    """Our name of each column -> polars' own, in order."""
    notes: list[str]
    encoding: str | None = None
    """As it was named; None: UTF-8, or else latin-1."""

    def load(self, columns: list[str], ids: list[str]) -> pl.DataFrame:
        source: Any = self.path if self.data is None else io.BytesIO(self.data)
        try:
            return self._zeros_kept(source, columns, ids)
        except polars.exceptions.ComputeError as error:
            if "utf-8" not in str(error).lower() and "utf8" not in str(error).lower():
                raise DataError(f"{self.path} cannot be read as a table: {_in_words(error)}") from None
        data = self.data if self.data is not None else self.path.read_bytes()
        data = _recode(data, self.encoding or "latin-1", self.path)
        note = "encoding: not UTF-8, read as latin-1 (encoding=..., on the command line --encoding, names another)"
        if note not in self.notes:
            self.notes.append(note)
        with readable(self.path):
            return self._zeros_kept(io.BytesIO(data), columns, ids)

    def _zeros_kept(self, source: Any, columns: list[str], ids: list[str]) -> pl.DataFrame:
        """Ids are integers where that loses no leading zero, else text."""
        frame = self._parse_or_text(source, columns, [])
        numbers = [name for name in ids if name in columns and frame[name].dtype.is_integer()]
        if numbers and self._leading_zeros():
            if isinstance(source, io.BytesIO):
                source.seek(0)
            frame = self._parse_or_text(source, columns, numbers)
        for name in (name for name in ids if name in columns and frame[name].dtype == pl.String):
            if not frame[name].str.contains(r"^0\d").any():
                whole = frame[name].cast(pl.Int64, strict=False)
                if whole.null_count() == frame[name].null_count():
                    frame = frame.with_columns(whole)
        return frame

    def _parse_or_text(self, source: Any, columns: list[str], as_text: list[str]) -> pl.DataFrame:
        """Types as polars infers them; where a later row does not fit, every column that is asked for as text."""
        try:
            return self.parse(source, columns, as_text)
        except polars.exceptions.ComputeError as error:
            if "could not parse" not in str(error) and "failed to parse" not in str(error):
                raise
            if isinstance(source, io.BytesIO):
                source.seek(0)
            return self.parse(source, columns, columns)

    def parse(self, source: Any, columns: list[str], as_text: list[str]) -> pl.DataFrame:
        types = {self.raw[name]: pl.String for name in as_text}
        wanted = [self.raw[name] for name in columns]
        frame = pl.read_csv(source, columns=wanted, schema_overrides=types, infer_schema_length=1000, **self.layout)
        return frame.select(pl.col(self.raw[name]).alias(name) for name in columns)

    def _leading_zeros(self) -> bool:
        """Whether some field looks like ``0110912``: polars would make it a number and lose the zeros."""
        sep, quote = ord(self.layout["separator"]), ord(self.layout["quote_char"] or "\n")
        return zeros.in_file(self.path, sep, quote) if self.data is None else zeros.in_text(self.data, sep, quote)


class readable:
    """Turns what polars and the system say of a bad file into a DataError."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, (polars.exceptions.PolarsError, OSError)):
            raise DataError(f"{self.path} cannot be read as a table: {_in_words(error)}") from None


def _open_frame(source: Any) -> Table:
    """Columns of a frame in memory; only those asked for are converted."""
    if isinstance(source, pl.LazyFrame):
        source = source.collect()
    if isinstance(source, dict):
        with _as_data_error():
            source = pl.DataFrame(source)
    if isinstance(source, pl.DataFrame):
        frame = source
        return Table(frame.columns, True, frame.head(20), lambda columns, ids: frame.select(columns), "the frame")
    import narwhals as nw

    try:
        wrapped = nw.from_native(source, eager_only=True)
    except nw.exceptions.DuplicateError:
        raise DataError("two columns of the frame have the same name; rename or drop one") from None
    except TypeError:
        if hasattr(source, "__arrow_c_stream__"):
            with _as_data_error():
                source = pl.DataFrame(source)
            return _open_frame(source)
        raise DataError(
            f"cannot read ratings from a {type(source).__name__}; give a path, or a pandas, polars or Arrow frame"
        ) from None
    raw = list(wrapped.columns)
    names = _distinct([str(name) for name in raw])

    def load(columns: list[str], ids: list[str]) -> pl.DataFrame:
        return pl.DataFrame([_column(wrapped, names.index(name), name in ids).rename(name) for name in columns])

    headed = not all(isinstance(name, int) for name in raw)
    head = wrapped.head(20)
    sample: dict[str, pl.Series] = {}
    for i, name in enumerate(names):
        try:
            sample[name] = _column(head, i, False)
        except DataError:
            sample[name] = pl.Series([None] * len(head), dtype=pl.String)

    def objects(name: str) -> list[Any] | None:
        return [None if _is_missing(v) else v for v in wrapped[:, names.index(name)].to_list()]

    return Table(names, headed, pl.DataFrame(sample), load, "the frame", objects=objects)


def _column(frame: Any, at: int, is_id: bool) -> pl.Series:
    """One column of a narwhals frame, in polars. Mixed objects: DataError for ids, else text."""
    import narwhals as nw

    series = frame[:, at]
    if series.dtype == nw.Object or series.dtype == nw.Unknown:
        values = [None if _is_missing(v) else v for v in series.to_list()]
        if is_id:
            mixed_check(values, f"the ids in column {series.name!r}")
        elif len({type(v) for v in values} - {type(None), int, float}) > (not {int, float} & {type(v) for v in values}):
            values = [None if v is None else str(v) for v in values]
        with _as_data_error():
            return pl.Series([v.item() if isinstance(v, np.generic) else v for v in values])
    if series.dtype in (nw.Categorical, nw.Enum):
        series = series.cast(nw.String)
    if series.dtype == nw.Datetime and getattr(series.dtype, "time_zone", None):
        series = series.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    if (
        frame.implementation.is_pandas_like()
        and series.dtype.is_numeric()
        and isinstance(getattr(series.to_native(), "dtype", None), np.dtype)
    ):
        return pl.Series(series.to_numpy())
    try:
        found: pl.Series = series.to_polars()
    except (ImportError, ModuleNotFoundError):  # pandas text without pyarrow
        found = pl.Series([None if _is_missing(v) else v for v in series.to_list()])
    return found


def _is_missing(value: Any) -> bool:
    return (
        value is None or (isinstance(value, float) and value != value) or type(value).__name__ in ("NAType", "NaTType")
    )


class _as_data_error:
    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, (polars.exceptions.PolarsError, TypeError, ValueError)) and not isinstance(
            error, DataError
        ):
            raise DataError(f"this is no table: {_first_line(error)}") from None


def _recode(data: bytes, encoding: str, path: Path) -> bytes:
    try:
        return data.decode(encoding).encode("utf-8")
    except LookupError:
        raise DataError(
            f"no encoding {encoding!r}; name one with encoding=... (on the command line --encoding): utf-8, latin-1 and"
            " cp1252 are common"
        ) from None
    except UnicodeError as error:
        at = f"byte {error.start} does not fit" if isinstance(error, UnicodeDecodeError) else "it cannot be decoded"
        raise DataError(
            f"{path} is not in {encoding}: {at}; name another with encoding=... (on the command line --encoding)"
        ) from None


def _guess_separator(lines: Sequence[str]) -> str:
    """The separator that gives every one of the first lines the same number of fields, two or more."""
    best, most = ",", 1
    for sep in SEPARATORS:
        counts = {len(_fields(line, sep, None if sep in ("::", "\t") else '"')) for line in lines}
        fewest = min(counts)
        if len(counts) == 1 and fewest > most:
            if sep == "::" or fewest >= 2:
                best, most = sep, fewest
            if sep == "::":
                break
    if most == 1:
        counts_first = {sep: lines[0].count(sep) for sep in SEPARATORS}
        likely = max(counts_first, key=lambda sep: counts_first[sep])
        best = likely if counts_first[likely] else ","
    return best


def _fields(line: str, sep: str, quote: str | None) -> list[str]:
    if len(sep) > 1:
        return line.split(sep)
    if quote is None:
        return line.split(sep)
    return next(csv.reader([line], delimiter=sep, quotechar=quote), [])


def _numeric(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _distinct(names: list[str]) -> list[str]:
    seen: dict[str, int] = {}
    out = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        out.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return out


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


_WORDS = {
    "found more fields": "some row has more fields than the first; put quotes around text that holds the separator, or"
    " name another with sep=... (on the command line --sep)",
    "could not parse": "a field does not fit its column, or a quote is not closed; save it as UTF-8 CSV again",
}


def _in_words(error: BaseException) -> str:
    """What polars said, in words for whoever has the file."""
    said = _first_line(error)
    return next((words for start, words in _WORDS.items() if said.startswith(start)), said)
