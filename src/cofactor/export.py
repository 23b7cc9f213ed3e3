"""Export: vectors as NumPy, Parquet or word2vec text; ONNX graphs; folders for the Hugging Face Hub.

Every file is written under a temporary name and renamed, so no file is ever incomplete.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import io
import json
import logging
import os
import secrets
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np

from cofactor import _tensors as tensors
from cofactor._paths import check_file, check_path
from cofactor._validate import check_choice
from cofactor.bundle import contents, manifest
from cofactor.bundle.files import is_bundle
from cofactor.bundle.parquet import tables
from cofactor.data.kind import rows_of
from cofactor.errors import BundleError, ConfigError, MissingExtraError
from cofactor.models.dot_bias.model import DotBias
from cofactor.models.torch.module import TorchModule, need_torch
from cofactor.recommender import Recommender

FOLDER = (
    "`config.json`: the model's parameters",
    "`model.safetensors`: its arrays; users and items are rows, by code",
    "`items.parquet`: the item of each code",
)
"""The files that :func:`export_hf` writes, with descriptions."""
Format = Literal["npy", "npz", "parquet", "word2vec"]


def export_vectors(
    rec: Recommender, path: str | Path, format: Format = "npy", *, which: Literal["item", "user"] = "item"
) -> None:
    """Write the learned vectors and biases.

    Formats:

    - ``npy``: a folder with ``vectors.npy`` (n, k), ``bias.npy`` (n,) and ``ids.json``, all in the same order.
    - ``npz``: the same arrays (``vectors``, ``bias``, ``ids``) in one file.
    - ``parquet``: a file with columns id, bias, factors.
    - ``word2vec``: text with a first line ``n k``, then an id and its vector per line. White space in ids becomes
      ``_``; biases are left out.

    ConfigError where the model has no vectors, BundleError where the path cannot be written.
    """
    check_path(path)
    check_choice("format", format, "npy", "npz", "parquet", "word2vec")
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
    else:
        words = ["_".join(str(v).split()) or "_" for v in frame["id"]]
        if len(set(words)) < len(words):
            twice = next(w for i, w in enumerate(words) if w in words[:i])
            raise ConfigError(f"two {which} ids become {twice!r} in word2vec text; export to npy or parquet instead")
        vectors = frame["factors"].to_numpy()
        _write(path, lambda f: _word2vec(f, words, vectors))


def _word2vec(file: BinaryIO, words: list[str], vectors: Any) -> None:
    file.write(f"{len(words)} {vectors.shape[1]}\n".encode())
    for word, row in zip(words, vectors, strict=True):
        numbers = " ".join(np.format_float_positional(x, unique=True, trim="-") for x in row)
        file.write(f"{word} {numbers}\n".encode())


def export_onnx(rec: Recommender, path: str | Path) -> None:
    """Write the predictions of ``dot-bias``, ``neural`` or a PyTorch module of your own as an ONNX graph.

    The input is ``x``, int64 (n, 2), user and item codes: positions in ``rec.data.user_ids.values`` and
    ``rec.data.item_ids.values``, which is also the order of a bundle's ids. The output is ``prediction``, float32 (n,),
    NaN for unknown codes. ``n`` is dynamic. ONNX's own evaluator checks the graph before it is written. ConfigError for
    other models, for a module that ONNX cannot express, and where there are ratings newer than the model;
    MissingExtraError without the packages of the extra ``onnx``.
    """

    check_file(path)
    inner = _module(rec)
    torch = need_torch("ONNX export")
    for package in ("onnx", "onnxscript"):
        if importlib.util.find_spec(package) is None:
            raise MissingExtraError(package, "onnx", "ONNX export")
    held = io.BytesIO()
    try:
        with _silence():
            torch.onnx.export(
                _graph(torch, inner(), rec.data.n_users, rec.data.n_items),
                (torch.zeros((2, 2), dtype=torch.int64),),
                dynamo=True,
                verbose=False,
                input_names=["x"],
                output_names=["prediction"],
                dynamic_shapes=({0: torch.export.Dim("n")},),
            ).save(held)
    except Exception as exc:
        raise ConfigError(f"this module cannot be written as ONNX ({_reason(exc)})") from exc
    _check_graph(rec, held.getvalue())
    _write(path, lambda f: f.write(held.getvalue()))


def _module(rec: Recommender) -> Callable[[], Any]:
    """Return a function that makes the module, which maps codes (n, 2) to flat predictions."""

    _nothing_newer(rec)
    model = rec.model
    if isinstance(model, DotBias):
        return lambda: _dot_bias_module(model)
    if isinstance(model, TorchModule):
        return lambda: _own_module(model)
    raise ConfigError(f"{rec.name} is not a PyTorch module; ONNX is for dot-bias, neural and modules of your own")


def _dot_bias_module(model: DotBias) -> Any:
    import torch

    from cofactor.models.torch.layers import EmbeddingDotBias

    views = model.views()
    (n_users, k), n_items = views["u_weight"].shape, len(views["i_weight"])
    module = EmbeddingDotBias(k, n_users, n_items, model.y_range)
    module.load_state_dict({f"{name}.weight": torch.from_numpy(np.array(table)) for name, table in views.items()})
    return module


def _own_module(model: TorchModule) -> Any:
    """Return a user's module with the offset for unknown ids and the activation of its outputs."""
    import copy

    import torch

    class Own(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = copy.deepcopy(model._module()).cpu()

        def forward(self, x: Any) -> Any:
            return model._activated(self.inner(x + model._offset()))

    return Own()


def _graph(torch: Any, inner: Any, n_users: int, n_items: int) -> Any:
    """Return ``inner`` extended to all codes: NaN where there is no such user or item."""

    class Graph(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.inner = inner
            self.register_buffer("sizes", torch.tensor([n_users, n_items]))

        def forward(self, x: Any) -> Any:
            known = ((x >= 0) & (x < self.sizes)).all(1)
            found = self.inner(torch.where(known[:, None], x, 0)).reshape(-1)
            return torch.where(known, found, torch.nan)

    return Graph().eval()


def _check_graph(rec: Recommender, graph: bytes, n: int = 50) -> None:
    """Raise ConfigError unless the graph gives the model's predictions, for one pair and for ``n`` pairs."""
    import onnx
    from onnx.reference import ReferenceEvaluator

    rng = np.random.default_rng(0)
    x = np.stack([rng.integers(rec.data.n_users, size=n), rng.integers(rec.data.n_items, size=n)], axis=1)
    wanted = rec.predict_codes(x[:, 0].astype(np.int32), x[:, 1].astype(np.int32))
    evaluator = ReferenceEvaluator(onnx.load_from_string(graph))
    for rows in (slice(1), slice(n)):
        (found,) = evaluator.run(None, {"x": x[rows]})
        if not np.allclose(found, wanted[rows], rtol=1e-4, atol=1e-4):
            raise ConfigError(
                "the ONNX graph of this module gives other predictions than the module; check whether its forward() "
                "draws random numbers or uses the batch size"
            )


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Silence PyTorch's exporter, which logs pages; real errors are raised."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _reason(exc: BaseException) -> str:
    """Return the first line of the root cause."""
    while exc.__cause__ is not None:
        exc = exc.__cause__
    lines = [line.strip() for line in str(exc).splitlines() if line.strip()]
    return (lines[0] if lines else type(exc).__name__)[:200]


def _nothing_newer(rec: Recommender) -> None:
    if rec.updates.users:
        raise ConfigError(
            f"{rec.updates.n_ratings:,} ratings are newer than the model and would be lost; refit() it and export the"
            " result"
        )


def export_hf(rec: Recommender, folder: str | Path) -> None:
    """Write ``README.md`` (a model card), ``config.json``, ``model.safetensors`` and ``items.parquet`` into a folder.

    The card states only measured figures. User ids and ratings are left out, but the user vectors are part of the
    weights: consider that before you publish.
    """
    arrays = {name: a for name, a in contents.collect(rec).items() if name.startswith("model.")}
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
    _write(place / "README.md", lambda f: f.write(card(rec, FOLDER).encode()))


def card(rec: Recommender, files: Sequence[str]) -> str:
    """Return the model card in Markdown: the model, its figures, and its ``files`` with descriptions."""
    lines = [
        "---",
        "library_name: cofactor",
        "tags: [recommender-system, collaborative-filtering]",
        "---",
        "",
        f"# {rec.name}",
        "",
        f"A {rec.model.task} model of cofactor, trained on {len(rec.data):,} {rows_of(rec.data.kind)} by"
        f" {rec.data.n_users:,} users of {rec.data.n_items:,} items (seed {rec.seed}).",
        "",
        "## Measured",
        "",
        *_measured(rec),
        "",
        "## Files",
        "",
        *(f"- {file}" for file in files),
        "",
    ]
    return "\n".join(lines)


def _measured(rec: Recommender) -> list[str]:
    """Return a table of figures on held-out rows with 95 % intervals, then of figures measured in training."""
    lines = []
    for line in [] if rec.figures is None else rec.figures.to_dicts():
        if line["value"] is not None:
            low, high = line["low"], line["high"]
            bounds = "" if low is None else f" ({low:.4f} to {high:.4f})"
            lines.append(f"| {line['metric']} | {line['value']:.4f}{bounds} | {line['rows']} |")
    metrics = manifest.plain(rec.metrics)
    lines += [f"| {name} | {value:.4f} | while training |" for name, value in metrics.items() if value is not None]
    return (
        ["| metric | value | rows |", "|---|---|---|", *lines]
        if lines
        else ["Nothing was measured on held-out ratings."]
    )


# ---- files


def _folder(path: str | Path) -> Path:
    place = check_path(path, "the folder")
    if is_bundle(place):
        raise BundleError(f"{path} is a saved model, whose folder may hold nothing else; name another folder")
    try:
        place.mkdir(exist_ok=True)
    except OSError as exc:
        raise BundleError(f"cannot write to the folder {path}: {exc.strerror or exc}") from None
    return place


def _write(path: str | Path, fill: Callable[[BinaryIO], Any]) -> None:
    try:
        place = check_file(path)
    except ConfigError as exc:
        raise BundleError(str(exc)) from None
    scratch = place.parent / f".{place.name}.{secrets.token_hex(6)}.tmp"
    try:
        with open(scratch, "xb") as file:
            fill(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(scratch, place)
    except OSError as exc:
        raise BundleError(f"cannot write {path}: {exc.strerror or exc}; an earlier file there is unchanged") from exc
    finally:
        with contextlib.suppress(OSError):
            scratch.unlink(missing_ok=True)
