"""Exports are read back by the tools they are for; diff against hand-made cases."""

from __future__ import annotations

import importlib.util
import itertools
import json

import numpy as np
import polars as pl
import pytest

from cofactor import export
from cofactor.api import fit as fitting
from cofactor.api.diff import diff
from cofactor.bundle import save
from cofactor.errors import BundleError, ConfigError, MissingExtraError
from cofactor.evaluation.diff import procrustes, rank_biased_overlap
from cofactor.recommender import Recommender


@pytest.fixture(scope="module")
def rec(toy) -> Recommender:
    return fitting.fit(toy, "als", seed=3, n_factors=3, epochs=3)


def test_numpy(rec, tmp_path):
    export.export_vectors(rec, tmp_path / "v")
    vectors = np.load(tmp_path / "v" / "vectors.npy", allow_pickle=False)
    np.testing.assert_array_equal(vectors, rec.model.factors("item"))
    np.testing.assert_array_equal(np.load(tmp_path / "v" / "bias.npy"), rec.model.bias("item"))
    assert json.loads((tmp_path / "v" / "ids.json").read_text(encoding="utf-8")) == rec.data.item_ids.values.to_list()


def test_parquet(rec, tmp_path):
    export.export_vectors(rec, tmp_path / "v.parquet", "parquet", which="user")
    assert pl.read_parquet(tmp_path / "v.parquet").equals(rec.embeddings("user"))


def test_word2vec(rec, tmp_path):
    export.export_vectors(rec, tmp_path / "v.txt", "word2vec")
    first, *lines = (tmp_path / "v.txt").read_text(encoding="utf-8").splitlines()
    assert first == "25 3"
    words = [line.split(" ")[0] for line in lines]
    assert words[0] == str(rec.data.item_ids.values[0]).replace(" ", "_")
    numbers = np.array([line.split(" ")[1:] for line in lines], dtype=np.float32)
    np.testing.assert_array_equal(numbers, rec.model.factors("item"))


def test_exports_that_cannot_be(rec, toy, tmp_path):
    with pytest.raises(ConfigError, match="npy, npz, parquet, word2vec"):
        export.export_vectors(rec, tmp_path / "x", "pickle")
    with pytest.raises(ConfigError, match="not a PyTorch module"):
        export.export_onnx(rec, tmp_path / "x")
    (tmp_path / "file").write_text("mine")
    for act in (export.export_hf, export.export_vectors):
        with pytest.raises(BundleError, match="cannot write"):
            act(rec, tmp_path / "file")
    with pytest.raises(BundleError, match="cannot write"):
        export.export_vectors(rec, tmp_path / "none" / "v.txt", "word2vec")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_hugging_face(rec, tmp_path):
    from safetensors.numpy import load_file

    export.export_hf(rec, tmp_path / "hf")
    assert {p.name for p in (tmp_path / "hf").iterdir()} == {
        "README.md",
        "config.json",
        "model.safetensors",
        "items.parquet",
    }
    for name, array in load_file(tmp_path / "hf" / "model.safetensors").items():
        np.testing.assert_array_equal(array, rec.model.state()[name])
    facts = json.loads((tmp_path / "hf" / "config.json").read_text(encoding="utf-8"))
    assert (facts["model"], facts["config"]["n_factors"]) == ("als", 3)
    card = (tmp_path / "hf" / "README.md").read_text(encoding="utf-8")
    assert f"| random_tenth_rmse | {rec.metrics['random_tenth_rmse']:.4f} |" in card
    export.export_hf(Recommender(rec.model, rec.data), tmp_path / "hf")
    card = (tmp_path / "hf" / "README.md").read_text(encoding="utf-8")
    assert "Nothing was measured" in card
    assert "_rmse" not in card


# ---- ONNX


@pytest.fixture
def graph():
    """The evaluator that ONNX brings, for a file."""
    pytest.importorskip("torch")
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    from onnx.reference import ReferenceEvaluator

    def open_graph(path):
        onnx.checker.check_model(onnx.load(path), full_check=True)
        evaluator = ReferenceEvaluator(onnx.load(path))
        return lambda users, items: evaluator.run(None, {"x": np.stack([users, items], axis=1).astype(np.int64)})[0]

    return open_graph


