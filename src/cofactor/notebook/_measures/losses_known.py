"""Facts about a loss: its name in the kernels, whether it compares number by number, how it is called."""

from __future__ import annotations

import functools
import warnings
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cofactor.errors import ConfigError
from cofactor.models.torch.layers import (
    BCELossFlat,
    BCEWithLogitsLossFlat,
    FlatLoss,
    HuberLossFlat,
    L1LossFlat,
    MSELossFlat,
)
from cofactor.notebook._measures.losses import BaseLoss

ELEMENTWISE = (nn.MSELoss, nn.L1Loss, nn.SmoothL1Loss, nn.HuberLoss, nn.BCELoss, nn.BCEWithLogitsLoss)
ELEMENTWISE_FUNCTIONS = (
    *(F.mse_loss, F.l1_loss, F.smooth_l1_loss, F.huber_loss, F.binary_cross_entropy),
    F.binary_cross_entropy_with_logits,
)


def kernel_loss(loss: Any) -> str | None:
    """Return our name for a squared, absolute or Huber loss, flat or PyTorch's own; None for any other."""
    named = {F.mse_loss: "mse", F.l1_loss: "mae", F.huber_loss: "huber"}
    if loss in named:
        return named[loss]
    inner = loss.func if type(loss) in (MSELossFlat, L1LossFlat, HuberLossFlat) else loss
    if getattr(inner, "reduction", None) != "mean":
        return None
    if type(inner) is nn.HuberLoss:
        return "huber" if inner.delta == 1.0 else None
    return {nn.MSELoss: "mse", nn.L1Loss: "mae"}.get(type(inner))


def kernel_job(loss: Any, y_range: Any) -> tuple[str, tuple[float, float] | None] | None:
    """Return the loss and range with which ``dot-bias`` computes the same as the module under this loss; None if there
    are none. Cross-entropy of logits is that of a sigmoid from 0 to 1."""
    if (name := kernel_loss(loss)) is not None:
        return name, bounds(y_range)
    if type(loss) not in (BCELossFlat, BCEWithLogitsLossFlat) or loss.func.reduction != "mean":
        return None
    if loss.func.weight is not None or getattr(loss.func, "pos_weight", None) is not None:
        return None
    wanted = None if type(loss) is BCEWithLogitsLossFlat else (0.0, 1.0)
    return ("bce", (0.0, 1.0)) if bounds(y_range) == wanted else None


def bounds(y_range: Any) -> tuple[float, float] | None:
    return None if y_range is None else (float(y_range[0]), float(y_range[1]))


def is_flat(loss: Any) -> bool:
    """Return whether a loss compares number by number. It then gets flat floats, because (64, 1) against (64,) would
    broadcast."""
    if isinstance(loss, BaseLoss):
        return False  # it flattens itself
    inner = loss.func if isinstance(loss, (FlatLoss, functools.partial)) else loss
    return isinstance(inner, ELEMENTWISE) or any(inner is f for f in ELEMENTWISE_FUNCTIONS)


def outputs_of(module: nn.Module, x: Any) -> Any:
    """Return the module's outputs. Raises ConfigError if it has fewer rows than the data have classes."""
    try:
        return module(*x)
    except IndexError as exc:
        raise ConfigError(
            f"{type(module).__name__} has too few rows for the data ({exc}); create it with len(dls.classes[...]) rows"
            " for each column"
        ) from exc


def checked_shapes(loss: Any, pred: Any, targ: Any) -> None:
    """Warn if a user's own loss or metric compares (n,) with (n, 1), which broadcasts to (n, n)."""
    if not isinstance(pred, Tensor) or not isinstance(targ, Tensor) or pred.shape == targ.shape or len(pred) < 2:
        return
    if pred.numel() != targ.numel() or isinstance(loss, FlatLoss) or not getattr(loss, "__code__", None):
        return
    try:
        with torch.no_grad():
            flat = loss(pred.detach().reshape(-1), targ.reshape(-1))
            given = loss(pred.detach(), targ)
        differ = abs(float(flat) - float(given)) > 1e-4 * max(1.0, abs(float(flat)))
    except Exception:  # it needs exactly these shapes
        return
    if differ:
        shapes = f"predictions {tuple(pred.shape)} and targets {tuple(targ.shape)}"
        warnings.warn(
            f"{loss.__name__} returns {float(given):.4f} for {shapes}, and {float(flat):.4f} where both are "
            f"({len(pred)},): if it compares them row by row, write targ.squeeze()",
            UserWarning,
            stacklevel=2,
        )


def loss_of(loss: Any, pred: Any, *targ: Tensor) -> Tensor:
    """Return the loss of outputs and targets, as flat floats if :func:`is_flat`."""
    if is_flat(loss) and isinstance(pred, Tensor) and len(targ) == 1:
        y = targ[0].reshape(-1)
        flat = pred.reshape(-1)
        if len(flat) != len(y):
            raise ConfigError(
                f"the module returned the shape {tuple(pred.shape)} for targets of the shape {tuple(targ[0].shape)},"
                " and the loss compares number by number; it must return as many predictions as there are targets"
            )
        found: Tensor = loss(flat, y.to(flat.dtype))
        return found
    found = loss(pred, *targ)
    return found
