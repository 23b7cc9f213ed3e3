"""How good a model is: metrics, evaluation with confidence intervals, comparison, tuning, automatic choice.

The package can be called: ``cofactor.evaluate(model, test)`` is ``cofactor.evaluate.evaluate(model, test)``,
so that the public name works whether or not the package itself was imported.
"""

from __future__ import annotations

import sys
import types
from typing import Any

import polars as pl

from cofactor.evaluate.evaluate import calibration, evaluate
from cofactor.evaluate.rows import LeakWarning

__all__ = ["LeakWarning", "calibration", "evaluate"]


class _Callable(types.ModuleType):
    def __call__(self, *args: Any, **kwargs: Any) -> pl.DataFrame:
        return evaluate(*args, **kwargs)


sys.modules[__name__].__class__ = _Callable