def the_same(rec, run):
    """The graph's predictions are the recommender's, for batches of any size, and none for codes that are not there."""
    n_users, n_items = rec.data.n_users, rec.data.n_items
    users, items = np.divmod(np.arange(n_users * n_items, dtype=np.int32), n_items)
    for n in (1, 2, 3, len(users)):
        np.testing.assert_allclose(run(users[-n:], items[-n:]), rec.predict_codes(users[-n:], items[-n:]), atol=1e-5)
    ids = rec.data.user_ids.values.gather(users), rec.data.item_ids.values.gather(items)
    asked = rec.predict(list(zip(*ids, strict=True)))["prediction"].to_numpy()
    np.testing.assert_allclose(run(users, items), asked, atol=1e-5)
    nowhere = run([-1, 0, n_users, 0, 1], [0, -1, 0, n_items, 1])
    assert np.isnan(nowhere).tolist() == [True, True, True, True, False]


@pytest.mark.slow
@pytest.mark.parametrize("bounds", [(0.0, 5.5), None])
def test_onnx_of_dot_bias(toy, tmp_path, graph, bounds):
    rec = fitting.fit(toy, "dot-bias", seed=1, n_factors=4, epochs=4, y_range=bounds)
    export.export_onnx(rec, tmp_path / "m.onnx")
    the_same(rec, graph(tmp_path / "m.onnx"))


@pytest.mark.slow
def test_onnx_of_a_network(toy, tmp_path, graph):
    rec = fitting.fit(toy, "neural", seed=1, epochs=2, dropout=0.3)
    export.export_onnx(rec, tmp_path / "m.onnx")
    the_same(rec, graph(tmp_path / "m.onnx"))


def own_modules():
    import torch
    from torch import nn

    class Dot(nn.Module):
        """As a user writes it: parameters and layers, an output with a column of its own, dropout."""

        def __init__(self, n_users, n_items):
            super().__init__()
            self.u, self.i = nn.Embedding(n_users, 3), nn.Parameter(torch.randn(n_items, 3))
            self.layers = nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Dropout(0.2), nn.Linear(5, 1))

        def forward(self, x):
            both = torch.cat([self.u(x[:, 0]), self.i[x[:, 1]]], dim=1)
            return self.layers(both) + (self.u(x[:, 0]) * self.i[x[:, 1]]).sum(1, keepdim=True)

    class Fickle(Dot):
        def forward(self, x):
            return super().forward(x) + torch.randn(len(x), 1)

    class Asks(Dot):
        def forward(self, x):
            found = super().forward(x)
            return found * 2 if found.sum() > 0 else found

    return Dot, Fickle, Asks


@pytest.mark.slow
@pytest.mark.parametrize("offset", [0, 1])
def test_onnx_of_a_module_of_ones_own(toy, tmp_path, graph, offset):
    from cofactor.collab import Learner
    from cofactor.models.torch.layers import NAMED_LOSSES
    from cofactor.models.torch.module import TorchModule, TorchModuleConfig

    dot, *_ = own_modules()
    learn = Learner(toy, TorchModule(TorchModuleConfig(offset=offset), dot), seed=2, verbose=False)
    learn.fit_one_cycle(2, 5e-3, wd=0.01)
    rec = learn.recommender()
    export.export_onnx(rec, tmp_path / "m.onnx")
    the_same(rec, graph(tmp_path / "m.onnx"))

    def halved(found, wanted):
        return NAMED_LOSSES["mse"](found / 2, wanted)

    halved.activation = lambda found: found / 2
    learn = Learner(toy, TorchModule(TorchModuleConfig(loss="own"), dot, loss=halved), seed=2, verbose=False)
    learn.fit_one_cycle(1, 5e-3)
    export.export_onnx(learn.recommender(), tmp_path / "m.onnx")
    the_same(learn.recommender(), graph(tmp_path / "m.onnx"))


@pytest.mark.slow
def test_onnx_that_cannot_be(toy, tmp_path, monkeypatch, graph):
    from cofactor.models.torch.module import TorchModule, TorchModuleConfig

    _, fickle, asks = own_modules()
    made = {}
    for cls in (fickle, asks):
        model = TorchModule(TorchModuleConfig(), cls)
        model.stepper(toy, np.random.default_rng(0))
        made[cls] = Recommender(model, toy)
    (tmp_path / "m.onnx").write_text("mine")
    with pytest.raises(ConfigError, match="other predictions than the module"):
        export.export_onnx(made[fickle], tmp_path / "m.onnx")
    with pytest.raises(ConfigError, match="cannot be written as ONNX"):
        export.export_onnx(made[asks], tmp_path / "m.onnx")
    newer = made[fickle].update([(1, toy.item_ids.values[0], 5.0)])
    with pytest.raises(ConfigError, match="1 ratings are newer than the model"):
        export.export_onnx(newer, tmp_path / "m.onnx")
    with pytest.raises(ConfigError, match="no folder"):
        export.export_onnx(made[fickle], tmp_path / "nowhere" / "m.onnx")
    for lacks in ("onnx", "onnxscript"):
        with monkeypatch.context() as m:
            m.setattr(importlib.util, "find_spec", lambda name, lacks=lacks: None if name == lacks else True)
            with pytest.raises(MissingExtraError, match=rf"needs {lacks}; .*cofactor\[onnx\]"):
                export.export_onnx(made[fickle], tmp_path / "m.onnx")
    assert [(p.name, p.read_text(encoding="utf-8")) for p in tmp_path.iterdir()] == [("m.onnx", "mine")]


