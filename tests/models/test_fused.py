"""The kernel that trains a network over embeddings: the same arithmetic as plain NumPy, and as autograd."""

from __future__ import annotations

import pickle
from itertools import pairwise

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the torch extra is not installed")

from torch import nn  # noqa: E402

from cofactor import split  # noqa: E402
from cofactor.kernels import embedding_net as kernel  # noqa: E402
from cofactor.kernels.tiles import product  # noqa: E402
from cofactor.model import Hyper  # noqa: E402
from cofactor.models.dot_bias.config import LOSSES  # noqa: E402
from cofactor.models.neural.fused import Fused, network_of  # noqa: E402
from cofactor.models.neural.model import Neural, NeuralConfig  # noqa: E402
from cofactor.models.torch.layers import EmbeddingNN  # noqa: E402
from cofactor.models.torch.optim import Adam  # noqa: E402
from cofactor.train import Callback, Learner  # noqa: E402


@pytest.mark.parametrize(("rows", "columns", "n"), [(1, 16, 1), (8, 16, 5), (13, 48, 7), (40, 32, 0)])
def test_a_product_is_the_sum_of_products(rows, columns, n):
    rng = np.random.default_rng(rows)
    a, b = rng.normal(size=(rows, n)).astype("f4"), rng.normal(size=(n, columns)).astype("f4")
    for left, down, along in ((a, n, 1), (np.ascontiguousarray(a.T), 1, rows)):
        out = np.full((rows + 1, columns), 7, np.float32)
        product(out, 0, columns, left, 0, down, along, b, 0, columns, rows, columns, n)
        np.testing.assert_allclose(out[:rows], a.astype("f8") @ b.astype("f8"), rtol=1e-5, atol=1e-5)
        assert (out[rows:] == 7).all()


# ---- a plain reference


class Reference:
    """The network and Adam in NumPy, float64, every row of every table moved at every step."""

    def __init__(self, module, decay, b2=0.99, eps=1e-5):
        self.p = {n: t.detach().double().numpy().copy() for n, t in module.named_parameters()}
        self.running = {n: t.double().numpy().copy() for n, t in module.named_buffers() if "running" in n}
        self.m, self.v = ({n: np.zeros_like(x) for n, x in self.p.items()} for _ in range(2))
        self.y_range, self.decay, self.b2, self.eps, self.t = module.settings["y_range"], decay, b2, eps, 0
        self.blocks = []
        for i, block in enumerate(module.layers):
            if isinstance(block, nn.Sequential):
                kinds = {type(part).__name__: f"layers.{i}.{j}" for j, part in enumerate(block)}
                self.blocks.append((kinds["Linear"], "ReLU" in kinds, kinds.get("BatchNorm1d")))

    def step(self, x, y, lr, mom, loss):
        grads = {}
        tables = [n for n in self.p if n.startswith("embeds")]
        h, kept = np.concatenate([self.p[n][x[:, i]] for i, n in enumerate(tables)], 1), []
        for linear, relu, norm in self.blocks:
            z = h @ self.p[f"{linear}.weight"].T + self.p.get(f"{linear}.bias", 0)
            r, xhat, sd = np.maximum(z, 0) if relu else z, None, None
            out = r
            if norm:
                mean, var = r.mean(0), r.var(0)
                for name, new in (("mean", mean), ("var", r.var(0, ddof=1))):
                    self.running[f"{norm}.running_{name}"] = 0.9 * self.running[f"{norm}.running_{name}"] + 0.1 * new
                sd = np.sqrt(var + 1e-5)
                xhat = (r - mean) / sd
                out = xhat * self.p[f"{norm}.weight"] + self.p[f"{norm}.bias"]
            kept.append((h, z, xhat, sd))
            h = out
        lo, hi = self.y_range or (0.0, 1.0)
        s = 1 / (1 + np.exp(-h[:, 0]))
        out, slope = (lo + (hi - lo) * s, (hi - lo) * s * (1 - s)) if self.y_range else (h[:, 0], 1.0)
        away = out - y
        if loss == "mse":
            value, d = (away**2).mean(), 2 * away
        elif loss == "mae":
            value, d = np.abs(away).mean(), np.sign(away)
        else:
            near = np.clip(away, -1, 1)
            value, d = (near * (away - 0.5 * near)).mean(), near
        d = (d * slope / len(y))[:, None]
        for (linear, relu, norm), (h, z, xhat, sd) in list(zip(self.blocks, kept))[::-1]:
            if norm:
                grads[f"{norm}.bias"], grads[f"{norm}.weight"] = d.sum(0), (d * xhat).sum(0)
                d = self.p[f"{norm}.weight"] / sd * (d - d.mean(0) - xhat * (d * xhat).mean(0))
            d = d * (z > 0) if relu else d
            grads[f"{linear}.weight"] = d.T @ h
            grads[f"{linear}.bias"] = d.sum(0)
            d = d @ self.p[f"{linear}.weight"]
        for i, n in enumerate(tables):
            width = self.p[n].shape[1]
            grads[n] = np.zeros_like(self.p[n])
            np.add.at(grads[n], x[:, i], d[:, :width])
            d = d[:, width:]
        self.t += 1
        for n, p in self.p.items():
            self.m[n] = mom * self.m[n] + (1 - mom) * grads[n]
            self.v[n] = self.b2 * self.v[n] + (1 - self.b2) * grads[n] ** 2
            if n.endswith("0.weight") or n.startswith("embeds"):
                p *= 1 - lr * self.decay
            p -= lr / (1 - mom**self.t) * self.m[n] / (np.sqrt(self.v[n] / (1 - self.b2**self.t)) + self.eps)
        return value


