# %% time in the model: bins, drift of biases, age of the rating, weeks and hours, splits by user in order
from fastai.collab import *
from fastai.tabular.all import *
df = ratings.merge(movies).sort_values(['user', 'timestamp']).reset_index(drop=True); df['when'] = pd.to_datetime(df.timestamp, unit='s'); df = add_datepart(df, 'when', drop=False, time=True); [c for c in df.columns if c.startswith('when')]
# %%
df['whenElapsed'].dtype.kind, df['whenIs_month_end'].dtype.kind, df['whenDayofweek'].between(0, 6).all()
# %%
df['bin'] = pd.qcut(df.timestamp, 5, labels=False); df['order'] = df.groupby('user').cumcount(); df['n'] = df.groupby('user').user.transform('size'); df['dev'] = df.groupby('user').timestamp.transform(lambda s: np.sign(s - s.mean()) * ((s - s.mean()).abs() / 86400) ** .4); df[['order', 'n', 'dev']].describe().shape
# %%
train_mask = df.order < (df.n * .8).astype(int); splits = (df.index[train_mask].tolist(), df.index[~train_mask].tolist()); exact_sizes = [len(s) for s in splits]
# %%
to = TabularPandas(df, [Categorify, FillMissing, Normalize], cat_names=['user', 'title', 'bin', 'whenDayofweek', 'whenHour'], cont_names=['order', 'dev'], y_names='rating', y_block=RegressionBlock(), splits=splits); to.cat_names, to.cont_names
# %%
dls = to.dataloaders(bs=64, shuffle=False); dls.show_batch(max_n=2)
# %%
nu, ni, nb = len(to.classes['user']), len(to.classes['title']), len(to.classes['bin']); exact_n = [nu, ni, nb]
class TimeSVD(Module):
    def __init__(self, k=6): self.p, self.q, self.bu, self.bi = Embedding(nu, k), Embedding(ni, k), Embedding(nu, 1), Embedding(ni, 1); self.alpha = Embedding(nu, 1); self.bit = Embedding(ni * nb, 1); self.mu = nn.Parameter(tensor(3.3))
    def forward(self, cat, cont):
        u, i, b = cat[:, 0], cat[:, 1], cat[:, 2]; drift = self.alpha(u)[:, 0] * cont[:, 1]
        return self.mu + self.bu(u)[:, 0] + self.bi(i)[:, 0] + drift + self.bit(i * nb + b)[:, 0] + (self.p(u) * self.q(i)).sum(1)
def filled(m, s=.3):
    for k, q in enumerate(m.parameters()): q.data = (torch.sin(torch.arange(q.numel()) * .37 + k) * s).view_as(q)
    return m
def vals(l): return [[float(v) for v in r] for r in l.recorder.values]
learn = Learner(dls, filled(TimeSVD()), loss_func=MSELossFlat(), metrics=[rmse]); learn.fit_one_cycle(3, 1e-2, wd=.1); close_t = vals(learn)
# %%
tl = tabular_learner(dls, layers=[30], y_range=(.5, 5.5), metrics=rmse, config=tabular_config(ps=0., embed_p=0., use_bn=False), emb_szs={'user': 6, 'title': 6}); filled(tl.model); tl.fit(2, 5e-3); close_tab = vals(tl)
# %%
tl.model
# %%
tl.model.embeds, tl.model.n_emb, tl.model.n_cont, tl.model.emb_drop.p
# %%
tl2 = tabular_learner(dls, layers=[30], y_range=(.5, 5.5), config=tabular_config(use_bn=True, bn_cont=True)); filled(tl2.model); tl2.fit(1, 5e-3); tl2.model.bn_cont.num_features
# %%
row, pred, raw = tl.predict(df.iloc[5]); close_pred = float(raw[0]); row.show() if hasattr(row, 'show') else None
# %%
new = df.iloc[:4].drop(columns='rating').copy(); new.loc[0, 'dev'] = 0.; tdl = tl.dls.test_dl(new); p, _ = tl.get_preds(dl=tdl); close_new = p.flatten().tolist(); p.shape
# %%
tdl.dataset.items.columns.tolist()[:3], tdl.dataset.conts.shape, tdl.dataset.cats.shape
# %%
future = df.iloc[[0]].assign(bin=99); tl.get_preds(dl=tl.dls.test_dl(future))[0].shape
# %%
to.decode().items.title.iloc[0][:4] if hasattr(to, 'decode') else 0
# %%
to.show(2)
# %%
drifts = learn.model.alpha.weight.squeeze(); who = drifts.abs().argsort(descending=True)[:3]; [to.classes['user'][i] for i in who]
# %%
grid = learn.model.bit.weight.view(ni, nb); plt.imshow(grid.detach(), aspect='auto'); plt.colorbar(); plt.close(); grid.shape
# %%
class Decayed(nn.Module):
    "weights for the age of a rating, in the loss"
    def __init__(self, half=.5): super().__init__(); self.half = half
    def forward(self, p, t): r, age = t[:, 0], t[:, 1]; w = .5 ** (age / self.half); return (w * (p - r) ** 2).sum() / w.sum()
