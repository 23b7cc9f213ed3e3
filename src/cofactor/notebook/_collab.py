"""The notebook's ``collab_learner`` and ``tabular_learner``, which make Learners in one line."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from cofactor._validate import check_int
from cofactor.collab import hidden, y_bounds
from cofactor.errors import ConfigError
from cofactor.models.torch.layers import EmbeddingDotBias, emb_sz_rule
from cofactor.notebook._keywords import refuse
from cofactor.notebook._loaders.tabular import TabularPandas
from cofactor.notebook._modules.layers import EmbeddingNN, TabularModel
from cofactor.notebook._training.checks import check_given
from cofactor.notebook._training.learner import Learner

__all__ = [
    "TabularLearner",
    "collab_learner",
    "get_emb_sz",
    "tabular_config",
    "tabular_learner",
]

COLLAB = ("n_factors", "use_nn", "emb_szs", "layers", "config", "y_range")
LEARNER = (
    "loss_func",
    "opt_func",
    "lr",
    "splitter",
    "cbs",
    "metrics",
    "path",
    "model_dir",
    "wd",
    "wd_bn_bias",
    "train_bn",
    "moms",
    "default_cbs",
    "seed",
    "verbose",
)
_NETWORK = {"ps", "embed_p", "use_bn", "bn_final", "bn_cont", "act_cls", "lin_first", "y_range"}


def get_emb_sz(to: Any, sz_dict: dict[str, int] | None = None) -> list[tuple[int, int]]:
    """Return (classes, width) of the embedding of each categorical column. Widths come from a rule of thumb, or from
    ``sz_dict`` by column."""
    if not hasattr(to, "classes"):
        raise ConfigError(f"get_emb_sz takes CollabDataLoaders or a table, not {to!r}")
    given = {} if sz_dict is None else sz_dict
    names = list(to.cat_names) if hasattr(to, "cat_names") else list(to.classes)
    if not isinstance(given, dict) or not set(given) <= set(to.classes):
        raise ConfigError(f"emb_szs is a dict of widths by column ({', '.join(map(str, names))}), not {given!r}")
    return [
        (len(to.classes[n]), check_int(f"the width of {n}", given.get(n, emb_sz_rule(len(to.classes[n])))))
        for n in names
    ]


def tabular_config(**kwargs: Any) -> dict[str, Any]:
    """Return keywords of the network of ``collab_learner(use_nn=True, config=...)``."""
    return kwargs


def _options(config: dict[str, Any] | None) -> dict[str, Any]:
    options = dict(config or {})
    refuse("the network", options, sorted(_NETWORK))
    return options


def collab_learner(
    dls: Any,
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
    """Return a Learner for a dot product of embeddings with biases, or (``use_nn``) for a network over embeddings.

    ``config`` are keywords of the network: ``ps``, ``embed_p``, ``use_bn``, ``bn_final``, ``lin_first``. One ``seed``
    fixes initial weights and the order of rows. The other keywords are the Learner's.
    """
    refuse("collab_learner", kwargs, (*COLLAB, *LEARNER))
    if not use_nn and (emb_szs is not None or layers is not None or set(config or {}) - {"y_range"}):
        warnings.warn(
            "emb_szs, layers and config belong to the network and have no effect here; for the network add use_nn=True",
            UserWarning,
            stacklevel=2,
        )
    check_given(dls)
    n_factors = check_int("n_factors", n_factors)
    limits = None if y_range is None else checked_range(y_range)
    with drawing(seed):
        if use_nn:
            options = _options(config)
            if limits is not None:
                options["y_range"] = limits
            widths = hidden(layers) if layers is not None else [n_factors]
            model: nn.Module = EmbeddingNN(get_emb_sz(dls, emb_szs), widths, **options)
        else:
            model = EmbeddingDotBias.from_classes(n_factors, dls.classes, y_range=limits)
    learn = Learner(dls, model, loss_func=loss_func, seed=seed, **kwargs)
    learn.core()  # from here on the module's weights are those that training changes
    learn.early = learn.opt  # made before the first fit, which makes another one if tables were replaced by then
    return learn


@contextmanager
def drawing(seed: int | None) -> Iterator[None]:
    """Draw weights inside ``with`` by this seed. Without a seed they come from torch's generator in fastai's order, so
    that after ``set_seed`` they are the same as there."""
    if seed is None:
        yield
        return
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(check_int("seed", seed, 0))
        yield


def checked_range(y_range: Any) -> Any:
    """Return the bounds as given (a list stays a list), after checking that they are two numbers, the lower first."""
    y_bounds(y_range)
    return y_range if isinstance(y_range, list) else tuple(y_range)


class TabularLearner(Learner):
    """A Learner of a table."""


def tabular_learner(
    dls: Any,
    layers: Sequence[int] | None = None,
    emb_szs: Any = None,
    config: dict[str, Any] | None = None,
    n_out: int | None = None,
    y_range: Any = None,
    seed: int | None = None,
    **kwargs: Any,
) -> TabularLearner:
    """Return a Learner for a :class:`TabularModel` of all columns of a table."""
    refuse("tabular_learner", kwargs, ("layers", "emb_szs", "config", "n_out", "y_range", *LEARNER))
    check_given(dls)
    to = dls.train_ds
    if not isinstance(to, TabularPandas):
        raise ConfigError("tabular_learner needs loaders of a table")
    options = _options(config)
    n_out = getattr(dls, "c", None) or len(to.y_names) if n_out is None else n_out
    if y_range is not None:
        options["y_range"] = checked_range(y_range)
    with drawing(seed):
        model = TabularModel(
            get_emb_sz(to, emb_szs),
            len(to.cont_names) if to.with_cont else 0,
            n_out,
            hidden([200, 100] if layers is None else layers),
            **options,
        )
    return TabularLearner(dls, model, seed=seed, **kwargs)
