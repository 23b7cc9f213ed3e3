"""A model trained on a part of the users, and lists for everybody on Spark (here on two cores of this machine)."""

from pathlib import Path
from tempfile import mkdtemp

from pyspark.sql import SparkSession

import cofactor as cf
from cofactor import engines  # pip install 'cofactor[spark]', and Java

settings = {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1", "spark.ui.enabled": "false"}
session = SparkSession.builder.master("local[2]").config(map=settings).getOrCreate()

shared = Path(mkdtemp())  # on a cluster: a folder that all workers see
everybody = cf.load_dataset("movietweetings-demo", item="title")
some = everybody.take(everybody.users < 1000)
cf.fit(some, model="ease").save(shared / "films.cofactor")

table = everybody.to_frame().to_dict(as_series=False)
session.createDataFrame(list(zip(*table.values())), list(table)).createOrReplaceTempView("ratings")

ratings = session.table("ratings")  # user, item, rating: the column names of the training table
lists = engines.recommend(ratings, str(shared / "films.cofactor"), n=10, where="year >= 1990")
lists.write.parquet(str(shared / "lists"))  # user, rank, item, score, status

found = session.read.parquet(str(shared / "lists"))
print(found.filter("rank = 1").select("user", "item", "status").orderBy("user").limit(3).toPandas().to_string())
print(found.select("user").distinct().count(), "users have lists; the model saw", len(set(some.users.tolist())))
session.stop()
