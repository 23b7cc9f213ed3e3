"""How long lists take: one from a history, and one for every user into a Parquet file; each model on ml-1m.

A model is trained and saved in one process; another one loads the bundle and writes the lists, so that what is measured
is its own. Models are trained for few epochs, since that changes nothing about the time of a list. Writes
results/recommend.md.

    python benchmarks/recommend.py --models als,ease
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
sys.path.insert(0, str(HERE / "ours"))

from common import OURS, QUICK, Page, folder, table, worker  # noqa: E402
from memory import peak, resident  # noqa: E402

import cofactor as cf  # noqa: E402

SHORT: dict[str, dict[str, Any]] = {
    "bayes-mf": {"epochs": 35, "burn_in": 5},
    "neural": {"epochs": 1},
    "bpr": {"epochs": 2},
    "warp": {"epochs": 2},
    "ials": {"epochs": 3},
    "als": {"epochs": 5},
    "svd++": {"epochs": 3},
    "dot-bias": {"epochs": 1, "n_factors": 50},
    "blend": {"weights": (0.25, 0.25, 0.25, 0.25)},
}
WHERE = "genres contains Drama"
LIMITS = {"one": 5.0, "first": 2.0, "where": 2.0, "every": 2.0, "peak": 600.0}
HEAD = ["", "opens, s", "one, ms", "all, where, s: first", "then", "all, s", "peak", "opened", "imports"]
DIGITS = {"opened": 2, "one": 2, "first": 2, "where": 2, "every": 2, "peak": 0, "loaded": 0, "imports": 0}


def seconds(call: Callable[[], object], times: int) -> list[float]:
    """How long each of some calls took."""
    out = []
    for _ in range(times):
        started = time.perf_counter()
        call()
        out.append(time.perf_counter() - started)
    return out


def train(dataset: str, model: str, bundle: str) -> None:
    """The first process."""
    cf.fit(cf.load_dataset(dataset), model=model, seed=0, calibrate=False, **SHORT.get(model, {})).save(bundle)


def ask(bundle: str) -> dict[str, float]:
    """The second process: seconds, milliseconds (``one``) and megabytes."""
    import numba  # noqa: F401
    import polars  # noqa: F401

    found = {"imports": resident()}
    started = time.perf_counter()
    rec = cf.load(bundle)
    found |= {"opened": time.perf_counter() - started, "loaded": resident()}
    with folder() as there:
        out = there / "recs.parquet"
        first, *where = seconds(lambda: rec.recommend_all(10, out=out, where=WHERE), 6)
        every = seconds(lambda: rec.recommend_all(10, out=out), 3)
    items, values = rec.data.by_user.row(10)
    history = dict(zip(rec.data.item_ids.decode(items).to_list(), values.tolist()))
    rec.recommend(history=history)
    one = []
    for _ in range(9):  # spread over some seconds: what else the machine does comes in bursts
        one += seconds(lambda: rec.recommend(history=history), 15)
        time.sleep(0.25)
    return found | {
        "one": 1000 * median(one),
        "first": first,
        "where": median(where),
        "every": median(every),
        "peak": peak(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="ml-100k" if QUICK else "ml-1m")
    parser.add_argument("--models", default=",".join(cf.list_models()["model"].to_list()))
    parser.add_argument("--bundles", help="a folder with bundles MODEL.cofactor; none: they are trained")
    asked = parser.parse_args()
    page = Page("recommend", "Lists: one from a history, and one for everybody")
    rows, missed = [], []
    with folder() as there:
        for model in asked.models.split(","):
            bundle = str(Path(asked.bundles or there) / f"{model}.cofactor")
            if not asked.bundles:
                worker(OURS, __file__, {"dataset": asked.dataset, "model": model, "bundle": bundle})
            found = worker(OURS, __file__, {"bundle": bundle})
            rows.append([f"`{model}`", *(f"{found[name]:.{digits}f}" for name, digits in DIGITS.items())])
            missed += [f"`{model}` ({name} {found[name]:.2f})" for name, most in LIMITS.items() if found[name] > most]
            print(" ".join(rows[-1]), file=sys.stderr, flush=True)
    page.say(
        f"Every model on {asked.dataset}, trained for few epochs (which changes nothing about the time of a list) and"
        " saved by one process. Another process opens the bundle, writes lists of ten for everybody into a Parquet"
        f" file, and makes one list from a history of {history_length(asked.dataset)} ratings; two threads."
    )
    page.show(table(HEAD, rows))
    page.say(
        f'*all, where*: `recommend_all(10, out=..., where="{WHERE}")`, the first call in the process (what is compiled'
        " comes from the cache on disk) and the median of the next five; *all*: without the filter, the median of"
        " three; *one*: `recommend(history=...)`, the median of 135 calls. *peak*: most resident memory of"
        " the process until then; *opened*: resident once the bundle was open, of which *imports*: before that, with"
        " Python, numba and polars loaded. Memory in MiB."
    )
    page.say("Targets: 5 ms, 2 s, 600 MB. " + (f"Missed by {', '.join(missed)}." if missed else "All are met."))
    page.write()


def history_length(dataset: str) -> int:
    return int(cf.load_dataset(dataset).by_user.counts[10])


if __name__ == "__main__":
    given = json.loads(sys.argv[1]) if sys.argv[1:] and sys.argv[1].startswith("{") else None
    if given is None:
        main()
    else:
        print(json.dumps((train if "model" in given else ask)(**given)))
