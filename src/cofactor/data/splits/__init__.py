"""Functions that split a table into a training part and a validation part, public as ``cofactor.split``.

Both parts share the id maps of the whole table, so a code means the same user or item in each. Rows keep their order.
"""

from cofactor.data.splits.at_random import by_user, kfold, random
from cofactor.data.splits.by_name import auto
from cofactor.data.splits.by_time import leave_last, rolling, temporal
from cofactor.data.splits.made_elsewhere import given

__all__ = ["auto", "by_user", "given", "kfold", "leave_last", "random", "rolling", "temporal"]


def __dir__() -> list[str]:
    return __all__
