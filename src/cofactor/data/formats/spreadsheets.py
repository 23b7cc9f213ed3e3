"""Open workbooks of a spreadsheet (.xlsx, .xls, .ods) as tables."""

from __future__ import annotations

import io
import zipfile

import polars as pl

from cofactor.data.tables import Table, loaded, readable
from cofactor.errors import DataError, MissingExtraError

OLD_EXCEL = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def is_workbook(data: bytes) -> bool:
    """Return whether the bytes of a zip archive are a workbook."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
    except Exception:  # a damaged archive can fail in many ways
        return False
    return "xl/workbook.xml" in names or "xl/workbook.bin" in names or {"mimetype", "content.xml"} <= set(names)


def open_workbook(data: bytes, label: str, table: str | None) -> Table:
    """Open the sheet that holds a table, or the one called ``table``."""
    try:
        import fastexcel  # noqa: F401
    except ImportError:
        raise MissingExtraError("fastexcel", "excel", "reading a workbook") from None
    try:
        with readable(label):
            sheets = pl.read_excel(io.BytesIO(data), sheet_id=0, engine="calamine", raise_if_empty=False)
    except Exception as error:  # fastexcel raises its own errors
        if isinstance(error, DataError):
            raise
        raise DataError(f"{label} cannot be read as a workbook: {str(error).splitlines()[0]}") from None
    if table is not None:
        if table not in sheets:
            raise DataError(f"{label} has no sheet {table!r}; there are: {', '.join(sheets)}")
        return loaded(sheets[table], label)
    full = {name: sheet for name, sheet in sheets.items() if sheet.width > 1 and len(sheet)}
    if len(full) != 1:
        raise DataError(
            f"{label} has {len(full)} sheets with a table ({', '.join(full or sheets)}); name one with table=..."
            " (on the command line --table)"
        )
    return loaded(next(iter(full.values())), label)
