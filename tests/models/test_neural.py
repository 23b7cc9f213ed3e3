"""neural, and users that a module was not trained with."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise

import numpy as np
import polars as pl
import pytest

torch = pytest.importorskip("torch", reason="the torch extra is not installed")

from torch import nn  # noqa: E402

from cofactor import split  # noqa: E402
from cofactor.data.interactions import Split, csr  # noqa: E402
from cofactor.errors import BundleError, ConfigError  # noqa: E402
from cofactor.model import Model  # noqa: E402
from cofactor.models.neural import network as neural_net  # noqa: E402
from cofactor.models.neural.model import Neural, NeuralConfig  # noqa: E402
from cofactor.models.neural.saved import shapes  # noqa: E402
from cofactor.models.torch import fold_in as fold  # noqa: E402
from cofactor.models.torch.layers import Embedding, EmbeddingDotBias, EmbeddingNN, Module, emb_sz_rule  # noqa: E402
from cofactor.models.torch.module import TorchModule, TorchModuleConfig  # noqa: E402
from cofactor.recommender import Recommender  # noqa: E402
from cofactor.train import Learner  # noqa: E402


def trained(data, config=None, epochs=4, seed=0, **given):
    model = Neural(config or NeuralConfig(layers=(16,), n_factors=8, batch_size=16), device="cpu", **given)
    learn = Learner(data, model, seed=seed, bs=16, verbose=False)
    learn.fit_one_cycle(epochs, 1e-2, wd=0.1)
    return learn


def test_follows_the_protocols_and_learns(toy):
    parts = split.random(toy, 0.2)
    learn = trained(parts, epochs=12)
    assert isinstance(learn.model, Model)
    assert learn.recorder.values[-1][1] < 0.7 * float(np.var(parts.valid.values))
    low, high = learn.model.y_range
    scores = learn.model.scores(np.arange(toy.n_users))
    assert (low, high) == (0.5, 5.5)
    assert low < scores.min() < scores.max() < high


def test_one_seed_gives_one_network(toy):
    first, again, other = (trained(toy, epochs=2, seed=s).model for s in (1, 1, 2))
    assert np.array_equal(first.scores(np.arange(9)), again.scores(np.arange(9)))
    assert not np.array_equal(first.scores(np.arange(9)), other.scores(np.arange(9)))


def test_sizes_and_order_of_layers():
    assert [emb_sz_rule(n) for n in (944, 1665, 10**6)] == [74, 102, 600]
    net = EmbeddingNN([(944, 74), (1665, 102)], [100, 50], ps=0.1, embed_p=0.2, y_range=(0, 5.5))
    kinds = [[type(layer).__name__ for layer in block] for block in list(net.layers)[:3]]
    assert kinds == [["Linear", "ReLU", "BatchNorm1d", "Dropout"]] * 2 + [["Linear"]]
    assert [block[0].in_features for block in list(net.layers)[:3]] == [176, 100, 50]
    assert [block[0].bias is None for block in list(net.layers)[:3]] == [True, True, False]
    assert net(torch.tensor([[1, 2], [3, 4]])).shape == (2, 1)
    with pytest.raises(ValueError, match="ps has 1 numbers for 2 layers"):
        EmbeddingNN([(5, 2), (5, 2)], [4, 4], ps=[0.1])


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"layers": (0,)}, "layers"),
        ({"dropout": 1.0}, "dropout"),
        ({"y_range": (5, 1)}, "lower first"),
        ({"loss": "bce"}, "mse, mae, huber"),
        ({"batch_size": 1}, "at least 2"),
    ],
)
def test_config_is_checked(wrong, words):
    with pytest.raises(ConfigError, match=words):
        NeuralConfig(**wrong)


@pytest.mark.parametrize(
    "config", [NeuralConfig(layers=(6,), batch_size=16, dropout=0.2), NeuralConfig(layers=(), y_range=None)]
)
def test_state_goes_round(toy, config):
    model = trained(toy, config, epochs=1).model
    state = {k: np.array(v) for k, v in model.state().items()}
    assert {k.removeprefix("module."): a.shape for k, a in state.items() if k[:7] == "module."} == shapes(
        config, (toy.n_users, toy.n_items)
    )
    again = Neural.from_state(config, state, device="cpu")

    def same():
        kept = again.state()
        assert kept.keys() == state.keys()
        assert all(np.array_equal(kept[k], a) and kept[k].dtype == a.dtype for k, a in state.items())
        assert np.array_equal(again.scores(np.arange(5)), model.scores(np.arange(5)))
        assert np.array_equal(again.fold_in(toy.by_user), model.fold_in(toy.by_user))
        assert np.array_equal(again.predict(toy.users, toy.items), model.predict(toy.users, toy.items))

    same()
    assert again.module is None  # nothing has needed it yet
    drawn = torch.random.get_rng_state()
    assert again.loss(toy) == model.loss(toy)
    assert again.module is not None
    assert torch.equal(drawn, torch.random.get_rng_state())
    same()


def test_a_saved_network_needs_no_torch(toy, tmp_path):
    rec = Recommender(trained(toy).model, toy)
    rec.save(tmp_path / "n.cofactor")
    history = {toy.item_ids.values[1]: 5.0, toy.item_ids.values[4]: 1.0}
    code = (
        "import sys, cofactor as cf\n"
        f"rec = cf.load({str(tmp_path / 'n.cofactor')!r})\n"
        f"rec.recommend_all(3, out={str(tmp_path / 'all.parquet')!r})\n"
        f"rec.recommend(history={history!r}).write_parquet({str(tmp_path / 'one.parquet')!r})\n"
        "rec.predict([(rec.data.user_ids.values[0], rec.data.item_ids.values[0])])\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert pl.read_parquet(tmp_path / "all.parquet").equals(rec.recommend_all(3))
    assert pl.read_parquet(tmp_path / "one.parquet").equals(rec.recommend(history=history))


def test_a_spoilt_state_is_refused_without_taking_memory(toy):
    model = trained(toy, epochs=1).model
    state = model.state()
    for name, array in {
        "shape": np.array([2**30, 2**30]),
        "y_range": np.array([5.0, 1.0]),
        "module.embeds.0.weight": np.zeros((3, 8), np.float32),
        "module.embeds.1.weight": state["module.embeds.1.weight"].astype(np.float64),
        "noise": np.array(np.nan),
    }.items():
        with pytest.raises(BundleError):
            Neural.from_state(model.config, state | {name: array})
    with pytest.raises(BundleError):
        Neural.from_state(model.config, {k: v for k, v in state.items() if k != "module.embeds.0.weight"})


def test_without_torch_it_says_which_extra():
    code = (
        "import sys\n"
        "class NoTorch:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'torch': raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, NoTorch())\n"
        "import numpy as np, cofactor as cf\n"
        "from cofactor.errors import MissingExtraError\n"
        "data = cf.load_dataset().take(np.arange(2000))\n"
        "cf.list_models()\n"
        "learn = cf.collab_learner(data, 4, y_range=(0, 11), verbose=False); learn.fit_one_cycle(1, 5e-3)\n"
        "for call in (lambda: cf.collab_learner(data, use_nn=True), lambda: __import__('cofactor.notebook')):\n"
        "    try: call()\n"
        "    except MissingExtraError as e: assert \"pip install 'cofactor[torch]'\" in str(e), e\n"
        "    else: raise SystemExit('no error')\n"
        "print('fine')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "fine", done.stderr


# ---- fold-in


class Swapped(Module):
    """Tables under other names, in another order, of other shapes, as many users as items."""

    def __init__(self, n):
        self.b = nn.Parameter(torch.randn(n))
        self.a = Embedding(n, 3, std=1.0)
        self.z = nn.Parameter(torch.randn(n, 1, 3))
        self.shared = nn.Parameter(torch.randn(n))

    def forward(self, x):
        users, items = x[:, 0], x[:, 1]
        return (self.z[users, 0] * self.a(items)).sum(1) + self.b[users] + self.shared[users] * self.shared[items]


def test_tables_are_found_by_their_gradients():
    net = Swapped(11)
    assert fold.tables(net, (11, 11), 0) == ["b", "z"]
    assert fold.tables(net, (11, 11), 1) == ["a.weight"]
    states = fold.table_rows(net, ["b", "z"], torch.tensor([4, 7]))
    assert states.shape == (2, 4)
    x = torch.tensor([[0, 2], [1, 5]])
    placed = fold.caller(net, fold.substituted(net, ["b", "z"], states))(x)
    torch.testing.assert_close(placed, net(torch.tensor([[4, 2], [7, 5]])) - _other_users(net, [4, 7], [0, 1], [2, 5]))


def _other_users(net, were, are, items):
    """``shared`` belongs to both sides, so it is not a table: it is still read at the new numbers."""
    return (net.shared[were] - net.shared[are]) * net.shared[items]


def test_fold_in_of_a_linear_model_is_ridge_regression():
    """With items fixed a dot product is linear in the user: compare with the closed form under the same prior."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    net = EmbeddingDotBias(3, 40, 30)
    for table in (net.u_weight, net.i_weight, net.u_bias, net.i_bias):
        nn.init.normal_(table.weight)
    users, items = np.repeat(np.arange(6), 10), np.concatenate([rng.permutation(30)[:10] for _ in range(6)])
    histories = csr(users, items, rng.normal(size=60).astype(np.float32), 6, 30)
    names = fold.tables(net, (40, 30), 0)
    before = fold.prior(net, names, 0, 40)
    found = fold.fold_in(
        net, names, histories, loss=nn.functional.mse_loss, offset=0, before=before, noise=0.7, block=25
    ).numpy()
    trained_rows = fold.table_rows(net, names, torch.arange(40)).double().numpy()
    mean, spread = trained_rows.mean(0), np.cov(trained_rows.T)
    precision = np.linalg.inv(spread + np.eye(4) * (1e-6 + 1e-4 * np.diag(spread).mean()))
    width = {"u_weight.weight": 3, "u_bias.weight": 1}
    for row in range(6):
        at, y = histories.row(row)
        parts = {"u_weight.weight": net.i_weight.weight.detach().numpy()[at], "u_bias.weight": np.ones((10, 1))}
        design = np.concatenate([parts[n] for n in names], 1)
        assert design.shape[1] == sum(width.values())
        target = y - net.i_bias.weight.detach().numpy()[at, 0] - design @ mean
        exact = mean + np.linalg.solve(design.T @ design + 0.7 * fold.SHRINK * precision, design.T @ target)
        np.testing.assert_allclose(found[row], exact, atol=2e-3)


