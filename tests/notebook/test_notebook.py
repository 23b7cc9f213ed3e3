"""The notebook's names: data, modules, the Learner and every variation a reader would try."""

from __future__ import annotations

import copy
import csv

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the torch extra is not installed")
pytest.importorskip("pandas", reason="the torch extra is not installed")

from torch import nn  # noqa: E402

import cofactor.notebook as nb  # noqa: E402
from cofactor import notebook  # noqa: E402
from cofactor.errors import BundleError, ConfigError, DataError, UnknownIdError  # noqa: E402
from cofactor.notebook._training.kernel_core import KernelCore  # noqa: E402
from cofactor.notebook._training.module_core import ModuleCore  # noqa: E402


@pytest.fixture(scope="module")
def frame(toy):
    return toy.to_frame().to_pandas()


@pytest.fixture(scope="module")
def dls(frame):
    return nb.CollabDataLoaders.from_df(frame, seed=3, bs=16, device="cpu")


class DotProductBias(nb.Module):
    def __init__(self, n_users, n_items, n_factors, y_range=(0, 5.5)):
        self.user_factors, self.user_bias = nb.Embedding(n_users, n_factors), nb.Embedding(n_users, 1)
        self.item_factors, self.item_bias = nb.Embedding(n_items, n_factors), nb.Embedding(n_items, 1)
        self.y_range = y_range

    def forward(self, x):
        res = (self.user_factors(x[:, 0]) * self.item_factors(x[:, 1])).sum(dim=1, keepdim=True)
        res += self.user_bias(x[:, 0]) + self.item_bias(x[:, 1])
        return nb.sigmoid_range(res, *self.y_range)


def module_learner(dls, **given):
    sizes = [len(c) for c in dls.classes.values()]
    given.setdefault("loss_func", nb.MSELossFlat())
    return nb.Learner(dls, DotProductBias(*sizes, 5), verbose=False, seed=1, **given)


def dot_learner(dls, **given):
    return nb.collab_learner(dls, n_factors=5, y_range=(0, 5.5), verbose=False, seed=1, **given)


# ---- data


def test_every_name_is_there():
    for name in notebook.__all__:
        assert getattr(notebook, name) is not None


def test_classes_are_sorted_with_na_first(dls, frame):
    for column, classes in dls.classes.items():
        assert list(classes) == ["#na#", *sorted(frame[column].unique())]
        assert all(classes[code] == name for name, code in classes.o2i.items())
    title = frame["title"].iloc[0]
    classes = dls.classes["title"]
    assert classes[torch.tensor(classes.o2i[title])] == title
    assert title in classes
    with pytest.warns(UserWarning, match="Did you mean"):
        assert classes.o2i[title[:-1]] == 0


def test_an_epoch_visits_every_training_row_once(frame):
    dls = nb.CollabDataLoaders.from_df(frame, seed=3, bs=1, device="cpu")
    first, second = ([tuple(x[0].tolist()) for x, _ in dls.train] for _ in range(2))
    assert len(set(first)) == len(dls.train_ds)
    assert sorted(first) == sorted(second)
    assert first != second
    assert len(dls.train_ds) + len(dls.valid_ds) == len(frame)
    assert len(dls.valid_ds) == round(0.2 * len(frame))


