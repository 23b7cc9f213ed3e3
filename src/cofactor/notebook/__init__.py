"""The names of the classic collaborative-filtering notebook: ``from cofactor.notebook import *`` and go on.

Data (``untar_data``, ``CollabDataLoaders``), models (``Module``, ``Embedding``, ``EmbeddingDotBias``, ...), training
(``Learner``, ``collab_learner``), and what such a notebook has at hand (``pd``, ``np``, ``torch``, ``nn``, ``L``).
Needs the torch extra. What is behind it: ``cofactor.train`` for the loop, ``cofactor.models`` for the models.
"""

from __future__ import annotations

from cofactor.errors import MissingExtraError
from cofactor.models.torch.module import need_torch

torch = need_torch("cofactor.notebook")
try:
    import pandas as pd
except ImportError:
    raise MissingExtraError("pandas", "torch", "cofactor.notebook") from None

from functools import partial  # noqa: E402

import numpy as np  # noqa: E402
import torch.nn.functional as F  # noqa: E402
from torch import Tensor, nn, optim  # noqa: E402

from cofactor.models.torch.layers import (  # noqa: E402
    BCELossFlat,
    BCEWithLogitsLossFlat,
    Embedding,
    EmbeddingDotBias,
    EmbeddingNN,
    HuberLossFlat,
    L1LossFlat,
    LinBnDrop,
    Module,
    MSELossFlat,
    SigmoidRange,
    emb_sz_rule,
    sigmoid_range,
)
from cofactor.models.torch.optim import Adam  # noqa: E402
from cofactor.notebook._basics import (  # noqa: E402
    L,
    Path,
    URLs,
    default_device,
    one_hot,
    range_of,
    set_seed,
    tensor,
    to_cpu,
    to_detach,
    to_device,
    to_np,
    untar_data,
)
from cofactor.notebook._callbacks import (  # noqa: E402
    Callback,
    CancelFitException,
    CSVLogger,
    EarlyStoppingCallback,
    SaveModelCallback,
    ShowGraphCallback,
    mae,
    mse,
    rmse,
)
from cofactor.notebook._collab import collab_learner, get_emb_sz, load_learner, tabular_config  # noqa: E402
from cofactor.notebook._data import CategoryMap, CollabDataLoaders  # noqa: E402
from cofactor.notebook._learner import SGD, Learner  # noqa: E402

__all__ = [
    "SGD",
    "Adam",
    "BCELossFlat",
    "BCEWithLogitsLossFlat",
    "CSVLogger",
    "Callback",
    "CancelFitException",
    "CategoryMap",
    "CollabDataLoaders",
    "EarlyStoppingCallback",
    "Embedding",
    "EmbeddingDotBias",
    "EmbeddingNN",
    "F",
    "HuberLossFlat",
    "L",
    "L1LossFlat",
    "Learner",
    "LinBnDrop",
    "MSELossFlat",
    "Module",
    "Path",
    "SaveModelCallback",
    "ShowGraphCallback",
    "SigmoidRange",
    "Tensor",
    "URLs",
    "collab_learner",
    "default_device",
    "emb_sz_rule",
    "get_emb_sz",
    "load_learner",
    "mae",
    "mse",
    "nn",
    "np",
    "one_hot",
    "optim",
    "partial",
    "pd",
    "range_of",
    "rmse",
    "set_seed",
    "sigmoid_range",
    "tabular_config",
    "tensor",
    "to_cpu",
    "to_detach",
    "to_device",
    "to_np",
    "torch",
    "untar_data",
]
