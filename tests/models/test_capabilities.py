"""``isinstance`` of our protocols says what that of ``typing`` says, sooner."""

from __future__ import annotations

import types
from typing import Protocol

import numpy as np
import pytest

from cofactor import model
from cofactor._capability import Capability, _members

PROTOCOLS = [one for one in vars(model).values() if isinstance(one, Capability)]

PLACES = ["class", "object", "parent", "none", "nowhere"]


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda one: one.__name__)
def test_isinstance_is_that_of_typing(protocol):
    rng = np.random.default_rng(0)
    members = _members(protocol)
    asked = 0
    for _ in range(60):
        where = rng.choice(
            ["class", "object", "parent", "none", "nowhere"], len(members), p=[0.4, 0.3, 0.2, 0.05, 0.05]
        )
        given = dict(zip(members, where, strict=True))
        parent = type("Parent", (), {n: lambda self: None for n, w in given.items() if w == "parent"})
        body = {n: None if w == "none" else (lambda self: None) for n, w in given.items() if w in ("class", "none")}
        for kind in (type("One", (parent,), body), types.SimpleNamespace, type("Nominal", (protocol,), {})):
            for attributes in ([n for n, w in given.items() if w == "object"], members, []):
                thing = kind.__new__(kind)
                for name in attributes:
                    setattr(thing, name, len)
                expected = type(Protocol).__instancecheck__(protocol, thing)
                asked += expected
                assert isinstance(thing, protocol) == expected == isinstance(thing, protocol)
    assert asked > 60


def test_there_are_protocols():
    assert len(PROTOCOLS) >= 17
    assert _members(model.HasCost) == ("cost",)
