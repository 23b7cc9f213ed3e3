"""Comparison of two periods: a model's figures on held-out rows, and on rows of a reference period."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cofactor.data.times.timestamps import is_order
from cofactor.errors import DataError
from cofactor.evaluation import evaluate
from cofactor.evaluation.held_out import held_out_rows
from cofactor.evaluation.relevance import threshold
from cofactor.recommender import Recommender

Array = NDArray[Any]
NAMES = ("held out", "reference")
LOWER = ("rmse", "mae", "mse")
"""Metrics for which lower is better."""


def periods(rec: Recommender, test: Any, reference: Any) -> list[dict[str, Any]]:
    """Return two rows of a table, for the held-out rows and for those of the reference period.

    Each has ``name``, ``rows``, ``first`` and ``last`` day (None without times), ``mean`` of the values, ``new_users``
    and ``new_items`` (the shares of rows whose user or item has no training row), ``figures`` {metric, value, low,
    high}, and a ``note`` where there are no figures.
    """
    lines = []
    for name, given in zip(NAMES, (test, reference), strict=True):
        rows = held_out_rows(given, rec.data)
        figures, note = decisive(rec, given)
        times = None if rows.times is None or is_order(rows.times) else rows.times
        days = [None, None] if times is None else [_day(times.min()), _day(times.max())]
        lines.append(
            {
                "name": name,
                "rows": len(rows),
                "first": days[0],
                "last": days[1],
                "mean": float(rows.values.mean(dtype=np.float64)),
                "new_users": _share_of_new(rows.users, rec.data.by_user.counts),
                "new_items": _share_of_new(rows.items, rec.data.by_item.counts),
                "figures": figures,
                "note": note,
            }
        )
    return lines


def decisive(model: Recommender, test: Any, relevant: float | None = None) -> tuple[list[dict[str, Any]], str]:
    """Return (the deciding figures with their intervals, an empty text), or (an empty list, the reason)."""
    wanted = ["rmse", "ndcg"] if model.model.task == "rating" else ["ndcg", "recall"]
    relevant = threshold(model.data, None) if relevant is None else relevant
    try:
        found = evaluate(model, test, metrics=wanted, relevant=relevant)
    except DataError as exc:
        wanted = ["rmse"] if model.model.task == "rating" else []
        if not wanted:
            return [], str(exc)
        found = evaluate(model, test, metrics=wanted)
    kept = found.filter(pl.col("value").is_finite())
    return kept.select("metric", "value", "low", "high").to_dicts(), ""


def change(now: dict[str, Any], before: dict[str, Any]) -> tuple[float, float, float]:
    """Return the difference of two figures and its bounds, as for independent samples (MOVER: Zou & Donner 2008).

    Where both periods have the same users and these stay similar, the bounds are wider than necessary, never narrower.
    """
    found = now["value"] - before["value"]
    down = np.hypot(now["value"] - now["low"], before["high"] - before["value"])
    up = np.hypot(now["high"] - now["value"], before["value"] - before["low"])
    return found, found - float(down), found + float(up)


def sentence(lines: list[dict[str, Any]]) -> str:
    """Return a sentence on the change since the reference period, by the first figure that both periods have."""
    now, before = lines
    for figure in now["figures"]:
        other = next((f for f in before["figures"] if f["metric"] == figure["metric"]), None)
        if other is None or any(f[bound] is None for f in (figure, other) for bound in ("low", "high")):
            continue
        found, low, high = change(figure, other)
        size = figure["value"]
        better = (found < 0) == (figure["metric"].partition("@")[0] in LOWER)
        clear = low > 0 or high < 0
        how = f"Clearly {'better' if better else 'worse'} than in" if clear else "No clear change since"
        return (
            f"{how} the reference period: {titled(figure['metric'])} {shown(figure['value'])} now and"
            f" {shown(other['value'], size)} then, a difference of {signed(found, size)} ({signed(low, size)} to"
            f" {signed(high, size)})."
        )
    why = before["note"] or now["note"] or "no figure was measured in both"
    return f"The model could not be compared with the reference period: {why}."


def shown(value: float, beside: float | None = None) -> str:
    """Return a figure as text with four decimals, or more where it is small.

    With ``beside``, use as many decimals as for that figure; bounds and differences need this.
    """
    size = abs(value if beside is None else beside)
    return f"{value:z.{4 if size == 0 or size >= 0.01 else 3 - int(np.floor(np.log10(size)))}f}"


def signed(value: float, beside: float) -> str:
    """Return a difference with its sign, in the format of :func:`shown`."""
    return ("+" if value >= 0 else "−") + shown(abs(value), beside)


def titled(metric: str) -> str:
    """Return a metric's name for use in a sentence."""
    name, at, n = metric.partition("@")
    return (name.upper() if name in (*LOWER, "ndcg", "map") else name.replace("_", " ")) + at + n


def _share_of_new(codes: Array, counts: Array) -> float:
    return float(((codes < 0) | (np.append(counts, 0)[codes] == 0)).mean())


def _day(seconds: int) -> str:
    return dt.datetime.fromtimestamp(int(seconds), dt.UTC).strftime("%Y-%m-%d")
