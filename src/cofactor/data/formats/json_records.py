"""Open JSON as a table: one object per line, an array of objects, or a table in pandas' form."""

from __future__ import annotations

import ast
import io
import json
import re
from typing import Any

import polars as pl

from cofactor.data.columns.names import SYNONYMS, is_known_name, plain_name
from cofactor.data.tables import Table, flattened, loaded
from cofactor.errors import DataError


def is_json(text: bytes) -> bool:
    """Return whether a text begins like JSON objects, or like Python dicts."""
    start = text[:4096].lstrip(b"\xef\xbb\xbf \t\r\n")
    if start[:1] == b"{":
        return start[1:].lstrip()[:1] in (b'"', b"'", b"}")
    return start[:1] == b"[" and start[1:].lstrip()[:1] in (b"{", b"[", b"]")


def open_json(data: bytes, label: str) -> Table:
    """Return a table of the fields of the objects. A field of a nested object is named ``outer.inner``; lists of other
    things are left out. Raises DataError, with the line, if the text is not JSON."""
    text = data.lstrip(b"\xef\xbb\xbf \t\r\n")
    frame = _lines(text, label) if text[:1] == b"{" else None
    if frame is None:
        frame = _whole(text, label)
    frame, notes = _maps_unfolded(frame)
    frame = flattened(frame)
    if not frame.width:
        raise DataError(f"{label} has no fields in its JSON; objects with user and item are needed")
    frame = _without_wrapper(_without_types(frame))
    nameless = frame.columns == [f"{_NAMELESS}{at}" for at in range(frame.width)]
    said = "JSON: one array per row" if nameless else "JSON: one object per row"
    mixed = [name for name in frame.columns if _of_two_types(text, name, frame[name])]
    if mixed:
        shown = ", ".join(repr(name) for name in mixed[:5])
        notes += [f'{shown}: some values are numbers and others quoted text; all are read as text, so 5 is "5"']
    return loaded(frame, label, [said, *notes], headed=not nameless)


