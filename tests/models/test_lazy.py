"""Tables of any module by rows: the same losses and weights as dense Adam, whatever the module does with its tables."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the torch extra is not installed")

import torch.nn.functional as F  # noqa: E402
from torch import nn  # noqa: E402

from cofactor.kernels import lazy_rows as kernel  # noqa: E402
from cofactor.models.torch import lazy  # noqa: E402
from cofactor.models.torch.layers import Embedding  # noqa: E402
from cofactor.models.torch.optim import Adam  # noqa: E402

USERS, ITEMS, K = 400, 300, 24


def test_rows_move_as_in_dense_adam():
    """One table, random rows and gradients: NumPy in float64 that moves every row at every step."""
    rng = np.random.default_rng(0)
    n, width, b2, eps = 40, 5, 0.99, 1e-5
    p = rng.normal(size=(n, width))
    parameter = nn.Parameter(torch.tensor(p, dtype=torch.float32))
    m, v = torch.zeros(n, width), torch.zeros(n, width)
    table = lazy.Table(parameter, m, v, 0, b2, eps)
    dm, dv = np.zeros((n, width)), np.zeros((n, width))
    for t in range(1, 60):
        rows = rng.integers(0, n, 4)
        grads = rng.normal(size=(4, width))
        lr, mom, decay = 0.01 + 0.001 * (t % 5), 0.95 - 0.002 * (t % 7), 1 - 0.001
        read = np.empty((4, width), np.float32)
        state = (table.w, table.ms, table.last, table.mask, table.past, table.fade, table.clock)
        assert kernel.read(rows, *state, eps, read)
        np.testing.assert_allclose(read, p[rows], rtol=2e-3, atol=2e-3)
        g = np.zeros((n, width))
        np.add.at(g, rows, grads)
        dm, dv = mom * dm + (1 - mom) * g, b2 * dv + (1 - b2) * g * g
        p = p * decay - lr / (1 - mom**t) * dm / (np.sqrt(dv) / np.sqrt(1 - b2**t) + eps)
        leaf = torch.zeros(4, width)
        leaf.grad = torch.tensor(grads, dtype=torch.float32)
        table.seen = [(rows, leaf)]
        assert table.step(lr, mom, decay)
    assert not kernel.read(np.array([n]), *state, eps, read[:1])
    assert not kernel.read(np.array([-1]), *state, eps, read[:1])
    table.leave()
    assert type(parameter) is nn.Parameter
    np.testing.assert_allclose(parameter.detach(), p, rtol=2e-3, atol=2e-3)
    np.testing.assert_allclose(m, dm, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(v, dv, rtol=1e-4, atol=1e-6)


# ---- modules as people write them


class Dot(nn.Module):
    def __init__(self, kind=Embedding):
        super().__init__()
        self.users, self.items = kind(USERS, K), kind(ITEMS, K)

    def forward(self, x):
        return (self.users(x[:, 0]) * self.items(x[:, 1])).sum(1)


class Plain(nn.Module):
    """Parameters that are indexed."""

    def __init__(self):
        super().__init__()
        self.users, self.items = (nn.Parameter(torch.randn(n, K) * 0.1) for n in (USERS, ITEMS))

    def forward(self, x):
        return (self.users[x[:, 0]] * self.items.index_select(0, x[:, 1])).sum(dim=1)


class InPlace(Dot):
    """What was looked up is changed in place."""

    def forward(self, x):
        u = self.users(x[:, 0])
        u *= 2
        u[:, 0] += 1
        return (u * self.items(x[:, 1])).sum(1)


class Whole(Dot):
    """A whole table is used beside its rows."""

    def forward(self, x):
        return super().forward(x) + self.items.weight.mean() + (self.users.weight[:3] ** 2).sum()


class Sometimes(Dot):
    """A whole table is used later on, after a look-up in the same batch; the other table is not always read."""

    calls = 0

    def forward(self, x):
        self.calls += 1
        out = self.users(x[:, 0]).sum(1)
        if self.calls % 3:
            out = out + self.items(x[:, 1]).sum(1)
        if self.calls > 4:
            out = out + self.users.weight.pow(2).mean()
        return out


class Twice(Dot):
    """One table is read twice, once without a gradient; a look-up of two dimensions."""

    def forward(self, x):
        both = self.items(torch.stack([x[:, 1], x[:, 1].flip(0)], 1)).sum(1)
        with torch.no_grad():
            more = self.items(x[:, 1])
        return (self.users(x[:, 0]) * both).sum(1) + (self.items(x[:, 1]) * more).sum(1)


class Tied(Dot):
    """One parameter in two places."""

    def __init__(self):
        super().__init__()
        self.again = nn.Embedding(ITEMS, K)
        self.again.weight = self.items.weight

    def forward(self, x):
        return super().forward(x) + self.again(x[:, 1]).sum(1)


class Padded(Dot):
    """An embedding whose row 0 does not learn, and one that is kept to a norm."""

    def __init__(self):
        super().__init__()
        self.users, self.items = nn.Embedding(USERS, K, padding_idx=0), nn.Embedding(ITEMS, K, max_norm=1.0)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.users, self.items = nn.Embedding(USERS, K), nn.Embedding(ITEMS, K)
        self.layers = nn.Sequential(nn.Linear(2 * K, 600), nn.ReLU(), nn.BatchNorm1d(600), nn.Dropout(0.2))
        self.last = nn.Linear(600, 1)

    def forward(self, x):
        joined = torch.cat([self.users(x[:, 0]), F.embedding(x[:, 1], self.items.weight)], dim=1)
        return self.last(self.layers(joined)).squeeze(1)


def trained(make, lazily, steps=30, wd=0.1):
    torch.manual_seed(0)
    module = make()
    rng = torch.Generator().manual_seed(1)
    run = Adam()(module)
    losses = []
    torch.manual_seed(2)
    run.begin()

    def go():
        for i in range(steps):
            x = torch.stack([torch.randint(n, (32,), generator=rng) for n in (USERS, ITEMS)], 1)
            y = torch.rand(32, generator=rng)
            loss = F.mse_loss(module(x), y)
            loss.backward()
            losses.append(float(loss.detach()))
            run.step(0.01 * (1 + i % 3), 0.95 - 0.01 * (i % 4), wd)

    if lazily:
        with run.by_rows(module):
            go()
    else:
        go()
    return np.array(losses), {n: p.detach().numpy().copy() for n, p in module.named_parameters()}, run


MODULES = {
    "embedding": Dot,
    "nn.Embedding": lambda: Dot(nn.Embedding),
    **{c.__name__: c for c in (Plain, InPlace, Whole, Sometimes, Twice, Tied, Padded, Net)},
}


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("least", [1, 1 << 30])
def test_the_same_losses_as_by_autograd_alone(name, least, monkeypatch):
    monkeypatch.setattr(lazy, "LEAST", least)
    losses, weights, run = trained(MODULES[name], True)
    plain, dense, other = trained(MODULES[name], False)
    np.testing.assert_allclose(losses, plain, rtol=2e-3)
    assert weights.keys() == dense.keys()
    for n, w in weights.items():
        away = np.abs(w - dense[n])  # Adam blows up what is left of a gradient that is almost 0
        assert np.quantile(away, 0.99) < 3e-3, n
        assert away.mean() < 3e-4, n
    assert all(type(p) is nn.Parameter for p in run.params)
    assert run.steps == other.steps
    for a, b in zip((*run.m, *run.v), (*other.m, *other.v)):
        assert torch.linalg.norm(a - b) <= 0.05 * torch.linalg.norm(b) + 1e-6


def test_which_tables_stay_lazy(monkeypatch):
    """A look-up keeps a table lazy; anything else that asks for its numbers ends that."""
    monkeypatch.setattr(lazy, "LEAST", 1)
    module = Dot()
    run = Adam()(module)
    run.begin()
    x = torch.tensor([[3, 4], [3, 5]])
    with run.by_rows(module):
        kinds = lambda: [type(p) is lazy.LazyParameter for p in run.params]  # noqa: E731
        module(x).sum().backward()
        assert kinds() == [True, True]
        assert module.users.weight.shape == (USERS, K)
        assert len(module.users.weight) == USERS
        assert kinds() == [True, True]
        run.step(0.1, 0.9, 0.0)
        module.users.weight.detach()
        assert kinds() == [False, True]
        with pytest.raises(IndexError):
            module(torch.tensor([[0, ITEMS]]))
        assert kinds() == [False, False]
    assert kinds() == [False, False]


def test_an_error_in_the_middle_leaves_plain_parameters(monkeypatch):
    monkeypatch.setattr(lazy, "LEAST", 1)
    module = Dot()
    run = Adam()(module)
    with pytest.raises(ZeroDivisionError), run.by_rows(module):
        raise ZeroDivisionError
    assert all(type(p) is nn.Parameter for p in module.parameters())
