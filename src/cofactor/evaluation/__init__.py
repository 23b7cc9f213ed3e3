"""How good a model is, without training any: metrics, evaluation with confidence intervals, differences of models."""

from cofactor.evaluation.evaluate import calibration, evaluate
from cofactor.evaluation.held_out import LeakWarning

__all__ = ["LeakWarning", "calibration", "evaluate"]
