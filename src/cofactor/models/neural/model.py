"""A neural network over embeddings: user and item vectors are joined and pass through a multi-layer perceptron.

The model is the MLP part of He et al. (2017), "Neural collaborative filtering", with fastai's sizes and order of
layers. Training needs torch; lists, predictions and fold-in need only the arrays of a saved network.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from cofactor.data.interactions import CSR, Interactions
from cofactor.errors import BundleError, ConfigError
from cofactor.model import CommonRows, Cost, State, Stepper, TableSize
from cofactor.models.base.arrays import stored
from cofactor.models.base.config import GradientConfig, Search, option
from cofactor.models.base.cost import COMPILED, TORCH
from cofactor.models.dot_bias.config import LOSSES, infer_range
from cofactor.models.neural.saved import PREFIX, arrays_of, embedding_sizes
from cofactor.models.torch.module import TorchModule, need_torch, parts

if TYPE_CHECKING:
    from torch import nn

    from cofactor.models.neural.network import Net, Prior
    from cofactor.models.torch.stepper import Kernel

Array = NDArray[Any]
_NONE = np.empty(0, np.int64)


@dataclass(frozen=True)
class NeuralConfig(GradientConfig):
    """Parameters of :class:`Neural`."""

    decays: ClassVar[bool] = True

    layers: tuple[int, ...] = option((100, 50), "widths of the hidden layers")
    n_factors: int = option(0, "width of both embeddings; 0: min(600, round(1.6 n^0.56)) for n rows")
    user_factors: int = option(0, "width of the user embedding; 0: n_factors")
    item_factors: int = option(0, "width of the item embedding; 0: n_factors")
    y_range: tuple[float, float] | str | None = option(
        "auto", "bounds of the sigmoid; auto: the range of the data and half a step more; none: no sigmoid"
    )
    dropout: float = option(0.0, "dropout after each hidden layer", Search(0.0, 0.5))
    embed_dropout: float = option(0.0, "dropout of the joined embeddings", Search(0.0, 0.5))
    batch_norm: bool = option(True, "batch normalisation after each hidden layer")
    loss: str = option("mse", "mse, mae or huber")
    epochs: int = option(5, "passes over the ratings", Search(3, 15))
    lr: float = option(5e-3, "highest learning rate of the one-cycle schedule", Search(5e-4, 2e-2, log=True))
    weight_decay: float = option(0.1, "decoupled weight decay", Search(1e-3, 0.5, log=True))
    batch_size: int = option(64, "ratings a batch")

    def __post_init__(self) -> None:
        if any(width < 1 for width in self.layers):
            raise ConfigError(f"layers must be widths of at least 1, not {self.layers}")
        for name in ("n_factors", "user_factors", "item_factors"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} must be 0 or more, not {getattr(self, name)}")
        for name in ("dropout", "embed_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 0 and below 1, not {getattr(self, name)}")
        if self.batch_size < 2:
            raise ConfigError(f"batch_size must be at least 2, not {self.batch_size}")
        if self.loss not in ("mse", "mae", "huber"):
            raise ConfigError(f"no loss {self.loss!r} for neural; there are: mse, mae, huber")
        if isinstance(self.y_range, str):
            if self.y_range != "auto":
                raise ConfigError(f"y_range must be two numbers, 'auto' or None, not {self.y_range!r}")
        elif self.y_range is not None and not (len(self.y_range) == 2 and self.y_range[0] < self.y_range[1]):
            raise ConfigError(f"y_range must be two numbers, the lower first, not {self.y_range!r}")


class Neural(TorchModule):
    """User and item embeddings through a multi-layer perceptron (training needs the torch extra)."""

    name: ClassVar[str] = "neural"
    Config: ClassVar[type[Any]] = NeuralConfig

    def __init__(self, config: NeuralConfig | None = None, *, device: Any = None) -> None:
        self._network: nn.Module | None = None
        self._kernel: Kernel | None = None
        """The kernel that trains in place of autograd, if it can."""
        super().__init__(config or NeuralConfig(), device=device)
        self.y_range: tuple[float, float] | None = None
        self._saved: dict[str, Array] | None = None
        """The arrays of a loaded network whose module was not needed yet."""
        self._known_arrays: tuple[Any, tuple[Net, Prior] | None] | None = None

    @classmethod
    def cost(cls, config: NeuralConfig, size: TableSize) -> Cost:
        """Return the cost: embeddings and layers with both moments, as PyTorch and as the kernel hold them; the order
        of an epoch. Autograd (such as on a GPU) takes another 20 bytes per row."""
        n, shape = size.ratings, (size.users, size.items)
        tables = embedding_sizes(config, shape)
        numbers = sum(rows * width for rows, width in tables)
        wide = sum(rows * ((width + 15) // 16 * 16) for rows, width in tables)
        sizes = [sum(width for _, width in tables), *config.layers, 1]
        dense = sum(a * b for a, b in pairwise(sizes))
        kept = 12 * (numbers + wide + 2 * dense)
        work = config.epochs * n * (0.12 * dense + 6.0 * sizes[0] + 6e3 / config.batch_size)
        memory = kept + 24 * n + 12 * numbers
        return Cost(memory, kept, work, f"{config.epochs} epochs x n x layers", COMPILED + TORCH)

    def stepper(self, data: Interactions, rng: np.random.Generator) -> Stepper:
        c = self.config
        self._saved, self._kernel = None, None
        self.y_range = infer_range(data, c.loss) if isinstance(c.y_range, str) else c.y_range
        found: Any = super().stepper(data, rng)
        torch_parts = parts()
        if found.device.type == "cpu" and isinstance(found.optimizer, torch_parts.optim.AdamRun):
            self._kernel = found.kernel = _fused().Fused(
                found.module,
                (data.users, data.items),
                data.values,
                lambda: found.optimizer,
                loss=LOSSES[c.loss],
                seed=int(rng.integers(2**63)),
            )
        stepper: Stepper = found
        return stepper

    def __getstate__(self) -> dict[str, Any]:
        """Return the state for a copy: the present weights, without the run that trains them."""
        if self._kernel is not None:
            self._kernel.flush()
        return self.__dict__ | {"_kernel": None}

    @property
    def module(self) -> nn.Module | None:
        """The network as a module, with its present weights."""
        if self._kernel is not None:
            self._kernel.flush()
        return self._network

    @module.setter
    def module(self, module: nn.Module | None) -> None:
        self._network = module

    def begin_from(self, stepper: Stepper, old: Self, users: CommonRows, items: CommonRows) -> bool:
        """Copy the weights of an earlier network before training: its layers, and the embeddings of the users and items
        in both. Returns False if the sizes differ; they follow the data's unless ``n_factors`` is given."""
        import torch

        new, before = self._module().state_dict(), old._module().state_dict()
        if new.keys() != before.keys() or any(new[n].shape[1:] != t.shape[1:] for n, t in before.items()):
            return False
        rows = {"embeds.0.weight": users, "embeds.1.weight": items}
        if any(new[n].shape != t.shape for n, t in before.items() if n not in rows):
            return False
        with torch.no_grad():
            for name, tensor in before.items():
                mine, theirs = (torch.from_numpy(codes).long() for codes in rows.get(name, (_NONE, _NONE)))
                if name in rows:
                    new[name][mine.to(new[name].device)] = tensor[theirs.to(tensor.device)].to(new[name].device)
                else:
                    new[name].copy_(tensor)
        return True

    def build(self, n_users: int, n_items: int) -> nn.Module:
        need_torch("the neural model")
        c = self.config
        found: nn.Module = parts().layers.EmbeddingNN(
            embedding_sizes(c, (n_users, n_items)),
            c.layers,
            ps=c.dropout,
            embed_p=c.embed_dropout,
            y_range=self.y_range,
            use_bn=c.batch_norm,
        )
        return found

    # ---- on plain arrays, if the module is unaltered and on the CPU, or does not exist yet

    def predict(self, users: Array, items: Array, times: Array | None = None) -> Array:
        if (known := self._arrays()) is None:
            return super().predict(users, items, times)
        found: Array = _arithmetic().predict(
            *known, self._user_table(), np.asarray(users, np.int64), np.asarray(items, np.int64)
        )
        return found

    def scores(self, users: Array) -> Array:
        return self.scores_from(self.user_state(users))

    def user_state(self, users: Array) -> Array:
        """Return rows of the user embedding; for code -1 their mean."""
        if (known := self._arrays()) is None:
            return super().user_state(users)
        table = self._user_table()
        users = np.asarray(users, np.int64)
        found = table[np.maximum(users, 0)]
        found[users < 0] = known[1].mean
        return found

    def fold_in(self, histories: CSR) -> Array:
        """Return rows of the user embedding, float32 (B, d), that fit each history best, with all else fixed."""
        if (known := self._arrays()) is None:
            return super().fold_in(histories)
        found: Array = _arithmetic().fold_in(*known, histories, self.config.loss, self.noise)
        return found

    def scores_from(self, user_state: Array) -> Array:
        if (known := self._arrays()) is None:
            return super().scores_from(user_state)
        found: Array = _arithmetic().scores(known[0], user_state)
        return found

    def scores_among(self, user_state: Array, items: Array) -> Array:
        if (known := self._arrays()) is None:
            return np.ascontiguousarray(super().scores_from(user_state)[:, items])
        found: Array = _arithmetic().scores(known[0], user_state, items)
        return found

    def item_embedding(self) -> Array:
        """Return float32 (n_items, k): the item embedding. :meth:`Recommender.refit` reports how far it moved."""
        if self._saved is not None:
            return self._saved["embeds.1.weight"]
        found: Array = self._module().embeds[1].weight.detach().cpu().numpy()  # type: ignore[index, union-attr]
        return found

    def _user_table(self) -> Array:
        if self._saved is not None:
            return self._saved["embeds.0.weight"]
        found: Array = self._module().embeds[0].weight.detach().numpy()  # type: ignore[index, union-attr]
        return found

    def _arrays(self) -> tuple[Net, Prior] | None:
        """Return the network and the users' prior as arrays, rebuilt after training or an edit of the weights."""
        key: Any = "saved"
        if self._saved is None:
            module = self._module()
            tensors = [*module.parameters(), *module.buffers()]
            key = (self._runs, *map(type, module.modules()), *((t.data_ptr(), t._version) for t in tensors))
        if self._known_arrays is None or self._known_arrays[0] != key:
            if self._saved is None:
                net = _arithmetic().net_of(self._module())
            else:
                net = _arithmetic().net_from(self._saved, self.y_range)
            found = None if net is None else (net, _arithmetic().feature_prior(net, self._user_table()))
            self._known_arrays = key, found
        return self._known_arrays[1]

    def _module(self) -> nn.Module:
        if self._saved is not None:
            torch = need_torch("the module of a neural model")
            saved, self._saved = self._saved, None
            with parts().stepper.own_rng(torch.device("cpu")):
                self._load(self._facts() | {PREFIX + name: array for name, array in saved.items()})
        return super()._module()

    def state(self) -> State:
        bounds = {"y_range": np.array(self.y_range or (), np.float64)}
        if self._saved is None:
            return super().state() | bounds
        return {PREFIX + name: np.array(array) for name, array in self._saved.items()} | self._facts() | bounds

    @classmethod
    def from_state(cls, config: Any, state: Mapping[str, Array], module: Any = None, **given: Any) -> Self:
        """Restore the model from its state, without torch until its module is needed."""
        bounds = stored(state, "y_range", np.float64, (None,))
        if len(bounds) not in (0, 2) or (len(bounds) and bounds[0] >= bounds[1]):
            raise BundleError(f"the array 'y_range' of the saved model holds {bounds.tolist()}, not two bounds or none")
        model = cls(config, **given)
        model.y_range = (float(bounds[0]), float(bounds[1])) if len(bounds) else None
        model._take_facts(state)
        model._saved = arrays_of(state, config, model.tables_shape)
        return model


@functools.cache
def _fused() -> ModuleType:
    """Import the kernel that trains, with torch, on first use."""
    from cofactor.models.neural import fused

    return fused


@functools.cache
def _arithmetic() -> ModuleType:
    """Import the arithmetic of the network on plain arrays, with its kernels, on first use."""
    from cofactor.models.neural import network

    return network
