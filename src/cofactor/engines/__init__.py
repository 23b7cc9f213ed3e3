"""Distribute work over processes or machines: training in blocks of rows, evaluation, and lists for all users.

``fit`` trains on :func:`processes` of one machine or on the workers of a :func:`spark` session, bit for bit like
:func:`cofactor.fit`; ``evaluate`` and ``recommend_all`` share the work of evaluation and of lists for all users; on
Spark, ``recommend`` makes the lists on the workers that hold the ratings. See ``docs/clusters.md``.
"""

from cofactor.engines.evaluation import evaluate, recommend_all
from cofactor.engines.executors import Executor, processes, spark
from cofactor.engines.lists import recommend
from cofactor.engines.training import MODELS, fit

__all__ = ["MODELS", "Executor", "evaluate", "fit", "processes", "recommend", "recommend_all", "spark"]
