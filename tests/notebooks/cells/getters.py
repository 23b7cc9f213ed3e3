# %% blocks and getters for ratings: functions as getters, splitters by column, item transforms, batch transforms, decoding, summaries
from fastai.data.all import *
from fastai.tabular.all import *
from fastai.collab import *
df = ratings.merge(movies); df['is_valid'] = df.index % 5 == 0; df.head(2)
# %%
def get_user(r): return r['user']
def get_title(r): return r['title']
def get_rating(r): return float(r['rating'])
block = DataBlock(blocks=(CategoryBlock, CategoryBlock, RegressionBlock), getters=[get_user, get_title, get_rating], splitter=ColSplitter(), n_inp=2); dsets = block.datasets(df); len(dsets.train), len(dsets.valid), dsets.n_inp
# %%
dsets.train[0], type(dsets.train[0][2])
# %%
dsets.vocab, len(dsets.vocab[0])
# %%
dls = block.dataloaders(df, bs=64, shuffle=False); b = dls.one_batch(); [o.shape for o in b], [o.dtype for o in b]
# %%
dls.show_batch(max_n=3)
# %%
class TwoIn(Module):
    def __init__(self, nu, ni, k=6): self.u, self.i, self.b = Embedding(nu, k), Embedding(ni, k), Embedding(ni, 1)
    def forward(self, u, i): return sigmoid_range((self.u(u) * self.i(i)).sum(1) + self.b(i)[:, 0], .5, 5.5)
def filled(m, s=.3):
    for k, q in enumerate(m.parameters()): q.data = (torch.sin(torch.arange(q.numel()) * .37 + k) * s).view_as(q)
    return m
def vals(l): return [[float(v) for v in r] for r in l.recorder.values]
sizes = [len(v) for v in dls.vocab[:2]] if isinstance(dls.vocab, (L, list, tuple)) else None; exact_sizes = sizes; learn = Learner(dls, filled(TwoIn(*sizes)), loss_func=MSELossFlat(), metrics=[mae]); learn.fit(2, 1e-2); close_two = vals(learn)
# %%
p, t = learn.get_preds(); close_p = p[:4].tolist(); p.shape, t.shape
# %%
learn.show_results(max_n=3)
# %%
learn.predict(df.iloc[0])
# %%
tdl = dls.test_dl(df[:10]); learn.get_preds(dl=tdl)[0].shape, len(tdl)
# %%
tdl2 = dls.test_dl(df[:10], with_labels=True); pt = learn.get_preds(dl=tdl2); pt[0].shape, pt[1].shape
# %%
learn.export('b.pkl'); l2 = load_learner('b.pkl'); l2.get_preds(dl=l2.dls.test_dl(df[:4]))[0].shape
# %%
@Transform
def halve(x: float): return x / 2
@Transform
def noop_(x): return x
t = Transform(lambda x: x + 1); t(3), halve(3.), noop_('a')
# %%
class Scale(Transform):
    "stars to 0..1 and back"
    order = 5
    def __init__(self, lo, hi): self.lo, self.hi = lo, hi
    def encodes(self, x: float): return (x - self.lo) / (self.hi - self.lo)
    def decodes(self, x: float): return x * (self.hi - self.lo) + self.lo
s = Scale(1, 5); s(3.), s.decode(.5), s(2)
# %%
pipe = Pipeline([get_rating, Scale(1, 5)]); pipe(df.iloc[0]), pipe.decode(.25), len(pipe.fs)
# %%
tls = TfmdLists(df, [get_title, Categorize()], splits=ColSplitter()(df)); tls[0], tls.train[1], tls.decode(tls[0]), len(tls.valid)
# %%
ds = Datasets(df, [[get_user, Categorize()], [get_title, Categorize()], [get_rating, Scale(1, 5)]], splits=RandomSplitter(.2, seed=3)(df), n_inp=2); ds[0], ds.decode(ds[0]), ds.vocab.__class__.__name__
# %%
exact_ds = [int(ds[i][1]) for i in range(5)]; close_ds = [float(ds[i][2]) for i in range(5)]
# %%
d3 = ds.dataloaders(bs=50, shuffle=False, after_batch=lambda b: b); l3 = Learner(d3, filled(TwoIn(len(ds.tls[0].vocab), len(ds.tls[1].vocab))), loss_func=MSELossFlat()); l3.fit(1, 1e-2); close_l3 = vals(l3)
# %%
class Jitter(Transform):
    "noise of one's own in training batches"
    split_idx = 0
    def encodes(self, b): u, i, y = b; return u, i, y + .01
