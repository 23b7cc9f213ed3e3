"""The names of the classic collaborative-filtering notebook: ``from cofactor.notebook import *`` and go on.

It stands for ``from fastai.collab import *`` and ``from fastai.tabular.all import *``: data (``untar_data``,
``CollabDataLoaders``, ``TabularCollab``), models (``Module``, ``Embedding``, ``EmbeddingDotBias``), training
(``Learner``, ``collab_learner``, callbacks, metrics, losses, optimizers), and what such a notebook has at hand (``pd``,
``np``, ``plt``, ``torch``, ``L``, ``partial``, ``test_eq``). docs/notebook.md has a table of every name. Needs the
torch
extra. What is behind it: ``cofactor.train`` for the loop, ``cofactor.models`` for the models.
"""

from __future__ import annotations

from cofactor.errors import MissingExtraError
from cofactor.models.torch.module import need_torch

need_torch("cofactor.notebook")
try:
    import pandas
except ImportError:
    raise MissingExtraError("pandas", "torch", "cofactor.notebook") from None

from cofactor.notebook import (
    _attributes,
    _blocks,
    _callbacks,
    _collab,
    _collab_loaders,
    _collections,
    _collectors,
    _data_loader,
    _datasets,
    _environment,
    _events,
    _frames,
    _functions,
    _hooks,
    _interpret,
    _item_sets,
    _layers,
    _learner,
    _lists,
    _loaders,
    _loading,
    _losses,
    _metric_functions,
    _metrics,
    _more,
    _optimizer,
    _optimizer_rules,
    _parameters,
    _patches,
    _procs,
    _recorder,
    _schedules,
    _splitters,
    _standard,
    _tabular,
    _tensors,
    _testing,
    _texts,
    _trackers,
    _values,
    _weights,
)
from cofactor.notebook._attributes import *
from cofactor.notebook._blocks import *
from cofactor.notebook._callbacks import *
from cofactor.notebook._collab import *
from cofactor.notebook._collab_loaders import *
from cofactor.notebook._collections import *
from cofactor.notebook._collectors import *
from cofactor.notebook._data_loader import *
from cofactor.notebook._datasets import *
from cofactor.notebook._environment import *
from cofactor.notebook._events import *
from cofactor.notebook._frames import *
from cofactor.notebook._functions import *
from cofactor.notebook._hooks import *
from cofactor.notebook._interpret import *
from cofactor.notebook._item_sets import *
from cofactor.notebook._layers import *
from cofactor.notebook._learner import *
from cofactor.notebook._lists import *
from cofactor.notebook._loaders import *
from cofactor.notebook._loading import *
from cofactor.notebook._losses import *
from cofactor.notebook._metric_functions import *
from cofactor.notebook._metrics import *
from cofactor.notebook._more import *
from cofactor.notebook._optimizer import *
from cofactor.notebook._optimizer_rules import *
from cofactor.notebook._parameters import *
from cofactor.notebook._procs import *
from cofactor.notebook._recorder import *
from cofactor.notebook._schedules import *
from cofactor.notebook._splitters import *
from cofactor.notebook._standard import *
from cofactor.notebook._tabular import *
from cofactor.notebook._tensors import *
from cofactor.notebook._testing import *
from cofactor.notebook._texts import *
from cofactor.notebook._trackers import *
from cofactor.notebook._values import *
from cofactor.notebook._weights import *

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
__all__ += _collab_loaders.__all__
__all__ += _loading.__all__
__all__ += _losses.__all__
__all__ += _metrics.__all__
__all__ += _metric_functions.__all__
__all__ += _more.__all__
__all__ += _optimizer.__all__
__all__ += _optimizer_rules.__all__
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
__all__ += _values.__all__
__all__ += _weights.__all__
