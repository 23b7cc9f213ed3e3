"""Opening a saved model in a fresh process: seconds of imports, of the first opening, of its ids, of later openings, of
one that is checked."""

from __future__ import annotations

import importlib
import json
import sys
import time
from statistics import median

asked = json.loads(sys.argv[1])


def seconds(**options: bool) -> float:
    start = time.perf_counter()
    rec = cf.load(asked["path"], **options)
    took = time.perf_counter() - start
    assert len(rec.data) == asked["rows"]
    return took


begun = time.perf_counter()
for name in asked["imports"]:
    importlib.import_module(name)
ready = time.perf_counter()

import cofactor as cf  # noqa: E402

rec = cf.load(asked["path"])
opened = time.perf_counter()
ids = len(rec.data.user_ids) + len(rec.data.item_ids)
had = time.perf_counter()
assert ids == rec.data.n_users + rec.data.n_items
found = {"imports": ready - begun, "first": opened - ready, "ids": had - opened}
found["again"] = median(seconds() for _ in range(5))
print(json.dumps(found | ({"verified": seconds(verify=True)} if asked["verify"] else {})))
