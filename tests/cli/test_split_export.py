"""``cofactor split`` and ``cofactor export``, run in this process; options of tables."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import cofactor as cf


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, typed: Any, tmp_path: Path) -> Any:
    """``run("split", ...)`` -> (exit code, stdout, stderr), in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return typed


@pytest.fixture
def table(tmp_path: Path) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    users, items = np.nonzero(rng.random((30, 20)) < 0.6)
    frame = pl.DataFrame(
        {
            "who": users + 1,
            "film": [f"Film é{i}" for i in items],
            "stars": rng.integers(1, 6, len(users)),
            "when": 1_000_000_000 + rng.permutation(len(users)),
        }
    )
    frame.write_csv(tmp_path / "ratings.csv")
    return frame


NAMES = ("--user", "who", "--item", "film", "--rating", "stars", "--time", "when")


@pytest.mark.parametrize("how", ["random", "temporal", "leave-last"])
def test_split_writes_what_cf_split_cuts(run: Any, table: pl.DataFrame, tmp_path: Path, how: str) -> None:
    code, _, err = run("split", "ratings.csv", *NAMES, "--how", how, "--seed", 7, "--out-test", "test.parquet")
    assert code == 0, err
    data = cf.read(tmp_path / "ratings.csv", user="who", item="film", rating="stars", time="when")
    wanted = {
        "random": lambda: cf.split.random(data, valid=0.2, seed=7),
        "temporal": lambda: cf.split.temporal(data, valid=0.2),
        "leave-last": lambda: cf.split.leave_last(data),
    }[how]()
    assert wanted.how in err
    train, test = pl.read_csv(tmp_path / "train.csv"), pl.read_parquet(tmp_path / "test.parquet")
    assert train.columns == test.columns == table.columns
    assert train.rows() == wanted.train.to_frame().rows()
    assert test.rows() == wanted.valid.to_frame().rows()
    assert len(train) + len(test) == len(table)


def test_split_by_user_needs_a_file_for_histories(run: Any, table: pl.DataFrame, tmp_path: Path) -> None:
    args = ("split", "ratings.csv", *NAMES, "--how", "by-user")
    code, _, err = run(*args)
    assert code == 2
    assert "--out-given" in err
    code, out, err = run(*args, "--out-given", "given.tsv", "--json")
    assert code == 0, err
    sizes = json.loads(out)["rows"]
    assert sum(sizes.values()) == len(table)
    train, test = pl.read_csv(tmp_path / "train.csv"), pl.read_csv(tmp_path / "test.csv")
    given = pl.read_csv(tmp_path / "given.tsv", separator="\t")
    assert not set(train["who"]) & set(test["who"])
    assert set(given["who"]) == set(test["who"])


def test_split_loses_nothing_that_is_there(run: Any, table: pl.DataFrame, tmp_path: Path) -> None:
    (tmp_path / "test.csv").write_text("precious")
    code, _, err = run("split", "ratings.csv", *NAMES)
    assert code == 2
    assert "test.csv already exists" in err
    assert "--overwrite" in err
    assert (tmp_path / "test.csv").read_text(encoding="utf-8") == "precious"
    assert not (tmp_path / "train.csv").exists()
    assert run("split", "ratings.csv", *NAMES, "--overwrite")[0] == 0
    assert pl.read_csv(tmp_path / "test.csv").columns == table.columns
    whole = (tmp_path / "ratings.csv").read_bytes()
    assert "is the table to split" in run("split", "ratings.csv", "--out-test", "ratings.csv", "--overwrite")[2]
    assert (tmp_path / "ratings.csv").read_bytes() == whole
    assert "part needs its own file" in run("split", "ratings.csv", "--out-test", "a.csv", "--out-train", "a.csv")[2]
    assert "there is no folder" in run("split", "nowhere.csv", "--out-test", "nowhere/a.csv")[2]
    assert "give one of random" in run("split", "ratings.csv", "--how", "by-users")[2]