def test_scores_from_a_trained_state_are_the_scores(toy):
    for model in (trained(toy).model, _dot(toy)):
        users = np.array([5, 0, -1])
        states = model.user_state(users)
        np.testing.assert_allclose(model.scores_from(states), model.scores(users), rtol=1e-5)


def test_an_empty_history_is_the_mean_user_and_blocks_do_not_matter(toy, monkeypatch):
    model = trained(toy).model
    some = toy.by_user.take(np.array([1, 2, 3]))
    empty = csr(np.zeros(0), np.zeros(0), np.zeros(0), 1, toy.n_items)
    np.testing.assert_allclose(model.fold_in(empty)[0], model.user_state(np.array([-1]))[0], rtol=1e-5)
    together = model.fold_in(some)
    monkeypatch.setattr("cofactor.models.torch.module.BLOCK", 5)
    np.testing.assert_allclose(together, model.fold_in(some), atol=2e-3)


@pytest.mark.parametrize("loss", ["mse", "mae", "huber"])
def test_folding_in_fits_the_history(toy, loss):
    model = trained(toy, NeuralConfig(layers=(16,), n_factors=8, batch_size=16, loss=loss), epochs=10).model
    rows = toy.by_user
    everyone = model.scores_from(model.fold_in(rows))
    nobody = model.scores(np.full(rows.n_rows, -1))
    owner = np.repeat(np.arange(rows.n_rows), rows.counts)
    errors = [np.abs(s[owner, rows.indices] - rows.values).mean() for s in (everyone, nobody)]
    assert errors[0] < 0.85 * errors[1]


