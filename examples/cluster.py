"""From a folder of Parquet to lists for everybody, on Spark.

pip install '.[spark]'            # in the project's folder; and Java 17 or later
python examples/cluster.py                                           # two cores of this machine
python examples/cluster.py spark://host:7077 /mnt/shared/films       # a cluster, and a folder that all hosts see

Killed and started again with the same folder it goes on where it was, and ends with the same model.
"""

import os
import sys
from pathlib import Path
from tempfile import mkdtemp

os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # the Python of the workers: one where cofactor is installed

from pyspark.sql import SparkSession

import cofactor as cf
from cofactor import engines

master = sys.argv[1] if len(sys.argv) > 1 else "local[2]"
shared = Path(sys.argv[2] if len(sys.argv) > 2 else mkdtemp())
settings = {"spark.ui.enabled": "false", "spark.executorEnv.NUMBA_NUM_THREADS": "1"}
if master.startswith("local") or "127.0.0.1" in master:
    settings |= {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
session = SparkSession.builder.master(master).config(map=settings).getOrCreate()

everybody = cf.load_dataset("movietweetings-demo", item="title")
(shared / "ratings").mkdir(parents=True, exist_ok=True)
if not (shared / "ratings" / "part-1.parquet").exists():
    for part in range(2):
        everybody.to_frame()[part::2].write_parquet(shared / "ratings" / f"part-{part}.parquet")

# Train in blocks of rows on the workers: the bits of cf.fit on one machine.
on = engines.spark(session)
model = str(shared / "films.cofactor")
rec = engines.fit(shared / "ratings", "ials", shared / "work", model, executor=on, epochs=5, seed=42)
same = cf.fit(cf.read(shared / "ratings"), model="ials", epochs=5, seed=42)
print("the bits of one machine:", (rec.model.state()["item_factors"] == same.model.state()["item_factors"]).all())

# Lists where the ratings are.
ratings = session.read.parquet(str(shared / "ratings"))  # user, item, rating: the column names of the training table
lists = engines.recommend(ratings, model, n=10)
lists.write.mode("overwrite").parquet(str(shared / "lists"))  # user, rank, item, score, status

found = session.read.parquet(str(shared / "lists"))
for row in found.filter("rank = 1").select("user", "item", "status").orderBy("user").limit(3).collect():
    print(*row)
print(found.select("user").distinct().count(), "users have lists")
session.stop()
