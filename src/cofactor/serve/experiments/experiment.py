"""An experiment with two versions, and the assignment of users to them."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Literal, NamedTuple

from cofactor.serve.storage import tables as t
from cofactor.serve.storage.store import Store

NOTE = "experiment"
Mode = Literal["ab", "shadow"]


class Experiment(NamedTuple):
    """An experiment: ``share`` of the users get ``version``. In the mode ``shadow`` that version makes lists too, but
    nobody sees them."""

    id: str
    version: int
    share: float
    mode: Mode
    started: float

    def takes(self, user: Any) -> bool:
        """Return whether a user gets the tried version; a hash of the id decides, so it is the same each time."""
        digest = hashlib.blake2b(t.written(user).encode(), digest_size=8, key=self.id.encode()).digest()
        return int.from_bytes(digest, "little") < self.share * 2.0**64


def read(store: Store) -> Experiment | None:
    """Return the current experiment, or None."""
    found = store.note(NOTE)
    return None if found is None else Experiment(**json.loads(found))
