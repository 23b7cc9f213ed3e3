"""A PyTorch model of your own, trained, asked and explained like a built-in one (needs the torch extra)."""

import cofactor as cf
from cofactor.notebook import *

ratings = cf.load_dataset("movietweetings-demo", item="title").to_frame()  # or a pandas frame of your own
dls = CollabDataLoaders.from_df(ratings, item_name="title", bs=64, seed=42)


class DotProductBias(Module):
    def __init__(self, n_users, n_items, n_factors, y_range=(0, 10.5)):
        self.user_factors = Embedding(n_users, n_factors)
        self.user_bias = Embedding(n_users, 1)
        self.item_factors = Embedding(n_items, n_factors)
        self.item_bias = Embedding(n_items, 1)
        self.y_range = y_range

    def forward(self, x):
        users, items = self.user_factors(x[:, 0]), self.item_factors(x[:, 1])
        dot = (users * items).sum(dim=1, keepdim=True)
        return sigmoid_range(dot + self.user_bias(x[:, 0]) + self.item_bias(x[:, 1]), *self.y_range)


model = DotProductBias(len(dls.classes["user"]), len(dls.classes["title"]), n_factors=20)
learn = Learner(dls, model, loss_func=MSELossFlat())
learn.fit_one_cycle(3, 5e-3, wd=0.2)

bias = learn.model.item_bias.weight.squeeze()
print([dls.classes["title"][i] for i in bias.argsort(descending=True)[:5]])
