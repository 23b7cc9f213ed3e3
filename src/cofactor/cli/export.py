"""``cofactor export``: write what a model learned in formats that other programs read."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import typer

from cofactor import export
from cofactor._paths import check_file
from cofactor.cli.arguments import Json
from cofactor.cli.printing import print_json, say
from cofactor.errors import ConfigError, did_you_mean
from cofactor.recommender import load

SUFFIXES = {".npz": "npz", ".parquet": "parquet", ".txt": "word2vec", ".vec": "word2vec", ".onnx": "onnx"}
FORMATS = {
    "npz": "vectors, biases and ids in one NumPy file",
    "npy": "a folder of NumPy files and ids.json",
    "parquet": "a table with columns id, bias, factors",
    "word2vec": "text, one line per id and its vector",
    "onnx": "the predictions of a PyTorch module as a graph",
    "hf": "a folder in the layout of the Hugging Face Hub",
    "serve": "a saved model without users and ratings, for a server",
}


def command(
    model: str = typer.Argument(help="A saved model."),
    out: str = typer.Argument(
        help="The file or folder to write. A suffix .npz, .parquet, .txt or .onnx sets the format."
    ),
    format: str | None = typer.Option(None, "--format", "-f", help=f"One of {', '.join(FORMATS)}."),
    which: str = typer.Option("item", "--which", help="For vectors: item or user."),
    as_json: bool = Json,
) -> None:
    """Export a model: as vectors, an ONNX graph, a folder for the Hugging Face Hub, or a model without users."""
    chosen = format or SUFFIXES.get(Path(out).suffix.lower())
    if chosen not in FORMATS:
        listed = "; ".join(f"{name} ({about})" for name, about in FORMATS.items())
        said = f"there is no format {format!r}" if format else f"the name {out} does not show the format; give --format"
        raise ConfigError(f"{said}: {listed}.{did_you_mean(format, FORMATS) if format else ''}")
    if which not in ("item", "user"):
        raise ConfigError(f"--which is {which!r}; give item or user")
    if chosen not in ("npy", "hf", "serve"):
        check_file(out)
    rec = load(model)
    if chosen == "onnx":
        export.export_onnx(rec, out)
    elif chosen == "serve":
        rec.save(out, serve_only=True)
    elif chosen == "hf":
        export.export_hf(rec, out)
    else:
        side: Literal["item", "user"] = "user" if which == "user" else "item"
        export.export_vectors(rec, out, chosen, which=side)  # type: ignore[arg-type]
    print_json({"out": out, "format": chosen}) if as_json else say(f"wrote {out}: {FORMATS[chosen]}")
