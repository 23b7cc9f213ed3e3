"""A short digest that identifies a table of ratings."""

from __future__ import annotations

import hashlib

import numpy as np

from cofactor.data.interactions import Interactions


def fingerprint(data: Interactions) -> str:
    """Return 32 hexadecimal digits (BLAKE2b) of the ids, codes, values, times and weights, in row order."""
    digest = hashlib.blake2b(digest_size=16)
    for ids in (data.user_ids, data.item_ids):
        digest.update(f"{ids.values.dtype}:{len(ids)}:".encode())
        digest.update(np.ascontiguousarray(ids.values.hash(seed=0).to_numpy()).data)
    for array in (data.users, data.items, data.values, data.times):
        if array is not None:
            digest.update(np.ascontiguousarray(array).data)
        digest.update(b"|")
    if data.weights is not None:
        digest.update(np.ascontiguousarray(data.weights).data)
    return digest.hexdigest()
