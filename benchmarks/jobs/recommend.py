"""Lists of every model on ML-1M: one from a history, one for everybody, and the memory that takes."""

from __future__ import annotations

import runpy

from common import HERE

runpy.run_path(str(HERE / "recommend.py"), run_name="__main__")
