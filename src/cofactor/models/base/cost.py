"""Byte counts for the costs of models."""

from __future__ import annotations

GROUPED = 16
"""Bytes per row of a table grouped by user or item: column, value, and position in the table."""
GROUPING = 32
"""The same during construction: the temporary copies take as much again."""
TURNED = 8
"""Bytes per entry of a grouping without table positions: column and value."""
COMPILED = 72e6
"""Bytes of numba's registries and SciPy's linear algebra, for kernels that use these."""
COMPILING = 1.3e8
"""Bytes for compiling the kernels that find similar items, if they are not in numba's cache yet."""
TORCH = 200e6
"""Bytes of PyTorch once it has trained something."""
WORK = 2.6e7
"""Further bytes for LAPACK, or for the blocks of a kernel's threads."""
