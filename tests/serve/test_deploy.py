"""The files in ``deploy/``: their commands are ones that the program has, and what can run here does."""

from __future__ import annotations

import contextlib
import http.client
import inspect
import json
import logging
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import pytest

import cofactor as cf
from cofactor.cli import serve
from serve_tools import TOKEN, ratings, saved, serving, waited

DEPLOY = Path(__file__).parents[2] / "deploy"
DOCS = Path(__file__).parents[2] / "docs"
pytestmark = pytest.mark.skipif(not DEPLOY.is_dir(), reason="deploy/ is not part of this installation")


def options():
    """The options of ``cofactor serve``."""
    found = set()
    for parameter in inspect.signature(serve.command).parameters.values():
        for name in getattr(parameter.default, "param_decls", None) or ():
            found.update(name.split("/"))
    return found


@pytest.mark.parametrize("name", ["Dockerfile", "compose.yaml", "cofactor.service", "kubernetes.yaml"])
def test_the_options_in_a_file_are_those_of_the_program(name):
    lines = (DEPLOY / name).read_text(encoding="utf-8").splitlines()
    text = "\n".join(line for line in lines if "HEALTHCHECK" not in line and not line.startswith("#"))
    if name == "Dockerfile":
        text = text[text.index("ENTRYPOINT") :]
    used = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text))
    assert used
    assert used <= options()


def test_the_commands_in_the_page_are_those_of_the_program():
    text = (DOCS / "production.md").read_text(encoding="utf-8")
    used = {o for line in re.findall(r"cofactor serve[^`\n]*", text) for o in re.findall(r"--[a-z-]+", line)}
    assert used <= options()
    from cofactor.cli import state

    commands = {c.name for c in state.app.registered_commands}
    named = set(re.findall(r"cofactor state ([a-z]+)", text + (DOCS / "serving.md").read_text(encoding="utf-8")))
    assert named <= commands
    assert {p.name for p in DEPLOY.iterdir()} <= set(re.findall(r"`([\w.]+)`", text))


@pytest.mark.skipif(os.name != "posix", reason="a shell script")
def test_the_script_that_retrains_writes_a_bundle(tmp_path):
    frame = ratings().to_frame()
    frame.write_csv(tmp_path / "films.csv")
    program = tmp_path / "cofactor"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m cofactor "$@"\n')
    program.chmod(0o755)
    told = {"TABLE": str(tmp_path / "films.csv"), "MODEL": str(tmp_path / "m.cofactor"), "COFACTOR": str(program)}
    subprocess.run([DEPLOY / "retrain.sh"], env=os.environ | told | {"KIND": "bias"}, check=True, timeout=120)
    assert cf.load(tmp_path / "m.cofactor").name == "bias"
    failed = subprocess.run([DEPLOY / "retrain.sh"], env={"PATH": os.environ["PATH"]}, capture_output=True, timeout=30)
    assert failed.returncode != 0


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
def test_the_unit_is_one(tmp_path):
    unit = tmp_path / "cofactor.service"
    text = (DEPLOY / "cofactor.service").read_text(encoding="utf-8")
    unit.write_text(re.sub(r"ExecStart=\S+", f"ExecStart={sys.executable}", text).replace("User=cofactor\n", ""))
    found = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, timeout=60)
    said = [line for line in found.stderr.splitlines() if "cofactor.service" in line]
    assert not said


