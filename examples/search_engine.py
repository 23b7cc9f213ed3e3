"""Vectors for a search engine: what to write into it, and what to ask it with. NumPy stands in for the engine here."""

import numpy as np

import cofactor as cf
from cofactor import vectors

ratings = cf.load_dataset("movietweetings-demo", item="title")
rec = cf.fit(ratings, model="ials", seed=0)

vectors.write_pgvector(rec, "films.sql", table="films")  # then: psql -f films.sql
items = vectors.item_vectors(rec)  # a frame item, vector: for any other engine
asked = vectors.query_vector(rec, history={"Inception (2010)": 9, "The Godfather (1972)": 10})

scores = items["vector"].to_numpy() @ asked
print(items["item"].gather(np.argsort(-scores)[:5]).to_list())
