"""Modules of one's own as lists of operations: what is written down, and that the kernel trains as autograd does."""

from __future__ import annotations

import copy

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the torch extra is not installed")

import torch.nn.functional as F  # noqa: E402
from torch import nn  # noqa: E402

from cofactor.kernels import tape  # noqa: E402
from cofactor.model import Hyper  # noqa: E402
from cofactor.models.torch.fused import FusedModule  # noqa: E402
from cofactor.models.torch.layers import Embedding, EmbeddingNN, Module, sigmoid_range  # noqa: E402
from cofactor.models.torch.optim import Adam  # noqa: E402
from cofactor.models.torch.trace import program_of  # noqa: E402

SIZES = (23, 31)


class Book(Module):
    """The book's network: embeddings of two widths, two layers, a sigmoid."""

    def __init__(self, y_range=(0, 5.5)):
        self.users, self.items = Embedding(23, 6), Embedding(31, 19)
        self.layers = nn.Sequential(nn.Linear(25, 20), nn.ReLU(), nn.Linear(20, 1))
        self.y_range = y_range

    def forward(self, x):
        embs = self.users(x[:, 0]), self.items(x[:, 1])
        x = self.layers(torch.cat(embs, dim=1))
        return x if self.y_range is None else sigmoid_range(x, *self.y_range)


class Calls(nn.Module):
    """Layers called one by one, items first, normalisation before ReLU, a linear layer without bias."""

    def __init__(self):
        super().__init__()
        self.users, self.items = nn.Embedding(23, 8), nn.Embedding(31, 8)
        self.one, self.two = nn.Linear(16, 18), nn.Linear(18, 9, bias=False)
        self.norm, self.again = nn.BatchNorm1d(18), nn.BatchNorm1d(9, momentum=0.3, eps=1e-3)
        self.out = nn.Linear(9, 1)

    def forward(self, x):
        users, items = x.T
        h = torch.cat([self.items(items), self.users(users)], -1)
        h = F.relu(self.norm(self.one(h)))
        h = self.again(torch.relu_(self.two(h)))
        return self.out(h).squeeze(-1)


class Both(nn.Module):
    """Generalised factorisation beside layers (He et al. 2017), biases, a mean, parameters as tables."""

    def __init__(self):
        super().__init__()
        self.ug, self.ig, self.um, self.im = (nn.Embedding(n, 5) for n in (*SIZES, *SIZES))
        self.ub, self.ib = (nn.Parameter(torch.randn(n) * 0.1) for n in SIZES)
        self.layers = nn.Sequential(nn.Linear(10, 17), nn.LeakyReLU(0.1), nn.Linear(17, 4), nn.Tanh())
        self.last, self.mean = nn.Linear(9, 1), nn.Parameter(torch.tensor([3.0]))

    def forward(self, x):
        u, i = x[:, 0], x[:, 1]
        product = self.ug(u) * self.ig(i)
        h = self.layers(torch.cat((self.um(u), self.im(i)), 1))
        z = self.last(torch.cat((product, h), 1)).view(-1)
        z = z + self.ub[u] + self.ib[i] + self.mean
        return torch.sigmoid(z) * 4 + 1


class Mixed(nn.Module):
    """A product of vectors by bmm, parts of embeddings, sums and differences, a gate."""

    def __init__(self):
        super().__init__()
        self.u, self.i, self.ub = nn.Embedding(23, 10), nn.Embedding(31, 10), nn.Embedding(23, 1)
        self.deep, self.gate = nn.Linear(8, 6), nn.Linear(20, 6)
        self.out = nn.Linear(6, 1)

    def forward(self, x):
        u, i = self.u(x[:, 0]), self.i(x[:, 1])
        dot = torch.bmm(u.unsqueeze(1), i.unsqueeze(2)).squeeze()
        half = (u[:, :4] - i[:, 6:]) / 2
        h = F.silu(self.deep(torch.cat([half, u.chunk(5, 1)[1], 1 - i[:, 1:3]], 1)))
        h = h * torch.sigmoid(self.gate(torch.cat([u, i], 1))) + self.ub(x[:, 0])
        res = dot - 0.5 * self.out(h).flatten() + h.mean(1) + i.sum(dim=1)
        res += 3
        return res


