"""The folder of a training: parts of tables as files, and a record of each complete step.

The folder is the checkpoint. A file is written under another name and renamed, so it is complete or absent. A step's
record holds its small results and the sizes and digests of its files. Files are checked against the record before a
training resumes. Nothing in the folder is executed: it holds JSON and ``.npy`` files without objects.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import secrets
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cofactor._locks import try_lock
from cofactor.engines.executors import Executor, Here
from cofactor.errors import ConfigError, DataError

Array = NDArray[Any]

JOB, LOCK = "job.json", "in-use"
SIDES = ("user", "item")
FORMAT = 3
_PIECE = 8 << 20


class Done(NamedTuple):
    """The result of a job: a small value, and the files that it wrote as (name, bytes, digest)."""

    value: Any
    files: list[tuple[str, int, str]]


def put(folder: str | Path, name: str, array: Array) -> tuple[str, int, str]:
    """Write an array as ``name.npy``, completely or not at all. Returns its entry for the step's record."""
    return put_pieces(folder, name, array.dtype, array.shape, [array])


def put_pieces(
    folder: str | Path, name: str, dtype: Any, shape: tuple[int, ...], pieces: Iterable[Array]
) -> tuple[str, int, str]:
    """Write an array of this type and shape from pieces of rows, so that it need not fit into memory. Otherwise like
    :func:`put`."""
    place = Path(folder) / f"{name}.npy"
    scratch = place.with_name(f".{place.name}.{secrets.token_hex(6)}.tmp")
    hashed = hashlib.sha256()
    header = {"descr": np.lib.format.dtype_to_descr(np.dtype(dtype)), "fortran_order": False, "shape": shape}
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with open(scratch, "wb") as file:
            np.lib.format.write_array_header_1_0(file, header)
            for piece in pieces:
                flat = np.ascontiguousarray(piece, dtype=dtype).reshape(-1).view(np.uint8)
                for lo in range(0, len(flat), _PIECE):
                    file.write(flat[lo : lo + _PIECE].data)
                    hashed.update(flat[lo : lo + _PIECE].data)
            size = file.tell()
        os.replace(scratch, place)
    except OSError as error:
        scratch.unlink(missing_ok=True)
        raise ConfigError(f"cannot write in the work folder {folder}: {error.strerror or error}") from None
    return name, size, hashed.hexdigest()


def put_joined(folder: str | Path, name: str, parts: list[str]) -> tuple[str, int, str]:
    """Write one array from the parts that hold its rows, in this order, with only one part in memory at a time."""
    first = take(folder, parts[0])
    rows = sum(len(take(folder, part)) for part in parts)
    return put_pieces(folder, name, first.dtype, (rows, *first.shape[1:]), (take(folder, part) for part in parts))