df['age'] = (df.timestamp.max() - df.timestamp) / (df.timestamp.max() - df.timestamp.min()); to2 = TabularPandas(df, [Categorify], ['user', 'title'], y_names=['rating', 'age'], y_block=RegressionBlock(n_out=2), splits=splits); d2 = to2.dataloaders(64, shuffle=False); d2.one_batch()[-1].shape
# %%
class DotB(Module):
    def __init__(self, k=6): self.p, self.q, self.b = Embedding(nu, k), Embedding(ni, k), Embedding(ni, 1)
    def forward(self, cat, cont=None): return 3.3 + (self.p(cat[:, 0]) * self.q(cat[:, 1])).sum(1) + self.b(cat[:, 1])[:, 0]
def first_rmse(p, t): return F.mse_loss(p, t[:, 0]).sqrt()
dl_ = Learner(d2, filled(DotB()), loss_func=Decayed(), metrics=[first_rmse]); dl_.fit(2, 1e-2); close_dec = vals(dl_)
# %%
gaps = df.groupby('user').timestamp.diff(); df['gap'] = np.log1p(gaps.fillna(0)); df[['gap']].isna().sum().item()
# %%
procs = [Categorify, FillMissing, Normalize]; holes = df.assign(gap=df.gap.where(df.index % 9 > 0)); to3 = TabularPandas(holes, procs, ['user', 'title'], ['gap'], 'rating', splits=splits, y_block=RegressionBlock()); to3.cat_names, to3.procs.fill_missing.na_dict.keys()
# %%
cont, cat = cont_cat_split(df[['user', 'title', 'rating', 'dev', 'whenElapsed']], max_card=50, dep_var='rating'); cont, cat
# %%
small = df_shrink(df[['user', 'rating', 'dev', 'title']].copy()); small.dtypes.astype(str).to_dict()
# %%
roll = []
for k in range(1, 4):
    a, b = df.timestamp.quantile([.2 * k, .2 * (k + 1)]); tr_, va_ = df.index[df.timestamp <= a].tolist(), df.index[(df.timestamp > a) & (df.timestamp <= b)].tolist(); d = TabularCollab(df, [Categorify], ['user', 'title'], y_names=['rating'], y_block=TransformBlock(), splits=(tr_, va_)).dataloaders(bs=64, shuffle=False); l = collab_learner(d, n_factors=5, y_range=(.5, 5.5), metrics=rmse); filled(l.model); l.fit(1, 1e-2); roll.append(vals(l)[-1])
close_roll = roll
# %%
pd.DataFrame(roll, columns=['train_loss', 'valid_loss', 'rmse']).agg(['mean', 'std'])
# %%
monthly = df.set_index('when').rating.resample('D').agg(['mean', 'size']); monthly['mean'].rolling(3).mean().dropna().shape[0] > 0
# %%
d2.train.xs.head(2), d2.valid.ys.columns.tolist()
# %%
dls.train.dataset.all_cols.shape, dls.train_ds.y.name if hasattr(dls.train_ds, 'y') else None
