"""Files of the notebook's Learners: what is read, what is refused, and that nothing in a file runs."""

from __future__ import annotations

import os
import pickle
import sys
import zipfile

import pytest

torch = pytest.importorskip("torch", reason="the torch extra is not installed")
pytest.importorskip("pandas", reason="the torch extra is not installed")

import cofactor.notebook as nb  # noqa: E402
from cofactor.errors import BundleError, ConfigError  # noqa: E402


class Trap:
    """A pickle that would make a file where it is read."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.fixture
def learn(toy, tmp_path):
    dls = nb.CollabDataLoaders.from_df(toy.to_frame().to_pandas(), seed=3, bs=16, device="cpu")
    found = nb.collab_learner(dls, n_factors=4, y_range=(0, 5.5), seed=1, path=tmp_path, verbose=False)
    found.fit_one_cycle(1, 5e-3)
    return found


def test_a_learner_comes_back_whole_whatever_the_file_is_called(learn, toy):
    place = learn.export("export.pkl")
    assert place.read_bytes().startswith(b"cofactor learner 1: a zip archive of data, no code;")
    again = nb.load_learner(place)
    row = toy.to_frame().to_pandas().iloc[0]
    assert float(again.predict(row)[1]) == pytest.approx(float(learn.predict(row)[1]), abs=1e-6)
    rows = toy.to_frame().to_pandas().head(7)
    ours, theirs = (one.get_preds(dl=one.dls.test_dl(rows))[0] for one in (learn, again))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)
    assert list(again.dls.classes["title"]) == list(learn.dls.classes["title"])
    assert again.recommender().recommend(user=int(row["user"]), n=2).height == 2
    again.dls = learn.dls
    torch.testing.assert_close(again.get_preds()[0], learn.get_preds()[0], rtol=0, atol=1e-6)


def test_a_pickle_is_refused_and_does_not_run(learn, tmp_path):
    trap, mark = tmp_path / "real.pkl", tmp_path / "was here"
    trap.write_bytes(pickle.dumps(Trap(mark)))
    torch.save(Trap(mark), tmp_path / "models.pth")
    for read in (
        lambda: nb.load_learner(trap),
        lambda: nb.load_learner(tmp_path / "models.pth"),
        lambda: learn.load(trap),
        lambda: learn.load(tmp_path / "models"),
    ):
        with pytest.raises(BundleError, match=r"is a pickle|cannot be read"):
            read()
    assert not mark.exists()


@pytest.mark.parametrize("change", ["cut", "other", "text", "missing"])
def test_damaged_files_are_refused(learn, tmp_path, change):
    place = learn.export("m.pkl")
    data = place.read_bytes()
    if change == "cut":
        place.write_bytes(data[: len(data) // 2])
    elif change == "other":
        place.write_bytes(data.replace(b"learner 1", b"learner 9", 1))
    elif change == "text":
        place.write_text("hello")
    else:
        place.write_bytes(data[: data.index(b"\n") + 1])
        with zipfile.ZipFile(place, "a") as z:
            z.writestr("learner.json", "{}")
    with pytest.raises(BundleError):
        nb.load_learner(place)


def test_weights_of_another_module_are_refused(learn):
    learn.save("w", with_opt=False)
    other = nb.collab_learner(learn.dls, n_factors=9, y_range=(0, 5.5), path=learn.path, verbose=False)
    with pytest.raises(BundleError, match="another module"):
        other.load("w")
    network = nb.collab_learner(learn.dls, use_nn=True, path=learn.path, verbose=False)
    with pytest.raises(BundleError, match="only in one of them"):
        network.load("w")
    network.load("w", strict=False)


def test_a_width_costs_no_compiling(learn):
    from cofactor.kernels.dot_bias import epoch

    before = len(epoch.train.signatures)
    for width in (3, 20, 50):
        nb.collab_learner(learn.dls, n_factors=width, y_range=(0, 5.5), verbose=False).fit(1)
    assert len(epoch.train.signatures) == before


def forget_what_was_exported(monkeypatch):
    """As in another process."""
    from cofactor.notebook._files import exported as _exported
    from cofactor.notebook._files import exported_names as _exported_names

    for where, name in ((_exported, "_own"), (_exported, "_alive"), (_exported_names, "_exported")):
        monkeypatch.setattr(where, name, {})


class OwnDot(nb.Module):
    def __init__(self, n_users, n_items, n_factors, y_range=(0, 5.5)):
        self.users, self.items = nb.Embedding(n_users, n_factors), nb.Embedding(n_items, n_factors)
        self.y_range = y_range

    def forward(self, x):
        return nb.sigmoid_range((self.users(x[:, 0]) * self.items(x[:, 1])).sum(1), *self.y_range)


def test_a_module_of_ones_own_is_made_again_where_its_class_is_imported(toy, tmp_path, monkeypatch):
    dls = nb.CollabDataLoaders.from_df(toy.to_frame().to_pandas(), seed=3, bs=16, device="cpu")
    module = OwnDot(len(dls.classes["user"]), len(dls.classes["title"]), 4, y_range=(0, 6))
    learn = nb.Learner(dls, module, loss_func=nb.MSELossFlat(), path=tmp_path, verbose=False)
    learn.fit_one_cycle(1, 5e-3)
    monkeypatch.setitem(sys.modules, OwnDot.__module__, sys.modules.get(OwnDot.__module__) or nb)
    monkeypatch.setattr(sys.modules[OwnDot.__module__], "OwnDot", OwnDot, raising=False)
    again = nb.load_learner(learn.export("own.pkl"))
    own = OwnDot  # which may stand in the module that the class is taken from
    assert type(again.model) is own
    assert tuple(again.model.y_range) == (0, 6)
    torch.testing.assert_close(again.get_preds(dl=dls.valid)[0], learn.get_preds()[0], rtol=0, atol=1e-6)
    monkeypatch.delattr(sys.modules[own.__module__], "OwnDot")
    assert type(nb.load_learner(tmp_path / "own.pkl").model) is own  # this process exported it
    forget_what_was_exported(monkeypatch)
    with pytest.raises(BundleError, match="import its class first"):
        nb.load_learner(tmp_path / "own.pkl")


class PlainDot(torch.nn.Module):
    def __init__(self, sizes):
        super().__init__()
        self.users, self.items = (torch.nn.Embedding(n, 3) for n in sizes)

    def forward(self, u, i):
        return (self.users(u) * self.items(i)).sum(1)


def first_column(row):
    return row["user"]


def test_a_learner_of_a_data_block_goes_through_a_file(toy, tmp_path, monkeypatch):
    table = toy.to_frame().to_pandas()
    title, rating = "item" if "item" in table else "title", "rating"
    blocks = (nb.CategoryBlock, nb.CategoryBlock(add_na=True), nb.RegressionBlock)
    getters = [first_column, nb.ColReader(title), nb.ColReader(rating)]
    block = nb.DataBlock(blocks=blocks, n_inp=2, getters=getters, splitter=nb.RandomSplitter(0.2, seed=1))
    dls = block.dataloaders(table, bs=16, path=tmp_path)
    module = PlainDot([len(v) for v in dls.vocab])
    learn = nb.Learner(dls, module, loss_func=nb.MSELossFlat(), metrics=[nb.rmse, nb.mae], wd=0.3, verbose=False)
    learn.fit(1, 1e-2)
    path = learn.export("block.pkl")
    again = nb.load_learner(path)
    assert again.model is not module
    assert [v.items for v in again.dls.vocab] == [v.items for v in dls.vocab]
    assert again.recorder.metric_names == learn.recorder.metric_names
    assert again.wd == 0.3
    mine, theirs = (o.get_preds(dl=o.dls.test_dl(table.iloc[:9]))[0] for o in (learn, again))
    torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-6)
    forget_what_was_exported(monkeypatch)
    with pytest.raises(ConfigError, match=r"first_column.*define it first"):
        nb.load_learner(path, module=PlainDot([len(v) for v in dls.vocab]))
    block = nb.DataBlock(blocks=blocks, n_inp=2, getters=[lambda r: r["user"], *getters[1:]])
    learn = nb.Learner(block.dataloaders(table, bs=16), module, loss_func=nb.MSELossFlat(), verbose=False)
    with pytest.raises(ConfigError, match=r"lambda.*no code"):
        learn.export(tmp_path / "no.pkl")


def test_a_file_names_nothing_that_is_then_called(tmp_path):
    from cofactor.notebook._files.exported_names import find

    for where, name in (("os", "system"), ("subprocess", "getoutput"), ("builtins", "eval"), ("__main__", "sys")):
        assert find(where, name) is None


@pytest.mark.parametrize("network", [False, True])
def test_a_learner_that_was_trained_can_be_pickled(toy, network):
    dls = nb.CollabDataLoaders.from_df(toy.to_frame().to_pandas(), seed=3, bs=16, device="cpu")
    learn = nb.collab_learner(dls, n_factors=4, use_nn=network, y_range=(0, 6), metrics=nb.rmse, verbose=False)
    learn.fit_one_cycle(1, 5e-3)
    again = pickle.loads(pickle.dumps(learn))
    assert again.recorder.values == learn.recorder.values
    torch.testing.assert_close(again.get_preds()[0], learn.get_preds()[0], rtol=0, atol=1e-6)
    again.fit(1)


def test_what_is_missing_is_caught_as_there(toy, tmp_path):
    dls = nb.CollabDataLoaders.from_df(toy.to_frame().to_pandas(), bs=16, path=tmp_path)
    learn = nb.collab_learner(dls, n_factors=3, verbose=False)
    for call in (lambda: learn.load("none"), lambda: nb.load_learner(tmp_path / "none.pkl")):
        with pytest.raises(FileNotFoundError, match=r"no s(aved|uch)") as found:
            call()
        assert isinstance(found.value, BundleError)
    frame = dls.train_ds.items.iloc[:, :3]
    for call in (
        lambda: nb.CollabDataLoaders.from_df(frame, item_name="none"),
        lambda: dls.test_dl(frame.iloc[:, :1]),
        lambda: learn.predict(frame.iloc[0, 1:]),
    ):
        with pytest.raises(KeyError, match=r"^(no column|the row has no) '"):
            call()