def test_a_split_is_learned_from_and_evaluated(run: Any, table: pl.DataFrame) -> None:
    assert run("split", "ratings.csv", *NAMES)[0] == 0
    assert run("fit", "train.csv", *NAMES, "--model", "bias", "--out", "m.cofactor")[0] == 0
    code, out, err = run("evaluate", "m.cofactor", "test.csv", "--json")
    assert code == 0, err
    assert {row["metric"] for row in json.loads(out)} >= {"rmse"}


@pytest.mark.movielens
def test_no_pair_stands_in_both_parts(run: Any, ml100k: Any, tmp_path: Path) -> None:
    assert run("split", "ml-100k")[0] == 0  # by title: some pairs are there twice
    pairs = [set(pl.read_csv(tmp_path / f"{name}.csv").select("user", "title").rows()) for name in ("train", "test")]
    assert not pairs[0] & pairs[1]


def test_clicks_stay_clicks(run: Any, table: pl.DataFrame, tmp_path: Path) -> None:
    table.select("who", "film").write_csv(tmp_path / "clicks.csv")
    assert run("split", "clicks.csv", "--user", "who", "--item", "film")[0] == 0
    assert pl.read_csv(tmp_path / "train.csv").columns == ["who", "film"]


@pytest.mark.parametrize("sep", ["^", "||", "\\t", "¦"])
def test_separators_can_be_named(run: Any, table: pl.DataFrame, tmp_path: Path, sep: str) -> None:
    between = {"\\t": "\t"}.get(sep, sep)
    lines = [between.join(map(str, row)) for row in (table.columns, *table.rows())]
    (tmp_path / "odd.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    code, out, err = run("check", "odd.txt", *NAMES, "--sep", sep, "--json")
    assert code == 0, err
    assert json.loads(out)["summary"]["rows usable"] == len(table)
    if sep == "^":  # found without being named, too
        code, out, err = run("check", "odd.txt", *NAMES, "--json")
        assert code == 0, err
        assert json.loads(out)["summary"]["rows usable"] == len(table)


def test_encodings_can_be_named(run: Any, table: pl.DataFrame, tmp_path: Path) -> None:
    text = (tmp_path / "ratings.csv").read_text(encoding="utf-8")
    (tmp_path / "odd.csv").write_text(text, encoding="cp850")
    for command in (("fit", "odd.csv", "--model", "bias"), ("split", "odd.csv")):
        code, _, err = run(*command, *NAMES, "--encoding", "cp850")
        assert code == 0, err
    assert "Film é1" in set(pl.read_csv(tmp_path / "train.csv")["film"])
    assert "Film é1" in set(cf.load(tmp_path / "model.cofactor").data.item_ids.values)
    for wrong, words in (("utf-8", "not in utf-8"), ("utf9", "no encoding 'utf9'"), ("ascii", "not in ascii")):
        code, _, err = run("evaluate", "model.cofactor", "odd.csv", "--encoding", wrong)
        assert code == 2
        assert words in err
        assert "--encoding" in err


@pytest.fixture
def model(tmp_path: Path, table: pl.DataFrame) -> cf.Recommender:
    data = cf.read(tmp_path / "ratings.csv", user="who", item="film", rating="stars", time="when")
    rec = cf.fit(data, model="als", n_factors=4, epochs=3)
    rec.save(tmp_path / "m.cofactor")
    return rec


def test_export_of_vectors(run: Any, model: cf.Recommender, tmp_path: Path) -> None:
    wanted = model.embeddings("item")
    vectors = wanted["factors"].to_numpy()
    code, _, err = run("export", "m.cofactor", "v.npz")
    assert code == 0, err
    with np.load(tmp_path / "v.npz", allow_pickle=False) as held:
        np.testing.assert_array_equal(held["vectors"], vectors)
        np.testing.assert_array_equal(held["bias"], wanted["bias"].to_numpy())
        assert held["ids"].tolist() == wanted["id"].to_list()
    assert run("export", "m.cofactor", "v.parquet", "--which", "user")[0] == 0
    assert pl.read_parquet(tmp_path / "v.parquet").equals(model.embeddings("user"))
    assert run("export", "m.cofactor", "v.vec")[0] == 0
    first, line = (tmp_path / "v.vec").read_text(encoding="utf-8").splitlines()[:2]
    assert first == f"{len(vectors)} 4"
    np.testing.assert_array_equal(np.array(line.split()[1:], dtype=np.float32), vectors[0])
    assert run("export", "m.cofactor", "folder", "--format", "npy")[0] == 0
    assert run("export", "m.cofactor", "served", "--format", "serve")[0] == 0
    assert cf.load("served").data.n_users == 0
    np.testing.assert_array_equal(np.load(tmp_path / "folder" / "vectors.npy"), vectors)
    code, out, err = run("export", "m.cofactor", "hub", "-f", "hf", "--json")
    assert json.loads(out) == {"out": "hub", "format": "hf"}
    assert (tmp_path / "hub" / "model.safetensors").exists()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["dot-bias", "neural"])
