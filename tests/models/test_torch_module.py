"""A module of one's own in the one loop: the optimizer's arithmetic, reproducibility, shapes, devices, files."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the torch extra is not installed")

from torch import nn  # noqa: E402

from cofactor import split  # noqa: E402
from cofactor.errors import BundleError, ConfigError, NotFittedError  # noqa: E402
from cofactor.model import HasLoss, Hyper, Model  # noqa: E402
from cofactor.models.torch.layers import Embedding, EmbeddingNN, Module, MSELossFlat, sigmoid_range  # noqa: E402
from cofactor.models.torch.module import TorchModule, TorchModuleConfig  # noqa: E402
from cofactor.models.torch.optim import Adam, AdamRun, TorchOptimizer, norm_and_bias  # noqa: E402
from cofactor.models.torch.stepper import own_rng, threads_for  # noqa: E402
from cofactor.train import Callback, Learner  # noqa: E402


class Dot(Module):
    """Embeddings, biases as plain parameters, and dropout, so that chance in the forward pass matters."""

    def __init__(self, n_users, n_items, k=4, p=0.0):
        self.users, self.items = Embedding(n_users, k), Embedding(n_items, k)
        self.user_bias, self.item_bias = nn.Parameter(torch.zeros(n_users)), nn.Parameter(torch.zeros(n_items))
        self.drop = nn.Dropout(p)

    def forward(self, x):
        dot = (self.drop(self.users(x[:, 0])) * self.items(x[:, 1])).sum(1)
        return sigmoid_range(dot + self.user_bias[x[:, 0]] + self.item_bias[x[:, 1]], 0.5, 5.5)


def learner(data, make=Dot, *, epochs=2, seed=0, callbacks=(), **given):
    config = TorchModuleConfig(**given.pop("config", {}))
    learn = Learner(data, TorchModule(config, make, device="cpu", **given), seed=seed, bs=16, verbose=False)
    if epochs:
        learn.fit_one_cycle(epochs, 2e-2, wd=0.1, callbacks=callbacks)
    return learn


def weights(learn):
    return {k: v for k, v in learn.model.state().items() if k.startswith("module.")}


def same(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) for k in a)


def test_follows_the_protocols(toy):
    model = learner(split.random(toy, 0.2)).model
    assert isinstance(model, Model)
    assert isinstance(model, HasLoss)


def test_it_learns(toy):
    parts = split.random(toy, 0.2)
    learn = learner(parts, epochs=15)
    spread = float(np.var(parts.valid.values))
    assert learn.recorder.values[-1][1] < 0.6 * spread
    predicted = learn.model.predict(parts.valid.users, parts.valid.items)
    assert np.mean((predicted - parts.valid.values) ** 2) == pytest.approx(learn.recorder.values[-1][1], rel=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_adam_is_the_notebooks_rule(dtype):
    """Against the formulas of DESIGN's numerics in float64, with a parameter that sometimes has no gradient."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5)).to(dtype)
    module.register_parameter("free", nn.Parameter(torch.randn(4, 2, dtype=dtype)))
    run = AdamRun.of_module(module, Adam())
    run.begin()
    spared = {id(p) for p in norm_and_bias(module)}
    plain = [p.detach().double().numpy().copy() for p in run.params]
    m, v, t = [np.zeros_like(p) for p in plain], [np.zeros_like(p) for p in plain], [0] * len(plain)
    for step in range(12):
        lr, mom, wd = 0.01 * (step + 1), 0.95 - 0.01 * step, 0.3
        for i, p in enumerate(run.params):
            if i == 0 and step % 3 == 1:
                continue
            g = torch.randn_like(p) * 10.0 ** -(step % 5)
            p.grad = g.clone()
            g = g.double().numpy()
            t[i] += 1
            if id(p) not in spared:
                plain[i] *= 1 - lr * wd
            m[i] = mom * m[i] + (1 - mom) * g
            v[i] = 0.99 * v[i] + 0.01 * g**2
            plain[i] -= lr / (1 - mom ** t[i]) * m[i] / (np.sqrt(v[i] / (1 - 0.99 ** t[i])) + 1e-5)
        run.step(lr, mom, wd)
    for p, q in zip(run.params, plain):
        np.testing.assert_allclose(p.detach().numpy(), q, rtol=2e-4 if dtype == torch.float32 else 1e-9, atol=1e-6)


def test_adam_on_a_strided_parameter_equals_that_on_a_plain_one():
    wide = torch.randn(6, 8)
    plain, strided = nn.ParameterList([wide[:, :3].clone()]), nn.ParameterList([torch.zeros(1)])
    strided[0].data = wide[:, :3]
    runs = [AdamRun.of_module(m, Adam()) for m in (plain, strided)]
    for _ in range(5):
        g = torch.randn(6, 3)
        for run in runs:
            run.begin()
            run.params[0].grad = g.clone() if run is runs[0] else torch.empty_strided((6, 3), (8, 1)).copy_(g)
            run.step(0.1, 0.9, 0.1)
    torch.testing.assert_close(plain[0], strided[0], rtol=1e-5, atol=1e-6)


