"""The figures of the report as matplotlib objects for notebooks, one function per figure."""

from __future__ import annotations

from typing import Any

import numpy as np

from cofactor._plot import BLUE, GRAY, ORANGE, PALE, short, subplots
from cofactor._validate import check_int
from cofactor.errors import ConfigError
from cofactor.model import HasFactors
from cofactor.recommender import Recommender
from cofactor.report.factors import name_factors
from cofactor.report.quality import quality as measured
from cofactor.report.report import at_a_glance, most_rated, placed

HUES = ("#2f6db3", "#c4621a", "#3a8f5c", "#8e5ba6", "#b0413e", "#7a6a2f", "#2a8c9c")


def data(rec: Recommender) -> Any:
    """Plot the training ratings: how often each value occurs, and the numbers of ratings of items and users by rank
    (log scales). Returns a matplotlib Figure."""
    facts = at_a_glance(rec)
    figure, (left, right) = subplots(1, 2, layout="constrained", figsize=(9, 3.6))
    noun, ranges = facts["kind"], facts["levels"][-1].endswith("+")  # ranges of counts are drawn at equal distances
    levels = list(range(len(facts["levels"]))) if ranges else [float(v) for v in facts["levels"]]
    width = 0.8 * min(np.diff(levels), default=1.0)
    left.grid(axis="y", color=PALE)
    left.bar(levels, facts["level_counts"], width=width, color=BLUE)
    if ranges:
        left.set_xticks(levels, facts["levels"], rotation=45 if len(levels) > 6 else 0)
    elif len(levels) <= 12:
        left.set_xticks(levels)
    left.set_xlabel(f"{noun[:-1]}, from this up to the next" if ranges else noun[:-1])
    left.set_ylabel("how often")
    left.yaxis.set_major_formatter(lambda x, _: f"{x:,.0f}")
    for name, curve, colour in (("items", "item_counts", BLUE), ("users", "user_counts", ORANGE)):
        right.plot(*zip(*facts[curve]), label=name, color=colour)
    right.grid(axis="y", color=PALE)
    right.set(xscale="log", yscale="log", xlabel=f"rank, most {noun} first (log scale)", ylabel=f"{noun} (log scale)")
    for axis in (right.xaxis, right.yaxis):
        axis.set_major_formatter(lambda x, _: f"{x:,.0f}")
    right.legend(frameon=False)
    figure.suptitle(f"{facts['ratings']:,} {noun} by {facts['users']:,} users of {facts['items']:,} items")
    return figure


def learning(rec: Recommender) -> Any:
    """Plot the training loss by epoch, and the loss on held-out rows if it was recorded. Returns a matplotlib Axes."""
    history = np.array([row[:2] for row in rec.history], dtype=float)
    if not len(history) or not np.isfinite(history).any():
        raise ConfigError(f"{rec.name} has no losses by epoch to plot; models that train in epochs have")
    ax = subplots(layout="constrained", figsize=(7, 4))[1]
    epochs = np.arange(len(history))  # numbered as in the table of epochs
    ax.grid(axis="y", color=PALE)
    for column, name, colour in ((0, "training", BLUE), (1, "held out", ORANGE)):
        if np.isfinite(history[:, column]).any():
            ax.plot(epochs, history[:, column], label=name, color=colour, marker="o" if len(epochs) < 30 else None)
    ax.set(xlabel="epoch", ylabel="loss", title=f"{rec.name}: loss by epoch")
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.legend(frameon=False)
    return ax


