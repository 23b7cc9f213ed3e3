"""The README of the package: links to files of the project become addresses, so that a package index can show it.

A metadata hook of hatchling (``[tool.hatch.metadata.hooks.custom]`` in pyproject.toml).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface


def absolute(text: str, source: str, tag: str) -> str:
    """Return Markdown whose relative links lead to files of ``tag`` at ``source`` (pictures: to what they hold)."""

    def address(found: re.Match[str]) -> str:
        return f"{found['text']}({source}/{'raw' if found['picture'] else 'blob'}/{tag}/{found['path']})"

    parts = re.split(r"(^```.*?^```$)", text, flags=re.M | re.S)  # code stays as it is
    link = re.compile(r"(?P<text>(?P<picture>!?)\[[^\]]*\])\((?![a-z]+:|#)(?P<path>[^)\s]+)\)")
    return "".join(part if part.startswith("```") else link.sub(address, part) for part in parts)


class PackageReadme(MetadataHookInterface):
    """Gives the project table its ``readme``."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set ``readme`` from README.md, ``[project.urls] Source`` and the version."""
        root = Path(self.root)
        version = re.search(r'__version__ = "([^"]+)"', (root / "src/cofactor/_version.py").read_text("utf-8"))
        assert version is not None
        text = absolute((root / "README.md").read_text("utf-8"), metadata["urls"]["Source"], f"v{version[1]}")
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
