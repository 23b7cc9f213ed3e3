"""The registry of models: those of this package, and those that other packages register. Nothing is imported until
used."""

from __future__ import annotations

import dataclasses
import functools
import importlib
import importlib.metadata
from typing import TYPE_CHECKING, Any

from cofactor._frames import frames_out
from cofactor.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    import polars as pl

REGISTRY: dict[str, str] = {
    "bias": "cofactor.models.bias:Bias",
    "als": "cofactor.models.als:ALS",
    "svd++": "cofactor.models.svdpp:SVDpp",
    "item-knn": "cofactor.models.knn.model:ItemKNN",
    "user-knn": "cofactor.models.knn.model:UserKNN",
    "dot-bias": "cofactor.models.dot_bias.model:DotBias",
    "bayes-mf": "cofactor.models.bayes_mf.model:BayesMF",
    "popular": "cofactor.models.popular:Popular",
    "item-cosine": "cofactor.models.item_cosine:ItemCosine",
    "ease": "cofactor.models.ease:Ease",
    "ials": "cofactor.models.ials:Ials",
    "slim": "cofactor.models.slim:Slim",
    "graph-filter": "cofactor.models.graph_filter:GraphFilter",
    "next-item": "cofactor.models.next_item.model:NextItem",
    "repeat-buy": "cofactor.models.repeat_buy:RepeatBuy",
    "bpr": "cofactor.models.bpr:Bpr",
    "warp": "cofactor.models.bpr:Warp",
    "blend": "cofactor.models.blend:Blend",
    "neural": "cofactor.models.neural.model:Neural",
}
"""Name -> ``module:class``. Each class has ``name``, ``task`` and ``Config``, and follows ``cofactor.model.Model``."""

ABOUT: dict[str, str] = {
    "bias": "A mean, and a bias for each user and each item",
    "als": "Biased matrix factorisation by alternating least squares",
    "svd++": "Factors of users and items, and of all items rated",
    "item-knn": "A user's own ratings of the most similar items",
    "user-knn": "Ratings of the users with the most similar taste",
    "dot-bias": "The notebook's: factors and biases, by gradient descent",
    "bayes-mf": "Bayesian factors and drift in time, with intervals",
    "popular": "Most popular items, overall or lately: one list",
    "item-cosine": "Items taken by the same users: cosine, TF-IDF, BM25",
    "ease": "A linear item-item model in closed form",
    "ials": "Factors from all pairs, seen and unseen, by weight",
    "slim": "A sparse linear item-item model",
    "graph-filter": "Walks on the graph of users and items, and low-pass",
    "next-item": "Next item, by counts of transitions in order",
    "repeat-buy": "Repeat purchases of a user; for seen=True lists",
    "bpr": "Factors from pairs: taken items before the others",
    "warp": "Factors from pairs; bad ranks are pushed hardest",
    "blend": "A weighted blend of the scores of several rankers",
    "neural": "A neural network over embeddings (torch extra)",
}
"""Name -> a description of at most 56 characters, which fits a terminal of 80 columns beside name and task."""


@functools.cache
def plugins() -> dict[str, str]:
    """Return the models that installed packages register under the entry point group ``cofactor.models``: name ->
    module:class.

    They cannot replace a model of this package.
    """
    found = importlib.metadata.entry_points(group="cofactor.models")
    return {one.name: one.value for one in found if one.name not in REGISTRY}


def is_registered(name: str) -> bool:
    """Return whether there is a model of this name, here or in a package that registers one."""
    return name in REGISTRY or name in plugins()


def model_class(name: str) -> type[Any]:
    """The class of a registered model; ConfigError for a name that is not known, or a class that cannot be loaded."""
    if not isinstance(name, str) or not is_registered(name):
        names = [*REGISTRY, *plugins()]
        raise ConfigError(f"no model {name!r}; there are: {', '.join(names)}.{did_you_mean(name, names)}")
    module, _, attribute = (REGISTRY.get(name) or plugins()[name]).partition(":")
    try:
        found: type[Any] = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as exc:
        if name in REGISTRY:
            raise
        raise ConfigError(f"the package that registers the model {name!r} cannot be loaded ({exc})") from exc
    return found


@frames_out
def list_models() -> pl.DataFrame:
    """List all models.

    Returns:
        A frame model, task (rating or ranking), about, parameters (names with their defaults).
    """
    import polars as pl

    rows = []
    for name in [*REGISTRY, *plugins()]:
        cls = model_class(name)
        about = ABOUT.get(name) or (cls.__doc__ or "").strip().split("\n")[0]
        parameters = ", ".join(f"{f.name}={f.default!r}" for f in dataclasses.fields(cls.Config))
        rows.append({"model": name, "task": cls.task, "about": about, "parameters": parameters})
    return pl.DataFrame(rows)