def test_decay_spares_norms_and_layer_biases_only():
    net = EmbeddingNN([(5, 3), (6, 3)], [4], y_range=(0, 5))
    spared = {id(p) for p in norm_and_bias(net)}
    names = {n for n, p in net.named_parameters() if id(p) in spared}
    assert names == {"layers.0.2.weight", "layers.0.2.bias", "layers.1.0.bias"}


def test_adam_equals_torchs_adamw(toy):
    ours = learner(toy, seed=3)
    theirs = learner(
        toy,
        seed=3,
        optimizer=lambda m: TorchOptimizer(
            m, lambda groups, lr: torch.optim.AdamW(groups, lr, betas=(0.9, 0.99), eps=1e-5)
        ),
    )
    for name, array in weights(ours).items():
        np.testing.assert_allclose(array, weights(theirs)[name], rtol=1e-3, atol=1e-4)


def test_one_seed_gives_one_result_and_leaves_torchs_generator_alone(toy):
    def make(n_users, n_items):
        return Dot(n_users, n_items, p=0.3)

    torch.manual_seed(5)
    before = torch.get_rng_state()
    first = learner(toy, make, seed=1)
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(99)
    assert same(weights(first), weights(learner(toy, make, seed=1)))
    assert not same(weights(first), weights(learner(toy, make, seed=2)))


def test_threads_are_put_back_and_do_not_change_the_result(toy):
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = weights(learner(toy))
        torch.set_num_threads(2)
        two = weights(learner(toy))
        assert torch.get_num_threads() == 2
        with threads_for(nn.Linear(2, 2), 8, torch.device("cpu"), None):
            assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
    assert same(one, two)


def test_batch_by_batch_gives_the_same_weights(toy):
    class Look(Callback):
        def after_batch(self, learn, batch, loss): ...

    def make(n_users, n_items):
        return Dot(n_users, n_items, p=0.2)

    assert same(weights(learner(toy, make)), weights(learner(toy, make, callbacks=[Look()])))


@pytest.mark.parametrize("optimizer", [None, lambda m: TorchOptimizer(m, torch.optim.AdamW)])
def test_a_resumed_run_ends_with_the_same_weights(toy, tmp_path, optimizer):
    class PowerCut(Callback):
        at = 2

        def before_epoch(self, learn):
            if learn.epoch == self.at:
                raise RuntimeError("power cut")

    def run(callback, **how):
        learn = learner(toy, lambda n_users, n_items: Dot(n_users, n_items, p=0.3), epochs=0, optimizer=optimizer)
        learn.fit_one_cycle(4, 2e-2, wd=0.1, callbacks=[callback], **how)
        return weights(learn)

    file, cut, never = tmp_path / "run.ckpt", PowerCut(), PowerCut()
    never.at = -1
    with pytest.raises(RuntimeError, match="power cut"):
        run(cut, checkpoint=file)
    assert same(run(never), run(never, checkpoint=file, resume=True))


def test_modes_are_right(toy):
    seen = []

    class Watch(Dot):
        def forward(self, x):
            seen.append(self.training)
            return super().forward(x)

    learn = learner(split.random(toy, 0.2), Watch, epochs=1)
    assert seen[0] is True
    assert seen[-1] is False
    assert not learn.model.module.training


def test_column_outputs_are_flattened_and_wrong_shapes_named(toy):
    class Column(Dot):
        def forward(self, x):
            return super().forward(x)[:, None]

    assert same(weights(learner(toy)), weights(learner(toy, Column)))

    class Wide(Dot):
        def forward(self, x):
            return super().forward(x)[:, None].repeat(1, 3)

    with pytest.raises(ConfigError, match=r"returned the shape \(16, 3\) for 16 rows"):
        learner(toy, Wide)
    with pytest.raises(ConfigError, match="return their mean"):
        learner(toy, loss=nn.MSELoss(reduction="none"))
    with pytest.raises(ConfigError, match="no parameter that learns"):
        learner(toy, lambda u, i: nn.Module())
    with pytest.raises(ConfigError, match="gave a int"):
        learner(toy, lambda u, i: 3)
    with pytest.raises(ConfigError, match="no loss 'mes'"):
        learner(toy, config={"loss": "mes"})
    with pytest.raises(NotFittedError):
        TorchModule(module=Dot).predict(np.zeros(1, int), np.zeros(1, int))


@pytest.mark.parametrize("name", ["mse", "mae", "huber"])
def test_named_losses_are_those_of_the_loop(toy, name):
    from cofactor.train.losses import loss_function

    learn = learner(toy, config={"loss": name})
    predicted = learn.model.predict(toy.users, toy.items)
    assert learn.validate(toy) == pytest.approx(loss_function(name)(predicted, toy.values), rel=1e-5)


