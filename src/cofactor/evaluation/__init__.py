"""Evaluation without training: metrics, figures with confidence intervals, differences between models."""

from cofactor.evaluation.evaluate import calibration, evaluate
from cofactor.evaluation.figures import with_figures
from cofactor.evaluation.held_out import LeakWarning, RelevanceWarning
from cofactor.evaluation.metric_names import CustomMetric
from cofactor.evaluation.paired import Difference, paired_difference

__all__ = [
    "CustomMetric",
    "Difference",
    "LeakWarning",
    "RelevanceWarning",
    "calibration",
    "evaluate",
    "paired_difference",
    "with_figures",
]
