# %% a prize of long ago: one file a film, customers as numbers, dates; baselines; then factors
from scipy.sparse import csr_matrix, coo_matrix; from scipy.sparse.linalg import svds; from datetime import datetime, timedelta; import time, os, random, sys
lines = []
for m, g in ratings.groupby('movie'):
    lines.append(f'{m}:'); lines += [f'{u + 1000000},{r},{datetime.fromtimestamp(t).strftime("%Y-%m-%d")}' for u, r, t in zip(g.user, g.rating, g.timestamp)]
Path('combined_data_1.txt').write_text('\n'.join(lines)) > 1000
# %%
raw = pd.read_csv('combined_data_1.txt', header=None, names=['Cust_Id', 'Rating', 'Date'], usecols=[0, 1, 2]); raw['Rating'] = raw['Rating'].astype(float); raw.shape, raw.dtypes.astype(str).tolist()
# %%
nan = pd.DataFrame(pd.isnull(raw.Rating)); nan = nan[nan['Rating'] == True].reset_index(); movie_np = []; movie_id = 1
for i, j in zip(nan['index'][1:], nan['index'][:-1]): movie_np = np.append(movie_np, np.full((1, i - j - 1), movie_id)); movie_id += 1
movie_np = np.append(movie_np, np.full((1, len(raw) - nan.iloc[-1, 0] - 1), movie_id)); len(movie_np)
# %%
df = raw[pd.notnull(raw['Rating'])].copy(); df['Movie_Id'] = movie_np.astype(int); df['Cust_Id'] = df['Cust_Id'].astype(int); df['Date'] = pd.to_datetime(df.Date); df.dtypes.astype(str).to_dict()
# %%
f = ['count', 'mean']; s = df.groupby('Movie_Id')['Rating'].agg(f); s.index = s.index.map(int); bench = round(s['count'].quantile(.2), 0); drop = s[s['count'] < bench].index; df = df[~df['Movie_Id'].isin(drop)]; exact_n = len(df); df.index.is_monotonic_increasing
# %%
fig, ax = plt.subplots(figsize=(6, 2)); df.groupby('Rating')['Rating'].agg(['count']).plot(kind='barh', legend=False, ax=ax); ax.axis('off'); plt.title(f'{df.Movie_Id.nunique():,} films', fontsize=12); plt.close('all')
# %%
df_p = pd.pivot_table(df, values='Rating', index='Cust_Id', columns='Movie_Id'); df_p.shape, round(float(df_p.notna().mean().mean()), 3)
# %%
df['year'] = df.Date.dt.year; df['dow'] = df['Date'].dt.dayofweek; df = add_datepart(df, 'Date', drop=False); [c for c in df.columns if c.startswith('Date')][:4] or list(df.columns)[-6:]
# %%
dls = CollabDataLoaders.from_df(df, user_name='Cust_Id', item_name='Movie_Id', rating_name='Rating', valid_pct=.15, seed=77, bs=128, val_bs=512, shuffle=False)
len(dls.train), len(dls.valid), dls.train.bs, dls.valid.bs, dls.one_batch()[1].dtype
# %%
dls.train_ds.items.columns.tolist(), dls.train_ds.items.shape, dls.valid_ds.items.index[:2].tolist()
# %%
tr, va = dls.train_ds.items, dls.valid_ds.items; mu = tr.Rating.mean(); bi = (tr.Rating - mu).groupby(tr.Movie_Id).mean(); bu = (tr.Rating - mu - tr.Movie_Id.map(bi)).groupby(tr.Cust_Id).mean()
base = mu + va.Movie_Id.map(bi).fillna(0) + va.Cust_Id.map(bu).fillna(0); close_base = float(np.sqrt(((base - va.Rating) ** 2).mean())); base.shape
# %%
R = coo_matrix((tr.Rating.values - mu, (tr.Cust_Id.values, tr.Movie_Id.values)), shape=(len(dls.classes['Cust_Id']), len(dls.classes['Movie_Id']))).tocsr(); u, sg, vt = svds(R, k=4, random_state=0); pred = (u * sg) @ vt + mu; close_svd = float(np.sqrt(((pred[va.Cust_Id, va.Movie_Id] - va.Rating) ** 2).mean())); R.nnz, pred.shape
# %%
learn = collab_learner(dls, n_factors=10, y_range=(.5, 5.5), wd=1e-1, metrics=[rmse, mae])
with torch.no_grad(): learn.model.u_weight.weight.copy_(torch.from_numpy(u * np.sqrt(sg)).float().repeat(1, 3)[:, :10]); learn.model.i_weight.weight.copy_(torch.from_numpy((np.sqrt(sg)[:, None] * vt).T.copy()).float().repeat(1, 3)[:, :10])
learn.model.u_weight.weight.abs().sum() > 0
# %%
learn.validate()
# %%
t0 = time.perf_counter(); learn.fit_one_cycle(2, 1e-2); elapsed = time.perf_counter() - t0; str(timedelta(seconds=int(elapsed)))
# %%
learn.recorder.plot_loss(); plt.close('all'); log = pd.DataFrame(learn.recorder.values, columns=learn.recorder.metric_names[1:-1]); log.columns.tolist(), log.dtypes.astype(str).tolist()
# %%
def rmse_np(a, b): return float(np.sqrt(np.mean((np.asarray(a).ravel() - np.asarray(b).ravel()) ** 2)))
p, t = learn.get_preds(dl=dls.valid); abs(rmse_np(p, t) - float(learn.validate()[1])) < 1e-3, np.asarray(p).dtype, np.asarray(t).shape
# %%
probe = pd.DataFrame({'Cust_Id': df.Cust_Id.sample(30, random_state=1).values, 'Movie_Id': df.Movie_Id.sample(30, random_state=2).values}); probe['Rating'] = learn.get_preds(dl=dls.test_dl(probe))[0].squeeze().numpy().clip(1, 5); probe.Rating.between(1, 5).all(), probe.dtypes.astype(str).tolist()
# %%
blend = np.linspace(0, 1, 5); best = min(blend, key=lambda w: rmse_np(w * p.numpy().ravel() + (1 - w) * base.values, t)); type(best).__name__, 0 <= best <= 1
# %%
err = (p.squeeze() - t.squeeze()).abs(); worst = va.assign(err=err.numpy()).nlargest(3, 'err'); worst.shape, worst.Cust_Id.map(lambda i: dls.classes['Cust_Id'][i]).dtype.kind
# %%
by_count = va.assign(e2=((p.squeeze() - t.squeeze()) ** 2).numpy(), n=va.Cust_Id.map(tr.Cust_Id.value_counts())).groupby(pd.cut(va.Cust_Id.map(tr.Cust_Id.value_counts()), [0, 15, 25, 99]), observed=False).e2.mean() ** .5; by_count.shape
# %%
corr = df_p.corr(min_periods=3); corr.shape, corr[df.Movie_Id.iloc[0]].dropna().sort_values(ascending=False).index[0] == df.Movie_Id.iloc[0]
# %%
class Ens:
    def __init__(self, *ls): self.ls = ls
    def __call__(self, frame): return torch.stack([l.get_preds(dl=l.dls.test_dl(frame))[0].squeeze(-1) if l.get_preds(dl=l.dls.test_dl(frame))[0].ndim > 1 else l.get_preds(dl=l.dls.test_dl(frame))[0] for l in self.ls]).mean(0)
nnl = collab_learner(dls, use_nn=True, layers=[20], y_range=(.5, 5.5)); nnl.fit(1, 1e-2); e = Ens(learn, nnl)(probe.drop(columns='Rating')); e.shape
# %%
sys.getsizeof(df) > 0, df.memory_usage(deep=True).sum() > 0, learn.model.u_weight.weight.element_size() * learn.model.u_weight.weight.nelement()
# %%
learn.model.bias(df.Movie_Id.value_counts().index[:5].tolist()).shape, learn.model.weight(df.Movie_Id.unique()[:4]).shape, learn.model.weight([int(df.Cust_Id.iloc[0])], is_item=False).shape
