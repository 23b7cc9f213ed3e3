"""A metric of your own: a function of one user's list and of what was relevant to that user."""

import cofactor as cf


def first_hit(recommended, relevant):
    return float(recommended[0] in relevant)


split = cf.split.auto(cf.load_dataset("movietweetings-demo"))
rec = cf.fit(split.train, model="popular", half_life=7)
print(cf.evaluate(rec, split, metrics=["ndcg", first_hit]))
