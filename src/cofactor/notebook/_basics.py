"""Small things that the notebook takes for granted: ``L``, paths that list themselves, tensors here and there."""

from __future__ import annotations

import pathlib
import random
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cofactor._validate import check_int
from cofactor.data.catalog import DATASETS
from cofactor.data.datasets import dataset_path
from cofactor.errors import ConfigError
from cofactor.models.torch.module import best_device, device_of


class L(list[Any]):
    """A list that shows its length, takes lists of positions or masks as an index, and maps and filters."""

    def __init__(self, items: Any = None, *rest: Any) -> None:
        if rest:
            items = [items, *rest]
        elif items is None:
            items = []
        elif isinstance(items, (str, bytes)) or not isinstance(items, Iterable) or getattr(items, "ndim", 1) == 0:
            items = [items]
        super().__init__(items)

    def __repr__(self) -> str:
        shown = ",".join(repr(i) for i in self[:10])
        return f"(#{len(self)}) [{shown}{'...' if len(self) > 10 else ''}]"

    def __getitem__(self, at: Any) -> Any:
        if isinstance(at, slice):
            return L(list(self)[at])
        if isinstance(at, (list, tuple, range, np.ndarray, Tensor)) and not (hasattr(at, "ndim") and at.ndim == 0):
            which = [i.item() if hasattr(i, "item") else i for i in at]
            if which and all(isinstance(i, bool) for i in which):
                return L([v for v, keep in zip(self, which) if keep])
            return L([super(L, self).__getitem__(i) for i in which])
        return super().__getitem__(int(at))

    def __add__(self, other: Any) -> L:
        return L([*self, *L(other)])

    def map(self, f: Callable[..., Any], *args: Any, **kwargs: Any) -> L:
        """``f`` of every element."""
        return L([f(o, *args, **kwargs) for o in self])

    def filter(self, f: Callable[[Any], Any] = bool) -> L:
        """The elements for which ``f`` holds."""
        return L([o for o in self if f(o)])

    def itemgot(self, *at: Any) -> L:
        """Element ``at`` of every element."""
        found: Any = self
        for i in at:
            found = [o[i] for o in found]
        return L(list(found))

    def attrgot(self, name: str, default: Any = None) -> L:
        """An attribute of every element."""
        return L([getattr(o, name, default) for o in self])

    def sorted(self, key: Callable[[Any], Any] | None = None, reverse: bool = False) -> L:
        """The same in order."""
        return L(sorted(self, key=key, reverse=reverse))

    def unique(self) -> L:
        """Each element once, in order of first appearance."""
        return L(list(dict.fromkeys(self)))

    def concat(self) -> L:
        """The elements of all elements."""
        return L([o for part in self for o in part])


class Path(type(pathlib.Path())):  # type: ignore[misc]
    """A path whose :meth:`ls` lists a folder."""

    def ls(self, n_max: int | None = None) -> L:
        """What the folder holds."""
        return L(list(self.iterdir())[:n_max])

    def __repr__(self) -> str:
        return f"Path({str(self)!r})"


class URLs:
    """Datasets by the names the notebook has for them; each is a name of :func:`cofactor.datasets`."""

    ML_100k = "ml-100k"
    ML_LATEST_SMALL = "ml-latest-small"
    ML_1M = "ml-1m"
    ML_10M = "ml-10m"
    ML_20M = "ml-20m"
    ML_25M = "ml-25m"
    ML_32M = "ml-32m"


def untar_data(url: str, **ignored: Any) -> Path:
    """The folder of a dataset: in ``$COFACTOR_DATA_DIR``, in the cache, or downloaded. Takes names and their URLs."""
    name = str(url).rstrip("/").rpartition("/")[2]
    stem = name.partition(".")[0]
    return Path(dataset_path(stem if stem in DATASETS else name))


def one_hot(x: Any, c: int) -> Tensor:
    """A vector of ``c`` zeros (uint8) with ones at ``x``, a position or several."""
    found = torch.zeros(check_int("the length of one_hot", c), dtype=torch.uint8)
    try:
        found[torch.as_tensor(x, dtype=torch.long)] = 1
    except (TypeError, ValueError, IndexError, RuntimeError):
        raise ConfigError(f"one_hot({x!r}, {c}): give a position from 0 to {c - 1}, or several") from None
    return found


def tensor(x: Any = (), *rest: Any, **kwargs: Any) -> Tensor:
    """A tensor of numbers, a list, an array or a Series."""
    if rest:
        x = (x, *rest)
    if hasattr(x, "to_numpy"):
        x = x.to_numpy()
    if isinstance(x, np.ndarray):
        x = x.astype(np.float32) if x.dtype == np.float64 else x
        return torch.tensor(x.copy(), **kwargs)
    return torch.as_tensor(x, **kwargs)


def to_device(b: Any, device: Any = None) -> Any:
    """Tensors, and lists, tuples and dicts of them, on a device (a GPU where there is one)."""
    device = device_of(device)
    if isinstance(b, Tensor):
        return b.to(device)
    if isinstance(b, dict):
        return {k: to_device(v, device) for k, v in b.items()}
    if isinstance(b, (list, tuple)):
        return type(b)(to_device(v, device) for v in b)
    return b


def to_cpu(b: Any) -> Any:
    """The same on the CPU."""
    return to_device(b, "cpu")


def to_np(x: Tensor) -> Any:
    """A NumPy array of a tensor, wherever it is."""
    return x.detach().cpu().numpy()


def to_detach(b: Any, cpu: bool = True) -> Any:
    """Tensors without their gradients."""
    if isinstance(b, (list, tuple)):
        return type(b)(to_detach(v, cpu) for v in b)
    return (b.detach().cpu() if cpu else b.detach()) if isinstance(b, Tensor) else b


def default_device() -> torch.device:
    """A GPU where there is one."""
    return best_device()


def set_seed(s: int, reproducible: bool = False) -> None:
    """Seed torch, NumPy's old global generator and ``random``; splits, models and Learners made after it repeat."""
    torch.manual_seed(s)
    np.random.seed(s % (2**32))  # noqa: NPY002
    random.seed(s)
    if reproducible:
        torch.backends.cudnn.deterministic = True
        torch.backends.cudnn.benchmark = False


def range_of(x: Any) -> list[int]:
    """Positions of a collection."""
    return list(range(len(x)))


def a_seed(seed: int | None) -> int:
    """The seed given, or one drawn from torch's generator (so that ``torch.manual_seed`` fixes it)."""
    return int(torch.randint(2**31, ())) if seed is None else check_int("seed", seed, 0)
