"""``cofactor datasets`` and ``cofactor models``."""

from __future__ import annotations

import dataclasses

import typer

from cofactor.cli.common import Json, emit


def datasets(as_json: bool = Json) -> None:
    """List the datasets that can be named instead of a file."""
    from cofactor.data.datasets import datasets

    emit(datasets(), as_json)


def models(
    name: str | None = typer.Argument(None, help="Show the parameters of this model."),
    as_json: bool = Json,
) -> None:
    """List the models, or the parameters of one with their defaults."""
    import polars as pl

    from cofactor.models import model_class, models

    if name is None:
        emit(models().select("model", "task", "about") if not as_json else models(), as_json)
        return
    rows = [
        {"option": f"--{f.name.replace('_', '-')}", "default": repr(f.default), "about": f.metadata.get("help", "")}
        for f in dataclasses.fields(model_class(name).Config)
    ]
    emit(pl.DataFrame(rows), as_json, title=name)
