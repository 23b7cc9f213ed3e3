"""matplotlib, loaded when the first plot is asked for: colours, labels that fit, axes without a frame."""

from __future__ import annotations

from typing import Any

import numpy as np

from cofactor.errors import MissingExtraError

BLUE, ORANGE, GRAY, PALE = "#2f6db3", "#c4621a", "#8a8f98", "#e4e4e2"
LONGEST = 38


def short(label: str, most: int = LONGEST) -> str:
    """Shorten a label that does not fit, and escape its dollar signs: matplotlib reads them as mathematics."""
    return (label if len(label) <= most else f"{label[: most - 1].rstrip()}…").replace("$", r"\$")


def subplots(*shape: int, **options: Any) -> tuple[Any, Any]:
    """matplotlib's own, without the lines above and to the right of the axes."""
    figure, axes = pyplot().subplots(*shape, **options)
    for ax in np.atleast_1d(axes).flat:
        ax.spines[["top", "right"]].set_visible(False)
        ax.set_axisbelow(True)
    return figure, axes


def pyplot() -> Any:
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        raise MissingExtraError("matplotlib", "plot", "plotting") from None
    return plt


def new_axes() -> Any:
    """Axes of a new figure, without the lines above and to the right."""
    return subplots(layout="constrained")[1]
