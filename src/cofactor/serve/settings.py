"""What a server is told when it starts: one frozen object, checked once."""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass
from pathlib import Path

from cofactor._paths import check_path
from cofactor._validate import check_int, check_number
from cofactor.errors import ConfigError

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")


@dataclass(frozen=True)
class Settings:
    """``model`` is a bundle; ``state`` the directory of newer ratings and versions (default: ``<model>.state`` beside
    it), which is not used with ``read_only``.

    Without a ``token`` everybody who reaches the server may use it, and see what people rated, which is why it must
    then be bound to the machine itself (``host``). ``hosts`` are names under which browsers may reach it besides the
    loopback ones. Limits: ``max_body`` bytes of a request, ``body_seconds`` for all of it to arrive, ``max_requests``
    at once (more get 503), ``keep`` versions of the model on disk.
    """

    model: Path
    state: Path | None = None
    host: str = "127.0.0.1"
    port: int = 8000
    token: str | None = None
    read_only: bool = False
    watch: bool = True
    hosts: tuple[str, ...] = ()
    max_body: int = 1 << 20
    body_seconds: float = 10.0
    max_requests: int = 64
    keep: int = 5

    def __post_init__(self) -> None:
        object.__setattr__(self, "model", check_path(self.model, "the model"))
        if self.state is not None:
            object.__setattr__(self, "state", check_path(self.state, "the state"))
        for name, least in (("port", 0), ("max_body", 1024), ("max_requests", 1), ("keep", 2)):
            check_int(name, getattr(self, name), least)
        if self.port > 65535:
            raise ConfigError(f"port is {self.port}; it must be at most 65535 (0: any that is free)")
        if check_number("body_seconds", self.body_seconds) <= 0:
            raise ConfigError(f"body_seconds is {self.body_seconds}; it must be above 0")
        if self.token is not None and (
            len(self.token) < 16 or not self.token.isascii() or not self.token.isprintable()
        ):
            raise ConfigError("the token must have at least 16 printable ASCII characters; make it long and random")
        if self.token is None and not is_loopback(self.host):
            raise ConfigError(
                f"host {self.host} can be reached from elsewhere, and whoever finds it would see what people rated; set"
                " a token of 16 characters or more in the environment variable COFACTOR_TOKEN"
            )

    @property
    def state_folder(self) -> Path | None:
        """Where newer ratings and versions are kept; None where nothing is written."""
        if self.read_only:
            return None
        return self.state if self.state is not None else Path(f"{os.path.abspath(self.model)}.state")

    @property
    def allowed_hosts(self) -> tuple[str, ...] | None:
        """Names that the header ``Host`` may give, without a port. None: any, since a token is asked for, which no
        strange page has."""
        if self.token is not None:
            return None
        return (*LOOPBACK_NAMES, self.host.lower(), *(h.lower() for h in self.hosts))


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server that is bound to ``host``."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
