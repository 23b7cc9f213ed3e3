"""Make lists on a Spark cluster: the model is trained on one machine, and all users are folded in where the ratings
are.

A model learns from what fits into one machine: all ratings, or those of a sample of the users. The workers of a cluster
then fold in any number of users, each from the user's own ratings, with the items held fixed, as ``update()`` does.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import polars as pl

from cofactor.bundle import info
from cofactor.engines.batches import lists_of
from cofactor.errors import BundleError, ConfigError, DataError, MissingExtraError
from cofactor.recommend.options import Unknown
from cofactor.recommender import Recommender, load

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame


def recommend(ratings: DataFrame, bundle: str, n: int = 10, *, unknown: Unknown = "skip", **options: Any) -> DataFrame:
    """Return a Spark frame with the ``n`` best items for every user of ``ratings``: user, rank, item, [title,] score,
    status.

    ``ratings`` is a Spark frame of user histories with the column names of the training table (user, item, rating; a
    time is optional). Without times, each pair of user and item must be unique. ``bundle`` is the path of a saved
    model, the same on the driver and on every worker (a shared file system). ``unknown="skip"`` leaves out ratings of
    items that the model does not know, and users that neither training nor these rows know; with ``"error"`` the job
    fails on the first. ``options`` are those of :meth:`Recommender.recommend_all` except ``users`` and ``out``. Nothing
    runs before the frame is used.

    Raises MissingExtraError without PySpark or PyArrow, BundleError if the bundle cannot be loaded or a worker's bundle
    is not the driver's, DataError if a column is missing, and ConfigError for invalid options.
    """
    try:
        import pyarrow as pa
        from pyspark.sql.pandas.types import from_arrow_schema
    except ImportError as exc:
        raise MissingExtraError(f"{exc.name or 'pyspark'}", "spark", "lists on a cluster") from None
    rec = load(bundle)
    for never in ("out", "users"):
        if never in options:
            raise ConfigError(f"recommend() on a cluster has no option {never!r}; filter or write the frame instead")
    names = rec.data.columns
    needed = [names.user, names.item, *([names.rating] if rec.scale.explicit else [])]
    for wanted in needed:
        if wanted not in ratings.columns:
            raise DataError(f"the ratings have no column {wanted!r}; there are: {', '.join(ratings.columns)}")
    asked = [c for c in dict.fromkeys([*needed, names.rating, names.time]) if c in ratings.columns]
    digest = info(bundle)["digest"]
    empty = rec.update([], unknown=unknown).recommend_all(n, users=[], **options)  # raises errors in the options
    assert empty is not None
    schema = _plain_types(empty.to_arrow().schema, pa)

    def work(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        mine = _same(bundle, digest)
        frames = (pl.DataFrame(pl.from_arrow(batch)) for batch in batches)
        for lists in lists_of(mine, frames, n, unknown, options):
            yield from lists.to_arrow().cast(schema).to_batches()

    order = [c for c in (names.user, names.time) if c in asked]  # of two ratings of an item, the later one counts
    by_user = ratings.select(*asked).repartition(names.user).sortWithinPartitions(*order)
    return by_user.mapInArrow(work, from_arrow_schema(schema))


def _same(bundle: str, digest: str) -> Recommender:
    """Open the model on a worker. Raises BundleError if it is not the driver's model."""
    found = info(bundle)["digest"]
    if found != digest:
        raise BundleError(f"{bundle} on this worker is not the driver's model; use a path that all machines share")
    return load(bundle)


def _plain_types(schema: pa.Schema, pa: Any) -> pa.Schema:
    """Return a schema with the text type that Spark knows and signed integers, since Spark knows no others."""

    def plain(kind: Any) -> Any:
        if kind in (pa.large_string(), pa.string_view()):
            return pa.string()
        return pa.int64() if pa.types.is_unsigned_integer(kind) else kind

    return pa.schema([pa.field(f.name, plain(f.type)) for f in schema])
