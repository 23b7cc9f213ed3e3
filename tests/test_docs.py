"""Pages of the documentation whose examples run as they stand, the reference, and the links."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import inspect
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, Literal

import pytest

import cofactor as cf
from cofactor.models import model_class

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
RUN = sorted([*DOCS.glob("tutorials/*.md"), *DOCS.glob("coming-from/*.md"), DOCS / "sklearn.md", DOCS / "index.md"])
NEEDS = {"cofactor.notebook": "torch", "cofactor.sklearn": "sklearn", "cofactor.serve": "fastapi"}


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """The files that the page of tables writes; of the ratings and the purchases a part, to be quick."""
    folder = tmp_path_factory.mktemp("docs")
    with contextlib.chdir(folder):
        for block in blocks(DOCS / "tutorials" / "tables.md"):
            exec(compile(block, "tables.md", "exec"), {"__name__": "page"})
    for name in ("ratings.csv", "purchases.csv"):
        path = folder / name
        path.write_text("".join(path.read_text(encoding="utf-8").splitlines(keepends=True)[:6001]), encoding="utf-8")
    return folder


def blocks(page):
    """Our own examples; those of other libraries have a title."""
    return re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.M | re.S)


LONG = {"tutorials"}


@pytest.mark.parametrize(
    "page",
    [pytest.param(p, marks=pytest.mark.slow) if p.parent.name in LONG else p for p in RUN],
    ids=lambda p: f"{p.parent.name}/{p.stem}",
)
def test_every_block_runs(page, tables, tmp_path, monkeypatch, capsys):
    found = blocks(page)
    code = "\n".join(found)
    for name, extra in NEEDS.items():
        if name in code:
            pytest.importorskip(extra)
    for table in tables.iterdir():
        (tmp_path / table.name).write_bytes(table.read_bytes())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    names = {"__name__": "page"}
    for block in found:
        exec(compile(block, page.name, "exec"), names)
    assert capsys.readouterr().out or not found


def test_installing_has_every_extra_and_other_pages_link_to_it():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    table = re.findall(r"^\| (`[^|]+) \|", (DOCS / "install.md").read_text(encoding="utf-8"), re.M)
    named = [name for row in table for name in re.findall(r"`([\w-]+)`", row)]
    assert sorted(named) == sorted({*project["optional-dependencies"]} - {"dev", "docs", "browser"})
    for page in DOCS.rglob("*.md"):
        if page != DOCS / "install.md":  # a name is installable from an index only after a release
            assert not re.search(r"pip install ['\"]?cofactor", page.read_text(encoding="utf-8")), page.name


def site_tool(name):
    """A module of tools/."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def site_tool_public():
    """The public modules, as tests/test_public.py lists them."""
    spec = importlib.util.spec_from_file_location("public_list", ROOT / "tests" / "test_public.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return {*module.PUBLIC, *module.WHOLE}


def test_every_public_name_has_an_entry():
    reference = site_tool("reference")
    entries = reference.entries()
    modules = reference.modules()
    assert {"cofactor", "cofactor.split", "cofactor.train", "cofactor.errors"} <= set(modules)
    public = site_tool_public()
    assert set(reference.PUBLIC) == public
    missing = [
        f"{m}.{n}" for m, module in modules.items() for n in reference.names(module) if f"{m}.{n}" not in entries
    ]
    assert not missing
    assert {f"cofactor.Recommender.{verb}" for verb in ("recommend", "predict", "explain", "save")} <= entries


NAMED = [
    *((f"cofactor.{name}", getattr(cf, name)) for name in cf.__all__),
    *((f"cofactor.split.{name}", found) for name, found in vars(cf.split).items()),
    *((f"Recommender.{name}", getattr(cf.Recommender, name)) for name in vars(cf.Recommender)),
    *((f"Learner.{name}", getattr(cf.Learner, name)) for name in ("fit", "fit_one_cycle", "lr_find", "validate")),
]
FUNCTIONS = [
    (name, found)
    for name, found in NAMED
    if not name.rpartition(".")[2].startswith("_")
    and (inspect.isfunction(found) or inspect.ismethod(found))
    and (not name.startswith("cofactor.split.") or found.__module__.startswith("cofactor.data.splits."))
]


@pytest.mark.parametrize(("name", "function"), FUNCTIONS, ids=[name for name, _ in FUNCTIONS])
def test_each_parameter_is_documented(name, function):
    wanted = [one for one in inspect.signature(function).parameters if one != "self"]
    text = inspect.getdoc(function)
    part = text.partition("\nArgs:\n")[2].partition("\n\nR")[0].partition("\n\nWarns")[0]
    assert re.findall(r"^    (\w+): ", part, re.M) == wanted
    assert text[0].isupper()
    assert text.splitlines()[0].endswith(".")


def test_the_reference_shows_calls_as_a_program_would_write_them():
    reference = site_tool("reference")

    def example(a: int, b: str = "x", *, c: Literal["y", "z"] | None = "y", **more: Any) -> list[str]: ...

    wanted = "example(a: int, b: str = 'x', *, c: Literal['y', 'z'] | None = 'y', **more: Any) -> list[str]"
    assert reference.signature("example", example) == wanted
    text = "What it does.\n\nArgs:\n    a: one\n        more\n\nRaises:\n    DataError: why\n"
    listed = "What it does.\n\n**Parameters**\n\n- `a`: one\n    more\n\n**Raises**\n\n- `DataError`: why"
    assert reference.markdown(text) == listed
    assert not [page for page, text in reference.pages().items() if re.search(r"\b0x[0-9a-f]{6}", text)]


def test_every_model_and_command_has_an_entry():
    pages = site_tool("reference").pages()
    for name in cf.list_models()["model"]:
        assert f"## `{name}`" in pages["reference/models.md"]
    for name in ("demo", "fit", "serve", "recommend"):
        assert f"## `cofactor {name}`" in pages["reference/command-line.md"]


def prose(page):
    """A page without its blocks of code."""
    return re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.S)