def test_batches_hold_the_frames_rows(dls, frame):
    x, y = dls.valid.one_batch()
    codes = dls.valid.items.iloc[: len(y)]
    assert x.tolist() == codes[["user", "title"]].to_numpy().tolist()
    rows = frame.loc[codes.index]
    assert [dls.classes["user"][i] for i in x[:, 0]] == rows["user"].tolist()
    assert [dls.classes["title"][i] for i in x[:, 1]] == rows["title"].tolist()
    assert y[:, 0].tolist() == rows["rating"].tolist()
    assert (x.dtype, y.dtype, y.shape) == (torch.int64, torch.float32, (16, 1))
    n = len(dls.train_ds)
    assert [len(y) for _, y in dls.train] == [16] * (n // 16)
    assert sum(len(y) for _, y in dls.valid) == len(dls.valid_ds)


def test_from_df_takes_names_seeds_shares_strings_and_repeats(frame):
    other = frame.rename(columns={"user": "who", "title": "what", "rating": "stars"})
    other["who"] = "u" + other["who"].astype(str)
    other = nb.pd.concat([other, other.iloc[:5]])[["stars", "what", "who"]]
    names = {"user_name": "who", "item_name": "what", "rating_name": "stars", "device": "cpu"}
    dls = nb.CollabDataLoaders.from_df(other, valid_pct=0.5, seed=1, **names)
    assert len(dls.train_ds) + len(dls.valid_ds) == len(other)
    assert abs(len(dls.valid_ds) - len(other) / 2) <= 1
    assert "u7" in dls.classes["who"]
    again = nb.CollabDataLoaders.from_df(other, valid_pct=0.5, seed=1, **names)
    assert again.valid.items.equals(dls.valid.items)
    splits = []
    for _ in range(2):
        torch.manual_seed(4)
        splits.append(nb.CollabDataLoaders.from_df(other, **names).valid.items)
    assert splits[0].equals(splits[1])
    learn = nb.collab_learner(dls, 4, y_range=(0, 5.5), verbose=False)
    learn.fit_one_cycle(1, 5e-3)
    assert learn.predict(("u7", "Film 03 (1983)"))[0]["stars"] > 0


def test_from_csv_and_other_frames(frame, tmp_path):
    frame.to_csv(tmp_path / "r.csv", index=False)
    dls = nb.CollabDataLoaders.from_csv(tmp_path / "r.csv", seed=3, device="cpu")
    import polars as pl

    same = nb.CollabDataLoaders.from_df(pl.from_pandas(frame), seed=3, device="cpu")
    assert list(dls.classes["title"]) == list(same.classes["title"])
    assert dls.valid.items.to_dict("list") == same.valid.items.to_dict("list")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: (f, {"item_name": "titel"}), r"no column 'titel'.*Did you mean 'title'"),
        (lambda f: (f[["user", "title"]], {}), "has 2 columns"),
        (lambda f: (f.assign(rating=[None, *f["rating"][1:]]), {}), "row 1"),
        (lambda f: (3, {}), "give a table"),
        (lambda f: (f, {"bs": 0}), "batch size"),
    ],
)
def test_tables_that_cannot_be_used(frame, change, words):
    table, given = change(frame)
    with pytest.raises((DataError, ConfigError), match=words):
        nb.CollabDataLoaders.from_df(table, **given)


def test_show_batch_and_results(dls, capsys):
    dls.show_batch(3)
    assert "title" in capsys.readouterr().out
    dot_learner(dls).show_results(max_n=2)
    assert "rating_pred" in capsys.readouterr().out


# ---- training


