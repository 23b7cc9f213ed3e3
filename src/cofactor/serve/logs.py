"""Log lines of a server: one line each whatever is in them, and written apart, so that nobody waits for a pipe or disk.

What a request says gets into error lines (a path, an id, the words of an error), so control characters are escaped: a
line that a client made up could otherwise look like one of ours, or speak to a terminal.
"""

from __future__ import annotations

import json
import logging
import queue
import re
import sys
import threading
import time
from typing import TextIO

LINES = 10_000
"""Lines that may wait to be written; more are counted and dropped."""
_AT_ONCE = 2048
"""Characters of one write, or a line more: a pipe takes 4,096 bytes in one piece, also from several processes."""
_PATIENCE = 2.0
"""Seconds that an end waits for lines that are not written yet."""
_ODD = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Controls of ASCII and of Latin-1, ends of lines and of paragraphs, directions of writing, halves of pairs."""


def escaped(text: str) -> str:
    """A text in one line: control characters as Python and JSON write them."""
    return _ODD.sub(lambda found: f"\\u{ord(found[0]):04x}", text) if _ODD.search(text) else text


class PlainLines(logging.Formatter):
    """A log record as one line; the lines of a traceback follow, each behind a bar."""

    def format(self, record: logging.LogRecord) -> str:
        """``ERROR: what happened``."""
        line = f"{record.levelname}: {escaped(record.getMessage())}"
        if record.exc_info:
            more = self.formatException(record.exc_info).split("\n")
            line += "".join(f"\n    | {escaped(one)}" for one in more)
        return line


class JsonLines(logging.Formatter):
    """A log record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """With the traceback as one text, where there is one."""
        line = {
            "time": round(record.created, 3), "level": record.levelname.lower(), "logger": record.name,
            "message": record.getMessage(), "process": record.process,
        }  # fmt: skip
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return escaped(json.dumps(line, ensure_ascii=False))


class Apart(logging.Handler):
    """Writes lines in a thread of its own, which alone waits where nobody reads them. At most ``most`` wait; what was
    dropped is counted, and said when there is room again."""

    def __init__(self, stream: TextIO, lines: logging.Formatter, most: int = LINES) -> None:
        super().__init__()
        self.setFormatter(lines)
        self.stream, self.most = stream, most
        self._dropped, self._counting = 0, threading.Lock()
        self._waiting: queue.SimpleQueue[str | threading.Event] = queue.SimpleQueue()
        threading.Thread(target=self._write, name="cofactor-log", daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        """Take a line, unless too many wait."""
        if self._waiting.qsize() >= self.most:
            self._drop(1)
        else:
            self._waiting.put(self.format(record))

    def flush(self) -> None:
        """Wait a little until what came so far is written."""
        written = threading.Event()
        self._waiting.put(written)
        written.wait(_PATIENCE)

    def _drop(self, lines: int) -> None:
        with self._counting:
            self._dropped += lines

    def _write(self) -> None:
        while True:
            lines, flushed = self._next()
            with self._counting:
                lost, self._dropped = self._dropped, 0
            if lost:
                lines.append(self._said(lost))
            try:
                self.stream.write("".join(f"{line}\n" for line in lines))
                self.stream.flush()
            except (OSError, ValueError):  # nobody reads any more, the disk is full
                self._drop(lost + len(lines) - bool(lost))
            for one in flushed:
                one.set()

    def _next(self) -> tuple[list[str], list[threading.Event]]:
        """The lines of one write, and who waits for it."""
        lines: list[str] = []
        flushed: list[threading.Event] = []
        size = 0
        while not (lines or flushed) or (size < _AT_ONCE and not self._waiting.empty()):
            one = self._waiting.get()
            if isinstance(one, threading.Event):
                flushed.append(one)
            else:
                lines.append(one)
                size += len(one)
        return lines, flushed

    def _said(self, lost: int) -> str:
        words = f"{lost:,} lines of this log were dropped: they came faster than they could be written"
        if isinstance(self.formatter, (PlainLines, JsonLines)):
            return self.format(logging.LogRecord("cofactor.serve", logging.WARNING, "", 0, words, (), None))
        return json.dumps({"time": round(time.time(), 3), "dropped": lost, "message": words})


def log_requests() -> None:
    """Access lines as they are, one JSON object each, to the standard output."""
    logger = logging.getLogger("cofactor.access")
    if not logger.handlers:
        logger.addHandler(Apart(sys.stdout, logging.Formatter("%(message)s")))
        logger.setLevel(logging.INFO)
        logger.propagate = False


def log_errors(*, as_json: bool) -> None:
    """All other lines of the server to the standard error output, unless the program that runs it has handlers."""
    loggers = [logging.getLogger(name) for name in ("cofactor.serve", "uvicorn")]
    if not as_json and any(logger.hasHandlers() for logger in loggers):
        return
    handler = Apart(sys.stderr, JsonLines() if as_json else PlainLines())
    for logger in loggers:
        logger.handlers, logger.propagate = [handler], False
