"""What can be wrong with a table of ratings: one function a check, each giving findings. Used by the data doctor."""

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
    """One thing that was found. ``error``: the table cannot be read as it is; ``warning``: results will suffer;
    ``note``: worth knowing. ``count`` is how many rows, users or items ``where`` says are concerned."""

    severity: Severity
    check: str
    where: str
    what: str
    count: int
    examples: tuple[str, ...]
    todo: str


def percent(share: float) -> str:
    """A share in words that never call a few none, nor most all."""
    if 0 < share < 0.001:
        return "< 0.1 %"
    if 0.995 <= share < 1:
        return "> 99 %"
    return f"{share * 100:.{1 if share < 0.0995 and share else 0}f} %"


def blank(column: pl.Series, role: str) -> Array:
    """bool (n,): where a column holds nothing; texts such as NA are no ids and no ratings."""
    gone = column.is_null()
    if column.dtype == pl.String:
        texts = NOTHING if role == "rating" else tuple(NO_IDS)
        gone = gone | column.str.strip_chars().is_in(texts).fill_null(False)
    if column.dtype.is_float():
        gone = gone | column.is_nan().fill_null(False)
    found: Array = gone.to_numpy()
    return found


def missing(column: pl.Series, role: str, wanted: Array) -> Iterator[Finding]:
    """Rows without an id or rating, of those that are ``wanted``."""
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
    """Ratings that are text or infinite, of the rows that are ``wanted``."""
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
        yield Finding("error", "ratings", "rows", what, n, tuple(shown), "mend or drop those rows")


def mixed_types(values: Iterable[Any], name: str, role: str) -> Iterator[Finding]:
    """A frame's column of Python objects that holds more than one type of id."""
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
    """Ids that differ only in case, spaces, leading zeros or the way that a letter is encoded; numbers among text."""
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
            "reading with fold_ids=True (--fold-ids) makes one of those that differ in case and blanks",
        )
    share = float(number.mean() or 0.0)  # type: ignore[arg-type]
    if 0 < share < 0.1 or 0.9 < share < 1:
        odd = text.filter(number if share < 0.5 else ~number)
        what = f"{len(odd):,} {ids.kind} ids are {'' if share < 0.5 else 'not '}numbers, unlike the others"
        shown = tuple(repr(v) for v in odd.head(5))
        yield Finding(
            "note", "odd ids", f"{ids.kind}s", what, len(odd), shown, "see whether they are what they should be"
        )


def same_titles(data: Interactions) -> Iterator[Finding]:
    """Several item ids under one title."""
    table = data.item_table
    if table is None or "title" not in table.columns or table.columns[0] == "title":
        return
    known = table.filter(pl.col("title").is_not_null())
    groups = known.group_by("title", maintain_order=True).agg(pl.col(table.columns[0]).alias("ids"))
    groups = groups.filter(pl.col("ids").list.len() > 1)
    if len(groups):
        shown = tuple(f"{title!r}: {ids}" for title, ids in groups.head(5).iter_rows())
        what = f"{len(groups):,} titles stand for more than one item id"
        yield Finding(
            "note", "shared titles", "items", what, len(groups), shown, "merge them if they are the same film"
        )


