"""The explorer's pages as files: nothing inline, nothing from elsewhere, nothing that turns text into markup."""

from __future__ import annotations

import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

import cofactor
from cofactor.evaluation.metric_names import GROUPS

PAGES = Path(cofactor.__file__).parent / "serve" / "pages"
FILES = sorted(p for p in PAGES.iterdir() if p.is_file())
SCRIPTS = [p for p in FILES if p.suffix == ".js"]
SHEETS = [p for p in FILES if p.suffix == ".css"]
VOID = {"meta", "link", "img", "br", "input", "hr"}


class Page(HTMLParser):
    """The elements of a page, and those that are not closed where they should be."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.inline: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("script", "style") and data.strip():
            self.inline.append(data)


def page() -> Page:
    found = Page()
    found.feed((PAGES / "index.html").read_text("utf-8"))
    found.close()
    return found


def text(path: Path) -> str:
    return path.read_text("utf-8")


def uncommented(path: Path) -> str:
    return re.sub(r"/\*.*?\*/|(?<![:\"'`\\])//[^\n]*", "", text(path), flags=re.S)


def test_the_page_is_whole_and_has_landmarks():
    found = page()
    assert found.open == []
    tags = [tag for tag, _ in found.elements]
    assert {"header", "nav", "main", "footer"} <= set(tags)
    assert ("html", {"lang": "en"}) in found.elements
    ids = [attrs["id"] for _, attrs in found.elements if "id" in attrs]
    assert len(ids) == len(set(ids))


def test_the_page_has_nothing_inline():
    found = page()
    assert found.inline == []
    for tag, attrs in found.elements:
        assert "style" not in attrs, f"<{tag}> has a style, which the policy of the server forbids"
        assert not [name for name in attrs if name.startswith("on")], f"<{tag}> has a handler"
        assert tag != "script" or attrs.get("src")
        assert not str(attrs.get("href", "")).startswith("javascript:")


def test_every_file_that_is_named_exists_and_none_is_left_over():
    named = {"index.html"}
    for _, attrs in page().elements:
        for name in ("src", "href"):
            address = attrs.get(name) or ""
            if address and not address.startswith("#"):
                assert address.startswith("assets/"), f"{address} is not from this server's assets"
                named.add(address.removeprefix("assets/"))
    for script in SCRIPTS:
        for found in re.findall(r"""(?:\bfrom |\bimport\()["']([^"']+)["']""", text(script)):
            assert found.startswith("./"), f"{script.name} imports {found}"
            named.add(found.removeprefix("./"))
    assert named == {p.name for p in FILES}


def test_what_is_imported_is_exported():
    exported = {
        p.name: set(re.findall(r"export (?:async )?(?:const|function|class) (\w+)", text(p)))
        | {n.strip() for names in re.findall(r"export const \{([^}]*)\}", text(p)) for n in names.split(",")}
        for p in SCRIPTS
    }
    for script in SCRIPTS:
        for names, source in re.findall(r'import \{([^}]*)\} from "\./([^"]+)"', text(script)):
            for name in (n.strip().split(" as ")[0] for n in names.split(",")):
                assert name in exported[source], f"{script.name} imports {name} from {source}"
                assert len(re.findall(rf"\b{name}\b", text(script))) > 1, f"{script.name} does not use {name}"


def test_every_view_has_a_file():
    views = re.findall(r'"(\w+)"', re.search(r"VIEWS = \[(.*?)\]", text(PAGES / "route.js"))[1])
    assert views == ["taste", "user", "item", "map", "compare", "model", "experiment"]
    loaded = dict(re.findall(r'(\w+): \(\) => import\("\./([^"]+)"\)', text(PAGES / "explorer.js")))
    assert list(loaded) == views
    for view, name in loaded.items():
        assert "export function open(" in text(PAGES / name)
        linked = {attrs.get("href") for _, attrs in page().elements}
        assert f"#/{view}" in linked or f'href: "#/{view}"' in text(PAGES / "model.js")


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name)
def test_nothing_comes_from_elsewhere(path):
    addresses = set(re.findall(r"(?:https?:)?//[\w.-]+\.\w+[^\s\"'`)]*", uncommented(path)))
    assert addresses <= {"http://www.w3.org/2000/svg"}  # a name, never fetched
    assert not re.search(r"url\(|@import|@font-face|sendBeacon|WebSocket|EventSource|XMLHttpRequest", text(path))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda p: p.name)
def test_text_never_becomes_markup_or_code(path):
    forbidden = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|setTimeout\(\s*[\"'`]"
    assert not re.search(forbidden, uncommented(path))
    assert not re.search(r"[{,]\s*[\"']?style[\"']?\s*:", uncommented(path)), (
        "a style attribute, which the policy forbids"
    )
    assert "localStorage" not in text(path)  # a token and a taste end with the tab
    assert "document.cookie" not in text(path)


def test_only_one_file_talks_to_the_server():
    assert [p.name for p in SCRIPTS if re.search(r"\bfetch\(", uncommented(p))] == ["api.js"]


def test_the_pages_are_small():
    assert sum(p.stat().st_size for p in FILES) < 208 * 1024
    for path in FILES:
        assert text(path).count("\n") < 400, f"{path.name} is too long"


@pytest.mark.parametrize("path", SHEETS, ids=lambda p: p.name)
def test_the_sheets_are_whole(path):
    depth = 0
    for mark in re.findall(r"[{}]", uncommented(path)):
        depth += 1 if mark == "{" else -1
        assert depth >= 0
    assert depth == 0


def test_the_colours_are_those_of_the_report():
    report = text(PAGES.parent.parent / "report" / "page" / "page.css")
    tokens = [dict(re.findall(r"(--[\w-]+): (#\w+)", part)) for part in report.split("prefers-color-scheme: dark", 1)]
    ours = text(PAGES / "base.css").split("prefers-color-scheme: dark", 1)
    for expected, part in zip(tokens, ours):
        found = dict(re.findall(r"(--[\w-]+): (#\w+)", part))
        assert expected.items() <= found.items()


def test_both_schemes_name_the_same_colours_and_motion_can_be_had_less():
    light, dark = text(PAGES / "base.css").split("prefers-color-scheme: dark", 1)
    assert set(re.findall(r"(--[\w-]+):", light)) == set(re.findall(r"(--[\w-]+):", dark))
    assert any("prefers-reduced-motion" in text(p) for p in SHEETS)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda p: p.name)
def test_scripts_are_balanced(path):
    """Brackets outside of strings, comments and patterns close in order; no interpreter is needed for that."""
    source = uncommented(path)
    source = re.sub(r"(?<=[(=,:!&|?;\s])/(?![/*\s])(?:\\.|\[(?:\\.|[^\]\\])*\]|[^/\\\n\[])+/[gimsuy]*", "0", source)
    source = re.sub(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', "0", source)
    stack: list[str] = []
    pairs = {")": "(", "]": "[", "}": "{"}
    inside = False  # of the text of a template
    templates: list[int] = []
    at = 0
    while at < len(source):
        mark = source[at]
        if inside:
            if mark == "\\":
                at += 1
            elif mark == "`":
                inside = False
            elif source.startswith("${", at):
                stack.append("{")
                templates.append(len(stack))
                inside, at = False, at + 1
        elif mark == "`":
            inside = True
        elif mark in "([{":
            stack.append(mark)
        elif mark in ")]}":
            if templates and mark == "}" and templates[-1] == len(stack):
                templates.pop()
                inside = True
            assert stack
            assert stack.pop() == pairs[mark]
        at += 1
    assert not stack
    assert not inside


@pytest.mark.skipif(shutil.which("node") is None, reason="Node, which parses scripts, is not installed")
def test_node_parses_the_scripts(tmp_path):
    for script in SCRIPTS:
        copy = tmp_path / (script.stem + ".mjs")
        copy.write_bytes(script.read_bytes())
        done = subprocess.run(["node", "--check", str(copy)], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "page", [PAGES / "figures.js", PAGES.parents[1] / "report" / "page" / "page.js"], ids=lambda p: p.name
)
def test_every_metric_has_words(page):
    known = set(re.findall(r"^(?:\t|  )(\w+): \"", text(page), re.M))
    assert set(GROUPS["all"]) <= known
