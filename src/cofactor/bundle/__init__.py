"""Trained models on disk. The format is described in ``docs/bundle.md``."""

from cofactor.bundle.manifest import MIGRATIONS
from cofactor.bundle.saving import check_writable, save
from cofactor.bundle.shards import info, load

__all__ = ["MIGRATIONS", "check_writable", "info", "load", "save"]
