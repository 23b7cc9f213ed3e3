# %% the mid-level data API on ratings: transforms, pipelines, lists, datasets, own loaders
df = ratings.merge(movies).head(600).reset_index(drop=True); rows = list(df[['user', 'title', 'rating']].itertuples(index=False)); rows[0]
# %%
class Lower(Transform):
    def encodes(self, x: str): return x.lower()
    def decodes(self, x: str): return x.title()
t = Lower(); exact_tfm = [t('Film 01'), t.decode('film 01'), t(3)]
# %%
def neg(x: int): return -x
nt = Transform(neg); nt(3), nt('a'), nt
# %%
@Transform
def half(x: float): return x / 2
half(3.), half(3)
# %%
class Norm(Transform):
    def setups(self, items): self.mean, self.std = np.mean([o for o in items]), np.std([o for o in items])
    def encodes(self, x): return (x - self.mean) / self.std
    def decodes(self, x): return x * self.std + self.mean
n = Norm(); n.setup([1., 2., 3.]); close_norm = [float(n(2.5)), float(n.decode(n(2.5)))]
# %%
pipe = Pipeline([Lower(), str.strip, len]); exact_pipe = pipe(' Film 9 '); pipe
# %%
Pipeline([Lower()]).decode('film')
# %%
p2 = Pipeline([Transform(lambda x: x + 1, dec=lambda x: x - 1), Transform(lambda x: x * 2, dec=lambda x: x / 2)]); exact_p2 = [p2(3), p2.decode(8)]; len(p2.fs)
# %%
splits = RandomSplitter(seed=42)(rows); tl = TfmdLists(rows, [ItemGetter(1), Categorize()], splits=splits); tl
# %%
tl[0], type(tl[0]).__name__, tl.train[0], tl.valid[0], len(tl.train), len(tl.valid)
# %%
tl.vocab[:3], tl.decode(tl[0]), len(tl.vocab)
# %%
tl.subset(1)[0], tl.splits[1][:3], tl.n_subsets
# %%
cat = Categorize(vocab=['a', 'b', 'c'], sort=False); exact_cat = [int(cat('b')), str(cat.decode(cat('b')))]
# %%
cat2 = Categorize(add_na=True); cat2.setup(['x', 'z', 'y']); list(cat2.vocab), int(cat2('z'))
# %%
dsets = Datasets(rows, [[ItemGetter(0), Categorize()], [ItemGetter(1), Categorize()], [ItemGetter(2), RegressionSetup()]], splits=splits, n_inp=2); dsets[0]
# %%
len(dsets), len(dsets.train), len(dsets.valid), dsets.n_inp, dsets.c if hasattr(dsets, 'c') else None
# %%
dsets.decode(dsets[0])
# %%
x1, x2, y = dsets.train[3]; type(x1).__name__, type(y).__name__, y.dtype
# %%
dsets.vocab[0][:2], dsets.vocab[1][:2]
# %%
dsets.items[0], dsets.tls[0], dsets.splits[0][:2]
# %%
dls = dsets.dataloaders(bs=32, shuffle=True); b = dls.one_batch(); len(b), [o.shape for o in b], [o.dtype for o in b]
# %%
dls.n_inp, dls.train.n, dls.valid.n, len(dls.train), len(dls.valid), dls.device
# %%
class Dot2(Module):
    def __init__(self, nu, ni, k=6): self.u, self.i = Embedding(nu, k), Embedding(ni, k)
    def forward(self, u, i): return (self.u(u) * self.i(i)).sum(1) + 3.3
learn = Learner(dls, Dot2(len(dls.vocab[0]), len(dls.vocab[1])), loss_func=MSELossFlat(), metrics=[rmse]); learn.fit(2, 1e-2); learn.recorder.values[-1]
# %%
learn.get_preds()[0].shape, learn.get_preds(ds_idx=0)[1].shape
# %%
dl = dls.test_dl(rows[:5]); [o.shape for o in dl.one_batch()]
# %%
dl2 = dls.test_dl(rows[:5], with_labels=True); [o.shape for o in dl2.one_batch()]
# %%
learn.get_preds(dl=dl2)[1]
# %%
class RatingTfm(ItemTransform):
    def encodes(self, o): u, m, r = o; return tensor([u, m]), tensor(float(r))
pairs = [(int(u), int(m), int(r)) for u, m, r in ratings[['user', 'movie', 'rating']].values[:500]]
dl = TfmdDL(pairs, bs=16, shuffle=False, after_item=RatingTfm()); xb, yb = dl.one_batch(); xb.shape, yb.shape, exact_xb if False else xb[:2]
# %%
exact_first = xb[:3].tolist(), yb[:3].tolist()
# %%
def add_noise(b): return b[0], b[1] + 0.1
dl = TfmdDL(pairs, bs=16, after_item=RatingTfm(), after_batch=[add_noise], drop_last=True); len(dl)
# %%
dl = DataLoader(pairs, bs=10, create_batch=lambda s: (tensor([[a, b] for a, b, _ in s]), tensor([c for *_, c in s]).float())); exact_dl = [len(list(dl)), dl.one_batch()[0][0].tolist()]
# %%
class Pairs:
    def __init__(self, df): self.x, self.y = torch.tensor(df[['user', 'movie']].values), torch.tensor(df.rating.values).float()[:, None]
    def __len__(self): return len(self.y)
    def __getitem__(self, i): return self.x[i], self.y[i]
