"""A Learner read back from a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from cofactor.errors import BundleError
from cofactor.models.torch.layers import EmbeddingDotBias
from cofactor.notebook import _exported as exported
from cofactor.notebook._data_loader import TabDataLoader
from cofactor.notebook._keywords import takes
from cofactor.notebook._learner import Learner
from cofactor.notebook._lists import L
from cofactor.notebook._loaders import TabularDataLoaders
from cofactor.notebook._weights import put_weights

__all__ = [
    "load_learner",
]


@takes("pickle_module")
def load_learner(fname: Any, cpu: bool = True, module: Any = None, loss_func: Any = None) -> Any:
    """What ``learn.export`` wrote, as a Learner: ``.dls``, ``.model``, ``.predict(row)``, ``.get_preds(dl=...)``,
    ``.recommender()``.

    The file holds no code. A module or loss of your own is found where its class (or function) is imported already;
    else
    give ``module`` (one of the same class and sizes) and ``loss_func``. A pickle is refused.
    """
    path = Path(fname)
    if path.is_dir():
        raise BundleError(f"{path} is a directory; a saved recommender is read with cofactor.load")
    facts, weights, rows = exported.read_file(path)
    ds = exported.table(facts["table"], rows)
    dls = TabularDataLoaders(
        TabDataLoader(ds, bs=facts["bs"], shuffle=True, drop_last=True),
        TabDataLoader(ds.new_empty(), bs=facts["bs"]),
        path=path.parent,
    )
    if cpu:
        dls.cpu()
    made = exported.module_of(facts["model"], module, path)
    learn = Learner(
        dls, made, loss_func=exported.loss_of(facts["loss"], loss_func), seed=facts["seed"], path=path.parent
    )
    put_weights(learn, {k: torch.from_numpy(np.array(v)) for k, v in weights.items()}, True)
    if isinstance(made, EmbeddingDotBias):
        made.classes, made.user, made.item = dls.classes, ds.cat_names[0], ds.cat_names[1]
    learn.model.eval()
    learn.recorder.values = [L(row) for row in facts["history"]]
    return learn