CASES = {
    "usual": ({"layers": (20, 11)}, "mse", (0.5, 5.5)),
    "no hidden layer": ({"layers": ()}, "mse", (0.5, 5.5)),
    "no normalisation": ({"layers": (9,), "use_bn": False}, "huber", None),
    "normalised at the end": ({"layers": (17,), "bn_final": True}, "mae", (0.0, 6.0)),
    "three tables": ({"layers": (8,)}, "mse", None),
}


def drawn(case, seed=0, rows=640):
    """A module, codes, values, and the loss."""
    options, loss, y_range = CASES[case]
    sizes = [(23, 6), (31, 19)] + ([(5, 3)] if case == "three tables" else [])
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    module = EmbeddingNN(sizes, y_range=y_range, **options)
    with torch.no_grad():
        for table in module.embeds:
            table.weight.mul_(40)
    codes = tuple(rng.integers(0, n - 2, rows).astype(np.int32) for n, _ in sizes)  # two rows are never in a batch
    return module, codes, rng.integers(1, 6, rows).astype(np.float32), loss


def fused_on(module, codes, values, loss, seed=1):
    run = Adam()(module)
    return Fused(module, codes, values, lambda: run, loss=LOSSES[loss], seed=seed), run


def schedule(n):
    return np.linspace(2e-3, 1e-2, n), np.linspace(0.95, 0.85, n)


@pytest.mark.parametrize("case", CASES)
def test_the_kernel_is_the_plain_reference(case):
    module, codes, values, loss = drawn(case)
    reference, n, bs = Reference(module, 0.3), 40, 16
    lr, mom = schedule(n)
    wanted = [
        reference.step(
            np.stack([c[b * bs : (b + 1) * bs] for c in codes], 1), values[b * bs : (b + 1) * bs], r, m, loss
        )
        for b, (r, m) in enumerate(zip(lr, mom))
    ]
    fused, run = fused_on(module, codes, values, loss)
    assert fused.begin(bs)
    found = fused.train(np.arange(n * bs), Hyper(lr, mom, 0.3, bs))
    fused.flush()
    np.testing.assert_allclose(found, wanted, rtol=2e-3)
    for name, p in module.named_parameters():
        np.testing.assert_allclose(p.detach().numpy(), reference.p[name], rtol=2e-2, atol=4e-3, err_msg=name)
    for name, t in module.named_buffers():
        if "running" in name:
            np.testing.assert_allclose(t.numpy(), reference.running[name], rtol=1e-3, atol=1e-3, err_msg=name)
        elif "tracked" in name:
            assert int(t) == n
    assert set(run.steps) == {n}