def test_the_table_and_the_recorder(dls, capsys):
    learn = nb.collab_learner(dls, 5, y_range=(0, 5.5), metrics=[nb.rmse, nb.mae], seed=0)
    learn.fit_one_cycle(3, 5e-3, wd=0.1)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["epoch", "train_loss", "valid_loss", "_rmse", "mae", "time"]
    assert [line.split()[0] for line in lines[1:]] == ["0", "1", "2"]
    assert [len(row) for row in learn.recorder.values] == [4, 4, 4]
    train, valid, rmse, _ = learn.recorder.values[-1]
    assert rmse == pytest.approx(valid**0.5, rel=1e-5)
    assert learn.validate()[:2] == pytest.approx([valid, rmse], rel=1e-5)
    assert len(learn.recorder.losses) == len(learn.recorder.lrs) == 3 * (len(dls.train_ds) // 16)
    assert max(learn.recorder.hps["lr"]) == pytest.approx(5e-3, rel=1e-2)
    assert lines[3].split()[1] == f"{train:.6f}"


def test_default_decay_is_a_hundredth(dls):
    weights = []
    for how in ({}, {"wd": 0.01}, {"wd": 0.3}):
        learn = module_learner(dls)
        torch.manual_seed(0)
        for p in learn.model.parameters():
            nn.init.normal_(p, 0, 0.01)
        learn.fit_one_cycle(1, 5e-3, **how)
        weights.append(learn.model.item_factors.weight.detach().clone())
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_kernel_and_autograd_train_the_same_model(dls):
    fast, slow = dot_learner(dls), dot_learner(dls, opt_func=nb.partial(nb.Adam, eps=1e-5))
    assert isinstance(fast.core(), KernelCore)
    assert isinstance(slow.core(), ModuleCore)
    for learn in (fast, slow):
        learn.fit_one_cycle(3, 5e-3, wd=0.1)
    for ours, theirs in zip(fast.model.parameters(), slow.model.parameters()):
        torch.testing.assert_close(ours, theirs, rtol=0.02, atol=2e-3)
    assert fast.recorder.values[-1][1] == pytest.approx(slow.recorder.values[-1][1], abs=2e-3)


def test_weights_are_live_and_shared(dls):
    learn = dot_learner(dls)
    weight = learn.model.i_bias.weight
    squeezed = weight.squeeze()
    before = squeezed.detach().clone()
    learn.fit_one_cycle(1, 5e-3)
    assert weight is learn.model.i_bias.weight
    assert not torch.equal(before, squeezed)
    x, _ = dls.valid.one_batch()
    preds = learn.get_preds()[0][: len(x)]
    torch.testing.assert_close(preds, learn.model(x).detach(), rtol=1e-5, atol=1e-5)


def test_edits_of_the_weights_are_honoured(dls):
    learn = dot_learner(dls)
    learn.fit_one_cycle(1, 5e-3)
    with torch.no_grad():
        learn.model.u_bias.weight.fill_(3.0)
    assert isinstance(learn.core(), KernelCore)
    assert learn.get_preds()[0].mean() > 4.5
    learn.fit(1, 1e-6, wd=0.0)
    assert float(learn.model.u_bias.weight.detach().mean()) == pytest.approx(3.0, abs=1e-3)


@pytest.mark.parametrize("change", ["freeze", "hook", "forward", "loss"])
def test_a_changed_module_goes_through_autograd(dls, change):
    learn = dot_learner(dls)
    learn.fit_one_cycle(1, 5e-3)
    module, calls = learn.model, []
    if change == "freeze":
        module.i_weight.weight.requires_grad_(False)
    elif change == "hook":
        module.u_bias.register_forward_hook(lambda *a: calls.append(1))
    elif change == "forward":
        inner = module.forward
        module.forward = lambda x: inner(x) * 0 + 2.0 + module.u_bias(x[:, 0])[:, 0]
    else:
        learn.loss_func = lambda p, y: ((p - y.squeeze(1)) ** 4).mean()
    kept = module.i_weight.weight.detach().clone()
    learn.fit_one_cycle(1, 5e-3)
    assert isinstance(learn.core(), ModuleCore)
    assert torch.equal(kept, module.i_weight.weight) == (change == "freeze")
    assert bool(calls) == (change == "hook")


def test_module_learner_with_other_losses_optimizers_and_outputs(dls):
    for given in (
        {"loss_func": None},
        {"loss_func": nb.L1LossFlat()},
        {"loss_func": nb.HuberLossFlat(delta=0.5)},
        {"loss_func": nn.MSELoss()},
        {"loss_func": nb.F.smooth_l1_loss},
        {"opt_func": nb.SGD},
        {"opt_func": torch.optim.AdamW},
        {"opt_func": nb.partial(torch.optim.RMSprop, alpha=0.9)},
        {"opt_func": nb.partial(nb.Adam, decouple_wd=False)},
    ):
        learn = module_learner(dls, **given)
        first = learn.validate()[0]
        learn.fit_one_cycle(4, 0.05 if "opt_func" in given else 5e-3)
        assert learn.recorder.values[-1][1] < first
    with pytest.raises(ConfigError, match="give Adam"):
        module_learner(dls, opt_func=print).fit(1)


@pytest.mark.parametrize("loss", [nb.L1LossFlat(), nb.HuberLossFlat()])
def test_the_kernel_has_other_losses(dls, loss):
    learn = dot_learner(dls, loss_func=loss)
    first = learn.validate()[0]
    assert isinstance(learn.core(), KernelCore)
    learn.fit_one_cycle(3, 5e-3)
    assert learn.recorder.values[-1][1] < first
    preds, targs = learn.get_preds()
    assert learn.validate()[0] == pytest.approx(float(loss(preds, targs)), rel=1e-5)


def test_bce_predicts_probabilities(frame):
    liked = frame.assign(rating=(frame["rating"] >= 4).astype(float))
    dls = nb.CollabDataLoaders.from_df(liked, seed=3, bs=16, device="cpu")
    learn = nb.collab_learner(dls, 5, loss_func=nb.BCEWithLogitsLossFlat(), verbose=False)
    learn.fit_one_cycle(2, 5e-3)
    preds = learn.get_preds()[0]
    assert preds.min() >= 0
    assert preds.max() <= 1


def test_no_range_and_networks(dls):
    assert nb.get_emb_sz(dls) == [(41, nb.emb_sz_rule(41)), (26, nb.emb_sz_rule(26))]
    assert nb.get_emb_sz(dls, {"user": 7})[0] == (41, 7)
    learn = nb.collab_learner(dls, 5, verbose=False)
    learn.fit_one_cycle(1, 5e-3)
    assert learn.model.y_range is None
    config = nb.tabular_config(ps=0.1, embed_p=0.05, use_bn=False)
    for given in ({}, {"layers": [12, 6]}, {"config": config}, {"emb_szs": {"user": 3, "title": 4}}):
        learn = nb.collab_learner(dls, use_nn=True, y_range=(0, 5.5), verbose=False, **given)
        learn.fit_one_cycle(1, 5e-3, wd=0.1)
        assert np.isfinite(learn.recorder.values[-1]).all()
    assert [e.embedding_dim for e in learn.model.embeds] == [3, 4]
    with pytest.raises(ConfigError, match="lower first"):
        nb.collab_learner(dls, y_range=(5, 0))
    with pytest.raises(ConfigError, match="no keyword 'loss_fun'"):
        nb.collab_learner(dls, loss_fun=None)
    with pytest.raises(ConfigError, match=r"len\(dls.classes"):
        nb.Learner(dls, nb.EmbeddingDotBias(5, 10, 10, (0, 5.5))).validate()


def test_seeds(dls):
    def weights(seed=None):
        learn = nb.collab_learner(dls, 4, y_range=(0, 5.5), seed=seed, verbose=False)
        learn.fit_one_cycle(1, 5e-3)
        return learn.model.u_weight.weight.detach().clone()

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))
    nb.set_seed(5)
    first = weights()
    assert not torch.equal(first, weights())
    nb.set_seed(5)
    assert torch.equal(first, weights())


