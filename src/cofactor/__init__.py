"""cofactor: collaborative filtering that learns, shows what it learned, recommends, and says why and how sure it is.

Names are imported when first used, so ``import cofactor`` loads neither torch nor numba nor a plotting library.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_PUBLIC = {
    "Callback": "cofactor.train",
    "CofactorError": "cofactor.errors",
    "Interactions": "cofactor.data.interactions",
    "Learner": "cofactor.train",
    "Recommender": "cofactor.recommend",
    "Split": "cofactor.data.interactions",
    "check": "cofactor.data.doctor",
    "collab_learner": "cofactor.collab",
    "compare": "cofactor.evaluate",
    "datasets": "cofactor.data.datasets",
    "evaluate": "cofactor.evaluate",
    "fit": "cofactor.fitting",
    "folds": "cofactor.data.datasets",
    "load": "cofactor.bundle",
    "load_dataset": "cofactor.data.datasets",
    "models": "cofactor.models",
    "read": "cofactor.data.read",
    "tune": "cofactor.evaluate",
}
"""Public name -> the module that holds it."""

__all__ = ["__version__", "split", *sorted(_PUBLIC)]

if TYPE_CHECKING:
    from cofactor.bundle import load as load
    from cofactor.collab import collab_learner as collab_learner
    from cofactor.data import splits as split
    from cofactor.data.datasets import datasets as datasets
    from cofactor.data.datasets import folds as folds
    from cofactor.data.datasets import load_dataset as load_dataset
    from cofactor.data.doctor import check as check
    from cofactor.data.interactions import Interactions as Interactions
    from cofactor.data.interactions import Split as Split
    from cofactor.data.read import read as read
    from cofactor.errors import CofactorError as CofactorError
    from cofactor.evaluate.compare import compare as compare
    from cofactor.evaluate.evaluate import evaluate as evaluate
    from cofactor.evaluate.tune import tune as tune
    from cofactor.fitting import fit as fit
    from cofactor.models import models as models
    from cofactor.recommend import Recommender as Recommender
    from cofactor.train import Callback as Callback
    from cofactor.train import Learner as Learner


def __getattr__(name: str) -> Any:
    if name == "split":
        return importlib.import_module("cofactor.data.splits")
    try:
        module = _PUBLIC[name]
    except KeyError:
        raise AttributeError(f"module 'cofactor' has no attribute {name!r}") from None
    return getattr(importlib.import_module(module), name)


def __dir__() -> list[str]:
    return sorted(__all__)
