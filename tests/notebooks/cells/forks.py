# %% a course fork: everything renamed, own split, more columns
data = ratings.copy()
data['movie'] = data['movie'].map(dict(zip(movies.movie, movies.title)))
data.columns = ['userId', 'title', 'rating', 'ts']
data['rating'] = data['rating'].astype(np.float32)
user, item = 'userId', 'title'
# %%
from torch.utils.data import random_split, TensorDataset, Dataset
uid, iid = {u: i for i, u in enumerate(sorted(data[user].unique()))}, {t: i for i, t in enumerate(sorted(data[item].unique()))}
xs = torch.tensor([[uid[u], iid[t]] for u, t in zip(data[user], data[item])])
ys = torch.tensor(data.rating.values)
ds = TensorDataset(xs, ys)
train_ds, valid_ds = random_split(ds, [1200, 300], generator=torch.Generator().manual_seed(0))
len(train_ds), len(valid_ds)
# %%
dls = DataLoaders(DataLoader(train_ds, bs=64, shuffle=True), DataLoader(valid_ds, bs=128))
dls.one_batch()[0].shape
# %%
class Ratings(Dataset):
    def __init__(self, frame): self.x = torch.tensor([[uid[u], iid[t]] for u, t in zip(frame[user], frame[item])]); self.y = torch.tensor(frame.rating.values)
    def __len__(self): return len(self.x)
    def __getitem__(self, i): return self.x[i], self.y[i]
cut = int(len(data) * 0.8)
dls = DataLoaders.from_dsets(Ratings(data[:cut]), Ratings(data[cut:]), bs=64)
x, y = dls.one_batch(); x, y
# %%
class MF(nn.Module):
    def __init__(self, n_u, n_i, k=8):
        super().__init__()
        self.u, self.i = nn.Embedding(n_u, k), nn.Embedding(n_i, k)
        self.u.weight.data.uniform_(0, 0.05); self.i.weight.data.uniform_(0, 0.05)
    def forward(self, x): return (self.u(x[:, 0]) * self.i(x[:, 1])).sum(1)
learn = Learner(dls, MF(len(uid), len(iid)), loss_func=F.mse_loss, metrics=[mae], opt_func=partial(SGD, mom=0.9))
learn.fit(2, lr=0.1)
# %%
learn.get_preds()
# %%
learn = Learner(dls, MF(len(uid), len(iid)), loss_func=nn.MSELoss(), opt_func=partial(OptimWrapper, opt=torch.optim.AdamW))
learn.fit_one_cycle(1, 1e-2)
# %%
learn.validate()
# %%
learn.recorder.plot_loss(); plt.close('all')
# %%
opt = torch.optim.Adam(learn.model.parameters(), lr=1e-2)
for xb, yb in dls.train:
    loss = F.mse_loss(learn.model(xb), yb); loss.backward(); opt.step(); opt.zero_grad()
loss.requires_grad, loss.shape
# %% splits: by time, by a column, stratified
data = data.sort_values('ts').reset_index(drop=True)
splits = (list(range(1200)), list(range(1200, 1500)))
dls = CollabDataLoaders.from_df(data, user_name=user, item_name=item, rating_name='rating', bs=64, splits=splits) if False else TabularCollab(data, [Categorify], [user, item], y_names='rating', y_block=TransformBlock(), splits=splits).dataloaders(bs=64)
len(dls.train_ds), len(dls.valid_ds)
# %%
exact_valid = dls.valid_ds.items.index[:5].tolist()
# %%
data['is_valid'] = data.groupby(user).cumcount(ascending=False) < 2
splits = ColSplitter('is_valid')(data)
[len(s) for s in splits]
# %%
from sklearn.model_selection import train_test_split, KFold
splits = TrainTestSplitter(test_size=0.25, random_state=3)(data)
[len(s) for s in splits]
# %%
for fold, (a, b) in enumerate(KFold(3, shuffle=True, random_state=0).split(data)):
    to = TabularPandas(data, [Categorify], [user, item], y_names='rating', y_block=RegressionBlock(), splits=(list(a), list(b)))
    d = to.dataloaders(bs=128)
    l = Learner(d, EmbeddingDotBias(4, len(d.classes[user]), len(d.classes[item]), (0, 5.5)), loss_func=MSELossFlat()) if False else None
fold, len(to.train), len(to.valid)
# %%
class CollabTab(nn.Module):
    def __init__(self, emb_szs): super().__init__(); self.e = nn.ModuleList([Embedding(a, b) for a, b in emb_szs]); self.l = nn.Linear(sum(b for _, b in emb_szs), 1)
    def forward(self, cat, cont): return SigmoidRange(0, 5.5)(self.l(torch.cat([e(cat[:, i]) for i, e in enumerate(self.e)], 1)))
