"""The checks of the data doctor: one function for each possible defect of a table of ratings, which yields findings."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl

from cofactor.data.columns.values import NO_IDS, NOTHING, as_numbers
from cofactor.data.ids.id_map import Array, IdMap
from cofactor.data.interactions import Interactions
from cofactor.data.kind import no_rating as codes_of
from cofactor.data.rows.rows import without_case
from cofactor.data.times.timestamps import is_order

Severity = Literal["error", "warning", "note"]
DAY = 86_400


@dataclass(frozen=True)
class Finding:
    """One finding. ``error``: the table cannot be read as it is; ``warning``: results will suffer; ``note``: worth
    knowing.

    ``count`` is the number of rows, users or items (``where``) concerned.
    """

    severity: Severity
    check: str
    where: str
    what: str
    count: int
    examples: tuple[str, ...]
    todo: str


def percent(share: float) -> str:
    """Format a share as a percentage that never rounds a few to none, nor most to all."""
    if 0 < share < 0.001:
        return "< 0.1 %"
    if 0.995 <= share < 1:
        return "> 99 %"
    return f"{share * 100:.{1 if share < 0.0995 and share else 0}f} %"


def blank(column: pl.Series, role: str) -> Array:
    """Return a bool array (n,): where a column is empty. Texts such as NA are neither ids nor ratings."""
    gone = column.is_null()
    if column.dtype == pl.String:
        texts = NOTHING if role == "rating" else tuple(NO_IDS)
        gone = gone | column.str.strip_chars().is_in(texts).fill_null(False)
    if column.dtype.is_float():
        gone = gone | column.is_nan().fill_null(False)
    found: Array = gone.to_numpy()
    return found


def missing(column: pl.Series, role: str, wanted: Array) -> Iterator[Finding]:
    """Yield a finding for rows without an id or rating, among the ``wanted`` rows."""
    gone = pl.Series(blank(column, role) & wanted)
    n = int(gone.sum())
    if n:
        texts: list[str] = column.filter(gone).drop_nulls().unique().to_list() if column.dtype == pl.String else []
        shown = f", written {', '.join(repr(t) for t in sorted(texts)[:3])}" if len(texts) and any(texts) else ""
        what = f"{n:,} of {len(column):,} rows have no {role} (column {column.name!r}{shown})"
        option = "missing=['NA'] (--missing NA)" if role == "rating" else "missing_ids='drop' (--missing-ids drop)"
        todo = f"fill them in, or leave such rows out with {option}"
        yield Finding("error", "missing values", "rows", what, n, _rows(gone), todo)


def unreadable_ratings(column: pl.Series, wanted: Array) -> Iterator[Finding]:
    """Yield a finding for ratings that are text or infinite, among the ``wanted`` rows."""
    if column.dtype == pl.String:
        text = column.str.strip_chars()
        bad = as_numbers(text).is_null() & ~text.is_in(NOTHING).fill_null(True)
    elif column.dtype.is_float():
        bad = column.is_infinite().fill_null(False)
    else:
        return
    bad = bad & pl.Series(wanted)
    n = int(bad.sum())
    if n:
        shown = [f"row {r + 1}: {column[int(r)]!r}" for r in np.flatnonzero(bad.to_numpy())[:5]]
        what = f"{n:,} ratings are not finite numbers (column {column.name!r})"
        yield Finding("error", "ratings", "rows", what, n, tuple(shown), "correct or drop those rows")


def mixed_types(values: Iterable[Any], name: str, role: str) -> Iterator[Finding]:
    """Yield a finding for a frame's column of Python objects that mixes types of ids."""
    counts: dict[str, int] = {}
    sample: dict[str, Any] = {}
    for value in values:
        kind = type(value).__name__
        counts[kind] = counts.get(kind, 0) + 1
        sample.setdefault(kind, value)
    if len(counts) > 1:
        said = ", ".join(f"{n:,} {kind}" for kind, n in counts.items())
        yield Finding(
            "error",
            "mixed id types",
            f"{role}s",
            f"{role} ids in column {name!r} are of several types: {said}",
            min(counts.values()),
            tuple(repr(v) for v in sample.values()),
            "make them all text, or all whole numbers",
        )


