# %% a table with categories and numbers: user, film, age of the rating, its hour; importance, trees, embeddings
set_seed(8); df = ratings.merge(movies); df['year'] = df.title.str.extract(r'\((\d{4})\)')[0].astype(int); df['hour'] = pd.to_datetime(df.timestamp, unit='s').dt.hour; df['len'] = df.title.str.len().astype(float)
df.loc[df.sample(60, random_state=0).index, 'len'] = np.nan; df['genre'] = np.array(['drama', 'comedy', 'crime', None], dtype=object)[df.movie % 4]; cont, cat = cont_cat_split(df, 1, dep_var='rating'); cont, cat
# %%
cat_names, cont_names, procs, y_names = ['user', 'title', 'genre', 'hour'], ['year', 'len'], [Categorify, FillMissing, Normalize], 'rating'
splits = RandomSplitter(valid_pct=.2, seed=42)(range_of(df)); len(splits[0]), type(splits[0]).__name__
# %%
to = TabularPandas(df, procs=procs, cat_names=cat_names, cont_names=cont_names, y_names=y_names, y_block=RegressionBlock(), splits=splits); to.cat_names, to.cont_names, to.show(max_n=2)
# %%
to.classes.keys(), to.procs, to.train.xs.iloc[:2].shape, to.conts.mean().round(2).tolist(), to.items.columns.tolist()
# %%
exact_genre = list(to.classes['genre']); to['genre'].dtype.kind, to.cats.dtypes.astype(str).tolist(), to.ys.dtypes.astype(str).tolist()
# %%
to.means if hasattr(to, 'means') else 0, to.stds if hasattr(to, 'stds') else 0, to.na_dict if hasattr(to, 'na_dict') else {k: v for k, v in to.procs.fill_missing.na_dict.items()}
# %%
dls = to.dataloaders(bs=64, shuffle=False); dls.show_batch(max_n=3); cats, conts, y = dls.one_batch(); cats.shape, conts.shape, y.shape, cats.dtype, conts.dtype, y.dtype
# %%
emb = get_emb_sz(to); exact_emb = [list(e) for e in emb]; get_emb_sz(to, {'user': 7})[0]
# %%
learn = tabular_learner(dls, layers=[50, 20], y_range=(0, 5.5), emb_szs={'title': 6}, n_out=1, loss_func=MSELossFlat(), metrics=[rmse, mae, R2Score()], config=tabular_config(ps=[.01, .1], embed_p=.04)); learn.model
# %%
learn.summary() is not None
# %%
lrs = learn.lr_find(suggest_funcs=(valley, slide), show_plot=False); lrs._fields
# %%
learn.fit_one_cycle(2, 1e-2, wd=.01); len(learn.recorder.values), learn.recorder.metric_names
# %%
learn.show_results(max_n=3); row, clas, probs = learn.predict(df.iloc[0]); clas.shape, probs.shape, type(row).__name__ in ('Series', 'DataFrame', 'TabularPandas')
# %%
test = df.sample(40, random_state=4).drop(columns='rating'); test_dl = learn.dls.test_dl(test); preds, targs = learn.get_preds(dl=test_dl); preds.shape, targs, learn.get_preds(dl=learn.dls.test_dl(df[:10]))[1]
# %%
test_dl.show_batch(max_n=2); test_dl.dataset.items.shape if hasattr(test_dl.dataset, 'items') else 0, test_dl.xs.shape if hasattr(test_dl, 'xs') else 0
# %%
to_tst = to.new(test); to_tst.process(); to_tst.items.head(2).shape, to_tst.cats.shape, to_tst.conts.isna().sum().sum()
# %%
tst = dls.valid.new(to_tst); learn.get_preds(dl=tst)[0].shape, torch.allclose(learn.get_preds(dl=tst)[0], preds, atol=1e-5)
# %%
class PermutationImportance():
    "how much worse without one column"
    def __init__(self, learn, df=None, bs=None):
        self.learn, self.df, self.bs = learn, df if df is not None else learn.dls.valid_ds.items, bs or learn.dls.valid.bs; self.cols = self.learn.dls.x_names.filter(lambda x: '_na' not in x) if hasattr(self.learn.dls, 'x_names') else L(cat_names + cont_names)
        self.base = float(self.learn.validate(dl=self.learn.dls.test_dl(df, with_labels=True))[1]); self.imp = {c: self.one(c) for c in self.cols}
    def one(self, c): d = self.df.copy(); d[c] = d[c].sample(frac=1, random_state=0).values; return float(self.learn.validate(dl=self.learn.dls.test_dl(d, with_labels=True))[1]) - self.base
