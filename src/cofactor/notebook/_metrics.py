"""Metrics: averages over batches, functions of all predictions, and those of scikit-learn and SciPy by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from cofactor.errors import ConfigError, MissingExtraError
from cofactor.notebook._tensors import find_bs, flatten_check, to_detach
from cofactor.notebook._texts import class2attr

__all__ = [
    "APScoreBinary",
    "APScoreMulti",
    "AccumMetric",
    "AvgLoss",
    "AvgMetric",
    "AvgSmoothLoss",
    "BalancedAccuracy",
    "BrierScore",
    "CohenKappa",
    "ExplainedVariance",
    "F1Score",
    "F1ScoreMulti",
    "FBeta",
    "HammingLoss",
    "Jaccard",
    "JaccardMulti",
    "LossMetric",
    "LossMetrics",
    "MatthewsCorrCoef",
    "Metric",
    "PearsonCorrCoef",
    "Perplexity",
    "Precision",
    "PrecisionMulti",
    "R2Score",
    "Recall",
    "RecallMulti",
    "RocAuc",
    "RocAucBinary",
    "RocAucMulti",
    "SpearmanCorrCoef",
    "ValueMetric",
    "accuracy",
    "accuracy_multi",
    "error_rate",
    "exp_rmspe",
    "mae",
    "mk_metric",
    "mse",
    "msle",
    "optim_metric",
    "perplexity",
    "rmse",
    "skm_to_fastai",
    "top_k_accuracy",
]


class Metric:
    """Subclass it: ``reset``, ``accumulate(learn)`` after each batch (``learn.pred``, ``learn.y``), ``value``,
    ``name``."""

    def reset(self) -> None: ...

    def accumulate(self, learn: Any) -> None: ...

    @property
    def value(self) -> Any:
        raise NotImplementedError

    @property
    def name(self) -> str:
        return class2attr(self, "Metric")


class AvgMetric(Metric):
    """The mean of a function of predictions and targets over batches, each counted for its rows."""

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
    """The mean loss of late: exponentially weighted by ``beta``."""

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
    """What a function returns at the end of an epoch."""

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
        """Take in predictions and targets."""
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
        """The metric of predictions and targets at once."""
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
    """A metric of a function; one that is a metric already as it is."""
    if isinstance(m, type):
        m = m()
    if isinstance(m, Metric):
        return m
    if not callable(m):
        raise ConfigError(f"a metric is a function of predictions and targets, such as rmse or mae, not {m!r}")
    return AvgMetric(m)


# ---- by name


def mse(inp: Any, targ: Any) -> Tensor:
    """Mean squared error."""
    return F.mse_loss(*_floats(*flatten_check(torch.as_tensor(inp), torch.as_tensor(targ))))


def mae(inp: Any, targ: Any) -> Tensor:
    """Mean absolute error."""
    inp, targ = _floats(*flatten_check(torch.as_tensor(inp), torch.as_tensor(targ)))
    return torch.abs(inp - targ).mean()


def msle(inp: Any, targ: Any) -> Tensor:
    """Mean squared error of logarithms."""
    inp, targ = _floats(*flatten_check(torch.as_tensor(inp), torch.as_tensor(targ)))
    return F.mse_loss(torch.log(1 + inp), torch.log(1 + targ))


def _floats(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    return (a if a.is_floating_point() else a.float()), (b if b.is_floating_point() else b.float())


def _rmse(inp: Tensor, targ: Tensor) -> Tensor:
    return torch.sqrt(F.mse_loss(*_floats(inp, targ)))


rmse = AccumMetric(_rmse)
"""Root of the mean squared error."""


def _exp_rmspe(inp: Tensor, targ: Tensor) -> Tensor:
    inp, targ = torch.exp(inp), torch.exp(targ.float())
    return torch.sqrt(((targ - inp) / targ).pow(2).mean())


exp_rmspe = AccumMetric(_exp_rmspe)
"""Root mean square percentage error of the exponentials."""


def accuracy(inp: Tensor, targ: Tensor, axis: int = -1) -> Tensor:
    """The share of rows whose most likely class is the target."""
    pred, targ = flatten_check(inp.argmax(dim=axis), targ)
    return (pred == targ).float().mean()


def error_rate(inp: Tensor, targ: Tensor, axis: int = -1) -> Tensor:
    """1 - accuracy."""
    return 1 - accuracy(inp, targ, axis=axis)


def top_k_accuracy(inp: Tensor, targ: Tensor, k: int = 5, axis: int = -1) -> Tensor:
    """The share of rows whose target is among the ``k`` most likely classes."""
    best = inp.topk(k=k, dim=axis)[1]
    targ = targ.reshape(-1).unsqueeze(dim=axis).expand_as(best)
    return (best == targ).sum(dim=-1).float().mean()


def accuracy_multi(inp: Tensor, targ: Tensor, thresh: float = 0.5, sigmoid: bool = True) -> Tensor:
    """The share of labels that are right at a threshold."""
    inp, targ = flatten_check(inp, targ)
    return (((inp.sigmoid() if sigmoid else inp) > thresh) == targ.bool()).float().mean()


def skm_to_fastai(
    func: Callable[..., Any],
    is_class: bool = True,
    thresh: float | None = None,
    axis: int = -1,
    activation: str | None = None,
    **kwargs: Any,
) -> AccumMetric:
    """A metric of scikit-learn as one of these."""
    dim_argmax = axis if is_class and thresh is None else None
    if activation is None:
        activation = "sigmoid" if is_class and thresh is not None else "no"
    return AccumMetric(
        func, dim_argmax=dim_argmax, activation=activation, thresh=thresh, to_np=True, invert_arg=True, **kwargs
    )


def optim_metric(
    f: Callable[..., Any], argname: str, bounds: Any, tol: float = 0.01, do_neg: bool = True, get_x: bool = False
) -> Any:
    """A metric at the best value of one of its arguments."""
    import scipy.optimize as so

    def best(preds: Any, targs: Any) -> Any:
        def of(x: float) -> float:
            value = float(f(preds, targs, **{argname: x}))
            return -value if do_neg else value

        found = so.minimize_scalar(of, bounds=bounds, method="bounded", options={"xatol": tol})
        value = -found.fun if do_neg else found.fun
        return (value, found.x) if get_x else value

    best.__name__ = f"opt_{getattr(f, '__name__', 'metric')}"
    return best


def sklearn_function(name: str) -> Callable[..., Any]:
    """A function of ``sklearn.metrics`` that is imported when it is called."""

    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            import sklearn.metrics
        except ImportError:
            raise MissingExtraError("scikit-learn", "torch", f"the metric {name}") from None
        return getattr(sklearn.metrics, name)(*args, **kwargs)

    call.__name__ = name
    return call


def _by_class(name: str) -> Callable[..., AccumMetric]:
    def make(axis: int = -1, **kwargs: Any) -> AccumMetric:
        return skm_to_fastai(sklearn_function(name), axis=axis, **kwargs)

    return make


def _by_label(name: str) -> Callable[..., AccumMetric]:
    def make(thresh: float = 0.5, sigmoid: bool = True, average: str = "macro", **kwargs: Any) -> AccumMetric:
        activation = "sigmoid" if sigmoid else "no"
        return skm_to_fastai(
            sklearn_function(name), thresh=thresh, activation=activation, flatten=False, average=average, **kwargs
        )

    return make


BalancedAccuracy, CohenKappa = _by_class("balanced_accuracy_score"), _by_class("cohen_kappa_score")
F1Score, HammingLoss, Jaccard = _by_class("f1_score"), _by_class("hamming_loss"), _by_class("jaccard_score")
Precision, Recall, MatthewsCorrCoef = (
    _by_class("precision_score"),
    _by_class("recall_score"),
    _by_class("matthews_corrcoef"),
)
F1ScoreMulti, JaccardMulti = _by_label("f1_score"), _by_label("jaccard_score")
PrecisionMulti, RecallMulti = _by_label("precision_score"), _by_label("recall_score")


def FBeta(beta: float, axis: int = -1, **kwargs: Any) -> AccumMetric:
    return skm_to_fastai(sklearn_function("fbeta_score"), axis=axis, beta=beta, **kwargs)


def RocAuc(axis: int = -1, average: str = "macro", multi_class: str = "ovr", **kwargs: Any) -> AccumMetric:
    return skm_to_fastai(
        sklearn_function("roc_auc_score"),
        axis=axis,
        activation="softmax",
        is_class=False,
        flatten=False,
        average=average,
        multi_class=multi_class,
        **kwargs,
    )


def RocAucBinary(axis: int = -1, average: str = "macro", **kwargs: Any) -> AccumMetric:
    return skm_to_fastai(
        sklearn_function("roc_auc_score"),
        axis=axis,
        activation="binarysoftmax",
        is_class=False,
        average=average,
        **kwargs,
    )


def RocAucMulti(sigmoid: bool = True, average: str = "macro", **kwargs: Any) -> AccumMetric:
    return skm_to_fastai(
        sklearn_function("roc_auc_score"),
        activation="sigmoid" if sigmoid else "no",
        is_class=False,
        flatten=False,
        average=average,
        **kwargs,
    )


def APScoreBinary(axis: int = -1, average: str = "macro", **kwargs: Any) -> AccumMetric:
    return skm_to_fastai(
        sklearn_function("average_precision_score"),
        axis=axis,
        activation="binarysoftmax",
        is_class=False,
        average=average,
        **kwargs,
    )


def APScoreMulti(sigmoid: bool = True, average: str = "macro", **kwargs: Any) -> AccumMetric:
    return skm_to_fastai(
        sklearn_function("average_precision_score"),
        activation="sigmoid" if sigmoid else "no",
        is_class=False,
        flatten=False,
        average=average,
        **kwargs,
    )


def BrierScore(axis: int = -1, **kwargs: Any) -> AccumMetric:
    return skm_to_fastai(sklearn_function("brier_score_loss"), axis=axis, **kwargs)


def R2Score(sample_weight: Any = None) -> AccumMetric:
    """The share of the targets' variance that predictions explain, their mean error counted."""

    def r2_score(targs: Any, preds: Any) -> float:
        targs, preds = targs.astype(np.float64), preds.astype(np.float64)
        w = np.ones(len(targs)) if sample_weight is None else np.asarray(sample_weight, np.float64)
        mean = (w * targs).sum() / w.sum()
        return float(1 - (w * (targs - preds) ** 2).sum() / (w * (targs - mean) ** 2).sum())

    return AccumMetric(r2_score, to_np=True, invert_arg=True)


