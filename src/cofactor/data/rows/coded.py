"""Convert a column of ids to an id map and the code of each row, with errors and notes on the ids."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
import polars as pl

from cofactor.data.arrays import Array
from cofactor.data.columns import values
from cofactor.data.ids.factorize import factorize, factorize_parts
from cofactor.data.ids.id_map import IdMap
from cofactor.data.ids.leading_zeros import MARKED
from cofactor.data.tables import Table
from cofactor.errors import DataError


def streamed_ids(table: Table, name: str, kind: str) -> tuple[IdMap, Array, list[str]] | None:
    """Encode a column of ids while it is read. Returns None if it must be read first."""
    if table.stream is None or not table.sample[name].dtype.is_integer():
        return None
    found = factorize_parts(*table.stream(name), kind)
    return None if found is None else (*found, [])


def coded_column(column: pl.Series, kind: str, name: str, tidy: bool) -> tuple[IdMap, Array, list[str]]:
    """Return the id map and the codes of a column. ``tidy``: the column comes from text, where blanks around an id have
    no meaning."""
    column, notes = _ids(column, kind, name)
    ids, codes = factorize(column, kind)
    if ids.values.dtype != pl.String or not len(ids):
        return ids, codes, notes
    if ids.values.str.contains(_POWERS).all():
        exact = _exact(ids.values)
        if exact is None:
            raise DataError(
                f"{kind} ids of column {name!r} are numbers such as {ids.values[0]}, as spreadsheets write long ones:"
                " their last digits are lost, and different ids may have become one; export the column as text"
            )
        notes.append(f"ids of column {name!r} were decimals such as {ids.values[0]}; read as whole numbers")
        numbers, places = factorize(exact, kind)
        return numbers, places[codes], notes
    if tidy:
        plain, left_out = _tidied(ids.values)
        if left_out:
            whole = plain.cast(pl.Int64, strict=False)
            zeros = plain.str.contains(MARKED).any()
            tidied, places = factorize(plain if whole.null_count() or zeros else whole, kind)
            notes.append(f"{left_out} of column {name!r} left out")
            if len(tidied) < len(ids):
                notes[-1] += f"; {len(ids) - len(tidied):,} equal others without these"
            ids, codes = tidied, places[codes]
    if ids.values.dtype == pl.String and len(ids) <= _LOOKED_AT:
        case = len(ids) - ids.values.str.to_lowercase().n_unique()
        wide = int(ids.values.str.len_bytes().sum()) != int(ids.values.str.len_chars().sum())
        form = len(ids) - ids.values.str.normalize("NFKC").n_unique() if wide else 0
        for same, what in ((case, "case"), (form, "the Unicode form of their letters")):
            if same:
                notes.append(
                    f"{same:,} {kind} ids differ from others only in {what}; fold_ids=True (on the command line"
                    " --fold-ids) merges them"
                )
    return ids, codes, notes


_POWERS = r"^\s*-?\d\.\d+[eE]\+\d{2}\s*$"


def _exact(ids: pl.Series) -> pl.Series | None:
    """Return ids such as 1.2340000e+03 as whole numbers; None if one has more digits than are written."""
    parts = ids.str.strip_chars().str.extract_groups(r"^-?\d\.(\d+)[eE]\+(\d{2})$").struct.unnest()
    written, power = parts.to_series(0).str.len_chars(), parts.to_series(1).cast(pl.Int64)
    numbers = ids.str.strip_chars().cast(pl.Float64, strict=False)
    if not (power < written).all() or not (numbers == numbers.floor()).all() or (numbers.abs() > 2**53).any():
        return None
    return numbers.cast(pl.Int64)


def _tidied(ids: pl.Series) -> tuple[pl.Series, str]:
    """Clean ids read from text, and return a note on what was removed: blanks around them, invisible characters, and
    marks between the thousands of numbers. The note is empty if nothing was removed."""
    plain, left_out = ids.str.strip_chars(), list[str]()
    if plain.str.contains(r'^="[^"]*"$').all():  # a common trick to make spreadsheets keep zeros
        plain = plain.str.slice(2, plain.str.len_chars() - 3)
    elif (plain != ids).any() and plain.str.contains(r'^"(?:[^"]|"")*"$').all():  # a, "b", "c"
        plain = plain.str.slice(1, plain.str.len_chars() - 2).str.replace_all('""', '"', literal=True)
    if (plain != ids).any():
        left_out.append("blanks around ids")
    ascii_alone = int(plain.str.len_bytes().sum()) == int(plain.str.len_chars().sum())
    if not ascii_alone and (unseen := plain.str.contains(_UNSEEN)).any():
        plain = plain.str.replace_all(_UNSEEN, "")
        left_out.append(f"invisible characters, such as a byte order mark, in {int(unseen.sum()):,} ids")
    for mark in (",", ".", *" '’\u00a0\u202f\u2009"):
        form = rf"^(?:0|[1-9]\d{{0,2}}(?:{re.escape(mark)}\d{{3}})*)$"
        if not plain.head(100).str.contains(form).all() or not plain.str.contains(mark, literal=True).any():
            continue
        if plain.str.contains(form).all():
            left_out.append(f"{mark!r} between the thousands of ids")
            plain = plain.str.replace_all(mark, "", literal=True)
    return plain, " and ".join(left_out)


_UNSEEN = r"[\u200b-\u200d\u2060\ufeff]"
_LOOKED_AT = 1_000_000
"""Up to this many ids are compared for similarity."""


def _ids(column: pl.Series, kind: str, name: str) -> tuple[pl.Series, list[str]]:
    """Return ids without nulls in one type: floats that are whole become integers, categories become text."""
    notes: list[str] = []
    if column.dtype in (pl.Categorical, pl.Enum):
        column = column.cast(pl.String)
    missing = column.is_null() if not column.dtype.is_float() else column.is_null() | column.is_nan()
    if (column.null_count() or column.dtype.is_float()) and missing.any():
        raise DataError(_no_id(kind, name, int(missing.arg_max() or 0), int(missing.sum()), len(column)))
    if column.dtype.is_float():
        whole = column.cast(pl.Int64, strict=False)
        odd = (whole.cast(pl.Float64) != column.cast(pl.Float64)).fill_null(True)
        if odd.any():
            row = int(odd.arg_max() or 0)
            raise DataError(
                f"{kind} id {column[row]!r} in row {row + 1} (column {name!r}) is a decimal number;"
                f" ids are whole numbers or text"
            )
        if len(column) and (exact := 2**53 if column.dtype == pl.Float64 else 2**24) <= column.abs().max():  # type: ignore[operator]
            row = int((column.abs() >= exact).arg_max() or 0)
            raise DataError(
                f"{kind} id {column[row]:.0f} in row {row + 1} (column {name!r}) is a float with more digits than a"
                " float can hold, so different ids may have become one; read the column as whole numbers"
                " or text"
            )
        column = whole
        if not len(column):  # an empty pandas column
            return column, notes
        notes.append(f"{kind} ids of column {name!r} were decimals such as {whole[0]}.0; read as whole numbers")
    return column, notes


def refuse_texts_for_nothing(ids: IdMap, codes: Array, name: str) -> None:
    """Raise DataError if an id is a text that means "nothing": NA, NULL, or blank."""
    if ids.values.dtype != pl.String:
        return
    none = np.flatnonzero(ids.values.str.strip_chars().is_in(list(values.NO_IDS)).to_numpy())
    if len(none):
        rows = np.flatnonzero(np.isin(codes, none))
        raise DataError(_no_id(ids.kind, name, int(rows[0]), len(rows), len(codes), ids.values[int(codes[rows[0]])]))


def refuse_second_header(
    user_ids: IdMap, users: Array, item_ids: IdMap, items: Array, columns: Mapping[str, str]
) -> None:
    """Raise DataError if the column names occur again among the rows, as in concatenated files."""
    user, item = user_ids.code(columns["user"]), item_ids.code(columns["item"])
    if user >= 0 and item >= 0 and (both := (users == user) & (items == item)).any():
        raise DataError(
            f"row {int(np.argmax(both)) + 1} repeats the column names ({columns['user']}, {columns['item']}), as in"
            " concatenated files; drop that row, or give the files as a list"
        )


_SUMS = """total totals grandtotal subtotal all sum summe gesamt gesamtergebnis insgesamt gesamtsumme totalgénéral
    totalgeneral somme totale totaal suma razem итого всего 合计 总计 合計 총계 합계"""
_TOTALS = frozenset(_SUMS.split())
"""Names of the total of rows or columns, without case and blanks."""


def refuse_totals(ids: IdMap, codes: Array, others: Array, numbers: Array, name: str) -> None:
    """Raise DataError if an id has the name of a total, and its values are sums (or means) of the other rows."""
    if ids.values.dtype != pl.String or len(ids) > _LOOKED_AT:
        return
    called = ids.values.str.to_lowercase().str.replace_all(r"[^\p{L}]", "").is_in(list(_TOTALS))
    for code in np.flatnonzero(called.to_numpy()):
        its = codes == code
        value, rest = numbers[its].astype(np.float64), numbers[~its].astype(np.float64)
        size = int(others.max()) + 1
        sums, counts = (np.bincount(others[~its], part, size)[others[its]] for part in (rest, np.ones(len(rest))))
        several = counts > 1
        if not len(rest) or (not several.any() and len(value) > 1):
            continue
        alike = np.isclose(value, sums) | np.isclose(value * np.maximum(counts, 1), sums)
        if (len(value) == 1 and len(rest) > 1 and np.isclose(value[0], rest.sum())) or (
            several.any() and alike[several].mean() > 0.9
        ):
            row = int(np.argmax(its))
            raise DataError(
                f"row {row + 1} does not belong to one {ids.kind}: {ids.values[int(code)]!r} (column {name!r}) is the"
                f" sum or mean of the others ({numbers[row]:g}); leave out rows and columns of totals"
            )


def _no_id(kind: str, name: str, row: int, n: int, of: int, shown: str | None = None) -> str:
    text = f" ({shown!r})" if shown is not None else ""
    keep = "; missing_ids='keep' treats the text as an id" if shown else ""
    return (
        f"{kind} id missing in row {row + 1}{text} (column {name!r}), in {n:,} of {of:,} rows; fill it in, or leave"
        f" such rows out with missing_ids='drop' (on the command line --missing-ids drop){keep}"
    )
