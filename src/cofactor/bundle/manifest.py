"""``manifest.json``: the facts of a bundle, and the sizes and digests of its other files.

The fields of a format version are fixed: none may be missing, none may be added. A chain of functions, one per version,
migrates older manifests.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import math
from collections.abc import Callable
from typing import Any

from cofactor._tensors import parse_json
from cofactor.data.kind import KINDS
from cofactor.data.rows.repeats import POLICIES
from cofactor.data.times.written_dates import check_dates
from cofactor.errors import BundleError, ConfigError

VERSION = 5
LIMIT = 32 << 20
FORMAT = "cofactor-bundle"
FILES = ("arrays.safetensors", "users.safetensors", "items.safetensors")
OLD_FILES = ("arrays.safetensors", "users.parquet", "items.parquet")
"""The files of versions up to 4."""
INDEX, LENGTHS = "index.usearch", "index.safetensors"
"""The file of an index, if there is one: of a graph, or of an index by length."""

Manifest = dict[str, Any]

_TOP: dict[str, tuple[type, ...]] = {
    "format": (str,),
    "format_version": (int,),
    "created": (str,),
    "versions": (dict,),
    "model": (str,),
    "task": (str,),
    "config": (dict,),
    "seed": (int,),
    "metrics": (dict,),
    "history": (list,),
    "trials": (list,),
    "figures": (list,),
    "data": (dict,),
    "index": (dict, type(None)),
    "files": (dict,),
    "digest": (str,),
}
_INDEX: dict[str, tuple[type, ...]] = {
    "usearch": (str,),
    "connectivity": (int,),
    "effort": (int,),
    "n": (int,),
    "sample": (int,),
    "recall": (float, type(None)),
    "worst": (float, type(None)),
}
_DATA: dict[str, tuple[type, ...]] = {
    "name": (str,),
    "fingerprint": (str,),
    "rows": (int,),
    "users": (int,),
    "items": (int,),
    "columns": (dict,),
    "kind": (str,),
    "duplicates": (str, type(None)),
    "reading": (dict,),
    "notes": (list,),
    "user_features": (list, type(None)),
    "item_features": (list, type(None)),
    "items_only": (dict, type(None)),
}
_ITEMS_ONLY: dict[str, tuple[type, ...]] = {
    "low": (float,),
    "high": (float,),
    "scale_low": (float,),
    "scale_high": (float,),
    "liked": (float,),
    "slack": (float, type(None)),
    "timed": (bool,),
}
_READING: dict[str, tuple[type, ...]] = {
    "behaviour": (str, bool, type(None)),
    "weights": (dict, type(None)),
    "dates": (str, type(None)),
    "missing": (list, type(None)),
    "missing_ids": (str,),
    "fold_ids": (bool,),
    "unit": (float, type(None)),
}
"""``unit`` is missing in older bundles."""
_COLUMNS: dict[str, tuple[type, ...]] = {
    "user": (str,),
    "item": (str,),
    "rating": (str, type(None)),
    "time": (str, type(None)),
    "weight": (str, type(None)),
}
"""``weight`` is present where rows have weights."""
_TRIALS: dict[str, tuple[type, ...]] = {
    "model": (str,),
    "config": (str,),
    "metric": (str,),
    "value": (float, int, type(None)),
    "seconds": (float, int, type(None)),
    "status": (str,),
    "chosen": (bool,),
    "held_out": (str,),
}
_FIGURES: dict[str, tuple[type, ...]] = {
    "metric": (str,),
    "value": (float, int, type(None)),
    "low": (float, int, type(None)),
    "high": (float, int, type(None)),
    "n_users": (int, type(None)),
    "n_rows": (int, type(None)),
    "note": (str,),
    "rows": (str,),
    "measured": (str,),
}
FILE_FACTS: dict[str, tuple[type, ...]] = {"bytes": (int,), "blake2b": (str,)}


def _from_0(old: Manifest) -> Manifest:
    """Migrate from version 0 (before the first release), without notes and task, with digests named ``sha``."""
    new = {**old, "format_version": 1, "task": old.get("task", "rating")}
    new["data"] = {"notes": [], "user_features": None, "item_features": None, **old["data"]}
    new["files"] = {name: {"bytes": f["bytes"], "blake2b": f["sha"]} for name, f in old["files"].items()}
    return new


def _from_1(old: Manifest) -> Manifest:
    """Migrate from version 1, which did not store the trials of ``model="auto"``."""
    return {**old, "format_version": 2, "tried": old.get("tried", [])}


RENAMED = {
    "low_rating": "min_rating_weight",
    "kept": "n_samples",
    "bs": "batch_size",
    "wd": "weight_decay",
    "mood_scales": "user_time_scales",
    "drift_scales": "item_time_scales",
}
"""Map names of parameters before version 3 to their current names."""


RETIRED = {"ials": frozenset({"solver", "block"})}
"""Parameters, by model, that affected only training and no longer exist."""


def _from_2(old: Manifest) -> Manifest:
    """Migrate from version 2, which used other names for some parameters and metrics, and ``tried`` for the trials.

    It did not store the kind of the values; an empty text means that it is guessed from the values.
    """
    new = {name: value for name, value in old.items() if name != "tried"}
    return new | {
        "format_version": 3,
        "trials": [{"held_out": "", **line} for line in old["tried"]],
        "figures": [],
        "data": {**old["data"], "kind": "", "duplicates": None},
        "config": {RENAMED.get(name, name): value for name, value in old["config"].items()},
        "metrics": {{"drift": "embedding_shift"}.get(name, name): value for name, value in old["metrics"].items()},
    }


def _from_3(old: Manifest) -> Manifest:
    """Migrate from version 3, which had neither bundles without users nor a saved index."""
    return old | {"format_version": 4, "index": None, "data": {**old["data"], "items_only": None}}


def _from_4(old: Manifest) -> Manifest:
    """Migrate from version 4, which stored ids and side tables as Parquet (still readable), and did not store how the
    table was read."""
    told = [name for name in _READING if name != "unit"]
    reading = dict.fromkeys(told) | {"missing_ids": "error", "fold_ids": False}
    return old | {"format_version": 5, "data": {**old["data"], "reading": reading}}


MIGRATIONS: dict[int, Callable[[Manifest], Manifest]] = {
    0: _from_0,
    1: _from_1,
    2: _from_2,
    3: _from_3,
    4: _from_4,
}
"""Map each format version to the function that migrates its manifest to the next version."""


def dump(manifest: Manifest) -> bytes:
    """Return the manifest as bytes, with its own digest added."""
    whole = {**manifest, "digest": digest_of(manifest)}
    return (json.dumps(whole, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode("utf-8")


def parse(text: bytes, what: str) -> Manifest:
    """Return a manifest, migrated to the current version; BundleError where it is not valid, or was changed."""
    found = parse_json(text, what)
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise BundleError(f"{what} is not the manifest of a model saved by cofactor")
    version = wrote = found.get("format_version")
    if type(version) is not int or not (version == VERSION or version in MIGRATIONS):
        raise BundleError(
            f"{what} has the format version {str(version)[:40]}; this cofactor reads {min(MIGRATIONS, default=VERSION)}"
            f" to {VERSION}: use the version of cofactor that wrote it, or a newer one"
        )
    if found.get("digest") != digest_of(found):
        raise BundleError(f"{what} was changed after it was written; save the model again")
    while version < VERSION:
        try:
            found = MIGRATIONS[version](found)
        except (KeyError, TypeError, AttributeError) as exc:
            raise BundleError(f"{what} is not a valid manifest of version {version} (it lacks {exc})") from None
        version += 1
    _check(found, what, FILES if wrote == VERSION else OLD_FILES)
    retired = RETIRED.get(found["model"], frozenset())
    return {**found, "config": {name: value for name, value in found["config"].items() if name not in retired}}


def files_of(m: Manifest) -> tuple[str, str, str]:
    """Return the names of the files of the arrays, the users and the items."""
    return FILES if set(FILES) <= set(m["files"]) else OLD_FILES


def index_file(m: Manifest) -> str | None:
    """Return the name of the file of the index; None where there is no index."""
    return None if m["index"] is None else LENGTHS if LENGTHS in m["files"] else INDEX


def _check(m: Manifest, what: str, names: tuple[str, str, str]) -> None:
    check_fields(m, _TOP, what)
    check_fields(m["data"], _DATA, f"{what}: data")
    check_fields({"weight": None, **_mapping(m["data"]["columns"])}, _COLUMNS, f"{what}: columns")
    check_fields({"unit": None, **_mapping(m["data"]["reading"])}, _READING, f"{what}: reading")
    _check_reading(m["data"]["reading"], what)
    index = index_file(m)
    files = names if index is None else (*names, index)
    if set(m["files"]) != set(files):
        raise BundleError(f"{what} names other files than {', '.join(files)}")
    if m["index"] is not None:
        check_fields(m["index"], _INDEX, f"{what}: index")
        if index == LENGTHS and m["index"]["usearch"]:
            raise BundleError(f"{what}: the index is declared both as a graph and as an index by length")
        if not all(0 < m["index"][name] < 1 << 31 for name in ("connectivity", "effort", "n")):
            raise BundleError(f"{what}: the settings of the index are out of range")
    for name in files:
        check_fields(m["files"][name], FILE_FACTS, f"{what}: {name}")
        if m["files"][name]["bytes"] < 0:
            raise BundleError(f"{what}: {name} has a negative size")
    if any(not 0 <= m["data"][n] < 1 << 31 for n in ("users", "items")) or not 0 <= m["data"]["rows"] < 1 << 40:
        raise BundleError(f"{what}: the numbers of rows, users or items are out of range")
    if m["data"]["items_only"] is not None:
        check_fields(m["data"]["items_only"], _ITEMS_ONLY, f"{what}: items_only")
        if m["data"]["users"] or m["data"]["user_features"] is not None:
            raise BundleError(f"{what} declares items only, but has users")
        if not all(_number(x) for x in m["data"]["items_only"].values() if type(x) is float):
            raise BundleError(f"{what}: the limits of the values must be numbers")
    if m["data"]["kind"] not in ("", *KINDS) or m["data"]["duplicates"] not in (None, *POLICIES):
        raise BundleError(f"{what}: the kind of the values, or the policy for duplicates, does not exist")
    lists = [
        m["data"]["notes"],
        *(m["data"][f] for f in ("user_features", "item_features") if m["data"][f] is not None),
    ]
    if not all(isinstance(x, str) for some in lists for x in some):
        raise BundleError(f"{what}: notes and names of features must be text")
    if not all(isinstance(x, str) for x in m["versions"].values()):
        raise BundleError(f"{what}: versions must be text")
    if not all(_number(x) for x in m["metrics"].values()):
        raise BundleError(f"{what}: metrics must be numbers")
    if not all(isinstance(row, list) and all(_number(x) for x in row) for row in m["history"]):
        raise BundleError(f"{what}: the history must be rows of numbers")
    for at, line in enumerate(m["trials"]):
        check_fields(line, _TRIALS, f"{what}: tried, line {at + 1}")
        if not (_number(line["value"]) and _number(line["seconds"])):
            raise BundleError(f"{what}: the values and seconds of trials must be numbers")
    for at, line in enumerate(m["figures"]):
        check_fields(line, _FIGURES, f"{what}: figures, line {at + 1}")
        if not all(_number(line[name]) for name in ("value", "low", "high")) or any(
            line[name] is not None and not 0 <= line[name] < 1 << 62 for name in ("n_users", "n_rows")
        ):
            raise BundleError(f"{what}: figures must be numbers")
    if not -(1 << 127) < m["seed"] < 1 << 127:
        raise BundleError(f"{what}: the seed is out of range")


def _check_reading(reading: dict[str, Any], what: str) -> None:
    if not all(_number(x) and x is not None for x in (reading["weights"] or {}).values()):
        raise BundleError(f"{what}: weights of behaviours must be numbers")
    if not all(isinstance(x, str) or _number(x) for x in reading["missing"] or []):
        raise BundleError(f"{what}: values that mean no rating must be numbers or texts")
    if not _number(reading.get("unit")):
        raise BundleError(f"{what}: the value that counts 1 must be a number")
    if reading["missing_ids"] not in ("error", "drop", "keep") or reading["behaviour"] is True:
        raise BundleError(f"{what}: the options of reading the table are not valid")
    try:
        check_dates(reading["dates"])
    except ConfigError as exc:
        raise BundleError(f"{what}: {exc}") from None


def _mapping(found: Any) -> dict[str, Any]:
    return found if isinstance(found, dict) else {}


def check_fields(found: Any, wanted: dict[str, tuple[type, ...]], what: str) -> None:
    if not isinstance(found, dict):
        raise BundleError(f"{what} must be an object with fields")
    if missing := [name for name in wanted if name not in found]:
        raise BundleError(f"{what} lacks the field {missing[0]!r}; save the model again")
    if extra := [name for name in found if name not in wanted]:
        raise BundleError(f"{what} has an unknown field {extra[0][:60]!r}; a newer cofactor may have written it")
    for name, types in wanted.items():
        if type(found[name]) not in types:
            raise BundleError(f"{what}: the field {name!r} has the wrong type {type(found[name]).__name__}")


def _number(x: Any) -> bool:
    """Return whether this is a number, or None, which stands for a number that was not finite."""
    if type(x) is int:
        return abs(x) < 1 << 1000
    return x is None or (type(x) is float and math.isfinite(x))


def plain(value: Any) -> Any:
    """Return values of a config or metrics in JSON's types; numbers that are not finite become None. BundleError for
    values that JSON cannot hold."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if hasattr(value, "item") and getattr(value, "ndim", 1) == 0:
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, (str, int, bool)) or value is None:
        return value
    raise BundleError(f"{value!r} of type {type(value).__name__} cannot be saved")


def digest_of(manifest: Manifest) -> str:
    rest = {name: value for name, value in manifest.items() if name != "digest"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.blake2b(text.encode(), digest_size=32).hexdigest()


def version_of(package: str) -> str | None:
    """Return the installed version of a package; None if it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