def quality(rec: Recommender, test: Any) -> Any:
    """Plot metrics on held-out ratings with 95 % intervals and, for rating models, the calibration of predictions and
    intervals. ``test`` is as for :func:`cofactor.evaluate`. Returns a matplotlib Figure."""
    found = measured(rec, test)
    curves = [name for name in ("reliability", "coverage") if found[name]]
    figure, axes = subplots(
        1, 1 + len(curves), layout="constrained", figsize=(5.2 + 3.4 * len(curves), 4.2), squeeze=False
    )
    figures = found["figures"][::-1]
    ax, at = axes[0, 0], np.arange(len(figures))
    value, low, high = (np.array([np.nan if f[k] is None else f[k] for f in figures]) for k in ("value", "low", "high"))
    scale = np.where(np.abs(value) > 0, np.abs(value), np.nan) / 100
    off = np.nan_to_num([(value - low) / scale, (high - value) / scale])
    ax.axvline(0, color=PALE, zorder=0)
    ax.errorbar(np.zeros(len(at)), at, xerr=off, fmt="o", color=BLUE, capsize=3)
    for y, v, a, b in zip(at, value, low, high):
        said = f"{v:.3f}" + (f" ({a:.3f} to {b:.3f})" if np.isfinite(a) and np.isfinite(b) else "")
        ax.annotate(said, (0, y), (0, 6), textcoords="offset points", ha="center", fontsize=8)
    ax.set_yticks(at, [f["metric"] for f in figures])
    ax.margins(x=0.35, y=0.12)
    ax.xaxis.set_major_formatter(lambda x, _: f"{x:+.3g} %" if x else "value")
    ax.set(xlabel="95 % interval around the value", title=f"on {found['rows']:,} held-out ratings")
    for ax, name in zip(axes[0, 1:], curves):
        x, y = np.array(found[name]).T
        ends = min(*x, *y), max(*x, *y)
        agreed = "inside = level" if name == "coverage" else "predicted = rated"
        ax.plot(ends, ends, color=GRAY, linestyle="--", label=agreed)
        ax.plot(x, y, color=BLUE, marker="o", label="observed")
        ax.set(xlabel="mean prediction", ylabel="mean rating given", title="predictions, by tenths")
        if name == "coverage":
            ax.set(xlabel="level of the interval", ylabel="share of ratings inside", title="intervals")
            for axis in (ax.xaxis, ax.yaxis):
                axis.set_major_formatter(lambda x, _: f"{100 * x:.0f} %")
        ax.legend(frameon=False)
    return figure


def item_map(rec: Recommender, *, items: int = 2000, labels: int = 15) -> Any:
    """Plot a map of the most rated items, on which similar items are near each other.

    The colour is the rarest of an item's genres among the seven most frequent; the ``labels`` most rated items are
    named. Returns a matplotlib Axes.
    """
    n = check_int("labels", labels, 0)
    facts = placed(rec, most_rated(rec, check_int("items", items)))
    xy, counts, genre = np.array(facts["xy"]), np.array(facts["count"]), np.array(facts["genre"])
    ax = subplots(layout="constrained", figsize=(9, 7))[1]
    sizes = 9 + 90 * counts / max(counts.max(initial=1), 1)
    for code, name in [(-1, "other"), *enumerate(facts["genres"])]:
        some = genre == code
        if some.any():
            colour = GRAY if code < 0 else HUES[code]
            ax.scatter(*xy[some].T, s=sizes[some], color=colour, alpha=0.65, linewidths=0, label=name)
    taken: list[tuple[float, float]] = []
    for at in range(min(len(xy), 8 * n)):
        if len(taken) == n:
            break
        if all(abs(xy[at, 0] - x) > 0.22 or abs(xy[at, 1] - y) > 0.035 for x, y in taken):  # keep labels apart
            taken.append((float(xy[at, 0]), float(xy[at, 1])))
            ax.annotate(
                short(facts["label"][at], 26),
                xy[at],
                (0, 4),
                textcoords="offset points",
                ha="center",
                fontsize=8,
                bbox={"boxstyle": "round,pad=0.15", "facecolor": "white", "alpha": 0.75, "linewidth": 0},
            )
    ax.spines[:].set_visible(False)
    ax.set(xticks=[], yticks=[], title=f"{len(xy):,} items with the most {rec.data.kind}: similar items are near")
    if facts["genres"]:
        legend = ax.legend(frameon=False, ncols=4, loc="upper center", bbox_to_anchor=(0.5, -0.01))
        for handle in legend.legend_handles:
            handle.set_sizes([40])
    return ax


