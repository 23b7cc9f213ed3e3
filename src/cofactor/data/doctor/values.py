"""Checks of values: repeats, codes for no rating, returns, the scale, users who rate everything alike."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from cofactor.data.doctor.findings import Finding, percent, shown_id, shown_pairs
from cofactor.data.interactions import Interactions
from cofactor.data.kind import no_rating as codes_of


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
        yield Finding("note", "duplicates", "rows", what, n, shown_pairs(data, later), todo)
        return
    if n - conflicts:
        what = f"{n - conflicts:,} rows repeat a user, item and rating"
        shown = shown_pairs(data, later[~differ])
        yield Finding(
            "note", "duplicates", "rows", what, n - conflicts, shown, "nothing to do: reading a table keeps one of each"
        )
    if conflicts:
        what = f"{conflicts:,} rows rate an item again with another value"
        shown = tuple(
            f"{who} {data.values[a]:g} then {data.values[b]:g}"
            for who, a, b in zip(shown_pairs(data, later[differ]), earlier[differ], later[differ])
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
            "warning", "scale", "rows", what, int(n), shown_pairs(data, np.flatnonzero(data.values == value)), todo
        )


def returns(data: Interactions) -> Iterator[Finding]:
    """Yield a finding for counts of 0 or below."""
    if data.kind != "counts":
        return
    below = np.flatnonzero(data.values <= 0)
    if len(below):
        what = f"{len(below):,} counts are 0 or below, as for returned goods"
        todo = "nothing to do: they are subtracted from the other rows of the same user and item"
        yield Finding("note", "returns", "rows", what, len(below), shown_pairs(data, below), todo)


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
        shown = tuple(f"{shown_id(data.user_ids, u)}: {by_user.counts[u]} times {low[u]:g}" for u in same[:5])
        todo = "they inform only the biases; drop them if they are bots"
        yield Finding("warning" if share > 0.2 else "note", "constant users", "users", what, len(same), shown, todo)
