"""Training in blocks of rows, on two processes of one machine: from a folder of Parquet, with the bits of cf.fit; then
figures, lists for all, and a bundle for a server."""

import os
from tempfile import mkdtemp

import cofactor as cf
from cofactor import engines

os.chdir(mkdtemp())
split = cf.split.temporal(cf.load_dataset("movietweetings-demo", item="title"))
films = split.train.to_frame()
os.mkdir("ratings")
films[:30_000].write_parquet("ratings/monday.parquet")
films[30_000:].write_parquet("ratings/tuesday.parquet")
split.valid.to_frame().write_parquet("test.parquet")

with engines.processes(2) as two:  # or engines.spark(session)
    rec = engines.fit("ratings/", "als", work="work/", out="films.cofactor", executor=two, seed=42)

one = cf.fit(films, model="als", seed=42, calibrate=False)
print("the bits of one process:", (rec.model.state()["items"] == one.model.state()["items"]).all())
print(rec.recommend(user=rec.data.user_ids.values[0], n=5))

# Figures and lists by the same processes: each opens the saved model and takes a part of the users.
with engines.processes(2) as pool:  # or engines.spark(session)
    figures = engines.evaluate("films.cofactor", "test.parquet", ["ndcg@10", "auc"], executor=pool)
    engines.recommend_all("films.cofactor", "lists/", n=10, executor=pool)
print(figures.select("metric", "value"))

# For a server that gets histories: the items alone.
rec.save("films.serve", serve_only=True)  # or: cofactor export films.cofactor films.serve --format serve
print(cf.load("films.serve").recommend(history=[rec.data.item_ids.values[0]], n=3))

# For more users than memory holds: files of users, each opened when one of its users is asked for.
rec.save("films.shards", users_per_shard=100_000)  # engines.fit(..., users_per_shard=100_000) writes this too
rec = cf.load("films.shards")
print(rec.recommend(user=rec.data.user_ids.values[0], n=3))
