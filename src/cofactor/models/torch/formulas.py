"""Functions of torch that consist of simpler ones: activations, norms, similarities.

``functions.py`` records the simpler ones in their place, and compares the result with the function's own value. Each
has the name and the arguments of the function that it replaces.

This file needs torch; its importer checks that first (``torch_module.need_torch``).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    return input * torch.sigmoid(input)


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    if approximate == "none":
        return input * (0.5 * torch.erf(input * 0.5**0.5) + 0.5)
    return input * (0.5 * torch.tanh((2 / math.pi) ** 0.5 * (input + 0.044715 * input**3)) + 0.5)


def selu(input: Tensor, inplace: bool = False) -> Tensor:
    return 1.0507009873554805 * F.elu(input, 1.6732632423543772)


def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    return alpha * F.elu(input / alpha)


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    return input * torch.tanh(F.softplus(input))


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    return torch.clamp(input, 0, 6)


def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor:
    return torch.clamp(input, min_val, max_val)


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    return torch.clamp(input / 6 + 0.5, 0, 1)


def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    return input * torch.clamp(input / 6 + 0.5, 0, 1)


def softsign(input: Tensor) -> Tensor:
    return input / (1 + torch.abs(input))


def tanhshrink(input: Tensor) -> Tensor:
    return input - torch.tanh(input)


def logsigmoid(input: Tensor) -> Tensor:
    return -F.softplus(-input)


def prelu(input: Tensor, weight: Tensor) -> Tensor:
    return torch.relu(input) - weight * torch.relu(-input)


def log1p(input: Tensor) -> Tensor:
    return torch.log(1 + input)


def expm1(input: Tensor) -> Tensor:
    return torch.exp(input) - 1


def rsqrt(input: Tensor) -> Tensor:
    return torch.reciprocal(torch.sqrt(input))


def log_softmax(input: Tensor, dim: int, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    return torch.log(torch.softmax(input, dim))


def maximum(input: Tensor, other: Tensor) -> Tensor:
    return other + torch.relu(input - other)


def minimum(input: Tensor, other: Tensor) -> Tensor:
    return other - torch.relu(other - input)


def lerp(input: Tensor, end: Tensor, weight: Any) -> Tensor:
    found: Tensor = input + weight * (end - input)
    return found


def addcmul(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: float = 1) -> Tensor:
    return input + value * (tensor1 * tensor2)


def glu(input: Tensor, dim: int = -1) -> Tensor:
    a, b = input.chunk(2, dim)
    return a * torch.sigmoid(b)


def layer_norm(input: Tensor, normalized_shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Tensor:
    dims = tuple(range(-len(normalized_shape), 0))
    centred = input - input.mean(dim=dims, keepdim=True)
    out = centred / torch.sqrt((centred * centred).mean(dim=dims, keepdim=True) + eps)
    out = out if weight is None else out * weight
    return out if bias is None else out + bias


def rms_norm(input: Tensor, normalized_shape: Any, weight: Any = None, eps: Any = None) -> Tensor:
    dims = tuple(range(-len(normalized_shape), 0))
    small = torch.finfo(input.dtype).eps if eps is None else eps
    out = input / torch.sqrt((input * input).mean(dim=dims, keepdim=True) + small)
    return out if weight is None else out * weight


def norm(input: Tensor, p: Any = 2, dim: Any = None, keepdim: bool = False) -> Tensor:
    if p in (2, "fro"):
        squares: Tensor = (input * input).sum(dim=dim, keepdim=keepdim)
        return torch.sqrt(squares)
    if p == 1:
        lengths: Tensor = torch.abs(input).sum(dim=dim, keepdim=keepdim)
        return lengths
    raise ValueError("another norm")


def vector_norm(input: Tensor, ord: Any = 2, dim: Any = None, keepdim: bool = False) -> Tensor:
    return norm(input, ord, dim, keepdim)


def linalg_norm(input: Tensor, ord: Any = None, dim: Any = None, keepdim: bool = False) -> Tensor:
    return norm(input, 2 if ord is None else ord, dim, keepdim)


def normalize(input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Tensor:
    return input / torch.clamp(norm(input, p, dim, True), min=eps)


def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    one, two = (torch.clamp(torch.sqrt((x * x).sum(dim=dim)), min=eps) for x in (x1, x2))
    return (x1 * x2).sum(dim=dim) / (one * two)


def pairwise_distance(x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Tensor:
    return norm(x1 - x2 + eps, p, -1, keepdim)


def var(input: Tensor, dim: Any = None, unbiased: bool = True, keepdim: bool = False) -> Tensor:
    centred = input - input.mean(dim=dim, keepdim=True)
    dims = (dim,) if isinstance(dim, int) else dim
    size = math.prod(input.shape[d] for d in dims)
    return (centred * centred).sum(dim=dim, keepdim=keepdim) / (size - unbiased)


def std(input: Tensor, dim: Any = None, unbiased: bool = True, keepdim: bool = False) -> Tensor:
    return torch.sqrt(var(input, dim, unbiased, keepdim))


def expand_as(input: Tensor, other: Tensor) -> Tensor:
    return input.expand(other.shape)


def dot_of_rows(x: Tensor, y: Tensor, *, dim: int = -1) -> Tensor:
    found: Tensor = (x * y).sum(dim=dim)
    return found


def cosh(input: Tensor) -> Tensor:
    return (torch.exp(input) + torch.exp(-input)) / 2


def where(condition: Tensor, input: Any, other: Any) -> Tensor:
    mask = condition.float()
    found: Tensor = mask * input + (1 - mask) * other
    return found


# ---- losses


def _reduced(each: Tensor, reduction: str) -> Tensor:
    return each.mean() if reduction == "mean" else each.sum() if reduction == "sum" else each


def _alike(input: Tensor, target: Tensor, *rest: Any) -> None:
    if input.shape != target.shape or any(r is not None for r in rest):
        raise ValueError("broadcast, or weights")


def mse_loss(
    input: Tensor,
    target: Tensor,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    weight: Any = None,
) -> Tensor:
    _alike(input, target, size_average, reduce, weight)
    difference = input - target
    return _reduced(difference * difference, reduction)


def l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    weight: Any = None,
) -> Tensor:
    _alike(input, target, size_average, reduce, weight)
    return _reduced(torch.abs(input - target), reduction)


def smooth_l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Tensor:
    _alike(input, target, size_average, reduce)
    away = torch.abs(input - target)
    near = torch.clamp(away, max=beta)
    return _reduced(near * near * (0.5 / beta) + (away - near), reduction)


def huber_loss(
    input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0, weight: Any = None
) -> Tensor:
    _alike(input, target, weight)
    away = torch.abs(input - target)
    near = torch.clamp(away, max=delta)
    return _reduced(near * near * 0.5 + (away - near) * delta, reduction)


def binary_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Any = None,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:
    _alike(input, target, weight, size_average, reduce)
    yes, no = (torch.clamp(torch.log(p), min=-100.0) for p in (input, 1 - input))
    return _reduced(-(target * yes + (1 - target) * no), reduction)


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Any = None,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    pos_weight: Any = None,
) -> Tensor:
    _alike(input, target, weight, size_average, reduce)
    if pos_weight is None:
        return _reduced(F.softplus(input) - input * target, reduction)
    each = (1 - target) * input + (1 + (pos_weight - 1) * target) * F.softplus(-input)
    return _reduced(each, reduction)


def margin_ranking_loss(
    input1: Tensor,
    input2: Tensor,
    target: Any,
    margin: float = 0.0,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:
    _alike(input1, input2, size_average, reduce)
    return _reduced(torch.relu(margin - target * (input1 - input2)), reduction)


FORMULAS: dict[str, Callable[..., Tensor]] = {
    **{
        f.__name__: f
        for f in (silu, gelu, selu, celu, mish, relu6, hardtanh, hardsigmoid, hardswish, softsign, tanhshrink, prelu)
    },
    **{f.__name__: f for f in (log1p, expm1, rsqrt, log_softmax, maximum, minimum, lerp, addcmul, glu, layer_norm)},
    **{f.__name__: f for f in (rms_norm, norm, linalg_norm, normalize, cosine_similarity, pairwise_distance, var, std)},
    **{f.__name__: f for f in (expand_as, logsigmoid, cosh, where, mse_loss, l1_loss, smooth_l1_loss, huber_loss)},
    **{f.__name__: f for f in (binary_cross_entropy, binary_cross_entropy_with_logits, margin_ranking_loss)},
    "log_sigmoid": logsigmoid,
    "max": maximum,
    "min": minimum,
    "linalg_vector_norm": vector_norm,
    "linalg_vecdot": dot_of_rows,
}
"""By the name that torch gives the function."""
