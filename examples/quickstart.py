"""From ratings to recommendations with reasons, on the bundled data (no network needed)."""

import cofactor as cf

ratings = cf.load_dataset("movietweetings-demo", item="title")  # or cf.read("ratings.csv")
split = cf.split.temporal(ratings, valid=0.2)  # the last fifth is the future to check with

ranker = cf.fit(split.train, model="ease")  # for lists; model="auto-ranking" chooses one
print(cf.evaluate(ranker, split.valid, metrics=["ndcg", "hit_rate"]))
print(ranker.recommend(user=8, n=5))
print(ranker.recommend(history={"Inception (2010)": 9, "The Godfather (1972)": 10}, n=5))  # a new user
print(ranker.similar_items("The Dark Knight (2008)", n=5))
print(ranker.explain(user=8, item="The Dark Knight (2008)"))

rec = cf.fit(split.train, model="bayes-mf", seed=42)  # for ratings; model="auto" chooses one
print(cf.evaluate(rec, split.valid, metrics=["rmse", "interval_coverage"]))
print(rec.predict([(8, "Inception (2010)"), (8, "Skyfall (2012)")], interval=True))
print(rec.biases(n=3))

ranker.save("films.cofactor")
ranker = cf.load("films.cofactor")
