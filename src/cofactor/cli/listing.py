"""``cofactor datasets`` and ``cofactor models``."""

from __future__ import annotations

import dataclasses

import polars as pl
import typer

from cofactor.cli.arguments import Json
from cofactor.cli.printing import emit, say
from cofactor.data.datasets import list_datasets
from cofactor.models import list_models, model_class


def datasets(as_json: bool = Json) -> None:
    """List the datasets whose names can stand in place of a file."""
    found = list_datasets()
    if as_json:
        emit(found, as_json)
        return
    elsewhere = pl.col("where").is_in(["bundled", "download", "not here"])
    where = pl.when(elsewhere).then("where").otherwise(pl.lit("on this machine"))
    emit(found.select("name", "ratings", "users", "items", "scale", where), as_json)
    print()
    for licence in found["licence"].unique(maintain_order=True):
        names = found.filter(pl.col("licence") == licence)["name"].to_list()
        print(f"{licence}: {names[0]}" + (f" to {names[-1]}" if len(names) > 1 else ""))


def models(
    name: str | None = typer.Argument(None, help="Show the parameters of this model."),
    as_json: bool = Json,
) -> None:
    """List the models, or the parameters of one model with their defaults."""
    if name is None:
        emit(list_models().select("model", "task", "about") if not as_json else list_models(), as_json)
        if not as_json:
            say("\ncofactor models NAME lists the parameters of a model; each is an option of cofactor fit.")
        return
    rows = [
        {"option": f"--{f.name.replace('_', '-')}", "default": repr(f.default), "about": f.metadata.get("help", "")}
        for f in dataclasses.fields(model_class(name).Config)
    ]
    emit(pl.DataFrame(rows), as_json, title=name)
