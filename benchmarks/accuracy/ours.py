"""cofactor's models in the same harness: trains on named rows, saves predictions (or scores) as the rivals' workers do.

Asked: ``rows`` (a name of ``rows.py``), ``runs`` (a list of ``[setting, out]``) and ``limit``. A setting is the model's
name as ``model``, and fields of its config.
"""

from __future__ import annotations

import json
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from rows import split_of

import cofactor as cf


def train(data: Any, setting: dict[str, Any]) -> Any:
    return cf.fit(data, seed=42, calibrate=False, **setting)


def main() -> None:
    asked = json.loads(sys.argv[1])
    begun, done = time.monotonic(), 0
    split = split_of(asked["rows"])
    few = split.train.take(np.arange(min(300, len(split.train))))
    for setting, out in asked["runs"]:
        if time.monotonic() - begun > asked["limit"]:
            break
        if not setting.get("model", "auto").startswith("auto"):
            with suppress(cf.CofactorError):
                train(few, setting)  # compiles
        start, cpu = time.perf_counter(), time.process_time()
        rec = train(split.train, setting)
        seconds = {"seconds": time.perf_counter() - start, "cpu": time.process_time() - cpu}
        if rec.model.task == "rating":
            found = rec.model.predict(split.valid.users, split.valid.items, split.valid.times)
            found = np.clip(found, *split.train.range)
        else:
            found = rec.model.scores(np.arange(split.train.n_users))
        np.save(out, found.astype(np.float32))
        about = {"setting": setting, "model": rec.model.name, "config": str(rec.model.config), **seconds}
        Path(out).with_suffix(".json").write_text(json.dumps(about))
        done += 1
    print(json.dumps(done))


if __name__ == "__main__":
    main()
