"""cofactor: collaborative filtering with explanations and uncertainty.

Names are imported when first used, so ``import cofactor`` loads neither torch nor numba nor a plotting library.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from cofactor._version import __version__

_PUBLIC = {
    "Callback": "cofactor.train",
    "CofactorError": "cofactor.errors",
    "Interactions": "cofactor.data.interactions",
    "Learner": "cofactor.collab",
    "Recommender": "cofactor.recommender",
    "Split": "cofactor.data.interactions",
    "check": "cofactor.fitting.check",
    "collab_learner": "cofactor.collab",
    "compare": "cofactor.selection.compare",
    "diff": "cofactor.api.diff",
    "evaluate": "cofactor.evaluation.evaluate",
    "fit": "cofactor.api.fit",
    "folds": "cofactor.data.datasets",
    "list_datasets": "cofactor.data.datasets",
    "list_models": "cofactor.models",
    "load": "cofactor.recommender",
    "load_dataset": "cofactor.data.datasets",
    "read": "cofactor.data.read",
    "set_frames": "cofactor._frames",
    "tune": "cofactor.selection.tune",
}
"""Map each public name to its module."""

__all__ = ["__version__", "split", *sorted(_PUBLIC)]

if TYPE_CHECKING:
    from cofactor._frames import set_frames as set_frames
    from cofactor._typed import fit as fit
    from cofactor.api.diff import diff as diff
    from cofactor.collab import Learner as Learner
    from cofactor.collab import collab_learner as collab_learner
    from cofactor.data import splits as split
    from cofactor.data.datasets import folds as folds
    from cofactor.data.datasets import list_datasets as list_datasets
    from cofactor.data.datasets import load_dataset as load_dataset
    from cofactor.data.interactions import Interactions as Interactions
    from cofactor.data.interactions import Split as Split
    from cofactor.data.read import read as read
    from cofactor.errors import CofactorError as CofactorError
    from cofactor.evaluation.evaluate import evaluate as evaluate
    from cofactor.fitting.check import check as check
    from cofactor.models import list_models as list_models
    from cofactor.recommender import Recommender as Recommender
    from cofactor.recommender import load as load
    from cofactor.selection.compare import compare as compare
    from cofactor.selection.tune import tune as tune
    from cofactor.train import Callback as Callback


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