def test_the_settings_of_the_containers_fit_together():
    """What a container is told, mounts and answers; the same ports, folders and secrets on both sides."""
    yaml = pytest.importorskip("yaml")
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    server = compose["services"]["server"]
    mounted = {one.split(":")[1] for one in server["volumes"]}
    told = dict(one.removeprefix("--").partition("=")[::2] for one in server["command"][1:])
    assert {told["versions"], told["tokens"], str(Path(server["command"][0]).parent)} == mounted
    assert (DEPLOY / server["build"]["dockerfile"].removeprefix("deploy/")).is_file()
    made = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    assert f"mkdir -m 700 {Path(told['versions']).name}" in made  # else a volume there belongs to root
    user = re.search(r"--uid (\d+)", made)[1]
    named = {one.split(":")[0] for one in server["volumes"] if not one.startswith(".")}
    assert named | {"database"} == set(compose["volumes"])

    deployment, service = yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text(encoding="utf-8"))
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    told = dict(one.removeprefix("--").partition("=")[::2] for one in container["args"][1:])
    mounts = {one["mountPath"]: one["name"] for one in container["volumeMounts"]}
    assert set(mounts.values()) == {one["name"] for one in pod["volumes"]}
    for place in (container["args"][0], told["versions"], told["tokens"]):
        assert any(place.startswith(f"{mount}/") for mount in mounts), place
    ports = {one["containerPort"] for one in container["ports"]}
    probes = [container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "readiness", "liveness")]
    assert {probe["port"] for probe in probes} | {int(told["management-port"])} == ports
    assert {probe["path"] for probe in probes} == {"/health", "/ready"}
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"] == labels == deployment["spec"]["selector"]["matchLabels"]
    assert {one["targetPort"] for one in service["spec"]["ports"]} <= ports - {int(told["management-port"])}
    assert pod["securityContext"]["runAsUser"] == int(user)


NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


@pytest.mark.skipif(not NGINX or not shutil.which("openssl"), reason="nginx or openssl is not installed")
def test_a_server_behind_the_proxy(tmp_path):
    """TLS ends in nginx; a page of the same name may write, and what a client says of its address is not believed."""
    free = socket.create_server(("127.0.0.1", 0))
    port = free.getsockname()[1]
    free.close()
    name = "recommend.example"
    key, certificate = tmp_path / "key", tmp_path / "pem"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}"]
    subprocess.run([*made, "-keyout", key, "-out", certificate], check=True, capture_output=True, timeout=60)
    lines = []
    access = logging.getLogger("cofactor.access")
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(json.loads(record.getMessage()))
    access.addHandler(handler)
    access.setLevel(logging.INFO)
    with serving(saved(tmp_path, "bias"), token=TOKEN, access_log=True) as (inner, _):
        text = (DEPLOY / "nginx.conf").read_text(encoding="utf-8")
        for old, new in (
            ("127.0.0.1:8000", f"127.0.0.1:{inner}"), ("listen 443", f"listen 127.0.0.1:{port}"),
            (f"/etc/ssl/{name}.pem", str(certificate)), (f"/etc/ssl/{name}.key", str(key)),
        ):  # fmt: skip
            assert old in text
            text = text.replace(old, new)
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        temporary = "".join(f"{kind}_temp_path {tmp_path};" for kind in kinds)
        whole = f"daemon off; pid {tmp_path}/pid; events {{}} http {{ access_log off; {temporary} {text} }}"
        (tmp_path / "nginx.conf").write_text(whole)
        command = [NGINX, "-c", tmp_path / "nginx.conf", "-e", tmp_path / "log", "-p", tmp_path]
        subprocess.run([*command, "-t"], check=True, capture_output=True, timeout=30)
        trust = ssl._create_unverified_context()
        with subprocess.Popen(command) as proxy:
            try:

                def ask(method, path, body=None, **headers):
                    told = {"Host": name, "Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
                    found = http.client.HTTPSConnection("127.0.0.1", port, context=trust, timeout=10)
                    with contextlib.closing(found):
                        found.request(method, path, body, told | headers)
                        answer = found.getresponse()
                        return answer.status, answer.read()

                def up():
                    with contextlib.suppress(OSError):
                        return ask("GET", "/health")[0] == 200

                waited(up, 20)
                event = json.dumps({"events": [{"user": 5, "item": 101, "rating": 3}]})
                assert ask("POST", "/v1/events", event, Origin=f"https://{name}")[0] == 200
                assert ask("POST", "/v1/events", event, Origin="https://elsewhere.example")[0] == 403
                assert ask("POST", "/v1/events", b" " * (1 << 20) + b"{}")[0] == 413
                assert ask("GET", "/v1/info", **{"X-Forwarded-For": "6.6.6.6", "X-Request-Id": "mine"})[0] == 200
                assert ask("GET", "/v1/info", Authorization="Bearer no")[0] == 401
            finally:
                proxy.terminate()
    access.removeHandler(handler)
    assert {line["client"] for line in lines} == {"127.0.0.1"}
    assert "mine" not in {line["request"] for line in lines}
