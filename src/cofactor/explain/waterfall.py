"""The waterfall plot of an explanation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cofactor.errors import MissingExtraError

if TYPE_CHECKING:
    from cofactor.explain.explanation import Explanation


def waterfall(account: Explanation, n: int) -> Any:
    """Bars from "everything else", over the ``n`` strongest ratings and the others together, to the prediction."""
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        raise MissingExtraError("matplotlib", "plot", "plotting") from None
    name = "title" if "title" in account.rated.columns else "item"
    steps = [(f"{row[name]} ({row['rating']:g})", row["contribution"]) for row in account.rated.head(n).to_dicts()]
    others = account.rated["contribution"][n:]
    if len(others):
        steps.append((f"{len(others)} other ratings", float(others.sum())))
    ax = plt.subplots(layout="constrained", figsize=(7, 0.4 * len(steps) + 1.6))[1]
    ax.barh(0, account.rest, color="tab:gray")
    at = account.rest
    for row, (_, value) in enumerate(steps, 1):
        ax.barh(row, value, left=at, color="tab:green" if value >= 0 else "tab:red")
        ax.text(max(at, at + value), row, f" {value:+z.2f}", va="center")
        at += value
    ax.barh(len(steps) + 1, account.prediction, color="tab:blue")
    labels = ["everything else", *(label for label, _ in steps), "prediction"]
    ax.set_yticks(range(len(labels)), labels)
    ax.invert_yaxis()
    ax.margins(x=0.12)
    ax.set_title(account.label)
    return ax
