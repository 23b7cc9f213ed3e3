"""Metrics by name: errors of ratings, accuracies, correlations, and scikit-learn's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from cofactor.errors import MissingExtraError
from cofactor.notebook._measures.metrics import AccumMetric
from cofactor.notebook._tensors import flatten_check

__all__ = [
    "APScoreBinary",
    "APScoreMulti",
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
    "MatthewsCorrCoef",
    "PearsonCorrCoef",
    "Precision",
    "PrecisionMulti",
    "R2Score",
    "Recall",
    "RecallMulti",
    "RocAuc",
    "RocAucBinary",
    "RocAucMulti",
    "SpearmanCorrCoef",
    "accuracy",
    "accuracy_multi",
    "error_rate",
    "exp_rmspe",
    "mae",
    "mse",
    "msle",
    "optim_metric",
    "rmse",
    "skm_to_fastai",
    "top_k_accuracy",
]


def mse(inp: Any, targ: Any) -> Tensor:
    """Return the mean squared error."""
    return F.mse_loss(*_floats(*flatten_check(torch.as_tensor(inp), torch.as_tensor(targ))))


def mae(inp: Any, targ: Any) -> Tensor:
    """Return the mean absolute error."""
    inp, targ = _floats(*flatten_check(torch.as_tensor(inp), torch.as_tensor(targ)))
    return torch.abs(inp - targ).mean()


def msle(inp: Any, targ: Any) -> Tensor:
    """Return the mean squared error of logarithms."""
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
    """Return the share of rows whose most likely class is the target."""
    pred, targ = flatten_check(inp.argmax(dim=axis), targ)
    return (pred == targ).float().mean()


def error_rate(inp: Tensor, targ: Tensor, axis: int = -1) -> Tensor:
    """1 - accuracy."""
    return 1 - accuracy(inp, targ, axis=axis)


def top_k_accuracy(inp: Tensor, targ: Tensor, k: int = 5, axis: int = -1) -> Tensor:
    """Return the share of rows whose target is among the ``k`` most likely classes."""
    best = inp.topk(k=k, dim=axis)[1]
    targ = targ.reshape(-1).unsqueeze(dim=axis).expand_as(best)
    return (best == targ).sum(dim=-1).float().mean()


def accuracy_multi(inp: Tensor, targ: Tensor, thresh: float = 0.5, sigmoid: bool = True) -> Tensor:
    """Return the share of labels that are right at a threshold."""
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
    """Return a metric of scikit-learn in this form."""
    dim_argmax = axis if is_class and thresh is None else None
    if activation is None:
        activation = "sigmoid" if is_class and thresh is not None else "no"
    return AccumMetric(
        func, dim_argmax=dim_argmax, activation=activation, thresh=thresh, to_np=True, invert_arg=True, **kwargs
    )


def optim_metric(
    f: Callable[..., Any], argname: str, bounds: Any, tol: float = 0.01, do_neg: bool = True, get_x: bool = False
) -> Any:
    """Return a metric at the best value of one of its arguments."""
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
    """Return a function of ``sklearn.metrics`` that is imported when it is called."""

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
    """Return the share of the targets' variance that predictions explain, including their mean error."""

    def r2_score(targs: Any, preds: Any) -> float:
        targs, preds = targs.astype(np.float64), preds.astype(np.float64)
        w = np.ones(len(targs)) if sample_weight is None else np.asarray(sample_weight, np.float64)
        mean = (w * targs).sum() / w.sum()
        return float(1 - (w * (targs - preds) ** 2).sum() / (w * (targs - mean) ** 2).sum())

    return AccumMetric(r2_score, to_np=True, invert_arg=True)


def ExplainedVariance(sample_weight: Any = None) -> AccumMetric:
    """Return the share of the targets' variance that predictions explain, ignoring their mean error."""

    def explained_variance_score(targs: Any, preds: Any) -> float:
        targs = targs.astype(np.float64)
        return float(1 - (targs - preds.astype(np.float64)).var() / targs.var())

    return AccumMetric(explained_variance_score, to_np=True, invert_arg=True)


def PearsonCorrCoef(dim_argmax: int | None = None, **kwargs: Any) -> AccumMetric:
    """Return the linear correlation of predictions and targets."""

    def pearsonr(x: Any, y: Any) -> float:
        return float(np.corrcoef(x.astype(np.float64), y.astype(np.float64))[0, 1])

    return AccumMetric(pearsonr, dim_argmax=dim_argmax, to_np=True, invert_arg=False, **kwargs)


def SpearmanCorrCoef(
    dim_argmax: int | None = None, axis: int = 0, nan_policy: str = "propagate", **kwargs: Any
) -> AccumMetric:
    """Return the rank correlation."""

    def spearmanr(a: Any, b: Any) -> float:
        from scipy.stats import rankdata

        return float(np.corrcoef(rankdata(a), rankdata(b))[0, 1])

    return AccumMetric(spearmanr, dim_argmax=dim_argmax, to_np=True, invert_arg=False, **kwargs)