def look_alikes(ids: IdMap) -> Iterator[Finding]:
    """Yield findings for ids that differ only in case, spaces, leading zeros or the encoding of a letter, and for
    numbers among text ids."""
    if ids.values.dtype != pl.String:
        return
    text = ids.values
    plain = without_case(text)
    number = plain.str.contains(r"^\d+$")
    plain = plain.str.replace(r"^0+(\d)", "$1").zip_with(number, plain)
    groups = pl.DataFrame({"id": text, "plain": plain}).group_by("plain", maintain_order=True).agg("id")
    groups = groups.filter(pl.col("id").list.len() > 1)
    if len(groups):
        shown = tuple(" / ".join(repr(v) for v in group) for group in groups["id"].head(5).to_list())
        what = f"{len(groups):,} groups of {ids.kind} ids differ only in case, spaces, leading zeros or encoding"
        yield Finding(
            "warning",
            "look-alike ids",
            f"{ids.kind}s",
            what,
            len(groups),
            shown,
            "reading with fold_ids=True (--fold-ids) merges those that differ only in case and blanks",
        )
    share = float(number.mean() or 0.0)  # type: ignore[arg-type]
    if 0 < share < 0.1 or 0.9 < share < 1:
        odd = text.filter(number if share < 0.5 else ~number)
        what = f"{len(odd):,} {ids.kind} ids are {'' if share < 0.5 else 'not '}numbers, unlike the others"
        shown = tuple(repr(v) for v in odd.head(5))
        yield Finding("note", "odd ids", f"{ids.kind}s", what, len(odd), shown, "check whether they belong there")


def same_titles(data: Interactions) -> Iterator[Finding]:
    """Yield a finding for titles shared by several item ids."""
    table = data.item_table
    if table is None or "title" not in table.columns or table.columns[0] == "title":
        return
    known = table.filter(pl.col("title").is_not_null())
    groups = known.group_by("title", maintain_order=True).agg(pl.col(table.columns[0]).alias("ids"))
    groups = groups.filter(pl.col("ids").list.len() > 1)
    if len(groups):
        shown = tuple(f"{title!r}: {ids}" for title, ids in groups.head(5).iter_rows())
        what = f"{len(groups):,} titles belong to more than one item id"
        yield Finding(
            "note", "shared titles", "items", what, len(groups), shown, "merge the ids if they mean the same item"
        )


def duplicates(data: Interactions) -> Iterator[Finding]:
    """Yield findings for rows that repeat a user and item, with the same rating or another."""
    pair = data.users.astype(np.int64) * data.n_items + data.items
    order = np.argsort(pair, kind="stable")
    same = pair[order][1:] == pair[order][:-1]
    n = int(same.sum())
    if not n:
        return
    later, earlier = order[1:][same], order[:-1][same]
    differ = data.values[later] != data.values[earlier]
    conflicts = int(differ.sum())
    if data.kind != "ratings":
        what = f"{n:,} rows repeat a user and item"
        todo = "nothing to do: repeats are summed (change this with duplicates=), and temporal splits cut them first"
        yield Finding("note", "duplicates", "rows", what, n, _pairs(data, later), todo)
        return
    if n - conflicts:
        what = f"{n - conflicts:,} rows repeat a user, item and rating"
        shown = _pairs(data, later[~differ])
        yield Finding(
            "note", "duplicates", "rows", what, n - conflicts, shown, "nothing to do: reading a table keeps one of each"
        )
    if conflicts:
        what = f"{conflicts:,} rows rate an item again with another value"
        shown = tuple(
            f"{who} {data.values[a]:g} then {data.values[b]:g}"
            for who, a, b in zip(_pairs(data, later[differ]), earlier[differ], later[differ])
        )
        todo = "choose duplicates='last' (the default), 'first' or 'mean'"
        yield Finding("warning", "conflicting ratings", "rows", what, conflicts, shown, todo)


