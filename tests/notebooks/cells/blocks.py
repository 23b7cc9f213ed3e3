# %% a table through blocks: predictions, results, files
df = ratings.merge(movies)
block = DataBlock(blocks=(CategoryBlock, CategoryBlock, RegressionBlock), n_inp=2, getters=[ColReader('user'), ColReader('title'), ColReader('rating')], splitter=RandomSplitter(0.2, seed=42))
dls = block.dataloaders(df, bs=64)
class TwoIn(Module):
    def __init__(self, nu, ni, k=6): self.u, self.i, self.b = Embedding(nu, k), Embedding(ni, k), Embedding(ni, 1)
    def forward(self, u, i): return sigmoid_range((self.u(u) * self.i(i)).sum(1, keepdim=True) + self.b(i), 0, 5.5)
learn = Learner(dls, TwoIn(len(dls.vocab[0]), len(dls.vocab[1])), loss_func=MSELossFlat(), metrics=[rmse])
learn.fit_one_cycle(1, 1e-2)
learn.recorder.metric_names
# %%
dl = learn.dls.test_dl(df.iloc[:9])
preds, targs = learn.get_preds(dl=dl)
preds.shape, targs is None
# %%
dl = learn.dls.test_dl(df.iloc[:9], with_labels=True)
preds, targs = learn.get_preds(dl=dl)
preds.shape, targs.shape
# %%
res = learn.predict(df.iloc[0])
len(res), [type(r).__name__ for r in res]
# %%
res[1].shape, res[2].shape
# %%
learn.show_results(max_n=4)
# %%
dls.show_batch(max_n=3)
# %%
dec = dls.decode_batch(dls.one_batch(), max_n=4)
len(dec), len(dec[0])
# %%
user, title, rating = dls.valid_ds.decode(dls.valid_ds[0])
int(user) > 0, str(title)[:4], float(rating) > 0
# %%
learn.save('blocks'); learn.load('blocks')
learn.validate()
# %%
learn.summary()
None
# %%
dls.train_ds.tls[1].vocab[:2]
# %%
dls.vocab[1].o2i['Film 03 (1953)']
# %%
dls.vocab[0].map_objs([3, 4])
# %%
one = DataBlock(blocks=(TransformBlock, CategoryBlock), get_x=lambda r: tensor([r.user, int(r.title[5:7])]), get_y=ColReader('rating'), splitter=RandomSplitter(0.2, seed=1)).dataloaders(df, bs=64)
class Logits(Module):
    def __init__(self): self.u, self.i, self.l = Embedding(61, 4), Embedding(41, 4), nn.Linear(8, 5)
    def forward(self, x): return self.l(torch.cat([self.u(x[:, 0]), self.i(x[:, 1])], 1))
clf = Learner(one, Logits(), loss_func=CrossEntropyLossFlat(), metrics=accuracy)
clf.fit(1, 1e-2)
one.c, one.vocab
# %%
pred, idx, probs = clf.predict(df.iloc[3])
pred in ('1', '2', '3', '4', '5', 1, 2, 3, 4, 5), idx.shape, probs.shape
# %%
ClassificationInterpretation.from_learner(clf).confusion_matrix().shape
# %%
clf.get_preds(with_decoded=True)[2].shape
# %%
clf.predict(df.iloc[3], with_input=True)[0]
# %%
interp = Interpretation.from_learner(learn)
interp.top_losses(3)
# %%
learn.lr_find(num_it=20)._fields
