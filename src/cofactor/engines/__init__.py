"""Work on several processes or machines: training in blocks of rows, and lists for everybody.

``fit`` trains on :func:`processes` of one machine or on the workers of a :func:`spark` session, with the bits of
:func:`cofactor.fit`; ``evaluate`` and ``recommend_all`` share the work of evaluation and of lists for all users; on
Spark ``recommend`` makes lists where the ratings are. See ``docs/clusters.md``.
"""

from cofactor.engines.evaluation import evaluate, recommend_all
from cofactor.engines.executors import Executor, processes, spark
from cofactor.engines.lists import recommend
from cofactor.engines.training import MODELS, fit

__all__ = ["MODELS", "Executor", "evaluate", "fit", "processes", "recommend", "recommend_all", "spark"]
