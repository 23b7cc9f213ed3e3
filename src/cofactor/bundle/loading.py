"""Load a saved model. Any damage or forgery raises :class:`BundleError`; nothing in a bundle is executed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cofactor import _tensors as tensors
from cofactor._validate import check_bool
from cofactor.bundle import contents, files, id_tables, manifest
from cofactor.bundle import index as index_file
from cofactor.bundle.lazy_rows import LaterRows, check
from cofactor.data.fingerprint import fingerprint
from cofactor.data.interactions import Columns, Interactions, Reading
from cofactor.data.items_only import ItemsOnly
from cofactor.errors import BundleError
from cofactor.recommend.fitted import FIGURES, TRIALS, Fitted
from cofactor.recommend.rating_scale import Scale

Array = NDArray[Any]

SMALL = 4 << 20
"""Size in bytes up to which arrays are read and checked at once (about 5 ms); for files of ids it is a quarter of this.
Larger files are read on demand."""

_ARRAYS = manifest.FILES[0]
_TABLE_LIMIT = 4 << 30


def load(path: str | Path, *, verify: bool = False, module: Any = None, index: bool = False) -> Fitted:
    """Load a saved recommender; BundleError for anything that is not an intact bundle.

    Arrays above 4 MB are memory-mapped; ids and side tables in files above 1 MB are read on demand. Data read on demand
    are checked at first use, so a BundleError may come then. Ids (by their digest) and all numbers that are used as
    positions are always checked; the digest of mapped arrays only with ``verify``, which reads and checks everything at
    once. ``module`` is the ``nn.Module`` (or a function (n_users, n_items) -> module) for the weights of a module of
    your own, since a bundle holds no code. An index by length is always opened. ``index`` opens a graph too; it is read
    by usearch, native code with few checks, so use it only for your own bundles.
    """
    check_bool("verify", verify)
    check_bool("index", index)
    for attempt in range(3):
        here = None
        try:
            with files.opened(path) as folder:
                here = folder.stat()
                m = _manifest_of(folder, path)
                arrays, ids = _contents(folder, m, path, verify)
                held = _index_file(folder, m, path, verify, index)
            break
        except BundleError:
            # Retry if the bundle was replaced while it was read.
            if attempt == 2 or not _was_replaced(path, here):
                raise

    data = _data(m, arrays, ids, path, verify)
    model = contents.model(m, arrays, data, module, path)
    if (
        verify
        and m["versions"].get("polars") == manifest.version_of("polars")
        and not isinstance(data, ItemsOnly)
        and fingerprint(data) != m["data"]["fingerprint"]
    ):
        raise BundleError(f"the ratings in {path} do not match their fingerprint; save the model again")
    nan = float("nan")
    rec = Fitted(
        model,
        data,
        seed=m["seed"],
        metrics={k: nan if v is None else float(v) for k, v in m["metrics"].items()},
        history=[[nan if v is None else float(v) for v in row] for row in m["history"]],
        intervals=contents.intervals(arrays, path),
        rotation=contents.rotation(arrays, model, path),
        trials=_trials(m),
        figures=pl.DataFrame(m["figures"], schema=FIGURES, strict=False) if m["figures"] else None,
    )
    contents.nothing_left(arrays, path)
    left = m["data"]["items_only"]
    if left is not None:
        slack = float("inf") if left["slack"] is None else left["slack"]
        scale = Scale(left["low"], left["high"], left["liked"], slack, data.kind)
        rec.remember("scale", lambda: scale)
    what = f"{manifest.index_file(m)} of {path}"
    if isinstance(held, dict):
        rec.index = index_file.read_lengths(held, m["index"], model, what)
    elif held is not None and m["index"]["usearch"]:
        rec.index = index_file.read_graph(held, m["index"], model, what)
    elif held is not None:
        rec.index = index_file.made_again(m["index"], model, what)
    return rec


def info(path: str | Path, *, verify: bool = False) -> dict[str, Any]:
    """Return the manifest of a saved model without loading it; ``verify`` checks the digest of every file."""
    with files.opened(path) as folder:
        m = _manifest_of(folder, path)
        for name, wanted in m["files"].items():
            with files.regular(folder, name, path) as (fd, size):
                files.check_size(size, wanted, f"{name} of {path}")
                if verify:
                    files.check_digest(files.digest_of_file(fd), wanted, f"{name} of {path}")
    facts = {
        k: m[k]
        for k in ("model", "task", "config", "seed", "metrics", "created", "format_version", "versions", "digest")
    }
    data = {k: v for k, v in m["data"].items() if not k.endswith("_features")}
    data |= {k: len(m["data"][k] or ()) for k in ("user_features", "item_features")}
    sizes = {name: f["bytes"] for name, f in m["files"].items()}
    return facts | {
        "trials": m["trials"],
        "figures": m["figures"],
        "epochs": len(m["history"]),
        "data": data,
        "files": sizes,
        "bytes": sum(sizes.values()),
        "verified": verify,
    }


def _manifest_of(folder: files.Folder, path: str | Path) -> manifest.Manifest:
    return manifest.parse(files.contents(folder, files.MANIFEST, path, manifest.LIMIT), f"the manifest of {path}")


def _contents(
    folder: files.Folder, m: manifest.Manifest, path: str | Path, verify: bool
) -> tuple[dict[str, Array], dict[str, Any]]:
    """Return the arrays by name, and (id map, side table) of "user" and "item", which may be unread."""
    ids = {}
    for name, kind in zip(manifest.files_of(m)[1:], ("user", "item"), strict=True):
        wanted, what, count = m["files"][name], f"{name} of {path}", m["data"][f"{kind}s"]
        with files.regular(folder, name, path, _TABLE_LIMIT) as (fd, size):
            files.check_size(size, wanted, what)
            table = id_tables.Unread(fd, wanted, kind, count, what, old=name in manifest.OLD_FILES)
            ids[kind] = table.read() if verify or size <= SMALL // 4 else (table, table)
    arrays = read_arrays(folder, _ARRAYS, m["files"][_ARRAYS], path, verify)
    return arrays, ids


def _index_file(
    folder: files.Folder, m: manifest.Manifest, path: str | Path, verify: bool, graphs: bool
) -> Array | dict[str, Array] | None:
    """Return the arrays of an index by length, or, with ``graphs``, the checked bytes of a graph; None without an
    index."""
    name = manifest.index_file(m)
    if name is None:
        if graphs:
            raise BundleError(f"{path} holds no index; build one with approximate(), or load without index=True")
        return None
    wanted, what = m["files"][name], f"{name} of {path}"
    if name == manifest.LENGTHS:
        return read_arrays(folder, name, wanted, path, verify)
    if not graphs:
        return None
    with files.regular(folder, name, path) as (fd, size):
        files.check_size(size, wanted, what)
        held = files.held(fd, size)
    files.check_digest(files.digest_of(held.data), wanted, what)
    return held


def read_arrays(
    folder: files.Folder, name: str, wanted: dict[str, Any], path: str | Path, verify: bool
) -> dict[str, Array]:
    """Return the arrays of a file by name: a small file is read and checked at once, a large one is mapped."""
    what = f"{name} of {path}"
    with files.regular(folder, name, path) as (fd, size):
        files.check_size(size, wanted, what)
        if size <= SMALL:
            held = files.held(fd, size)
            files.check_digest(files.digest_of(held.data), wanted, what)
            arrays = tensors.views(held, what)
        else:
            if verify:
                files.check_digest(files.digest_of_file(fd), wanted, what)
            arrays = tensors.mapped(fd, size, what)
    if verify or size <= SMALL:
        contents.check_finite(arrays, path)
    return arrays


def _was_replaced(path: str | Path, here: os.stat_result | None) -> bool:
    """Return whether the bundle at the path was replaced since ``here`` was read."""
    try:
        now = os.stat(Path(path))
    except (OSError, ValueError, TypeError):
        return False
    if here is None:
        return files.is_bundle(Path(path))
    return (now.st_dev, now.st_ino) != (here.st_dev, here.st_ino)


def _trials(m: manifest.Manifest) -> pl.DataFrame | None:
    """Return the trials of ``model="auto"``; None where a model was named."""
    if not m["trials"]:
        return None
    lines = [
        {**line, **{k: None if line[k] is None else float(line[k]) for k in ("value", "seconds")}}
        for line in m["trials"]
    ]
    return pl.DataFrame(lines, schema=TRIALS)


def _data(
    m: manifest.Manifest, arrays: dict[str, Array], ids: dict[str, Any], path: str | Path, verify: bool
) -> Interactions:
    facts = m["data"]
    (users, user_table), (items, item_table) = ids["user"], ids["item"]
    if facts["items_only"] is not None:
        return _items_data(facts, arrays, users, items, item_table, path)
    rows = contents.rows(arrays, facts, path)
    mapped = isinstance(rows[0].base, np.memmap) and not verify
    if not mapped:
        check(rows[0], len(users), "users", path)
        check(rows[1], len(items), "items", path)
    later = mapped or isinstance(users, id_tables.Unread) or isinstance(items, id_tables.Unread)
    return (LaterRows if later else Interactions)(
        *rows,
        users,
        items,
        columns=Columns(**facts["columns"]),
        kind=facts["kind"],
        duplicates=facts["duplicates"],
        reading=_reading(facts),
        item_table=item_table,
        user_table=user_table,
        user_features=contents.features(arrays, "user", facts["user_features"], len(users), path),
        item_features=contents.features(arrays, "item", facts["item_features"], len(items), path),
        name=facts["name"],
        notes=tuple(facts["notes"]),
        weights=contents.weights(arrays, facts["rows"], path),
    )


def _reading(facts: dict[str, Any]) -> Reading:
    """Return the options with which the table was read."""
    found = dict(facts["reading"])
    return Reading(**found | {"missing": None if found["missing"] is None else tuple(found["missing"])})


def _items_data(
    facts: dict[str, Any], arrays: dict[str, Array], users: Any, items: Any, item_table: Any, path: str | Path
) -> Interactions:
    """Return the data of a bundle without users."""
    left = facts["items_only"]
    if isinstance(items, id_tables.Unread):
        items, item_table = items.ids(), items.table()
    counts = contents.item_counts(arrays, len(items), facts["rows"], path)
    return ItemsOnly.of(
        counts,
        (left["low"], left["high"]),
        (left["scale_low"], left["scale_high"]),
        users,
        items,
        timed=left["timed"],
        columns=Columns(**facts["columns"]),
        kind=facts["kind"],
        duplicates=facts["duplicates"],
        reading=_reading(facts),
        item_table=item_table,
        item_features=contents.features(arrays, "item", facts["item_features"], len(items), path),
        name=facts["name"],
        notes=tuple(facts["notes"]),
    )
