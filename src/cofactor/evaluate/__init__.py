"""How good a model is: metrics, evaluation with confidence intervals, comparison, tuning, automatic choice.

The package can be called: ``cofactor.evaluate(model, test)`` is its function ``evaluate``.
"""

from __future__ import annotations

import sys

from cofactor._callable import CallableModule
from cofactor.evaluate.compare import compare
from cofactor.evaluate.comparison import Comparison
from cofactor.evaluate.evaluate import calibration, evaluate
from cofactor.evaluate.reproduce import protocols, reproduce
from cofactor.evaluate.rows import LeakWarning
from cofactor.evaluate.tune import Tuned, tune

__all__ = ["Comparison", "LeakWarning", "Tuned", "calibration", "compare", "evaluate", "protocols", "reproduce", "tune"]

sys.modules[__name__].__class__ = CallableModule