class InPlace(nn.Module):
    def __init__(self):
        super().__init__()
        self.u, self.i, self.b = nn.Embedding(23, 4), nn.Embedding(31, 4), nn.Embedding(31, 1)
        self.layers = nn.Sequential(nn.Linear(8, 8), nn.ReLU(inplace=True), nn.Linear(8, 1))

    def forward(self, x):
        res = self.layers(torch.cat([self.u(x[:, 0]), self.i(x[:, 1])], 1))
        res += self.b(x[:, 1])
        res *= 2.0
        return res


class Attends(nn.Module):
    """Two tokens that look at each other, a residual, layer normalisation, GELU, a query of its own."""

    def __init__(self):
        super().__init__()
        self.u, self.i, self.query = nn.Embedding(23, 6), nn.Embedding(31, 6), nn.Parameter(torch.randn(1, 1, 6) * 0.3)
        self.norm, self.deep, self.out = nn.LayerNorm(6), nn.Linear(6, 6), nn.Linear(12, 1)

    def forward(self, x):
        tokens = torch.stack([self.u(x[:, 0]), self.i(x[:, 1])], dim=1)
        near = torch.softmax(tokens @ tokens.transpose(1, 2) / 6**0.5, dim=-1) @ tokens
        weights = F.softmax((tokens * self.query).sum(-1), dim=1).unsqueeze(-1)
        pooled = (weights * tokens).sum(1)
        pooled = pooled + F.gelu(self.deep(self.norm(pooled)))
        return self.out(torch.cat([pooled, near.mean(dim=1)], 1)).squeeze(-1)


class Machine(nn.Module):
    """A factorisation machine (Rendle 2010): one table for users and items, with a layer beside it."""

    def __init__(self):
        super().__init__()
        self.e, self.w, self.bias = nn.Embedding(54, 5), nn.Embedding(54, 1), nn.Parameter(torch.zeros(1))
        self.deep = nn.Sequential(nn.Linear(10, 7), nn.ELU(), nn.Linear(7, 1))
        self.register_buffer("starts", torch.tensor([0, 23]))

    def forward(self, x):
        x = x + self.starts
        v = self.e(x)
        fm = 0.5 * (v.sum(1).pow(2) - v.pow(2).sum(1)).sum(1, keepdim=True)
        return self.bias + self.w(x).sum(1) + fm + self.deep(v.flatten(1))


class Towers(nn.Module):
    """Cosine of two towers, over a temperature, beside a distance."""

    def __init__(self):
        super().__init__()
        self.u, self.i = (
            nn.Sequential(nn.Embedding(23, 9), nn.Linear(9, 6)),
            nn.Sequential(nn.Embedding(31, 6), nn.Tanh()),
        )
        self.temperature, self.mix = nn.Parameter(torch.tensor(0.7)), nn.Parameter(torch.tensor([0.3, 0.5]))
        self.mean = torch.tensor([3.5])

    def forward(self, x):
        u, i = F.normalize(self.u(x[:, 0])), F.normalize(self.i(x[:, 1]), dim=-1)
        a, b = torch.sigmoid(self.mix)
        cosine = F.cosine_similarity(self.u[0](x[:, 0])[:, :6], i)
        return self.mean + (u * i).sum(-1) / self.temperature + a * cosine - b * torch.norm(u - i, dim=1)


class Products(nn.Module):
    """Weights between two embeddings, einsum, absolute differences, a scale of each factor, constants."""

    def __init__(self):
        super().__init__()
        self.u, self.i = nn.Parameter(torch.randn(23, 6) * 0.4), nn.Parameter(torch.randn(31, 6) * 0.4)
        self.between, self.scale, self.prelu = nn.Parameter(torch.eye(6)), nn.Parameter(torch.ones(6)), nn.PReLU()
        self.out, self.fixed = nn.Linear(12, 4), torch.linspace(0.5, 1.5, 6)

    def forward(self, x):
        u, i = self.u[x[:, 0]], self.i[x[:, 1]] * self.fixed
        z = torch.einsum("bk,bk->b", u @ self.between, i) + torch.einsum("bk,bk,k->b", u, i, self.scale)
        h = self.prelu(self.out(torch.cat([(u - i).abs(), torch.maximum(u, i)], 1)))
        return z.unsqueeze(1) + h.clamp(-1, 1).prod(1, keepdim=True) + F.softplus(h).mean(1, True).log()


