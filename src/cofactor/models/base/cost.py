"""Bytes that costs of models are counted in."""

from __future__ import annotations

GROUPED = 16
"""Bytes a row of a table grouped by user or item: column, value, and the place in the table."""
GROUPING = 32
"""The same while it is being made: its temporary copies are as large again."""
TURNED = 8
"""Bytes an entry of a grouping that is of no table: column and value."""
COMPILED = 72e6
"""Bytes of numba's registries and SciPy's linear algebra, which kernels bring that use them."""
COMPILING = 1.3e8
"""Bytes that numba takes to compile the kernels that look for similar items, where they are not in its cache yet."""
TORCH = 200e6
"""Bytes of PyTorch once it has trained something."""
WORK = 2.6e7
"""Bytes that LAPACK, or the blocks of a kernel's threads, take besides."""
