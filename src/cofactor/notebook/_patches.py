"""What notebooks expect of PyTorch's tensors, of paths, and of strings in pandas' frames."""

from __future__ import annotations

import json
import pathlib
import shutil
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from cofactor.notebook._fastcore.lists import L


def _pca(x: Tensor, k: int = 2) -> Tensor:
    """Return the first ``k`` principal components of the rows (n, d): (n, k)."""
    centred = x - torch.mean(x, 0)
    found: Tensor = centred @ torch.linalg.svd(centred.t(), full_matrices=False)[0][:, :k]
    return found


def _ls(self: pathlib.Path, n_max: int | None = None, file_type: Any = None, file_exts: Any = None) -> L:
    """List the folder."""
    exts = set(L(file_exts))
    found = sorted(self.iterdir()) if self.is_dir() else []
    return L([p for p in found if not exts or p.suffix in exts][:n_max])


def _readlines(self: pathlib.Path, hint: int = -1, encoding: str = "utf8") -> list[str]:
    with self.open(encoding=encoding) as file:
        return file.readlines(hint)


def _read_json(self: pathlib.Path, encoding: str | None = None, errors: str | None = None) -> Any:
    return json.loads(self.read_text(encoding=encoding, errors=errors))


def _mk_write(
    self: pathlib.Path, data: str, encoding: str | None = None, errors: str | None = None, mode: int = 511
) -> None:
    self.parent.mkdir(exist_ok=True, parents=True, mode=mode)
    self.write_text(data, encoding=encoding, errors=errors)


def _delete(self: pathlib.Path) -> None:
    if self.is_dir():
        shutil.rmtree(self)
    elif self.exists():
        self.unlink()


def _repr(self: pathlib.Path) -> str:
    base = getattr(pathlib.Path, "BASE_PATH", None)
    if base and self.is_relative_to(base):
        self = self.relative_to(base)
    return f"Path({self.as_posix()!r})"


def _keep_strings_in_arrays() -> None:
    """Keep the strings of pandas' frames in NumPy arrays, unless another storage is set already.

    pandas keeps them in Arrow's memory where pyarrow is installed. Notebooks are written for the other storage: their
    cells index titles by a tensor, ``titles[preds.argmax()]``, or give them another shape.
    """
    if pd.get_option("mode.string_storage") == "auto":
        pd.set_option("mode.string_storage", "python")


def install() -> None:
    """Add the methods that tensors and paths have in fastai's notebooks."""
    _keep_strings_in_arrays()
    for name, function in (("pca", _pca),):
        if not hasattr(Tensor, name):
            setattr(Tensor, name, function)
    for name, method in (("ls", _ls), ("readlines", _readlines), ("read_json", _read_json), ("mk_write", _mk_write)):
        if not hasattr(pathlib.Path, name):
            setattr(pathlib.Path, name, method)
    if not hasattr(pathlib.Path, "delete"):
        pathlib.Path.delete = _delete  # type: ignore[attr-defined]
    if pathlib.Path.__repr__ is pathlib.PurePath.__repr__:
        setattr(pathlib.Path, "__repr__", _repr)  # noqa: B010
    if not hasattr(pathlib.Path, "BASE_PATH"):
        pathlib.Path.BASE_PATH = None  # type: ignore[attr-defined]