tr, va = Pairs(ratings[:1200]), Pairs(ratings[1200:]); d = DataLoaders.from_dsets(tr, va, bs=50, shuffle=False); [len(o) for o in d.loaders], d.one_batch()[0].shape
# %%
l2 = Learner(d, EmbeddingDotBias(5, 61, 41, (0.5, 5.5)), loss_func=MSELossFlat(), metrics=rmse)
with torch.no_grad():
    for i, p in enumerate(l2.model.parameters()): p.copy_(torch.sin(torch.arange(p.numel()).float() + i).view_as(p) * .3)
l2.validate(); close_v = [float(v) for v in l2.validate()]
# %%
dt = DataLoader(tr, bs=50, shuffle=False); dv = DataLoader(va, bs=100); d2 = DataLoaders(dt, dv); l3 = Learner(d2, l2.model, loss_func=MSELossFlat(), metrics=mae); l3.fit(2, 1e-2, wd=0); close_l3 = [[float(v) for v in r] for r in l3.recorder.values]
# %%
d2.train_ds is tr, d2[0] is dt, d2.valid.bs, len(d2)
# %%
tdl = torch.utils.data.DataLoader(tr, batch_size=64, shuffle=False); tvl = torch.utils.data.DataLoader(va, batch_size=64); l4 = Learner(DataLoaders(tdl, tvl), EmbeddingDotBias(5, 61, 41, (0.5, 5.5)), loss_func=MSELossFlat())
with torch.no_grad():
    for i, p in enumerate(l4.model.parameters()): p.copy_(torch.cos(torch.arange(p.numel()).float() + i).view_as(p) * .3)
l4.fit(2, 1e-2); close_l4 = [[float(v) for v in r] for r in l4.recorder.values]
# %% blocks
def get_x(r): return r['title']
def get_y(r): return float(r['rating'])
block = DataBlock(blocks=(CategoryBlock, CategoryBlock, RegressionBlock), n_inp=2, get_x=[ColReader('user'), get_x], get_y=get_y, splitter=IndexSplitter(range(0, 100))); ds = block.datasets(df); ds[0]
# %%
len(ds.valid), ds.train[0], ds.valid.decode(ds.valid[0]) if False else None
# %%
bd = block.dataloaders(df, bs=20); bd.show_batch(max_n=2); bd.vocab[1][:3]
# %%
block.summary(df, bs=4) is None if False else None
# %%
b2 = DataBlock(blocks=(TransformBlock(type_tfms=[Categorize(add_na=True)]), RegressionBlock(n_out=1)), getters=[ItemGetter(1), ItemGetter(2)], splitter=RandomSplitter(.3, seed=1)); b2.dataloaders(rows, bs=16).one_batch()[0].dtype
# %%
b3 = block.new(item_tfms=noop) if hasattr(block, 'new') and False else block; b3.n_inp
# %%
fs = FuncSplitter(lambda r: r.user % 5 == 0)(rows); exact_fs = [len(fs[0]), len(fs[1])]
# %%
cs = ColSplitter('is_valid')(df.assign(is_valid=df.user > 50)); exact_cs = [len(cs[0]), len(cs[1])]
# %%
IndexSplitter([1, 2])(rows), [len(o) for o in RandomSubsetSplitter(train_sz=.3, valid_sz=.1, seed=3)(rows)]
# %%
get_c(dls), get_c(bd)
# %%
Categorize.order < RegressionSetup.order if hasattr(RegressionSetup, 'order') else None, ItemGetter(1)((1, 2)), AttrGetter('title')(rows[0]), ColReader('title', pref='x/', suff='.jpg')(df.iloc[0])
# %%
rl = RegexLabeller(r'\((\d+)\)$'); rl('Film 01 (1951)')
# %%
class Double(Transform):
    split_idx = 0
    def encodes(self, x): return x * 2
tl2 = TfmdLists([1, 2, 3, 4], Double(), splits=[[0, 1], [2, 3]]); exact_split_idx = [list(tl2.train), list(tl2.valid)]
# %%
tl3 = TfmdLists([3, 1, 2], [lambda o: o + 1], splits=None); list(tl3), tl3.train is not None
# %%
test = test_set(dsets, rows[:3]); len(test), test[0]
# %%
learn.dls.train.dataset, learn.dls.valid_ds[0]
# %%
shuffled = [int(b[1].sum()) for b in DataLoader(pairs, bs=100, shuffle=True, after_item=RatingTfm() if False else None, create_batch=lambda s: (None, tensor([c for *_, c in s])))]; exact_total = sum(shuffled)
