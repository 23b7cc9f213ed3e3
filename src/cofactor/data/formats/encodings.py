"""Detect the encoding of a text from its bytes, and convert it to UTF-8."""

from __future__ import annotations

import re

from cofactor.errors import DataError

_MARKS = {b"\xff\xfe\x00\x00": "utf-32", b"\x00\x00\xfe\xff": "utf-32", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


def of_wide_letters(head: bytes, notes: list[str]) -> str | None:
    """Return the encoding of a text with letters of two or four bytes: by its byte order mark, or by the zeros at every
    second byte of mostly Latin text. Returns None for any other."""
    marked = next((name for mark, name in _MARKS.items() if head.startswith(mark)), None)
    if marked is not None:
        return marked
    some = head[: 1 << 12]
    odd, even = some[1::2], some[::2]
    for name, zeros, letters in (("utf-16-le", odd, even), ("utf-16-be", even, odd)):
        if len(zeros) > 8 and zeros.count(0) > 0.9 * len(zeros) and not letters.count(0):
            notes.append(f"encoding: {name}, recognised by the zeros between letters")
            return name
    return None


def is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def guessed(data: bytes) -> tuple[bytes, str]:
    """Convert a text that is not UTF-8 to UTF-8, and return a note on how it was read.

    Where most letters beyond ASCII are UTF-8, damaged ones are replaced by a mark. Otherwise the text is in cp1252,
    which Windows writes, if all its bytes are characters there and some are none of latin-1; else in latin-1.
    """
    repaired = data.decode("utf-8", "replace")
    damaged = repaired.count(_DAMAGED)
    if len(data) - len(repaired) > 20 * damaged:  # a letter beyond ASCII takes two bytes or more
        note = (
            f"encoding: UTF-8, but {damaged:,} damaged character{'s are' if damaged > 1 else ' is'} read as {_DAMAGED}"
        )
        return repaired.encode(), f"{note}; encoding=... (on the command line --encoding) sets another"
    windows = re.search(rb"[\x80-\x9f]", data) is not None and re.search(rb"[\x81\x8d\x8f\x90\x9d]", data) is None
    name = "cp1252" if windows else "latin-1"
    note = f"encoding: not UTF-8, read as {name} (set another with encoding=..., on the command line --encoding)"
    return data.decode(name).encode("utf-8"), note


_DAMAGED = "\N{REPLACEMENT CHARACTER}"


def recode(data: bytes, encoding: str, label: str) -> bytes:
    try:
        return data.decode(encoding).encode("utf-8")
    except UnicodeError as error:
        at = f"byte {error.start} does not fit" if isinstance(error, UnicodeDecodeError) else "it cannot be decoded"
        raise DataError(
            f"{label} is not in {encoding}: {at}; name another with encoding=... (on the command line --encoding)"
        ) from None
    except (LookupError, ValueError):  # ValueError: NUL in the name
        raise DataError(
            f"no encoding {encoding!r}; name one with encoding=... (on the command line --encoding): utf-8, latin-1 and"
            " cp1252 are common"
        ) from None
