"""Training in blocks of rows, on two processes of one machine: from a folder of Parquet, with the bits of cf.fit."""

import os
from tempfile import mkdtemp

import cofactor as cf
from cofactor import engines

os.chdir(mkdtemp())
films = cf.load_dataset("movietweetings-demo", item="title")
os.mkdir("ratings")
films.to_frame()[:40_000].write_parquet("ratings/monday.parquet")
films.to_frame()[40_000:].write_parquet("ratings/tuesday.parquet")

with engines.processes(2) as two:  # or engines.spark(session)
    rec = engines.fit("ratings/", "als", work="work/", out="films.cofactor", executor=two, seed=42)

one = cf.fit(films, model="als", seed=42, calibrate=False)
print("the bits of one process:", (rec.model.state()["items"] == one.model.state()["items"]).all())
print(rec.recommend(user=rec.data.user_ids.values[0], n=5))
