"""Rows with their predictions in the table's own form: ``predict`` for one, ``show_results`` for a few."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import torch

from cofactor._validate import check_int
from cofactor.data.ids.id_map import IdMap
from cofactor.errors import ConfigError, UnknownIdError
from cofactor.notebook._errors import MissingValueError
from cofactor.notebook._keywords import part_of, takes
from cofactor.notebook._loaders.frames import ShownRow
from cofactor.notebook._loaders.frames import show as show_frame
from cofactor.notebook._loaders.item_sets import Datasets, frame_of, taken
from cofactor.notebook._loaders.tabular import TabularPandas
from cofactor.notebook._training.get_preds import Predicts


@part_of("Learner")
class ShowsResults(Predicts):
    """Rows of a Learner's data with their predictions."""

    def predict(self, item: Any, rm_type_tfms: Any = None, with_input: bool = False) -> tuple[Any, ...]:
        """Return the prediction for one row (a Series, dict, or pair user, item): the row with it; it as a tensor;
        again."""
        ds = self.dls.train_ds
        if isinstance(ds, Datasets):
            return self._predict_item(ds, item, rm_type_tfms, with_input)
        if not isinstance(ds, TabularPandas):
            raise ConfigError(
                "predict needs loaders of a table; for these loaders of another data set, call learn.model"
            )
        filled = getattr(getattr(ds.procs, "fill_missing", None), "na_dict", {})
        names = [n for n in (*ds.cat_names, *ds.cont_names) if str(n).removesuffix("_na") not in filled or n in filled]
        if isinstance(item, pd.DataFrame) and len(item) == 1:
            item = item.iloc[0]
        if not isinstance(item, (tuple, list, dict, pd.Series)):
            raise ConfigError("predict takes one row: a Series, a dict or a pair (user, item); for more, use get_preds")
        row = dict(zip(names, item)) if isinstance(item, (tuple, list)) else dict(item)
        for name in names:
            if name not in row:
                raise MissingValueError(f"the row has no {name!r}; it has: {', '.join(map(str, row))}")
        for name in (n for n in ds.cat_names if n in names):
            row[name] = _known(row[name], self.dls.classes[name], str(name))
        dl = self.dls.test_dl(pd.DataFrame([{n: row[n] for n in names}]))
        preds, _, decoded = self.get_preds(dl=dl, with_decoded=True)
        given = pd.Series({n: row[n] for n in names}, dtype=object)
        value = decoded[0].reshape(-1)
        shown: Any = ShownRow(given)
        for i, y in enumerate(ds.y_names):
            vocab = getattr(ds.procs, "vocab", None)
            shown[y] = vocab[int(value[0])] if vocab is not None else float(value[min(i, len(value) - 1)])
        found = (shown, decoded[0], preds[0])
        return (given, *found) if with_input else found

    def _predict_item(self, ds: Datasets, item: Any, rm_type_tfms: Any, with_input: bool) -> tuple[Any, ...]:
        """Return the prediction for one item of a ``Datasets``: its target in its original form, as a tensor, and the
        output."""
        one = pd.DataFrame([item]) if isinstance(item, pd.Series) else [item]
        dl = self.dls.test_dl(one, rm_type_tfms=rm_type_tfms)
        inputs, preds, _, decoded = self.get_preds(dl=dl, with_input=True, with_decoded=True)
        inputs = inputs if isinstance(inputs, tuple) else (inputs,)
        whole = ds.decode((*(x[0] for x in inputs), decoded[0]))
        given, target = whole[: ds.n_inp], whole[ds.n_inp :]
        found = (target[0] if len(target) == 1 else target, decoded[0], preds[0])
        return (given[0] if len(given) == 1 else given, *found) if with_input else found

    @takes("ctxs", called="Learner")
    def show_results(
        self, ds_idx: int = 1, dl: Any = None, max_n: int = 9, shuffle: bool = True, show: bool = True
    ) -> Any:
        """Show targets and predictions of a few rows; with ``show=False`` return them as a frame."""
        dl = self._loader(ds_idx, dl)
        ds = getattr(dl, "dataset", None)
        if isinstance(ds, Datasets):
            frame = self._results_of_items(ds, dl, max_n, shuffle)
            return show_frame(frame) if show else frame
        if not isinstance(ds, TabularPandas):
            raise ConfigError("show_results supports only rows of a table")
        n = min(check_int("max_n", max_n), len(ds))
        at = (torch.randperm(len(ds)) if shuffle else torch.arange(len(ds)))[:n].numpy()
        rows = ds.new(ds.items.iloc[at])
        decoded = self.get_preds(dl=dl.new(rows, shuffle=False, drop_last=False), with_decoded=True)[2]
        frame = rows.new(rows.all_cols).decode().items.reset_index(drop=True)
        guess = decoded.reshape(len(decoded), -1).numpy()
        for i, y in enumerate(ds.y_names):
            frame[f"{y}_pred"] = guess[:, min(i, guess.shape[1] - 1)]
        return show_frame(frame) if show else frame

    def _results_of_items(self, ds: Datasets, dl: Any, max_n: int, shuffle: bool) -> pd.DataFrame:
        """Return a few items of a ``Datasets`` with the predictions of their targets."""
        n = min(check_int("max_n", max_n), len(ds))
        at = (torch.randperm(len(ds)) if shuffle else torch.arange(len(ds)))[:n].tolist()
        tls = [type(tl)._new(tl, taken(tl.items, at)) for tl in ds.tls]
        rows = dl.new(Datasets(tls=tls, n_inp=ds.n_inp), bs=max(n, 1), shuffle=False, drop_last=False)
        (batch,) = list(rows) or [((),)]
        decoded = self.get_preds(dl=rows, with_decoded=True)[2]
        guessed = [ds.decode((*(part[i] for part in batch[: ds.n_inp]), decoded[i]))[ds.n_inp :] for i in range(n)]
        frame = frame_of([(*row, *more) for row, more in zip(self.dls.decode_batch(batch, n), guessed)])
        names = [f"input {i + 1}" for i in range(ds.n_inp)] + ["target", "prediction"]
        frame.columns = names if len(names) == frame.shape[1] else frame.columns
        return frame


def _known(value: Any, classes: Any, name: str) -> Any:
    """Return an id in the form of the classes (whole numbers that pandas made floats become whole again). Raises
    UnknownIdError if it is unknown."""
    value = value.item() if isinstance(value, np.generic) else value
    known = classes.o2i
    if isinstance(value, float) and value.is_integer() and int(value) in known:
        return int(value)
    try:
        if value in known and value != "#na#":
            return value
    except TypeError:
        pass
    raise UnknownIdError(IdMap(pl.Series(values=list(classes.items[1:])), name).unknown(value))
