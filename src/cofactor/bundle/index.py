"""The index of a recommender as a file: the graph as usearch writes it, its settings in the manifest. An index by
length is made again of the vectors: its file says that it is one."""

from __future__ import annotations

from threading import Lock
from typing import Any

import numpy as np

from cofactor.bundle.manifest import plain
from cofactor.errors import BundleError, MissingExtraError
from cofactor.model import HasVectors
from cofactor.recommend.index import Index, empty_graph


def facts_of(index: Index) -> dict[str, Any]:
    """What the manifest says of an index."""
    names = ("connectivity", "effort", "n", "sample")
    found = {name: int(getattr(index, name)) for name in names} | {"usearch": "" if index.exact else _version()}
    measured: dict[str, Any] = plain({name: float(getattr(index, name)) for name in ("recall", "worst")})
    return found | measured


BY_LENGTH = b"by length\n"


def _version() -> str:
    import usearch

    return str(usearch.__version__)


def write(file: Any, index: Index) -> None:
    """The graph, as usearch writes it; of an index by length a line."""
    file.write(BY_LENGTH if index.exact else index.graph.save())


def read(held: Any, facts: dict[str, Any], model: Any, what: str) -> Index:
    """The index of a file (its bytes), whose digest has been checked. usearch reads it, which is native code and checks
    little: for bundles of one's own."""
    if not isinstance(model, HasVectors):
        raise BundleError(f"{what} is an index, and the model {model.name} has no vectors")
    vectors = model.item_vectors()
    n, d = vectors.shape
    own = int(facts["connectivity"]), int(facts["effort"]), int(facts["n"]), int(facts["sample"])
    if facts["usearch"] == "":
        from cofactor.recommend.ann.by_length import by_length

        if held.tobytes() != BY_LENGTH:
            raise BundleError(f"{what} does not say what its manifest says; approximate() makes it again")
        if not np.isfinite(vectors).all():
            raise BundleError(f"{what} is an index of vectors that are not finite")
        return Index(by_length(vectors), Lock(), model, *own, recall=1.0, worst=1.0, exact=True)
    try:
        graph = empty_graph(d, *own[:2])
        graph.load(held.tobytes())
    except MissingExtraError:
        raise
    except Exception as error:  # whatever usearch says of another version's file
        raise BundleError(f"{what} cannot be read by this usearch ({error}); approximate() makes it again") from None
    if len(graph) != n or graph.ndim != d:
        raise BundleError(f"{what} is an index of {len(graph):,} vectors of {graph.ndim}; the model has {n:,} of {d}")
    recall, worst = (float("nan") if facts[name] is None else float(facts[name]) for name in ("recall", "worst"))
    return Index(graph, Lock(), model, *own, recall=recall, worst=worst)
