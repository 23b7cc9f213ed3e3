"""The named ways to train: one cycle, a constant rate, flat then cosine, cosine waves, two fits in turn; and the
search for a rate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cofactor import train
from cofactor._validate import check_int, check_number
from cofactor.errors import ConfigError
from cofactor.notebook._keywords import part_of
from cofactor.notebook._training.lr_find import find
from cofactor.notebook._training.schedules import valley
from cofactor.train.schedules import Plan, one_cycle_plan

Array = NDArray[Any]


@part_of("Learner")
class Fits:
    """The fits of a Learner. Each makes a plan for :meth:`run`."""

    lr: Any
    wd: float | None
    moms: tuple[float, ...]
    opt: Any

    def run(
        self, plan: Plan, cbs: Any = None, reset_opt: bool = False, scheduled: bool = True, start_epoch: int = 0
    ) -> None:
        raise NotImplementedError

    def create_opt(self) -> None:
        raise NotImplementedError

    def stale(self) -> bool:
        raise NotImplementedError

    def freeze(self) -> None:
        raise NotImplementedError

    def unfreeze(self) -> None:
        raise NotImplementedError

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

    def fit_one_cycle(
        self,
        n_epoch: int,
        lr_max: Any = None,
        div: float = 25.0,
        div_final: float = 1e5,
        pct_start: float = 0.25,
        wd: float | None = None,
        moms: Sequence[float] | None = None,
        cbs: Any = None,
        reset_opt: bool = False,
        start_epoch: int = 0,
    ) -> None:
        """Train by the one-cycle policy. ``wd`` is 0.01 unless given here or to the Learner."""
        first, middle, last = (float(m) for m in (self.moms if moms is None else moms))
        lr, decay = self._rates(lr_max, wd, reset_opt)
        check_rates(n_epoch, lr, decay)
        shape: dict[str, Any] = {"div": div, "div_final": div_final, "pct_start": pct_start}
        self.run(one_cycle_plan(n_epoch, lr, decay, moms=(first, middle, last), **shape), cbs, start_epoch=start_epoch)

    def fit(
        self,
        n_epoch: int,
        lr: Any = None,
        wd: float | None = None,
        cbs: Any = None,
        reset_opt: bool = False,
        start_epoch: int = 0,
    ) -> None:
        """Train at a constant rate."""
        rate, decay = self._rates(lr, wd, reset_opt)
        check_rates(n_epoch, rate, decay)

        def of(name: str) -> Callable[[Array], Array]:  # callbacks may change them
            return lambda p: np.full(len(p), float(self.opt.hypers[-1].get(name, 0.0)))

        self.run(
            Plan(n_epoch, of("lr"), of("mom"), decay, f"flat({n_epoch}, {rate!r}, wd={decay!r})"),
            cbs,
            scheduled=False,
            start_epoch=start_epoch,
        )

    def fit_flat_cos(
        self,
        n_epoch: int,
        lr: Any = None,
        div_final: float = 1e5,
        pct_start: float = 0.75,
        wd: float | None = None,
        cbs: Any = None,
        reset_opt: bool = False,
        start_epoch: int = 0,
    ) -> None:
        """Train at a constant rate, then decrease it along half a cosine wave."""
        rate, decay = self._rates(lr, wd, reset_opt)
        check_rates(n_epoch, rate, decay)
        down = train.schedules.joined(
            pct_start, train.schedules.constant(rate), train.schedules.cosine(rate, rate / div_final)
        )
        self.run(
            Plan(n_epoch, down, self._mom(), decay, f"flat_cos({n_epoch}, {rate!r})"), cbs, start_epoch=start_epoch
        )

    def fit_sgdr(
        self,
        n_cycles: int,
        cycle_len: int,
        lr_max: Any = None,
        cycle_mult: int = 2,
        cbs: Any = None,
        reset_opt: bool = False,
        wd: float | None = None,
        start_epoch: int = 0,
    ) -> None:
        """Train by cosine waves with restarts (Loshchilov & Hutter 2017), each ``cycle_mult`` times as long as the
        last."""
        rate, decay = self._rates(lr_max, wd, reset_opt)
        lengths = [check_int("cycle_len", cycle_len) * cycle_mult**i for i in range(check_int("n_cycles", n_cycles))]
        epochs = sum(lengths)
        check_rates(epochs, rate, decay)
        ends = np.cumsum([0, *lengths]) / epochs

        def waves(p: Array) -> Array:
            at = np.clip(np.searchsorted(ends, p, side="right") - 1, 0, len(lengths) - 1)
            inside = (p - ends[at]) / (ends[at + 1] - ends[at])
            found: Array = rate * (1 + np.cos(np.pi * inside)) / 2
            return np.maximum(found, 1e-12)

        self.run(Plan(epochs, waves, self._mom(), decay, f"sgdr({lengths}, {rate!r})"), cbs, start_epoch=start_epoch)

    def fine_tune(
        self,
        epochs: int,
        base_lr: Any = 2e-3,
        freeze_epochs: int = 1,
        lr_mult: float = 100,
        pct_start: float = 0.3,
        div: float = 5.0,
        div_final: float = 1e5,
        wd: float | None = None,
        moms: Sequence[float] | None = None,
        cbs: Any = None,
        reset_opt: bool = False,
        start_epoch: int = 0,
    ) -> None:
        """Fit twice: ``freeze_epochs`` with all groups of parameters but the last frozen, then ``epochs`` with half the
        rate. These models have one group, so nothing is frozen."""
        self.freeze()
        more: dict[str, Any] = {"div_final": div_final, "wd": wd, "moms": moms, "cbs": cbs}
        more |= {"reset_opt": reset_opt, "start_epoch": start_epoch}
        self.fit_one_cycle(freeze_epochs, slice(base_lr), pct_start=0.99, **more)
        base_lr /= 2
        self.unfreeze()
        self.fit_one_cycle(epochs, slice(base_lr / lr_mult, base_lr), pct_start=pct_start, div=div, **more)

    def _mom(self) -> Callable[[Array], Array]:
        return lambda p: np.full(len(p), float(self.opt.hypers[-1].get("mom", 0.0)))

    def _rates(self, lr: Any, wd: float | None, reset_opt: bool = False) -> tuple[float, float]:
        if reset_opt or self.opt is None or self.stale():
            self.create_opt()
        given = self.lr if lr is None else lr
        values = (
            [given.stop]
            if isinstance(given, slice)
            else list(given)
            if isinstance(given, (list, tuple, np.ndarray)) and np.ndim(given)
            else [given]
        )
        for value in values:
            check_number("the learning rate", value)
        if isinstance(given, slice) and given.start is not None and given.stop is None:
            given = slice(given.start)
        self.opt.set_hyper("lr", given)
        decay = self.wd if wd is None else wd
        if decay is not None:
            self.opt.set_hyper("wd", check_number("the weight decay", decay))
        return float(self.opt.hypers[-1]["lr"]), float(self.opt.hypers[-1].setdefault("wd", 0.01))


def check_rates(epochs: int, lr: float, wd: float) -> None:
    """Raise ConfigError unless the number of epochs is a count, and rate and decay are 0 or more. (A rate of 0 moves
    no weight: such a fit measures.)"""
    check_int("epochs", epochs)
    for name, value in (("the learning rate", lr), ("the weight decay", wd)):
        if check_number(name, value) < 0:
            raise ConfigError(f"{name} is {value}; it must be 0 or more")