def test_rates_slices_and_fits_in_turn(dls):
    learn = dot_learner(dls)
    learn.fit_one_cycle(1, slice(1e-4, 2e-3), moms=(0.9, 0.8, 0.9), pct_start=0.5, div=10)
    assert max(learn.recorder.lrs) == pytest.approx(2e-3, rel=0.02)
    assert learn.recorder.hps["mom"][0] == pytest.approx(0.9)
    learn.fit_one_cycle(1)
    assert max(learn.recorder.lrs) == pytest.approx(1e-3, rel=0.02)
    learn.fit(1, 1e-3, reset_opt=True)
    assert len(learn.recorder.values) == 1
    module_learner(dls).fit(1, reset_opt=True)
    with pytest.raises(ConfigError, match="learning rate"):
        learn.fit(1, -1.0)


class SeesBatches(nb.Callback):
    def after_batch(self):
        pass


KINDS = [
    pytest.param({}, [], id="kernel"),
    pytest.param({"use_nn": True, "layers": [6]}, [], id="network"),
    pytest.param({}, [SeesBatches], id="batches"),
]


@pytest.mark.parametrize(("given", "cbs"), KINDS)
def test_a_rate_of_zero_moves_nothing(dls, given, cbs):
    learn = nb.collab_learner(dls, y_range=(0, 5.5), verbose=False, seed=1, **given)
    before = [p.clone() for p in learn.model.parameters()]
    learn.fit(1, 0.0, cbs=[c() for c in cbs])
    learn.fit_one_cycle(1, 0, cbs=[c() for c in cbs])
    assert all(torch.equal(a, b) for a, b in zip(before, learn.model.parameters()))
    assert len(learn.recorder.values) == 1
    with pytest.raises(ConfigError, match=r"the learning rate is -0\.1; it must be 0 or more"):
        learn.fit(1, -0.1)


def diverging(dls, given):
    learn = nb.collab_learner(dls, verbose=False, seed=1, **given)
    with torch.no_grad():
        next(learn.model.parameters()).fill_(1e20)
    return learn


@pytest.mark.parametrize(("given", "cbs"), KINDS)
def test_a_fit_that_diverges_is_told_once_and_is_in_the_table(dls, given, cbs):
    learn = diverging(dls, given)
    with pytest.warns(UserWarning, match="training diverged in epoch 0: the loss is .*; use a lower") as told:
        learn.fit(2, 1e3, cbs=[c() for c in cbs])
    assert len(told) == 1
    assert [np.isfinite(row[0]) for row in learn.recorder.values] == [False, False]
    with pytest.raises(ConfigError, match=r"not finite numbers .*: training diverged; train again"):
        learn.recommender()


@pytest.mark.parametrize(("given", "cbs"), KINDS)
def test_terminate_on_nan_ends_a_fit_that_diverges_without_a_row(dls, given, cbs):
    learn = diverging(dls, given)
    learn.fit(2, 1e3, cbs=[nb.TerminateOnNaNCallback(), *(c() for c in cbs)])
    assert len(learn.recorder.values) == 0
    calm = nb.collab_learner(dls, verbose=False, seed=1, cbs=nb.TerminateOnNaNCallback(), **given)
    calm.fit(2, 1e-3, cbs=[c() for c in cbs])
    assert len(calm.recorder.values) == 2


def test_lr_find_gives_a_rate_and_puts_weights_back(dls):
    for learn in (dot_learner(dls), module_learner(dls)):
        before = [p.detach().clone() for p in learn.model.parameters()]
        found = learn.lr_find(show_plot=False)
        assert 1e-7 <= found.valley <= 10
        assert all(torch.equal(a, b) for a, b in zip(before, learn.model.parameters()))


def test_a_replaced_table_is_trained_from_its_own_weights(dls):
    learn = dot_learner(dls)
    learn.fit_one_cycle(1, 5e-3)
    learn.model.u_bias = nb.Embedding(*learn.model.u_bias.weight.shape)
    nn.init.constant_(learn.model.u_bias.weight, 3.0)
    assert learn.get_preds()[0].mean() > 4.5
    learn.fit(1, 1e-6)
    assert float(learn.model.u_bias.weight.detach().mean()) == pytest.approx(3.0, abs=1e-3)


# ---- callbacks


