"""Tables as shops, sites, apps and forms export them: each is read as what it is, or refused in one sentence."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import cofactor as cf
from cofactor.data.read_alike import read_alike
from cofactor.errors import DataError
from shapes import AGAIN, COUNTS, DAY, STARS, Row, check, lines, put, when

MONTH = 31 * 86_400
BY_USER: dict[int, dict[int, int]] = {}
for one in STARS:
    BY_USER.setdefault(one[0], {})[one[1]] = int(one[2])
LIKED = [row for row in STARS if row[2] > 2]
NOT_BACK = [row for row in COUNTS if (row[0] + row[1]) % 5]
HOURS = "%Y-%m-%d %H:%M:%S"


class Case(NamedTuple):
    """A file: its ``text``, what it holds (``rows`` of a ``kind``), and how its ids are written; ``within``: of its
    times, so many seconds (None: it has none); ``value``: False where each row counts 1."""

    text: str
    rows: list[Row]
    kind: str = "ratings"
    user: Callable[[int], Any] = str
    item: Callable[[int], Any] = str
    within: int | None = None
    value: bool = True
    name: str = "table.csv"


def table(header: str, rows: Iterable[Sequence[Any]], sep: str = ",") -> str:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=sep, lineterminator="\n")
    if header:
        writer.writerow(header.split(sep))
    writer.writerows(rows)
    return out.getvalue()


def objects(make: Callable[[int, int, int, int], Any], rows: list[Row] = STARS) -> str:
    """An object a line."""
    return "".join(json.dumps(make(u, i, int(v), t)) + "\n" for u, i, v, t in rows)


def scaled(rows: list[Row], value: Callable[[int, int, int], float]) -> list[Row]:
    return [(u, i, value(u, i, int(v)), t) for u, i, v, t in rows]


def mail(user: int) -> str:
    return f"user{user}@example.com"


def film(item: int) -> str:
    return f"How do you like the films? [Film {item}]"


def form(header: str, before: Callable[[int], list[Any]]) -> str:
    names = ",".join([header, *map(film, range(20))])
    return table(names, ([*before(u), *(BY_USER[u].get(i, "") for i in range(20))] for u in sorted(BY_USER)))


def pairs(header: str, make: Callable[[int, int, int, int], list[Any]], rows: list[Row] = STARS, sep: str = ",") -> str:
    return table(header, (make(u, i, int(v), t) for u, i, v, t in rows), sep)


SHOPS = {
    "Shopify": Case(
        pairs(
            "Name,Email,Financial Status,Paid at,Subtotal,Lineitem quantity,Lineitem name,Lineitem price,Lineitem sku",
            lambda u, i, v, t: [
                *(f"#{t % 10**5}", mail(u), "paid", when(t + 3600, HOURS) + " +0100", v * 9.9),
                *(v, f"Item {i}", 9.9, f"SKU-{i:03d}"),
            ],
            COUNTS,
        ),
        *(COUNTS, "counts", mail, "SKU-{:03d}".format, 0),
    ),
    "WooCommerce": Case(
        pairs(
            "Order ID,Order Date,Customer User ID,Item Name,Item Quantity,Item Cost,Order Status",
            lambda u, i, v, t: [
                *(t % 10**6, when(t, "%B %-d, %Y %-I:%M %p"), u, f"Item {i}", v, 9.9),
                "Completed" if (u + i) % 5 else "Refunded",
            ],
            COUNTS,
        ),
        *(NOT_BACK, "counts", str, "Item {}".format, 59),
    ),
    "Amazon's orders": Case(
        pairs(
            "Order Date,Order ID,Title,Category,ASIN/ISBN,Website,Buyer Name,Quantity,Item Total",
            lambda u, i, v, t: [
                *(when(t, "%m/%d/%y"), f"111-{t}", f"Thing {i}", "BOOK", f"B0{i:08d}", "Amazon.com", f"Jo {u}"),
                *(v, f"${v * 9.9:.2f}"),
            ],
            COUNTS,
        ),
        *(COUNTS, "counts", "Jo {}".format, "B0{:08d}".format, DAY),
    ),
    "Ta-Feng": Case(
        pairs(
            "TRANSACTION_DT,CUSTOMER_ID,AGE_GROUP,PIN_CODE,PRODUCT_SUBCLASS,PRODUCT_ID,AMOUNT,ASSET,SALES_PRICE",
            lambda u, i, v, t: [
                *(when(t, "%-m/%-d/%Y"), f"{1104905 + u:08d}", "45-49", "115", 110411 + i % 3, 4710199010372 + i),
                *(v, 24 * v, 30 * v),
            ],
            COUNTS,
        ),
        *(COUNTS, "counts", lambda u: f"{1104905 + u:08d}", lambda i: 4710199010372 + i, DAY),
    ),
    "H&M": Case(
        pairs(
            "t_dat,customer_id,article_id,price,sales_channel_id",
            lambda u, i, v, t: [when(t, "%Y-%m-%d"), f"{u:064x}", f"0{108775000 + i}", 0.0508, t % 2 + 1],
            AGAIN,
        ),
        *(AGAIN, "events", "{:064x}".format, lambda i: f"0{108775000 + i}", DAY, False),
    ),
    "RetailHero": Case(
        pairs(
            "client_id,transaction_id,transaction_datetime,purchase_sum,store_id,product_id,product_quantity",
            lambda u, i, v, t: [f"{u:010x}", f"{t:010x}", when(t, HOURS), 1007.0, "54a4", f"{i:010x}", f"{v}.0"],
            COUNTS,
        ),
        *(COUNTS, "counts", "{:010x}".format, "{:010x}".format, 0),
    ),
    "Olist": Case(
        pairs(
            "order_id,customer_unique_id,order_status,order_purchase_timestamp,product_id,price,review_score",
            lambda u, i, v, t: [f"o{t}", f"c{u}", "delivered", when(t, HOURS), f"p{i}", 9.9, f"{v}.0"],
        ),
        *(STARS, "ratings", "c{}".format, "p{}".format, 0),
    ),
    "sales and returns": Case(
        table(
            "customer_id,sku,type,quantity,date",
            [
                [u, f"s{i}", kind, v, when(t, "%Y-%m-%d")]
                for u, i, v, t in COUNTS
                for kind in (["Sale"] if (u + i) % 5 else ["Return"])
            ],
        ),
        *(NOT_BACK, "counts", str, "s{}".format, DAY),
    ),
    "refunds below 0": Case(
        table(
            "customer_id,sku,quantity",
            [
                [u, f"s{i}", value]
                for u, i, v, t in COUNTS
                for value in ([int(v)] if (u + i) % 5 else [int(v), -int(v)])
            ],
        ),
        *(NOT_BACK, "counts", str, "s{}".format),
    ),
    "books of account": Case(
        pairs("customer_id,sku,quantity", lambda u, i, v, t: [u, f"s{i}", v if (u + i) % 5 else f"({v})"], COUNTS),
        *(NOT_BACK, "counts", str, "s{}".format),
    ),
    "minus last": Case(
        pairs("Kunde;Material;Menge", lambda u, i, v, t: [u, f"s{i}", v if (u + i) % 5 else f"{v}-"], COUNTS, ";"),
        *(NOT_BACK, "counts", str, "s{}".format),
    ),
}
APPS = {
    "Spotify": Case(
        json.dumps(
            [
                {
                    "ts": when(t, "%Y-%m-%dT%H:%M:%SZ"),
                    "username": f"u{u}",
                    "ms_played": v * 1000,
                    "conn_country": "DE",
                    "master_metadata_track_name": f"Song {i}",
                    "spotify_track_uri": f"spotify:track:{i:022d}",
                    "shuffle": True,
                    "skipped": None,
                }
                for u, i, v, t in AGAIN
            ]
        ),
        *(AGAIN, "events", "u{}".format, "spotify:track:{:022d}".format, 0, False, "endsong.json"),
    ),
    "Netflix": Case(
        pairs(
            "Profile Name,Start Time,Duration,Title,Device Type,Bookmark,Country",
            lambda u, i, v, t: [f"Kid {u}", when(t, HOURS), f"0{v % 9}:20:00", f"Show {i}", "TV", "00:01:01", "DE"],
        ),
        *(STARS, "events", "Kid {}".format, "Show {}".format, 0, False),
    ),
    "Trakt": Case(
        json.dumps(
            [
                {
                    "rated_at": when(t, "%Y-%m-%dT%H:%M:%S.000Z"),
                    "rating": v,
                    "type": "movie",
                    "user": {"username": f"u{u}", "ids": {"slug": f"u-{u}"}},
                    "movie": {"title": f"Film {i}", "year": 1990 + i, "ids": {"trakt": i + 1, "imdb": f"tt{i:07d}"}},
                }
                for u, i, v, t in STARS
            ]
        ),
        *(STARS, "ratings", "u{}".format, "Film {}".format, 0, True, "trakt.json"),
    ),
    "AniList": Case(
        json.dumps(
            {
                "data": {
                    "Page": {
                        "mediaList": [
                            {"userId": u + 10, "mediaId": i + 500, "score": v * 20, "status": "CURRENT", "updatedAt": t}
                            for u, i, v, t in STARS
                        ]
                    }
                }
            }
        ),
        scaled(STARS, lambda u, i, v: v * 20),
        *("ratings", lambda u: u + 10, lambda i: i + 500, 0, True, "anilist.json"),
    ),
    "MyAnimeList": Case(
        pairs(
            "username,anime_id,my_watched_episodes,my_start_date,my_score,my_status,my_last_updated,my_tags",
            lambda u, i, v, t: [f"u{u}", i + 1, 12, "0000-00-00", v * 2, v % 3, t, ""],
        ),
        scaled(STARS, lambda u, i, v: v * 2),
        *("ratings", "u{}".format, lambda i: i + 1, 0),
    ),
    "BoardGameGeek": Case(
        pairs(
            ",user,rating,comment,ID,name",
            lambda u, i, v, t: [t % 10**6, f"u{u}", v * 2 - 0.5, "nice, game" if t % 3 else "", i + 13, f"Game {i}"],
        ),
        scaled(STARS, lambda u, i, v: v * 2 - 0.5),
        *("ratings", "u{}".format, lambda i: i + 13),
    ),
    "Untappd": Case(
        objects(
            lambda u, i, v, t: {
                "beer_name": f"Beer {i}",
                "brewery_name": f"Brewery {i % 3}",
                "beer_abv": "5.2",
                "venue_name": None,
                "created_at": when(t, HOURS),
                "rating_score": str(v),
                "user_name": f"u{u}",
                "checkin_id": str(t),
            }
        ),
        *(STARS, "ratings", "u{}".format, "Beer {}".format, 0),
    ),
    "Rent the Runway": Case(
        objects(
            lambda u, i, v, t: {
                "fit": "fit",
                "user_id": str(u + 420272),
                "item_id": str(i + 2260466),
                "weight": "137lbs",
                "rating": str(v * 2),
                "height": "5' 8\"",
                "age": "28",
                "review_date": when(t, "%B %-d, %Y"),
            }
        ),
        scaled(STARS, lambda u, i, v: v * 2),
        *("ratings", lambda u: u + 420272, lambda i: i + 2260466, DAY),
    ),
    "Airbnb": Case(
        pairs(
            "listing_id,id,date,reviewer_id,reviewer_name,comments",
            lambda u, i, v, t: [i + 2818, t % 10**6, when(t, "%Y-%m-%d"), u + 10952, f"Jo{u % 9}", "Nice, clean"],
        ),
        *(STARS, "events", lambda u: u + 10952, lambda i: i + 2818, DAY, False),
    ),
    "Food.com": Case(
        pairs(
            "user_id,recipe_id,date,rating,review",
            lambda u, i, v, t: [u + 38094, i + 40893, when(t, "%Y-%m-%d"), v, "Great, with a salad.\nYum"],
        ),
        *(STARS, "ratings", lambda u: u + 38094, lambda i: i + 40893, DAY),
    ),
    "Twitch": Case(
        pairs("", lambda u, i, v, t: [u + 1, 34347669376 + t, f"streamer{i}", t % 6000, t % 6000 + v], AGAIN),
        *(AGAIN, "events", lambda u: u + 1, "streamer{}".format, None, False),
    ),
}
LOGS = {
    "GA4": Case(
        pairs(
            "event_date,event_timestamp,event_name,user_pseudo_id,item_id",
            lambda u, i, v, t: [
                *(when(t, "%Y%m%d"), t * 10**6, "view_item" if v < 4 else "purchase"),
                *(f"{u + 100}.{16 * 10**8 + u}", f"sku{i}"),
            ],
        ),
        *(STARS, "events", lambda u: f"{u + 100}.{16 * 10**8 + u}", "sku{}".format, 0, False),
    ),
    "GA4 in BigQuery": Case(
        objects(
            lambda u, i, v, t: {
                "event_date": when(t, "%Y%m%d"),
                "event_timestamp": str(t * 10**6),
                "event_name": "view_item" if v < 4 else "purchase",
                "user_pseudo_id": f"{u}.{16 * 10**8 + u}",
                "items": [{"item_id": f"sku{i}", "item_name": f"Thing {i}", "price": 9.9}],
                "geo": {"country": "DE"},
            }
        ),
        *(STARS, "events", lambda u: f"{u}.{16 * 10**8 + u}", "sku{}".format, 0, False),
    ),
    "Matomo": Case(
        objects(
            lambda u, i, v, t: {
                "idVisit": t,
                "visitorId": f"{u:016x}",
                "serverTimestamp": t,
                "actionDetails": [{"type": "action", "url": f"https://shop/{i}", "timestamp": t}],
            }
        ),
        *(STARS, "events", "{:016x}".format, "https://shop/{}".format, 0, False),
    ),
    "Snowplow": Case(
        pairs(
            "app_id\tplatform\tevent\tevent_id\tcollector_tstamp\tuser_id\tdomain_userid\tpage_url",
            lambda u, i, v, t: [
                *("shop", "web", "page_view", f"{t:032x}", when(t, HOURS + ".000"), f"u{u}", f"{u:016x}"),
                f"https://shop/{i}",
            ],
            sep="\t",
        ),
        *(STARS, "events", "u{}".format, "https://shop/{}".format, 0, False),
    ),
    "Segment": Case(
        objects(
            lambda u, i, v, t: {
                "type": "track",
                "event": "Product Viewed" if v < 4 else "Order Completed",
                "userId": f"u{u}",
                "anonymousId": f"a{u}",
                "timestamp": when(t, "%Y-%m-%dT%H:%M:%S.000Z"),
                "properties": {"product_id": f"p{i}", "name": f"Thing {i}", "price": 9.9},
            }
        ),
        *(STARS, "events", "u{}".format, "p{}".format, 0, False),
    ),
    "Mixpanel": Case(
        objects(
            lambda u, i, v, t: {
                "event": "Play",
                "properties": {"time": t, "distinct_id": f"u{u}", "$insert_id": f"x{t}", "song": f"s{i}"},
            }
        ),
        *(STARS, "events", "u{}".format, "s{}".format, 0, False),
    ),
    "Algolia": Case(
        pairs(
            "userToken,objectID,eventType,eventName,timestamp",
            lambda u, i, v, t: [f"u{u}", f"i{i}", "click" if v < 4 else "conversion", "x", t * 1000],
        ),
        *(STARS, "events", "u{}".format, "i{}".format, 0, False),
    ),
    "Debezium": Case(
        objects(
            lambda u, i, v, t: {"before": None, "after": {"user_id": u, "item_id": i, "rating": v}, "ts_ms": t * 1000}
        ),
        *(STARS, "ratings", str, str, 0),
    ),
    "CloudEvents": Case(
        objects(
            lambda u, i, v, t: {
                "specversion": "1.0",
                "id": f"e{t}",
                "time": when(t, "%Y-%m-%dT%H:%M:%SZ"),
                "data": {"user_id": f"u{u}", "item_id": f"i{i}", "rating": v},
            }
        ),
        *(STARS, "ratings", "u{}".format, "i{}".format, 0),
    ),
    "Firestore": Case(
        objects(lambda u, i, v, t: {"user": u, "item": i, "rating": v, "at": {"_seconds": t, "_nanoseconds": 0}}),
        *(STARS, "ratings", str, str, 0),
    ),
    "Avro as JSON": Case(
        objects(lambda u, i, v, t: {"user": {"long": u}, "item": {"string": f"i{i}"}, "rating": {"double": v / 1}}),
        *(STARS, "ratings", str, "i{}".format),
    ),
    "Globo": Case(
        pairs(
            "user_id,session_id,session_start,session_size,click_article_id,click_timestamp,click_environment",
            lambda u, i, v, t: [u, 15 * 10**14 + u, (t - 99) * 1000, 2, i + 157541, t * 1000, 4],
            AGAIN,
        ),
        *(AGAIN, "events", str, lambda i: i + 157541, 0, False),
    ),
    "KuaiRand": Case(
        pairs(
            "user_id,video_id,date,hourmin,time_ms,is_click,is_like,is_hate,long_view,play_time_ms,duration_ms",
            lambda u, i, v, t: [u, i, when(t, "%Y%m%d"), 930, t * 1000, int(v > 2), 0, 0, int(v > 3), v * 999, 20000],
        ),
        *(LIKED, "events", str, str, 0, False),
    ),
    "Wikipedia": Case(
        pairs(
            "rev_id,page_id,page_title,user_id,user_text,timestamp",
            lambda u, i, v, t: [t % 10**7, i, f"P {i}", u, f"U{u}", when(t, "%Y%m%d%H%M%S")],
            AGAIN,
        ),
        *(AGAIN, "events", str, str, 0, False),
    ),
    "KONECT": Case(
        "% bip weighted\n% 229 30 20\n" + lines(STARS, lambda u, i, v, t: f"{u + 1} {i + 1} {v} {t}"),
        *(STARS, "ratings", lambda u: u + 1, lambda i: i + 1, 0, True, "out.movielens"),
    ),
    "Surprise": Case(
        pairs("uid,iid,r_ui,est,details", lambda u, i, v, t: [u, i, f"{v}.0", v * 0.8, "{'was_impossible': False}"]),
        STARS,
    ),
}
VALUES: dict[str, tuple[Callable[[int], Any], Callable[[int], float]]] = {
    "numbers with their words": (
        lambda v: f"{v} - {'very ' * (v % 2)}{'good' if v > 2 else 'bad'}{v // 4 * '!'}",
        float,
    ),
    "numbers in brackets with words": (lambda v: f"({v}) {['', 'no', 'hardly', 'maybe', 'yes', 'sure'][v]}", float),
    "wide digits": (lambda v: "０１２３４５"[v], float),
    "Arabic digits": (lambda v: "٠١٢٣٤٥"[v], float),
    "a typeset minus": (lambda v: f"\N{MINUS SIGN}{v}" if v < 3 else v, lambda v: -v if v < 3 else v),
    "of 10": (lambda v: f"{2 * v}/10", lambda v: 2 * v),
    "half stars": (lambda v: "★" * (v - 1) + "½", lambda v: v - 0.5),
}
DURATIONS: dict[str, tuple[Callable[[int], str], int]] = {
    "h and m": (lambda v: f"{v // 60}h {v % 60}m", 60),
    "hours and minutes": (lambda v: f"{v} min" if v < 60 else f"{v // 60} hours {v % 60} minutes", 60),
    "ISO 8601": (lambda v: f"PT{v // 60}H{v % 60}M0S", 60),
    "m and s": (lambda v: f"{v // 60}m{v % 60:02d}s", 1),
}
REACTIONS: dict[str, tuple[str, str, str]] = {
    "a thumb of some colour": ("vote", "\N{THUMBS UP SIGN}\U0001f3fd", "\N{THUMBS DOWN SIGN}\U0001f3fd"),
    "names of signs": ("reaction", ":+1:", ":-1:"),
    "names of thumbs": ("reaction", ":thumbsup:", ":thumbsdown:"),
    "hearts": ("reaction", "\N{HEAVY BLACK HEART}\ufe0f", "\N{BROKEN HEART}"),
    "a question": ("Would you recommend it?", "Yes", "No"),
    "a sentiment": ("sentiment", "positive", "negative"),
}
TIMES: dict[str, tuple[Callable[[int], Any], int]] = {
    "a.m.": (lambda t: when(t, "%d/%m/%Y %I:%M ") + ("a.m." if when(t, "%p") == "AM" else "p.m."), 59),
    "months": (lambda t: when(t, "%Y%m"), MONTH),
    "weeks": (lambda t: when(t, "%G-W%V"), 7 * 86_400),
    "nanoseconds": (lambda t: t * 10**9 + 7, 0),
    "offsets by row": (
        lambda t: dt.datetime.fromtimestamp(t, dt.timezone(dt.timedelta(hours=t % 5 - 2))).strftime("%FT%T%z"),
        0,
    ),
    "SAS": (lambda t: when(t, "%d%b%Y").upper(), DAY),
    "Stata": (lambda t: when(t, "%d%b%Y %H:%M:%S").lower(), 0),
}
NAMED_TIME = {"months": "year_month", "weeks": "week"}


@pytest.mark.parametrize("name", [*SHOPS, *APPS, *LOGS])
def test_exports_are_read_as_what_they_are(tmp_path: Path, name: str) -> None:
    case = {**SHOPS, **APPS, **LOGS}[name]
    data = cf.read(put(tmp_path, case.text, case.name))
    check(data, case.rows, case.kind, user=case.user, item=case.item, value=case.value, within=case.within)


@pytest.mark.parametrize("header", ["Timestamp,Email Address", "Zeitstempel"])
def test_answers_to_a_form(tmp_path: Path, header: str) -> None:
    """When a form was filled in is no user; without a name of one, each row is a user."""
    named = "," in header
    text = form(header, lambda u: [when(1_700_000_000 + u * 999, HOURS), *([mail(u)] if named else [])])
    data = cf.read(put(tmp_path, text))
    check(data, STARS, "ratings", user=mail if named else str, item=film)
    assert any("says when a row was written: left out" in note for note in data.notes)


@pytest.mark.parametrize("name", VALUES)
def test_values_in_other_writings(tmp_path: Path, name: str) -> None:
    write, value = VALUES[name]
    text = pairs("user,item,rating", lambda u, i, v, t: [u, i, write(v)])
    check(cf.read(put(tmp_path, text)), scaled(STARS, lambda u, i, v: value(v)), "ratings")


@pytest.mark.parametrize("name", DURATIONS)
def test_durations_by_their_units(tmp_path: Path, name: str) -> None:
    write, unit = DURATIONS[name]
    text = pairs("user,game,playtime", lambda u, i, v, t: [u, i, write(v)], COUNTS)
    data = cf.read(put(tmp_path, text))
    check(data, scaled(COUNTS, lambda u, i, v: v * unit), "counts")
    assert any("durations, in seconds" in note for note in data.notes)


@pytest.mark.parametrize("name", REACTIONS)
def test_a_no_is_never_one_more_yes(tmp_path: Path, name: str) -> None:
    column, yes, no = REACTIONS[name]
    text = pairs(f"user,item,{column}", lambda u, i, v, t: [u, i, yes if v > 2 else no])
    check(cf.read(put(tmp_path, text)), LIKED, "events", value=False)


@pytest.mark.parametrize("name", TIMES)
def test_times_in_other_writings(tmp_path: Path, name: str) -> None:
    write, within = TIMES[name]
    text = pairs(f"user,item,rating,{NAMED_TIME.get(name, 'time')}", lambda u, i, v, t: [u, i, v, write(t)])
    check(cf.read(put(tmp_path, text)), STARS, "ratings", within=within)


def test_a_day_beside_the_moment_is_not_the_time(tmp_path: Path) -> None:
    """Of two columns of moments the finer is taken where the other says its day; else none, and that is said."""
    text = pairs("user,item,day_date,moment_date", lambda u, i, v, t: [u, i, when(t, "%Y-%m-%d"), when(t, HOURS)])
    check(cf.read(put(tmp_path, text)), STARS, "events", value=False, within=0)
    text = pairs(
        "user,item,ship_date,moment_date", lambda u, i, v, t: [u, i, when(t + 9**7, "%Y-%m-%d"), when(t, HOURS)]
    )
    data = cf.read(put(tmp_path, text))
    assert data.times is None
    assert any("no times used: 'ship_date', 'moment_date' are equally likely" in note for note in data.notes)


SAID = {
    "a code after the scale": (
        pairs("user,item,rating", lambda u, i, v, t: [u, i, v if (u + i) % 13 else 9]),
        "9 is outside the scale of the other ratings",
    ),
    "seconds since 1904": (
        pairs("user,item,rating,time", lambda u, i, v, t: [u, i, v, t + 2_082_844_800]),
        "all times lie between 2077",
    ),
    "seconds since 2001": (
        pairs("user,item,rating,time", lambda u, i, v, t: [u, i, v, t - 978_307_200]),
        "all times lie between 1980",
    ),
    "an order with fractions": (
        pairs("user,item,rating,time", lambda u, i, v, t: [u, i, v, (t - 13 * 10**8) / 997]),
        "are an order, not dates, by their size, of which fractions are left out",
    ),
    "few texts": (
        pairs("user,item,mood", lambda u, i, v, t: [u, i, ["calm", "glad", "sad"][(u * i + t) % 3]]),
        "'mood' may say what happened ('calm', 'glad', 'sad')",
    ),
    "artists and records": (
        pairs("", lambda u, i, v, t: [f"Band {i % 5}", f"LP {i}", f"Song {t}", when(t, "%d %b %Y %H:%M")], AGAIN),
        "no item has more than one user",
    ),
    "headlines": (
        pairs("Author,Title,Rating", lambda u, i, v, t: [f"u{u}", "Good", v]),
        "no user has more than one item",
    ),
    "two counters of one row": (
        pairs("user,item,hours,minutes", lambda u, i, v, t: [u, i, v // 60, v % 60], COUNTS),
        "no rating column used: 'hours', 'minutes' may hold a value",
    ),
}


@pytest.mark.parametrize("name", SAID)
def test_what_may_be_otherwise_is_said(tmp_path: Path, name: str) -> None:
    text, words = SAID[name]
    notes = cf.read(put(tmp_path, text)).notes
    assert any(words in note for note in notes), notes


def test_what_is_usual_is_not_said(tmp_path: Path) -> None:
    """Even scales without a gap, times of this century, and tables of shared items have none of these notes."""
    for rows in (STARS, scaled(STARS, lambda u, i, v: v * 2), scaled(STARS, lambda u, i, v: v / 2)):
        notes = cf.read(put(tmp_path, pairs("user,item,rating,time", lambda u, i, v, t: [u, i, v, t], rows))).notes
        assert not any(word in note for note in notes for word in ("apart", "lie between", "more than one", "order"))


SQL = "INSERT INTO `r` VALUES " + ",".join(f"({u},{i},{v})" for u, i, v, _ in STARS) + ";\n"
REFUSED = {
    "a dump of MySQL": (
        f"-- MySQL dump 10.13\n/*!40101 SET NAMES utf8 */;\nDROP TABLE IF EXISTS `r`;\n{SQL}",
        "dump of a database",
    ),
    "a dump of PostgreSQL": (
        "--\n-- dump\n--\n\nCOPY public.r (u, i, v) FROM stdin;\n1\t2\t3\n\\.\n",
        "dump of a database",
    ),
    "a dump of SQLite": (
        f"PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\nCREATE TABLE r (u INT);\n{SQL}",
        "dump of a database",
    ),
    "XML": (
        '<?xml version="1.0"?>\n<ratings>\n<row user="1" item="2"/>\n<row user="2" item="2"/>\n</ratings>\n',
        "is XML",
    ),
    "HTML": ("<html><body><table><tr><th>user</th></tr>\n<tr><td>1</td></tr></table></body></html>", "page of HTML"),
    "a log of Apache": (
        lines(
            AGAIN,
            lambda u, i, v, t: f'10.0.0.{u} - - [{when(t, "%d/%b/%Y:%H:%M:%S +0000")}] "GET /{i} HTTP/1.1" 200 {v}',
        ),
        "log of a web server",
    ),
    "TSKV": (lines(STARS, lambda u, i, v, t: f"tskv\tuser_id={u}\titem_id={i}\trating={v}"), "written name=value"),
    "InfluxDB": (lines(STARS, lambda u, i, v, t: f"r,user=u{u},item=i{i} rating={v} {t}"), "written name=value"),
    "Goodreads of one person": (
        pairs(
            "Book Id,Title,Author,ISBN,My Rating,Publisher,Date Added",
            lambda u, i, v, t: [i + 100, f"Book {i}", f"Writer {i % 6}", f"978{i:07d}", v, "P", when(t, "%Y/%m/%d")],
        ),
        "which column of .* is the user",
    ),
    "Letterboxd of one person": (
        pairs(
            "Date,Name,Year,Letterboxd URI,Rating", lambda u, i, v, t: [when(t, "%F"), f"F {i}", 1990 + i, f"x/{i}", v]
        ),
        "which column of .* is the user",
    ),
    "a user once for several rows": (
        pairs("User,Item,Rating", lambda u, i, v, t: [u if t % 3 == 0 else "", i, v], sorted(STARS)),
        "user id missing in row",
    ),
    "two scales": (
        pairs("user,item,score", lambda u, i, v, t: [u, i, f"{v}/5" if u % 2 else f"{2 * v}/10"]),
        "not a number",
    ),
    "grades as a spreadsheet sees them": (
        pairs("user,item,score", lambda u, i, v, t: [u, i, f"{2 * v}-Oct"]),
        "not a number",
    ),
    "a day without a year": (
        pairs("user,item,rating,date", lambda u, i, v, t: [u, i, v, when(t, "%d-%b")]),
        "holds no readable times",
    ),
    "a zone of several": (
        pairs("user,item,rating,time", lambda u, i, v, t: [u, i, v, when(t, HOURS) + " IST"]),
        "holds no readable times",
    ),
    "another table below": (
        pairs("user,item,rating", lambda u, i, v, t: [u, i, v])
        + "\n\nitem,title\n"
        + "".join(f"{i},F {i}\n" for i in range(9)),
        "rating in row 230 .* is missing",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_table_of_users_and_items_is_refused(tmp_path: Path, name: str) -> None:
    text, words = REFUSED[name]
    with pytest.raises(DataError, match=words) as error:
        cf.read(put(tmp_path, text))
    assert "\n" not in str(error.value)


def test_later_tables_leave_out_what_was_taken_back(tmp_path: Path) -> None:
    """A column that says which orders were refunded says so in test rows too; and it may be told not to."""
    text = SHOPS["WooCommerce"].text
    train = cf.read(put(tmp_path, text))
    head, *rows = text.splitlines()
    later = put(tmp_path, "\n".join([head, *rows[:40]]) + "\n", "later.csv")
    kept = [row for row in rows[:40] if "Refunded" not in row]
    assert 20 < len(kept) < 40
    found = read_alike(later, train)
    assert (len(found), found.kind, found.columns.rating) == (len(kept), "counts", "Item Quantity")
    assert len(cf.read(later, behaviour=False)) == 40
