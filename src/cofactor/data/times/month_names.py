"""Recognise dates whose month is named in German, French, Spanish, Italian, Portuguese or Dutch."""

from __future__ import annotations

import polars as pl

_NAMES = {
    "Jan": "jan januar janner janvier janv enero ene gennaio gen janeiro januari",
    "Feb": "feb februar fevrier fevr febrero febbraio fevereiro fev februari",
    "Mar": "mar marz mrz mars marzo marco maart mrt",
    "Apr": "apr april avril avr abril abr aprile",
    "May": "mai mayo maggio mag maio mei",
    "Jun": "jun juni juin junio giugno giu junho",
    "Jul": "jul juli juillet juil julio luglio lug julho",
    "Aug": "aug august aout agosto ago augustus",
    "Sep": "sep sept september septembre septiembre setiembre settembre set setembro",
    "Oct": "okt oktober octobre octubre oct ottobre ott outubro out",
    "Nov": "nov november novembre noviembre novembro",
    "Dec": "dez dezember decembre diciembre dic dicembre dezembro december dec",
}
_MONTHS = {name: month for month, names in _NAMES.items() for name in names.split()}
_FORM = r"^(\d{1,2})(?:er)?\.?[\s-]+(?:de\s+)?(\p{L}+)\.?[\s,-]+(?:de\s+)?(\d{4})(.*)$"


def with_english_months(text: pl.Series) -> pl.Series:
    """Return dates such as ``7. Mai 2015`` and ``7 de mayo de 2015`` as ``7 May 2015``; the text unchanged if one is of
    another form."""
    if text.drop_nulls().head(50).str.contains(_FORM).not_().any():
        return text
    parts = text.str.extract_groups(_FORM).struct.unnest()
    day, name, year, rest = (parts.to_series(at) for at in range(4))
    plain = name.str.to_lowercase().str.normalize("NFD").str.replace_all(r"\p{M}", "")
    month = plain.replace_strict(_MONTHS, default=None, return_dtype=pl.String)
    if month.null_count() > text.null_count():
        return text
    return day + " " + month + " " + year + rest
