"""``cofactor info``: show the facts of a saved model."""

from __future__ import annotations

from typing import Any

import typer

from cofactor.bundle import info
from cofactor.cli.arguments import Json
from cofactor.cli.printing import cell, console, metric_line, print_json, show
from cofactor.cli.trials import show_trials
from cofactor.recommend.fitted import FIGURES, TRIALS


def command(
    model: str = typer.Argument(help="A saved model."),
    verify: bool = typer.Option(False, "--verify", help="Check every byte against the digests in the manifest."),
    as_json: bool = Json,
) -> None:
    """Show a saved model's manifest: model, parameters, data, metrics, versions."""
    import polars as pl
    from rich.table import Table

    facts = info(model, verify=verify)
    if as_json:
        print_json(facts)
        return
    tried, figures = facts.pop("trials"), facts.pop("figures")
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(overflow="fold")
    table.add_column(overflow="fold")
    for name, value in facts.items():
        table.add_row(name.replace("_", " "), _shown(name, value))
    console().print(table)
    if figures:
        whole = pl.DataFrame(figures, schema=FIGURES, strict=False)
        for (rows, when), part in whole.group_by("rows", "measured", maintain_order=True):
            show(part.select("metric", "value", "low", "high", "n_users"), f"\nQuality on {rows} ({when})")
    if tried:
        console().print("\nTrials of auto", style="italic")
        show_trials(pl.DataFrame(tried, schema=TRIALS))


def _shown(name: str, value: Any) -> str:
    """Return one fact of the manifest as text."""
    if name == "metrics":
        return "\n".join(metric_line(k, v) for k, v in value.items() if v is not None) or "-"
    if name == "data":
        return _data(value)
    if name == "files":
        return "\n".join(f"{file} ({_size(n)})" for file, n in value.items())
    if name == "bytes":
        return _size(value)
    if name == "verified":
        return "every byte, against the digests" if value else "sizes only; --verify checks every byte"
    if isinstance(value, dict):
        return ", ".join(f"{k}={v}" for k, v in value.items()) or "-"
    return cell(value)


def _data(facts: dict[str, Any]) -> str:
    """Return the facts of the training ratings: their number, their columns and the reader's notes."""
    name = facts["name"] or "ratings"
    lines = [f"{name}: {facts['rows']:,} rows, {facts['users']:,} users, {facts['items']:,} items"]
    lines.append("columns " + ", ".join(f"{role}={column}" for role, column in facts["columns"].items() if column))
    lines += [f"{facts[kind]} {kind.replace('_', ' ')}" for kind in ("user_features", "item_features") if facts[kind]]
    return "\n".join([*lines, *facts["notes"], f"fingerprint {facts['fingerprint']}"])


def _size(n: int) -> str:
    """Return a number of bytes in bytes, kB or MB."""
    if n < 1000:
        return f"{n} bytes"
    return f"{n / 1000:.1f} kB" if n < 1_000_000 else f"{n / 1_000_000:.1f} MB"
