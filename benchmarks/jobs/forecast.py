"""Memory of every model: what `cofactor check` forecasts beside what one training takes, on synthetic tables."""

from __future__ import annotations

from typing import Any

from common import HERE, OURS, QUICK, Page, table, worker

QUICKLY: dict[str, dict[str, Any]] = {
    "als": {"epochs": 2},
    "svd++": {"epochs": 2},
    "dot-bias": {"epochs": 1},
    "bayes-mf": {"epochs": 14, "burn_in": 2},
    "ials": {"epochs": 1},
    "bpr": {"epochs": 1},
    "warp": {"epochs": 1},
    "neural": {"epochs": 1},
}
"""Fewer passes than the defaults: memory does not depend on them (but for the samples that `bayes-mf` keeps)."""
SHAPES = ((1_000_000, 20_000, 3000), (1_000_000, 150_000, 3000), (3_000_000, 60_000, 10_000))
SQUARE = ((800_000, 20_000, 3000), (800_000, 20_000, 6000))
NARROW = ((400_000, 8000, 3000), (400_000, 16_000, 6000))
OTHER = {"ease": SQUARE, "slim": SQUARE[:1], "blend": SQUARE[:1], "user-knn": NARROW}
OTHER["neural"] = ((100_000, 20_000, 3000),)
TIMED = {"bayes-mf", "popular"}


def main() -> None:
    from cofactor.models import REGISTRY, model_class

    page, rows = Page("forecast", "Memory of training: forecast and measured"), []
    for name in REGISTRY:
        rating = model_class(name).task == "rating"
        cases = [(shape, False, False) for shape in OTHER.get(name, SHAPES)]
        cases += [(cases[0][0], False, True)] if rating and name != "bayes-mf" else []
        cases += [(shape, True, False) for shape in SHAPES[:2]] if name in TIMED else []
        for (n, users, items), timed, calibrate in cases[: 1 if QUICK else None]:
            params = {"model": name, "config": QUICKLY.get(name, {}), "rows": n // 10 if QUICK else n}
            params |= {"users": users, "items": items, "timed": timed, "calibrate": calibrate}
            found = worker(OURS, HERE / "ours" / "forecast.py", params)
            what = [x for x, there in (("times", timed), ("intervals", calibrate)) if there]
            ratio = found["forecast"] / found["measured"]
            shape = f"{params['rows']:,} ({users:,} × {items:,})"
            rows.append([f"`{name}`", shape, ", ".join(what), *(f"{found[k]:.0f}" for k in found), f"{ratio:.2f}"])
    page.say(
        "The most resident memory of a process that trains once (MB of 10^6 bytes), from a table in memory, with"
        " everything loaded and compiled before; and what `cofactor check` says for the table. *Intervals*: with the"
        " second training on nine tenths of the rows that gives a rating model its intervals, as `cofactor.fit` does."
        " Target: from 1.00 to 1.20."
    )
    page.show(table(["model", "rows (users × items)", "with", "before", "measured", "forecast", "ratio"], rows))
    page.write()


if __name__ == "__main__":
    main()
