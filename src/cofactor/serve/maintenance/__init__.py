"""Maintenance of a state, for ``cofactor state``: check, repair, back up, restore, export, expire."""

from cofactor.serve.maintenance.check import Report, check
from cofactor.serve.maintenance.copies import copy, restore
from cofactor.serve.maintenance.ratings import expire, export
from cofactor.serve.maintenance.repair import Repaired, repair

__all__ = ["Repaired", "Report", "check", "copy", "expire", "export", "repair", "restore"]
