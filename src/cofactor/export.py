"""What others can read: vectors as NumPy, Parquet or word2vec text; ONNX; the folder layout of the Hugging Face Hub.

Every file is written beside its place and renamed, so none is ever half there.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import io
import json
import os
import secrets
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

import numpy as np

from cofactor._bundle import manifest, parts, tables, tensors
from cofactor.errors import BundleError, ConfigError, MissingExtraError

if TYPE_CHECKING:
    from cofactor.recommend import Recommender

Format = Literal["npy", "npz", "parquet", "word2vec"]


def export_vectors(
    rec: Recommender, path: str | Path, format: Format = "npy", *, which: Literal["item", "user"] = "item"
) -> None:
    """Write the learned vectors and biases.

    ``npy``: a folder with ``vectors.npy`` (n, k), ``bias.npy`` (n,) and ``ids.json``, in one order. ``npz``: the
    same three (``vectors``, ``bias``, ``ids``) in one file. ``parquet``: a file with columns id, bias, factors.
    ``word2vec``: the text form (a first line ``n k``, then an id and its vector a line; white space in ids becomes
    ``_``; biases are left out). ConfigError where the model has no vectors, BundleError where the path cannot be
    written.
    """
    frame = rec.embeddings(which)
    if format == "parquet":
        _write(path, lambda f: frame.write_parquet(f))
    elif format == "npy":
        ids = [v if isinstance(v, (int, float, str)) else str(v) for v in frame["id"]]
        vectors = np.ascontiguousarray(frame["factors"].to_numpy())
        folder = _folder(path)
        _write(folder / "vectors.npy", lambda f: np.save(f, vectors, allow_pickle=False))
        _write(folder / "bias.npy", lambda f: np.save(f, frame["bias"].to_numpy(), allow_pickle=False))
        _write(folder / "ids.json", lambda f: f.write(json.dumps(ids, ensure_ascii=False).encode()))
    elif format == "npz":
        ids = [v if isinstance(v, (int, float, str)) else str(v) for v in frame["id"]]
        arrays = {"vectors": frame["factors"].to_numpy(), "bias": frame["bias"].to_numpy(), "ids": np.array(ids)}
        _write(path, lambda f: np.savez(f, allow_pickle=False, **arrays))
    elif format == "word2vec":
        words = ["_".join(str(v).split()) or "_" for v in frame["id"]]
        if len(set(words)) < len(words):
            twice = next(w for i, w in enumerate(words) if w in words[:i])
            raise ConfigError(f"two {which} ids become {twice!r} in word2vec text; export to npy or parquet instead")
        vectors = frame["factors"].to_numpy()
        _write(path, lambda f: _word2vec(f, words, vectors))
    else:
        raise ConfigError(f"no format {format!r}; there are: npy, npz, parquet, word2vec")


def _word2vec(file: BinaryIO, words: list[str], vectors: Any) -> None:
    file.write(f"{len(words)} {vectors.shape[1]}\n".encode())
    for word, row in zip(words, vectors, strict=True):
        numbers = " ".join(np.format_float_positional(x, unique=True, trim="-") for x in row)
        file.write(f"{word} {numbers}\n".encode())


def export_onnx(rec: Recommender, path: str | Path) -> None:
    """Write a PyTorch module's predictions as an ONNX graph.

    Input ``x`` int64 (n, 2) of user and item codes (positions in the id maps), output ``prediction`` float32 (n,).
    ConfigError for models that are no PyTorch module or that ONNX cannot express; MissingExtraError without the
    packages torch and onnx.
    """
    from cofactor.models.torch_module import TorchModule, need_torch

    if not isinstance(rec.model, TorchModule):
        raise ConfigError(f"{rec.name} is no PyTorch module; ONNX is for neural and for modules of your own")
    torch = need_torch("ONNX export")
    if importlib.util.find_spec("onnx") is None:
        raise MissingExtraError("onnx", "onnx", "ONNX export")
    graph = _flat_module(torch, rec.model)
    held = io.BytesIO()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the exporter through TorchScript needs no onnxscript, and says it is old
            torch.onnx.export(
                graph,
                (torch.zeros((2, 2), dtype=torch.int64),),
                held,
                dynamo=False,
                input_names=["x"],
                output_names=["prediction"],
                dynamic_axes={"x": {0: "n"}, "prediction": {0: "n"}},
            )
    except Exception as exc:
        raise ConfigError(f"this module cannot be written as ONNX ({str(exc).splitlines()[0][:200]})") from exc
    _write(path, lambda f: f.write(held.getvalue()))


def _flat_module(torch: Any, model: Any) -> Any:
    """Codes in, flat predictions out: with the offset of unknown ids, and what turns outputs into predictions."""
    import copy

    class Flat(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.inner = copy.deepcopy(model.module).cpu().eval()

        def forward(self, x: Any) -> Any:
            return model._activated(self.inner(x + model._offset()).reshape(-1))

    return Flat().eval()


def export_hf(rec: Recommender, folder: str | Path) -> None:
    """Write ``README.md`` (a model card), ``config.json``, ``model.safetensors`` and ``items.parquet`` into a folder.

    The card gives only what was measured. User ids and ratings are left out, but the vectors of users are part of the
    weights: think of that before you publish.
    """
    arrays = {name: a for name, a in parts.collect(rec).items() if name.startswith("model.")}
    facts = {
        "library_name": "cofactor",
        "model": rec.name,
        "task": rec.model.task,
        "config": manifest.plain(dataclasses.asdict(rec.model.config)),
        "seed": rec.seed,
        "ratings": len(rec.data),
        "users": rec.data.n_users,
        "items": rec.data.n_items,
        "metrics": manifest.plain(rec.metrics),
    }
    place = _folder(folder)
    stripped = {name.removeprefix("model."): a for name, a in arrays.items()}
    _write(place / "model.safetensors", lambda f: tensors.write(f, stripped))
    _write(place / "items.parquet", lambda f: tables.write(f, rec.data.item_ids, rec.data.item_table))
    _write(place / "config.json", lambda f: f.write((json.dumps(facts, indent=2, allow_nan=False) + "\n").encode()))
    _write(place / "README.md", lambda f: f.write(_card(facts).encode()))


def _card(facts: dict[str, Any]) -> str:
    measured = [(name, value) for name, value in facts["metrics"].items() if value is not None]
    table = ["| metric | value |", "|---|---|", *(f"| {n} | {v:.4f} |" for n, v in measured)]
    lines = [
        "---",
        "library_name: cofactor",
        "tags: [recommender-system, collaborative-filtering]",
        "---",
        "",
        f"# {facts['model']}",
        "",
        f"A {facts['task']} model of cofactor, trained on {facts['ratings']:,} ratings by {facts['users']:,} users of"
        f" {facts['items']:,} items (seed {facts['seed']}).",
        "",
        "## Measured",
        "",
        *(table if measured else ["Nothing was measured on held-out ratings."]),
        "",
        "## Files",
        "",
        "- `config.json`: the model's parameters",
        "- `model.safetensors`: its arrays; users and items are rows, by code",
        "- `items.parquet`: the item of each code",
        "",
    ]
    return "\n".join(lines)


# ---- files


def _folder(path: str | Path) -> Path:
    place = Path(path)
    try:
        place.mkdir(exist_ok=True)
    except OSError as exc:
        raise BundleError(f"cannot write to the folder {path}: {exc.strerror or exc}") from None
    return place


def _write(path: str | Path, fill: Callable[[BinaryIO], Any]) -> None:
    place = Path(path)
    scratch = place.parent / f".{place.name}.{secrets.token_hex(6)}.tmp"
    try:
        with open(scratch, "xb") as file:
            fill(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(scratch, place)
    except OSError as exc:
        raise BundleError(f"cannot write {path}: {exc.strerror or exc}; what was there before is unharmed") from exc
    finally:
        with contextlib.suppress(OSError):
            scratch.unlink(missing_ok=True)
