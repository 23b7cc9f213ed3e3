"""matplotlib, loaded for the first plot: colours, shortened labels, axes without a frame."""

from __future__ import annotations

from typing import Any

import numpy as np

from cofactor.errors import MissingExtraError

BLUE, ORANGE, GRAY, PALE = "#2f6db3", "#c4621a", "#8a8f98", "#e4e4e2"
LONGEST = 38


def short(label: str, most: int = LONGEST) -> str:
    """Return a label shortened to fit, with dollar signs escaped, since matplotlib reads them as mathematics."""
    return (label if len(label) <= most else f"{label[: most - 1].rstrip()}…").replace("$", r"\$")


def subplots(*shape: int, **options: Any) -> tuple[Any, Any]:
    """Call matplotlib's ``subplots``, and hide the lines above and to the right of the axes."""
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
    """Return the axes of a new figure, without the lines above and to the right."""
    return subplots(layout="constrained")[1]