class Shared(nn.Module):
    """The same layers, normalisation and bias for both towers; one table for two columns; less the mean."""

    def __init__(self):
        super().__init__()
        self.table, self.own = nn.Embedding(31, 9), nn.Embedding(23, 9)
        self.tower = nn.Sequential(nn.Linear(9, 7), nn.ReLU(), nn.Linear(7, 7, bias=False), nn.BatchNorm1d(7))
        self.shift, self.out = nn.Parameter(torch.randn(7) * 0.1), nn.Linear(7, 1)

    def forward(self, x):
        first, second = self.table(x[:, 0]), self.table(x[:, 1])
        a, b, c = (self.tower(t) + self.shift for t in (first, second, self.own(x[:, 0])))
        z = self.out(a * b - 0.5 * c) + self.out(c)
        return z - z.mean(dim=0)


def big():
    return EmbeddingNN([(23, 6), (31, 19)], [20, 11], y_range=(0.5, 5.5))


KINDS = {"book": Book, "no range": lambda: Book(None), "calls": Calls, "both": Both, "mixed": Mixed}
KINDS |= {"in place": InPlace, "the library's": big, "attention": Attends, "machine": Machine, "towers": Towers}
KINDS |= {"products": Products, "shared": Shared}


def drawn(kind, rows=640):
    """A module, codes and values."""
    rng = np.random.default_rng(0)
    torch.manual_seed(0)
    module = KINDS[kind]() if isinstance(kind, str) else kind()
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, nn.Embedding):
                part.weight.normal_().mul_(0.4)
    codes = tuple(rng.integers(0, n - 2, rows).astype(np.int32) for n in SIZES)  # two rows are never in a batch
    return module, codes, rng.integers(1, 6, rows).astype(np.float32)


def fused_on(module, codes, values, loss="mse", seed=1):
    run = Adam()(module)
    return FusedModule(module, codes, values, lambda: run, lambda y_range: (loss, y_range), seed=seed), run


@pytest.mark.parametrize("kind", KINDS)
def test_steps_are_those_of_autograd(kind):
    (module, codes, values), (other, *_) = drawn(kind), drawn(kind)
    bs, n = 64, 4
    lr, mom = np.linspace(2e-3, 1e-2, n), np.linspace(0.95, 0.85, n)
    fused, run = fused_on(module, codes, values)
    found = []
    for part in (slice(0, 2), slice(2, n)):  # its state goes through the module in between
        assert fused.begin(bs)
        hyper = Hyper(lr[part], mom[part], 0.1, bs)
        found += list(fused.train(np.arange(part.start * bs, part.stop * bs), hyper))
        fused.flush()
    dense, wanted = Adam()(other), []
    other.train()
    dense.begin()
    for b in range(n):
        at = slice(b * bs, (b + 1) * bs)
        x = torch.stack([torch.from_numpy(c[at].astype(np.int64)) for c in codes], 1)
        loss = F.mse_loss(other(x).reshape(-1), torch.from_numpy(values[at]))
        loss.backward()
        wanted.append(float(loss.detach()))
        dense.step(lr[b], mom[b], 0.1)
    np.testing.assert_allclose(found, wanted, rtol=2e-5)
    assert run.steps == dense.steps
    for (name, p), q in zip(module.state_dict().items(), other.state_dict().values()):
        noise = kind == "calls" and name == "one.bias"  # a normalisation takes it away: its gradient is rounding alone
        np.testing.assert_allclose(p.numpy(), q.numpy(), rtol=2e-3, atol=2e-2 if noise else 1e-4, err_msg=name)
    assert all(p.is_contiguous() for p in module.parameters())


# ---- dropout and normalisation


class Drops(nn.Module):
    def __init__(self, p=0.3):
        super().__init__()
        self.u, self.i = nn.Embedding(23, 16), nn.Embedding(31, 16)
        self.norm, self.drop, self.out = nn.BatchNorm1d(32), nn.Dropout(p), nn.Linear(32, 1)

    def forward(self, x):
        h = torch.cat([self.u(x[:, 0]), self.i(x[:, 1])], 1)
        h = F.dropout(self.norm(h), 0.1, self.training)
        return 3 + self.out(self.drop(h))


def test_dropout_trains_and_follows_the_seed():
    weights = []
    for seed in (1, 1, 2):
        module, codes, values = drawn(Drops)
        fused, _ = fused_on(module, codes, values, seed=seed)
        assert fused.begin(32)
        assert [o.kind for o in fused.program.ops].count(tape.DROP) == 2
        losses = fused.train(np.tile(np.arange(640), 20), Hyper(np.full(400, 5e-3), np.full(400, 0.9), 0.01, 32))
        fused.flush()
        weights.append(module.u.weight.detach().numpy().copy())
        assert losses[-40:].mean() < 0.95 * losses[:40].mean()
        assert int(module.norm.num_batches_tracked) == 400
    assert np.array_equal(weights[0], weights[1])
    assert not np.array_equal(weights[0], weights[2])


