"""The result of a comparison: frames, a verdict in words, a plot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from cofactor._frames import frames_out
from cofactor._html import lines_html, table_html
from cofactor.errors import ConfigError, MissingExtraError
from cofactor.evaluation import metric_names


@frames_out
@dataclass(frozen=True, eq=False)
class Comparison:
    """``frame``: one row for each model and metric; ``pairs``: one row for each pair of models and each metric;
    ``verdict``: in words.

    ``frame`` has ``model, metric, mean, low, high, worse_by, p, fit_seconds, predict_seconds, folds, n_users, config``:
    the mean over folds and its bounds; the distance to the best, and its corrected p-value. Seconds are means over
    folds, with everything compiled. ``pairs`` has ``metric, better, other, difference, low, high, p, p_holm``.
    ``settings``: each model's name and parameters, by its label; without your own functions, and without models whose
    tuned parameters differ between folds.
    """

    frame: pl.DataFrame
    pairs: pl.DataFrame
    how: tuple[str, ...]
    notes: tuple[str, ...] = ()
    skipped: Mapping[str, str] = field(default_factory=dict)
    alpha: float = 0.05
    settings: Mapping[str, tuple[str, Mapping[str, Any]]] = field(default_factory=dict)

    @property
    def metrics(self) -> list[str]:
        """The compared metrics, the one requested first in front."""
        return self.frame["metric"].unique(maintain_order=True).to_list()

    @property
    def best(self) -> str:
        """The model with the best mean of the first metric."""
        return str(ranked(self.frame, self.metrics[0])["model"][0])

    def figures(self, model: str | None = None) -> pl.DataFrame:
        """Return the figures of one model (by default the best), with the columns of :func:`cofactor.evaluate`, for
        :func:`cofactor.evaluation.with_figures`. Raises ConfigError if that model was not compared."""
        label = self.best if model is None else model
        rows = self.frame.filter(pl.col("model") == label)
        if not len(rows):
            raise ConfigError(f"{label!r} was not compared; there are: {', '.join(self.frame['model'].unique())}")
        folds = int(rows["folds"][0])
        return rows.select(
            "metric",
            pl.col("mean").alias("value"),
            "low",
            "high",
            "n_users",
            n_rows=pl.lit(None, pl.Int64),
            note=pl.lit(f"the mean of {folds} folds" if folds > 1 else ""),
        )

    def tiers(self, metric: str | None = None) -> list[list[str]]:
        """Return the models from the best down, in tiers. Models of one tier cannot be told apart from its
        first."""
        metric = self.metrics[0] if metric is None else metric
        if metric not in self.metrics:
            raise ConfigError(f"{metric!r} was not compared; there are: {', '.join(self.metrics)}")
        different = {
            frozenset((a, b))
            for a, b, p in self.pairs.filter(pl.col("metric") == metric).select("better", "other", "p_holm").rows()
            if p < self.alpha
        }
        found: list[list[str]] = []
        for model in ranked(self.frame, metric)["model"]:
            if found and frozenset((found[-1][0], model)) not in different:
                found[-1].append(model)
            else:
                found.append([model])
        return found

    @property
    def verdict(self) -> str:
        """Sentences on which models win, and which cannot be told apart."""
        said = [self._sentence(metric) for metric in self.metrics]
        if len(self.pairs):
            said.append(
                f"Paired bootstrap over users on the same test rows, corrected for all {len(self.pairs)} comparisons "
                f"(Holm, {self.alpha:g}). Not told apart does not mean equal."
            )
        said += [f"{model} was left out: {why}" for model, why in self.skipped.items()]
        return "\n".join([*said, *self.notes])

    def _sentence(self, metric: str) -> str:
        means = dict(self.frame.filter(pl.col("metric") == metric).select("model", "mean").rows())
        tiers = self.tiers(metric)
        if len(means) > 1 and not len(self.pairs.filter(pl.col("metric") == metric)):
            return f"{metric}: {_and([f'{model} {figure(mean)}' for model, mean in means.items()])}; not tested."

        def shown(tier: list[str]) -> str:
            return _and([f"{model} ({figure(means[model])})" for model in tier])

        first = tiers[0]
        if len(means) == 1:
            return f"{metric}: {shown(first)}, alone."
        if len(first) == len(means):
            return f"{metric}: {shown(first)} cannot be told apart."
        text = f"{metric}: {shown(first)} wins" if len(first) == 1 else f"{metric}: {shown(first)} lead, not told apart"
        return f"{text}; then {'; then '.join(shown(tier) for tier in tiers[1:])}."

    def table(self) -> pl.DataFrame:
        """Return text to look at: one row for each model, in the order of the first metric."""
        frame = self.frame
        order = ranked(frame, self.metrics[0])["model"].to_list()
        order += [model for model in frame["model"].unique(maintain_order=True) if model not in order]
        cells = {(row["model"], row["metric"]): row for row in frame.iter_rows(named=True)}
        columns: dict[str, list[str]] = {"model": order}
        for metric in self.metrics:
            columns[metric] = [_cell(cells.get((model, metric))) for model in order]
        for name, label in (("fit_seconds", "fit s"), ("predict_seconds", "predict s")):
            columns[label] = [f"{frame.filter(pl.col('model') == model)[name][0]:.3g}" for model in order]
        return pl.DataFrame(columns)

    def __str__(self) -> str:
        table = self.table()
        rows = [table.columns, *table.rows()]
        widths = [max(len(row[j]) for row in rows) for j in range(len(table.columns))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
        return "\n".join([f"Split: {_and(list(self.how))}", "", *lines, "", self.verdict])

    def __repr__(self) -> str:
        return (
            f"<Comparison of {self.frame['model'].n_unique()} models by {', '.join(self.metrics)}; best: {self.best}>"
        )

    def _repr_html_(self) -> str:
        table = self.table()
        caption = f"Split: {_and(list(self.how))}"
        return table_html(table.columns, table.rows(), caption) + lines_html(self.verdict.split("\n"))

    def to_dict(self) -> dict[str, Any]:
        """Return everything, in JSON types."""
        return {
            "how": list(self.how),
            "rows": self.frame.to_dicts(),
            "pairs": self.pairs.to_dicts(),
            "tiers": {metric: self.tiers(metric) for metric in self.metrics},
            "verdict": self.verdict,
            "skipped": dict(self.skipped),
            "notes": list(self.notes),
        }

    def plot(self, metric: str | None = None, ax: Any = None) -> Any:
        """Plot quality against training time (log scale), with bounds. Returns a matplotlib Axes."""
        try:
            import matplotlib.pyplot as plt
        except ImportError:
            raise MissingExtraError("matplotlib", "plot", "a plot") from None
        metric = self.metrics[0] if metric is None else metric
        rows = ranked(self.frame, metric)
        if not len(rows):
            raise ConfigError(f"{metric!r} was not compared; there are: {', '.join(self.metrics)}")
        if ax is None:
            _, ax = plt.subplots(figsize=(7, 4.5), layout="constrained")
        for row in rows.iter_rows(named=True):
            below, above = row["mean"] - row["low"], row["high"] - row["mean"]
            error = None if row["low"] is None else [[max(below, 0)], [max(above, 0)]]
            seconds = max(row["fit_seconds"], 1e-3)
            ax.errorbar(seconds, row["mean"], yerr=error, fmt="o", capsize=3)
            ax.annotate(row["model"], (seconds, row["mean"]), xytext=(6, 4), textcoords="offset points")
        ax.set_xscale("log")
        ax.margins(x=0.2)
        ax.set_xlabel("seconds to train")
        ax.set_ylabel(f"{metric} ({'lower' if metric_names.metric(metric).lower_is_better else 'higher'} is better)")
        return ax


def ranked(frame: pl.DataFrame, metric: str) -> pl.DataFrame:
    """Return the rows of one metric, best first. Equal ones keep the order in which they were given."""
    rows = frame.filter(pl.col("metric") == metric)
    return rows.sort("mean", descending=not metric_names.metric(metric).lower_is_better, maintain_order=True)


def _cell(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return "–"
    bounds = "" if row["low"] is None else f" [{figure(row['low'])}, {figure(row['high'])}]"
    return f"{figure(row['mean'])}{bounds}"


def figure(x: float) -> str:
    """Format with four digits after the point, as in the tables, or with two significant digits where that would show
    zeros."""
    return f"{x:.2g}" if 0 < abs(x) < 5e-5 else f"{x:z.4f}"


def _and(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
