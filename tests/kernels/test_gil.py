"""A kernel lets other threads go on: a server that trains again answers meanwhile."""

from __future__ import annotations

import ast
from pathlib import Path

import cofactor

SOURCE = Path(cofactor.__file__).parent


def decorators():
    """(file, line, what is given) of each function that numba compiles and keeps: those that Python calls."""
    for file in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            for one in getattr(node, "decorator_list", ()):
                if isinstance(one, ast.Call) and isinstance(one.func, ast.Name) and one.func.id == "njit":
                    given = {word.arg: ast.unparse(word.value) for word in one.keywords}
                    if given.get("cache") == "True":
                        yield file.relative_to(SOURCE), one.lineno, given


def test_every_kernel_lets_other_threads_go_on():
    found = list(decorators())
    assert len(found) > 50
    assert [f"{file}:{line}" for file, line, given in found if given.get("nogil") != "True"] == []
