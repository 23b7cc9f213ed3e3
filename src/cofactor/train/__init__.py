"""Training: the Learner, schedules, callbacks, the learning-rate finder."""

from cofactor.train.callbacks import Callback, CSVLog, EarlyStopping, PrintTable, SaveBest
from cofactor.train.learner import Learner
from cofactor.train.recorder import Recorder
from cofactor.train.schedules import Plan, flat_plan, one_cycle_plan

__all__ = [
    "CSVLog",
    "Callback",
    "EarlyStopping",
    "Learner",
    "Plan",
    "PrintTable",
    "Recorder",
    "SaveBest",
    "flat_plan",
    "one_cycle_plan",
]
