# %% results of races and amounts of proteins: a wide matrix, melted, weighted, masked, imputed
set_seed(13); wide = ratings.drop_duplicates(['user', 'movie']).assign(movie=lambda d: 'race/' + d.movie.astype(str) + '/stage').pivot(index='movie', columns='user', values='rating').astype(float); wide.columns = [f'RIDER {c} ' for c in wide.columns]; wide.columns = wide.columns.str.strip(); wide.shape
# %%
wide = wide[wide.columns[wide.count(axis=0) >= 15]]; bins = wide.apply(lambda x: pd.cut(x, bins=[1, 2, 3, 4, 5], labels=[1, 2, 3, 4], include_lowest=True)); bins.dtypes.iloc[0].name, bins.iloc[:, 0].dropna().shape[0] > 0
# %%
w = np.exp(-.25 * (np.arange(len(wide))[::-1] / len(wide))); scaled = bins.astype(float) * w[:, None]; df = pd.melt(scaled.reset_index(), id_vars='movie', var_name='rider', value_name='result').rename(columns={'movie': 'stage'})[['rider', 'stage', 'result']].dropna(); exact_n = len(df); df.index.is_unique, df.rider.dtype.kind
# %%
dls = CollabDataLoaders.from_df(df, bs=64, seed=3); x, y = dls.one_batch(); y.dtype, dls.classes['rider'][1][:5], dls.user if hasattr(dls, 'user') else 0
# %%
learn = collab_learner(dls, n_factors=6, y_range=(0, 4.2)); learn.lr_find(); learn.fit_one_cycle(2, .05, wd=.1); plt.close('all'); len(learn.recorder.values)
# %%
u_i = {k: v for v, k in enumerate(dls.classes['rider'])}; fac = learn.model.u_weight.weight[1:].detach().numpy(); b = learn.model.u_bias.weight[1:].squeeze().detach().numpy(); rank = pd.Series(b, index=list(dls.classes['rider'])[1:], name='bias').sort_values(ascending=False); rank.shape, rank.index.dtype.kind
# %%
rank.rank(pct=True).round(2).iloc[0], pd.qcut(rank, 3, labels=['low', 'mid', 'top']).value_counts().sum(), rank.to_frame().assign(z=lambda d: (d.bias - d.bias.mean()) / d.bias.std()).z.abs().max() > 0
# %%
def predict_race(riders, stage): d = pd.DataFrame({'rider': riders, 'stage': stage}); d['pred'] = learn.get_preds(dl=learn.dls.test_dl(d))[0].numpy(); return d.sort_values('pred', ascending=False).reset_index(drop=True)
predict_race(['RIDER 1', 'RIDER 2', 'RIDER 5'], 'race/7/stage').columns.tolist()
# %%
M = np.log2(scaled + 1).T; M.index.name, M.columns.name = 'Sample ID', 'peptide'; long = M.stack().dropna().to_frame('intensity'); long.index.names, long.shape
# %%
val_idx = long.sample(frac=.1, random_state=1).index; tr = long.drop(val_idx); va = long.loc[val_idx]; tr_df, va_df = tr.reset_index(), va.reset_index(); keep = va_df['Sample ID'].isin(tr_df['Sample ID']) & va_df.peptide.isin(tr_df.peptide); va_df = va_df[keep].reset_index(drop=True); tr_df.shape[1], va_df.dtypes.astype(str).tolist()
# %%
dt = CollabDataLoaders.from_df(tr_df, valid_pct=0.0, user_name='Sample ID', item_name='peptide', rating_name='intensity', bs=64, device='cpu'); len(dt.train_ds), len(dt.valid_ds), dt.valid
# %%
both = pd.concat([tr_df, va_df], ignore_index=True); sp = (list(range(len(tr_df))), list(range(len(tr_df), len(both)))); dd = TabularCollab(both, [Categorify], ['Sample ID', 'peptide'], y_names=['intensity'], y_block=TransformBlock(), splits=sp).dataloaders(bs=64); len(dd.train_ds), len(dd.valid_ds)
# %%
n_s, n_p = len(dd.classes['Sample ID']), len(dd.classes['peptide']); yr = (int(tr_df.intensity.min()), int(tr_df.intensity.max()) + 1); model = EmbeddingDotBias.from_classes(n_factors=5, classes=dd.classes, user='Sample ID', item='peptide', y_range=yr); model.y_range, model.u_weight.weight.shape, model.forward(dd.one_batch()[0]).shape
# %%
l = Learner(dls=dd, model=model, loss_func=MSELossFlat(), cbs=EarlyStoppingCallback(patience=1), model_dir=Path('coll_models')); l.fit_one_cycle(3, lr_max=1e-2); l.save('coll'); (l.path / l.model_dir).exists()
# %%
fig, ax = plt.subplots(figsize=(5, 3)); ax.set_title('CF loss: Reconstruction loss'); l.recorder.plot_loss(skip_start=5, ax=ax); plt.close(fig); L(l.recorder.values).itemgot(0).__len__()
# %%
p, t = l.get_preds(act=noop); va_df['CF'] = p.numpy(); va_df.set_index(['Sample ID', 'peptide'])[['intensity', 'CF']].sub(va_df.set_index(['Sample ID', 'peptide']).intensity, axis=0).abs().mean().index.tolist()
# %%
med = tr_df.groupby('peptide').intensity.median(); va_df['median'] = va_df.peptide.map(med); va_df[['CF', 'median']].corr().shape, np.isnan(va_df['median']).sum()
# %%
mask = M.isna(); idx = mask.stack(); idx = idx[idx].index; todo = pd.DataFrame(list(idx), columns=['Sample ID', 'peptide']); todo = todo[todo['Sample ID'].isin(dd.classes['Sample ID'].items) & todo.peptide.isin(dd.classes['peptide'].items)]; imp = l.get_preds(dl=dd.test_dl(todo))[0].squeeze(); s = pd.Series(imp.numpy(), index=pd.MultiIndex.from_frame(todo)).unstack(); filled = M.fillna(s); filled.shape == M.shape, imp.ndim
# %%
filled.isna().sum().sum() <= M.isna().sum().sum(), float(filled.stack().min()) > -1
# %%
l.model.eval(); biases_s = l.model.u_bias.weight.detach().cpu().squeeze(); biases_p = l.model.i_bias.weight.detach().cpu().squeeze(); pd.DataFrame({'s': pd.Series(biases_s.numpy()).describe(), 'p': pd.Series(biases_p.numpy()).describe()}).shape
# %%
emb = pd.DataFrame(l.model.u_weight.weight.detach().numpy(), index=dd.classes['Sample ID']).drop('#na#'); from sklearn.decomposition import PCA; PCA(2).fit_transform(emb).shape, emb.index.name
# %%
class Half(Module):
    def __init__(self, n_s, n_p, k, y_range): self.s, self.p = Embedding(n_s, k), Embedding(n_p, k); self.sb, self.pb = Embedding(n_s, 1), Embedding(n_p, 1); self.y_range = y_range
    def forward(self, x): s, p = x.unbind(1) if hasattr(x, 'unbind') else (x[:, 0], x[:, 1]); r = (self.s(s) * self.p(p)).sum(dim=1, keepdim=True); r += self.sb(s) + self.pb(p); return sigmoid_range(r, *self.y_range)
h = Learner(dd, Half(n_s, n_p, 4, yr), loss_func=MSELossFlat(), metrics=mae); h.fit(1, 1e-2); h.get_preds()[0].shape
