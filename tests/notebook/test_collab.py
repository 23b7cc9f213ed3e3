"""``cf.collab_learner``: the core contract; all but the network and losses of one's own work without torch."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

import cofactor as cf
from cofactor.errors import ConfigError
from cofactor.models.dot_bias.model import DotBias

needs_torch = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="the torch extra is not installed")


def test_the_contract(toy, capsys):
    parts = cf.split.random(toy, valid=0.2, seed=42)
    learn = cf.collab_learner(parts, n_factors=5, y_range=(0, 5.5), seed=0, bs=16)
    learn.fit_one_cycle(3, 5e-3, wd=0.1)
    assert capsys.readouterr().out.split()[:4] == ["epoch", "train_loss", "valid_loss", "time"]
    assert len(learn.recorder.values) == 3
    assert isinstance(learn.model, DotBias)
    again = cf.collab_learner(parts, n_factors=5, y_range=[0, 5.5], seed=0, bs=16, verbose=False)
    again.fit_one_cycle(3, 5e-3, wd=0.1)
    assert learn.recorder.values == again.recorder.values
    assert learn.recommender().recommend(user=1, n=2).height == 2


def test_tables_and_ranges(toy):
    learn = cf.collab_learner(toy.to_frame(), 4, verbose=False, bs=16)
    learn.fit_one_cycle(1, 5e-3)
    assert np.isnan(learn.recorder.values[0][1])
    assert learn.model.y_range is None
    learn = cf.collab_learner(toy, 4, "auto", loss="mae", verbose=False, bs=16)
    learn.fit_one_cycle(1, 5e-3)
    assert learn.model.y_range == (0.5, 5.5)
    assert learn.validate(toy) == pytest.approx(np.abs(learn.model.predict(toy.users, toy.items) - toy.values).mean())


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"y_range": (5, 0)}, "lower first"),
        ({"y_range": (1, 2, 3)}, "two numbers"),
        ({"layers": [10]}, "add use_nn=True"),
        ({"dropout": 0.1}, "add use_nn=True"),
        ({"n_factors": 0}, "at least 1"),
        ({"loss": "mes"}, "no loss 'mes'"),
        ({"bs": 0}, "bs is 0"),
    ],
)
def test_what_makes_no_sense(toy, given, words):
    with pytest.raises(ConfigError, match=words):
        cf.collab_learner(toy, **given)


@needs_torch
def test_the_network_and_a_loss_of_ones_own(toy):
    parts = cf.split.random(toy, valid=0.2)
    learn = cf.collab_learner(
        parts,
        use_nn=True,
        layers=[8, 4],
        emb_szs=(5, 6),
        dropout=0.1,
        y_range=(0, 5.5),
        bs=16,
        device="cpu",
        verbose=False,
    )
    learn.fit_one_cycle(2, 5e-3, wd=0.1)
    assert learn.model.name == "neural"
    assert [e.embedding_dim for e in learn.model.module.embeds] == [5, 6]
    with pytest.raises(ConfigError, match="two widths"):
        cf.collab_learner(parts, use_nn=True, emb_szs=(5,))
    with pytest.raises(ConfigError, match="by name"):
        cf.collab_learner(parts, use_nn=True, loss=lambda p, y: p.sum())
    own = cf.collab_learner(
        parts, 5, "auto", loss=lambda p, y: ((p - y) ** 4).mean(), bs=16, device="cpu", verbose=False
    )
    own.fit_one_cycle(2, 2e-2)
    predicted = own.model.predict(parts.valid.users, parts.valid.items)
    assert own.recorder.values[-1][1] == pytest.approx(np.mean((predicted - parts.valid.values) ** 4), rel=1e-4)
    assert own.recorder.values[1][1] < own.recorder.values[0][1]


@needs_torch
@pytest.mark.movielens
def test_kernel_and_torch_agree_on_the_notebooks_job(ml100k):
    """One epoch of dot-bias by the kernel and by autograd from the same start."""
    import torch

    from cofactor.models.torch.layers import EmbeddingDotBias
    from cofactor.models.torch.module import TorchModule, TorchModuleConfig
    from cofactor.train import Learner

    parts = cf.split.random(ml100k, valid=0.2, seed=1)
    fast = cf.collab_learner(parts, 20, (0, 5.5), seed=4, bs=256, verbose=False)
    _ = fast.stepper
    module = EmbeddingDotBias(20, ml100k.n_users, ml100k.n_items, (0, 5.5))
    for name, view in fast.model.views().items():
        with torch.no_grad():
            getattr(module, name).weight.copy_(torch.from_numpy(view))
    slow = Learner(parts, TorchModule(TorchModuleConfig(), module, device="cpu"), seed=4, bs=256, verbose=False)
    for learn in (fast, slow):
        learn.fit_one_cycle(1, 5e-3, wd=0.1)
    assert fast.recorder.values[0] == pytest.approx(slow.recorder.values[0], abs=5e-4)
