"""Frames: converted, shown, made smaller; dates as columns; functions that read a column or an attribute."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd

from cofactor.errors import DataError
from cofactor.notebook._fastcore.lists import L

__all__ = [
    "AttrGetter",
    "ColReader",
    "ItemGetter",
    "add_datepart",
    "cont_cat_split",
    "df_shrink",
    "df_shrink_dtypes",
    "display_df",
    "make_date",
]


def as_pandas(table: Any) -> pd.DataFrame:
    """Convert a pandas, polars or Arrow frame to pandas."""
    if isinstance(table, pd.DataFrame):
        return table
    if type(table).__module__.startswith("polars") and hasattr(
        table, "columns"
    ):  # column by column, because polars' own conversion needs pyarrow
        return pd.DataFrame({column.name: column.to_list() for column in table})
    if hasattr(table, "to_pandas") and len(getattr(table, "shape", (0, 0))) == 2:
        found: pd.DataFrame = table.to_pandas()
        return found
    if isinstance(table, (dict, list)):
        try:
            return pd.DataFrame(table)
        except (TypeError, ValueError) as exc:
            raise DataError(f"this {type(table).__name__} cannot be converted to a table ({exc})") from None
    raise DataError(f"give a table (pandas, polars, Arrow), not a {type(table).__name__}")


def show(frame: pd.DataFrame) -> None:
    """Show a table: nicely in a notebook, as text elsewhere."""
    try:
        from IPython import get_ipython  # type: ignore[import-not-found]
        from IPython.display import display  # type: ignore[import-not-found]
    except ImportError:
        print(frame.to_string())
        return
    display(frame) if get_ipython() is not None else print(frame.to_string())


display_df = show


def df_shrink_dtypes(df: pd.DataFrame, skip: Any = (), obj2cat: bool = True, int2uint: bool = False) -> dict[str, Any]:
    """Return the smallest types that hold the columns' values, by column; only those that change."""
    found: dict[str, Any] = {}
    for name, kind in df.dtypes.items():
        if name in set(skip):
            continue
        if isinstance(kind, np.dtype) and kind.kind == "i" and len(df):
            low, high = df[name].min(), df[name].max()
            sizes: list[Any] = (
                [np.uint8, np.uint16, np.uint32] if int2uint and low >= 0 else [np.int8, np.int16, np.int32]
            )
            small: Any = next((t for t in sizes if np.iinfo(t).min <= low and high <= np.iinfo(t).max), None)
            if small is not None and np.dtype(small) != kind:
                found[str(name)] = np.dtype(small)
        elif isinstance(kind, np.dtype) and kind.kind == "f" and kind.itemsize == 8:
            found[str(name)] = np.dtype(np.float32)
        elif obj2cat and (kind.kind == "O" or isinstance(kind, pd.StringDtype)):
            found[str(name)] = "category"
    return found


def df_shrink(
    df: pd.DataFrame, skip: Any = (), obj2cat: bool = True, int2uint: bool = False, only: Any = None
) -> pd.DataFrame:
    """Return the frame with each column in the smallest type that holds it. Texts become categories."""
    kinds = df_shrink_dtypes(df, skip, obj2cat, int2uint)
    return df.astype({k: v for k, v in kinds.items() if k in df and (only is None or k in only or v != "category")})


def cont_cat_split(df: pd.DataFrame, max_card: int = 20, dep_var: Any = None) -> tuple[list[Any], list[Any]]:
    """Return the names of columns to treat as numbers, and as categories (few whole numbers, or not numbers)."""
    cont: list[Any] = []
    cat: list[Any] = []
    for name in df:
        if name in L(dep_var):
            continue
        kind = df[name].dtype
        many = pd.api.types.is_integer_dtype(kind) and df[name].nunique(dropna=False) > max_card
        (cont if many or pd.api.types.is_float_dtype(kind) else cat).append(name)
    return cont, cat


def make_date(df: pd.DataFrame, date_field: str) -> None:
    """Convert the column to dates, in place."""
    if not pd.api.types.is_datetime64_any_dtype(df[date_field].dtype):
        df[date_field] = pd.to_datetime(df[date_field])


def add_datepart(
    df: pd.DataFrame, field_name: str, prefix: str | None = None, drop: bool = True, time: bool = False
) -> pd.DataFrame:
    """Add columns of a date: year, month, week, day and so on, in place."""
    make_date(df, field_name)
    field = df[field_name]
    start = re.sub("[Dd]ate$", "", field_name) if prefix is None else prefix
    parts = ["Year", "Month", "Week", "Day", "Dayofweek", "Dayofyear", "Is_month_end", "Is_month_start"]
    parts += ["Is_quarter_end", "Is_quarter_start", "Is_year_end", "Is_year_start"]
    parts += ["Hour", "Minute", "Second"] if time else []
    for part in parts:
        df[start + part] = (
            field.dt.isocalendar().week.astype(field.dt.day.dtype)
            if part == "Week"
            else getattr(field.dt, part.lower())
        )
    seconds = field.to_numpy().astype("datetime64[s]").astype(np.int64)
    df[start + "Elapsed"] = np.where(field.notna(), seconds, np.nan)
    if drop:
        df.drop(field_name, axis=1, inplace=True)
    return df


class ShownRow(pd.Series):  # type: ignore[misc]
    """A row in its original form. ``show`` shows it as a table."""

    @property
    def _constructor(self) -> Any:
        return ShownRow

    def show(self, max_n: int = 1) -> None:
        show(self.to_frame().T)


class ColReader:
    """Reads columns of a row."""

    def __init__(self, cols: Any, pref: str = "", suff: str = "", label_delim: str | None = None) -> None:
        self.cols, self.pref, self.suff, self.label_delim = L(cols), str(pref), suff, label_delim

    def _one(self, r: Any, c: Any) -> Any:
        o = (
            (r.iloc[c] if hasattr(r, "iloc") else r[c])
            if isinstance(c, int)
            else getattr(r, c)
            if hasattr(r, "_fields")
            else r[c]
        )
        if self.label_delim is not None:
            return o.split(self.label_delim) if len(o) else []
        return f"{self.pref}{o}{self.suff}" if self.pref or self.suff else o

    def __call__(self, o: Any, **kwargs: Any) -> Any:
        return self._one(o, self.cols[0]) if len(self.cols) == 1 else L([self._one(o, c) for c in self.cols])


class ItemGetter:
    """Element ``i``."""

    whole = True

    def __init__(self, i: Any) -> None:
        self.i = i

    def __call__(self, x: Any) -> Any:
        return x[self.i]


class AttrGetter:
    """An attribute."""

    whole = True

    def __init__(self, nm: str, default: Any = None) -> None:
        self.nm, self.default = nm, default

    def __call__(self, x: Any) -> Any:
        return getattr(x, self.nm, self.default)
