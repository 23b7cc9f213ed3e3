"""Feedback on long work: a progress bar on a terminal, and a message before compiling."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Step = Callable[[str, float], None]
"""``step(what, done)``: the current work, and the number of units just finished."""


def say(text: str, error: bool = False) -> None:
    """Log a line to the logger ``cofactor`` where it has a handler; otherwise print it.

    It is printed to standard output, or to standard error if ``error``.
    """
    log = logging.getLogger("cofactor")
    if log.handlers:
        log.info(text)
    else:
        print(text, file=sys.stderr if error else sys.stdout, flush=True)


@contextmanager
def progress(title: str, total: float | None, quiet: bool | None = None) -> Iterator[Step]:
    """Show a progress bar on standard error. ``quiet`` None: only on a terminal (rich is imported only there)."""
    if sys.stderr is None or not sys.stderr.isatty() if quiet is None else quiet:
        yield lambda what, done: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TextColumn("{task.fields[what]}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=total, what="")
        yield lambda what, done: bar.update(task, advance=done, what=what)


@contextmanager
def compiling_announced(tell: Callable[[str], None]) -> Iterator[None]:
    """Tell the user once when numba compiles. Without it the first run, with an empty cache, looks like a hang."""
    from numba.core import event

    class Once(event.Listener):
        said = False

        def on_start(self, event: object) -> None:
            if not self.said:
                self.said = True
                tell("compiling kernels: takes a few seconds, only at the first use of a model ...")

        def on_end(self, event: object) -> None: ...

    with event.install_listener("numba:compile", Once()):
        yield
