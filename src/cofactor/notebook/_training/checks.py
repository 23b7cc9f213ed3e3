"""What may be given to a Learner."""

from __future__ import annotations

from typing import Any

from torch import nn

from cofactor.errors import ConfigError
from cofactor.notebook._loaders.loaders import DataLoaders


def check_given(dls: Any, model: Any = None) -> None:
    """Raise ConfigError unless these are loaders and, if given, a module."""
    if not isinstance(dls, DataLoaders):
        raise ConfigError(
            f"the data must be CollabDataLoaders (from_df, from_csv) or DataLoaders, not a {type(dls).__name__}"
        )
    if isinstance(model, type):
        raise ConfigError(f"{model.__name__} is a class; give an instance of it: {model.__name__}(...)")
    if model is not None and not isinstance(model, nn.Module):
        raise ConfigError(f"the model must be a Module, not a {type(model).__name__}")


def check_loss(loss: Any) -> None:
    """Raise ConfigError unless this is a function."""
    if isinstance(loss, type):
        raise ConfigError(f"loss_func={loss.__name__} is a class; write {loss.__name__}()")
    if not callable(loss):
        raise ConfigError(f"loss_func must be a function of predictions and targets, not {loss!r}")
