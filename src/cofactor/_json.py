"""Conversion of values to types that JSON has."""

from __future__ import annotations

from typing import Any

import numpy as np


def to_jsonable(value: Any) -> Any:
    """Convert a value to dicts with text keys, lists, texts and numbers.

    Numbers that are not finite become None. A value of a type that JSON lacks, such as a date, becomes text.
    """
    if isinstance(value, dict):
        return {str(k): to_jsonable(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_jsonable(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else None
    if isinstance(value, (str, int, bool)) or value is None:
        return value
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
