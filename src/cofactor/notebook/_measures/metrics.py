"""Metrics: averages over batches, functions of all predictions, and those of scikit-learn and SciPy by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from cofactor.errors import ConfigError
from cofactor.notebook._fastcore.texts import class2attr
from cofactor.notebook._tensors import find_bs, flatten_check, to_detach

__all__ = [
    "AccumMetric",
    "AvgLoss",
    "AvgMetric",
    "AvgSmoothLoss",
    "LossMetric",
    "LossMetrics",
    "Metric",
    "Perplexity",
    "ValueMetric",
    "mk_metric",
    "perplexity",
]


class Metric:
    """The base of metrics. Subclass it: ``reset``, ``accumulate(learn)`` after each batch (``learn.pred``,
    ``learn.y``), ``value``, ``name``."""

    def reset(self) -> None: ...

    def accumulate(self, learn: Any) -> None: ...

    @property
    def value(self) -> Any:
        raise NotImplementedError

    @property
    def name(self) -> str:
        return class2attr(self, "Metric")


class AvgMetric(Metric):
    """The mean of a function of predictions and targets over batches, weighted by their numbers of rows."""

    def __init__(self, func: Callable[..., Any]) -> None:
        self.func = func
        self.reset()

    def reset(self) -> None:
        self.total, self.count = 0.0, 0

    def accumulate(self, learn: Any) -> None:
        bs = find_bs(learn.yb)
        self.total += to_detach(self.func(learn.pred, *learn.yb)) * bs
        self.count += bs

    @property
    def value(self) -> Any:
        return self.total / self.count if self.count else None

    @property
    def name(self) -> str:
        inner = getattr(self.func, "func", self.func)
        return str(getattr(inner, "__name__", type(inner).__name__))


class AvgLoss(Metric):
    """The mean loss over batches."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.total, self.count = 0.0, 0

    def accumulate(self, learn: Any) -> None:
        bs = find_bs(learn.yb)
        self.total += to_detach(learn.loss.mean()) * bs
        self.count += bs

    @property
    def value(self) -> Any:
        return self.total / self.count if self.count else None

    @property
    def name(self) -> str:
        return "loss"


class AvgSmoothLoss(Metric):
    """The recent mean loss, exponentially weighted by ``beta``."""

    def __init__(self, beta: float = 0.98) -> None:
        self.beta = beta
        self.reset()

    def reset(self) -> None:
        self.count, self.val = 0, torch.tensor(0.0)

    def accumulate(self, learn: Any) -> None:
        self.count += 1
        self.val = torch.lerp(to_detach(learn.loss.mean()).float(), self.val, self.beta)

    @property
    def value(self) -> Any:
        return self.val / (1 - self.beta**self.count) if self.count else self.val


class ValueMetric(Metric):
    """The value that a function returns at the end of an epoch."""

    def __init__(self, func: Callable[[], Any], metric_name: str | None = None) -> None:
        self.func, self.metric_name = func, metric_name

    @property
    def value(self) -> Any:
        return self.func()

    @property
    def name(self) -> str:
        return self.metric_name or str(getattr(self.func, "__name__", type(self.func).__name__))


class AccumMetric(Metric):
    """A function of all predictions and targets, called once at the end."""

    def __init__(
        self,
        func: Callable[..., Any],
        dim_argmax: int | None = None,
        activation: str = "no",
        thresh: float | None = None,
        to_np: bool = False,
        invert_arg: bool = False,
        flatten: bool = True,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        self.func, self.dim_argmax, self.activation, self.thresh = func, dim_argmax, activation, thresh
        self.to_np, self.invert_args, self.flatten, self.kwargs = to_np, invert_arg, flatten, kwargs
        self._name = name or str(getattr(getattr(func, "func", func), "__name__", type(func).__name__))
        self.reset()

    def reset(self) -> None:
        self.targs: list[Tensor] = []
        self.preds: list[Tensor] = []

    def accumulate(self, learn: Any) -> None:
        self.accum_values(learn.pred, learn.y, learn)

    def accum_values(self, preds: Any, targs: Any, learn: Any = None) -> None:
        """Add predictions and targets."""
        preds = preds.argmax(dim=self.dim_argmax) if self.dim_argmax is not None else preds
        if self.activation == "sigmoid":
            preds = torch.sigmoid(preds)
        elif self.activation == "softmax":
            preds = F.softmax(preds, dim=-1)
        elif self.activation == "binarysoftmax":
            preds = F.softmax(preds, dim=-1)[:, -1]
        if self.thresh is not None:
            preds = preds >= self.thresh
        if self.flatten:
            preds, targs = flatten_check(preds, targs)
        self.preds.append(to_detach(preds))
        self.targs.append(to_detach(targs))

    def __call__(self, preds: Any, targs: Any) -> Any:
        """Return the metric of all predictions and targets at once."""
        self.reset()
        self.accum_values(torch.as_tensor(preds), torch.as_tensor(targs))
        return self.value

    @property
    def value(self) -> Any:
        if not self.preds:
            return None
        preds: Any = torch.cat(self.preds)
        targs: Any = torch.cat(self.targs)
        if self.to_np:
            preds, targs = preds.numpy(), targs.numpy()
        return self.func(targs, preds, **self.kwargs) if self.invert_args else self.func(preds, targs, **self.kwargs)

    @property
    def name(self) -> str:
        return self._name

    @name.setter
    def name(self, value: str) -> None:
        self._name = value


class Perplexity(AvgLoss):
    """The exponential of the mean loss."""

    @property
    def value(self) -> Any:
        return torch.exp(self.total / self.count) if self.count else None  # type: ignore[arg-type]

    @property
    def name(self) -> str:
        return "perplexity"


perplexity = Perplexity()


class LossMetric(AvgMetric):
    """A number that the loss function keeps as an attribute, averaged."""

    def __init__(self, attr: str, nm: str | None = None) -> None:
        self.attr, self.nm = attr, nm
        self.reset()

    def accumulate(self, learn: Any) -> None:
        bs = find_bs(learn.yb)
        self.total += to_detach(getattr(learn.loss_func, self.attr, 0)) * bs
        self.count += bs

    @property
    def name(self) -> str:
        return self.nm or self.attr


def LossMetrics(attrs: Any, nms: Any = None) -> list[LossMetric]:
    names = attrs.split(",") if isinstance(attrs, str) else list(attrs)
    shown = names if nms is None else nms.split(",") if isinstance(nms, str) else list(nms)
    return [LossMetric(a, n) for a, n in zip(names, shown)]


def mk_metric(m: Any) -> Metric:
    """Return the metric of a function; a metric is returned unchanged."""
    if isinstance(m, type):
        m = m()
    if isinstance(m, Metric):
        return m
    if not callable(m):
        raise ConfigError(f"a metric is a function of predictions and targets, such as rmse or mae, not {m!r}")
    return AvgMetric(m)


# ---- by name
