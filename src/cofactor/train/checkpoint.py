"""Checkpoints: one safetensors file with everything needed to continue as if training had never been interrupted.

The file is written under a temporary name in the same folder and renamed, so a crash leaves the last good one.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cofactor import _tensors
from cofactor.errors import BundleError
from cofactor.model import State


def save_checkpoint(path: str | Path, arrays: Mapping[str, np.ndarray[Any, Any]], meta: dict[str, Any]) -> None:
    """Write arrays and JSON-able facts to ``path`` in one step."""
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    except OSError as exc:
        raise BundleError(f"cannot write the checkpoint {path}: {exc.strerror}") from exc
    try:
        with os.fdopen(handle, "wb") as file:
            _tensors.write(file, {k: np.asarray(v) for k, v in arrays.items()}, {"cofactor": json.dumps(meta)})
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as exc:
        Path(temporary).unlink(missing_ok=True)
        raise BundleError(f"cannot write the checkpoint {path}: {exc.strerror}") from exc
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def load_checkpoint(path: str | Path) -> tuple[State, dict[str, Any]]:
    """Return what :func:`save_checkpoint` wrote. Raises BundleError if the file is missing, truncated or not a
    checkpoint."""
    path = Path(path)
    if not path.is_file():
        raise BundleError(f"no checkpoint at {path}")
    try:
        held = np.fromfile(path, dtype=np.uint8)
        meta = json.loads(_tensors.facts(held, str(path))["cofactor"])
        arrays = {name: array.copy() for name, array in _tensors.views(held, str(path)).items()}
    except (BundleError, KeyError, ValueError, OSError) as exc:
        raise BundleError(f"{path} is not a complete checkpoint ({exc}); delete it and train again") from exc
    return arrays, meta
