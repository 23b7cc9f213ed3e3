"""Saved models on the Hugging Face Hub: push a model, and load it from there. Needs huggingface_hub.

A bundle holds ids and ratings of users, since new users and explanations need them. So a repository is private unless
you choose otherwise. ``cofactor.export.export_hf`` writes a folder without them, which cannot be loaded as a model.
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
    "`manifest.json`: the model's name, parameters and figures",
    "`arrays.safetensors`: its arrays, and the ratings that it learned from",
    "`users.safetensors`, `items.safetensors`: the ids, and their side tables",
)
"""Descriptions of the files of a repository, for its card."""

__all__ = ["from_pretrained", "push_to_hub"]


def push_to_hub(
    rec: Recommender, repo_id: str, *, private: bool = True, token: str | None = None, message: str = "Add a model"
) -> str:
    """Upload a model and its card to a repository of the Hub, and return the address of the commit.

    ``repo_id`` is a name such as ``"me/films"``; a missing repository is created. The files are those of ``rec.save``,
    so they contain the users' ratings.
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
    """Load the model of a repository that :func:`push_to_hub` filled. ``revision`` is a branch, a tag or a commit.

    Only the files of a bundle are downloaded. Their digests are checked, and nothing in them is executed. BundleError
    where the repository does not hold a complete model.
    """
    _check_repo(repo_id)
    found = _hub().snapshot_download(
        repo_id, revision=revision, token=token, cache_dir=cache_dir, allow_patterns=[MANIFEST, *FILES, *OLD_FILES]
    )
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:  # Windows cannot delete mapped files
        folder = Path(scratch) / "model"  # copied: the cache holds links, and a bundle must hold plain files
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