def _maps_unfolded(frame: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """Return a row for each key of the only field that holds an object of numbers, such as ``"ratings": {item:
    value}``. The keys must not be column names, and must be many or differ from row to row."""
    for name, dtype in frame.schema.items():
        if not isinstance(dtype, pl.Struct) or len(dtype.fields) < 2:
            continue
        numbers = all(field.dtype.is_numeric() or field.dtype == pl.Null for field in dtype.fields)
        if not numbers or any(is_known_name(field.name) for field in dtype.fields):
            continue
        keys = [field.name for field in dtype.fields]
        others = [other for other in frame.columns if other != name]
        values = frame[name].struct.unnest()
        if len(keys) < 10 and not sum(values[key].null_count() for key in keys):
            continue
        if not others or any(plain_name(other) in _ITEMS for other in others):
            continue
        wide = pl.concat([frame.select(others), values.rename({key: f"{_KEY}{key}" for key in keys})], how="horizontal")
        long = wide.with_row_index("_row").unpivot(index=["_row", *others], variable_name="item", value_name=name)
        long = long.filter(pl.col(name).is_not_null()).sort("_row", maintain_order=True).drop("_row")
        items = _whole_numbers(long["item"].str.strip_prefix(_KEY))
        return long.with_columns(items), [f"one row for each key of {name!r}"]
    return frame, []


def _whole_numbers(keys: pl.Series) -> pl.Series:
    """Return keys, which JSON writes as text, as whole numbers if all are whole numbers without leading zeros."""
    whole = keys.cast(pl.Int64, strict=False)
    return keys if whole.null_count() or keys.str.contains(r"^[-+]?0\d|^\+").any() else whole


_KEY = "key of "
_ITEMS = frozenset(plain_name(name) for name in SYNONYMS["item"]) - {"name", "title", "i", "page", "url"} | {"row"}


def _without_wrapper(frame: pl.DataFrame) -> pl.DataFrame:
    """Unwrap the object that a program puts around each record (``_source`` of Elasticsearch, ``Item`` of DynamoDB).
    The metadata beside it, under names that begin with ``_``, is dropped."""
    inner = [name for name in frame.columns if not name.startswith("_") or name.startswith("_source.")]
    wrappers = {name.partition(".")[0] for name in inner}
    if len(inner) < 2 or len(wrappers) != 1 or not all("." in name for name in inner):
        return frame
    return frame.select(inner).rename({name: name.partition(".")[2] for name in inner})


def _of_two_types(text: bytes, name: str, values: pl.Series) -> bool:
    """Return whether a field that became text is a number in some objects and a text of digits in others."""
    if values.dtype != pl.String or not values.str.contains(r"^-?\d+$").any():
        return False
    key = re.escape(json.dumps(name).encode())
    return all(re.search(key + rb"\s*:\s*" + begins, text) is not None for begins in (rb"-?\d", rb'"'))


_NAMELESS = "column_"
_TYPED = re.compile(
    r"(.+?)\.(?:\$(?:oid|date|numberLong|numberInt|numberDouble|numberDecimal|uuid)(?:\.\$numberLong)?"
    r"|long|int|string|double|float|boolean|_?seconds)$"
)
"""A field as MongoDB exports it (``{"userId": {"$oid": "5f..."}}``), as Avro does (``{"userId": {"long": 5}}``), and a
time as Firestore does (``{"at": {"_seconds": 1300000000}}``)."""


_DYNAMO = frozenset(("S", "N", "B", "BOOL", "NULL"))
"""Types in DynamoDB's form: ``{"userId": {"S": "a"}, "rating": {"N": "4"}}``."""


def _without_types(frame: pl.DataFrame) -> pl.DataFrame:
    """Unwrap fields that MongoDB or DynamoDB wrote with their type. Numbers written as text become numbers."""
    ends = [name.rpartition(".")[2] for name in frame.columns]
    typed = re.compile(r"(.+)\.(?:S|N|B|BOOL|NULL)$") if {"S", "N"} & set(ends) <= set(ends) <= _DYNAMO else _TYPED
    nanos = [name for name in frame.columns if re.search(r"\._?(?:nanoseconds|nanos)$", name)]
    outer = [name.rpartition(".")[0] for name in frame.columns if name not in nanos]
    frame = frame.drop(name for name in nanos if name.rpartition(".")[0] in outer)
    for name in frame.columns:
        match = typed.match(name)
        if match is None or match[1] in frame.columns or outer.count(match[1]) > 1:
            continue
        values = frame[name]
        if (".$number" in name or name.endswith(".N")) and values.dtype == pl.String:
            numbers = values.cast(
                pl.Int64 if "Double" not in name and "Decimal" not in name else pl.Float64, strict=False
            )
            if numbers.null_count() > values.null_count():
                numbers = values.cast(pl.Float64, strict=False)
            values = numbers if numbers.null_count() == values.null_count() else values
        frame = frame.with_columns(values.alias(name)).rename({name: match[1]})
    return frame


def _lines(text: bytes, label: str) -> pl.DataFrame | None:
    """Return the objects of a text with one object per line; None if the text is one object over several lines."""
    try:
        frame = pl.read_ndjson(io.BytesIO(text), infer_schema_length=None)
    except pl.exceptions.PolarsError:
        pass
    else:
        columns = len(frame) == 1 and all(dtype.is_nested() for dtype in frame.dtypes)  # pandas, orient="columns"
        return None if columns else frame
    rows = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            if number == 1 and not _is_python(line):
                return None  # an object over several lines, or several on one
            raise _not_json(line, number, label, error) from None
        if not isinstance(row, dict):
            raise DataError(f"line {number} of {label} is not a JSON object; write one object per line")
        rows.append(row)
    return _frame(rows, label)


def _whole(text: bytes, label: str) -> pl.DataFrame:
    """Read an array of objects or rows, or an object of columns as ``DataFrame.to_json`` of pandas writes it."""
    try:
        found = json.loads(text)
    except ValueError as error:
        if (several := _one_after_another(text)) is not None:
            return _frame(several, label)
        raise _not_json(text[:200], getattr(error, "lineno", 1), label, error) from None
    if isinstance(found, dict) and found and isinstance(found.get("data"), list):  # orient="split" and "table"
        names = found.get("columns")
        if isinstance(names, list) and all(isinstance(row, list) and len(row) == len(names) for row in found["data"]):
            return _frame([dict(zip(map(str, names), row)) for row in found["data"]], label)
        found = found["data"]
    if isinstance(found, dict):
        tables = _lists_of_records(found)
        found = tables[0] if len(tables) == 1 else found
    if isinstance(found, dict):
        if is_records(found):
            return _frame([{"index": key} | record for key, record in found.items()], label)
        columns = [list(v.values()) if isinstance(v, dict) else v for v in found.values()]
        if len(columns) > 1 and all(isinstance(v, dict) and v and not _names(v) for v in found.values()):
            of = [(who, what, value) for who, theirs in found.items() for what, value in theirs.items()]
            if all(isinstance(value, (int, float)) and not isinstance(value, bool) for _, _, value in of):
                frame = pl.DataFrame(of, schema=["user", "item", "rating"], orient="row")
                return frame.with_columns(_whole_numbers(frame["user"]), _whole_numbers(frame["item"]))
        if (listed := _lists_by_user(found)) is not None:
            return listed
        if len(columns) > 1 and all(isinstance(v, list) and len(v) == len(columns[0]) for v in columns):
            return _frame([dict(zip(found, row)) for row in zip(*columns)], label)
        raise DataError(
            f"{label} is one JSON object, not a table; give one object per line, or an array of objects with user and"
            " item"
        )
    if found and all(isinstance(row, list) for row in found):
        found = [{f"{_NAMELESS}{at}": value for at, value in enumerate(row)} for row in found]
    if not found or not all(isinstance(row, dict) for row in found):
        raise DataError(f"{label} is a JSON array of other values than objects; give objects with a user and an item")
    return _frame(found, label)


def _one_after_another(text: bytes) -> list[dict[str, Any]] | None:
    """Return objects that follow each other without commas, over several lines each or all on one; None if the text
    holds something else."""
    decoder, rest, at = json.JSONDecoder(), text.decode("utf-8", "replace"), 0
    rows = []
    while at < len(rest):
        try:
            row, at = decoder.raw_decode(rest, at)
        except ValueError:
            return None
        if not isinstance(row, dict):
            return None
        rows.append(row)
        while at < len(rest) and rest[at] in " \t\r\n,":
            at += 1
    return rows


def _lists_by_user(found: dict[str, Any]) -> pl.DataFrame | None:
    """Return a row for each item of an object such as ``{user: [item, item]}`` or ``{user: [[item, value]]}``; None if
    it is another, or some key is the name of a column."""
    if len(found) < 3 or not all(isinstance(items, list) for items in found.values()) or _are_names(found):
        return None
    rows = [(who, *(item if isinstance(item, list) else [item])) for who, items in found.items() for item in items]
    if not rows or len({len(row) for row in rows}) != 1 or len(rows[0]) > 3:
        return None
    if not all(isinstance(row[1], (str, int)) and isinstance(row[-1], (str, int, float)) for row in rows):
        return None
    names = ["user", "item", "rating"][: len(rows[0])]
    try:
        frame = pl.DataFrame(rows, schema=names, orient="row", strict=True, infer_schema_length=None)
    except (pl.exceptions.PolarsError, TypeError, OverflowError):
        return None
    return frame.with_columns(_whole_numbers(frame["user"]))


def _lists_of_records(found: dict[str, Any]) -> list[list[dict[str, Any]]]:
    """The lists of objects in an object, and in objects of it, however deep."""
    tables = []
    for value in found.values():
        if isinstance(value, dict):
            tables += _lists_of_records(value)
        elif isinstance(value, list) and value and all(isinstance(row, dict) for row in value):
            tables.append(value)
    return tables


def is_records(found: dict[Any, Any]) -> bool:
    """Return whether an object holds records under keys that are no column names: ``{"0": {"user": 5, "item": 7}}``."""
    records = [record for record in found.values() if isinstance(record, dict)]
    if len(records) != len(found) or any(is_known_name(str(key)) for key in found):
        return False
    return all(sum(is_known_name(str(key)) for key in record) >= 2 for record in records)


def _names(record: dict[str, Any]) -> bool:
    """Return whether some keys are column names, or count rows as in pandas' tables."""
    return any(is_known_name(key) for key in record) or list(record) == [str(at) for at in range(len(record))]


def _are_names(keys: dict[str, Any]) -> bool:
    """Return whether keys may be the names of columns: some usual name, or the numbers of a few."""
    return any(map(is_known_name, keys)) or (len(keys) <= 6 and list(keys) == [str(at) for at in range(len(keys))])


def _frame(rows: list[dict[str, Any]], label: str) -> pl.DataFrame:
    try:
        return pl.DataFrame(rows, infer_schema_length=None)
    except (pl.exceptions.PolarsError, TypeError, ValueError, OverflowError):
        pass
    names = list(dict.fromkeys(name for row in rows for name in row))  # a field of several types becomes text
    try:
        return pl.DataFrame({name: _column([row.get(name) for row in rows]) for name in names})
    except (pl.exceptions.PolarsError, TypeError, ValueError, OverflowError) as error:
        raise DataError(f"the objects of {label} cannot be made into a table: {error}") from None


def _column(values: list[Any]) -> pl.Series:
    try:
        return pl.Series(values, strict=True)
    except (pl.exceptions.PolarsError, TypeError, OverflowError):
        return pl.Series([v if v is None or isinstance(v, str) else json.dumps(v) for v in values])


def _is_python(line: bytes) -> bool:
    try:
        return isinstance(ast.literal_eval(line.decode("utf-8", "replace").strip()), (dict, list))
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return False


def _not_json(line: bytes, number: int, label: str, error: Exception) -> DataError:
    if _is_python(line) or line.lstrip()[:2] == b"{'":
        return DataError(
            f"{label} is not JSON: its lines are Python dicts (quotes are single, line {number}); rewrite each line"
            " with json.dumps(ast.literal_eval(line))"
        )
    return DataError(f"line {number} of {label} is not JSON: {error}; correct that line")