@pytest.mark.parametrize(
    "config",
    [
        NeuralConfig(layers=(16, 8), n_factors=6, batch_size=16),
        NeuralConfig(layers=(16,), user_factors=30, item_factors=5, batch_size=16, batch_norm=False, y_range=None),
        NeuralConfig(layers=(), n_factors=4, batch_size=16, loss="huber"),
    ],
)
def test_plain_arrays_give_what_torch_gives(toy, config):
    model = trained(toy, config, epochs=5).model
    users = np.array([5, 0, -1, 3])
    np.testing.assert_allclose(model.scores(users), by_torch(model, users), rtol=2e-6, atol=2e-6)
    pairs = np.array([5, 0, -1, 3, -1]), np.array([2, -1, 4, 0, -1])
    theirs = TorchModule.predict(model, *pairs)
    np.testing.assert_allclose(model.predict(*pairs), theirs, rtol=2e-6, atol=2e-6)
    np.testing.assert_allclose(model.user_state(users), TorchModule.user_state(model, users), rtol=1e-5, atol=1e-7)
    states = model.fold_in(toy.by_user)
    np.testing.assert_allclose(model.scores_from(states), TorchModule.scores_from(model, states), rtol=2e-6, atol=2e-6)
    ours, theirs = (_objectives(model, toy.by_user, s) for s in (states, TorchModule.fold_in(model, toy.by_user)))
    mean = _objectives(model, toy.by_user, model.user_state(np.full(toy.n_users, -1)))
    assert (ours < theirs * 1.01 + 1e-3).all()
    assert ours.sum() < 0.9 * mean.sum()


