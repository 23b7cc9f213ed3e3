"""Files that are no table: not text, by their first bytes, or text of another kind; what they are, and what to do."""

from __future__ import annotations

import re

from cofactor.errors import DataError

_BINARY = {
    b"ORC": "an ORC file; write it as Parquet",
    b"\x89HDF": "an HDF5 file; write its table as Parquet or CSV",
    b"CDF": "a NetCDF file; write its table as Parquet or CSV",
    b"FEA1": "a Feather file of the first version; write it as Parquet or Feather 2",
    b"Obj\x01": "an Avro file; write it as Parquet",
    b"%PDF": "a PDF; give a table",
    b"\x89PNG": "a picture; give a table",
    b"\xff\xd8\xff": "a picture; give a table",
    b"Rar!": "a RAR archive; unpack it and give the file inside",
    b"7z\xbc\xaf": "a 7z archive; unpack it and give the file inside",
    b"\xd0\xcf\x11\xe0": "an old workbook (.xls); save it as .xlsx or CSV",
    b"RDX": "an R workspace; write its table as CSV or Parquet",
    b"\x04\x22\x4d\x18": "an LZ4 file; unpack it and give the file inside",
    b"MATLAB ": "a MATLAB file; write its table as CSV or Parquet",
    b"<stata_dta>": "a Stata file; write it as CSV or Parquet",
    b"$FL": "an SPSS file; write it as CSV or Parquet",
    b"\x00" * 12 + b"\xc2\xea\x81\x60": "a SAS file; write it as CSV or Parquet",
}


def refuse_binary(head: bytes, label: str, encoding: str | None) -> None:
    """Raise DataError if a file cannot be text: known formats by their first bytes, others by bytes that no text
    has."""
    for mark, said in _BINARY.items():
        if head.startswith(mark):
            raise DataError(f"{label} is {said}")
    if head[:1] == b"\x80" and head[1:2] in b"\x02\x03\x04\x05" and head[1:2]:
        raise DataError(f"{label} is a pickle, which is never opened because it can run code; write it as Parquet")
    if encoding and encoding.lower().replace("_", "-").startswith(("utf-16", "utf-32", "utf16", "utf32")):
        return
    if b"\x00" in head:
        raise DataError(f"{label} is not a text table (it has zero bytes); give CSV, TSV or Parquet")
    odd = len(head) - len(head.translate(None, bytes((*range(1, 9), *range(14, 28), 127))))
    if odd - head.count(b"\x01") > 0.003 * len(head):
        raise DataError(f"{label} is not a text table (it has bytes that no text has); give CSV, TSV or Parquet")
    for pattern, said in _TEXTS:
        if pattern.match(head):
            raise DataError(f"{label} is {said}")


_BEGINS = rb"(?i)(?:\xef\xbb\xbf)?\s*"
_TEXTS = (
    (re.compile(_BEGINS + rb"<(?:!doctype )?html"), "a page of HTML; save its table as CSV"),
    (re.compile(_BEGINS + rb"<(?:\?xml|table)"), "XML; write its records as CSV or JSON"),
    (
        re.compile(
            _BEGINS + rb"(?:(?:--|/\*|(?:pragma|set|drop|begin|create|use|lock|select)\b)[^\n]*\n\s*)*"
            rb"(?:insert into |copy \S+ [^\n]*from stdin|create table )"
        ),
        "a dump of a database (SQL); load it there and read the table, or write that as CSV",
    ),
    (
        re.compile(rb'\S+ \S+ \S+ \[\d\d/\w{3}/\d{4}:[^\]]+\] "'),
        "a log of a web server; write who asked for which item as a table",
    ),
    (re.compile(rb"(?i)(?:\s*%[^\n]*\n)*\s*@relation\s"), "an ARFF file; write its rows as CSV, below a line of names"),
    (
        re.compile(rb"(?:\s*\w+ = (?:\{\}|\[\]|dict\(\))\s*\n)?\s*\w+\[[^\n]+\] = [\[{(]"),
        "a program of assignments (name[...] = ...), which is never run; write each of them as a line of JSON",
    ),
)
"""Texts that are no table, by their beginnings."""
