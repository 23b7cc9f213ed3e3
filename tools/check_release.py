"""What has to hold before a release: one version everywhere, real addresses, a changelog, whole files.

``python tools/check_release.py [--tag v0.1.0] [dist/*]`` prints what is wrong, and ends with 1 where anything is.
"""

from __future__ import annotations

import argparse
import re
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def needed() -> list[str]:
    """Every file of the package: pages, tables, stubs and the mark of types are as needed as the modules."""
    package = ROOT / "src" / "cofactor"
    found = (path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return sorted(path.relative_to(package.parent).as_posix() for path in found)


def version() -> str:
    """The one source: ``src/cofactor/_version.py``."""
    found = re.search(r'__version__ = "([^"]+)"', (ROOT / "src/cofactor/_version.py").read_text("utf-8"))
    if found is None:
        raise SystemExit("src/cofactor/_version.py names no version")
    return found[1]


def wrong_in_the_repository(tag: str | None) -> list[str]:
    """What is wrong in files of the repository."""
    now, wrong = version(), []
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    if tag is not None and tag.removeprefix("v") != now:
        wrong.append(f"the tag is {tag}, the version {now}")
    if f"version: {now}" not in (ROOT / "CITATION.cff").read_text("utf-8"):
        wrong.append(f"CITATION.cff has another version than {now}")
    if f'set version = "{now}"' not in (ROOT / "conda/meta.yaml").read_text("utf-8"):
        wrong.append(f"conda/meta.yaml has another version than {now}")
    if tag is not None and f"## {now}" not in (ROOT / "CHANGELOG.md").read_text("utf-8"):
        wrong.append(f"CHANGELOG.md has no section {now}")
    if tag is not None:
        wrong += [f"[project.urls] {name} is {url}" for name, url in project["urls"].items() if ".example" in url]
    recipe = (ROOT / "conda/meta.yaml").read_text("utf-8")
    for need in project["dependencies"]:
        name, bound = re.match(r"([\w-]+)(>=[\d.]+)", need).groups()  # type: ignore[union-attr]
        if f"- {name} {bound}" not in recipe:
            wrong.append(f"conda/meta.yaml lacks {name} {bound}")
    return wrong


def wrong_in_the_file(path: Path) -> list[str]:
    """What is wrong in a wheel or a source archive."""
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as wheel:
            names = set(wheel.namelist())
            about = wheel.read(next(name for name in names if name.endswith(".dist-info/METADATA"))).decode()
    else:
        with tarfile.open(path) as archive:
            names = {name.partition("/")[2].removeprefix("src/") for name in archive.getnames()}
            about = archive.extractfile(f"{path.name.removesuffix('.tar.gz')}/PKG-INFO").read().decode()  # type: ignore[union-attr]
    wrong = [f"{path.name} lacks {name}" for name in needed() if name not in names]
    relative = re.findall(r"\]\((?![a-z]+:|#)([^)\s]+)\)", about)
    wrong += [f"the README of {path.name} links to {link}, which a package page does not have" for link in relative]
    if version() not in path.name:
        wrong.append(f"{path.name} is not of version {version()}")
    return wrong


def main() -> None:
    """Print what is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tag")
    parser.add_argument("files", nargs="*", type=Path)
    given = parser.parse_args()
    wrong = wrong_in_the_repository(given.tag) + [one for path in given.files for one in wrong_in_the_file(path)]
    print("\n".join(wrong) or f"cofactor {version()} can be released")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