def by_torch(model, users):
    """The scores of all items, a pair at a time through the module."""
    n = model.tables_shape[1]
    return TorchModule.predict(model, np.repeat(users, n), np.tile(np.arange(n), len(users))).reshape(-1, n)


def _objectives(model, histories, states):
    """What fold-in minimises, by torch: the summed loss of each history and the prior of the user's row."""
    before = model._prior()
    z = np.linalg.solve(before.root.numpy(), (states - before.mean.numpy()).T)
    predicted = TorchModule.scores_from(model, states)
    loss = model.loss_function()
    return np.array(
        [
            float(loss(torch.from_numpy(predicted[r][at]), torch.from_numpy(np.array(y)), reduction="sum"))
            for r, (at, y) in enumerate(histories.row(r) for r in range(histories.n_rows))
        ]
    ) + model.noise * (z * z).sum(0)


def test_plain_arrays_follow_the_weights(toy):
    model = trained(toy).model
    before = model.scores(np.arange(3))
    with torch.no_grad():
        model.module.embeds[1].weight[4] += 1
    after = model.scores(np.arange(3))
    assert (before[:, 4] != after[:, 4]).all()
    assert np.array_equal(np.delete(before, 4, 1), np.delete(after, 4, 1))
    model.module.layers[0][1] = nn.GELU()  # no longer what the arrays stand for
    assert model._arrays() is None
    np.testing.assert_allclose(model.scores(np.arange(3)), by_torch(model, np.arange(3)), rtol=1e-6)
    assert model.fold_in(toy.by_user).shape == (toy.n_users, 8)


def test_lists_do_not_depend_on_threads(toy, monkeypatch):
    model = trained(toy).model
    states = np.tile(model.user_state(np.arange(9)), (100, 1))  # enough for threads to share them out
    monkeypatch.setattr("numba.config.NUMBA_NUM_THREADS", 1)
    alone = model.scores_from(states)
    monkeypatch.setattr("numba.config.NUMBA_NUM_THREADS", 3)
    assert np.array_equal(alone, model.scores_from(states))


def net_by_chance(rng, items, widths, y_range=(0.5, 5.5)):
    """A network as plain arrays, ``widths`` of its hidden layers."""
    sizes = [*widths, 1]
    layers = tuple(
        (rng.normal(size=(a, b)).astype("f4") / np.float32(np.sqrt(a)), rng.normal(size=b).astype("f4"))
        for a, b in pairwise(sizes)
    )
    brought = rng.normal(size=(items, sizes[0])).astype("f4")
    place = np.argsort(neural_net.near(brought))
    return neural_net.Net(rng.normal(size=(4, sizes[0])).astype("f4"), brought, layers, y_range, place)