l = Learner(d, CollabTab(get_emb_sz(to)), loss_func=MSELossFlat(), metrics=rmse)
l.fit_one_cycle(1, 1e-2)
# %%
l.get_preds()
# %%
d.show_batch(max_n=2)
# %%
l.show_results(max_n=2)
# %%
l.model(*d.one_batch()[:2]).shape
# %%
data['hour'] = (data.ts // 3600) % 24
data['age'] = (data[user] * 7) % 60 + 10.
to = TabularPandas(data, [Categorify, FillMissing, Normalize], cat_names=[user, item, 'hour'], cont_names=['age'], y_names='rating', splits=RandomSplitter(seed=2)(data))
to.xs.shape, to.ys.shape, to.conts.shape
# %%
d = to.dataloaders(bs=64)
d.one_batch()
# %%
l = tabular_learner(d, layers=[20, 10], y_range=(0, 5.5), metrics=[rmse], n_out=1, loss_func=MSELossFlat())
l.fit_one_cycle(1, 1e-2)
# %%
l.model
# %%
out = l.model.eval()(*d.one_batch()[:2]); out
# %%
l.get_preds(dl=l.dls.test_dl(data.head(5)))[0]
# %% weights of one's own hand
dls = CollabDataLoaders.from_df(data, user_name=user, item_name=item, rating_name='rating', bs=64, seed=42)
learn = collab_learner(dls, n_factors=8, y_range=(0.5, 5.5), wd=0.1, metrics=rmse, path='.', model_dir='m')
learn.fit_one_cycle(1)
# %%
learn.fit_one_cycle(1, lr_max=slice(None, 5e-3), wd=0.2)
# %%
learn.fit_one_cycle(1, 5e-3, reset_opt=True, div_final=1e3)
# %%
W, B = learn.model.i_weight.weight, learn.model.i_bias.weight.squeeze()
W, B
# %%
with torch.no_grad(): learn.model.i_weight.weight[0].zero_(); learn.model.i_bias.weight[0] = 0
learn.validate()
# %%
P = (learn.model.u_weight.weight @ learn.model.i_weight.weight.t() + learn.model.u_bias.weight + learn.model.i_bias.weight.t())
sigmoid_range(P, *learn.model.y_range)
# %%
full = sigmoid_range(P, 0.5, 5.5).detach().numpy()[1:, 1:]
table = pd.DataFrame(full, index=dls.classes[user][1:], columns=dls.classes[item][1:]); table
# %%
table.loc[5].nlargest(3).index.tolist()[:0]
# %%
pop = data[item].value_counts().index[:10]
learn.model.bias(pop), learn.model.weight(pop, is_item=True)
# %%
g = data.groupby(item)['rating'].mean()
np.corrcoef(g.loc[pop], learn.model.bias(pop).numpy())
# %%
learn.model.weight(['5'] if False else dls.classes[user][1:4], is_item=False)
# %%
learn.model.forward(tensor([[1, 2], [3, 4]]))
# %%
learn.model(torch.LongTensor([[1, 2]])).item() > 0
# %%
for p in learn.model.parameters(): p.requires_grad_(True)
sum(p.numel() for p in learn.model.parameters())
# %%
copy_ = deepcopy(learn.model); torch.equal(copy_.u_weight.weight, learn.model.u_weight.weight)
# %%
learn2 = collab_learner(dls, n_factors=8, y_range=(0.5, 5.5)); learn2.model.load_state_dict(learn.model.state_dict())
# %%
(learn2.get_preds()[0] - learn.get_preds()[0]).abs().max() < 1e-5
# %%
learn.add_cb(EarlyStoppingCallback(patience=1)); learn.fit(2, 1e-4); learn.remove_cb(EarlyStoppingCallback)
# %%
class History(Callback):
    def before_fit(self): self.h = []
    def after_epoch(self): self.h.append({n: v for n, v in zip(self.recorder.metric_names[1:], self.recorder.log[1:])})
h = History(); learn.fit(2, 1e-3, cbs=[h]); pd.DataFrame(h.h).columns.tolist()
# %%
class LogBatch(Callback):
    def __init__(self, every=5): self.every = every; self.rows = []
    def after_batch(self):
        if self.training and self.iter % self.every == 0: self.rows.append((self.epoch, self.iter, self.loss.item(), self.opt.hypers[0]['lr']))
lb = LogBatch(); learn.fit_one_cycle(1, 1e-3, cbs=lb); len(lb.rows), len(lb.rows[0])
# %%
@patch
def top_items(self: Learner, n=3): return [self.dls.classes[item][i] for i in self.model.i_bias.weight.squeeze().argsort(descending=True)[:n]]
len(learn.top_items())
# %%
class Half(Callback):
    run_valid = False
    def before_batch(self): self.learn.xb = tuple(x[: len(x) // 2] for x in self.xb); self.learn.yb = tuple(y[: len(y) // 2] for y in self.yb)
learn.fit(1, cbs=Half())
# %%
learn.recorder.train_metrics, learn.recorder.valid_metrics, learn.recorder.add_time
# %%
learn.loss_func, learn.opt_func is Adam
# %%
hasattr(learn, 'recorder'), hasattr(learn, 'progress'), learn.recorder.name
# %%
[type(c).__name__ for c in learn.cbs]
# %%
str(learn.opt_func)[:9]
# %%
learn.dls.vocab if hasattr(learn.dls, 'vocab') else None
# %%
learn.dls.c if hasattr(learn.dls, 'c') else 'none'
# %%
get_c(learn.dls) if False else learn.dls.n_inp
# %%
learn.dls.train.shuffle, learn.dls.train.drop_last, learn.dls.valid.drop_last
# %%
learn.dls.valid.get_idxs()[:3]
# %%
nunique = {c: learn.dls.train_ds.items[c].nunique() for c in (user, item)}; len(nunique)
