"""Opening a saved model: 1 GB of factors, 1 GB of training rows, and small ones, in fresh processes.

The bundles are made once, into benchmarks/.cache/opening; with ``--prepare`` nothing else is done.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from common import HERE, OURS, QUICK, Page, folder, mid, table, worker

import cofactor as cf
from cofactor.bundle import info
from cofactor.data.ids.id_map import IdMap
from cofactor.data.interactions import Interactions
from cofactor.models.als import ALS, ALSConfig
from cofactor.recommender import Recommender

RUNS = 1 if QUICK else 7
KEPT = HERE / ".cache" / ("opening-quick" if QUICK else "opening")
SYNTHETIC: dict[str, dict[str, Any]] = {
    "`als`, 240 factors": {"users": 1_000_000, "items": 50_000, "factors": 240, "rows": 2_000_000},
    "`als`, 16 factors, many ratings": {"users": 500_000, "items": 20_000, "factors": 16, "rows": 48_000_000},
    "`als`, 128 factors, twice the users": {"users": 1_900_000, "items": 100_000, "factors": 128, "rows": 2_000_000},
    "the same, ids are text": {"users": 1_900_000, "items": 100_000, "factors": 128, "rows": 2_000_000, "text": True},
    "`als`, 50 factors": {"users": 200_000, "items": 20_000, "factors": 50, "rows": 800_000},
    "`als`, 50 factors, just not mapped": {"users": 12_000, "items": 2_500, "factors": 50, "rows": 25_000},
}
MOVIELENS = ("bayes-mf", "dot-bias")
BARE = ("numba", "polars")


def made(users: int, items: int, factors: int, rows: int, text: bool = False) -> Recommender:
    """A recommender of random numbers, with times."""
    if QUICK:
        users, items, rows = users // 100, items // 100, rows // 100
    rng, d = np.random.default_rng(0), factors + 1
    state = {
        "mean": np.array(3.5, np.float32),
        "range": np.array([1, 5], np.float32),
        "users": rng.standard_normal((users, d), dtype=np.float32) / factors,
        "items": rng.standard_normal((items, d), dtype=np.float32) / factors,
        "spread": np.full((items, d), 0.01, np.float32),
        "ridge": np.ones(d, np.float32),
    }
    codes = [rng.integers(0, n, rows, dtype=np.int32) for n in (users, items)]
    values, times = (codes[0] % 5 + 1).astype(np.float32), rng.integers(10**9, 2 * 10**9, rows)
    ids = [ids_of(n, kind, text) for kind, n in (("user", users), ("item", items))]
    return Recommender(
        ALS.from_state(ALSConfig(n_factors=factors), state), Interactions(codes[0], codes[1], values, times, *ids)
    )


def ids_of(n: int, kind: str, text: bool) -> IdMap:
    numbers = pl.Series(2 * np.arange(n) + 1)
    return IdMap(numbers if not text else pl.select(pl.format(f"{kind}-{{}}", numbers)).to_series().sort(), kind)


def prepared() -> dict[str, Path]:
    """Where each bundle stands."""
    KEPT.mkdir(parents=True, exist_ok=True)
    places = {name: KEPT / f"synthetic-{n}.cofactor" for n, name in enumerate(SYNTHETIC)}
    for name, place in places.items():
        if not place.exists():
            made(**SYNTHETIC[name]).save(place)
    for model in MOVIELENS:
        name = f"`{model}` of ML-100k"
        places[name] = KEPT / f"{model}.cofactor"
        if not readable(places[name]):
            cf.fit(cf.load_dataset("ml-100k"), model=model).save(places[name])
    return places


def readable(place: Path) -> bool:
    """Whether a model is there that this cofactor reads: states of models may change between versions."""
    try:
        cf.load(place)
    except cf.CofactorError:
        return False
    return True


def main() -> None:
    places = prepared()
    if "--prepare" in sys.argv:
        return
    page = Page("opening", "Opening a saved model")
    facts = {name: info(place) for name, place in places.items()}
    found: dict[str, list[dict[str, float]]] = {name: [] for name in places}
    bare: dict[str, list[dict[str, float]]] = {name: [] for name in places}
    with folder() as there:
        # Bytecode is kept, as pip leaves it, whatever the environment says of this source tree.
        env = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(there)}
        for r in range(-1, RUNS):  # the first round warms up
            for name, place in places.items():
                params = {"path": str(place), "rows": facts[name]["data"]["rows"], "verify": r == 0}
                after = worker(OURS, HERE / "ours" / "opening.py", params | {"imports": BARE}, **env)
                whole = worker(OURS, HERE / "ours" / "opening.py", params | {"imports": [], "verify": False}, **env)
                if r >= 0:
                    found[name].append(after)
                    bare[name].append(whole)
    page.say(
        f"`cf.load(path)`, medians of {RUNS} fresh processes for each figure, in turns, files in the page cache,"
        " bytecode kept as an installation has it. *First* is the first opening of a process that has done"
        f" `import {', '.join(BARE)}` and nothing else, with all that it imports of cofactor and uses for the first"
        " time: what opening costs beside these two, which the first list needs anyway. *From nothing* is the same in"
        " a process that has imported nothing. *Later* is another opening in the same process, *verify* one with"
        " `verify=True` (once). Arrays above 4 MB are mapped, and files of ids above 1 MB are read and checked when"
        " first used: *ids* is what asking for both id maps takes after the first opening, which a list does once."
        " Target: 50 ms for 1 GB."
    )
    rows = []
    for name, runs in found.items():
        data = facts[name]["data"]
        size = f"{facts[name]['bytes'] / 1e6:,.0f}"
        spread = f"{1e3 * min(r['first'] for r in runs):.0f} to {1e3 * max(r['first'] for r in runs):.0f}"
        cells = [
            name,
            size,
            f"{data['users'] + data['items']:,}",
            f"{data['rows']:,}",
            f"**{1e3 * mid(runs, 'first'):.0f}**",
        ]
        cells += [spread, f"{1e3 * mid(runs, 'ids'):.0f}", f"{1e3 * mid(bare[name], 'first'):.0f}"]
        cells.append(f"{1e3 * mid(runs, 'again'):.0f}")
        rows.append([*cells, f"{1e3 * runs[0]['verified']:.0f}"])
    head = ["", "MB", "ids", "ratings", "first ms", "of the runs", "ids ms", "from nothing ms", "later ms"]
    head.append("verify ms")
    page.show(table(head, rows))
    imports = [run for runs in found.values() for run in runs]
    page.say(
        f"`import {', '.join(BARE)}` (NumPy with them) takes {1e3 * mid(imports, 'imports'):.0f} ms in these processes,"
        f" median of {len(imports)}; starting Python is in none of the figures."
    )
    page.write()


if __name__ == "__main__":
    main()
