"""``cofactor demo``: the whole job on bundled data, from a table to recommendations and a report."""

from __future__ import annotations

import time
from pathlib import Path

import polars as pl
import typer

import cofactor.serve as server
from cofactor.api.fit import fit
from cofactor.bundle import check_writable
from cofactor.cli.arguments import Json, Seed, check_page
from cofactor.cli.printing import console, print_json, say, show, started
from cofactor.collab import collab_learner
from cofactor.data import splits
from cofactor.data.datasets import load_dataset
from cofactor.data.interactions import Split
from cofactor.evaluation import evaluate, with_figures
from cofactor.recommender import Recommender
from cofactor.report.report import write_report

FILMS = ("The Dark Knight (2008)", "The Godfather (1972)", "Despicable Me 2 (2013)")
HISTORY = {"The Godfather (1972)": 10, "Pulp Fiction (1994)": 9, "Inception (2010)": 8}


def command(
    out: str = typer.Option("report.html", "--out", "-o", help="Where to write the report."),
    bundle: str = typer.Option("demo.cofactor", "--bundle", help="Where to save the model that makes the lists."),
    serve: bool = typer.Option(False, "--serve", help="Then serve that model with its web page, until Ctrl-C."),
    port: int = typer.Option(8000, "--port", help="The port of --serve; 0: any free port."),
    seed: int = Seed,
    as_json: bool = Json,
) -> None:
    """Learn from 68,000 real film ratings, show what was learned, recommend, and write report.html; no network.

    The demo saves a model that makes lists. With --serve it trains only that model and the most popular films as a
    baseline, and serves both: rate films in the browser, and watch the list change.
    """
    check_page(out)
    check_writable(bundle)
    if serve:
        needs_server()
        split = splits.temporal(load_dataset("movietweetings-demo"), valid=0.2)
        _save(fit(split.train, model="ease", seed=seed), split, bundle)
        beside = str(Path(bundle).with_name(f"{Path(bundle).stem}-popular.cofactor"))
        _save(fit(split.train, model="popular", seed=seed), split, beside)
        serve_bundle(bundle, port, beside)
        return
    start = time.perf_counter()
    ratings = load_dataset("movietweetings-demo")
    split = splits.temporal(ratings, valid=0.2)
    if not as_json:
        say(f"{len(ratings):,} ratings from 0 to 10 by {ratings.n_users:,} users of {ratings.n_items:,} films")
        say(f"{len(split.train):,} train the models; the last {len(split.valid):,} by time are held out to test them\n")
        say("The notebook's model, with fit_one_cycle:")
    learn = collab_learner(split, n_factors=20, y_range=(0, 10.5), seed=seed, verbose=not as_json)
    learn.fit_one_cycle(5, 5e-3, wd=0.1)
    rec = fit(split, model="bayes-mf", seed=seed, verbose=not as_json)
    ranker = fit(split.train, model="ease", seed=seed)
    chosen = fit(split.train, model="auto-ranking", seed=seed, verbose=not as_json)
    baselines = _ladder(split, seed, learn.recommender(), rec, ranker, chosen)
    write_report(rec, out, title="What 4,333 people said about 2,414 films", neighbours=ranker, test=split.valid)
    _save(ranker, split, bundle)
    if as_json:
        print_json(
            {"report": out, "bundle": bundle, "seconds": time.perf_counter() - start, "figures": baselines.to_dicts()}
        )
        return
    show(
        baselines.rename({"rmse": "error (RMSE)", "ndcg@10": "lists (NDCG@10)"}),
        "\nOn the held-out last weeks, with 95 % intervals (relevant in lists: 8 or more)",
    )
    say(
        "Predicting ratings and making lists are two tasks. In lists of the next weeks, new films matter most here:"
        f"\nauto-ranking learned that from earlier weeks and chose {_what(chosen)}."
    )
    show(_by_title(rec.biases(5)), "\nFilms with the highest and lowest item biases")
    for film in FILMS:
        near = ranker.similar_items(film, 5)["title"].to_list()
        console().print(f"\nSimilar to [bold]{film}[/]: {', '.join(near)}", highlight=False)
    liked = ", ".join(f"{title} {rating}" for title, rating in HISTORY.items())
    show(_by_title(ranker.recommend(history=HISTORY, n=5)), f"\nFor a new user who rated {liked}")
    say(f"\nDone in {time.perf_counter() - start:.1f} s. Open {out} in a browser: it works offline.")
    say(f"{bundle} makes the lists. Rate films and watch its list change: cofactor serve {bundle}")


def _save(ranker: Recommender, split: Split, bundle: str) -> None:
    """Save the model with its figures on the held-out rows."""
    found = evaluate(ranker, split.valid, relevant=8.0)
    with_figures(ranker, found, "the last fifth of the demo, by time").save(bundle)


def needs_server() -> None:
    """Raise MissingExtraError, before anything is trained, where the server is not installed."""
    assert server.run


def serve_bundle(bundle: str, port: int, beside: str) -> None:
    """Serve a bundle on this machine until Ctrl-C, beside another one to compare it with. The address is printed once
    the server answers."""
    try:
        server.run(server.Settings(Path(bundle), port=port, beside=Path(beside)), started)
    except KeyboardInterrupt:
        say("stopped")


def _what(chosen: Recommender) -> str:
    """Return a description of the chosen model: its settings, or the parts of a blend with their weights."""
    if chosen.name == "blend":
        *parts, last = (
            f"{weight:.0%} {name}" for name, weight in zip(chosen.model.config.models, chosen.model.config.weights)
        )
        return f"a blend: {', '.join(parts)} and {last}"
    assert chosen.trials is not None
    config = chosen.trials.row(by_predicate=pl.col("chosen"), named=True)["config"]
    return f"{chosen.name} ({config})" if config else chosen.name


def _ladder(
    split: Split, seed: int, notebook: Recommender, rec: Recommender, ranker: Recommender, chosen: Recommender
) -> pl.DataFrame:
    """Return the figures of each model of the demo and of the baselines, on the same held-out rows."""
    models = {
        "bias": fit(split.train, model="bias", seed=seed),
        "dot-bias (the notebook's)": notebook,
        "bayes-mf": rec,
        "popular": fit(split.train, model="popular", seed=seed),
        "ease": ranker,
        "auto-ranking": chosen,
    }
    rows = []
    for name, model in models.items():
        wanted = ["rmse", "ndcg"] if model.model.task == "rating" else ["ndcg"]
        measured = evaluate(model, split.valid, metrics=wanted, relevant=8.0)
        found = {
            row["metric"]: f"{row['value']:.4f} ({row['low']:.4f} to {row['high']:.4f})" for row in measured.to_dicts()
        }
        rows.append({"model": name, "rmse": found.get("rmse"), "ndcg@10": found["ndcg@10"]})
    return pl.DataFrame(rows)


def _by_title(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the frame with titles in place of item ids."""
    frame = frame.drop("status", strict=False)
    return frame.drop("item").rename({"title": "film"}) if "title" in frame.columns else frame
