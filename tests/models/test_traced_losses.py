"""Losses of one's own, written down with the module: the kernel trains by them as autograd does."""

from __future__ import annotations

import functools

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the torch extra is not installed")

import torch.nn.functional as F  # noqa: E402
from torch import nn  # noqa: E402

from cofactor.kernels import tape  # noqa: E402
from cofactor.model import Hyper  # noqa: E402
from cofactor.models.torch.fused import FusedModule  # noqa: E402
from cofactor.models.torch.layers import Embedding, Module, sigmoid_range  # noqa: E402
from cofactor.models.torch.optim import Adam  # noqa: E402
from cofactor.models.torch.trace import OwnLoss, loss_program_of  # noqa: E402

SIZES = (23, 31)


class Net(Module):
    """Embeddings and two layers; ``wide`` outputs a row."""

    def __init__(self, y_range=(0, 5.5), wide=1):
        self.users, self.items = Embedding(23, 6), Embedding(31, 9)
        self.layers = nn.Sequential(nn.Linear(15, 12), nn.ReLU(), nn.Linear(12, wide))
        self.y_range = y_range

    def forward(self, x):
        z = self.layers(torch.cat([self.users(x[:, 0]), self.items(x[:, 1])], 1))
        return z if self.y_range is None else sigmoid_range(z, *self.y_range)


class Pairs(nn.Module):
    """Scores of two items for a user, from one table."""

    def __init__(self):
        super().__init__()
        self.u, self.i, self.b = nn.Embedding(23, 5), nn.Embedding(31, 5), nn.Embedding(31, 1)

    def score(self, u, i):
        return (self.u(u) * self.i(i)).sum(1, keepdim=True) + self.b(i)

    def forward(self, x):
        return torch.cat([self.score(x[:, 0], x[:, 1]), self.score(x[:, 0], x[:, 2])], 1)


class Weighted(nn.Module):
    def __init__(self, w=2.0):
        super().__init__()
        self.w = w

    def forward(self, p, t):
        t = t.view(-1).float()
        return (torch.where(t >= 4, self.w, 1.0) * (p.view(-1) - t) ** 2).mean()


def quantile(p, t, q=0.7):
    e = t.squeeze() - p.squeeze()
    return torch.max(q * e, (q - 1) * e).mean()


def of_pairs(out, y):
    return -torch.log(1e-10 + torch.sigmoid(out[:, 0] - out[:, 1])).mean()


def moments(p, t):
    d = (p - t).view(-1)
    return d.mean() ** 2 + (d - d.mean()).pow(2).mean()


range_of, logits = Net, functools.partial(Net, None)
LOSSES = {
    "rmse": (range_of, lambda p, t: torch.sqrt(((p - t) ** 2).mean())),
    "rmse by parts": (range_of, lambda p, t: F.mse_loss(p.view(-1), t.view(-1).float()).sqrt() + 1e-3),
    "sum": (range_of, lambda p, t: (p.squeeze() - t.squeeze()).abs().sum() * 0.01),
    "weighted": (range_of, Weighted()),
    "partial": (range_of, functools.partial(quantile, q=0.3)),
    "masks": (range_of, lambda p, t: (((p - t) ** 2) * (t > 2).float() + 0.1 * (~(t > 2)) * (p - t).abs()).mean()),
    "of predictions": (range_of, lambda p, t: torch.where(p > t, 2 * (p - t), t - p).mean()),
    "log-cosh": (range_of, lambda p, t: torch.log(torch.cosh(p - t)).mean()),
    "smooth": (range_of, nn.SmoothL1Loss(beta=0.5)),
    "huber": (range_of, nn.HuberLoss(delta=0.7)),
    "sum of squares": (range_of, nn.MSELoss(reduction="sum")),
    "relative": (range_of, lambda p, t: ((p.view(-1) - t.view(-1)).abs() / t.view(-1)).mean()),
    "moments": (range_of, moments),
    "logits": (logits, lambda p, t: F.binary_cross_entropy_with_logits(p, (t > 3).float())),
    "positive weight": (logits, lambda p, t: nn.BCEWithLogitsLoss(pos_weight=torch.tensor(2.0))(p, (t > 3).float())),
    "focal": (
        logits,
        lambda p, t: ((1 - torch.exp(-F.softplus(-p))) ** 2 * F.softplus(-p) * (t > 3).float()).mean(),
    ),
    "probabilities": (functools.partial(Net, (0, 1)), lambda p, t: F.binary_cross_entropy(p, t.float() / 5)),
    "hinge": (logits, lambda p, t: F.relu(1 - p * (2 * (t > 3).float() - 1)).mean()),
    "pairs": (Pairs, of_pairs),
    "pairs by log-sigmoid": (Pairs, lambda out, y: -F.logsigmoid(out[:, 0] - out[:, 1]).mean()),
    "ranking": (
        Pairs,
        lambda out, y: F.margin_ranking_loss(out[:, 0], out[:, 1], torch.ones(len(out)), margin=1.0),
    ),
    "two outputs": (
        functools.partial(Net, None, 2),
        lambda out, t: (0.5 * torch.exp(-out[:, 1]) * (out[:, 0] - t.squeeze()) ** 2 + 0.5 * out[:, 1]).mean(),
    ),
}


