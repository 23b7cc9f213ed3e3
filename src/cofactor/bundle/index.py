"""The index of a recommender as a file: a graph in usearch's format, or an index by length as arrays. Its settings are
in the manifest."""

from __future__ import annotations

from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cofactor import _tensors as tensors
from cofactor.bundle.manifest import plain
from cofactor.errors import BundleError, MissingExtraError
from cofactor.model import HasVectors
from cofactor.recommend.index import ByLength, Index, empty_graph

Array = NDArray[Any]

_ARRAYS = ("turn", "heads", "rests", "lengths", "rest_lengths", "codes")
"""The arrays of a ``ByLength``."""


def facts_of(index: Index) -> dict[str, Any]:
    """Return the manifest's entry for an index."""
    names = ("connectivity", "effort", "n", "sample")
    found = {name: int(getattr(index, name)) for name in names} | {"usearch": "" if index.exact else _version()}
    measured: dict[str, Any] = plain({name: float(getattr(index, name)) for name in ("recall", "worst")})
    return found | measured


def _version() -> str:
    import usearch

    return str(usearch.__version__)


def write(file: Any, index: Index) -> None:
    """Write a graph in usearch's format, or the arrays of an index by length."""
    if index.exact:
        tensors.write(file, {name: getattr(index.graph, name) for name in _ARRAYS})
    else:
        file.write(index.graph.save())


def _vectors(model: Any, what: str) -> Array:
    if not isinstance(model, HasVectors):
        raise BundleError(f"{what} is an index, but the model {model.name} has no vectors")
    return np.asarray(model.item_vectors())


def _index(graph: Any, facts: dict[str, Any], model: Any, recall: float, worst: float, exact: bool) -> Index:
    own = int(facts["connectivity"]), int(facts["effort"]), int(facts["n"]), int(facts["sample"])
    return Index(graph, Lock(), model, *own, recall=recall, worst=worst, exact=exact)


def read_graph(held: Array, facts: dict[str, Any], model: Any, what: str) -> Index:
    """Return the index with a graph from the bytes of a file, whose digest has been checked. usearch, native code with
    few checks, reads it, so use it only for your own bundles."""
    n, d = _vectors(model, what).shape
    try:
        graph = empty_graph(d, int(facts["connectivity"]), int(facts["effort"]))
        graph.load(held.tobytes())
    except MissingExtraError:
        raise
    except Exception as error:  # such as a file of another version of usearch
        raise BundleError(
            f"{what} cannot be read by this usearch ({error}); build it again with approximate()"
        ) from None
    if len(graph) != n or graph.ndim != d:
        raise BundleError(f"{what} has {len(graph):,} vectors of {graph.ndim} numbers, but the model {n:,} of {d}")
    recall, worst = (float("nan") if facts[name] is None else float(facts[name]) for name in ("recall", "worst"))
    return _index(graph, facts, model, recall, worst, False)


def made_again(facts: dict[str, Any], model: Any, what: str) -> Index:
    """Build an index by length from the vectors, for bundles of versions that did not save it."""
    from cofactor.recommend.ann.by_length import by_length

    vectors = _vectors(model, what)
    if not np.isfinite(vectors).all():
        raise BundleError(f"{what} is an index of vectors that are not finite")
    return _index(by_length(vectors), facts, model, 1.0, 1.0, True)


def read_lengths(arrays: dict[str, Array], facts: dict[str, Any], model: Any, what: str) -> Index:
    """Return an index by length from its arrays, which may be mapped. All numbers that are used as positions are
    checked; the vectors are not read."""
    if not isinstance(model, HasVectors):
        raise BundleError(f"{what} is an index, but the model {model.name} has no vectors")
    if set(arrays) != set(_ARRAYS) or not _adds_up(arrays, int(model.shape()[1])):
        raise BundleError(
            f"{what} does not hold an index of {model.shape()[1]:,} vectors; build it again with approximate()"
        )
    return _index(ByLength(**{name: np.asarray(arrays[name]) for name in _ARRAYS}), facts, model, 1.0, 1.0, True)


def _adds_up(arrays: dict[str, Array], n: int) -> bool:
    """Return whether the arrays are a valid index of ``n`` items: each item once, by descending length, and arrays of
    the right sizes."""
    turn, heads, rests, lengths, rest_lengths, codes = (arrays[name] for name in _ARRAYS)
    if any(a.dtype != np.float32 for a in (turn, heads, rests, lengths, rest_lengths)) or codes.dtype != np.int32:
        return False
    if any(a.ndim != 2 for a in (turn, heads, rests)) or any(a.shape != (n,) for a in (lengths, rest_lengths, codes)):
        return False
    d, h = turn.shape[1], heads.shape[1]
    if not 0 < h <= d or (turn.shape, heads.shape, rests.shape) != ((d, d), (n, h), (n, d - h)):
        return False
    once = np.zeros(n, dtype=np.bool_)
    once[codes[(codes >= 0) & (codes < n)]] = True
    numbers = all(np.isfinite(a).all() for a in (turn, lengths, rest_lengths))
    return bool(once.all() and numbers and not (np.diff(lengths) > 0).any() and lengths.min(initial=0.0) >= 0)
