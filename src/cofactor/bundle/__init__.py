"""Trained models on disk. The format is described in ``docs/bundle.md``."""

from cofactor.bundle.loading import info, load
from cofactor.bundle.manifest import MIGRATIONS
from cofactor.bundle.saving import check_writable, save

__all__ = ["MIGRATIONS", "check_writable", "info", "load", "save"]
