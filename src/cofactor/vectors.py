"""Item vectors for search engines (faiss, Qdrant, PostgreSQL's pgvector), and query vectors of users.

The inner product of :func:`query_vector` with an item's vector orders items as ``recommend`` does, since biases are
part of the vectors. An engine does not know which items a user has rated: filter them yourself.
"""

from __future__ import annotations

import importlib
import os
import re
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cofactor._frames import frames_out
from cofactor._paths import check_file
from cofactor._validate import check_int
from cofactor.errors import ConfigError, DataError, MissingExtraError
from cofactor.model import HasVectors
from cofactor.recommend.profiles import resolve_user
from cofactor.recommender import Recommender

Array = NDArray[Any]
__all__ = ["item_vectors", "query_vector", "to_qdrant", "write_faiss", "write_pgvector"]


@frames_out
def item_vectors(rec: Recommender) -> pl.DataFrame:
    """Return the vectors that the writers write: a frame item, [title,] vector (a fixed-size list of float32).

    ConfigError where the model's scores are not inner products.
    """
    vectors = _model(rec).item_vectors()
    columns = rec.item_columns(np.arange(len(vectors)))
    return pl.DataFrame([*columns, pl.Series("vector", vectors, dtype=pl.Array(pl.Float32, vectors.shape[1]))])


def query_vector(
    rec: Recommender, user: Any = None, *, history: Mapping[Any, float] | Iterable[Any] | None = None
) -> Array:
    """Return the query vector, float32 (d,), of a user (newer ratings included) or of a new user with a ``history``.

    ConfigError where this user's scores are not an inner product, UnknownIdError for an unknown id.
    """
    model, profile = _model(rec), resolve_user(rec, user, history)
    state = profile.state if profile.state is not None else model.user_state(np.array([profile.code], dtype=np.int32))
    found = model.query_vectors(state)[0]
    if not found.any():
        raise ConfigError(f"{rec.name} has no vector for this user; use recommend() instead")
    return np.ascontiguousarray(found, dtype=np.float32)


def write_faiss(rec: Recommender, path: str | Path) -> None:
    """Write an index of inner products (``IndexFlatIP``) for ``faiss.read_index``, and ``<path>.ids.parquet``.

    The index returns row numbers of that table, whose columns are item and title. Needs faiss.
    """
    faiss = _needed("faiss", "faiss-cpu", "writing a faiss index")
    place, frame = check_file(path), item_vectors(rec)
    index = faiss.IndexFlatIP(frame.schema["vector"].size)  # type: ignore[attr-defined]
    index.add(np.ascontiguousarray(frame["vector"].to_numpy()))
    scratch = place.with_name(f".{place.name}.{secrets.token_hex(6)}.tmp")
    try:
        frame.drop("vector").write_parquet(scratch)
        os.replace(scratch, f"{place}.ids.parquet")
        faiss.write_index(index, str(scratch))
        os.replace(scratch, place)
    finally:
        scratch.unlink(missing_ok=True)


def to_qdrant(rec: Recommender, client: Any, collection: str, *, batch: int = 500) -> int:
    """Write all items into a Qdrant collection, and return their number. ``client`` is a
    ``qdrant_client.QdrantClient``.

    A missing collection is created (distance: inner product). The id of a point is the item's code; its payload has
    ``item`` and ``title``.
    """
    models = _needed("qdrant_client.models", "qdrant-client", "writing to Qdrant")
    frame, size = item_vectors(rec), check_int("batch", batch)
    if not client.collection_exists(collection):
        width = frame.schema["vector"].size  # type: ignore[attr-defined]
        client.create_collection(
            collection, vectors_config=models.VectorParams(size=width, distance=models.Distance.DOT)
        )
    for first in range(0, len(frame), size):
        rows = frame.slice(first, size).to_dicts()
        points = [
            models.PointStruct(id=first + at, vector=row.pop("vector"), payload=row) for at, row in enumerate(rows)
        ]
        client.upsert(collection, points=points)
    return len(frame)


def write_pgvector(rec: Recommender, path: str | Path, *, table: str = "items") -> None:
    """Write SQL that creates ``table`` (item, title, vector) and an index of inner products; run it with ``psql -f``.

    Query it with ``SELECT item FROM items ORDER BY vector <#> '[...]' LIMIT 10`` and :func:`query_vector` as text. No
    package is needed. pgvector indexes up to 2,000 numbers; longer vectors are written without an index.
    """
    if not isinstance(table, str) or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,62}", table):
        raise ConfigError(f"table is {table!r}; give a plain name of letters, digits and underscores, such as 'items'")
    place, frame = check_file(path), item_vectors(rec)
    width = frame.schema["vector"].size  # type: ignore[attr-defined]
    kind = "bigint" if frame.schema["item"].is_integer() else "text"
    columns = [name for name in ("item", "title") if name in frame.columns]
    wanted = ", ".join(f"{name} {kind + ' PRIMARY KEY' if name == 'item' else 'text'}" for name in columns)
    scratch = place.with_name(f".{place.name}.{secrets.token_hex(6)}.tmp")
    try:
        with open(scratch, "x", encoding="utf-8", newline="\n") as file:
            file.write("SET client_encoding = 'UTF8';\nCREATE EXTENSION IF NOT EXISTS vector;\nBEGIN;\n")
            file.write(f"DROP TABLE IF EXISTS {table};\nCREATE TABLE {table} ({wanted}, vector vector({width}));\n")
            file.write(f"COPY {table} ({', '.join(columns)}, vector) FROM STDIN;\n")
            for row in frame.iter_rows(named=True):
                numbers = (
                    "[" + ",".join(np.format_float_positional(x, unique=True, trim="-") for x in row["vector"]) + "]"
                )
                file.write("\t".join([*(_copied(row[name]) for name in columns), numbers]) + "\n")
            file.write("\\.\n")
            if width <= 2000:
                file.write(f"CREATE INDEX ON {table} USING hnsw (vector vector_ip_ops);\n")
            file.write("COMMIT;\n")
        os.replace(scratch, place)
    finally:
        scratch.unlink(missing_ok=True)


def _copied(value: Any) -> str:
    """Return a value in the format of COPY."""
    if value is None:
        return "\\N"
    text = str(value)
    if "\0" in text:
        raise DataError(f"{text!r} holds the character NUL, which PostgreSQL cannot store; rename the item")
    return text.translate({92: "\\\\", 9: "\\t", 10: "\\n", 13: "\\r"})


def _model(rec: Recommender) -> HasVectors:
    if not isinstance(rec.model, HasVectors):
        raise ConfigError(
            f"the scores of {rec.name} are not inner products, so it has no vectors; use als, ials, bpr, dot-bias or"
            " bayes-mf"
        )
    return rec.model


def _needed(module: str, package: str, purpose: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError:
        raise MissingExtraError(package, "vectors", purpose) from None
