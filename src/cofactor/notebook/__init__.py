"""The names of the classic collaborative-filtering notebook, from ``from cofactor.notebook import *``.

This import replaces ``from fastai.collab import *`` and ``from fastai.tabular.all import *``. It provides data
(``untar_data``, ``CollabDataLoaders``, ``TabularCollab``), models (``Module``, ``Embedding``, ``EmbeddingDotBias``),
training (``Learner``, ``collab_learner``, callbacks, metrics, losses, optimizers), and the usual helpers of such a
notebook (``pd``, ``np``, ``plt``, ``torch``, ``L``, ``partial``, ``test_eq``). docs/notebook.md has a table of every
name. It needs the torch extra. It builds on ``cofactor.train`` for the loop and ``cofactor.models`` for the models.
"""

from __future__ import annotations

import sys

from cofactor.errors import MissingExtraError
from cofactor.models.torch.module import need_torch

need_torch("cofactor.notebook")
try:
    import pandas
except ImportError:
    raise MissingExtraError("pandas", "torch", "cofactor.notebook") from None

from cofactor.notebook import _collab, _environment, _interpret, _loading, _more, _patches, _standard, _tensors
from cofactor.notebook._callbacks import callbacks as _callbacks
from cofactor.notebook._callbacks import collectors as _collectors
from cofactor.notebook._callbacks import events as _events
from cofactor.notebook._callbacks import hooks as _hooks
from cofactor.notebook._callbacks import recorder as _recorder
from cofactor.notebook._callbacks import trackers as _trackers
from cofactor.notebook._callbacks.callbacks import *
from cofactor.notebook._callbacks.collectors import *
from cofactor.notebook._callbacks.events import *
from cofactor.notebook._callbacks.hooks import *
from cofactor.notebook._callbacks.recorder import *
from cofactor.notebook._callbacks.trackers import *
from cofactor.notebook._collab import *
from cofactor.notebook._environment import *
from cofactor.notebook._fastcore import attributes as _attributes
from cofactor.notebook._fastcore import collections as _collections
from cofactor.notebook._fastcore import functions as _functions
from cofactor.notebook._fastcore import lists as _lists
from cofactor.notebook._fastcore import testing as _testing
from cofactor.notebook._fastcore import texts as _texts
from cofactor.notebook._fastcore import values as _values
from cofactor.notebook._fastcore.attributes import *
from cofactor.notebook._fastcore.collections import *
from cofactor.notebook._fastcore.functions import *
from cofactor.notebook._fastcore.lists import *
from cofactor.notebook._fastcore.testing import *
from cofactor.notebook._fastcore.texts import *
from cofactor.notebook._fastcore.values import *
from cofactor.notebook._files import weights as _weights
from cofactor.notebook._files.weights import *
from cofactor.notebook._interpret import *
from cofactor.notebook._loaders import blocks as _blocks
from cofactor.notebook._loaders import collab_loaders as _collab_loaders
from cofactor.notebook._loaders import data_loader as _data_loader
from cofactor.notebook._loaders import datasets as _datasets
from cofactor.notebook._loaders import frames as _frames
from cofactor.notebook._loaders import item_sets as _item_sets
from cofactor.notebook._loaders import loaders as _loaders
from cofactor.notebook._loaders import procs as _procs
from cofactor.notebook._loaders import splitters as _splitters
from cofactor.notebook._loaders import table_loader as _table_loader
from cofactor.notebook._loaders import tabular as _tabular
from cofactor.notebook._loaders import transforms as _transforms
from cofactor.notebook._loaders.blocks import *
from cofactor.notebook._loaders.collab_loaders import *
from cofactor.notebook._loaders.data_loader import *
from cofactor.notebook._loaders.datasets import *
from cofactor.notebook._loaders.frames import *
from cofactor.notebook._loaders.item_sets import *
from cofactor.notebook._loaders.loaders import *
from cofactor.notebook._loaders.procs import *
from cofactor.notebook._loaders.splitters import *
from cofactor.notebook._loaders.table_loader import *
from cofactor.notebook._loaders.tabular import *
from cofactor.notebook._loaders.transforms import *
from cofactor.notebook._loading import *
from cofactor.notebook._measures import losses as _losses
from cofactor.notebook._measures import metric_functions as _metric_functions
from cofactor.notebook._measures import metrics as _metrics
from cofactor.notebook._measures.losses import *
from cofactor.notebook._measures.metric_functions import *
from cofactor.notebook._measures.metrics import *
from cofactor.notebook._modules import adam as _adam
from cofactor.notebook._modules import layers as _layers
from cofactor.notebook._modules import optim_wrapper as _optim_wrapper
from cofactor.notebook._modules import optimizer as _optimizer
from cofactor.notebook._modules import optimizer_rules as _optimizer_rules
from cofactor.notebook._modules import optimizer_steps as _optimizer_steps
from cofactor.notebook._modules import parameters as _parameters
from cofactor.notebook._modules.adam import *
from cofactor.notebook._modules.layers import *
from cofactor.notebook._modules.optim_wrapper import *
from cofactor.notebook._modules.optimizer import *
from cofactor.notebook._modules.optimizer_rules import *
from cofactor.notebook._modules.optimizer_steps import *
from cofactor.notebook._modules.parameters import *
from cofactor.notebook._more import *
from cofactor.notebook._standard import *
from cofactor.notebook._tensors import *
from cofactor.notebook._training import learner as _learner
from cofactor.notebook._training import schedules as _schedules
from cofactor.notebook._training.learner import *
from cofactor.notebook._training.schedules import *

_patches.install()

__all__: list[str] = []
__all__ += _attributes.__all__
__all__ += _blocks.__all__
__all__ += _item_sets.__all__
__all__ += _callbacks.__all__
__all__ += _collab.__all__
__all__ += _collections.__all__
__all__ += _collectors.__all__
__all__ += _datasets.__all__
__all__ += _environment.__all__
__all__ += _events.__all__
__all__ += _functions.__all__
__all__ += _hooks.__all__
__all__ += _interpret.__all__
__all__ += _layers.__all__
__all__ += _learner.__all__
__all__ += _lists.__all__
__all__ += _loaders.__all__
__all__ += _data_loader.__all__
__all__ += _table_loader.__all__
__all__ += _collab_loaders.__all__
__all__ += _loading.__all__
__all__ += _losses.__all__
__all__ += _metrics.__all__
__all__ += _metric_functions.__all__
__all__ += _more.__all__
__all__ += _adam.__all__
__all__ += _optim_wrapper.__all__
__all__ += _optimizer.__all__
__all__ += _optimizer_rules.__all__
__all__ += _optimizer_steps.__all__
__all__ += _recorder.__all__
__all__ += _schedules.__all__
__all__ += _splitters.__all__
__all__ += _standard.__all__
__all__ += _frames.__all__
__all__ += _procs.__all__
__all__ += _tabular.__all__
__all__ += _tensors.__all__
__all__ += _parameters.__all__
__all__ += _testing.__all__
__all__ += _texts.__all__
__all__ += _trackers.__all__
__all__ += _transforms.__all__
__all__ += _values.__all__
__all__ += _weights.__all__

for _module in (
    *("basics", "callback", "collab", "data", "imports", "interpret", "layers", "learner", "losses", "metrics"),
    *("optimizer", "progress", "schedule", "tabular", "torch_basics", "torch_core", "torch_imports", "tracker"),
):  # ``from fastai import learner`` and ``learner.Recorder``: a module there is this one here
    globals().setdefault(_module, sys.modules[__name__])
