# %% films with genres, people with ages: columns besides user and item
genres = ['Action', 'Comedy', 'Drama']
films = movies.assign(genres=movies.movie.map(lambda i: '|'.join(g for n, g in enumerate(genres) if (i >> n) & 1) or 'None'), year=movies.title.str.extract(r'\((\d{4})\)')[0].astype(int))
people = pd.DataFrame({'user': range(1, 61), 'age': [18 + (7 * u) % 50 for u in range(1, 61)], 'gender': ['F' if u % 3 else 'M' for u in range(1, 61)], 'occupation': [f'job {u % 6}' for u in range(1, 61)]})
df = ratings.merge(films).merge(people).sample(frac=1, random_state=0).reset_index(drop=True); df.shape, df.isna().sum().sum()
# %%
hot = films.genres.str.get_dummies('|'); hot.columns.tolist(), hot.sum().tolist()
# %%
films.assign(genre=films.genres.str.split('|')).explode('genre').groupby('genre').size()
# %%
df['decade'] = df.year // 10 * 10; df['age_group'] = pd.cut(df.age, [0, 25, 35, 50, 100], labels=['young', 'adult', 'middle', 'old']); df.age_group.value_counts().shape
# %%
df['n_user'] = df.groupby('user').rating.transform('count').astype(float); df['mean_item'] = df.groupby('movie').rating.transform('mean'); df[['n_user', 'mean_item']].describe().shape
# %%
cats, conts = ['user', 'title', 'gender', 'occupation', 'age_group', 'decade'], ['age', 'n_user', 'mean_item']
splits = RandomSplitter(0.2, seed=1)(range_of(df)); to = TabularPandas(df, procs=[Categorify, FillMissing, Normalize], cat_names=cats, cont_names=conts, y_names='rating', y_block=RegressionBlock(), splits=splits)
to.classes['age_group'], to.classes['gender'], to.classes['decade'][:3]
# %%
len(to.train), len(to.valid), to.cont_names, to.cat_names
# %%
exact_codes = to.train.xs[['user', 'title', 'gender']].head(3).values.tolist()
# %%
close_conts = to.train.xs[conts].head(3).values.flatten().tolist(); close_means = [float(v) for v in to.train.conts.mean()] if False else [round(float(v), 4) for v in to.train.conts.std()]
# %%
to.procs.normalize.means.keys() if hasattr(to.procs.normalize.means, 'keys') else len(to.procs.normalize.means)
# %%
close_stats = [float(to.procs.normalize.means['age']), float(to.procs.normalize.stds['age'])]
# %%
dls = to.dataloaders(bs=128); cat, cont, y = dls.one_batch(); cat, cont, y
# %%
dls.show_batch(max_n=2)
# %%
emb = get_emb_sz(to); exact_emb = [list(map(int, e)) for e in emb]
# %%
exact_rule = [emb_sz_rule(n) for n in (2, 5, 10, 50, 100, 943, 1682, 10000, 200000)]
# %%
learn = tabular_learner(dls, layers=[32, 16], y_range=(0.5, 5.5), metrics=[rmse, mae], emb_szs={'title': 12}, config=tabular_config(ps=[0.1, 0.05], embed_p=0.02)); learn.model
# %%
learn.lr_find(num_it=20, suggest_funcs=(valley, slide))._fields
# %%
learn.fit_one_cycle(2, 1e-2, wd=0.1); learn.recorder.metric_names
# %%
learn.show_results(max_n=3)
# %%
row, pred, raw = learn.predict(df.iloc[3]); pred.shape, raw.shape
# %%
tdl = learn.dls.test_dl(df.drop(columns='rating').iloc[:6]); tdl.xs.shape, learn.get_preds(dl=tdl)[0]
# %%
tdl.show_batch(max_n=2)
# %%
learn.model.eval()(cat[:3], cont[:3])
# %%
W = {n: to_np(e.weight) for n, e in zip(cats, learn.model.embeds)}; {n: w.shape for n, w in W.items()}
# %%
occupation = pd.DataFrame(W['occupation'], index=list(to.classes['occupation'])); occupation.index.tolist(), occupation.corr().shape
# %%
class Embedder:
    "columns of embeddings in place of codes"
    def __init__(self, learn): self.e = {n: to_np(m.weight) for n, m in zip(learn.dls.cat_names, learn.model.embeds)}
    def __call__(self, xs): return pd.concat([xs.drop(columns=list(self.e)), *[pd.DataFrame(w[xs[n].values], index=xs.index).add_prefix(f'{n}_') for n, w in self.e.items()]], axis=1)