def anchors(page):
    """The addresses of a page's headings, as the site makes them."""
    headings = re.findall(r"^#+ (.*)$", prose(page), flags=re.M)
    return {re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", heading.lower()).strip()) for heading in headings}


def test_no_link_of_the_pages_is_dead():
    for page in [*DOCS.rglob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md"]:
        for address in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
            path, _, anchor = address.partition("#")
            if re.match(r"[a-z]+:", address) or path.startswith("reference/"):
                continue  # the reference is made with the site
            linked = page.parent / path if path else page
            assert linked.exists(), f"{page.name} links to {address}"
            if anchor and linked.suffix == ".md":
                assert anchor in anchors(linked), f"{page.name} links to {address}"


def test_the_parameters_that_the_page_of_models_names_exist():
    checked = 0
    for section in re.split(r"^### ", (DOCS / "models.md").read_text(encoding="utf-8"), flags=re.M)[1:]:
        models = re.findall(r"`([^`]+)`", section.partition("\n")[0])
        listed = re.search(r"^- Main parameters:(.*?)(?=^- |\Z)", section, flags=re.S | re.M)
        if listed:
            known = {field.name for name in models for field in dataclasses.fields(model_class(name).Config)}
            named = set(re.findall(r"`([a-z_0-9]+)`", listed[1])) - set(cf.list_models()["model"])
            assert named <= known, (models, named - known)
            checked += len(named)
    assert checked > 40


def test_every_work_that_the_mathematics_cites_is_among_its_sources():
    body, _, sources = (DOCS / "mathematics.md").read_text(encoding="utf-8").partition("## Sources")
    entries = re.findall(r"^- (.*?) (\d{4}), \*", sources, flags=re.M)
    cited = re.findall(r"([A-Z][\w’']+)(?:,? (?:& )?[A-Z][\w’']+)*(?: et al\.)? (\d{4})", body)
    assert len(cited) > 20
    assert [one for one in cited if not any(one[0] in names and one[1] == year for names, year in entries)] == []
    assert [entry for entry in entries if not any(name in entry[0] and year == entry[1] for name, year in cited)] == []


def test_the_site_names_pages_that_exist():
    config = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    named = re.findall(r"([\w/-]+\.md)$", config, re.M)
    assert len(named) > 20
    assert [name for name in named if not (DOCS / name).exists()] == []


NAMED_PATH = re.compile(
    r"(?<![\w/.])(?:tests|benchmarks|tools|deploy|examples|docs|src)/[\w/.-]*\w\.(?:py|md|json|sh|yaml|toml|conf|ipynb|png)"
)


def test_every_file_that_a_page_or_a_module_names_exists():
    places = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "Makefile", "pyproject.toml")]
    for folder, pattern in (("docs", "*.md"), ("benchmarks", "*.md"), ("src", "*.py"), ("benchmarks", "*.py")):
        places += (ROOT / folder).rglob(pattern)
    places = [place for place in places if ".envs" not in place.parts]
    named = {(place.name, name) for place in places for name in NAMED_PATH.findall(place.read_text(encoding="utf-8"))}
    assert len(named) > 60
    assert sorted(one for one in named if not (ROOT / one[1]).exists()) == []