def take(folder: str | Path, name: str) -> Array:
    """Return the array ``name.npy``, mapped. Raises DataError if it is missing or incomplete."""
    try:
        found: Array = np.load(Path(folder) / f"{name}.npy", mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        gone = isinstance(error, FileNotFoundError)
        raise DataError(torn(folder, name, "is not there" if gone else "is torn")) from None
    return found


def torn(folder: str | Path, name: str, what: str) -> str:
    """Return the error message for an invalid part."""
    return f"the part {name}.npy of the work folder {folder} {what}; remove the folder and start again"


def verify(job: tuple[str, list[tuple[str, int, str]]]) -> None:
    """Raise DataError unless each file matches its step's record."""
    folder, files = job
    for name, size, digest in files:
        array = take(folder, name)
        flat = array.reshape(-1).view(np.uint8) if array.size else np.empty(0, np.uint8)
        hashed = hashlib.sha256()
        for lo in range(0, len(flat), _PIECE):
            hashed.update(np.ascontiguousarray(flat[lo : lo + _PIECE]).data)
        if os.path.getsize(Path(folder) / f"{name}.npy") != size or hashed.hexdigest() != digest:
            raise DataError(torn(folder, name, "was changed after it was written"))


class Work:
    """A work folder in use, and the executor that works in it."""

    def __init__(self, folder: str | Path, key: dict[str, Any], executor: Executor, *, resume: bool) -> None:
        self.folder, self.executor = Path(folder).absolute(), executor
        self.records: dict[str, dict[str, Any]] = {}
        job = self.folder / JOB
        key = {"format": FORMAT, **key}
        self._lock: IO[bytes] | None = None
        try:
            if not job.exists() and self.folder.exists() and any(p.name != LOCK for p in self.folder.iterdir()):
                raise ConfigError(f"the work folder {folder} holds other files; give an empty or new one")
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = _held(self.folder)
            if job.exists():
                self._resume(json.loads(job.read_text(encoding="utf-8")), json.loads(json.dumps(key)), resume)
            else:
                _write(job, key)
        except BaseException as error:
            self.release()
            if isinstance(error, (ConfigError, DataError)) or not isinstance(error, (OSError, ValueError)):
                raise
            raise ConfigError(f"the work folder {folder} cannot be used: {error}") from None

    def release(self) -> None:
        """Let others use the folder."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _resume(self, found: dict[str, Any], key: dict[str, Any], resume: bool) -> None:
        if not resume:
            raise ConfigError(f"the work folder {self.folder} already holds a training; resume=True continues it")
        if found != key:
            names = sorted(name for name in {*found, *key} if found.get(name) != key.get(name))
            raise ConfigError(
                f"the work folder {self.folder} holds another training (it differs in: {', '.join(names)}); remove it"
                " or give another folder"
            )
        for place in sorted((self.folder / "steps").glob("*.json")):
            try:
                record = json.loads(place.read_text(encoding="utf-8"))
                if record["digest"] != _digest(record):
                    raise ValueError
            except (ValueError, KeyError, TypeError):
                raise DataError(
                    f"the record {place.name} of the work folder {self.folder} is damaged or changed; remove the"
                    " folder and start again"
                ) from None
            self.records[place.stem] = record
        dropped = {name for record in self.records.values() for name in record["dropped"]}
        files = [tuple(f) for record in self.records.values() for f in record["files"] if f[0] not in dropped]
        jobs = [(str(self.folder), files[at :: 4 * self.executor.workers]) for at in range(4 * self.executor.workers)]
        self.executor.map(verify, [job for job in jobs if job[1]])

    def step(
        self,
        name: str,
        function: Callable[[Any], Done],
        jobs: Iterable[Any],
        drop: Iterable[str] = (),
        *,
        here: bool = False,
    ) -> list[Any]:
        """Return the values of a step's jobs, in order, from its record if it is complete. Then delete the files
        ``drop``."""
        dropped = list(drop)
        if name not in self.records:
            done = (Here() if here else self.executor).map(function, jobs)
            record: dict[str, Any] = {
                "values": [_packed(d.value) for d in done],
                "files": [f for d in done for f in d.files],
                "dropped": dropped,
            }
            record["digest"] = _digest(record)
            try:
                (self.folder / "steps").mkdir(exist_ok=True)
                _write(self.folder / "steps" / f"{name}.json", record)
            except OSError as error:
                raise ConfigError(f"cannot write in the work folder {self.folder}: {error.strerror or error}") from None
            self.records[name] = json.loads(json.dumps(record))
        for gone in self.records[name]["dropped"]:
            with contextlib.suppress(OSError):
                (self.folder / f"{gone}.npy").unlink()
        return [_unpacked(value) for value in self.records[name]["values"]]

    def alone(self, name: str, make: Callable[[], list[Done]]) -> list[Any]:
        """Run a step in this process alone."""
        return self.step(name, _same, [] if name in self.records else make(), here=True)


def _held(folder: Path) -> IO[bytes] | None:
    """Return the open file whose lock marks the folder as in use; None if the file system has no locks."""
    file = open(folder / LOCK, "ab")  # noqa: SIM115 (open for as long as the training goes on)
    try:
        free = try_lock(file.fileno())
    except OSError:
        file.close()
        return None
    if not free:
        file.close()
        raise ConfigError(
            f"another training is using the folder {folder}; wait until it has ended, or give another folder"
        )
    return file


def _same(done: Done) -> Done:
    return done


def _write(place: Path, value: Any) -> None:
    scratch = place.with_name(f".{place.name}.{secrets.token_hex(6)}.tmp")
    try:
        scratch.write_text(json.dumps(value))
        os.replace(scratch, place)
    except OSError:
        with contextlib.suppress(OSError):
            scratch.unlink(missing_ok=True)
        raise


def _digest(record: dict[str, Any]) -> str:
    text = json.dumps({k: v for k, v in record.items() if k != "digest"}, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _packed(value: Any) -> Any:
    """Convert to JSON values. Arrays are stored as bytes, so that no bit is lost."""
    if isinstance(value, np.ndarray):
        data = base64.b64encode(np.ascontiguousarray(value).tobytes()).decode()
        return {"array": value.dtype.str, "shape": list(value.shape), "data": data}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (list, tuple)):
        return [_packed(v) for v in value]
    if isinstance(value, dict):
        return {k: _packed(v) for k, v in value.items()}
    return value


def _unpacked(value: Any) -> Any:
    if isinstance(value, dict) and set(value) == {"array", "shape", "data"}:
        dtype = np.dtype(value["array"])
        if dtype.hasobject:
            raise DataError("the work folder holds an array of objects; remove it and start again")
        return np.frombuffer(base64.b64decode(value["data"]), dtype).reshape(value["shape"]).copy()
    if isinstance(value, list):
        return [_unpacked(v) for v in value]
    if isinstance(value, dict):
        return {k: _unpacked(v) for k, v in value.items()}
    return value
