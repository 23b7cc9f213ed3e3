"""The models of :func:`cofactor.collab_learner` that need torch: the embedding network, and custom losses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from cofactor.data.interactions import Interactions, Split
from cofactor.errors import ConfigError
from cofactor.model import Model
from cofactor.models.dot_bias.config import infer_range
from cofactor.models.neural.model import Neural, NeuralConfig
from cofactor.models.torch.module import TorchModule, TorchModuleConfig, device_of, need_torch


def embedding_network(
    layers: Sequence[int],
    bounds: tuple[float, float] | str | None,
    emb_szs: Sequence[int] | None,
    dropout: float,
    loss: str,
    bs: int,
    device: Any,
) -> Model:
    """Return a network over embeddings of users and items; ``layers`` are the widths of its hidden layers."""
    need_torch("collab_learner(use_nn=True)")
    device_of(device)
    widths = (0, 0) if emb_szs is None else tuple(emb_szs) if isinstance(emb_szs, (list, tuple)) else ()
    if len(widths) != 2:
        raise ConfigError(f"emb_szs must be two widths, the user's and the item's, not {emb_szs!r}")
    config = NeuralConfig(
        layers=tuple(layers),
        user_factors=widths[0],
        item_factors=widths[1],
        y_range=bounds,
        dropout=dropout,
        loss=loss,
        batch_size=bs,
    )
    return Neural(config, device=device)


def own_loss(
    data: Split | Interactions,
    n_factors: int,
    bounds: tuple[float, float] | str | None,
    loss: Callable[..., Any],
    bs: int,
    device: Any,
) -> Model:
    """Return a dot product with biases, trained by autograd, for a loss function of two tensors."""
    need_torch("a loss function of your own")
    device_of(device)
    from cofactor.models.torch.layers import EmbeddingDotBias

    train = data.train if isinstance(data, Split) else data
    found = infer_range(train, "mse") if isinstance(bounds, str) else bounds
    return TorchModule(
        TorchModuleConfig(loss="own", batch_size=bs),
        lambda n_users, n_items: EmbeddingDotBias(n_factors, n_users, n_items, found),
        loss=loss,
        device=device,
    )