def test_early_stopping_saving_the_best_and_logging(dls, tmp_path):
    learn = dot_learner(dls, metrics=nb.mae, path=tmp_path)
    logger = nb.CSVLogger()
    learn.fit_one_cycle(
        30, 0.3, cbs=[nb.EarlyStoppingCallback("mae", patience=2), nb.SaveModelCallback(fname="best"), logger]
    )
    values = learn.recorder.values
    assert len(values) < 30
    assert (tmp_path / "models" / "best.pth").is_file()
    assert learn.validate()[0] == pytest.approx(min(v[1] for v in values), rel=1e-5)
    rows = list(csv.reader((tmp_path / "history.csv").read_text(encoding="utf-8").splitlines()))
    assert rows[0] == ["epoch", "train_loss", "valid_loss", "mae", "time"]
    assert len(rows) == len(values) + 1
    with pytest.raises(ConfigError, match="the table has: train_loss, valid_loss, mae"):
        learn.fit(1, cbs=nb.EarlyStoppingCallback("accuracy"))


def test_own_callbacks_see_the_learner(dls):
    class Count(nb.Callback):
        def __init__(self):
            self.batches, self.epochs = [], []

        def after_batch(self):
            if self.training:
                self.batches.append(float(self.loss.detach()))
            if len(self.batches) == 5:
                raise nb.CancelFitException

        def after_epoch(self):
            self.epochs.append((self.epoch, self.recorder.values[-1]))

    count = Count()
    learn = dot_learner(dls, cbs=count)
    learn.fit_one_cycle(3, 5e-3)
    assert float(learn.recorder.losses[0]) == pytest.approx(count.batches[0])
    assert len(count.batches) == 5  # the recorder comes after it, at order 50
    assert len(learn.recorder.losses) == 4
    assert count.epochs == []
    learn.remove_cb(Count)
    learn.fit_one_cycle(1, 5e-3)
    assert len(count.batches) == 5
    with pytest.raises(ConfigError, match="is not a callback"):
        learn.fit(1, cbs=print)


# ---- results and files


def test_predictions_of_rows_and_other_tables(dls, frame):
    for learn in (dot_learner(dls), module_learner(dls)):
        learn.fit_one_cycle(1, 5e-3)
        row, value, _ = learn.predict(frame.iloc[0])
        assert row["title"] == frame["title"].iloc[0]
        x = torch.tensor([[dls.classes["user"].o2i[row["user"]], dls.classes["title"].o2i[row["title"]]]])
        assert float(value) == pytest.approx(float(learn.model(x).detach()), rel=1e-5)
        with pytest.raises(UnknownIdError, match="Did you mean"):
            learn.predict((1, "Film 03"))
        with pytest.raises(ConfigError, match="the row has no 'title'"):
            learn.predict({"user": 1})
        strange = nb.pd.DataFrame({"user": [1, 999], "title": [frame["title"].iloc[0]] * 2})
        preds, targs = learn.get_preds(dl=dls.test_dl(strange))
        assert targs is None
        plain = learn.model(torch.tensor([[1, x[0, 1]], [0, x[0, 1]]])).reshape(-1)
        torch.testing.assert_close(preds.reshape(-1), plain.detach(), rtol=1e-5, atol=1e-5)
        inputs, preds, targs, losses = learn.get_preds(ds_idx=0, with_input=True, with_loss=True)
        assert len(inputs) == len(preds) == len(targs) == len(losses) == len(dls.train_ds)
        assert float(losses.mean()) == pytest.approx(learn.validate(ds_idx=0)[0], rel=1e-4)
        with pytest.raises(ConfigError, match="needs ratings"):
            learn.validate(dl=dls.test_dl(strange))


@pytest.mark.parametrize("make", [dot_learner, module_learner])
def test_weights_are_saved_without_pickle(dls, tmp_path, make):
    learn = make(dls, path=tmp_path)
    learn.fit_one_cycle(1, 5e-3)
    learn.save("one", with_opt=True)
    loss = learn.validate()[0]
    learn.fit_one_cycle(1, 5e-3)
    after = learn.validate()[0]
    assert after != loss
    assert learn.load("one").validate()[0] == loss
    fresh = make(dls, path=tmp_path).load("one")
    assert fresh.validate()[0] == loss
    with pytest.raises(BundleError, match="no saved weights at"):
        learn.load("two")
    wider = nb.collab_learner(dls, 9, y_range=(0, 5.5), path=tmp_path, verbose=False)
    with pytest.raises(BundleError):
        wider.load("one")


