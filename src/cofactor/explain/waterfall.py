"""The waterfall plot of an explanation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from cofactor.explain.explanation import Explanation


def waterfall(account: Explanation, n: int) -> Any:
    """Bars from "everything else", over the ``n`` strongest ratings and the others together, to the prediction."""
    from cofactor.explain.plots import BLUE, GRAY, ORANGE, _short, _subplots

    name = "title" if "title" in account.rated.columns else "item"
    steps = [
        (_short(str(row[name])) + (f": {row['rating']:g}" if account.explicit else ""), row["contribution"])
        for row in account.rated.head(n).to_dicts()
    ]
    others = account.rated["contribution"][n:]
    if len(others):
        steps.append((f"{len(others)} other ratings", float(others.sum())))
    values = np.array([value for _, value in steps])
    ends = account.rest + np.concatenate([[0.0], np.cumsum(values)])
    room = max(float(np.ptp(ends)), 1e-6)
    left = float(ends.min()) - 0.35 * room  # bars begin off the page: the steps would be too small to see
    ax = _subplots(layout="constrained", figsize=(8, 0.36 * len(steps) + 1.6))[1]
    digits = account.digits
    for row, (value, begin) in enumerate(zip([0.0, *values], ends[[0, *range(len(values))]])):
        end = begin + value
        if row:
            ax.barh(row, value, left=begin, color=BLUE if value >= 0 else ORANGE)
        ax.text(max(begin, end), row, f" {value:+z.{digits}f}" if row else f" {account.rest:.{digits}f}", va="center")
    ax.barh([0, len(steps) + 1], np.array([account.rest, account.prediction]) - left, left=left, color=GRAY)
    ax.text(account.prediction, len(steps) + 1, f" {account.prediction:.{digits}f}", va="center")
    labels = ["everything else", *(label for label, _ in steps), "prediction"]
    ax.set_yticks(range(len(labels)), labels)
    ax.set_xlim(left, float(max(*ends, account.prediction)) + 0.3 * room)
    ax.invert_yaxis()
    who = "this history" if account.user is None else f"user {account.user}"
    ax.set_xlabel("what each of the ratings adds, up to the prediction")
    ax.set_title(f"{_short(account.label, 50)} for {who}")
    return ax
