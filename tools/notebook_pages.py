"""Executed notebooks as pages of the site: cells as code, what they printed and drew below, nothing run again."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

STYLE = re.compile(r"<style.*?</style>", re.S)


def page(path: Path) -> tuple[str, dict[str, bytes]]:
    """(the notebook in Markdown, its pictures by file name)."""
    book, parts, pictures = json.loads(path.read_text("utf-8")), [], {}
    for cell in book["cells"]:
        source = "".join(cell["source"]).strip()
        if cell["cell_type"] == "markdown":
            parts.append(source)
            continue
        parts.append(f"```python\n{source}\n```")
        for output in cell.get("outputs", []):
            text, picture = _shown(output)
            if picture is not None:
                name = f"{path.stem}-{len(pictures) + 1}.png"
                pictures[name] = picture
                text = f"![What the cell above draws]({name})"
            parts += [text] if text else []
    return "\n\n".join(parts) + "\n", pictures


def _shown(output: dict[str, Any]) -> tuple[str, bytes | None]:
    """What a cell left: a picture, a table, or text."""
    if output["output_type"] == "error":
        raise SystemExit(f"an executed notebook holds an error: {output['evalue']}")
    data = output.get("data", {"text/plain": output.get("text", "")})
    if "image/png" in data:
        return "", base64.b64decode("".join(data["image/png"]))
    if "text/html" in data:
        table = STYLE.sub("", "".join(data["text/html"])).strip()
        return f'<div class="output">{re.sub("<table[^>]*>", "<table>", table)}</div>', None
    text = "".join(data.get("text/plain", "")).rstrip()
    return f"```text\n{text}\n```" if text else "", None