@pytest.mark.parametrize("widths", [(7,), (100, 50), (3, 16, 11), (1, 1), ()])
@pytest.mark.parametrize("items", [1, 16, 45])
def test_the_kernel_is_the_network(widths, items):
    rng = np.random.default_rng(items)
    net, states = net_by_chance(rng, items, widths), rng.normal(size=(5, 4)).astype("f4")
    x = net.items[None] + (states @ net.user_in)[:, None]
    for weight, bias in net.layers:
        x = np.maximum(x.astype(np.float64), 0) @ weight + bias
    expected = 0.5 + 5 / (1 + np.exp(-x[..., 0]))
    found = neural_net.scores(net, states)
    np.testing.assert_allclose(found, expected, rtol=3e-6)
    for some in (rng.permutation(items), rng.permutation(items)[: items // 2]):
        assert np.array_equal(neural_net.scores(net, states, some), found[:, some])


def test_the_scores_of_a_user_do_not_depend_on_the_others():
    rng = np.random.default_rng(5)
    net, states = net_by_chance(rng, 30, (50, 20)), rng.normal(size=(40, 4)).astype("f4")
    together = neural_net.scores(net, states)
    assert all(
        np.array_equal(neural_net.scores(net, states[r : r + n]), together[r : r + n]) for r in (0, 7) for n in (1, 9)
    )


def test_no_number_comes_out_as_no_number():
    net = net_by_chance(np.random.default_rng(0), 20, (6, 4))
    net.items[3, 2] = np.nan
    found = neural_net.scores(net, np.zeros((2, 4), "f4"))
    assert np.flatnonzero(np.isnan(found[0])).tolist() == [3]


def test_near_rows_come_together():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(1000, 3))
    order = neural_net.near(rows)
    assert sorted(order) == list(range(1000))
    apart = [rows[o[:992]].reshape(62, 16, 3).std(axis=1).mean() for o in (order, np.arange(1000))]
    assert apart[0] < 0.5 * apart[1]
    assert sorted(neural_net.near(np.zeros((40, 2)))) == list(range(40))


def test_a_filter_leaves_scores_as_they_are(toy):
    rec = Recommender(trained(toy).model, toy)
    newer = rec.update([(toy.user_ids.values[3], toy.item_ids.values[2], 5.0), (999, toy.item_ids.values[1], 1.0)])
    allowed = toy.item_ids.values[::2]
    for one in (rec, newer):
        some, every = one.recommend_all(4, allow=allowed), one.recommend_all(10**6)
        every = every.filter(pl.col("item").is_in(allowed.implode()))
        every = every.with_columns(rank=pl.int_range(1, pl.len() + 1, dtype=pl.Int32).over("user"))
        assert some.equals(every.filter(pl.col("rank") <= 4))
    assert len(rec.recommend_all(4, allow=[])) == 0


def _dot(data):
    made = TorchModule(TorchModuleConfig(), lambda u, i: EmbeddingDotBias(8, u, i, (0.5, 5.5)), device="cpu")
    Learner(data, made, bs=16, verbose=False).fit_one_cycle(4, 2e-2, wd=0.1)
    return made


@pytest.mark.movielens
@pytest.mark.parametrize("make", ["neural", "dot"])
def test_users_held_out_are_as_well_served_as_trained_ones(ml100k, make):
    """A fifth of the users held out, half of each one's ratings given as history."""
    parts = split.by_user(ml100k, 0.2, 0.5, seed=5)
    history, test, rest = parts.given, parts.valid, parts.train

    def model(data):
        made = (
            Neural(NeuralConfig(layers=(20,), n_factors=16), device="cpu")
            if make == "neural"
            else TorchModule(TorchModuleConfig(), lambda u, i: EmbeddingDotBias(10, u, i, (0.0, 5.5)), device="cpu")
        )
        learn = Learner(Split(data, test, ""), made, bs=256, verbose=False)
        learn.fit_one_cycle(3, 2e-2, wd=0.1)
        return made, np.sqrt(learn.recorder.values[-1][1])

    both = ml100k.replace(
        **{k: np.concatenate([getattr(rest, k), getattr(history, k)]) for k in ("users", "items", "values")}, times=None
    )
    _, usual = model(both)
    folded, _ = model(rest)
    users = np.unique(test.users)
    scores = folded.scores_from(folded.fold_in(history.by_user.take(users)))
    error = scores[np.searchsorted(users, test.users), test.items] - test.values
    assert np.sqrt(np.mean(error**2)) < 1.02 * usual
