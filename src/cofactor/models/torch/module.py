"""Any PyTorch module as a model of cofactor: trained by the same loop, evaluated, folded in, saved.

The module takes int64 ``x`` (batch, 2) of user and item numbers and returns one prediction per row. Importing this file
does not import torch; using it does.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from cofactor.data.interactions import CSR, Interactions
from cofactor.errors import BundleError, ConfigError, MissingExtraError, NotFittedError
from cofactor.model import Kind, State, Stepper, Task
from cofactor.models.base.arrays import stored
from cofactor.models.base.config import GradientConfig, Search, option

if TYPE_CHECKING:
    import torch
    from torch import nn

Array = NDArray[Any]

_NO_LOSS = (
    "this module was trained with a loss of your own, which a file cannot hold; give it:"
    " TorchModule.from_state(config, state, module=..., loss=...)"
)
BLOCK = 65_536
"""Number of rows in one forward pass outside training."""


class Parts(NamedTuple):
    """The modules of this package that need PyTorch."""

    fold_in: ModuleType
    layers: ModuleType
    optim: ModuleType
    stepper: ModuleType


@functools.cache
def parts() -> Parts:
    """Import them on first use, since PyTorch is an extra and takes a second to import."""
    from cofactor.models.torch import fold_in, layers, optim, stepper

    return Parts(fold_in, layers, optim, stepper)


def need_torch(purpose: str) -> Any:
    """Return the torch package. Raises MissingExtraError if it is not installed."""
    try:
        import torch
    except ImportError:
        raise MissingExtraError("torch", "torch", purpose) from None
    return torch


def best_device() -> torch.device:
    """Return a CUDA GPU if there is one, else the CPU (Apple's ``mps`` only on request: batches this small are faster
    on the CPU)."""
    torch = need_torch("a PyTorch module")
    if torch.cuda.is_available():
        return torch.device("cuda", torch.cuda.current_device())  # type: ignore[no-any-return]
    return torch.device("cpu")  # type: ignore[no-any-return]


def device_of(given: Any) -> torch.device:
    """Return the requested device, or the best one (None). Raises ConfigError if it does not exist here."""
    torch = need_torch("a PyTorch module")
    if given is None:
        return best_device()
    try:
        device = torch.device(given)
        torch.zeros(1, device=device).sum().item()  # "meta", and a GPU that does not exist, fail only here
    except (RuntimeError, TypeError, ValueError, AssertionError, NotImplementedError):
        raise ConfigError(f"device is {given!r}, which is not available here; give 'cpu', or leave it out") from None
    return device  # type: ignore[no-any-return]


@dataclass(frozen=True)
class TorchModuleConfig(GradientConfig):
    """Parameters of :class:`TorchModule`."""

    decays: ClassVar[bool] = True

    loss: str = option("mse", "mse, mae, huber or bce; 'own' if a function was given")
    offset: int = option(0, "1: number 0 of users and items means an unknown id, and code c is number c + 1")
    epochs: int = option(5, "passes over the ratings", Search(3, 20))
    lr: float = option(5e-3, "highest learning rate of the one-cycle schedule", Search(1e-4, 2e-2, log=True))
    weight_decay: float = option(
        0.01,
        "decoupled weight decay, except for normalisation layers and biases of layers",
        Search(1e-4, 0.5, log=True),
    )
    batch_size: int = option(64, "ratings a batch")
    threads: int = option(0, "torch threads on a CPU; 0: one for small batches, else torch's own number")

    def __post_init__(self) -> None:
        if self.offset not in (0, 1):
            raise ConfigError(f"offset must be 0 or 1, not {self.offset}")
        if self.batch_size < 1:
            raise ConfigError(f"batch_size must be at least 1, not {self.batch_size}")


class TorchModule:
    """A PyTorch module of your own.

    ``module`` is an ``nn.Module``, trained in place from its present weights, or a function (n_users, n_items) ->
    module that is called, under the run's seed, each time a training begins. ``loss`` is a function of flat predictions
    and targets that returns their mean loss (its optional attribute ``activation`` converts outputs to predictions).
    ``optimizer`` makes an optimizer from a module (``Adam()`` of this package unless given). ``device``: a GPU if there
    is one. For unknown ids (-1) the mean row of the module's tables is used, if it has such tables.
    """

    name: ClassVar[str] = "torch-module"
    task: ClassVar[Task] = "rating"
    kind: ClassVar[Kind] = "batch"
    Config: ClassVar[type[Any]] = TorchModuleConfig

    def __init__(
        self,
        config: Any = None,
        module: nn.Module | Callable[[int, int], nn.Module] | None = None,
        *,
        loss: Callable[..., Any] | None = None,
        optimizer: Callable[[nn.Module], Any] | None = None,
        device: Any = None,
    ) -> None:
        self.config = config if config is not None else self.Config()
        self.source = module
        self.optimizer = optimizer
        self.device = device
        self.module: nn.Module | None = None
        self.tables_shape = (0, 0)
        self.noise = 1.0
        """The recent mean training loss, which decides how much a user's history counts in fold-in."""
        self.activated = False
        """Whether the loss of a loaded model had an activation, which must be given again."""
        self._loss = loss
        self._tables: dict[int, list[str]] = {}
        self._runs = 0
        self._known_prior: tuple[Any, Any] | None = None

    # ---- training

    def build(self, n_users: int, n_items: int) -> nn.Module:
        """Return the module to train, from what was given. A function draws from torch's generator."""
        torch = need_torch("a PyTorch module")
        made = self.source
        if made is None:
            raise ConfigError("give TorchModule a module, or a function (n_users, n_items) -> module")
        if not isinstance(made, torch.nn.Module):
            made = made(n_users, n_items)
        if not isinstance(made, torch.nn.Module):
            raise ConfigError(f"the function gave a {type(made).__name__}, not a torch.nn.Module")
        module: nn.Module = made
        return module

    def stepper(self, data: Interactions, rng: np.random.Generator) -> Stepper:
        """Create the stepper. All randomness in it (a function's initial weights, dropout) comes from ``rng``."""
        torch = need_torch("a PyTorch module")
        device = device_of(self.device)
        offset = self._offset()
        self.tables_shape = (data.n_users + offset, data.n_items + offset)
        with parts().stepper.own_rng(torch.device("cpu")):
            parts().stepper.seed_rng(int(rng.integers(2**63)), torch.device("cpu"))
            self.module = self.build(*self.tables_shape).to(device)
        self._tables = {}
        found: Stepper = parts().stepper.TorchStepper(
            self.module,
            data,
            loss=self.loss_function(),
            optimizer=self.optimizer or parts().optim.Adam(),
            device=device,
            offset=offset,
            seed=int(rng.integers(2**63)),
            threads=getattr(self.config, "threads", 0) or None,
            report=self._remember,
        )
        return found

    def loss(self, data: Interactions) -> float:
        """Return the mean loss on a table of ratings."""
        torch = need_torch("a PyTorch module")
        out = self._forward(data.users, data.items)
        y = torch.from_numpy(np.array(data.values, np.float32)).to(out.device)
        with torch.no_grad():
            return float(self.loss_function()(out, y))

    def loss_function(self) -> Callable[..., Any]:
        """Return the given loss, or the one that the config names, as a function of flat tensors."""
        if self._loss is not None:
            return self._loss
        try:
            found: Callable[..., Any] = parts().layers.NAMED_LOSSES[self.config.loss]
        except KeyError:
            if self.config.loss == "own":
                raise ConfigError(_NO_LOSS) from None
            raise ConfigError(
                f"no loss {self.config.loss!r}; there are: {', '.join(parts().layers.NAMED_LOSSES)}"
            ) from None
        return found

    # ---- predictions

    def predict(self, users: Array, items: Array, times: Array | None = None) -> Array:
        return self._numpy(self._activated(self._forward(users, items)))

    def scores(self, users: Array) -> Array:
        users = np.asarray(users)
        n = self.tables_shape[1] - self._offset()
        out = np.empty((len(users), n), np.float32)
        at_once = max(1, BLOCK // max(n, 1))
        for start in range(0, len(users), at_once):
            part = users[start : start + at_once]
            pairs = np.repeat(part, n), np.tile(np.arange(n, dtype=np.int32), len(part))
            out[start : start + at_once] = self.predict(*pairs).reshape(len(part), n)
        return out

    # ---- fold-in

    def fold_in(self, histories: CSR) -> Array:
        """Return the rows of the module's user tables that fit each history best, with all else fixed: float32 (B,
        d)."""
        states = parts().fold_in.fold_in(
            self._module(),
            self._user_tables(),
            histories,
            loss=self.loss_function(),
            offset=self._offset(),
            before=self._prior(),
            noise=self.noise,
            block=BLOCK,
        )
        return self._numpy(states)

    def user_state(self, users: Array) -> Array:
        """Return the rows of the user tables; for code -1 their mean."""
        torch = need_torch("a PyTorch module")
        module, names, offset = self._module(), self._user_tables(), self._offset()
        device = next(module.parameters()).device
        users = np.asarray(users, np.int64)
        states = parts().fold_in.table_rows(module, names, torch.from_numpy(np.maximum(users, 0) + offset).to(device))
        if (users < 0).any():
            everybody = torch.arange(offset, self.tables_shape[0], device=device)
            states[torch.from_numpy(users < 0).to(device)] = (
                parts().fold_in.table_rows(module, names, everybody).mean(0)
            )
        return self._numpy(states)

    def scores_from(self, user_state: Array) -> Array:
        torch = need_torch("a PyTorch module")
        module, offset = self._module(), self._offset()
        device = next(module.parameters()).device
        states = torch.from_numpy(np.array(user_state, np.float32)).to(device)
        n_items = self.tables_shape[1] - offset
        return self._numpy(
            self._activated(parts().fold_in.score_states(module, self._user_tables(), states, n_items, offset, BLOCK))
        )

    # ---- state

    def shape(self) -> tuple[int, int]:
        """Return (users, items) of the training data."""
        n_users, n_items = self.tables_shape
        return n_users - self._offset(), n_items - self._offset()

    def state(self) -> State:
        found: State = parts().stepper.module_state(self._module()) | self._facts()
        return found

    @classmethod
    def from_state(cls, config: Any, state: Mapping[str, Array], module: Any = None, **given: Any) -> Self:
        """Restore the model from its state. The file holds weights but no code, so a module of your own must be given.

        ``module`` is one of the same class and sizes, or a function that makes it; its weights are overwritten.
        """
        return cls(config, module, **given)._load(state)

    def _load(self, state: Mapping[str, Array]) -> Self:
        """Build the module and load the arrays."""
        need_torch("a PyTorch module")
        self._take_facts(state)
        try:
            made = self.build(*self.tables_shape)
        except ConfigError as exc:
            raise BundleError(
                "this bundle holds the weights of a PyTorch module of your own, and no code; give the module too: "
                f"TorchModule.from_state(config, state, module=MyModule(...)) ({exc})"
            ) from exc
        parts().stepper.load_module_state(made, state)
        self.module = made.to(device_of(self.device)).eval()
        return self

    # ---- inside

    def _facts(self) -> State:
        """Return the contents of a state besides the module."""
        activated = self.activated or (self._loss is not None and parts().layers.activation_of(self._loss) is not None)
        return {
            "shape": np.array(self.tables_shape, np.int64),
            "noise": np.array(self.noise, np.float64),
            "activated": np.array(int(activated), np.int64),
        }

    def _take_facts(self, state: Mapping[str, Array]) -> None:
        """Read :meth:`_facts`. Raises BundleError if they are invalid."""
        shape = stored(state, "shape", np.int64, (2,))
        self.tables_shape = (int(shape[0]), int(shape[1]))
        if min(self.tables_shape) < 1 or max(self.tables_shape) >= 1 << 31:
            raise BundleError(
                f"the array 'shape' of the saved model holds {self.tables_shape}, not numbers of users and items"
            )
        self.noise = float(stored(state, "noise", np.float64, ()))
        self.activated = bool(stored(state, "activated", np.int64, ()))

    def _remember(self, losses: Array) -> None:
        self._runs += 1
        if len(losses) > 1:
            self.noise = float(np.mean(losses))

    def _module(self) -> nn.Module:
        if self.module is None:
            raise NotFittedError(f"{self.name} is not trained yet; train it first")
        return self.module

    def _offset(self) -> int:
        return int(getattr(self.config, "offset", 0))

    def _side(self, side: int) -> list[str]:
        if side not in self._tables:
            self._tables[side] = parts().fold_in.tables(self._module(), self.tables_shape, side)
        return self._tables[side]

    def _user_tables(self) -> list[str]:
        names = self._side(0)
        if not names:
            raise ConfigError(
                f"{type(self.module).__name__} has no table with a row for each user (as nn.Embedding or nn.Parameter) "
                "that its predictions read by x[:, 0], so there is nothing to solve for a new user"
            )
        return names

    def _prior(self) -> Any:
        """Return the prior of users' states, computed again after training or an edit of the tables."""
        module, names = self._module(), self._user_tables()
        parameters = dict(module.named_parameters())
        key = (self._runs, *((parameters[n].data_ptr(), parameters[n]._version) for n in names))
        if self._known_prior is None or self._known_prior[0] != key:
            n_users = self.tables_shape[0] - self._offset()
            self._known_prior = key, parts().fold_in.prior(module, names, self._offset(), n_users)
        return self._known_prior[1]

    def _forward(self, users: Array, items: Array) -> torch.Tensor:
        """Return flat outputs for pairs of codes.

        For a code of -1 the mean row of that side's tables is used. Without such tables, it is row 0, or the mean over
        a sample of users or items.
        """
        module, offset = self._module(), self._offset()
        device = next(module.parameters()).device
        users, items = np.asarray(users, np.int64), np.asarray(items, np.int64)
        x = parts().stepper.pairs(users, items, offset, device)
        replaced: dict[str, torch.Tensor] = {}
        for side, codes in enumerate((users, items)):
            if len(codes) == 0 or codes.min() >= 0:
                continue
            if names := self._side(side):
                replaced |= parts().fold_in.with_mean_rows(module, names, offset)
                x[:, side][x[:, side] < offset] = self.tables_shape[side]
            elif not offset:
                return self._averaged(users, items, side)
        call = parts().fold_in.caller(module, replaced) if replaced else None
        found: torch.Tensor = parts().stepper.forward_blocks(module, x, BLOCK, call)
        return found

    def _averaged(self, users: Array, items: Array, side: int) -> torch.Tensor:
        """Return the mean of the outputs over up to 32 users (or items) in place of a code of -1."""
        total: Any = 0
        some = np.unique(np.linspace(0, self.tables_shape[side] - 1, 32).astype(np.int64))
        for code in some:
            both = [users, items]
            both[side] = np.where(both[side] < 0, code, both[side])
            total = total + self._forward(both[0], both[1])
        out: torch.Tensor = total / len(some)
        return out

    def _activated(self, out: torch.Tensor) -> torch.Tensor:
        activation = None if self._loss is None else parts().layers.activation_of(self._loss)
        if activation is None and self.activated:
            raise ConfigError(_NO_LOSS)
        return out if activation is None else activation(out)

    @staticmethod
    def _numpy(out: torch.Tensor) -> Array:
        found: Array = out.detach().float().cpu().numpy()
        return found
