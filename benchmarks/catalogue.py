"""Five million users, half a million items: memory and seconds of a fit, of one list and of lists for everybody.

    python benchmarks/catalogue.py                           writes results/catalogue.md
    python benchmarks/catalogue.py --model als --rows 30000000
    python benchmarks/catalogue.py --everybody 200000        lists for so many users alone

Synthetic rows (``synthetic.py``), kept in ``benchmarks/.cache/catalogue``. Each step runs in a process of its own and
says its peak memory: the fit from a Parquet file, the index and the bundle with it, one list from the opened bundle,
lists into a Parquet file.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from typing import Any

import numpy as np
import polars as pl
from common import HERE, OURS, Page, table, worker
from synthetic import ratings

import cofactor as cf

sys.path.insert(0, str(HERE / "ours"))

from memory import peak

KEPT = HERE / ".cache" / "catalogue"
LISTS = 300
"""Lists asked for one after the other."""


def rows(asked: dict[str, Any]) -> dict[str, Any]:
    """Make the table."""
    users, items, _ = ratings(asked["rows"], asked["users"], asked["items"])
    pl.DataFrame({"user": users, "item": items}).write_parquet(KEPT / "rows.parquet")
    return {}


def saved(rec: Any, name: str) -> None:
    """In the place of an older one."""
    shutil.rmtree(KEPT / f"{name}.cofactor", ignore_errors=True)
    rec.save(KEPT / f"{name}.cofactor")


def fit(asked: dict[str, Any]) -> dict[str, Any]:
    """Train on the file, and save."""
    data = cf.read(KEPT / "rows.parquet", user="user", item="item", rating=False)
    begun = peak()
    more = {"epochs": asked["epochs"]} if asked["epochs"] else {}
    rec = cf.fit(data, model=asked["model"], calibrate=False, verbose=False, **more)
    found = {"read": begun, "shape": f"{data.n_users:,} x {data.n_items:,}", "trained": peak()}
    saved(rec, "model")
    return found


def index(asked: dict[str, Any]) -> dict[str, Any]:
    """Build the index, and save the model with it."""
    rec = cf.load(KEPT / "model.cofactor").approximate(threads=asked["threads"])
    saved(rec, "indexed")
    return {
        "recall": rec.index.recall,
        "kind": "by length" if rec.index.exact else f"graph, {asked['threads']} threads",
    }


def one(asked: dict[str, Any]) -> dict[str, Any]:
    """One list, then many, each asked for alone."""
    rec = cf.load(KEPT / "indexed.cofactor", index=True)
    some = np.random.default_rng(0).integers(0, rec.data.n_users, LISTS)
    ids = rec.data.user_ids.decode(some.astype(np.int32)).to_list()
    took, work = [], 0.0
    for at, user in enumerate(ids):
        if at == 1:
            work = time.process_time()
        start = time.perf_counter()
        rec.recommend(user, n=10)
        took.append(1e3 * (time.perf_counter() - start))
    work = 1e3 * (time.process_time() - work) / (len(ids) - 1)
    found = {"first": took[0], "median": float(np.median(took[1:])), "p99": float(np.quantile(took[1:], 0.99))}
    return found | {"work": work}


def everybody(asked: dict[str, Any]) -> dict[str, Any]:
    """Lists into a Parquet file."""
    rec = cf.load(KEPT / "indexed.cofactor", index=True)
    n = asked["everybody"] or rec.data.n_users
    users = None if n >= rec.data.n_users else rec.data.user_ids.decode(np.arange(n, dtype=np.int32)).to_list()
    (KEPT / "lists.parquet").unlink(missing_ok=True)
    rec.recommend_all(n=10, users=users, out=KEPT / "lists.parquet")
    return {"users": n}


STEPS = {"rows": rows, "fit": fit, "index": index, "one": one, "everybody": everybody}


def step(name: str, asked: dict[str, Any]) -> dict[str, Any]:
    """One of the steps in a process of its own."""
    found: dict[str, Any] = worker(OURS, __file__, {"step": name, **asked})
    print(name, found, file=sys.stderr, flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="ials")
    parser.add_argument("--rows", type=int, default=25_000_000)
    parser.add_argument("--epochs", type=int, default=0, help="of the training; 0: as many as by default")
    parser.add_argument("--users", type=int, default=5_000_000)
    parser.add_argument("--items", type=int, default=500_000)
    parser.add_argument("--threads", type=int, default=2, help="that build the index")
    parser.add_argument("--everybody", type=int, default=0, help="lists for so many users; 0: all")
    parser.add_argument("--steps", default="fit,index,one,everybody", help="some of these alone: no page is written")
    asked = vars(parser.parse_args())
    KEPT.mkdir(parents=True, exist_ok=True)
    page = Page("catalogue", "Five million users, half a million items", by="catalogue.py")
    shape = {key: asked[key] for key in ("rows", "users", "items")}
    if not (KEPT / "shape.json").exists() or json.loads((KEPT / "shape.json").read_text()) != shape:
        step("rows", asked)
        (KEPT / "shape.json").write_text(json.dumps(shape))
    found = {name: step(name, asked) for name in asked["steps"].split(",")}
    if set(found) != set(STEPS) - {"rows"}:
        return
    epochs = f" of {asked['epochs']} epochs" if asked["epochs"] else ""
    said = {
        "fit": f"`{asked['model']}`{epochs}, {asked['rows']:,} rows, {found['fit']['shape']};"
        f" {found['fit']['read']:.0f} MB before training, {found['fit']['trained']:.0f} after it",
        "index": f"{found['index']['kind']}; recall@10 {found['index']['recall']:.3f}",
        "one": (
            "first list {first:.1f} ms, then median {median:.2f} ms, 99 % within {p99:.2f} ms; {work:.2f} ms of"
            " processor time each"
        ).format(**found["one"]),
        "everybody": f"lists of ten for {found['everybody']['users']:,} users",
    }
    lines = [(name, f"{found[name]['seconds']:.0f}", f"{found[name]['peak']:.0f}", said[name]) for name in found]
    page.show(table(("step", "seconds", "peak MB", "what"), lines))
    page.write()


if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1].startswith("{"):
        given = json.loads(sys.argv[1])
        clock = time.perf_counter()
        done = STEPS[given["step"]](given)
        print(json.dumps({**done, "seconds": time.perf_counter() - clock, "peak": peak()}))
    else:
        main()
