"""Train a model according to its config: the only path of fit, compare, tune, auto, blend and the conformance suite."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from cofactor.data.interactions import Interactions, Split
from cofactor.model import Model
from cofactor.train.callbacks import Callback
from cofactor.train.learner import Learner


def fit_model(
    data: Interactions | Split,
    model: Model,
    *,
    seed: int,
    callbacks: Sequence[Callback] = (),
    checkpoint: str | Path | None = None,
    resume: bool = False,
    verbose: bool = False,
    begin: Callable[[Learner], object] | None = None,
) -> Learner:
    """Train ``model`` for the epochs of its config: gradient steps by the one-cycle policy, others in passes.

    ``data`` may be a Split, whose ``valid`` part is then monitored. ``begin`` is called with the Learner before the
    first epoch (for example for a warm start). Returns the Learner, which has the losses and the trained model.
    """
    config = model.config
    learn = Learner(data, model, seed=seed, bs=getattr(config, "batch_size", 64), callbacks=callbacks, verbose=verbose)
    if begin is not None:
        begin(learn)
    epochs = getattr(config, "epochs", 1)
    if model.kind == "batch":
        learn.fit_one_cycle(epochs, config.lr, wd=config.weight_decay, checkpoint=checkpoint, resume=resume)
    else:
        learn.fit(epochs, checkpoint=checkpoint, resume=resume)
    return learn
