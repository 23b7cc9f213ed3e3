# %% a table through blocks and transforms, as for any other kind of data
df = ratings.merge(movies, on='movie')[['user', 'title', 'rating', 'timestamp']]
block = DataBlock(blocks=(CategoryBlock, CategoryBlock, RegressionBlock), n_inp=2,
                  getters=[ColReader('user'), ColReader('title'), ColReader('rating')], splitter=RandomSplitter(0.2, seed=42))
dls = block.dataloaders(df, bs=64)
b = dls.one_batch(); len(b), [o.shape for o in b], [o.dtype.is_floating_point for o in b]
# %%
len(dls.train_ds), len(dls.valid_ds), dls.n_inp
# %%
u, t, r = dls.train_ds[0]
int(u) > 0 or int(u) == 0, float(r) > 0
# %%
dls.vocab[0][:3], len(dls.vocab[0]), len(dls.vocab[1])
# %%
exact_first_valid = [dls.valid_ds.splits[1][:4] if hasattr(dls.valid_ds, 'splits') else None][0]
# %%
dls.show_batch(max_n=3)
# %%
class Pair(Module):
    def __init__(self, nu, ni, k=8): self.u, self.i, self.b = Embedding(nu, k), Embedding(ni, k), Embedding(ni, 1)
    def forward(self, u, i): return sigmoid_range((self.u(u) * self.i(i)).sum(1) + self.b(i).squeeze(-1), 0, 5.5)
learn = Learner(dls, Pair(len(dls.vocab[0]), len(dls.vocab[1])), loss_func=MSELossFlat(), metrics=[rmse, mae])
learn.fit_one_cycle(2, 5e-3)
# %%
p, y = learn.get_preds(); p, y
# %%
learn.validate()
# %%
learn.recorder.metric_names
# %%
dl = dls.test_dl(df.head(5)); len(dl.dataset), len(first(dl))
# %%
learn.get_preds(dl=dl)[0]
# %% get_x and get_y
block = DataBlock(blocks=(TransformBlock, RegressionBlock(n_out=1)), get_x=lambda r: tensor([r.user, int(r.title[5:7])]), get_y=lambda r: float(r.rating), splitter=IndexSplitter(list(range(300))))
dls = block.dataloaders(df, bs=50, val_bs=100)
x, y = dls.one_batch(); x, y
# %%
len(dls.train), len(dls.valid), len(dls.valid_ds)
# %%
class Dot(Module):
    def __init__(self, k=6): self.u, self.i = Embedding(61, k), Embedding(41, k)
    def forward(self, x): return (self.u(x[:, 0]) * self.i(x[:, 1])).sum(1)
learn = Learner(dls, Dot(), loss_func=MSELossFlat(), metrics=mae); learn.fit(1, 1e-2); learn.get_preds()
# %% datasets by hand
splits = RandomSplitter(valid_pct=0.25, seed=1)(df)
ds = Datasets(df, tfms=[[ColReader('user'), Categorize()], [ColReader('title'), Categorize()], [ColReader('rating'), RegressionSetup()]], splits=splits, n_inp=2)
len(ds), len(ds.train), len(ds.valid), len(ds[0])
# %%
ds.vocab[0][:2] if isinstance(ds.vocab, (list, tuple, L)) else None
# %%
dls = ds.dataloaders(bs=32); [o.shape for o in dls.one_batch()]
# %%
ds.train[0][2].shape if hasattr(ds.train[0][2], 'shape') else ()
# %%
tl = TfmdLists(list(range(10)), [lambda o: o * 2], splits=[[0, 1, 2, 3, 4, 5], [6, 7, 8, 9]])
len(tl), tl[3], list(tl.train)[:3], list(tl.valid)
# %% the table layer in pieces
to = TabularPandas(df, procs=[Categorify, FillMissing, Normalize], cat_names=['user', 'title'], cont_names=['timestamp'], y_names='rating', splits=splits, do_setup=True, inplace=False, reduce_memory=True)
type(to).__name__, len(to.train), len(to.valid)
# %%
to.procs.categorify.classes['title'][:2], list(to.classes.keys())
# %%
to.categorify['user'][0] if False else to.procs.normalize.means['timestamp'] > 0
# %%
abs(float(to.train.xs['timestamp'].mean())) < 1e-4, to.train.conts.shape, to.train.cats.shape
# %%
X_train, y_train, X_valid, y_valid = to.train.xs, to.train.ys.values.ravel(), to.valid.xs, to.valid.ys.values.ravel()
X_train.shape, y_train.shape, X_valid.columns.tolist()
# %%
from sklearn.linear_model import Ridge
from sklearn.ensemble import GradientBoostingRegressor
Ridge().fit(X_train, y_train).score(X_valid, y_valid) < 1
# %%
dls = to.dataloaders(bs=128); cat, cont, y = dls.one_batch(); cat, cont, y
# %%
dls.train.items.shape if hasattr(dls.train, 'items') else to.train.items.shape
# %%
test = df.sample(20, random_state=1).drop(columns='rating'); test_to = to.new(test); test_to.process(); test_to.xs.shape
# %%
test_to.items.columns.tolist()
# %%
learn = tabular_learner(dls, layers=[50, 20], n_out=1, y_range=torch.tensor([0., 5.5]), metrics=[rmse, R2Score()], loss_func=MSELossFlat())
learn.fit_one_cycle(1, 1e-2, wd=0.2)
# %%
learn.predict(df.iloc[0])[1]
# %%
learn.show_results(max_n=3)
# %%
tdl = learn.dls.test_dl(test); p, _ = learn.get_preds(dl=tdl); p
# %%
tdl.xs.shape, tdl.cats.shape if hasattr(tdl, 'cats') else None
# %%
learn.model.embeds, learn.model.n_cont, learn.model.n_emb
# %%
learn.model.layers[0]
# %%
learn.export('tab.pkl') and None
# %%
inf = load_learner('tab.pkl', cpu=True); inf.predict(df.iloc[1])[1]
# %% permutation importance as people write it
class PermutationImportance():
    def __init__(self, learn, df): self.learn, self.dl = learn, learn.dls.test_dl(df, bs=200, with_labels=True); self.cols = learn.dls.cat_names + learn.dls.cont_names; self.base = self.value()
    def value(self): return self.learn.validate(dl=self.dl)[0]
    def of(self, c):
        was = self.dl.items[c].values.copy(); self.dl.items[c] = np.random.RandomState(0).permutation(was); v = self.value(); self.dl.items[c] = was; return v - self.base
    def run(self): return {c: self.of(c) for c in self.cols}
