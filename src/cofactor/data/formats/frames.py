"""Open frames in memory (pandas, polars, Arrow, a dict of columns) as tables."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from cofactor.data.arrays import timed
from cofactor.data.columns.names import is_known_name
from cofactor.data.formats.json_records import is_records
from cofactor.data.ids.id_values import mixed_check, uuids_as_text
from cofactor.data.tables import SAMPLE_ROWS, Table, as_data_error, distinct, no_objects
from cofactor.errors import DataError


def open_frame(source: Any) -> Table:
    """Open a frame in memory, a dict of columns, or ``{user: {item: value}}``. Only the columns that are needed are
    converted."""
    if isinstance(source, pl.LazyFrame):
        source = source.collect()
    if isinstance(source, dict) and source and all(isinstance(one, dict) for one in source.values()):
        source = _of_pandas(source)
    if isinstance(source, dict) and source and all(isinstance(one, dict) for one in source.values()):
        rows = [(who, what, value) for who, theirs in source.items() for what, value in theirs.items()]
        with as_data_error():
            source = pl.DataFrame(rows, schema=["user", "item", "rating"], orient="row", strict=True)
    if isinstance(source, dict):
        if not all(isinstance(name, str) for name in source):
            raise DataError(
                "this dict is not a table; give columns by name, such as {'user': [...], 'item': [...], 'rating':"
                " [...]}"
            )
        with as_data_error():
            source = pl.DataFrame({name: timed(column) for name, column in source.items()})
    if isinstance(source, pl.DataFrame) and pl.Object not in source.dtypes:
        frame = source
        return Table(
            frame.columns, True, frame.head(SAMPLE_ROWS), lambda columns, ids: frame.select(columns), "the frame"
        )
    if (
        type(source).__module__.partition(".")[0] == "pandas"
        and type(source).__name__ == "Series"
        and any(source.index.names)
    ):
        source = source.to_frame("rating" if source.name is None else source.name)
    if getattr(getattr(source, "columns", None), "nlevels", 1) > 1:
        source = _of_one_level(source)
    import narwhals as nw

    try:
        wrapped = nw.from_native(source, eager_only=True)
    except nw.exceptions.DuplicateError:
        raise DataError("two columns of the frame have the same name; rename or drop one") from None
    except TypeError:
        if hasattr(source, "__arrow_c_stream__"):
            with as_data_error():
                source = pl.DataFrame(source)
            return open_frame(source)
        raise DataError(
            f"cannot read ratings from a {type(source).__name__}; give a path, or a pandas, polars or Arrow frame"
        ) from None
    wrapped = _with_index(wrapped)
    raw = list(wrapped.columns)
    names = distinct([str(name) for name in raw])

    def load(columns: list[str], ids: list[str]) -> pl.DataFrame:
        return pl.DataFrame([_column(wrapped, names.index(name), name in ids).rename(name) for name in columns])

    headed = not all(isinstance(name, int) for name in raw)
    head = wrapped.head(SAMPLE_ROWS)
    sample: dict[str, pl.Series] = {}
    for i, name in enumerate(names):
        try:
            sample[name] = _column(head, i, False)
        except DataError:
            sample[name] = pl.Series([None] * len(head), dtype=pl.String)

    def objects(name: str) -> list[Any] | None:
        return [None if _is_missing(v) else v for v in wrapped[:, names.index(name)].to_list()]

    return Table(names, headed, pl.DataFrame(sample), load, "the frame", objects=objects)


def _of_pandas(source: dict[Any, dict[Any, Any]]) -> Any:
    """Return the columns or rows that ``DataFrame.to_dict`` of pandas made nested dicts of; any others unchanged."""
    if is_records(source):
        with as_data_error():
            return pl.DataFrame(list(source.values()), infer_schema_length=None)
    rows = [list(column) for column in source.values()]
    if sum(is_known_name(str(name)) for name in source) >= 2 and all(one == rows[0] for one in rows):
        return {name: list(column.values()) for name, column in source.items()}
    return source


def select_columns(
    source: Any, ids: Sequence[str], needed: Sequence[str], wanted: Sequence[str], what: str
) -> pl.DataFrame | None:
    """Return the ``ids``, ``needed`` and ``wanted`` columns of a frame in memory; None if it is not a frame.

    Wanted columns may be absent. Ids that are NaN become null. Raises DataError, with the name ``what``, for any other
    column that is missing and for columns of Python objects.
    """
    import narwhals as nw  # imported here: opening a saved model does not need it, and it takes as long as the rest

    try:
        if not isinstance(nw.from_native(source, pass_through=True), (nw.DataFrame, nw.LazyFrame)):
            return None
    except nw.exceptions.DuplicateError:  # already noted when the table was opened
        pass
    table = open_frame(source)
    for name in (*ids, *needed):
        if name not in table.names:
            raise DataError(f"{what} have no column {name!r}; there are: {', '.join(table.names)}")
    frame = table.load([name for name in table.names if name in (*ids, *needed, *wanted)], list(ids))
    no_objects(frame, what)
    return frame.with_columns(pl.col(name).fill_nan(None) for name in ids if frame[name].dtype.is_float())


def _of_one_level(frame: Any) -> Any:
    """Return a pandas frame whose columns have one-level names: the item's, if ``pivot`` put the name of the values
    above them, else all levels joined."""
    names = frame.columns
    varying = [at for at in range(names.nlevels) if names.get_level_values(at).nunique() > 1]
    found = frame.copy(deep=False)
    if len(varying) == 1 and names.names[varying[0]] is not None:
        found.columns = names.get_level_values(varying[0])
    else:
        found.columns = ["_".join(str(part) for part in name if str(part)) for name in names]
    return found


def _with_index(frame: Any) -> Any:
    """Return a pandas frame with the named levels of its index as columns: ``groupby`` and ``pivot`` keep ids there."""
    if not frame.implementation.is_pandas():
        return frame
    import narwhals as nw

    native = frame.to_native()
    index = native.index
    named = [name for name in index.names if name is not None]
    text = len(index.names) == 1 and not named and len(index) and isinstance(index[0], str)
    if not named and not text:
        return frame
    if any(name in native.columns for name in named):
        native = native.drop(columns=[name for name in named if name in native.columns])
    drop = [at for at, name in enumerate(index.names) if name is None] if named else []
    native = native.reset_index(level=drop, drop=True) if drop else native
    native.columns.name = None
    return nw.from_native(native.reset_index(), eager_only=True)


def _categories(series: Any) -> pl.Series | None:
    """Return a categorical column that is not text, in the type of its categories; None for any other column."""
    native = series.to_native()
    if hasattr(native, "cat"):  # pandas
        categories, codes = native.cat.categories, native.cat.codes.to_numpy()
        if categories.dtype.kind not in "iuf":
            return None
        values = pl.Series(categories.to_numpy())
    elif hasattr(native, "combine_chunks"):  # Arrow
        import pyarrow as pa

        if (
            not pa.types.is_dictionary(native.type)
            or pa.types.is_string(native.type.value_type)
            or pa.types.is_large_string(native.type.value_type)
        ):
            return None
        return pl.Series(
            pl.from_arrow(
                pa.chunked_array([chunk.dictionary_decode() for chunk in native.chunks], native.type.value_type)
            )
        )
    else:
        return None
    return values.gather(pl.Series(codes.astype(np.int64)).set(pl.Series(codes < 0), None).cast(pl.UInt32))


def _column(frame: Any, at: int, is_id: bool) -> pl.Series:
    """Convert one column of a narwhals frame to polars. Mixed objects raise DataError in ids, and become text
    elsewhere."""
    import narwhals as nw

    series = frame[:, at]
    if series.dtype == nw.Object or series.dtype == nw.Unknown:
        values = uuids_as_text([None if _is_missing(v) else v for v in series.to_list()])
        if any(type(v).__module__.startswith("pandas") and not isinstance(v, (dt.date, dt.timedelta)) for v in values):
            values = [None if v is None else str(v) for v in values]  # periods, intervals
        if is_id:
            mixed_check(values, f"the ids in column {series.name!r}")
        elif len({type(v) for v in values} - {type(None), int, float}) > (not {int, float} & {type(v) for v in values}):
            values = [None if v is None else str(v) for v in values]
        with as_data_error():
            return pl.Series([v.item() if isinstance(v, np.generic) else v for v in values])
    if series.dtype in (nw.Categorical, nw.Enum):
        decoded = _categories(series)
        if decoded is not None:
            return decoded
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
