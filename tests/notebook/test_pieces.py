"""Pieces that notebooks put together: optimizers, groups of parameters, loaders, losses that tell their parts."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the torch extra is not installed")
pd = pytest.importorskip("pandas", reason="the torch extra is not installed")

import torch.nn.functional as F  # noqa: E402
from torch import nn  # noqa: E402

import cofactor.notebook as nb  # noqa: E402
from cofactor.errors import ConfigError  # noqa: E402


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(5)
    rows = {"user": rng.integers(0, 20, 300), "item": rng.integers(0, 15, 300), "rating": rng.integers(1, 6, 300)}
    return pd.DataFrame(rows).assign(age=lambda d: d.user % 7 * 1.5)


@pytest.fixture(scope="module")
def dls(table):
    return nb.CollabDataLoaders.from_df(table, seed=3, bs=16, device="cpu")


def learner(dls, **given):
    torch.manual_seed(1)
    sizes = [len(c) for c in dls.classes.values()]
    model = nb.EmbeddingDotBias(4, *sizes, y_range=(0, 5.5))
    given.setdefault("loss_func", nb.MSELossFlat())
    return nb.Learner(dls, model, verbose=False, seed=1, **given)


averaged = partial(nb.average_grad, dampening=True)
MOMENTS = [averaged, nb.average_sqr_grad, nb.step_stat]


@pytest.mark.parametrize(
    ("pieces", "named", "more"),
    [
        ([nb.weight_decay, *MOMENTS, nb.adam_step], nb.Adam, {}),
        ([nb.l2_reg, *MOMENTS, nb.adam_step], partial(nb.Adam, decouple_wd=False), {}),
        ([nb.weight_decay, nb.sgd_step], partial(nb.OptimWrapper, opt=torch.optim.SGD), {}),
        ([nb.weight_decay, nb.sgd_step], nb.SGD, {}),
        ([nb.l2_reg, nb.average_sqr_grad, nb.rms_prop_step], partial(nb.OptimWrapper, opt=torch.optim.RMSprop), {}),
    ],
)
def test_an_optimizer_of_pieces_is_the_named_one(dls, pieces, named, more):
    found = [learner(dls, opt_func=o) for o in (partial(nb.Optimizer, cbs=pieces, sqr_mom=0.99, **more), named)]
    for learn in found:
        learn.fit_one_cycle(2, 1e-2, wd=0.0 if isinstance(named, partial) else 0.1)
    for mine, theirs in zip(*(learn.model.parameters() for learn in found)):
        torch.testing.assert_close(mine, theirs, rtol=2e-2, atol=1e-3)


def test_what_a_piece_returns_besides_a_dict_is_ignored(dls):
    def returns_the_parameter(p, lr, **kwargs):
        return p.data.add_(p.grad, alpha=-lr)

    found = [learner(dls, opt_func=partial(nb.Optimizer, cbs=[one])) for one in (returns_the_parameter, nb.sgd_step)]
    for learn in found:
        learn.fit(1, 0.1)
    for mine, theirs in zip(*(learn.model.parameters() for learn in found)):
        torch.testing.assert_close(mine, theirs)


@pytest.mark.parametrize(("mom", "keeps"), [(0.0, False), (0.9, True)])
def test_momentum_that_was_not_asked_for_is_not_scheduled_in(dls, mom, keeps):
    learn = learner(dls, opt_func=partial(nb.SGD, mom=mom))
    learn.fit_one_cycle(1, 1e-2)
    assert any("grad_avg" in s for s in learn.opt.state.values()) == keeps


def test_what_the_optimizer_lacks_does_not_learn(dls):
    learn = learner(dls, splitter=lambda m: nb.params(m.u_weight))
    before = {n: p.detach().clone() for n, p in learn.model.named_parameters()}
    learn.fit(1, 1e-2)
    moved = {n for n, p in learn.model.named_parameters() if not torch.equal(p, before[n])}
    assert moved == {"u_weight.weight"}


@pytest.mark.parametrize("rates", [slice(1e-7, 1e-2), [1e-7, 1e-2]])
@pytest.mark.parametrize("by_batch", [False, True])
def test_groups_keep_their_rates_in_every_epoch(dls, rates, by_batch):
    class Looks(nb.Callback):
        def after_step(self): ...

    def groups(m):
        return [nb.params(m.i_weight) + nb.params(m.i_bias), nb.params(m.u_weight) + nb.params(m.u_bias)]

    learn = learner(dls, splitter=groups, cbs=Looks() if by_batch else None)
    before = {n: p.detach().clone() for n, p in learn.model.named_parameters()}
    learn.fit_one_cycle(3, rates, wd=0.0)
    moved = {n: float((p.detach() - before[n]).abs().mean()) for n, p in learn.model.named_parameters()}
    assert moved["i_weight.weight"] < 1e-4 * moved["u_weight.weight"]
    low, high = (h["lr"] for h in learn.opt.hypers)
    assert low == pytest.approx(high * 1e-5)


def test_a_loss_tells_its_parts(dls):
    class Two(nn.Module):
        def forward(self, p, y):
            y = y.squeeze().float()
            self.mse, self.mae = F.mse_loss(p, y), F.l1_loss(p, y)
            return self.mse + self.mae

    learn = learner(dls, loss_func=Two(), metrics=nb.LossMetrics("mse,mae"))
    learn.fit(1, 1e-2)
    assert list(learn.recorder.metric_names[2:5]) == ["valid_loss", "mse", "mae"]
    _, loss, mse, mae = learn.recorder.values[-1]
    assert loss == pytest.approx(mse + mae, rel=1e-5)


@pytest.mark.parametrize("loss", [nb.MSELossFlat(), nn.MSELoss(), F.l1_loss])
def test_several_targets_a_row(table, loss):
    splits = nb.RandomSplitter(seed=1)(range(len(table)))
    to = nb.TabularPandas(table, [nb.Categorify], ["user", "item"], y_names=["rating", "age"], splits=splits)
    dls = to.dataloaders(bs=16)
    learn = nb.tabular_learner(dls, layers=[8], n_out=2, loss_func=loss)
    learn.verbose = False
    learn.fit(1, 1e-2)
    preds, targs = learn.get_preds()
    assert preds.shape == targs.shape == (60, 2)
    assert learn.validate()[0] == pytest.approx(float(loss(preds, targs.float())), rel=1e-4)
    one = nb.tabular_learner(dls, layers=[8], n_out=1, loss_func=nn.MSELoss())
    with pytest.raises(ConfigError, match="as many predictions"):
        one.fit(1)


def test_what_a_loader_does_to_its_batches(dls, table):
    dl = dls.train
    assert (dl.n_inp, len(dl.after_item), len(dls.after_batch), dl.plain) == (1, 0, 0, True)
    hooked = dl.new()
    hooked.after_batch.add(nb.ItemTransform(lambda b: (b[0], b[1] * 2)))
    assert dl.plain
    assert not hooked.plain
    assert set(hooked.one_batch()[1].flatten().tolist()) <= {2, 4, 6, 8, 10}
    x, y = hooked.new(after_batch=lambda t: t * 0).one_batch()  # a function takes the parts of a batch one by one
    assert not x.any()
    assert not y.any()


def test_a_loader_of_items_and_of_a_table(dls):
    items = nb.TfmdLists(list(range(10)), lambda o: o + 1)
    assert nb.TfmdDL(items, bs=4).one_batch().tolist() == [1, 2, 3, 4]
    assert type(nb.TfmdDL(dls.train_ds, bs=4)) is nb.TabDataLoader
    assert list(nb.CategoryMap(nb.L(3, 1, 2, 1))) == [1, 2, 3]


def test_the_loop_is_shown_with_all_callbacks(dls, capsys):
    learner(dls).show_training_loop()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Start Fit"
    assert lines[1].split(": ") == ["   - before_fit     ", "[TrainEvalCallback, Recorder, ProgressCallback]"]
    assert [line.strip() for line in lines if not line.strip().startswith("-")][-2:] == ["End Epoch Loop", "End Fit"]


def test_half_precision_says_that_it_changes_nothing(dls, capsys):
    learn = learner(dls, cbs=nb.MixedPrecision())
    learn.fit(1)
    assert "single precision" in capsys.readouterr().out


def test_objects_go_through_a_file(dls, tmp_path):
    for name in ("to.pkl", "to.pkl.gz"):
        nb.save_pickle(tmp_path / name, dls.train_ds)
        again = nb.load_pickle(tmp_path / name)
        assert again.items.equals(dls.train_ds.items)
        assert again.classes["item"] == dls.classes["item"]


def test_what_is_changed_by_hand_counts(dls, table):
    """Each of these was trained by a kernel that did not look."""
    plain = learner(dls)
    plain.fit(2, 1e-2)

    def weights(change):
        learn = learner(dls)
        change(learn)
        learn.fit(2, 1e-2)
        return learn.model.u_weight.weight.detach()

    changes = [
        lambda learn: (learn.create_opt(), learn.opt.set_hyper("sqr_mom", 0.5)),
        lambda learn: (learn.create_opt(), learn.opt.set_hyper("eps", 0.5)),
        lambda learn: setattr(learn.model.u_weight, "max_norm", 0.01),
        lambda learn: setattr(learn.model.u_weight, "scale_grad_by_freq", True),
    ]
    for change in changes:
        assert not torch.allclose(weights(change), plain.model.u_weight.weight.detach(), atol=1e-4)


@pytest.mark.parametrize("make", [nb.EmbeddingDotBias, nb.EmbeddingNN])
def test_ratings_that_are_changed_in_place_are_trained_on(table, make):
    dls = nb.CollabDataLoaders.from_df(table, seed=3, bs=16, device="cpu")
    learn = nb.collab_learner(dls, use_nn=make is nb.EmbeddingNN, n_factors=4, verbose=False, seed=1)
    learn.fit(1, 1e-2)
    dls.train_ds.items["rating"] = 1
    learn.fit(5, 3e-2)
    assert learn.recorder.values[-1][0] < 0.5
    dls.train_ds.items.loc[:, "rating"] = 5
    learn.fit(1, 1e-3)
    assert learn.recorder.values[-1][0] > 5


def test_a_table_that_is_replaced_before_the_first_fit_learns(dls):
    learn = nb.collab_learner(dls, n_factors=4, y_range=(0, 5.5), verbose=False, seed=1)
    learn.model.i_weight = nn.Embedding(*learn.model.i_weight.weight.shape)
    before = learn.model.i_weight.weight.detach().clone()
    learn.fit(1, 1e-2)
    assert float((learn.model.i_weight.weight - before).detach().abs().mean()) > 1e-3


def test_a_forward_that_is_patched_is_called(dls, monkeypatch):
    old = nb.EmbeddingDotBias.forward
    monkeypatch.setattr(
        nb.EmbeddingDotBias, "forward", lambda self, x: old(self, x) * 0 + self.u_bias(x[:, 0]).sum() * 0
    )
    learn = learner(dls)
    before = learn.model.i_weight.weight.detach().clone()
    learn.fit(1, 1e-2, wd=0.0)
    torch.testing.assert_close(learn.model.i_weight.weight.detach(), before)


def test_names_of_modules_stand_for_this_one(dls, monkeypatch):
    from cofactor.notebook import callback, collab, learner, metrics, tracker

    assert collab.collab_learner is nb.collab_learner
    assert metrics.rmse is nb.rmse
    assert tracker.EarlyStoppingCallback is callback.tracker.EarlyStoppingCallback is nb.EarlyStoppingCallback
    assert not {"learner", "metrics"} & set(nb.__all__)
    monkeypatch.setattr(learner.Recorder, "plot_loss", lambda self: len(self.losses))
    learn = nb.collab_learner(dls, y_range=(0, 5.5), verbose=False)
    learn.fit(1)
    assert learn.recorder.plot_loss() == len(dls.train)