def ExplainedVariance(sample_weight: Any = None) -> AccumMetric:
    """The share of the targets' variance that predictions explain, their mean error left aside."""

    def explained_variance_score(targs: Any, preds: Any) -> float:
        targs = targs.astype(np.float64)
        return float(1 - (targs - preds.astype(np.float64)).var() / targs.var())

    return AccumMetric(explained_variance_score, to_np=True, invert_arg=True)


def PearsonCorrCoef(dim_argmax: int | None = None, **kwargs: Any) -> AccumMetric:
    """The linear correlation of predictions and targets."""

    def pearsonr(x: Any, y: Any) -> float:
        return float(np.corrcoef(x.astype(np.float64), y.astype(np.float64))[0, 1])

    return AccumMetric(pearsonr, dim_argmax=dim_argmax, to_np=True, invert_arg=False, **kwargs)


def SpearmanCorrCoef(
    dim_argmax: int | None = None, axis: int = 0, nan_policy: str = "propagate", **kwargs: Any
) -> AccumMetric:
    """The correlation of ranks."""

    def spearmanr(a: Any, b: Any) -> float:
        from scipy.stats import rankdata

        return float(np.corrcoef(rankdata(a), rankdata(b))[0, 1])

    return AccumMetric(spearmanr, dim_argmax=dim_argmax, to_np=True, invert_arg=False, **kwargs)
