"""The notebook's ``collab_learner``: a Learner made in one line; and one read back from a file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from cofactor._validate import check_int
from cofactor.collab import hidden, y_bounds
from cofactor.errors import BundleError, ConfigError
from cofactor.models.torch.layers import EmbeddingDotBias, EmbeddingNN, emb_sz_rule
from cofactor.notebook._basics import a_seed
from cofactor.notebook._data import CollabDataLoaders
from cofactor.notebook._learner import Learner, check_given
from cofactor.recommender import Recommender, load

_NETWORK = {"ps", "embed_p", "use_bn", "bn_final", "lin_first", "y_range"}


def get_emb_sz(dls: CollabDataLoaders, sz_dict: dict[str, int] | None = None) -> list[tuple[int, int]]:
    """(classes, width) of the embeddings of users and items; widths by rule of thumb, or from ``sz_dict`` by column."""
    if not hasattr(dls, "classes"):
        raise ConfigError(f"get_emb_sz takes CollabDataLoaders, not {dls!r}")
    given = {} if sz_dict is None else sz_dict
    if not isinstance(given, dict) or not set(given) <= set(dls.classes):
        raise ConfigError(f"emb_szs is a dict of widths by column ({', '.join(map(str, dls.classes))}), not {given!r}")
    return [
        (len(classes), check_int(f"the width of {name}", given.get(name, emb_sz_rule(len(classes)))))
        for name, classes in dls.classes.items()
    ]


def tabular_config(**kwargs: Any) -> dict[str, Any]:
    """Keywords of the network of ``collab_learner(use_nn=True, config=...)``."""
    return kwargs


def collab_learner(
    dls: CollabDataLoaders,
    n_factors: int = 50,
    use_nn: bool = False,
    emb_szs: dict[str, int] | None = None,
    layers: Sequence[int] | None = None,
    config: dict[str, Any] | None = None,
    y_range: Sequence[float] | None = None,
    loss_func: Callable[..., Any] | None = None,
    seed: int | None = None,
    **kwargs: Any,
) -> Learner:
    """A Learner for a dot product of embeddings with biases, or (``use_nn``) for a network over embeddings.

    ``config`` are keywords of the network: ``ps``, ``embed_p``, ``use_bn``, ``bn_final``, ``lin_first``. One ``seed``
    fixes initial weights and the order of rows. The other keywords are the Learner's.
    """
    if not use_nn and any(given is not None for given in (emb_szs, layers, config)):
        raise ConfigError("emb_szs, layers and config are the network's; add use_nn=True")
    check_given(dls)
    seed, n_factors = a_seed(seed), check_int("n_factors", n_factors)
    bounds = None if y_range is None else y_bounds(y_range)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        if use_nn:
            options = dict(config or {})
            if unknown := set(options) - _NETWORK:
                raise ConfigError(
                    f"the network has no option {min(unknown)!r}; there are: {', '.join(sorted(_NETWORK))}"
                )
            if bounds is not None:
                options["y_range"] = bounds
            widths = hidden(layers) if layers is not None else [n_factors]
            model: nn.Module = EmbeddingNN(get_emb_sz(dls, emb_szs), widths, **options)
        else:
            model = EmbeddingDotBias.from_classes(n_factors, dls.classes, dls.user_name, dls.item_name, y_range=bounds)
    learn = Learner(dls, model, loss_func=loss_func, seed=seed, **kwargs)
    learn.core()  # from here on the module's weights are those that training changes
    return learn


def load_learner(fname: Any, cpu: bool = True, module: Any = None) -> Recommender:
    """What ``learn.export`` wrote, as a :class:`cofactor.Recommender`. A bundle holds no code: for a module of your own
    give ``module``, one of the same class and sizes."""
    try:
        return load(fname, module=module)
    except BundleError as exc:
        if module is None and "no code" in str(exc):
            raise BundleError(
                f"{fname} holds the weights of a module of your own, or of one with a loss of your own, and no code; "
                "give the module too, of the same class and sizes: load_learner(fname, module=learn.model)"
            ) from exc
        raise
