"""Save a trained model: a directory with a manifest, arrays, and ids. The format is described in ``docs/bundle.md``.

A bundle holds JSON and raw numbers, and nothing that is executed.
"""

from __future__ import annotations

import dataclasses
import datetime
import platform
from pathlib import Path
from typing import Any

import numpy as np

from cofactor import _tensors as tensors
from cofactor.bundle import contents, files, id_tables, manifest
from cofactor.bundle import index as index_file
from cofactor.data.fingerprint import fingerprint
from cofactor.data.ids.id_map import IdMap
from cofactor.data.items_only import ItemsOnly
from cofactor.errors import BundleError, ConfigError
from cofactor.model import DropsUsers, Model
from cofactor.recommend.fitted import Fitted

_ARRAYS, _USERS, _ITEMS = manifest.FILES
_PACKAGES = ("cofactor", "numpy", "numba", "scipy", "polars", "torch")


def save(rec: Fitted, path: str | Path, *, serve_only: bool = False) -> None:
    """Write a recommender to a directory. An existing bundle there stays intact until the new one is complete.

    ``serve_only`` leaves out users and their rows; ConfigError for a model whose fold-in needs them. BundleError where
    the path holds something else than a bundle, where it cannot be written (such as on a full disk), or where the model
    holds numbers that are not finite.
    """
    rec = without_users(rec) if serve_only else rec
    config = manifest.plain(dataclasses.asdict(rec.model.config))
    arrays = contents.collect(rec)
    with files.replaced(path) as folder:
        written = {_ARRAYS: files.write_file(folder / _ARRAYS, lambda f: tensors.write(f, arrays))}
        for name, ids, table in (
            (_USERS, rec.data.user_ids, rec.data.user_table),
            (_ITEMS, rec.data.item_ids, rec.data.item_table),
        ):
            written[name] = files.write_file(folder / name, lambda f, i=ids, t=table: id_tables.write(f, i, t))  # type: ignore[misc]
        facts = None
        if rec.index is not None:
            facts, index = index_file.facts_of(rec.index), rec.index
            name = manifest.LENGTHS if index.exact else manifest.INDEX
            written[name] = files.write_file(folder / name, lambda f: index_file.write(f, index))
        text = manifest.dump(manifest_of(rec, config, written, facts))
        if len(text) > manifest.LIMIT:
            raise BundleError(f"cannot write {path}: the notes and names of features are too long; shorten them")
        try:
            manifest.parse(text, "its manifest")  # write only what can be read again
        except BundleError as exc:
            raise BundleError(f"cannot write {path}: {exc}; an earlier bundle there is unchanged") from None
        files.write_file(folder / files.MANIFEST, lambda f: put(f, text))


def without_users(rec: Fitted) -> Fitted:
    """Return the recommender without its training users, for users who come with a history."""
    data = rec.data
    if isinstance(data, ItemsOnly):
        return rec
    if not isinstance(rec.model, DropsUsers):
        raise ConfigError(f"{rec.name} needs its training users for fold-ins; save it with serve_only=False")
    left = ItemsOnly.of(
        data.item_counts.astype(np.int64),
        data.range,
        data.scale,
        IdMap(data.user_ids.values[:0], "user"),
        data.item_ids,
        timed=data.times is not None,
        columns=data.columns,
        kind=data.kind,
        duplicates=data.duplicates,
        reading=data.reading,
        item_table=data.item_table,
        item_features=data.item_features,
        name=data.name,
        notes=data.notes,
    )
    model: Model = rec.model.without_users()
    made = rec.replace(model=model, data=left)
    made.remember("scale", lambda: rec.scale)
    if made.index is not None:
        vectors: Any = model
        made.index = dataclasses.replace(made.index, vectors=vectors)
    return made


def put(file: Any, text: bytes) -> None:
    file.write(text)


def check_writable(path: str | Path) -> None:
    """Raise BundleError where :func:`save` could not write to ``path``; call this before a long training."""
    files.target(path)


def manifest_of(
    rec: Fitted, config: dict[str, Any], written: dict[str, Any], index_facts: dict[str, Any] | None
) -> manifest.Manifest:
    data = rec.data
    return {
        "format": manifest.FORMAT,
        "format_version": manifest.VERSION,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "versions": {"python": platform.python_version()}
        | {name: v for name in _PACKAGES if (v := manifest.version_of(name)) is not None},
        "model": rec.model.name,
        "task": rec.model.task,
        "config": config,
        "seed": int(rec.seed),
        "metrics": manifest.plain({k: float(v) for k, v in rec.metrics.items()}),
        "history": manifest.plain(rec.history),
        "trials": [] if rec.trials is None else manifest.plain(rec.trials.to_dicts()),
        "figures": [] if rec.figures is None else manifest.plain(rec.figures.to_dicts()),
        "data": {
            "name": data.name,
            "fingerprint": "" if isinstance(data, ItemsOnly) else fingerprint(data),
            "rows": len(data),
            "users": data.n_users,
            "items": data.n_items,
            "columns": {k: v for k, v in data.columns._asdict().items() if k != "weight" or v is not None},
            "kind": data.kind,
            "duplicates": data.duplicates,
            "reading": manifest.plain(data.reading._asdict()),
            "notes": list(data.notes),
            "user_features": None if data.user_features is None else list(data.user_features.names),
            "item_features": None if data.item_features is None else list(data.item_features.names),
            "items_only": _items_only(rec),
        },
        "index": index_facts,
        "files": written,
    }


def _items_only(rec: Fitted) -> dict[str, Any] | None:
    """Return the facts about the values that a bundle without users needs; None for other bundles."""
    data = rec.data
    if not isinstance(data, ItemsOnly):
        return None
    found = {"low": rec.scale.low, "high": rec.scale.high, "liked": rec.scale.liked, "slack": rec.scale.slack}
    found |= {"scale_low": data.scale[0], "scale_high": data.scale[1]}
    facts: dict[str, Any] = manifest.plain({name: float(value) for name, value in found.items()})
    return facts | {"timed": data.times is not None}
