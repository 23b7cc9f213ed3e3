"""Vectors for search engines: inner products give the lists of recommend. Small fakes stand in for the engines."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

import cofactor as cf
from cofactor import vectors
from cofactor.errors import ConfigError, MissingExtraError
from postgres_server import postgres_server
from toys import two_tastes


@pytest.fixture(scope="module")
def rec():
    return cf.fit(two_tastes(), model="als", n_factors=4, seed=0, calibrate=False)


def best(rec, query, n=5, out=()):
    frame = vectors.item_vectors(rec)
    scores = frame["vector"].to_numpy() @ query
    order = [i for i in np.argsort(-scores, kind="stable") if frame["item"][int(i)] not in out]
    return [frame["item"][int(i)] for i in order[:n]]


def test_inner_products_put_items_in_the_order_of_recommend(rec):
    user = rec.data.user_ids.values[2]
    expected = rec.recommend(user, n=5, seen=True)["item"].to_list()
    assert best(rec, vectors.query_vector(rec, user)) == expected
    history = {rec.data.item_ids.values[0]: 5.0, rec.data.item_ids.values[1]: 1.0}
    found = best(rec, vectors.query_vector(rec, history=history), out=tuple(history))
    assert found == rec.recommend(history=history, n=5)["item"].to_list()
    newer = rec.update([(user, rec.data.item_ids.values[3], 1.0, 0)])
    assert best(newer, vectors.query_vector(newer, user)) == newer.recommend(user, n=5, seen=True)["item"].to_list()


def test_a_model_without_vectors_is_refused():
    rec = cf.fit(two_tastes(), model="popular")
    with pytest.raises(ConfigError, match="popular are not inner products"):
        vectors.item_vectors(rec)


class Flat:
    """faiss.IndexFlatIP, as far as it is used."""

    def __init__(self, width):
        self.width, self.rows = width, None

    def add(self, rows):
        assert rows.dtype == np.float32
        assert rows.shape[1] == self.width
        self.rows = rows


def test_faiss(rec, tmp_path, monkeypatch):
    def write_index(index, path):
        with open(path, "wb") as file:
            np.save(file, index.rows)

    monkeypatch.setitem(sys.modules, "faiss", SimpleNamespace(IndexFlatIP=Flat, write_index=write_index))
    vectors.write_faiss(rec, tmp_path / "items.faiss")
    ids = pl.read_parquet(tmp_path / "items.faiss.ids.parquet")
    np.testing.assert_array_equal(np.load(tmp_path / "items.faiss"), rec.model.item_vectors())
    assert ids["item"].to_list() == rec.data.item_ids.values.to_list()
    assert len(list(tmp_path.iterdir())) == 2


class Qdrant:
    """A client that keeps what it is given."""

    def __init__(self):
        self.made, self.points = {}, []

    def collection_exists(self, name):
        return name in self.made

    def create_collection(self, name, vectors_config):
        self.made[name] = vectors_config

    def upsert(self, name, points):
        assert name in self.made
        self.points += points


def test_qdrant(rec, monkeypatch):
    models = SimpleNamespace(
        VectorParams=SimpleNamespace, PointStruct=SimpleNamespace, Distance=SimpleNamespace(DOT="Dot")
    )
    monkeypatch.setitem(sys.modules, "qdrant_client", SimpleNamespace(models=models))
    monkeypatch.setitem(sys.modules, "qdrant_client.models", models)
    client = Qdrant()
    assert vectors.to_qdrant(rec, client, "films", batch=7) == rec.data.n_items
    assert vectors.to_qdrant(rec, client, "films") == rec.data.n_items
    points = client.points[: rec.data.n_items]
    assert [p.id for p in points] == list(range(rec.data.n_items))
    assert [p.payload["item"] for p in points] == rec.data.item_ids.values.to_list()
    np.testing.assert_array_equal(np.array([p.vector for p in points], np.float32), rec.model.item_vectors())
    assert (client.made["films"].distance, client.made["films"].size) == ("Dot", len(points[0].vector))


def test_pgvector_is_sql_that_holds_every_item(tmp_path):
    frame = pl.DataFrame(
        {"user": ["a", "a", "b", "b"], "item": ["x\ty", "back\\slash", "new\nline", "x\ty"], "rating": [1.0, 2, 3, 4]}
    )
    rec = cf.fit(cf.read(frame, "user", "item", "rating"), model="als", n_factors=2, seed=0, calibrate=False)
    vectors.write_pgvector(rec, tmp_path / "items.sql", table="films")
    text = (tmp_path / "items.sql").read_text(encoding="utf-8")
    copied = text.split("FROM STDIN;\n")[1].split("\\.\n")[0].splitlines()
    assert sorted(line.split("\t")[0] for line in copied) == ["back\\\\slash", "new\\nline", "x\\ty"]
    for line, vector in zip(copied, rec.model.item_vectors(), strict=True):
        np.testing.assert_allclose(np.array(line.split("\t")[1][1:-1].split(","), float), vector, rtol=1e-6)
    assert f"vector vector({rec.model.item_vectors().shape[1]})" in text
    assert "item text PRIMARY KEY" in text
    with pytest.raises(ConfigError, match="plain name"):
        vectors.write_pgvector(rec, tmp_path / "items.sql", table="films; DROP TABLE users")


PGVECTOR = """
CREATE TYPE vector;
CREATE FUNCTION vector_in(cstring) RETURNS vector AS 'textin' LANGUAGE internal IMMUTABLE STRICT;
CREATE FUNCTION vector_out(vector) RETURNS cstring AS 'textout' LANGUAGE internal IMMUTABLE STRICT;
CREATE FUNCTION vector_width(cstring[]) RETURNS integer AS 'varchartypmodin' LANGUAGE internal IMMUTABLE STRICT;
CREATE TYPE vector (INPUT = vector_in, OUTPUT = vector_out, TYPMOD_IN = vector_width, LIKE = text);
CREATE CAST (vector AS text) WITHOUT FUNCTION;
CREATE FUNCTION numbers(vector) RETURNS float8[] AS
    $$ SELECT string_to_array(trim('[]' FROM $1::text), ',')::float8[] $$ LANGUAGE sql;
