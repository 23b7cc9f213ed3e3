"""Layers for recommenders in PyTorch: embeddings, a sigmoid with a range, the notebook's two networks, flat losses.

This file needs torch; its importer checks that first (``torch_module.need_torch``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cofactor._validate import check_int
from cofactor.errors import ConfigError
from cofactor.models.base.embedding_size import emb_sz_rule as emb_sz_rule

INIT_SD = 0.01


class Module(nn.Module):
    """``nn.Module`` whose subclasses need not call ``super().__init__()``."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        new = super().__new__(cls)
        nn.Module.__init__(new)
        new.__dict__["_made_with"] = [list(args), kwargs]
        """The arguments, which a file without code can store."""
        return new

    def __init__(self) -> None:
        pass


class Embedding(nn.Embedding):
    """An embedding whose initial values are normal with sd ``std``, cut at two sd."""

    def __init__(self, ni: int, nf: int, std: float = INIT_SD) -> None:
        super().__init__(check_int("the number of rows of an Embedding", ni), check_int("the number of factors", nf))
        with torch.no_grad():
            self.weight.normal_().fmod_(2).mul_(std)

    def forward(self, input: Tensor) -> Tensor:
        if self.max_norm is None and self.padding_idx is None and not self.scale_grad_by_freq and not self.sparse:
            return self.weight[input]  # the same rows as F.embedding, with a cheaper gradient
        return super().forward(input)


def sigmoid_range(x: Tensor, low: float, high: float) -> Tensor:
    """Return a sigmoid between ``low`` and ``high``."""
    try:
        scaled = torch.sigmoid(x) * (high - low)
    except TypeError:
        raise ConfigError(f"sigmoid_range takes a tensor and two numbers, not {x!r}, {low!r}, {high!r}") from None
    return scaled + low if low else scaled


class SigmoidRange(Module):
    """:func:`sigmoid_range` as a layer."""

    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = low, high

    def extra_repr(self) -> str:
        return f"low={self.low}, high={self.high}"

    def forward(self, x: Tensor) -> Tensor:
        return sigmoid_range(x, self.low, self.high)


class EmbeddingDotBias(Module):
    """The dot product of a user's and an item's embedding plus their biases, in a sigmoid if there is a range."""

    classes: Any = None
    user: Any = None
    item: Any = None

    def __init__(self, n_factors: int, n_users: int, n_items: int, y_range: tuple[float, float] | None = None) -> None:
        self.y_range = y_range
        self.u_weight = Embedding(n_users, n_factors)
        self.i_weight = Embedding(n_items, n_factors)
        self.u_bias = Embedding(n_users, 1)
        self.i_bias = Embedding(n_items, 1)

    def forward(self, x: Tensor) -> Tensor:
        users, items = x[:, 0], x[:, 1]
        dot = (self.u_weight(users) * self.i_weight(items)).sum(1)
        res = dot + self.u_bias(users).squeeze(1) + self.i_bias(items).squeeze(1)
        return res if self.y_range is None else sigmoid_range(res, *self.y_range)

    @classmethod
    def from_classes(
        cls,
        n_factors: int,
        classes: Mapping[str, Sequence[Any]],
        user: str | None = None,
        item: str | None = None,
        y_range: tuple[float, float] | None = None,
    ) -> EmbeddingDotBias:
        """Return a model with one row for each class. :meth:`bias` and :meth:`weight` then look rows up by class."""
        names = list(classes)
        user, item = user or names[0], item or names[1]
        model = cls(n_factors, len(classes[user]), len(classes[item]), y_range)
        model.classes, model.user, model.item = classes, user, item
        return model

    def bias(self, arr: Sequence[Any], is_item: bool = True) -> Tensor:
        """Return the biases of these items (or users), by id; for a single id, a number."""
        table = self.i_bias if is_item else self.u_bias
        return table.weight.detach()[self._index(arr, is_item)].cpu().squeeze()

    def weight(self, arr: Sequence[Any], is_item: bool = True) -> Tensor:
        """Return the factors of these items (or users), by id."""
        table = self.i_weight if is_item else self.u_weight
        return table.weight.detach()[self._index(arr, is_item)].cpu()

    def _get_idx(self, entities: Sequence[Any], is_item: bool = True) -> Tensor:
        """Return the rows of these items (or users) in the tables, under the name that notebooks call."""
        return self._index(entities, is_item).cpu()

    def _index(self, arr: Sequence[Any], is_item: bool) -> Tensor:
        if self.classes is None:
            raise AttributeError("this model has no ids; create it with EmbeddingDotBias.from_classes")
        classes = self.classes[self.item if is_item else self.user]
        codes = {c: i for i, c in enumerate(classes)}
        missing = [a for a in arr if a not in codes]
        if missing:
            raise KeyError(f"no {'item' if is_item else 'user'} {missing[0]!r} in the data")
        return torch.tensor([codes[a] for a in arr], device=self.i_bias.weight.device)


class LinBnDrop(nn.Sequential):
    """A linear layer with batch normalisation, dropout and an activation; ``lin_first`` puts the linear layer first."""

    def __init__(
        self,
        n_in: int,
        n_out: int,
        bn: bool = True,
        p: float = 0.0,
        act: nn.Module | None = None,
        lin_first: bool = False,
    ) -> None:
        around: list[nn.Module] = []
        if bn:
            norm = nn.BatchNorm1d(n_out if lin_first else n_in)
            nn.init.constant_(norm.bias, 1e-3)
            around.append(norm)
        if p:
            around.append(nn.Dropout(p))
        linear: list[nn.Module] = [nn.Linear(n_in, n_out, bias=not bn)]
        if act is not None:
            linear.append(act)
        super().__init__(*(linear + around if lin_first else around + linear))