def test_a_look_leaves_the_module_as_it_was():
    module, codes, values = drawn(Drops)
    before = {n: t.clone() for n, t in module.state_dict().items()}
    state = torch.get_rng_state()
    module.eval()
    fused, _ = fused_on(module, codes, values)
    assert fused.begin(32)
    assert not module.training
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(t, before[n]) for n, t in module.state_dict().items())
    assert all(p.grad is None for p in module.parameters())


# ---- what is left to autograd


class Base(nn.Module):
    def __init__(self):
        super().__init__()
        self.u, self.i, self.out = nn.Embedding(23, 4), nn.Embedding(31, 4), nn.Linear(8, 1)
        self.same = nn.Linear(4, 4)
        self.scale = torch.ones(8)

    def joined(self, x):
        return torch.cat([self.u(x[:, 0]), self.i(x[:, 1])], 1)

    def forward(self, x):
        return self.out(self.joined(x))


OTHERS = {
    "a value looked at": lambda m, x: m.out(m.joined(x) if m.u.weight.max() > 1e6 else -m.joined(x)),
    "rows looked at": lambda m, x: m.out(m.joined(x)) * (2 if x[0, 0] > 3 else 1),
    "codes clipped": lambda m, x: m.out(m.joined(x.clamp(max=22))),
    "codes counted": lambda m, x: m.out(m.joined(x)) / len(x.unique()),
    "no gradient": lambda m, x: m.out(torch.cat([m.u(x[:, 0]).detach(), m.i(x[:, 1])], 1)),
    "a table twice": lambda m, x: m.out(torch.cat([m.u(x[:, 0]), m.u(x[:, 1].clamp(max=22))], 1)),
    "a table as a whole": lambda m, x: m.out(m.joined(x)) + m.u.weight.sum(),
    "a weight in two ways": lambda m, x: m.out(m.joined(x)) + m.out.weight.sum(),
    "a batch turned": lambda m, x: m.out(m.joined(x)).T.sum(0),
    "by numbers at random": lambda m, x: m.out(m.joined(x) * torch.rand(len(x), 8)),
    "outputs multiplied": lambda m, x: m.out(m.joined(x)).squeeze() * m.out(m.joined(x)),
    "max_norm": lambda m, x: m.out(torch.cat([F.embedding(x[:, 0], m.u.weight, max_norm=1.0), m.i(x[:, 1])], 1)),
    "padding": lambda m, x: m.out(torch.cat([F.embedding(x[:, 0], m.u.weight, 0), m.i(x[:, 1])], 1)),
    "numpy": lambda m, x: m.out(m.joined(x)) * float(np.asarray(x.tolist()).mean()),
}


class Other(Base):
    def __init__(self, name):
        super().__init__()
        self.way = OTHERS[name]

    def forward(self, x):
        return self.way(self, x)


class WithoutGradient(Base):
    def forward(self, x):
        with torch.no_grad():
            users = self.u(x[:, 0])
        return self.out(torch.cat([users, self.i(x[:, 1])], 1))


class ChangedMemory(Base):
    def forward(self, x):
        h = self.joined(x)
        part = h[:, :4]
        part *= 2
        return self.out(h)


def rows_of(codes, n=64):
    return torch.stack([torch.from_numpy(c[:n].astype(np.int64)) for c in codes], 1)


@pytest.mark.parametrize("kind", OTHERS)
def test_what_is_left_to_autograd(kind):
    module, codes, _ = drawn(lambda: Other(kind))
    assert program_of(module, rows_of(codes)) is None


@pytest.mark.parametrize("kind", [WithoutGradient, ChangedMemory])
def test_gradients_stopped_and_memory_changed_are_left_to_autograd(kind):
    module, codes, _ = drawn(kind)
    assert program_of(module, rows_of(codes)) is None


def test_hooks_frozen_weights_and_other_optimizers_are_left_to_autograd():
    module, codes, values = drawn(Base)
    fused, run = fused_on(module, codes, values)
    assert fused.begin(16)
    module.out.weight.requires_grad_(False)
    assert not fused.begin(16)
    module.out.weight.requires_grad_(True)
    handle = module.u.register_forward_hook(lambda *args: None)
    assert not fused.begin(16)
    handle.remove()
    assert fused.begin(16)
    run.steps[0] = 7  # its tables were trained by another
    assert not fused.begin(16)
    assert not FusedModule(module, codes, values, lambda: None, lambda y_range: ("mse", y_range), seed=0).begin(16)
    assert not fused_on(module, codes, values)[0].begin(1)


