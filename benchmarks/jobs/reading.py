"""Reading and encoding a table of 20 million rows: cofactor.read against polars merely reading it."""

from __future__ import annotations

from common import HERE, OURS, QUICK, Page, folder, mid, table, worker
from synthetic import frame

ROWS, ROUNDS = (200_000, 1) if QUICK else (20_000_000, 3)


def main() -> None:
    from importlib.metadata import version

    page = Page("reading", "Reading a table of 20 million ratings")
    page.versions.append(f"polars {version('polars')}")
    rows = []
    with folder() as there:
        made, few = frame(ROWS, 138_493, 26_744), frame(10_000, 500, 400)
        files = {}
        for kind in ("parquet", "csv"):
            small, large = str(there / f"small.{kind}"), str(there / f"large.{kind}")
            for which, path in ((few, small), (made, large)):
                which.write_parquet(path) if kind == "parquet" else which.write_csv(path)
            files[kind] = [small, large]
        del made
        for kind, paths in files.items():
            found: dict[str, list[dict[str, float]]] = {"polars": [], "ours": []}
            for _ in range(ROUNDS):
                for who, runs in found.items():
                    params = {"who": who, "files": paths}
                    runs.append(worker(OURS, HERE / "ours" / "reading.py", params, threads=2, POLARS_MAX_THREADS="2"))
            base = mid(found["polars"], "seconds")
            for who, label in (("polars", "polars, merely reading"), ("ours", "**cofactor**, read and encoded")):
                seconds = mid(found[who], "seconds")
                cells = [
                    f"{kind}: {label}",
                    f"{seconds:.2f}",
                    f"{seconds / base:.2f}",
                    f"{mid(found[who], 'peak'):.0f}",
                ]
                rows.append(cells)
    page.say(
        f"{ROWS:,} synthetic rows in random order (138,493 users, 26,744 items; columns userId, movieId, rating,"
        " timestamp), files in the page cache, 2 threads, each read in a process of its own that has read a small"
        f" file before; medians of {ROUNDS} rounds. cofactor also maps the ids, checks the ratings and looks for"
        " repeated pairs. Target: within twice the time of polars."
    )
    page.show(table(["", "seconds", "times polars", "peak MB of the process"], rows))
    page.write()


if __name__ == "__main__":
    main()
