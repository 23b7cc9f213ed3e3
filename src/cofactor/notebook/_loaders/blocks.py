"""``DataBlock``: the recipe that turns items into data sets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cofactor.notebook._fastcore.functions import compose
from cofactor.notebook._fastcore.lists import L
from cofactor.notebook._fastcore.values import noop
from cofactor.notebook._loaders.frames import ItemGetter
from cofactor.notebook._loaders.item_sets import Datasets, all_items
from cofactor.notebook._loaders.loaders import DataLoaders
from cofactor.notebook._loaders.procs import TransformBlock
from cofactor.notebook._loaders.splitters import RandomSplitter
from cofactor.notebook._loaders.transforms import step

__all__ = ["DataBlock"]


class DataBlock:
    """The recipe that turns items into data sets. ``blocks`` define the parts of a tuple, ``getters`` (or ``get_x`` and
    ``get_y``) read them, ``get_items`` finds the items, ``splitter`` splits them. Subclasses may define these as
    attributes."""

    blocks: Any = (TransformBlock, TransformBlock)
    dl_type: Any = None
    get_x: Any = None
    get_y: Any = None
    get_items: Any = None
    splitter: Any = None

    def __init__(
        self,
        blocks: Any = None,
        dl_type: Any = None,
        getters: Any = None,
        n_inp: int | None = None,
        item_tfms: Any = None,
        batch_tfms: Any = None,
        *,
        get_items: Callable[..., Any] | None = None,
        splitter: Callable[..., Any] | None = None,
        get_x: Any = None,
        get_y: Any = None,
    ) -> None:
        given = {"get_items": get_items, "splitter": splitter, "get_x": get_x, "get_y": get_y}
        for name, value in given.items():
            if value is not None:
                setattr(self, name, value)
        made = [b() if callable(b) else b for b in L(self.blocks if blocks is None else blocks)]
        self.type_tfms = L([b.type_tfms for b in made], use_list=True)
        self.block_item_tfms = [t for b in made for t in b.item_tfms]
        self.block_batch_tfms = [t for b in made for t in b.batch_tfms]
        kinds = [b.dl_type for b in made if b.dl_type is not None]
        self.dl_type = dl_type or (kinds[-1] if kinds else self.dl_type)
        self.dls_kwargs: dict[str, Any] = {}
        for b in made:
            self.dls_kwargs |= b.dls_kwargs
        self.n_inp = max(1, len(made) - 1) if n_inp is None else n_inp
        self.getters = list(L(getters)) if getters is not None else [noop] * len(made)
        self._read("get_x", slice(None, self.n_inp))
        self._read("get_y", slice(self.n_inp, None))
        self.new(item_tfms, batch_tfms)

    def _read(self, name: str, part: slice) -> None:
        found = getattr(self, name)
        if found is None:
            return
        there, wanted = list(L(found)), len(self.getters[part])
        if len(there) != wanted:
            raise ValueError(
                f"{name} contains {len(there)} functions, but must contain {wanted} (one for each of its blocks); "
                "several in a row go in one Pipeline"
            )
        self.getters[part] = there

    def new(self, item_tfms: Any = None, batch_tfms: Any = None) -> DataBlock:
        """Return a copy with other functions for items and batches."""
        self.item_tfms = L([*self.block_item_tfms, *L(item_tfms)], use_list=True)
        self.batch_tfms = L([*self.block_batch_tfms, *L(batch_tfms)], use_list=True)
        return self

    @classmethod
    def from_columns(cls, blocks: Any = None, getters: Any = None, get_items: Any = None, **kwargs: Any) -> DataBlock:
        """Return a DataBlock for a source of columns: each block takes the next one."""
        if getters is None:
            getters = [ItemGetter(i) for i in range(2 if blocks is None else len(L(blocks)))]
        rows = _zipped if get_items is None else compose(get_items, _zipped)
        return cls(blocks=blocks, getters=getters, get_items=rows, **kwargs)

    def datasets(self, source: Any, verbose: bool = False) -> Datasets:
        """Return the data sets of a source."""
        items = source if self.get_items is None else self.get_items(source)
        splits = (self.splitter or RandomSplitter())(items)
        tfms = [[*(g.fs if hasattr(g, "fs") else L(g)), *t] for g, t in zip(self.getters, self.type_tfms)]
        tfms = [[_again(f) for f in fs] for fs in tfms]
        if verbose:
            print(f"{len(items)} items in {len(splits)} parts of {', '.join(str(len(s)) for s in splits)}")
        return Datasets(items, tfms=tfms, splits=splits, dl_type=self.dl_type, n_inp=self.n_inp)

    def dataloaders(self, source: Any, path: Any = ".", verbose: bool = False, **kwargs: Any) -> DataLoaders:
        """Return loaders of a source; see :meth:`Datasets.dataloaders`."""
        hooks: Mapping[str, Any] = {
            k: list(v) for k, v in (("after_item", self.item_tfms), ("after_batch", self.batch_tfms)) if len(v)
        }
        return self.datasets(source, verbose).dataloaders(path=path, **(self.dls_kwargs | dict(hooks) | kwargs))

    def summary(self, source: Any, bs: int = 4, show_batch: bool = False, **kwargs: Any) -> None:
        """Print what happens to one item, and the shapes of a batch."""
        found = self.datasets(source, verbose=True)
        for tl in found.train.tls:
            print(tl.tfms)
            o = next(all_items(tl.items))
            for f in tl.tfms.fs:
                o = step(f, o)
                print(f"  {getattr(f, '__name__', type(f).__name__)} gives {o!r}")
        batch = self.dataloaders(source, bs=bs).one_batch()
        print("a batch:", [getattr(o, "shape", None) for o in batch])


def _zipped(columns: Any) -> L:
    return L(zip(*columns))


def _again(f: Any) -> Any:
    """Return a fresh copy of a transform that learns from the data: each data set needs its own."""
    return f.fresh() if hasattr(f, "fresh") else f
