"""Load a Learner from a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from cofactor.errors import BundleError
from cofactor.models.torch.layers import EmbeddingDotBias
from cofactor.notebook._fastcore.lists import L
from cofactor.notebook._files import exported
from cofactor.notebook._files.exported_items import loaders
from cofactor.notebook._files.weights import put_weights
from cofactor.notebook._keywords import takes
from cofactor.notebook._loaders.loaders import DataLoaders, TabularDataLoaders
from cofactor.notebook._loaders.table_loader import TabDataLoader
from cofactor.notebook._training.learner import Learner

__all__ = [
    "load_learner",
]


@takes("pickle_module")
def load_learner(fname: Any, cpu: bool = True, module: Any = None, loss_func: Any = None) -> Any:
    """Return the Learner that ``learn.export`` wrote: ``.dls``, ``.model``, ``.predict(row)``, ``.get_preds(dl=...)``,
    ``.recommender()``.

    The file holds no code. A module or loss of your own is found if its class (or function) is already imported.
    Otherwise give ``module`` (one of the same class and sizes) and ``loss_func``. A pickle is refused.
    """
    path = Path(fname)
    if path.is_dir():
        raise BundleError(f"{path} is a directory; a saved recommender is read with cofactor.load")
    facts, weights, rows = exported.read_file(path)
    if "items" in facts:
        dls = loaders(facts["items"], facts["bs"], path.parent, exported.mapped)
    else:
        dls = _table_loaders(exported.table(facts["table"], rows), facts["bs"], path.parent)
    if cpu:
        dls.cpu()
    made = exported.module_of(facts["model"], module, path)
    learn = Learner(
        dls,
        made,
        loss_func=exported.loss_of(facts["loss"], loss_func),
        seed=facts["seed"],
        path=path.parent,
        metrics=exported.metrics_of(facts.get("metrics", [])),
        **{k: v for k, v in facts.get("options", {}).items() if k in exported.OPTIONS},
    )
    put_weights(learn, {k: torch.from_numpy(np.array(v)) for k, v in weights.items()}, True)
    if isinstance(made, EmbeddingDotBias):
        ds: Any = dls.train_ds
        made.classes, made.user, made.item = dls.classes, ds.cat_names[0], ds.cat_names[1]
    learn.model.eval()
    learn.recorder.values = [L(row) for row in facts["history"]]
    return learn


def _table_loaders(ds: Any, bs: int, path: Path) -> DataLoaders:
    train = TabDataLoader(ds, bs=bs, shuffle=True, drop_last=True)
    return TabularDataLoaders(train, TabDataLoader(ds.new_empty(), bs=bs), path=path)
