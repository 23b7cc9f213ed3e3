"""Modules of one's own that are dot products: found by what they compute, and trained as autograd trains them."""

from __future__ import annotations

import itertools
import time

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the torch extra is not installed")

from torch import nn  # noqa: E402

from cofactor.model import Hyper  # noqa: E402
from cofactor.models.torch.dot_product import FusedDot, dot_product_of  # noqa: E402
from cofactor.models.torch.layers import Embedding, SigmoidRange, sigmoid_range  # noqa: E402
from cofactor.models.torch.optim import Adam  # noqa: E402
from cofactor.models.torch.side_effects import has_side_effects  # noqa: E402

SIZES, K = (40, 25), 6


def plain(*shape):
    return nn.Parameter(torch.randn(*shape) * 0.1)


class Base(nn.Module):
    """Tables, and what the forward of a subclass makes of them."""

    def __init__(self, kind=Embedding, biases=True):
        super().__init__()
        self.u, self.i = kind(SIZES[0], K), kind(SIZES[1], K)
        if biases:
            self.ub, self.ib = kind(SIZES[0], 1), kind(SIZES[1], 1)


class Book(Base):
    def forward(self, x):
        res = (self.u(x[:, 0]) * self.i(x[:, 1])).sum(dim=1, keepdim=True)
        res += self.ub(x[:, 0]) + self.ib(x[:, 1])
        return sigmoid_range(res, 0, 5.5)


class NoBias(Base):
    def __init__(self):
        super().__init__(nn.Embedding, False)

    def forward(self, x):
        return torch.einsum("bk,bk->b", self.u(x[:, 0]), self.i(x[:, 1]))


class Parameters(nn.Module):
    def __init__(self):
        super().__init__()
        self.i, self.u, self.ub = plain(SIZES[1], K), plain(SIZES[0], K), plain(SIZES[0])
        self.squash = SigmoidRange(0.5, 5.5)

    def forward(self, x):
        users, items = x[:, 0], x[:, 1]
        return self.squash(torch.bmm(self.u[users][:, None], self.i[items][:, :, None]).squeeze() + self.ub[users])


class Scaled(Book):
    def forward(self, x):
        return super().forward(x) * 1.01 + 0.1 * self.u(x[:, 0])[:, :1]


class Clamped(NoBias):
    def forward(self, x):
        return super().forward(x).clamp(0, 5)


class Product(NoBias):
    def forward(self, x):
        return super().forward(x) + 1e-3 * self.u(x[:, 0]).norm(dim=1)


class Drops(Base):
    def forward(self, x):
        return (nn.functional.dropout(self.u(x[:, 0]), 0.1, self.training) * self.i(x[:, 1])).sum(1)


class Counts(Book):
    calls = 0

    def forward(self, x):
        self.calls += 1
        return super().forward(x)