dj = ds.dataloaders(bs=50, shuffle=False, after_batch=None); len(dj.train), dj.train.after_batch
# %%
MaskSplitter(df.is_valid)(df)[1][:3], FuncSplitter(lambda o: o > 3)([1, 2, 5]), EndSplitter(.5)([1, 2, 3, 4]), IndexSplitter([1])([5, 6, 7])
# %%
TrainTestSplitter(test_size=.2, random_state=42, stratify=df.rating)(df)[1][:2].__class__.__name__, RandomSubsetSplitter(.5, .2, seed=1)(df)[0].__class__.__name__, ColSplitter('is_valid')(df)[0][:3]
# %%
block2 = DataBlock(blocks=(CategoryBlock(sort=False), CategoryBlock(add_na=True), CategoryBlock), getters=[ColReader('user'), ColReader('title'), ColReader('rating')], splitter=RandomSplitter(.2, seed=1), n_inp=2); d5 = block2.dataloaders(df, bs=64, shuffle=False); d5.vocab[2], d5.vocab[1][0], d5.c
# %%
class Grade(Module):
    def __init__(self, nu, ni, n): self.u, self.i, self.o = Embedding(nu, 6), Embedding(ni, 6), nn.Linear(12, n)
    def forward(self, u, i): return self.o(torch.cat([self.u(u), self.i(i)], 1))
l5 = Learner(d5, filled(Grade(len(d5.vocab[0]), len(d5.vocab[1]), 5)), loss_func=CrossEntropyLossFlat(), metrics=[accuracy]); l5.fit(2, 1e-2); close_l5 = vals(l5)
# %%
i5 = ClassificationInterpretation.from_learner(l5); i5.confusion_matrix().sum(), i5.vocab if hasattr(i5, 'vocab') else None
# %%
i5.plot_confusion_matrix(); plt.close('all'); i5.print_classification_report()
# %%
l5.predict(df.iloc[0])[0].__class__.__name__, l5.predict(df.iloc[0])[2].shape
# %%
l5.show_results(max_n=2)
# %%
block.summary(df[:50])
# %%
lst = df[['user', 'title', 'rating']].values.tolist(); b6 = DataBlock((CategoryBlock, CategoryBlock, RegressionBlock), getters=[ItemGetter(0), ItemGetter(1), ItemGetter(2)], splitter=RandomSplitter(seed=0), n_inp=2); d6 = b6.dataloaders(lst, bs=32); d6.train.n, d6.bs
# %%
recs = df.to_dict('records'); b7 = DataBlock((CategoryBlock, CategoryBlock, RegressionBlock), getters=[itemgetter('user'), itemgetter('title'), itemgetter('rating')], splitter=RandomSplitter(seed=0), n_inp=2); d7 = b7.dataloaders(recs, bs=32); d7.one_batch()[2].shape
# %%
dls.train.bs, dls.valid.drop_last, dls.train.shuffle, dls.train_ds.splits if hasattr(dls.train_ds, 'splits') and False else None
# %%
dls.decode_batch(b)[0] if hasattr(dls, 'decode_batch') else 0
# %%
first(dls.valid)[2].mean() > 0, dls[0] is dls.train, dls[1] is dls.valid, len(dls.loaders)