CREATE FUNCTION minus_inner_product(vector, vector) RETURNS float8 AS
    $$ SELECT -sum(a * b) FROM unnest(numbers($1), numbers($2)) AS pairs(a, b) $$ LANGUAGE sql;
CREATE OPERATOR <#> (LEFTARG = vector, RIGHTARG = vector, FUNCTION = minus_inner_product);
"""
"""As much of pgvector as the queries of the documentation use, for servers without the extension."""


@pytest.mark.slow
def test_pgvector_gives_the_lists_of_recommend_in_postgresql(tmp_path):
    data = two_tastes().to_frame().with_columns(item=pl.format("item\t{} \\ '\"\n\u5343", "item"))
    rec = cf.fit(cf.read(data, "user", "item", "rating"), model="als", n_factors=4, seed=0, calibrate=False)
    vectors.write_pgvector(rec, tmp_path / "films.sql", table="films")
    script = (tmp_path / "films.sql").read_text(encoding="utf-8")
    with postgres_server() as address:
        import psycopg

        with psycopg.connect(f"{address}/postgres", autocommit=True) as db:
            if not db.execute("SELECT FROM pg_available_extensions WHERE name = 'vector'").fetchone():
                db.execute(PGVECTOR)
                script = re.sub(r"CREATE EXTENSION.*?;|CREATE INDEX .*?;", "", script)
            (tmp_path / "films.sql").write_text(script, encoding="utf-8")
            command = ["psql", f"{address}/postgres", "-q", "-v", "ON_ERROR_STOP=1", "-f", tmp_path / "films.sql"]
            for _ in range(2):  # the second time the table is there
                subprocess.run(command, check=True, env={**os.environ, "PGCLIENTENCODING": "LATIN1"})
            for user in rec.data.user_ids.values.to_list()[:3]:
                asked = "[" + ",".join(map(str, vectors.query_vector(rec, user).tolist())) + "]"
                found = db.execute(f"SELECT item FROM films ORDER BY vector <#> '{asked}' LIMIT 5").fetchall()
                assert [row[0] for row in found] == rec.recommend(user, n=5, seen=True)["item"].to_list()


def test_a_missing_package_is_named(rec, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(MissingExtraError, match="faiss-cpu"):
        vectors.write_faiss(rec, tmp_path / "x")
