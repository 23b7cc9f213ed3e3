"""``collab_learner``: the notebook's one-line learner on this package's core. ``use_nn`` and custom losses need
torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

from cofactor._validate import check_int
from cofactor.data.interactions import Interactions, Split
from cofactor.data.read import read
from cofactor.errors import ConfigError
from cofactor.model import Model
from cofactor.models.dot_bias.config import DotBiasConfig
from cofactor.models.dot_bias.model import DotBias
from cofactor.train import learner
from cofactor.train.callbacks import Callback

if TYPE_CHECKING:
    from cofactor.recommender import Recommender


class Learner(learner.Learner):
    """The public Learner, which can also make a Recommender."""

    def recommender(self) -> Recommender:
        """Make a Recommender of the model as it is now."""
        from cofactor.recommender import Recommender

        return Recommender.from_learner(self)


def collab_learner(
    data: Split | Interactions | Any,
    n_factors: int = 50,
    y_range: Sequence[float] | str | None = None,
    *,
    use_nn: bool = False,
    layers: Sequence[int] | None = None,
    emb_szs: Sequence[int] | None = None,
    dropout: float = 0.0,
    loss: str | Callable[..., Any] = "mse",
    bs: int = 64,
    seed: int = 0,
    device: Any = None,
    callbacks: Sequence[Callback] = (),
    verbose: bool = True,
) -> Learner:
    """Make a Learner for a dot product of embeddings with biases, or for a network over embeddings.

    Train it with ``learn.fit_one_cycle(5, 5e-3, wd=0.1)``.

    Args:
        data: a Split (its ``valid`` part gives the validation loss), Interactions, or input of :func:`cofactor.read`.
        n_factors: the width of the embeddings.
        y_range: bounds of the predictions, applied by a sigmoid; ``"auto"``: the bounds of the data, wider by half a
            step; None: no bounds.
        use_nn: train a network over embeddings; needs torch.
        layers: the widths of its hidden layers; ``[n_factors]`` unless given.
        emb_szs: the widths of its user and item embeddings; a rule of thumb unless given.
        dropout: the dropout after each of its layers, 0 to 1.
        loss: ``"mse"``, ``"mae"``, ``"huber"``, ``"bce"``, or a function of two flat tensors (needs torch).
        bs: rows in a batch.
        seed: the seed of the initial weights and of the order of the rows.
        device: the torch device; None: the best one.
        callbacks: callbacks of each fit.
        verbose: print the table of losses.

    Returns:
        The Learner.

    Raises:
        ConfigError: an argument makes no sense.
        MissingExtraError: torch is needed and not installed.
    """
    if not isinstance(data, (Split, Interactions)):
        data = read(data)
    if not isinstance(loss, str) and not callable(loss):
        raise ConfigError(f"loss is {loss!r}; give mse, mae, huber, bce, or a function of two tensors")
    n_factors, bs = check_int("n_factors", n_factors), check_int("bs", bs)
    bounds = y_range if y_range is None or isinstance(y_range, str) else y_bounds(y_range)
    if use_nn and not isinstance(loss, str):
        raise ConfigError("use_nn takes a loss by name (mse, mae, huber); for a loss of your own, use TorchModule")
    model: Model
    if use_nn:
        widths = [n_factors] if layers is None else hidden(layers)
        model = _networks().embedding_network(widths, bounds, emb_szs, dropout, loss, bs, device)
    elif layers is not None or emb_szs is not None or dropout:
        raise ConfigError("layers, emb_szs and dropout belong to the network; add use_nn=True")
    elif isinstance(loss, str):
        model = DotBias(DotBiasConfig(n_factors=n_factors, y_range=bounds, loss=loss, batch_size=bs))
    else:
        model = _networks().own_loss(data, n_factors, bounds, loss, bs, device)
    return Learner(data, model, seed=seed, bs=bs, callbacks=callbacks, verbose=verbose)


def _networks() -> ModuleType:
    from cofactor import collab_networks

    return collab_networks


def hidden(layers: Any) -> list[int]:
    """Return the widths of hidden layers; ConfigError where they are not a list of whole numbers."""
    if isinstance(layers, str) or not hasattr(layers, "__iter__"):
        raise ConfigError(f"layers is {layers!r}; give the widths of the hidden layers, such as [100, 50]")
    return [check_int("the width of a layer", width) for width in layers]


def y_bounds(y_range: Sequence[float]) -> tuple[float, float]:
    try:
        low, high = (float(y) for y in y_range)
    except (TypeError, ValueError):
        low = high = 0.0
    if not low < high:
        raise ConfigError(f"y_range must be two numbers, the lower first, not {y_range!r}")
    return low, high
