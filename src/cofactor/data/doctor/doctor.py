"""The data doctor: examines a table before training, and recommends what to do about each finding."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl

from cofactor._fork import check_threads
from cofactor._frames import frames_out
from cofactor.data.arrays import Array
from cofactor.data.columns import behaviours, roles
from cofactor.data.columns import values as of_values
from cofactor.data.doctor.columns import blank, missing_values, mixed_types, unreadable_ratings
from cofactor.data.doctor.findings import Finding, Severity
from cofactor.data.doctor.ids import look_alikes, same_titles, singletons
from cofactor.data.doctor.leaks import leaks
from cofactor.data.doctor.times import bots, odd_times
from cofactor.data.doctor.values import constant_users, duplicates, no_rating, returns, scale
from cofactor.data.features.side_tables import align
from cofactor.data.formats.open import open_table
from cofactor.data.ids.factorize import factorize
from cofactor.data.ids.id_map import IdMap
from cofactor.data.interactions import Columns, Interactions
from cofactor.data.kind import Kind, check_kind
from cofactor.data.read import kind_of
from cofactor.data.read_alike import read_alike
from cofactor.data.rows.coded import coded_column
from cofactor.data.rows.repeats import different_pairs
from cofactor.data.rows.rows import with_roles, without_case
from cofactor.data.tables import Table
from cofactor.data.times.timestamps import to_seconds
from cofactor.data.times.written_dates import check_dates
from cofactor.errors import DataError

_RANK: dict[str, int] = {"error": 0, "warning": 1, "note": 2}


def _examples(finding: Finding) -> str:
    return f" ({', '.join(finding.examples[:3])})" if finding.examples else ""


def _figure(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}" if isinstance(value, float) else str(value)


@frames_out
@dataclass(frozen=True)
class Report:
    """The doctor's report.

    ``summary``: figures by name; ``findings``: worst first; ``k_core``: what would be left if users and items with
    fewer than k rows were removed; ``forecast``: memory and time of each model (empty unless asked for); ``notes``:
    the reader's decisions.
    """

    name: str
    summary: dict[str, Any]
    findings: tuple[Finding, ...]
    k_core: pl.DataFrame
    forecast: pl.DataFrame
    notes: tuple[str, ...]

    @property
    def worst(self) -> Severity | None:
        """The most serious severity found, or None if there are no findings."""
        return self.findings[0].severity if self.findings else None

    @property
    def frame(self) -> pl.DataFrame:
        """The findings: severity, check, where, what, count, examples, todo."""
        schema: dict[str, Any] = {
            "severity": pl.String,
            "check": pl.String,
            "where": pl.String,
            "what": pl.String,
            "count": pl.Int64,
            "examples": pl.List(pl.String),
            "todo": pl.String,
        }
        return pl.DataFrame([{**asdict(f), "examples": list(f.examples)} for f in self.findings], schema=schema)

    def __repr__(self) -> str:
        """Return the figures and findings as lines of text. The tables are attributes."""
        wide = max((len(name) for name in self.summary), default=0)
        figures = (f"  {name:<{wide}}  {_figure(value)}" for name, value in self.summary.items())
        found = [f"{f.severity}: {f.what}{_examples(f)}; {f.todo}" for f in self.findings]
        return "\n".join([self.name or "ratings", *figures, *(found or ["nothing was found"])])

    def sections(self) -> dict[str, pl.DataFrame]:
        """Return all parts as titled tables, in the order to show them."""
        summary = pl.DataFrame({"figure": list(self.summary), "value": [str(v) for v in self.summary.values()]})
        tables = {"Summary": summary, "Findings": self.frame, "k-core": self.k_core}
        return tables | ({"Forecast": self.forecast} if self.forecast.width else {})

    def to_dict(self) -> dict[str, Any]:
        """Return all parts as JSON values."""
        return {
            "name": self.name,
            "summary": self.summary,
            "worst": self.worst,
            "findings": self.frame.to_dicts(),
            "k_core": self.k_core.to_dicts(),
            "forecast": self.forecast.to_dicts(),
            "notes": list(self.notes),
        }


def check(
    source: Any,
    *,
    valid: Any = None,
    estimate: Callable[[Interactions], pl.DataFrame] | None = None,
    **options: Any,
) -> Report:
    """Examine a table before training, and return a :class:`Report`.

    ``source``: whatever :func:`cofactor.read` accepts (``options`` are those of ``read``), or Interactions. Rows that
    ``read`` would refuse become findings, and the other rows are examined. ``valid``: a second part, compared with
    ``source`` to find leaks. ``estimate``: the function that makes the report's ``forecast``. Raises DataError only if
    there is no table to examine: no such file or column, no rows.
    """
    check_threads()
    found: list[Finding] = []
    if isinstance(source, Interactions):
        data, notes = source, source.notes
        rows = len(data)
    else:
        data, notes, found, rows = _read_kindly(source, options)
    if len(data):
        for examine in (
            duplicates,
            no_rating,
            scale,
            returns,
            constant_users,
            bots,
            singletons,
            odd_times,
            same_titles,
        ):
            found.extend(examine(data))
        found.extend(look_alikes(data.user_ids))
        found.extend(look_alikes(data.item_ids))
    if valid is not None:
        other = valid if isinstance(valid, Interactions) else read_alike(valid, data, **options)
        found.extend(leaks(data, other))
    found.sort(key=lambda f: _RANK[f.severity])
    costs = pl.DataFrame() if estimate is None else estimate(data)
    return Report(data.name, _summary(data, rows), tuple(found), k_cores(data), costs, notes)


def k_cores(data: Interactions, ks: tuple[int, ...] = (2, 3, 5, 10, 20)) -> pl.DataFrame:
    """Return the ratings, users and items left in each k-core, in which every user and item has k rows or more."""
    rows = []
    users, items = data.users, data.items
    for k in sorted(ks):
        users, items = _core(users, items, data.n_users, data.n_items, k)
        left = (len(users), _distinct(users), _distinct(items))
        rows.append((k, *left, left[0] / len(data) if len(data) else 0.0))
    return pl.DataFrame(rows, schema=["k", "rows", "users", "items", "share"], orient="row")


def _distinct(codes: Array) -> int:
    """Return the number of distinct codes, by counting: many times faster than sorting or hashing."""
    return int(np.count_nonzero(np.bincount(codes)))


def _core(users: Array, items: Array, n_users: int, n_items: int, k: int) -> tuple[Array, Array]:
    while len(users):
        enough = (np.bincount(users, minlength=n_users) >= k)[users] & (np.bincount(items, minlength=n_items) >= k)[
            items
        ]
        if enough.all():
            break
        users, items = users[enough], items[enough]
    return users, items


def _read_kindly(source: Any, options: dict[str, Any]) -> tuple[Interactions, tuple[str, ...], list[Finding], int]:
    """Return the rows that can be read, unmerged, and findings for those that cannot."""
    given = {name: options.get(name) for name in ("user", "item", "rating", "time", "count", "behaviour", "title")}
    ways = {name: options[name] for name in ("sep", "encoding", "header", "table") if name in options}
    table = open_table(source, **ways, named=[name for name in given.values() if isinstance(name, str)])
    asked = {role: given[role] for role in ("user", "item", "rating", "time")}
    if given["count"] is not None:
        asked["rating"] = given["count"]
    gone = of_values.check_missing(options.get("missing"))
    table, columns, gone = with_roles(table, asked, given["behaviour"], options.get("wide"), gone)
    found: list[Finding] = []
    series = _series(table, columns, found)
    rows = len(series["user"])
    if not rows:
        raise DataError(f"{table.label} has no rows; there is nothing to check")
    notes = [*table.notes, *([columns.note] if columns.note else [])]
    fine = np.ones(rows, dtype=np.bool_)
    if gone and "rating" in series:
        fine &= ~of_values.gone(series["rating"], gone)
        notes.append(f"{int((~fine).sum()):,} rows whose rating means none left out")
    for role in ("user", "item", "rating"):
        if role in series:
            absent = list(missing_values(series[role], role, fine))
            if options.get("missing_ids") == "drop" and role != "rating":
                notes += [f"{one.count:,} of {rows:,} rows without a {role} left out" for one in absent]
            else:
                found.extend(absent)
            fine &= ~blank(series[role], role)
    values = np.ones(rows, dtype=np.float32)
    if "rating" in series:
        found.extend(unreadable_ratings(series["rating"], fine))
        values = _numbers(series["rating"])
        fine &= np.isfinite(values)
    if "behaviour" in series:
        weights, said = behaviours.weigh(
            series["behaviour"].fill_null("nothing"), behaviours.check_weights(options.get("weights"))
        )
        values = (values * weights.to_numpy()).astype(np.float32)
        fine &= weights.to_numpy() != 0
        notes.append(said)
    dates = check_dates(options.get("dates"))
    seconds = _seconds(series["time"], found, dates) if "time" in series else None
    keep = pl.Series(fine)
    fold = bool(options.get("fold_ids"))
    (user_ids, users, said_of_users), (item_ids, items, said_of_items) = (
        _coded(series[role].filter(keep), role, table.parsed_at_once, fold, found) for role in ("user", "item")
    )
    notes += said_of_users + said_of_items
    valued = dict(columns.columns)
    used = Columns(*(valued.get(role) for role in ("user", "item", "rating", "time")))  # type: ignore[arg-type]
    times = None if seconds is None else seconds[fine]
    kind: Kind | None = check_kind(options.get("kind")) or ("counts" if given["count"] is not None else None)
    kind, said_of_kind = kind_of(values[fine], columns, kind) if fine.any() else ("ratings", [])
    notes += said_of_kind
    data = Interactions(
        users, items, values[fine], times, user_ids, item_ids, used, name=table.label, kind=kind, notes=tuple(notes)
    )
    for side, ids in (("items", data.item_ids), ("users", data.user_ids)):
        if options.get(side) is not None:
            column = used.item if side == "items" else used.user
            aligned = align(options[side], ids, column, options.get("encoding"))[0]
            data = data.replace(**{f"{side[:-1]}_table": aligned})
    return data, data.notes, found, rows


def _series(table: Table, columns: roles.Roles, found: list[Finding]) -> dict[str, pl.Series]:
    """Return the column of each role. A column of mixed Python objects is a finding, and is returned as text."""
    names = dict(columns.columns)
    if columns.behaviour is not None:
        names["behaviour"] = columns.behaviour
    if table.parsed_at_once:
        frame = table.load(list(dict.fromkeys(names.values())), [names["user"], names["item"]])
        return {role: frame[name] for role, name in names.items()}
    return {role: _load(table, name, role, found) for role, name in names.items()}


def _load(table: Table, name: str, role: str, found: list[Finding]) -> pl.Series:
    """Return one column. A column of mixed Python objects is a finding, and is returned as text."""
    try:
        return table.load([name], [name] if role in ("user", "item") else [])[name]
    except DataError:
        objects = table.objects(name)
        if objects is None:
            raise
        found.extend(mixed_types((v for v in objects if v is not None), name, role))
        return pl.Series(name, [None if v is None else str(v) for v in objects], dtype=pl.String)


def _numbers(column: pl.Series) -> Array:
    if not (column.dtype in (pl.Boolean, pl.String, pl.Null) or column.dtype.is_numeric()):
        raise DataError(f"column {column.name!r} has type {column.dtype}, which is not a rating; give numbers")
    if column.dtype == pl.String:
        column = of_values.as_numbers(column)
    numbers: Array = column.cast(pl.Float32, strict=False).fill_null(float("nan")).to_numpy()
    return numbers


def _coded(
    column: pl.Series, role: str, tidy: bool, fold: bool, found: list[Finding]
) -> tuple[IdMap, Array, list[str]]:
    """Return ids and codes as :func:`cofactor.read` makes them. Ids that it would refuse become findings."""
    if fold and column.dtype == pl.String:
        column = without_case(column)
    try:
        return coded_column(column, role, column.name, tidy)
    except DataError as error:
        found.append(Finding("error", "ids", f"{role}s", str(error), len(column), (), "correct that column"))
        return *factorize(_whole(column), role), []


def _whole(column: pl.Series) -> pl.Series:
    """Return floats that are all whole numbers as integers, others unchanged."""
    if column.dtype.is_float():
        whole = column.cast(pl.Int64, strict=False)
        return (
            whole if not whole.null_count() and (whole.cast(column.dtype) == column).all() else column.cast(pl.String)
        )
    return column


def _seconds(column: pl.Series, found: list[Finding], dates: str | None) -> Array | None:
    try:
        return to_seconds(column, column.name, dates=dates)[0]
    except DataError as error:
        found.append(Finding("error", "times", "rows", str(error), 1, (), "correct that row, or read with time=False"))
        return None


def _summary(data: Interactions, rows: int) -> dict[str, Any]:
    users, items = _distinct(data.users), _distinct(data.items)
    summary: dict[str, Any] = {"rows": rows, "rows usable": len(data), "users": users, "items": items}
    if not len(data):
        return summary
    summary["density"] = round(different_pairs(data) / (users * items), 6)
    summary["kind"] = data.kind
    if data.columns.rating is not None:
        low, high = data.range
        one = "rating" if data.kind == "ratings" else "count" if data.kind == "counts" else "value"
        summary |= {f"lowest {one}": low, f"highest {one}": high, f"mean {one}": round(float(data.values.mean()), 4)}
        summary[f"different {one}s"] = pl.Series(data.values).n_unique()
    else:
        summary["ratings"] = "none: implicit feedback"
    for kind, codes in (("user", data.users), ("item", data.items)):
        counts = np.bincount(codes)
        summary[f"rows per {kind} (median)"] = float(np.median(counts[counts > 0]))
    top = np.sort(np.bincount(data.items))[::-1]
    summary["share of the top 1 % of items"] = round(float(top[: max(items // 100, 1)].sum() / len(data)), 4)
    if data.times is not None:
        summary["from"] = str(np.datetime64(int(data.times.min()), "s"))
        summary["to"] = str(np.datetime64(int(data.times.max()), "s"))
    return summary
