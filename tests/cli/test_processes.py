"""The program as people run it: by its exit codes and what it prints."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from unittest import mock

import numpy as np
import polars as pl
import pytest

from cofactor.cli import main

COFACTOR = [sys.executable, "-m", "cofactor"]


def run(*args, cwd=None, apart=False, **env):
    """The program with these arguments -> exit code, stdout, stderr. ``apart``: in a process of its own, which takes
    a second to start."""
    env = {"COLUMNS": "120", "NO_COLOR": "1", **env}
    done = (_apart if apart else _here)([str(arg) for arg in args], cwd, env)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def _apart(args, cwd, env):
    return subprocess.run(
        [*COFACTOR, *args], capture_output=True, text=True, cwd=cwd, timeout=300, env={**os.environ, **env}
    )


def _here(args, cwd, env):
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    with (
        mock.patch.dict(os.environ, env),
        mock.patch.object(sys, "argv", ["cofactor", *args]),
        contextlib.chdir(cwd or "."),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        warnings.catch_warnings(action="default"),
        pytest.raises(SystemExit) as end,
    ):
        main()
    return subprocess.CompletedProcess(
        args, int(end.value.code or 0), *(x.buffer.getvalue().decode() for x in (out, err))
    )


def refused(done, *words):
    """Exit code 2 and one clear line."""
    assert done.returncode == 2, (done.stdout, done.stderr)
    lines = [x for x in done.stderr.splitlines() if x.startswith("cofactor: ")]
    assert len(lines) == 1, done.stderr
    for word in words:
        assert str(word) in lines[0], lines[0]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A table of ratings with titles as ids, and a model trained on it."""
    path = tmp_path_factory.mktemp("cli")
    rng = np.random.default_rng(0)
    users, items = np.nonzero(rng.random((40, 25)) < 0.5)
    ratings = np.clip(np.round(3 + rng.normal(0, 1, 40)[users] + rng.normal(0, 1, 25)[items]), 1, 5)
    frame = pl.DataFrame({"user": users + 1, "title": [f"Film {i}" for i in items], "rating": ratings})
    frame.write_csv(path / "ratings.csv")
    done = run(
        "fit",
        "ratings.csv",
        "--item",
        "title",
        "--model",
        "als",
        "--n-factors",
        3,
        "--out",
        "m.cofactor",
        cwd=path,
        apart=True,
    )
    assert done.returncode == 0, done.stderr
    return path


def bytes_of(bundle: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(bundle.iterdir())}


# ---- the main road


def test_help_and_version():
    assert "recommend" in run("--help", apart=True).stdout
    assert run("--version", apart=True).stdout.startswith("cofactor ")
    for command in ("demo", "fit", "check", "recommend", "similar", "explain", "info", "compare", "evaluate"):
        assert run(command, "--help").returncode == 0


def test_what_there_is():
    names = {row["model"] for row in json.loads(run("models", "--json").stdout)}
    assert {"bias", "als", "dot-bias", "popular", "bayes-mf"} <= names
    options = json.loads(run("models", "dot-bias", "--json").stdout)
    assert "--n-factors" in {o["option"] for o in options}
    assert "movietweetings-demo" in {row["name"] for row in json.loads(run("datasets", "--json").stdout)}
    assert "ml-100k" in run("datasets").stdout


def test_fit_then_ask(folder):
    info = json.loads(run("info", "m.cofactor", "--json", cwd=folder).stdout)
    assert info["model"] == "als"
    recs = json.loads(run("recommend", "m.cofactor", "--user", 3, "-n", 4, "--json", cwd=folder).stdout)
    assert [r["rank"] for r in recs] == list(range(1, len(recs) + 1))
    new = json.loads(
        run("recommend", "m.cofactor", "--liked", "Film 1=5", "--liked", "Film 2=1", "--json", cwd=folder).stdout
    )
    assert not {"Film 1", "Film 2"} & {r["item"] for r in new}
    near = json.loads(run("similar", "m.cofactor", "Film 3", "-n", 3, "--json", cwd=folder).stdout)
    assert len(near) == 3
    why = json.loads(run("explain", "m.cofactor", "--user", 3, "--item", "Film 3", "--json", cwd=folder).stdout)
    assert sum(t["value"] for t in why["terms"]) == pytest.approx(why["prediction"], abs=1e-4)
    assert "Film 3 for user 3" in run("explain", "m.cofactor", "--user", 3, "--item", "Film 3", cwd=folder).stdout


