"""The reference, from the code itself: every public name, every model's parameters, every command, every route.

``pages()`` returns {path on the site: markdown}. ``python tools/reference.py`` prints which names have an entry.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import re
from typing import Any

PUBLIC = {
    "cofactor": "What most programs need. All of it is imported when first used.",
    "cofactor.split": "Ways to hold out a part of the ratings.",
    "cofactor.train": "The learner, callbacks and schedules.",
    "cofactor.notebook": "The names of fastai's collaborative-filtering notebook.",
    "cofactor.report": "The offline report page.",
    "cofactor.evaluation": "Measuring a model on held-out rows.",
    "cofactor.evaluation.metrics": "The metrics as functions on arrays.",
    "cofactor.selection": "Comparing, tuning, and published protocols.",
    "cofactor.explain": "Why a prediction is what it is.",
    "cofactor.bundle": "Saved models: write, read, look at.",
    "cofactor.export": "Vectors, ONNX graphs and folders for other programs.",
    "cofactor.vectors": "Item vectors for faiss, Qdrant and pgvector.",
    "cofactor.hub": "Saved models on the Hugging Face Hub.",
    "cofactor.mlflow": "Models in MLflow.",
    "cofactor.model": "The protocols that a model of your own is written against.",
    "cofactor.models": "The models by name.",
    "cofactor.serve": "The HTTP server and its settings.",
    "cofactor.engines": "Training and lists in several processes or on a cluster.",
    "cofactor.engines.spark": "Lists on a Spark cluster.",
    "cofactor.testing": "Toy data with known answers, and the conformance suite for models.",
    "cofactor.errors": "Every error that cofactor raises.",
    "cofactor.sklearn": "Models as scikit-learn estimators.",
    "cofactor.client": "A client of the server.",
}
"""Public module -> what it is, in a sentence. Those that do not exist are left out."""
ROLE = re.compile(r":(?:class|func|meth|mod|attr|data|exc):`~?([^`]+)`")


def version() -> str:
    """The version that is installed here."""
    return str(importlib.import_module("cofactor").__version__)


def modules() -> dict[str, Any]:
    """The public modules by name; without those whose extra is not installed."""
    found = {}
    for name in PUBLIC:
        try:
            found[name] = importlib.import_module("cofactor.data.splits" if name == "cofactor.split" else name)
        except ImportError:
            continue
    return found


def names(module: Any) -> list[str]:
    """What a module exports: its ``__all__``, or else what it defines itself."""
    listed = getattr(module, "__all__", None)
    if listed is None:
        listed = [
            n
            for n, x in vars(module).items()
            if not n.startswith("_")
            and (inspect.isclass(x) or inspect.isfunction(x))
            and x.__module__ == module.__name__
        ]
    return sorted((n for n in listed if not n.startswith("__")), key=str.lower)


SECTIONS = {"Args": "Parameters", "Returns": "Returns", "Raises": "Raises", "Warns": "Warns"}


def sections(text: str) -> str:
    """The sections of a docstring (``Args:`` and so on, their lines indented) as headings and lists of Markdown."""
    out, named = [], ""
    for line in text.split("\n"):
        if line.endswith(":") and line[:-1] in SECTIONS:
            named = line[:-1]
            out.append(f"**{SECTIONS[named]}**\n")
        elif named and line.startswith("    "):
            entry = re.match(r"    (\w+): (.*)", line) if named != "Returns" else None
            out.append(f"- `{entry[1]}`: {entry[2]}" if entry else line[4:])
        else:
            out.append(line)
    return "\n".join(out)


def markdown(text: str | None) -> str:
    """A docstring as Markdown: roles and double backticks become code, angle brackets text."""
    text = ROLE.sub(r"`\1`", sections(inspect.cleandoc(text or ""))).replace("``", "`").replace("::\n", ":\n")
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(p if p.startswith("`") else p.replace("<", "&lt;").replace("[", "\\[") for p in parts)


def _plain(annotation: Any) -> str:
    """An annotation without the modules of its names."""
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    return re.sub(r"\b(?:cofactor|collections|typing|polars|numpy)(?:\.[a-z_]\w*)*\.", "", text)


def _parameter(one: inspect.Parameter) -> str:
    """One parameter with its annotation and default, as a program would write it."""
    text = {one.VAR_POSITIONAL: "*", one.VAR_KEYWORD: "**"}.get(one.kind, "") + one.name
    if one.annotation is not one.empty:
        text += f": {_plain(one.annotation)}"
    if one.default is one.empty:
        return text
    shown = re.sub(r"<(?:factory|object [^>]*)>", "...", getattr(one.default, "__qualname__", repr(one.default)))
    return text + (" = " if ":" in text else "=") + re.sub(r"^<.*>$", "...", shown)


def signature(name: str, thing: Any) -> str:
    """The call, an argument a line where it is long."""
    try:
        known = inspect.signature(thing)
    except (TypeError, ValueError):
        return name
    parts: list[str] = []
    shown = [one for one in known.parameters.values() if not one.name.startswith("_")]
    kinds = [one.kind for one in shown]
    for at, one in enumerate(shown):
        if one.kind is one.KEYWORD_ONLY and not {one.KEYWORD_ONLY, one.VAR_POSITIONAL} & set(kinds[:at]):
            parts.append("*")
        parts.append(_parameter(one))
        if one.kind is one.POSITIONAL_ONLY and kinds[at + 1 : at + 2] != [one.POSITIONAL_ONLY]:
            parts.append("/")
    given = "" if known.return_annotation is known.empty else f" -> {_plain(known.return_annotation)}"
    flat = f"{name}({', '.join(parts)}){given}"
    return flat if len(flat) <= 100 else f"{name}(\n    " + ",\n    ".join(parts) + f",\n){given}"


def call(name: str, thing: Any) -> str:
    """The signature as a block of code."""
    return f"```python\n{signature(name.rsplit('.', 1)[-1], thing)}\n```\n\n"


def entry(name: str, thing: Any, level: int) -> str:
    """The heading, the call and the docstring of one name."""
    head = f"{'#' * level} `{name}`\n\n"
    if inspect.isclass(thing):
        body = [head, call(name, thing), markdown(thing.__doc__), "\n\n"]
        if not issubclass(thing, Exception):
            for method, made in sorted(vars(thing).items()):
                if method.startswith("_"):
                    continue
                inner = getattr(made, "__func__", made)
                if inspect.isfunction(inner):
                    body.append(entry(f"{name}.{method}", inner, level + 1))
                elif isinstance(made, property):
                    body.append(f"{'#' * (level + 1)} `{name}.{method}`\n\n{markdown(made.__doc__)}\n\n")
        return "".join(body)
    if callable(thing):
        return f"{head}{call(name, thing)}{markdown(inspect.getdoc(thing))}\n\n"
    if inspect.ismodule(thing):
        return f"{head}{markdown(thing.__doc__)}\n\n"
    tells = len(repr(thing)) < 80 and " at 0x" not in repr(thing)
    return f"{head}A value: `{thing!r}`\n\n" if tells else f"{head}A value.\n\n"


def of_module(name: str, module: Any) -> str:
    """The page of a public module."""
    parts = [f"# `{name}`\n\n{PUBLIC[name]}\n\n"]
    doc = markdown(module.__doc__)
    parts.append(f"{doc}\n\n" if doc else "")
    for one in names(module):
        try:
            thing = getattr(module, one)
        except (AttributeError, ImportError):
            thing = None
        parts.append(entry(f"{name}.{one}", thing, 2))
    return "".join(parts)


def models() -> str:
    """Every model with its parameters."""
    registry = importlib.import_module("cofactor.models")
    parts = ["# Models and their parameters\n\nKeywords of `cofactor.fit`, and options of `cofactor fit`.\n\n"]
    for name in registry.REGISTRY:
        try:
            config = registry.model_class(name).Config
        except ImportError:
            continue
        parts.append(f"## `{name}`\n\n| parameter | default | what it is |\n|---|---|---|\n")
        for field in dataclasses.fields(config):
            usual = field.default if field.default is not dataclasses.MISSING else field.default_factory()
            said = str(field.metadata.get("help", "")).replace("|", "\\|").replace("<", "&lt;")
            parts.append(f"| `{field.name}` | `{usual!r}` | {said} |\n")
        parts.append("\n")
    return "".join(parts)


def commands() -> str:
    """Every command with its options."""
    import typer.main

    cli = importlib.import_module("cofactor.cli.app")
    group = typer.main.get_command(cli.program(list(cli.COMMANDS)))
    parts = ["# Command line\n\n`cofactor COMMAND --help` says the same. `--json` prints values for programs.\n\n"]
    for name, command in sorted(group.commands.items()):
        help_text = re.sub(r"\n(?!\n)", " ", inspect.cleandoc(command.help or "").replace("\b", ""))
        parts.append(f"## `cofactor {name}`\n\n{markdown(help_text)}\n\n| option | what it is |\n|---|---|\n")
        for option in command.params:
            if getattr(option, "hidden", False):
                continue
            named = ", ".join(f"`{o}`" for o in [*option.opts, *option.secondary_opts])
            if option.param_type_name == "argument":
                named = f"`{(option.metavar or option.name).upper()}`"
            said = re.sub(r"\s+", " ", getattr(option, "help", None) or "").replace("|", "\\|")
            parts.append(f"| {named} | {markdown(said)} |\n")
        parts.append("\n")
    return "".join(parts)


def pages() -> dict[str, str]:
    """Path on the site -> markdown."""
    found = {f"reference/{name}.md": of_module(name, module) for name, module in modules().items()}
    found["reference/models.md"] = models()
    found["reference/command-line.md"] = commands()
    return found


def entries() -> set[str]:
    """The names that have an entry, such as ``cofactor.fit``."""
    return {found for page in pages().values() for found in re.findall(r"^#+ `([\w.]+)`$", page, re.M)}


if __name__ == "__main__":
    for found in sorted(entries()):
        print(found)
