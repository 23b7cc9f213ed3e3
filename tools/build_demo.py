"""Builds the bundled demo set: the 5-core of the MovieTweetings 100K snapshot, in one compressed Parquet
file.

    python tools/build_demo.py FOLDER       FOLDER has ratings.dat and movies.dat

The 5-core is what is left when users and items with fewer than five ratings are taken away until none
remains. Titles and genres stand in the rows (Parquet's dictionaries make them cheap), so one file is enough.
Same input, same bytes.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import polars as pl

BUNDLED = Path(__file__).parents[1] / "src" / "cofactor" / "data" / "bundled"
NAME = "movietweetings-demo.parquet"


def lines(path: Path, names: list[str]) -> pl.DataFrame:
    """A ``::``-separated file, every column as text (ids have leading zeros)."""
    rows = [line.split("::") for line in path.read_text(encoding="utf-8").splitlines()]
    return pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String), orient="row")


def k_core(frame: pl.DataFrame, k: int) -> pl.DataFrame:
    """Only users and items with ``k`` rows or more, counted among themselves."""
    while True:
        smaller = frame.filter(pl.len().over("user") >= k).filter(pl.len().over("item") >= k)
        if len(smaller) == len(frame):
            return frame
        frame = smaller


def build(folder: Path, k: int = 5) -> pl.DataFrame:
    ratings = lines(folder / "ratings.dat", ["user", "item", "rating", "time"])
    movies = lines(folder / "movies.dat", ["item", "title", "genres"])
    core = k_core(ratings, k).join(movies, on="item", how="left", maintain_order="left")
    return core.select(
        pl.col("user").cast(pl.Int32),
        "item",
        pl.col("rating").cast(pl.UInt8),
        pl.col("time").cast(pl.Int64),
        "title",
        "genres",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, default=BUNDLED)
    args = parser.parse_args()
    core = build(args.folder)
    args.out.mkdir(parents=True, exist_ok=True)
    core.write_parquet(args.out / NAME, compression="zstd", compression_level=19, statistics=False)
    if not (args.out / "LICENSE").exists():
        shutil.copyfile(args.folder / "LICENSE", args.out / "LICENSE")
    size = (args.out / NAME).stat().st_size
    print(
        f"{len(core):,} ratings, {core['user'].n_unique():,} users, {core['item'].n_unique():,} items, {size:,} bytes"
    )


if __name__ == "__main__":
    main()