def test_what_the_output_does_not_depend_on_stays_as_it_was():
    class Unused(Base):
        def forward(self, x):
            self.same(self.u(x[:, 0]))
            return self.out(self.joined(x))

    module, codes, values = drawn(Unused)
    before = module.same.weight.detach().clone()
    fused, _ = fused_on(module, codes, values)
    assert fused.begin(16)
    fused.train(np.arange(160), Hyper(np.full(10, 1e-2), np.full(10, 0.9), 0.1, 16))
    fused.flush()
    assert torch.equal(before, module.same.weight)


def test_a_module_that_changes_is_looked_at_again():
    module, codes, values = drawn(Book)
    fused, _ = fused_on(module, codes, values)
    assert fused.begin(16)
    assert fused.program.y_range == (0.0, 5.5)
    module.y_range = (1, 5)
    assert fused.begin(16)
    assert fused.program.y_range == (1.0, 5.0)
    module.layers[1] = nn.GELU()
    assert not fused.begin(16)
    module.layers[1] = nn.Tanh()
    assert fused.begin(16)


# ---- modules drawn at random


FURTHER = {
    "exp": lambda a: torch.exp(-a.abs()),
    "root": lambda a: (a * a + 0.5).sqrt(),
    "log": lambda a: torch.log(1.5 + a.square()),
    "power": lambda a: (1 + a.abs()) ** 1.7,
    "clamp": lambda a: a.clamp(-0.3, 0.4),
    "inverse": lambda a: 1 / (2 + a.abs()),
    "mish": F.mish,
    "selu": F.selu,
    "hard": F.hardswish,
    "log sigmoid": F.logsigmoid,
}


