"""The settings of a server: one frozen object, checked when it is made."""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from cofactor._paths import check_path
from cofactor._validate import check_choice, check_int, check_number
from cofactor.errors import ConfigError

Require = Literal["nothing", "not-worse", "better"]
REQUIRE = ("nothing", "not-worse", "better")
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")


_AT_LEAST = {
    "port": 0, "max_body": 1024, "max_requests": 1, "max_connections": 8, "threads": 1, "keep": 2, "workers": 1,
    "max_cache": 0, "max_events": 1, "max_pairs": 1, "max_history": 1, "max_users": 1,
}  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """The settings of a server.

    ``model`` is a bundle. ``state`` is the directory of newer ratings and versions (default: ``<model>.state`` beside
    it), or the address of a PostgreSQL database (``postgresql://...``); with a database, ``versions`` is the directory
    in which this host keeps its copies of the models. Neither is used with ``read_only``.

    Without a ``token`` everybody who can reach the server may use it and see users' ratings, so it must then listen
    only on the machine itself (``host``). ``tokens`` is a file of hashed tokens with scopes. ``hosts`` are names under
    which browsers may reach the server, besides the loopback names. ``management`` is a port for /metrics and the
    routes of the scope ``admin``, which the other port then refuses.

    Limits: ``max_body`` bytes of a request, ``body_seconds`` for it to arrive, ``max_requests`` in progress (further
    ones get 503), ``threads`` that compute answers, ``max_connections``, ``wait_seconds`` that a request waits for an
    answer computed once for all clients, ``work_seconds`` of processor time for one request of many lists;
    ``max_events``, ``max_pairs``, ``max_history`` and ``max_users`` of one request; ``max_cache`` bytes of cached
    answers per model; ``keep`` versions of the model on disk.

    ``access_log`` logs each request as a line of JSON; ``json_logs`` writes the other log lines as JSON too; ``traces``
    emits OpenTelemetry spans. Newer ratings older than ``retain_days`` are deleted, every ten minutes.

    ``require`` is the condition on the latest events for a refit or a new bundle to go live: ``nothing``, ``not-worse``
    (not significantly worse than the live model) or ``better`` (significantly better).

    ``beside`` is a second bundle, kept as a version to compare with or to go to; not with ``read_only``. With
    ``images`` pages may load pictures of items from the https addresses in a column of the item table.

    ``workers`` processes share all of that. A worker without a sign of life for ``silent_seconds`` (it was stopped, or
    hangs) is killed and restarted. After the same time, another host may change models in a shared database. The parent
    of the workers sets ``leads``, True only in the first worker, and ``joins``, True in all workers, since the parent
    holds the lock of the state.
    """

    model: Path
    state: Path | str | None = field(default=None, repr=False)
    host: str = "127.0.0.1"
    port: int = 8000
    token: str | None = field(default=None, repr=False)
    read_only: bool = False
    watch: bool = True
    hosts: tuple[str, ...] = ()
    max_body: int = 1 << 20
    body_seconds: float = 10.0
    max_requests: int = 64
    keep: int = 5
    max_connections: int = 1000
    threads: int = 2
    wait_seconds: float = 2.0
    work_seconds: float = 0.4
    max_events: int = 1000
    max_pairs: int = 2_000
    max_history: int = 5000
    max_users: int = 100
    max_cache: int = 16 << 20
    workers: int = 1
    silent_seconds: float = 30.0
    leads: bool = True
    joins: bool = False
    versions: Path | None = None
    tokens: Path | None = None
    management: int | None = None
    access_log: bool = False
    json_logs: bool = False
    traces: bool = False
    retain_days: float | None = None
    require: Require = "nothing"
    beside: Path | None = None
    images: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "model", check_path(self.model, "the model"))
        for name in ("versions", "tokens", "beside"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, check_path(getattr(self, name), name))
        if self.state is not None and not self.shared:
            if "://" in str(self.state):
                raise ConfigError("the state must be a directory, or a database such as postgresql://user@host/name")
            object.__setattr__(self, "state", check_path(self.state, "the state"))
        for name, least in _AT_LEAST.items():
            check_int(name, getattr(self, name), least)
        for name in ("port", "management"):
            if (getattr(self, name) or 0) > 65535:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be at most 65535 (0: any free port)")
        check_choice("require", self.require, *REQUIRE)
        for name in ("body_seconds", "wait_seconds", "work_seconds", "silent_seconds"):
            if check_number(name, getattr(self, name)) <= 0:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be above 0")
        if self.beside is not None and self.read_only:
            raise ConfigError("a read-only server stores no versions; leave out beside or read_only")
        if self.retain_days is not None and check_number("retain_days", self.retain_days) <= 0:
            raise ConfigError(f"retain_days is {self.retain_days}; it must be above 0")
        if self.token is not None and (
            len(self.token) < 16 or not self.token.isascii() or not self.token.isprintable()
        ):
            raise ConfigError("the token must have at least 16 printable ASCII characters; make it long and random")
        if self.token is None and self.tokens is None and not is_loopback(self.host):
            raise ConfigError(
                f"other machines can reach the host {self.host}, and could read the users' ratings; set a token of 16"
                " characters or more in the environment variable COFACTOR_TOKEN"
            )

    @property
    def shared(self) -> bool:
        """Whether the state is in a database, which several hosts may use."""
        return isinstance(self.state, str) and self.state.startswith(("postgresql://", "postgres://"))

    @property
    def database(self) -> str | None:
        """The address of that database; it may contain a password."""
        return str(self.state) if self.shared else None

    @property
    def state_folder(self) -> Path:
        """The directory of newer ratings and versions or, with a database, of this host's copies of versions."""
        if self.shared:
            return self.versions if self.versions is not None else Path(f"{os.path.abspath(self.model)}.versions")
        return Path(self.state) if self.state is not None else Path(f"{os.path.abspath(self.model)}.state")

    @property
    def allowed_hosts(self) -> tuple[str, ...] | None:
        """Names allowed in the header ``Host``, without a port. None: any name, since a token is needed, which a
        foreign page does not have."""
        if self.token is not None or self.tokens is not None:
            return None
        return (*LOOPBACK_NAMES, self.host.lower(), *(h.lower() for h in self.hosts))


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach a server that listens on ``host``."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
