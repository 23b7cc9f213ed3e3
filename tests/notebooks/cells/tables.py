# %% TabularPandas with user, film and numbers: regression, "liked" as a class, trees on embeddings
df = ratings.merge(movies).assign(age=lambda d: np.where(d.user % 8 == 0, np.nan, 18 + d.user % 40), sex=lambda d: np.where(d.user % 3, 'M', 'F'), year=lambda d: d.title.str[-5:-1].astype(int), when=lambda d: pd.to_datetime(d.timestamp, unit='s')); df.dtypes.astype(str).to_dict()
# %%
df = add_datepart(df, 'when', drop=True); [c for c in df.columns if c.startswith('when')]
# %%
cont, cat = cont_cat_split(df, 12, dep_var='rating'); exact_cc = [sorted(cont), sorted(cat)]
# %%
cat_names, cont_names = ['user', 'title', 'sex', 'whenDayofweek'], ['age', 'year']; splits = RandomSplitter(valid_pct=.2, seed=42)(range_of(df)); to = TabularPandas(df, procs=[Categorify, FillMissing, Normalize], cat_names=cat_names, cont_names=cont_names, y_names='rating', y_block=RegressionBlock(), splits=splits); to.cat_names, to.cont_names
# %%
to.show(3)
# %%
exact_codes = to.items[['user', 'title', 'sex', 'age_na']].head(4).values.tolist(); close_conts = to.items[['age', 'year']].head(4).values.tolist()
# %%
to.train.xs.shape, to.valid.ys.shape, to.train.targ.head(2) if hasattr(to, 'targ') else None
# %%
to.procs.fill_missing.na_dict, list(to.procs.normalize.means) if hasattr(to.procs, 'normalize') else None
# %%
close_stats = [float(to.procs.normalize.means['age']), float(to.procs.normalize.stds['year'])]
# %%
get_emb_sz(to), get_emb_sz(to, {'user': 7})
# %%
dls = to.dataloaders(bs=64, shuffle=False); dls.show_batch(max_n=3); b = dls.one_batch(); [o.shape for o in b], [o.dtype for o in b]
# %%
set_seed(9); learn = tabular_learner(dls, layers=[32, 16], y_range=(.5, 5.5), metrics=[rmse, mae], n_out=1); close_start = [float(v) for v in learn.validate()]
# %%
learn.model
# %%
def filled(m, scale=0.3):
    with torch.no_grad():
        for i, p in enumerate(m.parameters()): p.copy_(torch.sin(torch.arange(p.numel()).float() * 0.37 + i).view_as(p) * scale)
    return m
filled(learn.model); learn.fit_one_cycle(2, 1e-2, wd=.01); close_tab = [[float(v) for v in r] for r in learn.recorder.values]
# %%
learn.get_preds()[0].shape, learn.get_preds(dl=dls.test_dl(df.iloc[:4]))[0].shape
# %%
row, clas, probs = learn.predict(df.iloc[0]); clas.shape, probs.shape
# %%
close_pred = [float(clas), float(probs)]; row.show() if hasattr(row, 'show') else None
# %%
learn.show_results(max_n=3)
# %%
cfg = tabular_config(ps=[.1, .1], embed_p=.05, use_bn=False); l2 = tabular_learner(dls, [20, 10], config=cfg, y_range=(0, 5.5)); l2.fit(1, 1e-3); [type(m).__name__ for m in l2.model.layers.children()]
# %%
m = TabularModel(get_emb_sz(to), len(to.cont_names), 1, [16], y_range=(0, 5.5), use_bn=True, bn_final=True, bn_cont=False); l3 = Learner(dls, filled(m), loss_func=MSELossFlat()); l3.fit(1, 1e-2); close_l3 = [[float(v) for v in r] for r in l3.recorder.values]
# %%
xs, y = to.train.xs, to.train.ys.values.ravel(); vx, vy = to.valid.xs, to.valid.ys.values.ravel()
from sklearn.ensemble import RandomForestRegressor
rf = RandomForestRegressor(n_estimators=5, random_state=0).fit(xs, y); close_rf = float(np.sqrt(((rf.predict(vx) - vy) ** 2).mean()))
# %%
pd.DataFrame({'cols': xs.columns, 'imp': rf.feature_importances_}).sort_values('imp', ascending=False).plot('cols', 'imp', 'barh'); plt.close()
# %%
def embed_features(learner, xs):
    xs = xs.copy()
    for i, feature in enumerate(learner.dls.cat_names):
        emb = learner.model.embeds[i]
        new_feat = pd.DataFrame(emb(tensor(xs[feature].values.astype(np.int64))).detach().numpy(), index=xs.index, columns=[f'{feature}_{j}' for j in range(emb.embedding_dim)])
        xs = xs.drop(columns=feature).join(new_feat)
    return xs
