"""Lists on a Spark cluster: trained on one machine, everybody folded in where the ratings are.

A model learns from what fits one machine: all ratings, or those of a sample of the users. The workers of a cluster then
take in any number of users, each from the user's own ratings, with the items held fixed, as ``update()`` does.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import polars as pl

from cofactor.bundle import info, load
from cofactor.engines.batches import lists_of
from cofactor.errors import BundleError, DataError, MissingExtraError

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

    from cofactor.recommend import Recommender
    from cofactor.recommend.options import Unknown


def recommend(ratings: DataFrame, bundle: str, n: int = 10, *, unknown: Unknown = "skip", **options: Any) -> DataFrame:
    """A Spark frame with the ``n`` best items for every user of ``ratings``: user, rank, item, [title,] score, status.

    ``ratings`` is a Spark frame with the column names of the training table (user, item, rating; a time is optional):
    each user's history. ``bundle`` is the path of a saved model, the same on the driver and on every worker (a shared
    file system). ``unknown="skip"`` leaves out ratings of items that the model does not know, and users of whom nothing
    is left; with ``"error"`` the job fails on the first. ``options`` are those of :meth:`Recommender.recommend_all`
    (``where``, ``deny``, ``seen`` ...). Nothing runs before the frame is used.

    Raises MissingExtraError without PySpark or PyArrow, BundleError where the bundle cannot be loaded (on a worker:
    where it is not the driver's), DataError where a column is missing, ConfigError for options that make no sense.
    """
    try:
        import pyarrow as pa
        from pyspark.sql.pandas.types import from_arrow_schema
    except ImportError as exc:
        raise MissingExtraError(f"{exc.name or 'pyspark'}", "spark", "lists on a cluster") from None
    rec = load(bundle)
    names = rec.data.columns
    for wanted in (names.user, names.item):
        if wanted not in ratings.columns:
            raise DataError(f"the ratings have no column {wanted!r}; there are: {', '.join(ratings.columns)}")
    wanted_columns = [c for c in (names.user, names.item, names.rating, names.time) if c in ratings.columns]
    digest = info(bundle)["digest"]
    empty = rec.recommend_all(n, users=[], **options)
    assert empty is not None
    schema = _plain_types(empty.to_arrow().schema, pa)

    def work(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        mine = _same(bundle, digest)
        frames = (pl.DataFrame(pl.from_arrow(batch)) for batch in batches)
        for lists in lists_of(mine, frames, n, unknown, options):
            yield from lists.to_arrow().cast(schema).to_batches()

    by_user = ratings.select(*wanted_columns).repartition(names.user).sortWithinPartitions(names.user)
    return by_user.mapInArrow(work, from_arrow_schema(schema))


def _same(bundle: str, digest: str) -> Recommender:
    """The model on a worker; BundleError where it is another one than the driver's."""
    found = info(bundle)["digest"]
    if found != digest:
        raise BundleError(f"{bundle} on this worker is not the model that the driver has; use a path that all share")
    return load(bundle)


def _plain_types(schema: pa.Schema, pa: Any) -> pa.Schema:
    """Text as the type of text that Spark knows."""
    large = (pa.large_string(), pa.string_view())
    return pa.schema([pa.field(f.name, pa.string() if f.type in large else f.type) for f in schema])