def figures(text):
    """The numbers of a text outside its code and its links."""
    text = re.sub(r"\[[^\]]*\]\([^)]*\)|`[^`]*`", "", text)
    return [one.replace(",", "") for one in re.findall(r"(?<![\w.])\d[\d,]*(?:\.\d+)?(?:e-?\d+)?(?!\w)", text)]


def rounds_to(written, measured):
    """Whether a measured number (or a million of them) gives this figure, to its own number of decimals."""
    if "e" in written:
        return any(float(written) == float(one) for one in measured)
    half = 0.5 * 10.0 ** -len(written.partition(".")[2]) + 1e-9
    return any(abs(float(written) - float(one) / scale) <= half for one in measured for scale in (1, 1e6))


@pytest.mark.parametrize(("page", "column"), [("README.md", 2), ("docs/performance.md", 2)])
def test_the_figures_of_a_table_stand_in_the_results_that_it_links_to(page, column):
    checked = 0
    for row in (ROOT / page).read_text(encoding="utf-8").splitlines():
        linked = re.findall(r"\]\(([^)]*results/[^)]*\.md)\)", row) if row.startswith("|") else []
        if not linked:
            continue
        results = " ".join((ROOT / page).parent.joinpath(one).read_text(encoding="utf-8") for one in linked)
        measured = figures(results.replace("`", ""))
        for figure in figures(row.split("|")[column]):
            if "." in figure or float(figure) >= 20:  # smaller ones are words: ten items, 2 threads
                assert rounds_to(figure, measured), f"{page}: {figure} in {row[:90]}"
                checked += 1
    assert checked > 10


@pytest.mark.parametrize(
    ("written", "same"),
    [("0.072", True), ("0.07", True), ("0.073", False), ("481", True), ("482", False)],
)
def test_a_figure_is_a_rounded_measurement(written, same):
    assert rounds_to(written, ["0.0721", "481.3", "520000"]) is same


@pytest.mark.slow
def test_the_commands_of_the_readme_run_in_their_order(tmp_path):
    """Each line of the README's block, as it stands (the server apart, which does not end)."""
    text = (ROOT / "README.md").read_text(encoding="utf-8").partition("## The command line")[2]
    block = re.search(r"```\n(cofactor .*?)```", text, re.S)[1]
    lines = [shlex.split(line, comments=True) for line in block.splitlines()]
    assert len(lines) > 10
    for words in lines:
        assert words[0] == "cofactor"
        if words[1] == "serve":
            continue
        done = subprocess.run([sys.executable, "-m", *words], cwd=tmp_path, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, (words, done.stderr[-500:])
        assert done.stdout + done.stderr, words
    assert {"train.csv", "test.csv", "films.cofactor", "recs.parquet", "report.html", "films.hub"} <= {
        path.name for path in tmp_path.iterdir()
    }