def test_recommender_knows_the_ids(dls, frame):
    for learn in (dot_learner(dls), module_learner(dls)):
        learn.fit_one_cycle(2, 5e-3)
        rec = learn.recommender()
        pair = (int(frame["user"].iloc[0]), frame["title"].iloc[0])
        assert rec.predict([pair])["prediction"][0] == pytest.approx(float(learn.predict(pair)[1]), rel=1e-5)
        assert rec.recommend(pair[0], n=3).height == 3
        assert rec.recommend(history={"Film 03 (1983)": 5, "Film 05 (1985)": 1}, n=3).height == 3
    rec = dot_learner(dls).recommender()
    assert rec.biases(2).height == 4


def test_export_and_load(dls, frame, tmp_path):
    """Without pickle: the two models of collab_learner whole, a module of one's own given its class again."""
    pair = (int(frame["user"].iloc[0]), frame["title"].iloc[0])
    network = nb.collab_learner(
        dls, use_nn=True, layers=[8, 4], y_range=(0, 5.5), path=tmp_path, config={"ps": 0.1}, verbose=False
    )
    for learn in (dot_learner(dls, path=tmp_path), network, module_learner(dls, path=tmp_path)):
        learn.fit_one_cycle(1, 5e-3)
        file = learn.export(f"{type(learn.model).__name__}.cofactor")
        module = copy.deepcopy(learn.model) if isinstance(learn.model, DotProductBias) else None
        rec = nb.load_learner(file, module=module).recommender()
        assert rec.predict([pair])["prediction"][0] == pytest.approx(float(learn.predict(pair)[1]), rel=1e-5)
        assert rec.recommend(history={"Film 03 (1983)": 5}, n=3).height == 3
        if module is not None:  # its class is imported here
            assert type(nb.load_learner(file).model) is DotProductBias


def test_what_is_not_offered_says_so(dls, capsys):
    learn = dot_learner(dls)
    assert learn.to_fp16() is learn
    assert "single precision" in capsys.readouterr().out
    with pytest.raises(AttributeError, match="not supported: training is one process"):
        learn.distrib_ctx()
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        learn.nonsense()
    assert "EmbeddingDotBias" in learn.summary()


# ---- small things


def test_lists_and_tensors():
    assert repr(nb.L(range(12))).startswith("[0, 1, 2")
    assert repr(nb.L(range(300))) == f"(#300) [{', '.join(map(str, range(250)))}...]"
    assert nb.L([5, 6, 7])[[0, 2]] == [5, 7]
    assert nb.L([5, 6, 7])[[True, False, True]] == [5, 7]
    assert nb.L([5, 6, 7])[1:] == [6, 7]
    assert nb.L(None) == []
    assert nb.L("ab") == ["ab"]
    assert nb.L(1, 2) == [1, 2]
    assert nb.L([1, 2]).map(lambda x: x + 1) == [2, 3]
    assert nb.L([3, 1, 3]).unique().sorted() == [1, 3]
    assert nb.L([[1], [2]]).concat() + nb.L(3) == [1, 2, 3]
    assert nb.one_hot(2, 4).tolist() == [0, 0, 1, 0]
    assert nb.tensor(1, 2).tolist() == [1, 2]
    assert nb.tensor(np.array([1.5])).dtype == torch.float32
    assert nb.to_cpu([torch.ones(2), {"a": torch.ones(1)}])[1]["a"].device.type == "cpu"
    assert nb.to_np(torch.ones(2, requires_grad=True)).tolist() == [1, 1]


def test_modules_need_no_super():
    class T(nb.Module):
        def __init__(self):
            self.a = nn.Linear(1, 3, bias=False)

    class U(T):
        def __init__(self):
            super().__init__()
            self.b = nn.Parameter(torch.zeros(2))

    assert len(nb.L(T().parameters())) == 1
    assert len(nb.L(copy.deepcopy(U()).parameters())) == 2


def test_embedding_starts_small_and_learns_like_torchs():
    torch.manual_seed(0)
    table = nb.Embedding(200, 50)
    assert table.weight.abs().max() <= 0.02
    assert float(table.weight.detach().std()) == pytest.approx(0.0088, rel=0.05)
    assert repr(table) == "Embedding(200, 50)"
    plain = nn.Embedding.from_pretrained(table.weight.detach().clone(), freeze=False)
    at = torch.tensor([3, 3, 7])
    for layer in (table, plain):
        (layer(at) * torch.arange(150.0).view(3, 50)).sum().backward()
    torch.testing.assert_close(table.weight.grad, plain.weight.grad)
    x = nb.sigmoid_range(torch.tensor([-50.0, 0.0, 50.0]), 1, 5)
    torch.testing.assert_close(x, torch.tensor([1.0, 3.0, 5.0]))
    assert nb.SigmoidRange(0, 4)(torch.zeros(1)).item() == 2


def test_lookups_by_id(dls):
    learn = dot_learner(dls)
    assert learn.model.bias(["Film 03 (1983)"]).shape == ()  # of one alone, a number
    assert learn.model.bias([1, 2], is_item=False).shape == (2,)
    assert learn.model.weight([1, 2], is_item=False).shape == (2, 5)
    with pytest.raises(KeyError, match="no item 'x'"):
        learn.model.bias(["x"])


