"""Lists on public splits: what comes next, what is recent, what is sparse; published figures beside ours.

    python benchmarks/accuracy/lists.py                  all of it; writes results/lists.md
    python benchmarks/accuracy/lists.py --only gowalla   those with this in their name; writes no page
    python benchmarks/accuracy/lists.py --list           the names
    python benchmarks/accuracy/lists.py --again          measure again what is in the cache
    python benchmarks/accuracy/lists.py --finished       measure nothing: a page of what is there

One configuration for all: every model at its defaults, every setting chosen inside the training rows. All items that a
user has not in training are ranked. Each line runs in a process of its own and is kept in ``benchmarks/.cache/lists``.
Needs the folders amazon-beauty, amazon-sports, gowalla, lastfm-plays and ml-100k in $COFACTOR_DATA_DIR.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import cofactor as cf
from cofactor.data.interactions import Interactions, Split
from cofactor.evaluation.held_out import held_out_rows
from cofactor.evaluation.measure import measure
from cofactor.evaluation.metric_names import metric
from cofactor.evaluation.protocol import EvaluationProtocol
from cofactor.evaluation.relevance import threshold
from cofactor.evaluation.scorer import Scorer, scorer

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from common import RESULTS, machine, table  # noqa: E402

CACHE = HERE.parent / ".cache" / "lists"
WIDE = ("recall@20", "ndcg@20")


@dataclass(frozen=True)
class Line:
    """One model on one split."""

    split: str
    model: str
    metrics: tuple[str, ...]
    asked: str = ""
    """What it should reach at least."""
    last: int = 0
    """Sequences: how many of each user's last rows training does without; the test is the last one."""

    @property
    def name(self) -> str:
        without = f", without the last {self.last}" if self.last > 1 else ""
        return f"{self.split}{without}: {self.model}"


NEXT = ("ndcg@10", "hit_rate@10")
LINES = [
    Line("Beauty", "next-item", NEXT, "0.0640", 1),
    Line("Beauty", "auto-ranking", NEXT, "", 1),
    Line("Beauty", "next-item", NEXT, "0.0545", 2),
    Line("Sports", "next-item", NEXT, "0.0375", 1),
    Line("Sports", "auto-ranking", NEXT, "", 1),
    Line("Sports", "next-item", NEXT, "0.0330", 2),
    Line("ml-100k, last", "next-item", NEXT, "0.125", 1),
    Line("ml-100k, last", "auto-ranking", NEXT, "0.125", 1),
    Line("MovieTweetings, last fifth", "popular", ("ndcg@10",)),
    Line("MovieTweetings, last fifth", "auto-ranking", ("ndcg@10",), "0.148"),
    Line("gowalla", "blend", WIDE, "0.1890 / 0.1570"),
    Line("gowalla", "graph-filter", WIDE),
    Line("gowalla", "ease", WIDE),
    Line("gowalla", "ials", WIDE, "0.1700 / 0.1410"),
    Line("gowalla", "item-cosine", WIDE),
    Line("gowalla", "auto-ranking", WIDE),
    Line("lastfm-plays", "ials", WIDE, "- / 0.2210"),
    Line("lastfm-plays", "graph-filter", WIDE),
    Line("lastfm-plays", "ease", WIDE),
    Line("lastfm-plays", "item-cosine", WIDE),
    Line("lastfm-plays", "blend", WIDE),
    Line("lastfm-plays", "auto-ranking", WIDE, "- / 0.2230"),
]
PUBLISHED = {
    "Beauty": "SASRec, sampled softmax 0.0531 (0.0921), eSASRec 0.0523 (0.0928); both without the last two",
    "Sports": "eSASRec 0.0323 (0.0560), SASRec, sampled softmax 0.0314 (0.0569); both without the last two",
    "ml-100k, last": "compact SASRec 0.0951",
    "gowalla": "SimpleX 0.1872 / 0.1557, UltraGCN 0.1862 / 0.1580, LightGCN 0.1820 / 0.1547, EASE 0.1765 / 0.1467",
}
FOLDERS = {"Beauty": "amazon-beauty", "Sports": "amazon-sports", "gowalla": "gowalla", "lastfm-plays": "lastfm-plays"}


def split_of(name: str) -> Split:
    """Training rows and test rows."""
    data = Path(os.environ.get("COFACTOR_DATA_DIR", "."))
    if name in ("Beauty", "Sports"):
        frame = pl.read_parquet(data / FOLDERS[name] / "events.parquet")
        return cf.split.leave_last(cf.read(frame, user="user", item="item", rating=False, time="position"))
    if name == "ml-100k, last":
        names = ["user", "item", "rating", "time"]
        frame = pl.read_csv(data / "ml-100k" / "u.data", separator="\t", has_header=False, new_columns=names)
        return cf.split.leave_last(cf.read(frame, **{name: name for name in names}))
    if name == "MovieTweetings, last fifth":
        return cf.split.temporal(cf.load_dataset("movietweetings-demo"), 0.2)
    files = [data / FOLDERS[name] / f"{part}.parquet" for part in ("train", "test")]
    given: dict[str, Any] = {"count": "plays"} if name == "lastfm-plays" else {"rating": False}
    return cf.split.given(*(pl.read_parquet(file) for file in files), user="user", item="item", **given)


