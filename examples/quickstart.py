"""From ratings to recommendations with reasons, on the bundled data (no network needed)."""

import cofactor as cf

ratings = cf.load_dataset("movietweetings-demo")  # or cf.read("ratings.csv")
split = cf.split.random(ratings, valid=0.2, seed=42)

rec = cf.fit(split.train, model="bayes-mf", seed=42)
print(cf.evaluate(rec, split.valid, metrics=["rmse", "interval_coverage"]))

print(rec.predict([(8, "Inception (2010)"), (8, "Skyfall (2012)")], interval=True))
print(rec.recommend(user=8, n=5))
print(rec.recommend(history={"Inception (2010)": 9, "The Godfather (1972)": 10}, n=5))  # somebody new
print(rec.biases(n=3))
print(rec.explain(user=8, item="Skyfall (2012)"))

rec.save("films.cofactor")
rec = cf.load("films.cofactor")

ranker = cf.fit(split.train, model="ease")
print(ranker.similar_items("The Dark Knight (2008)", n=5))
