"""``cofactor serve`` as a person runs it: a real process, a real socket."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

from cofactor.errors import MissingExtraError
from cofactor.serve import Settings, create_app
from serve_tools import TOKEN, saved

NO_TOKEN = {k: v for k, v in os.environ.items() if k != "COFACTOR_TOKEN"}


def serve(*args, **environment):
    command = [sys.executable, "-m", "cofactor", "serve", *map(str, args)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, env=NO_TOKEN | environment, **pipes)


def address(process):
    """Where it says that it serves."""
    for line in process.stdout:
        if found := re.search(r"at (http://\S+)", line):
            return found[1]
    raise AssertionError(process.stderr.read())


def ended(process, how):
    process.send_signal(how)
    output = process.communicate(timeout=60)
    return process.returncode, *output


def get(url, body=None, **headers):
    data = None if body is None else json.dumps(body).encode()
    asked = urllib.request.Request(url, data, {"content-type": "application/json"} | headers)
    with urllib.request.urlopen(asked, timeout=60) as answer:
        return json.load(answer)


@pytest.mark.parametrize("how", [pytest.param(signal.SIGINT, marks=pytest.mark.slow), signal.SIGTERM])
def test_it_serves_until_a_signal_ends_it(tmp_path, how):
    process = serve(saved(tmp_path, "bias"), "--port", 0)
    url = address(process)
    assert get(f"{url}/v1/recommend?user=5&n=3")["recommendations"][0]["rank"] == 1
    assert get(f"{url}/v1/events", {"events": [{"user": 5, "item": 101, "rating": 3}]})["accepted"] == 1
    code, _, err = ended(process, how)
    assert code == (0 if how == signal.SIGINT else -signal.SIGTERM)
    assert "Traceback" not in err
    assert (tmp_path / "m.cofactor.state" / "events.sqlite").exists()


def test_a_read_only_server_writes_nothing(tmp_path):
    process = serve(saved(tmp_path, "bias"), "--port", 0, "--read-only")
    assert get(f"{address(process)}/v1/info")["read_only"] is True
    ended(process, signal.SIGINT)
    assert [p.name for p in tmp_path.iterdir()] == ["m.cofactor"]


def test_a_token_from_the_environment(tmp_path):
    process = serve(saved(tmp_path, "bias"), "--port", 0, "--host", "0.0.0.0", COFACTOR_TOKEN=TOKEN)
    url = address(process).replace("0.0.0.0", "127.0.0.1")
    with pytest.raises(urllib.error.HTTPError) as refused:
        get(f"{url}/v1/info")
    assert refused.value.code == 401
    refused.value.close()
    assert get(f"{url}/v1/info", Authorization=f"Bearer {TOKEN}")["model"] == "bias"
    _, out, err = ended(process, signal.SIGINT)
    assert TOKEN not in out + err


def test_what_cannot_be_served_ends_in_one_line(tmp_path, typed, monkeypatch):
    monkeypatch.delenv("COFACTOR_TOKEN", raising=False)
    bundle = saved(tmp_path, "bias")
    (tmp_path / "text").write_text("no model")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for args, words in (
            ((bundle, "--port", port), "give another --port"),
            ((tmp_path / "none", "--port", 0), "cannot open"),
            ((tmp_path / "text", "--port", 0), "is a file"),
            ((bundle, "--host", "0.0.0.0", "--port", 0), "COFACTOR_TOKEN"),
            ((bundle, "--port", "70000"), "65535"),
            ((bundle, "--state", tmp_path / "text", "--port", 0), "as a state"),
        ):
            code, _, err = typed("serve", *args)
            assert code == 2, args
            assert words in err
            assert len(err.strip().splitlines()) == 1, err
    assert sorted(p.name for p in tmp_path.iterdir()) in (
        ["m.cofactor", "text"],
        ["m.cofactor", "m.cofactor.state", "text"],
    )


def test_without_the_extra_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(
        MissingExtraError, match=r"needs FastAPI and uvicorn; install it with: pip install 'cofactor\[serve\]'"
    ):
        create_app(Settings(tmp_path / "m"))


@pytest.mark.slow
def test_the_demo_serves_its_bundle_when_asked(tmp_path):
    """It prints the address, answers with figures and lists, and ends with Ctrl-C."""
    command = [sys.executable, "-m", "cofactor", "demo", "--serve", "--port", "0"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, env=NO_TOKEN, cwd=tmp_path, **pipes)
    url = address(process)
    history = [{"item": "The Godfather (1972)", "rating": 10}]
    found = get(f"{url}/v1/recommend", {"history": history, "n": 10})["recommendations"]
    assert len(found) == 10
    assert "The Godfather (1972)" in found[0]["reason"]
    assert {f["rows"] for f in get(f"{url}/v1/info")["figures"]} == {"the last fifth of the demo, by time"}
    with urllib.request.urlopen(url + "/", timeout=60) as page:
        assert b"explorer.js" in page.read()
    code, _, err = ended(process, signal.SIGINT)
    assert code == 0
    assert "Traceback" not in err
    assert (tmp_path / "demo.cofactor").is_dir()
