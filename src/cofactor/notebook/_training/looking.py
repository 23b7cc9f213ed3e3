"""The methods of a Learner besides training: validation, predictions, rows with their predictions, rates to try."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from cofactor._validate import check_int
from cofactor.data.ids.id_map import IdMap
from cofactor.errors import ConfigError, UnknownIdError
from cofactor.notebook._callbacks.callbacks import DEFAULT
from cofactor.notebook._callbacks.events import Callback
from cofactor.notebook._callbacks.recorder import shown_time
from cofactor.notebook._environment import replacing_yield
from cofactor.notebook._errors import MissingValueError
from cofactor.notebook._fastcore.lists import L
from cofactor.notebook._fastcore.values import noop
from cofactor.notebook._keywords import part_of, takes
from cofactor.notebook._loaders.frames import ShownRow
from cofactor.notebook._loaders.frames import show as show_frame
from cofactor.notebook._loaders.item_sets import Datasets, frame_of, taken
from cofactor.notebook._loaders.loaders import DataLoaders
from cofactor.notebook._loaders.tabular import TabularPandas
from cofactor.notebook._measures import losses_known
from cofactor.notebook._measures.losses_known import checked_shapes, is_flat
from cofactor.notebook._measures.metrics import AvgMetric
from cofactor.notebook._tensors import nested_reorder, to_detach
from cofactor.notebook._training import predictions
from cofactor.notebook._training.lr_find import find
from cofactor.notebook._training.predictions import Predicted
from cofactor.notebook._training.schedules import valley

Array = NDArray[Any]


@part_of("Learner")
class Looks:
    """Validation and predictions of a Learner, and the methods that they need."""

    dls: Any
    recorder: Any
    cbs: Any
    loss_func: Any
    epoch: int
    _core: Any
    _module: Any
    _looked: list[Any]
    _looking: bool
    __call__: Callable[..., None]
    validate_batches: Callable[..., None]
    has_own_pieces: bool
    _split: Callable[..., None]
    xb: Any
    yb: Any
    pred: Any
    loss: Any
    no_logging: Callable[..., Any]
    added_cbs: Callable[..., Any]
    _job: Callable[..., Any]

    @property
    def model(self) -> Any:
        raise NotImplementedError

    @property
    def metrics(self) -> Any:
        raise NotImplementedError

    # ---- looking

    def lr_find(
        self,
        start_lr: float = 1e-7,
        end_lr: float = 10.0,
        num_it: int | None = None,
        stop_div: bool = True,
        show_plot: bool = True,
        suggest_funcs: Any = (valley,),
    ) -> Any:
        """Record losses at rates from small to large, in a trial run. Returns a named tuple of suggestions, one for
        each of ``suggest_funcs``.

        ``num_it``: the number of batches; by default one epoch (100 to 2,000), because an embedding row learns only in
        its own batches.
        """
        return find(self, start_lr, end_lr, num_it, stop_div, show_plot, suggest_funcs)

    def _loader(self, ds_idx: int, dl: Any) -> Any:
        many = len(self.dls.loaders)
        if dl is None and not -many <= ds_idx < many:
            raise IndexError(f"ds_idx is {ds_idx}; there are {many} loaders: 0 is for training, 1 for validation")
        return self.dls[ds_idx] if dl is None else dl.train if isinstance(dl, DataLoaders) else dl

    def validate(self, ds_idx: int = 1, dl: Any = None, cbs: Any = None) -> L:
        """Return the loss, then the metrics, on the validation rows (or ``ds_idx=0``, the training rows; or a
        loader)."""
        dl, start = self._loader(ds_idx, dl), time.perf_counter()
        with self._quiet(cbs):
            if self._goes_by_batch():
                self._by_events(dl)
            else:
                self.recorder.log = L()
                self._measure(dl, needed=True)
            self.final_record = L(self.recorder.log)
            self.recorder.log = (
                L(getattr(self, "epoch", 0)) + self.final_record + L(shown_time(time.perf_counter() - start))
            )
        return self.final_record

    def _goes_by_batch(self) -> bool:
        """Return whether callbacks need batches, or the loop is the learner's own."""
        return self.has_own_pieces or any(c.by_batch for c in self.cbs if type(c) not in DEFAULT)

    def _by_events(self, dl: Any) -> None:
        self.recorder.log = L()
        self.epoch = getattr(self, "epoch", 0)
        self("before_fit")
        self.recorder.log = L()
        self.validate_batches(dl)

    @contextlib.contextmanager
    def _quiet(self, cbs: Any = None) -> Iterator[None]:
        was, self._looking = self._looking, True
        kept = {k: getattr(self.recorder, k) for k in ("values", "losses", "lrs", "iters", "seconds", "hps")}
        try:
            with self.no_logging(), self.added_cbs(cbs):
                yield
        finally:
            self._looking = was
            self._module.eval()
            for k, v in kept.items():
                setattr(self.recorder, k, v)

    def _measure(self, dl: Any, needed: bool = False) -> None:
        """Record the loss and the metrics on a loader's rows in the recorder's line."""
        self.training = False
        found = predictions.predictions(self.model, dl, self.dls, self._core)
        known = bool(found.targets) and len(found.inputs) > 0 and len(found.inputs[0]) > 0
        if (
            known
            and isinstance(found.targets[0], Tensor)
            and found.targets[0].is_floating_point()
            and bool(torch.isnan(found.targets[0]).any())
        ):
            known = False
        if not known:
            if needed:
                raise ConfigError("validate needs ratings, and these rows have none")
            self.recorder.log = self.recorder.log + L([None] * (1 + len(self.metrics)))
            return
        rec, self.n_iter = self.recorder, len(found.sizes)
        rec.cancel_valid = False
        metrics: Any = rec._valid_mets
        for m in metrics:
            m.reset()
        fast = (
            is_flat(self.loss_func)
            and getattr(getattr(self.loss_func, "func", self.loss_func), "reduction", "mean") == "mean"
        )
        with torch.no_grad():
            if not isinstance(found.outputs, Tensor):
                self._accumulate_batches(dl, metrics)
            elif fast and isinstance(found.outputs, Tensor):
                loss = losses_known.loss_of(self.loss_func, found.outputs, *found.targets)
                rec.loss.total, rec.loss.count = to_detach(loss), 1
                metrics = [m for m in metrics if m is not rec.loss]
            if len(metrics) and isinstance(found.outputs, Tensor):
                self._accumulate(found, metrics, not fast)
            if fast and isinstance(found.outputs, Tensor):
                last = len(found.sizes) - 1
                self._hold(found, last, slice(len(found.inputs[0]) - found.sizes[last], None))
                self.loss = losses_known.loss_of(self.loss_func, self.pred, *self.yb)
        rec.after_validate()

    def _accumulate(self, found: Predicted, metrics: Any, with_loss: bool) -> None:
        first = 0
        for i, size in enumerate(found.sizes):
            self._hold(found, i, slice(first, first + size))
            first += size
            if i == 0:
                for m in metrics:
                    func = m.__dict__.get("func") if isinstance(m, AvgMetric) else None
                    if func is not None and func not in self._looked and len(self.yb) == 1:
                        self._looked.append(func)
                        checked_shapes(func, self.pred, self.yb[0])
            if with_loss or not all(hasattr(m, "func") for m in metrics):
                self.loss = losses_known.loss_of(self.loss_func, self.pred, *self.yb)
            for m in metrics:
                m.accumulate(self)

    def _hold(self, found: Predicted, i: int, rows: slice) -> None:
        """Make a batch the current one."""
        self.iter = i
        self.xb = tuple(_rows(o, rows) for o in found.inputs)
        self.yb = tuple(_rows(o, rows) for o in found.targets)
        self.pred = _rows(found.outputs, rows)

    def _accumulate_batches(self, dl: Any, metrics: Any) -> None:
        """Measure batch by batch, for modules whose output is not one tensor with a row for each row."""
        self._module.eval()
        self.n_iter = len(dl)
        for i, b in enumerate(dl):
            self.iter = i
            self._split(b)
            self.pred = self._module(*self.xb)
            self.loss = losses_known.loss_of(self.loss_func, self.pred, *self.yb)
            for m in metrics:
                m.accumulate(self)

    def measure(self, part: Any = None) -> list[float]:
        """Return the metrics on the validation rows."""
        return [float(x) for x in self.validate()[1:]]

    # ---- predictions

    def get_preds(
        self,
        ds_idx: int = 1,
        dl: Any = None,
        with_input: bool = False,
        with_decoded: bool = False,
        with_loss: bool = False,
        act: Any = None,
        inner: bool = False,
        reorder: bool = True,
        cbs: Any = None,
        with_preds: bool = True,
        with_targs: bool = True,
        save_preds: Any = None,
        save_targs: Any = None,
        concat_dim: int = 0,
    ) -> tuple[Any, ...]:
        """Return predictions in the shape of the module's outputs, and targets (n, 1) in the table's own type, None if
        a loader has none. On request, inputs come before them, and decoded predictions and losses by row after them.

        ``act`` converts outputs to predictions (by default the loss function's ``activation``). Rows are in the table's
        order; with ``reorder=False`` in the order of a shuffled loader.
        """
        dl = self._loader(ds_idx, dl)
        if not isinstance(dl, list) and not hasattr(dl, "__len__"):
            raise TypeError(f"`dl` is {type(dl)} and doesn't have len(dl)")
        found = self._predicted(dl, cbs)
        outputs, targets, inputs = found.outputs, found.targets, found.inputs
        if not reorder and getattr(dl, "shuffle", False):
            at = torch.as_tensor(dl.get_idxs())
            outputs, targets, inputs = (nested_reorder(o, at) for o in (outputs, targets, inputs))
        activate = act if act is not None else getattr(self.loss_func, "activation", noop)
        preds = activate(outputs)
        result: list[Any] = [
            _cpu(preds) if with_preds else None,
            _one(targets) if with_targs and len(targets) else None,
        ]
        if with_decoded:
            result.append(_cpu(getattr(self.loss_func, "decodes", noop)(preds)))
        if with_loss:
            if not len(targets):
                raise ConfigError("get_preds(with_loss=True) needs ratings, and these rows have none")
            result.append(_cpu(self._row_losses(outputs, targets)))
        if with_input:
            result.insert(0, _one(inputs))
        for place, kept in ((save_preds, result[1 if with_input else 0]), (save_targs, _one(targets))):
            if place is not None:
                torch.save(kept, Path(place))
        return tuple(result)

    def _predicted(self, dl: Any, cbs: Any) -> Predicted:
        """Return outputs of all rows of a loader; batch by batch if callbacks need batches."""
        with self._quiet([*L(cbs)]):
            if self._goes_by_batch():
                gather = Gather()
                with self.added_cbs(gather):
                    self._by_events(dl.new(shuffle=False, drop_last=False) if hasattr(dl, "new") else dl)
                return gather.found()
            if L(cbs):
                self._by_events(dl.new(shuffle=False, drop_last=False) if hasattr(dl, "new") else dl)
        core = self._core if self._core is not None and self._core.fits(self._job()) else None
        return predictions.predictions(self.model, dl, self.dls, core)

    @torch.no_grad()
    def _row_losses(self, outputs: Any, targets: Any) -> Tensor:
        """Return the loss of each row."""
        inner = self.loss_func.func if hasattr(self.loss_func, "func") else self.loss_func
        n = len(targets[0])
        if hasattr(inner, "reduction"):
            with replacing_yield(inner, "reduction", "none"):
                found = losses_known.loss_of(self.loss_func, outputs, *targets)
            return found if found.numel() == n else found.reshape(n, -1).mean(1)
        one = (slice(i, i + 1) for i in range(n))
        each = (losses_known.loss_of(self.loss_func, _rows(outputs, at), *(t[at] for t in targets)) for at in one)
        return torch.stack([loss.mean() for loss in each])

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


class Gather(Callback):
    """Records the result of each batch of a validation, as the callbacks left it."""

    order = 100

    def before_validate(self) -> None:
        self.batches: list[tuple[Any, Any, Any]] = []

    def after_batch(self) -> None:
        self.batches.append((self.learn.xb, to_detach(self.learn.pred), self.learn.yb))

    def found(self) -> Predicted:
        return predictions.of_batches(self.batches)


def _rows(o: Any, rows: slice) -> Any:
    if isinstance(o, (tuple, list)):
        return type(o)(_rows(x, rows) for x in o)
    return o[rows] if isinstance(o, Tensor) and o.dim() else o


def _cpu(o: Any) -> Any:
    return to_detach(o)


def _one(parts: Any) -> Any:
    found = tuple(_cpu(p) for p in parts)
    return found[0] if len(found) == 1 else found if found else None


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