def test_sparse_gradients_and_frozen_parameters(toy):
    class Sparse(Dot):
        def __init__(self, n_users, n_items):
            super().__init__(n_users, n_items)
            self.users = nn.Embedding(n_users, 4, sparse=True)
            self.item_bias.requires_grad_(False)

    learn = learner(toy, Sparse)
    assert np.all(weights(learn)["module.item_bias"] == 0)
    assert np.any(weights(learn)["module.user_bias"] != 0)


def test_an_activation_turns_outputs_into_predictions(toy):
    clicks = toy.replace(values=(toy.values >= 4).astype(np.float32))

    def loss(out, y):
        return nn.functional.binary_cross_entropy_with_logits(out, y)

    loss.activation = torch.sigmoid
    model = learner(clicks, loss=loss).model
    everything = model.scores(np.arange(clicks.n_users))
    assert everything.min() > 0
    assert everything.max() < 1
    read = TorchModule.from_state(model.config, model.state(), module=Dot, loss=loss, device="cpu")
    assert np.array_equal(read.scores(np.arange(3)), everything[:3])
    with pytest.raises(ConfigError, match="a loss of your own, which a file cannot hold"):
        TorchModule.from_state(model.config, model.state(), module=Dot).scores(np.arange(3))


def test_scores_are_predictions_and_unknown_ids_are_means(toy):
    model = learner(toy).model
    scores = model.scores(np.array([3, -1]))
    np.testing.assert_allclose(scores[0], model.predict(np.full(toy.n_items, 3), np.arange(toy.n_items)), rtol=1e-6)
    module = model.module
    with torch.no_grad():
        user = module.users.weight.mean(0)
        plain = sigmoid_range(module.items.weight @ user + module.user_bias.mean() + module.item_bias, 0.5, 5.5)
    np.testing.assert_allclose(scores[1], plain.numpy(), rtol=1e-5)
    assert np.isfinite(model.predict(np.array([0, -1]), np.array([-1, -1]))).all()


def test_a_module_without_tables_says_so_and_still_predicts(toy):
    class Hashed(Module):
        def __init__(self, n_users, n_items):
            self.buckets = nn.Embedding(7, 3)
            self.out = nn.Linear(6, 1)

        def forward(self, x):
            return self.out(torch.cat([self.buckets(x[:, 0] % 7), self.buckets(x[:, 1] % 7)], 1))

    model = learner(toy, Hashed).model
    with pytest.raises(ConfigError, match="Hashed has no table with a row for each user"):
        model.fold_in(toy.by_user)
    assert np.isfinite(model.predict(np.array([-1, 2]), np.array([1, -1]))).all()


def test_offset_reserves_number_zero(toy):
    model = learner(toy, config={"offset": 1}).model
    assert model.tables_shape == (toy.n_users + 1, toy.n_items + 1)
    assert model.shape() == (toy.n_users, toy.n_items)
    assert len(model.module.users.weight) == toy.n_users + 1
    assert model.scores(np.array([0])).shape == (1, toy.n_items)
    x = torch.tensor([[1, 1], [3, 2]])
    np.testing.assert_allclose(model.predict(np.array([0, 2]), np.array([0, 1])), model.module(x).detach(), rtol=1e-6)


def test_state_goes_round_and_needs_the_module(toy):
    learn = learner(toy)
    state = {k: v.copy() for k, v in learn.model.state().items()}
    again = TorchModule.from_state(learn.model.config, state, module=Dot, device="cpu")
    assert np.array_equal(again.scores(np.arange(5)), learn.model.scores(np.arange(5)))
    with pytest.raises(BundleError, match="give the module too"):
        TorchModule.from_state(learn.model.config, state)
    with pytest.raises(BundleError, match="another module"):
        TorchModule.from_state(learn.model.config, state, module=lambda u, i: Dot(u, i, k=5))
    with pytest.raises(BundleError, match="only in one of them"):
        TorchModule.from_state(learn.model.config, state, module=lambda u, i: nn.Linear(2, 1))
    state["module.user_bias"][0] = np.nan
    with pytest.raises(BundleError, match="not finite numbers"):
        TorchModule.from_state(learn.model.config, state, module=Dot)


def test_a_module_given_is_trained_in_place(toy):
    module = Dot(toy.n_users, toy.n_items)
    start = module.user_bias.detach().clone()
    learner(toy, module, loss=MSELossFlat())
    assert not torch.equal(start, module.user_bias)


def test_run_checks_its_rows(toy):
    stepper = learner(toy, epochs=0).stepper
    with pytest.raises(ConfigError, match="are not 1 batches of 4"):
        stepper.run(np.arange(5), Hyper(np.array([0.1]), np.array([0.9]), 0.0, 4))
    with pytest.raises(ConfigError, match="give rows"):
        stepper.run(None, None)


def test_own_rng_covers_a_seed():
    before = torch.get_rng_state()
    with own_rng(torch.device("cpu")):
        torch.rand(3)
    assert torch.equal(before, torch.get_rng_state())
