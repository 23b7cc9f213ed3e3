"""The waterfall plot of an explanation."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from cofactor._plot import BLUE, GRAY, ORANGE, short, subplots


def waterfall(
    rated: pl.DataFrame,
    rest: float,
    prediction: float,
    *,
    n: int,
    digits: int,
    explicit: bool,
    title: str,
    rest_is: str = "everything else",
) -> Any:
    """Draw bars from ``rest``, over the ``n`` strongest ratings and the sum of the others, to the prediction.

    ``rest_is`` names the rest; ``rated`` is the frame of :class:`Explanation`. Returns a matplotlib Axes.
    """
    name = "title" if "title" in rated.columns else "item"
    steps = [
        (short(str(row[name])) + (f": {row['rating']:g}" if explicit else ""), row["contribution"])
        for row in rated.head(n).to_dicts()
    ]
    others = rated["contribution"][n:]
    if len(others):
        steps.append((f"{len(others)} other {'ratings' if explicit else 'choices'}", float(others.sum())))
    values = np.array([value for _, value in steps])
    ends = rest + np.concatenate([[0.0], np.cumsum(values)])
    room = max(float(np.ptp(ends)), 1e-6)
    lowest = float(ends.min())
    left = lowest - 0.35 * room  # bars are cut at the left, or the steps would be too small to see
    if left < 0 and lowest > -0.02 * room:
        left = min(lowest, 0.0)  # bars begin at 0 where that is near
    ax = subplots(layout="constrained", figsize=(8, 0.36 * len(steps) + 1.6))[1]
    for row, (value, begin) in enumerate(zip([0.0, *values], ends[[0, *range(len(values))]])):
        end = begin + value
        if row:
            ax.barh(row, value, left=begin, color=BLUE if value >= 0 else ORANGE)
        ax.text(max(begin, end), row, f" {value:+z.{digits}f}" if row else f" {rest:z.{digits}f}", va="center")
    ax.barh([0, len(steps) + 1], np.array([rest, prediction]) - left, left=left, color=GRAY)
    ax.text(prediction, len(steps) + 1, f" {prediction:.{digits}f}", va="center")
    labels = [rest_is, *(label for label, _ in steps), "prediction"]
    ax.set_yticks(range(len(labels)), labels)
    ax.set_xlim(left, float(max(*ends, prediction)) + 0.3 * room)
    ax.invert_yaxis()
    ax.set_xlabel("what each rating adds to the prediction")
    ax.set_title(title)
    return ax
