"""Known datasets, and fetching them from a loopback server that breaks off, has wrong sums, and sends hostile zips."""

from __future__ import annotations

import hashlib
import http.server
import io
import stat
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from cofactor.data import datasets, download
from cofactor.data.interactions import Interactions, Split
from cofactor.errors import ConfigError, DatasetError


@dataclass
class Site:
    """What a server on this machine offers, and what it was asked."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    breaks: list[int] = field(default_factory=list)
    """For each coming request of a file: after how many bytes the connection breaks."""
    ranges: bool = True
    asked: list[str | None] = field(default_factory=list)


@pytest.fixture
def site() -> Iterator[Site]:
    offer = Site()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = offer.files.get(self.path.lstrip("/"))
            if body is None:
                self.send_error(404)
                return
            wanted = self.headers.get("Range")
            if not self.path.endswith(".md5"):
                offer.asked.append(wanted)
            start = 0
            if wanted and offer.ranges:
                start = int(wanted.removeprefix("bytes=").rstrip("-"))
                if start >= len(body):
                    self.send_response(416)
                    self.send_header("Content-Range", f"bytes */{len(body)}")
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                self.send_response(206)
            else:
                self.send_response(200)
            part = body[start:]
            self.send_header("Content-Length", str(len(part)))
            self.end_headers()
            cut = offer.breaks.pop(0) if offer.breaks and not self.path.endswith(".md5") else len(part)
            self.wfile.write(part[:cut])

        def log_message(self, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    offer.url = f"http://127.0.0.1:{server.server_port}"
    yield offer
    server.shutdown()
    server.server_close()
    thread.join()


BODY = np.random.default_rng(0).bytes(3_000_000)
MD5 = hashlib.md5(BODY, usedforsecurity=False).hexdigest()


def zipped(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in files.items():
            archive.writestr(name, body)
    return out.getvalue()


@pytest.mark.parametrize("ranges", [True, False])
def test_a_broken_download_goes_on(site: Site, tmp_path: Path, ranges: bool) -> None:
    site.files["a.bin"], site.ranges, site.breaks = BODY, ranges, [1_000_000, 500_000]
    got = download.fetch(f"{site.url}/a.bin", tmp_path / "a.bin", md5=MD5)
    assert got.read_bytes() == BODY
    assert site.asked[0] is None
    assert site.asked[1] == "bytes=1000000-"
    assert list(tmp_path.iterdir()) == [got]


def test_what_was_fetched_is_kept_for_the_next_run(site: Site, tmp_path: Path) -> None:
    site.files["a.bin"], site.breaks = BODY, [1_000_000]
    with pytest.raises(DatasetError, match="run again"):
        download.fetch(f"{site.url}/a.bin", tmp_path / "a.bin", md5=MD5, tries=1)
    assert not (tmp_path / "a.bin").exists()
    assert (tmp_path / "a.bin.part").stat().st_size == 1_000_000
    assert download.fetch(f"{site.url}/a.bin", tmp_path / "a.bin", md5=MD5).read_bytes() == BODY
    (tmp_path / "a.bin").rename(tmp_path / "a.bin.part")  # all there, but never renamed
    assert download.fetch(f"{site.url}/a.bin", tmp_path / "a.bin", md5=MD5).read_bytes() == BODY


def test_checksums_given_and_published(site: Site, tmp_path: Path) -> None:
    site.files["a.bin"] = BODY
    with pytest.raises(DatasetError, match="wrong checksum"):
        download.fetch(f"{site.url}/a.bin", tmp_path / "a.bin", md5="0" * 32)
    assert list(tmp_path.iterdir()) == []
    site.files["a.bin.md5"] = f"MD5 (a.bin) = {MD5}\n".encode()
    assert download.published_md5(f"{site.url}/a.bin") == MD5
    assert download.fetch(f"{site.url}/a.bin", tmp_path / "a.bin").read_bytes() == BODY
    site.files["a.bin.md5"] = ("f" * 32 + "  a.bin\n").encode()
    with pytest.raises(DatasetError, match="wrong checksum"):
        download.fetch(f"{site.url}/a.bin", tmp_path / "b.bin")
    del site.files["a.bin.md5"]
    assert download.fetch(f"{site.url}/a.bin", tmp_path / "c.bin").read_bytes() == BODY


def test_limits_and_errors(site: Site, tmp_path: Path) -> None:
    site.files["a.bin"] = BODY
    with pytest.raises(DatasetError, match="more than the 1,000 expected"):
        download.fetch(f"{site.url}/a.bin", tmp_path / "a.bin", limit=1000, md5=MD5)
    with pytest.raises(DatasetError, match="answers 404"):
        download.fetch(f"{site.url}/none.bin", tmp_path / "a.bin")
    with pytest.raises(DatasetError, match="not https"):
        download.fetch("http://example.org/a.bin", tmp_path / "a.bin")
    with pytest.raises(DatasetError, match="cannot be downloaded"):
        download.fetch("http://127.0.0.1:9/a.bin", tmp_path / "a.bin", md5=MD5, tries=1)


def test_unpacking(tmp_path: Path) -> None:
    archive = tmp_path / "a.zip"
    archive.write_bytes(zipped({"top/a.txt": b"one", "top/sub/b.txt": b"two"}))
    folder = download.unpack(archive, tmp_path / "out")
    assert (folder / "a.txt").read_bytes() == b"one"
    assert (folder / "sub" / "b.txt").read_bytes() == b"two"
    archive.write_bytes(zipped({"a.txt": b"three", "b/c.txt": b"four"}))
    assert sorted(p.name for p in download.unpack(archive, tmp_path / "out").iterdir()) == ["a.txt", "b"]


@pytest.mark.parametrize("name", ["../evil.txt", "a/../../evil.txt", "/tmp/evil.txt", "..\\evil.txt", "C:evil.txt"])
def test_entries_that_lead_outside_are_refused(tmp_path: Path, name: str) -> None:
    archive = tmp_path / "a.zip"
    archive.write_bytes(zipped({"ok.txt": b"fine", name: b"evil"}))
    with pytest.raises(DatasetError, match="unsafe entry"):
        download.unpack(archive, tmp_path / "in" / "out")
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == [archive]


def test_links_bombs_and_damage_are_refused(tmp_path: Path) -> None:
    archive = tmp_path / "a.zip"
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(archive, "w") as made:
        made.writestr(link, "/etc/passwd")
    with pytest.raises(DatasetError, match="unsafe entry 'link'"):
        download.unpack(archive, tmp_path / "out")
    archive.write_bytes(zipped({"zeros": bytes(10_000_000)}))
    with pytest.raises(DatasetError, match="more than 1,000,000 bytes"):
        download.unpack(archive, tmp_path / "out", limit=1_000_000)
    good = zipped({"a.txt": BODY[:100_000]})
    for bad in (good[:-30], good[:50_000] + b"x" + good[50_001:], b"no zip at all"):
        archive.write_bytes(bad)
        with pytest.raises(DatasetError, match="damaged"):
            download.unpack(archive, tmp_path / "out")
    assert list(tmp_path.iterdir()) == [archive]


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No data folder, and an empty cache."""
    monkeypatch.delenv("COFACTOR_DATA_DIR", raising=False)
    monkeypatch.setattr(datasets, "cache_dir", lambda: tmp_path / "cache")
    return tmp_path