res = PermutationImportance(learn, df.iloc[list(splits[1])].reset_index(drop=True)).imp; sorted(res)
# %%
pd.DataFrame({'f': res.keys(), 'i': res.values()}).sort_values('i').plot.barh('f', 'i'); plt.close('all')
# %%
from sklearn.ensemble import RandomForestRegressor; X, y = to.train.xs, to.train.ys.values.ravel(); rf = RandomForestRegressor(10, random_state=0, n_jobs=1).fit(X, y); Xv, yv = to.valid.xs, to.valid.y; close_rf = float(np.sqrt(((rf.predict(Xv) - yv) ** 2).mean())); X.columns.tolist()
# %%
def embed_features(learner, xs):
    xs = xs.copy()
    for i, feature in enumerate(learner.dls.cat_names):
        e = learner.model.embeds[i]; new = pd.DataFrame(e(tensor(xs[feature].values).long()).detach().numpy(), index=xs.index, columns=[f'{feature}_{j}' for j in range(e.embedding_dim)]); xs = xs.drop(columns=feature).join(new)
    return xs
ex = embed_features(learn, to.train.xs); ex.shape, learn.dls.cat_names, rf.feature_importances_.shape
# %%
rf2 = RandomForestRegressor(5, random_state=0).fit(ex, y); rf2.predict(embed_features(learn, to.valid.xs)).shape
# %%
save_pickle('to.pkl', to); t2 = load_pickle('to.pkl'); len(t2.train), t2.procs
# %%
to.export('tab.pkl') if hasattr(to, 'export') else None; learn.export('tab_learn.pkl'); l2 = load_learner('tab_learn.pkl'); l2.dls.test_dl(test).n if hasattr(l2.dls.test_dl(test), 'n') else 0, torch.allclose(l2.get_preds(dl=l2.dls.test_dl(test))[0], preds, atol=1e-5)
# %%
l2.predict(df.iloc[3])[1], float(l2.predict(df.iloc[3])[2]) == float(learn.predict(df.iloc[3])[2])
# %%
df_small = df_shrink(df[['user', 'movie', 'rating', 'len']]); df_small.dtypes.astype(str).tolist()
# %%
d3 = TabularDataLoaders.from_df(df, path='.', procs=procs, cat_names=cat_names, cont_names=cont_names, y_names='rating', valid_idx=list(range(1200, 1500)), bs=64, y_block=RegressionBlock()); d3.train_ds.items.shape[0], d3.c if hasattr(d3, 'c') else 1, d3.device
# %%
learn.model.eval()
with torch.no_grad(): o = learn.model(cats[:3], conts[:3])
o.shape, learn.model.embeds[1].weight.shape, learn.model.n_emb, learn.model.n_cont, [type(x).__name__ for x in learn.model.layers.children()]
# %%
cm = TabularModel(emb, len(cont_names), 1, [16], y_range=(0, 5.5), use_bn=False, act_cls=nn.SiLU(inplace=True), lin_first=False); cl = TabularLearner(dls, cm, loss_func=MSELossFlat()); cl.fit(1, 1e-2); cm
# %%
df['liked'] = df.rating > 3; lt = TabularPandas(df, procs, cat_names, cont_names, 'liked', CategoryBlock(), splits=splits); ld = lt.dataloaders(64); ll = tabular_learner(ld, [10], metrics=[accuracy, RocAucBinary()]); ll.fit(1); ld.vocab, ll.predict(df.iloc[0])[1:][0].dtype
