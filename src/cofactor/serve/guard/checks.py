"""Checks of a request's head: ambiguous headers, names of hosts and origins, the kind of its body.

A foreign page cannot use a browser on this machine to reach the server: the name in ``Host`` must be an allowed one
(otherwise any name could be made to point here), ``Origin`` must match it, and a body must be JSON, which HTML forms
cannot send.
"""

from __future__ import annotations

import re
from urllib.parse import quote

from cofactor.serve.guard.asgi import Scope, header, path_of
from cofactor.serve.guard.refused import Refused
from cofactor.serve.settings import Settings

_LENGTH = "Content-Length or Transfer-Encoding"
_ONCE = {
    b"content-length": _LENGTH, b"transfer-encoding": _LENGTH, b"host": "Host", b"origin": "Origin",
    b"authorization": "Authorization", b"content-type": "Content-Type", b"content-encoding": "Content-Encoding",
}  # fmt: skip
"""Headers that may occur only once, since a proxy might use the other of two."""


def check_headers(scope: Scope) -> None:
    """Raise Refused where headers are ambiguous about the end of the request, the client, or the origin.

    A proxy and this server could also disagree on the end of a request with chunks in HTTP/1.0, or of one in an unknown
    version of HTTP.
    """
    version = scope.get("http_version", "1.1")
    if version not in ("1.0", "1.1"):
        raise Refused(400, f"HTTP/{version} is not supported; use HTTP/1.1", connection="close")
    if version == "1.0" and any(name == b"transfer-encoding" for name, _ in scope["headers"]):
        raise Refused(400, "HTTP/1.0 has no Transfer-Encoding; give Content-Length", connection="close")
    names = [_ONCE[name] for name, _ in scope["headers"] if name in _ONCE]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise Refused(400, f"give {twice}, once", connection="close")


_ADDRESS = re.compile(r"https?://([^/?#]+)", re.IGNORECASE)


def in_origin_form(scope: Scope) -> Scope:
    """The same request with a path for its target, where that is a whole address (RFC 9112, 3.2.2): the name in it is
    that of the server, whatever ``Host`` says."""
    root, path = scope.get("root_path", ""), path_of(scope)
    found = None if path.startswith("/") else _ADDRESS.match(path)
    if found is None:
        return scope
    host, path = found[1].encode("latin-1", "replace"), root + (path[found.end() :] or "/")
    headers = [(name, host if name == b"host" else value) for name, value in scope["headers"]]
    if all(name != b"host" for name, _ in headers):  # in HTTP/1.0
        headers.append((b"host", host))
    return dict(scope) | {"path": path, "raw_path": quote(path).encode(), "headers": headers}


def check_names(scope: Scope, settings: Settings, *, writes: bool) -> None:
    """Raise Refused for a host name that is not allowed, or a write from a page of another origin. With ``writes`` the
    request has a body, which must be JSON."""
    host, origin = header(scope, b"host"), header(scope, b"origin")
    names = settings.allowed_hosts
    if names is not None and _name(host) not in names:
        raise Refused(421, f"the host name {host[:100]!r} is not allowed; allow it with --allow-host")
    if scope["method"] in ("GET", "HEAD", "OPTIONS"):
        return
    if (origin and origin.partition("://")[2] != host) or header(scope, b"sec-fetch-site") == "cross-site":
        raise Refused(403, "a page of another origin may not write here")
    if writes:
        check_body_kind(header(scope, b"content-type").lower(), header(scope, b"content-encoding").lower())


_CHARSET = re.compile(r";\s*charset\s*=\s*\"?([^\";\s]*)")


def check_body_kind(kind: str, coding: str) -> None:
    """Raise Refused where a body is not plain JSON in UTF-8, since another decoding could change ids."""
    if kind.partition(";")[0].strip() != "application/json":
        raise Refused(415, "send JSON: Content-Type: application/json")
    charset = _CHARSET.search(kind)
    if charset is not None and charset[1] not in ("utf-8", "utf8", "us-ascii"):
        raise Refused(415, f"send JSON in UTF-8, not in {charset[1][:40]!r}")
    if coding.strip() not in ("", "identity"):
        raise Refused(415, "send the body uncompressed, without Content-Encoding", accept_encoding="identity")


_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^:\[\]]+)(:[0-9]*)?")


def _name(host: str) -> str:
    """Return the name in a Host header, in lower case, without the port; empty where it is not valid."""
    found = _HOST.fullmatch(host.lower())
    return "" if found is None else found[1]