def biases(rec: Recommender, n: int = 10) -> Any:
    """Plot the ``n`` items with the lowest and the highest biases. Returns a matplotlib Axes."""
    frame = rec.biases(n)
    name = "title" if "title" in frame.columns else "item"
    highest, lowest = frame.filter(frame["end"] == "highest"), frame.filter(frame["end"] == "lowest")
    names = [*highest[name], *lowest[name].reverse()]
    values = [*highest["bias"], *lowest["bias"].reverse()]
    ax = subplots(layout="constrained", figsize=(8, 0.27 * len(values) + 1.2))[1]
    ax.barh(range(len(values)), values, color=[BLUE if v >= 0 else ORANGE for v in values])
    ax.set_yticks(range(len(values)), [short(str(label)) for label in names])
    ax.axvline(0, color=GRAY, linewidth=0.8)
    ax.invert_yaxis()
    ax.margins(y=0.01)
    ax.set(xlabel="bias, on the scale of the ratings", title="items with the highest and lowest biases")
    return ax


def factors(rec: Recommender, n: int = 6) -> Any:
    """Plot the ``n`` strongest axes of the item vectors: their shares of the variance and, at each end, the items and
    the genres that correlate with it. Returns a matplotlib Axes."""
    found = name_factors(rec.model, rec.data, n=check_int("n", n), ends=3) if isinstance(rec.model, HasFactors) else []
    if not found:
        raise ConfigError(f"{rec.name} has no item vectors, or too few items, to describe factors")
    ax = subplots(layout="constrained", figsize=(10, 0.8 * len(found) + 0.8))[1]
    ax.set(xlim=(-1, 1), ylim=(len(found) - 0.4, -0.6), xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    for row, factor in enumerate(found):
        ax.annotate("", (0.3, row), (-0.3, row), arrowprops={"arrowstyle": "<->", "color": GRAY})
        ax.text(0, row - 0.08, f"{factor.share:.0%} of the variance", ha="center", va="bottom", fontsize=8)
        for side, sign, ends in (("right", -1, factor.low), ("left", 1, factor.high)):
            genres = ", ".join(f"{genre} {abs(r):.2f}" for genre, r in factor.genres if r * sign > 0)
            other = "left" if side == "right" else "right"
            ax.text(0.3 * sign, row + 0.1, genres, ha=other, va="top", fontsize=8, color=BLUE)
            ax.text(0.34 * sign, row, "\n".join(map(short, ends)), ha=side, va="center", fontsize=8)
    ax.set_title("the strongest axes of the item vectors")
    return ax


def neighbours(rec: Recommender, item: Any, n: int = 10) -> Any:
    """Plot the ``n`` items most similar to an item, and how many users rated both. Returns a matplotlib Axes."""
    frame = rec.similar_items(item, n)
    name = "title" if "title" in frame.columns else "item"
    label = rec.items.labels(np.array([rec.items.code(item)]))[0]
    ax = subplots(layout="constrained", figsize=(8, 0.3 * len(frame) + 1.2))[1]
    bars = ax.barh(range(len(frame)), frame["similarity"].to_list(), color=BLUE)
    ax.bar_label(bars, [f"{raters:,} rated both" for raters in frame["shared_raters"]], padding=4, fontsize=8)
    ax.set_yticks(range(len(frame)), [short(str(near)) for near in frame[name]])
    ax.invert_yaxis()
    ax.margins(y=0.02)
    ax.set_xlim(right=1.38 * max(frame["similarity"].to_list(), default=1.0))
    ax.set(xlabel="similarity", title=f"most similar to {short(label, 50)}")
    return ax
