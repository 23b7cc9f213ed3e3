"""More public data sets in their own columns, and tables that describe things: read as what they are, or refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import pytest

import cofactor as cf
from cofactor.errors import DataError
from shapes import AGAIN, COUNTS, DAY, STARS, Row, check, lines, put, when

SECONDS = "%Y-%m-%d %H:%M:%S"
LIKED = [row for row in STARS if row[2] > 2]
BY_USER: dict[int, list[Row]] = {}
for _row in STARS:
    BY_USER.setdefault(_row[0], []).append(_row)


class Set(NamedTuple):
    """``header`` and ``line`` of each of the ``written`` rows; what comes out: ``rows`` of a ``kind``."""

    header: str
    line: Callable[[int, int, Any, int], str]
    written: list[Row]
    kind: str
    rows: list[Row] | None = None
    user: Callable[[int], Any] = str
    item: Callable[[int], Any] = str
    within: int | None = None
    value: bool = True
    name: str = "table.csv"
    how: dict[str, Any] = {}  # noqa: RUF012


def times(factor: float) -> list[Row]:
    return [(u, i, v * factor, t) for u, i, v, t in STARS]


def asin(item: int) -> str:
    return f"B00{item:07d}"


def reviewer(user: int) -> str:
    return f"A{user:013d}X"


def key(one: int) -> str:
    return f"{one:032x}"


SETS = {
    "Amazon 2018, ratings only": Set(
        "", lambda u, i, v, t: f"{asin(i)},{reviewer(u)},{v}.0,{t}", STARS, "ratings", None, reviewer, asin, 0
    ),
    "Amazon 2023, a history beside": Set(
        "user_id,parent_asin,rating,timestamp,history",
        lambda u, i, v, t: f"AE{u:026d},{asin(i)},{v}.0,{t * 1000},{' '.join(map(asin, range(t % 4)))}",
        *(STARS, "ratings", None, "AE{:026d}".format, asin, 0),
    ),
    "Amazon Kindle": Set(
        ",asin,helpful,overall,reviewText,reviewTime,reviewerID,reviewerName,summary,unixReviewTime",
        lambda u, i, v, t: f'{t % 977},{asin(i)},"[0, 0]",{v},Text,"05 5, 2014",{reviewer(u)},Jo,Nice,{t}',
        *(STARS, "ratings", None, reviewer, asin, 0),
    ),
    "Amazon fine foods as CSV": Set(
        "Id,ProductId,UserId,ProfileName,HelpfulnessNumerator,HelpfulnessDenominator,Score,Time,Summary,Text",
        lambda u, i, v, t: f'{t},{asin(i)},{reviewer(u)},del {u % 9},1,1,{v},{t},Good,"Text, more"',
        *(STARS, "ratings", None, reviewer, asin, 0),
    ),
    "Tmall": Set(
        "user_id,item_id,cat_id,seller_id,brand_id,time_stamp,action_type",
        lambda u, i, v, t: f"{u},{i},{i % 3},{i % 4},{i % 5}.0,{when(t, '%m%d')},{v % 4}",
        *(AGAIN, "events", None, str, str, None, False),
    ),
    "Tianchi mobile": Set(
        "user_id,item_id,behavior_type,user_geohash,item_category,time",
        lambda u, i, v, t: f"{u},{i},{v % 4 + 1},{'94ek6ke' * (t % 2)},{i % 5},{when(t, '%Y-%m-%d %H')}",
        *(AGAIN, "events", None, str, str, 3_599, False),
    ),
    "Taobao's advertisements": Set(
        "user,time_stamp,adgroup_id,pid,nonclk,clk",
        lambda u, i, v, t: f"{u},{t},{i},430548_1007,{int(v <= 2)},{int(v > 2)}",
        *(STARS, "events", LIKED, str, str, 0, False, "raw_sample.csv", {"item": "adgroup_id"}),
    ),
    "Diginetica by session": Set(
        "sessionId;userId;itemId;timeframe;eventdate",
        lambda u, i, v, t: f"{u};{'NA' if u % 3 else u};{i};{t % 90_000};{when(t, '%Y-%m-%d')}",
        *(AGAIN, "events", None, str, str, DAY, False, "train-item-views.csv", {"user": "sessionId"}),
    ),
    "YooChoose, purchases": Set(
        "",
        lambda u, i, v, t: f"{u + 420_374},{when(t, '%Y-%m-%dT%H:%M:%S.600Z')},{i + 214_537_888},{12_462 - i},{v}",
        *(COUNTS, "counts", None, lambda u: u + 420_374, lambda i: i + 214_537_888, 0, True, "yoochoose-buys.dat"),
    ),
    "Foursquare, a dump of PostgreSQL": Set(
        " user_id | venue_id | rating \n---------+----------+--------",
        lambda u, i, v, t: f"{u:7d} | {i:8d} | {v:6d}",
        *(STARS, "ratings", None, str, str, None, True, "ratings.dat"),
    ),
    "Weeplaces": Set(
        "userid,placeid,datetime,lat,lon,city,category",
        lambda u, i, v, t: (
            f"fred-{u},place-{i},{when(t, '%Y-%m-%dT%H:%M:%S')},{40.7 + i / 77},{-73.9 - i / 77},NY,Cafe"
        ),
        *(AGAIN, "events", None, "fred-{}".format, "place-{}".format, 0, False),
    ),
    "Epinions, extended": Set(
        "", lambda u, i, v, t: f"{u}  {i}  {i % 5 + 1}  {v}  {t % 6}  {t}", STARS, "ratings", None, str, str, 0
    ),
    "LFM-2b": Set("user_id\ttrack_id\tcount", lambda u, i, v, t: f"{u}\t{i}\t{v}", COUNTS, "counts"),
    "Spotify's skips": Set(
        "session_id,session_position,track_id_clean,skip_1,skip_2,not_skipped,hour_of_day,date,context_type",
        lambda u, i, v, t: (
            f"0_{u},{t % 20 + 1},t_{i},true,{str(v < 3).lower()},false,{t % 24},{when(t, '%Y-%m-%d')},chart"
        ),
        *(AGAIN, "events", None, "0_{}".format, "t_{}".format, DAY, False),
    ),
    "Outbrain": Set(
        "display_id,ad_id,clicked",
        lambda u, i, v, t: f"{u},{i},{int(v > 2)}",
        *(STARS, "events", LIKED, str, str, None, False),
    ),
    "Otto as CSV": Set(
        "session,aid,ts,type",
        lambda u, i, v, t: f"{u},{i},{t * 1000},{['clicks', 'carts', 'orders'][v % 3]}",
        *(AGAIN, "events", None, str, str, 0, False),
    ),
    "hetrec Delicious": Set(
        "userID\tbookmarkID\ttagID\tday\tmonth\tyear\thour\tminute\tsecond",
        lambda u, i, v, t: f"{u}\t{i}\t{t % 9}\t" + when(t, "%-d\t%-m\t%Y\t%-H\t%-M\t%-S"),
        *(AGAIN, "events", None, str, str, 0, False),
    ),
    "MovieLens 10M, tags": Set(
        "",
        lambda u, i, v, t: f"{u}::{i}::{['funny', 'dark: comedy', 'good, old'][t % 3]}::{t}",
        *(AGAIN, "events", None, str, str, 0, False, "tags.dat"),
    ),
    "ModCloth": Set(
        "item_id,user_id,rating,timestamp,size,fit,user_attr,model_attr,category,brand,year,split",
        lambda u, i, v, t: f"{i},Alex {u},{v},{when(t, SECONDS)}+00:00,2.0,Just right,Small,Small,Dresses,,2012,0",
        *(STARS, "ratings", None, "Alex {}".format, str, 0),
    ),
    "Food.com with codes": Set(
        "user_id,recipe_id,date,rating,u,i",
        lambda u, i, v, t: f"{u + 2046},{i + 4684},{when(t, '%Y-%m-%d')},{v}.0,{u},{i}",
        *(STARS, "ratings", None, lambda u: u + 2046, lambda i: i + 4684, DAY),
    ),
    "Expedia": Set(
        "date_time,site_name,user_location_city,user_id,is_package,srch_ci,is_booking,cnt,hotel_market,hotel_cluster",
        lambda u, i, v, t: f"{when(t, SECONDS)},2,48862,{u},1,{when(t + 9**6, '%Y-%m-%d')},1,{v % 4 + 1},628,{i}",
        *(AGAIN, "counts", [(u, i, v % 4 + 1, t) for u, i, v, t in AGAIN], str, str, 0, True),
        how={"item": "hotel_cluster"},
    ),
    "Xing": Set(
        "recsys_2017.user_id\trecsys_2017.item_id\trecsys_2017.interaction_type\trecsys_2017.created_at",
        lambda u, i, v, t: f"{u}\t{i}\t{t % 6}\t{t}",
        *(AGAIN, "events", None, str, str, 0, False),
    ),
    "REES46": Set(
        "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,session",
        lambda u, i, v, t: (
            f"{when(t, SECONDS)} UTC,{['view', 'cart', 'purchase'][t % 3]},{i},2103807459,,x,35.79,{u},{t:x}-7ef2"
        ),
        *(AGAIN, "events", None, str, str, 0, False),
    ),
    "KDD Cup 2012": Set(
        "",
        lambda u, i, v, t: f"{u + 2_088_948}\t{i + 1_760_350}\t{1 if v > 2 else -1}\t{t}",
        STARS,
        "ratings",
        [(u, i, 1 if v > 2 else -1, t) for u, i, v, t in STARS],
        *(lambda u: u + 2_088_948, lambda i: i + 1_760_350, 0),
    ),
    "Yahoo films": Set(
        "",
        lambda u, i, v, t: f"{u}\t{i + 1_800_029_478}\t{2 * v}\t{v}",
        STARS,
        "ratings",
        times(2),
        str,
        lambda i: i + 1_800_029_478,
    ),
    "BeerAdvocate as CSV": Set(
        "brewery_id,review_time,review_overall,review_aroma,review_profilename,review_taste,beer_name,beer_beerid",
        lambda u, i, v, t: f"{10_325 + i % 3},{t},{v},2,jo{u},1.5,Sausa {i},{i + 47_986}",
        *(STARS, "ratings", None, "jo{}".format, lambda i: i + 47_986, 0),
    ),
    "X-Wines": Set(
        "RatingID,UserID,WineID,Vintage,Rating,Date",
        lambda u, i, v, t: f"{t},{u},{i},{1950 + t % 70},{v}.0,{when(t, SECONDS)}",
        *(STARS, "ratings", None, str, str, 0),
    ),
    "Reddit": Set(
        "username,subreddit,utc",
        lambda u, i, v, t: f"kab{u},sub{i},{t}.0",
        *(AGAIN, "events", None, "kab{}".format, "sub{}".format, 0, False),
    ),
    "Coursera": Set(
        "reviews,reviewers,date_reviews,rating,course_id",
        lambda u, i, v, t: f'"Nice, good",By Robert {u},"{when(t, "%b %d, %Y")}",{v},google-{i}',
        *(STARS, "ratings", None, "By Robert {}".format, "google-{}".format, DAY),
    ),
    "OULAD": Set(
        "code_module,id_student,id_site,date,sum_click",
        lambda u, i, v, t: f"AAA,{u},{i},{t % 300 - 10},{v}",
        *(COUNTS, "counts", None, str, str, None, True),
        how={"item": "id_site", "count": "sum_click", "time": False},
    ),
    "Zomato": Set(
        "Restaurant,Reviewer,Review,Rating,Metadata,Time,Pictures",
        lambda u, i, v, t: f"Grill {i},Rusha {u},good,{v},{t % 9} Reviews,{when(t, '%-m/%-d/%Y %H:%M')},{t % 4}",
        *(STARS, "ratings", None, "Rusha {}".format, "Grill {}".format, 59),
    ),
    "Douban": Set(
        "RATING_ID,USER_MD5,MOVIE_ID,RATING,RATING_TIME",
        lambda u, i, v, t: f"{t},{key(u)},{i},{v},{when(t, SECONDS)}",
        *(STARS, "ratings", None, key, str, 0),
    ),
    "Frappe": Set(
        "user\titem\tcnt\tdaytime\tweekday\tisweekend\thomework\tcost\tweather\tcountry\tcity",
        lambda u, i, v, t: f"{u}\t{i}\t{v}\tmorning\tsunday\tweekend\tunknown\tfree\tsunny\tGermany\t0",
        *(COUNTS, "counts"),
    ),
    "VK": Set(
        "user_id,item_id,timespent,like,dislike,share,bookmarks",
        lambda u, i, v, t: f"{u},{i},{v},{int(v > 2)},0,0,0",
        *(STARS, "events", LIKED, str, str, None, False),
    ),
    "Magento": Set(
        "Order #,Purchase Date,Customer Email,Product SKU,Product Name,Qty Ordered,Qty Refunded",
        lambda u, i, v, t: f'{t},"{when(t, "%b %-d, %Y %-I:%M:%S %p")}",a{u}@x.org,S{i},Thing {i},{v}.0000,0.0000',
        *(COUNTS, "counts", None, "a{}@x.org".format, "S{}".format, 0),
    ),
    "Amazon Personalize": Set(
        "USER_ID,ITEM_ID,EVENT_TYPE,EVENT_VALUE,TIMESTAMP",
        lambda u, i, v, t: f"u{u},i{i},{['watch', 'click'][t % 2]},{v},{t}",
        *(AGAIN, "events", None, "u{}".format, "i{}".format, 0, False),
    ),
    "Azure": Set(
        "",
        lambda u, i, v, t: f"{u:016X},DQF-{i:05d},{when(t, '%Y/%m/%dT%H:%M:%S')},{['Click', 'Purchase'][t % 2]}",
        *(AGAIN, "events", None, "{:016X}".format, "DQF-{:05d}".format, 0, False),
    ),
    "Hive's text": Set("", lambda u, i, v, t: f"{u}\x01{i}\x01{v}\x01{t}", STARS, "ratings", None, str, str, 0),
}


@pytest.mark.parametrize("name", SETS)
def test_public_sets(tmp_path: Path, name: str) -> None:
    case = SETS[name]
    data = cf.read(put(tmp_path, lines(case.written, case.line, case.header), case.name), **case.how)
    rows = case.written if case.rows is None else case.rows
    check(data, rows, case.kind, user=case.user, item=case.item, value=case.value, within=case.within)


def things(header: str, line: Callable[[int], str]) -> str:
    """A table that describes 60 things."""
    return (header + "\n" if header else "") + "".join(line(k) + "\n" for k in range(60))


REFUSED: dict[str, tuple[str, str]] = {
    "Yelp's users": (
        things("", lambda k: json.dumps({"user_id": f"u{k}", "name": f"Jo{k % 50}", "review_count": k, "fans": k})),
        "is the item|seems to describe users",
    ),
    "users with a name each": (things("user_id,name", lambda k: f"u{k},Jo{k}"), "seems to describe users"),
    "the films of the Netflix prize": (
        things("", lambda k: f"{k + 1},{1990 + k % 30},Film number {k}"),
        "seem to describe users or items",
    ),
    "tags of books": (
        lines(COUNTS, lambda u, i, v, t: f"{i},{u},{v}", "goodreads_book_id,tag_id,count"),
        "is the user",
    ),
    "scores of games": (
        things("title,platform,user_score,critic_score", lambda k: f"Game {k},PC,{5 + k % 40 / 10},{50 + k % 50}"),
        "is the user",
    ),
    "numbers of reviews": (
        things("app,user_reviews,positive_ratio", lambda k: f"Game {k},{k * 31 % 97},{k % 100}"),
        "is the user",
    ),
    "GA4 by item": (things("Item name,Total users,Views", lambda k: f"Thing {k},{k * 3},{k * 9}"), "is the user"),
    "reviews of hotels by nationality": (
        lines(
            STARS,
            lambda u, i, v, t: f"Hotel {i},{['Irish', 'British', 'Dutch'][u % 3]},{v},{t % 20}",
            "Hotel_Name,Reviewer_Nationality,Reviewer_Score,Total_Number_of_Reviews_Reviewer_Has_Given",
        ),
        "is the user",
    ),
    "users in lists": (
        things(
            "product_id,user_id,rating", lambda k: f'p{k},"{",".join(f"AG3D6O4{j:03d}" for j in range(k, k + 8))}",4'
        ),
        "holds lists",
    ),
    "baskets in order": (
        "".join(" ".join(str(i) for i in sorted(row[1] for row in rows)) + "\n" for rows in BY_USER.values()),
        "like baskets",
    ),
    "learners to rank": (lines(STARS, lambda u, i, v, t: f"{v} qid:{u} 1:{i} 2:0.5 3:1"), "features with their values"),
    "files put together": (
        "".join(
            lines(STARS[at : at + 50], lambda u, i, v, t: f"u{u},i{i},{v}", "user,item,rating") for at in (0, 50, 99)
        ),
        "repeats the column names",
    ),
    "events put together": (
        "".join(lines(STARS[at : at + 50], lambda u, i, v, t: f"u{u},i{i}", "user,item") for at in (0, 50, 99)),
        "repeats the column names",
    ),
    "amounts below 0": (
        lines(COUNTS, lambda u, i, v, t: f"{u},{i},{v / 1000 - 0.7}", "card_id,item,purchase_amount"),
        "240 of 240 values of column 'purchase_amount' lie below 0",
    ),
    "a zero for a date": (
        lines(
            STARS, lambda u, i, v, t: f"{u},{i},{v},{when(t, SECONDS) if i else '0000-00-00'}", "user,item,rating,dt"
        ),
        "is not a time like the others",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_tables_of_other_things_are_refused(tmp_path: Path, name: str) -> None:
    text, words = REFUSED[name]
    with pytest.raises(DataError, match=words) as error:
        cf.read(put(tmp_path, text))
    assert "\n" not in str(error.value)


def test_counts_of_which_none_is_left(tmp_path: Path) -> None:
    path = put(tmp_path, lines(COUNTS, lambda u, i, v, t: f"{u},{i},{-v}", "user,item,quantity"))
    with pytest.raises(DataError, match="has no rows left: 240 pairs whose counts sum to 0 or less"):
        cf.read(path, count="quantity")


LISTS = {
    "values and times": lambda rows: {"rating": [v for *_, v, _ in rows], "times": [when(r[3], SECONDS) for r in rows]},
    "times under another name": lambda rows: {"impression_time_fixed": [when(r[3], SECONDS) for r in rows]},
}


@pytest.mark.parametrize("name", LISTS)
def test_lists_beside_the_items_are_columns(tmp_path: Path, name: str) -> None:
    """Each list of a row tells of the same items; those of other lengths do not."""
    records = [
        {"user": u, "item": [row[1] for row in rows], "odd": [1] * (len(rows) + 1), **LISTS[name](rows)}
        for u, rows in BY_USER.items()
    ]
    pl.DataFrame(records).write_parquet(tmp_path / "t.parquet")
    rated = name == "values and times"
    for source in (tmp_path / "t.parquet", put(tmp_path, "".join(json.dumps(one) + "\n" for one in records), "t.json")):
        data = cf.read(source, **({"time": "times"} if rated else {}))
        check(data, STARS, "ratings" if rated else "events", value=rated, within=0)
        assert any("holds lists of items" in note for note in data.notes)


def test_json_of_lists_by_user(tmp_path: Path) -> None:
    by_user = {str(u): rows for u, rows in BY_USER.items()}
    items = {u: [row[1] for row in rows] for u, rows in by_user.items()}
    pairs = {u: [row[1:3] for row in rows] for u, rows in by_user.items()}
    check(cf.read(put(tmp_path, json.dumps(items), "a.json")), STARS, "events", value=False)
    check(cf.read(put(tmp_path, json.dumps(pairs), "b.json")), STARS, "ratings")
    alike = {str(u): [u, u + 1, u + 2] for u in range(30)}  # as long as each other, yet no columns
    expected = [(u, u + at, 1.0, 0) for u in range(30) for at in range(3)]
    check(cf.read(put(tmp_path, json.dumps(alike), "c.json")), expected, "events")


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("end", ["", "\n", ",\n"])
def test_objects_that_follow_each_other(tmp_path: Path, indent: int | None, end: str) -> None:
    text = "".join(json.dumps({"user": u, "item": i, "rating": v}, indent=indent) + end for u, i, v, _ in STARS)
    check(cf.read(put(tmp_path, text, "t.json")), STARS, "ratings")


def test_objects_in_lists_hold_objects(tmp_path: Path) -> None:
    features = [{"type": "Feature", "properties": {"user": u, "item": i, "rating": v}} for u, i, v, _ in STARS]
    text = json.dumps({"type": "FeatureCollection", "features": features})
    check(cf.read(put(tmp_path, text, "t.json")), STARS, "ratings")


MONTHS = {
    "German": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
    "French": "janv. févr. mars avr. mai juin juil. août sept. oct. nov. déc.",
    "Spanish": "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
    "Portuguese": "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
    "Italian": "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
    "Dutch": "januari februari maart april mei juni juli augustus september oktober november december",
}
BETWEEN = {"German": ("{}. ", " "), "Spanish": ("{} de ", " de "), "Portuguese": ("{} de ", " de ")}


@pytest.mark.parametrize("language", MONTHS)
def test_months_by_their_names(tmp_path: Path, language: str) -> None:
    names = MONTHS[language].split()
    day, year = BETWEEN.get(language, ("{} ", " "))

    def write(u: int, i: int, v: Any, t: int) -> str:
        month = names[int(when(t, "%m")) - 1]
        return f"{u};{i};{v};{day.format(when(t, '%-d'))}{month}{year}{when(t, '%Y')}"

    check(cf.read(put(tmp_path, lines(STARS, write, "user;item;rating;date"))), STARS, "ratings", within=DAY)


WRITTEN: dict[str, tuple[Callable[[int], str], int]] = {
    ".NET": (lambda t: f"/Date({t * 1000}+0200)/", 0),
    "Python's log": (lambda t: when(t, SECONDS) + ",123", 0),
    "Chinese": (lambda t: when(t, "%Y年%m月%d日 %H:%M"), 59),
    "RFC 850": (lambda t: when(t, "%A, %d-%b-%y %H:%M:%S GMT"), 0),
    "JavaScript": (lambda t: when(t, "%a %b %d %Y %H:%M:%S GMT+0000 (Coordinated Universal Time)"), 0),
    "Go": (lambda t: when(t, SECONDS) + " +0000 UTC m=+0.0001", 0),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_times_of_programs(tmp_path: Path, name: str) -> None:
    write, within = WRITTEN[name]
    text = lines(STARS, lambda u, i, v, t: f"{u}\t{i}\t{v}\t{write(t)}", "user\titem\trating\tdt")
    check(cf.read(put(tmp_path, text)), STARS, "ratings", within=within)


def notes_of(tmp_path: Path, header: str, line: Callable[[int, int, Any, int], str]) -> str:
    return " | ".join(cf.read(put(tmp_path, lines(STARS, line, header))).notes)


def test_times_that_no_column_name_tells_are_said(tmp_path: Path) -> None:
    """Texts that seem to be dates and cannot be read do not vanish unsaid, whatever their column is called."""
    said = notes_of(tmp_path, "user,item,rating,moment", lambda u, i, v, t: f"{u},{i},{v},x{when(t, '%Y-%m-%d')}")
    assert "'moment' is not taken" not in said  # no word of its own
    said = notes_of(tmp_path, "user,item,rating,moment", lambda u, i, v, t: f"{u},{i},{v},~ {when(t, '%d.%m.%Y')} ?")
    assert "'moment' is not taken for the time" in said


def test_times_below_0_are_an_order(tmp_path: Path) -> None:
    said = notes_of(tmp_path, "user,item,rating,day_of_term", lambda u, i, v, t: f"{u},{i},{v},{t % 300 - 10}")
    assert "an order" not in said  # nothing says that these are times
    data = cf.read(tmp_path / "table.csv", time="day_of_term")
    assert any("are an order, not dates" in note for note in data.notes)
    assert len(cf.split.temporal(data, valid=0.2).valid) > 10


def test_years_of_other_calendars_are_said(tmp_path: Path) -> None:
    for years in (543, -621):
        said = notes_of(
            tmp_path,
            "user,item,rating,date",
            lambda u, i, v, t: f"{u},{i},{v},{int(when(t, '%Y')) + years}-{when(t, '%m-28')}",  # noqa: B023
        )
        assert "dates of another calendar" in said


def test_columns_that_hold_nothing_are_no_times(tmp_path: Path) -> None:
    frame = pl.DataFrame(STARS, schema=["user", "item", "rating", "time"], orient="row")
    check(cf.read(frame.with_columns(time=None)), STARS, "ratings")
    check(cf.read(frame.with_columns(time=None, at="time")), STARS, "ratings", within=0)


def test_letters_in_two_unicode_forms_are_said_and_folded(tmp_path: Path) -> None:
    letter = ("\N{LATIN SMALL LETTER E WITH ACUTE}", "e\N{COMBINING ACUTE ACCENT}")
    path = put(tmp_path, lines(STARS, lambda u, i, v, t: f"{u},{letter[t % 2]}{i},{v}", "user,item,rating"))
    assert any("differ from others only in the Unicode form" in note for note in cf.read(path).notes)
    assert cf.read(path, fold_ids=True).n_items == 20


def test_texts_that_are_not_quite_utf8(tmp_path: Path) -> None:
    """cp1252 where Windows wrote it; UTF-8 where only a few letters are damaged; else latin-1."""
    text = lines(STARS, lambda u, i, v, t: f"{u},{'“Ä”' if i else 'Ä'} {i},{v}", "user,item,rating")
    data = cf.read(put(tmp_path, text.encode("cp1252")))
    assert "“Ä” 7" in list(data.item_ids)
    assert any("read as cp1252" in note for note in data.notes)
    data = cf.read(put(tmp_path, text.encode() + b"1,\xff,3\n"))
    assert {"“Ä” 7", "\N{REPLACEMENT CHARACTER}"} <= set(data.item_ids)
    assert any("UTF-8, but 1 damaged character is read" in note for note in data.notes)
    data = cf.read(put(tmp_path, text.replace("“", "").replace("”", "").encode("latin-1")))
    assert any("read as latin-1" in note for note in data.notes)


def test_sums_by_month_and_marks_of_0_and_1_are_no_ratings(tmp_path: Path) -> None:
    """A column a month is no item, unless that is said; and 0 beside 1 alone is asked for, however rare it is."""
    months = "Jan,Feb,Mar,Apr,May,Jun,Jul,Aug,Sep,Oct,Nov,Dec"
    path = put(
        tmp_path, f"user,{months}\n" + things("", lambda k: f"u{k}," + ",".join(str(k % (3 + m)) for m in range(12)))
    )
    with pytest.raises(DataError, match=r"which column of .* is the item"):
        cf.read(path)
    assert cf.read(path, wide=True, missing=[]).n_items == 12
    names = ",".join(f"item {at}" for at in range(8))
    path = put(
        tmp_path, f"user,{names}\n" + things("", lambda k: f"u{k}," + ",".join(str(int(k % 9 != m)) for m in range(8)))
    )
    with pytest.raises(DataError, match="are 0; set missing"):
        cf.read(path)
    assert cf.read(path, missing=[0]).kind == "events"


def test_rows_that_were_deleted_are_said(tmp_path: Path) -> None:
    said = notes_of(tmp_path, "user,item,rating,is_deleted", lambda u, i, v, t: f"{u},{i},{v},{t % 2}")
    assert "'is_deleted' may say which rows were taken back" in said
    said = notes_of(tmp_path, "user,item,rating,is_deleted", lambda u, i, v, t: f"{u},{i},{v},0")
    assert "taken back" not in said