def test_export_of_predictions_as_onnx(run: Any, model: cf.Recommender, tmp_path: Path, kind: str) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    onnx_reference = pytest.importorskip("onnx.reference")
    assert run("fit", "ratings.csv", *NAMES, "--model", kind, "--epochs", 2, "--out", "net.cofactor")[0] == 0
    code, out, err = run("export", "net.cofactor", "net.onnx", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out) == {"out": "net.onnx", "format": "onnx"}
    assert run("export", "net.cofactor", "same", "--format", "onnx")[0] == 0
    assert (tmp_path / "same").read_bytes() == (tmp_path / "net.onnx").read_bytes()
    rec = cf.load(tmp_path / "net.cofactor")
    graph = onnx_reference.ReferenceEvaluator(str(tmp_path / "net.onnx"))
    for n in (1, len(rec.data)):
        users, items = rec.data.users[:n], rec.data.items[:n]
        (found,) = graph.run(None, {"x": np.stack([users, items], axis=1).astype(np.int64)})
        pairs = zip(rec.data.user_ids.values.gather(users), rec.data.item_ids.values.gather(items))
        np.testing.assert_allclose(found, rec.predict(list(pairs))["prediction"], atol=1e-5)


def test_export_refuses_in_a_sentence(run: Any, model: cf.Recommender) -> None:
    for args, words in (
        (("v.bin",), "give --format"),
        (("v", "--format", "numpy"), "no format 'numpy'"),
        (("v.onnx",), "not a PyTorch module"),
        (("v.npz", "--which", "films"), "item or user"),
        (("nowhere/v.npz",), "there is no folder"),
    ):
        code, _, err = run("export", "m.cofactor", *args)
        assert code == 2
        assert err.count("\n") == 1
        assert words in err


def test_approximate_lists_for_all(run: Any, model: cf.Recommender, tmp_path: Path) -> None:
    code, _, err = run("recommend", "m.cofactor", "--all", "-n", 3, "--approximate", "--out", "all.csv")
    assert code == 0, err
    assert "exact search" in err  # 20 items need no index
    found = pl.read_csv(tmp_path / "all.csv")
    assert found["user"].n_unique() == 30
    assert "goes with --all" in run("recommend", "m.cofactor", "--user", 3, "--approximate")[2]
    assert "there is no folder" in run("recommend", "none.cofactor", "--user", 3, "--out", "nowhere/x.parquet")[2]


