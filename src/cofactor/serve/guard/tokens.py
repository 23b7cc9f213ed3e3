"""Authorisation: tokens with scopes. A file of tokens holds only their hashes, and is read again when it changes.

A line of the file is ``name scopes hash``, such as ``shop read,events sha256:...``; ``cofactor token`` creates one.
Tokens are long and random, so a plain hash is enough: they cannot be guessed.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import time
from pathlib import Path
from typing import NamedTuple

from cofactor.errors import ConfigError

READ, EVENTS, ADMIN = "read", "events", "admin"
ALL = frozenset((READ, EVENTS, ADMIN))
_LOOK_EVERY = 1.0
"""Seconds between two checks of the file."""


class Token(NamedTuple):
    """A token; ``hashed`` is its SHA-256 in hexadecimal digits."""

    name: str
    scopes: frozenset[str]
    hashed: str


class Tokens:
    """The token of the environment, which has all scopes, and the tokens of a file."""

    def __init__(self, token: str | None, file: Path | None) -> None:
        self._own = [] if token is None else [Token("environment", ALL, hashed(token))]
        self._file = file
        self._stamp: tuple[int, int, int] | None = None
        self._looked = 0.0
        self._listed: list[Token] = []
        if file is not None:
            self._read(first=True)

    @property
    def asked_for(self) -> bool:
        """Whether a token is needed."""
        return bool(self._own) or self._file is not None

    def find(self, token: str) -> Token | None:
        """Return the record of a token; None for an unknown one."""
        if self._file is not None and time.monotonic() - self._looked > _LOOK_EVERY:
            self._read()
        wanted, found = hashed(token), None
        for one in (*self._own, *self._listed):  # compare all of them, so that the time reveals nothing
            if hmac.compare_digest(one.hashed, wanted):
                found = one
        return found

    def _read(self, *, first: bool = False) -> None:
        assert self._file is not None
        self._looked = time.monotonic()
        try:
            facts = os.stat(self._file)
            stamp = facts.st_ino, facts.st_mtime_ns, facts.st_size
            if stamp != self._stamp:
                self._listed, self._stamp = parse(self._file.read_text("utf-8"), self._file), stamp
        except (OSError, UnicodeDecodeError, ConfigError) as exc:
            if first:
                raise ConfigError(f"cannot read the tokens in {self._file}: {exc}") from None
            self._listed, self._stamp = [], None  # without the file, no token is valid


def hashed(token: str) -> str:
    """Return the SHA-256 of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def parse(text: str, file: Path) -> list[Token]:
    """Return the tokens of a file; ConfigError where a line is not valid."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split("#", 1)[0].split()
        if not words:
            continue
        scopes = frozenset(words[1].split(",")) if len(words) == 3 else frozenset()
        kind, _, digest = words[-1].partition(":")
        if not scopes or not scopes <= ALL or kind != "sha256" or len(digest) != 64:
            raise ConfigError(
                f"line {number} of {file} is not valid; write: name read,events,admin sha256:<64 digits>"
                " (`cofactor token NAME` creates such a line)"
            )
        found.append(Token(words[0], scopes, digest.lower()))
    return found


def line_of(name: str, scopes: frozenset[str], token: str) -> str:
    """Return the line of a token for the file."""
    if not name or len(name.split()) != 1 or "#" in name:
        raise ConfigError(f"the name of a token is {name!r}; give one word")
    if not scopes or not scopes <= ALL:
        given = ", ".join(sorted(scopes)) or "none"
        raise ConfigError(f"the scopes are {given}; choose from {', '.join(sorted(ALL))}")
    return f"{name} {','.join(sorted(scopes))} sha256:{hashed(token)}"
