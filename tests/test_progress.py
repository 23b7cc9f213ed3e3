"""What is shown of long work, and what is not imported for it."""

from __future__ import annotations

import io
import logging
import subprocess
import sys

import pytest
from tests.toys import random_ratings

import cofactor as cf
from cofactor._progress import progress

SILENT = """
import sys
from cofactor._progress import progress
with progress("work", 3) as step:
    step("some", 1)
print("rich" in sys.modules)
"""


def test_off_a_terminal_nothing_is_shown_or_imported() -> None:
    done = subprocess.run([sys.executable, "-c", SILENT], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("False\n", "")


@pytest.mark.parametrize(("quiet", "shown"), [(None, True), (False, True), (True, False)])
def test_on_a_terminal_there_is_a_bar(quiet: bool | None, shown: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress("some work", 3, quiet) as step:
        step("part of it", 1)
    assert ("some work" in terminal.getvalue()) == shown


def test_lines_go_to_the_logger_where_it_has_a_handler(capsys: pytest.CaptureFixture[str]) -> None:
    ratings = random_ratings()
    cf.fit(ratings, "dot-bias", epochs=2, verbose=True)
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in printed] == ["epoch", "0", "1"]
    log, kept = logging.getLogger("cofactor"), io.StringIO()
    handler, level = logging.StreamHandler(kept), log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        cf.fit(ratings, "dot-bias", epochs=2, verbose=True)
    finally:
        log.removeHandler(handler)
        log.setLevel(level)
    assert [line.split()[0] for line in kept.getvalue().splitlines()] == ["epoch", "0", "1"]
    assert capsys.readouterr() == ("", "")
