"""The models by name. Nothing is imported until it is asked for."""

from __future__ import annotations

import importlib
from typing import Any

from cofactor.errors import ConfigError, did_you_mean

REGISTRY: dict[str, str] = {
    "bias": "cofactor.models.bias:Bias",
    "dot-bias": "cofactor.models.dot_bias:DotBias",
}
"""Name -> ``module:class``. Each class has ``name``, ``task``, a ``Config`` dataclass, and follows ``cofactor.model.Model``."""


def model_class(name: str) -> type[Any]:
    """The class of a registered model."""
    try:
        module, _, attribute = REGISTRY[name].partition(":")
    except KeyError:
        raise ConfigError(f"no model {name!r}; there are: {', '.join(REGISTRY)}.{did_you_mean(name, REGISTRY)}") from None
    found: type[Any] = getattr(importlib.import_module(module), attribute)
    return found
