"""The Hugging Face Hub, stood in for by a folder: what is pushed is what comes back, and nothing else is fetched."""

from __future__ import annotations

import shutil
import sys
from fnmatch import fnmatch
from types import SimpleNamespace

import pytest

import cofactor as cf
from cofactor import hub
from cofactor.errors import BundleError, ConfigError, MissingExtraError
from cofactor.evaluation import evaluate, with_figures
from toys import two_tastes


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A Hub in a folder."""
    root, made = tmp_path / "hub", {}

    class HfApi:
        def __init__(self, token=None):
            self.token = token

        def create_repo(self, repo_id, private, exist_ok):
            assert exist_ok
            made[repo_id] = private

        def upload_folder(self, repo_id, folder_path, commit_message):
            shutil.copytree(folder_path, root / repo_id)
            return SimpleNamespace(commit_url=f"https://hub.example/{repo_id}/commit/1")

    def snapshot_download(repo_id, revision, token, cache_dir, allow_patterns):
        cache = tmp_path / "cache"
        cache.mkdir()
        for file in (root / repo_id).iterdir():
            if any(fnmatch(file.name, pattern) for pattern in allow_patterns):
                (cache / file.name).symlink_to(file)
        return str(cache)

    monkeypatch.setitem(
        sys.modules, "huggingface_hub", SimpleNamespace(HfApi=HfApi, snapshot_download=snapshot_download)
    )
    return SimpleNamespace(root=root, made=made)


def test_what_is_pushed_comes_back(place):
    split = cf.split.random(two_tastes(), valid=0.2, seed=0)
    rec = cf.fit(split.train, model="ease", seed=0)
    rec = with_figures(rec, evaluate(rec, split.valid, metrics=["ndcg"]), "a fifth, at random")
    assert hub.push_to_hub(rec, "me/films") == "https://hub.example/me/films/commit/1"
    assert place.made == {"me/films": True}  # private
    (place.root / "me/films" / "evil.py").write_text("raise SystemExit")
    back = hub.from_pretrained("me/films")
    user = rec.data.user_ids.values[0]
    assert back.recommend(user).equals(rec.recommend(user))
    card = (place.root / "me/films/README.md").read_text("utf-8")
    assert f"| ndcg@10 | {rec.figures['value'][0]:.4f} (" in card
    assert "a fifth, at random" in card


def test_a_repository_without_a_whole_model_is_refused(place):
    rec = cf.fit(two_tastes(), model="popular")
    hub.push_to_hub(rec, "me/films", private=False)
    assert place.made == {"me/films": False}
    arrays = place.root / "me/films" / "arrays.safetensors"
    arrays.write_bytes(arrays.read_bytes()[:-1] + b"x")
    with pytest.raises(BundleError):
        hub.from_pretrained("me/films")
    with pytest.raises(ConfigError, match="repository of the Hub"):
        hub.push_to_hub(rec, "a/b/c")


def test_the_package_is_named_where_it_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingExtraError, match="huggingface_hub"):
        hub.from_pretrained("me/films")
