"""A copy of a state whose versions change while it is made."""

from __future__ import annotations

import pytest

from cofactor.errors import BundleError
from cofactor.serve import Settings, maintenance
from cofactor.serve.live.live import Live
from cofactor.serve.maintenance import copies
from cofactor.serve.storage.rows import Event
from serve_tools import saved, waited


@pytest.fixture
def live(tmp_path):
    found = Live(Settings(saved(tmp_path), state=tmp_path / "state", watch=False, keep=2))
    found.open()
    found.tell([Event(5, 101, 2.0, 1), Event(999, 102, 4.0, 1)])
    yield found
    found.close()


@pytest.mark.parametrize("change", ["erase", "swap"])
def test_a_backup_is_of_one_moment_whatever_goes_on(live, tmp_path, monkeypatch, change):
    """The rows are those of a moment, and a version of then may be gone when its files are copied."""
    real, changes = copies._copy_version, []

    def copied(*args):
        if not changes:
            changes.append(live.erase(5) if change == "erase" else [live.reload() for _ in range(3)])
        real(*args)

    monkeypatch.setattr(copies, "_copy_version", copied)
    report = maintenance.copy(tmp_path / "state", tmp_path / "backup")
    assert changes
    assert report.wrong == []
    assert report.versions == ([1] if change == "erase" else [3, 4])
    assert report.events == live.store.count()


def test_the_version_of_an_experiment_is_copied_too(live, tmp_path):
    live.begin_experiment(None, saved(tmp_path, "popular", "p.cofactor"), 0.5, "ab")
    assert maintenance.copy(tmp_path / "state", tmp_path / "backup").wrong == []
    again = Live(Settings(tmp_path / "m.cofactor", state=tmp_path / "backup", watch=False))
    again.open()
    waited(lambda: again.second is not None and again.second.served.rec.name == "popular")
    again.close()


def test_a_version_that_is_damaged_is_not_copied(live, tmp_path):
    file = next((tmp_path / "state" / "versions").rglob("*.safetensors"))
    file.write_bytes(file.read_bytes()[:-8] + b"\xff" * 8)
    with pytest.raises(BundleError):
        maintenance.copy(tmp_path / "state", tmp_path / "backup")
    assert not (tmp_path / "backup").exists()
