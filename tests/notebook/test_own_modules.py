"""Modules of one's own with layers, through the Learner: a kernel trains them where there is enough to train."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the torch extra is not installed")
pd = pytest.importorskip("pandas", reason="the torch extra is not installed")

from torch import nn  # noqa: E402

import cofactor.notebook as nb  # noqa: E402
from cofactor.models.torch.fused import FusedModule  # noqa: E402
from cofactor.notebook._training import module_core as _module_core  # noqa: E402


def table(rows):
    rng = np.random.default_rng(0)
    users, items = rng.integers(0, 60, rows), rng.integers(0, 40, rows)
    taste = rng.normal(size=(60, 2)), rng.normal(size=(40, 2))
    ratings = np.clip(np.rint(3 + (taste[0][users] * taste[1][items]).sum(1)), 1, 5)
    return pd.DataFrame({"user": users, "item": items, "rating": ratings})


class Layers(nb.Module):
    def __init__(self, n_users, n_items):
        self.users, self.items = nb.Embedding(n_users, 8), nb.Embedding(n_items, 8)
        self.layers = nn.Sequential(nn.Linear(16, 20, bias=False), nn.ReLU(), nn.BatchNorm1d(20), nn.Linear(20, 1))

    def forward(self, x):
        return nb.sigmoid_range(self.layers(torch.cat([self.users(x[:, 0]), self.items(x[:, 1])], 1)), 0, 5.5)


def trained(dls, **given):
    torch.manual_seed(0)
    module = Layers(*(len(c) for c in dls.classes.values()))
    learn = nb.Learner(dls, module, loss_func=nb.MSELossFlat(), metrics=[nb.mae], verbose=False, seed=1, **given)
    learn.fit_one_cycle(2, 1e-3, wd=0.1)  # at higher rates rounding alone decides where this table ends
    return learn, module


@pytest.fixture(scope="module")
def large():
    return nb.CollabDataLoaders.from_df(table(_module_core.LEAST_ROWS * 2), seed=3, bs=64, device="cpu")


def test_the_kernel_and_autograd_learn_the_same(large, monkeypatch):
    learn, module = trained(large)
    assert isinstance(learn._core.learn.stepper.kernel.chosen, FusedModule)
    assert learn._core.learn.stepper.kernel.chosen.known is not None
    monkeypatch.setattr(_module_core, "LEAST_ROWS", 10**9)
    other, _ = trained(large)
    np.testing.assert_allclose(learn.recorder.values, other.recorder.values, rtol=1e-3)
    assert int(module.layers[2].num_batches_tracked) == 2 * (len(large.train_ds) // 64)
    preds, targs = learn.get_preds()
    module.eval()
    with torch.no_grad():
        again = torch.cat([module(x) for x, _ in large.valid])
    torch.testing.assert_close(preds, again)
    loss = float(((preds - targs) ** 2).mean())
    assert loss == pytest.approx(learn.recorder.values[-1][1], rel=1e-5)


def test_whoever_looks_at_epochs_sees_the_weights_of_that_epoch(large):
    class Looks(nb.Callback):
        def before_fit(self):
            self.seen = []

        def after_epoch(self):
            self.seen.append(self.learn.model.layers[0].weight.detach().clone())

    looks = Looks()
    module = trained(large, cbs=looks)[1]
    assert not torch.equal(*looks.seen)
    assert torch.equal(looks.seen[1], module.layers[0].weight)


def test_few_rows_are_left_to_autograd():
    dls = nb.CollabDataLoaders.from_df(table(600), seed=3, bs=64, device="cpu")
    learn, _ = trained(dls)
    assert not any(isinstance(k, FusedModule) for k in learn._core.learn.stepper.kernel.kernels)


def test_a_run_goes_on_where_it_stopped(large):
    """What a kernel has trained, autograd trains on, and the other way round."""
    learn, module = trained(large)
    steps = learn.opt.only().steps[0]
    handle = module.layers[0].register_forward_hook(lambda *args: None)
    learn.fit(1, 1e-3)
    handle.remove()
    learn.fit(1, 1e-3)
    assert learn.opt.only().steps[0] == 2 * steps
    assert learn.recorder.values[-1][1] < 3
