"""Write ``src/cofactor/_typed.pyi``: ``cofactor.fit`` with an overload for each model, made from the models' configs.

With it a type checker refuses a wrong model name, and an option that the model does not have. ``python
tools/typed_fit.py`` writes the file; ``--check`` only says whether it is as it would be written.
"""

from __future__ import annotations

import dataclasses
import inspect
import sys
import typing
from pathlib import Path
from typing import Any

from cofactor.api.fit import AUTO, fit
from cofactor.models import REGISTRY, model_class

PLACE = Path(__file__).resolve().parent.parent / "src/cofactor/_typed.pyi"
HEAD = '''"""What ``cofactor.fit`` takes, model by model, for type checkers alone. Made by ``tools/typed_fit.py``."""

from pathlib import Path
from typing import Any, Literal, TypedDict, Unpack, overload

from cofactor.data.interactions import Interactions
from cofactor.recommend.fitted import Fitted
from cofactor.recommender import Recommender
'''


def written() -> str:
    """The whole file."""
    parts, fits = [HEAD], []
    for name in REGISTRY:
        title = "".join(word.capitalize() for word in name.replace("++", "pp").split("-")) + "Options"
        hints = typing.get_type_hints(model_class(name).Config)
        fields = [f"    {f.name}: {_spelled(hints[f.name])}" for f in dataclasses.fields(model_class(name).Config)]
        parts.append("\n".join([f"class {title}(TypedDict, total=False):", *fields, ""]))
        fits.append(_overload([name], f"**config: Unpack[{title}]", required=True))
    fits.insert(0, _overload(list(AUTO), "**config: Any", required=False))
    return "\n".join([*parts, *fits, ""])


def _overload(names: list[str], config: str, *, required: bool) -> str:
    """``fit`` for these models: its parameters as they are declared, and the options of the config."""
    lines = ["@overload", "def fit("]
    for name, parameter in inspect.signature(fit).parameters.items():
        if name == "model":
            usual = "" if required else f' = "{names[0]}"'
            lines += [f"    model: Literal[{', '.join(repr(n) for n in names)}]{usual},".replace("'", '"')]
        elif parameter.kind is inspect.Parameter.VAR_KEYWORD:
            lines += [f"    {config},"] if config else []
        else:
            if parameter.kind is inspect.Parameter.KEYWORD_ONLY and "    *," not in lines:
                lines.append("    *,")
            usual = "" if parameter.default is inspect.Parameter.empty else f" = {parameter.default!r}"
            lines.append(f"    {name}: {parameter.annotation}{usual},")
    return "\n".join([*lines, ") -> Recommender: ..."])


def _spelled(hint: Any) -> str:
    """A type as one writes it; whole numbers may stand where any number may."""
    return hint.__name__ if isinstance(hint, type) and not typing.get_args(hint) else str(hint).replace("typing.", "")


def main() -> None:
    """Write it, or say that it is out of date."""
    now = written()
    if "--check" in sys.argv[1:]:
        if PLACE.read_text("utf-8") != now:
            raise SystemExit(f"{PLACE.name} is out of date: python tools/typed_fit.py")
        return
    PLACE.write_text(now, encoding="utf-8")


if __name__ == "__main__":
    main()