@pytest.mark.parametrize("case", CASES)
def test_a_step_is_that_of_autograd(case):
    """Three steps: before what is approximate (rows that wait) is more than rounding. A bias that the next layer
    normalises away has a gradient of 0, up to rounding, which the optimizer turns into steps of its own."""
    (module, codes, values, loss), (other, *_) = drawn(case), drawn(case)
    bs, n = 64, 3
    lr, mom = schedule(n)
    fused, _ = fused_on(module, codes, values, loss)
    assert fused.begin(bs)
    found = fused.train(np.arange(n * bs), Hyper(lr, mom, 0.1, bs))
    fused.flush()
    run, wanted = Adam()(other), []
    other.train()
    run.begin()
    largest = dict.fromkeys(dict(other.named_parameters()), 0.0)
    of = {"mse": nn.functional.mse_loss, "mae": nn.functional.l1_loss, "huber": nn.functional.huber_loss}[loss]
    for b in range(n):
        at = slice(b * bs, (b + 1) * bs)
        x = torch.stack([torch.from_numpy(c[at].astype(np.int64)) for c in codes], 1)
        value = of(other(x).reshape(-1), torch.from_numpy(values[at]))
        value.backward()
        wanted.append(value.item())
        for name, p in other.named_parameters():
            largest[name] = max(largest[name], 0.0 if p.grad is None else float(p.grad.abs().max()))
        run.step(lr[b], mom[b], 0.1)
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    for (name, p), q in zip(module.named_parameters(), other.parameters()):
        atol = 3e-5 if largest[name] > 1e-6 else lr.sum()
        np.testing.assert_allclose(p.detach().numpy(), q.detach().numpy(), rtol=1e-3, atol=atol, err_msg=name)


def test_dropout_drops_its_share_and_the_gradient_the_same():
    x = np.ones((64, 112), np.float32)
    kernel.dropped(x.reshape(-1), 0, 64, 112, 0.3, 12345678901, 7, 1)
    assert abs((x == 0).mean() - 0.3) < 0.02
    np.testing.assert_allclose(x[x != 0], 1 / 0.7, rtol=1e-6)
    assert abs((x == 0).mean(0) - 0.3).max() < 0.3
    again, other = np.ones_like(x), np.ones_like(x)
    kernel.dropped(again.reshape(-1), 0, 64, 112, 0.3, 12345678901, 7, 1)
    kernel.dropped(other.reshape(-1), 0, 64, 112, 0.3, 12345678901, 8, 1)
    assert np.array_equal(x, again)
    assert abs(np.corrcoef(x.ravel(), other.ravel())[0, 1]) < 0.05


def test_dropout_trains_and_follows_the_seed():
    weights = []
    for seed in (1, 1, 2):
        module, codes, values, loss = drawn("usual")
        module.emb_drop.p = 0.1
        module.layers[0].append(nn.Dropout(0.2))
        fused, _ = fused_on(module, codes, values, loss, seed)
        assert fused.begin(32)
        losses = fused.train(np.tile(np.arange(640), 20), Hyper(np.full(400, 5e-3), np.full(400, 0.9), 0.01, 32))
        fused.flush()
        weights.append(module.embeds[0].weight.detach().numpy().copy())
        assert losses[-40:].mean() < 0.8 * losses[:40].mean()
    assert np.array_equal(weights[0], weights[1])
    assert not np.array_equal(weights[0], weights[2])


# ---- what is left to autograd


def test_an_altered_network_is_left_to_autograd():
    def seen(change):
        module, codes, *_ = drawn("usual")
        change(module)
        return network_of(module, len(codes))

    assert seen(lambda m: None) is not None
    changes = {
        "another activation": lambda m: m.layers[0].__setitem__(1, nn.GELU()),
        "a hook": lambda m: m.layers[0].register_forward_hook(lambda *a: None),
        "a hook of a gradient": lambda m: m.embeds[0].weight.register_hook(lambda g: g),
        "a frozen table": lambda m: m.embeds[0].weight.requires_grad_(False),
        "double precision": lambda m: m.double(),
        "another layer": lambda m: m.add_module("more", nn.Linear(3, 3)),
        "a parameter more": lambda m: m.register_parameter("scale", nn.Parameter(torch.ones(1))),
        "a forward of its own": lambda m: setattr(m, "forward", lambda x: x),
        "shared tables": lambda m: m.embeds.__setitem__(1, m.embeds[0]),
        "no running mean": lambda m: m.layers[0].__setitem__(2, nn.BatchNorm1d(20, track_running_stats=False)),
        "another table": lambda m: m.embeds.__setitem__(1, nn.Embedding(31, 19, max_norm=1.0)),
    }
    for name, change in changes.items():
        assert seen(change) is None, name


