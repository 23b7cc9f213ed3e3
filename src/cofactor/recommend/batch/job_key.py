"""A digest of everything that determines the output of ``recommend_all``. A run resumes only parts with its own key."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from cofactor.data.fingerprint import fingerprint
from cofactor.recommend.fitted import Fitted
from cofactor.recommend.options import OPTIONS
from cofactor.recommend.recommend import Rules

FORMAT = 2
RESOLVED = ("ids", "predicate", "policy")
"""Kinds of options that enter the key by their result: the items kept, the users known."""


def job_key(rec: Fitted, rules: Rules, step: int, users: Any) -> str:
    """Return 32 hexadecimal digits for the model's arrays, data, newer ratings, options, users (codes), and ``step``,
    the users per part."""
    digest = hashlib.blake2b(digest_size=16)
    options = {name: rules.options[name] for name in OPTIONS if OPTIONS[name].kind not in RESOLVED}  # type: ignore[literal-required]
    digest.update(repr((FORMAT, step, rec.name, rec.model.config, options)).encode())
    if rec.index is not None:
        digest.update(rec.index.settings.encode())
    digest.update(fingerprint(rec.data).encode())
    for name, array in sorted(rec.model.state().items()):
        _add(digest, name, np.asarray(array))
    for name, array in sorted((rec.intervals or {}).items()):
        _add(digest, name, array)
    _add(digest, "users", users)
    if rules.keep is not None:
        _add(digest, "keep", rules.keep)
    for group in (rules.capped, rules.calibrated):
        if group is not None:
            _add(digest, repr(group.names), group.matrix.indptr)
            _add(digest, "", group.matrix.indices)
    titles = rec.items.titles
    if titles is not None:
        _add(digest, "titles", titles.hash(seed=0).to_numpy())
    digest.update(repr(rec.updates.new_ids).encode())
    for code, touched in sorted(rec.updates.users.items()):
        for array in (touched.rated.items, touched.rated.values, touched.state):
            _add(digest, str(code), array)
    return digest.hexdigest()


def _add(digest: Any, name: str, array: Any) -> None:
    array = np.ascontiguousarray(array)
    digest.update(f"{name}:{array.dtype}:{array.shape}:".encode())
    digest.update(array.reshape(-1).view(np.uint8).data)
