"""Saved models on the Hugging Face Hub: push one, and load it from there. Needs huggingface_hub.

A bundle holds ids and ratings of users, since new users and explanations need them. So a repository is private unless
you say otherwise. ``cofactor.export.export_hub`` writes a folder without them, to look at and not to load.
"""

from __future__ import annotations

import importlib
import tempfile
from pathlib import Path
from typing import Any

from cofactor._validate import check_bool
from cofactor.bundle import info
from cofactor.bundle.files import MANIFEST
from cofactor.bundle.manifest import FILES, OLD_FILES
from cofactor.errors import ConfigError, MissingExtraError
from cofactor.export import card
from cofactor.recommender import Recommender, load

BUNDLE = (
    "`manifest.json`: what the model is, its parameters and its figures",
    "`arrays.safetensors`: its arrays, and the ratings that it learned from",
    "`users.safetensors`, `items.safetensors`: the ids, and what their tables say",
)
"""What the files of a repository are, for its card."""

__all__ = ["from_pretrained", "push_to_hub"]


def push_to_hub(
    rec: Recommender, repo_id: str, *, private: bool = True, token: str | None = None, message: str = "Add a model"
) -> str:
    """Put a model and its card into a repository of the Hub, which is made where there is none; the commit's address.

    ``repo_id`` is such as ``"me/films"``. The files are those of ``rec.save``: they show what users rated.
    """
    api, folder_name = _hub().HfApi(token=token), "model"
    check_bool("private", private)
    _check_repo(repo_id)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / folder_name
        rec.save(folder)
        api.create_repo(repo_id, private=private, exist_ok=True)
        (folder / "README.md").write_text(card(rec, BUNDLE), encoding="utf-8")
        done = api.upload_folder(repo_id=repo_id, folder_path=str(folder), commit_message=message)
    return str(getattr(done, "commit_url", done))


def from_pretrained(
    repo_id: str, *, revision: str | None = None, token: str | None = None, cache_dir: str | Path | None = None
) -> Recommender:
    """The model of a repository that :func:`push_to_hub` filled. ``revision`` is a branch, a tag or a commit.

    Only the files of a bundle are fetched, their digests are checked, and nothing in them is executed. BundleError
    where the repository does not hold a whole model.
    """
    _check_repo(repo_id)
    found = _hub().snapshot_download(
        repo_id, revision=revision, token=token, cache_dir=cache_dir, allow_patterns=[MANIFEST, *FILES, *OLD_FILES]
    )
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:  # Windows keeps files that are mapped
        folder = Path(scratch) / "model"  # the cache holds links, and a bundle is plain files
        folder.mkdir()
        for name in dict.fromkeys((MANIFEST, *FILES, *OLD_FILES)):
            source = Path(found) / name
            if source.exists():
                (folder / name).write_bytes(source.read_bytes())
        info(folder, verify=True)
        return load(folder)


def _check_repo(repo_id: object) -> None:
    if not isinstance(repo_id, str) or repo_id.count("/") > 1 or not repo_id.strip("/"):
        raise ConfigError(f"repo_id is {repo_id!r}; give a repository of the Hub, such as 'me/films'")


def _hub() -> Any:
    try:
        return importlib.import_module("huggingface_hub")
    except ImportError:
        raise MissingExtraError("huggingface_hub", "hub", "the Hugging Face Hub") from None
