# %% exploring the table first, as competition notebooks do
df = ratings.merge(movies, on='movie')
df['date'] = pd.to_datetime(df['timestamp'], unit='s')
df.info(buf=io.StringIO())
# %%
df.describe(include='all').shape
# %%
df.rating.value_counts(normalize=True).sort_index().plot(kind='bar'); plt.close('all')
# %%
fig, axes = plt.subplots(1, 2, figsize=(6, 3))
df.groupby('user').size().hist(ax=axes[0], bins=10); df.groupby('title')['rating'].mean().hist(ax=axes[1]); plt.close(fig)
# %%
counts = df.groupby('title')['rating'].agg(['count', 'mean']).sort_values('count', ascending=False)
counts.head(10).index.tolist()[:1], counts.columns.tolist()
# %%
min_r = 20
keep = df['user'].value_counts().loc[lambda s: s > min_r].index
df = df[df.user.isin(keep)].reset_index(drop=True)
exact_rows_kept = len(df)
# %%
for c in ['user', 'title']: df[c] = df[c].astype('category')
df.dtypes['title'].name
# %%
dls = CollabDataLoaders.from_df(df, user_name='user', item_name='title', rating_name='rating', bs=64, valid_pct=0.2, seed=1)
dls.show_batch()
# %%
dls.classes['user'], dls.classes['title']
# %%
len(dls.classes['title']), dls.classes['title'][0], dls.classes['title'][1]
# %%
dls.show_batch(max_n=3, show=False) if False else dls.train.show_batch(max_n=2)
# %%
dls.valid.show_batch(max_n=2)
# %%
type(dls.train_ds).__name__, type(dls).__name__
# %%
dls.train.one_batch()[1].dtype, dls.valid.one_batch()[0].shape
# %% a model by hand: trunc_normal_, padding, dropout, batch norm
class DotProduct(Module):
    def __init__(self, n_users, n_movies, n_factors, y_range=(0, 5.5), p=0.1):
        self.user_factors = nn.Embedding(n_users, n_factors)
        self.movie_factors = nn.Embedding(n_movies, n_factors)
        for e in (self.user_factors, self.movie_factors): trunc_normal_(e.weight.data, std=0.01)
        self.user_bias, self.movie_bias = Embedding(n_users, 1), Embedding(n_movies, 1)
        self.drop, self.y_range = nn.Dropout(p), y_range
    def forward(self, x):
        users, movies = self.user_factors(x[:, 0]), self.drop(self.movie_factors(x[:, 1]))
        res = (users * movies).sum(dim=1, keepdim=True)
        res += self.user_bias(x[:, 0]) + self.movie_bias(x[:, 1])
        return sigmoid_range(res, *self.y_range)
model = DotProduct(len(dls.classes['user']), len(dls.classes['title']), 10)
model
# %%
[(n, tuple(p.shape)) for n, p in model.named_parameters()]
# %%
x, y = dls.one_batch()
model(x)
# %%
def root_mse(preds, targs): return torch.sqrt(F.mse_loss(preds.view(-1), targs.view(-1)))
def mape(preds, targs): return ((preds.view(-1) - targs.view(-1)).abs() / targs.view(-1)).mean()
learn = Learner(dls, model, loss_func=MSELossFlat(), metrics=[root_mse, mape, accuracy_multi] [:2])
learn.fit_one_cycle(2, 5e-3, wd=0.1, div=10., pct_start=0.4, moms=(0.9, 0.8, 0.9))
# %%
learn.recorder.metric_names
# %%
learn.recorder.plot_sched(keys=['lr']); plt.close('all')
# %%
len(learn.recorder.hps['lr']), len(learn.recorder.hps['mom'])
# %%
learn.recorder.hps.keys()
# %%
pd.DataFrame(learn.recorder.values, columns=learn.recorder.metric_names[1:-1]).shape
# %%
np.array(learn.recorder.values).shape
# %%
learn.get_preds(ds_idx=0)
# %%
preds, targs = learn.get_preds(ds_idx=1)
preds, targs
# %%
torch.sqrt(((preds - targs) ** 2).mean()), root_mse(preds, targs).item() > 0
# %%
learn.show_results(max_n=4)
# %%
learn.show_results(ds_idx=0, max_n=2)
# %%
learn.validate(ds_idx=0), learn.validate(dl=dls.valid)
# %% losses of one's own
class WeightedMSE(nn.Module):
    def __init__(self, w=2.0): super().__init__(); self.w = w
    def forward(self, p, t):
        t = t.view(-1).float(); p = p.view(-1)
        return (torch.where(t >= 4, self.w, 1.0) * (p - t) ** 2).mean()