X, Xv = Embedder(learn)(to.train.xs), Embedder(learn)(to.valid.xs); X.shape, Xv.shape, list(X.columns[:3])
# %%
from sklearn.ensemble import RandomForestRegressor, GradientBoostingRegressor, HistGradientBoostingRegressor
rf = RandomForestRegressor(10, max_samples=400, min_samples_leaf=5, random_state=0).fit(to.train.xs, to.train.y); rf.score(to.valid.xs, to.valid.y) < 1, rf.predict(to.valid.xs)
# %%
def r_mse(pred, y): return round(math.sqrt(((pred - y) ** 2).mean()), 6)
def m_rmse(m, xs, y): return r_mse(m.predict(xs), y)
m_rmse(rf, to.train.xs, to.train.y) <= m_rmse(rf, to.valid.xs, to.valid.y) + 1
# %%
def rf_feat_importance(m, df): return pd.DataFrame({'cols': df.columns, 'imp': m.feature_importances_}).sort_values('imp', ascending=False)
fi = rf_feat_importance(rf, to.train.xs); fi.shape, fi.cols.tolist() != []
# %%
fi.plot('cols', 'imp', 'barh', figsize=(4, 3), legend=False); plt.close('all')
# %%
preds = np.stack([t.predict(to.valid.xs.values) for t in rf.estimators_]); preds.std(0)
# %%
(learn.get_preds()[0].squeeze().numpy() * 0.5 + rf.predict(to.valid.xs) * 0.5).shape
# %%
tree_to = TabularPandas(df, [Categorify, FillMissing], cats, conts, 'rating', splits=splits); tree_to.train.xs.dtypes.astype(str).tolist()
# %%
tree_to.train.y.shape, tree_to.valid.ys.shape, tree_to.y_names, tree_to.train.y.dtype
# %%
save_pickle('to.pkl', 3) if 'save_pickle' in globals() else None; xs, y_ = tree_to.train.xs, tree_to.train.y; xs.shape
# %%
df2 = df.copy(); df2.loc[::9, 'age'] = np.nan; to2 = TabularPandas(df2, [Categorify, FillMissing, Normalize], ['user', 'title'], ['age'], 'rating', splits=splits, y_block=RegressionBlock()); to2.cat_names, to2.procs.fill_missing.na_dict
# %%
exact_na = to2.train.items['age_na'].head(12).tolist()
# %%
to3 = TabularPandas(df2, [Categorify, FillMissing(fill_strategy=FillStrategy.constant, fill_vals={'age': 7.}, add_col=False) if False else FillMissing(FillStrategy.mode), Normalize], ['user', 'title'], ['age'], 'rating', splits=splits); to3.procs.fill_missing.na_dict.keys()
# %%
tn = to2.new(df2.iloc[:5]); tn.process(); tn.xs.shape, tn.items.columns.tolist()[-2:]
# %%
class Log1p(TabularProc):
    "logarithms of some columns"
    order = 0
    def encodes(self, to): to['n_user'] = np.log1p(to['n_user'])
to4 = TabularPandas(df, [Log1p, Categorify, Normalize], ['user', 'title'], ['n_user'], 'rating', splits=splits); close_log = to4.train.xs.n_user.head(4).tolist()
# %% the thin layer with more columns
tc = TabularCollab(df, [Categorify], ['user', 'title', 'gender', 'occupation'], y_names=['rating'], y_block=TransformBlock(), splits=splits); cdls = tc.dataloaders(bs=64); cdls.one_batch()[0], cdls.classes.keys()
# %%
class Side(Module):
    def __init__(self, szs, k=8):
        self.embs = nn.ModuleList([Embedding(n, k) for n, _ in szs]); self.bias = nn.ModuleList([Embedding(n, 1) for n, _ in szs])
    def forward(self, x):
        user = self.embs[0](x[:, 0]) + self.embs[2](x[:, 2]) + self.embs[3](x[:, 3])
        return sigmoid_range((user * self.embs[1](x[:, 1])).sum(1, keepdim=True) + sum(b(x[:, i]) for i, b in enumerate(self.bias)), 0.5, 5.5)
l = Learner(cdls, Side(get_emb_sz(cdls)), loss_func=MSELossFlat(), metrics=rmse); l.fit_one_cycle(2, 5e-3, wd=0.1); l.get_preds()[0]
# %%
class DeepFM(Module):
    def __init__(self, szs, k=6): self.w, self.v, self.n, self.m = nn.ModuleList([Embedding(n, 1) for n, _ in szs]), nn.ModuleList([Embedding(n, k) for n, _ in szs]), nn.Sequential(nn.Linear(k * len(szs), 16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 1)), nn.Parameter(torch.zeros(1))
    def forward(self, x):
        vs = torch.stack([v(x[:, i]) for i, v in enumerate(self.v)], 1); fm = 0.5 * (vs.sum(1).square() - vs.square().sum(1)).sum(1, keepdim=True)
        return self.m + sum(w(x[:, i]) for i, w in enumerate(self.w)) + fm + self.n(vs.flatten(1))