class EmbeddingNN(Module):
    """User and item embeddings, joined and passed through a multi-layer perceptron.

    ``emb_szs`` gives (rows, width) of both tables, ``layers`` the hidden widths, ``ps`` the dropout after each of them,
    ``embed_p`` that of the joined embeddings. Each hidden layer is linear, ReLU, batch norm, dropout.
    """

    def __init__(
        self,
        emb_szs: Sequence[tuple[int, int]],
        layers: Sequence[int],
        *,
        ps: float | Sequence[float] | None = None,
        embed_p: float = 0.0,
        y_range: tuple[float, float] | None = None,
        use_bn: bool = True,
        bn_final: bool = False,
        lin_first: bool = True,
    ) -> None:
        drops = [float(p) for p in ps] if isinstance(ps, Sequence) else [float(ps or 0.0)] * len(layers)
        if len(drops) != len(layers):
            raise ValueError(f"ps has {len(drops)} numbers for {len(layers)} layers; give one for each")
        self.settings: dict[str, Any] = {"layers": tuple(layers), "drops": tuple(drops), "embed_p": embed_p}
        self.settings |= {"y_range": y_range, "use_bn": use_bn, "usual": lin_first and not bn_final}
        self.embeds = nn.ModuleList([Embedding(rows, width) for rows, width in emb_szs])
        self.emb_drop = nn.Dropout(embed_p)
        sizes = [sum(width for _, width in emb_szs), *layers, 1]
        last = len(sizes) - 2
        blocks: list[nn.Module] = []
        for i, p in enumerate([*drops, 0.0]):
            act = None if i == last else nn.ReLU(inplace=True)
            blocks.append(LinBnDrop(sizes[i], sizes[i + 1], use_bn and (i < last or bn_final), p, act, lin_first))
        if y_range is not None:
            blocks.append(SigmoidRange(*y_range))
        self.layers = nn.Sequential(*blocks)

    def forward(self, x: Tensor) -> Tensor:
        joined = torch.cat([table(x[:, i]) for i, table in enumerate(self.embeds)], 1)
        out: Tensor = self.layers(self.emb_drop(joined))
        return out


class FlatLoss:
    """A loss of PyTorch on flattened predictions and targets.

    ``turns`` is the function that converts outputs to predictions, None if they are predictions already. Missing
    attributes are looked up in the loss of PyTorch, ``func``.
    """

    axis, flatten, floatify, is_2d = -1, True, True, False

    def __init__(self, func: Any, turns: Callable[[Tensor], Tensor] | None = None) -> None:
        self.func = func
        self.turns = turns

    def activation(self, x: Tensor) -> Tensor:
        """Return outputs as predictions."""
        return x if self.turns is None else self.turns(x)

    def decodes(self, x: Tensor) -> Tensor:
        """Return predictions as decisions."""
        return x

    @property
    def reduction(self) -> str:
        return str(self.func.reduction)

    @reduction.setter
    def reduction(self, value: str) -> None:
        self.func.reduction = value

    def to(self, device: Any) -> Any:
        """Move the weights of the loss to another device."""
        if isinstance(self.func, nn.Module):
            self.func.to(device)
        return self

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name in ("func", "turns"):
            raise AttributeError(name)
        return getattr(self.func, name)

    def __call__(self, inp: Tensor, targ: Tensor) -> Tensor:
        out: Tensor = self.func(inp.reshape(-1), targ.reshape(-1).to(inp.dtype))
        return out

    def __repr__(self) -> str:
        return f"FlattenedLoss of {self.func}"


class MSELossFlat(FlatLoss):
    """Mean squared error."""

    def __init__(self, reduction: str = "mean") -> None:
        super().__init__(nn.MSELoss(reduction=reduction))


class L1LossFlat(FlatLoss):
    """Mean absolute error."""

    def __init__(self, reduction: str = "mean") -> None:
        super().__init__(nn.L1Loss(reduction=reduction))


class HuberLossFlat(FlatLoss):
    """Squared within ``delta``, linear beyond."""

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        super().__init__(nn.HuberLoss(reduction=reduction, delta=delta))


class BCELossFlat(FlatLoss):
    """Binary cross-entropy of probabilities."""

    def __init__(self, weight: Tensor | None = None, reduction: str = "mean") -> None:
        super().__init__(nn.BCELoss(weight=weight, reduction=reduction))


class BCEWithLogitsLossFlat(FlatLoss):
    """Binary cross-entropy of logits; predictions are probabilities, decisions whether they exceed ``thresh``."""

    def __init__(
        self,
        weight: Tensor | None = None,
        reduction: str = "mean",
        pos_weight: Tensor | None = None,
        thresh: float = 0.5,
    ) -> None:
        super().__init__(nn.BCEWithLogitsLoss(weight, reduction=reduction, pos_weight=pos_weight), torch.sigmoid)
        self.thresh = thresh

    def decodes(self, x: Tensor) -> Tensor:
        return x > self.thresh


def activation_of(loss: Any) -> Callable[[Tensor], Tensor] | None:
    """Return the function that converts outputs to predictions under this loss; None if they are predictions
    already."""
    found: Callable[[Tensor], Tensor] | None = getattr(
        loss, "turns" if isinstance(loss, FlatLoss) else "activation", None
    )
    return found


NAMED_LOSSES: dict[str, Any] = {
    "mse": F.mse_loss,
    "mae": F.l1_loss,
    "huber": F.huber_loss,
    "bce": F.binary_cross_entropy,
}
"""By the names that ``cofactor.train.losses`` has for them; on flat float tensors."""