def learner(data, config=None, **given):
    model = Neural(config or NeuralConfig(layers=(16, 8), n_factors=8, batch_size=16, dropout=0.1), device="cpu")
    return Learner(data, model, seed=3, bs=16, verbose=False, **given)


def weights_of(learn):
    return np.concatenate([p.detach().numpy().ravel() for p in learn.model.module.parameters()])


class Looks(Callback):
    def __init__(self):
        self.seen = []

    def after_batch(self, learn, first, loss):
        self.seen.append(loss)


def test_batch_by_batch_or_a_whole_epoch_is_the_same(toy):
    whole, by_batch, looks = learner(toy), learner(toy), Looks()
    whole.fit_one_cycle(2, 1e-2, wd=0.1)
    by_batch.fit_one_cycle(2, 1e-2, wd=0.1, callbacks=[looks])
    assert np.array_equal(weights_of(whole), weights_of(by_batch))
    assert looks.seen == whole.recorder.losses


def test_the_module_is_up_to_date_whenever_it_is_asked_for(toy):
    seen = []

    class Reads(Callback):
        def after_batch(self, learn, first, loss):
            seen.append(learn.model.module.layers[0][0].weight.detach().clone())

        def after_epoch(self, learn):
            with torch.no_grad():
                learn.model.module.embeds[0].weight.zero_()

    learn = learner(toy)
    learn.fit_one_cycle(1, 1e-2, wd=0.1, callbacks=[Reads()])
    assert all(not torch.equal(a, b) for a, b in pairwise(seen))
    assert not learn.model.module.embeds[0].weight.any()
    learn.fit(1, 1e-2)
    table = learn.model.module.embeds[0].weight.detach()
    assert table.abs().max() > 0
    assert table.abs().max() < 0.5  # it went on from zeros


def test_a_resumed_run_ends_with_the_same_bits(toy, tmp_path):
    class Crash(Callback):
        def __init__(self, at):
            self.at = at

        def after_epoch(self, learn):
            if learn.epoch == self.at:
                raise RuntimeError("power cut")

    parts, file = split.random(toy, 0.2, seed=0), tmp_path / "c.ckpt"
    straight = learner(parts)
    straight.fit_one_cycle(4, 1e-2, wd=0.1, callbacks=[Crash(9)])
    with pytest.raises(RuntimeError):
        learner(parts).fit_one_cycle(4, 1e-2, wd=0.1, checkpoint=file, callbacks=[Crash(2)])
    again = learner(parts)
    again.fit_one_cycle(4, 1e-2, wd=0.1, checkpoint=file, resume=True, callbacks=[Crash(9)])
    assert again.recorder.losses == straight.recorder.losses
    assert np.array_equal(weights_of(straight), weights_of(again))


def test_a_copy_in_the_middle_of_a_training_is_the_model_as_it_is(toy):
    learn = learner(toy)
    learn.fit(1, 1e-2)
    rows = np.arange(64)
    learn.stepper.run(rows, Hyper(np.full(4, 1e-2), np.full(4, 0.9), 0.1, 16))
    again = pickle.loads(pickle.dumps(learn.model))
    assert np.array_equal(again.scores(np.arange(5)), learn.model.scores(np.arange(5)))


def test_a_hook_set_between_two_fits_is_called(toy):
    learn, calls = learner(toy), []
    learn.fit(1, 1e-2)
    before = weights_of(learn)
    learn.model.module.layers[0].register_forward_hook(lambda *_: calls.append(1))
    learn.fit(1, 1e-2)
    assert len(calls) >= len(toy) // 16
    assert not np.array_equal(before, weights_of(learn))
    assert set(learn.stepper.optimizer.steps) == {2 * (len(toy) // 16)}
