"""``untar_data`` and ``URLs``: data sets by the names that notebooks use."""

from __future__ import annotations

import os
import shutil
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from cofactor.data.catalog import DATASETS
from cofactor.data.datasets import cache_dir, dataset_path
from cofactor.data.download import unpack
from cofactor.errors import DatasetError
from cofactor.notebook._keywords import takes

__all__ = [
    "URLs",
    "fastai_path",
    "untar_data",
]

_S3 = "https://s3.amazonaws.com/fast-ai-"


class URLs:
    """Data sets by name. Those of ratings are available; :func:`untar_data` accepts names and addresses."""

    LOCAL_PATH = Path.cwd()
    S3 = _S3
    ML_100k = "https://files.grouplens.org/datasets/movielens/ml-100k.zip"
    ML_1M = "https://files.grouplens.org/datasets/movielens/ml-1m.zip"
    ML_10M = "https://files.grouplens.org/datasets/movielens/ml-10m.zip"
    ML_20M = "https://files.grouplens.org/datasets/movielens/ml-20m.zip"
    ML_25M = "https://files.grouplens.org/datasets/movielens/ml-25m.zip"
    ML_32M = "https://files.grouplens.org/datasets/movielens/ml-32m.zip"
    ML_LATEST_SMALL = "https://files.grouplens.org/datasets/movielens/ml-latest-small.zip"
    ML_SAMPLE = f"{_S3}sample/movie_lens_sample.tgz"
    ADULT_SAMPLE = f"{_S3}sample/adult_sample.tgz"

    @staticmethod
    def path(url: str = ".", c_key: str = "archive") -> Path:
        """Return where a data set's archive would be."""
        root = _roots()[0]
        return root / str(url).rstrip("/").rpartition("/")[2]


def _roots() -> list[Path]:
    """Return the folders where data are looked up, in order."""
    given = os.environ.get("COFACTOR_DATA_DIR")
    home = Path(os.environ.get("FASTAI_HOME", "~/.fastai")).expanduser()
    return ([Path(given).expanduser()] if given else []) + [cache_dir(), home / "data", home / "archive"]


def _stem(name: str) -> str:
    for ending in (".tar.gz", ".tgz", ".tar", ".zip", ".gz"):
        if name.endswith(ending):
            return name[: -len(ending)]
    return name


@takes()
def untar_data(
    url: Any,
    archive: Any = None,
    data: Any = None,
    c_key: str = "data",
    force_download: bool = False,
    base: Any = None,
) -> Path:
    """Return the folder of a data set: in ``$COFACTOR_DATA_DIR``, in the cache (or fastai's), or downloaded.

    It accepts names and addresses. An archive (``.zip``, ``.tgz``) found there is unpacked into the cache. ``data``,
    ``base`` and ``archive`` are further folders to look in. There is one folder for all kinds (``c_key``).
    """
    if force_download:
        raise DatasetError(
            "untar_data(force_download=True) is not supported; delete the folder of the data set, then call it again"
        )
    name = str(url).rstrip("/").rpartition("/")[2]
    stem = _stem(name)
    if Path(str(url)).is_dir():
        return Path(str(url))
    roots = [Path(p) for p in (data, base, archive) if p is not None] + _roots()
    known = next((k for k in DATASETS if stem in (k, *DATASETS[k].folders)), None)
    for root in roots:
        for folder in {stem, known or stem}:
            if (root / folder).is_dir():
                return root / folder
        if (root / name).is_file() and name != stem:
            return _unpacked(root / name, cache_dir() / stem)
    if Path(str(url)).is_file():
        return _unpacked(Path(str(url)), cache_dir() / stem)
    if known is not None:
        return Path(dataset_path(known))
    places = ", ".join(str(r) for r in roots)
    raise DatasetError(
        f"no data set {stem!r} here: put its folder, or the archive {name}, into one of {places} "
        "(COFACTOR_DATA_DIR names the first), or give the path of a folder"
    )


def _unpacked(archive: Path, target: Path) -> Path:
    """Return the folder of an archive, unpacked once."""
    if target.is_dir():
        return target
    if archive.suffix == ".zip":
        return unpack(archive, target)
    target.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        with tarfile.open(archive) as tar:
            tar.extractall(work, filter="data")  # nothing outside the folder, no links out of it, no devices
        inner = list(work.iterdir())
        os.replace(inner[0] if len(inner) == 1 and inner[0].is_dir() else work, target)
    except (tarfile.TarError, OSError, EOFError) as exc:
        raise DatasetError(f"{archive} cannot be unpacked: {exc}") from None
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return target


def fastai_path(folder: str) -> Path:
    """Return where data are looked up first."""
    return _roots()[0] / folder