def test_everybody(folder):
    done = run("recommend", "m.cofactor", "--all", "-n", 3, "--out", "all.parquet", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert pl.read_parquet(folder / "all.parquet")["user"].n_unique() == 40


def test_no_table_of_others_is_replaced(folder):
    ratings = (folder / "ratings.csv").read_bytes()
    pl.read_csv(folder / "ratings.csv").write_parquet(folder / "mine.parquet")
    table = (folder / "mine.parquet").read_bytes()
    for args, words in (
        (
            ("recommend", "m.cofactor", "--all", "--out", "ratings.csv"),
            "ratings.csv already exists and does not hold lists",
        ),
        (("recommend", "m.cofactor", "--user", 3, "--out", "mine.parquet"), "mine.parquet already exists"),
        (("report", "m.cofactor", "--out", "ratings.csv"), "ratings.csv already exists and is not an HTML page"),
    ):
        failed = run(*args, cwd=folder)
        assert failed.returncode == 2
        assert words in failed.stderr
        assert failed.stderr.count("\n") == 1
    assert (folder / "ratings.csv").read_bytes() == ratings
    assert (folder / "mine.parquet").read_bytes() == table
    for _ in range(2):  # what cofactor wrote, it replaces
        for name in ("lists.csv", "lists.tsv", "lists.parquet"):
            assert run("recommend", "m.cofactor", "--all", "-n", 2, "--out", name, cwd=folder).returncode == 0
        assert run("report", "m.cofactor", "--out", "page.html", cwd=folder).returncode == 0


def test_some_users(folder):
    some = folder / "some.txt"
    some.write_text("\ufeff7\n\n 3 \n7\n", encoding="utf-8")
    ask = ("recommend", "m.cofactor", "--users", "some.txt")
    done = run(*ask, "--all", "-n", 2, "--out", "some.csv", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert pl.read_csv(folder / "some.csv")["user"].to_list() == [7, 7, 3, 3]
    assert "for 2 users" in done.stderr
    for text, args, words in (
        ("7\n4000\n", ("--all", "--out", "x.csv"), "unknown user 4000"),
        ("\n", ("--all", "--out", "x.csv"), "some.txt holds no ids"),
        ("7\n", (), "--users FILE goes with --all"),
    ):
        some.write_text(text)
        failed = run(*ask, *args, *(() if args else ("--user", 3)), cwd=folder)
        assert failed.returncode == 2
        assert words in failed.stderr
        assert failed.stderr.count("\n") == 1
    assert not (folder / "x.csv").exists()


def test_filters_and_shape(folder):
    args = ("recommend", "m.cofactor", "--user", 3, "-n", 25, "--seen", "--json")
    every = [r["item"] for r in json.loads(run(*args, cwd=folder).stdout)]
    denied = [r["item"] for r in json.loads(run(*args, "--deny", every[0], "--diversity", 0.5, cwd=folder).stdout)]
    assert set(denied) == set(every[1:])
    sure = json.loads(run(*args, "--allow", every[3], "--sure", 0.8, cwd=folder).stdout)
    assert [r["item"] for r in sure] == [every[3]]
    refused(run(*args, "--where", "year > 1990", cwd=folder), "items")


def test_side_tables(folder):
    films = pl.DataFrame({"title": [f"Film {i}" for i in range(25)], "genres": ["Drama|War", "Comedy"] * 12 + ["War"]})
    films.write_csv(folder / "films.csv")
    fit = ("fit", "ratings.csv", "--item", "title", "--items", "films.csv", "--model", "bias", "--out", "side.cofactor")
    assert run(*fit, cwd=folder).returncode == 0
    ask = ("recommend", "side.cofactor", "--user", 3, "-n", 25, "--seen", "--json", "--where")
    found = json.loads(run(*ask, "genres contains War", cwd=folder).stdout)
    assert {r["item"] for r in found} == {f"Film {i}" for i in (*range(0, 24, 2), 24)}
    refused(run(*ask, "year > 1990", cwd=folder), "year", "genres")
    refused(run(*fit, "--item-features", "director", cwd=folder), "director", "genres")


def test_report(folder):
    assert run("report", "m.cofactor", "--out", "r.html", cwd=folder).returncode == 0
    page = (folder / "r.html").read_text(encoding="utf-8")
    assert "Film 1" in page
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_evaluate_and_check(folder):
    rows = json.loads(run("evaluate", "m.cofactor", "ratings.csv", "--item", "title", "--json", cwd=folder).stdout)
    assert any(r["metric"] == "rmse" for r in rows)
    assert run("check", "ratings.csv", cwd=folder).returncode == 0
    assert isinstance(json.loads(run("check", "ratings.csv", "--json", cwd=folder).stdout), dict)


def test_one_seed_one_model(folder):
    args = ("fit", "ratings.csv", "--item", "title", "--model", "dot-bias", "--epochs", 2, "--seed", 5, "--json")
    for threads in ("1", "2"):
        done = run(*args, "--out", f"t{threads}.cofactor", cwd=folder, apart=True, NUMBA_NUM_THREADS=threads)
        assert done.returncode == 0, done.stderr
    one, two = (bytes_of(folder / f"t{t}.cofactor") for t in "12")
    assert one["arrays.safetensors"] == two["arrays.safetensors"]


def test_quiet_off_a_terminal(folder):
    done = run(
        "fit",
        "ratings.csv",
        "--item",
        "title",
        "--model",
        "bias",
        "--out",
        "q.cofactor",
        "--json",
        cwd=folder,
        apart=True,
    )
    assert json.loads(done.stdout)["model"] == "bias"
    assert "\x1b" not in done.stdout + done.stderr


# ---- bad input: one sentence, exit code 2, nothing lost

ROWS = "user,item,rating\n1,a,3\n1,b,4\n2,a,5\n2,b,1\n"
BAD = {
    "missing": (None, ("nowhere.csv",)),
    "empty": ("", ("empty.csv", "empty")),
    "header only": ("user,item,rating\n", ("no rows",)),
    "text rating": (ROWS + "3,a,good\n", ("row 5", "good")),
    "nan rating": (ROWS + "3,a,NaN\n", ("row 5",)),
    "missing rating": (ROWS + "3,a,\n", ("row 5",)),
    "missing id": (ROWS + ",a,3\n", ("row 5", "user")),
    "one user": ("user,item,rating\n1,a,3\n1,b,4\n", ("one user",)),
    "one item": ("user,item,rating\n1,a,3\n2,a,4\n", ("one item",)),
    "constant": ("user,item,rating\n1,a,3\n1,b,3\n2,a,3\n", ("all values are equal", "auto-ranking")),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_tables(tmp_path, name):
    content, words = BAD[name]
    path = tmp_path / ("nowhere.csv" if content is None else "empty.csv")
    if content is not None:
        path.write_text(content)
    out = tmp_path / "m.cofactor"
    refused(run("fit", path, "--model", "bias", "--out", out), *words)
    assert not out.exists()


def test_bad_columns_and_options(folder):
    refused(run("fit", "ratings.csv", "--item", "movie", cwd=folder), "movie", "user", "title", "rating")
    refused(run("fit", "ratings.csv", "--model", "magic", cwd=folder), "magic", "dot-bias")
    refused(run("fit", "ratings.csv", "--model", "als", "--n-factor", 5, cwd=folder), "--n-factors")
    refused(run("fit", "ratings.csv", "--model", "als", "--n-factors", "many", cwd=folder), "many")
    refused(
        run("fit", "ratings.csv", "--item", "title", "--model", "dot-bias", "--y-range", "(2, 4)", cwd=folder),
        "y_range",
    )
    refused(run("recommend", "m.cofactor", cwd=folder), "--user")
    refused(run("recommend", "m.cofactor", "--liked", "Film 1=50", cwd=folder), "Film 1", "from 1 to 5")


def test_unknown_ids(folder):
    refused(run("recommend", "m.cofactor", "--user", "Bob", cwd=folder, apart=True), "Bob")
    refused(run("recommend", "m.cofactor", "--user", 999, cwd=folder), "999")
    refused(run("similar", "m.cofactor", "Flim 3", cwd=folder), "Did you mean", "Film 3")


def test_errors_for_machines(folder):
    done = run("similar", "m.cofactor", "Flim 3", "--json", cwd=folder)
    assert done.returncode == 2
    assert "Film 3" in json.loads(done.stdout)["error"]


def test_bad_bundles(folder, tmp_path):
    refused(run("info", "nowhere.cofactor", cwd=folder), "nowhere.cofactor")
    broken = tmp_path / "broken.cofactor"
    shutil.copytree(folder / "m.cofactor", broken)
    arrays = broken / "arrays.safetensors"
    arrays.write_bytes(arrays.read_bytes()[:-7])
    refused(run("recommend", broken, "--user", 3), "broken.cofactor")
    refused(run("recommend", folder / "ratings.csv", "--user", 3), "ratings.csv")


def test_nothing_is_overwritten_by_a_failure(folder, tmp_path):
    model = tmp_path / "m.cofactor"
    shutil.copytree(folder / "m.cofactor", model)
    before = bytes_of(model)
    bad = tmp_path / "bad.csv"
    bad.write_text(ROWS + "3,a,x\n")
    refused(run("fit", bad, "--model", "bias", "--out", model), "row 5")
    assert bytes_of(model) == before
    refused(run("fit", folder / "ratings.csv", "--model", "bias", "--out", bad), "bad.csv")
    assert bad.read_text(encoding="utf-8").endswith("3,a,x\n")


def test_output_that_cannot_be_written(folder):
    refused(run("report", "m.cofactor", "--out", "no/such/r.html", cwd=folder), "no/such/r.html")
    refused(run("fit", "ratings.csv", "--model", "bias", "--out", "ratings.csv/m.cofactor", cwd=folder), "ratings.csv")
