"""The notebook's way: a learner, one cycle, and a look at what it learned."""

import cofactor as cf

ratings = cf.load_dataset("movietweetings-demo")
split = cf.split.random(ratings, valid=0.2, seed=42)

learn = cf.collab_learner(split, n_factors=50, y_range=(0, 10.5), seed=0)
print(learn.lr_find().suggestion)
learn.fit_one_cycle(5, 5e-3, wd=0.1)  # prints epoch, train_loss, valid_loss, time
print(learn.recorder.values[-1])

rec = learn.recommender()
print(rec.biases(n=5))
print(rec.similar_items("The Dark Knight (2008)", n=5))