@pytest.mark.movielens
def test_untar_data_finds_the_folder(data_dir):
    if not (data_dir / "ml-100k").is_dir():
        pytest.skip("COFACTOR_DATA_DIR has no ml-100k")
    path = nb.untar_data(nb.URLs.ML_100k)
    assert any(p.name == "u.data" for p in path.ls())
    assert (path / "u.item").is_file()
    assert nb.untar_data("https://files.grouplens.org/datasets/movielens/ml-100k.zip") == path


def test_plots(dls):
    pyplot = pytest.importorskip("matplotlib.pyplot", reason="the plot extra is not installed")
    learn = dot_learner(dls, metrics=nb.mae)
    graph = nb.ShowGraphCallback()
    learn.fit_one_cycle(2, 5e-3, cbs=graph)
    assert graph.graph.get_xlabel() == "steps"
    learn.recorder.plot_sched()
    rates, momenta = pyplot.gcf().axes
    assert (rates.get_ylabel(), momenta.get_ylabel()) == ("learning rate", "momentum")
    assert len(learn.recorder.plot_metrics().lines[0].get_ydata()) == 2
    learn.lr_find()
    pyplot.close("all")
    learn.recorder.plot_sched()  # of the last fit
    assert [len(ax.lines[0].get_ydata()) for ax in pyplot.gcf().axes] == [len(rates.lines[0].get_ydata())] * 2
    pyplot.close("all")


# ---- what readers try


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"use_nn": True, "emb_szs": {"usr": 5}}, "emb_szs is a dict of widths by column"),
        ({"use_nn": True, "emb_szs": [(9, 5), (9, 5)]}, "emb_szs is a dict of widths by column"),
        ({"use_nn": True, "config": {"pss": 0.1}}, "no keyword 'pss'"),
        ({"y_range": 5}, "y_range must be two numbers"),
        ({"y_range": ("a", "b")}, "y_range must be two numbers"),
        ({"loss_func": nb.MSELossFlat}, r"write MSELossFlat\(\)"),
        ({"loss_func": "mse"}, "must be a function"),
        ({"metrics": "rmse"}, "a metric is a function"),
    ],
)
def test_slips_of_collab_learner_are_named(dls, given, words):
    with pytest.raises(ConfigError, match=words):
        nb.collab_learner(dls, verbose=False, **given)


@pytest.mark.parametrize("given", [{"layers": [20]}, {"config": {"ps": 0.1}}, {"emb_szs": {"user": 5}}])
def test_options_of_the_network_are_told_where_there_is_none(dls, given):
    with pytest.warns(UserWarning, match="add use_nn=True"):
        learn = nb.collab_learner(dls, verbose=False, **given)
    assert type(learn.model) is nb.EmbeddingDotBias


def test_ratings_that_a_sigmoid_never_reaches_are_told_and_trained(frame):
    frame = frame.assign(rating=frame["rating"] + 0.13)
    dls = nb.CollabDataLoaders.from_df(frame, bs=8, seed=0)
    low, high = frame["rating"].min(), frame["rating"].max()
    nb.collab_learner(dls, y_range=(low, high), verbose=False).fit(1)  # bounds that float32 has not
    with pytest.warns(UserWarning, match="so widen y_range"):
        learn = nb.collab_learner(dls, y_range=(0, 3), verbose=False)
    learn.fit(1, 5e-3)
    assert np.isfinite(learn.final_record[0])


def test_a_layer_that_was_replaced_and_frozen_stays(dls):
    learn = dot_learner(dls)
    learn.fit(1, 5e-3)
    learn.model.i_weight = copy.deepcopy(learn.model.i_weight)
    learn.model.i_weight.requires_grad_(False)
    before = learn.model.i_weight.weight.clone()
    learn.fit(1, 5e-3)
    assert torch.equal(before, learn.model.i_weight.weight)
    assert not learn.model.training


def test_rows_are_printed_where_there_is_no_bar(dls, capsys):
    learn = nb.collab_learner(dls, n_factors=3)
    with learn.no_bar():
        learn.fit(2, 1e-3)
        with learn.no_logging():
            learn.fit(1, 1e-3)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(",")[0] for line in lines] == ["[0", "[1"]


def test_slips_of_learner_are_named(dls, frame):
    model = DotProductBias(*[len(c) for c in dls.classes.values()], 5)
    with pytest.raises(ConfigError, match="CollabDataLoaders"):
        nb.Learner(frame, model)
    with pytest.raises(ConfigError, match="is a class"):
        nb.Learner(dls, DotProductBias)
    with pytest.raises(ConfigError, match="must be a Module"):
        nb.Learner(dls, lambda x: x)
    learn = dot_learner(dls)
    with pytest.raises(ConfigError, match="one row"):
        learn.predict(3)


