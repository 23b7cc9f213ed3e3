"""Lists on a Spark cluster: trained on one machine, everybody folded in where the ratings are.

A model learns from what fits one machine: all ratings, or those of a sample of the users. The workers of a cluster then
take in any number of users, each from the user's own ratings, with the items held fixed, as ``update()`` does.
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
    """A Spark frame with the ``n`` best items for every user of ``ratings``: user, rank, item, [title,] score, status.

    ``ratings`` is a Spark frame with the column names of the training table (user, item, rating; a time is optional):
    each user's history. Without times, a pair of user and item must stand there once. ``bundle`` is the path of a saved
    model, the same on the driver and on every worker (a shared file system). ``unknown="skip"`` leaves out ratings of
    items that the model does not know, and users that neither training nor these rows know; with ``"error"`` the job
    fails on the first. ``options`` are those of :meth:`Recommender.recommend_all` but ``users`` and ``out``. Nothing
    runs before the frame is used.

    Raises MissingExtraError without PySpark or PyArrow, BundleError where the bundle cannot be loaded (on a worker:
    where it is not the driver's), DataError where a column is missing, ConfigError for options that make no sense.
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
    empty = rec.update([], unknown=unknown).recommend_all(n, users=[], **options)  # what is wrong is said here
    assert empty is not None
    schema = _plain_types(empty.to_arrow().schema, pa)

    def work(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        mine = _same(bundle, digest)
        frames = (pl.DataFrame(pl.from_arrow(batch)) for batch in batches)
        for lists in lists_of(mine, frames, n, unknown, options):
            yield from lists.to_arrow().cast(schema).to_batches()

    order = [c for c in (names.user, names.time) if c in asked]  # of two ratings of an item the later one counts
    by_user = ratings.select(*asked).repartition(names.user).sortWithinPartitions(*order)
    return by_user.mapInArrow(work, from_arrow_schema(schema))


def _same(bundle: str, digest: str) -> Recommender:
    """The model on a worker; BundleError where it is another one than the driver's."""
    found = info(bundle)["digest"]
    if found != digest:
        raise BundleError(f"{bundle} on this worker is not the model that the driver has; use a path that all share")
    return load(bundle)


def _plain_types(schema: pa.Schema, pa: Any) -> pa.Schema:
    """Text as the type of text that Spark knows, and integers with a sign, since it knows no others."""

    def plain(kind: Any) -> Any:
        if kind in (pa.large_string(), pa.string_view()):
            return pa.string()
        return pa.int64() if pa.types.is_unsigned_integer(kind) else kind

    return pa.schema([pa.field(f.name, plain(f.type)) for f in schema])
