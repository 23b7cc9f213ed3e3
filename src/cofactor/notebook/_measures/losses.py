"""fastai's losses: PyTorch's on flattened predictions and targets, with a function that converts outputs to
predictions."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cofactor.models.torch.layers import FlatLoss

__all__ = [
    "BaseLoss",
    "CrossEntropyLossFlat",
    "FocalLoss",
    "FocalLossFlat",
    "LabelSmoothingCrossEntropy",
    "LabelSmoothingCrossEntropyFlat",
]


class BaseLoss(FlatLoss):
    """Any loss of PyTorch on flattened predictions and targets, the classes along ``axis``."""

    def __init__(
        self,
        loss_cls: Any,
        *args: Any,
        axis: int = -1,
        flatten: bool = True,
        floatify: bool = False,
        is_2d: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(loss_cls(*args, **kwargs))
        self.axis, self.flatten, self.floatify, self.is_2d = axis, flatten, floatify, is_2d

    def __call__(self, inp: Tensor, targ: Tensor, **kwargs: Any) -> Tensor:
        if self.floatify:
            targ = targ.to(inp.dtype if inp.is_floating_point() else torch.float32)
        elif targ.dtype in (torch.int8, torch.int16, torch.int32, torch.uint8, torch.bool):
            targ = targ.long()
        if self.flatten:
            inp = inp.transpose(self.axis, -1).contiguous() if self.is_2d and inp.dim() else inp
            inp = inp.view(-1, inp.shape[-1]) if self.is_2d else inp.reshape(-1)
            targ = targ.reshape(-1)
        found: Tensor = self.func(inp, targ, **kwargs)
        return found


class CrossEntropyLossFlat(BaseLoss):
    """Cross-entropy of logits over classes."""

    def __init__(self, *args: Any, axis: int = -1, **kwargs: Any) -> None:
        super().__init__(nn.CrossEntropyLoss, *args, axis=axis, **kwargs)

    def activation(self, x: Tensor) -> Tensor:
        return F.softmax(x, dim=self.axis)

    def decodes(self, x: Tensor) -> Tensor:
        return x.argmax(dim=self.axis)


class FocalLoss(nn.Module):
    """Cross-entropy that gives easy examples less weight (Lin et al. 2017)."""

    def __init__(self, gamma: float = 2.0, weight: Tensor | None = None, reduction: str = "mean") -> None:
        super().__init__()
        self.gamma, self.weight, self.reduction = gamma, weight, reduction

    def forward(self, inp: Tensor, targ: Tensor) -> Tensor:
        ce = F.cross_entropy(inp, targ, weight=self.weight, reduction="none")
        loss = (1 - torch.exp(-ce)) ** self.gamma * ce
        return loss.mean() if self.reduction == "mean" else loss.sum() if self.reduction == "sum" else loss


class FocalLossFlat(CrossEntropyLossFlat):
    """:class:`FocalLoss` of flattened inputs."""

    def __init__(self, *args: Any, gamma: float = 2.0, axis: int = -1, **kwargs: Any) -> None:
        BaseLoss.__init__(self, FocalLoss, *args, gamma=gamma, axis=axis, **kwargs)


class LabelSmoothingCrossEntropy(nn.Module):
    """Cross-entropy with smoothed labels."""

    def __init__(self, eps: float = 0.1, weight: Tensor | None = None, reduction: str = "mean") -> None:
        super().__init__()
        self.eps, self.weight, self.reduction = eps, weight, reduction

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(output, target.long(), self.weight, reduction=self.reduction, label_smoothing=self.eps)

    def activation(self, out: Tensor) -> Tensor:
        return F.softmax(out, dim=-1)

    def decodes(self, out: Tensor) -> Tensor:
        return out.argmax(dim=-1)


class LabelSmoothingCrossEntropyFlat(CrossEntropyLossFlat):
    """:class:`LabelSmoothingCrossEntropy` of flattened inputs."""

    def __init__(self, *args: Any, axis: int = -1, eps: float = 0.1, **kwargs: Any) -> None:
        BaseLoss.__init__(self, LabelSmoothingCrossEntropy, *args, axis=axis, eps=eps, **kwargs)
