"""Listening sockets, and how many connections the system allows."""

from __future__ import annotations

import contextlib
import logging
import socket

from cofactor.errors import ConfigError

log = logging.getLogger("cofactor.serve")
QUEUE = 1024
"""Most connections that wait to be accepted."""
_UNREAD = 256 << 10
"""Bytes that the system buffers per connection until the client reads; its own limit is up to 4 MB."""
_FILES, _FEWEST = 80, 8
"""Descriptors reserved for files, and the least limit of connections."""


def possible_connections(wanted: int) -> int:
    """Return the most connections that are possible, and raise the limit of descriptors as needed.

    Each connection, and each one that waits for a place, takes a descriptor, of which the system may allow fewer.
    """
    try:
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    except (ImportError, OSError, ValueError):
        return wanted
    needed = 2 * wanted + _FILES
    if soft < needed and (hard < 0 or soft < hard):
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (needed if hard < 0 else min(needed, hard), hard))
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if soft < 0 or soft >= needed:
        return wanted
    found = min(wanted, max(_FEWEST, (soft - _FILES) // 2))
    if found < wanted:
        log.warning("connections are limited to %d: the system allows %d descriptors (ulimit -n)", found, soft)
    return found


def listening(host: str, port: int) -> socket.socket:
    """Return a listening socket; ConfigError where that fails."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        found = socket.socket(family, kind, protocol)
        try:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            found.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _UNREAD)
            found.bind(address)
            found.listen(QUEUE)
        except BaseException:
            found.close()
            raise
    except (OSError, UnicodeError) as exc:
        why = getattr(exc, "strerror", None) or exc
        raise ConfigError(f"cannot listen on {host} port {port}: {why}; give another --port or --host") from None
    return found
