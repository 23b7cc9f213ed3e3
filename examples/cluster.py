"""From a folder of Parquet to lists for everybody, on Spark (here on two cores of this machine).

pip install 'cofactor[spark]'     # and Java 17 or later
python examples/cluster.py
"""

import os
import sys
from pathlib import Path
from tempfile import mkdtemp

os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # the Python of the workers: one where cofactor is installed

from pyspark.sql import SparkSession

import cofactor as cf
from cofactor import engines

settings = {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1", "spark.ui.enabled": "false"}
session = SparkSession.builder.master("local[2]").config(map=settings).getOrCreate()

shared = Path(mkdtemp())  # on a cluster: a folder that all workers see
everybody = cf.load_dataset("movietweetings-demo", item="title")
(shared / "ratings").mkdir()
everybody.to_frame().write_parquet(shared / "ratings" / "part-0.parquet")

# Train in blocks of rows on the workers: the bits of cf.fit on one machine.
on = engines.spark(session)
model = str(shared / "films.cofactor")
rec = engines.fit(shared / "ratings", "ials", shared / "work", model, executor=on, epochs=5, seed=42)
same = cf.fit(everybody, model="ials", epochs=5, seed=42)
print("the bits of one machine:", (rec.model.state()["item_factors"] == same.model.state()["item_factors"]).all())

# Lists where the ratings are.
ratings = session.read.parquet(str(shared / "ratings"))  # user, item, rating: the column names of the training table
lists = engines.recommend(ratings, model, n=10)
lists.write.parquet(str(shared / "lists"))  # user, rank, item, score, status

found = session.read.parquet(str(shared / "lists"))
for row in found.filter("rank = 1").select("user", "item", "status").orderBy("user").limit(3).collect():
    print(*row)
print(found.select("user").distinct().count(), "users have lists")
session.stop()
