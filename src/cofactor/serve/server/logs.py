"""Log lines of a server. Each record is one line, and a separate thread writes it, so that requests never wait for a
pipe or a disk.

Error lines contain text from requests (a path, an id, an error message). Control characters in it are escaped, since
a client could otherwise forge log lines or send control sequences to a terminal.
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
"""Most lines waiting to be written; further ones are counted and dropped."""
_AT_ONCE = 2048
"""Characters per write (plus at most one line). A pipe writes 4,096 bytes atomically, even with several processes."""
_PATIENCE = 2.0
"""Seconds that ``flush`` waits for lines that are not yet written."""
_ODD = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters of ASCII and Latin-1, line and paragraph separators, writing directions, surrogates."""


def escaped(text: str) -> str:
    r"""Return a text in one line, with control characters escaped as ``\uXXXX``."""
    return _ODD.sub(lambda found: f"\\u{ord(found[0]):04x}", text) if _ODD.search(text) else text


class PlainLines(logging.Formatter):
    """Formats a log record as one line, followed by the lines of a traceback, each behind a bar."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as ``ERROR: message``."""
        line = f"{record.levelname}: {escaped(record.getMessage())}"
        if record.exc_info:
            more = self.formatException(record.exc_info).split("\n")
            line += "".join(f"\n    | {escaped(one)}" for one in more)
        return line


class JsonLines(logging.Formatter):
    """Formats a log record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as JSON, with a traceback as one text."""
        line = {
            "time": round(record.created, 3), "level": record.levelname.lower(), "logger": record.name,
            "message": record.getMessage(), "process": record.process,
        }  # fmt: skip
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return escaped(json.dumps(line, ensure_ascii=False))


class Apart(logging.Handler):
    """A handler that writes lines in its own thread, so that only this thread waits for a slow reader.

    At most ``most`` lines wait. Dropped lines are counted and reported when there is room again.
    """

    def __init__(self, stream: TextIO, lines: logging.Formatter, most: int = LINES) -> None:
        super().__init__()
        self.setFormatter(lines)
        self.stream, self.most = stream, most
        self._dropped, self._counting = 0, threading.Lock()
        self._waiting: queue.SimpleQueue[str | threading.Event] = queue.SimpleQueue()
        threading.Thread(target=self._write, name="cofactor-log", daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        """Queue a line, or drop it where too many wait."""
        if self._waiting.qsize() >= self.most:
            self._drop(1)
        else:
            self._waiting.put(self.format(record))

    def flush(self) -> None:
        """Wait up to two seconds until all earlier lines are written."""
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
            except (OSError, ValueError):  # a closed pipe, or a full disk
                self._drop(lost + len(lines) - bool(lost))
            for one in flushed:
                one.set()

    def _next(self) -> tuple[list[str], list[threading.Event]]:
        """Return (the lines of one write, the events of those who wait for it)."""
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
        words = f"{lost:,} log lines were dropped: they came faster than they could be written"
        if isinstance(self.formatter, (PlainLines, JsonLines)):
            return self.format(logging.LogRecord("cofactor.serve", logging.WARNING, "", 0, words, (), None))
        return json.dumps({"time": round(time.time(), 3), "dropped": lost, "message": words})


def log_requests() -> None:
    """Write access lines, one JSON object each, to standard output."""
    logger = logging.getLogger("cofactor.access")
    if not logger.handlers:
        logger.addHandler(Apart(sys.stdout, logging.Formatter("%(message)s")))
        logger.setLevel(logging.INFO)
        logger.propagate = False


def log_errors(*, as_json: bool) -> None:
    """Write all other lines of the server to standard error, unless the embedding program has handlers."""
    loggers = [logging.getLogger(name) for name in ("cofactor.serve", "uvicorn")]
    if not as_json and any(logger.hasHandlers() for logger in loggers):
        return
    handler = Apart(sys.stderr, JsonLines() if as_json else PlainLines())
    for logger in loggers:
        logger.handlers, logger.propagate = [handler], False
