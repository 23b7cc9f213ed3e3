"""Write the table of every public name of the two star imports into docs/notebook.md: there, here, or why not.

python tools/notebook_names.py                 # from tests/notebooks/names.json and what the package exports
python tools/notebook_names.py --record        # first record names.json, in an environment with fastai==2.8.12
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

ROOT = Path(__file__).parent.parent
NAMES = ROOT / "tests" / "notebooks" / "names.json"
PAGE = ROOT / "docs" / "notebook.md"
START = "## Every name of the two star imports\n"

WHY = {
    "fastai.callback.channelslast": "for images",
    "fastai.callback.fp16": "training is at single precision",
    "fastai.callback.hook": "for images",
    "fastai.callback.mixup": "for images",
    "fastai.callback.rnn": "for texts",
    "fastai.data.block": "several labels an item",
    "fastai.data.core": "how images and texts are shown",
    "fastai.data.external": "settings of downloads",
    "fastai.data.load": "parts of its loader",
    "fastai.data.transforms": "for files, images and texts",
    "fastai.imports": "lists of types",
    "fastai.interpret": "for images",
    "fastai.layers": "for images and sequences",
    "fastai.losses": "for images",
    "fastai.metrics": "for images and texts, or several labels a row",
    "fastai.optimizer": "helpers of its optimizers",
    "fastai.tabular.core": "parts of the table layer that no loader here has",
    "fastai.torch_core": "tensors that know what they show: images and labels",
    "fastcore.aio": "coroutines",
    "fastcore.apisurface": "signatures of web services",
    "fastcore.basics": "Python helpers that no notebook on recommenders was seen to use",
    "fastcore.docments": "documentation of source code",
    "fastcore.foundation": "Python helpers that no notebook on recommenders was seen to use",
    "fastcore.imports": "Python helpers that no notebook on recommenders was seen to use",
    "fastcore.meta": "metaclasses",
    "fastcore.net": "HTTP",
    "fastcore.parallel": "processes and threads",
    "fastcore.script": "command lines",
    "fastcore.test": "images",
    "fastcore.xml": "HTML tags",
    "fastcore.xtras": "files, processes and texts",
    "fasttransform": "dispatch on types",
    "other": "types, tags and modules that come along",
}


def origin(name: str, kind: str) -> str:
    """The module that a name comes from, as the table has it."""
    module = kind.split()[1] if " " in kind else ""
    for known in sorted(WHY, key=len, reverse=True):
        if module == known or module.startswith(known + "."):
            return known
    if module.startswith("fastai."):
        return module
    return "other"


def table(there: dict[str, str], here: set[str]) -> str:
    """The section of the page."""
    groups: dict[str, tuple[list[str], list[str]]] = {}
    for name in sorted(there, key=lambda n: (n.lower(), n)):
        groups.setdefault(origin(name, there[name]), ([], []))[name not in here].append(name)
    lines = [
        START,
        f"fastai 2.8.12 exports {len(there):,} names; {len(here & set(there))} of them are here, and "
        f"{len(here - set(there))} more: {', '.join(f'`{n}`' for n in sorted(here - set(there)))}. "
        "`tools/notebook_names.py` writes this table, and a test compares it with the package.\n",
        "| from | here | not here | why not |",
        "|---|---|---|---|",
    ]
    for group in sorted(groups):
        yes, no = (" ".join(f"`{n}`" for n in part) for part in groups[group])
        lines.append(f"| {group} | {yes} | {no} | {WHY.get(group, '') if no else ''} |")
    return "\n".join(lines) + "\n"


def record() -> None:
    import inspect
    import types

    names: dict[str, object] = {}
    exec("from fastai.collab import *\nfrom fastai.tabular.all import *", names)
    found = {}
    for name, value in sorted(names.items()):
        if name.startswith("__"):
            continue
        if isinstance(value, types.ModuleType):
            found[name] = f"module {value.__name__}"
        else:
            what = "class" if inspect.isclass(value) else "function" if callable(value) else "value"
            found[name] = f"{what} {getattr(value, '__module__', '') or ''}".strip()
    NAMES.write_text(json.dumps(found, indent=0) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", action="store_true")
    if parser.parse_args().record:
        record()
        return
    import cofactor.notebook

    text = PAGE.read_text(encoding="utf-8")
    before = text.split(START)[0]
    PAGE.write_text(
        before + table(json.loads(NAMES.read_text(encoding="utf-8")), set(cofactor.notebook.__all__)), encoding="utf-8"
    )


if __name__ == "__main__":
    main()
