"""The usual names of columns and the role that each indicates, without regard to case and punctuation."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

import polars as pl

from cofactor.data.columns.contents import holds_moments, is_time_of_day

_KNOWN = {
    "user": """user user_id uid users customer customer_id cust_id cust_code customer_code customer_number client
        client_id visitor visitor_id member member_id member_number account account_id person person_id reviewer
        reviewer_id reviewers review_user_id viewer viewer_id profile profile_id buyer buyer_id shopper listener
        reader player_id steam_id household_key household student_id learner_id subscriber_id student learner
        subscriber patron patron_id guest_id athlete_id athlete respondent respondent_id participant participant_id
        rater rater_id donor_id card_id playlist_id login user_token distinct_id user_pseudo_id anonymous_id
        user_name profile_name review_profile_name buyer_name email email_address customer_email buyer_email author
        author_id session session_id msno uuid device_id cookie_id u""",
    "item": """item item_id iid items movie movie_id film film_id product product_id parent_asin asin isbn book
        book_id song song_id track track_id track_uri article article_id game game_id show
        show_id business business_id stock_code item_code product_code prod_code prod_id sku anime anime_id joke
        joke_id content content_id document document_id doc_id recipe recipe_id place place_id venue venue_id
        poi poi_id location_id listing listing_id hotel hotel_id beer beer_id beer_beer_id wine_id news news_id
        video video_id course course_id app app_id job_id goods_id goods bookmark_id subject subject_id aid gmap_id
        restaurant_id sku_id offer_id coupon_id ad_id post_id media_id page_id object_id podcast_id subreddit
        product_sku item_sku variant_sku item_description restaurant hotel venue recipe course
        podcast question_id problem_id exercise_id repo_name spotify_track_uri lineitem_sku asin_isbn item_name
        product_name item_title product_title movie_title book_title song_name track_name lineitem_name
        beer_name restaurant_name hotel_name venue_name place_name business_name show_name episode_name
        podcast_name anime_title recipe_name app_name song_title track_title
        artist artist_id artist_name page_url page_location page_path url page title name i""",
    "rating": """rating ratings score scores stars star_rating overall value values rate preference pref
        user_rating review_score overall_rating review_overall play_count plays listen_count listens scrobbles
        count cnt weight quantity qty r_ui r""",
    "time": """timestamp timestamp_ms time_ms time date datetime ts unix_time unix_review_time review_time
        rated_at created_at event_time created review_date utc_timestamp utc_time rating_timestamp rating_date
        dt invoice_date order_date purchase_date transaction_date transaction_dt date_added t_dat year_month day
        week month quarter t""",
    "behaviour": """event event_type event_type_id vote_type_id behaviour behavior behaviour_type behavior_type
        action action_type interaction interaction_type event_name reaction""",
}
_ABROAD = {
    "user": """benutzer benutzer_id nutzer kunde kunden_id kunden_nr kundennummer usuario id_usuario cliente
        id_cliente utilisateur id_utilisateur id_client utente gebruiker klant klant_id użytkownik klient 用户
        用户id 用户编号 ユーザー ユーザーid 顧客 顧客id 顧客コード 会員 会員id пользователь клиент 사용자
        사용자id 고객 고객id 회원 회원id kundenr código_cliente cod_cliente n_client no_client code_client
        numéro_client codice_cliente 會員 會員卡號 顧客編號 用戶 użytkownicy kullanıcı müşteri användare kund
        kundnummer bruger kunde_id bruker uživatel zákazník používateľ felhasználó vásárló ügyfél utilizator
        χρήστης πελάτης користувач клієнт المستخدم مستخدم العميل عميل משתמש לקוח کاربر مشتری उपयोगकर्ता ग्राहक
        ผู้ใช้ ลูกค้า người_dùng khách_hàng pengguna pelanggan käyttäjä asiakas""",
    "item": """artikel artikel_id artikel_nr artikelnummer produkt produkt_id articulo articolo producto
        id_producto produto produit id_produit prodotto pelicula livre libro buch livro 商品 商品id 物品 物品id
        电影 电影id 图书 图书id 歌曲 歌曲id アイテム 映画 商品コード 商品番号 商品名 商品名称 товар фильм книга
        상품 상품id 상품명 아이템 영화 영화id artikelbezeichnung código_producto cod_producto réf_produit
        référence_produit code_produit réf_article code_article codice_prodotto codice_articolo 商品編號 電影
        書籍 商品編碼 ürün vare varenummer produktnummer položka zboží tuote termék produs artikl προϊόν είδος
        المنتج منتج الفيلم פריט מוצר محصول کالا فیلم उत्पाद वस्तु สินค้า sản_phẩm mặt_hàng barang produk
        produk_id""",
    "rating": """bewertung calificacion puntuacion valoracion note voto valutazione avaliacao nota beoordeling
        ocena 评分 打分 評価 оценка рейтинг menge anzahl cantidad quantite quantita quantidade aantal 評分 數量
        оцінка puan adet betyg antal bedømmelse vurdering karakter hodnocení množství értékelés mennyiség
        cantitate βαθμολογία ποσότητα кількість التقييم تقييم الكمية דירוג כמות امتیاز تعداد रेटिंग मात्रा คะแนน
        จำนวน đánh_giá số_lượng penilaian jumlah arvosana määrä 数量 количество évaluation 평점 별점 수량""",
    "time": """datum zeit zeitstempel fecha horodatage 时间 日期 评论时间 時間 日時 購入日 購入日時 注文日 дата
        время 날짜 일시 시간 bestelldatum kaufdatum fecha_compra fecha_de_compra date_achat date_d_achat
        date_de_commande 交易日期 交易日期時間 日期時間 tarih dato data_zakupu ημερομηνία التاريخ تاريخ תאריך
        تاریخ तारीख दिनांक วันที่ ngày tanggal päivämäärä päiväys""",
}
"""The same in other languages; these are tried last."""
SYNONYMS: dict[str, tuple[str, ...]] = {
    role: (*names.split(), *_ABROAD.get(role, "").split()) for role, names in _KNOWN.items()
}
"""Names of each role, most likely first, compared without case, spaces, dashes and underscores."""

_CALLED = """title name item_name product_name product_title item_title movie_title film_title book_title song_title
    track_name artist_name game_name description desc product stock_description"""
TITLES = tuple(_CALLED.split())
"""Names of a title column, most likely first."""
_WEAK = frozenset(("url", "page", "title", "name", "i"))
"""Ambiguous names of an item column. They are not used if another column of ids is left."""
_WORDS = {
    "user": """user customer client visitor member account person reviewer viewer profile buyer""",
    "item": """item movie film product asin isbn book song track artist article game joke anime video""",
    "rating": """rating ratings score scores stars star overall plays playcount""",
    "time": """timestamp time date datetime created updated modified stamp tstamp dat day when ts at utc uts epoch
        unix""",
    "behaviour": "",
}
_STEMS = {role: frozenset(words.split()) for role, words in _WORDS.items()}
"""Words that indicate the role in a longer name, such as ``beer_rating``."""
_TAKEN = """click clicked is_click is_clicked clk click_label converted conversion is_purchased purchased bought liked
    is_liked is_like like recommended is_recommended recommend voted_up thumbs_up label target"""
OUTCOMES = tuple(_TAKEN.split())
"""Names of an outcome column (0: only shown, 1: taken), the broadest first."""
_CALLS = """id ids name names title key keys code codes no nr num number hash hashed uid uuid guid sk pk email mail
    login handle ref reference identifier index idx encoded enc anon anonymous anonymized md sha uri slug list full sku
    asin isbn original str string int text new old raw clean"""
_IDS = frozenset(_CALLS.split())
"""Words that may end the name of a column of ids, as in ``customer_number``."""
_FACTS = """age gender sex nationality occupation profession job income education birth birthday address postcode
    zipcode city state country region zip location lat lon latitude longitude segment type agent group
    category categories genre genres price cost brand year count counts number num total average avg mean max min std
    helpful compliment vote votes sentiment critic imdb meta predicted text description summary image link status level
    language color size weight url tag tags"""
_ABOUT = frozenset(_FACTS.split())
"""Words that mark a column as an attribute of a user, an item or a rating, not as one of these."""
_OF_A_ROW = _STEMS["rating"] | _STEMS["time"] | frozenset(("review", "reviews", "rank", "ranking", "ratio", "share"))
"""Words that mark a column as what a row says, not as who or what it is of."""
_OF_THE_ROW = re.compile(r"review|session|order|transaction|invoice|basket|row|event|index|categor|tag|genre|brand")
_HAPPENS = "event order purchase visit view click check start buy sale post review rating"
_BEFORE = frozenset(_HAPPENS.split())
"""Words before ``date`` or ``time`` in a name without separators, such as ``eventdate``."""


def plain_name(name: str) -> str:
    """Return a name without case, spaces, punctuation and accents."""
    return "".join(c for c in unicodedata.normalize("NFKD", name.lower()) if c.isalnum())


_ALL = frozenset(plain_name(name) for names in SYNONYMS.values() for name in names if len(name) > 1) | frozenset(
    plain_name(name) for name in (*TITLES, "id", "genre", "genres", "category", "age", "gender", "price", "year")
)


def is_known_name(cell: str) -> bool:
    """Return whether a cell is a usual name of a column."""
    return plain_name(cell.split(":")[0]) in _ALL


def column_of(sample: pl.DataFrame, names: Sequence[str], role: str) -> str | None:
    """The column of a role by its name; likelier names first, and of times those that hold moments. The name of a table
    before all names (``ratings.userId``) is left out, and of a path (``properties.userId``) all but its end, where no
    other ends alike. An author of books is not a user."""
    own = _without_table(names)
    turned = {plain_name(f"{end}_id"): name for name in names if (end := _without_id_first(own[name]))}
    plain = turned | _ends_of_paths(own) | {plain_name(own[name]): name for name in reversed(names)}
    if role == "user" and not _BOOKS.isdisjoint(plain):
        plain = {name: column for name, column in plain.items() if name not in ("author", "authorid")}
    exact = [plain[plain_name(synonym)] for synonym in SYNONYMS[role] if plain_name(synonym) in plain]
    if role == "time":
        exact = [name for name in exact if not is_time_of_day(sample[name]) and not _of_the_month(name, sample[name])]
        exact = [name for name in exact if not _is_empty(sample[name])]
        exact.sort(key=lambda name: (not holds_moments(sample[name]), always_one(sample[name])))
    if role == "rating":
        exact = [name for name in exact if not _is_empty(sample[name])]
        text = {name: sample[name].dtype == pl.String and not _numbers_in(sample[name]) for name in exact}
        exact.sort(key=lambda name: (text[name], always_one(sample[name])))
    if role in ("user", "item"):
        # The number of a review, say, comes after what comes again.
        exact.sort(key=lambda name: (_is_empty(sample[name]), never_again(sample[name]), always_one(sample[name])))
    if role == "item" and exact and is_weak(exact[0]) and _other_ids(names):
        return None
    if exact:
        return exact[0]
    alike = [n for n in names if _STEMS[role] & set(words_of(own[n])) and not _ABOUT & set(words_of(own[n]))]
    if role in ("user", "item"):  # user_score is a score, user_reviews are many, and a user_answer is none of both
        alike = [n for n in alike if not _OF_A_ROW & set(words_of(own[n])) and _names_ids(own[n], role)]
    if role == "time":
        alike = [name for name in alike if holds_moments(sample[name])]
    elif role == "rating":
        alike = [name for name in alike if sample[name].dtype != pl.String or _numbers_in(sample[name])]
    return alike[0] if len(alike) == 1 else None


def _names_ids(name: str, role: str) -> bool:
    """Whether a name ends with what the ids are of, or with a word for ids, as in ``customer_unique_id``."""
    last = words_of(name)[-1]
    return last in _STEMS[role] or last in _IDS


def _without_table(names: Sequence[str]) -> dict[str, str]:
    """Return each name without the prefix before its point, if all names share that prefix."""
    tables = {name.partition(".")[0] for name in names}
    same = len(tables) == 1 and all("." in name for name in names)
    return {name: name.partition(".")[2] if same else name for name in names}


_BOOKS = frozenset(("isbn", "isbn13", "asinisbn", "publisher", "authorlf", "bookshelves", "yearpublished"))
"""Plain names of columns that describe books."""


def _without_id_first(name: str) -> str | None:
    """``student`` of ``id_student``."""
    match = re.fullmatch(r"(?:id|ID|Id)_(\w+)", name)
    return match[1] if match else None


def _ends_of_paths(own: dict[str, str]) -> dict[str, str]:
    """The plain end of each name that is a path, and its column, where no other name ends alike."""
    ends = [plain_name(name.rpartition(".")[2]) for name in own.values()]
    return {end: column for end, (column, name) in zip(ends, own.items()) if "." in name and ends.count(end) == 1}


def is_usual(name: str, role: str) -> bool:
    """Return whether a column has one of the usual names of a role."""
    return plain_name(name) in {plain_name(synonym) for synonym in SYNONYMS[role]}


def is_weak(name: str) -> bool:
    """Return whether a column has an ambiguous name, which an item column may have but other columns too."""
    return plain_name(name) in _WEAK


def outcome_of(sample: pl.DataFrame, names: Sequence[str]) -> str | None:
    """Return the outcome column: 0 where an item was only shown, 1 where it was taken."""
    plain = {plain_name(name): name for name in reversed(names)}
    found = [plain[plain_name(one)] for one in OUTCOMES if plain_name(one) in plain]
    found += [name for name in names if _says_taken_in_words(name, sample[name])]
    return next((name for name in found if _two_valued(sample[name])), None)


def says_taken(name: str) -> bool:
    """Return whether a column has the name of an outcome column."""
    return plain_name(name) in {plain_name(one) for one in OUTCOMES}


def _says_taken_in_words(name: str, values: pl.Series) -> bool:
    """Whether a column of yes and no asks such a thing in a name of several words: ``Would you recommend it?``"""
    asks = not _ASKED.isdisjoint(words_of(name))
    return asks and not values.dtype.is_numeric() and values.dtype != pl.Boolean


_ASKED = frozenset(("recommend", "recommended", "like", "liked", "bought", "buy", "purchased", "clicked", "enjoyed"))
_YES_NO = ({"true", "false"}, {"yes", "no"}, {"t", "f"}, {"y", "n"})


def _two_valued(values: pl.Series) -> bool:
    present = values.drop_nulls()
    if values.dtype == pl.Boolean:
        return len(present) > 0
    if values.dtype == pl.String:
        return set(present.str.to_lowercase().unique().to_list()) in _YES_NO
    return (
        values.dtype.is_numeric() and len(present) > 0 and present.cast(pl.Float64).unique().sort().to_list() == [0, 1]
    )


def unsure_times(sample: pl.DataFrame, names: Sequence[str]) -> list[str]:
    """Return columns that hold times and are named like times, if there are several and none has a usual name."""
    found = [name for name in names if _STEMS["time"] & set(words_of(name)) and holds_moments(sample[name])]
    return found if len(found) > 1 else []


def unsure_ratings(sample: pl.DataFrame, names: Sequence[str]) -> list[str]:
    """Return columns that are named like ratings, if there are several and none has a usual name."""
    alike = [name for name in names if _STEMS["rating"] & set(words_of(name)) and not _ABOUT & set(words_of(name))]
    found = [name for name in alike if sample[name].dtype.is_numeric()]
    return found if len(found) > 1 else []


def words_of(name: str) -> list[str]:
    """Return the words of a name such as ``reviewDate``, ``review_date`` or ``reviewdate``."""
    spaced = re.sub(r"([a-z])([A-Z])", r"\1 \2", name).lower()
    found = re.findall(r"[^\W\d_]+", spaced)
    ends = [end for word in found for end in ("date", "time") if word.endswith(end) and word[: -len(end)] in _BEFORE]
    return [*found, *ends]


def _other_ids(names: Sequence[str]) -> bool:
    """Return whether one of these columns is named like the ids of something other than the row."""
    return any(
        re.search(r"(?:[_\W]|^)(id|ID|Id)$|[a-z](Id|ID)$", name) and not _OF_THE_ROW.search(name.lower())
        for name in names
    )


def says_attribute(name: str) -> bool:
    """Return whether a name is that of an attribute of a user, an item or a rating."""
    return bool(_ABOUT & set(words_of(name)))


def never_again(values: pl.Series) -> bool:
    """Whether, of many rows, each has a value of its own."""
    return len(values) >= 50 and not values.dtype.is_nested() and values.dtype != pl.Object and values.is_unique().all()


def always_one(values: pl.Series) -> bool:
    """Whether, of many rows, all have the same value."""
    return len(values) >= 50 and not values.dtype.is_nested() and values.dtype != pl.Object and values.n_unique() == 1


def _is_empty(values: pl.Series) -> bool:
    if values.dtype == pl.String:
        return bool(values.str.strip_chars().is_in(["", "NA", "NULL", "\\N", "nan"]).fill_null(True).all())
    return values.null_count() == len(values)


def _numbers_in(values: pl.Series) -> bool:
    present = values.drop_nulls().head(50)
    return present.cast(pl.Float64, strict=False).null_count() < max(1, len(present) // 2)


def _of_the_month(name: str, values: pl.Series) -> bool:
    """Return whether a column named ``day`` holds the day of a week or month (or its name), or one named ``week``,
    ``month`` or ``quarter`` does not include the year."""
    if plain_name(name) in ("week", "month", "quarter"):
        return not holds_moments(values)
    if plain_name(name) != "day":
        return False
    return not values.dtype.is_integer() or not bool((values > 31).any())