def no_rating(data: Interactions) -> Iterator[Finding]:
    """Yield a finding for values apart from the scale, at any share of the rows: 99, -1, 0 or 999 for "no rating"."""
    if data.columns.rating is None or data.kind != "ratings" or not len(data):
        return
    values, counts = np.unique(data.values, return_counts=True)
    marks = codes_of(values, counts)
    for value, n in zip(values[marks], counts[marks]):
        what = (
            f'{value:g} is outside the scale of the other ratings (probably "no rating"): {n:,} of {len(data):,} rows'
            f" ({percent(n / len(data))})"
        )
        todo = (
            f"leave them out with missing=[{value:g}] (--missing {value:g}), or read all rows as implicit feedback with"
            " rating=False (--no-rating)"
        )
        yield Finding(
            "warning", "scale", "rows", what, int(n), _pairs(data, np.flatnonzero(data.values == value)), todo
        )


def returns(data: Interactions) -> Iterator[Finding]:
    """Yield a finding for counts of 0 or below."""
    if data.kind != "counts":
        return
    below = np.flatnonzero(data.values <= 0)
    if len(below):
        what = f"{len(below):,} counts are 0 or below, as for returned goods"
        todo = "nothing to do: they are subtracted from the other rows of the same user and item"
        yield Finding("note", "returns", "rows", what, len(below), _pairs(data, below), todo)


def scale(data: Interactions) -> Iterator[Finding]:
    """Yield findings for ratings far from the others, and for counts with a long tail."""
    if data.columns.rating is None or not len(data):
        return
    values, counts = np.unique(data.values, return_counts=True)
    if len(values) == 1:
        what = f"every rating is {values[0]:g}: there is nothing to learn from the values"
        todo = "nothing to do if rows are events; otherwise choose another rating column"
        yield Finding("warning", "scale", "rows", what, len(data), (), todo)
        return
    if data.kind == "counts":
        what = f"values are counts, from {values[0]:g} to {values[-1]:g}: they say how much, not how good"
        todo = "use a ranking model (auto does); set kind='ratings' (--kind ratings) if they are grades"
        yield Finding("note", "scale", "rows", what, len(data), (), todo)
        return
    codes = codes_of(values, counts)
    kept = data.values[~np.isin(data.values, values[codes])] if codes.any() else data.values
    low, high = np.quantile(kept, [0.005, 0.995], method="nearest")
    span = max(float(high - low), float(np.diff(values).min()))
    far = ((data.values < low - span) | (data.values > high + span)) & ~np.isin(data.values, values[codes])
    n = int(far.sum())
    if n and len(values) <= 200:
        what = f"{n:,} ratings are far outside {low:g} to {high:g}, the range of 99 % of them"
        odd = np.unique(data.values[far])
        shown = tuple(f"{v:g} ({int(counts[np.searchsorted(values, v)]):,} times)" for v in odd[:5])
        yield Finding(
            "warning",
            "scale",
            "rows",
            what,
            n,
            shown,
            "are they codes for 'missing', or another scale? correct or drop",
        )


def constant_users(data: Interactions, at_least: int = 5) -> Iterator[Finding]:
    """Yield a finding for users who rate everything alike: their ratings show what they saw, not what they liked."""
    if data.columns.rating is None or data.kind != "ratings":
        return
    by_user = data.by_user
    able = np.flatnonzero(by_user.counts >= at_least)
    if not len(able):
        return
    starts = by_user.indptr[:-1]
    filled = np.flatnonzero(by_user.counts > 0)
    low, high = np.full(data.n_users, 0.0), np.full(data.n_users, 1.0)
    low[filled] = np.minimum.reduceat(by_user.values, starts[filled])
    high[filled] = np.maximum.reduceat(by_user.values, starts[filled])
    same = able[low[able] == high[able]]
    if len(same):
        share = len(same) / len(able)
        what = f"{len(same):,} users ({percent(share)} of those with {at_least} ratings or more) rate everything alike"
        shown = tuple(f"{_id(data.user_ids, u)}: {by_user.counts[u]} times {low[u]:g}" for u in same[:5])
        todo = "they inform only the biases; drop them if they are bots"
        yield Finding("warning" if share > 0.2 else "note", "constant users", "users", what, len(same), shown, todo)


