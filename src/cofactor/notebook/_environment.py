"""The environment of the code: notebook or program, number of processors, folder; contexts, threads, defaults."""

from __future__ import annotations

import functools
import os
import sys
import types
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from cofactor.notebook._fastcore.attributes import GetAttr
from cofactor.notebook._fastcore.lists import L

__all__ = [
    "IN_COLAB",
    "IN_IPYTHON",
    "IN_JUPYTER",
    "IN_NOTEBOOK",
    "ContextManagers",
    "defaults",
    "ignore_exceptions",
    "in_colab",
    "in_ipython",
    "in_jupyter",
    "in_notebook",
    "join_path_file",
    "num_cpus",
    "parallel",
    "pv",
    "replacing_yield",
    "threaded",
    "working_directory",
]


def num_cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class ignore_exceptions:
    """Swallow exceptions inside ``with``."""

    def __enter__(self) -> None: ...

    def __exit__(self, *args: Any) -> bool:
        return True


class ContextManagers(GetAttr):
    """Several context managers as one."""

    def __init__(self, mgrs: Any) -> None:
        self.default, self.stack = L(mgrs), ExitStack()

    def __enter__(self) -> Any:
        self.default.map(self.stack.enter_context)
        return self

    def __exit__(self, *args: Any) -> Any:
        return self.stack.__exit__(*args)


@contextmanager
def replacing_yield(o: Any, attr: str, val: Any) -> Any:
    """Give an attribute another value inside ``with``."""
    old = getattr(o, attr)
    setattr(o, attr, val)
    try:
        yield
    finally:
        setattr(o, attr, old)


@contextmanager
def working_directory(path: Any) -> Any:
    """Change the working directory inside ``with``."""
    before = Path.cwd()
    os.chdir(path)
    try:
        yield
    finally:
        os.chdir(before)


def join_path_file(file: Any, path: Any, ext: str = "") -> Any:
    """Return a path to a file in a folder, with an extension if it has none. The folder is created."""
    if not isinstance(file, (str, Path)):
        return file
    Path(path).mkdir(parents=True, exist_ok=True)
    return Path(path) / f"{file}{ext}"


def parallel(
    f: Any,
    items: Any,
    *args: Any,
    n_workers: int = 0,
    total: Any = None,
    progress: Any = None,
    pause: float = 0,
    **kwargs: Any,
) -> L:
    """Apply ``f`` to every element, one by one."""
    return L(
        [
            f(
                o,
                *args,
                **{k: v for k, v in kwargs.items() if k not in ("threadpool", "method", "chunksize", "timeout")},
            )
            for o in items
        ]
    )


def threaded(f: Any = None, process: bool = False) -> Any:
    """Decorator: run calls in a thread, which is returned."""
    import threading

    if f is None:
        return threaded

    @functools.wraps(f)
    def start(*args: Any, **kwargs: Any) -> Any:
        found = threading.Thread(target=f, args=args, kwargs=kwargs)
        found.start()
        return found

    return start


def in_ipython() -> bool:
    """Return whether IPython runs this."""
    return "IPython" in sys.modules and sys.modules["IPython"].get_ipython() is not None


def in_colab() -> bool:
    return "google.colab" in sys.modules


def in_jupyter() -> bool:
    """Return whether a notebook's kernel runs this."""
    return in_ipython() and type(sys.modules["IPython"].get_ipython()).__name__ == "ZMQInteractiveShell"


in_notebook = in_jupyter
IN_IPYTHON, IN_JUPYTER, IN_COLAB, IN_NOTEBOOK = in_ipython(), in_jupyter(), in_colab(), in_jupyter()
defaults = types.SimpleNamespace(cpus=num_cpus(), use_cuda=None, lr=1e-3, callbacks=[])
"""Default values of the functions here."""


def pv(text: Any, verbose: bool) -> None:
    """Print the text if ``verbose``."""
    if verbose:
        print(text)
