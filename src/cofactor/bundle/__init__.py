"""Trained models on disk. The format is described in ``docs/bundle.md``."""

from cofactor.bundle.bundle import MIGRATIONS, check_writable, info, load, save

__all__ = ["MIGRATIONS", "check_writable", "info", "load", "save"]