embed_features(learn, xs).shape
# %%
close_emb = float(embed_features(learn, vx).values.sum())
# %%
class PermutationImportance:
    def __init__(self, learn): self.learn, self.df = learn, learn.dls.valid_ds.items if hasattr(learn.dls.valid_ds, 'items') else None
    def measure(self, name):
        dl = self.learn.dls.test_dl(df.iloc[splits[1]].reset_index(drop=True)); dl.items[name] = dl.items[name].sample(frac=1, random_state=0).values
        return float(self.learn.validate(dl=dl)[1])
imp = {n: PermutationImportance(learn).measure(n) for n in ['user', 'age']}; close_imp = list(imp.values())
# %% liked: two classes
df['liked'] = np.where(df.rating >= 4, 'yes', 'no'); tc = TabularPandas(df, [Categorify, FillMissing, Normalize], ['user', 'title', 'sex'], ['age', 'year'], 'liked', CategoryBlock(), splits); tc.vocab if hasattr(tc, 'vocab') else None
# %%
cdls = tc.dataloaders(64); cdls.c, cdls.vocab, cdls.one_batch()[2].shape
# %%
cl = tabular_learner(cdls, [16], metrics=[accuracy, F1Score(), RocAucBinary()]); cl.fit_one_cycle(1, 1e-2); cl.loss_func, cl.recorder.metric_names
# %%
interp = ClassificationInterpretation.from_learner(cl); interp.confusion_matrix().shape
# %%
interp.plot_confusion_matrix(); plt.close(); len(interp.vocab)
# %%
interp.print_classification_report()
# %%
p, t, d = cl.get_preds(with_decoded=True); p.shape, t.shape, d.shape, set(d.tolist()) <= {0, 1}
# %%
r, c, pr = cl.predict(df.iloc[0]); c, pr.shape, cdls.vocab[c]
# %%
close_sum = float(p.sum(1).mean()); from sklearn.metrics import roc_auc_score; 0 <= roc_auc_score(t.ravel(), p[:, 1]) <= 1
# %%
cl.export('liked.pkl'); lc = load_learner('liked.pkl'); len(lc.predict(df.iloc[1]))
# %%
lc.dls.vocab, lc.get_preds(dl=lc.dls.test_dl(df.iloc[:3]))[0].shape
# %%
tnew = to.new(df.iloc[:5].drop(columns='rating')); tnew.process(); tnew.xs
# %%
test_dl = learn.dls.test_dl(df.iloc[:5].drop(columns='rating')); close_tp = learn.get_preds(dl=test_dl)[0].flatten().tolist()
# %%
to.save('to.pkl') if hasattr(to, 'save') and False else None; save_pickle('to.pkl', to.items); load_pickle('to.pkl').shape
# %%
to2 = TabularPandas(df, FillMissing(fill_strategy=FillStrategy.constant, fill_vals=dict(age=0.), add_col=False) if False else [FillMissing(add_col=False), Categorify()], ['user', 'sex'], ['age'], 'rating', splits=splits); to2.cat_names, float(to2.items.age.isna().sum())
# %%
class LogProc(TabularProc):
    def encodes(self, to): to.conts = np.log1p(to.conts) if len(to.cont_names) else to.conts
to3 = TabularPandas(df.fillna({'age': 30.}), [Categorify, LogProc, Normalize], ['user'], ['age'], 'rating', splits=splits, inplace=False, reduce_memory=True); close_log = to3.conts.head(3).values.tolist()
# %%
dfs = df_shrink(df[['user', 'age', 'sex', 'rating']]); dfs.dtypes.astype(str).to_dict()
# %%
TabularDataLoaders.from_df(df, path='.', procs=[Categorify, FillMissing, Normalize], cat_names=['user', 'title'], cont_names=['year'], y_names='rating', valid_idx=list(range(0, 200)), bs=64).valid.n
# %%
df.to_csv('t.csv', index=False); tdl = TabularDataLoaders.from_csv('t.csv', procs=[Categorify], cat_names=['user'], cont_names=['year'], y_names='rating', bs=32); tdl.train.bs
# %%
order = pd.CategoricalDtype(['F', 'M'], ordered=True); df['sex'] = df.sex.astype(order); t5 = TabularPandas(df, [Categorify], ['sex'], [], 'rating', splits=splits); list(t5.classes['sex'])
# %%
yt = TabularPandas(df, [Categorify], ['user', 'title'], [], ['rating', 'year'], y_block=RegressionBlock(n_out=2), splits=splits).dataloaders(bs=64, shuffle=False); l7 = tabular_learner(yt, [8], n_out=2, loss_func=MSELossFlat()); filled(l7.model); l7.fit(1, 1e-3); close_l7 = [[float(v) for v in r] for r in l7.recorder.values]
# %%
l7.get_preds()[0].shape, l7.get_preds()[1].shape
