"""The registry of known datasets: size, scale, licence and source of each. This module loads no data."""

from __future__ import annotations

from dataclasses import dataclass

_GROUPLENS = "https://files.grouplens.org/datasets/movielens"
_NO_SHARING = "GroupLens: research use, no redistribution"


@dataclass(frozen=True)
class Dataset:
    """One entry of the registry. ``md5`` is the publisher's checksum; ``limit`` bounds the download in bytes."""

    ratings: int
    users: int
    items: int
    scale: str
    times: bool
    licence: str
    url: str | None = None
    md5: str | None = None
    limit: int = 1 << 30
    folders: tuple[str, ...] = ()
    """Other names of its folder."""


DATASETS: dict[str, Dataset] = {
    "movietweetings-demo": Dataset(68_055, 4_333, 2_414, "0-10", True, "MIT, Simon Dooms 2013"),
    "movietweetings": Dataset(100_000, 16_554, 10_506, "0-10", True, "MIT, Simon Dooms 2013"),
    "ml-100k": Dataset(
        100_000,
        943,
        1_682,
        "1-5",
        True,
        _NO_SHARING,
        f"{_GROUPLENS}/ml-100k.zip",
        "0e33842e24a9c977be4e0107933c0723",
        20 << 20,
    ),
    "ml-latest-small": Dataset(
        100_836, 610, 9_724, "0.5-5", True, _NO_SHARING, f"{_GROUPLENS}/ml-latest-small.zip", None, 20 << 20
    ),
    "ml-1m": Dataset(
        1_000_209,
        6_040,
        3_706,
        "1-5",
        True,
        _NO_SHARING,
        f"{_GROUPLENS}/ml-1m.zip",
        "c4d9eecfca2ab87c1945afe126590906",
        20 << 20,
    ),
    "ml-10m": Dataset(
        10_000_054,
        69_878,
        10_677,
        "0.5-5",
        True,
        _NO_SHARING,
        f"{_GROUPLENS}/ml-10m.zip",
        "ce571fd55effeba0271552578f2648bd",
        200 << 20,
        ("ml-10M100K",),
    ),
    "ml-20m": Dataset(
        20_000_263,
        138_493,
        26_744,
        "0.5-5",
        True,
        _NO_SHARING,
        f"{_GROUPLENS}/ml-20m.zip",
        "cd245b17a1ae2cc31bb14903e1204af3",
        500 << 20,
    ),
    "ml-25m": Dataset(
        25_000_095,
        162_541,
        59_047,
        "0.5-5",
        True,
        _NO_SHARING,
        f"{_GROUPLENS}/ml-25m.zip",
        "6b51fb2759a8657d3bfcbfc42b592ada",
        600 << 20,
    ),
    "ml-32m": Dataset(
        32_000_204,
        200_948,
        84_432,
        "0.5-5",
        True,
        _NO_SHARING,
        f"{_GROUPLENS}/ml-32m.zip",
        "d472be332d4daa821edc399621853b57",
        600 << 20,
    ),
}
"""The known datasets by name. ``users`` and ``items`` count only those with ratings."""
