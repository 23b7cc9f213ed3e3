"""The learning-rate finder with fastai's suggestions."""

from __future__ import annotations

from collections import namedtuple
from functools import partial
from typing import Any

import torch

from cofactor.errors import ConfigError
from cofactor.notebook._fastcore.values import tuplify
from cofactor.train.lr_find import lr_find


def find(
    learn: Any, start: float, end: float, num_it: int | None, stop_div: bool, show_plot: bool, suggest_funcs: Any
) -> Any:
    """See :meth:`Learner.lr_find`."""
    lr, wd = learn._rates(None, None)
    core = learn.core().learn
    num = min(max(len(core.train) // core.bs, 100), 2000) if num_it is None else max(num_it, 10)
    last = start * (end / start) ** ((num - 1) / num) if 0 < start < end else end  # fastai stops one step earlier
    found = lr_find(core, start, last, num, wd, stop_div, float(learn.opt.hypers[-1].get("mom", 0.0)))
    schedule = learn.recorder.hps  # of the last fit, which plot_sched still shows
    learn.recorder.reset()
    learn.recorder.hps = schedule
    learn.recorder.lrs = [float(x) for x in found.lrs]
    learn.recorder.losses = list(torch.from_numpy(found.losses.astype("float32")).unbind())
    for hyper in learn.opt.hypers:
        hyper["lr"] = lr
    if suggest_funcs is None:
        if show_plot:
            _plot(learn, None, None)
        return None
    n = len(found.lrs)
    part = slice(n // 10, max(n - 5, n // 10 + 4))
    lrs, losses = torch.tensor(found.lrs[part]).float(), torch.tensor(found.losses[part]).float()
    names, rates, points = [], [], []
    for f in tuplify(suggest_funcs):
        if not callable(f):
            raise ConfigError(f"suggest_funcs holds {f!r}; give functions such as valley, steep, minimum, slide")
        names.append(f.func.__name__ if isinstance(f, partial) else f.__name__)
        rate, point = f(lrs, losses, n)
        rates.append(float(rate))
        points.append(point)
    if show_plot:
        _plot(learn, points, names)
    kind = namedtuple("SuggestedLRs", names)  # type: ignore[misc]
    return kind(*rates)


def _plot(learn: Any, points: Any, names: Any) -> None:
    try:
        import matplotlib  # noqa: F401
    except ImportError:  # the numbers are still returned
        return
    learn.recorder.plot_lr_find(suggestions=points, nms=names)