def duplicates(data: Interactions) -> Iterator[Finding]:
    """Rows that repeat a user and item, with the same rating or with another."""
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
        todo = "nothing: they add up (duplicates='count', 'last' ... says otherwise), and splits by time cut them first"
        yield Finding("note", "duplicates", "rows", what, n, _pairs(data, later), todo)
        return
    if n - conflicts:
        what = f"{n - conflicts:,} rows repeat a user, item and rating"
        shown = _pairs(data, later[~differ])
        yield Finding(
            "note", "duplicates", "rows", what, n - conflicts, shown, "nothing: reading a table keeps one of each"
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
    """Values that stand apart from the scale, at any share of the rows: 99, -1, 0 or 999 for "no rating"."""
    if data.columns.rating is None or data.kind != "ratings" or not len(data):
        return
    values, counts = np.unique(data.values, return_counts=True)
    marks = codes_of(values, counts)
    for value, n in zip(values[marks], counts[marks]):
        what = (
            f'{value:g} stands apart from the other ratings (probably "no rating"): {n:,} of {len(data):,} rows'
            f" ({percent(n / len(data))})"
        )
        todo = (
            f"leave them out with missing=[{value:g}] (--missing {value:g}), or take all rows as implicit feedback with"
            " rating=False (--no-rating)"
        )
        yield Finding(
            "warning", "scale", "rows", what, int(n), _pairs(data, np.flatnonzero(data.values == value)), todo
        )


def returns(data: Interactions) -> Iterator[Finding]:
    """Counts of 0 or below."""
    if data.kind != "counts":
        return
    below = np.flatnonzero(data.values <= 0)
    if len(below):
        what = f"{len(below):,} counts are 0 or below, as of things that came back"
        todo = "nothing: they are taken off the other rows of the same user and item"
        yield Finding("note", "returns", "rows", what, len(below), _pairs(data, below), todo)


def scale(data: Interactions) -> Iterator[Finding]:
    """Ratings far from the others, and counts with a long tail."""
    if data.columns.rating is None or not len(data):
        return
    values, counts = np.unique(data.values, return_counts=True)
    if len(values) == 1:
        what = f"every rating is {values[0]:g}: there is nothing to learn from the values"
        todo = "nothing, if rows are events; else choose another rating column"
        yield Finding("warning", "scale", "rows", what, len(data), (), todo)
        return
    if data.kind == "counts":
        what = f"values are counts, from {values[0]:g} to {values[-1]:g}: they say how strong, not how good"
        todo = "take a ranking model (auto does); kind='ratings' (--kind ratings) if they are grades"
        yield Finding("note", "scale", "rows", what, len(data), (), todo)
        return
    codes = codes_of(values, counts)
    kept = data.values[~np.isin(data.values, values[codes])] if codes.any() else data.values
    low, high = np.quantile(kept, [0.005, 0.995], method="nearest")
    span = max(float(high - low), float(np.diff(values).min()))
    far = ((data.values < low - span) | (data.values > high + span)) & ~np.isin(data.values, values[codes])
    n = int(far.sum())
    if n and len(values) <= 200:
        what = f"{n:,} ratings lie far outside of {low:g} to {high:g}, where 99 % of them are"
        odd = np.unique(data.values[far])
        shown = tuple(f"{v:g} ({int(counts[np.searchsorted(values, v)]):,} times)" for v in odd[:5])
        yield Finding(
            "warning", "scale", "rows", what, n, shown, "are they codes for 'missing', or another scale? mend or drop"
        )


def constant_users(data: Interactions, at_least: int = 5) -> Iterator[Finding]:
    """Users who give everything the same rating: they say what they saw, not what they liked."""
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
        todo = "they teach biases only; drop them if they are automatic"
        yield Finding("warning" if share > 0.2 else "note", "constant users", "users", what, len(same), shown, todo)


def bots(data: Interactions, per_minute: int = 100) -> Iterator[Finding]:
    """Users who rate faster than a person can, or (without times) far more than anybody else."""
    counts = np.bincount(data.users, minlength=data.n_users)
    if data.times is None:
        typical = float(np.median(counts[counts > 0])) if len(data) else 0.0
        many = np.flatnonzero((counts > 0.5 * data.n_items) & (counts > 50 * typical) & (counts >= 1000))
        what = f"{len(many):,} users have rated more than half of all items, over 50 times as many as is typical"
        shown = tuple(f"{_id(data.user_ids, u)}: {counts[u]:,} ratings" for u in many[:5])
    else:
        order = np.lexsort((data.times, data.users))
        users, times = data.users[order], data.times[order]
        back = min(per_minute - 1, len(users))
        fast = (users[back:] == users[: len(users) - back]) & (times[back:] - times[: len(times) - back] < 60)
        many = np.unique(users[back:][fast])
        what = f"{len(many):,} users have made {per_minute} ratings or more within a minute"
        shown = tuple(f"{_id(data.user_ids, u)}: {counts[u]:,} ratings" for u in many[:5])
    if len(many):
        todo = "probably bots or bulk imports; drop them if they are not real users"
        yield Finding("warning", "bots", "users", what, len(many), shown, todo)


def singletons(data: Interactions) -> Iterator[Finding]:
    """Users and items with one rating."""
    for codes, ids in ((data.users, data.user_ids), (data.items, data.item_ids)):
        counts = np.bincount(codes, minlength=len(ids))
        once = np.flatnonzero(counts == 1)
        present = int((counts > 0).sum())
        if len(once):
            share = len(once) / present
            what = f"{len(once):,} of {present:,} {ids.kind}s ({percent(share)}) have one rating only"
            shown = tuple(_id(ids, c) for c in once[:5])
            todo = "little can be learned of them; see what a k-core would leave"
            yield Finding(
                "warning" if share > 0.3 else "note", "one rating", f"{ids.kind}s", what, len(once), shown, todo
            )


def times(data: Interactions) -> Iterator[Finding]:
    """Gaps, moments that cannot be, and one moment that stands for 'unknown'."""
    if data.times is None or len(data) < 2:
        return
    now = int(time.time())
    if is_order(data.times):
        what = "times are an order of the rows, not dates"
        yield Finding("note", "times", "rows", what, len(data), (), "nothing; splits by time work")
        return
    for bad, said in ((data.times > now + DAY, "in the future"), (data.times < 473_385_600, "from before 1985")):
        n = int(bad.sum())
        if n:
            shown = tuple(_when(int(t)) for t in data.times[bad][:5])
            what = f"{n:,} ratings are {said}"
            yield Finding("warning", "times", "rows", what, n, shown, "see whether the unit or the column is right")
    ordered = np.sort(data.times)
    moments, counts = np.unique(ordered, return_counts=True)
    if counts.max() > 0.05 * len(data) and counts.max() > 20 and len(moments) > 1:
        top = int(np.argmax(counts))
        what = f"{counts[top]:,} ratings ({percent(counts[top] / len(data))}) have the very same time"
        shown = (_when(int(moments[top])),)
        yield Finding(
            "note", "times", "rows", what, int(counts[top]), shown, "a default for 'unknown'? then time says nothing"
        )
    gaps = np.diff(moments)
    span = int(moments[-1] - moments[0])
    if len(gaps) and gaps.max() > max(0.1 * span, 30 * DAY):
        at = int(np.argmax(gaps))
        what = f"no ratings for {int(gaps[at]) // DAY:,} days, of {span // DAY:,} in all"
        shown = (f"{_when(int(moments[at]))} to {_when(int(moments[at + 1]))}",)
        yield Finding("note", "time gap", "rows", what, 1, shown, "cut the data at the gap if the two parts differ")


def leaks(train: Interactions, valid: Interactions) -> Iterator[Finding]:
    """Rows of the training part in the other part, and time that runs backwards."""
    a = pl.DataFrame({"u": train.user_ids.decode(train.users), "i": train.item_ids.decode(train.items)})
    b = pl.DataFrame({"u": valid.user_ids.decode(valid.users), "i": valid.item_ids.decode(valid.items)})
    for name in ("u", "i"):
        if a[name].dtype != b[name].dtype:
            kind = "user" if name == "u" else "item"
            what = f"{kind} ids are {a[name].dtype} in the training part and {b[name].dtype} in the other"
            yield Finding("error", "leakage", f"{kind}s", what, len(b), (), "read both with the same types")
            return
    if train.times is not None and valid.times is not None:  # taken again at a later time is not a leak
        a, b = a.with_columns(t=pl.Series(train.times)), b.with_columns(w=pl.Series(valid.times))
        last = a.group_by("u", "i").agg(pl.col("t").max())
        both = b.join(last, on=["u", "i"], how="inner").filter(pl.col("w") <= pl.col("t")).select("u", "i")
    else:
        both = b.join(a, on=["u", "i"], how="semi")
    if len(both):
        what = f"{len(both):,} of {len(b):,} rows to check with are in the training part as well"
        shown = tuple(f"user {u!r}, item {i!r}" for u, i in both.head(5).iter_rows())
        yield Finding(
            "error", "leakage", "rows", what, len(both), shown, "take them out of one part; scores would be too good"
        )
    if train.times is not None and valid.times is not None and len(train) and len(valid):
        early = int((valid.times < train.times.max()).sum())
        if early:
            what = f"{early:,} of {len(b):,} rows to check with are older than the newest training row"
            todo = "for a forecast of the future cut by time: cofactor.split.temporal"
            yield Finding("note", "time travel", "rows", what, early, (), todo)
    for name, kind in (("u", "user"), ("i", "item")):
        new = b.join(a.select(name).unique(), on=name, how="anti")
        if len(new):
            what = f"{len(new):,} of {len(b):,} rows to check with have {'an item' if kind == 'item' else 'a user'}"
            what += " that training has not seen"
            shown = tuple(repr(v) for v in new[name].unique(maintain_order=True).head(5))
            yield Finding("note", "cold start", f"{kind}s", what, len(new), shown, "these rows measure the fallback")


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