imp = PermutationImportance(learn, df.iloc[:200]).run(); list(imp)
# %%
pd.Series(imp).sort_values().plot.barh(); plt.close('all')
# %% dates, missing values, ordered categories
d2 = df.assign(date=pd.to_datetime(df.timestamp, unit='s'), age=np.where(df.user % 7 == 0, np.nan, df.user % 60))
d2 = add_datepart(d2, 'date', drop=True); d2.columns[-4:].tolist()
# %%
cont, cat = cont_cat_split(d2, 1, dep_var='rating'); len(cont) > 0, len(cat) > 0
# %%
to = TabularPandas(d2, [Categorify, FillMissing(fill_strategy=FillStrategy.median, add_col=True), Normalize], ['user', 'title', 'Dayofweek', 'Is_month_end'], ['age', 'Elapsed'], 'rating', splits=splits)
to.cat_names, to.cont_names
# %%
to.fill_missing.na_dict if hasattr(to, 'fill_missing') else to.procs.fill_missing.na_dict
# %%
to.show(2)
# %%
get_emb_sz(to), get_emb_sz(to, {'title': 12})
# %%
l = tabular_learner(to.dataloaders(64), [30], emb_szs={'title': 12}, ps=[0.1], embed_p=0.04, y_range=(0, 5.5)) if False else tabular_learner(to.dataloaders(64), [30], emb_szs={'title': 12}, config=tabular_config(ps=[0.1], embed_p=0.04), y_range=(0, 5.5))
l.fit(1); l.model.embeds[1]
# %%
df['user'] = df['user'].astype('category'); df['user'] = df['user'].cat.set_categories(sorted(df['user'].unique(), reverse=True), ordered=True)
cd = CollabDataLoaders.from_df(df, item_name='title', seed=1, bs=64); cd.classes['user'][:4]
# %%
pd.get_dummies(df['rating']).shape, df.memory_usage().sum() > 0
# %% two targets
two = ratings.assign(liked=(ratings.rating > 3).astype(float))
to = TabularPandas(two, [Categorify], ['user', 'movie'], y_names=['rating', 'liked'], y_block=RegressionBlock(), splits=splits)
d = to.dataloaders(bs=64); d.one_batch()[-1]
# %%
class TwoHeads(Module):
    def __init__(self): self.e, self.f, self.l = Embedding(61, 5), Embedding(41, 5), nn.Linear(10, 2)
    def forward(self, cat, cont): return self.l(torch.cat([self.e(cat[:, 0]), self.f(cat[:, 1])], 1))
def both(p, t): return F.mse_loss(p[:, 0], t[:, 0].float()) + F.binary_cross_entropy_with_logits(p[:, 1], t[:, 1].float())
l = Learner(d, TwoHeads(), loss_func=both, metrics=[lambda p, t: (p[:, 0] - t[:, 0]).abs().mean()]); l.fit(1, 1e-2); l.get_preds()
# %% a category block as the target
to = TabularPandas(two.assign(liked=np.where(two.rating > 3, 'yes', 'no')), [Categorify], ['user', 'movie'], y_names='liked', y_block=CategoryBlock(), splits=splits)
d = to.dataloaders(64); l = tabular_learner(d, [20], metrics=[accuracy, F1Score(), RocAucBinary()]); l.fit(1, 1e-2); l.recorder.metric_names, d.vocab
# %%
row, cls, probs = l.predict(two.iloc[0]); cls, probs.shape
# %%
interp = ClassificationInterpretation.from_learner(l); interp.most_confused(min_val=1) != None, interp.confusion_matrix()
# %%
interp.plot_confusion_matrix(); plt.close('all')
# %%
interp.print_classification_report()
# %%
p, t = l.get_preds(); (p.argmax(1) == t.squeeze()).float().mean()
# %%
block = DataBlock(blocks=(CategoryBlock(add_na=True), CategoryBlock, RegressionBlock), n_inp=2, get_x=[ColReader('user'), ColReader('title')], get_y=ColReader('rating'), splitter=EndSplitter(0.1))
d = DataLoaders.from_dblock(block, df, bs=32); len(d.train_ds), len(d.valid_ds), d.vocab[0][0], d.vocab[1][0]
# %%
block.summary(df, bs=4)
