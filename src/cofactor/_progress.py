"""What a person sees of long work: a progress bar on a terminal, silence elsewhere; a word before compiling."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Step = Callable[[str, float], None]
"""``step(what, done)``: what is under way, and how many units were just finished."""


def say(text: str, error: bool = False) -> None:
    """A line about the work: a record of the logger ``cofactor`` where that has a handler, printed otherwise.

    Printed on standard output, or on standard error if ``error``.
    """
    log = logging.getLogger("cofactor")
    if log.handlers:
        log.info(text)
    else:
        print(text, file=sys.stderr if error else sys.stdout, flush=True)


@contextmanager
def progress(title: str, total: float | None, quiet: bool | None = None) -> Iterator[Step]:
    """A bar on standard error. ``quiet`` None: only where that is a terminal (and rich is imported only there)."""
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
    """Say once that numba is compiling, where it has to. Without it a first run, with an empty cache, looks like a
    hang."""
    from numba.core import event

    class Once(event.Listener):
        said = False

        def on_start(self, event: object) -> None:
            if not self.said:
                self.said = True
                tell("compiling kernels: a few seconds, only the first time that a model is used ...")

        def on_end(self, event: object) -> None: ...

    with event.install_listener("numba:compile", Once()):
        yield
