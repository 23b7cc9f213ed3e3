"""The usual names of such a notebook: names of Python, NumPy, pandas and PyTorch, and the layers of the core."""

from __future__ import annotations

import bz2
import collections
import csv
import enum
import functools
import glob
import hashlib
import inspect
import io
import itertools
import json
import math
import mimetypes
import multiprocessing
import numbers
import operator
import os
import pathlib
import pickle
import platform
import random
import re
import shutil
import string
import sys
import tarfile
import tempfile
import threading
import time
import types
import typing
import urllib
import warnings
import zipfile
from collections import Counter, OrderedDict, defaultdict, namedtuple
from collections.abc import Callable, Generator, Iterable, Iterator, MutableMapping, MutableSequence, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from contextlib import contextmanager, redirect_stdout
from copy import copy, deepcopy
from datetime import datetime
from enum import Enum, IntEnum
from functools import partial, reduce
from itertools import dropwhile, starmap, takewhile, zip_longest
from numbers import Number, Real
from operator import attrgetter, itemgetter, methodcaller
from pathlib import Path
from pdb import set_trace
from textwrap import TextWrapper
from types import SimpleNamespace
from typing import Any, Dict, List, Optional, Set, Tuple, TypeVar, Union
from warnings import warn

import numpy as np
import pandas as pd
import scipy
import torch
import torch.nn.functional as F
from numpy import array, ndarray
from pandas import CategoricalDtype
from pandas.api.types import is_numeric_dtype
from torch import (
    ByteTensor,
    DoubleTensor,
    FloatTensor,
    HalfTensor,
    LongTensor,
    Tensor,
    as_tensor,
    nn,
    optim,
)
from torch.utils.data import (
    BatchSampler,
    IterableDataset,
    RandomSampler,
    Sampler,
    SequentialSampler,
    default_collate,
    get_worker_info,
)
from torch.utils.data._utils.collate import default_convert

from cofactor.models.torch.layers import (
    BCELossFlat,
    BCEWithLogitsLossFlat,
    Embedding,
    EmbeddingDotBias,
    HuberLossFlat,
    L1LossFlat,
    LinBnDrop,
    Module,
    MSELossFlat,
    SigmoidRange,
    emb_sz_rule,
    sigmoid_range,
)

try:
    import matplotlib
    import matplotlib.pyplot as plt
except ImportError:  # without it nothing is plotted
    pass

__all__ = [
    "Any",
    "BCELossFlat",
    "BCEWithLogitsLossFlat",
    "BatchSampler",
    "ByteTensor",
    "Callable",
    "CategoricalDtype",
    "Counter",
    "Dict",
    "DoubleTensor",
    "Embedding",
    "EmbeddingDotBias",
    "Enum",
    "F",
    "FloatTensor",
    "Generator",
    "HalfTensor",
    "HuberLossFlat",
    "IntEnum",
    "Iterable",
    "IterableDataset",
    "Iterator",
    "L1LossFlat",
    "LinBnDrop",
    "List",
    "LongTensor",
    "MSELossFlat",
    "Module",
    "MutableMapping",
    "MutableSequence",
    "Number",
    "Optional",
    "OrderedDict",
    "Path",
    "ProcessPoolExecutor",
    "RandomSampler",
    "Real",
    "Sampler",
    "Sequence",
    "SequentialSampler",
    "Set",
    "SigmoidRange",
    "SimpleNamespace",
    "Tensor",
    "TextWrapper",
    "ThreadPoolExecutor",
    "Tuple",
    "TypeVar",
    "Union",
    "array",
    "as_completed",
    "as_tensor",
    "attrgetter",
    "bz2",
    "collections",
    "contextmanager",
    "copy",
    "csv",
    "datetime",
    "deepcopy",
    "default_collate",
    "default_convert",
    "defaultdict",
    "dropwhile",
    "emb_sz_rule",
    "enum",
    "functools",
    "get_worker_info",
    "glob",
    "hashlib",
    "inspect",
    "io",
    "is_numeric_dtype",
    "itemgetter",
    "itertools",
    "json",
    "math",
    "methodcaller",
    "mimetypes",
    "multiprocessing",
    "namedtuple",
    "ndarray",
    "nn",
    "np",
    "numbers",
    "operator",
    "optim",
    "os",
    "partial",
    "pathlib",
    "pd",
    "pickle",
    "platform",
    "random",
    "re",
    "redirect_stdout",
    "reduce",
    "scipy",
    "set_trace",
    "shutil",
    "sigmoid_range",
    "starmap",
    "string",
    "sys",
    "takewhile",
    "tarfile",
    "tempfile",
    "threading",
    "time",
    "torch",
    "types",
    "typing",
    "urllib",
    "warn",
    "warnings",
    "zip_longest",
    "zipfile",
]
__all__ += ["matplotlib", "plt"] if "plt" in globals() else []