def trained(line: Line) -> tuple[Callable[[], Any], Callable[[Any], Scorer], Split, float | None]:
    """What trains, what makes a scorer of the result, the test, and from which rating up a row is relevant."""
    split = split_of(line.split)
    train: Interactions = split.train
    if line.last > 1:
        train = cf.split.leave_last(split.train).train

    def scored(rec: Any) -> Scorer:
        if line.last < 2:
            return scorer(rec, split.train)
        histories = split.train.histories  # the newest item is known when the list is made, and was not in training
        model = rec.model

        def scores(users: Any) -> Any:
            return model.scores_from(model.fold_in(histories.take(users)))

        return Scorer(line.model, "ranking", split.train, model.predict, scores, None)

    comes_next = line.last or "MovieTweetings" in line.split  # counts, however it was rated
    relevant = float(train.values.min()) if comes_next else None
    return lambda: cf.fit(train, model=line.model, seed=42, verbose=False), scored, split, relevant


def processor() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def measured(line: Line) -> dict[str, Any]:
    """The figures of one line, and the seconds of its training."""
    train, scored, split, relevant = trained(line)
    begun, clock = processor(), time.perf_counter()
    rec = train()
    spent, clock = processor() - begun, time.perf_counter() - clock
    rows = held_out_rows(split, split.train)
    protocol = EvaluationProtocol(threshold(split.train, relevant))
    asked = [metric(name) for name in line.metrics]
    found = measure(scored(rec), rows, asked, protocol)
    values = {name: found.value(one) for name, one in zip(line.metrics, asked)}
    took = rec.model.name
    if hasattr(rec.model, "parts"):
        weights = dict(zip(rec.model.config.names, np.asarray(rec.model.weights).tolist()))
        took = " + ".join(f"{w:.2f} {name}" for name, w in weights.items() if w > 0)
    return {"values": values, "cpu": spent, "seconds": clock, "took": took, "users": found.n_users(asked[0])}


def file_of(line: Line) -> Path:
    """Where the figures of a line are kept."""
    return CACHE / f"{line.name.replace(' ', '_').replace(',', '').replace(':', '')}.json"


def result(line: Line, again: bool) -> dict[str, Any]:
    """Measured in a process of its own, or what was kept of that."""
    file = file_of(line)
    if again or not file.exists():
        done = subprocess.run(
            [sys.executable, __file__, "--one", line.name], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(f"{line.name} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(done.stdout.strip().splitlines()[-1])
    found: dict[str, Any] = json.loads(file.read_text())
    return found


def row(line: Line, found: dict[str, Any]) -> tuple[str, ...]:
    """A line of the table."""
    first, second = (f"{found['values'][name]:.4f}" for name in (*line.metrics, line.metrics[0])[:2])
    ours = f"{first} / {second}" if line.metrics == WIDE else f"{first} ({second})" if len(line.metrics) > 1 else first
    took = "" if found["took"] == line.model else found["took"]
    return (
        line.name,
        " / ".join(line.metrics),
        ours,
        line.asked,
        PUBLISHED.get(line.split, ""),
        f"{found['cpu']:.0f}",
        took,
    )


ABOUT = """Every model at its defaults, every setting chosen inside the training rows; all items that a user has not in
training are ranked, and every test row counts. "Without the last 2": trained without them; the last but one is known
when the list is made. Processor seconds are those of the fit, the choice of settings included."""


def page(rows: list[tuple[str, ...]], missing: list[str]) -> str:
    head = ("split, model", "figure", "ours", "asked for", "published", "processor s", "what was taken")
    made = f"- made by: `python benchmarks/accuracy/lists.py` on {date.today()}"
    where = f"- machine: {machine()}, with other work on it\n- cofactor {cf.__version__}"
    left_out = [f"Not measured here: {'; '.join(missing)}."] if missing else []
    return "\n\n".join(["# Lists on public splits", f"{made}\n{where}", ABOUT, table(head, rows), *left_out]) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="those with this in their name; writes no page")
    parser.add_argument("--again", action="store_true", help="measure again what is in the cache")
    parser.add_argument("--finished", action="store_true", help="measure nothing: a page of what is there")
    parser.add_argument("--list", action="store_true", help="print the names")
    parser.add_argument("--one", default="", help=argparse.SUPPRESS)
    args = parser.parse_args()
    by_name = {line.name: line for line in LINES}
    if args.list:
        print("\n".join(by_name))
    elif args.one:
        print(json.dumps(measured(by_name[args.one])))
    else:
        rows, missing = [], []
        for name, line in by_name.items():
            if args.finished and not file_of(line).exists():
                missing.append(name)
            elif args.only in name:
                rows.append(row(line, result(line, args.again)))
                print("  ".join(rows[-1]), file=sys.stderr, flush=True)
        if not args.only:
            (RESULTS / "lists.md").write_text(page(rows, missing), encoding="utf-8")
            print(page(rows, missing))


if __name__ == "__main__":
    main()
