"""Packages that can be called: ``cofactor.models()`` and ``cofactor.evaluate(...)`` are also the folders' names.

Python sets ``cofactor.models`` to the package once anything in it is imported, over any function of that name. Such a
package therefore takes this class, and a call goes to the function inside it that has the package's own name.
"""

from __future__ import annotations

import types
from typing import Any


class CallableModule(types.ModuleType):
    """A module whose call is the call of its namesake function."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return getattr(self, self.__name__.rpartition(".")[2])(*args, **kwargs)
