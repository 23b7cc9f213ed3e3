"""The default width of an embedding."""

from __future__ import annotations


def emb_sz_rule(n: int) -> int:
    """Return the width of an embedding of ``n`` rows, by fastai's rule of thumb."""
    return int(min(600, round(1.6 * n**0.56)))
