"""Choose a model by training several: comparison, tuning, automatic choice, published protocols."""

from cofactor.selection.compare import compare
from cofactor.selection.comparison import Comparison
from cofactor.selection.reproduce import protocols, reproduce
from cofactor.selection.tune import Tuned, tune

__all__ = ["Comparison", "Tuned", "compare", "protocols", "reproduce", "tune"]