class Keeps(Book):
    """What it saw stays in a list, and in an attribute that is made at the first call."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def forward(self, x):
        self.last = x
        self.seen.append(len(x))
        return super().forward(x)


class Prints(Book):
    def forward(self, x):
        print(x.shape)
        return super().forward(x)


seen, found, calls = [], {}, 0
steps = itertools.count()


def noted(x):
    seen.append(len(x))
    return x


class Global(Book):
    def forward(self, x):
        global calls
        calls += 1
        return super().forward(x)


class Appends(Book):
    def forward(self, x):
        seen.append(len(x))
        return super().forward(x)


class Stores(Book):
    def forward(self, x):
        found["last"] = x
        return super().forward(x)


class Iterates(Book):
    def forward(self, x):
        next(steps)
        return super().forward(x)


class Waits(Book):
    def forward(self, x):
        time.sleep(0)
        return super().forward(x)


class Helped(Book):
    """The effect is in a function that a method calls."""

    def both(self, x):
        return next(noted(o) for o in (x,))

    def forward(self, x):
        return super().forward(self.both(x))


class Inner(Book):
    """The effect is in a property of a part."""

    class Part(Embedding):
        @property
        def rows(self):
            return noted(self.weight)

        def forward(self, x):
            return self.rows[x]

    def __init__(self):
        super().__init__(Inner.Part)


class Meter:
    n = 0

    def update(self, n):
        self.n += n


class Measured(Book):
    """An object that is kept, and changes."""

    def __init__(self):
        super().__init__()
        self.meter = Meter()

    def forward(self, x):
        self.meter.update(len(x))
        return super().forward(x)


def counting():
    n = 0

    class Nonlocal(Book):
        def forward(self, x):
            nonlocal n
            n += 1
            return super().forward(x)

    return Nonlocal()


class Helper(Book):
    """Methods, a static one, a function, a loop and constants: all of it computes."""

    scale = 5.5

    @staticmethod
    def pair(x):
        return x[:, 0], x[:, 1]

    def bias(self, *at):
        return sum(table(a) for table, a in zip((self.ub, self.ib), at))

    def forward(self, x):
        u, i = self.pair(x)
        res = (self.u(u) * self.i(i)).sum(1, keepdim=True)
        return squashed(res + self.bias(u, i), high=self.scale * ONE)


ONE = 1


def squashed(x, high):
    return torch.sigmoid(x) * float(high)


class OtherWay(Book):
    """Items in the first column: the tables do not fit."""

    def forward(self, x):
        return super().forward(x.flip(1))


class More(Book):
    def __init__(self):
        super().__init__()
        self.constant = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        return super().forward(x) + self.constant


def test_what_is_found():
    found = dot_product_of(Book(), SIZES)
    assert found == ("u.weight", "i.weight", "ub.weight", "ib.weight", (0.0, 5.5))
    assert dot_product_of(NoBias(), SIZES) == ("u.weight", "i.weight", None, None, None)
    assert dot_product_of(Parameters(), SIZES) == ("u", "i", "ub", None, (0.5, 5.5))
    assert dot_product_of(Helper(), SIZES) == ("u.weight", "i.weight", "ub.weight", "ib.weight", (0.0, 5.5))


@pytest.mark.parametrize("kind", [Global, Appends, Stores, Iterates, Waits, Helped, Inner, Measured, counting])
def test_a_forward_with_side_effects_is_called_for_every_batch(kind):
    module = kind()
    assert has_side_effects(module)
    assert dot_product_of(module, SIZES) is None
    assert not seen
    assert not found
    assert calls == 0


@pytest.mark.parametrize("kind", [Scaled, Clamped, Product, Drops, Counts, Keeps, Prints, OtherWay, More])
def test_what_is_something_else(kind, capsys):
    module = kind()
    before = {n: p.detach().clone() for n, p in module.named_parameters()}
    state = torch.get_rng_state()
    assert dot_product_of(module, SIZES) is None
    assert capsys.readouterr().out == ""
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(p, before[n]) for n, p in module.named_parameters())
    assert module.training
    assert getattr(module, "calls", 0) == 0
    assert getattr(module, "seen", []) == []
    assert not hasattr(module, "last")


def test_hooks_and_frozen_tables_are_left_to_autograd():
    module = Book()
    module.u.register_forward_hook(lambda *args: None)
    assert dot_product_of(module, SIZES) is None
    module = Book()
    module.u.weight.requires_grad_(False)
    assert dot_product_of(module, SIZES) is None
    assert dot_product_of(Book(), (SIZES[0] + 1, SIZES[1])) is None


@pytest.mark.parametrize("kind", [Book, NoBias, Parameters])
def test_the_same_losses_and_weights_as_by_autograd(kind):
    torch.manual_seed(0)
    module, other = kind(), kind()
    other.load_state_dict(module.state_dict())
    rng, bs, n = np.random.default_rng(0), 16, 80
    codes = tuple(rng.integers(0, size, 500) for size in SIZES)
    values = rng.uniform(1, 5, 500).astype(np.float32)
    run, dense = Adam()(module), Adam()(other)
    fused = FusedDot(module, codes, values, lambda: run, SIZES, lambda y_range: ("mse", y_range))
    rows = rng.integers(0, 500, n * bs)
    lr, mom = np.linspace(1e-3, 2e-2, n), np.linspace(0.95, 0.85, n)
    found = []
    for part in (slice(0, n // 2), slice(n // 2, n)):  # its state goes through the module in between
        assert fused.begin(bs)
        hyper = Hyper(lr[part], mom[part], 0.1, bs)
        found += list(fused.train(rows[part.start * bs : part.stop * bs], hyper))
        fused.flush()
    wanted = []
    dense.begin()
    x, y = torch.from_numpy(np.stack(codes, 1)), torch.from_numpy(values)
    for b in range(n):
        at = torch.from_numpy(rows[b * bs : (b + 1) * bs])
        loss = nn.functional.mse_loss(other(x[at]).reshape(-1), y[at])
        loss.backward()
        wanted.append(float(loss.detach()))
        dense.step(lr[b], mom[b], 0.1)
    np.testing.assert_allclose(found, wanted, rtol=2e-3)
    assert run.steps == dense.steps
    for a, b in zip((*run.m, *run.v), (*dense.m, *dense.v)):
        assert torch.linalg.norm(a - b) <= 0.05 * torch.linalg.norm(b) + 1e-6
    for p, q in zip(module.parameters(), other.parameters()):
        assert float((p - q).detach().abs().mean()) < 1e-3
        assert p.is_contiguous()


def test_a_module_that_changes_is_looked_at_again():
    module = Book()
    run = Adam()(module)
    codes = tuple(np.zeros(4, np.int32) for _ in SIZES)
    fused = FusedDot(module, codes, np.ones(4, np.float32), lambda: run, SIZES, lambda y_range: ("mse", y_range))
    assert fused.begin(2)
    module.forward = lambda x: Book.forward(module, x) * 2  # a sigmoid up to 11
    assert fused.begin(2)
    assert fused.found.y_range == (0.0, 11.0)
    module.forward = lambda x: Book.forward(module, x) ** 2
    assert not fused.begin(2)
    del module.forward
    assert fused.begin(2)
    module.ub.register_forward_hook(lambda *args: None)
    assert not fused.begin(2)
