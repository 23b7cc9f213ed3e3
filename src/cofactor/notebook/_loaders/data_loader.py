"""A loader of batches of any data set, in pieces that can be overridden."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, Self

import torch
from torch.utils.data import default_collate

from cofactor._validate import check_int
from cofactor.errors import ConfigError, DataError
from cofactor.models.torch.module import device_of
from cofactor.notebook._fastcore.lists import L
from cofactor.notebook._keywords import refuse
from cofactor.notebook._loaders.procs import Pipeline
from cofactor.notebook._tensors import a_draw, to_device

__all__ = [
    "DataLoader",
    "SkipItemException",
]


HARMLESS = {
    *("num_workers", "pin_memory", "timeout", "persistent_workers", "pin_memory_device", "verbose", "do_setup"),
    *("prefetch_factor", "multiprocessing_context", "non_blocking", "n_inp"),
}


"""Options of loading in other processes, which have no effect because the data are in memory; and ``n_inp``, which the
data set determines: all parts of a batch but the last are inputs."""


LOADER = ("bs", "val_bs", "shuffle", "drop_last", "device", "num_workers", "pin_memory", "n", "wgts")


"""Options of a loader that change its batches, or that are commonly written."""


HOOKS = (
    "before_iter",
    "after_iter",
    "after_item",
    "before_batch",
    "after_batch",
    "create_item",
    "create_batch",
    "get_idxs",
    "shuffle_fn",
    "wif",
)

PIPES = ("after_item", "before_batch", "after_batch")
"""Hooks that are attributes of a loader: lists of functions, which can be extended."""


class SkipItemException(Exception):
    """Skip an item of a data set."""


class DataLoader:
    """Batches of a data set: anything that can be indexed and has a length, or that can be looped over.

    ``num_workers``, ``pin_memory`` and similar options are accepted and have no effect.
    """

    def __init__(
        self,
        dataset: Any = None,
        bs: Any = None,
        num_workers: int = 0,
        pin_memory: bool = False,
        timeout: float = 0,
        batch_size: Any = None,
        shuffle: bool = False,
        drop_last: bool = False,
        indexed: bool | None = None,
        n: int | None = None,
        device: Any = None,
        **kwargs: Any,
    ) -> None:
        bs = batch_size if batch_size is not None else bs
        self.bs = None if bs is None else check_int("the batch size", bs)
        hooks = {k: kwargs.pop(k) for k in HOOKS if kwargs.get(k) is not None}
        self.hooks: dict[str, Any] = {}
        for name, f in hooks.items():
            self.hooks[name] = Pipeline(list(f)) if isinstance(f, Pipeline) else f
        refuse("a loader", kwargs, LOADER, (*HARMLESS, *HOOKS))
        self.dataset, self.shuffle, self.drop_last = dataset, bool(shuffle), bool(drop_last)
        self.num_workers, self.pin_memory, self.timeout = num_workers, pin_memory, timeout
        self.indexed = (
            (hasattr(dataset, "__getitem__") and not isinstance(dataset, torch.utils.data.IterableDataset))
            if indexed is None
            else indexed
        )
        self._n = n
        self.device = None if device is None else checked_device(device)
        self._seed: int | None = None

    @property
    def n(self) -> Any:
        """The number of rows in one pass, None where the data set does not know it."""
        if self._n is not None:
            return self._n
        try:
            return len(self.dataset)
        except TypeError:
            return None

    @n.setter
    def n(self, value: Any) -> None:
        self._n = value

    def __len__(self) -> int:
        if self.n is None:
            raise TypeError("this loader has no length")
        if self.bs is None:
            return int(self.n)
        bs = min(self.bs, max(self.n, 1))
        return int(self.n // bs if self.drop_last else -(-self.n // bs))

    # ---- the pieces of a pass, each of which a subclass may override, or a keyword replace

    def get_idxs(self) -> list[int]:
        """Return the order of rows for one pass."""
        if self.hooked("get_idxs"):
            return (
                list(self.hooks["get_idxs"](self))
                if _takes_self(self.hooks["get_idxs"])
                else list(self.hooks["get_idxs"]())
            )
        order = list(range(self.n))
        return list(self.shuffle_fn(order)) if self.shuffle else order

    def shuffle_fn(self, idxs: Any) -> Any:
        """Return rows in a random order."""
        if self.hooked("shuffle_fn"):
            return self.hooks["shuffle_fn"](idxs)
        idxs = list(idxs)
        return [idxs[i] for i in torch.randperm(len(idxs), generator=self._generator()).tolist()]

    def randomize(self) -> None:
        """Begin a pass: draw its seed."""
        self._seed = a_draw()

    def before_iter(self) -> None:
        """Do something before a pass."""
        self._hook("before_iter")

    def after_iter(self) -> None:
        """Do something after a pass."""
        self._hook("after_iter")

    def wif(self) -> None:
        """Do something in each process that loads: there are none."""

    def sample(self) -> Iterator[Any]:
        """Return the rows of one pass, in order; None for each item of a data set that is looped over."""
        return iter(self.get_idxs()) if self.indexed else itertools.repeat(None)

    def create_item(self, i: Any) -> Any:
        """Return item ``i`` of the data set, or the next one."""
        if self.hooked("create_item"):
            return self.hooks["create_item"](i)
        return self.dataset[i] if self.indexed else next(self.it)

    def do_item(self, i: Any) -> Any:
        """Return an item after its functions, None where it is skipped."""
        try:
            return self._hook("after_item", self.create_item(i))
        except SkipItemException:
            return None

    def chunkify(self, items: Any) -> Iterator[Any]:
        """Return the items in lists as long as a batch."""
        if self.bs is None:
            yield from items
            return
        part: list[Any] = []
        for o in items:
            part.append(o)
            if len(part) == self.bs:
                yield part
                part = []
        if part and not self.drop_last:
            yield part

    def create_batch(self, part: Any) -> Any:
        """Return a batch of a list of items."""
        if self.hooked("create_batch"):
            return self.hooks["create_batch"](part)
        if self.bs is None:
            return part
        found = default_collate(part)
        return tuple(found) if isinstance(found, list) else found

    def retain(self, b: Any, part: Any) -> Any:
        """Return the batch: types are not carried over from items."""
        return b

    def do_batch(self, part: Any) -> Any:
        """Return a batch of a list of items, after its functions."""
        return self.retain(self.create_batch(part if self.bs is None else self._hook("before_batch", part)), part)

    def create_batches(self, samps: Any) -> Iterator[Any]:
        """Return the batches of rows."""
        if self.dataset is not None:
            self.it: Any = None if self.indexed else iter(self.dataset)
        items = (o for o in self._items(samps) if o is not None)
        yield from map(self.do_batch, self.chunkify(items))

    def _items(self, samps: Any) -> Iterator[Any]:
        for i in samps:
            try:
                found = self.do_item(i)
            except StopIteration:
                return
            yield found

    def _generator(self) -> torch.Generator:
        """The generator of one pass: its seed is the one number that a pass through a loader of PyTorch draws from
        the common generator, so that what is drawn next is what the library would draw."""
        seed, self._seed = self._seed, None
        return torch.Generator().manual_seed(a_draw() if seed is None else seed)

    def __iter__(self) -> Iterator[Any]:
        self.randomize()
        self.before_iter()
        for b in self.create_batches(self.sample()):
            yield self._done(b)
        self.after_iter()

    def _done(self, b: Any) -> Any:
        where = self.device
        return self._hook("after_batch", b if where is None else to_device(b, where))

    def hooked(self, *names: str) -> bool:
        """Return whether one of these hooks does anything."""
        return any(len(L(self.hooks.get(name))) for name in names)

    def _hook(self, name: str, x: Any = None) -> Any:
        own = getattr(type(self), name, None) if name in PIPES and not self.hooked(name) else None
        if own is not None:
            return own(self, x)
        for f in L(self.hooks.get(name)):
            found = f(x) if name not in ("before_iter", "after_iter") else f()
            x = x if found is None else found
        return x

    def one_batch(self) -> Any:
        """Return one batch (for a shuffled loader, a new one each time)."""
        for b in self:
            return b
        raise DataError("this loader has no batches: there are no rows, or fewer rows than bs while drop_last is set")

    def new(self, dataset: Any = None, cls: Any = None, **kwargs: Any) -> Any:
        """Return another loader with the same options except the given ones."""
        old = {"bs": self.bs, "shuffle": self.shuffle, "drop_last": self.drop_last, "device": self.device} | self.hooks
        old |= {"num_workers": self.num_workers, "pin_memory": self.pin_memory}
        if dataset is None and self._n is not None:
            old["n"] = self._n
        return (cls or type(self))(self.dataset if dataset is None else dataset, **(old | kwargs))

    def to(self, device: Any) -> Self:
        self.device = checked_device(device)
        return self

    @property
    def n_inp(self) -> int:
        """The number of parts of a batch that are inputs."""
        own = getattr(self.dataset, "n_inp", None)
        return 1 if own is None else int(own)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name in ("dataset", "hooks", "_n"):
            raise AttributeError(name)
        if name in PIPES:
            return self.hooks.setdefault(name, Pipeline(self.hooks.get(name)))
        try:
            return getattr(self.dataset, name)
        except AttributeError:
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}") from None


def _takes_self(f: Any) -> bool:
    import inspect

    try:
        return len(inspect.signature(f).parameters) > 0
    except (TypeError, ValueError):
        return False


def checked_device(device: Any) -> torch.device:
    """Return the requested device. Raises ConfigError if it does not exist here."""
    if isinstance(device, int) and not isinstance(device, bool):
        device = f"cuda:{device}"
    try:
        found = torch.device(device)
    except (RuntimeError, TypeError):
        raise ConfigError(f"device is {device!r}; give 'cpu' or 'cuda', or leave it out") from None
    if found.type == "cuda" and not torch.cuda.is_available():
        raise ConfigError("there is no CUDA GPU that PyTorch can use here; leave device out, or use 'cpu'")
    return device_of(found)
