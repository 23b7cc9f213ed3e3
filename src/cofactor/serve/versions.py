"""The models that were live, each a bundle in the state directory, so that one can go back to them.

Files of a bundle are never changed in place, so a version is a directory of hard links: it costs no space while the
bundle that was given stands, and stays whole when that is replaced. Where links cannot be made, files are copied.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

from cofactor.bundle.files import MANIFEST, digest_of, opened, regular
from cofactor.bundle.manifest import FILES
from cofactor.errors import BundleError
from cofactor.serve.store import Version


def origin_of(bundle: Path) -> str:
    """What tells one saved model from another: the digest of its manifest, which holds those of its files."""
    try:
        return digest_of((bundle / MANIFEST).read_bytes())
    except OSError as exc:
        raise BundleError(f"cannot open {bundle}: {exc.strerror or exc}") from None


def adopt(bundle: Path, place: Path) -> None:
    """Make ``place`` (where nothing is of use) the same bundle: its files, and no others that lie there. All are of one
    and the same bundle, even where it is replaced meanwhile."""
    remove(place)
    try:
        place.mkdir(parents=True)
        with opened(bundle) as folder:
            with regular(folder, MANIFEST, bundle):
                pass  # before anything else: it may be no bundle at all
            for name in (*FILES, MANIFEST):
                with regular(folder, name, bundle):
                    pass  # a link to somewhere else is refused
                try:
                    os.link(name, place / name, src_dir_fd=folder, follow_symlinks=False)
                except OSError:
                    with regular(folder, name, bundle) as (fd, _), open(place / name, "xb") as copy:
                        shutil.copyfileobj(os.fdopen(os.dup(fd), "rb"), copy)
    except OSError as exc:
        remove(place)
        raise BundleError(f"cannot keep a version in {place.parent}: {exc.strerror or exc}") from None
    except BundleError:
        remove(place)
        raise


def outdated(versions: list[Version], keep: int) -> list[Version]:
    """Those to remove so that ``keep`` are left: the ones longest not live."""
    passive = sorted((v for v in versions if not v.active), key=lambda v: v.activated or 0.0)
    return passive[: max(0, len(versions) - keep)]


def remove(place: Path) -> None:
    """Delete a version's directory."""
    with contextlib.suppress(OSError):
        shutil.rmtree(place)