def test_liked_without_a_rating(run: Any, model: cf.Recommender) -> None:
    quartile = float(np.quantile(model.data.values, 0.75, method="higher"))
    ask = ("recommend", "m.cofactor", "-n", 5)
    code, plain, err = run(*ask, "--liked", "Film é1", "--liked", "Film é2=1")
    assert code == 0, err
    assert f"counts as {quartile:g}" in err
    rated = run(*ask, "--liked", f"Film é1={quartile:g}", "--liked", "Film é2=1")[1]
    assert "you liked Film é1" in plain
    assert plain.replace("you liked Film é1", f"you gave {quartile:g} to Film é1").split() == rated.split()
    code, _, err = run(*ask, "--liked", "Film é1=50")
    assert code == 2
    assert "the rating of 'Film é1' is 50; the ratings here range from 1 to 5" in err


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ("fit ratings.csv --model dot-bias --y-range 4", "y_range is 4"),
        ("fit ratings.csv --out nowhere/m.cofactor", "nowhere"),
        ("fit ratings.csv --checkpoint .", "it is a folder"),
        ("fit ratings.csv --checkpoint ratings.csv/x", "is not a folder"),
        ("fit ratings.csv --user who --item film --budget -1", "budget_seconds is -1"),
        ("report m.cofactor --out nowhere/r.html", "there is no folder"),
        ("demo --out nowhere/r.html", "there is no folder"),
        ("recommend m.cofactor --user 1 --out nowhere/x.parquet", "there is no folder"),
        ("recommend m.cofactor --all --out .", "it is a folder"),
        ("compare ratings.csv --folds -1", "--folds is -1"),
        ("check ratings.csv --sep=", "--sep"),
        ("check ratings.csv --encoding nope", "--encoding"),
    ],
    ids=lambda x: x if isinstance(x, str) else None,
)
def test_what_cannot_be_is_said_before_any_work(run: Any, table: pl.DataFrame, args: str, words: str) -> None:
    code, out, err = run(*args.split())
    assert code == 2
    assert not out
    last = err.splitlines()[-1]
    assert last.startswith("cofactor: ")
    assert words in last


def test_split_keeps_how_often_rows_repeat(run: Any, tmp_path: Path) -> None:
    """Sums of repeats and weights of behaviours have a column of their own where the table has none."""
    rng = np.random.default_rng(0)
    users, items = rng.integers(0, 20, 300), rng.integers(0, 10, 300)
    lines = [f"{u},{i},{['view', 'buy'][k]}" for u, i, k in zip(users, items, rng.integers(0, 2, 300))]
    (tmp_path / "clicks.csv").write_text("user,item,event\n" + "\n".join(lines) + "\n")
    for flags, kind in (((), "events"), (("--weights", "view=1,buy=-3"), "events"), (("--no-rating",), "events")):
        code, _, err = run("split", "clicks.csv", "--overwrite", *flags)
        assert code == 0, err
        said = re.search(r"--rating (\w+) --kind (\w+)", err)
        again = {"rating": said[1], "kind": said[2]} if said else {}
        parts = [cf.read(tmp_path / name, **again) for name in ("train.csv", "test.csv")]
        weights = {"view": 1, "buy": -3} if "--weights" in flags else None
        whole = cf.read(tmp_path / "clicks.csv", weights=weights)
        found = pl.concat([part.to_frame().rename({part.columns.rating: "value"}) for part in parts])
        wanted = whole.to_frame().rename({whole.columns.rating or "rating": "value"})
        assert sorted(found.rows()) == sorted(wanted.rows())
        assert {part.kind for part in parts} <= {kind, "counts"}
    code, _, err = run("split", "clicks.csv", "--overwrite", "--duplicates", "all")
    assert code == 0, err
    assert sum(len(pl.read_csv(tmp_path / name)) for name in ("train.csv", "test.csv")) == 300


def test_split_writes_times_that_are_found_again(run: Any, tmp_path: Path) -> None:
    """Times of several columns, which have no name of their own, and of a column without one."""
    rng = np.random.default_rng(0)
    rows = [
        f"{u},{i},{1 + k % 5},{2001 + k % 9},{1 + k % 12},{1 + k % 28}"
        for k, (u, i) in enumerate(rng.integers(0, 20, (200, 2)))
    ]
    (tmp_path / "parts.csv").write_text("user,item,rating,date_year,date_month,date_day\n" + "\n".join(rows) + "\n")
    plain = [
        f"{u},{i},{1 + k % 5},{1_300_000_000 + 999_983 * k}" for k, (u, i) in enumerate(rng.integers(0, 20, (200, 2)))
    ]
    (tmp_path / "plain.csv").write_text("\n".join(plain) + "\n")
    for name in ("parts.csv", "plain.csv"):
        code, _, err = run("split", name, "--overwrite")
        assert code == 0, err
        times = [cf.read(tmp_path / part).times for part in ("train.csv", "test.csv")]
        assert np.array_equal(np.sort(np.concatenate(times)), np.sort(cf.read(tmp_path / name).times))