def bots(data: Interactions, per_minute: int = 100) -> Iterator[Finding]:
    """Yield a finding for users who rate faster than a person can, or (without times) far more than all others."""
    counts = np.bincount(data.users, minlength=data.n_users)
    if data.times is None:
        typical = float(np.median(counts[counts > 0])) if len(data) else 0.0
        many = np.flatnonzero((counts > 0.5 * data.n_items) & (counts > 50 * typical) & (counts >= 1000))
        what = f"{len(many):,} users have rated more than half of all items, over 50 times the typical number"
        shown = tuple(f"{_id(data.user_ids, u)}: {counts[u]:,} {data.kind}" for u in many[:5])
    else:
        order = np.lexsort((data.times, data.users))
        users, times = data.users[order], data.times[order]
        back = min(per_minute - 1, len(users))
        fast = (users[back:] == users[: len(users) - back]) & (times[back:] - times[: len(times) - back] < 60)
        many = np.unique(users[back:][fast])
        what = f"{len(many):,} users have made {per_minute} {data.kind} or more within a minute"
        shown = tuple(f"{_id(data.user_ids, u)}: {counts[u]:,} {data.kind}" for u in many[:5])
    if len(many):
        todo = "probably bots or bulk imports; drop them if they are not real users"
        yield Finding("warning", "bots", "users", what, len(many), shown, todo)


def singletons(data: Interactions) -> Iterator[Finding]:
    """Yield a finding for users and items with one rating."""
    for codes, ids in ((data.users, data.user_ids), (data.items, data.item_ids)):
        counts = np.bincount(codes, minlength=len(ids))
        once = np.flatnonzero(counts == 1)
        present = int((counts > 0).sum())
        if len(once):
            share = len(once) / present
            what = f"{len(once):,} of {present:,} {ids.kind}s ({percent(share)}) have only one {data.kind[:-1]}"
            shown = tuple(_id(ids, c) for c in once[:5])
            todo = "models learn little about them; see how much a k-core would keep"
            yield Finding(
                "warning" if share > 0.3 else "note", "one rating", f"{ids.kind}s", what, len(once), shown, todo
            )


def times(data: Interactions) -> Iterator[Finding]:
    """Yield findings for gaps in time, impossible times, and one time that stands for 'unknown'."""
    if data.times is None or len(data) < 2:
        return
    now = int(time.time())
    if is_order(data.times):
        what = "times only order the rows; they are not dates"
        yield Finding("note", "times", "rows", what, len(data), (), "nothing to do; splits by time work")
        return
    for bad, said in ((data.times > now + DAY, "in the future"), (data.times < 473_385_600, "from before 1985")):
        n = int(bad.sum())
        if n:
            shown = tuple(_when(int(t)) for t in data.times[bad][:5])
            what = f"{n:,} {data.kind} are {said}"
            yield Finding("warning", "times", "rows", what, n, shown, "check the unit and the column")
    ordered = np.sort(data.times)
    moments, counts = np.unique(ordered, return_counts=True)
    if counts.max() > 0.05 * len(data) and counts.max() > 20 and len(moments) > 1:
        top = int(np.argmax(counts))
        what = f"{counts[top]:,} {data.kind} ({percent(counts[top] / len(data))}) have exactly the same time"
        shown = (_when(int(moments[top])),)
        yield Finding(
            "note",
            "times",
            "rows",
            what,
            int(counts[top]),
            shown,
            "is it a default for 'unknown'? then the time is meaningless",
        )
    gaps = np.diff(moments)
    span = int(moments[-1] - moments[0])
    if len(gaps) and gaps.max() > max(0.1 * span, 30 * DAY):
        at = int(np.argmax(gaps))
        what = f"no {data.kind} for {int(gaps[at]) // DAY:,} days, out of {span // DAY:,}"
        shown = (f"{_when(int(moments[at]))} to {_when(int(moments[at + 1]))}",)
        yield Finding("note", "time gap", "rows", what, 1, shown, "split the data at the gap if the two parts differ")


