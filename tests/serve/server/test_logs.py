"""Log lines: nothing that a client sends makes two of one, and nobody waits for who does not read them."""

from __future__ import annotations

import json
import logging
import os
import socket
import sys
import threading
import time

import pytest

from cofactor.serve.server.logs import Apart, JsonLines, PlainLines, escaped, log_errors
from serve_tools import client, said, saved, serving, waited

ODD = "a\nERROR: forged\r\x1b[2J\x00\x7f\x85\x9b31m\u2028\u2029\u202e\ud800é"


def record(message, *args, exc_info=None):
    return logging.LogRecord("cofactor.serve", logging.ERROR, "x.py", 1, message, args, exc_info)


@pytest.mark.parametrize("lines", [PlainLines(), JsonLines()], ids=["plain", "json"])
def test_control_characters_are_escaped(lines):
    line = lines.format(record("error %s", ODD))
    assert line.isprintable()
    assert "\\u001b[2J" in line or "\\\\u001b" in line
    assert line.encode()
    for code in [*range(32), *range(0x7F, 0xA0), 0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]:
        assert escaped(chr(code)) == f"\\u{code:04x}"


def test_a_traceback_cannot_look_like_lines_of_ours():
    try:
        raise ValueError(ODD)
    except ValueError:
        line = PlainLines().format(record("error %s", "é", exc_info=sys.exc_info()))
        found = json.loads(JsonLines().format(record("error %s", "é", exc_info=sys.exc_info())))
    first, *rest = line.split("\n")
    assert first == "ERROR: error é"
    assert all(one.startswith("    | ") and one.isprintable() for one in rest)
    assert (found["level"], found["logger"], found["message"]) == ("error", "cofactor.serve", "error é")
    assert "ValueError" in found["traceback"]


def test_a_path_with_new_lines_makes_one_line(tmp_path, capfd):
    logger = logging.getLogger("cofactor.serve")
    before = logger.handlers, logger.propagate
    log_errors(as_json=True)
    logger.handlers[0].setFormatter(PlainLines())
    try:
        with client(saved(tmp_path, "bias"), raises=False) as http:
            http.app.state.live._note("no such file: /x\nERROR: forged")
        logger.handlers[0].flush()
    finally:
        logger.handlers, logger.propagate = before
    assert "ERROR: no such file: /x\\u000aERROR: forged\n" in capfd.readouterr().err


def test_lines_wait_and_what_is_too_much_is_counted():
    reading, writing = os.pipe()
    os.set_blocking(writing, True)
    with open(writing, "w") as stream:
        handler = Apart(stream, PlainLines(), most=50)
        begun = time.perf_counter()
        for k in range(20_000):
            handler.handle(record("line %d of some length", k))
        assert time.perf_counter() - begun < 20  # it would wait for ever
        lines = []

        def read():
            with open(reading) as found:
                lines.extend(found)

        thread = threading.Thread(target=read)
        thread.start()
        handler.flush()
        handler.handle(record("the last"))
        handler.flush()
    thread.join(10)
    kept = [line for line in lines if line.startswith("ERROR: line")]
    dropped = [line for line in lines if "dropped" in line]
    assert lines[-1] == "ERROR: the last\n"
    assert sum(int(line.split()[1].replace(",", "")) for line in dropped) == 20_000 - len(kept)


def test_a_reader_that_goes_away_ends_nothing():
    reading, writing = os.pipe()
    os.close(reading)
    stream = open(writing, "w")  # noqa: SIM115
    handler = Apart(stream, PlainLines())
    handler.handle(record("nobody reads this"))
    handler.flush()
    waited(lambda: handler._dropped == 1, 5)
    handler.handle(record("nor this"))
    handler.flush()
    assert handler._dropped >= 2


def test_the_event_loop_does_not_wait_for_who_reads_the_access_log(tmp_path):
    """A pipe that nobody reads holds 64 KB; here come 200 KB of lines."""
    reading, writing = os.pipe()
    logger = logging.getLogger("cofactor.access")
    handler = Apart(os.fdopen(writing, "w"), logging.Formatter("%(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        with serving(saved(tmp_path, "bias"), access_log=True) as (port, _):
            ask = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
            with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
                for _ in range(1000):
                    sock.sendall(ask)
                    assert sock.recv(4096)
            assert said(port, ask)[0] == 200
    finally:
        logger.removeHandler(handler)
        logger.propagate = True
        os.close(reading)
