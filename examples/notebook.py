# ruff: noqa: F403, F405
"""From the notebook's learner to a recommender (needs the torch extra)."""

import cofactor as cf
from cofactor.notebook import *

ratings = cf.load_dataset("movietweetings-demo", item="title").to_frame()  # or a pandas frame of your own
dls = CollabDataLoaders.from_df(ratings, item_name="title", bs=64, seed=42)

learn = collab_learner(dls, n_factors=50, y_range=(0, 10.5), metrics=[mae], seed=42)
learn.fit_one_cycle(3, 5e-3, wd=0.2, cbs=[EarlyStoppingCallback(patience=2)])

movie_bias = learn.model.i_bias.weight.squeeze()
print([dls.classes["title"][i] for i in movie_bias.argsort(descending=True)[:5]])

preds, targs = learn.get_preds()
print("valid MSE", mse(preds, targs))

rec = learn.recommender()
liked = {dls.classes["title"][1]: 9, dls.classes["title"][2]: 10}
print(rec.recommend(history=liked, n=5))

learn.export("movies.cofactor")
print(load_learner("movies.cofactor").recommender().recommend(history=liked, n=5))