learn = Learner(dls, DotProduct(len(dls.classes['user']), len(dls.classes['title']), 6), loss_func=WeightedMSE(), metrics=rmse)
learn.fit(1, 5e-3, wd=0.05)
# %%
class L2Loss(BaseLoss):
    def __init__(self, *args, axis=-1, floatify=True, **kwargs): super().__init__(nn.MSELoss, *args, axis=axis, floatify=floatify, is_2d=False, **kwargs)
L2Loss()(tensor([1., 2.]), tensor([1., 4.]))
# %%
learn.loss_func = L2Loss()
learn.fit(1, 1e-3)
# %%
learn.loss_func = HuberLossFlat() if 'HuberLossFlat' in globals() else nn.SmoothL1Loss()
learn.loss_func = nn.SmoothL1Loss()
learn.metrics = [mae]
# %%
def penalised(p, t): return F.mse_loss(p.view(-1), t.view(-1).float()) + 1e-4 * learn.model.user_factors.weight.norm()
learn = Learner(dls, DotProduct(len(dls.classes['user']), len(dls.classes['title']), 6), loss_func=penalised)
learn.fit_one_cycle(1, 5e-3)
# %% a gmf and mlp side by side
class NeuMF(nn.Module):
    def __init__(self, n_users, n_items, k=8, hidden=(16, 8), y_range=None):
        super().__init__()
        self.gu, self.gi = nn.Embedding(n_users, k), nn.Embedding(n_items, k)
        self.mu, self.mi = nn.Embedding(n_users, k), nn.Embedding(n_items, k)
        sizes = [2 * k, *hidden]
        self.mlp = nn.Sequential(*[l for a, b in zip(sizes, sizes[1:]) for l in (nn.Linear(a, b), nn.BatchNorm1d(b), nn.ReLU())])
        self.out, self.y_range = nn.Linear(k + hidden[-1], 1), y_range
        self.apply(self._init)
    @staticmethod
    def _init(m):
        if isinstance(m, nn.Embedding): nn.init.normal_(m.weight, std=0.05)
        elif isinstance(m, nn.Linear): nn.init.xavier_uniform_(m.weight); nn.init.zeros_(m.bias)
    def forward(self, x):
        u, i = x[:, 0], x[:, 1]
        h = torch.cat([self.gu(u) * self.gi(i), self.mlp(torch.cat([self.mu(u), self.mi(i)], dim=-1))], dim=-1)
        o = self.out(h).squeeze(-1)
        return o if self.y_range is None else sigmoid_range(o, *self.y_range)
