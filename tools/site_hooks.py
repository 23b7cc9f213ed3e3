"""Hooks of the documentation site: pages made from the code, and links that point outside of docs/.

A page of docs/ may link to a file beside it in the repository (``../benchmarks/results/bayes.md``), so that it reads
well there. On the site such files are pages of their own: results, examples, changelog, contributing. Links to other
files of the repository become plain text, since a site that is read offline has no repository beside it.
"""

from __future__ import annotations

import posixpath
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(Path(__file__).resolve().parent))

import notebook_pages  # noqa: E402
import reference  # noqa: E402
from mkdocs.structure.files import File, Files  # noqa: E402

LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
FENCE = re.compile(r"^(```.*?^```\s*?$|~~~.*?^~~~\s*?$)", re.M | re.S)


def outside() -> dict[str, str]:
    """Files of the repository that are pages of the site: path in the repository -> path on the site."""
    found = {
        "CHANGELOG.md": "changelog.md",
        "CONTRIBUTING.md": "contributing.md",
        "SECURITY.md": "security.md",
        "CODE_OF_CONDUCT.md": "code-of-conduct.md",
        "README.md": "index.md",
        "benchmarks/README.md": "benchmarks/index.md",
    }
    for path in sorted((ROOT / "benchmarks" / "results").iterdir()):
        found[f"benchmarks/results/{path.name}"] = f"benchmarks/{path.name}"
    for path in sorted((ROOT / "examples").glob("*.py")):
        found[f"examples/{path.name}"] = f"examples/{path.stem}.md"
    for path in sorted((ROOT / "examples").glob("*.ipynb")):
        found[f"examples/{path.name}"] = f"gallery/{path.stem}.md"
    return found


def written(config: Any) -> dict[str, str | bytes]:
    """Pages that are not files of docs/: path on the site -> what it holds."""
    pages: dict[str, str | bytes] = dict(reference.pages())
    for source, target in outside().items():
        path = ROOT / source
        if target == "index.md" or not path.exists():
            continue
        if path.suffix == ".py":
            pages[target] = f"# {path.name}\n\n```python\n{path.read_text('utf-8')}```\n"
        elif path.suffix == ".ipynb":
            pages[target], pictures = notebook_pages.page(path)
            pages |= {f"gallery/{name}": picture for name, picture in pictures.items()}
        elif path.suffix == ".md":
            pages[target] = relinked(path.read_text("utf-8"), source, target)
        else:
            pages[target] = path.read_bytes()
    names = "\n".join(f"- [{Path(t).stem}]({Path(t).name})" for t in outside().values() if t.startswith("examples/"))
    shown = [t for t in outside().values() if t.startswith("gallery/")]
    titles = {t: str(pages[t]).partition("\n")[0].removeprefix("# ") for t in shown}
    cards = "\n".join(f"- [{titles[t]}]({Path(t).name})" for t in shown)
    pages["gallery/index.md"] = (
        f"# Gallery\n\nNotebooks with all that they print and draw. A test runs their cells.\n\n{cards}\n"
    )
    pages["examples/index.md"] = f"# Examples\n\nEach of them is run by a test.\n\n{names}\n"
    return pages


def relinked(text: str, source: str, target: str) -> str:
    """The text of the page ``target`` of the site, whose links are written for ``source`` in the repository."""
    sites = outside()

    def link(found: re.Match[str]) -> str:
        mark, label, address = found.groups()
        if re.match(r"[a-z]+:|#", address):
            return found[0]
        path, _, anchor = address.partition("#")
        place = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
        if place.startswith("docs/"):
            goal = place.removeprefix("docs/")
        elif place in sites:
            goal = sites[place]
        elif place.rstrip("/") in ("examples", "benchmarks/results", "benchmarks"):
            goal = "examples/index.md" if place.startswith("examples") else "benchmarks/index.md"
        else:
            return label  # a file of the repository that is no page
        near = posixpath.relpath(goal, posixpath.dirname(target) or ".")
        return f"{mark}[{label}]({near}{'#' + anchor if anchor else ''})"

    parts = FENCE.split(text)
    return "".join(part if FENCE.fullmatch(part) else LINK.sub(link, part) for part in parts)


def on_config(config: Any) -> Any:
    """The version that the site is about, and the pages that are made in the navigation."""
    made = written(config)
    config["site_name"] = f"cofactor {reference.version()}"
    order = [
        {"Reference": [name for name in made if name.startswith("reference/")]},
        {"Gallery": ["gallery/index.md", *sorted(n for n in made if re.fullmatch(r"gallery/(?!index).*\.md", n))]},
        {"Examples": ["examples/index.md", *sorted(n for n in made if re.fullmatch(r"examples/(?!index).*", n))]},
        {
            "Measured": [
                "benchmarks/index.md",
                *sorted(n for n in made if re.fullmatch(r"benchmarks/(?!index).*\.md", n)),
            ]
        },
        {"Project": [n for n in ("changelog.md", "contributing.md", "security.md", "code-of-conduct.md") if n in made]},
    ]
    named = str(config["nav"])
    left = sorted(p.relative_to(ROOT / "docs").as_posix() for p in (ROOT / "docs").rglob("*.md"))
    for entry in config["nav"]:  # a page that the navigation does not name yet is found all the same
        if "How to" in entry:
            entry["How to"] += [name for name in left if f"'{name}'" not in named]
    config["nav"] = [entry for entry in config["nav"] if "Reference" not in entry] + order
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that are made."""
    for path, content in written(config).items():
        files.append(File.generated(config, path, content=content))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Links of docs/ that leave it."""
    path = page.file.src_uri
    return relinked(markdown, f"docs/{path}", path) if not page.file.generated_by else markdown
