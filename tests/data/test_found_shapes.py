"""Tables in the shapes of further public data: what each is, or the one sentence that refuses it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import cofactor as cf
from cofactor.errors import DataError
from shapes import AGAIN, COUNTS, DAY, STARS, check, lines, put, when

HEADERS = {
    "Turkish": "kullanıcı;ürün;puan;tarih",
    "Swedish": "användare;artikel;betyg;datum",
    "Danish": "bruger;vare;bedømmelse;dato",
    "Finnish": "käyttäjä;tuote;arvosana;päivämäärä",
    "Czech": "uživatel;položka;hodnocení;datum",
    "Hungarian": "felhasználó;termék;értékelés;dátum",
    "Romanian": "utilizator;produs;notă;data",
    "Greek": "χρήστης;προϊόν;βαθμολογία;ημερομηνία",
    "Ukrainian": "користувач;товар;оцінка;дата",
    "Arabic": "المستخدم;المنتج;التقييم;التاريخ",
    "Hebrew": "משתמש;מוצר;דירוג;תאריך",
    "Persian": "کاربر;محصول;امتیاز;تاریخ",
    "Hindi": "उपयोगकर्ता;उत्पाद;रेटिंग;तारीख",
    "Thai": "ผู้ใช้;สินค้า;คะแนน;วันที่",
    "Vietnamese": "người dùng;sản phẩm;đánh giá;ngày",
    "Indonesian": "pengguna;barang;penilaian;tanggal",
    "French without accents": "utilisateur;produit;evaluation;date",
    "French with accents apart": "utilisateur;produit;e\u0301valuation;date",
}


@pytest.mark.parametrize("language", HEADERS)
def test_names_in_other_languages(tmp_path: Path, language: str) -> None:
    text = lines(STARS, lambda u, i, v, t: f"{u};{i};{v};{when(t, '%Y-%m-%d')}", HEADERS[language])
    check(cf.read(put(tmp_path, text)), STARS, "ratings", within=DAY)


def test_ta_feng(tmp_path: Path) -> None:
    text = lines(
        AGAIN,
        lambda u, i, v, t: (
            f"{when(t, '%Y-%m-%d')} 00:00:00;{u:08d};A ;E ;{i % 3};{47_100_000 + i};{v};{20 * v};{30 * v}"
        ),
        "交易日期時間;會員卡號;年齡層;區域代號;商品分類;商品編號;數量;成本;銷售金額",
    )
    path = put(tmp_path, text.encode("big5"))
    with pytest.raises(DataError, match="such as cp932, gb18030, big5"):
        cf.read(path)
    data = cf.read(path, encoding="big5")
    check(data, AGAIN, "counts", user="{:08d}".format, item=lambda i: 47_100_000 + i, within=DAY)


def test_tables_with_structs(tmp_path: Path) -> None:
    """Their fields are columns, as those of nested JSON objects are."""
    frame = pl.DataFrame(STARS, schema=["user", "item", "rating", "time"], orient="row")
    nested = frame.select(pl.struct(who=pl.struct("user"), what="item").alias("key"), pl.struct("rating", "time"))
    renamed = nested.rename({"rating": "said"})
    renamed.write_parquet(tmp_path / "t.parquet")
    renamed.write_ipc_stream(tmp_path / "t.arrows")
    names = {"user": "key.who.user", "item": "key.what"}
    for source in (renamed, tmp_path / "t.parquet", tmp_path / "t.arrows"):
        check(cf.read(source, **names), STARS, "ratings", within=0)


@pytest.mark.parametrize("key", ["{n}", "-Mx{n}", "row {n}"])
def test_objects_of_records(tmp_path: Path, key: str) -> None:
    """pandas' ``to_json(orient="index")`` and Firebase: records under keys that are no names of columns."""
    records = {key.format(n=n): {"user": u, "item": i, "rating": v, "time": t} for n, (u, i, v, t) in enumerate(STARS)}
    check(cf.read(put(tmp_path, json.dumps(records), "t.json")), STARS, "ratings", within=0)


REFUSED: dict[str, tuple[str | bytes, str]] = {
    "CDNOW": (
        lines(AGAIN, lambda u, i, v, t: f" {u:05d} {when(t, '%Y%m%d')} {v % 4 + 1:2d} {11.77 + v:7.2f}"),
        "no column of .* looks like items: column 2 comes after the time .* quantities",
    ),
    "CDNOW with commas": (
        lines(AGAIN, lambda u, i, v, t: f"{u},{when(t, '%Y-%m-%d')},{v % 3 + 1},{11.77 + v:.2f}"),
        "no column of .* looks like items",
    ),
    "LibraryThing": (
        "reviews = {}\n" + lines(STARS, lambda u, i, v, t: f"reviews[('{i}', 'u{u}')] = {{'stars': {v}, 'x': 'y, z'}}"),
        "is a program of assignments",
    ),
    "idomaar": (
        lines(AGAIN, lambda u, i, v, t: f'play\t{u}\t{t}\t{{"playtime":{v}}}\t{{"subjects":[{{"id":{u}}}],"x":{i}}}'),
        'holds objects of JSON, such as \'{"playtime"',
    ),
    "ARFF": ("% made\n@relation r\n@attribute user numeric\n@data\n1,2,3\n", "is an ARFF file"),
    "MATLAB": (b"MATLAB 5.0 MAT-file, Platform: GLNXA64" + b"\0" * 100, "is a MATLAB file"),
    "Stata": (b"<stata_dta><header><release>118</release>" + b"\0" * 100, "is a Stata file"),
    "SPSS": (b"$FL2@(#) SPSS DATA FILE" + b"\0" * 100, "is an SPSS file"),
    "SAS": (b"\0" * 12 + b"\xc2\xea\x81\x60" + b"\0" * 100, "is a SAS file"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(tmp_path: Path, name: str) -> None:
    content, words = REFUSED[name]
    with pytest.raises(DataError, match=words) as error:
        cf.read(put(tmp_path, content, "table.txt"))
    assert "\n" not in str(error.value)


def test_small_numbers_after_the_time_are_items_where_that_is_said(tmp_path: Path) -> None:
    text = lines(AGAIN, lambda u, i, v, t: f"{u},{when(t, '%Y-%m-%d')},{v % 3 + 1}")
    assert cf.read(put(tmp_path, text), item=2, user=0).n_items == 3
    places = lines(AGAIN, lambda u, i, v, t: f"{u},{when(t, '%Y-%m-%dT%H:%M:%SZ')},{i + 700}")
    check(cf.read(put(tmp_path, places)), AGAIN, "events", item=lambda i: i + 700, value=False, within=0)


NAMED: dict[str, tuple[str, Callable[[int, int, Any, int], str]]] = {
    "dunnhumby": ("SHOP_DATE,CUST_CODE,PROD_CODE,QUANTITY", lambda u, i, v, t: f"{when(t, '%Y%m%d')},{u},{i},{v}"),
    "Ta-Feng as CSV": (
        "TRANSACTION_DT,CUSTOMER_ID,PRODUCT_ID,AMOUNT",
        lambda u, i, v, t: f"{when(t, '%-m/%-d/%Y')},{u},{i},{v}",
    ),
    "in seconds": ("TRANSACTION_DT,DEVICE_ID,ITEM_ID,COUNT", lambda u, i, v, t: f"{t // 86_400 * 86_400},{u},{i},{v}"),
}


@pytest.mark.parametrize("name", NAMED)
def test_shorter_names(tmp_path: Path, name: str) -> None:
    header, line = NAMED[name]
    check(cf.read(put(tmp_path, lines(COUNTS, line, header))), COUNTS, "counts", within=DAY)