l = Learner(cdls, DeepFM(get_emb_sz(cdls)), loss_func=MSELossFlat(), metrics=[rmse, mae]); l.fit_one_cycle(2, 1e-2); l.model.m
# %%
wd = collab_learner(cdls, use_nn=True, layers=[16], y_range=(0, 5.5)); wd.fit(1, 5e-3); len(wd.model.embeds), wd.model.n_emb
# %%
class WideDeep(nn.Module):
    def __init__(self, szs, n_cont):
        super().__init__(); self.e = nn.ModuleList([nn.Embedding(a, b) for a, b in szs]); self.bn, n = nn.BatchNorm1d(n_cont), sum(b for _, b in szs) + n_cont
        self.wide, self.deep = nn.Linear(n, 1), nn.Sequential(LinBnDrop(n, 16, p=0.1, act=nn.ReLU()), nn.Linear(16, 1))
    def forward(self, cat, cont): h = torch.cat([*(e(cat[:, i]) for i, e in enumerate(self.e)), self.bn(cont)], 1); return SigmoidRange(0.5, 5.5)(self.wide(h) + self.deep(h))
l = Learner(dls, WideDeep(get_emb_sz(to), len(conts)), loss_func=MSELossFlat(), metrics=[rmse]); l.fit_one_cycle(1, 1e-2); l.get_preds()[0], l.validate()
# %%
l.summary()
# %% content and collaboration together
from sklearn.feature_extraction.text import TfidfVectorizer, CountVectorizer
tf = TfidfVectorizer(token_pattern=r'[^|]+').fit_transform(films.genres); tf.shape
# %%
from sklearn.metrics.pairwise import linear_kernel, cosine_similarity
sim = pd.DataFrame(linear_kernel(tf), index=films.title, columns=films.title); sim['Film 03 (1953)'].nlargest(4).shape
# %%
hyb = 0.5 * sim.values + 0.5 * cosine_similarity(W['title'][1:]); hyb.shape
# %%
genre_means = {g: W['title'][1:][films.genres.str.contains(g).values].mean(0) for g in genres}; pd.DataFrame(genre_means).T.shape
# %%
by_gender = df.pivot_table('rating', index='title', columns='gender', aggfunc='mean'); by_gender['diff'] = by_gender.M - by_gender.F; by_gender.sort_values('diff').index[:2].tolist() != []
# %%
pd.qcut(df.n_user, 4, duplicates='drop').value_counts().sum(), df.groupby('age_group', observed=True).rating.mean().shape
# %%
df.select_dtypes('number').corr().style is not None if False else df.select_dtypes('number').corr().shape
# %%
err = learn.get_preds(with_loss=True)[2]; v = dls.valid_ds.items.copy(); v['loss'] = err.numpy(); v.groupby('gender').loss.mean().shape
# %%
add_datepart(df.assign(when=pd.to_datetime(df.timestamp, unit='s')), 'when', time=True).columns[-3:].tolist()
# %%
cont, cat_ = cont_cat_split(df.drop(columns=['age_group']), max_card=9000, dep_var='rating'); sorted(cont), sorted(cat_)
# %%
small = df_shrink(df, int2uint=True); small.dtypes.astype(str).tolist()
# %%
d = TabularDataLoaders.from_df(df, path='.', procs=[Categorify, FillMissing, Normalize], cat_names=['user', 'title'], cont_names=['age'], y_names='rating', valid_idx=list(range(200)), bs=64, y_block=RegressionBlock()); len(d.valid_ds), exact_codes[0] != []
# %%
exact_valid = d.valid_ds.items.index[:5].tolist()
# %%
df.to_csv('f.csv', index=False); d = TabularDataLoaders.from_csv('f.csv', path='.', procs=[Categorify, Normalize], cat_names=['user', 'title'], cont_names=['age'], y_names='rating', bs=64); d.one_batch()[1].shape
# %%
wdl = to.dataloaders(bs=64); wts = np.ones(len(to.train)); wts[:10] = 5; w = to.weighted_dataloaders(wts, bs=64) if hasattr(to, 'weighted_dataloaders') else None; None if w is None else w.one_batch()[0].shape
