"""``cf.check``: a table looked over before training."""

from __future__ import annotations

from typing import Any

from cofactor.data import doctor
from cofactor.fitting.estimate import forecast


def check(source: Any, *, valid: Any = None, **options: Any) -> doctor.Report:
    """Look a table over: :class:`~cofactor.data.doctor.Report`, with what each model would cost.

    ``source``: whatever :func:`cofactor.read` takes (``options`` are its own), or Interactions. Rows that ``read``
    would refuse become findings, and the rest is examined without them. ``valid``: a second part, held against
    ``source`` for leaks. Raises DataError only where there is no table to look at: no such file or column, no rows.
    """
    return doctor.check(source, valid=valid, estimate=forecast, **options)