net = NeuMF(len(dls.classes['user']), len(dls.classes['title']), y_range=(0.5, 5.5))
learn = Learner(dls, net, loss_func=MSELossFlat(), metrics=[rmse, mae], wd=0.01)
learn.fit_one_cycle(2, 3e-3)
# %%
learn.summary()
# %%
learn.get_preds()
# %%
learn.lr_find(start_lr=1e-5, end_lr=1, num_it=50)
# %%
learn.recorder.lrs[:3], len(learn.recorder.losses) > 10
# %% callbacks together
cbs = [SaveModelCallback(monitor='_rmse', fname='neumf', comp=np.less), EarlyStoppingCallback(monitor='_rmse', min_delta=0.01, patience=2), ReduceLROnPlateau(monitor='_rmse', patience=1, min_lr=1e-6), CSVLogger(fname='log.csv')]
learn.fit_one_cycle(2, 1e-3, cbs=cbs); plt.close('all')
# %%
pd.read_csv('log.csv').shape
# %%
learn.csv_logger if hasattr(learn, 'csv_logger') else None
# %%
Path('models').ls()
# %%
learn.load('neumf').validate()
# %% who is like whom: cosine neighbours by title
w = learn.model.gi.weight.detach()
def similar(title, n=5):
    idx = dls.classes['title'].o2i[title]
    sims = F.cosine_similarity(w[idx][None], w)
    best = sims.argsort(descending=True)[1:n+1]
    return [(dls.classes['title'][i], sims[i].item()) for i in best]
similar('Film 05 (1955)')
# %%
wn = w / w.norm(dim=1, keepdim=True).clamp(min=1e-8)
sim = (wn @ wn.T).numpy()
pd.DataFrame(sim, index=list(dls.classes['title']), columns=list(dls.classes['title'])).shape
# %%
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors
from sklearn.cluster import KMeans
xy = PCA(n_components=2).fit_transform(w); xy
# %%
plt.scatter(*xy.T); [plt.annotate(t, p) for t, p in zip(dls.classes['title'], xy)]; plt.close('all')
# %%
nnb = NearestNeighbors(n_neighbors=3, metric='cosine').fit(w.numpy())
d, i = nnb.kneighbors(w[3:4].numpy()); d, i
# %%
KMeans(n_clusters=3, n_init=2, random_state=0).fit_predict(w.numpy()).shape
# %% everything that one user has not seen
def recommend(learn, uid, n=5):
    seen = df[df.user == uid]['title'].unique()
    todo = [t for t in dls.classes['title'] if t not in seen and t != '#na#']
    frame = pd.DataFrame({'user': [uid] * len(todo), 'title': todo})
    p, _ = learn.get_preds(dl=learn.dls.test_dl(frame, bs=16))
    frame['pred'] = p.view(-1).numpy()
    return frame.sort_values('pred', ascending=False).head(n)
recommend(learn, df.user.iloc[0])
# %%
recs = {u: recommend(learn, u, 3)['title'].tolist() for u in df.user.unique()[:4]}
pd.DataFrame.from_dict(recs, orient='index').shape
# %%
test = df.sample(40, random_state=3)[['user', 'title']]
tdl = dls.test_dl(test)
len(tdl), len(tdl.dataset), tdl.n
# %%
tdl.show_batch(max_n=2)
# %%
p, t, dec = learn.get_preds(dl=tdl, with_decoded=True); p, t, dec
# %%
sub = test.assign(rating=learn.get_preds(dl=tdl)[0].squeeze().numpy().clip(1, 5)); sub.to_csv('submission.csv', index=False)
pd.read_csv('submission.csv').columns.tolist()
# %%
b = tdl.one_batch(); [o.shape for o in b]
# %%
new = dls.test_dl(pd.DataFrame({'user': [99999, 99998], 'title': ['Film 05 (1955)', 'no such film']}))
new.items.values.tolist()
# %%
learn.get_preds(dl=new)[0].shape
# %%
learn.export('neumf.pkl') and None
# %%
def precision_at_k(learn, k=3, least=4):
    preds, targs = learn.get_preds()
    v = dls.valid_ds.items.copy(); v['pred'], v['true'] = preds.view(-1).numpy(), targs.view(-1).numpy()
    return v.groupby('user').apply(lambda g: (g.nlargest(k, 'pred')['true'] >= least).mean()).mean()
0 <= precision_at_k(learn) <= 1
# %%
v = dls.valid_ds.items; v.columns.tolist(), v.index.dtype.kind
# %%
dls.valid_ds.decode().items.head(2)
# %%
learn.dls.train.decode(dls.one_batch()).items.shape