def test_columns_of_frames(frame, tmp_path):
    names = list(frame.columns[:3])
    with pytest.raises(DataError, match="three different columns"):
        nb.CollabDataLoaders.from_df(frame, item_name=names[0])
    with pytest.raises(ConfigError, match=r"valid_pct is 1.5"):
        nb.CollabDataLoaders.from_df(frame, valid_pct=1.5)
    assert len(nb.CollabDataLoaders.from_df(frame, valid_pct=0).valid_ds) == 0
    plain = nb.CollabDataLoaders.from_df(frame, seed=1, device="cpu")
    grouped = nb.CollabDataLoaders.from_df(frame.astype({names[0]: "category"}), seed=1, device="cpu")
    assert list(grouped.classes[names[0]]) == list(plain.classes[names[0]])
    frame[names].to_csv(tmp_path / "r.tsv", sep="\t", index=False)
    assert len(nb.CollabDataLoaders.from_csv(tmp_path / "r.tsv", sep="\t", seed=1).train_ds) == len(plain.train_ds)


def test_a_gpu_that_is_not_there(frame):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(ConfigError, match="no CUDA GPU"):
        nb.CollabDataLoaders.from_df(frame, device="cuda")


def test_test_rows_with_ids_of_another_type(dls, frame):
    rows = frame.head(3)
    kind = object if rows[dls.user_name].dtype.kind in "iu" else np.int64
    other = [str(u) for u in rows[dls.user_name]] if kind is object else range(3)
    with pytest.raises(DataError, match="in training they were"):
        dls.test_dl(rows.assign(**{dls.user_name: other}))


@pytest.mark.parametrize("kernel", [True, False])
def test_new_loaders_are_trained_on(dls, frame, kernel):
    learn = dot_learner(dls) if kernel else module_learner(dls)
    learn.fit_one_cycle(1, 5e-3)
    before = len(learn.recorder.losses)
    learn.dls = nb.CollabDataLoaders.from_df(frame, seed=4, bs=8, device="cpu")
    learn.fit_one_cycle(1, 5e-3)
    assert len(learn.recorder.losses) == len(learn.dls.train) > before


def test_metrics_given_later_have_their_column(dls):
    learn = dot_learner(dls)
    learn.metrics = [nb.mae]
    learn.fit_one_cycle(1, 5e-3, cbs=nb.EarlyStoppingCallback("mae"))
    assert learn.recorder.metric_names[3] == "mae"


@pytest.mark.parametrize(
    ("given", "twin"), [(nn.MSELoss(), nb.MSELossFlat()), (nn.functional.l1_loss, nb.L1LossFlat())]
)
def test_torchs_own_losses_take_the_kernel(dls, given, twin):
    a, b = dot_learner(dls, loss_func=given), dot_learner(dls, loss_func=twin)
    for learn in (a, b):
        learn.fit_one_cycle(2, 5e-3)
    assert isinstance(a.core(), KernelCore)
    assert a.recorder.values == b.recorder.values


def test_logits_are_trained_by_the_kernel_and_can_be_exported(dls, frame, tmp_path):
    half = frame.assign(**{dls.rating_name: (frame[dls.rating_name] > frame[dls.rating_name].median()) * 1.0})
    clicks = nb.CollabDataLoaders.from_df(half, seed=3, bs=16, device="cpu")

    def learner(loss):
        return nb.collab_learner(clicks, n_factors=5, loss_func=loss, seed=1, verbose=False)

    a = learner(nb.BCEWithLogitsLossFlat())
    b = learner(lambda p, y: nn.functional.binary_cross_entropy_with_logits(p, y.squeeze(1)))
    for learn in (a, b):
        learn.fit_one_cycle(2, 5e-3)
    assert isinstance(a.core(), KernelCore)
    assert isinstance(b.core(), ModuleCore)
    np.testing.assert_allclose(a.recorder.values, b.recorder.values, atol=2e-3)
    np.testing.assert_allclose(a.get_preds()[0], torch.sigmoid(b.get_preds()[0]), atol=5e-3)
    a.export(tmp_path / "clicks.cofactor")
    row = half.iloc[0]
    pair = [(row[clicks.user_name], row[clicks.item_name])]
    found = nb.load_learner(tmp_path / "clicks.cofactor").recommender().predict(pair)["prediction"][0]
    assert found == pytest.approx(float(a.predict(row)[2]), abs=1e-5)


def test_no_logging(dls, capsys):
    learn = nb.collab_learner(dls, n_factors=2, y_range=(0, 5.5), seed=1)
    with learn.no_logging(), learn.no_bar():
        learn.fit(1)
    assert capsys.readouterr().out == ""
