"""Exports are read back by the tools they are for; diff against hand-made cases."""

from __future__ import annotations

import importlib.util
import itertools
import json

import numpy as np
import polars as pl
import pytest

from cofactor import export, fitting
from cofactor._bundle.diff import procrustes, rank_biased_overlap
from cofactor.bundle import diff, save
from cofactor.errors import BundleError, ConfigError, MissingExtraError
from cofactor.recommend import Recommender


@pytest.fixture(scope="module")
def rec(toy) -> Recommender:
    return fitting.fit(toy, "als", seed=3, n_factors=3, epochs=3)


def test_numpy(rec, tmp_path):
    export.export_vectors(rec, tmp_path / "v")
    vectors = np.load(tmp_path / "v" / "vectors.npy", allow_pickle=False)
    np.testing.assert_array_equal(vectors, rec.model.factors("item"))
    np.testing.assert_array_equal(np.load(tmp_path / "v" / "bias.npy"), rec.model.bias("item"))
    assert json.loads((tmp_path / "v" / "ids.json").read_text()) == rec.data.item_ids.values.to_list()


def test_parquet(rec, tmp_path):
    export.export_vectors(rec, tmp_path / "v.parquet", "parquet", which="user")
    assert pl.read_parquet(tmp_path / "v.parquet").equals(rec.embeddings("user"))


def test_word2vec(rec, tmp_path):
    export.export_vectors(rec, tmp_path / "v.txt", "word2vec")
    first, *lines = (tmp_path / "v.txt").read_text().splitlines()
    assert first == "25 3"
    words = [line.split(" ")[0] for line in lines]
    assert words[0] == str(rec.data.item_ids.values[0]).replace(" ", "_")
    numbers = np.array([line.split(" ")[1:] for line in lines], dtype=np.float32)
    np.testing.assert_array_equal(numbers, rec.model.factors("item"))


def test_exports_that_cannot_be(rec, toy, tmp_path):
    with pytest.raises(ConfigError, match="npy, npz, parquet, word2vec"):
        export.export_vectors(rec, tmp_path / "x", "pickle")
    with pytest.raises(ConfigError, match="no PyTorch module"):
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
    facts = json.loads((tmp_path / "hf" / "config.json").read_text())
    assert (facts["model"], facts["config"]["n_factors"]) == ("als", 3)
    card = (tmp_path / "hf" / "README.md").read_text()
    assert f"| valid_rmse | {rec.metrics['valid_rmse']:.4f} |" in card
    export.export_hf(Recommender(rec.model, rec.data), tmp_path / "hf")
    card = (tmp_path / "hf" / "README.md").read_text()
    assert "Nothing was measured" in card
    assert "valid_rmse" not in card


def test_onnx(toy, tmp_path, monkeypatch):
    torch = pytest.importorskip("torch")
    from cofactor.models.torch_module import TorchModule, TorchModuleConfig

    class Dot(torch.nn.Module):
        def __init__(self, n_users, n_items):
            super().__init__()
            self.u, self.i = torch.nn.Embedding(n_users, 3), torch.nn.Embedding(n_items, 3)

        def forward(self, x):
            return (self.u(x[:, 0]) * self.i(x[:, 1])).sum(1, keepdim=True)

    model = TorchModule(TorchModuleConfig(offset=1), Dot)
    model.stepper(toy, np.random.default_rng(0))
    rec = Recommender(model, toy)
    with monkeypatch.context() as m:
        m.setattr(importlib.util, "find_spec", lambda name: None)
        with pytest.raises(MissingExtraError, match=r"cofactor\[onnx\]"):
            export.export_onnx(rec, tmp_path / "m.onnx")
    if importlib.util.find_spec("onnx") is None:
        pytest.skip("the onnx package is not installed")
    export.export_onnx(rec, tmp_path / "m.onnx")
    if importlib.util.find_spec("onnxruntime") is None:
        import onnx

        onnx.checker.check_model(onnx.load(tmp_path / "m.onnx"))
        return
    import onnxruntime

    session = onnxruntime.InferenceSession(tmp_path / "m.onnx")
    (found,) = session.run(None, {"x": np.stack([toy.users, toy.items], axis=1).astype(np.int64)})
    np.testing.assert_allclose(found, model.predict(toy.users, toy.items), atol=1e-6)


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

    other = fitting.fit(toy_ratings().train.but(user_ids=_named(80)), "popular")
    d = diff(rec, other)
    assert d.overlap is None
    assert "no user in common" in str(d)


def _named(n):
    from cofactor.data.ids import IdMap

    return IdMap(pl.Series([f"u{i}" for i in range(n)]), "user")
