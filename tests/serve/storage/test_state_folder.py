"""The marker of a state: how far the store got, written in place by every thread that writes."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

from cofactor.serve.storage.state_folder import MARKER, StateFolder


def opened(path):
    folder = StateFolder(path)
    folder.open()
    folder.mark({"store": "sqlite", "id": "a", "open": True, "events": 0})
    return folder


def test_threads_that_advance_at_once_leave_one_record(tmp_path):
    folder = opened(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: folder.advance(events=n), range(1, 4000)))
    content = (tmp_path / MARKER).read_bytes()
    assert content.count(b"\n") == 1
    assert json.loads(content)["events"] == folder.facts["events"] > 0
    folder.close()


def test_what_stands_after_the_record_is_not_read(tmp_path):
    folder = opened(tmp_path)
    folder.advance(events=7)
    record = (tmp_path / MARKER).read_bytes()
    folder.close()
    (tmp_path / MARKER).write_bytes(record + record.replace(b"7", b"5"))
    again = StateFolder(tmp_path)
    again._read_marker(damaged=False)
    assert again.facts["events"] == 7
