"""``cf.check``: examine a table before training."""

from __future__ import annotations

from typing import Any

from cofactor.data.doctor import doctor
from cofactor.fitting.estimate import forecast


def check(source: Any, *, valid: Any = None, **options: Any) -> doctor.Report:
    """Check a table before training: the data doctor.

    Rows that :func:`cofactor.read` would refuse become findings, and the other rows are examined.

    Args:
        source: whatever :func:`cofactor.read` takes, or Interactions.
        valid: a second table, which is compared with ``source`` to find leaks.
        options: those of :func:`cofactor.read`.

    Returns:
        A :class:`~cofactor.data.doctor.doctor.Report`: the findings, and the cost of each model.

    Raises:
        DataError: there is no table to examine: no such file or column, no rows.
    """
    return doctor.check(source, valid=valid, estimate=forecast, **options)
