"""fastai's layers and networks, built on PyTorch's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cofactor.errors import ConfigError
from cofactor.models.torch.layers import Embedding, LinBnDrop, Module, SigmoidRange

__all__ = [
    "BatchNorm1dFlat",
    "Cat",
    "Debugger",
    "EmbeddingNN",
    "Flatten",
    "Identity",
    "Lambda",
    "Mish",
    "NoneReduce",
    "ParameterModule",
    "PartialLambda",
    "ResizeBatch",
    "Swish",
    "TabularModel",
    "View",
    "children_and_parameters",
    "in_channels",
    "init_linear",
    "mish",
    "sequential",
    "sigmoid",
    "sigmoid_",
    "swish",
    "trunc_normal_",
    "vleaky_relu",
]


class TabularModel(Module):
    """Embeddings of categories, joined with numbers, through a multi-layer perceptron.

    ``emb_szs`` gives (rows, width) of each table, ``n_cont`` the number of continuous columns, ``out_sz`` of outputs,
    ``layers`` the hidden widths, ``ps`` the dropout after each of them, ``embed_p`` that of the joined embeddings.
    """

    def __init__(
        self,
        emb_szs: Sequence[tuple[int, int]],
        n_cont: int,
        out_sz: int,
        layers: Sequence[int],
        ps: Any = None,
        embed_p: float = 0.0,
        y_range: Any = None,
        use_bn: bool = True,
        bn_final: bool = False,
        bn_cont: bool = True,
        act_cls: Any = None,
        lin_first: bool = True,
    ) -> None:
        act_cls = nn.ReLU(inplace=True) if act_cls is None else act_cls
        drops = [float(p) for p in ps] if isinstance(ps, Sequence) else [float(ps or 0.0)] * len(layers)
        if len(drops) != len(layers):
            raise ConfigError(f"ps has {len(drops)} numbers for {len(layers)} layers; give one for each")
        usual = lin_first and not bn_final and n_cont == 0 and out_sz == 1 and type(act_cls) is nn.ReLU
        self.settings: dict[str, Any] = {"layers": tuple(layers), "drops": tuple(drops), "embed_p": float(embed_p)}
        self.settings |= {
            "y_range": y_range,
            "use_bn": use_bn,
            "bn_final": bn_final,
            "lin_first": lin_first,
            "usual": usual,
        }
        self.embeds = nn.ModuleList([Embedding(rows, width) for rows, width in emb_szs])
        self.emb_drop = nn.Dropout(embed_p)
        self.bn_cont = nn.BatchNorm1d(n_cont) if bn_cont else None
        self.n_emb, self.n_cont = sum(width for _, width in emb_szs), n_cont
        sizes = [self.n_emb + n_cont, *layers, out_sz]
        last = len(sizes) - 2
        blocks: list[nn.Module] = [
            LinBnDrop(
                sizes[i], sizes[i + 1], use_bn and (i < last or bn_final), p, None if i == last else act_cls, lin_first
            )
            for i, p in enumerate([*drops, 0.0])
        ]
        if y_range is not None:
            blocks.append(SigmoidRange(*y_range))
        self.layers = nn.Sequential(*blocks)

    def forward(self, x_cat: Tensor, x_cont: Tensor | None = None) -> Tensor:
        parts = []
        if self.n_emb:
            parts.append(self.emb_drop(torch.cat([table(x_cat[:, i]) for i, table in enumerate(self.embeds)], 1)))
        if self.n_cont:
            parts.append(x_cont if self.bn_cont is None else self.bn_cont(x_cont))
        out: Tensor = self.layers(torch.cat(parts, 1) if len(parts) > 1 else parts[0])
        return out


class EmbeddingNN(TabularModel):
    """A :class:`TabularModel` of embeddings alone, with one output."""

    def __init__(self, emb_szs: Sequence[tuple[int, int]], layers: Sequence[int], **kwargs: Any) -> None:
        super().__init__(emb_szs=emb_szs, n_cont=0, out_sz=1, layers=layers, **kwargs)


class Identity(Module):
    """Returns its input."""

    def forward(self, x: Any) -> Any:
        return x


class Lambda(Module):
    """A function as a layer."""

    def __init__(self, func: Callable[..., Any]) -> None:
        self.func = func

    def forward(self, x: Any) -> Any:
        return self.func(x)

    def extra_repr(self) -> str:
        return str(getattr(self.func, "__name__", self.func))


class PartialLambda(Lambda):
    """A function with some keywords as a layer."""

    def __init__(self, func: Callable[..., Any], **kwargs: Any) -> None:
        super().__init__(func)
        self.kwargs = kwargs

    def forward(self, x: Any) -> Any:
        return self.func(x, **self.kwargs)


class Flatten(Module):
    """Flattens each row to one dimension."""

    def __init__(self, full: bool = False) -> None:
        self.full = full

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(-1) if self.full else x.reshape(x.size(0), -1)


class View(Module):
    """Another shape."""

    def __init__(self, *size: int) -> None:
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        return x.view(self.size)


class ResizeBatch(Module):
    """Another shape of each row."""

    def __init__(self, *size: int) -> None:
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        return x.view((x.size(0), *self.size))


class Debugger(Module):
    """Returns its input (there is no debugger to stop in)."""

    def forward(self, x: Any) -> Any:
        return x


class ParameterModule(Module):
    """A parameter as a module."""

    def __init__(self, p: nn.Parameter) -> None:
        self.val = p

    def forward(self, x: Any) -> Any:
        return x


class Cat(nn.ModuleList):
    """The outputs of layers side by side."""

    def __init__(self, layers: Any, dim: int = 1) -> None:
        self.dim = dim
        super().__init__(layers)

    def forward(self, x: Any) -> Tensor:
        return torch.cat([layer(x) for layer in self], dim=self.dim)


class BatchNorm1dFlat(nn.BatchNorm1d):
    """Batch normalisation over all but the last dimension."""

    def forward(self, x: Tensor) -> Tensor:
        if x.dim() == 2:
            return super().forward(x)
        return super().forward(x.reshape(-1, x.shape[-1])).view(x.shape)


def sigmoid(input: Tensor, eps: float = 1e-7) -> Tensor:
    """Return a sigmoid that stays away from 0 and 1."""
    return input.sigmoid().clamp(eps, 1 - eps)


def sigmoid_(input: Tensor, eps: float = 1e-7) -> Tensor:
    return input.sigmoid_().clamp_(eps, 1 - eps)


def mish(x: Tensor, inplace: bool = False) -> Tensor:
    return F.mish(x, inplace=inplace)


def swish(x: Tensor, inplace: bool = False) -> Tensor:
    return F.silu(x, inplace=inplace)


def vleaky_relu(input: Tensor, inplace: bool = True) -> Tensor:
    return F.leaky_relu(input, negative_slope=0.3, inplace=inplace)


Mish, Swish = nn.Mish, nn.SiLU


def trunc_normal_(x: Tensor, mean: float = 0.0, std: float = 1.0) -> Tensor:
    """A normal cut at two standard deviations, in place."""
    return x.normal_().fmod_(2).mul_(std).add_(mean)


def init_linear(m: Any, act_func: Any = None, init: Any = "auto", bias_std: float = 0.01) -> None:
    """Initialise a linear layer."""
    if getattr(m, "bias", None) is not None and bias_std is not None:
        nn.init.normal_(m.bias, 0, bias_std) if bias_std else nn.init.zeros_(m.bias)
    if callable(init):
        init(m.weight)
    elif init == "auto":
        nn.init.kaiming_uniform_(m.weight)


def sequential(*args: Any) -> nn.Sequential:
    """Layers one after the other."""
    return nn.Sequential(*args)


def in_channels(m: nn.Module) -> int:
    """Return the number of channels that the first convolution takes."""
    for part in m.modules():
        weight = getattr(part, "weight", None)
        if isinstance(weight, Tensor) and weight.dim() == 4:
            return int(weight.shape[1])
    raise ConfigError("the module has no convolution")


def children_and_parameters(m: nn.Module) -> list[Any]:
    """Return its submodules, and the parameters that belong to none of them."""
    own = {id(p) for c in m.children() for p in c.parameters()}
    return [*m.children(), *(ParameterModule(p) for p in m.parameters() if id(p) not in own)]


def NoneReduce(loss_func: Any) -> Any:
    """Compute a loss by row inside ``with``."""
    from contextlib import contextmanager
    from functools import partial

    @contextmanager
    def inner() -> Any:
        if hasattr(loss_func, "reduction"):
            old = loss_func.reduction
            loss_func.reduction = "none"
            try:
                yield loss_func
            finally:
                loss_func.reduction = old
        else:
            yield partial(loss_func, reduction="none")

    return inner()