class Drawn(nn.Module):
    """Operations drawn at random: each takes values that are there already, and makes one more."""

    def __init__(self, seed):
        super().__init__()
        self.rng, self.further = np.random.default_rng(seed), FURTHER
        self.sides = [0, 1, *self.rng.integers(0, 2, 2).tolist()]
        self.tables = nn.ModuleList(
            [nn.Embedding(SIZES[side], int(self.rng.choice([1, 3, 8, 17]))) for side in self.sides]
        )
        widths, self.steps, self.parts = [t.embedding_dim for t in self.tables], [], nn.ModuleList()
        for _ in range(8):
            self.steps.append(self.draw(widths))
        self.outs = nn.ModuleList([nn.Linear(w, 1) for w in widths])
        self.y_range = (0.5, 5.5) if self.rng.random() < 0.5 else None
        self.rng = None

    def draw(self, widths):
        rng, i = self.rng, int(self.rng.integers(len(widths)))
        kinds = ["linear", "cat", "mul", "sub", "sum", "part", "norm", "act", "number", "wide", "shift"]
        kinds += ["layer norm", "softmax", "over", "scaled", "between", "pair", "unit"]
        kind = str(rng.choice(kinds))
        same = [j for j, w in enumerate(widths) if w == widths[i]]
        j = int(rng.choice(same)) if kind in ("mul", "sub", "over", "pair") else int(rng.integers(len(widths)))
        more = None
        width = widths[i]
        if kind == "linear":
            width = int(rng.choice([1, 5, 16, 20]))
            self.parts.append(nn.Linear(widths[i], width, bias=bool(rng.random() < 0.7)))
            more = len(self.parts) - 1
        elif kind == "cat":
            width += widths[j]
        elif kind == "sum":
            width, more = 1, bool(rng.random() < 0.5)
        elif kind == "part":
            start = int(rng.integers(width))
            more = start, int(rng.integers(start + 1, width + 1))
            width = more[1] - more[0]
        elif kind == "norm":
            self.parts.append(nn.BatchNorm1d(width))
            more = len(self.parts) - 1
        elif kind == "act":
            more = str(
                rng.choice(["relu", "sigmoid", "tanh", "leaky_relu", "silu", "gelu", "elu", "softplus", *FURTHER])
            )
        elif kind == "number":
            more = float(rng.normal()), float(rng.normal()), bool(rng.random() < 0.5)
        elif kind == "wide":
            j = int(rng.choice([k for k, w in enumerate(widths) if w == 1] or [i]))
            width = max(widths[i], widths[j])
            if widths[j] not in (1, widths[i]):
                j = i
        elif kind in ("layer norm", "softmax", "unit"):
            more = int(rng.integers(2))
        elif kind == "between":
            self.register_parameter(f"between{len(self._parameters)}", nn.Parameter(torch.randn(width, 4) * 0.3))
            more, width = list(self._parameters)[-1], 4
        elif kind == "pair":
            more = str(rng.choice(["sum", "mean", "prod", "max", "einsum"]))
            width = 1 if more == "einsum" else width
        elif kind in ("shift", "scaled"):
            self.register_parameter(f"shift{len(self._parameters)}", nn.Parameter(torch.randn(width)))
            more = list(self._parameters)[-1]
        widths.append(width)
        return kind, i, j, more

    def forward(self, x):
        values = [t(x[:, s]) for t, s in zip(self.tables, self.sides)]
        for kind, i, j, more in self.steps:
            a, b = values[i], values[j]
            if kind in ("linear", "norm"):
                new = self.parts[more](a)
            elif kind == "cat":
                new = torch.cat([a, b], 1)
            elif kind == "mul":
                new = a * b
            elif kind == "sub":
                new = a - b
            elif kind == "sum":
                new = a.sum(1, keepdim=True) if more else a.mean(-1).unsqueeze(1)
            elif kind == "part":
                new = a[:, more[0] : more[1]]
            elif kind == "act":
                new = (
                    self.further[more](a)
                    if more in self.further
                    else (getattr(F, more, None) or getattr(torch, more))(a)
                )
            elif kind == "number":
                new = more[0] * a + more[1] if more[2] else more[1] - a / 3
            elif kind == "wide":
                new = a * b
            elif kind == "layer norm":
                new = F.layer_norm(torch.cat([a, 1 + a * a], 1), (2 * a.shape[1],))[:, : a.shape[1]]
            elif kind == "softmax":
                new = F.softmax(a, -1) if more else torch.softmax(torch.stack([a, -a], 2), 2)[:, :, 1]
            elif kind == "unit":
                new = F.normalize(a + 2, dim=1) if more else a / (1 + torch.linalg.norm(a, dim=1, keepdim=True))
            elif kind == "over":
                new = a / (1 + b.abs())
            elif kind == "scaled":
                new = a * getattr(self, more)
            elif kind == "between":
                new = a @ getattr(self, more)
            elif kind == "pair":
                both = torch.stack((a, b), dim=1)
                if more == "einsum":
                    new = torch.einsum("ij,ij->i", a, b)[:, None]
                else:
                    new = torch.maximum(a, b) if more == "max" else getattr(both, more)(dim=1)
            else:
                new = a + getattr(self, more)
            values.append(new)
        z = sum(out(v) for out, v in zip(self.outs, values)).squeeze(1)
        return z if self.y_range is None else sigmoid_range(z, *self.y_range)


@pytest.mark.parametrize("seed", range(60))
def test_modules_drawn_at_random_train_as_by_autograd(seed):
    (module, codes, values), (other, *_) = drawn(lambda: Drawn(seed)), drawn(lambda: Drawn(seed))
    bs, n = 64, 2
    lr, mom = np.full(n, 1e-3), np.full(n, 0.9)
    fused, _ = fused_on(module, codes, values)
    assert fused.begin(bs)
    found = fused.train(np.arange(n * bs), Hyper(lr, mom, 0.1, bs))
    run, wanted = Adam()(other), []
    other.train()
    run.begin()
    sure = {name: torch.ones_like(p) > 0 for name, p in other.named_parameters()}
    for b in range(n):
        at = slice(b * bs, (b + 1) * bs)
        x, y = rows_of([c[at] for c in codes]), torch.from_numpy(values[at])
        exact = copy.deepcopy(other).double()
        F.mse_loss(exact(x).reshape(-1), y.double()).backward()
        loss = F.mse_loss(other(x).reshape(-1), y)
        loss.backward()
        wanted.append(float(loss.detach()))
        for (name, p), q in zip(other.named_parameters(), exact.parameters()):
            assert p.grad is not None
            assert q.grad is not None
            sure[name] &= (q.grad.abs() > 1e-4) | ((q.grad == 0) & (p.grad == 0))  # else its direction is rounding
        run.step(lr[b], mom[b], 0.1)
    fused.flush()
    np.testing.assert_allclose(found, wanted, rtol=1e-4)
    assert sum(int(part.sum()) for part in sure.values()) > 100
    for (name, p), q in zip(module.named_parameters(), other.parameters()):
        assert float(((p - q).detach().abs() * sure[name]).max()) < 3e-5, name