def drawn(make, rows=640):
    """A module, three columns of codes, whole ratings (rows, 1)."""
    rng = np.random.default_rng(0)
    torch.manual_seed(0)
    module = make()
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, nn.Embedding):
                part.weight.normal_().mul_(0.4)
    codes = tuple(rng.integers(0, n, rows).astype(np.int32) for n in (*SIZES, 31))
    return module, codes, torch.from_numpy(rng.integers(1, 6, (rows, 1)).astype(np.int8))


def batch(codes, ratings, at):
    return torch.stack([torch.from_numpy(c[at].astype(np.int64)) for c in codes], 1), ratings[at]


def called(loss):
    """As a Learner calls it: flat floats for a loss of PyTorch that compares number by number."""
    if not isinstance(loss, (nn.MSELoss, nn.SmoothL1Loss, nn.HuberLoss)):
        return loss
    return lambda out, y: loss(out.reshape(-1), y.reshape(-1).float())


@pytest.mark.parametrize("name", LOSSES)
def test_steps_are_those_of_autograd(name):
    make, loss = LOSSES[name]
    bs, n = 64, 4
    (module, codes, ratings), (other, *_) = drawn(make), drawn(make)
    lr, mom, run = np.linspace(2e-3, 1e-2, n), np.linspace(0.95, 0.85, n), Adam()(module)
    values = ratings.numpy().reshape(-1).astype(np.float32)
    own, loss = OwnLoss(loss, called(loss), ratings), called(loss)
    fused = FusedModule(module, codes, values, lambda: run, lambda y_range: None, seed=1, own=own)
    assert fused.begin(bs), "left to autograd"
    found = fused.train(np.arange(n * bs), Hyper(lr, mom, 0.1, bs))
    fused.flush()
    dense, wanted = Adam()(other), []
    dense.begin()
    for b in range(n):
        x, y = batch(codes, ratings, slice(b * bs, (b + 1) * bs))
        value = loss(other(x), y)
        value.backward()
        wanted.append(float(value.detach()))
        dense.step(lr[b], mom[b], 0.1)
    np.testing.assert_allclose(found, wanted, rtol=5e-5)
    for (name, p), q in zip(module.state_dict().items(), other.state_dict().values()):
        np.testing.assert_allclose(p.numpy(), q.numpy(), rtol=2e-3, atol=1e-4, err_msg=name)


def written(module, codes, ratings, loss):
    x, _ = batch(codes, ratings, slice(0, 64))
    return loss_program_of(module, x, torch.arange(64), OwnLoss(loss, loss, ratings))


class Counts(nn.Module):
    def __init__(self):
        super().__init__()
        self.seen = []

    def forward(self, p, t):
        self.seen.append(1)
        return (p - t).pow(2).mean()


class Remembers:
    def __call__(self, p, t):
        self.last = p
        return (p - t).pow(2).mean()


class Scaled:
    def __init__(self):
        self.by, self.inner = 2.0, nn.MSELoss()

    def __call__(self, p, t):
        return self.by * self.inner(p, t.float())


LOSSES["an object"] = (Net, Scaled())
SEEN = []
OTHERS = {
    "kept": lambda p, t: SEEN.append(1) or ((p - t) ** 2).mean(),
    "counted": Counts(),
    "remembered": Remembers(),
    "printed": lambda p, t: print(t.shape) or ((p - t) ** 2).mean(),
    "a gradient that stops": lambda p, t: ((p.detach() - t) * (p - t)).mean(),
    "a value looked at": lambda p, t: ((p - t) ** 2).mean() if p.mean() < 1e6 else p.mean(),
    "broadcast": lambda p, t: ((p.view(-1) - t) ** 2).mean(),
    "at random": lambda p, t: ((p - t) ** 2 * torch.rand(len(p), 1)).mean(),
    "as many as there are": lambda p, t: ((p - t) ** 2).sum() / len(p),
    "chosen": lambda p, t: (p - t)[t > 2].pow(2).mean(),
    "not a mean": lambda p, t: (p - t) ** 2,
    "classes": lambda p, t: F.cross_entropy(torch.cat([p, -p], 1), (t.view(-1) > 3).long()),
    "the batch's largest": lambda p, t: (p - t).abs().max(),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_left_to_autograd(name):
    module, codes, ratings = drawn(Net)
    assert written(module, codes, ratings, OTHERS[name]) is None
    assert not SEEN


def test_a_loss_that_changes_is_looked_at_again():
    module, codes, ratings = drawn(Net)
    loss, run = Weighted(), Adam()(module)
    values = ratings.numpy().reshape(-1).astype(np.float32)
    fused = FusedModule(
        module, codes, values, lambda: run, lambda y_range: None, seed=1, own=OwnLoss(loss, loss, ratings)
    )
    found = []
    for weight in (1.0, 50.0):
        loss.w = weight
        assert fused.begin(64)
        found.append(float(fused.train(np.arange(64), Hyper(np.full(1, 1e-6), np.full(1, 0.9), 0.0, 64))[0]))
        fused.flush()
    assert found[1] > 5 * found[0]


def test_the_program_of_a_loss_ends_with_a_mean_over_the_batch():
    module, codes, ratings = drawn(Net)
    found = written(module, codes, ratings, Weighted())
    assert found is not None
    assert found.loss
    assert found.ops[-1].kind == tape.BATCH
    assert [o.kind for o in found.ops].count(tape.TARGET) == 1