RATINGS = b"""userId,movieId,rating,timestamp
1,31,2.5,1260759144
2,1,4.0,1260759179
2,31,3.0,1260759182
"""
MOVIES = b"""movieId,title,genres
1,Toy Story (1995),Animation|Children
31,"Dangerous Minds, The (1995)",(no genres listed)
"""
CSV = {"ml-latest-small/ratings.csv": RATINGS, "ml-latest-small/movies.csv": MOVIES}


def test_load_dataset_downloads_once(nowhere: Path, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.files["small.zip"] = zipped(CSV)
    entry = datasets.Dataset(3, 2, 2, "0.5-5", True, "none", f"{site.url}/small.zip", None, 1 << 20)
    monkeypatch.setitem(datasets.DATASETS, "ml-latest-small", entry)
    with pytest.raises(DatasetError, match="not on this machine"):
        datasets.load_dataset("ml-latest-small", download=False)
    for _ in range(2):
        data = datasets.load_dataset("ml-latest-small")
        assert data.to_frame().rows() == [(1, 31, 2.5, 1260759144), (2, 1, 4.0, 1260759179), (2, 31, 3.0, 1260759182)]
    assert len(site.asked) == 1
    assert data.item_table is not None
    assert data.item_table.rows() == [
        (1, "Toy Story (1995)", 1995, "Animation|Children"),
        (31, "Dangerous Minds, The (1995)", 1995, None),
    ]
    titled = datasets.load_dataset("ml-latest-small", item="title")
    assert titled.item_ids.values.to_list() == ["Dangerous Minds, The (1995)", "Toy Story (1995)"]
    where = dict(zip(datasets.list_datasets()["name"], datasets.list_datasets()["where"]))
    assert where["ml-latest-small"] == str(nowhere / "cache" / "ml-latest-small")
    assert where["ml-32m"] == "download"
    assert where["movietweetings-demo"] == "bundled"


def test_ml_1m_in_its_original_files(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = nowhere / "ml-1m"
    folder.mkdir()
    (folder / "ratings.dat").write_text("1::1193::5::978300760\n2::661::3::978302109\n")
    (folder / "movies.dat").write_bytes(
        "661::Été (1996)::Drama\n1193::Cuckoo's Nest (1975)::Drama|War\n".encode("latin-1")
    )
    (folder / "users.dat").write_text("1::F::1::10::48067\n2::M::56::16::70072\n")
    monkeypatch.setenv("COFACTOR_DATA_DIR", str(nowhere))
    data = datasets.load_dataset("ml-1m")
    assert data.item_table is not None
    assert data.user_table is not None
    assert data.item_table.rows() == [
        (661, "Été (1996)", 1996, "Drama"),
        (1193, "Cuckoo's Nest (1975)", 1975, "Drama|War"),
    ]
    assert data.user_table.rows() == [(1, "F", 1, "10", "48067"), (2, "M", 56, "16", "70072")]
    assert data.times is not None
    assert data.times.tolist() == [978300760, 978302109]
    (folder / "movies.dat").unlink()
    with pytest.raises(DatasetError, match=r"lacks movies.dat"):
        datasets.load_dataset("ml-1m")


def test_unknown_names() -> None:
    with pytest.raises(DatasetError, match=r"no dataset 'ml-100'; there are: .*Did you mean 'ml-100k'"):
        datasets.load_dataset("ml-100")
    with pytest.raises(DatasetError, match="without folds"):
        datasets.folds("ml-1m")
    with pytest.raises(ConfigError, match="give one of title, id"):
        datasets.load_dataset(item="name")  # type: ignore[arg-type]


def test_the_bundled_demo(demo: Interactions) -> None:
    assert (len(demo), demo.n_users, demo.n_items) == (68_055, 4_333, 2_414)
    assert demo.by_user.counts.min() >= 5
    assert demo.by_item.counts.min() >= 5
    assert demo.range == (0.0, 10.0)
    assert demo.item_table is not None
    assert demo.item_table.columns == ["item", "title", "year", "genres"]
    assert demo.item_table["title"].n_unique() == 2_414
    assert demo.item_table.row(by_predicate=pl.col("item") == "1375666")[1] == "Inception (2010)"
    titled = datasets.load_dataset("movietweetings-demo", item="title")
    assert "Inception (2010)" in titled.item_ids
    assert titled.item_table is not None
    assert titled.item_table["title"].equals(titled.item_ids.values)
    at = titled.item_ids.decode(titled.items)
    titles = demo.item_table["title"].gather(demo.items)
    assert (at == titles).all()


def test_the_demo_is_what_its_builder_makes(data_dir: Path, demo: Interactions) -> None:
    if not (data_dir / "movietweetings").is_dir():
        pytest.skip("COFACTOR_DATA_DIR has no movietweetings")
    import importlib.util

    spec = importlib.util.spec_from_file_location("build_demo", Path(__file__).parents[2] / "tools" / "build_demo.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    built = module.build(data_dir / "movietweetings")
    assert built.select("user", "item", "rating", "time").rows() == demo.to_frame().rows()


@pytest.mark.movielens
def test_ml_100k_by_title_and_by_id(ml100k: Interactions, ml100k_folds: list[Split]) -> None:
    assert (len(ml100k), ml100k.n_users, ml100k.n_items) == (100_000, 943, 1_664)
    assert ml100k.user_ids.code(196) >= 0
    assert ml100k.item_ids.code("Kolya (1996)") >= 0
    assert ml100k.columns.item == "title"
    assert ml100k.user_table is not None
    assert ml100k.user_table.row(by_predicate=pl.col("user") == 1) == (1, 24, "M", "technician", "85711")
    assert ml100k.item_table is not None
    toy_story = ml100k.item_table.row(by_predicate=pl.col("title") == "Toy Story (1995)", named=True)
    assert (toy_story["movie"], toy_story["year"], toy_story["genres"]) == (1, 1995, "Animation|Children's|Comedy")
    by_id = datasets.load_dataset("ml-100k", item="id", download=False)
    assert by_id.n_items == 1_682
    fold = ml100k_folds[0]
    assert fold.train.item_ids == by_id.item_ids
    assert fold.valid.times is not None
    assert fold.valid.item_table is not None
    assert [len(f.valid) for f in datasets.folds("ml-100k", "a", download=False)] == [9_430, 9_430]
    assert {f.train.held_out for f in datasets.folds("ml-100k", download=False)} == {"random"}


@pytest.mark.movielens
def test_ml_1m_copy(data_dir: Path) -> None:
    if not (data_dir / "ml-1m").is_dir():
        pytest.skip("COFACTOR_DATA_DIR has no ml-1m")
    data = datasets.load_dataset("ml-1m", download=False)
    assert (len(data), data.n_users, data.n_items) == (1_000_209, 6_040, 3_706)
    assert data.item_table is not None
    assert data.item_table["title"].null_count() == 0
