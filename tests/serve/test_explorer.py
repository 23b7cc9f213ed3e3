"""What people do in the explorer, in a real browser: Debian's Chromium through Playwright."""

from __future__ import annotations

import csv
import dataclasses
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
import warnings
from contextlib import contextmanager

import numpy as np
import polars as pl
import pytest

import cofactor as cf
from cofactor.evaluation import with_figures
from cofactor.models.als import ALSConfig
from cofactor.recommend.options import OPTIONS
from cofactor.report import write_report

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
CHROMIUM = os.environ.get("COFACTOR_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.skipif(not CHROMIUM, reason="Chromium is not installed (apt-get install chromium)"),
    pytest.mark.browser,
]
DESKTOP, PHONE = {"width": 1366, "height": 768}, {"width": 390, "height": 844}
N_ITEMS, N_USERS = 720, 120


def films():
    """A world of 720 films from 0 to 10 with two tastes; user 1 has rated 620 of them, and two films share a title."""
    rng = np.random.default_rng(4)
    users, items = np.nonzero(rng.random((N_USERS, N_ITEMS)) < np.linspace(0.35, 0.03, N_ITEMS))
    keep = users != 0
    users, items = np.append(users[keep], np.zeros(620, int)), np.append(items[keep], np.arange(100, 720))
    values = np.clip(
        np.round(5 + 4 * np.where((users % 2) == (items % 2), 1, -1) + rng.normal(0, 1, len(users))), 0, 10
    )
    frame = pl.DataFrame({"user": users + 1, "item": items + 1000, "rating": values})
    titles = [f"Film {i} ({1950 + i % 60})" for i in range(N_ITEMS)]
    titles[1] = titles[3]
    table = pl.DataFrame(
        {
            "item": np.arange(N_ITEMS) + 1000,
            "title": titles,
            "year": 1950 + np.arange(N_ITEMS) % 60,
            "genres": [("Drama|Crime", "Comedy", "Action")[i % 3] for i in range(N_ITEMS)],
        }
    )
    people = pl.DataFrame({"user": np.arange(N_USERS) + 1, "side": ["odd", "even"] * (N_USERS // 2)})
    return cf.read(frame, "user", "item", "rating", items=table, users=people)


@contextmanager
def serving(bundle, state, *more):
    """The address of a server in a process of its own, and the process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "cofactor",
        "serve",
        str(bundle),
        "--port",
        str(port),
        "--state",
        str(state),
        *map(str, more),
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}/"
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(url + "ready", timeout=1).close()
                break
            except OSError:
                time.sleep(0.1)
        yield url, process
    finally:
        process.kill()
        process.wait(10)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    place = tmp_path_factory.mktemp("explorer") / "films.cofactor"
    cf.fit(films(), model="ease", seed=0).save(place)
    return place


@pytest.fixture(scope="module")
def server(bundle, tmp_path_factory):
    folder = tmp_path_factory.mktemp("state")
    data = films()
    held = cf.split.random(data, valid=0.2, seed=0).valid
    for name in ("ease", "popular"):
        rec = cf.load(bundle) if name == "ease" else cf.fit(data, model=name)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the rows are training rows: it is the page that is tested
            rec = with_figures(rec, cf.evaluate(rec, held, metrics=["ndcg"], exclude=None), "a fifth, at random")
        rec.save(folder / f"{name}.cofactor")
    with serving(folder / "ease.cofactor", folder / "s", "--beside", folder / "popular.cofactor") as (url, _):
        yield url


@pytest.fixture(scope="module")
def chromium():
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@contextmanager
def page_of(chromium, viewport=DESKTOP, **more):
    """A page of a fresh visitor; whatever goes wrong in its scripts, or is asked of another host, fails the test."""
    mobile = {"has_touch": True, "is_mobile": True} if viewport is PHONE else {}
    context = chromium.new_context(viewport=viewport, reduced_motion="reduce", accept_downloads=True, **mobile, **more)
    page = context.new_page()
    page.set_default_timeout(10_000)
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on(
        "request",
        lambda r: None if r.url.startswith(("http://127.0.0.1", "file:", "blob:", "data:")) else wrong.append(r.url),
    )
    yield page
    context.close()
    assert not wrong


@pytest.fixture
def page(chromium):
    with page_of(chromium, permissions=["clipboard-read", "clipboard-write"]) as page:
        yield page


def titles(page):
    return page.locator(".rec .title").all_inner_texts()


def settled(page, before=None):
    """Wait for a list that is complete (and another than before)."""
    page.wait_for_function("() => document.querySelector('.recs') && !document.querySelector('.recs-body[aria-busy]')")
    if before is not None:
        page.wait_for_function(
            "(old) => JSON.stringify([...document.querySelectorAll('.rec .title')].map((t) => t.innerText)) !== old",
            arg=json.dumps(before, separators=(",", ":"), ensure_ascii=False),
        )
    return titles(page)


def complete(page):
    """Wait until nothing is shown in place of what is still asked for."""
    page.wait_for_function("() => document.querySelector('h1') && !document.querySelector('.skeleton, [aria-busy]')")


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["1366", "390"])
def test_a_first_visit_opens_on_ten_items_above_the_fold(chromium, server, viewport):
    with page_of(chromium, viewport) as page:
        page.goto(server)
        assert len(settled(page)) == 10
        bottom = page.evaluate("() => [...document.querySelectorAll('.rec')].at(-1).getBoundingClientRect().bottom")
        assert bottom <= viewport["height"]
        assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
        assert "example taste" in page.inner_text(".told")


def test_on_a_phone_long_titles_are_told_apart(chromium, tmp_path):
    """Titles that begin alike are not cut to the same words, and what lies beside them stays in the row."""
    data = films()
    name = "The Lord of the Rings, a long beginning: part {}"
    table = data.item_table.with_columns(title=pl.format(name, pl.col("item") - 999))
    bundle = tmp_path / "films.cofactor"
    cf.fit(cf.read(data.to_frame(), "user", "item", "rating", items=table), model="ease").save(bundle)
    with serving(bundle, tmp_path / "s") as (url, _), page_of(chromium, PHONE) as page:
        page.goto(url + "#/taste?r=1020*10")
        settled(page)
        seen = page.evaluate(
            "() => [...document.querySelectorAll('.rec .title')].map((t) => [t.scrollHeight <= t.clientHeight + 1,"
            " t.getBoundingClientRect().right <= t.closest('.rec').querySelector('.do').getBoundingClientRect().left])"
        )
        assert seen == [[True, True]] * 10


def test_nobody_with_that_id_is_said_once_and_can_be_made_known(page, server):
    page.goto(server + "#/user/999999")
    page.wait_for_selector("text=Nobody with this id")
    page.wait_for_load_state("networkidle")
    assert page.locator(".trouble").count() == 0
    assert page.inner_text("main").count("999999") == 2  # the heading, and the sentence
    page.fill("input[type=search]", "Film 700")
    page.click("[role=option]:has-text('Film 700 (')")
    page.locator(".asked label").nth(9).click()
    assert len(settled(page)) == 10
    page.click("text=Forget the newer rating")
    page.wait_for_selector("text=1 newer rating forgotten")


def test_items_of_an_address_that_are_not_known_are_counted(page, server):
    page.goto(server + "#/taste?r=1020*10&r=77777*3")
    settled(page)
    page.wait_for_selector("text=1 item of this address is not known to the model, and left out.")
    assert page.locator(".yours .rate.on").count() == 1


def begun(page, server, *films):
    """With a taste of one's own."""
    page.goto(server)
    settled(page)
    page.click("text=Begin with your own")
    page.wait_for_selector("text=Your list will be here")
    for film, rating in films:
        page.fill("input[type=search]", film)
        page.click(f"[role=option]:has-text('{film} (')")
        with page.expect_response("**/v1/recommend"):
            page.locator(".yours .rate-place:visible label").nth(rating).click()
    return settled(page)


def test_rating_changes_the_list_and_undo_brings_it_back(page, server):
    first = begun(page, server, ("Film 20", 10))
    assert len(first) == 10
    page.locator(".rec .rate").first.click()
    stars = page.locator(".rec .rate-place:visible label")
    assert stars.count() == 11  # 0 is a rating too
    stars.nth(0).click()
    second = settled(page, first)
    assert first[0] not in second
    assert page.locator(".moved").count() > 0
    page.click(".tools >> text=Undo")
    assert settled(page, second) == first
    page.click("text=Clear all")
    page.wait_for_selector("text=Your list will be here")
    page.click(".told >> text=Undo")
    settled(page)
    assert titles(page) == first


def test_zero_is_kept_as_zero(page, server):
    begun(page, server, ("Film 20", 10), ("Film 22", 0))
    assert "*0" in page.url
    assert page.locator(".yours .rate.on").first.inner_text() == "0"
    page.reload()
    settled(page)
    assert page.locator(".yours .rate.on").first.inner_text() == "0"


def test_chips_shape_the_list_and_the_address_keeps_them(page, server):
    first = begun(page, server, ("Film 20", 10), ("Film 22", 9))
    page.click(".knob-chip:has-text('Genres')")
    page.click(".drawer >> text=Comedy")
    comedy = settled(page, first)
    assert all(int(t.split()[1]) % 3 == 1 for t in comedy)
    page.click(".knob-chip:has-text('Year')")
    page.fill(".drawer input[type=number] >> nth=0", "1980")
    page.keyboard.press("Tab")
    recent = settled(page, comedy)
    assert all(int(t[-5:-1]) >= 1980 for t in recent)
    page.reload()
    assert settled(page) == recent
    page.click("text=Reset")
    assert settled(page, recent) == first


def test_the_reason_in_the_list_is_the_first_in_the_dialog(page, server):
    begun(page, server, ("Film 20", 10), ("Film 22", 9), ("Film 41", 2), ("Film 3", 8))
    for row in range(4):
        said = page.locator(".rec").nth(row).locator(".reason > span").last.inner_text()
        page.locator(".rec").nth(row).locator("button.reason").click()
        page.wait_for_selector(".because li")
        assert said.lower() in page.locator(".because li").first.inner_text().lower()
        page.keyboard.press("Escape")
        page.wait_for_selector("dialog", state="detached")


def test_what_is_taken_away_gives_the_same_list(page, server, bundle, tmp_path):
    first = begun(page, server, ("Film 20", 10), ("Film 22", 9))
    page.click(".knob-chip:has-text('Take away')")
    with page.expect_download() as download:
        page.click("text=Download CSV")
    download.value.save_as(tmp_path / "list.csv")
    with open(tmp_path / "list.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["title"] for row in rows] == first
    odd = [
        "=1+1",
        "@SUM(A1)",
        "-2+3+cmd|' /C calc'!A0",
        "+HYPERLINK(1)",
        "\t=1",
        "-30- (1959)",
        "-abc_9",
        "+1",
        'a "b", c',
    ]
    rows = [{"rank": k, "title": title, "score": -1.5} for k, title in enumerate(odd)]
    text = page.evaluate("async (rows) => (await import('/assets/takeaway.js')).csv(rows)", rows)
    found = list(csv.DictReader(text.splitlines()))
    assert [row["title"].removeprefix("'") for row in found] == odd
    assert [row["title"][0] == "'" for row in found] == [True] * 6 + [False] * 3  # formulas; and one that looks like it
    assert {row["score"] for row in found} == {"-1.5"}
    page.click("text=Copy as curl")
    page.wait_for_selector("text=Copied: the list as curl")
    if shutil.which("curl"):
        command = page.inner_text(".drawer pre")
        answer = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=20)
        assert [row["title"] for row in json.loads(answer.stdout)["recommendations"]] == first
    page.click("text=Copy as Python")
    page.wait_for_selector("text=Copied: the list as Python")
    program = page.inner_text(".drawer pre").replace("model.cofactor", str(bundle))
    ran: dict[str, object] = {}
    exec(program.replace("print(rec", "found = (rec"), ran)
    assert ran["found"]["title"].to_list() == first


def test_two_items_of_one_title_are_told_apart(page, server):
    page.goto(server + "#/taste?r=1021*10&n=100&where=" + "year%20in%20(1951,%201953)")
    settled(page)
    twice = [t for t in page.locator(".rec .what").all_inner_texts() if t.startswith("Film 3 (1953)")]
    assert len(twice) == 2
    assert all(" id 100" in t for t in twice)


def test_a_long_history_can_be_seen_whole(page, server):
    page.goto(server + "#/user/1")
    page.wait_for_selector(".rated .own")
    page.click("text=Show all 620")
    page.wait_for_function("() => document.querySelectorAll('.rated .own').length === 620")


def test_forgetting_can_be_undone(page, server):
    page.goto(server + "#/user/7")
    page.wait_for_selector(".rated .own")
    page.fill("input[type=search]", "Film 700")
    page.click("[role=option]:has-text('Film 700 (')")
    page.locator(".asked label").nth(9).click()
    page.wait_for_selector("text=Stored: Film 700")
    page.click("text=Forget the newer rating")
    page.wait_for_selector("text=1 newer rating forgotten")
    page.click("text=Undo")
    page.wait_for_selector("text=Forget the newer rating")


def test_the_page_says_when_the_server_is_gone_and_keeps_the_list(chromium, bundle, tmp_path):
    with serving(bundle, tmp_path / "s") as (url, process), page_of(chromium) as page:
        first = begun(page, url, ("Film 20", 10))
        process.kill()
        process.wait(10)
        page.locator(".rec .rate").first.click()
        page.locator(".rec .rate-place:visible label").nth(9).click()
        page.wait_for_selector(".pulse.gone")
        assert "no answer" in page.inner_text("#live")
        page.wait_for_selector("text=The list below is the one before this failed")
        assert titles(page) == first


def test_the_map_has_every_item(page, server):
    page.goto(server + "#/map")
    page.wait_for_selector("canvas.map")
    rare = f"Film {N_ITEMS - 1} ("
    page.fill("input[type=search]", rare)
    page.click(f"[role=option]:has-text('{rare}')")
    page.wait_for_selector(f".near h2:has-text('{rare}')")
    page.wait_for_selector(".near li")
    page.select_option("select", "year")
    assert page.locator(".legend button").count() >= 3
    page.click(".legend button >> nth=0")
    assert page.locator(".legend [aria-pressed=true]").count() == 1


def test_on_a_phone_a_bar_says_what_the_list_has_become(chromium, server):
    with page_of(chromium, PHONE) as page:
        page.goto(server + "#/taste?r=1020*10")
        settled(page)
        assert page.locator(".now-bar").is_hidden()
        page.locator(".starters .rate").last.scroll_into_view_if_needed()
        page.evaluate("scrollTo(0, document.body.scrollHeight)")
        page.wait_for_selector(".now-bar")
        before = page.inner_text(".now-bar")
        page.locator(".starters .rate").first.click()
        page.locator(".starters .rate-place:visible label").nth(1).click()
        page.wait_for_function("(old) => document.querySelector('.now-bar').innerText !== old", arg=before)
        page.click(".now-bar")
        page.wait_for_function("() => scrollY < 200")


def rows_of(page, side):
    return page.locator(f"[aria-label='{side} list'] .rec .title").all_inner_texts()


def compared(page):
    page.wait_for_function(
        "() => document.querySelectorAll('.sides .recs').length === 2 && !document.querySelector('.sides [aria-busy]')"
    )
    return page.inner_text(".between")


def test_two_versions_side_by_side(page, server):
    """What moved is marked, what is in one list alone is too, and the figures above are of the same rows."""
    page.goto(server + "#/taste?r=1020*10&r=1022*9")
    mine = settled(page)
    page.click("nav >> text=Compare")
    said = compared(page)
    left, right = rows_of(page, "Left"), rows_of(page, "Right")
    assert left == mine
    assert len(right) == 10
    both = set(left) & set(right)
    assert said.startswith(f"{len(both)} of 10 items {'is' if len(both) == 1 else 'are'} in both lists")
    for at, name in enumerate(right):
        mark = page.locator("[aria-label='Right list'] .rec").nth(at).locator(".moved").inner_text()
        by = left.index(name) - at if name in left else None
        assert mark == ("only here" if by is None else "=" if by == 0 else f"{'▲' if by > 0 else '▼'}{abs(by)}")
    assert page.locator("[aria-label='Left list'] .figure").count() == 1
    assert "a fifth, at random" in page.inner_text("[aria-label='Right list'] .side-quality")
    assert "of the model is live" not in page.inner_text("body")  # asking an old version is not a change
    page.reload()
    compared(page)
    assert (rows_of(page, "Left"), rows_of(page, "Right")) == (left, right)


def test_two_users_side_by_side_from_the_page_of_one(page, server):
    page.goto(server + "#/user/9")
    page.wait_for_selector(".lines a:text-is('compare')")
    near = page.locator("[aria-label='Ratings'] .lines li").first.locator("a").first.inner_text()
    page.locator(".lines a:text-is('compare')").first.click()
    compared(page)
    assert page.inner_text("[aria-label='Left list'] h2") == "User 9"
    assert page.inner_text("[aria-label='Right list'] h2") == f"User {near}"
    with urllib.request.urlopen(f"{server}v1/recommend?user={near}") as answer:
        expected = [row["title"] for row in json.load(answer)["recommendations"]]
    assert rows_of(page, "Right") == expected


def test_items_are_browsed_by_genre_year_and_order(page, server):
    page.goto(server + "#/item")
    page.wait_for_selector(".filters")
    page.click(".filters summary:has-text('Genres')")
    page.click(".filters .chip:has-text('Comedy')")
    page.click(".filters summary:has-text('Year')")
    page.fill(".filters input[type=number] >> nth=0", "2000")
    page.keyboard.press("Tab")
    page.select_option(".finder select", "year")
    page.wait_for_function("() => document.querySelector('.panel .lines a')?.innerText.endsWith('(2008)')")
    shown = page.locator("[aria-label='Browse the items'] .lines a").all_inner_texts()
    assert all(int(t.split()[1]) % 3 == 1 and int(t[-5:-1]) >= 2000 for t in shown)
    count = int(page.inner_text("[aria-label='Browse the items'] .note").split()[0])
    page.click("text=Show more")
    page.wait_for_function(
        "(n) => document.querySelectorAll('[aria-label=\"Browse the items\"] .lines li').length === n", arg=count
    )
    page.reload()
    page.wait_for_function("() => document.querySelector('.panel .lines a')?.innerText.endsWith('(2008)')")


def test_somebody_without_a_rating_gets_a_list_by_features(page, server):
    page.goto(server + "#/taste")
    settled(page)
    page.click("text=Begin with your own")
    page.click("summary:has-text('About you')")
    page.select_option(".yours .knob select", label="odd")
    first = settled(page)
    assert len(first) == 10
    assert "side" in page.inner_text(".rec .reason >> nth=0")
    assert "f=side*odd" in page.url
    page.click("summary:has-text('About you')") if not page.locator(".yours .knob select").is_visible() else None
    page.select_option(".yours .knob select", label="even")
    second = settled(page, first)
    page.click(".tools >> text=Undo")
    assert settled(page, second) == first
    page.reload()
    assert settled(page) == first


def test_the_knobs_are_the_options_that_the_server_declares(page, server):
    """Each option has a knob with the server's own words, but for those that the page sets itself."""
    first = begun(page, server, ("Film 20", 10), ("Film 22", 9))
    page.click(".knob-chip:has-text('More')")
    shown = page.inner_text(".drawer")
    for name in ("calibration", "per_group", "seen"):
        assert OPTIONS[name].help in shown
    for name in ("diversity",):
        page.click(".knob-chip:has-text('Variety')")
        assert OPTIONS[name].help in page.inner_text(".drawer")
    page.click(".knob-chip:has-text('More')")
    with page.expect_request("**/v1/recommend") as asked:
        page.check(".drawer input[type=checkbox]")
    assert json.loads(asked.value.post_data)["seen"] is True
    page.click(".drawer .chip:text-is('1')")
    capped = settled(page, first)
    genres = [int(t.split()[1]) % 3 for t in capped]
    assert all(genres.count(g) <= 1 for g in set(genres))
    assert "per_group=genres" in page.url
    page.reload()
    assert settled(page) == capped
    page.click("text=Reset")
    assert settled(page, capped) == first


def test_going_to_another_version_can_be_undone(chromium, bundle, tmp_path):
    other = tmp_path / "popular.cofactor"
    cf.fit(films(), model="popular").save(other)
    with serving(bundle, tmp_path / "s", "--beside", other) as (url, _), page_of(chromium) as page:
        page.goto(url + "#/model")
        page.click("text=Make live")
        page.wait_for_selector("text=Version 2 is live.")
        assert "popular" in page.inner_text("#live")
        page.click("text=Undo: back to version 1")
        page.wait_for_selector("text=Version 1 is live.")
        assert "ease" in page.inner_text("#live")


def test_an_experiment_is_begun_watched_and_ended(chromium, bundle, tmp_path):
    """Half of the users get the other version; what came of the lists is shown; the winner is made live."""
    other = tmp_path / "popular.cofactor"
    cf.fit(films(), model="popular").save(other)

    def asked(url, path, body=None):
        sent = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url + path, sent, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer), answer.headers["x-request-id"]

    with serving(bundle, tmp_path / "s", "--beside", other) as (url, _), page_of(chromium) as page:
        page.goto(url + "#/model")
        page.click("text=Try two versions")
        page.fill("input[type=number]", "50")
        page.click("text=Begin")
        page.wait_for_selector("text=Version 2 is tried on 50 % of the users.")
        page.wait_for_selector("text=No list has been reported yet")
        by_version = {1: 0, 2: 0}
        for user in range(2, 42):
            found, request = asked(url, f"v1/recommend?user={user}&n=5")
            items = [row["item"] for row in found["recommendations"]]
            events = [{"what": "shown", "request": request, "version": found["version"], "items": items}]
            if found["version"] == 2:
                events.append({"what": "clicked", "request": request, "item": items[0]})
            by_version[found["version"]] += 1
            asked(url, "v1/feedback", {"events": events})
        assert min(by_version.values()) > 5
        tried = next(u for u in range(2, 42) if asked(url, f"v1/recommend?user={u}")[0]["version"] == 2)
        page.goto(f"{url}#/user/{tried}")  # a list of the version that is tried: said, and not called live
        settled(page)
        page.wait_for_selector(".recommended .state:text-is('by version 2')")
        assert page.inner_text("#banner") == ""
        assert page.inner_text("#live").endswith("version 1")
        page.goto(url + "#/experiment")
        page.reload()
        page.wait_for_selector("text=Hit rate: +1.000 for the version that is tried")
        rows = page.locator("table.stack >> nth=0").locator("tbody tr").all_inner_texts()
        assert [row[0] for row in rows] == ["1", "2"]
        assert ["live" in row for row in rows] == [True, False]
        assert [str(by_version[v]) in row for v, row in zip((1, 2), rows, strict=True)] == [True, True]
        page.click("text=Make version 2 live")
        page.wait_for_selector("text=Version 2 is live.")
        page.wait_for_selector("text=Begin")
        assert asked(url, "v1/recommend?user=5")[0]["version"] == 2
        page.click("text=Begin")
        page.wait_for_selector("text=Version 1 is tried")
        page.click("text=End it")
        page.wait_for_selector("text=Everybody gets the live version again.")


def test_pictures_and_links_of_items(chromium, tmp_path):
    """Pictures only where the server was told so; a link goes to the web and nowhere else."""
    data = films()
    table = data.item_table.with_columns(
        poster=pl.format("https://pictures.example/{}.svg", "item"),
        home=pl.when(pl.col("item") == 1020)
        .then(pl.lit("https://films.example/20"))
        .otherwise(pl.lit("javascript:alert(1)")),
    )
    bundle = tmp_path / "films.cofactor"
    cf.fit(cf.read(data.to_frame(), "user", "item", "rating", items=table), model="popular").save(bundle)
    picture = '<svg xmlns="http://www.w3.org/2000/svg" width="80" height="120"><rect width="80" height="120"/></svg>'
    for flags in ((), ("--images",)):
        with serving(bundle, tmp_path / f"s{len(flags)}", *flags) as (url, _):
            context = chromium.new_context(viewport=DESKTOP)
            page = context.new_page()
            context.route(
                "https://pictures.example/**", lambda route: route.fulfill(body=picture, content_type="image/svg+xml")
            )
            page.goto(url + "#/item/1020")
            page.wait_for_selector(".pairs a")
            assert page.get_attribute(".pairs a[href^='https://films']", "rel") == "noopener noreferrer"
            assert page.locator(".picture").count() == len(flags)
            if flags:
                page.wait_for_function("() => document.querySelector('.picture').naturalWidth === 80")
            page.goto(url + "#/item/1021")
            page.wait_for_selector("text=javascript:alert(1)")
            assert page.locator("a[href^='javascript']").count() == 0
            context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_report_of_two_models_fits_a_phone_and_axe_finds_nothing(chromium, tmp_path, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")
    split = cf.split.random(films(), valid=0.2, seed=0)
    models = [cf.fit(split.train, model=name, seed=0, calibrate=False) for name in ("ease", "item-cosine")]
    write_report(models[0], tmp_path / "report.html", test=split.valid, beside=models[1])
    for viewport in (PHONE, DESKTOP):
        with page_of(chromium, viewport, color_scheme=scheme) as page:
            page.goto((tmp_path / "report.html").as_uri())
            assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
            assert "Verdict" in page.inner_text("h2 >> nth=0")
            found = axe.Axe().run(page).response["violations"]
            assert [(v["id"], [n["html"][:120] for n in v["nodes"]]) for v in found] == []


VIEWS = [
    "compare?left=1&right=2",
    "compare?left=1&right=1&left-user=1&right-user=2",
    "item?order=year&group=Comedy",
    "taste?r=1020*10",
    "user",
    "user/1",
    "item",
    "item/1020",
    "map",
    "model",
    "taste?r=1020*10&why=1024",
    "experiment",
]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(chromium, server, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")
    for view in VIEWS:
        with page_of(chromium, color_scheme=scheme) as page:
            page.goto(f"{server}#/{view}")
            page.wait_for_load_state("networkidle")
            found = axe.Axe().run(page).response["violations"]
            assert [(v["id"], [n["html"][:120] for n in v["nodes"]]) for v in found] == [], view


def test_forced_colours_leave_what_is_said_by_colour(chromium, server):
    """Bars, stars and the dot have a colour of the system's, and do not vanish into the page."""
    with page_of(chromium, forced_colors="active") as page:
        page.goto(server + "#/taste?r=1020*10")
        settled(page)
        for selector, name in ((".share-bar .full", "fill"), (".rate.on path", "fill"), (".pulse", "background-color")):
            colours = page.evaluate(
                "(of) => of.map(([s, name]) => getComputedStyle(document.querySelector(s))[name])",
                [[selector, name], ["body", "background-color"]],
            )
            assert colours[0] not in (colours[1], "rgba(0, 0, 0, 0)")


def test_counts_are_liked_and_not_graded(chromium, tmp_path):
    """Of a table of plays one says what one likes; reasons and lists speak of plays, never of stars."""
    rng = np.random.default_rng(1)
    users, items = np.nonzero(rng.random((60, 40)) < 0.3)
    frame = pl.DataFrame({"user": users, "artist": items, "plays": 1 + (rng.pareto(1.0, len(users)) * 20).astype(int)})
    bundle = tmp_path / "plays.cofactor"
    cf.fit(cf.read(frame, "user", "artist", count="plays"), model="ease").save(bundle)
    with serving(bundle, tmp_path / "s") as (url, _), page_of(chromium) as page:
        page.goto(url)
        assert len(settled(page)) == 10
        assert page.locator(".rec .heart").count() == 10
        assert page.locator(".stars, .rate").count() == 0
        page.goto(url + "#/user/3")
        page.wait_for_selector(".rated .own")
        assert "×" in page.locator(".rated .own .value").first.inner_text()
        assert "rated" not in page.inner_text(".recs")
        page.goto(url + "#/item")
        complete(page)
        assert "Highest biases" not in page.inner_text("main")  # ease has none
        for view in ("item", "item/3", "map", "user", "user/3", "model", "experiment"):
            page.goto(f"{url}#/{view}")
            complete(page)
            said = page.inner_text("body").lower()
            assert "mean" not in said.partition("measured")[0], view  # a mean of plays says nothing
            assert " ratings by" not in said, view
            assert "newer rating" not in said, view
        page.goto(f"{url}#/taste?r=3*")
        settled(page)
        reasons = page.locator(".reason").all_inner_texts()
        assert not [text for text in reasons if "1" in text.partition("(")[2] or "×" in text]  # no count was given


TITLES = [
    "<img src=x onerror=alert(1)> <b>bold</b> &amp;",
    "A very long title that goes on and on, " * 8,
    "\u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd (1999)",
    "\u0645\u0631\u062d\u0628\u0627 \u0628\u0627\u0644\u0639\u0627\u0644\u0645 \u2014 \u0641\u064a\u0644\u0645",
    "\u5343\u3068\u5343\u5c0b\u306e\u795e\u96a0\u3057" * 6,
    "\U0001f469\u200d\U0001f469\u200d\U0001f467 Family \U0001f3ac",
    "Supercalifragilisticexpialidocious" * 5,
    "abc\u202egnp.exe",
    "   ",
    "line\nbreak\ttab",
]


def test_titles_of_any_script_and_length(chromium, tmp_path):
    """Markup is text, each title keeps its direction, and nothing makes a page wider than a phone."""
    rng = np.random.default_rng(2)
    users, items = np.nonzero(rng.random((40, 24)) < 0.5)
    frame = pl.DataFrame({"user": users, "item": items, "rating": 1 + (users + items) % 5})
    table = pl.DataFrame(
        {
            "item": np.arange(24),
            "title": TITLES + [f"Film {i}" for i in range(14)],
            "genres": ["<i>Noir</i>", "Drama"] * 12,
        }
    )
    bundle = tmp_path / "titles.cofactor"
    cf.fit(cf.read(frame, "user", "item", "rating", items=table), model="als", epochs=3, seed=0).save(bundle)
    with serving(bundle, tmp_path / "s") as (url, _):
        for viewport in (DESKTOP, PHONE):
            with page_of(chromium, viewport) as page:
                page.on("dialog", lambda dialog: pytest.fail(dialog.message))
                for view in (
                    "taste?n=24",
                    "user/3",
                    "item",
                    "item/1",
                    "item/6",
                    "map/0",
                    "compare",
                    "taste?r=6*5&why=1",
                ):
                    page.goto(f"{url}#/{view}")
                    complete(page)
                    assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"], view
                    assert page.locator("main img, main b:has-text('bold'), main i").count() == 0
                page.goto(f"{url}#/item")
                complete(page)
                shown = page.locator(".browse a bdi")
                assert set(shown.all_text_contents()) >= {*TITLES[:8], "“   ”"}
                assert {shown.nth(k).get_attribute("dir") for k in range(shown.count())} == {"auto"}


def ids_of_all_lengths():
    """A table of numbers without titles: users and items of up to 19 digits, and neighbours more and less near."""
    rng = np.random.default_rng(3)
    users, items = np.nonzero(rng.random((60, 30)) < 0.4)
    long = 9_000_000_000_000_000_000
    frame = pl.DataFrame(
        {"user": long + users * 7919, "item": long + items * 104729, "rating": 1 + (users + items) % 5}
    )
    return cf.read(frame, "user", "item", "rating"), long


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["1366", "390"])
def test_bars_stand_in_columns_and_ids_keep_their_ends(chromium, tmp_path, viewport):
    data, long = ids_of_all_lengths()
    bundle = tmp_path / "ids.cofactor"
    cf.fit(data, model="als", epochs=3, seed=0).save(bundle)
    with serving(bundle, tmp_path / "s") as (url, _), page_of(chromium, viewport) as page:
        for view, lists in ((f"item/{long + 104729}", 1), ("item", 2), (f"user/{long + 7919}", 1)):
            page.goto(f"{url}#/{view}")
            complete(page)
            edges = page.evaluate(
                "() => [...document.querySelectorAll('.lines')].map((list) => [...list.querySelectorAll('.meter')]"
                ".map((bar) => Math.round(bar.getBoundingClientRect().left))).filter((found) => found.length)"
            )
            assert len(edges) == lists, view
            assert [len(set(found)) for found in edges] == [1] * lists, view
            cut = page.evaluate(
                "() => [...document.querySelectorAll('.lines a, dd')].filter((a) => a.scrollWidth > a.clientWidth + 1"
                " || a.scrollHeight > a.clientHeight + 4).map((a) => a.innerText)"
            )
            assert cut == [], view
        page.goto(f"{url}#/user/{long + 7919}")
        settled(page)
        reasons = page.evaluate(
            "() => [...document.querySelectorAll('.rec .reason')].map((line) => {"
            " const end = document.createRange(), said = line.lastElementChild, text = [];"
            " const walk = document.createTreeWalker(said, NodeFilter.SHOW_TEXT);"
            " while (walk.nextNode()) text.push(walk.currentNode);"
            " end.selectNodeContents(text.at(-1));"
            " const room = line.getBoundingClientRect().right - end.getBoundingClientRect().right;"
            " return [said.innerText, end.toString(), room] })"
        )
        assert len(reasons) == 10
        for said, end, room in reasons:
            assert said.split()[0] == "they", "the sentence is whole for those who copy it or hear it"
            assert any(said.endswith(str(i)) for i in data.item_ids.values), said
            assert len(end) >= 7
            assert room >= -1, said
        page.locator(".rec button.reason").first.click()  # the server was asked of this item, to the last digit
        page.wait_for_selector(".because li")
        page.goto(f"{url}#/taste?r={long + 7 * 104729}*5")
        first = settled(page)
        assert page.locator(".rated .own .title").first.inner_text() == str(long + 7 * 104729)
        page.reload()
        assert settled(page) == first
        with urllib.request.urlopen(f"{url}v1/user?user={long + 7919}") as answer:
            rated = [str(row["item"]) for row in json.load(answer)["ratings"]]
        page.goto(f"{url}#/user/{long + 7919}")
        page.wait_for_selector(".rated .own")
        shown = page.locator("[aria-label='Ratings'] .rated .title").all_inner_texts()
        assert shown == rated[: len(shown)]


def test_numbers_stand_after_titles_from_right_to_left(chromium, tmp_path):
    """In "Because you gave 5 to <Arabic>: +0.12" the figure is at the right, as it is after a Latin title."""
    rng = np.random.default_rng(2)
    users, items = np.nonzero(rng.random((40, 12)) < 0.5)
    frame = pl.DataFrame({"user": users, "item": items, "rating": 1 + (users + items) % 5})
    table = pl.DataFrame({"item": np.arange(12), "title": [f"{TITLES[3]} {'ابتثجحخدذرزس'[i]}" for i in range(12)]})
    bundle = tmp_path / "titles.cofactor"
    cf.fit(cf.read(frame, "user", "item", "rating", items=table), model="als", epochs=3, seed=0).save(bundle)
    with serving(bundle, tmp_path / "s") as (url, _), page_of(chromium) as page:
        page.goto(f"{url}#/taste?r=6*5&r=3*1&why=1")
        page.wait_for_selector(".because li")
        complete(page)
        places = page.evaluate(
            "() => [...document.querySelectorAll('.because li > span')].map((line) =>"
            " [...line.children].map((part) => [part.textContent, part.getBoundingClientRect().left]))"
        )
        assert places
        for (said, left), (number, right) in places:
            assert number.startswith(": ")
            assert "\u0645" in said
            assert right > left


def test_a_catalogue_of_five_items(chromium, tmp_path):
    """An example leaves something to recommend, and the map's names stay clear of its buttons."""
    frame = pl.DataFrame(
        {
            "user": list("aabbccddd"),
            "item": ["tea", "milk", "tea", "jam", "milk", "jam", "egg", "tea", "pie"],
            "rating": [5, 3, 4, 2, 4, 5, 1, 3, 5],
        }
    )
    bundle = tmp_path / "five.cofactor"
    cf.fit(cf.read(frame, "user", "item", "rating"), model="als", epochs=3, seed=0).save(bundle)
    with serving(bundle, tmp_path / "s") as (url, _), page_of(chromium) as page:
        page.goto(url)
        assert len(settled(page)) >= 3
        assert page.get_by_text("Show others").count() == 0
        for view in ("user/a", "item/tea", "map", "compare", "model"):
            page.goto(f"{url}#/{view}")
            complete(page)
            assert page.locator(".trouble").count() == 0, view
        words = page.locator(".parameters .aside")
        assert words.count() == len(OPTIONS_OF_ALS)
        assert all(words.all_inner_texts())
        assert page.locator(".parameters code").all_inner_texts() == OPTIONS_OF_ALS


OPTIONS_OF_ALS = [field.name for field in dataclasses.fields(ALSConfig)]


def test_few_points_have_the_shapes_that_many_have(page, server):
    """Below some hundred points, or without a graphics card, a 2D canvas draws what the legend shows."""
    page.goto(server)
    shares = page.evaluate("""async () => {
        const { createDots, outline, SHAPES } = await import("./assets/dots.js");
        const side = 60, found = [];
        for (let shape = 0; shape < SHAPES; shape++) {
            const made = () => Object.assign(document.createElement("canvas"), { width: side, height: side });
            const [by, flat, under] = [made(), made(), made()];
            const size = 20 / 1.2;
            const floats = (...values) => new Float32Array(values);
            const dots = createDots(under, floats(0.5, 0.5), floats(size), floats(shape));
            if (!dots) return null;
            dots.paint(new Uint8Array([0, 0, 0, 255]), floats(shape));
            dots.draw(side, side, 1, [0, 0], { x: 0, y: 0, k: 1 }, 1);
            const pen = by.getContext("2d"); pen.drawImage(under, 0, 0);
            const other = flat.getContext("2d"); outline(other, shape, side / 2, side / 2, 20); other.fill();
            const alpha = (p) => [...p.getImageData(0, 0, side, side).data].filter((_, k) => k % 4 === 3);
            const [a, b] = [pen, other].map((p) => alpha(p).map((v) => v > 127));
            const both = a.filter((v, k) => v && b[k]).length, either = a.filter((v, k) => v || b[k]).length;
            found.push(both / either);
            dots.lose();
        }
        return found;
    }""")
    if shares is None:
        pytest.skip("this Chromium has no WebGL")
    assert len(shares) == 6
    assert min(shares) > 0.85