def leaks(train: Interactions, valid: Interactions) -> Iterator[Finding]:
    """Yield findings for rows of the training part that are also in the other part, and for time that runs
    backwards."""
    a = pl.DataFrame({"u": train.user_ids.decode(train.users), "i": train.item_ids.decode(train.items)})
    b = pl.DataFrame({"u": valid.user_ids.decode(valid.users), "i": valid.item_ids.decode(valid.items)})
    for name in ("u", "i"):
        if a[name].dtype != b[name].dtype:
            kind = "user" if name == "u" else "item"
            what = f"{kind} ids are {a[name].dtype} in the training part and {b[name].dtype} in the other"
            yield Finding("error", "leakage", f"{kind}s", what, len(b), (), "read both with the same types")
            return
    if train.times is not None and valid.times is not None:  # the same pair at a later time is not a leak
        a, b = a.with_columns(t=pl.Series(train.times)), b.with_columns(w=pl.Series(valid.times))
        last = a.group_by("u", "i").agg(pl.col("t").max())
        both = b.join(last, on=["u", "i"], how="inner").filter(pl.col("w") <= pl.col("t")).select("u", "i")
    else:
        both = b.join(a, on=["u", "i"], how="semi")
    if len(both):
        what = f"{len(both):,} of {len(b):,} validation rows are in the training part as well"
        shown = tuple(f"user {u!r}, item {i!r}" for u, i in both.head(5).iter_rows())
        yield Finding(
            "error",
            "leakage",
            "rows",
            what,
            len(both),
            shown,
            "remove them from one part; otherwise scores are too good",
        )
    if train.times is not None and valid.times is not None and len(train) and len(valid):
        early = int((valid.times < train.times.max()).sum())
        if early:
            what = f"{early:,} of {len(b):,} validation rows are older than the newest training row"
            todo = "to measure forecasts, split by time: cofactor.split.temporal"
            yield Finding("note", "time travel", "rows", what, early, (), todo)
    for name, kind in (("u", "user"), ("i", "item")):
        new = b.join(a.select(name).unique(), on=name, how="anti")
        if len(new):
            what = f"{len(new):,} of {len(b):,} validation rows have {'an item' if kind == 'item' else 'a user'}"
            what += " that is not in the training part"
            shown = tuple(repr(v) for v in new[name].unique(maintain_order=True).head(5))
            yield Finding(
                "note",
                "cold start",
                f"{kind}s",
                what,
                len(new),
                shown,
                "these rows measure the fallback for unknown ids",
            )


def _id(ids: IdMap, code: int) -> str:
    return f"{ids.kind} {ids.values[int(code)]!r}"


def _pairs(data: Interactions, rows: Array) -> tuple[str, ...]:
    return tuple(
        f"{_id(data.user_ids, data.users[r])}, {_id(data.item_ids, data.items[r])} (row {int(r) + 1})" for r in rows[:5]
    )


def _rows(mask: pl.Series) -> tuple[str, ...]:
    return tuple(f"row {int(r) + 1}" for r in np.flatnonzero(mask.to_numpy())[:5])


def _when(seconds: int) -> str:
    limit = 253_402_300_799
    return str(np.datetime64(seconds, "s")).replace("T", " ") if abs(seconds) <= limit else f"{seconds} s"
