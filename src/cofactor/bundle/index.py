"""The index of a recommender as a file: the graph as usearch writes it, its settings in the manifest."""

from __future__ import annotations

from threading import Lock
from typing import Any

from cofactor.bundle.manifest import plain
from cofactor.errors import BundleError, MissingExtraError
from cofactor.model import HasVectors
from cofactor.recommend.ann.index import Index, empty_graph


def facts_of(index: Index) -> dict[str, Any]:
    """What the manifest says of an index."""
    import usearch

    names = ("connectivity", "effort", "n", "sample")
    found = {name: int(getattr(index, name)) for name in names} | {"usearch": str(usearch.__version__)}
    measured: dict[str, Any] = plain({name: float(getattr(index, name)) for name in ("recall", "worst")})
    return found | measured


def write(file: Any, index: Index) -> None:
    """The graph, as usearch writes it."""
    file.write(index.graph.save())


def read(held: Any, facts: dict[str, Any], model: Any, what: str) -> Index:
    """The index of a file (its bytes), whose digest has been checked. usearch reads it, which is native code and checks
    little: for bundles of one's own."""
    if not isinstance(model, HasVectors):
        raise BundleError(f"{what} is an index, and the model {model.name} has no vectors")
    n, d = model.item_vectors().shape
    try:
        graph = empty_graph(d, facts["connectivity"], facts["effort"])
        graph.load(held.tobytes())
    except MissingExtraError:
        raise
    except Exception as error:  # whatever usearch says of another version's file
        raise BundleError(f"{what} cannot be read by this usearch ({error}); approximate() makes it again") from None
    if len(graph) != n or graph.ndim != d:
        raise BundleError(f"{what} is an index of {len(graph):,} vectors of {graph.ndim}; the model has {n:,} of {d}")
    nan = float("nan")
    measured = {name: nan if facts[name] is None else float(facts[name]) for name in ("recall", "worst")}
    return Index(
        graph, Lock(), model, facts["connectivity"], facts["effort"], n=facts["n"], sample=facts["sample"], **measured
    )