# ---- diff


def reference_rbo(a, b, p):
    """Equation 32 of Webber, Moffat & Zobel 2010, written down as it stands."""
    k = len(a)
    x = [len(set(a[:d]) & set(b[:d])) for d in range(1, k + 1)]
    return x[-1] / k * p**k + (1 - p) / p * sum(x[d - 1] / d * p**d for d in range(1, k + 1))


def test_rank_biased_overlap():
    for a, b in itertools.product(itertools.permutations(range(3)), itertools.permutations(range(1, 4))):
        assert rank_biased_overlap(a, b, 0.8) == pytest.approx(reference_rbo(a, b, 0.8))
    rng = np.random.default_rng(0)
    for _ in range(20):
        a, b = rng.permutation(15)[:10], rng.permutation(15)[:10]
        assert rank_biased_overlap(a, b) == pytest.approx(reference_rbo(list(a), list(b), 0.9))
    assert rank_biased_overlap([1, 2, 3], [1, 2, 3]) == pytest.approx(1)
    assert rank_biased_overlap([1, 2], [3, 4]) == 0
    # What differs at the top costs more than what differs at the end.
    assert rank_biased_overlap([9, 2, 3, 4], [1, 2, 3, 4]) < rank_biased_overlap([1, 2, 3, 9], [1, 2, 3, 4])


def test_vectors_that_were_turned_have_not_drifted():
    rng = np.random.default_rng(1)
    a = rng.normal(size=(30, 4))
    turn, _ = np.linalg.qr(rng.normal(size=(4, 4)))
    found, turned = procrustes(a, a @ turn)
    np.testing.assert_allclose(found, turn, atol=1e-12)
    np.testing.assert_allclose(turned, a @ turn, atol=1e-12)


def test_diff_with_itself(rec, tmp_path):
    save(rec, tmp_path / "m")
    same = diff(tmp_path / "m", rec)
    assert same.overlap == pytest.approx(1)
    assert len(same.moved) == 0
    assert same.drift["drift"].to_list() == pytest.approx([0, 0], abs=1e-6)
    assert "same model, data and parameters" in str(same)
    json.dumps(same.to_dict(), allow_nan=False)


def test_diff_of_two(rec, toy):
    half = fitting.fit(toy.take(np.arange(0, len(toy), 2)), "als", seed=3, n_factors=3, epochs=3)
    d = diff(rec, half, n=5)
    assert 0 < d.overlap < 1
    assert d.moved_by == "bias"
    assert (d.moved["moved"] == d.moved["rank_a"] - d.moved["rank_b"]).all()
    rank = 1 + (rec.model.bias("item") > rec.model.bias("item")[rec.data.item_ids.index(d.moved["item"][0])]).sum()
    assert d.moved["rank_a"][0] == rank
    row = d.metrics.row(0, named=True)
    assert row["change"] == pytest.approx(half.metrics[row["metric"]] - rec.metrics[row["metric"]])
    assert (d.drift["drift"] > 0.01).all()
    assert "rank-biased overlap" in str(d)
    with pytest.raises(ConfigError):
        diff(rec, half, n=0)


def test_diff_without_factors_and_without_common_users(rec, toy):
    popular = fitting.fit(toy, "popular")
    d = diff(rec, popular)
    assert d.moved_by == "popularity"
    assert len(d.drift) == 0
    from cofactor.testing.toy import toy_ratings

    other = fitting.fit(toy_ratings().train.replace(user_ids=_named(80)), "popular")
    d = diff(rec, other)
    assert d.overlap is None
    assert "no common users" in str(d)


def _named(n):
    from cofactor.data.ids.id_map import IdMap

    return IdMap(pl.Series([f"u{i}" for i in range(n)]), "user")
