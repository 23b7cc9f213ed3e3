"""Convert a trained module to a model of the core: ``dot-bias``, ``neural`` or any module, inside a Recommender."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cofactor.errors import ConfigError
from cofactor.models.dot_bias.config import DotBiasConfig
from cofactor.models.dot_bias.model import DotBias
from cofactor.models.dot_bias.table import stride_of
from cofactor.models.neural.model import Neural, NeuralConfig
from cofactor.models.torch.calling import hooked
from cofactor.models.torch.layers import Embedding
from cofactor.models.torch.module import TorchModule, TorchModuleConfig
from cofactor.notebook._loaders.tabular import TabularPandas
from cofactor.notebook._measures.losses_known import bounds, is_flat, kernel_job, kernel_loss
from cofactor.notebook._modules.layers import EmbeddingNN
from cofactor.notebook._training.kernel_core import untouched, with_ids
from cofactor.recommender import Recommender


def recommender(learn: Any) -> Recommender:
    """Return a Recommender with the present model."""
    dls = learn.dls
    if not isinstance(dls.train_ds, TabularPandas) or len(dls.train_ds.cat_names) != 2 or dls.train_ds.with_cont:
        raise ConfigError("a recommender needs loaders of a table with two columns of ids (user and item) and a rating")
    lost = [name for name, p in learn.model.named_parameters() if not bool(torch.isfinite(p).all())]
    if lost:
        raise ConfigError(
            f"weights of the module are not finite numbers ({', '.join(lost)}): training diverged; train again at a "
            f"lower learning rate"
        )
    data = with_ids(dls.train_ds, dls.classes)
    values = [
        [float(x) if isinstance(x, (int, float)) else float("nan") for x in row[:2]] for row in learn.recorder.values
    ]
    metrics = {"valid_loss": values[-1][1]} if values and len(values[-1]) > 1 else {}
    return Recommender(model_of_ids(learn, data), data, seed=learn.seed, history=values, metrics=metrics)


def model_of_ids(learn: Any, data: Any) -> Any:
    """Return the model over the codes of the data, without ``#na#``."""
    module: Any = learn.model
    found = kernel_job(learn.loss_func, module.y_range) if untouched(module) else None
    if found is not None:
        return as_dot_bias(module, *found, data)
    model = TorchModule(
        TorchModuleConfig(loss=kernel_loss(learn.loss_func) or "own", offset=1, batch_size=learn.dls.bs),
        module,
        loss=_flat_loss(learn.loss_func),
        device=learn.dls.device,
    )
    model.module, model.tables_shape = module, (data.n_users + 1, data.n_items + 1)
    if len(learn.recorder.losses):
        model.noise = float(learn.recorder.losses[-1])
    return as_neural(module, model, learn.loss_func) or model


def _flat_loss(loss: Any) -> Any:
    """Adapt a loss that expects a batch's shapes to flat predictions and targets."""
    if is_flat(loss):
        return loss

    def of(pred: Tensor, targ: Tensor) -> Any:
        return loss(pred, targ.reshape(-1, 1))

    if hasattr(loss, "activation"):
        of.activation = loss.activation  # type: ignore[attr-defined]
    return of


def as_dot_bias(module: Any, loss: str, y_range: Any, data: Any) -> DotBias:
    """Return the registered model ``dot-bias`` with the weights of an ``EmbeddingDotBias``."""
    k = module.u_weight.weight.shape[1]
    config = DotBiasConfig(n_factors=k, y_range=y_range, loss=loss)
    model = DotBias(config)
    with torch.no_grad():
        for side, weight, bias in (("user", module.u_weight, module.u_bias), ("item", module.i_weight, module.i_bias)):
            rows = np.zeros((len(weight.weight) - 1, stride_of(k)), np.float32)
            rows[:, :k] = weight.weight[1:].numpy()
            at, one = (k, k + 1) if side == "user" else (k + 1, k)
            rows[:, at], rows[:, one] = bias.weight[1:, 0].numpy(), 1
            setattr(model, f"{side}_table", rows)
    model.y_range = y_range
    stepper = model.resume(data)
    model._known_step = -1
    model._learn_unknown()
    model._stepper = None
    _ = stepper
    return model


def as_neural(module: nn.Module, model: TorchModule, loss: Any) -> Neural | None:
    """Return the registered model ``neural`` with the weights of an ``EmbeddingNN``, which a bundle can store
    completely; None if the module is another one, or was changed."""
    name = kernel_loss(loss)
    if type(module) is not EmbeddingNN or "forward" in vars(module) or hooked(module) or name is None:
        return None
    s, tables = module.settings, [m for m in module.embeds if type(m) is Embedding]
    if len(tables) != 2 or len(module.embeds) != 2 or not s["usual"] or len(set(s["drops"])) > 1:
        return None
    config = NeuralConfig(
        layers=s["layers"],
        user_factors=tables[0].embedding_dim,
        item_factors=tables[1].embedding_dim,
        y_range=bounds(s["y_range"]),
        dropout=s["drops"][0] if s["drops"] else 0.0,
        embed_dropout=s["embed_p"],
        batch_norm=s["use_bn"],
        loss=name,
        batch_size=max(model.config.batch_size, 2),
    )
    state = model.state() | {"y_range": np.array(config.y_range or (), np.float64)}
    state = {k: v for k, v in state.items() if not k.startswith("module.bn_cont.")}
    state["shape"] = state["shape"] - 1
    for side in (0, 1):  # row 0 is #na#
        state[f"module.embeds.{side}.weight"] = state[f"module.embeds.{side}.weight"][1:].copy()
    return Neural.from_state(config, state)
