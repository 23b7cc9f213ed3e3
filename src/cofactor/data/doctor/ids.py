"""Checks of ids: look-alikes, items with the same title, users and items with a single row."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from cofactor.data.doctor.findings import Finding, percent, shown_id
from cofactor.data.ids.id_map import IdMap
from cofactor.data.interactions import Interactions
from cofactor.data.rows.rows import without_case


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


def singletons(data: Interactions) -> Iterator[Finding]:
    """Yield a finding for users and items with one rating."""
    for codes, ids in ((data.users, data.user_ids), (data.items, data.item_ids)):
        counts = np.bincount(codes, minlength=len(ids))
        once = np.flatnonzero(counts == 1)
        present = int((counts > 0).sum())
        if len(once):
            share = len(once) / present
            what = f"{len(once):,} of {present:,} {ids.kind}s ({percent(share)}) have only one {data.kind[:-1]}"
            shown = tuple(shown_id(ids, c) for c in once[:5])
            todo = "models learn little about them; see how much a k-core would keep"
            yield Finding(
                "warning" if share > 0.3 else "note", "one rating", f"{ids.kind}s", what, len(once), shown, todo
            )
