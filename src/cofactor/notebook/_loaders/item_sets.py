"""Data sets whose items go through functions one by one: ``TfmdLists`` and ``Datasets``. A table of ratings is faster
as a ``TabularCollab``; these are for code that is written item by item."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
import pandas as pd
import torch

from cofactor.errors import ConfigError
from cofactor.notebook._fastcore.lists import L, mask2idxs
from cofactor.notebook._keywords import takes, takes_its_own
from cofactor.notebook._loaders.frames import show as show_frame
from cofactor.notebook._loaders.loaders import DataLoaders
from cofactor.notebook._loaders.table_loader import TfmdDL
from cofactor.notebook._loaders.transforms import InOrder, step, undone
from cofactor.notebook._tensors import default_device, to_np

__all__ = [
    "Datasets",
    "TfmdLists",
    "test_set",
]


class Steps(InOrder):
    """The steps of an item, in order: functions, and transforms that examine all training items first."""

    def setup(self, items: Any) -> None:
        """Let each transform see the training items as they come to it."""
        values = list(items)
        learning = [i for i, f in enumerate(self.fs) if hasattr(f, "setups")]
        for i, f in enumerate(self.fs[: learning[-1] + 1] if learning else []):
            if i in learning:
                f.setup(L(values, use_list=True))
            values = [step(f, v, 0) for v in values]

    def __call__(self, o: Any, split_idx: int | None = None) -> Any:
        for f in self.fs:
            o = step(f, o, split_idx)
        return o

    def decode(self, o: Any, split_idx: int | None = None) -> Any:
        for f in reversed(list(self.fs)):
            o = undone(f, o, split_idx)
        return o

    def __repr__(self) -> str:
        return "Pipeline: " + " -> ".join(getattr(f, "__name__", type(f).__name__) for f in self.fs)


def all_items(items: Any) -> Iterator[Any]:
    """Yield the items one by one; for a frame, its rows."""
    return (items.iloc[i] for i in range(len(items))) if hasattr(items, "iloc") else iter(items)


def taken(items: Any, at: Any) -> Any:
    """Return the items at these positions, as the same kind of collection."""
    if isinstance(at, slice):
        return items.iloc[at] if hasattr(items, "iloc") else items[at]
    where = [int(i) for i in at]
    if hasattr(items, "iloc"):
        return items.iloc[where]
    return items[where] if isinstance(items, (np.ndarray, torch.Tensor)) else L([items[i] for i in where])


def _positions(part: Any) -> Any:
    return part if isinstance(part, slice) else mask2idxs(part)


class ItemLoaders(DataLoaders):
    """Loaders of items that go through transforms."""

    def test_dl(  # type: ignore[override]
        self, test_items: Any, rm_type_tfms: Any = None, with_labels: bool = False, **kwargs: Any
    ) -> Any:
        """Return a loader of other items, through the same transforms."""
        last = self.loaders[-1]
        return last.new(test_set(last.dataset, test_items, rm_type_tfms, with_labels), shuffle=False, **kwargs)

    def decode_batch(self, b: Any, max_n: int = 9, full: bool = True) -> L:
        """Return the first items of a batch in their original form, one tuple each."""
        return L([self.train_ds.decode(row) for row in islice(zip(*b), max_n)], use_list=True)

    @takes("ctxs")
    def show_batch(self, b: Any = None, max_n: int = 9, show: bool = True, unique: bool = False) -> Any:
        """Show a few items in their original form; with ``show=False`` return them as a frame."""
        b = self.one_batch() if b is None else b
        frame = frame_of(self.decode_batch(b, 1 if unique else max_n))
        return show_frame(frame) if show else frame


def frame_of(rows: Any) -> pd.DataFrame:
    """Return decoded items as a frame."""
    return pd.DataFrame([[to_np(o) if isinstance(o, torch.Tensor) else o for o in row] for row in rows])


class _Split:
    """The base of data sets with a training part and a validation part, and their loaders."""

    splits: Any
    kind: Any = None

    def subset(self, i: int) -> Any:
        raise NotImplementedError

    @property
    def n_subsets(self) -> int:
        return len(self.splits)

    @property
    def train(self) -> Any:
        return self.subset(0)

    @property
    def valid(self) -> Any:
        return self.subset(1)

    def dataloaders(
        self,
        bs: int = 64,
        shuffle_train: bool | None = None,
        shuffle: bool = True,
        val_shuffle: bool = False,
        n: int | None = None,
        path: Any = ".",
        dl_type: Any = None,
        dl_kwargs: Any = None,
        device: Any = None,
        drop_last: bool | None = None,
        val_bs: int | None = None,
        **kwargs: Any,
    ) -> DataLoaders:
        """Return loaders of the parts. ``shuffle``, ``drop_last`` and ``n`` belong to the training loader, ``val_bs``
        and ``val_shuffle`` to the others; ``after_item`` and ``after_batch`` are functions for all."""
        shuffle = shuffle if shuffle_train is None else shuffle_train
        make, own = dl_type or self.kind or TfmdDL, [dict(k) for k in dl_kwargs or []]
        made = []
        for i in range(self.n_subsets):
            first = i == 0
            options: dict[str, Any] = {
                "bs": bs if first else val_bs or bs,
                "shuffle": shuffle if first else val_shuffle,
                "drop_last": (shuffle if drop_last is None else drop_last) if first else False,
            }
            if first and n is not None:
                options["n"] = n
            made.append(make(self.subset(i), **(kwargs | options | (own[i] if i < len(own) else {}))))
        found = ItemLoaders(*made, path=path, device=default_device() if device is None else device)
        found.inputs = getattr(self, "n_inp", 1)
        return found


class TfmdLists(_Split):
    """Items that go through ``tfms`` when they are read. ``splits``: positions of the parts."""

    def __init__(
        self,
        items: Any,
        tfms: Any,
        use_list: bool | None = None,
        do_setup: bool = True,
        split_idx: int | None = None,
        train_setup: bool = True,
        splits: Any = None,
        types: Any = None,
        verbose: bool = False,
        dl_type: Any = None,
    ) -> None:
        self.items = items if hasattr(items, "iloc") or isinstance(items, np.ndarray) else L(items, use_list=use_list)
        self.splits = L([slice(None), []] if splits is None else list(splits), use_list=True).map(_positions)
        tfms = tfms.tfms if isinstance(tfms, TfmdLists) else tfms
        self.tfms: Steps = tfms if isinstance(tfms, Steps) else Steps(tfms)
        self.split_idx, self.types, self.kind = split_idx, types, dl_type
        if do_setup and not isinstance(tfms, Steps):
            self.setup(train_setup)

    def setup(self, train_setup: bool = True) -> None:
        """Show the transforms the items: those for training, unless ``train_setup=False``."""
        self.tfms.setup(all_items(taken(self.items, self.splits[0]) if train_setup else self.items))

    def _new(self, items: Any, split_idx: int | None = None) -> TfmdLists:
        found = TfmdLists(items, self.tfms, split_idx=split_idx, dl_type=self.kind)
        found.splits = self.splits
        return found

    def subset(self, i: int) -> TfmdLists:
        return self._new(taken(self.items, self.splits[i]), split_idx=i)

    def new_empty(self) -> TfmdLists:
        return self._new(taken(self.items, []))

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Any]:
        return (self(o) for o in all_items(self.items))

    def __getitem__(self, at: Any) -> Any:
        if isinstance(at, (int, np.integer)) or (isinstance(at, torch.Tensor) and at.dim() == 0):
            return self(self.items.iloc[int(at)] if hasattr(self.items, "iloc") else self.items[int(at)])
        return L([self(o) for o in all_items(taken(self.items, at))])

    def __call__(self, o: Any) -> Any:
        return self.tfms(o, self.split_idx)

    def decode(self, o: Any, **kwargs: Any) -> Any:
        return self.tfms.decode(o, self.split_idx)

    def show(self, o: Any, **kwargs: Any) -> None:
        print(self.decode(o))

    def overlapping_splits(self) -> L:
        """Return how often positions occur in more than one part."""
        seen = pd.Series([i for part in self.splits for i in (part if not isinstance(part, slice) else [])])
        return L([int(n) for n in seen.value_counts() if n > 1])

    def __repr__(self) -> str:
        return f"{type(self).__name__}: {self.items}\ntfms - {list(self.tfms.fs)}"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name in ("tfms", "items"):
            raise AttributeError(name)
        for f in reversed(list(self.tfms.fs)):
            if name in getattr(f, "__dict__", {}) or (name == "loss_func" and hasattr(f, name)):
                return getattr(f, name)
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")


@takes_its_own
class Datasets(_Split):
    """Tuples: an item through each list of ``tfms`` in turn. The first ``n_inp`` elements are inputs."""

    def __init__(
        self,
        items: Any = None,
        tfms: Any = None,
        tls: Any = None,
        n_inp: int | None = None,
        dl_type: Any = None,
        use_list: bool | None = None,
        do_setup: bool = True,
        split_idx: int | None = None,
        train_setup: bool = True,
        splits: Any = None,
        types: Any = None,
        verbose: bool = False,
    ) -> None:
        made = tls or [
            TfmdLists(items, t, use_list, do_setup, split_idx, train_setup, splits, types, verbose)
            for t in ([None] if tfms is None else list(tfms))
        ]
        self.tls, self.kind = L(made, use_list=True), dl_type
        self.n_inp = max(1, len(self.tls) - 1) if n_inp is None else n_inp

    @property
    def splits(self) -> Any:
        return self.tls[0].splits

    @property
    def items(self) -> Any:
        return self.tls[0].items

    @items.setter
    def items(self, value: Any) -> None:
        for tl in self.tls:
            tl.items = value

    def _of(self, tls: Any) -> Datasets:
        return Datasets(tls=list(tls), n_inp=self.n_inp, dl_type=self.kind)

    def subset(self, i: int) -> Datasets:
        return self._of(tl.subset(i) for tl in self.tls)

    def new_empty(self) -> Datasets:
        return self._of(tl.new_empty() for tl in self.tls)

    def __len__(self) -> int:
        return len(self.tls[0])

    def __iter__(self) -> Iterator[Any]:
        return zip(*self.tls)

    def __getitem__(self, at: Any) -> Any:
        found = tuple(tl[at] for tl in self.tls)
        return found if isinstance(at, (int, np.integer)) else list(zip(*found))

    def decode(self, o: Any, full: bool = True) -> tuple[Any, ...]:
        return tuple(tl.decode(x) for x, tl in zip(o, self.tls))

    def show(self, o: Any, ctx: Any = None, **kwargs: Any) -> Any:
        for x, tl in zip(o, self.tls):
            tl.show(x)
        return ctx

    def overlapping_splits(self) -> L:
        found: L = self.tls[0].overlapping_splits()
        return found

    def __repr__(self) -> str:
        return f"(#{len(self)}) [{','.join(str(self[i]) for i in range(min(3, len(self))))}...]"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name in ("tls", "n_inp"):
            raise AttributeError(name)
        found = [getattr(tl, name) for tl in self.tls if hasattr(tl, name)]
        if not found:
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")
        return found[0] if len(found) == 1 else L(found, use_list=True)


def test_set(dsets: Any, test_items: Any, rm_tfms: Any = None, with_labels: bool = False) -> Any:  # noqa: PT028
    """Apply the same transforms to other items, without the targets unless ``with_labels``."""
    skip = rm_tfms or 0
    if isinstance(dsets, TfmdLists):
        return TfmdLists(test_items, Steps(dsets.tfms.fs[skip:]), split_idx=1)
    if not isinstance(dsets, Datasets):
        raise ConfigError(f"test_set needs a Datasets or a TfmdLists, not a {type(dsets).__name__}")
    tls = list(dsets.tls) if with_labels else list(dsets.tls)[: dsets.n_inp]
    return Datasets(tls=[test_set(tl, test_items, skip) for tl in tls], n_inp=dsets.n_inp)


test_set.__test__ = False  # type: ignore[attr-defined]
